//! From files to pictures: reading, preparing, post-processing, colouring, exporting.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use camlens::error::Kind;
use camlens::explain::RawMap;
use camlens::export::{Bundle, npy_bytes, png_bytes, read_npy, write_whole};
use camlens::image::Image;
use camlens::image::display::{Display, render};
use camlens::image::geometry::Affine;
use camlens::plan::{Colormap, Contours, Normalise, OpacityMode, Post, Sign, View};
use camlens::post::{ScaleRange, blur, process, process_named, scale_range, upsample};
use camlens::preprocess::{Fit, ModelInput, Recipe, picture_of, prepare};
use camlens::render::{
    Figure, FigurePanel, Heat, HeatLut, crop_in_source, heat_rgba, overlay, overlay_at,
};
use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba};

// ---- helpers -----------------------------------------------------------------------------------

/// A file of the reference data, or `None` (said aloud) where they are not there.
fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared")
        .join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: no reference data at {}", path.display());
    None
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn grey8(width: u32, height: u32) -> DynamicImage {
    ImageBuffer::from_fn(width, height, |x, y| Luma([((x * 7 + y * 3) % 256) as u8])).into()
}

fn open(bytes: &[u8]) -> camlens::Result<Image> {
    Image::from_bytes("test", None, bytes)
}

fn words(result: camlens::Result<Image>) -> (Kind, String) {
    let error = result.expect_err("this must be refused");
    (error.kind(), error.to_string())
}

fn raw_map(width: usize, height: usize, values: Vec<f32>) -> RawMap {
    RawMap {
        method: "grad-cam".into(),
        layer: "layer4".into(),
        target: Some(1),
        width,
        height,
        values: Arc::from(values),
        model_size: [224, 224],
        source_from_model: Affine::scale_to([448, 336], [224, 224]),
        source_size: [448, 336],
        blur_px: 0.0,
        notices: Vec::new(),
        conservation: Vec::new(),
    }
}

// ---- reading -----------------------------------------------------------------------------------

#[test]
fn every_format_is_read_exactly() {
    let grey = grey8(50, 40);
    let expected: Vec<f32> = grey.as_bytes().iter().map(|&v| f32::from(v)).collect();
    for (format, name) in [
        (ImageFormat::Png, "PNG"),
        (ImageFormat::Tiff, "TIFF"),
        (ImageFormat::Bmp, "BMP"),
        (ImageFormat::WebP, "WebP"),
    ] {
        // WebP knows colour only; equal planes come back as one.
        let picture = match format {
            ImageFormat::WebP => grey.to_rgb8().into(),
            _ => grey.clone(),
        };
        let image = open(&encoded(&picture, format)).unwrap();
        assert_eq!(image.size(), [50, 40], "{name}");
        assert_eq!(image.channels, 1, "{name}");
        assert_eq!(image.values, expected, "{name}");
        assert_eq!((image.max_value, image.origin.bits), (255.0, 8), "{name}");
        assert_eq!(image.origin.format, name);
    }
    let jpeg = open(&encoded(&grey, ImageFormat::Jpeg)).unwrap();
    assert_eq!((jpeg.size(), jpeg.channels), ([50, 40], 1));
    assert_eq!(jpeg.origin.format, "JPEG");
}

#[test]
fn sixteen_bits_colour_and_alpha() {
    let deep: DynamicImage =
        ImageBuffer::from_fn(40, 33, |x, y| Luma([(x * 1501 + y * 17) as u16])).into();
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let image = open(&encoded(&deep, format)).unwrap();
        assert_eq!((image.max_value, image.origin.bits), (65535.0, 16));
        assert_eq!(image.plane(0)[41], 1501.0 + 17.0);
    }
    let colour: DynamicImage =
        ImageBuffer::from_fn(40, 33, |x, y| Rgb([x as u8, y as u8, 9])).into();
    let image = open(&encoded(&colour, ImageFormat::Png)).unwrap();
    assert_eq!(image.channels, 3);
    assert_eq!(
        (image.plane(0)[1], image.plane(1)[40], image.plane(2)[0]),
        (1.0, 1.0, 9.0)
    );
    assert!(image.plane(3).is_empty());
    assert_eq!(image.grey().len(), 40 * 33);

    let alpha: DynamicImage =
        ImageBuffer::from_fn(40, 33, |x, _| Rgba([x as u8, x as u8, x as u8, 7])).into();
    let image = open(&encoded(&alpha, ImageFormat::Png)).unwrap();
    assert_eq!(
        (image.channels, image.plane(0)[5]),
        (1, 5.0),
        "alpha is dropped"
    );
    let colour16: DynamicImage =
        ImageBuffer::from_fn(40, 33, |x, y| Rgb([x as u16 * 99, y as u16, 60_000])).into();
    let image = open(&encoded(&colour16, ImageFormat::Png)).unwrap();
    assert_eq!((image.channels, image.plane(2)[0]), (3, 60_000.0));
}

