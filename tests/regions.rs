//! Regions: every kind of file, what is said about broken ones, the way out and back, and `explain --regions`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

use std::fs;
use std::path::Path;

use camlens::error::Kind;
use camlens::evaluate::localisation::Localisation;
use camlens::explain::RawMap;
use camlens::image::Image;
use camlens::image::geometry::Affine;
use camlens::plan::Post;
use camlens::post::{process, scale_range};
use camlens::regions::{
    Mask, Region, Regions, Shape, Subject, looks_like_regions, open, parse, to_coco, union_mask,
};
use image::{GrayImage, ImageBuffer, Luma};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{camlens, shared};

const SIZE: [usize; 2] = [1024, 1024];

fn subject(name: &str, size: [usize; 2]) -> Subject<'_> {
    Subject {
        name,
        path: None,
        size,
    }
}

fn read(text: &str, name: &str, size: [usize; 2]) -> camlens::Result<Regions> {
    parse(Path::new("file"), text.as_bytes(), &subject(name, size))
}

/// The sentence with which a file is refused.
fn refused(text: &str, name: &str, size: [usize; 2]) -> String {
    let error = read(text, name, size).expect_err("this must be refused");
    assert!(error.to_string().starts_with("'file'"), "{error}");
    error.to_string()
}

fn boxed(x: f64, y: f64, w: f64, h: f64) -> Shape {
    Shape::Box { x, y, w, h }
}

// ---- files -------------------------------------------------------------------------------------

const NIH: &str = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n\
    00013118_008.png,Atelectasis,225.084745762712,547.019216763771,86.7796610169491,79.1864406779661,,,\n\
    00014716_007.png,Atelectasis,686.101694915254,131.543498411017,185.491525423729,313.491525423729,,,\n\
    00013118_008.png,Mass,10.5,20,30,40.25,,,\n";

#[test]
fn nih_boxes_are_read_by_the_pictures_name() {
    let found = read(NIH, "00013118_008.png", SIZE).unwrap();
    assert_eq!(found.labels(), ["Atelectasis", "Mass"]);
    assert_eq!(found.list[1].shape, boxed(10.5, 20.0, 30.0, 40.25));
    assert_eq!(found.list[0].origin, "file");
    assert!(found.notices.is_empty());
    // The same picture in another format; of another size it is said.
    let small = read(NIH, "00013118_008.jpeg", [700, 700]).unwrap();
    assert!(small.notices[0].contains("1024"), "{:?}", small.notices);
    let words = refused(NIH, "chest.png", SIZE);
    assert!(
        words.contains("no region for 'chest.png'") && words.contains("2 other pictures"),
        "{words}"
    );
    let broken = NIH.replace("20,30", "20,wide");
    let words = refused(&broken, "00013118_008.png", SIZE);
    assert!(
        words.contains("line 4") && words.contains("'wide'") || words.contains("wide"),
        "{words}"
    );
    let flat = NIH.replace("20,30", "20,-30");
    assert!(refused(&flat, "00013118_008.png", SIZE).contains("above 0"));
    // Boxes of the original on a picture that was shrunk.
    let words = refused(NIH, "00013118_008.png", [256, 256]);
    assert!(
        words.contains("line 2") && words.contains("256 x 256"),
        "{words}"
    );
}

