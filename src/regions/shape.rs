//! Shapes: which pixels are inside, and the line around them.

use super::mask::Mask;

/// Corners of an ellipse's outline.
const ELLIPSE_CORNERS: usize = 72;

/// A shape in pixels of the source image.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A rectangle: left, top, width and height.
    Box {
        /// Left edge.
        x: f64,
        /// Upper edge.
        y: f64,
        /// Width.
        w: f64,
        /// Height.
        h: f64,
    },
    /// An ellipse with upright axes: centre and half axes.
    Ellipse {
        /// Centre.
        cx: f64,
        /// Centre.
        cy: f64,
        /// Half of the width.
        rx: f64,
        /// Half of the height.
        ry: f64,
    },
    /// Closed outlines, each filled by the even-odd rule; several add up.
    Polygon(Vec<Vec<[f64; 2]>>),
    /// One flag a pixel.
    Mask(Mask),
}

impl Shape {
    /// Whether a point is inside.
    pub fn contains(&self, [x, y]: [f64; 2]) -> bool {
        match self {
            Self::Mask(mask) => mask.at(x.floor(), y.floor()),
            _ => self.spans(y).iter().any(|[a, b]| (*a..*b).contains(&x)),
        }
    }

    /// Where the line at height `y` is inside, as `[from, to)`.
    fn spans(&self, y: f64) -> Vec<[f64; 2]> {
        match self {
            Self::Box { x, y: top, w, h } => {
                let on = (*top..top + h).contains(&y);
                on.then_some([*x, x + w]).into_iter().collect()
            }
            Self::Ellipse { cx, cy, rx, ry } => {
                let t = (y - cy) / ry;
                let half = rx * (1.0 - t * t).max(0.0).sqrt();
                (t.abs() < 1.0)
                    .then_some([cx - half, cx + half])
                    .into_iter()
                    .collect()
            }
            Self::Polygon(rings) => rings.iter().flat_map(|ring| ring_spans(ring, y)).collect(),
            Self::Mask(_) => Vec::new(),
        }
    }

    /// Sets the pixels that are inside in a mask of `size`, `[width, height]`.
    pub(super) fn fill(&self, size: [usize; 2], inside: &mut [bool]) {
        if let Self::Mask(mask) = self {
            for (pixel, set) in inside.iter_mut().zip(mask.inside.iter()) {
                *pixel |= set;
            }
            return;
        }
        let [_, top, _, bottom] = self.bounds();
        let rows = first_centre(top, size[1])..first_centre(bottom, size[1]).saturating_add(1);
        for y in rows.start..rows.end.min(size[1]) {
            let row = y * size[0];
            for [from, to] in self.spans(y as f64 + 0.5) {
                let columns = first_centre(from, size[0])..first_centre(to, size[0]);
                if let Some(pixels) =
                    inside.get_mut(row + columns.start..row + columns.end.max(columns.start))
                {
                    pixels.fill(true);
                }
            }
        }
    }

    /// Number of pixels inside, of a picture of `size`.
    pub fn pixels(&self, size: [usize; 2]) -> usize {
        let mut inside = vec![false; size[0] * size[1]];
        self.fill(size, &mut inside);
        inside.iter().filter(|set| **set).count()
    }

    /// The smallest rectangle around it: left, top, right, bottom. All 0 where nothing is inside.
    pub fn bounds(&self) -> [f64; 4] {
        match self {
            Self::Box { x, y, w, h } => [*x, *y, x + w, y + h],
            Self::Ellipse { cx, cy, rx, ry } => [cx - rx, cy - ry, cx + rx, cy + ry],
            Self::Polygon(rings) => {
                let around = rings.iter().flatten().fold(
                    [
                        f64::INFINITY,
                        f64::INFINITY,
                        f64::NEG_INFINITY,
                        f64::NEG_INFINITY,
                    ],
                    |[left, top, right, bottom], [x, y]| {
                        [left.min(*x), top.min(*y), right.max(*x), bottom.max(*y)]
                    },
                );
                if around[0].is_finite() {
                    around
                } else {
                    [0.0; 4]
                }
            }
            Self::Mask(mask) => mask.bounds().map(|side| side as f64),
        }
    }

    /// The lines around it, closed: the last corner is joined to the first.
    pub fn outline(&self) -> Vec<Vec<[f64; 2]>> {
        match self {
            Self::Box { x, y, w, h } => {
                vec![vec![[*x, *y], [x + w, *y], [x + w, y + h], [*x, y + h]]]
            }
            Self::Ellipse { cx, cy, rx, ry } => {
                let corner = |i: usize| {
                    let turn = std::f64::consts::TAU * i as f64 / ELLIPSE_CORNERS as f64;
                    [cx + rx * turn.cos(), cy + ry * turn.sin()]
                };
                vec![(0..ELLIPSE_CORNERS).map(corner).collect()]
            }
            Self::Polygon(rings) => rings.clone(),
            Self::Mask(mask) => mask.outline(),
        }
    }

