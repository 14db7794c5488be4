//! Changes that must not change the finding, made anew for every image every time it is seen.
//!
//! Besides geometry and exposure there are two aimed at shortcuts that were measured in the training data
//! (DeGrave et al. 2021, "AI for radiographic COVID-19 detection selects shortcuts over signal"): sharpness alone
//! separates one data set's classes at an AUC of 0.85, so images are blurred or sharpened at random; markers and
//! collimation stand at the border, so strips and corners are covered at random. Images are not mirrored: the
//! heart lies on one side.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Side in pixels that lengths below are meant for; other sizes scale them.
const REFERENCE_SIDE: f32 = 224.0;

/// A generator for one place in a run, whatever was drawn before.
pub(crate) fn generator(seed: u64, epoch: usize, index: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5EED_CA41_EA5E_0000);
    rng.set_stream(((epoch as u64) << 32) | index as u64);
    rng
}

/// A changed copy of a grey plane of `side * side` values in 0 to 1. `other` is the plane of any other
/// image, whose border may take the place of this one's.
pub fn augment(plane: &[f32], other: Option<&[u8]>, side: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut image = warp(plane, side, rng);
    expose(&mut image, rng);
    sharpness(&mut image, side, rng);
    add_noise(&mut image, rng);
    cover(&mut image, other, side, rng);
    for v in &mut image {
        *v = v.clamp(0.0, 1.0);
    }
    image
}

/// Rotation up to 8 degrees, scale 0.88 to 1.15 with up to 8 % between the axes, shift up to 6 %; beyond the
/// edge the border pixel goes on.
fn warp(plane: &[f32], side: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (sin, cos) = rng.random_range(-8.0_f32..8.0).to_radians().sin_cos();
    let zoom = rng.random_range(-0.13_f32..0.14).exp();
    let aspect = rng.random_range(-0.04_f32..0.04).exp();
    let half = side as f32 / 2.0;
    let mut shift = || half + rng.random_range(-0.06_f32..0.06) * side as f32;
    let (cx, cy) = (shift(), shift());
    let (zx, zy) = (aspect / zoom, 1.0 / (aspect * zoom));
    let last = side - 1;
    let at = |x: usize, y: usize| plane[y * side + x];
    let mut out = Vec::with_capacity(side * side);
    for y in 0..side {
        let dy = (y as f32 + 0.5 - half) * zy;
        for x in 0..side {
            let dx = (x as f32 + 0.5 - half) * zx;
            let sx = (cos * dx - sin * dy + cx - 0.5).clamp(0.0, last as f32);
            let sy = (sin * dx + cos * dy + cy - 0.5).clamp(0.0, last as f32);
            let (x0, y0) = (sx as usize, sy as usize);
            let (x1, y1) = ((x0 + 1).min(last), (y0 + 1).min(last));
            let (fx, fy) = (sx - x0 as f32, sy - y0 as f32);
            let top = at(x0, y0) + fx * (at(x1, y0) - at(x0, y0));
            let bottom = at(x0, y1) + fx * (at(x1, y1) - at(x0, y1));
            out.push(top + fy * (bottom - top));
        }
    }
    out
}

/// Gamma 0.74 to 1.35, contrast 0.75 to 1.3 around the mean, brightness up to 0.1.
fn expose(image: &mut [f32], rng: &mut ChaCha8Rng) {
    let gamma = rng.random_range(-0.3_f32..0.3).exp();
    let contrast = rng.random_range(0.75_f32..1.3);
    let brightness = rng.random_range(-0.1_f32..0.1);
    // The power by table: 1024 steps are finer than the eight bits that come in.
    let table: Vec<f32> = (0..=1024)
        .map(|i| (i as f32 / 1024.0).powf(gamma))
        .collect();
    for v in image.iter_mut() {
        *v = table[((*v * 1024.0) as usize).min(1024)];
    }
    let mean = image.iter().sum::<f32>() / image.len().max(1) as f32;
    for v in image.iter_mut() {
        *v = mean + contrast * (*v - mean) + brightness;
    }
}

/// Half of the images are blurred (sigma 0.4 to 2 px at 224), a quarter sharpened.
fn sharpness(image: &mut Vec<f32>, side: usize, rng: &mut ChaCha8Rng) {
    let scale = side as f32 / REFERENCE_SIDE;
    let kind = rng.random_range(0.0_f32..1.0);
    if kind < 0.5 {
        let sigma = rng.random_range(0.4_f32..2.0) * scale;
        *image = gaussian(image, side, sigma);
    } else if kind < 0.75 {
        let amount = rng.random_range(0.3_f32..1.5);
        let smooth = gaussian(image, side, scale.max(0.6));
        for (v, s) in image.iter_mut().zip(smooth) {
            *v += amount * (*v - s);
        }
    }
}