#[test]
fn rsna_rows_are_boxes_or_say_that_there_is_none() {
    let text = "patientId,x,y,width,height,Target\n\
        0004cfab-14fd-4e49-80ba-63a80b6bddd6,,,,,0\n\
        00436515-870c-4b36-a041-de91049b9ab4,264.0,152.0,213.0,379.0,1\n\
        00436515-870c-4b36-a041-de91049b9ab4,562.0,152.0,256.0,453.0,1\n";
    let found = read(text, "00436515-870c-4b36-a041-de91049b9ab4.dcm", SIZE).unwrap();
    assert_eq!(found.list.len(), 2);
    assert_eq!(found.list[1].shape, boxed(562.0, 152.0, 256.0, 453.0));
    assert_eq!(found.list[1].label, "Pneumonia");
    let words = refused(text, "0004cfab-14fd-4e49-80ba-63a80b6bddd6.dcm", SIZE);
    assert!(words.contains("draws nothing on it"), "{words}");
    let odd = text.replace("379.0,1", "379.0,maybe");
    let words = refused(&odd, "00436515-870c-4b36-a041-de91049b9ab4", SIZE);
    assert!(
        words.contains("line 3") && words.contains("maybe") && words.contains("0 or 1"),
        "{words}"
    );
    let cut = text.replace("562.0,152.0,256.0,453.0,1", "562.0,152.0,,453.0,1");
    let words = refused(&cut, "00436515-870c-4b36-a041-de91049b9ab4", SIZE);
    assert!(
        words.contains("line 4") && words.contains("width"),
        "{words}"
    );
}

#[test]
fn the_manifest_of_real_x_rays_gives_their_boxes() {
    let Some(path) = shared("data/nih/manifest.csv") else {
        return;
    };
    let found = open(&path, &subject("00010277_000.png", SIZE)).unwrap();
    assert_eq!(
        found.labels(),
        ["Effusion", "Infiltrate", "Mass", "Pneumonia"]
    );
    assert_eq!(
        found.about("pneumonia")[0].shape,
        boxed(642.28, 423.58, 265.1, 223.0)
    );
    let words = open(&path, &subject("00010277_000.png", [256, 256])).unwrap_err();
    assert!(words.message().contains("1024 x 1024"), "{words}");
    let words = open(&path, &subject("00001280_004.jpeg", [256, 256])).unwrap_err();
    assert!(words.message().contains("draws nothing on it"), "{words}");
}

fn coco() -> Value {
    json!({
        "images": [
            {"id": 7, "file_name": "a/x.png", "width": 6, "height": 4},
            {"id": 8, "file_name": "y.png", "width": 6, "height": 4},
        ],
        "categories": [{"id": 1, "name": "Nodule"}, {"id": 5, "name": "Effusion"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 5, "bbox": [1, 1, 2.5, 2]},
            {"id": 2, "image_id": 8, "category_id": 5, "bbox": [0, 0, 1, 1]},
            {"id": 3, "image_id": 7, "category_id": 1, "segmentation": [[0, 0, 4, 0, 0, 4], [5, 0, 6, 0, 6, 1, 5, 1]]},
            {"id": 4, "image_id": 7, "category_id": 1, "iscrowd": 1,
             "segmentation": {"size": [4, 6], "counts": [5, 2, 2, 2, 13]}},
        ],
    })
}

#[test]
fn coco_has_boxes_outlines_and_run_lengths() {
    let found = read(&coco().to_string(), "x.png", [6, 4]).unwrap();
    assert_eq!(found.list.len(), 3);
    assert_eq!(found.list[0].shape, boxed(1.0, 1.0, 2.5, 2.0));
    assert_eq!(found.list[0].label, "Effusion");
    let Shape::Polygon(rings) = &found.list[1].shape else {
        panic!("{:?}", found.list[1]);
    };
    assert_eq!(rings.len(), 2);
    // Column by column: column 1 has rows 1 and 2, column 2 rows 1 and 2.
    let mask = union_mask(&[&found.list[2]], [6, 4]);
    let inside: Vec<usize> = (0..24).filter(|i| mask[*i]).collect();
    assert_eq!(inside, [7, 8, 13, 14]);
    // The same as COCO's text.
    let mut packed = coco();
    packed["annotations"][3]["segmentation"]["counts"] = json!("5220;");
    let same = read(&packed.to_string(), "x.png", [6, 4]).unwrap();
    assert_eq!(union_mask(&[&same.list[2]], [6, 4]), mask);
    let text = to_coco(&found, "x.png");
    let again = read(&text, "x.png", [6, 4]).unwrap();
    assert_eq!(union_mask(&[&again.list[2]], [6, 4]), mask);
}

