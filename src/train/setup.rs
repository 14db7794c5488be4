//! What fixes a training run, and what is written down of its course.

use serde::{Deserialize, Serialize};

use super::network::Shape;
use super::predict::Input;

/// Everything that fixes a run besides the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// Channels of the four stages.
    pub widths: [usize; 4],
    /// Basic blocks a stage.
    pub blocks: [usize; 4],
    /// Start of every random sequence.
    pub seed: u64,
    /// Passes; each draws as many images as there are to train on.
    pub epochs: usize,
    /// Images a step.
    pub batch: usize,
    /// Highest learning rate.
    pub peak_rate: f64,
    /// AdamW's decay of kernels.
    pub weight_decay: f64,
    /// Probability mass that label smoothing takes from the labelled class (Szegedy et al. 2016).
    pub smoothing: f64,
    /// Decay a step of the running average of weights that is kept as the result.
    pub average: f64,
    /// Side of the images from a fraction of the run on, ascending; small images first save time
    /// (Tan and Le 2021, "EfficientNetV2: progressive learning").
    pub sides: Vec<(f64, usize)>,
    /// Share of the normal training images that get a synthetic opacity and count as pneumonia.
    pub opacities: f64,
    /// Whether covered borders may show another image's border instead of one tone.
    #[serde(default = "yes")]
    pub foreign_borders: bool,
    /// What the network subtracts from and divides grey values (0 to 1) by.
    pub input: Input,
}

/// Records from before the field was written down had it on.
fn yes() -> bool {
    true
}

impl Setup {
    /// Shapes of the network.
    pub fn shape(&self) -> Shape {
        Shape {
            widths: self.widths,
            blocks: self.blocks,
            inputs: 1,
            classes: 2,
        }
    }

    /// Side of the images in an epoch.
    pub(crate) fn side(&self, epoch: usize) -> usize {
        let done = epoch as f64 / self.epochs.max(1) as f64;
        let reached = self.sides.iter().rev().find(|(from, _)| *from <= done);
        reached.map_or(224, |&(_, side)| side)
    }
}

/// What one epoch came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Number, from 1.
    pub epoch: usize,
    /// Side of the images.
    pub side: usize,
    /// Mean training loss.
    pub loss: f64,
    /// AUC on validation patients by data set, of the averaged weights at this side.
    pub validation_auc: Vec<(String, Option<f64>)>,
    /// Seconds spent in this process and those before it until here.
    pub seconds: f64,
}
