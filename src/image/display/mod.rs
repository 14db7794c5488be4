//! From stored values to grey levels for the eye, in the order of DICOM PS3.4, N.2: modality, values of
//! interest, presentation.
//!
//! A picture is inverted *after* its window is applied, as the standard has it. Nothing here touches what a
//! model sees.

mod render;

pub use render::{render, render_grey, render_planes};

use serde::{Deserialize, Serialize};

use super::Image;
use crate::error::Result;
use crate::text::fault;

/// Shape of a window (PS3.3, C.11.2.1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VoiFunction {
    /// From `center - 0.5 - (width - 1) / 2` to `center - 0.5 + (width - 1) / 2`.
    #[default]
    Linear,
    /// From `center - width / 2` to `center + width / 2`.
    LinearExact,
    /// `1 / (1 + exp(-4 (x - center) / width))`.
    Sigmoid,
}

impl VoiFunction {
    /// All of them, in the order of menus.
    pub const ALL: [Self; 3] = [Self::Linear, Self::LinearExact, Self::Sigmoid];

    /// The name on the command line and in what `inspect` prints.
    pub fn id(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::LinearExact => "linear-exact",
            Self::Sigmoid => "sigmoid",
        }
    }
}

/// A window, in modality units (after rescale).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Middle of the window.
    pub center: f64,
    /// Its width; at least 1 for [`VoiFunction::Linear`], above 0 for the others.
    pub width: f64,
    /// Its shape.
    pub function: VoiFunction,
    /// What the file calls it.
    pub name: String,
}

/// A look-up table (PS3.3, C.11.1 and C.11.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lut {
    /// The first value that is mapped; lower ones get the first entry.
    pub first: i32,
    /// Bits of an entry.
    pub bits: u32,
    /// Entries; never empty.
    pub values: Vec<u16>,
    /// What the file calls it.
    pub name: String,
}

impl Lut {
    fn at(&self, x: f64) -> f64 {
        let place = (x.round() - f64::from(self.first)).max(0.0) as usize;
        let entry = self.values.get(place).or(self.values.last());
        entry.map_or(0.0, |v| f64::from(*v))
    }

    /// Whether large values are mapped to small ones.
    pub fn falls(&self) -> bool {
        self.values.first() > self.values.last()
    }
}

/// Stored values to units that mean something (PS3.3, C.11.1).
#[derive(Clone, Debug, PartialEq)]
pub enum Modality {
    /// `slope * stored + intercept`.
    Linear {
        /// Never 0.
        slope: f64,
        /// Added.
        intercept: f64,
    },
    /// A table.
    Lut(Lut),
}

/// What a file says of how it is to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Presentation {
    /// [`Image::values`] to values as stored: `stored = sign * value + offset`. The sign is -1 where the
    /// picture had to be turned for the model, so that air is dark.
    pub sign: f64,
    /// See [`Presentation::sign`].
    pub offset: f64,
    /// What stored values mean.
    pub modality: Modality,
    /// The file's windows, the first is its own choice.
    pub windows: Vec<Window>,
    /// The file's tables for values of interest.
    pub luts: Vec<Lut>,
    /// Small values are bright (MONOCHROME1).
    pub inverted: bool,
    /// Stored values, lowest and highest, that stand for no picture (padding around it).
    pub padding: Option<[f64; 2]>,
    /// Modality units are Hounsfield's.
    pub hounsfield: bool,
}

impl Default for Presentation {
    /// Plain grey levels: nothing to map, large is bright.
    fn default() -> Self {
        Self {
            sign: 1.0,
            offset: 0.0,
            modality: Modality::Linear {
                slope: 1.0,
                intercept: 0.0,
            },
            windows: Vec::new(),
            luts: Vec::new(),
            inverted: false,
            padding: None,
            hounsfield: false,
        }
    }
}

impl Presentation {
    /// The value as the file stores it.
    pub fn stored(&self, value: f32) -> f64 {
        self.sign * f64::from(value) + self.offset
    }

    /// The value in modality units.
    pub fn modality(&self, value: f32) -> f64 {
        let stored = self.stored(value);
        match &self.modality {
            Modality::Linear { slope, intercept } => slope * stored + intercept,
            Modality::Lut(lut) => lut.at(stored),
        }
    }

    fn is_padding(&self, value: f32) -> bool {
        self.padding
            .is_some_and(|[lo, hi]| (lo..=hi).contains(&self.stored(value)))
    }
}

/// Which modality values become which grey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Voi {
    /// A window.
    Window(Window),
    /// A table.
    Lut(Lut),
    /// Black at `lo`, white at `hi`, in modality units.
    Range {
        /// Shown as black.
        lo: f64,
        /// Shown as white.
        hi: f64,
    },
}

