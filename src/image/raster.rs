//! Reading pictures: checked before anything is allocated, exact in what they store.

use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

use ::image::{DynamicImage, ImageDecoder as _, ImageError, ImageReader, Limits};

use super::dicom;
use super::display::Presentation;
use super::hash::sha256_hex;
use super::record::Record;
use super::resize::resize_plane;
use super::sniff::{
    Content, content_of, format_name, png_size, tiff_claims_too_much, why_incomplete,
};
use crate::error::Result;
use crate::text::{dicom as words, fault};

/// Shortest side that is accepted, in pixels. A smaller picture is no X-ray.
pub const MIN_SIDE: u32 = 32;
/// Longest side that is accepted, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// Most pixels that are accepted; at three f32 channels they take 768 MiB.
pub const MAX_PIXELS: u64 = 64 << 20;
/// Largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// What a decoder may allocate, in bytes: for what stands beside the pixels, by the size of the file, and for the
/// pixels four 16-bit channels twice (its own rows and the result).
fn decoder_limits(file_bytes: usize, pixels: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some((1 << 20) + 16 * (file_bytes as u64 + pixels));
    limits
}

/// Where an image came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// File name without folders, or another short name.
    pub name: String,
    /// The path as the user gave it, if there is a file.
    pub path: Option<PathBuf>,
    /// Format, as people write it: "PNG", "JPEG", ...
    pub format: String,
    /// Bits per sample as stored.
    pub bits: u32,
    /// The file stores colours, even if all of them are grey.
    pub colour: bool,
    /// SHA-256 of the file's bytes, lower-case hexadecimal.
    pub sha256: String,
}

/// A picture's stored values, untouched by any window or normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 (grey) or 3 (red, green, blue). A colour file whose three planes are equal has 1.
    pub channels: usize,
    /// Planar `[channels, height, width]`, in stored units: 0..=255 or 0..=65535. Of DICOM files 0 to
    /// `2^bits - 1` with air dark: signed values are moved up, and where small values are bright the scale
    /// is turned; [`Presentation::stored`] is the way back.
    pub values: Vec<f32>,
    /// The largest value that the file's type can hold: 255, 65535, `2^bits - 1` for DICOM, or for float
    /// files 1 where all values lie within 0..=1 and else the largest value.
    pub max_value: f32,
    /// Where it came from.
    pub origin: Origin,
    /// How the file asks to be shown. A model's input never depends on it.
    pub presentation: Presentation,
    /// What a DICOM header says beside the pixels.
    pub record: Option<Box<Record>>,
    /// What to know about the file.
    pub notices: Vec<String>,
}

