//! Taking two known shortcuts away from test images: sharpness and the border.

use super::augment::gaussian;

/// Share of each side that [`cover_border`] covers.
pub(crate) const BORDER: f64 = 0.08;

/// Variance of the Laplacian over the variance of the image: how much of it is fine detail.
pub fn sharpness(image: &[f32], side: usize) -> f64 {
    let variance = |values: &mut dyn Iterator<Item = f64>| {
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for v in values {
            n += 1.0;
            sum += v;
            squares += v * v;
        }
        if n > 0.0 {
            squares / n - (sum / n) * (sum / n)
        } else {
            0.0
        }
    };
    let at = |x: usize, y: usize| f64::from(image[y * side + x]);
    let inner = 1..side.saturating_sub(1);
    let mut laplacian = inner.clone().flat_map(|y| {
        inner.clone().map(move |x| {
            at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y)
        })
    });
    let detail = variance(&mut laplacian);
    detail / variance(&mut image.iter().map(|&v| f64::from(v))).max(1e-12)
}

/// Blurs an image just so far that its sharpness is at most `target`.
pub fn blur_to(image: &[f32], side: usize, target: f64) -> Vec<f32> {
    if sharpness(image, side) <= target {
        return image.to_vec();
    }
    let (mut low, mut high) = (0.0_f32, 6.0_f32);
    for _ in 0..12 {
        let middle = (low + high) / 2.0;
        if sharpness(&gaussian(image, side, middle), side) > target {
            low = middle;
        } else {
            high = middle;
        }
    }
    gaussian(image, side, high)
}

/// Covers the outer strip with the image's mean.
pub fn cover_border(image: &mut [f32], side: usize) {
    let mean = image.iter().sum::<f32>() / image.len().max(1) as f32;
    let strip = (BORDER * side as f64).round() as usize;
    let inside = strip..side - strip.min(side);
    for y in 0..side {
        for x in 0..side {
            if !inside.contains(&x) || !inside.contains(&y) {
                image[y * side + x] = mean;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::ops::test_support::noise;

    #[test]
    fn blur_reaches_the_common_sharpness_from_above() {
        let sharp = noise(40 * 40, 3);
        let smooth = gaussian(&sharp, 40, 1.2);
        let target = sharpness(&smooth, 40);
        let reached = sharpness(&blur_to(&sharp, 40, target), 40);
        assert!(
            reached <= target && reached > 0.9 * target,
            "{reached} {target}"
        );
        assert_eq!(blur_to(&smooth, 40, target), smooth);
    }

    #[test]
    fn border_is_covered_and_the_middle_stays() {
        let mut image = noise(25 * 25, 4);
        let before = image.clone();
        cover_border(&mut image, 25);
        assert_eq!(image[0], image[25 * 25 - 1]);
        assert_eq!(image[12 * 25 + 12], before[12 * 25 + 12]);
        assert_eq!(image[2 * 25 + 2], before[2 * 25 + 2]);
    }
}
