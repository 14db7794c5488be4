//! Where relevance starts: what stands at the logits.

use candle_core::Tensor;

use crate::error::Result;
use crate::text::fault;

/// Relevance at the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// 1 at a class (zennit's habit): the sign of its logit does not turn the map.
    OneHot(usize),
    /// The class's logit at the class (Bach et al. 2015).
    Logit(usize),
    /// 1 at one class, -1 at another: what speaks for the first and against the second.
    Contrast {
        /// Class of which the evidence is positive.
        class: usize,
        /// Class of which the evidence is negative.
        against: usize,
    },
    /// The gradient of the class's softmax probability, `p_c (1 - p_c)` at c and `-p_c p_j` elsewhere (Iwana et al.,
    /// ICCV Workshops 2019): against all other classes at once.
    SoftmaxGradient(usize),
}

impl Seed {
    /// Relevance at logits `[1, classes]`.
    ///
    /// # Errors
    /// A class that does not exist.
    pub fn relevance(self, logits: &Tensor) -> Result<Tensor> {
        let values: Vec<f32> = logits.flatten_all()?.to_vec1()?;
        let count = values.len();
        let mut start = vec![0f32; count];
        let set = |start: &mut Vec<f32>, class: usize, value: f32| match start.get_mut(class) {
            Some(slot) => {
                *slot += value;
                Ok(())
            }
            None => Err(fault::no_such_class(&class.to_string(), count)),
        };
        match self {
            Self::OneHot(class) => set(&mut start, class, 1.0)?,
            Self::Logit(class) => {
                let logit = values.get(class).copied().unwrap_or(0.0);
                set(&mut start, class, logit)?;
            }
            Self::Contrast { class, against } => {
                set(&mut start, class, 1.0)?;
                set(&mut start, against, -1.0)?;
            }
            Self::SoftmaxGradient(class) => {
                let top = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exp: Vec<f64> = values.iter().map(|v| f64::from(v - top).exp()).collect();
                let all: f64 = exp.iter().sum();
                let p = exp.get(class).map_or(0.0, |v| v / all);
                for (slot, v) in start.iter_mut().zip(&exp) {
                    *slot = (-p * v / all) as f32;
                }
                set(&mut start, class, p as f32)?;
            }
        }
        Ok(Tensor::from_vec(start, logits.dims(), logits.device())?)
    }
}
