//! Hugging Face transformers' spelling of ResNet, ConvNeXt and ViT, renamed to the spelling that the
//! families read: torchvision's, and timm's for ConvNeXt. The table is all there is to it, but for ViT's queries,
//! keys and values, which are three layers there and one here.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::error::Result;
use crate::model::weights::Weights;

/// What a name starts with, and what it starts with after renaming. `*` stands for a number, which `*`
/// takes over in the same order; `+` takes it over with 1 added.
const TABLE: [(&str, &str); 29] = [
    ("resnet.embedder.embedder.convolution.", "conv1."),
    ("resnet.embedder.embedder.normalization.", "bn1."),
    (
        "resnet.encoder.stages.*.layers.*.layer.*.convolution.",
        "layer+.*.conv+.",
    ),
    (
        "resnet.encoder.stages.*.layers.*.layer.*.normalization.",
        "layer+.*.bn+.",
    ),
    (
        "resnet.encoder.stages.*.layers.*.shortcut.convolution.",
        "layer+.*.downsample.0.",
    ),
    (
        "resnet.encoder.stages.*.layers.*.shortcut.normalization.",
        "layer+.*.downsample.1.",
    ),
    ("convnext.embeddings.patch_embeddings.", "stem.0."),
    ("convnext.embeddings.layernorm.", "stem.1."),
    (
        "convnext.encoder.stages.*.downsampling_layer.*.",
        "stages.*.downsample.*.",
    ),
    (
        "convnext.encoder.stages.*.layers.*.dwconv.",
        "stages.*.blocks.*.conv_dw.",
    ),
    (
        "convnext.encoder.stages.*.layers.*.layernorm.",
        "stages.*.blocks.*.norm.",
    ),
    (
        "convnext.encoder.stages.*.layers.*.pwconv1.",
        "stages.*.blocks.*.mlp.fc1.",
    ),
    (
        "convnext.encoder.stages.*.layers.*.pwconv2.",
        "stages.*.blocks.*.mlp.fc2.",
    ),
    (
        "convnext.encoder.stages.*.layers.*.layer_scale_parameter",
        "stages.*.blocks.*.gamma",
    ),
    ("convnext.layernorm.", "head.norm."),
    ("vit.embeddings.cls_token", "class_token"),
    (
        "vit.embeddings.position_embeddings",
        "encoder.pos_embedding",
    ),
    ("vit.embeddings.patch_embeddings.projection.", "conv_proj."),
    (
        "vit.encoder.layer.*.layernorm_before.",
        "encoder.layers.encoder_layer_*.ln_1.",
    ),
    (
        "vit.encoder.layer.*.layernorm_after.",
        "encoder.layers.encoder_layer_*.ln_2.",
    ),
    (
        "vit.encoder.layer.*.attention.attention.query.",
        "encoder.layers.encoder_layer_*.self_attention.query_",
    ),
    (
        "vit.encoder.layer.*.attention.attention.key.",
        "encoder.layers.encoder_layer_*.self_attention.key_",
    ),
    (
        "vit.encoder.layer.*.attention.attention.value.",
        "encoder.layers.encoder_layer_*.self_attention.value_",
    ),
    (
        "vit.encoder.layer.*.attention.output.dense.",
        "encoder.layers.encoder_layer_*.self_attention.out_proj.",
    ),
    (
        "vit.encoder.layer.*.intermediate.dense.",
        "encoder.layers.encoder_layer_*.mlp.0.",
    ),
    (
        "vit.encoder.layer.*.output.dense.",
        "encoder.layers.encoder_layer_*.mlp.3.",
    ),
    ("vit.layernorm.", "encoder.ln."),
    ("classifier.1.", "fc."),
    ("classifier.", "head."),
];

/// The tensors under torchvision's or timm's names; `None` where they are not spelled as transformers
/// spells them.
///
/// # Errors
/// Fails when ViT's queries, keys and values do not go together.
pub(super) fn respelled(weights: &Weights) -> Result<Option<Weights>> {
    let head = if weights.has("resnet.embedder.embedder.convolution.weight") {
        "fc."
    } else if weights.has("convnext.embeddings.patch_embeddings.weight") {
        "head.fc."
    } else if weights.has("vit.embeddings.patch_embeddings.projection.weight") {
        "heads.head."
    } else {
        return Ok(None);
    };
    let mut tensors = BTreeMap::new();
    for key in weights.keys() {
        let renamed = TABLE
            .iter()
            .find_map(|(from, to)| rename(key, from, to))
            .unwrap_or_else(|| key.to_owned());
        let renamed = match renamed.strip_prefix("head.") {
            Some(leaf @ ("weight" | "bias")) => format!("{head}{leaf}"),
            _ => renamed,
        };
        tensors.insert(renamed, weights.get(key)?);
    }
    join_attention(&mut tensors)?;
    let mut respelled = Weights::from_tensors(&weights.name, tensors);
    respelled.path.clone_from(&weights.path);
    respelled.sha256.clone_from(&weights.sha256);
    Ok(Some(respelled))
}

/// `key` with its start `from` replaced by `to`.
fn rename(key: &str, from: &str, to: &str) -> Option<String> {
    let mut rest = key;
    let mut numbers = Vec::new();
    for (n, part) in from.split('*').enumerate() {
        if n > 0 {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            numbers.push(rest.get(..digits)?.parse::<u32>().ok()?);
            rest = rest.get(digits..)?;
        }
        rest = rest.strip_prefix(part)?;
    }
    let mut numbers = numbers.into_iter();
    let mut renamed = String::new();
    for letter in to.chars() {
        match letter {
            '*' => renamed.push_str(&numbers.next()?.to_string()),
            '+' => renamed.push_str(&numbers.next()?.checked_add(1)?.to_string()),
            other => renamed.push(other),
        }
    }
    renamed.push_str(rest);
    Some(renamed)
}

/// Queries, keys and values of every layer become the one layer that torchvision has.
fn join_attention(tensors: &mut BTreeMap<String, Tensor>) -> Result<()> {
    let layers: Vec<(String, String)> = tensors
        .keys()
        .filter_map(|key| {
            let (layer, leaf) = key.rsplit_once("self_attention.query_")?;
            Some((format!("{layer}self_attention."), leaf.to_owned()))
        })
        .collect();
    for (path, leaf) in layers {
        let parts: Vec<Tensor> = ["query", "key", "value"]
            .iter()
            .filter_map(|part| tensors.remove(&format!("{path}{part}_{leaf}")))
            .collect();
        if parts.len() == 3 && parts.iter().all(|p| p.dims() == parts[0].dims()) {
            let joint = Tensor::cat(&parts, 0)?;
            tensors.insert(format!("{path}in_proj_{leaf}"), joint);
        }
    }
    Ok(())
}