/// Gaussian blur of a square plane, cut at three sigma; the border pixel goes on beyond the edge.
pub(crate) fn gaussian(image: &[f32], side: usize, sigma: f32) -> Vec<f32> {
    if sigma <= 0.05 {
        return image.to_vec();
    }
    let radius = (3.0 * sigma).ceil() as usize;
    let mut kernel: Vec<f32> = (0..=radius)
        .map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp())
        .collect();
    let sum = kernel[0] + 2.0 * kernel[1..].iter().sum::<f32>();
    for k in &mut kernel {
        *k /= sum;
    }
    let mut rows = vec![0.0; image.len()];
    let mut padded = vec![0.0; side + 2 * radius];
    for (row, out) in image.chunks_exact(side).zip(rows.chunks_exact_mut(side)) {
        padded[..radius].fill(row[0]);
        padded[radius..radius + side].copy_from_slice(row);
        padded[radius + side..].fill(row[side - 1]);
        for (i, &k) in kernel.iter().enumerate() {
            let (left, right) = (&padded[radius - i..], &padded[radius + i..]);
            let factor = if i == 0 { k / 2.0 } else { k };
            for ((out, l), r) in out.iter_mut().zip(left).zip(right) {
                *out += factor * (l + r);
            }
        }
    }
    let mut out = vec![0.0; image.len()];
    for (y, out) in out.chunks_exact_mut(side).enumerate() {
        for (i, &k) in kernel.iter().enumerate() {
            let above = y.saturating_sub(i) * side;
            let below = (y + i).min(side - 1) * side;
            let factor = if i == 0 { k / 2.0 } else { k };
            let pair = rows[above..above + side]
                .iter()
                .zip(&rows[below..below + side]);
            for (out, (a, b)) in out.iter_mut().zip(pair) {
                *out += factor * (a + b);
            }
        }
    }
    out
}

/// Half of the images get noise of a standard deviation up to 0.03.
fn add_noise(image: &mut [f32], rng: &mut ChaCha8Rng) {
    if !rng.random_bool(0.5) {
        return;
    }
    // The sum of four bytes has a standard deviation of 147.8 and is near enough to normal.
    let scale = rng.random_range(0.0_f32..0.03) / 147.8;
    for v in image.iter_mut() {
        let bytes: u16 = rng.random::<[u8; 4]>().iter().map(|&b| u16::from(b)).sum();
        *v += scale * (f32::from(bytes) - 510.0);
    }
}

/// Half of the images lose strips at the border (up to 15 % a side; 14 % without `other`), to one tone or to
/// the other image's border, which parts the border from the label; a third lose one or two corners.
fn cover(image: &mut [f32], other: Option<&[u8]>, side: usize, rng: &mut ChaCha8Rng) {
    let other = other.filter(|other| other.len() == image.len());
    let widest = if other.is_some() { 0.15_f32 } else { 0.14 };
    let fraction = |f: f32| (f * side as f32) as usize;
    if rng.random_bool(0.5) {
        let tone = rng.random_range(0.0_f32..0.6);
        let mut strip = || fraction(rng.random_range(0.0..widest));
        let (left, right, top, bottom) = (strip(), strip(), strip(), strip());
        let foreign = other.filter(|_| rng.random_bool(0.5));
        let border =
            |x: usize, y: usize| foreign.map_or(tone, |f| f32::from(f[y * side + x]) / 255.0);
        fill(image, side, [0, side], [0, top], border);
        fill(image, side, [0, side], [side - bottom, side], border);
        fill(image, side, [0, left], [0, side], border);
        fill(image, side, [side - right, side], [0, side], border);
    }
    if rng.random_bool(0.35) {
        for _ in 0..rng.random_range(1..=2) {
            let w = fraction(rng.random_range(0.08_f32..0.25));
            let h = fraction(rng.random_range(0.06_f32..0.2));
            let x = if rng.random_bool(0.5) { 0 } else { side - w };
            let y = if rng.random_bool(0.7) { 0 } else { side - h };
            let tones = [
                rng.random_range(0.0_f32..0.5),
                rng.random_range(0.0_f32..1.0),
            ];
            // A coarse pattern of two tones looks more like lettering than a plain patch does.
            let cell = (side / 56).max(1);
            let pattern: u64 = rng.random();
            fill(image, side, [x, x + w], [y, y + h], |x, y| {
                tones[(pattern >> ((x / cell + 7 * (y / cell)) % 64) & 1) as usize]
            });
        }
    }
}

fn fill(
    image: &mut [f32],
    side: usize,
    [x0, x1]: [usize; 2],
    [y0, y1]: [usize; 2],
    tone: impl Fn(usize, usize) -> f32,
) {
    for y in y0..y1.min(side) {
        for x in x0..x1.min(side) {
            image[y * side + x] = tone(x, y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(side: usize) -> Vec<f32> {
        (0..side * side)
            .map(|i| ((i * 31) % 251) as f32 / 255.0)
            .collect()
    }

    #[test]
    fn the_same_place_in_a_run_gives_the_same_image() {
        let plane = plane(32);
        let other = vec![9; 32 * 32];
        let at = |epoch, index| augment(&plane, Some(&other), 32, &mut generator(1, epoch, index));
        assert_eq!(at(2, 3), at(2, 3));
        assert_ne!(at(2, 3), at(3, 2));
        assert!(at(0, 0).iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn blur_keeps_the_mean_of_a_flat_plane_and_spreads_a_point() {
        let flat = gaussian(&[0.7; 81], 9, 1.3);
        assert!(flat.iter().all(|v| (v - 0.7).abs() < 1e-5));
        let mut point = vec![0.0; 81];
        point[40] = 1.0;
        let spread = gaussian(&point, 9, 1.0);
        assert!((spread.iter().sum::<f32>() - 1.0).abs() < 0.02);
        // The centre of a normal density in two dimensions is 1 / (2 pi sigma^2).
        assert!((spread[40] - 0.159).abs() < 0.005, "{}", spread[40]);
    }
}
