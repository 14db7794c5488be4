//! Weighted channels of a layer, and how they become one map.

use super::evidence::Evidence;
use super::map::Grid;

/// What a method of the CAM family adds up over channels.
#[derive(Clone, Debug, PartialEq)]
pub enum Channels {
    /// One weight a channel: `M = sum_k w_k A_k`.
    Weights(Vec<f32>),
    /// Values of each channel at each place, `[K, h, w]`: `M = sum_k C_k`.
    Components(Vec<f32>),
}

impl Channels {
    /// The sum over channels.
    pub(super) fn sum(&self, evidence: &Evidence<'_>) -> Grid {
        let mut map = vec![0f32; evidence.cells()];
        let cells = evidence.cells().max(1);
        match self {
            Self::Weights(weights) => {
                for (channel, &w) in evidence.activations.chunks_exact(cells).zip(weights) {
                    for (m, a) in map.iter_mut().zip(channel) {
                        *m += w * a;
                    }
                }
            }
            Self::Components(components) => {
                for channel in components.chunks_exact(cells) {
                    for (m, c) in map.iter_mut().zip(channel) {
                        *m += c;
                    }
                }
            }
        }
        Grid::of(map, evidence)
    }

    /// Values of each channel at each place, `[K, h, w]`.
    pub fn components(&self, evidence: &Evidence<'_>) -> Vec<f32> {
        match self {
            Self::Weights(weights) => {
                let channels = evidence.activations.chunks_exact(evidence.cells().max(1));
                channels
                    .zip(weights)
                    .flat_map(|(channel, &w)| channel.iter().map(move |a| w * a))
                    .collect()
            }
            Self::Components(components) => components.clone(),
        }
    }
}
