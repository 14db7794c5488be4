//! Coordinates: which pixel of the source a point of the model's input, or a cell of a map, is.
//!
//! All coordinates are continuous with pixel *edges* at whole numbers: pixel `i` covers `[i, i + 1)`
//! and its centre is `i + 0.5`. With that convention a resize is a pure scale, a crop a pure
//! offset, and nothing needs a half-pixel correction by hand.

use serde::{Deserialize, Serialize};

/// An axis-aligned affine map from space `b` to space `a`: `a = scale * b + offset` for x and y.
///
/// Read names from right to left: `source_from_model` takes model coordinates to source coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Affine {
    /// Scale of x and y; positive.
    pub scale: [f64; 2],
    /// Offset of x and y.
    pub offset: [f64; 2],
}

impl Affine {
    /// The map that changes nothing.
    pub const IDENTITY: Self = Self {
        scale: [1.0, 1.0],
        offset: [0.0, 0.0],
    };

    /// A pure scale, `size_a / size_b` on each axis (`[width, height]`).
    pub fn scale_to(size_a: [usize; 2], size_b: [usize; 2]) -> Self {
        Self {
            scale: [
                size_a[0] as f64 / size_b[0] as f64,
                size_a[1] as f64 / size_b[1] as f64,
            ],
            offset: [0.0, 0.0],
        }
    }

    /// Takes a point of space `b` to space `a`.
    pub fn apply(&self, point: [f64; 2]) -> [f64; 2] {
        [
            self.scale[0] * point[0] + self.offset[0],
            self.scale[1] * point[1] + self.offset[1],
        ]
    }

    /// `a_from_b.then_from(b_from_c)` is `a_from_c`.
    pub fn then_from(&self, inner: &Self) -> Self {
        Self {
            scale: [
                self.scale[0] * inner.scale[0],
                self.scale[1] * inner.scale[1],
            ],
            offset: self.apply(inner.offset),
        }
    }

    /// The map the other way.
    pub fn inverse(&self) -> Self {
        Self {
            scale: [1.0 / self.scale[0], 1.0 / self.scale[1]],
            offset: [
                -self.offset[0] / self.scale[0],
                -self.offset[1] / self.scale[1],
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: [f64; 2], b: [f64; 2]) -> bool {
        (a[0] - b[0]).abs() < 1e-9 && (a[1] - b[1]).abs() < 1e-9
    }

    fn samples() -> Vec<Affine> {
        let mut all = vec![Affine::IDENTITY];
        for (w, h) in [(1, 1), (7, 7), (224, 224), (1857, 1317), (320, 4096)] {
            let mut affine = Affine::scale_to([w, h], [224, 192]);
            all.push(affine);
            affine.offset = [w as f64 * 0.31, -3.25];
            all.push(affine);
        }
        all
    }

    #[test]
    fn inverse_comes_back() {
        for affine in samples() {
            for point in [[0.0, 0.0], [0.5, 0.5], [1234.5, -8.25]] {
                assert!(close(affine.inverse().apply(affine.apply(point)), point));
                assert!(close(affine.apply(affine.inverse().apply(point)), point));
            }
        }
    }

    #[test]
    fn chains_are_applied_from_the_inside() {
        for a_from_b in samples() {
            for b_from_c in samples() {
                let point = [3.5, 40.0];
                assert!(close(
                    a_from_b.then_from(&b_from_c).apply(point),
                    a_from_b.apply(b_from_c.apply(point))
                ));
            }
        }
    }

    #[test]
    fn a_scale_takes_corners_to_corners() {
        let source_from_model = Affine::scale_to([1857, 1317], [224, 224]);
        assert!(close(source_from_model.apply([0.0, 0.0]), [0.0, 0.0]));
        assert!(close(
            source_from_model.apply([224.0, 224.0]),
            [1857.0, 1317.0]
        ));
    }
}
