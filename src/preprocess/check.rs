//! Numbers that look wrong are reported, never quietly repaired.

use crate::image::Image;
use crate::text::notice;

/// What looks odd about an image for a chest X-ray model; empty for an ordinary one.
pub(super) fn notices(image: &Image) -> Vec<String> {
    let mut found = header_notices(image);
    let (lo, hi) = image
        .values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| {
            (lo.min(v), hi.max(v))
        });
    if lo >= hi {
        found.push(notice::image_is_constant(lo));
        return found;
    }
    match image.origin.bits {
        bits @ 9..=16 => {
            // Fewer bits than the file has room for, such as 8 in 12 or 12 in 16: divided by white they are
            // nearly black.
            let bits_used = (hi.max(1.0) + 1.0).log2().ceil() as u32;
            if bits_used + 2 <= bits {
                found.push(notice::image_uses_few_bits(
                    bits_used,
                    bits,
                    hi,
                    image.max_value,
                ));
            } else if (hi - lo) * FLAT < image.max_value {
                found.push(notice::image_is_flat(lo, hi, image.max_value));
            }
        }
        32 if lo < 0.0 => found.push(notice::image_looks_normalised(lo, hi)),
        _ => {}
    }
    if looks_inverted(image, lo, hi) {
        found.push(notice::image_looks_inverted());
    }
    found
}

/// A picture that uses less than one part in so many of its range is nearly uniform to a model.
const FLAT: f32 = 16.0;

/// What a DICOM header says against a frontal chest X-ray.
fn header_notices(image: &Image) -> Vec<String> {
    let Some(facts) = image.record.as_ref().map(|record| &record.facts) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if let Some(modality) = &facts.modality
        && !PLAIN_FILM.contains(&modality.as_str())
    {
        found.push(notice::not_an_x_ray(modality));
    }
    if let Some(part) = &facts.body_part {
        let upper = part.to_uppercase();
        if !CHEST.iter().any(|word| upper.contains(word)) {
            found.push(notice::not_a_chest(part));
        }
    }
    if let Some(view) = &facts.view_position
        && LATERAL.contains(&view.to_uppercase().as_str())
    {
        found.push(notice::lateral_view(view));
    }
    found
}

/// Modalities of projections, and of what may be one (secondary captures, other).
const PLAIN_FILM: [&str; 7] = ["CR", "DX", "RG", "XC", "OT", "SC", "PX"];
const CHEST: [&str; 6] = ["CHEST", "THORA", "LUNG", "RIB", "TORSO", "HEART"];
const LATERAL: [&str; 7] = ["LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT", "L"];

/// Whether small values seem to be bright. In a frontal chest X-ray the margins are air or black and the
/// middle is spine and heart; only where all four corners and the margin are far brighter than the middle is
/// anything said.
fn looks_inverted(image: &Image, lo: f32, hi: f32) -> bool {
    let [width, height] = image.size();
    if width < 32 || height < 32 {
        return false;
    }
    let plane = image.plane(0);
    let mean = |x: [f64; 2], y: [f64; 2]| {
        let span = |share: [f64; 2], length: usize| {
            let at = share.map(|s| (s * length as f64) as usize);
            at[0]..at[1].max(at[0] + 1).min(length)
        };
        let mut sum = 0.0_f64;
        let mut count = 0.0_f64;
        for row in span(y, height) {
            for column in span(x, width) {
                sum += f64::from(plane.get(row * width + column).copied().unwrap_or(lo));
                count += 1.0;
            }
        }
        (sum / count.max(1.0) - f64::from(lo)) / f64::from(hi - lo)
    };
    const EDGE: f64 = 0.05;
    let margins = [
        mean([0.0, EDGE], [0.0, 1.0]),
        mean([1.0 - EDGE, 1.0], [0.0, 1.0]),
        mean([0.0, 1.0], [0.0, EDGE]),
    ];
    let corners = [[0.0, EDGE], [1.0 - EDGE, 1.0]]
        .into_iter()
        .map(|x| mean(x, [0.0, EDGE]));
    let middle = mean([0.42, 0.58], [0.35, 0.85]);
    margins
        .into_iter()
        .chain(corners)
        .all(|m| m > 0.7 && m > middle + 0.4)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::image::record::Record;

    fn noticed(bits: u32, max_value: f32, values: &[f32]) -> Vec<String> {
        let size = [values.len(), 1];
        let mut image = Image::from_values("a", size, 1, values.to_vec(), max_value).unwrap();
        image.origin.bits = bits;
        notices(&image)
    }

    #[test]
    fn odd_ranges_are_noticed_and_ordinary_ones_are_not() {
        assert!(noticed(8, 255.0, &[0.0, 17.0, 201.0]).is_empty());
        assert!(noticed(16, 65535.0, &[0.0, 40000.0]).is_empty());
        assert!(noticed(12, 4095.0, &[0.0, 3000.0]).is_empty());
        assert!(noticed(8, 255.0, &[9.0, 9.0])[0].contains('9'));
        assert!(noticed(16, 65535.0, &[0.0, 255.0])[0].contains("8 of 16 bits"));
        assert!(noticed(16, 65535.0, &[0.0, 4095.0])[0].contains("12 of 16 bits"));
        assert!(noticed(12, 4095.0, &[0.0, 255.0])[0].contains("8 of 12 bits"));
        assert!(noticed(16, 65535.0, &[31744.0, 35000.0])[0].contains("uniform"));
        assert!(noticed(32, 2.1, &[-2.0, 2.1])[0].contains("normalised"));
    }

    #[test]
    fn inverted_films_are_noticed_and_ordinary_ones_are_not() {
        // Dark margins, dark lungs, bright middle.
        let film: Vec<f32> = (0..64 * 64)
            .map(|at| {
                let (x, y) = ((at % 64) as f32, (at / 64) as f32);
                if !(6.0..=57.0).contains(&x) || y < 5.0 {
                    8.0
                } else if (x - 32.0).abs() < 7.0 {
                    220.0
                } else {
                    90.0
                }
            })
            .collect();
        let turned: Vec<f32> = film.iter().map(|v| 255.0 - v).collect();
        let noticed = |values: Vec<f32>| {
            let mut image = Image::from_values("a", [64, 64], 1, values, 255.0).unwrap();
            image.origin.bits = 8;
            notices(&image)
        };
        assert!(noticed(film).is_empty());
        assert!(noticed(turned)[0].contains("inverted"));
    }

    #[test]
    fn headers_speak_against_other_pictures() {
        let noticed = |modality: &str, part: &str, view: &str| {
            let mut image = Image::from_values("a", [2, 1], 1, vec![0.0, 200.0], 255.0).unwrap();
            image.origin.bits = 8;
            let mut record = Record::default();
            record.facts.modality = Some(modality.to_owned());
            record.facts.body_part = Some(part.to_owned());
            record.facts.view_position = Some(view.to_owned());
            image.record = Some(Box::new(record));
            notices(&image).len()
        };
        assert_eq!(noticed("DX", "CHEST", "PA"), 0);
        assert_eq!(noticed("CR", "Thorax", "AP"), 0);
        assert_eq!(noticed("CT", "CHEST", "PA"), 1);
        assert_eq!(noticed("DX", "HAND", "PA"), 1);
        assert_eq!(noticed("DX", "CHEST", "LL"), 1);
        assert_eq!(noticed("MR", "KNEE", "LATERAL"), 3);
    }
}
