//! Explanation methods: what is read from passes through the network, and how it is combined.
//!
//! A method is a row of the [`catalogue`]. A [`Pass`] is one input's forward pass with its reverse walks; a
//! [`Study`] asks it about one layer and one target; a [`Task`] is the map in the making, at once or in [`Steps`].

mod ablation;
mod attention;
mod baseline;
mod batches;
mod cam;
pub mod catalogue;
mod channels;
mod contrast;
mod deep_lift;
mod eigen;
mod evidence;
mod fg_cam;
mod full_grad;
mod gradient_shap;
mod guided;
mod hybrid;
mod integrated;
mod kernel_shap;
mod lrp;
mod map;
mod masks;
mod objective;
mod occlusion;
mod options;
mod pass;
mod pixels;
mod poly_cam;
mod random;
pub mod relevance;
pub mod resize;
mod rise;
mod score_cam;
mod settings;
mod smooth;
mod study;
mod superpixels;
mod task;

pub use channels::Channels;
pub use evidence::Evidence;
pub use full_grad::full_gradient_sum;
pub use map::{Grid, RawMap};
pub use objective::Objective;
pub use pass::{Pass, WalkRule};
pub use settings::Settings;
pub use study::{BatchGradients, Study};
pub use task::{Drawn, Steps, Task};

use crate::error::Result;
use crate::plan::Values;
use catalogue::Method;

/// Makes the raw map of a method to its end.
///
/// # Errors
/// A parameter out of range, a method that is not defined at this layer, cancellation.
pub fn explain(method: &'static Method, values: &Values, study: &mut Study<'_>) -> Result<RawMap> {
    let mut task = Task::begin(method, values, study)?;
    while !task.is_done() {
        task.advance(study)?;
    }
    task.map(study)
}