#[test]
fn broken_coco_is_said_by_its_place() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut value = coco();
        change(&mut value);
        refused(&value.to_string(), "x.png", [6, 4])
    };
    let words = with(&|v| v["annotations"][0]["bbox"] = json!([1, 1, "wide", 2]));
    assert!(
        words.contains("annotations[0].bbox") && words.contains("wide"),
        "{words}"
    );
    let words = with(&|v| v["annotations"][2]["segmentation"] = json!([[0, 0, 4]]));
    assert!(
        words.contains("annotations[2].segmentation") && words.contains("three corners"),
        "{words}"
    );
    let words = with(&|v| v["annotations"][3]["segmentation"]["counts"] = json!([5, 2]));
    assert!(
        words.contains("7 pixels") && words.contains("24 pixels"),
        "{words}"
    );
    let words = with(&|v| v["annotations"][3]["segmentation"]["counts"] = json!("5~"));
    assert!(words.contains("5~"), "{words}");
    let words = with(&|v| v["images"][0]["width"] = json!(12));
    assert!(
        words.contains("12 x 4") && words.contains("6 x 4"),
        "{words}"
    );
    let words = refused(&coco().to_string(), "z.png", [6, 4]);
    assert!(words.contains("no region for 'z.png'"), "{words}");
    let mut value = coco();
    value["annotations"] = json!([]);
    assert!(refused(&value.to_string(), "x.png", [6, 4]).contains("draws nothing"));
    assert!(refused("{\"a\": ", "x.png", [6, 4]).contains("JSON"));
    assert!(refused("{\"a\": 1}", "x.png", [6, 4]).contains("JSON of another kind"));
}

#[test]
fn chexlocalize_has_outlines_or_masks() {
    let path = Path::new("CheXpert/valid/patient64541/study1/view1_frontal.jpg");
    let subject = Subject {
        name: "view1_frontal.jpg",
        path: Some(path),
        size: [6, 4],
    };
    let annotations = json!({
        "patient64541_study1_view1_frontal": {
            "img_size": [4, 6],
            "Edema": [[[0, 0], [4, 0], [0, 4]], [[5.0, 0.0], [6.0, 0.0], [6.0, 1.0], [5.0, 1.0]]],
        },
        "patient1_study1_view1_frontal": {"img_size": [9, 9], "Edema": []},
    });
    let found = parse(
        Path::new("file"),
        annotations.to_string().as_bytes(),
        &subject,
    )
    .unwrap();
    assert_eq!(
        (found.list.len(), found.list[0].label.as_str()),
        (1, "Edema")
    );
    // Pixels whose centre is inside of x + y < 4, the centres on the slanted edge aside, and one more.
    let mask = union_mask(&[&found.list[0]], [6, 4]);
    assert_eq!(mask.iter().filter(|set| **set).count(), 7);

    // Column 1: rows 1 and 2; a finding that is not there has a mask of nothing.
    let segmentations = json!({
        "patient64541_study1_view1_frontal": {
            "Atelectasis": {"size": [4, 6], "counts": "h0"},
            "Edema": {"size": [4, 6], "counts": "52a0"},
        },
    });
    let found = parse(
        Path::new("file"),
        segmentations.to_string().as_bytes(),
        &subject,
    )
    .unwrap();
    assert_eq!(found.labels(), ["Edema"]);
    let mask = union_mask(&[&found.list[0]], [6, 4]);
    assert_eq!((0..24).filter(|i| mask[*i]).collect::<Vec<_>>(), [7, 13]);

    let other = Subject {
        size: [7, 4],
        ..subject
    };
    for value in [&annotations, &segmentations] {
        let words = parse(Path::new("file"), value.to_string().as_bytes(), &other).unwrap_err();
        assert!(words.message().contains("7 x 4"), "{words}");
    }
    let mut odd = annotations;
    odd["patient64541_study1_view1_frontal"]["Edema"] = json!([[[0, 0], [4, 0]]]);
    let words = parse(Path::new("file"), odd.to_string().as_bytes(), &subject).unwrap_err();
    assert!(words.message().contains("view1_frontal.Edema"), "{words}");
}

