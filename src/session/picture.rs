//! An image as the session holds it: for the eye, and for the network.

use std::path::Path;
use std::sync::Arc;

use candle_core::Device;

use super::samples;
use crate::error::Result;
use crate::export::read_npy;
use crate::image::display::{Display, render};
use crate::image::record::{DicomFacts, Identity};
use crate::image::{Image, sha256_hex};
use crate::model::Model;
use crate::plan::ImageSource;
use crate::preprocess::{ModelInput, Recipe, picture_of, prepare};
use crate::text::{fault, notice};

/// An opened image.
pub struct Picture {
    /// File name, or the title of a sample.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// What is shown: 8 bits, the source's size.
    pub display: Arc<::image::RgbImage>,
    /// What to know about it.
    pub notices: Vec<String>,
    /// The frame that it is, from 1, and how many the file has.
    pub frame: [usize; 2],
    /// The grey levels that it is first shown in, found once: they may take a look at every pixel.
    first: Option<Display>,
    content: Content,
}

enum Content {
    /// Stored values that a recipe turns into an input.
    Image(Arc<Image>),
    /// A model input that skips preprocessing.
    Ready(ModelInput),
}

impl Picture {
    /// Opens an image, a sample or a ready model input.
    ///
    /// # Errors
    /// One sentence that names the file, what was found and what was expected.
    pub fn open(source: &ImageSource) -> Result<Self> {
        match source {
            ImageSource::Sample(name) => {
                let sample = samples::find(name)?;
                let image = Image::from_bytes(&sample.file, None, sample.bytes)?;
                Ok(Self::of_image(sample.title.clone(), image))
            }
            ImageSource::Path(path) | ImageSource::Frame { path, .. } => {
                let frame = source.frame().get();
                match ready_kind(path) {
                    Some(_) if frame > 1 => Err(fault::no_such_frame(path, frame)),
                    Some(kind) => Self::open_ready(path, kind),
                    None => {
                        let image = Image::open_frame(path, frame - 1)?;
                        Ok(Self::of_image(image.origin.name.clone(), image))
                    }
                }
            }
        }
    }

    fn of_image(name: String, image: Image) -> Self {
        let first = Display::at_first(&image);
        Self {
            name,
            sha256: image.origin.sha256.clone(),
            display: Arc::new(render(&image, &first)),
            first: Some(first),
            notices: image.notices.clone(),
            frame: image
                .record
                .as_ref()
                .map_or([1, 1], |r| [r.facts.frame, r.facts.frames.max(1)]),
            content: Content::Image(Arc::new(image)),
        }
    }

