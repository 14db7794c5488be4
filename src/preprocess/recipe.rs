//! How pixels become model input, written down.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::image::Filter;
use crate::text::fault;

/// How the source picture is fitted into the model's rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The whole picture, stretched to the model's width and height. Nothing is cut off; the aspect
    /// changes.
    Stretch,
    /// torchvision's habit: the shorter side becomes `resize` pixels with the aspect kept, then the
    /// middle is cut out.
    CenterCrop {
        /// Length of the shorter side after the resize, in pixels.
        resize: usize,
    },
    /// Hugging Face's habit: as [`Fit::CenterCrop`], with the cut rounded down where it is between pixels.
    CropDown {
        /// Length of the shorter side after the resize, in pixels.
        resize: usize,
    },
    /// The whole picture stretched to one size, then a part of it cut out.
    StretchCrop {
        /// Columns after the resize.
        width: usize,
        /// Rows after the resize.
        height: usize,
        /// Columns left of the part.
        left: usize,
        /// Rows above the part.
        top: usize,
    },
    /// TorchXRayVision's habit: the centre square of the source, then a resize.
    SquareCrop,
    /// The whole picture with its aspect kept, centred, black around it.
    Pad,
}

/// How stored values become numbers for the network. `max` is the image's largest possible value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// `(v / max - mean) / std`.
    Unit,
    /// `(2 * (v / max) - 1) * 1024`, TorchXRayVision's -1024..=1024.
    #[serde(rename = "torchxrayvision")]
    XRayVision,
}

/// Mean and standard deviation of ImageNet's red, green and blue, for values in 0..=1.
const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];
/// The three channels' averages, for networks with one grey channel.
const IMAGENET_GREY_MEAN: f32 = 0.449;
const IMAGENET_GREY_STD: f32 = 0.226;

/// A model's preprocessing, as data: it is stored in manifests and model cards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Name for people: `imagenet`, `imagenet-crop`, `torchxrayvision`, or a custom one.
    pub name: String,
    /// 1 or 3.
    pub channels: usize,
    /// Columns of the model's input.
    pub width: usize,
    /// Rows of the model's input.
    pub height: usize,
    /// How the picture is fitted.
    pub fit: Fit,
    /// How the picture is resized.
    #[serde(default)]
    pub filter: Filter,
    /// How values are scaled.
    pub scale: Scale,
    /// One mean a channel, for [`Scale::Unit`]; otherwise empty.
    pub mean: Vec<f32>,
    /// One standard deviation a channel, for [`Scale::Unit`]; otherwise empty.
    pub std: Vec<f32>,
}

impl Recipe {
    /// Names that [`Recipe::by_name`] knows.
    pub const NAMES: [&str; 3] = ["imagenet", "imagenet-crop", "torchxrayvision"];

    /// The whole picture stretched to `[width, height]`, so that nothing of an X-ray is cut off, and
    /// ImageNet's mean and standard deviation (for one channel, their averages 0.449 and 0.226).
    pub fn imagenet(channels: usize, [width, height]: [usize; 2]) -> Self {
        let (mean, std) = if channels == 1 {
            (vec![IMAGENET_GREY_MEAN], vec![IMAGENET_GREY_STD])
        } else {
            (IMAGENET_MEAN.to_vec(), IMAGENET_STD.to_vec())
        };
        Self {
            name: "imagenet".to_owned(),
            channels,
            width,
            height,
            fit: Fit::Stretch,
            filter: Filter::Bilinear,
            scale: Scale::Unit,
            mean,
            std,
        }
    }

    /// torchvision's evaluation transform: shorter side to 256/224 of the crop (256 for 224), centre
    /// crop, ImageNet's mean and standard deviation.
    pub fn imagenet_crop(channels: usize, size: [usize; 2]) -> Self {
        let longer = size[0].max(size[1]);
        Self {
            name: "imagenet-crop".to_owned(),
            fit: Fit::CenterCrop {
                resize: (longer * 256).div_ceil(224),
            },
            ..Self::imagenet(channels, size)
        }
    }

    /// TorchXRayVision: one channel, centre square, antialiased bilinear resize, -1024..=1024.
    pub fn torchxrayvision([width, height]: [usize; 2]) -> Self {
        Self {
            name: "torchxrayvision".to_owned(),
            channels: 1,
            width,
            height,
            fit: Fit::SquareCrop,
            filter: Filter::Bilinear,
            scale: Scale::XRayVision,
            mean: Vec::new(),
            std: Vec::new(),
        }
    }

    /// One of [`Recipe::NAMES`] for a model with `channels` inputs of `[width, height]`.
    ///
    /// # Errors
    /// Where the name is not known, or the recipe does not fit the channels.
    pub fn by_name(name: &str, channels: usize, size: [usize; 2]) -> Result<Self> {
        let recipe = match name {
            "imagenet" => Self::imagenet(channels, size),
            "imagenet-crop" => Self::imagenet_crop(channels, size),
            "torchxrayvision" => Self::torchxrayvision(size),
            _ => return Err(fault::unknown_recipe(name, &Self::NAMES)),
        };
        if recipe.channels != channels {
            return Err(fault::recipe_channels(recipe.channels, channels));
        }
        recipe.check()?;
        Ok(recipe)
    }