#[test]
fn float_tiff_is_read_where_its_values_are_numbers() {
    let make = |last: f32| -> Vec<u8> {
        let picture: ImageBuffer<Rgb<f32>, Vec<f32>> = ImageBuffer::from_fn(33, 32, |x, y| {
            Rgb([x as f32 / 40.0, 0.5, if y == 31 { last } else { 0.0 }])
        });
        encoded(&DynamicImage::ImageRgb32F(picture), ImageFormat::Tiff)
    };
    assert_eq!(open(&make(0.9)).unwrap().max_value, 1.0);
    assert_eq!(open(&make(7.5)).unwrap().max_value, 7.5);
    let (kind, words) = words(open(&make(f32::NAN)));
    assert_eq!(kind, Kind::Input);
    assert!(words.contains("33 value(s)"), "{words}");
}

#[test]
fn the_extension_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really.a.png.jpeg");
    fs::write(&path, encoded(&grey8(40, 40), ImageFormat::Png)).unwrap();
    let image = Image::open(&path).unwrap();
    assert_eq!(image.origin.format, "PNG");
    assert_eq!(image.origin.name, "really.a.png.jpeg");
    assert_eq!(image.origin.path.as_deref(), Some(path.as_path()));
    assert_eq!(image.origin.sha256.len(), 64);
}

#[test]
fn what_is_not_there_or_no_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (kind, text) = words(Image::open(&folder.path().join("none.png")));
    assert_eq!(kind, Kind::Io);
    assert!(
        text.contains("none.png") && text.contains("no such file"),
        "{text}"
    );
    let (_, text) = words(Image::open(folder.path()));
    assert!(text.contains("is a folder"), "{text}");
    let empty = folder.path().join("empty.png");
    fs::write(&empty, b"").unwrap();
    let (_, text) = words(Image::open(&empty));
    assert!(
        text.contains("empty.png") && text.contains("0 bytes"),
        "{text}"
    );
    let note = folder.path().join("note.png");
    fs::write(&note, "Patient was coughing.\n").unwrap();
    let (_, text) = words(Image::open(&note));
    assert!(
        text.contains("note.png") && text.contains("plain text"),
        "{text}"
    );
    #[cfg(unix)]
    {
        let (_, text) = words(Image::open(Path::new("/dev/zero")));
        assert!(text.contains("device"), "{text}");
    }
}

#[test]
fn dicom_is_recognised_by_its_content() {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM\x02\x00\x00\x00UL");
    let (kind, text) = words(open(&bytes));
    assert_eq!(kind, Kind::Input);
    assert!(text.contains("DICOM"), "{text}");
}

/// Every format cut at many places: an error each time, never a half-grey picture.
#[test]
fn files_cut_short_are_refused() {
    let mut noisy = RgbImage::new(80, 64);
    let mut state = 1_u32;
    for pixel in noisy.pixels_mut() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *pixel = Rgb([(state >> 24) as u8, (state >> 16) as u8, (state >> 8) as u8]);
    }
    let noisy = DynamicImage::ImageRgb8(noisy);
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
        ImageFormat::WebP,
    ] {
        let whole = encoded(&noisy, format);
        assert!(open(&whole).is_ok(), "{format:?}");
        for percent in [1, 5, 10, 25, 50, 75, 90, 99] {
            let cut = &whole[..whole.len() * percent / 100];
            let result = open(cut);
            assert!(result.is_err(), "{format:?} cut to {percent} %");
        }
        let (_, text) = words(open(&whole[..whole.len() / 2]));
        assert!(text.contains("test"), "the file is named: {text}");
        eprintln!("{text}");
    }
}

#[test]
fn damaged_files_end_in_an_error_or_a_picture_but_never_in_a_panic() {
    let picture = DynamicImage::ImageRgb8(grey8(70, 60).to_rgb8());
    let mut state = 7_u32;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
        ImageFormat::WebP,
    ] {
        let whole = encoded(&picture, format);
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random() % 6 {
                let at = random() as usize % bytes.len();
                bytes[at] = random() as u8;
            }
            let _ = open(&bytes);
        }
    }
    // A checksum catches a changed PNG.
    let mut png = encoded(&picture, ImageFormat::Png);
    let middle = png.len() / 2;
    png[middle] ^= 0x55;
    assert!(open(&png).is_err());
}

