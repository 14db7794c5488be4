//! FullGrad (Srinivas and Fleuret 2019): the gradient at the input and at every bias.
//!
//! For a network of rectifiers the target is exactly `sum x * dy/dx + sum_b b * dy/db`.

use super::map::Grid;
use super::pass::WalkRule;
use super::resize::{Align, Resize, min_max, range};
use super::settings::Settings;
use super::study::Study;
use super::task::Drawn;
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::kernels::values;
use crate::model::op::Op;

/// Constant of the authors' normalisation, and of pytorch-grad-cam's.
const OFFICIAL_EPS: f32 = 1e-6;
const PEER_EPS: f32 = 1e-7;

/// The map on the input's grid. `mode`: pytorch-grad-cam normalises each channel by itself, the authors all channels
/// of a layer together.
pub(super) fn full_grad(study: &mut Study<'_>, settings: &Settings) -> Result<Drawn> {
    let official = settings.is("mode", "official");
    let size = [study.input.width, study.input.height];
    let mut map = vec![0f32; size[0] * size[1]];
    let align = if official {
        Align::Corners
    } else {
        Align::Centres
    };
    let x = study.input_tensor()?;
    let x = values(&x)?;
    if let Some(gradient) = gradient(study, 0)? {
        let products: Vec<f32> = x.iter().zip(gradient).map(|(x, g)| (x * g).abs()).collect();
        add(&mut map, products, size, size, align, official);
    }
    for (node, biases) in biases(study)? {
        let Some(gradient) = gradient(study, node)? else {
            continue;
        };
        let shape = study.pass.trace.output(node)?;
        let (_, channels, height, width) = shape.dims4()?;
        let cells = height * width;
        let mut products = gradient;
        for (channel, b) in products.chunks_exact_mut(cells.max(1)).zip(&biases) {
            channel.iter_mut().for_each(|g| *g = (*g * b).abs());
        }
        debug_assert_eq!(channels, biases.len());
        add(&mut map, products, [width, height], size, align, official);
    }
    Ok(Drawn::Grid(Grid {
        width: size[0],
        height: size[1],
        values: map,
    }))
}

/// Adds a layer's channels, normalised and enlarged. The sum over channels is enlarged once, which is the same: the
/// enlargement is linear.
fn add(
    map: &mut [f32],
    mut products: Vec<f32>,
    from: [usize; 2],
    to: [usize; 2],
    align: Align,
    official: bool,
) {
    let cells = from[0] * from[1];
    if official {
        let (lo, hi) = range(&products);
        let span = hi - lo + OFFICIAL_EPS;
        products.iter_mut().for_each(|v| *v = (*v - lo) / span);
    } else {
        for channel in products.chunks_exact_mut(cells.max(1)) {
            min_max(channel, PEER_EPS);
        }
    }
    let mut sum = vec![0f32; cells];
    for channel in products.chunks_exact(cells.max(1)) {
        sum.iter_mut().zip(channel).for_each(|(s, v)| *s += v);
    }
    let large = if from == to {
        sum
    } else {
        Resize::new(from, to, align).run(&sum)
    };
    map.iter_mut().zip(large).for_each(|(m, v)| *m += v);
}

fn gradient(study: &mut Study<'_>, node: NodeId) -> Result<Option<Vec<f32>>> {
    let objective = study.objective();
    let found =
        study
            .pass
            .gradient(study.model, &objective, WalkRule::Gradient, node, study.job)?;
    found.map(|g| values(&g)).transpose()
}

/// Biases of convolutions and BatchNorms with planes behind them, by node.
fn biases(study: &Study<'_>) -> Result<Vec<(NodeId, Vec<f32>)>> {
    let mut found = Vec::new();
    for (id, node) in study.model.graph.nodes.iter().enumerate() {
        let bias = match &node.op {
            Op::Conv2d(conv) => conv.bias.as_ref(),
            Op::BatchNorm(norm) => Some(&norm.shift),
            _ => None,
        };
        if let Some(bias) = bias
            && study.pass.trace.output(id)?.rank() == 4
        {
            found.push((id, bias.flatten_all()?.to_vec1()?));
        }
    }
    Ok(found)
}

/// `sum x * dy/dx + sum b * dy/db` over every bias, those of linear layers included: equal to the target's score in a
/// network of rectifiers.
///
/// # Errors
/// Cancellation, a device that fails.
pub fn full_gradient_sum(study: &mut Study<'_>) -> Result<f64> {
    let product = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    let mut sum = 0.0;
    if let Some(g) = gradient(study, 0)? {
        sum += product(&values(&study.input_tensor()?)?, &g);
    }
    let mut terms = biases(study)?;
    for (id, node) in study.model.graph.nodes.iter().enumerate() {
        if let Op::Linear {
            bias: Some(bias), ..
        } = &node.op
        {
            terms.push((id, bias.flatten_all()?.to_vec1()?));
        }
    }
    for (node, biases) in terms {
        if let Some(g) = gradient(study, node)? {
            let cells = g.len() / biases.len().max(1);
            for (channel, b) in g.chunks_exact(cells.max(1)).zip(&biases) {
                sum += channel
                    .iter()
                    .map(|g| f64::from(*g) * f64::from(*b))
                    .sum::<f64>();
            }
        }
    }
    Ok(sum)
}
