//! Words for numbers that are shown with a map: how concentrated it is, and how much relevance came through.

use super::method::grouped;
use super::notice::number;

// ---- concentration -----------------------------------------------------------------------------

/// No indicators: values that are no numbers, or not as many as the grid has cells.
pub const NOT_FINITE: &str = "not measured: some cells are not finite numbers";
/// No indicators.
pub const NO_POSITIVE: &str = "not measured: the map has no positive value";
/// No indicators.
pub const ONE_CELL: &str = "not measured: the map is a single cell";

/// Heading in a map's details.
pub const CONCENTRATION: &str = "How concentrated the map is";
/// Where the numbers come from and what they are not.
pub const CONCENTRATION_HINT: &str = "Of the positive values on the map's own grid. Numbers of different grids do not compare, and a concentrated map is not thereby a right one (indicators ce, ca, cd: Schöttl 2020).";

/// Entropy. `cells` is its exponential, the number of cells over which an even map would have it.
pub fn entropy(ce: f64, ce_max: f64, cells: f64, of: usize) -> String {
    format!(
        "Spread: as if even over {} of {} cells (entropy ce {ce:.2} of at most {ce_max:.2}); smaller is more concentrated",
        grouped(cells.round() as usize),
        grouped(of)
    )
}

/// Extent in the plane.
pub fn extent(ca: f64, even: f64) -> String {
    format!(
        "Extent: ca {} square cells (an even map: {}); smaller is more in one place",
        number(ca as f32),
        number(even as f32)
    )
}

/// Contrast of strong and weak cells.
pub fn contrast(cd: f64) -> String {
    format!(
        "Decisiveness: cd {} (an even map: 0); larger stands out more",
        number(cd as f32)
    )
}

/// All three in the caption of a figure.
pub fn indicators(ce: f64, ce_max: f64, ca: f64, cd: f64) -> String {
    format!(
        "ce {ce:.2} of {ce_max:.2}, ca {}, cd {}",
        number(ca as f32),
        number(cd as f32)
    )
}

/// The same where they are not defined.
pub fn no_indicators(reason: &str) -> String {
    format!("ce, ca, cd {reason}")
}

// ---- relevance that came through ---------------------------------------------------------------

/// Heading in a map's details.
pub const CONSERVATION: &str = "How much relevance came through";
/// What takes up relevance.
pub const CONSERVATION_HINT: &str = "From the output (top) to the pixels. What is lost was taken up by biases and by the rules' small constants; both can also add.";

/// Per cent, with a decimal where that says more.
fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent.abs() >= 9.95 || percent == 0.0 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// The gauge in a sentence: the share of the relevance at the output that lies on the pixels.
pub fn conserved(share: f64) -> String {
    let at = percent(share);
    // What is left is the rest of the rounded number: two that do not add up to 100 look wrong.
    let rest = |of: f64| match percent(share) {
        whole if whole.contains('.') => format!("{of:.1} %"),
        _ => format!("{of:.0} %"),
    };
    let rounded = match at.contains('.') {
        true => (1000.0 * share).round() / 10.0,
        false => (100.0 * share).round(),
    };
    if share < 0.0 {
        format!(
            "Relevance at the pixels adds up to {at} of that at the output: biases took up more than all of it, and its sign turned"
        )
    } else if rounded > 100.0 {
        format!(
            "Relevance at the pixels adds up to {at} of that at the output: biases added {} on the way",
            rest(rounded - 100.0)
        )
    } else if rounded == 100.0 {
        "All of the relevance at the output reached the pixels".to_owned()
    } else {
        format!(
            "{at} of the relevance at the output reached the pixels; {} was taken up by biases",
            rest(100.0 - rounded)
        )
    }
}

/// The gauge where parts of both signs stand at the output, so that shares mean nothing.
pub fn conserved_sums(output: f64, pixels: f64) -> String {
    format!(
        "Relevance for and against adds up to {} at the output and to {} at the pixels",
        sum(output),
        sum(pixels)
    )
}

/// The gauge in few words, on the picture.
pub fn conserved_short(share: f64) -> String {
    let at = percent(share);
    if share < 0.0 {
        format!("Relevance turned its sign on the way ({at})")
    } else if (100.0 * share).round() > 100.0 {
        format!("Relevance grew on the way to the pixels ({at})")
    } else {
        format!("{at} of the relevance reached the pixels")
    }
}

/// The same where shares mean nothing.
pub fn conserved_sums_short(output: f64, pixels: f64) -> String {
    format!("Sum {} at output, {} at pixels", sum(output), sum(pixels))
}

/// A row of the details: a layer and what came through to it.
pub fn conserved_at(layer: &str, total: f64, share: Option<f64>) -> String {
    match share {
        Some(share) => format!("{layer}: {} (sum {})", percent(share), sum(total)),
        None => format!("{layer}: sum {}", sum(total)),
    }
}

/// A sum; rounding alone is 0.
fn sum(value: f64) -> String {
    number(if value.abs() < 1e-7 {
        0.0
    } else {
        value as f32
    })
}

// ---- signs -------------------------------------------------------------------------------------

/// A map with values of both signs of which one is not shown. `share` is that of its magnitude.
pub fn hidden_sign(negative_hidden: bool, share: f64) -> String {
    let hidden = if negative_hidden {
        "Negative"
    } else {
        "Positive"
    };
    format!(
        "{hidden} relevance is hidden: {} of all, by magnitude",
        percent(share)
    )
}

/// The same on the picture, where a click shows both signs.
pub fn show_hidden(hidden: &str) -> String {
    format!("{hidden}. Show both")
}

/// On a picture where nearly nothing is drawn although the map is not empty.
pub fn hardly_drawn(cut: f32) -> String {
    format!(
        "Hardly any cell is far above the cut ({:.0} %): lower it, or blur the map",
        100.0 * cut
    )
}

// ---- a map's details ---------------------------------------------------------------------------

/// Button that opens them.
pub fn details_of_panel(panel: usize) -> String {
    format!("Numbers about the map, panel {panel}")
}

/// Head of the details.
pub fn details_heading(method: &str, layer: &str, [rows, columns]: [usize; 2]) -> String {
    format!("{method} at {layer}, {rows} × {columns}")
}

/// Tooltip of the button.
pub const DETAILS_HINT: &str = "Numbers about this map";

/// Accessible name of the gauge.
pub fn gauge(sentence: &str) -> String {
    format!("Conservation of relevance: {sentence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauge_says_what_came_through() {
        for (share, words) in [
            (
                0.97,
                "97 % of the relevance at the output reached the pixels; 3 % was",
            ),
            (
                0.034,
                "3.4 % of the relevance at the output reached the pixels; 96.6 % was",
            ),
            (0.9999, "All of the relevance"),
            (
                1.34,
                "adds up to 134 % of that at the output: biases added 34 %",
            ),
            (
                -0.2,
                "adds up to -20 % of that at the output: biases took up more",
            ),
            (
                0.0,
                "0 % of the relevance at the output reached the pixels; 100 % was",
            ),
        ] {
            let said = conserved(share);
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(
            conserved_sums_short(3e-9, -0.25),
            format!("Sum {} at output, {} at pixels", number(0.0), number(-0.25))
        );
    }
}
