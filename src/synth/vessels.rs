//! Pulmonary vessels and airways: trees that leave the hila and thin out towards the pleura.

use super::anatomy::{Chest, SOFT, length};
use super::bones::{Ink, curve};
use super::film::View;
use super::lesion::{FLUID, Lesion, density};
use super::plane::{Dice, Noise, Plane};
use crate::error::Result;
use crate::job::Job;

type Point = [f32; 3];
/// A vessel or airway: points and radii in millimetres.
type Branch = Vec<(Point, f32)>;

/// Both lungs' trees.
pub(crate) struct Trees {
    vessels: Vec<Branch>,
    airways: Vec<Branch>,
}

impl Trees {
    /// Grows the trees of one person.
    pub(crate) fn grow(chest: &Chest) -> Self {
        let mut vessels = Vec::new();
        let mut airways = Vec::new();
        for side in [-1.0f32, 1.0] {
            let mut dice = Dice::new(chest.seed, 70 + u64::from(side > 0.0));
            let hilum = hilum(chest, side);
            let base = chest.domes[usize::from(side > 0.0)] - 212.0;
            // The large arteries and veins that make the hilar shadow.
            let [x, y, z] = hilum;
            let low = y + 46.0 + 0.5 * base;
            vessels.push(curve(&[
                ([x - side * 20.0, y - 4.0, z], 9.0),
                ([x - side * 3.0, y - 1.0, z], 8.4),
                ([x + side * 4.0, y + 18.0, z - 6.0], 6.4),
                ([x + side * 6.0, low, z - 14.0], 4.0),
            ]));
            vessels.push(curve(&[
                ([x - side * 22.0, y + 26.0, z + 4.0], 6.0),
                ([x - side * 4.0, y + 24.0, z + 8.0], 4.8),
                ([x + side * 12.0, y + 34.0, z + 14.0], 3.2),
            ]));
            vessels.push(curve(&[
                ([x - side * 12.0, y + 4.0, z + 6.0], 6.0),
                ([x - side * 1.0, y - 14.0, z + 6.0], 4.4),
                ([x + side * 6.0, y - 32.0, z + 6.0], 3.0),
            ]));
            for k in 0..52 {
                let Some(target) = target(chest, &mut dice, side) else {
                    continue;
                };
                // Blood runs to the bases of someone upright: vessels there are wider.
                let lower = ((target[1] - hilum[1]) / 100.0).clamp(-0.8, 1.0);
                let start_y = y + if lower > 0.2 {
                    dice.range(4.0, 46.0)
                } else {
                    dice.range(-30.0, 24.0)
                };
                let start = [
                    x + side * dice.range(-4.0, 12.0),
                    start_y,
                    z + dice.range(-9.0, 9.0) + 0.4 * (target[2] - z),
                ];
                let radius = dice.range(1.45, 2.35) * (1.0 + 0.30 * lower);
                let out = [
                    start[0] + side * dice.range(6.0, 20.0),
                    start[1] + 14.0 * lower,
                    start[2],
                ];
                branch(
                    chest,
                    &mut dice,
                    [start, out, target],
                    radius,
                    0,
                    &mut vessels,
                );
                if k % 4 == 0 {
                    let mut air = Vec::new();
                    branch(chest, &mut dice, [start, out, target], 2.1, 1, &mut air);
                    airways.append(&mut air);
                }
            }
            // Small vessels whose stems are lost among the others.
            for _ in 0..150 {
                let Some(tip) = target(chest, &mut dice, side) else {
                    continue;
                };
                let t = dice.range(0.35, 0.62);
                let from: Point =
                    [0, 1, 2].map(|i| hilum[i] + t * (tip[i] - hilum[i]) + 5.0 * dice.normal());
                let mid: Point = [0, 1, 2].map(|i| 0.5 * (from[i] + tip[i]) + 3.0 * dice.normal());
                let radius = dice.range(0.75, 1.25);
                branch(chest, &mut dice, [from, mid, tip], radius, 2, &mut vessels);
            }
        }
        Self { vessels, airways }
    }

    /// Attenuation of the vessels; where disease has filled the lung round them they are lost, and
    /// the airways, still open, stand out dark (the air bronchogram).
    ///
    /// # Errors
    /// `Cancelled`.
    pub(crate) fn draw(
        &self,
        chest: &Chest,
        view: &View,
        lesions: &[Lesion],
        job: &Job,
    ) -> Result<Plane> {
        let mut plane = Plane::zero(view.width, view.height);
        let mut ink = Ink {
            plane: &mut plane,
            view,
        };
        for line in &self.vessels {
            job.check()?;
            ink.tube(line, |p| {
                let free = if lesions.is_empty() {
                    1.0
                } else {
                    1.0 - density(lesions, p)
                };
                1.2 * FLUID * free * chest.lung(p, 3.0)
            });
        }
        if !lesions.is_empty() {
            for line in &self.airways {
                job.check()?;
                ink.tube(line, |p| {
                    -0.9 * SOFT * density(lesions, p).powi(2) * chest.lung(p, 3.0)
                });
            }
        }
        Ok(plane)
    }
}

