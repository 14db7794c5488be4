//! Pixels to model input, as a described recipe, with checks that the numbers make sense.
//!
//! [`prepare`] takes stored values (never the display window) through [`Recipe`]: channels, then
//! [`Fit`] into the model's size, then [`Scale`]. The exact affine back to the source rides along.

mod check;
mod fit;
mod recipe;

pub use crate::image::{Filter, resize_plane};
pub use recipe::{Fit, Recipe, Scale};

use crate::error::Result;
use crate::image::Image;
use crate::image::geometry::Affine;
use crate::text::fault;

/// What a network is fed, and how it lies on the source image.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInput {
    /// Planar `[channels, height, width]`, in the recipe's units.
    pub values: Vec<f32>,
    /// 1 or 3.
    pub channels: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Size of the source image, `[width, height]`.
    pub source_size: [usize; 2],
    /// Takes a point of the model's input to a point of the source image. With [`Fit::Pad`] points
    /// in the padding land outside the source.
    pub source_from_model: Affine,
    /// What looks odd about the numbers.
    pub notices: Vec<String>,
}

impl ModelInput {
    /// A ready model input (from `.npy` or `.safetensors`), which skips preprocessing; the input
    /// itself is taken as the source image.
    ///
    /// `shape` is `[1, C, H, W]` or `[C, H, W]`.
    ///
    /// # Errors
    /// Where the shape is another one, does not fit the number of values, or a value is not finite.
    pub fn from_ready(shape: &[usize], values: Vec<f32>) -> Result<Self> {
        let (&[1, channels, height, width] | &[channels, height, width]) = shape else {
            return Err(fault::ready_input_shape(shape));
        };
        let count = height
            .checked_mul(width)
            .and_then(|cells| cells.checked_mul(channels));
        if count != Some(values.len()) || values.is_empty() {
            return Err(fault::ready_input_shape(shape));
        }
        let not_finite = values.iter().filter(|v| !v.is_finite()).count();
        if not_finite > 0 {
            return Err(fault::ready_input_not_finite(not_finite));
        }
        Ok(Self {
            values,
            channels,
            width,
            height,
            source_size: [width, height],
            source_from_model: Affine::IDENTITY,
            notices: Vec::new(),
        })
    }

    /// `[width, height]`.
    pub fn size(&self) -> [usize; 2] {
        [self.width, self.height]
    }
}

/// Makes the model's input from an image's stored values.
///
/// Where the size fits already, values pass the resize unchanged bit for bit, so that the result
/// is exactly `(v / max - mean) / std` (or TorchXRayVision's scale) in f32, in that order.
///
/// # Errors
/// Where the recipe does not hold together ([`Recipe::check`]) or gives a value that is not finite.
pub fn prepare(recipe: &Recipe, image: &Image) -> Result<ModelInput> {
    recipe.check()?;
    let placed = fit::place(recipe.fit, image.size(), [recipe.width, recipe.height]);
    let planes: Vec<Vec<f32>> = if recipe.channels == 1 {
        vec![placed.sample(&image.grey(), image.size(), recipe.filter, image.max_value)?]
    } else {
        (0..image.channels)
            .map(|channel| {
                placed.sample(
                    image.plane(channel),
                    image.size(),
                    recipe.filter,
                    image.max_value,
                )
            })
            .collect::<Result<_>>()?
    };
    let mut values = Vec::with_capacity(recipe.channels * recipe.width * recipe.height);
    for channel in 0..recipe.channels {
        // A grey image feeds every channel.
        if let Some(plane) = planes.get(channel).or(planes.first()) {
            values.extend(
                plane
                    .iter()
                    .map(|&v| recipe.input_from_stored(v, image.max_value, channel)),
            );
        }
    }
    let not_finite = values.iter().filter(|v| !v.is_finite()).count();
    if not_finite > 0 {
        return Err(fault::ready_input_not_finite(not_finite));
    }
    Ok(ModelInput {
        values,
        channels: recipe.channels,
        width: recipe.width,
        height: recipe.height,
        source_size: image.size(),
        source_from_model: placed.source_from_model,
        notices: check::notices(image),
    })
}

/// The picture that a model input shows, for inputs that came without one: the recipe's scale
/// undone, 0..=255, clamped. `name` is what figures call it.
///
/// # Errors
/// Where `input` has another number of channels than the recipe.
pub fn picture_of(recipe: &Recipe, input: &ModelInput, name: &str) -> Result<Image> {
    if input.channels != recipe.channels {
        return Err(fault::recipe_channels(input.channels, recipe.channels));
    }
    let cells = (input.width * input.height).max(1);
    let values = input
        .values
        .chunks(cells)
        .enumerate()
        .flat_map(|(channel, plane)| {
            plane.iter().map(move |&v| {
                (recipe.share_from_input(v, channel) * 255.0)
                    .round()
                    .clamp(0.0, 255.0)
            })
        })
        .collect();
    let mut image = Image::from_values(name, input.size(), input.channels, values, 255.0)?;
    // Levels were rounded to 0..=255: it is shown like any 8-bit picture.
    image.origin.bits = 8;
    Ok(image)
}
