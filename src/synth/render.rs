//! One chest, healthy and diseased, from solids to grey.

use super::anatomy::{AERATED, Chest, SOFT};
use super::bones::skeleton;
use super::film::{Film, View, bend, develop};
use super::lesion::{FLUID, Lesion, lung_lengths};
use super::plane::{Noise, Plane, smooth};
use super::vessels::{Trees, windpipe};
use crate::error::Result;
use crate::job::Job;

/// A film and the mask of its opacities (0 to 1: share of the highest added attenuation).
pub(crate) struct Picture {
    pub(crate) grey: Plane,
    pub(crate) mask: Plane,
}

/// Bones' weight and density of the body, which differ between adults and children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matter {
    pub(crate) bone: f32,
    pub(crate) scale: f32,
}

/// Renders a chest without disease (`lesions` empty) or with it.
///
/// # Errors
/// `Cancelled`.
pub(crate) fn picture(
    chest: &Chest,
    view: &View,
    film: &Film,
    matter: Matter,
    lesions: &[Lesion],
    job: &Job,
) -> Result<Picture> {
    let coarse = view.coarser(2);
    let [air, filled] = lung_lengths(chest, &coarse, lesions, job)?;
    let air = air.resized(view.width, view.height).map(|v| v.max(0.0));
    let filled = filled.resized(view.width, view.height).map(|v| v.max(0.0));
    let texture = Noise::new(chest.seed, 81);
    let body = Plane::fill(view.width, view.height, |c, r| {
        let [x, y] = view.mm_from_px(c as f32, r as f32);
        let lung = air.values[r * view.width + c];
        let muscle = 1.0 + 0.016 * texture.fractal(x / 34.0, y / 34.0, 2.0, 3);
        let gas = chest.gas(x, y);
        let body = chest
            .body(x, y)
            .max(lung + 0.5 * chest.wall[0] * smooth(0.0, 30.0, lung));
        // Alveoli and small vessels below what is drawn one by one.
        let foam = 1.0
            + 0.030 * texture.fractal(x / 3.2, y / 3.2, 5.0, 3)
            + 0.018 * texture.fractal(x / 22.0, y / 22.0, 8.0, 2);
        SOFT * muscle * body
            - SOFT * (1.0 - AERATED) * lung * (2.0 - foam)
            - SOFT * gas.min(0.6 * body)
    });
    let body = body.blurred(0.45 / view.mm_per_px);
    job.check()?;
    let trees = Trees::grow(chest);
    let healthy_vessels = trees.draw(chest, view, &[], job)?;
    job.check()?;
    let mut shared = body;
    shared.add(&skeleton(chest, view, matter.bone), 1.0);
    shared.add(&windpipe(chest, view).blurred(0.9 / view.mm_per_px), -1.0);
    let mut healthy = shared.clone();
    healthy.add(&healthy_vessels.blurred(0.25 / view.mm_per_px), 1.0);
    let mut ill = healthy.clone();
    if !lesions.is_empty() {
        ill = shared;
        ill.add(&filled, FLUID);
        ill.add(
            &trees
                .draw(chest, view, lesions, job)?
                .blurred(0.25 / view.mm_per_px),
            1.0,
        );
    }
    job.check()?;
    let finish = |plane: Plane| {
        let floor = plane.map(|a| matter.scale * a.max(0.0));
        bend(&floor, view, chest.seed, 2.2)
    };
    let (healthy, ill) = (finish(healthy), finish(ill));
    let grey = develop(&ill, &healthy, view, film, chest.seed);
    let filled = bend(&filled, view, chest.seed, 2.2);
    let most = filled
        .values
        .iter()
        .fold(0.0f32, |a, &b| a.max(b))
        .max(1e-6);
    Ok(Picture {
        grey,
        mask: filled.map(|v| v / most),
    })
}
