//! Words on exported figures.

use crate::plan::{Normalise, OpacityMode, Post, Sign, Values, View};

/// Heading of a panel without heat.
pub const PLAIN: &str = "X-ray";

/// The line about the network.
pub fn model_line(name: &str, arch: &str) -> String {
    format!("Network: {name} ({arch})")
}

/// The line about the explained finding.
pub fn finding_line(label: &str, probability: f32, logit: f32, score: Option<f32>) -> String {
    let score = score.map_or_else(String::new, |s| format!(", score {s:.3}"));
    format!("Finding: {label}, probability {probability:.3} (logit {logit:.2}{score})")
}

/// The line about what every map explains.
pub fn objective_line(formula: &str) -> String {
    format!("Explained: {formula}")
}

/// The right end of the foot.
pub fn footer(model_sha256: &str, image_sha256: &str) -> String {
    let short = |hash: &str| hash.chars().take(10).collect::<String>();
    format!(
        "{} {} · network {} · image {}",
        super::APP,
        env!("CARGO_PKG_VERSION"),
        short(model_sha256),
        short(image_sha256)
    )
}

/// What the numbers of a colour scale are.
pub fn unit(method: &str) -> String {
    format!("{method}, raw units")
}

/// Layer, grid and every setting of a panel.
pub fn caption(
    layer: &str,
    [rows, columns]: [usize; 2],
    post: &Post,
    view: &View,
    params: &Values,
) -> Vec<String> {
    let sign = match post.sign {
        Sign::Positive => "positive evidence",
        Sign::Negative => "negative evidence",
        Sign::Signed => "signed",
    };
    let scale = match post.normalise {
        Normalise::Map => "scale: this map".to_owned(),
        Normalise::Shared => "scale: shared".to_owned(),
        Normalise::Fixed { lo, hi } => format!("scale: {lo} to {hi}"),
    };
    let opacity = match view.opacity_mode {
        OpacityMode::Uniform => "uniform",
        OpacityMode::ByValue => "by value",
    };
    let mut lines = vec![
        format!("{layer}, grid {rows} × {columns}, {sign}"),
        format!(
            "denoise {:.0} %, blur {:.0} px, cut {:.0} %, opacity {:.0} % ({opacity}), {scale}",
            100.0 * post.denoise,
            post.blur_px,
            100.0 * post.cut,
            100.0 * view.opacity,
        ),
    ];
    if !params.is_empty() {
        let list: Vec<String> = params.iter().map(|(id, v)| format!("{id} {v}")).collect();
        lines.push(list.join(", "));
    }
    lines
}
