//! The model's card for people, written from the numbers, never by hand.

use std::fmt::Write;

use super::RunRecord;
use super::boxes::BoxNumbers;
use super::equalise::BORDER;
use super::measure::{BINS, Count, Numbers, RESAMPLES, TestNumbers};
use crate::evaluate::classification::Interval;

/// Where a data set comes from and on what terms it may be used.
struct Origin {
    source: &'static str,
    title: &'static str,
    words: &'static str,
}

const ORIGINS: [Origin; 3] = [
    Origin {
        source: "kermany",
        title: "Kermany, paediatric",
        words: "frontal chest X-rays of children of one to five years, Guangzhou Women and Children's Medical Center. \
                Kermany D, Zhang K, Goldbaum M (2018): Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images \
                for Classification, Mendeley Data, doi 10.17632/rscbjbr9sj.2. Licence: CC BY 4.0 \
                (https://creativecommons.org/licenses/by/4.0/). Changed: reduced to 224 x 224 grey.",
    },
    Origin {
        source: "nih",
        title: "NIH ChestX-ray14, adult",
        words: "a part of ChestX-ray14: frontal chest X-rays of adults, provided by the NIH Clinical Center \
                (https://nihcc.app.box.com/v/ChestXray-NIHCC). Wang X, Peng Y, Lu L, Lu Z, Bagheri M, Summers RM (2017): \
                ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks, CVPR 2017. No restriction on use, \
                attribution required. Labels were mined from reports. Changed: reduced to 224 x 224 grey.",
    },
    Origin {
        source: "synthetic",
        title: "Synthetic",
        words: "chests rendered by `camlens samples --people`, each person once healthy and once with opacities; no patient's image \
                was used. They teach that such films exist, since the program's sample cases are rendered the same way (of \
                other people). Nothing is measured on them.",
    },
];

fn origin(source: &str) -> Option<&'static Origin> {
    ORIGINS.iter().find(|o| o.source == source)
}

fn title(source: &str) -> &str {
    origin(source).map_or(source, |o| o.title)
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "not defined".to_owned(), |v| format!("{v:.3}"))
}

fn interval(value: Option<Interval>) -> String {
    value.map_or_else(
        || "not defined".to_owned(),
        |i| format!("{:.3} ({:.3} to {:.3})", i.value, i.low, i.high),
    )
}

fn percent(value: Option<Interval>) -> String {
    value.map_or_else(
        || "not defined".to_owned(),
        |i| {
            format!(
                "{:.1} % ({:.1} to {:.1})",
                100.0 * i.value,
                100.0 * i.low,
                100.0 * i.high
            )
        },
    )
}

/// One paragraph for the model file itself.
pub(crate) fn short(name: &str, numbers: &Numbers) -> String {
    let auc: Vec<String> = numbers
        .test
        .iter()
        .map(|t| format!("{} {}", title(&t.source), interval(t.auc)))
        .collect();
    let energy = numbers.boxes.as_ref().map_or_else(String::new, |b| {
        format!(
            " Grad-CAM energy inside radiologists' boxes: {} where the boxes' area gives {}.",
            percent(b.energy),
            percent(b.area)
        )
    });
    format!(
        "Camlens {name}: pneumonia against normal on a frontal chest X-ray. Research use only, not for diagnosis. \
         AUC on test patients (95 % interval): {}.{energy} See card.md.",
        auc.join("; ")
    )
}

/// The card as Markdown. `parameters` and `bytes` are the model's size.
pub(crate) fn write(
    name: &str,
    run: &RunRecord,
    numbers: &Numbers,
    parameters: usize,
    bytes: usize,
) -> String {
    let mut card = String::new();
    // Writing to a string does not fail.
    let _ = sections(&mut card, name, run, numbers, parameters, bytes);
    card
}

