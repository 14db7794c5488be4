//! Numbers that look wrong are reported, never quietly repaired.

use crate::image::Image;
use crate::text::notice;

/// What looks odd about an image's values; empty for an ordinary one.
pub(super) fn notices(image: &Image) -> Vec<String> {
    let (lo, hi) = image
        .values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| {
            (lo.min(v), hi.max(v))
        });
    let mut found = Vec::new();
    if lo >= hi {
        found.push(notice::image_is_constant(lo));
        return found;
    }
    match image.origin.bits {
        16 => {
            // A scanner's 8, 10, 12 or 14 bits in a 16-bit file: divided by 65535 they are nearly black.
            let bits_used = (hi.max(1.0) + 1.0).log2().ceil() as u32;
            if bits_used <= 14 {
                found.push(notice::image_uses_few_bits(bits_used, hi, image.max_value));
            }
        }
        32 if lo < 0.0 => found.push(notice::image_looks_normalised(lo, hi)),
        _ => {}
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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
        assert!(noticed(8, 255.0, &[9.0, 9.0])[0].contains('9'));
        assert!(noticed(16, 65535.0, &[0.0, 255.0])[0].contains("8 of 16 bits"));
        assert!(noticed(16, 65535.0, &[0.0, 4095.0])[0].contains("12 of 16 bits"));
        assert!(noticed(32, 2.1, &[-2.0, 2.1])[0].contains("normalised"));
    }
}