#[test]
fn yolo_lines_are_shares_of_the_picture() {
    let text = "0 0.5 0.25 0.2 0.5\n\n3 0.1 0.1 0.4 0.1 0.1 0.4\n1 0.5 0.5 0.1 0.1 0.93\n";
    let found = read(text, "whatever.png", [200, 100]).unwrap();
    assert_eq!(found.list.len(), 3);
    let [left, top, right, bottom] = found.list[0].shape.bounds();
    for (a, b) in [(left, 80.0), (top, 0.0), (right, 120.0), (bottom, 50.0)] {
        assert!((a - b).abs() < 1e-9, "{:?}", found.list[0]);
    }
    assert!(matches!(&found.list[1].shape, Shape::Polygon(rings) if rings[0].len() == 3));
    assert_eq!(found.labels(), ["Class 0", "Class 3", "Class 1"]);
    for (bad, says) in [
        ("0 0.5 0.25 0.2 1.5", "from 0 to 1"),
        ("0 0.5 0.25 0.2 0", "above 0"),
        ("0 0.5 0.25 0.2 0.5\nleft 1 1 1 1", "line 2"),
        ("0 0.5 0.25 0.2 0.5 0.1 0.1 0.1", "corners"),
    ] {
        let words = refused(bad, "whatever.png", [200, 100]);
        assert!(words.contains(says), "{bad}: {words}");
    }
}

fn png(picture: &GrayImage) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

#[test]
fn masks_are_what_is_not_zero() {
    let picture: GrayImage = ImageBuffer::from_fn(40, 30, |x, y| Luma([u8::from(x > 30 && y < 4)]));
    let file = Path::new("lung left.png");
    let found = parse(file, &png(&picture), &subject("x.png", [40, 30])).unwrap();
    assert_eq!(found.list[0].label, "lung left");
    assert_eq!(found.list[0].shape.pixels([40, 30]), 36);
    assert_eq!(found.list[0].shape.bounds(), [31.0, 0.0, 40.0, 4.0]);

    // A palette whose colour 0 is white and whose colour 1 is black, at 1, 2, 4 and 8 bits.
    for depth in [
        png::BitDepth::One,
        png::BitDepth::Two,
        png::BitDepth::Four,
        png::BitDepth::Eight,
    ] {
        let bits = depth as usize;
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 10, 3);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(depth);
        encoder.set_palette(vec![255, 255, 255, 0, 0, 0]);
        let mut writer = encoder.write_header().unwrap();
        let line = (10 * bits).div_ceil(8);
        let mut data = vec![0_u8; 3 * line];
        // Pixel 9 of row 1.
        let bit = 9 * bits;
        data[line + bit / 8] |= 1 << (8 - bits - bit % 8);
        writer.write_image_data(&data).unwrap();
        writer.finish().unwrap();
        let found = parse(file, &bytes, &subject("x.png", [10, 3])).unwrap();
        assert_eq!(
            found.list[0].shape.bounds(),
            [9.0, 1.0, 10.0, 2.0],
            "{bits} bits"
        );
    }

    let words = |bytes: &[u8], size| parse(file, bytes, &subject("x.png", size)).unwrap_err();
    let error = words(&png(&picture), [30, 40]);
    assert!(
        error.message().contains("40 x 30") && error.message().contains("30 x 40"),
        "{error}"
    );
    let error = words(&png(&GrayImage::new(40, 30)), [40, 30]);
    assert!(
        error.message().contains("every pixel of the mask is 0"),
        "{error}"
    );
    let whole = png(&picture);
    let error = words(&whole[..whole.len() / 2], [40, 30]);
    assert!(error.message().contains("lung left.png"), "{error}");
}

