//! The catalogue is complete, the README shows what it says, and the command line prints it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

use std::collections::{BTreeMap, BTreeSet};

use camlens::explain::catalogue::{self, Domain, Layout};
use support::camlens;

/// The ids that stand so far of DESIGN.md, section 5.
const IDS: [&str; 42] = [
    "abn",
    "fg-cam",
    "grad-cam-lrp",
    "lrp-epsilon",
    "lrp-epsilon-plus",
    "lrp-epsilon-plus-flat",
    "lrp-epsilon-gamma-box",
    "lrp-epsilon-alpha2-beta1",
    "cam",
    "grad-cam",
    "grad-cam++",
    "xgrad-cam",
    "hires-cam",
    "elementwise-cam",
    "layer-cam",
    "score-cam",
    "ss-cam",
    "is-cam",
    "ablation-cam",
    "eigen-cam",
    "eigen-grad-cam",
    "kpca-cam",
    "fem",
    "full-grad",
    "shapley-cam",
    "finer-cam",
    "smooth-grad-cam++",
    "poly-cam",
    "refine-cam",
    "random-cam",
    "saliency",
    "input-x-gradient",
    "integrated-gradients",
    "guided-backprop",
    "guided-grad-cam",
    "smooth-grad",
    "gradient-shap",
    "kernel-shap",
    "deep-lift",
    "deep-shap",
    "occlusion",
    "rise",
];

fn stdout(args: &[&str]) -> String {
    let out = camlens(args);
    assert!(out.status.success(), "{args:?}");
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn every_id_is_there_once() {
    let ids: Vec<&str> = catalogue::all().map(|m| m.id).collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len());
    for id in IDS {
        assert!(unique.contains(id), "{id} is missing");
    }
}

#[test]
fn every_row_says_everything() {
    let none = BTreeMap::new();
    let mut families: Vec<&str> = Vec::new();
    for method in catalogue::all() {
        let id = method.id;
        for (what, words) in [
            ("label", method.label),
            ("family", method.family),
            ("shows", method.shows),
            ("weakness", method.weakness),
            ("formula", method.formula),
            ("cost", method.cost.formula),
            ("citation", method.citation.text),
        ] {
            assert!(words.len() > 2, "{id}: {what}");
            assert!(!words.contains('\u{2014}'), "{id}: {what}");
        }
        let bibtex = method.citation.bibtex;
        for part in ["@", "title=", "author=", "year="] {
            assert!(bibtex.contains(part), "{id}: BibTeX without {part}");
        }
        assert!(
            bibtex.ends_with('}') && bibtex.matches('{').count() == bibtex.matches('}').count(),
            "{id}: BibTeX"
        );
        if families.last() != Some(&method.family) {
            assert!(
                !families.contains(&method.family),
                "{id}: its family stands apart in the menu"
            );
            families.push(method.family);
        }
        // Sampling methods cost more at a wide layer or say a number of samples; none is free.
        let passes = |channels| {
            let layout = Layout {
                channels,
                input: [224, 224],
                stages: &[64, channels],
                last: channels,
            };
            method.passes(&layout, &none)
        };
        assert!(passes(64).forward >= 1, "{id}: passes");
        assert!(passes(2048).forward >= passes(64).forward, "{id}: passes");
        for param in method.params {
            assert!(param.help.len() > 10, "{id}.{}: help", param.id);
            if let Domain::Number {
                min,
                max,
                default,
                whole,
            } = param.domain
            {
                assert!((min..=max).contains(&default), "{id}.{}", param.id);
                assert!(!whole || default.fract() == 0.0, "{id}.{}", param.id);
            }
            for (value, fits) in [(param.default_text().as_str(), true), ("no such", false)] {
                let values = BTreeMap::from([(param.id.to_owned(), value.to_owned())]);
                assert_eq!(method.check(&values).is_ok(), fits, "{id}.{}", param.id);
            }
        }
        let unknown = BTreeMap::from([("no-such".to_owned(), "1".to_owned())]);
        let refused = method.check(&unknown).unwrap_err().to_string();
        assert!(refused.contains("no-such"), "{refused}");
        method.check(&method.resolved(&none)).unwrap();
        if method.weakness.contains("randomisation") {
            assert!(id.starts_with("guided"), "{id}");
        }
    }
}

#[test]
fn the_readme_shows_the_catalogue() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let count = format!("({} of them,", catalogue::all().count());
    assert!(readme.contains(&count), "README.md: the number of methods");
    let (_, rest) = readme.split_once("<!-- methods -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- /methods -->").unwrap();
    assert_eq!(
        table.trim(),
        stdout(&["methods", "--markdown"]).trim(),
        "README.md: paste what 'camlens methods --markdown' prints"
    );
}

#[test]
fn the_command_line_prints_the_catalogue() {
    let json: serde_json::Value = serde_json::from_str(&stdout(&["methods", "--json"])).unwrap();
    let rows = json.as_array().unwrap();
    assert_eq!(rows.len(), catalogue::all().count());
    for (row, method) in rows.iter().zip(catalogue::all()) {
        assert_eq!(row["id"], method.id);
        assert_eq!(row["label"], method.label);
        assert_eq!(row["family"], method.family);
        assert_eq!(row["params"].as_array().unwrap().len(), method.params.len());
    }
    let text = stdout(&["methods"]);
    let bibtex = stdout(&["methods", "--bibtex"]);
    for method in catalogue::all() {
        assert!(text.contains(method.citation.text), "{}", method.id);
        assert!(bibtex.contains(method.citation.bibtex), "{}", method.id);
        for param in method.params {
            assert!(text.contains(&format!("--set {}.{}=", method.id, param.id)));
        }
    }
}
