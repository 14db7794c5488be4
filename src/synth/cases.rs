//! The cases that ship: who, how the film was taken, and what is wrong.

use super::anatomy::Chest;
use super::film::{Film, View};
use super::lesion::Lesion;
use super::people;
use super::render::Matter;

/// Seed and index of the second adult among all people that can be drawn.
const OTHER_ADULT: (u64, usize) = (99, 4);

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Name of the files.
    pub(crate) name: &'static str,
    /// What a user reads in a list.
    pub(crate) title: &'static str,
    /// What is in the picture, for who wants to check a heatmap against it.
    pub(crate) contains: &'static str,
    pub(crate) person: Person,
    pub(crate) lesions: Vec<Lesion>,
}

/// A chest with the film taken of it.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) chest: Chest,
    pub(crate) view: View,
    pub(crate) film: Film,
    pub(crate) matter: Matter,
}

impl Person {
    /// The same film with another number of pixels.
    pub(crate) fn at_width(mut self, width: usize) -> Self {
        let scale = self.view.width as f32 / width as f32;
        self.view.height = (self.view.height as f32 / scale).round() as usize;
        self.view.width = width;
        self.view.mm_per_px *= scale;
        self
    }
}

fn view(width: usize, height: usize, field_mm: f32, top: f32) -> View {
    View {
        width,
        height,
        // Nobody stands exactly in the middle.
        origin: [-0.5 * field_mm - 2.0, top],
        mm_per_px: field_mm / width as f32,
    }
}

pub(crate) fn man() -> Person {
    Person {
        chest: Chest {
            seed: 7,
            half_width: 141.0,
            widest: 235.0,
            half_depth: 92.0,
            squareness: 2.35,
            domes: [212.0, 222.0],
            dome_drop: 56.0,
            heart: 0.95,
            heart_shift: 0.0,
            wall: [25.0, 24.0],
            breast: 0.0,
            child: false,
            pitch: [20.5, 25.0],
            rib_fall: 1.0,
        },
        view: view(1024, 1024, 362.0, -48.0),
        film: Film {
            tones: [0.43, 0.85],
            scatter: 0.30,
            grain: 0.0085,
            blur_px: 0.7,
            sharpen: 0.60,
            marker: ('L', [0.945, 0.065], 0.036, 0.06),
            collimation: ([0.0, 0.022, 0.0, 0.0], 0.008),
        },
        matter: Matter {
            bone: 1.0,
            scale: 1.0,
        },
    }
}

pub(crate) fn woman() -> Person {
    Person {
        chest: Chest {
            seed: 23,
            half_width: 132.0,
            widest: 215.0,
            half_depth: 84.0,
            squareness: 2.3,
            domes: [196.0, 206.0],
            dome_drop: 52.0,
            heart: 0.87,
            heart_shift: 3.0,
            wall: [24.0, 26.0],
            breast: 0.55,
            child: false,
            pitch: [19.5, 23.5],
            rib_fall: 1.06,
        },
        view: view(1060, 916, 352.0, -42.0),
        film: Film {
            tones: [0.44, 0.86],
            scatter: 0.34,
            grain: 0.0085,
            blur_px: 0.8,
            sharpen: 0.55,
            marker: ('L', [0.945, 0.075], 0.038, -0.12),
            collimation: ([0.0, 0.0, 0.016, 0.02], -0.006),
        },
        matter: Matter {
            bone: 0.95,
            scale: 1.0,
        },
    }
}

pub(crate) fn toddler() -> Person {
    Person {
        chest: Chest {
            seed: 41,
            half_width: 141.0,
            widest: 190.0,
            half_depth: 96.0,
            squareness: 2.25,
            domes: [178.0, 184.0],
            dome_drop: 48.0,
            heart: 1.0,
            heart_shift: -2.0,
            wall: [20.0, 18.0],
            breast: 0.0,
            child: true,
            pitch: [18.0, 21.0],
            rib_fall: 0.80,
        },
        view: view(1080, 880, 350.0, -62.0),
        film: Film {
            tones: [0.41, 0.80],
            scatter: 0.16,
            grain: 0.007,
            blur_px: 1.1,
            sharpen: 0.55,
            marker: ('R', [0.07, 0.42], 0.045, 0.0),
            collimation: ([0.0; 4], 0.0),
        },
        matter: Matter {
            bone: 1.45,
            scale: 0.62,
        },
    }
}

fn lesion(centre: [f32; 3], radius: [f32; 3], strength: f32, patchy: f32, seed: u64) -> Lesion {
    Lesion {
        centre,
        radius,
        strength,
        patchy,
        fissure: None,
        seed,
    }
}

/// All cases, healthy ones before the same chest with disease.
pub(crate) fn all() -> Vec<Case> {
    let (other, others_lesions) = people::draw(OTHER_ADULT.0, OTHER_ADULT.1);
    vec![
        Case {
            name: "man-normal",
            title: "Adult man, normal",
            contains: "No opacity. Lungs clear, heart of normal size, sharp costophrenic angles",
            person: man(),
            lesions: vec![],
        },
        Case {
            name: "man-right-middle",
            title: "Adult man, right mid zone consolidation",
            contains: "Confluent air-space opacity in the right mid zone, with a hint of air bronchograms; otherwise the chest of man-normal",
            person: man(),
            lesions: vec![lesion(
                [-80.0, 132.0, -4.0],
                [50.0, 46.0, 74.0],
                1.0,
                0.25,
                301,
            )],
        },
        Case {
            name: "man-left-middle",
            title: "Adult man, left mid zone patchy opacity",
            contains: "Patchy air-space opacity in the left mid zone; otherwise the chest of man-normal",
            person: man(),
            lesions: vec![
                lesion([88.0, 112.0, 6.0], [46.0, 42.0, 66.0], 0.95, 0.5, 302),
                lesion([72.0, 146.0, 24.0], [26.0, 24.0, 38.0], 0.7, 0.6, 312),
            ],
        },
        Case {
            name: "adult-normal",
            title: "Another adult, normal",
            contains: "No opacity. Another build and another film than man-normal",
            person: other.clone(),
            lesions: vec![],
        },
        Case {
            name: "adult-bilateral",
            title: "Another adult, opacities on both sides",
            contains: "Air-space opacities in the upper and mid zones of both lungs; otherwise the chest of adult-normal",
            person: other,
            lesions: others_lesions,
        },
        Case {
            name: "child-normal",
            title: "Young child, normal",
            contains: "No opacity. Supine with the arms up; heart and thymus wide, as at this age",
            person: toddler(),
            lesions: vec![],
        },
        Case {
            name: "child-right-upper",
            title: "Young child, right upper lobe consolidation",
            contains: "Confluent air-space opacity of the right upper lobe with a straight lower border, the minor fissure; otherwise the chest of child-normal",
            person: toddler(),
            lesions: vec![Lesion {
                fissure: Some(92.0),
                ..lesion([-68.0, 66.0, 0.0], [62.0, 56.0, 76.0], 0.9, 0.25, 307)
            }],
        },
    ]
}
