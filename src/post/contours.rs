//! Lines of equal value over a field, for readers who want to see the X-ray under the map.

use super::{Field, ScaleRange};
use crate::plan::{Contours, Sign};

/// One line of equal value.
#[derive(Clone, Debug, PartialEq)]
pub struct Contour {
    /// The value, in the map's units.
    pub value: f32,
    /// Its share of the colour scale, -1..=1.
    pub share: f32,
    /// Corners in pixels of the source image.
    pub line: Vec<[f64; 2]>,
}

/// The lines at the levels of `which` between the ends of the scale; with both signs shown, on both sides of 0.
///
/// Marching squares (W. Lorensen and H. Cline, 1987, in two dimensions) on the centres of the field's cells, with the
/// crossing on each edge interpolated; a saddle is joined by the mean of its four corners. Lines end where the field does.
pub fn contours(field: &Field, range: ScaleRange, sign: Sign, which: Contours) -> Vec<Contour> {
    if field.empty || range.is_flat() || field.width < 2 || field.height < 2 {
        return Vec::new();
    }
    let mut levels: Vec<f32> = which.levels().to_vec();
    if sign == Sign::Signed {
        levels.extend(which.levels().iter().map(|level| -level));
    }
    let mut found = Vec::new();
    for share in levels {
        let value = match sign {
            Sign::Signed => range.hi * share,
            _ => range.lo + (range.hi - range.lo) * share,
        };
        let lines = Squares { field, value }.lines();
        found.extend(lines.into_iter().map(|line| Contour { value, share, line }));
    }
    found
}

/// No neighbour on this side.
const NONE: u32 = u32::MAX;

/// One level of one field. Points of its lines lie on edges between neighbouring centres; an edge is numbered by the
/// cell at its upper left end, first all that go to the right, then all that go down.
struct Squares<'a> {
    field: &'a Field,
    value: f32,
}

impl Squares<'_> {
    fn at(&self, x: usize, y: usize) -> f32 {
        let value = self.field.values.get(y * self.field.width + x);
        value.copied().unwrap_or(0.0) - self.value
    }

    fn lines(&self) -> Vec<Vec<[f64; 2]>> {
        let (w, h) = (self.field.width, self.field.height);
        let count = w * h;
        let mut next: Vec<[u32; 2]> = vec![[NONE; 2]; 2 * count];
        let mut used: Vec<u32> = Vec::new();
        let mut join = |a: usize, b: usize| {
            for (from, to) in [(a, b), (b, a)] {
                if let Some(ends) = next.get_mut(from) {
                    if *ends == [NONE; 2] {
                        used.push(from as u32);
                    }
                    let free = usize::from(ends[0] != NONE);
                    ends[free] = to as u32;
                }
            }
        };
        for y in 0..h - 1 {
            for x in 0..w - 1 {
                let corners = [
                    self.at(x, y),
                    self.at(x + 1, y),
                    self.at(x + 1, y + 1),
                    self.at(x, y + 1),
                ];
                let above = corners.map(|v| v >= 0.0);
                if above == [true; 4] || above == [false; 4] {
                    continue;
                }
                let here = y * w + x;
                // Top, right, bottom, left.
                let edges = [here, count + here + 1, here + w, count + here];
                let crossed: Vec<usize> =
                    (0..4).filter(|&i| above[i] != above[(i + 1) % 4]).collect();
                match crossed.as_slice() {
                    [a, b] => join(edges[*a], edges[*b]),
                    _ => {
                        // A saddle: the middle belongs to one of both pairs of corners.
                        let middle = corners.iter().sum::<f32>() >= 0.0;
                        let around_first = middle != above[0];
                        let (one, two) = match around_first {
                            true => ((edges[3], edges[0]), (edges[1], edges[2])),
                            false => ((edges[0], edges[1]), (edges[2], edges[3])),
                        };
                        join(one.0, one.1);
                        join(two.0, two.1);
                    }
                }
            }
        }
        self.traced(&mut next, &used)
    }

    /// Joins points to lines: first those with ends, then the closed ones.
    fn traced(&self, next: &mut [[u32; 2]], used: &[u32]) -> Vec<Vec<[f64; 2]>> {
        let mut lines = Vec::new();
        for closed in [false, true] {
            for &start in used {
                let begins = match next.get(start as usize) {
                    Some([a, b]) => *a != NONE && (closed || *b == NONE),
                    None => false,
                };
                if !begins {
                    continue;
                }
                let mut line = vec![self.point(start as usize)];
                let mut at = start;
                while let Some(ends) = next.get_mut(at as usize) {
                    let to = if ends[0] != NONE { ends[0] } else { ends[1] };
                    if to == NONE {
                        break;
                    }
                    // The way is gone over once: taken out at both ends.
                    remove(ends, to);
                    if let Some(back) = next.get_mut(to as usize) {
                        remove(back, at);
                    }
                    line.push(self.point(to as usize));
                    at = to;
                }
                lines.push(line);
            }
        }
        lines
    }

    /// Where the level crosses an edge, in pixels of the source image.
    fn point(&self, edge: usize) -> [f64; 2] {
        let (w, count) = (self.field.width, self.field.width * self.field.height);
        let (cell, down) = (edge % count, edge >= count);
        let (x, y) = (cell % w, cell / w);
        let (a, b) = match down {
            false => (self.at(x, y), self.at(x + 1, y)),
            true => (self.at(x, y), self.at(x, y + 1)),
        };
        let share = f64::from(a / (a - b)).clamp(0.0, 1.0);
        let (dx, dy) = if down { (0.0, share) } else { (share, 0.0) };
        let centre = [x as f64 + 0.5 + dx, y as f64 + 0.5 + dy];
        self.field.source_from_field.apply(centre)
    }
}