fn hilum(chest: &Chest, side: f32) -> Point {
    let scale = chest.half_width / 143.0 * if chest.child { 1.16 } else { 1.0 };
    if side < 0.0 {
        [-38.0 * scale, 110.0, -8.0]
    } else {
        [41.0 * scale + 0.4 * chest.heart_shift, 102.0, -10.0]
    }
}

/// A random place in the lung, short of the pleura.
fn target(chest: &Chest, dice: &mut Dice, side: f32) -> Option<Point> {
    // Most vessels are followed to where they are lost, near the pleura.
    let deepest = dice.range(12.0, 34.0);
    (0..60).find_map(|_| {
        let p = [
            side * dice.range(25.0, chest.half_width),
            dice.range(12.0, chest.domes[0] + chest.dome_drop),
            dice.range(-chest.half_depth, chest.half_depth),
        ];
        let inside = chest.lung(p, 2.0) > 0.9 && (4.0..deepest).contains(&chest.cage(p));
        inside.then_some(p)
    })
}

/// A curved vessel from the first point towards the last, and its twigs.
fn branch(
    chest: &Chest,
    dice: &mut Dice,
    [a, b, c]: [Point; 3],
    radius: f32,
    depth: u32,
    out: &mut Vec<Branch>,
) {
    let span = length([c[0] - a[0], c[1] - a[1], c[2] - a[2]]);
    let steps = (span / 5.0).ceil().max(2.0) as usize;
    let wobble = Noise::new(u64::from(radius.to_bits()) ^ u64::from(c[0].to_bits()), 71);
    let mut line: Branch = Vec::with_capacity(steps + 1);
    for i in 0..=steps {
        let t = i as f32 / steps as f32;
        let bend = (0.035 * span).min(2.6) * (1.0 - t) * t * 4.0;
        let p = [0, 1, 2].map(|k| {
            let quad = (1.0 - t) * (1.0 - t) * a[k] + 2.0 * t * (1.0 - t) * b[k] + t * t * c[k];
            quad + bend * wobble.at(t * 3.1, k as f32 * 5.7, 0.0)
        });
        line.push((p, (radius * (1.0 - 0.58 * t)).max(0.3)));
    }
    if depth < 4 {
        let every = if depth == 0 { 2 } else { 1 };
        for i in (2..steps).step_by(every) {
            let (p, r) = line[i];
            let (q, _) = line[i - 1];
            let ahead: Point = [0, 1, 2].map(|k| p[k] - q[k]);
            let size = length(ahead).max(1e-3);
            let reach = (r * dice.range(15.0, 30.0)).min(60.0);
            if reach < 6.0 || dice.unit() < 0.25 {
                continue;
            }
            // Twigs leave at an angle, on changing sides.
            let aside: Point = [dice.normal(), dice.normal(), dice.normal()];
            let mid: Point =
                [0, 1, 2].map(|k| p[k] + reach * (0.40 * ahead[k] / size + 0.14 * aside[k]));
            let tip: Point =
                [0, 1, 2].map(|k| p[k] + reach * (0.72 * ahead[k] / size + 0.48 * aside[k]));
            if chest.lung(tip, 2.0) < 0.5 {
                continue;
            }
            let thin = r * dice.range(0.50, 0.78);
            branch(chest, dice, [p, mid, tip], thin, depth + 1, out);
        }
    }
    out.push(line);
}

/// Windpipe and main bronchi: attenuation that is missing there.
pub(crate) fn windpipe(chest: &Chest, view: &View) -> Plane {
    let mut plane = Plane::zero(view.width, view.height);
    let mut ink = Ink {
        plane: &mut plane,
        view,
    };
    let s = if chest.child { 0.72 } else { 1.0 };
    let carina = if chest.child { 74.0 } else { 87.0 };
    let lines = [
        curve(&[
            ([-1.0, -110.0, -4.0], 8.4 * s),
            ([-1.0, 0.0, -12.0], 8.2 * s),
            ([-2.5, 50.0, -18.0], 8.2 * s),
            ([-1.0, carina + 2.0, -24.0], 8.8 * s),
        ]),
        curve(&[
            ([-2.0, carina, -24.0], 6.4 * s),
            ([-24.0, carina + 17.0, -24.0], 6.6 * s),
            ([-40.0, carina + 38.0, -22.0], 5.4 * s),
            ([-46.0, carina + 62.0, -26.0], 3.6 * s),
        ]),
        curve(&[
            ([1.0, carina, -24.0], 5.6 * s),
            ([24.0, carina + 14.0, -26.0], 5.8 * s),
            ([44.0, carina + 27.0, -28.0], 5.0 * s),
            ([52.0, carina + 48.0, -32.0], 3.2 * s),
        ]),
    ];
    for line in &lines {
        ink.tube(line, |_| 1.25 * SOFT);
    }
    plane
}