/// How a picture is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Display {
    /// Values of interest.
    pub voi: Voi,
    /// Turned round once more than the file asks for.
    pub invert: bool,
}

/// Windows by name, in Hounsfield units: center and width.
const HOUNSFIELD: [(&str, f64, f64); 3] = [
    ("soft", 40.0, 400.0),
    ("lung", -600.0, 1500.0),
    ("bone", 400.0, 1800.0),
];

impl Display {
    /// Presets that [`Display::preset`] knows, in words.
    pub const PRESETS: &'static str = "file, file2, file3, ..., full, percentile, soft, lung, bone";

    /// The first window of the file, else its first table, else smallest to largest value; colours as they
    /// are stored.
    pub fn default_for(image: &Image) -> Self {
        let shown = &image.presentation;
        let voi = match (shown.windows.first(), shown.luts.first()) {
            (Some(window), _) => Voi::Window(window.clone()),
            (None, Some(lut)) => Voi::Lut(lut.clone()),
            (None, None) if image.origin.colour => range(shown, [0.0, image.max_value]),
            (None, None) => full(image),
        };
        Self { voi, invert: false }
    }

    /// What the window starts with: as [`Display::default_for`], but plain files of 8 bits as they are, since
    /// whoever made them chose their grey levels.
    pub fn at_first(image: &Image) -> Self {
        if image.record.is_none() && image.origin.bits == 8 {
            return Self {
                voi: range(&image.presentation, [0.0, 255.0]),
                invert: false,
            };
        }
        Self::default_for(image)
    }

    /// The shape of the file's own windows; linear where it says nothing.
    pub fn function_of(image: &Image) -> VoiFunction {
        let windows = &image.presentation.windows;
        windows.first().map(|w| w.function).unwrap_or_default()
    }

    /// A window by center and width, linear.
    pub fn window(center: f64, width: f64) -> Self {
        Self {
            voi: Voi::Window(Window {
                center,
                width,
                function: VoiFunction::Linear,
                name: String::new(),
            }),
            invert: false,
        }
    }

    /// Center and width, in modality units; of a table those of the values it tells apart.
    pub fn center_width(&self) -> [f64; 2] {
        match &self.voi {
            Voi::Window(window) => [window.center, window.width],
            Voi::Range { lo, hi } => [(lo + hi) / 2.0, hi - lo],
            Voi::Lut(lut) => {
                let count = lut.values.len().max(1) as f64;
                [f64::from(lut.first) + count / 2.0, count]
            }
        }
    }

    /// Shape of the window; `None` for a table, which has its own. A range from black to white is
    /// [`VoiFunction::LinearExact`].
    pub fn function(&self) -> Option<VoiFunction> {
        match &self.voi {
            Voi::Window(window) => Some(window.function),
            Voi::Range { .. } => Some(VoiFunction::LinearExact),
            Voi::Lut(_) => None,
        }
    }

    /// Gives the window another shape, at the center and width that it has; a table becomes a window over the values
    /// that it tells apart.
    pub fn set_function(&mut self, function: VoiFunction) {
        if self.function() == Some(function) {
            return;
        }
        let [center, width] = self.center_width();
        let least = match function {
            VoiFunction::Linear => 1.0,
            VoiFunction::LinearExact | VoiFunction::Sigmoid => 1e-6,
        };
        self.voi = Voi::Window(Window {
            center,
            width: width.max(least),
            function,
            name: String::new(),
        });
    }

    /// Moves the window; a sigmoid stays one, a table becomes a straight line.
    pub fn set_center_width(&mut self, center: f64, width: f64) {
        let width = width.max(1e-6);
        self.voi = match &self.voi {
            Voi::Window(window) => Voi::Window(Window {
                center,
                width: if window.function == VoiFunction::Linear {
                    width.max(1.0)
                } else {
                    width
                },
                function: window.function,
                name: String::new(),
            }),
            Voi::Range { .. } | Voi::Lut(_) => Voi::Range {
                lo: center - width / 2.0,
                hi: center + width / 2.0,
            },
        };
    }

    /// Presets that make sense for a picture, by name, each with what people call it.
    pub fn presets_of(image: &Image) -> Vec<(String, String)> {
        let shown = &image.presentation;
        let named = |name: &String, i: usize| {
            if name.is_empty() {
                format!("file {}", i + 1)
            } else {
                name.clone()
            }
        };
        let names = shown.windows.iter().map(|w| &w.name);
        let mut presets: Vec<(String, String)> = names
            .chain(shown.luts.iter().map(|lut| &lut.name))
            .enumerate()
            .map(|(i, name)| (format!("file{}", i + 1), named(name, i)))
            .collect();
        let known: &[&str] = if shown.hounsfield {
            &["full", "percentile", "soft", "lung", "bone"]
        } else {
            &["full", "percentile"]
        };
        presets.extend(known.iter().map(|name| {
            let words = match *name {
                "full" => "full range",
                "percentile" => "1 to 99 %",
                other => other,
            };
            ((*name).to_owned(), words.to_owned())
        }));
        presets
    }

