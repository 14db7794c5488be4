//! Which values the ends of the colour scale stand for. The one place where maps are normalised.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::plan::{Normalise, Post, Sign};

use super::Field;

/// The ends of a colour scale, in the raw map's units. The default is flat: an empty map's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScaleRange {
    /// Value at the lower end; with both signs shown it is `-hi`.
    pub lo: f32,
    /// Value at the upper end.
    pub hi: f32,
}

impl ScaleRange {
    /// Where `value` stands between the ends, 0..=1, clamped. A range of no width puts all at 0.
    pub fn share(&self, value: f32) -> f32 {
        if self.is_flat() {
            return 0.0;
        }
        ((value - self.lo) / (self.hi - self.lo)).clamp(0.0, 1.0)
    }

    /// Whether the ends leave nothing between them, as for empty maps.
    pub fn is_flat(&self) -> bool {
        // Also true where an end is NaN.
        self.lo.partial_cmp(&self.hi) != Some(Ordering::Less)
    }
}

/// The scale of each of `fields`, which are shown side by side, in their order.
///
/// * [`Normalise::Map`]: 0 to the field's own largest magnitude (signed: symmetric about 0)
/// * [`Normalise::Shared`]: 0 to the largest magnitude among all
/// * [`Normalise::Fixed`]: the given ends; with both signs shown, symmetric about 0 with the larger
///   magnitude of the two, since the middle of a diverging scale must stand for 0
///
/// Empty fields have no scale of their own (both ends 0).
pub fn scale_range(fields: &[&Field], post: &Post) -> Vec<ScaleRange> {
    let largest: Vec<f32> = fields.iter().map(|field| field.largest()).collect();
    scale_of(&largest, post)
}

/// The same from the fields' largest magnitudes, for those who keep them.
pub fn scale_of(largest: &[f32], post: &Post) -> Vec<ScaleRange> {
    let up_to = |most: f32| match post.sign {
        Sign::Signed => ScaleRange {
            lo: -most,
            hi: most,
        },
        Sign::Positive | Sign::Negative => ScaleRange { lo: 0.0, hi: most },
    };
    match post.normalise {
        Normalise::Map => largest.iter().map(|most| up_to(*most)).collect(),
        Normalise::Shared => {
            let most = largest.iter().fold(0.0_f32, |most, v| most.max(*v));
            vec![up_to(most); largest.len()]
        }
        Normalise::Fixed { lo, hi } => {
            let range = if post.sign == Sign::Signed {
                up_to(lo.abs().max(hi.abs()))
            } else {
                ScaleRange { lo, hi }
            };
            vec![range; largest.len()]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::geometry::Affine;

    fn field(values: &[f32]) -> Field {
        Field {
            width: values.len(),
            height: 1,
            values: values.to_vec(),
            source_from_field: Affine::IDENTITY,
            source_size: [values.len(), 1],
            cells: None,
            own_blur: [0.0; 2],
            raw_min: 0.0,
            raw_max: 0.0,
            empty: values.iter().all(|&v| v == 0.0),
            notice: None,
        }
    }

    fn ranges(sign: Sign, normalise: Normalise) -> Vec<(f32, f32)> {
        let fields = [field(&[0.0, 2.0]), field(&[-5.0, 1.0]), field(&[0.0, 0.0])];
        let post = Post {
            sign,
            normalise,
            ..Post::default()
        };
        scale_range(&fields.each_ref(), &post)
            .iter()
            .map(|range| (range.lo, range.hi))
            .collect()
    }

    #[test]
    fn each_shared_and_fixed() {
        let positive = |normalise| ranges(Sign::Positive, normalise);
        assert_eq!(
            positive(Normalise::Map),
            [(0.0, 2.0), (0.0, 5.0), (0.0, 0.0)]
        );
        assert_eq!(positive(Normalise::Shared), [(0.0, 5.0); 3]);
        let fixed = Normalise::Fixed { lo: 1.0, hi: 3.0 };
        assert_eq!(positive(fixed), [(1.0, 3.0); 3]);
        assert_eq!(ranges(Sign::Signed, Normalise::Map)[1], (-5.0, 5.0));
        assert_eq!(ranges(Sign::Signed, fixed), [(-3.0, 3.0); 3]);
    }

    #[test]
    fn a_flat_range_is_harmless() {
        let flat = ScaleRange { lo: 0.0, hi: 0.0 };
        assert!(flat.is_flat());
        assert_eq!(flat.share(5.0), 0.0);
        assert!(
            ScaleRange {
                lo: f32::NAN,
                hi: 1.0
            }
            .is_flat()
        );
    }
}
