use super::cases::{self, Case};
use super::*;

fn small(name: &str) -> Case {
    let mut case = cases::all().into_iter().find(|c| c.name == name).unwrap();
    case.person = case.person.at_width(144);
    case
}

fn mean(plane: &Plane, keep: impl Fn(usize) -> bool) -> f32 {
    let kept: Vec<f32> = (0..plane.values.len())
        .filter(|&i| keep(i))
        .map(|i| plane.values[i])
        .collect();
    kept.iter().sum::<f32>() / kept.len().max(1) as f32
}

#[test]
fn the_same_case_gives_the_same_bytes() {
    let job = Job::default();
    let case = small("man-right-middle");
    let (film, mask) = render(&case, &job).unwrap();
    let (again, mask_again) = render(&case, &job).unwrap();
    assert_eq!(bytes(&film), bytes(&again));
    assert_eq!(bytes(&mask), bytes(&mask_again));
}

#[test]
fn disease_whitens_the_mask_and_little_else() {
    let job = Job::default();
    for (ill, healthy) in [
        ("man-right-middle", "man-normal"),
        ("man-left-middle", "man-normal"),
        ("adult-bilateral", "adult-normal"),
        ("child-right-upper", "child-normal"),
    ] {
        let (film, mask) = render(&small(ill), &job).unwrap();
        let (normal, nothing) = render(&small(healthy), &job).unwrap();
        assert!(nothing.values.iter().all(|&v| v == 0.0));
        let difference = Plane {
            values: film
                .values
                .iter()
                .zip(&normal.values)
                .map(|(a, b)| a - b)
                .collect(),
            ..film.clone()
        };
        let near = mask.blurred(8.0);
        let inside = mean(&difference, |i| mask.values[i] > 0.0);
        assert!(inside > 0.05, "{ill}: {inside}");
        let far = |i: usize| near.values[i] < 1e-3;
        let most = (0..difference.values.len())
            .filter(|&i| far(i))
            .map(|i| difference.values[i].abs())
            .fold(0.0, f32::max);
        let outside = mean(&difference.clone().map(f32::abs), far);
        assert!(outside < 0.002 && most < 0.06, "{ill}: {outside}, {most}");
        let area = mask.values.iter().sum::<f32>() / mask.values.len() as f32;
        assert!((0.005..0.2).contains(&area), "{ill}: {area}");
    }
}

#[test]
fn tones_are_those_of_a_chest_film() {
    let job = Job::default();
    for name in ["man-normal", "adult-normal", "child-normal"] {
        let case = small(name);
        let (film, _) = render(&case, &job).unwrap();
        let overall = mean(&film, |_| true);
        assert!((0.35..0.65).contains(&overall), "{name}: {overall}");
        let at = |x: f32, y: f32| {
            let [c, r] = case.person.view.px_from_mm(x, y);
            film.blurred(2.0).sample(c, r)
        };
        let [lung, heart, belly] = [at(-90.0, 110.0), at(30.0, 165.0), at(-70.0, 250.0)];
        assert!(
            lung + 0.15 < heart && heart < belly + 0.1,
            "{name}: {lung} {heart} {belly}"
        );
    }
}

#[test]
fn an_added_opacity_whitens_its_place_only() {
    let (width, height) = (96, 80);
    let lung: Vec<f32> = (0..width * height)
        .map(|i| 0.3 + 0.05 * ((i % 7) as f32 / 7.0) + if i % width > 80 { 0.6 } else { 0.0 })
        .collect();
    let mut image = lung.clone();
    let mask = add_opacity(
        &mut image,
        width,
        height,
        [40.0, 42.0],
        [16.0, 12.0],
        0.8,
        5,
    );
    let mut twin = lung.clone();
    assert_eq!(
        mask,
        add_opacity(&mut twin, width, height, [40.0, 42.0], [16.0, 12.0], 0.8, 5)
    );
    assert_eq!(image, twin);
    let centre = 42 * width + 40;
    assert!(mask[centre] > 0.7 && image[centre] > lung[centre] + 0.1);
    for i in 0..image.len() {
        assert!((0.0..=1.0).contains(&image[i]));
        if mask[i] == 0.0 {
            assert_eq!(image[i], lung[i]);
        }
    }
    let (dx, dy) = (2.0 * 16.0, 2.0 * 12.0);
    assert!(mask.iter().enumerate().all(|(i, &m)| {
        let (x, y) = ((i % width) as f32 - 40.0, (i / width) as f32 - 42.0);
        m == 0.0 || (x.abs() <= dx && y.abs() <= dy)
    }));
}

#[test]
fn an_opacity_that_cannot_be_changes_nothing() {
    let mut image = vec![0.4; 100];
    for radius in [[0.0, 3.0], [3.0, -1.0], [f32::NAN, 3.0]] {
        let mask = add_opacity(&mut image, 10, 10, [5.0, 5.0], radius, 1.0, 1);
        assert!(mask.iter().all(|&m| m == 0.0));
    }
    let mask = add_opacity(&mut image, 9, 10, [5.0, 5.0], [3.0, 3.0], 1.0, 1);
    assert!(mask.iter().all(|&m| m == 0.0));
    // Far outside the picture, and larger than the picture.
    add_opacity(&mut image, 10, 10, [-400.0, 5.0], [3.0, 3.0], 1.0, 1);
    assert!(image.iter().all(|&g| g == 0.4));
    add_opacity(&mut image, 10, 10, [5.0, 5.0], [90.0, 90.0], 1.0, 1);
    assert!(image.iter().all(|g| g.is_finite()));
    assert!(add_opacity(&mut [], 0, 0, [0.0; 2], [1.0; 2], 1.0, 1).is_empty());
}

#[test]
fn a_cancelled_job_ends() {
    let job = Job::default();
    job.cancel();
    let dir = tempfile::tempdir().unwrap();
    let error = make(dir.path(), &job).unwrap_err();
    assert!(error.is_cancelled());
    assert!(!dir.path().join(LIST).exists());
}

#[test]
fn every_ill_case_has_its_healthy_twin() {
    let all = cases::all();
    assert!(all.len() >= 4);
    for case in &all {
        let sample = describe(case, &all);
        assert_eq!(sample.opacity, sample.healthy.is_some());
        assert_eq!(sample.opacity, sample.mask.is_some());
    }
}

#[test]
fn what_ships_is_what_is_made() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/samples");
    let list = fs::read(folder.join(LIST)).unwrap();
    let samples: Samples = serde_json::from_slice(&list).unwrap();
    let all = cases::all();
    assert_eq!(samples.cases.len(), all.len());
    for (sample, case) in samples.cases.iter().zip(&all) {
        let made = Sample {
            mask_box: sample.mask_box,
            ..describe(case, &all)
        };
        assert_eq!(*sample, made);
        let [width, height] = sample.size.map(|v| v as u32);
        for name in std::iter::once(&sample.file).chain(&sample.mask) {
            let size = ::image::image_dimensions(folder.join(name)).unwrap();
            assert_eq!(size, (width, height), "{name}");
        }
        let Some(name) = &sample.mask else { continue };
        let mask = ::image::open(folder.join(name)).unwrap().to_luma8();
        assert!(mask.pixels().all(|p| p.0[0] == 0 || p.0[0] == 255));
        let values = mask.pixels().map(|p| f32::from(p.0[0])).collect();
        let plane = Plane {
            width: sample.size[0],
            height: sample.size[1],
            values,
        };
        assert_eq!(bounds(&plane), sample.mask_box);
    }
}