    fn open_ready(path: &Path, kind: ReadyKind) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| fault::read(path, &e))?;
        let (shape, values) = match kind {
            ReadyKind::Npy => {
                let array = read_npy(path)?;
                (array.shape, array.values)
            }
            ReadyKind::Safetensors => read_safetensors_input(path, &bytes)?,
        };
        let input = ModelInput::from_ready(&shape, values)?;
        let name = path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let image = picture_of_input(&input, &name)?;
        Ok(Self {
            name,
            sha256: sha256_hex(&bytes),
            display: Arc::new(render(&image, &Display::at_first(&image))),
            notices: vec![notice::ready_input()],
            frame: [1, 1],
            first: None,
            content: Content::Ready(input),
        })
    }

    /// Stored values and how they may be shown; `None` for a ready model input.
    pub fn image(&self) -> Option<&Image> {
        match &self.content {
            Content::Image(image) => Some(image),
            Content::Ready(_) => None,
        }
    }

    /// The grey levels that it is first shown in; `None` for a ready model input, which has none to choose.
    pub fn first_display(&self) -> Option<&Display> {
        self.first.as_ref()
    }

    /// The same picture in other grey levels. Stored values, and with them every input and map, stay what they are.
    /// A ready model input has no grey levels to choose: it is shown as before.
    pub fn shown(&self, display: &Display) -> Self {
        let (content, picture) = match &self.content {
            Content::Image(image) => (
                Content::Image(Arc::clone(image)),
                Arc::new(render(image, display)),
            ),
            Content::Ready(input) => (Content::Ready(input.clone()), Arc::clone(&self.display)),
        };
        Self {
            name: self.name.clone(),
            sha256: self.sha256.clone(),
            display: picture,
            notices: self.notices.clone(),
            frame: self.frame,
            first: self.first.clone(),
            content,
        }
    }

    /// Stored values for the screen; of a ready model input its picture.
    ///
    /// # Errors
    /// The picture has no pixel.
    pub fn for_screen(&self) -> Result<Arc<Image>> {
        match &self.content {
            Content::Image(image) => Ok(Arc::clone(image)),
            Content::Ready(_) => {
                let pixels = self.display.pixels();
                let values = (0..3)
                    .flat_map(|c| pixels.clone().map(move |p| f32::from(p.0[c])))
                    .collect();
                let image = Image::from_values(&self.name, self.size(), 3, values, 255.0)?;
                Ok(Arc::new(image))
            }
        }
    }

    /// Whether `other` is of the same file, perhaps another frame of it, and of the same size.
    pub fn is_of_same_file(&self, other: &Self) -> bool {
        self.sha256 == other.sha256 && self.size() == other.size()
    }

    /// The name, and of a file of several frames which one.
    pub fn full_name(&self) -> String {
        match self.frame {
            [_, 0 | 1] => self.name.clone(),
            [frame, frames] => notice::frame_of_file(&self.name, frame, frames),
        }
    }

    /// What tells it from every other picture: the hash of its file, and the frame where it is not the first.
    pub fn key(&self) -> String {
        match self.frame[0] {
            0 | 1 => self.sha256.clone(),
            frame => format!("{}#{frame}", self.sha256),
        }
    }

    /// What files about it are named after: its name without ending, with the frame where there are several.
    pub fn stem(&self) -> String {
        let stem = Path::new(&self.name).file_stem().unwrap_or_default();
        let stem = stem.to_string_lossy();
        match self.frame {
            [_, 0 | 1] => stem.into_owned(),
            [frame, _] => format!("{stem} {} {frame}", notice::FRAME),
        }
    }

    /// What a DICOM header says, without identity.
    pub fn facts(&self) -> Option<&DicomFacts> {
        Some(&self.image()?.record.as_ref()?.facts)
    }

    /// Width of a pixel over its height; 1 where nothing else is known.
    pub fn pixel_aspect(&self) -> f64 {
        self.facts().map_or(1.0, DicomFacts::pixel_aspect)
    }

    /// Who a DICOM picture is of. For the screen only: nothing that is written may carry it.
    pub fn identity(&self) -> Option<&Identity> {
        Some(&self.image()?.record.as_ref()?.identity)
    }

    /// Size of the source, `[width, height]`.
    pub fn size(&self) -> [usize; 2] {
        [
            self.display.width() as usize,
            self.display.height() as usize,
        ]
    }

    /// Whether it is a model input that skips preprocessing.
    pub fn is_ready(&self) -> bool {
        matches!(self.content, Content::Ready(_))
    }

    /// The network's input.
    ///
    /// # Errors
    /// No recipe leads to this network's channels.
    pub fn input_for(&self, model: &Model) -> Result<ModelInput> {
        match &self.content {
            Content::Ready(input) => Ok(input.clone()),
            Content::Image(image) => match &model.facts.recipe {
                Some(recipe) => prepare(&recipe.value, image),
                None => Err(fault::no_recipe(model.input_shape()[0])),
            },
        }
    }
}

/// The input's numbers say nothing about grey levels: one or three channels are shown as the recipe
/// of their kind would have made them, of other inputs the first channel from its lowest to its highest value.
fn picture_of_input(input: &ModelInput, name: &str) -> Result<Image> {
    let size = input.size();
    match input.channels {
        1 => picture_of(&Recipe::torchxrayvision(size), input, name),
        3 => picture_of(&Recipe::imagenet(3, size), input, name),
        _ => {
            let plane = &input.values[..size[0] * size[1]];
            let lo = plane.iter().copied().fold(f32::INFINITY, f32::min);
            let hi = plane.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let span = if hi > lo { hi - lo } else { 1.0 };
            let values = plane.iter().map(|v| 255.0 * (v - lo) / span).collect();
            Image::from_values(name, size, 1, values, 255.0)
        }
    }
}

#[derive(Clone, Copy)]
enum ReadyKind {
    Npy,
    Safetensors,
}

fn ready_kind(path: &Path) -> Option<ReadyKind> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "npy" => Some(ReadyKind::Npy),
        "safetensors" => Some(ReadyKind::Safetensors),
        _ => None,
    }
}

/// Tensor `input` of a safetensors file.
fn read_safetensors_input(path: &Path, bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>)> {
    let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
        .map_err(|e| fault::ready_input_file(path, &e.to_string()))?;
    let Some(input) = tensors.get("input") else {
        let mut names: Vec<&str> = tensors.keys().map(String::as_str).collect();
        names.sort_unstable();
        return Err(fault::ready_input_file(path, &names.join(", ")));
    };
    let values = input
        .to_dtype(candle_core::DType::F32)?
        .flatten_all()?
        .to_vec1()?;
    Ok((input.dims().to_vec(), values))
}
