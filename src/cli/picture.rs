//! The verbs about a picture without a network's view of it.

use std::process::ExitCode;

use super::args::{InspectArgs, ViewArgs};
use super::commands::{print, print_json, tell};
use super::progress_bar;
use crate::error::Result;
use crate::image::record::DicomFacts;
use crate::model::Model;
use crate::plan::{DeviceChoice, GivenFacts, ModelSource};
use crate::session::inspect::{self, Inspection};
use crate::session::listing::{self, Listing};
use crate::session::view;
use crate::text::inspect as words;

pub(super) fn view(args: &ViewArgs) -> Result<ExitCode> {
    let request = view::Request {
        image: args.image.clone(),
        frame: args.frame.place(),
        window: args.window.clone().unwrap_or(view::Wanted::Default),
        function: args.voi,
        invert: args.invert,
        regions: args.regions.clone(),
    };
    tell(&view::run(&request, &args.out)?);
    print(&format!("{}\n", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn inspect(args: &InspectArgs) -> Result<ExitCode> {
    let is_directory = args
        .image
        .file_name()
        .is_some_and(|name| name.eq_ignore_ascii_case("DICOMDIR"));
    if args.image.is_dir() || is_directory {
        let listing = listing::list(&args.image, &progress_bar::job())?;
        if args.json {
            print_json(&listing)?;
        } else {
            tell(&listing.notices);
            print(&listing_table(&listing))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let source = args
        .model
        .clone()
        .map_or(ModelSource::Demo, ModelSource::Path);
    let model = Model::open_on(&source, None, &GivenFacts::default(), DeviceChoice::Cpu)?;
    let found = inspect::inspect(
        &args.image,
        args.frame.place(),
        &model,
        args.model.is_some(),
    )?;
    if args.json {
        print_json(&found)?;
    } else {
        tell(&found.notices);
        print(&inspection_text(&found))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn line(name: &str, value: &str) -> String {
    format!("{name:<18} {value}\n")
}

fn inspection_text(found: &Inspection) -> String {
    let mut text = line("file", &found.name);
    text.push_str(&line(words::FORMAT, &found.format));
    text.push_str(&line(
        words::SIZE,
        &words::size(found.width, found.height, found.channels, found.bits),
    ));
    let [lo, hi] = found.stored_range;
    text.push_str(&line(words::VALUES, &words::range(lo, hi)));
    if found.modality_range != found.stored_range {
        let [lo, hi] = found.modality_range;
        text.push_str(&line(words::MODALITY_VALUES, &words::range(lo, hi)));
    }
    if let Some(facts) = &found.dicom {
        for (name, value) in dicom_lines(facts) {
            text.push_str(&line(name, &value));
        }
    }
    for outcome in &found.recipes {
        text.push_str(&format!(
            "\n{}\n",
            words::recipe(&outcome.recipe.name, &outcome.of)
        ));
        let told = words::outcome(
            outcome.shape,
            outcome.range,
            outcome.expected_range,
            outcome.mean,
        );
        text.push_str(&format!("  {told}\n"));
        for notice in &outcome.notices {
            text.push_str(&format!("  note: {notice}\n"));
        }
    }
    text
}

fn dicom_lines(facts: &DicomFacts) -> Vec<(&'static str, String)> {
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| words::NOT_STATED.to_owned());
    let mm = |spacing: [f64; 2]| format!("{} x {} mm", spacing[0], spacing[1]);
    let mut lines = vec![
        ("modality", said(&facts.modality)),
        ("SOP class", said(&facts.sop_class)),
        ("transfer syntax", facts.transfer_syntax.clone()),
        ("photometric", facts.photometric.clone()),
        (
            "bits",
            format!(
                "{} stored in {}{}",
                facts.bits_stored,
                facts.bits_allocated,
                if facts.signed { ", signed" } else { "" }
            ),
        ),
        (
            "frames",
            format!("{} (frame {} is read)", facts.frames, facts.frame),
        ),
        ("body part", said(&facts.body_part)),
        ("view", said(&facts.view_position)),
        ("manufacturer", said(&facts.manufacturer)),
    ];
    if let (Some(slope), Some(intercept)) = (facts.rescale_slope, facts.rescale_intercept) {
        let unit = facts.rescale_type.as_deref().unwrap_or("");
        lines.push((
            "rescale",
            format!("{slope} x stored + {intercept} {unit}")
                .trim_end()
                .to_owned(),
        ));
    }
    for window in &facts.windows {
        lines.push((
            "window",
            format!(
                "{} / {} {} ({})",
                window.center, window.width, window.function, window.explanation
            ),
        ));
    }
    if let Some(spacing) = facts.pixel_spacing_mm {
        lines.push(("pixel spacing", mm(spacing)));
    }
    if let Some(spacing) = facts.imager_pixel_spacing_mm {
        lines.push(("detector spacing", mm(spacing)));
    }
    lines
}

fn listing_table(listing: &Listing) -> String {
    let mut text = format!(
        "{:<40} {:<7} {:<9} {:>6} {:>6} {:>12}  {}\n",
        "file", "format", "modality", "series", "number", "size", "view or problem"
    );
    let number = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    for entry in &listing.entries {
        let facts = entry.dicom.as_ref();
        let size = entry
            .size
            .map_or_else(|| "-".to_owned(), |[w, h]| format!("{w} x {h}"));
        let last = entry
            .problem
            .clone()
            .or_else(|| facts.and_then(|f| f.view_position.clone()))
            .unwrap_or_default();
        let row = format!(
            "{:<40} {:<7} {:<9} {:>6} {:>6} {size:>12}  {last}",
            entry.name,
            entry.format.unwrap_or("-"),
            facts.and_then(|f| f.modality.as_deref()).unwrap_or("-"),
            number(facts.and_then(|f| f.series_number)),
            number(facts.and_then(|f| f.instance_number)),
        );
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}
