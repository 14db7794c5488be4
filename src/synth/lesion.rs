//! Opacities of air-space disease, in a rendered chest and on any radiograph.

use super::anatomy::{AERATED, Chest, SOFT};
use super::film::View;
use super::plane::{Noise, Plane, smooth};
use crate::error::Result;
use crate::job::Job;

/// A region of lung whose air is replaced by fluid.
#[derive(Clone, Debug)]
pub(crate) struct Lesion {
    /// Middle and half axes in millimetres of the body.
    pub(crate) centre: [f32; 3],
    pub(crate) radius: [f32; 3],
    /// Share of the air that is replaced at the core, 0 to 1.
    pub(crate) strength: f32,
    /// 0: confluent; 1: broken into patches.
    pub(crate) patchy: f32,
    /// Level of a fissure that the disease does not cross downwards, if one bounds it.
    pub(crate) fissure: Option<f32>,
    pub(crate) seed: u64,
}

impl Lesion {
    /// Share of air replaced at a point of the lung.
    pub(crate) fn density(&self, p: [f32; 3]) -> f32 {
        let q2: f32 = (0..3)
            .map(|i| ((p[i] - self.centre[i]) / self.radius[i]).powi(2))
            .sum();
        if q2 > 2.6 {
            return 0.0;
        }
        let n = Noise::new(self.seed, 41);
        let margin = 0.30 * n.fractal(p[0] / 24.0, p[1] / 24.0, p[2] / 24.0, 3);
        let body = smooth(1.12, 0.50, q2.sqrt() + margin);
        if body <= 0.0 {
            return 0.0;
        }
        let m = Noise::new(self.seed, 42);
        let grain = m.fractal(p[0] / 13.0, p[1] / 13.0, p[2] / 13.0, 3);
        let patches = smooth(-0.55, 0.45, grain);
        let bound = self.fissure.map_or(1.0, |level| {
            let line = level + 4.0 * m.at(p[0] / 50.0, p[2] / 50.0, 0.0) + 0.06 * p[0].abs();
            smooth(2.0, -2.0, p[1] - line)
        });
        let fine = 1.0 + 0.18 * n.at(p[0] / 3.5, p[1] / 3.5, p[2] / 3.5);
        (bound * self.strength * body * (1.0 - self.patchy * (1.0 - patches)) * fine)
            .clamp(0.0, 1.0)
    }
}

/// Density of several lesions together.
pub(crate) fn density(lesions: &[Lesion], p: [f32; 3]) -> f32 {
    1.0 - lesions.iter().map(|l| 1.0 - l.density(p)).product::<f32>()
}

/// What the rays meet: length of aerated lung, and length of lung that disease has filled.
///
/// # Errors
/// `Cancelled`.
pub(crate) fn lung_lengths(
    chest: &Chest,
    view: &View,
    lesions: &[Lesion],
    job: &Job,
) -> Result<[Plane; 2]> {
    const STEPS: usize = 80;
    let near = -chest.half_depth - 4.0;
    let step = 2.0 * (chest.half_depth + 4.0) / STEPS as f32;
    let point = |c: usize, r: usize, k: usize| {
        let [x, y] = view.mm_from_px(c as f32, r as f32);
        [x, y, near + (k as f32 + 0.5) * step]
    };
    // Softness: the wider of the steps along and across the beam, so that neither shows.
    let edge = 0.5 * step + 0.2 * view.mm_per_px;
    let air = Plane::fill(view.width, view.height, |c, r| {
        if job.is_cancelled() {
            return 0.0;
        }
        let column: f32 = (0..STEPS).map(|k| chest.lung(point(c, r, k), edge)).sum();
        column * step
    });
    job.check()?;
    let filled = Plane::fill(view.width, view.height, |c, r| {
        if lesions.is_empty() || job.is_cancelled() || air.values[r * air.width + c] <= 0.0 {
            return 0.0;
        }
        let column: f32 = (0..STEPS)
            .map(|k| {
                let p = point(c, r, k);
                let d = density(lesions, p);
                if d > 0.0 {
                    d * chest.lung(p, edge)
                } else {
                    0.0
                }
            })
            .sum();
        column * step
    });
    job.check()?;
    Ok([air, filled])
}