#[test]
fn real_masks_have_the_size_of_their_x_rays() {
    let Some(folder) = shared("data/covid/lesion_masks") else {
        return;
    };
    let x_ray = Image::open(&folder.join("ARDSSevere.png")).unwrap();
    let mut areas = Vec::new();
    for finding in [
        "Consolidation",
        "Ground_Glass_Opacities",
        "Left_Lung",
        "Right_Lung",
    ] {
        let path = folder.join(format!("ARDSSevere__{finding}.png"));
        let found = open(&path, &subject("ARDSSevere.png", x_ray.size())).unwrap();
        let mask = Image::open(&path).unwrap();
        let counted = mask.values.iter().filter(|v| **v != 0.0).count();
        assert_eq!(
            found.list[0].shape.pixels(x_ray.size()),
            counted,
            "{finding}"
        );
        areas.push(counted);
    }
    assert!(areas.iter().all(|area| *area > 1000), "{areas:?}");
}

#[test]
fn other_files_are_refused_in_words() {
    for text in ["hello, world", "a,b,c\n1,2,3\n", "1 2\n", "  \n \n"] {
        let words = refused(text, "x.png", [6, 4]);
        assert!(
            words.contains("is no file of regions") && words.contains("COCO"),
            "{words}"
        );
    }
    assert!(refused("", "x.png", [6, 4]).contains("empty"));
    let dir = tempfile::tempdir().unwrap();
    let error = open(dir.path(), &subject("x", SIZE)).unwrap_err();
    assert!(error.message().contains("folder"), "{error}");
    let error = open(&dir.path().join("none"), &subject("x", SIZE)).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    // What is dropped on the window is told apart from X-rays and networks.
    for (name, content, is) in [
        ("a.csv", NIH.as_bytes(), true),
        ("a.json", b"{\"images\": []}", true),
        ("a.txt", b"0 0.5 0.5 0.1 0.1\n", true),
        ("b.txt", b"notes about this case\n", false),
        ("c.bin", b"\x89PNG\r\n\x1a\n\xff\xfe", false),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        assert_eq!(looks_like_regions(&path), is, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Damaged files end in regions or in one sentence, never in a panic.
    #[test]
    fn damaged_files_are_refused_or_read(
        which in 0..4_usize,
        cuts in prop::collection::vec((0.0..1.0_f64, any::<u8>(), any::<bool>()), 1..6),
    ) {
        let texts = [
            NIH.to_owned(),
            coco().to_string(),
            "0 0.5 0.25 0.2 0.5\n3 0.1 0.1 0.4 0.1 0.1 0.4\n".to_owned(),
            json!({"x": {"Edema": {"size": [4, 6], "counts": "52a0"}}}).to_string(),
        ];
        let mut bytes = texts[which].clone().into_bytes();
        for (at, byte, cut) in cuts {
            let at = (at * bytes.len() as f64) as usize;
            if cut && bytes.len() > 8 {
                bytes.remove(at);
            } else if let Some(b) = bytes.get_mut(at) {
                *b = byte;
            }
        }
        for name in ["x.png", "00013118_008.png"] {
            if let Err(error) = parse(Path::new("file"), &bytes, &subject(name, [6, 4])) {
                prop_assert!(error.to_string().contains("'file'"));
            }
        }
    }

    /// What is written comes back as it was.
    #[test]
    fn coco_comes_back(
        boxes in prop::collection::vec((0.0..200.0_f64, 0.0..100.0_f64, 0.1..90.0_f64, 0.1..60.0_f64), 0..4),
        ellipses in prop::collection::vec((60.0..200.0_f64, 60.0..100.0_f64, 0.1..60.0_f64, 0.1..60.0_f64), 0..4),
        rings in prop::collection::vec(prop::collection::vec((0.0..300.0_f64, 0.0..160.0_f64), 3..9), 0..3),
        seed in 0..1000_usize,
        label in "[a-zA-Z ]{0,9}",
    ) {
        let size = [300, 160];
        // Numbers with few digits: of others the last bit may be lost in the text.
        let short = |v: f64| (v * 64.0).ceil() / 64.0;
        let pixels = (0..300 * 160).map(|i| (i * (seed + 7919) / 613) % 5 < 2).collect();
        let mut shapes: Vec<Shape> = boxes.into_iter().map(|(x, y, w, h)| boxed(short(x), short(y), short(w), short(h))).collect();
        shapes.extend(ellipses.into_iter().map(|(cx, cy, rx, ry)| Shape::Ellipse {
            cx: short(cx), cy: short(cy), rx: short(rx), ry: short(ry),
        }));
        if !rings.is_empty() {
            // Two corners that are never on one line: a region without an area is none.
            let corners = |ring: Vec<(f64, f64)>| {
                let ring = ring.into_iter().chain([(20.0, 30.0), (90.0, 40.0), (35.0, 80.0)]);
                ring.map(|(x, y)| [short(x), short(y)]).collect()
            };
            shapes.push(Shape::Polygon(rings.into_iter().map(corners).collect()));
        }
        shapes.push(Shape::Mask(Mask::new(size, pixels)));
        let list = shapes.into_iter().enumerate().map(|(i, shape)| Region {
            shape,
            label: if i == 0 { "Pneumonia".to_owned() } else { label.clone() },
            origin: "file".to_owned(),
        });
        let regions = Regions { list: list.collect(), size, notices: Vec::new() };
        let text = to_coco(&regions, "chest 1.png");
        let back = read(&text, "chest 1.png", size).unwrap();
        prop_assert_eq!(&back, &regions);
    }
}

// ---- the command line --------------------------------------------------------------------------

fn explain(dir: &Path, image: &Path, regions: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut args = vec![
        "explain",
        "--demo",
        "--device",
        "cpu",
        "--image",
        image.to_str().unwrap(),
    ];
    args.extend([
        "--regions",
        regions.to_str().unwrap(),
        "--out",
        dir.to_str().unwrap(),
    ]);
    args.extend(more);
    let out = camlens(&args);
    (
        out.status.code(),
        String::from_utf8_lossy(&out.stderr).into_owned(),
    )
}

fn manifest(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap()
}

fn sample() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/samples/man-right-middle.png")
}

#[test]
fn explain_measures_every_map_and_draws_the_outline() {
    let dir = tempfile::tempdir().unwrap();
    let image = Image::open(&sample()).unwrap();
    let [width, height] = image.size();
    let shape = Shape::Ellipse {
        cx: width as f64 * 0.3,
        cy: height as f64 * 0.55,
        rx: width as f64 * 0.12,
        ry: height as f64 * 0.1,
    };
    let regions = Regions {
        list: vec![Region {
            shape: shape.clone(),
            label: "Pneumonia".into(),
            origin: String::new(),
        }],
        size: image.size(),
        notices: Vec::new(),
    };
    let file = dir.path().join("drawn.json");
    fs::write(&file, to_coco(&regions, "man-right-middle.png")).unwrap();
    let (with, without) = (dir.path().join("with"), dir.path().join("without"));
    let methods = [
        "--method",
        "grad-cam,layer-cam,lrp-epsilon-plus",
        "--cut",
        "0.35",
        "--class",
        "Pneumonia",
    ];
    let (code, words) = explain(&with, &sample(), &file, &methods);
    assert_eq!(code, Some(0), "{words}");
    let manifest = manifest(&with);
    assert_eq!(manifest["regions"]["file"], "drawn.json");
    assert_eq!(manifest["regions"]["counted"], json!(["Pneumonia"]));
    let maps = manifest["maps"].as_array().unwrap();
    assert_eq!(maps.len(), 3);
    for entry in maps {
        let numbers: Localisation = serde_json::from_value(entry["regions"].clone()).unwrap();
        let area = shape.pixels(image.size()) as f64 / (width * height) as f64;
        assert!((numbers.area_share - area).abs() < 1e-12);
        assert!(
            numbers.energy_inside.is_some() && numbers.pointing_hit.is_some(),
            "{entry}"
        );
    }
    // Once more from the array that was written, pixel by pixel.
    let entry = &maps[0];
    let array = camlens::export::read_npy(&with.join(entry["file"].as_str().unwrap())).unwrap();
    let affine: Affine =
        serde_json::from_value(manifest["input"]["source_from_model"].clone()).unwrap();
    let shape_of = |i: usize| manifest["input"]["shape"][i].as_u64().unwrap() as usize;
    let map = RawMap {
        method: "grad-cam".into(),
        layer: String::new(),
        target: Some(1),
        width: array.shape[1],
        height: array.shape[0],
        values: array.values.into(),
        model_size: [shape_of(3), shape_of(2)],
        source_from_model: affine,
        source_size: image.size(),
        blur_px: 0.0,
        notices: Vec::new(),
        conservation: Vec::new(),
    };
    let field = process(&map, &Post::default());
    let range = scale_range(&[&field], &Post::default())[0];
    let (mut energy, mut all, mut both, mut either) = (0.0, 0.0, 0_u32, 0_u32);
    for y in 0..height {
        for x in 0..width {
            let centre = [x as f64 + 0.5, y as f64 + 0.5];
            let [u, v] = field.field_from_source().apply(centre);
            let value = field.values[v as usize * field.width + u as usize];
            let inside = shape.contains(centre);
            all += f64::from(value);
            energy += if inside { f64::from(value) } else { 0.0 };
            let drawn = value > 0.0 && range.share(value) >= 0.35;
            both += u32::from(drawn && inside);
            either += u32::from(drawn || inside);
        }
    }
    let near = |name: &str, expected: f64| {
        let found = entry["regions"][name].as_f64().unwrap();
        assert!(
            (found - expected).abs() < 1e-6,
            "{name}: {found} {expected}"
        );
    };
    near("energy_inside", energy / all);
    near("iou_at_cut", f64::from(both) / f64::from(either));

    // The outline is on the overlay and nowhere else.
    let out = without.to_str().unwrap();
    let image_path = sample();
    let mut args = vec![
        "explain",
        "--demo",
        "--device",
        "cpu",
        "--image",
        image_path.to_str().unwrap(),
        "--out",
        out,
    ];
    args.extend(methods);
    assert_eq!(camlens(&args).status.code(), Some(0));
    let overlay = |dir: &Path| {
        image::open(dir.join(entry["overlay"].as_str().unwrap()))
            .unwrap()
            .to_rgb8()
    };
    let (drawn, plain) = (overlay(&with), overlay(&without));
    let Shape::Ellipse { cx, cy, rx, ry } = shape else {
        panic!()
    };
    let mut changed = 0;
    for (x, y, pixel) in drawn.enumerate_pixels() {
        let t = ((f64::from(x) + 0.5 - cx) / rx).hypot((f64::from(y) + 0.5 - cy) / ry);
        if pixel != plain.get_pixel(x, y) {
            changed += 1;
            assert!((t - 1.0).abs() < 0.15, "a mark at {x}, {y}");
        }
    }
    assert!(changed > 300, "{changed}");
}

#[test]
fn explain_says_what_is_wrong_with_regions_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("boxes.csv");
    fs::write(&file, NIH).unwrap();
    let out = dir.path().join("maps");
    let (code, words) = explain(&out, &sample(), &file, &[]);
    assert_eq!(code, Some(1));
    assert!(
        words.contains("boxes.csv' has no region for 'man-right-middle.png'"),
        "{words}"
    );
    assert!(!out.join("manifest.json").exists());
}

#[test]
fn real_boxes_are_measured_and_those_of_other_findings_left_out() {
    let (Some(image), Some(boxes)) = (
        shared("data/nih/bbox_full/00010277_000.png"),
        shared("data/nih/manifest.csv"),
    ) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("maps");
    let (code, words) = explain(&out, &image, &boxes, &["--class", "Pneumonia"]);
    assert_eq!(code, Some(0), "{words}");
    let manifest = manifest(&out);
    assert_eq!(manifest["regions"]["regions"], 4);
    assert_eq!(manifest["regions"]["counted"], json!(["Pneumonia"]));
    assert!(
        words.contains("of 4 regions the 1 called Pneumonia"),
        "{words}"
    );
    let share = manifest["maps"][0]["regions"]["area_share"]
        .as_f64()
        .unwrap();
    assert!(
        (share - 265.1 * 223.0 / 1024.0 / 1024.0).abs() < 5e-4,
        "{share}"
    );
}