    /// A preset: `file` (the file's own choice), `file2`, ... (its further windows, then its tables), `full`
    /// (smallest to largest value), `percentile` (1st to 99th), or for CT `soft`, `lung`, `bone`.
    ///
    /// # Errors
    /// The name is not known, the file has no such window, or Hounsfield units are asked of a picture
    /// without them.
    pub fn preset(image: &Image, name: &str) -> Result<Self> {
        let shown = &image.presentation;
        let plain = |voi| Ok(Self { voi, invert: false });
        if let Some(&(_, center, width)) = HOUNSFIELD.iter().find(|(known, ..)| *known == name) {
            if !shown.hounsfield {
                return Err(fault::preset_needs_hounsfield(name, &image.origin.name));
            }
            return Ok(Self::window(center, width));
        }
        if let Some(number) = name.strip_prefix("file") {
            if number.is_empty() {
                return Ok(Self::default_for(image));
            }
            let windows = shown.windows.iter().cloned().map(Voi::Window);
            let all: Vec<Voi> = windows
                .chain(shown.luts.iter().cloned().map(Voi::Lut))
                .collect();
            let index = number.parse::<usize>().ok().filter(|n| *n > 0);
            return match index.and_then(|n| all.get(n - 1)) {
                Some(voi) => plain(voi.clone()),
                None => Err(fault::preset_of_file(name, &image.origin.name, all.len())),
            };
        }
        match name {
            "full" => plain(full(image)),
            "percentile" => plain(percentiles(image)),
            _ => Err(fault::unknown_preset(name, Self::PRESETS)),
        }
    }

    /// Grey level, 0 to 1, of a modality value; the file's own inversion not counted.
    fn share(&self, x: f64) -> f64 {
        let share = match &self.voi {
            Voi::Range { lo, hi } => {
                if hi > lo {
                    (x - lo) / (hi - lo)
                } else {
                    step(x >= *hi)
                }
            }
            Voi::Lut(lut) => lut.at(x) / f64::from((1_u32 << lut.bits.clamp(1, 16)) - 1),
            Voi::Window(w) => match w.function {
                VoiFunction::Linear if w.width <= 1.0 => step(x > w.center - 0.5),
                VoiFunction::Linear => (x - (w.center - 0.5)) / (w.width - 1.0) + 0.5,
                VoiFunction::LinearExact => (x - w.center) / w.width + 0.5,
                VoiFunction::Sigmoid => 1.0 / (1.0 + (-4.0 * (x - w.center) / w.width).exp()),
            },
        };
        share.clamp(0.0, 1.0)
    }

    /// The 8-bit level of one of the image's values.
    pub fn level(&self, presentation: &Presentation, value: f32) -> u8 {
        let share = self.share(presentation.modality(value));
        let share = if presentation.inverted != self.invert {
            1.0 - share
        } else {
            share
        };
        // `as` saturates; NaN becomes 0.
        (share * 255.0 + 0.5) as u8
    }
}

fn step(bright: bool) -> f64 {
    if bright { 1.0 } else { 0.0 }
}

/// Smallest to largest value, padding left out. One value everywhere is shown against all that could be.
fn full(image: &Image) -> Voi {
    let shown = &image.presentation;
    let (lo, hi) = image
        .values
        .iter()
        .filter(|v| !shown.is_padding(**v))
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| {
            (lo.min(v), hi.max(v))
        });
    let ends = if lo < hi {
        [lo, hi]
    } else {
        [0.0, image.max_value]
    };
    range(shown, ends)
}

/// The first to the 99th percentile, padding left out.
fn percentiles(image: &Image) -> Voi {
    let shown = &image.presentation;
    // A sample is enough, and bounded.
    let every = (image.values.len() >> 20).max(1);
    let mut values: Vec<f32> = image
        .values
        .iter()
        .copied()
        .step_by(every)
        .filter(|v| !shown.is_padding(*v))
        .collect();
    values.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| {
        let place = (share * values.len().saturating_sub(1) as f64).round() as usize;
        values.get(place).copied()
    };
    match (at(0.01), at(0.99)) {
        (Some(lo), Some(hi)) if lo < hi => range(shown, [lo, hi]),
        _ => full(image),
    }
}

/// Ends in modality units, in rising order.
fn range(shown: &Presentation, ends: [f32; 2]) -> Voi {
    let [a, b] = ends.map(|v| shown.modality(v));
    Voi::Range {
        lo: a.min(b),
        hi: a.max(b),
    }
}
