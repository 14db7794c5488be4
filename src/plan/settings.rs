//! Settings that are answered in the same frame: how a raw map is processed and shown.

use serde::{Deserialize, Serialize};

/// Which part of a map counts as evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// What speaks for the target: negative values become 0.
    #[default]
    Positive,
    /// What speaks against it: the sign is turned, then negative values become 0.
    Negative,
    /// Both, on a colour map that is symmetric about 0.
    Signed,
}

/// What the ends of the colour scale stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalise {
    /// From 0 to this map's own largest magnitude.
    #[default]
    Map,
    /// From 0 to the largest magnitude among all maps shown together.
    Shared,
    /// From `lo` to `hi`, in the map's raw units.
    Fixed {
        /// Value at the lower end.
        lo: f32,
        /// Value at the upper end.
        hi: f32,
    },
}

/// The steps from a raw map to a presentable one, in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Post {
    /// Which sign counts.
    pub sign: Sign,
    /// Denoising threshold, 0..=1: cells whose magnitude is under this share of the map's largest
    /// become 0, before the blur.
    pub denoise: f32,
    /// Standard deviation of a Gaussian blur in pixels of the source image; 0 is none.
    pub blur_px: f32,
    /// What the ends of the colour scale stand for.
    pub normalise: Normalise,
    /// Share of the colour scale under which nothing is drawn, 0..=1. The edge is smooth.
    pub cut: f32,
}

impl Default for Post {
    fn default() -> Self {
        Self {
            sign: Sign::Positive,
            denoise: 0.0,
            blur_px: 0.0,
            normalise: Normalise::Map,
            cut: 0.2,
        }
    }
}

/// The colour maps on offer. Perceptually uniform ones come first; rainbow maps lack a natural
/// order and make edges that are not there, so jet is kept only to compare with papers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colormap {
    /// Perceptually uniform, black to red to yellow.
    #[default]
    Inferno,
    /// Perceptually uniform, black to magenta to white.
    Magma,
    /// Perceptually uniform, violet to green to yellow.
    Viridis,
    /// Perceptually uniform and readable with colour-vision deficiency.
    Cividis,
    /// Diverging, for signed maps: blue (against) through white to red (for).
    Diverging,
    /// Legacy rainbow.
    Jet,
}

impl Colormap {
    /// All colour maps in the order of menus, which is that of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Inferno,
        Self::Magma,
        Self::Viridis,
        Self::Cividis,
        Self::Diverging,
        Self::Jet,
    ];

    /// The name on the command line and in manifests.
    pub fn id(self) -> &'static str {
        match self {
            Self::Inferno => "inferno",
            Self::Magma => "magma",
            Self::Viridis => "viridis",
            Self::Cividis => "cividis",
            Self::Diverging => "diverging",
            Self::Jet => "jet",
        }
    }
}

/// How opacity follows from the value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpacityMode {
    /// The same opacity everywhere above the cut.
    #[default]
    Uniform,
    /// Opacity grows with the value.
    ByValue,
}

/// At which shares of the colour scale lines of equal value are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contours {
    /// Nowhere.
    #[default]
    None,
    /// At the half.
    Half,
    /// At a quarter, the half and three quarters.
    Quarters,
    /// At every tenth.
    Tenths,
}

impl Contours {
    /// All of them in the order of menus.
    pub const ALL: [Self; 4] = [Self::None, Self::Half, Self::Quarters, Self::Tenths];

    /// The name on the command line and in manifests.
    pub fn id(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Half => "half",
            Self::Quarters => "quarters",
            Self::Tenths => "tenths",
        }
    }

    /// Shares of the scale, 0..1.
    pub fn levels(self) -> &'static [f32] {
        match self {
            Self::None => &[],
            Self::Half => &[0.5],
            Self::Quarters => &[0.25, 0.5, 0.75],
            Self::Tenths => &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        }
    }
}

/// How a processed map is laid over the X-ray.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Opacity of the overlay, 0..=1.
    pub opacity: f32,
    /// How opacity follows from the value.
    pub opacity_mode: OpacityMode,
    /// Colour map; signed maps are always drawn with [`Colormap::Diverging`].
    pub colormap: Colormap,
    /// Lines of equal value.
    #[serde(default)]
    pub contours: Contours,
}

impl Default for View {
    fn default() -> Self {
        Self {
            opacity: 0.5,
            opacity_mode: OpacityMode::Uniform,
            colormap: Colormap::Inferno,
            contours: Contours::None,
        }
    }
}
