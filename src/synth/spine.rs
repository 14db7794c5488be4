//! The spine and the breastbone, as sheets drawn straight onto the film: they face the beam.

use super::anatomy::Chest;
use super::film::View;
use super::plane::{Noise, Plane, smooth};

/// Level of the `i`-th thoracic vertebra (0 is the first; fractions and negatives are allowed).
pub(crate) fn vertebra_level(chest: &Chest, i: f32) -> f32 {
    let [first, last] = chest.pitch;
    -4.0 + i * first + (last - first) * i * i / 22.0
}

/// Vertebral bodies with end plates, pedicles and spinous processes, and the breastbone.
pub(crate) fn spine(chest: &Chest, view: &View) -> Plane {
    let noise = Noise::new(chest.seed, 50);
    let levels: Vec<(f32, f32)> = (-6..16)
        .map(|i| {
            let i = i as f32;
            (
                vertebra_level(chest, i),
                vertebra_level(chest, i + 1.0) - vertebra_level(chest, i),
            )
        })
        .collect();
    let broad = if chest.child { 0.92 } else { 1.0 };
    Plane::fill(view.width, view.height, |c, r| {
        let [x, y] = view.mm_from_px(c as f32, r as f32);
        let mut sum = 0.0;
        let plate = sheet(x / 27.0, (y - 42.0) / 24.0) * 0.045;
        let breastbone = sheet(x / 16.0, (y - 125.0) / 62.0) * 0.030;
        sum += plate + breastbone;
        if x.abs() > 42.0 {
            return sum;
        }
        for &(level, pitch) in &levels {
            let v = (y - level) / pitch;
            if v.abs() > 1.2 {
                continue;
            }
            let half = broad * (12.8 + 4.5 * smooth(-40.0, 260.0, level));
            // Sides are waisted: broad at the end plates.
            let waist = half * (0.90 + 0.42 * v * v);
            let tall = 0.41;
            let (dx, dy) = ((waist - x.abs()) / 1.0, (tall - v.abs()) * pitch);
            let body = smooth(-0.8, 0.8, dx) * smooth(-0.7, 0.7, dy);
            let rim = smooth(1.7, 0.3, dx.min(dy).max(0.0)) * body;
            sum += body * (0.055 + 0.03 * noise.at(x / 2.2, y / 2.6, 0.5)) + rim * 0.10;
            let (px, py) = ((x.abs() - 0.60 * half) / 3.4, (v + 0.10) * pitch / 5.4);
            let q = px.hypot(py);
            sum += 0.085 * smooth(0.5, 0.2, (q - 0.9).abs()) + 0.03 * smooth(1.0, 0.8, q);
            let (sx, sy) = (x / 3.4, (v - 0.52) * pitch / 7.5);
            let q = sx.hypot(sy);
            sum += 0.06 * smooth(0.45, 0.1, (q - 0.85).abs()) + 0.08 * smooth(1.0, 0.7, q);
            // Transverse processes and joints with the ribs.
            let (tx, ty) = (
                (x.abs() - 25.0) / 9.5,
                (v + 0.22 + 0.008 * (x.abs() - 25.0)) * pitch / 4.6,
            );
            let q = tx.hypot(ty);
            sum += 0.04 * smooth(1.0, 0.6, q) + 0.03 * smooth(0.25, 0.08, (q - 0.9).abs());
        }
        sum
    })
}

/// A flat bone with a soft rim.
fn sheet(u: f32, v: f32) -> f32 {
    let q = (u.powi(4) + v.powi(4)).sqrt();
    smooth(1.05, 0.92, q) + 0.7 * smooth(0.14, 0.02, (q - 0.93).abs())
}
