//! One function a verb.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::args::{
    BenchArgs, ExplainArgs, FactsArgs, FigureArgs, LayersArgs, ModelArgs, PredictArgs, SamplesArgs,
    TrainArgs, WindowArgs,
};
use super::progress_bar;
use crate::error::Result;
use crate::job::Job;
use crate::model::{Layer, Model};
use crate::plan::ModelSource;
use crate::session::{Analysis, Finding, Picture, bench, comparison, fact_lines, grid, save_facts};
#[cfg(feature = "gui")]
use crate::text::bench as words;
use crate::text::{fact, fault, notice};
use crate::{synth, train};

/// Prints to stdout; a reader that has gone away is no fault.
pub(super) fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(fault::write(Path::new("standard output"), &e))
        }
        _ => Ok(()),
    }
}

pub(super) fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| fault::write(Path::new("standard output"), &e))?;
    print(&(text + "\n"))
}

/// Says on stderr what the user should know although the command succeeds.
pub(super) fn tell<'a>(notices: impl IntoIterator<Item = &'a String>) {
    let notices: Vec<&String> = notices.into_iter().collect();
    for notice in notices.iter().take(NOTICES_SHOWN) {
        eprintln!("camlens: note: {notice}");
    }
    if notices.len() > NOTICES_SHOWN {
        eprintln!("camlens: note: and {} more", notices.len() - NOTICES_SHOWN);
    }
}

/// Notices that fit on a screen; the manifest has all.
const NOTICES_SHOWN: usize = 8;

/// Opens the network that the arguments name, with what they say about it.
pub(super) fn open(args: &ModelArgs) -> Result<Model> {
    Model::open_on(
        &args.source(),
        args.arch.as_deref(),
        &args.given()?,
        args.device,
    )
}

