//! A field as colours with opacity.

use crate::model::kernels::cpu::vectorised;
use crate::plan::{OpacityMode, Sign, View};
use crate::post::{Field, ScaleRange};

use super::colormap::{LEVELS, effective, lut};

/// Entries of a baked table; fine enough that the cut's edge shows no steps.
pub const ENTRIES: usize = 1024;

/// Half width of the cut's smooth edge, as a share of the colour scale.
const EDGE: f32 = 0.02;

/// Share of the scale over which signed maps gain their full opacity.
const SIGNED_RISE: f32 = 0.35;

/// Share of the scale to which a sample of the field is drawn, 0..=1: for [`Sign::Signed`] its
/// distance from 0.
fn strength(share: f32, sign: Sign) -> f32 {
    if sign == Sign::Signed {
        (2.0 * share - 1.0).abs()
    } else {
        share
    }
}

/// 0 below the edge, 1 above it, a smooth step between.
fn above_cut(strength: f32, cut: f32) -> f32 {
    if cut <= 0.0 {
        // Nothing is cut: yet a strength of 0 is no evidence and stays clear.
        return smooth_step(strength / EDGE);
    }
    smooth_step((strength - cut + EDGE) / (2.0 * EDGE))
}

/// Share of the opacity at a strength. With both signs it rises over the first third above the cut: the
/// pale middle of a diverging scale, laid evenly over a dark lung, would look like an opacity of the
/// lung itself.
fn veil(strength: f32, cut: f32, sign: Sign) -> f32 {
    let above = above_cut(strength, cut);
    if sign == Sign::Signed {
        let rise = SIGNED_RISE.min(1.0 - cut.clamp(0.0, 0.9));
        above * smooth_step((strength - cut.max(0.0)) / rise)
    } else {
        above
    }
}

fn smooth_step(x: f32) -> f32 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

/// Colour and opacity for every value of a scale, baked once for a panel's settings.
#[derive(Clone, Debug)]
pub struct HeatLut {
    /// RGBA, not premultiplied.
    entries: Vec<[u8; 4]>,
    lo: f32,
    /// Entries per unit of value.
    gain: f32,
}

impl HeatLut {
    /// Bakes the table: `range` is the colour scale, `cut` the share of it under which nothing is
    /// drawn. A flat range (an empty map) draws nothing.
    pub fn new(range: ScaleRange, sign: Sign, view: &View, cut: f32) -> Self {
        if range.is_flat() {
            return Self {
                entries: vec![[0; 4]; ENTRIES],
                lo: 0.0,
                gain: 0.0,
            };
        }
        let colours = lut(effective(view.colormap, sign));
        let opacity = view.opacity.clamp(0.0, 1.0);
        let entries = (0..ENTRIES)
            .map(|entry| {
                let share = entry as f32 / (ENTRIES - 1) as f32;
                let level = (share * (LEVELS - 1) as f32 + 0.5) as usize;
                let [r, g, b] = colours.get(level).copied().unwrap_or_default();
                let strength = strength(share, sign);
                let by_value = match view.opacity_mode {
                    OpacityMode::Uniform => 1.0,
                    OpacityMode::ByValue => strength,
                };
                let alpha = opacity * veil(strength, cut, sign) * by_value;
                [r, g, b, (alpha * 255.0 + 0.5) as u8]
            })
            .collect();
        Self {
            entries,
            lo: range.lo,
            gain: (ENTRIES - 1) as f32 / (range.hi - range.lo),
        }
    }

    /// RGBA (not premultiplied) of a field's value; values outside the scale take its ends.
    #[inline]
    pub fn rgba(&self, value: f32) -> [u8; 4] {
        self.entries
            .get(self.entry(value))
            .copied()
            .unwrap_or_default()
    }

    /// Which of [`HeatLut::entries`] a field's value takes.
    #[inline(always)]
    pub fn entry(&self, value: f32) -> usize {
        // NaN becomes 0. Beside 2^23 no fraction has room: the sum's last bits are the nearest whole number, which is
        // several times as fast as a conversion that must check its range once more.
        let at = ((value - self.lo) * self.gain).max(0.0);
        let sum = at.min((ENTRIES - 1) as f32) + 8_388_608.0;
        (sum.to_bits() & 0x007F_FFFF) as usize
    }

    /// [`HeatLut::entry`] of many values.
    pub fn entries_of(&self, values: &[f32], entries: &mut [u16]) {
        vectorised(|| {
            for (entry, value) in entries.iter_mut().zip(values) {
                *entry = self.entry(*value) as u16;
            }
        });
    }

    /// The table itself, lowest value first: for a texture or a colour bar.
    pub fn entries(&self) -> &[[u8; 4]] {
        &self.entries
    }
}

