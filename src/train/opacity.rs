//! Synthetic opacities on normal images: they tie the label to something that has a place.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::synth::add_opacity;

/// Paints one to three air-space opacities into dark parts of the chest's middle, on a plane of
/// `side * side` values in 0 to 1.
pub(crate) fn add_opacities(image: &mut [f32], side: usize, rng: &mut ChaCha8Rng) {
    let size = side as f32;
    for _ in 0..[1, 1, 1, 2, 2, 3][rng.random_range(0..6)] {
        let centre = place(image, side, rng);
        let radius = [(); 2].map(|()| size * rng.random_range(0.06_f32..0.17));
        let strength = rng.random_range(0.4_f32..1.0);
        add_opacity(image, side, side, centre, radius, strength, rng.random());
    }
}

/// A place that is probably lung: of eight in the two fields where lungs lie on a frontal film, one of the
/// three darkest.
fn place(image: &[f32], side: usize, rng: &mut ChaCha8Rng) -> [f32; 2] {
    let size = side as f32;
    let reach = side / 32;
    let mut tried: Vec<(f32, [f32; 2])> = (0..8)
        .map(|_| {
            let x = rng.random_range(0.14_f32..0.42);
            let x = if rng.random_bool(0.5) { x } else { 1.0 - x };
            let centre = [x * size, rng.random_range(0.22_f32..0.78) * size];
            let (cx, cy) = (centre[0] as usize, centre[1] as usize);
            let near = |c: usize| c.saturating_sub(reach)..(c + reach + 1).min(side);
            let tone: f32 = near(cy)
                .map(|y| image[y * side..][near(cx)].iter().sum::<f32>())
                .sum();
            (tone, centre)
        })
        .collect();
    tried.sort_by(|a, b| a.0.total_cmp(&b.0));
    tried[rng.random_range(0..3)].1
}

#[cfg(test)]
mod tests {
    use super::super::augment::generator;
    use super::*;

    #[test]
    fn an_opacity_brightens_a_dark_field_and_leaves_the_corners() {
        // Two dark fields on a light ground.
        let image: Vec<f32> = (0..64 * 64)
            .map(|i| {
                let x = (i % 64) as f32 / 64.0;
                if (0.15..0.42).contains(&x) || (0.58..0.85).contains(&x) {
                    0.2
                } else {
                    0.7
                }
            })
            .collect();
        for index in 0..20 {
            let mut changed = image.clone();
            add_opacities(&mut changed, 64, &mut generator(1, 0, index));
            let gain: f32 = changed.iter().zip(&image).map(|(a, b)| a - b).sum();
            assert!(gain > 1.0, "{gain}");
            assert_eq!(changed[0], image[0]);
        }
    }
}
