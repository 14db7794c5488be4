//! A set of synthetic chests for training: other people than those of the sample cases, each once healthy
//! and once with opacities.
//!
//! The shipped network is asked about synthetic sample cases, so it must have seen that such films
//! exist; what it learns there is what an opacity is, since healthy and ill films of a person differ in nothing else.

use std::fs;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::cases::{Person, man, toddler, woman};
use super::lesion::Lesion;
use super::{render_person, write_png};
use crate::error::Result;
use crate::job::Job;
use crate::text::fault;

/// Folder of the films below the set's folder, as training expects it.
const FILMS: &str = "train224";

/// Width of a film in pixels.
const WIDTH: usize = 256;

/// Renders `count` people, two films each, and a `manifest.csv` as `camlens train` reads it; all
/// of them are training patients.
///
/// # Errors
/// `Io` where a file cannot be written; `Cancelled`.
pub fn make_set(folder: &Path, count: usize, seed: u64, job: &Job) -> Result<()> {
    let name = folder.file_name().map_or_else(
        || "synthetic".to_owned(),
        |n| n.to_string_lossy().into_owned(),
    );
    let mut manifest = String::from("file,label,patient_id,split_by_patient\n");
    for label in ["NORMAL", "PNEUMONIA"] {
        let dir = folder.join(FILMS).join(label);
        fs::create_dir_all(&dir).map_err(|e| fault::write(&dir, &e))?;
    }
    for index in 0..count {
        job.check()?;
        job.progress(crate::text::window::RENDERING, index, count);
        let (person, lesions) = draw(seed, index);
        let person = person.at_width(WIDTH);
        for (label, lesions) in [("NORMAL", &[][..]), ("PNEUMONIA", &lesions)] {
            let (film, _) = render_person(&person, lesions, job)?;
            let file = format!("{FILMS}/{label}/synthetic-{index:04}.png");
            write_png(&folder.join(&file), &film)?;
            manifest.push_str(&format!("{name}/{file},{label},SYN{index:04},train\n"));
        }
    }
    let path = folder.join("manifest.csv");
    fs::write(&path, manifest).map_err(|e| fault::write(&path, &e))
}

/// A person and their opacities. One stream a person: the first ten people are the same in a larger
/// set.
pub(super) fn draw(seed: u64, index: usize) -> (Person, Vec<Lesion>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index as u64);
    let person = person(&mut rng);
    let lesions = lesions(&mut rng, person.chest.child);
    (person, lesions)
}

/// Anyone like the people of the sample cases, in other proportions and taken with other films.
fn person(rng: &mut ChaCha8Rng) -> Person {
    let mut person = match rng.random_range(0..3) {
        0 => man(),
        1 => woman(),
        _ => toddler(),
    };
    let mut about = |value: f32, share: f32| value * (1.0 + rng.random_range(-share..share));
    let chest = &mut person.chest;
    for value in [
        &mut chest.half_width,
        &mut chest.half_depth,
        &mut chest.widest,
    ] {
        *value = about(*value, 0.06);
    }
    let lift = about(1.0, 0.05);
    chest.domes = chest.domes.map(|level| level * lift);
    chest.dome_drop = about(chest.dome_drop, 0.12);
    chest.heart = about(chest.heart, 0.10);
    chest.wall = chest.wall.map(|wall| about(wall, 0.15));
    chest.breast = (about(chest.breast, 0.5)).clamp(0.0, 1.0);
    chest.rib_fall = about(chest.rib_fall, 0.08);
    let film = &mut person.film;
    film.tones = [about(film.tones[0], 0.14), about(film.tones[1], 0.07)];
    film.scatter = about(film.scatter, 0.3);
    film.sharpen = about(film.sharpen, 0.3);
    person.matter.bone = about(person.matter.bone, 0.15);
    chest.heart_shift += rng.random_range(-5.0..5.0);
    // Seeds of the sample cases are below 1000.
    chest.seed = rng.random_range(1_000..1_000_000);
    person
}

/// One to four opacities somewhere in the lungs.
fn lesions(rng: &mut ChaCha8Rng, child: bool) -> Vec<Lesion> {
    let scale = if child { 0.85 } else { 1.0 };
    let count = rng.random_range(1..=4);
    (0..count)
        .map(|_| {
            let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
            let size = rng.random_range(22.0..54.0) * scale;
            Lesion {
                centre: [
                    side * rng.random_range(58.0..98.0),
                    rng.random_range(58.0..212.0) * scale,
                    rng.random_range(-25.0..25.0),
                ],
                radius: [size, size * rng.random_range(0.8..1.2), 1.5 * size],
                strength: rng.random_range(0.55..1.0),
                patchy: rng.random_range(0.1..0.8),
                fissure: None,
                seed: rng.random(),
            }
        })
        .collect()
}