impl Image {
    /// Reads a PNG, JPEG, TIFF, BMP, WebP or DICOM file, 8 or 16 bit, grey or colour; what it is is told
    /// by its content. Alpha is dropped. An orientation that a camera recorded (EXIF) is applied. Of several
    /// frames the first is read.
    ///
    /// # Errors
    /// One sentence that names the file: missing, a folder, empty, another kind of file, cut short or
    /// damaged, or a size outside [`MIN_SIDE`]..=[`MAX_SIDE`] or [`MAX_PIXELS`], which is refused by the
    /// header before anything is allocated.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_frame(path, 0)
    }

    /// As [`Image::open`], frame `frame` (from 0) of a DICOM file.
    ///
    /// # Errors
    /// As [`Image::open`]; also a frame that the file does not have.
    pub fn open_frame(path: &Path, frame: usize) -> Result<Self> {
        let expected = "an image file (PNG, JPEG, TIFF, BMP, WebP or DICOM)";
        let file = File::open(path).map_err(|error| fault::read(path, &error))?;
        let facts = file.metadata().map_err(|error| fault::read(path, &error))?;
        if facts.is_dir() {
            return Err(fault::is_folder(path, expected));
        }
        if !facts.is_file() {
            return Err(fault::not_a_regular_file(path, expected));
        }
        if facts.len() > MAX_FILE_BYTES {
            return Err(fault::file_too_large(path, facts.len(), MAX_FILE_BYTES));
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| fault::read(path, &error))?;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        Self::frame_from_bytes(&name, Some(path), &bytes, frame)
    }

    /// Reads an image file that is in memory already. `name` is its short name; `path`, where there
    /// is one, is what errors name.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn from_bytes(name: &str, path: Option<&Path>, bytes: &[u8]) -> Result<Self> {
        Self::frame_from_bytes(name, path, bytes, 0)
    }

    /// As [`Image::from_bytes`], frame `frame` (from 0) of a DICOM file.
    ///
    /// # Errors
    /// As [`Image::open_frame`].
    pub fn frame_from_bytes(
        name: &str,
        path: Option<&Path>,
        bytes: &[u8],
        frame: usize,
    ) -> Result<Self> {
        let shown = path.unwrap_or(Path::new(name));
        if bytes.is_empty() {
            return Err(fault::empty_file(shown));
        }
        let format = match content_of(bytes) {
            Content::Raster(format) => format,
            Content::Dicom => return dicom::read(name, path, bytes, frame),
            Content::Other(found) => return Err(fault::not_an_image(shown, found)),
        };
        if frame > 0 {
            return Err(fault::no_such_frame(shown, frame + 1));
        }
        let format_name = format_name(format);
        let named_dicom = name.to_lowercase().ends_with(".dcm");
        if let Some((width, height)) = png_size(bytes) {
            check_size(shown, width, height)?;
        }

        if format == ::image::ImageFormat::Tiff && tiff_claims_too_much(bytes) {
            return Err(fault::broken_image(
                shown,
                format_name,
                &"a tag claims more values than the file holds",
            ));
        }
        let broken = |error: &ImageError| decoder_fault(shown, format_name, error);
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        reader.limits(decoder_limits(bytes.len(), 0));
        let mut decoder = reader.into_decoder().map_err(|error| broken(&error))?;
        let (width, height) = decoder.dimensions();
        check_size(shown, width, height)?;
        let pixels = u64::from(width) * u64::from(height);
        decoder
            .set_limits(decoder_limits(bytes.len(), pixels))
            .map_err(|error| broken(&error))?;
        // Only now: a file that is both too large and cut short is too large first.
        if let Some(why) = why_incomplete(format, bytes) {
            return Err(fault::broken_image(shown, format_name, &why));
        }
        let orientation = decoder.orientation().ok();
        let mut decoded = DynamicImage::from_decoder(decoder).map_err(|error| broken(&error))?;
        if let Some(orientation) = orientation {
            decoded.apply_orientation(orientation);
        }

        let (width, height) = (decoded.width() as usize, decoded.height() as usize);
        let planes = Planes::of(&decoded)
            .ok_or_else(|| fault::image_kind(shown, format_name, &"an unknown sample type"))?;
        let not_finite = planes.values.iter().filter(|v| !v.is_finite()).count();
        if not_finite > 0 {
            return Err(fault::image_not_finite(shown, not_finite));
        }
        let max_value = match planes.bits {
            8 => 255.0,
            16 => 65_535.0,
            // Float files have no fixed white. An all-black one divides by 1, not by 0.
            _ => planes.values.iter().fold(1.0_f32, |most, &v| most.max(v)),
        };
        Ok(Self {
            width,
            height,
            channels: planes.channels,
            values: planes.values,
            max_value,
            origin: Origin {
                name: name.to_owned(),
                path: path.map(Path::to_path_buf),
                format: format_name.to_owned(),
                bits: planes.bits,
                colour: planes.colour,
                sha256: sha256_hex(bytes),
            },
            presentation: Presentation::default(),
            record: None,
            notices: named_dicom
                .then(|| words::not_dicom(&format!("a {format_name}")))
                .into_iter()
                .collect(),
        })
    }

    /// An image from values that no file holds: synthetic cases, ready model inputs, tests.
    ///
    /// `values` are planar `[channels, height, width]` in units where `max_value` is white. The
    /// origin's hash is that of the values' little-endian bytes.
    ///
    /// # Errors
    /// Where the count does not fit the shape, a side is 0, `channels` is neither 1 nor 3, or a
    /// value or `max_value` is not finite, or `max_value` is not positive.
    pub fn from_values(
        name: &str,
        [width, height]: [usize; 2],
        channels: usize,
        values: Vec<f32>,
        max_value: f32,
    ) -> Result<Self> {
        let expected = width
            .checked_mul(height)
            .and_then(|cells| cells.checked_mul(channels));
        if !matches!(channels, 1 | 3) || width == 0 || height == 0 || expected != Some(values.len())
        {
            return Err(fault::image_values_shape(
                name,
                &[channels, height, width],
                values.len(),
            ));
        }
        let not_finite = values.iter().filter(|v| !v.is_finite()).count();
        if not_finite > 0 || !(max_value.is_finite() && max_value > 0.0) {
            return Err(fault::image_not_finite(Path::new(name), not_finite.max(1)));
        }
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Ok(Self {
            width,
            height,
            channels,
            max_value,
            origin: Origin {
                name: name.to_owned(),
                path: None,
                format: "values".to_owned(),
                bits: 32,
                colour: channels == 3,
                sha256: sha256_hex(&bytes),
            },
            presentation: Presentation::default(),
            record: None,
            notices: Vec::new(),
            values,
        })
    }

    /// The same picture with fewer pixels, averaged, for the screen: values keep their units. What the header says
    /// beside the pixels is left behind.
    ///
    /// # Errors
    /// A side of `size` (`[width, height]`) is 0.
    pub fn smaller(&self, size: [usize; 2]) -> Result<Self> {
        let mut values = Vec::with_capacity(self.channels * size[0] * size[1]);
        for channel in 0..self.channels {
            values.extend(resize_plane(self.plane(channel), self.size(), size)?);
        }
        Ok(Self {
            width: size[0],
            height: size[1],
            channels: self.channels,
            values,
            max_value: self.max_value,
            origin: self.origin.clone(),
            presentation: self.presentation.clone(),
            record: None,
            notices: Vec::new(),
        })
    }

    /// A rectangle of the picture, `size` pixels from the column and row in `from` on; what lies outside is left off.
    pub fn part(&self, from: [usize; 2], size: [usize; 2]) -> Self {
        let own = self.size();
        let from = [0, 1].map(|axis| from[axis].min(own[axis]));
        let size = [0, 1].map(|axis| size[axis].min(own[axis] - from[axis]));
        let mut values = Vec::with_capacity(self.channels * size[0] * size[1]);
        for channel in 0..self.channels {
            let rows = self.plane(channel).chunks_exact(self.width.max(1));
            for row in rows.skip(from[1]).take(size[1]) {
                values.extend(row.get(from[0]..from[0] + size[0]).unwrap_or_default());
            }
        }
        Self {
            width: size[0],
            height: size[1],
            channels: self.channels,
            values,
            max_value: self.max_value,
            origin: self.origin.clone(),
            presentation: self.presentation.clone(),
            record: None,
            notices: Vec::new(),
        }
    }

    /// `[width, height]` in pixels.
    pub fn size(&self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// One channel, row by row, `height * width` values in stored units; empty for a channel that
    /// the image does not have.
    pub fn plane(&self, channel: usize) -> &[f32] {
        let cells = self.width * self.height;
        self.values
            .get(channel.saturating_mul(cells)..(channel + 1).saturating_mul(cells))
            .unwrap_or_default()
    }

    /// Grey values, row by row, in stored units. Colour becomes Rec. 601 luma, for integer files
    /// with the rounding of Pillow's mode `L`, so that models see what they saw in training.
    pub fn grey(&self) -> Vec<f32> {
        if self.channels != 3 {
            return self.plane(0).to_vec();
        }
        let whole_numbers = self.origin.bits <= 16;
        self.plane(0)
            .iter()
            .zip(self.plane(1))
            .zip(self.plane(2))
            .map(|((&r, &g), &b)| {
                if whole_numbers {
                    luma_of_integers(r, g, b)
                } else {
                    0.299 * r + 0.587 * g + 0.114 * b
                }
            })
            .collect()
    }
}

