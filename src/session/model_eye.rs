//! What the network is fed, as a picture.

use ::image::{Rgb, RgbImage};

use super::facts::recipe_line;
use super::picture::Picture;
use crate::error::Result;
use crate::model::Model;
use crate::preprocess::Recipe;

/// The exact input of a network, for the eye.
#[derive(Clone, Debug)]
pub struct ModelEye {
    /// The input with the recipe's scale undone, 0..=255, one pixel a cell; what lies beyond black and white is cut off.
    pub picture: RgbImage,
    /// 1 or 3.
    pub channels: usize,
    /// Smallest and largest number of the input.
    pub range: [f32; 2],
    /// What black and white are for the network, of its first channel.
    pub ends: [f32; 2],
    /// Columns and rows of the X-ray that one cell of the input covers.
    pub cell: [f64; 2],
    /// The part of the X-ray that the network sees, `[left, top, right, bottom]` in its pixels; `None` for all of it.
    pub crop: Option<[f64; 4]>,
    /// The recipe in words; `None` where a ready input skipped it.
    pub recipe: Option<String>,
}

/// Makes the input of `model` from `picture`, exactly as for a forward pass, and a picture of it.
///
/// # Errors
/// As [`Picture::input_for`].
pub fn model_eye(picture: &Picture, model: &Model) -> Result<ModelEye> {
    let input = picture.input_for(model)?;
    let size = input.size();
    let of_model = model.facts.recipe.as_ref().map(|recipe| &recipe.value);
    // A ready input of channels that no recipe leads to is shown between its own ends.
    let usual = match input.channels {
        1 => Recipe::torchxrayvision(size),
        _ => Recipe::imagenet(3, size),
    };
    let recipe = of_model
        .filter(|r| r.channels == input.channels)
        .unwrap_or(&usual);
    let cells = size[0] * size[1];
    let share = |channel: usize, at: usize| {
        let plane = channel.min(input.channels.saturating_sub(1));
        let value = input.values.get(plane * cells + at).copied().unwrap_or(0.0);
        (recipe.share_from_input(value, plane) * 255.0)
            .round()
            .clamp(0.0, 255.0) as u8
    };
    let (width, height) = (size[0] as u32, size[1] as u32);
    let shown = RgbImage::from_fn(width, height, |x, y| {
        let at = y as usize * size[0] + x as usize;
        Rgb([0, 1, 2].map(|channel| share(channel, at)))
    });
    let range = input
        .values
        .iter()
        .fold([f32::INFINITY, f32::NEG_INFINITY], |[lo, hi], v| {
            [lo.min(*v), hi.max(*v)]
        });
    let [left, top] = input.source_from_model.apply([0.0, 0.0]);
    let [right, bottom] = input.source_from_model.apply(size.map(|side| side as f64));
    let [w, h] = input.source_size.map(|side| side as f64);
    let whole = left <= 0.5 && top <= 0.5 && right >= w - 0.5 && bottom >= h - 0.5;
    Ok(ModelEye {
        picture: shown,
        channels: input.channels,
        range,
        ends: [
            recipe.input_from_share(0.0, 0),
            recipe.input_from_share(1.0, 0),
        ],
        cell: input.source_from_model.scale,
        crop: (!whole).then(|| [left.max(0.0), top.max(0.0), right.min(w), bottom.min(h)]),
        recipe: (!picture.is_ready())
            .then(|| of_model.map(recipe_line))
            .flatten(),
    })
}