    /// Whether the recipe holds together.
    ///
    /// # Errors
    /// Where channels are neither 1 nor 3, a side is 0 or above 4096, a mean or standard deviation
    /// is missing, not finite or (std) not positive, or a centre crop is larger than its resize.
    pub fn check(&self) -> Result<()> {
        const MAX_SIDE: usize = 4096;
        let wrong = |why: &str| Err(fault::recipe(&self.name, why));
        if !matches!(self.channels, 1 | 3) {
            return wrong("it must have 1 or 3 channels");
        }
        if !(1..=MAX_SIDE).contains(&self.width) || !(1..=MAX_SIDE).contains(&self.height) {
            return wrong("its width and height must be 1 to 4096 pixels");
        }
        if self.scale == Scale::Unit {
            if self.mean.len() != self.channels || self.std.len() != self.channels {
                return wrong("it needs one mean and one standard deviation for each channel");
            }
            if !self.mean.iter().all(|v| v.is_finite())
                || !self.std.iter().all(|v| v.is_finite() && *v > 0.0)
            {
                return wrong("means must be numbers and standard deviations above 0");
            }
        }
        let fits = match self.fit {
            Fit::CenterCrop { resize } | Fit::CropDown { resize } => {
                (self.width.max(self.height)..=2 * MAX_SIDE).contains(&resize)
            }
            Fit::StretchCrop {
                width,
                height,
                left,
                top,
            } => [(width, left, self.width), (height, top, self.height)]
                .into_iter()
                .all(|(from, start, size)| {
                    from <= 2 * MAX_SIDE && start.checked_add(size).is_some_and(|end| end <= from)
                }),
            Fit::Stretch | Fit::SquareCrop | Fit::Pad => true,
        };
        if !fits {
            return wrong("its centre crop is larger than the picture it is cut from");
        }
        Ok(())
    }

    /// The number the network sees for a stored value of a file whose white is `max_value`.
    pub fn input_from_stored(&self, value: f32, max_value: f32, channel: usize) -> f32 {
        self.input_from_share(value / max_value, channel)
    }

    /// The number the network sees for a share of white, 0..=1. The order of the f32 operations is
    /// that of the Python libraries.
    pub fn input_from_share(&self, share: f32, channel: usize) -> f32 {
        match self.scale {
            Scale::Unit => (share - self.mean_of(channel)) / self.std_of(channel),
            Scale::XRayVision => (2.0 * share - 1.0) * 1024.0,
        }
    }

    /// Share of white that a network's input value stands for; the inverse of
    /// [`Recipe::input_from_share`].
    pub fn share_from_input(&self, value: f32, channel: usize) -> f32 {
        match self.scale {
            Scale::Unit => value * self.std_of(channel) + self.mean_of(channel),
            Scale::XRayVision => (value / 1024.0 + 1.0) / 2.0,
        }
    }

    /// What black is for the network, one value a channel; also the lower end of the input's range
    /// (LRP's z-box).
    pub fn black(&self) -> Vec<f32> {
        (0..self.channels)
            .map(|channel| self.input_from_share(0.0, channel))
            .collect()
    }

    /// What white is for the network, one value a channel; also the upper end of the input's range.
    pub fn white(&self) -> Vec<f32> {
        (0..self.channels)
            .map(|channel| self.input_from_share(1.0, channel))
            .collect()
    }

    fn mean_of(&self, channel: usize) -> f32 {
        self.mean.get(channel).copied().unwrap_or(0.0)
    }

    fn std_of(&self, channel: usize) -> f32 {
        self.std.get(channel).copied().unwrap_or(1.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_make_recipes() {
        for name in Recipe::NAMES {
            let recipe = Recipe::by_name(name, 1, [224, 224]).unwrap();
            assert_eq!(recipe.name, name);
        }
        assert!(Recipe::by_name("imagenet", 3, [224, 224]).is_ok());
        assert!(Recipe::by_name("torchxrayvision", 3, [224, 224]).is_err());
        let words = Recipe::by_name("imagnet", 3, [224, 224]).unwrap_err();
        assert!(words.message().contains("torchxrayvision"), "{words}");
    }

    #[test]
    fn torchvision_crop_is_256_to_224() {
        let recipe = Recipe::imagenet_crop(3, [224, 224]);
        assert_eq!(recipe.fit, Fit::CenterCrop { resize: 256 });
    }

    #[test]
    fn recipes_survive_json() {
        for name in Recipe::NAMES {
            let recipe = Recipe::by_name(name, 1, [512, 448]).unwrap();
            let json = serde_json::to_string(&recipe).unwrap();
            assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
        }
    }

    #[test]
    fn broken_recipes_are_refused() {
        let good = Recipe::imagenet(3, [224, 224]);
        let broken = [
            Recipe {
                channels: 2,
                ..good.clone()
            },
            Recipe {
                width: 0,
                ..good.clone()
            },
            Recipe {
                mean: vec![0.5],
                ..good.clone()
            },
            Recipe {
                std: vec![1.0, 0.0, 1.0],
                ..good.clone()
            },
            Recipe {
                fit: Fit::CenterCrop { resize: 100 },
                ..good.clone()
            },
        ];
        assert!(good.check().is_ok());
        for recipe in broken {
            assert!(recipe.check().is_err(), "{recipe:?}");
        }
    }

    #[test]
    fn shares_come_back() {
        for recipe in [Recipe::imagenet(3, [1, 1]), Recipe::torchxrayvision([1, 1])] {
            for share in [0.0, 0.25, 1.0] {
                let back = recipe.share_from_input(recipe.input_from_share(share, 0), 0);
                assert!((back - share).abs() < 1e-6);
            }
        }
    }
}