/// Pillow's fixed-point luma: weights in 1/65536 that sum to 1, rounded to the nearest.
fn luma_of_integers(r: f32, g: f32, b: f32) -> f32 {
    let sum = r as u64 * 19_595 + g as u64 * 38_470 + b as u64 * 7_471 + 0x8000;
    (sum >> 16) as f32
}

fn check_size(path: &Path, width: u32, height: u32) -> Result<()> {
    if width.min(height) < MIN_SIDE || width.max(height) > MAX_SIDE {
        return Err(fault::image_size(path, width, height, MIN_SIDE, MAX_SIDE));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(fault::image_pixels(path, width, height, MAX_PIXELS));
    }
    Ok(())
}

fn decoder_fault(path: &Path, format: &str, error: &ImageError) -> crate::Error {
    match error {
        ImageError::Unsupported(why) => fault::image_kind(path, format, why),
        ImageError::Limits(_) => fault::broken_image(
            path,
            format,
            &"decoding it would take far more memory than its size explains",
        ),
        ImageError::IoError(why) if why.kind() == std::io::ErrorKind::UnexpectedEof => {
            fault::broken_image(path, format, &"it is cut short")
        }
        other => {
            let words = other.to_string();
            // "Format error decoding Png: ..." repeats what the sentence says already.
            let why = words
                .split_once("decoding ")
                .and_then(|(_, rest)| rest.split_once(": "))
                .map_or(words.as_str(), |(_, rest)| rest);
            fault::broken_image(path, format, &why.lines().next().unwrap_or(why))
        }
    }
}