pub(super) fn predict(args: &PredictArgs) -> Result<ExitCode> {
    let model = open(&args.model)?;
    let picture = Picture::open(&args.image.source())?;
    let input = picture.input_for(&model)?;
    let analysis = Analysis::run(Arc::new(model), Arc::new(input), &Job::default())?;
    let notices: Vec<&String> = analysis
        .model
        .notices
        .iter()
        .chain(&picture.notices)
        .chain(&analysis.input.notices)
        .collect();
    // A class that was never trained says nothing.
    let trained = |mut findings: Vec<Finding>| {
        findings.retain(|f| f.trained);
        findings
    };
    let findings = trained(analysis.findings());
    let second = trained(analysis.attention_findings());
    if args.json {
        let mut told = json!({
            "logits": analysis.logits,
            "findings": findings,
            "notices": notices,
        });
        if let (Some(fields), Some(logits)) = (told.as_object_mut(), &analysis.attention_logits) {
            fields.insert("attention_logits".to_owned(), json!(logits));
            fields.insert("attention_findings".to_owned(), json!(second));
        }
        print_json(&told)?;
    } else {
        tell(notices);
        print(&findings_table(&findings, &second))?;
        if !second.is_empty() {
            eprintln!("camlens: note: {}", notice::two_heads());
        }
        if findings.len() > FINDINGS_SHOWN {
            eprintln!(
                "camlens: note: the {FINDINGS_SHOWN} highest of {} classes; --json gives all",
                findings.len()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Findings that fit on a screen.
const FINDINGS_SHOWN: usize = 20;

/// The highest findings, with what an attention head says of the same classes where there is one.
fn findings_table(findings: &[Finding], second: &[Finding]) -> String {
    let mut sorted: Vec<_> = findings.iter().collect();
    sorted.sort_by(|a, b| b.logit.total_cmp(&a.logit));
    let has_scores = sorted.iter().any(|f| f.score.is_some());
    let mut text = format!(
        "{:>5}  {:<28} {:>11} {:>9}{}{}\n",
        "class",
        "label",
        "probability",
        "logit",
        if has_scores { "  score" } else { "" },
        if second.is_empty() {
            ""
        } else {
            "  attention head     logit"
        }
    );
    for f in sorted.iter().take(FINDINGS_SHOWN) {
        text.push_str(&format!(
            "{:>5}  {:<28} {:>11.4} {:>9.3}",
            f.index, f.label, f.probability, f.logit
        ));
        if let Some(score) = f.score {
            text.push_str(&format!(" {score:>6.3}"));
        }
        if let Some(own) = second.iter().find(|own| own.index == f.index) {
            text.push_str(&format!("  {:>14.4} {:>9.3}", own.probability, own.logit));
        }
        text.push('\n');
    }
    text
}

pub(super) fn layers(args: &LayersArgs) -> Result<ExitCode> {
    let model = open(&args.model)?;
    let layers = model.layers()?;
    if args.json {
        print_json(&layers)?;
        return Ok(ExitCode::SUCCESS);
    }
    tell(&model.notices);
    let mut text = format!(
        "{:<44} {:<18} {:<20} {}\n",
        "layer", "operation", "shape", "receptive field"
    );
    for layer in &layers {
        text.push_str(&layer_line(layer));
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn facts(args: &FactsArgs) -> Result<ExitCode> {
    let model = open(&args.model)?;
    if args.json {
        print_json(&model.facts)?;
    } else {
        tell(&model.notices);
        let mut text = String::new();
        for (name, value, from) in fact_lines(&model) {
            let from = fact::provenance(from.id());
            text.push_str(&format!("{name:<17} {value}  [{from}]\n"));
        }
        print(&text)?;
    }
    if args.save {
        let paths = save_facts(&model)?;
        eprintln!("camlens: {}", fact::saved(&paths));
    }
    Ok(ExitCode::SUCCESS)
}

fn layer_line(layer: &Layer) -> String {
    let shape: Vec<String> = layer.shape.iter().map(usize::to_string).collect();
    let field = match layer.receptive_field {
        Some([h, w]) => format!("{h} x {w}"),
        None => "whole image".to_owned(),
    };
    let op = match &layer.alias_of {
        Some(node) => format!("= {node}"),
        None => layer.op.clone(),
    };
    format!(
        "{:<44} {op:<18} {:<20} {field}\n",
        layer.name,
        shape.join(" x ")
    )
}

pub(super) fn explain(args: &ExplainArgs) -> Result<ExitCode> {
    let report = grid::run(&args.plan()?, &args.out, &progress_bar::job())?;
    tell(&report.notices);
    print(&format!("{}\n", report.manifest.display()))?;
    for failure in &report.failed {
        eprintln!("camlens: {failure}");
    }
    Ok(if report.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

pub(super) fn figure(args: &FigureArgs) -> Result<ExitCode> {
    let notices = comparison::run(&args.comparison()?, &args.out, &progress_bar::job())?;
    tell(&notices);
    print(&format!("{}\n", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn train(args: TrainArgs) -> Result<ExitCode> {
    let job = progress_bar::job();
    let report = if args.report {
        train::report(&args.data, &args.out, &job)?
    } else {
        let options = train::Options {
            method: train::Method::by_id(&args.recipe)?,
            seed: args.seed.unwrap_or(train::Options::SEED),
            epochs: args.epochs.unwrap_or(train::Options::EPOCHS),
            data: args.data,
            out: args.out.clone(),
            minutes: args.minutes,
            resume: args.resume,
            from: args.from,
        };
        train::run(&options, &job)?
    };
    tell(&job.take_notices());
    eprintln!(
        "camlens: {} parameters, {} bytes; the card is {}",
        report.parameters,
        report.bytes,
        args.out.join("card.md").display()
    );
    Ok(ExitCode::SUCCESS)
}

pub(super) fn samples(args: &SamplesArgs) -> Result<ExitCode> {
    let job = progress_bar::job();
    if let Some(count) = args.people {
        synth::make_set(&args.out, count, args.seed, &job)?;
        return print(&format!("{}\n", args.out.join("manifest.csv").display()))
            .map(|()| ExitCode::SUCCESS);
    }
    synth::make(&args.out, &job)?;
    print(&format!("{}\n", args.out.join(synth::LIST).display()))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn bench(args: &BenchArgs) -> Result<ExitCode> {
    if args.window {
        return bench_window(args);
    }
    let setup = bench::Setup {
        model: args
            .model
            .clone()
            .map_or(ModelSource::Demo, ModelSource::Path),
        device: args.device,
        reps: usize::from(args.reps),
        only: args.only.clone(),
    };
    let job = progress_bar::job();
    let report = bench::run(&setup, &job)?;
    tell(&job.take_notices());
    if args.json {
        print_json(&report)?;
    } else {
        print(&bench_table(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn bench_table(report: &bench::Report) -> String {
    let [c, h, w] = report.input;
    let mut text = format!(
        "{} ({}), {c} x {h} x {w}; {}, {} threads; Camlens {}\n\n",
        report.model, report.architecture, report.kernels, report.threads, report.version
    );
    for row in &report.rows {
        text.push_str(&format!(
            "{:<44} {:>10.2} ms  (min {:.2}, n = {})\n",
            row.what,
            row.median_s * 1e3,
            row.min_s * 1e3,
            row.reps
        ));
    }
    if !report.cancelled.is_empty() {
        text.push('\n');
    }
    for row in &report.cancelled {
        text.push_str(&format!(
            "{:<44} {:>10.2} ms  (worst {:.2}, n = {})\n",
            row.what,
            row.median_s * 1e3,
            row.worst_s * 1e3,
            row.times
        ));
    }
    if !report.operations.is_empty() {
        text.push('\n');
    }
    for op in &report.operations {
        text.push_str(&format!(
            "{:<44} {:>10.2} ms  {:>5.1} %  {} steps\n",
            op.op,
            op.seconds * 1e3,
            op.share * 100.0,
            op.count
        ));
    }
    if let Some(peak) = report.peak_memory_mib {
        text.push_str(&format!("\nlargest resident memory {peak:.0} MiB\n"));
    }
    text
}

#[cfg(feature = "gui")]
fn bench_window(args: &BenchArgs) -> Result<ExitCode> {
    let report = crate::ui::bench::run(&crate::ui::bench::Setup {
        model: args
            .model
            .clone()
            .map_or(ModelSource::Demo, ModelSource::Path),
        device: args.device,
    })?;
    if args.json {
        print_json(&report)?;
    } else {
        print(&window_table(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "gui")]
fn window_table(report: &crate::ui::bench::Report) -> String {
    let head = words::window_head(
        report.version,
        report.size,
        report.pixels_per_point,
        report.threads,
    );
    let mut text = format!("{head}\n\n{}\n", words::WINDOW_COLUMNS);
    for row in &report.rows {
        text.push_str(&format!("{:<54}", row.what));
        for spread in [
            row.own_on_processor,
            Some(row.own),
            Some(row.work),
            Some(row.interval),
        ] {
            let numbers = spread.map(|s| format!("{:.2} ({:.2})", s.median_ms, s.p95_ms));
            text.push_str(&format!("{:>18}", numbers.unwrap_or_default()));
        }
        text.push_str(&format!("{:>9.1}\n", row.changes_per_s));
    }
    text
}

#[cfg(not(feature = "gui"))]
fn bench_window(_args: &BenchArgs) -> Result<ExitCode> {
    Err(fault::no_window())
}

#[cfg(feature = "gui")]
pub(super) fn window(args: WindowArgs) -> Result<ExitCode> {
    let (session, image) = match args.image {
        Some(path) if crate::ui::looks_like_session(&path) => (Some(path), None),
        image => (None, image.map(|path| args.frame.of(path))),
    };
    crate::ui::run(crate::ui::Options {
        model: args.model.map_or(ModelSource::Demo, ModelSource::Path),
        image,
        session,
        // A picture of the window is the same whoever makes it: nothing is remembered, nothing is shown from before.
        folder: match args.screenshot {
            Some(_) => None,
            None => crate::ui::settings_folder(),
        },
        screenshot: args.screenshot,
        device: args.device,
        size: args.size,
        light: args.light,
        controls: args.controls,
        ..crate::ui::Options::default()
    })?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(not(feature = "gui"))]
pub(super) fn window(_args: WindowArgs) -> Result<ExitCode> {
    Err(fault::no_window())
}