/// Attenuation that fluid adds to aerated lung, per millimetre.
pub(crate) const FLUID: f32 = SOFT * (1.0 - AERATED);

/// Paints an air-space opacity on a radiograph in display grey (row-major, 0 to 1, white is dense).
///
/// `centre` and `radius` are in pixels, `strength` is 0 (nothing) to 1 (lung becomes as white as
/// soft tissue). Returns the mask of what was added, row-major, 0 to 1. Grey moves towards the tone
/// of soft tissue by a share, so lung changes most and bone, heart and diaphragm hardly: their
/// borders with the filled lung fade (the silhouette sign), as do the vessels inside. The margin is
/// warped by noise that follows from `seed`. Outside the ellipse's neighbourhood nothing changes.
/// A radius that is not positive, or an image whose length is not `width * height`, changes nothing.
///
/// Meant for training and tests; it knows no lungs: the caller chooses a place within them.
pub fn add_opacity(
    image: &mut [f32],
    width: usize,
    height: usize,
    centre: [f32; 2],
    radius: [f32; 2],
    strength: f32,
    seed: u64,
) -> Vec<f32> {
    let mut mask = vec![0.0; image.len()];
    if width == 0 || image.len() != width * height || !(radius[0] > 0.0 && radius[1] > 0.0) {
        return mask;
    }
    let n = Noise::new(seed, 43);
    let mean = 0.5 * (radius[0] + radius[1]);
    let reach = [1.6 * radius[0] + 2.0, 1.6 * radius[1] + 2.0];
    let rows = span(centre[1], reach[1], height);
    let columns = span(centre[0], reach[0], width);
    for r in rows {
        for c in columns.clone() {
            let (dx, dy) = (c as f32 - centre[0], r as f32 - centre[1]);
            let (u, v) = (dx / mean, dy / mean);
            let q = (dx / radius[0]).hypot(dy / radius[1]);
            let margin = 0.34 * n.fractal(2.1 * u, 2.1 * v, 0.0, 3);
            let body = smooth(1.2, 0.35, q + margin);
            let patches = 0.80 + 0.20 * smooth(-0.7, 0.6, n.fractal(2.9 * u, 2.9 * v, 9.0, 3));
            mask[r * width + c] = body * patches;
        }
    }
    // The tone of soft tissue in this very picture: what its bright tenth has.
    let mut greys = image.to_vec();
    let place = greys.len() * 88 / 100;
    let soft = *greys.select_nth_unstable_by(place, f32::total_cmp).1;
    // Detail is what a blur takes away; only the neighbourhood is blurred, for training's sake.
    let sigma = 0.02 * width.max(height) as f32;
    let margin = 2.0 * sigma;
    let (rows, columns) = (
        span(centre[1], reach[1] + margin, height),
        span(centre[0], reach[0] + margin, width),
    );
    let mut near = Plane::zero(columns.len(), rows.len());
    for (line, r) in near
        .values
        .chunks_mut(columns.len().max(1))
        .zip(rows.clone())
    {
        line.copy_from_slice(&image[r * width + columns.start..r * width + columns.end]);
    }
    let local = near.blurred(sigma);
    for (j, r) in rows.enumerate() {
        for (i, c) in columns.clone().enumerate() {
            let share = (strength * mask[r * width + c]).clamp(0.0, 1.0);
            if share <= 0.0 {
                continue;
            }
            let g = &mut image[r * width + c];
            let broad = local.values[j * local.width + i];
            // Fluid round a vessel hides it: detail shrinks with the air that gave it contrast.
            let detail = (*g - broad) * (1.0 - 0.45 * share);
            let base = broad + share * (0.85 * (soft - broad)).clamp(0.0, 0.36);
            *g = (base + detail).clamp(0.0, 1.0);
        }
    }
    mask
}

fn span(centre: f32, reach: f32, size: usize) -> std::ops::Range<usize> {
    let low = (centre - reach).floor().clamp(0.0, size as f32) as usize;
    let high = (centre + reach).ceil().clamp(0.0, size as f32) as usize;
    low..high
}