fn sections(
    out: &mut String,
    name: &str,
    run: &RunRecord,
    numbers: &Numbers,
    parameters: usize,
    bytes: usize,
) -> std::fmt::Result {
    let setup = &run.setup;
    writeln!(
        out,
        "# Model card: {name}\n\n**Research use only, not for diagnosis.** This card is written by `camlens train` from what was \
         measured; the same numbers stand in `train.json`.\n\n\
         ## What it is\n\n\
         A narrow ResNet-18 ({} channels in its four stages, torchvision's topology and names), {parameters} parameters, {:.1} MB. One grey \
         channel, 224 x 224: the whole picture stretched to the square (antialiased bilinear), `(v / white - {}) / {}`. Two logits, \
         Normal and Pneumonia, softmax. It ships so that the program has something real to explain at first start.\n",
        setup.widths.map(|w| w.to_string()).join(", "),
        bytes as f64 / 1e6,
        setup.input.mean,
        setup.input.std,
    )?;
    data(out, numbers)?;
    training(out, run)?;
    results(out, numbers)?;
    if let Some(boxes) = &numbers.boxes {
        localisation(out, boxes)?;
    }
    writeln!(
        out,
        "## Intended use and limits\n\n\
         For trying out and comparing explanation methods, for teaching, and for testing the program. Not for patients: not for \
         diagnosis, screening, triage or any clinical decision.\n\n\
         - Two classes only. Everything that is neither normal nor pneumonia (effusion, nodule, tube, pneumothorax, a picture that is \
         no chest X-ray) still gets a probability of pneumonia, and it means nothing.\n\
         - Trained on frontal images of one paediatric and one adult hospital; lateral views and other devices were never seen.\n\
         - The adults' labels were mined from reports and are partly wrong; the adults without finding come from a narrow range \
         of patient numbers.\n\
         - The paediatric labels are confounded with sharpness, collimation and markers (see above). Colour, annotations and \
         screenshots change the answer.\n\
         - The maps of the last stage have 7 x 7 cells: one cell is about 5 cm of an adult chest. A map shows where evidence was found, not \
         where disease is, and a good map does not make the answer right.\n\
         - Images are not mirrored in training; a mirrored picture is outside of what it knows.\n"
    )
}

fn data(out: &mut String, numbers: &Numbers) -> std::fmt::Result {
    writeln!(out, "## Data\n")?;
    for count in &numbers.counts {
        if count.split == "train" {
            let words = origin(&count.source).map_or("see the data set's own terms.", |o| o.words);
            writeln!(out, "- **{}**: {words}", title(&count.source))?;
        }
    }
    writeln!(
        out,
        "\nSplit by patient (70 / 15 / 15, exact duplicates together); no patient stands in two parts. Patients with radiologists' \
         boxes were neither trained nor validated on.\n\n\
         | data set | part | normal | pneumonia | patients |\n|---|---|---|---|---|"
    )?;
    for count in &numbers.counts {
        let Count {
            source,
            split,
            normal,
            pneumonia,
            patients,
        } = count;
        writeln!(
            out,
            "| {} | {split} | {normal} | {pneumonia} | {patients} |",
            title(source)
        )?;
    }
    writeln!(out)
}

fn training(out: &mut String, run: &RunRecord) -> std::fmt::Result {
    writeln!(out, "## Training\n")?;
    match &run.before {
        Some(before) => {
            writeln!(out, "### First, from random weights\n")?;
            stage(out, before)?;
            writeln!(out, "### Then, from the weights of the first\n")?;
            stage(out, run)
        }
        None => stage(out, run),
    }
}

fn stage(out: &mut String, run: &RunRecord) -> std::fmt::Result {
    let setup = &run.setup;
    let sides: Vec<String> = setup
        .sides
        .iter()
        .map(|(from, side)| format!("{side} px from {:.0} % of the run", 100.0 * from))
        .collect();
    writeln!(
        out,
        "    {}\n\n\
         Seed {}; {} of {} epochs; {} images a step; AdamW, peak rate {}, weight decay {} on kernels; linear rise over 5 % of the \
         steps, then half a cosine; label smoothing {}; the result is a running average of the weights (decay {} a step). \
         Image side: {}. Wall time {:.0} minutes on two CPU cores. The same seed on the same machine gives the same bytes.\n",
        run.command,
        setup.seed,
        run.history.len(),
        setup.epochs,
        setup.batch,
        setup.peak_rate,
        setup.weight_decay,
        setup.smoothing,
        setup.average,
        sides.join(", "),
        run.history.last().map_or(0.0, |h| h.seconds) / 60.0,
    )?;
    writeln!(
        out,
        "Each epoch draws: {}. Images are changed anew each time: rotation up to 8 degrees, scale, proportion, shift, gamma, \
         contrast, brightness, noise; **half are blurred and a quarter sharpened** against the sharpness shortcut; **half lose border \
         strips{} and a third one or two corners** against markers and collimation. No mirroring: the heart lies on one side.\n",
        run.strata
            .iter()
            .map(|s| {
                let class = if s.positive { "pneumonia" } else { "normal" };
                format!("{} {class} from {}", s.drawn, title(&s.source))
            })
            .collect::<Vec<_>>()
            .join(", "),
        if setup.foreign_borders {
            ", to one tone or to another image's border,"
        } else {
            ""
        },
    )?;
    if setup.opacities > 0.0 {
        writeln!(
            out,
            "{:.0} % of the normal images drawn get a synthetic opacity inside the chest and then count as pneumonia: it ties the label to \
             something that has a place. Validation and test images are never touched.\n",
            100.0 * setup.opacities
        )?;
    }
    writeln!(
        out,
        "| epoch | side | loss | validation AUC |\n|---|---|---|---|"
    )?;
    for record in &run.history {
        let auc: Vec<String> = record
            .validation_auc
            .iter()
            .map(|(name, auc)| format!("{name} {}", number(*auc)))
            .collect();
        writeln!(
            out,
            "| {} | {} | {:.3} | {} |",
            record.epoch,
            record.side,
            record.loss,
            auc.join(", ")
        )?;
    }
    writeln!(out)
}

