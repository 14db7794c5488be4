//! `camlens methods`: the catalogue as text, JSON, Markdown and BibTeX.

use std::process::ExitCode;

use super::args::MethodsArgs;
use super::commands::{print, print_json};
use crate::error::Result;
use crate::explain::catalogue::{self, Method, Place};

pub(super) fn run(args: &MethodsArgs) -> Result<ExitCode> {
    if args.json {
        print_json(&catalogue::all().collect::<Vec<_>>())?;
    } else if args.markdown {
        print(&markdown())?;
    } else if args.bibtex {
        print(&bibtex())?;
    } else {
        print(&catalogue::all().map(card).collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything about a method for a terminal.
fn card(method: &Method) -> String {
    let mut text = format!(
        "{} ({}; {})\n  {}\n  {}\n  {}, {}\n  weakness: {}\n  cost: {}\n",
        method.id,
        method.label,
        method.family,
        method.formula,
        method.shows,
        class_words(method),
        place_words(method),
        method.weakness,
        method.cost.formula,
    );
    if let Some(ours) = method.reconstruction {
        text.push_str(&format!("  ours: {ours}\n"));
    }
    for param in method.params {
        text.push_str(&format!(
            "  --set {}.{}={}  ({}) {}\n",
            method.id,
            param.id,
            param.default_text(),
            param.expected(),
            param.help
        ));
    }
    text.push_str(&format!("  {}\n\n", method.citation.text));
    text
}

/// A table for each family.
fn markdown() -> String {
    let mut text = String::new();
    let mut family = "";
    for method in catalogue::all() {
        if method.family != family {
            if !family.is_empty() {
                text.push('\n');
            }
            family = method.family;
            text.push_str(&format!(
                "**{family}**\n\n| id | name | class | passes | where it misleads |\n|---|---|---|---|---|\n"
            ));
        }
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            method.id,
            method.label,
            if method.class_discriminative {
                "yes"
            } else {
                "no"
            },
            method.cost.formula,
            method.weakness.replace('|', "\\|"),
        ));
    }
    text
}

/// Each source once.
fn bibtex() -> String {
    let mut entries: Vec<&str> = catalogue::all().map(|m| m.citation.bibtex).collect();
    entries.sort_unstable();
    entries.dedup();
    let mut text = entries.join("\n");
    text.push('\n');
    text
}

fn class_words(method: &Method) -> &'static str {
    if method.class_discriminative {
        "of the class that is asked about"
    } else {
        "the same for every class"
    }
}

fn place_words(method: &Method) -> &'static str {
    match method.place {
        Place::Layer => "at any layer (usually the last)",
        Place::Pixels => "at any layer (usually the input)",
        Place::Image => "of the input",
        Place::Branch => "in the network's attention branch",
    }
}