    /// Moves it; a mask stays where it is, since it belongs to the picture's pixels.
    pub fn move_by(&mut self, [dx, dy]: [f64; 2]) {
        match self {
            Self::Box { x, y, .. } => {
                *x += dx;
                *y += dy;
            }
            Self::Ellipse { cx, cy, .. } => {
                *cx += dx;
                *cy += dy;
            }
            Self::Polygon(rings) => {
                for [x, y] in rings.iter_mut().flatten() {
                    *x += dx;
                    *y += dy;
                }
            }
            Self::Mask(_) => {}
        }
    }
}

/// The first of `count` pixels whose centre is not before `at`.
fn first_centre(at: f64, count: usize) -> usize {
    // `as` saturates, and turns NaN into 0.
    ((at - 0.5).ceil().max(0.0) as usize).min(count)
}

/// Where a closed line is crossed at height `y`, in pairs.
fn ring_spans(ring: &[[f64; 2]], y: f64) -> Vec<[f64; 2]> {
    let next = ring.iter().cycle().skip(1);
    let mut crossings: Vec<f64> = ring
        .iter()
        .zip(next)
        .filter(|([_, ya], [_, yb])| (*ya <= y) != (*yb <= y))
        .map(|([xa, ya], [xb, yb])| xa + (y - ya) / (yb - ya) * (xb - xa))
        .collect();
    crossings.sort_by(f64::total_cmp);
    crossings
        .chunks_exact(2)
        .filter_map(|pair| Some([*pair.first()?, *pair.last()?]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(shape: &Shape) -> usize {
        shape.pixels([20, 10])
    }

    #[test]
    fn a_pixel_is_inside_when_its_centre_is() {
        let square = |x: f64, w: f64| Shape::Box {
            x,
            y: 0.0,
            w,
            h: 1.0,
        };
        assert_eq!(count(&square(0.0, 2.0)), 2);
        // The centre on the left edge counts, on the right edge it does not: two neighbours share no pixel.
        assert_eq!(count(&square(0.5, 1.0)), 1);
        assert!(square(0.5, 1.0).contains([0.5, 0.5]));
        assert!(!square(0.5, 1.0).contains([1.5, 0.5]));
        assert_eq!(count(&square(0.6, 0.8)), 0);
        // What lies beyond the picture is not counted.
        assert_eq!(count(&square(-3.0, 5.0)), 2);
        assert_eq!(count(&square(18.0, 9.0)), 2);
        assert_eq!(count(&square(25.0, 9.0)), 0);
    }

    #[test]
    fn filling_and_asking_agree_for_every_shape() {
        let star = vec![[2.2, 1.1], [17.4, 2.3], [4.0, 9.1], [9.7, 0.2], [13.3, 8.8]];
        let shapes = [
            Shape::Box {
                x: 2.3,
                y: 1.5,
                w: 7.7,
                h: 4.2,
            },
            Shape::Ellipse {
                cx: 9.4,
                cy: 4.9,
                rx: 6.1,
                ry: 3.3,
            },
            Shape::Polygon(vec![star, vec![[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]]]),
            Shape::Mask(Mask::new([20, 10], (0..200).map(|i| i % 7 == 0).collect())),
        ];
        for shape in shapes {
            let mut inside = vec![false; 200];
            shape.fill([20, 10], &mut inside);
            let mut seen = 0;
            for (i, set) in inside.iter().enumerate() {
                let centre = [(i % 20) as f64 + 0.5, (i / 20) as f64 + 0.5];
                assert_eq!(shape.contains(centre), *set, "{shape:?} at {centre:?}");
                seen += usize::from(*set);
            }
            assert!(seen > 20, "{shape:?}");
            let [left, top, right, bottom] = shape.bounds();
            for corner in shape.outline().into_iter().flatten() {
                assert!((left..=right).contains(&corner[0]) && (top..=bottom).contains(&corner[1]));
            }
        }
    }

    #[test]
    fn areas_come_near_to_the_formula() {
        let circle = Shape::Ellipse {
            cx: 500.0,
            cy: 400.0,
            rx: 300.0,
            ry: 200.0,
        };
        let exact = std::f64::consts::PI * 300.0 * 200.0;
        let counted = circle.pixels([1000, 800]) as f64;
        assert!((counted / exact - 1.0).abs() < 1e-3, "{counted} {exact}");
        let triangle = Shape::Polygon(vec![vec![[100.0, 100.0], [900.0, 100.0], [100.0, 700.0]]]);
        let counted = triangle.pixels([1000, 800]) as f64;
        assert!((counted / 240_000.0 - 1.0).abs() < 1e-3, "{counted}");
    }
}
