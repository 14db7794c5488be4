//! Single arguments, and what is said of one that does not read.

use std::num::NonZeroUsize;

use crate::image::display::VoiFunction;
use crate::plan::{Activation, Colormap, Contours, DeviceChoice, Normalise, Score, Sign};
use crate::session::view::Wanted;

pub(super) fn parse_activation(text: &str) -> Result<Activation, String> {
    Activation::ALL
        .into_iter()
        .find(|activation| activation.id() == text)
        .ok_or_else(|| "expected softmax or sigmoid".to_owned())
}

pub(super) fn parse_share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(v) if (0.0..=1.0).contains(&v) => Ok(v),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

pub(super) fn parse_sigma(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(v) if v.is_finite() && (0.0..=1000.0).contains(&v) => Ok(v),
        _ => Err("expected pixels, 0 to 1000".to_owned()),
    }
}

/// `CENTER,WIDTH`, or the name of a preset.
pub(super) fn parse_window(text: &str) -> Result<Wanted, String> {
    let Some((center, width)) = text.split_once(',') else {
        return Ok(Wanted::Preset(text.to_owned()));
    };
    match (center.trim().parse::<f64>(), width.trim().parse::<f64>()) {
        (Ok(c), Ok(w)) if c.is_finite() && w.is_finite() && w >= 1.0 => Ok(Wanted::Window(c, w)),
        _ => Err("expected CENTER,WIDTH, two numbers, the width at least 1".to_owned()),
    }
}

pub(super) fn parse_voi(text: &str) -> Result<VoiFunction, String> {
    VoiFunction::ALL
        .into_iter()
        .find(|function| function.id() == text)
        .ok_or_else(|| "expected linear, linear-exact or sigmoid".to_owned())
}

pub(super) fn parse_frame(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| "expected a frame's number, from 1".to_owned())
}

pub(super) fn parse_factor(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(v) if v.is_finite() && (-100.0..=100.0).contains(&v) => Ok(v),
        _ => Err("expected a number from -100 to 100".to_owned()),
    }
}

pub(super) fn parse_score(text: &str) -> Result<Score, String> {
    Score::ALL
        .into_iter()
        .find(|score| score.id() == text)
        .ok_or_else(|| "expected logit or probability".to_owned())
}

pub(super) fn parse_sign(text: &str) -> Result<Sign, String> {
    match text {
        "positive" => Ok(Sign::Positive),
        "negative" => Ok(Sign::Negative),
        "signed" => Ok(Sign::Signed),
        _ => Err("expected positive, negative or signed".to_owned()),
    }
}

pub(super) fn parse_normalise(text: &str) -> Result<Normalise, String> {
    let fixed = || {
        let (lo, hi) = text.split_once("..")?;
        let (lo, hi) = (lo.parse::<f32>().ok()?, hi.parse::<f32>().ok()?);
        (lo.is_finite() && hi.is_finite() && lo < hi).then_some(Normalise::Fixed { lo, hi })
    };
    match text {
        "map" => Ok(Normalise::Map),
        "shared" => Ok(Normalise::Shared),
        _ => fixed().ok_or_else(|| "expected map, shared, or LO..HI with LO below HI".to_owned()),
    }
}

pub(super) fn parse_colormap(text: &str) -> Result<Colormap, String> {
    Colormap::ALL
        .into_iter()
        .find(|c| c.id() == text)
        .ok_or_else(|| {
            format!(
                "expected one of {}",
                Colormap::ALL.map(Colormap::id).join(", ")
            )
        })
}

pub(super) fn parse_contours(text: &str) -> Result<Contours, String> {
    Contours::ALL
        .into_iter()
        .find(|c| c.id() == text)
        .ok_or_else(|| {
            format!(
                "expected one of {}",
                Contours::ALL.map(Contours::id).join(", ")
            )
        })
}

pub(super) fn parse_device(text: &str) -> Result<DeviceChoice, String> {
    match text {
        "auto" => Ok(DeviceChoice::Auto),
        "cpu" => Ok(DeviceChoice::Cpu),
        "cuda" => Ok(DeviceChoice::Cuda),
        "metal" => Ok(DeviceChoice::Metal),
        _ => Err("expected auto, cpu, cuda or metal".to_owned()),
    }
}

pub(super) fn parse_size(text: &str) -> Result<[f32; 2], String> {
    let size = || {
        let (w, h) = text.split_once('x')?;
        let size = [w.parse::<f32>().ok()?, h.parse::<f32>().ok()?];
        size.iter()
            .all(|v| (320.0..=8192.0).contains(v))
            .then_some(size)
    };
    size().ok_or_else(|| "expected WIDTHxHEIGHT, for example 1280x800".to_owned())
}

/// `METHOD.PARAM=VALUE`; method ids have no full stop.
pub(super) fn parse_set(text: &str) -> Result<(String, String, String), String> {
    let parts = || {
        let (name, value) = text.split_once('=')?;
        let (method, param) = name.split_once('.')?;
        let filled = !method.is_empty() && !param.is_empty() && !value.is_empty();
        filled.then(|| (method.to_owned(), param.to_owned(), value.to_owned()))
    };
    parts().ok_or_else(|| "expected METHOD.PARAM=VALUE".to_owned())
}