#[test]
fn sizes_are_refused_by_the_header_alone() {
    // A PNG that claims 20000 x 20000 and has no pixels at all.
    let mut png = encoded(&grey8(40, 40), ImageFormat::Png);
    png[16..20].copy_from_slice(&20_000_u32.to_be_bytes());
    png[20..24].copy_from_slice(&20_000_u32.to_be_bytes());
    let started = Instant::now();
    for bytes in [&png[..], &png[..33]] {
        let (kind, text) = words(open(bytes));
        assert_eq!(kind, Kind::Limits);
        assert!(text.contains("20000 x 20000"), "{text}");
    }
    assert!(started.elapsed().as_millis() < 100);
    // Under the longest side, but 100 megapixels.
    png[16..20].copy_from_slice(&10_000_u32.to_be_bytes());
    png[20..24].copy_from_slice(&10_000_u32.to_be_bytes());
    let (kind, text) = words(open(&png));
    assert_eq!(kind, Kind::Limits);
    assert!(text.contains("100 megapixels"), "{text}");

    let mut bmp = encoded(&grey8(40, 40), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&20_000_u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&20_000_u32.to_le_bytes());
    assert_eq!(words(open(&bmp)).0, Kind::Limits);

    let (kind, text) = words(open(&encoded(&grey8(1, 1), ImageFormat::Png)));
    assert_eq!(kind, Kind::Limits);
    assert!(text.contains("1 x 1") && text.contains("32 x 32"), "{text}");
    assert!(open(&encoded(&grey8(32, 32), ImageFormat::Png)).is_ok());
    assert!(open(&encoded(&grey8(31, 400), ImageFormat::Png)).is_err());
}

