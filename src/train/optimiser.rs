//! AdamW whose state can be written down and taken up again (Loshchilov and Hutter 2019, "Decoupled
//! Weight Decay Regularization"), and the learning rate's course. candle-nn's AdamW keeps its moments private.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};

use super::network::Parameter;
use super::state::{Array, State};
use crate::error::Result;
use crate::text::fault;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

struct Slot {
    parameter: Parameter,
    first: Vec<f32>,
    second: Vec<f32>,
}

/// AdamW over named parameters.
pub struct AdamW {
    slots: Vec<Slot>,
    steps: usize,
    weight_decay: f64,
}

impl AdamW {
    /// A fresh optimiser.
    pub fn new(parameters: Vec<Parameter>, weight_decay: f64) -> Self {
        let slots = parameters
            .into_iter()
            .map(|parameter| {
                let n = parameter.var.elem_count();
                Slot {
                    parameter,
                    first: vec![0.0; n],
                    second: vec![0.0; n],
                }
            })
            .collect();
        Self {
            slots,
            steps: 0,
            weight_decay,
        }
    }

    /// One step down the gradients at learning rate `rate`.
    pub fn step(&mut self, grads: &GradStore, rate: f64) -> Result<()> {
        self.steps += 1;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let first_scale = (1.0 - BETA1.powi(steps)).recip() as f32;
        let second_scale = (1.0 - BETA2.powi(steps)).recip() as f32;
        for slot in &mut self.slots {
            let var = &slot.parameter.var;
            let Some(grad) = grads.get(var) else {
                continue;
            };
            let grad: Vec<f32> = grad.flatten_all()?.to_vec1()?;
            let mut theta: Vec<f32> = var.flatten_all()?.to_vec1()?;
            let decay = if slot.parameter.decay {
                (1.0 - rate * self.weight_decay) as f32
            } else {
                1.0
            };
            let (b1, b2, eps, rate) = (BETA1 as f32, BETA2 as f32, EPS as f32, rate as f32);
            let moments = slot.first.iter_mut().zip(&mut slot.second);
            for ((theta, &g), (m, v)) in theta.iter_mut().zip(&grad).zip(moments) {
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                let step = *m * first_scale / ((*v * second_scale).sqrt() + eps);
                *theta = *theta * decay - rate * step;
            }
            var.set(&Tensor::from_vec(theta, var.dims(), &Device::Cpu)?)?;
        }
        Ok(())
    }

    /// Steps made.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Adds the moments to `state` as `optimiser.first.NAME` and `optimiser.second.NAME`.
    pub fn save(&self, state: &mut State) {
        for slot in &self.slots {
            for (which, values) in [("first", &slot.first), ("second", &slot.second)] {
                state.insert(
                    format!("optimiser.{which}.{}", slot.parameter.name),
                    Array {
                        shape: slot.parameter.var.dims().to_vec(),
                        values: values.clone(),
                    },
                );
            }
        }
    }

    /// Takes up what [`Self::save`] wrote after `steps` steps.
    pub fn load(&mut self, state: &State, steps: usize) -> Result<()> {
        for slot in &mut self.slots {
            let shape = slot.parameter.var.dims().to_vec();
            for (which, values) in [("first", &mut slot.first), ("second", &mut slot.second)] {
                let name = format!("optimiser.{which}.{}", slot.parameter.name);
                match state.get(&name) {
                    Some(array) if array.shape == shape => values.clone_from(&array.values),
                    found => {
                        let found = found.map(|a| a.shape.as_slice());
                        return Err(fault::training_array(&name, &shape, found));
                    }
                }
            }
        }
        self.steps = steps;
        Ok(())
    }
}

/// Learning rate at `step` of `total`: a linear rise over the first 5 %, then half a cosine down to
/// one hundredth of the peak (Loshchilov and Hutter 2017, "SGDR").
pub fn learning_rate(peak: f64, step: usize, total: usize) -> f64 {
    let warm_up = (total as f64 * 0.05).max(1.0);
    let step = step as f64;
    if step < warm_up {
        return peak * (step + 1.0) / (warm_up + 1.0);
    }
    let done = ((step - warm_up) / (total as f64 - warm_up).max(1.0)).min(1.0);
    let low = 0.01;
    peak * (low + (1.0 - low) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    /// Three steps on a parabola against candle-nn's AdamW.
    #[test]
    fn agrees_with_candle_nn() {
        use candle_nn::Optimizer;
        let start = || Var::from_slice(&[1.0_f32, -2.0, 0.5], 3, &Device::Cpu).unwrap();
        let (ours, theirs) = (start(), start());
        let parameter = Parameter {
            name: "x".to_owned(),
            var: ours.clone(),
            decay: true,
        };
        let mut a = AdamW::new(vec![parameter], 0.1);
        let params = candle_nn::ParamsAdamW {
            lr: 0.05,
            weight_decay: 0.1,
            ..Default::default()
        };
        let mut b = candle_nn::AdamW::new(vec![theirs.clone()], params).unwrap();
        for _ in 0..3 {
            let loss = |v: &Var| v.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            a.step(&loss(&ours), 0.05).unwrap();
            b.step(&loss(&theirs)).unwrap();
        }
        let (a, b): (Vec<f32>, Vec<f32>) = (ours.to_vec1().unwrap(), theirs.to_vec1().unwrap());
        for (a, b) in a.iter().zip(&b) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn rate_rises_then_falls() {
        let at = |step| learning_rate(1.0, step, 200);
        assert!(at(0) < 0.2 && at(9) < 1.0 && (at(10) - 1.0).abs() < 1e-9);
        assert!(at(100) < at(50) && (at(200) - 0.01).abs() < 1e-9);
    }
}
