//! Words about methods: what they explain, cost and are set to.

/// What is explained, as a name in a sentence.
pub fn objective_name(target: &crate::plan::Target, label: impl Fn(usize) -> String) -> String {
    let mut name = label(target.class);
    if target.negated {
        name = format!("not {name}");
    }
    match target.against {
        Some(against) => format!("{name} against {}", label(against.class)),
        None => name,
    }
}

// ---- what is explained -------------------------------------------------------------------------

/// Menu of contrasts and scores.
pub const CONTRAST: &str = "Contrast…";
/// Tooltip.
pub const CONTRAST_HINT: &str =
    "Explain the finding against another one, its probability, or its absence";
/// Heading of the list of classes.
pub const AGAINST_WHICH: &str = "Against";
/// No contrast.
pub const AGAINST_NONE: &str = "Nothing: the finding alone";
/// Heading of the choice of scores.
pub const SCORE: &str = "Score";
/// Tooltip of the score.
pub const SCORE_HINT: &str =
    "The raw output, or what softmax or sigmoid make of it; probabilities near 0 or 1 hardly move";
/// The switch that turns the sign.
pub const NEGATED: &str = "Its absence (sign turned)";
/// Tooltip.
pub const NEGATED_HINT: &str =
    "Counterfactual: the sign of the score is turned before anything is computed";
/// Back to the plain logit.
pub const PLAIN_TARGET: &str = "Explain the finding alone";

/// A score in menus.
pub fn score(score: crate::plan::Score) -> &'static str {
    match score {
        crate::plan::Score::Logit => "Logit",
        crate::plan::Score::Probability => "Probability",
    }
}

/// The complement of a single output.
pub fn absence(label: &str) -> String {
    format!("not {label}")
}

// ---- methods with parameters and many passes ---------------------------------------------------

/// Search field of the menu of methods.
pub const FIND_METHOD: &str = "Find a method";
/// Nothing in the menu fits.
pub const NO_SUCH_METHOD: &str = "No method of that name";
/// Heading of the cost in a card.
pub const COST: &str = "Cost";
/// Methods that are there at once.
pub const AT_ONCE: &str = "at once";
/// Heading of what is ours in a card.
pub const OURS: &str = "What is our own reconstruction";
/// Methods that know no class.
pub const EVERY_CLASS: &str = "the same for every finding";
/// Mark of such a method in a menu.
pub const ANY_FINDING: &str = "any finding";
/// Depth of a method that explains the input as a whole.
pub const NO_DEPTH: &str = "explains the whole input; no layer is chosen";
/// Depth of a method that shows the network's attention branch.
pub const OWN_PLACE: &str = "the network's own attention map; no layer is chosen";
/// Back to a method's defaults.
pub const DEFAULTS: &str = "Defaults";
/// Stop a map that grows.
pub const STOP_MAP: &str = "Stop";
/// Let it go on.
pub const GO_ON: &str = "Continue";

/// Heading of a method's parameters.
pub fn parameters(panel: usize, method: &str) -> String {
    format!("{method}, panel {panel}")
}

/// A method without parameters.
pub const NO_PARAMETERS: &str = "This method has no parameters";

/// Digits in groups of three.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What a map costs.
pub fn passes(forward: usize, backward: usize, seconds: Option<f64>) -> String {
    let mut text = format!("{} passes", grouped(forward + backward));
    if let Some(seconds) = seconds {
        text.push_str(&format!(", about {}", duration(seconds)));
    }
    text
}

/// A time in words.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.5 => "1 s".to_owned(),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// A map that grows.
pub fn growing(done: usize, total: usize, seconds_left: Option<f64>) -> String {
    let mut text = format!("{} of {} steps", grouped(done), grouped(total));
    if let Some(seconds) = seconds_left {
        text.push_str(&format!(", {} left", duration(seconds)));
    }
    text
}

/// A map that was stopped.
pub fn stopped_at(done: usize, total: usize) -> String {
    format!("Unfinished: {} of {} steps", grouped(done), grouped(total))
}

/// Accessible name of a button on a panel.
pub fn on_panel(word: &str, panel: usize) -> String {
    format!("{word}, panel {panel}")
}

/// What rules of relevance propagation look like.
pub const RULES: &str = "rules by layer as conv=gamma(0.25),linear=epsilon,first=z-box";

/// The button that shows how a map came about.
pub const STAGES: &str = "Show its stages";
/// Tooltip.
pub const STAGES_HINT: &str = "One panel for each step on the way to this map, side by side";

/// Copies a citation.
pub const COPY_BIBTEX: &str = "Copy BibTeX";