/// A field as an RGBA picture (not premultiplied) of the field's own size, row by row,
/// `4 * width * height` bytes: the texture that lies over the X-ray.
///
/// Empty fields are fully transparent.
pub fn heat_rgba(field: &Field, range: ScaleRange, sign: Sign, view: &View, cut: f32) -> Vec<u8> {
    if field.empty {
        return vec![0; 4 * field.values.len()];
    }
    let lut = HeatLut::new(range, sign, view, cut);
    let mut out = vec![0; 4 * field.values.len()];
    for (pixel, &value) in out.chunks_exact_mut(4).zip(&field.values) {
        pixel.copy_from_slice(&lut.rgba(value));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Colormap, Contours};

    const UNIT: ScaleRange = ScaleRange { lo: 0.0, hi: 1.0 };

    fn view(opacity: f32, opacity_mode: OpacityMode) -> View {
        View {
            opacity,
            opacity_mode,
            colormap: Colormap::Inferno,
            contours: Contours::None,
        }
    }

    #[test]
    fn entries_are_the_nearest_ones() {
        let range = ScaleRange { lo: -2.0, hi: 6.0 };
        let lut = HeatLut::new(range, Sign::Positive, &View::default(), 0.0);
        for value in [
            -9.0,
            -2.0,
            -1.996_2,
            0.013,
            3.3,
            5.999_9,
            6.0,
            1e30,
            f32::INFINITY,
        ] {
            let share = (f64::from(value) + 2.0) / 8.0;
            let nearest = (share.clamp(0.0, 1.0) * (ENTRIES - 1) as f64).round();
            assert_eq!(lut.entry(value), nearest as usize, "{value}");
        }
        assert_eq!((lut.entry(f32::NAN), lut.entry(f32::NEG_INFINITY)), (0, 0));
    }

    #[test]
    fn uniform_opacity_has_a_smooth_edge_at_the_cut() {
        let lut = HeatLut::new(UNIT, Sign::Positive, &view(0.5, OpacityMode::Uniform), 0.4);
        let alpha = |value| lut.rgba(value)[3];
        assert_eq!(alpha(0.0), 0);
        assert_eq!(alpha(0.37), 0);
        assert_eq!(alpha(0.43), 128);
        assert_eq!(alpha(1.0), 128);
        assert!((60..70).contains(&alpha(0.4)), "{}", alpha(0.4));
        let edge: Vec<u8> = (0..40).map(|i| alpha(0.38 + 0.001 * i as f32)).collect();
        assert!(edge.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    #[test]
    fn by_value_grows() {
        let lut = HeatLut::new(UNIT, Sign::Positive, &view(1.0, OpacityMode::ByValue), 0.0);
        assert_eq!(lut.rgba(0.0)[3], 0);
        assert!((126..=130).contains(&lut.rgba(0.5)[3]));
        assert_eq!(lut.rgba(2.0)[3], 255);
    }

    #[test]
    fn signed_maps_are_clear_in_the_middle_and_diverging() {
        let range = ScaleRange { lo: -2.0, hi: 2.0 };
        let lut = HeatLut::new(range, Sign::Signed, &view(1.0, OpacityMode::Uniform), 0.2);
        assert_eq!(lut.rgba(0.0)[3], 0);
        assert_eq!(lut.rgba(0.3)[3], 0);
        let (against, favour) = (lut.rgba(-2.0), lut.rgba(2.0));
        assert!(against[2] > against[0] && favour[0] > favour[2]);
        assert_eq!((against[3], favour[3]), (255, 255));
    }

    #[test]
    fn zero_is_clear_even_without_a_cut() {
        for sign in [Sign::Positive, Sign::Negative, Sign::Signed] {
            let range = match sign {
                Sign::Signed => ScaleRange { lo: -1.0, hi: 1.0 },
                _ => UNIT,
            };
            let lut = HeatLut::new(range, sign, &view(1.0, OpacityMode::Uniform), 0.0);
            assert_eq!(lut.rgba(0.0)[3], 0, "{sign:?}");
        }
    }

    #[test]
    fn flat_ranges_and_nan_draw_nothing() {
        let flat = ScaleRange { lo: 0.0, hi: 0.0 };
        let lut = HeatLut::new(flat, Sign::Positive, &view(1.0, OpacityMode::Uniform), 0.0);
        assert_eq!(lut.rgba(7.0), [0; 4]);
        let lut = HeatLut::new(UNIT, Sign::Positive, &view(1.0, OpacityMode::Uniform), 0.2);
        assert_eq!(lut.rgba(f32::NAN)[3], 0);
    }
}
