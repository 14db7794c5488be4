//! Sign and denoising on the map's own grid, and the words for maps that show nothing.

use crate::explain::{RawMap, catalogue};
use crate::plan::Sign;
use crate::text::{measure, notice};

/// Evidence of the chosen sign that is smaller than this share of the map's largest magnitude is
/// rounding noise: stretching it over the colour scale would make a picture of nothing.
const NOISE_SHARE: f32 = 1e-5;
/// Below this share, evidence is shown but the reader is told that the other sign dominates.
const WEAK_SHARE: f32 = 0.05;

/// What must be said where a map of relevance is shown with one sign: how much of its magnitude is of the other and
/// hidden. `None` where both are shown or nothing is hidden, and for other methods, whose maps are read
/// one sign at a time.
pub fn hidden_sign(map: &RawMap, sign: Sign) -> Option<String> {
    let negative = match sign {
        Sign::Positive => true,
        Sign::Negative => false,
        Sign::Signed => return None,
    };
    if !catalogue::find(&map.method).is_ok_and(|m| m.is_relevance()) {
        return None;
    }
    let (mut hidden, mut all) = (0f64, 0f64);
    for v in map.values.iter().filter(|v| v.is_finite()) {
        let magnitude = f64::from(v.abs());
        all += magnitude;
        if (*v < 0.0) == negative {
            hidden += magnitude;
        }
    }
    let share = hidden / all;
    // Less than rounding is not worth a word; also false for a map of zeros.
    (share >= f64::from(NOISE_SHARE)).then(|| measure::hidden_sign(negative, share))
}

/// What is left of a map after sign and denoising.
pub(super) struct Selected {
    pub(super) values: Vec<f32>,
    pub(super) raw_min: f32,
    pub(super) raw_max: f32,
    pub(super) empty: bool,
    pub(super) notice: Option<String>,
}

pub(super) fn select(map: &RawMap, sign: Sign, denoise: f32, target: &str) -> Selected {
    let expected = map.width * map.height;
    // A map whose values do not fill its grid would be drawn in the wrong place: treat the
    // missing cells like cells that are no number.
    let missing = expected.saturating_sub(map.values.len());
    let cells = || map.values.iter().copied().take(expected);
    let bad = cells().filter(|v| !v.is_finite()).count() + missing;
    let (raw_min, raw_max) = cells()
        .filter(|v| v.is_finite())
        .fold(None, |range: Option<(f32, f32)>, v| {
            let (lo, hi) = range.unwrap_or((v, v));
            Some((lo.min(v), hi.max(v)))
        })
        .unwrap_or((0.0, 0.0));
    let most = raw_min.abs().max(raw_max.abs());
    let found = match sign {
        Sign::Positive => raw_max,
        Sign::Negative => -raw_min,
        Sign::Signed => most,
    };
    let empty = found <= 0.0 || found < most * NOISE_SHARE;

    let mut words = Vec::new();
    if bad > 0 {
        words.push(notice::cells_not_finite(bad, expected));
    }
    let target = map.target.map(|_| target);
    if empty {
        let say = match sign {
            Sign::Positive => notice::no_positive_evidence,
            Sign::Negative => notice::no_negative_evidence,
            Sign::Signed => notice::no_evidence,
        };
        words.push(say(target, &map.layer, raw_min, raw_max));
    } else if raw_min >= raw_max && expected > 1 {
        words.push(notice::map_is_constant(raw_min));
    } else if found < most * WEAK_SHARE {
        words.push(notice::weak_evidence(
            sign == Sign::Negative,
            raw_min,
            raw_max,
        ));
    }

    let least = denoise.clamp(0.0, 1.0) * found;
    let values = if empty {
        vec![0.0; expected]
    } else {
        cells()
            .map(|v| {
                let v = if v.is_finite() { v } else { 0.0 };
                let v = match sign {
                    Sign::Positive => v.max(0.0),
                    Sign::Negative => (-v).max(0.0),
                    Sign::Signed => v,
                };
                if v.abs() < least { 0.0 } else { v }
            })
            .chain(std::iter::repeat_n(0.0, missing))
            .collect()
    };
    Selected {
        values,
        raw_min,
        raw_max,
        empty,
        notice: (!words.is_empty()).then(|| words.join(". ")),
    }
}