fn remove(ends: &mut [u32; 2], to: u32) {
    if let Some(end) = ends.iter_mut().find(|end| **end == to) {
        *end = NONE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::geometry::Affine;

    fn field(size: usize, value: impl Fn(f32, f32) -> f32) -> Field {
        let values =
            (0..size * size).map(|i| value((i % size) as f32 + 0.5, (i / size) as f32 + 0.5));
        Field {
            width: size,
            height: size,
            values: values.collect(),
            source_from_field: Affine::scale_to([2 * size, 2 * size], [size, size]),
            source_size: [2 * size, 2 * size],
            cells: None,
            own_blur: [0.0; 2],
            raw_min: 0.0,
            raw_max: 1.0,
            empty: false,
            notice: None,
        }
    }

    const UNIT: ScaleRange = ScaleRange { lo: 0.0, hi: 1.0 };

    #[test]
    fn a_cone_has_a_circle_in_source_pixels() {
        let cone = field(64, |x, y| 1.0 - (x - 32.0).hypot(y - 32.0) / 24.0);
        let found = contours(&cone, UNIT, Sign::Positive, Contours::Half);
        assert_eq!(found.len(), 1);
        let line = &found[0].line;
        assert_eq!(line.first(), line.last(), "closed");
        assert!(line.len() > 60);
        for [x, y] in line {
            let r = (x - 64.0).hypot(y - 64.0);
            assert!((r - 24.0).abs() < 0.2, "{r}");
        }
    }

    #[test]
    fn a_ramp_has_a_line_from_border_to_border_at_each_level() {
        let ramp = field(32, |x, _| x / 32.0);
        let found = contours(&ramp, UNIT, Sign::Positive, Contours::Quarters);
        let shares: Vec<f32> = found.iter().map(|c| c.share).collect();
        assert_eq!(shares, [0.25, 0.5, 0.75]);
        for contour in found {
            assert_eq!(contour.line.len(), 32);
            let x = f64::from(contour.share) * 64.0;
            assert!(contour.line.iter().all(|at| (at[0] - x).abs() < 1e-4));
        }
    }

    #[test]
    fn both_signs_have_lines_on_both_sides_of_nothing() {
        let tilt = field(32, |x, _| (x - 16.0) / 16.0);
        let range = ScaleRange { lo: -1.0, hi: 1.0 };
        let found = contours(&tilt, range, Sign::Signed, Contours::Half);
        let values: Vec<f32> = found.iter().map(|c| c.value).collect();
        assert_eq!(values, [0.5, -0.5]);
    }

    #[test]
    fn checkers_are_traced_to_the_end() {
        let checkers = field(24, |x, y| {
            f32::from((x as u32 + y as u32).is_multiple_of(2))
        });
        let found = contours(&checkers, UNIT, Sign::Positive, Contours::Half);
        let points: usize = found.iter().map(|c| c.line.len() - 1).sum();
        // Two pieces of line in every square between centres.
        assert_eq!(points, 2 * 23 * 23);
    }

    #[test]
    fn nothing_has_no_lines() {
        let flat = field(8, |_, _| 0.0);
        assert!(
            contours(
                &flat,
                ScaleRange::default(),
                Sign::Positive,
                Contours::Tenths
            )
            .is_empty()
        );
        assert!(contours(&flat, UNIT, Sign::Positive, Contours::Tenths).is_empty());
        assert!(contours(&field(8, |x, _| x), UNIT, Sign::Positive, Contours::None).is_empty());
    }
}