#[test]
fn real_x_rays_open() {
    let mut count = 0;
    for folder in [
        "data/kermany/fullres/NORMAL",
        "data/kermany/fullres/PNEUMONIA",
        "data/nih/bbox_full",
        "data/covid/hannover",
    ] {
        let Some(folder) = shared(folder) else { return };
        for entry in fs::read_dir(folder).unwrap().take(12) {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e == "csv") {
                continue;
            }
            let image = Image::open(&path).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(image.channels, 1, "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 10);
}

// ---- preparing ---------------------------------------------------------------------------------

fn golden(name: &str) -> Option<Vec<f32>> {
    let bytes = fs::read(shared("golden/input.safetensors")?).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let data = file.tensor(name).unwrap().data().to_vec();
    Some(
        data.chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect(),
    )
}

/// The input of the golden files, bit for bit.
#[test]
fn imagenet_input_is_exactly_pythons() {
    let Some(expected) = golden("rgb_224x224") else {
        return;
    };
    let image = Image::open(&shared("golden/input_224x224.png").unwrap()).unwrap();
    let input = prepare(&Recipe::imagenet(3, [224, 224]), &image).unwrap();
    assert_eq!(input.values, expected);
    assert_eq!(input.source_from_model, Affine::IDENTITY);

    let expected = golden("rgb_192x256").unwrap();
    let image = Image::open(&shared("golden/input_192x256.png").unwrap()).unwrap();
    let input = prepare(&Recipe::imagenet(3, [256, 192]), &image).unwrap();
    assert_eq!(input.values, expected);
}

#[test]
fn torchxrayvision_input_is_exactly_pythons() {
    let Some(expected) = golden("xray_224x224") else {
        return;
    };
    let image = Image::open(&shared("golden/input_gray_224x224.png").unwrap()).unwrap();
    let input = prepare(&Recipe::torchxrayvision([224, 224]), &image).unwrap();
    assert_eq!(input.values, expected);
}

#[test]
fn grey_feeds_three_channels_and_colour_feeds_one() {
    let grey = open(&encoded(&grey8(40, 40), ImageFormat::Png)).unwrap();
    let input = prepare(&Recipe::imagenet(3, [40, 40]), &grey).unwrap();
    assert_eq!(input.values.len(), 3 * 1600);
    let share = |channel: usize, i: usize| {
        Recipe::imagenet(3, [40, 40]).share_from_input(input.values[channel * 1600 + i], channel)
    };
    assert!((share(0, 77) - share(2, 77)).abs() < 1e-6);

    let colour: DynamicImage = ImageBuffer::from_fn(40, 40, |_, _| Rgb([255_u8, 0, 0])).into();
    let colour = open(&encoded(&colour, ImageFormat::Png)).unwrap();
    let input = prepare(&Recipe::torchxrayvision([40, 40]), &colour).unwrap();
    assert_eq!(input.values[0], (2.0 * (76.0 / 255.0) - 1.0) * 1024.0);
}

/// The display window is for eyes: it is not even an argument. Bit depth is not a scale either.
#[test]
fn eight_and_sixteen_bits_of_one_picture_give_one_input() {
    let eight = open(&encoded(&grey8(60, 50), ImageFormat::Png)).unwrap();
    let deep: DynamicImage =
        ImageBuffer::from_fn(60, 50, |x, y| Luma([((x * 7 + y * 3) % 256) as u16 * 257])).into();
    let deep = open(&encoded(&deep, ImageFormat::Png)).unwrap();
    for recipe in [
        Recipe::imagenet(1, [32, 32]),
        Recipe::torchxrayvision([32, 32]),
    ] {
        let a = prepare(&recipe, &eight).unwrap();
        let b = prepare(&recipe, &deep).unwrap();
        let most = recipe.white()[0].abs();
        for (a, b) in a.values.iter().zip(&b.values) {
            assert!((a - b).abs() <= most * 1e-5);
        }
    }
}

/// A bright dot anywhere in the source comes back to where it was, whatever the fit.
#[test]
fn a_dot_comes_back_to_its_place() {
    let fits = [
        Fit::Stretch,
        Fit::CenterCrop { resize: 256 },
        Fit::CropDown { resize: 257 },
        Fit::StretchCrop {
            width: 250,
            height: 240,
            left: 13,
            top: 8,
        },
        Fit::SquareCrop,
        Fit::Pad,
    ];
    for fit in fits {
        for [width, height] in [[900, 600], [600, 901], [1857, 1317], [224, 224], [150, 97]] {
            let recipe = Recipe {
                fit,
                ..Recipe::imagenet(1, [224, 224])
            };
            for (px, py) in [(0.5, 0.5), (0.4, 0.62), (0.55, 0.37)] {
                let (cx, cy) = (
                    (width as f64 * px).floor() + 0.5,
                    (height as f64 * py).floor() + 0.5,
                );
                // A small blob, so that it survives shrinking.
                let spread = width.max(height) as f64 / 80.0;
                let values = (0..width * height)
                    .map(|i| {
                        let (x, y) = ((i % width) as f64 + 0.5, (i / width) as f64 + 0.5);
                        let d2 = ((x - cx).powi(2) + (y - cy).powi(2)) / (spread * spread);
                        (255.0 * (-0.5 * d2).exp()) as f32
                    })
                    .collect();
                let image = Image::from_values("dot", [width, height], 1, values, 255.0).unwrap();
                let input = prepare(&recipe, &image).unwrap();
                // Centre of mass above black, in model coordinates.
                let black = recipe.black()[0];
                let (mut sx, mut sy, mut mass) = (0.0, 0.0, 0.0);
                for (i, &v) in input.values.iter().enumerate() {
                    let v = f64::from(v - black);
                    sx += v * ((i % 224) as f64 + 0.5);
                    sy += v * ((i / 224) as f64 + 0.5);
                    mass += v;
                }
                let at = input.source_from_model.apply([sx / mass, sy / mass]);
                let cell = input.source_from_model.scale;
                assert!(
                    (at[0] - cx).abs() <= 0.5 * cell[0].max(1.0)
                        && (at[1] - cy).abs() <= 0.5 * cell[1].max(1.0),
                    "{fit:?} {width} x {height}: {cx}, {cy} came back as {at:?}"
                );
            }
        }
    }
}

#[test]
fn odd_numbers_are_noticed() {
    let flat = Image::from_values("flat", [64, 64], 1, vec![9.0; 4096], 255.0).unwrap();
    let input = prepare(&Recipe::imagenet(1, [64, 64]), &flat).unwrap();
    assert_eq!(input.notices.len(), 1, "{:?}", input.notices);
    let dark: DynamicImage = ImageBuffer::from_fn(64, 64, |x, _| Luma([x as u16 * 4])).into();
    let dark = open(&encoded(&dark, ImageFormat::Png)).unwrap();
    let input = prepare(&Recipe::imagenet(1, [64, 64]), &dark).unwrap();
    assert!(
        input.notices[0].contains("8 of 16 bits"),
        "{:?}",
        input.notices
    );
}

#[test]
fn ready_inputs_are_checked_and_can_be_looked_at() {
    assert!(ModelInput::from_ready(&[1, 3, 4, 5], vec![0.0; 60]).is_ok());
    assert!(ModelInput::from_ready(&[3, 4, 5], vec![0.0; 60]).is_ok());
    assert!(ModelInput::from_ready(&[1, 2, 4, 5], vec![0.0; 40]).is_ok());
    for shape in [&[2, 3, 4, 5][..], &[60], &[]] {
        let count = shape.iter().product::<usize>();
        assert!(
            ModelInput::from_ready(shape, vec![0.0; count]).is_err(),
            "{shape:?}"
        );
    }
    assert!(ModelInput::from_ready(&[1, 1, 1, 2], vec![0.0, f32::NAN]).is_err());

    let image = open(&encoded(&grey8(48, 48), ImageFormat::Png)).unwrap();
    for recipe in [
        Recipe::imagenet(3, [48, 48]),
        Recipe::torchxrayvision([48, 48]),
    ] {
        let input = prepare(&recipe, &image).unwrap();
        let picture = picture_of(&recipe, &input, "ready").unwrap();
        assert_eq!(picture.plane(0), image.plane(0), "{}", recipe.name);
    }
}

// ---- post-processing ---------------------------------------------------------------------------

#[test]
fn signs_choose_evidence() {
    let map = raw_map(2, 2, vec![1.0, -2.0, 0.5, 0.0]);
    let field = |sign| upsample(&map, sign, 0.0, "x");
    assert_eq!(field(Sign::Positive).largest(), 1.0);
    assert_eq!(field(Sign::Negative).largest(), 2.0);
    assert!(field(Sign::Negative).values.iter().all(|&v| v >= 0.0));
    let signed = field(Sign::Signed);
    assert!(signed.values.iter().any(|&v| v < 0.0) && signed.values.iter().any(|&v| v > 0.0));
    assert_eq!((signed.raw_min, signed.raw_max), (-2.0, 1.0));
    assert_eq!([signed.width, signed.height], [224, 224]);
    // The whole grid covers the whole source.
    assert_eq!(
        signed.source_from_field.apply([224.0, 224.0]),
        [448.0, 336.0]
    );
}

#[test]
fn denoising_is_relative_to_the_chosen_sign() {
    let map = raw_map(2, 2, vec![1.0, 0.3, 0.1, -9.0]);
    let field = upsample(&map, Sign::Positive, 0.2, "x");
    assert_eq!((field.values[0], field.values[223]), (1.0, 0.3));
    assert_eq!(field.values[223 * 224], 0.0, "0.1 is under a fifth of 1");
}

#[test]
fn a_map_without_positive_evidence_is_never_coloured() {
    let map = raw_map(2, 2, vec![-0.31, -0.02, -0.1, -0.2]);
    let post = Post::default();
    let field = process_named(&map, &post, "Pneumonia");
    assert!(field.empty);
    assert_eq!(
        field.notice.as_deref(),
        Some("No positive evidence for Pneumonia at layer4 (values from -0.310 to -0.0200)")
    );
    for normalise in [
        Normalise::Map,
        Normalise::Shared,
        Normalise::Fixed { lo: -1.0, hi: 1.0 },
    ] {
        let post = Post { normalise, ..post };
        let range = scale_range(&[&field], &post)[0];
        let rgba = heat_rgba(&field, range, post.sign, &View::default(), 0.0);
        assert!(rgba.iter().all(|&v| v == 0), "{normalise:?}");
        let base = RgbImage::from_pixel(448, 336, Rgb([90, 90, 90]));
        let heat = Heat {
            field: &field,
            range,
            sign: post.sign,
            view: View::default(),
            cut: 0.0,
        };
        assert_eq!(overlay(&base, &heat), base, "{normalise:?}");
    }
    // The same map has evidence against.
    let against = Post {
        sign: Sign::Negative,
        ..post
    };
    assert!(!process(&map, &against).empty);
    // Rounding noise beside large negative values is no evidence.
    assert!(process(&raw_map(2, 1, vec![-5.0, 1e-7]), &post).empty);
    // A map of zeros is empty for every sign.
    for sign in [Sign::Positive, Sign::Negative, Sign::Signed] {
        assert!(process(&raw_map(2, 1, vec![0.0; 2]), &Post { sign, ..post }).empty);
    }
    // Methods that look at no class do not speak of one.
    let mut eigen = map;
    eigen.target = None;
    let notice = process_named(&eigen, &post, "Pneumonia").notice.unwrap();
    assert!(!notice.contains("Pneumonia"), "{notice}");
}

#[test]
fn cells_that_are_no_numbers_are_counted() {
    let map = raw_map(2, 2, vec![1.0, f32::NAN, f32::INFINITY, 0.5]);
    let field = process(&map, &Post::default());
    assert!(!field.empty);
    assert_eq!((field.raw_min, field.raw_max), (0.5, 1.0));
    assert!(field.values.iter().all(|v| v.is_finite()));
    assert!(field.notice.unwrap().contains("2 of 4 cells"));
    let all = process(&raw_map(1, 2, vec![f32::NAN; 2]), &Post::default());
    assert!(all.empty && all.notice.unwrap().contains("2 of 2 cells"));
}

#[test]
fn constant_maps_are_said_to_be_constant() {
    let field = process(&raw_map(3, 3, vec![0.7; 9]), &Post::default());
    assert!(!field.empty);
    assert!(field.values.iter().all(|&v| (v - 0.7).abs() < 1e-6));
    assert!(field.notice.unwrap().contains("nothing about where"));
}

#[test]
fn post_is_fast_enough_for_a_slider() {
    let values = (0..49).map(|i| ((i * 29) % 17) as f32 - 4.0).collect();
    let map = raw_map(7, 7, values);
    let field = upsample(&map, Sign::Positive, 0.0, "x");
    let view = View::default();
    let range = scale_range(&[&field], &Post::default())[0];
    let time = |label: &str, work: &dyn Fn()| {
        work();
        let started = Instant::now();
        for _ in 0..20 {
            work();
        }
        eprintln!("{label}: {:?}", started.elapsed() / 20);
        started.elapsed().as_secs_f64() / 20.0
    };
    time("upsample 7x7 to 224x224", &|| {
        upsample(&map, Sign::Positive, 0.1, "x");
    });
    for sigma in [4.0, 12.0, 40.0] {
        let seconds = time(&format!("blur 224x224 at {sigma} source px"), &|| {
            blur(&field, sigma);
        });
        // Generous: machines under test are busy and builds may be unoptimised.
        assert!(seconds < 0.1);
    }
    time("heat 224x224", &|| {
        heat_rgba(&field, range, Sign::Positive, &view, 0.2);
    });
    let base = RgbImage::from_pixel(2048, 2048, Rgb([90, 90, 90]));
    let heat = Heat {
        field: &field,
        range,
        sign: Sign::Positive,
        view,
        cut: 0.2,
    };
    time("overlay 2048x2048", &|| {
        overlay(&base, &heat);
    });
}

// ---- pictures ----------------------------------------------------------------------------------

#[test]
fn display_windows_are_as_stated() {
    let eight = open(&encoded(&grey8(40, 40), ImageFormat::Png)).unwrap();
    let picture = render(&eight, &Display::at_first(&eight));
    assert_eq!(picture.get_pixel(3, 1).0, [24; 3], "as it is");

    let deep: DynamicImage =
        ImageBuffer::from_fn(40, 40, |x, _| Luma([1000 + x as u16 * 10])).into();
    let deep = open(&encoded(&deep, ImageFormat::Png)).unwrap();
    let picture = render(&deep, &Display::at_first(&deep));
    let ends = [0, 39].map(|x| picture.get_pixel(x, 0).0);
    assert_eq!(ends, [[0; 3], [255; 3]], "smallest to largest value");
}

/// The warm spot of the overlay is where the map's cell lies in the source, for every aspect.
#[test]
fn the_overlay_lies_where_the_map_says() {
    for [width, height] in [[448, 336], [336, 448], [300, 900]] {
        let mut values = vec![0.0; 49];
        values[2 * 7 + 5] = 1.0;
        let mut map = raw_map(7, 7, values);
        map.source_size = [width, height];
        map.source_from_model = Affine::scale_to([width, height], [224, 224]);
        let field = process(&map, &Post::default());
        let heat = Heat {
            field: &field,
            range: ScaleRange { lo: 0.0, hi: 1.0 },
            sign: Sign::Positive,
            view: View {
                opacity: 1.0,
                opacity_mode: OpacityMode::ByValue,
                colormap: Colormap::Viridis,
                contours: Contours::None,
            },
            cut: 0.0,
        };
        let base = RgbImage::new(width as u32, height as u32);
        let out = overlay(&base, &heat);
        let (mut sx, mut sy, mut mass) = (0.0, 0.0, 0.0);
        for (x, y, pixel) in out.enumerate_pixels() {
            let v = f64::from(pixel.0[1]);
            sx += v * (f64::from(x) + 0.5);
            sy += v * (f64::from(y) + 0.5);
            mass += v;
        }
        let expected = map.source_from_grid().apply([5.5, 2.5]);
        let cell = map.source_from_grid().scale;
        assert!(
            (sx / mass - expected[0]).abs() < 0.05 * cell[0],
            "{width} x {height}"
        );
        assert!(
            (sy / mass - expected[1]).abs() < 0.05 * cell[1],
            "{width} x {height}"
        );
        // A base of half the size shows the same at half the place.
        let half = RgbImage::new(width as u32 / 2, height as u32 / 2);
        let from_half = Affine::scale_to(
            [width, height],
            [half.width() as usize, half.height() as usize],
        );
        let small = overlay_at(&half, &from_half, &heat);
        let big = image::imageops::thumbnail(&out, half.width(), half.height());
        let worst = small
            .as_raw()
            .iter()
            .zip(big.as_raw())
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(worst < Some(12), "{worst:?}");
    }
}

#[test]
fn outside_the_crop_nothing_is_coloured() {
    let recipe = Recipe::torchxrayvision([224, 224]);
    let source = Image::from_values("wide", [600, 400], 1, vec![128.0; 240_000], 255.0).unwrap();
    let input = prepare(&recipe, &source).unwrap();
    let mut map = raw_map(7, 7, vec![1.0; 49]);
    map.source_size = input.source_size;
    map.source_from_model = input.source_from_model;
    let field = process(&map, &Post::default());
    assert_eq!(crop_in_source(&field), Some([100.0, 0.0, 500.0, 400.0]));
    let base = render(&source, &Display::at_first(&source));
    let heat = Heat {
        field: &field,
        range: ScaleRange { lo: 0.0, hi: 1.0 },
        sign: Sign::Positive,
        view: View::default(),
        cut: 0.2,
    };
    let out = overlay(&base, &heat);
    assert_eq!(out.get_pixel(99, 200), base.get_pixel(99, 200));
    assert_ne!(out.get_pixel(100, 200), base.get_pixel(100, 200));
    assert_ne!(out.get_pixel(499, 0), base.get_pixel(499, 0));
    assert_eq!(out.get_pixel(500, 0), base.get_pixel(500, 0));
    // A whole-picture recipe has no crop to show.
    assert_eq!(
        crop_in_source(&process(&raw_map(7, 7, vec![1.0; 49]), &Post::default())),
        None
    );
}

#[test]
fn the_texture_and_the_overlay_use_one_table() {
    let map = raw_map(7, 7, (0..49).map(|i| i as f32).collect());
    let field = process(&map, &Post::default());
    let range = scale_range(&[&field], &Post::default())[0];
    let view = View::default();
    let rgba = heat_rgba(&field, range, Sign::Positive, &view, 0.3);
    let lut = HeatLut::new(range, Sign::Positive, &view, 0.3);
    for (pixel, &value) in rgba.chunks_exact(4).zip(&field.values) {
        assert_eq!(pixel, lut.rgba(value));
    }
}

#[test]
fn figures_hold_every_panel_and_are_reproducible() {
    let base = RgbImage::from_fn(448, 336, |x, y| Rgb([((x + y) % 200) as u8; 3]));
    let map = raw_map(7, 7, (0..49).map(|i| i as f32 - 10.0).collect());
    let empty = process(&raw_map(7, 7, vec![-1.0; 49]), &Post::default());
    let field = process(&map, &Post::default());
    let heat = |field| Heat {
        field,
        range: ScaleRange { lo: 0.0, hi: 38.0 },
        sign: Sign::Positive,
        view: View::default(),
        cut: 0.2,
    };
    let long = "a very long line that will never fit into one panel of a figure ".repeat(9);
    let figure = Figure {
        title: "a_file_name_without_any_space_that_goes_on_and_on_".repeat(5),
        subtitle: vec![long.clone(), String::new()],
        panels: vec![
            FigurePanel::plain("X-ray", vec![], &base),
            FigurePanel::of_heat("Grad-CAM", vec![long], &base, &heat(&field), "raw units"),
            FigurePanel::of_heat("Empty", vec![], &base, &heat(&empty), "raw units"),
        ],
        columns: 2,
        footer: "Camlens 0.1.0".repeat(40),
        ..Figure::default()
    };
    let picture = figure.render(1.0).unwrap();
    assert_eq!(picture.width(), 2 * 480 + 28 + 2 * 36);
    assert_eq!(picture, figure.render(1.0).unwrap());
    let twice = figure.render(2.0).unwrap();
    assert_eq!(twice.width(), 2 * picture.width());
    // The margin stays white: nothing overflows.
    for y in 0..picture.height() {
        for x in (0..30).chain(picture.width() - 30..picture.width()) {
            assert_eq!(picture.get_pixel(x, y).0, [255; 3], "{x}, {y}");
        }
    }
    assert!(figure.panels[2].bar.is_none() && !figure.panels[2].notices.is_empty());
    assert!(figure.render(0.0).is_err());
    assert!(figure.render(f32::NAN).is_err());
    // No panels at all is still a page that says what it is not for.
    assert!(Figure::default().render(1.0).is_ok());
}

// ---- files -------------------------------------------------------------------------------------

#[test]
fn npy_files_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.npy");
    let values: Vec<f32> = (0..49).map(|i| i as f32 * 0.1 - 2.0).collect();
    write_whole(&path, &npy_bytes([7, 7], &values).unwrap()).unwrap();
    let back = read_npy(&path).unwrap();
    assert_eq!((back.shape, back.values), (vec![7, 7], values));
    assert!(
        read_npy(folder.path())
            .unwrap_err()
            .message()
            .contains("folder")
    );
    assert_eq!(
        read_npy(&folder.path().join("no.npy")).unwrap_err().kind(),
        Kind::Io
    );
}

fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_bundle_is_written_whole_with_its_manifest_last() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deep/er/out");
    let mut bundle = Bundle::create(&out).unwrap();
    bundle.write("a.npy", b"1").unwrap();
    bundle.write("sub/b.png", b"2").unwrap();
    assert!(!out.exists(), "nothing is there before it is finished");
    let files = bundle.finish("manifest.json", b"{}").unwrap();
    assert_eq!(listing(&out), ["a.npy", "manifest.json", "sub"]);
    assert!(files.last().unwrap().ends_with("manifest.json"));
    assert!(files.iter().all(|file| file.is_file()));
    assert_eq!(listing(&folder.path().join("deep/er")), ["out"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let made = folder.path().join("plain");
        fs::create_dir(&made).unwrap();
        assert_eq!(mode(&out), mode(&made), "as any folder, less the umask");
    }

    // Again into the same folder: same names are replaced, others stay.
    fs::write(out.join("notes.txt"), "mine").unwrap();
    let mut bundle = Bundle::create(&out).unwrap();
    bundle.write("a.npy", b"new").unwrap();
    bundle.finish("manifest.json", b"{2}").unwrap();
    assert_eq!(
        listing(&out),
        ["a.npy", "manifest.json", "notes.txt", "sub"]
    );
    assert_eq!(fs::read(out.join("a.npy")).unwrap(), b"new");
    assert_eq!(fs::read(out.join("manifest.json")).unwrap(), b"{2}");
}

#[test]
fn an_unfinished_bundle_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("not/there/yet");
    let mut bundle = Bundle::create(&out).unwrap();
    bundle.write("a.npy", b"1").unwrap();
    drop(bundle);
    assert!(listing(folder.path()).is_empty());
    for name in ["../x", "/x", "", "a/../../x", "sub/"] {
        let mut bundle = Bundle::create(&out).unwrap();
        assert!(bundle.write(name, b"1").is_err(), "{name}");
    }
    assert!(listing(folder.path()).is_empty());
}