fn results(out: &mut String, numbers: &Numbers) -> std::fmt::Result {
    writeln!(
        out,
        "## Results on test patients\n\n\
         95 % intervals from {RESAMPLES} resamples of patients. Temperature {} and operating point {} (calibrated probability of \
         pneumonia, largest mean Youden index) were chosen on validation patients.\n",
        numbers.temperature, numbers.operating_point
    )?;
    let row = |out: &mut String, what: &str, cell: &dyn Fn(&TestNumbers) -> String| {
        let cells: Vec<String> = numbers.test.iter().map(cell).collect();
        writeln!(out, "| {what} | {} |", cells.join(" | "))
    };
    row(out, "", &|t| title(&t.source).to_owned())?;
    writeln!(out, "|---{}|", "|---".repeat(numbers.test.len()))?;
    row(out, "**AUC**", &|t| interval(t.auc))?;
    row(out, "sensitivity", &|t| percent(t.sensitivity))?;
    row(out, "specificity", &|t| percent(t.specificity))?;
    let pair =
        |[before, after]: [Option<f64>; 2]| format!("{} -> {}", number(before), number(after));
    row(
        out,
        &format!("calibration error (ECE, {BINS} bins), without -> with temperature"),
        &|t| pair(t.ece),
    )?;
    row(out, "Brier score, without -> with temperature", &|t| {
        pair(t.brier)
    })?;
    row(out, "AUC, sharpness and borders made equal", &|t| {
        interval(t.auc_equalised)
    })?;
    row(out, "AUC of sharpness alone", &|t| {
        number(t.auc_of_sharpness)
    })?;
    row(out, "the same after equalising", &|t| {
        number(t.auc_of_sharpness_equalised)
    })?;
    writeln!(
        out,
        "\n### What the AUC does not prove\n\n\
         One number of the picture, its sharpness (variance of the Laplacian over variance), separates the classes as the table says, \
         without any look at the lungs; the adults' patient number alone gives 0.77. A high AUC on such data is no proof that pneumonia \
         was seen. For the row *made equal* every test image was blurred to the sharpness that nine of ten exceed, and the outer {:.0} % \
         on each side were covered with the image's mean. Test patients come from the same two hospitals as the training patients; \
         other hospitals will give less. Probabilities are calibrated for the mixture of these test sets, not for any clinic's patients.\n",
        100.0 * BORDER
    )
}

fn localisation(out: &mut String, boxes: &BoxNumbers) -> std::fmt::Result {
    writeln!(
        out,
        "## Where it looks\n\n\
         {} NIH images with {} boxes that radiologists drew around pneumonia; the model saw none of these patients. Grad-CAM at \
         `layer4` for Pneumonia, positive part, enlarged bilinearly to the image.\n\n\
         | | mean (95 % interval) |\n|---|---|\n\
         | **share of Grad-CAM energy inside the boxes** | {} |\n\
         | share that the boxes' area alone would give | {} |\n\
         | difference, image by image | {} |\n\
         | share that the maps of *other* patients would give | {} |\n\
         | largest value inside a box | {} |\n\
         | maps without any positive value (left out) | {} |\n\n\
         The third row says how much better than a map without structure; the fourth, how much of that comes from knowing where lungs lie \
         rather than from looking at this patient. The share of synthetic \
         opacities and the covering of borders were settled after earlier attempts had been held against these boxes, so the numbers \
         flatter this set-up a little; none of the boxes or images was trained on.\n",
        boxes.images,
        boxes.boxes,
        percent(boxes.energy),
        percent(boxes.area),
        percent(boxes.gain),
        boxes.energy_of_other_maps.map_or_else(
            || "not defined".to_owned(),
            |v| format!("{:.1} %", 100.0 * v)
        ),
        percent(boxes.pointing),
        boxes.empty_maps,
    )
}
