//! Vision Transformer (Dosovitskiy et al., ICLR 2021, arXiv 2010.11929) as torchvision writes it.
//!
//! Tokens are held as `[N, C, 1, T]`: the class token, then the patches row by row. A map drops the
//! class token. The number of positions fixes the side of the inputs.

use super::net::Net;
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op};
use crate::model::weights::Weights;
use crate::text::fault;

/// What torchvision's LayerNorm adds to the variance, and transformers'.
const EPS: [f64; 2] = [1e-6, 1e-12];

/// Whether the tensors look like torchvision's vision transformer.
pub(super) fn recognise(weights: &Weights) -> bool {
    weights.has("conv_proj.weight")
        && weights.has("class_token")
        && weights.has("encoder.layers.encoder_layer_0.self_attention.in_proj_weight")
}

pub(super) fn build(weights: &Weights, hint: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let eps = EPS[usize::from(hint.transformers)];
    let patch = net.dims("conv_proj").get(2).copied().unwrap_or(1);
    let mut x = net.conv_valid("conv_proj", 0, patch)?;
    let width = net.channels_of(x);

    let class_token = net.tensor("", "class_token", 3)?;
    let position = net.tensor("encoder", "pos_embedding", 3)?;
    let positions = position.dim(1)?;
    let side = (positions.saturating_sub(1)).isqrt();
    if class_token.dims() != [1, 1, width]
        || position.dims() != [1, positions, width]
        || side * side + 1 != positions
        || side == 0
    {
        return Err(fault::shape(
            "encoder.pos_embedding",
            &format!(
                "{:?} for tokens of {:?}",
                position.dims(),
                class_token.dims()
            ),
            &format!("[1, n * n + 1, {width}]"),
        ));
    }
    let tokens = Op::Tokens {
        class_token: Some(class_token.flatten_all()?),
        position: Some(position.squeeze(0)?),
    };
    x = net.push("encoder.tokens", tokens, &[x]);
    net.alias("encoder.dropout", x);

    let heads = match width {
        // ViT-H has heads of 80 channels, every other member of 64.
        1280 => 16,
        _ => (width / 64).max(1),
    };
    let layer = |i: usize| format!("encoder.layers.encoder_layer_{i}");
    let depth = net.count(0, |i| format!("{}.ln_1.weight", layer(i)));
    for i in 0..depth {
        x = block(&mut net, &layer(i), x, heads, eps)?;
    }
    x = net.layer_norm("encoder.ln", x, eps)?;
    x = net.push("class_token", Op::SelectToken(0), &[x]);
    if net.has("heads.pre_logits") {
        x = net.linear("heads.pre_logits", x)?;
        x = net.act("heads.act", Act::Tanh, x);
    }
    net.linear("heads.head", x)?;

    let top = depth.saturating_sub(1);
    let mut stages = vec![layer(0), layer((depth / 2).saturating_sub(1)), layer(top)];
    stages.dedup();
    stages.push("encoder.ln".to_owned());
    let last = format!("{}.ln_1", layer(top));
    let name = match (depth, width) {
        (12, 768) => format!("vit_b_{patch}"),
        (24, 1024) => format!("vit_l_{patch}"),
        (32, 1280) => format!("vit_h_{patch}"),
        _ => format!("vit ({depth} layers, width {width}, patch {patch})"),
    };
    let mut built = net.finish(stages, &last, name);
    built.side = Some(side * patch);
    Ok(built)
}

/// Attention and a two-layer perceptron, each behind a LayerNorm and with its input added.
fn block(net: &mut Net<'_>, path: &str, input: NodeId, heads: usize, eps: f64) -> Result<NodeId> {
    let at = |leaf: &str| format!("{path}.{leaf}");
    let mut x = net.layer_norm(&at("ln_1"), input, eps)?;
    let weight = net.tensor(&at("self_attention"), "in_proj_weight", 2)?;
    let bias = net.optional(&at("self_attention"), "in_proj_bias")?;
    let joint = at("self_attention.in_proj");
    x = net.push(&joint, Op::linear(weight, bias), &[x]);
    let attention = Op::Attention { heads };
    x = net.push(&at("self_attention.attention"), attention, &[x]);
    x = net.linear(&at("self_attention.out_proj"), x)?;
    net.alias(&at("dropout"), x);
    let sum = net.push(&at("add"), Op::Add, &[x, input]);
    x = net.layer_norm(&at("ln_2"), sum, eps)?;
    // Older files call the two layers of the perceptron by name.
    let [up, down] = if net.has(&at("mlp.linear_1")) {
        ["mlp.linear_1", "mlp.linear_2"]
    } else {
        ["mlp.0", "mlp.3"]
    };
    x = net.linear(&at(up), x)?;
    x = net.act(&at("mlp.1"), Act::Gelu, x);
    net.alias(&at("mlp.2"), x);
    x = net.linear(&at(down), x)?;
    net.alias(&at("mlp.4"), x);
    net.alias(&at("mlp"), x);
    Ok(net.push(&at("add"), Op::Add, &[sum, x]))
}
