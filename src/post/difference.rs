//! One field minus another, for maps that lie on the same X-ray.

use super::{Field, ScaleRange};

/// Where two maps of the same X-ray differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The first minus the second, each in shares of its own scale, so from -1 to 1; on the grid of the first.
    pub field: Field,
    /// Pearson's correlation of both over the cells that both networks saw; `None` where one of them is constant.
    pub correlation: Option<f64>,
}

/// Subtracts `b` from `a`, each divided by the upper end of its scale. `None` where they lie on pictures of different
/// sizes, or one of them is empty.
pub fn difference(a: (&Field, ScaleRange), b: (&Field, ScaleRange)) -> Option<Difference> {
    let ((a, of_a), (b, of_b)) = (a, b);
    if a.source_size != b.source_size || a.empty || b.empty || of_a.is_flat() || of_b.is_flat() {
        return None;
    }
    let b_from_a = b.field_from_source().then_from(&a.source_from_field);
    let mut pairs: Vec<(f64, f64)> = Vec::with_capacity(a.values.len());
    let mut values = Vec::with_capacity(a.values.len());
    for (i, &value) in a.values.iter().enumerate() {
        let at = [(i % a.width) as f64 + 0.5, (i / a.width) as f64 + 0.5];
        let [x, y] = b_from_a.apply(at);
        // What one of the networks did not see cannot be compared.
        let Some(other) = sample(b, [x - 0.5, y - 0.5]) else {
            values.push(0.0);
            continue;
        };
        let (first, second) = (value / of_a.hi, other / of_b.hi);
        pairs.push((f64::from(first), f64::from(second)));
        values.push((first - second).clamp(-1.0, 1.0));
    }
    let field = Field {
        values,
        cells: None,
        raw_min: -1.0,
        raw_max: 1.0,
        empty: pairs.is_empty(),
        notice: None,
        ..a.clone()
    };
    Some(Difference {
        field,
        correlation: correlation(&pairs),
    })
}

/// Bilinear value at a place between cells' centres; `None` outside the field.
fn sample(field: &Field, [x, y]: [f64; 2]) -> Option<f32> {
    let (w, h) = (field.width, field.height);
    if x < -0.5 || y < -0.5 || x > w as f64 - 0.5 || y > h as f64 - 0.5 {
        return None;
    }
    let place = |at: f64, side: usize| {
        let at = at.clamp(0.0, side as f64 - 1.0);
        let low = (at.floor() as usize).min(side - 1);
        (low, (low + 1).min(side - 1), (at - low as f64) as f32)
    };
    let ((x0, x1, fx), (y0, y1, fy)) = (place(x, w), place(y, h));
    let value = |x: usize, y: usize| field.values.get(y * w + x).copied();
    let top = value(x0, y0)? * (1.0 - fx) + value(x1, y0)? * fx;
    let bottom = value(x0, y1)? * (1.0 - fx) + value(x1, y1)? * fx;
    Some(top * (1.0 - fy) + bottom * fy)
}

fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (ma, mb) = (mean(|p| p.0), mean(|p| p.1));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        ab += (a - ma) * (b - mb);
        aa += (a - ma).powi(2);
        bb += (b - mb).powi(2);
    }
    let r = ab / (aa * bb).sqrt();
    r.is_finite().then_some(r)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::geometry::Affine;

    fn field(size: [usize; 2], values: Vec<f32>) -> Field {
        Field {
            width: size[0],
            height: size[1],
            values,
            source_from_field: Affine::scale_to([80, 40], size),
            source_size: [80, 40],
            cells: None,
            own_blur: [0.0; 2],
            raw_min: 0.0,
            raw_max: 1.0,
            empty: false,
            notice: None,
        }
    }

    const UNIT: ScaleRange = ScaleRange { lo: 0.0, hi: 1.0 };
    const TEN: ScaleRange = ScaleRange { lo: 0.0, hi: 10.0 };

    #[test]
    fn a_map_does_not_differ_from_itself_in_other_units_and_on_another_grid() {
        let ramp = |w: usize, h: usize, by: f32| -> Vec<f32> {
            (0..w * h)
                .map(|i| by * ((i % w) as f32 + 0.5) / w as f32)
                .collect()
        };
        let a = field([16, 8], ramp(16, 8, 1.0));
        let b = field([32, 16], ramp(32, 16, 10.0));
        let found = difference((&a, UNIT), (&b, TEN)).unwrap();
        assert!(found.field.largest() < 1e-6, "{}", found.field.largest());
        assert!((found.correlation.unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_sign_says_whose_it_is() {
        let a = field([2, 1], vec![1.0, 0.0]);
        let b = field([2, 1], vec![0.0, 0.5]);
        let found = difference((&a, UNIT), (&b, UNIT)).unwrap();
        assert_eq!(found.field.values, [1.0, -0.5]);
        assert!(found.correlation.unwrap() < -0.99);
    }

    #[test]
    fn other_pictures_and_empty_maps_are_not_compared() {
        let a = field([2, 1], vec![1.0, 0.0]);
        let other = Field {
            source_size: [81, 40],
            ..a.clone()
        };
        let empty = Field {
            empty: true,
            ..a.clone()
        };
        assert_eq!(difference((&a, UNIT), (&other, UNIT)), None);
        assert_eq!(difference((&a, UNIT), (&empty, UNIT)), None);
        let flat = field([2, 1], vec![0.5, 0.5]);
        assert_eq!(
            difference((&a, UNIT), (&flat, UNIT)).unwrap().correlation,
            None
        );
    }
}