/// Decoded samples, planar, alpha dropped, equal colour planes collapsed.
struct Planes {
    channels: usize,
    colour: bool,
    bits: u32,
    values: Vec<f32>,
}

impl Planes {
    fn of(image: &DynamicImage) -> Option<Self> {
        Some(match image {
            DynamicImage::ImageLuma8(i) => Self::split(i.as_raw(), 1, 1, 8),
            DynamicImage::ImageLumaA8(i) => Self::split(i.as_raw(), 2, 1, 8),
            DynamicImage::ImageRgb8(i) => Self::split(i.as_raw(), 3, 3, 8),
            DynamicImage::ImageRgba8(i) => Self::split(i.as_raw(), 4, 3, 8),
            DynamicImage::ImageLuma16(i) => Self::split(i.as_raw(), 1, 1, 16),
            DynamicImage::ImageLumaA16(i) => Self::split(i.as_raw(), 2, 1, 16),
            DynamicImage::ImageRgb16(i) => Self::split(i.as_raw(), 3, 3, 16),
            DynamicImage::ImageRgba16(i) => Self::split(i.as_raw(), 4, 3, 16),
            DynamicImage::ImageRgb32F(i) => Self::split(i.as_raw(), 3, 3, 32),
            DynamicImage::ImageRgba32F(i) => Self::split(i.as_raw(), 4, 3, 32),
            _ => return None,
        })
    }

    /// Takes interleaved samples, `stride` a pixel, apart and keeps the first `kept` of each.
    fn split<T: Copy + PartialEq + Into<f32>>(
        samples: &[T],
        stride: usize,
        kept: usize,
        bits: u32,
    ) -> Self {
        let grey = kept == 3
            && samples
                .chunks_exact(stride)
                .all(|pixel| matches!(pixel, [r, g, b, ..] if r == g && g == b));
        let channels = if grey { 1 } else { kept };
        let mut values = Vec::with_capacity(samples.len() / stride * channels);
        for channel in 0..channels {
            values.extend(
                samples
                    .iter()
                    .skip(channel)
                    .step_by(stride)
                    .map(|&sample| -> f32 { sample.into() }),
            );
        }
        Self {
            channels,
            colour: kept == 3,
            bits,
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_rounds_as_pillow_does() {
        // Image.new("RGB", (1, 1), (r, g, b)).convert("L") in Pillow 11.
        for ((r, g, b), grey) in [
            ((255.0, 0.0, 0.0), 76.0),
            ((0.0, 255.0, 0.0), 150.0),
            ((0.0, 0.0, 255.0), 29.0),
            ((255.0, 255.0, 255.0), 255.0),
            ((10.0, 20.0, 30.0), 18.0),
        ] {
            assert_eq!(luma_of_integers(r, g, b), grey);
        }
    }

    #[test]
    fn values_must_fit_their_shape() {
        assert!(Image::from_values("a", [2, 2], 1, vec![0.0; 4], 1.0).is_ok());
        assert!(Image::from_values("a", [2, 2], 1, vec![0.0; 5], 1.0).is_err());
        assert!(Image::from_values("a", [2, 2], 2, vec![0.0; 8], 1.0).is_err());
        assert!(Image::from_values("a", [0, 2], 1, vec![], 1.0).is_err());
        assert!(Image::from_values("a", [2, 1], 1, vec![0.0, f32::NAN], 1.0).is_err());
        assert!(Image::from_values("a", [1, 1], 1, vec![0.0], 0.0).is_err());
    }
}