#[test]
fn a_failing_bundle_restores_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    fs::write(out.join("a.npy"), "old").unwrap();
    fs::write(out.join("manifest.json"), "old").unwrap();
    // A folder stands where a file must go.
    fs::create_dir_all(out.join("z.png/inside")).unwrap();
    let mut bundle = Bundle::create(out).unwrap();
    bundle.write("a.npy", b"new").unwrap();
    bundle.write("b.npy", b"new").unwrap();
    bundle.write("z.png", b"new").unwrap();
    let error = bundle.finish("manifest.json", b"new").unwrap_err();
    assert!(error.message().contains("z.png"), "{error}");
    assert_eq!(listing(out), ["a.npy", "manifest.json", "z.png"]);
    assert_eq!(fs::read(out.join("a.npy")).unwrap(), b"old");
    assert_eq!(fs::read(out.join("manifest.json")).unwrap(), b"old");
}

#[test]
fn places_that_cannot_be_written_are_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    let mut places = vec![file.clone(), file.join("as/dir")];
    if cfg!(unix) {
        places.push("/dev/null/x".into());
    }
    for place in places {
        let error = Bundle::create(&place).unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.message().contains("is a file"), "{error}");
        assert!(error.message().contains("nothing was changed"), "{error}");
        assert!(write_whole(&place.join("x.png"), b"1").is_err());
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert_eq!(listing(folder.path()), ["file"]);
    assert!(write_whole(folder.path(), b"1").is_err());
    let picture = RgbImage::new(3, 2);
    write_whole(
        &file,
        &png_bytes(&picture, &[("Software", "Camlens")]).unwrap(),
    )
    .unwrap();
    assert_eq!(
        image::open(&file).ok(),
        None,
        "no extension: sniff by content instead"
    );
    assert!(image::load_from_memory(&fs::read(&file).unwrap()).is_ok());
}
