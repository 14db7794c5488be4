//! Guided backpropagation, and its product with Grad-CAM.

use candle_core::Tensor;

use super::cam;
use super::map::Grid;
use super::pass::WalkRule;
use super::pixels;
use super::resize::up;
use super::settings::Settings;
use super::study::Study;
use super::task::Drawn;
use crate::error::Result;
use crate::model::backward::{Gradient, Rule};
use crate::model::graph::Node;
use crate::model::kernels::Kernels;
use crate::model::op::{Act, Op};
use crate::text::notice;

/// Guided backpropagation (Springenberg et al. 2015): a rectifier hands back only what is positive, where its input was
/// positive. Everything else is the ordinary gradient, other activations included, as in Captum.
pub(super) struct Guided;

impl Rule for Guided {
    fn is_gradient(&self) -> bool {
        true
    }

    fn before_act(&self, act: Act, given: &Tensor, kernels: &dyn Kernels) -> Result<Tensor> {
        match act {
            Act::Relu => kernels.apply(&Op::Act(Act::Relu), &[given]),
            _ => Ok(given.clone()),
        }
    }

    fn hand_back(
        &self,
        node: &Node,
        inputs: &[&Tensor],
        output: &Tensor,
        given: &Tensor,
        kernels: &dyn Kernels,
    ) -> Result<Vec<Tensor>> {
        match node.op {
            Op::Act(act) => {
                let given = self.before_act(act, given, kernels)?;
                Gradient.hand_back(node, inputs, output, &given, kernels)
            }
            _ => Gradient.hand_back(node, inputs, output, given, kernels),
        }
    }
}

/// Guided backpropagation at the layer, channels added.
pub(super) fn guided_backprop(study: &mut Study<'_>, _: &Settings) -> Result<Drawn> {
    study.notice(notice::FAILS_RANDOMISATION);
    let (gradient, places) = pixels::gradient(study, study.node, WalkRule::Guided)?;
    let map = pixels::channel_sum(&gradient, places[0] * places[1]);
    Ok(Drawn::Grid(Grid {
        width: places[1],
        height: places[0],
        values: map,
    }))
}

/// Guided Grad-CAM (Selvaraju et al. 2017): guided backpropagation at the input times the enlarged Grad-CAM of the
/// layer.
pub(super) fn guided_grad_cam(study: &mut Study<'_>, settings: &Settings) -> Result<Drawn> {
    study.notice(notice::FAILS_RANDOMISATION);
    let evidence = study.evidence(true)?;
    let map = cam::grad_cam(&evidence, settings)?.sum(&evidence);
    let positive: Vec<f32> = map.values.iter().map(|v| v.max(0.0)).collect();
    let [width, height] = [study.input.width, study.input.height];
    let large = up(&positive, [map.width, map.height], [width, height]);
    let (gradient, _) = pixels::gradient(study, 0, WalkRule::Guided)?;
    let mut values = pixels::channel_sum(&gradient, width * height);
    values.iter_mut().zip(large).for_each(|(v, m)| *v *= m);
    Ok(Drawn::Grid(Grid {
        width,
        height,
        values,
    }))
}
