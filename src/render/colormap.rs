//! Colour maps as tables of 256 colours.

use std::sync::OnceLock;

use crate::plan::{Colormap, Sign};

/// Number of colours in a table.
pub const LEVELS: usize = 256;

/// The 256 colours of a map as 8-bit sRGB, lowest value first.
pub fn lut(colormap: Colormap) -> &'static [[u8; 3]; LEVELS] {
    // The window asks in every frame.
    static TABLES: [OnceLock<[[u8; 3]; LEVELS]>; Colormap::ALL.len()] =
        [const { OnceLock::new() }; Colormap::ALL.len()];
    TABLES[colormap as usize].get_or_init(|| table(colormap))
}

fn table(colormap: Colormap) -> [[u8; 3]; LEVELS] {
    std::array::from_fn(|level| {
        let share = level as f64 / (LEVELS - 1) as f64;
        let gradient = match colormap {
            Colormap::Inferno => colorous::INFERNO,
            Colormap::Magma => colorous::MAGMA,
            Colormap::Viridis => colorous::VIRIDIS,
            Colormap::Cividis => colorous::CIVIDIS,
            // Theirs runs from red to blue; ours has red for evidence in favour.
            Colormap::Diverging => {
                return colorous::RED_BLUE.eval_continuous(1.0 - share).into_array();
            }
            Colormap::Jet => return jet(share),
        };
        gradient.eval_continuous(share).into_array()
    })
}

/// The map that is really used: a symmetric scale needs a diverging one.
pub fn effective(colormap: Colormap, sign: Sign) -> Colormap {
    if sign == Sign::Signed {
        Colormap::Diverging
    } else {
        colormap
    }
}

/// The legacy rainbow, piecewise linear as in MATLAB: dark blue, cyan, yellow, dark red.
fn jet(share: f64) -> [u8; 3] {
    let ramp = |centre: f64| (1.5 - (4.0 * share - centre).abs()).clamp(0.0, 1.0);
    [ramp(3.0), ramp(2.0), ramp(1.0)].map(|level| (level * 255.0).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_where_they_belong() {
        let ends = |colormap| {
            let table = lut(colormap);
            (table[0], table[255])
        };
        let (low, high) = ends(Colormap::Inferno);
        assert!(low.iter().all(|&v| v < 8) && high[0] > 240);
        let (against, favour) = ends(Colormap::Diverging);
        assert!(against[2] > against[0] && favour[0] > favour[2]);
        let middle = lut(Colormap::Diverging)[128];
        assert!(middle.iter().all(|&v| v > 235), "{middle:?}");
        assert_eq!(ends(Colormap::Jet), ([0, 0, 128], [128, 0, 0]));
    }

    #[test]
    fn uniform_maps_grow_lighter_all_the_way() {
        let luma = |[r, g, b]: [u8; 3]| {
            0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
        };
        for colormap in [
            Colormap::Inferno,
            Colormap::Magma,
            Colormap::Viridis,
            Colormap::Cividis,
        ] {
            let table = lut(colormap);
            for step in table.windows(9) {
                assert!(luma(step[8]) > luma(step[0]), "{colormap:?}");
            }
        }
    }
}
