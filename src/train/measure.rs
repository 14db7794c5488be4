//! The numbers on a model's card, measured on patients it never saw.

use serde::{Deserialize, Serialize};

use super::boxes::{BoxNumbers, box_numbers};
use super::calibrate::{self, probability};
use super::data::{Dataset, Split, grey};
use super::equalise::{blur_to, cover_border, sharpness};
use super::network::Network;
use super::predict::{Input, logits_of};
use crate::error::Result;
use crate::evaluate::classification::{
    Interval, auc, auc_ci, bootstrap_ci, brier, ece, quantile, sens_spec,
};
use crate::job::Job;

/// Resamples of every interval.
pub(crate) const RESAMPLES: usize = 2000;
pub(crate) const BOOTSTRAP_SEED: u64 = 2026;
/// Bins of the calibration error.
pub(crate) const BINS: usize = 10;
/// Images and patients of one class in one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// Data set.
    pub source: String,
    /// `train`, `val`, `test` or `boxes`.
    pub split: String,
    /// Images labelled normal.
    pub normal: usize,
    /// Images labelled pneumonia.
    pub pneumonia: usize,
    /// Patients of either class.
    pub patients: usize,
}

/// What the test patients of one data set say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestNumbers {
    /// Data set.
    pub source: String,
    /// Area under the curve.
    pub auc: Option<Interval>,
    /// The same with sharpness and borders made equal.
    pub auc_equalised: Option<Interval>,
    /// What sharpness alone reaches, in the direction that favours it.
    pub auc_of_sharpness: Option<f64>,
    /// What is left of that after equalising.
    pub auc_of_sharpness_equalised: Option<f64>,
    /// Share of pneumonias found at the operating point.
    pub sensitivity: Option<Interval>,
    /// Share of normals passed at the operating point.
    pub specificity: Option<Interval>,
    /// Expected calibration error without and with the temperature.
    pub ece: [Option<f64>; 2],
    /// Brier score without and with the temperature.
    pub brier: [Option<f64>; 2],
}

/// Everything that is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Sizes of the splits.
    pub counts: Vec<Count>,
    /// Fitted on validation patients.
    pub temperature: f64,
    /// Chosen on validation patients; on the calibrated probability.
    pub operating_point: f64,
    /// AUC on validation patients by data set.
    pub validation_auc: Vec<(String, Option<f64>)>,
    /// By data set.
    pub test: Vec<TestNumbers>,
    /// Where boxes are known.
    pub boxes: Option<BoxNumbers>,
}

/// Scores and labels of some cases.
struct Cases {
    images: Vec<Vec<f32>>,
    differences: Vec<f64>,
    labels: Vec<bool>,
    patients: Vec<String>,
}

struct Bench<'a> {
    network: &'a Network,
    input: &'a Input,
    data: &'a Dataset,
    job: &'a Job,
}

impl Bench<'_> {
    fn differences(&self, images: &[Vec<f32>]) -> Result<Vec<f64>> {
        let logits = logits_of(self.network, images, self.data.side, self.input, self.job)?;
        Ok(logits.iter().map(|l| l[1] - l[0]).collect())
    }

    fn cases(&self, split: Split, source: usize) -> Result<Cases> {
        let indices = self.data.indices(split, Some(source));
        let of = |f: &dyn Fn(usize) -> String| indices.iter().map(|&i| f(i)).collect();
        let images = images(self.data, &indices);
        Ok(Cases {
            differences: self.differences(&images)?,
            labels: indices
                .iter()
                .map(|&i| self.data.cases[i].positive)
                .collect(),
            patients: of(&|i| self.data.cases[i].patient.clone()),
            images,
        })
    }
}

fn images(data: &Dataset, indices: &[usize]) -> Vec<Vec<f32>> {
    indices
        .iter()
        .map(|&i| grey(&data.cases[i].pixels))
        .collect()
}

/// Measures a network on the data it was trained beside.
pub fn measure(network: &Network, input: &Input, data: &Dataset, job: &Job) -> Result<Numbers> {
    let bench = Bench {
        network,
        input,
        data,
        job,
    };
    let sources = 0..data.sources.len();
    let steps = 2 * data.sources.len() + 1;
    let step = |done| job.progress("measuring", done, steps);
    let mut val = Vec::new();
    let mut test = Vec::new();
    for source in sources.clone() {
        step(2 * source);
        val.push(bench.cases(Split::Val, source)?);
        step(2 * source + 1);
        test.push(bench.cases(Split::Test, source)?);
    }
    step(steps - 1);
    let scored: Vec<(&[f64], &[bool])> = val
        .iter()
        .filter(|c| !c.labels.is_empty())
        .map(|c| (c.differences.as_slice(), c.labels.as_slice()))
        .collect();
    let temperature = calibrate::temperature(&scored);
    let operating_point = calibrate::operating_point(&scored, temperature);
    let target = common_sharpness(data, &test);
    let validation_auc = sources
        .map(|s| {
            (
                data.sources[s].clone(),
                auc(&val[s].differences, &val[s].labels),
            )
        })
        .collect();
    let test = test
        .iter()
        .zip(&data.sources)
        .filter(|(cases, _)| !cases.labels.is_empty())
        .map(|(cases, source)| {
            let decision = (temperature, operating_point);
            test_numbers(&bench, cases, source, decision, target)
        })
        .collect::<Result<_>>()?;
    Ok(Numbers {
        counts: counts(data),
        temperature,
        operating_point,
        validation_auc,
        test,
        boxes: box_numbers(network, input, data, job)?,
    })
}

/// The sharpness that nine test images of ten exceed.
fn common_sharpness(data: &Dataset, test: &[Cases]) -> f64 {
    let mut all: Vec<f64> = test
        .iter()
        .flat_map(|cases| cases.images.iter().map(|image| sharpness(image, data.side)))
        .collect();
    all.sort_by(f64::total_cmp);
    quantile(&all, 0.1).unwrap_or(f64::INFINITY)
}

fn test_numbers(
    bench: &Bench<'_>,
    cases: &Cases,
    source: &str,
    (temperature, threshold): (f64, f64),
    target: f64,
) -> Result<TestNumbers> {
    use rayon::prelude::*;
    let side = bench.data.side;
    let equal: Vec<Vec<f32>> = cases
        .images
        .par_iter()
        .map(|image| {
            let mut image = blur_to(image, side, target);
            cover_border(&mut image, side);
            image
        })
        .collect();
    let of_sharpness = |images: &[Vec<f32>]| {
        let values: Vec<f64> = images.par_iter().map(|i| sharpness(i, side)).collect();
        auc(&values, &cases.labels).map(|a| a.max(1.0 - a))
    };
    // The border that is covered is sharp at its edge, the same for all: sharpness before it.
    let blurred: Vec<Vec<f32>> = cases
        .images
        .par_iter()
        .map(|i| blur_to(i, side, target))
        .collect();
    let with = |t: f64| -> Vec<f64> {
        cases
            .differences
            .iter()
            .map(|&z| probability(z, t))
            .collect()
    };
    let (plain, calibrated) = (with(1.0), with(temperature));
    let interval = |scores: &[f64]| {
        auc_ci(
            scores,
            &cases.labels,
            &cases.patients,
            RESAMPLES,
            BOOTSTRAP_SEED,
        )
    };
    let rate = |which: fn((f64, f64)) -> f64| {
        bootstrap_ci(&cases.patients, RESAMPLES, BOOTSTRAP_SEED, |drawn| {
            let (p, l): (Vec<f64>, Vec<bool>) = drawn
                .iter()
                .map(|&i| (calibrated[i], cases.labels[i]))
                .unzip();
            sens_spec(&p, &l, threshold).map(which)
        })
    };
    Ok(TestNumbers {
        source: source.to_owned(),
        auc: interval(&cases.differences),
        auc_equalised: interval(&bench.differences(&equal)?),
        auc_of_sharpness: of_sharpness(&cases.images),
        auc_of_sharpness_equalised: of_sharpness(&blurred),
        sensitivity: rate(|r| r.0),
        specificity: rate(|r| r.1),
        ece: [&plain, &calibrated].map(|p| ece(p, &cases.labels, BINS)),
        brier: [&plain, &calibrated].map(|p| brier(p, &cases.labels)),
    })
}

fn counts(data: &Dataset) -> Vec<Count> {
    let mut all = Vec::new();
    let splits = [
        (Split::Train, "train"),
        (Split::Val, "val"),
        (Split::Test, "test"),
        (Split::Boxes, "boxes"),
    ];
    for (source, name) in data.sources.iter().enumerate() {
        for (split, split_name) in splits {
            let cases = data.indices(split, Some(source));
            let pneumonia = cases.iter().filter(|&&i| data.cases[i].positive).count();
            let patients: std::collections::BTreeSet<&str> = cases
                .iter()
                .map(|&i| data.cases[i].patient.as_str())
                .collect();
            if !cases.is_empty() {
                all.push(Count {
                    source: name.clone(),
                    split: split_name.to_owned(),
                    normal: cases.len() - pneumonia,
                    pneumonia,
                    patients: patients.len(),
                });
            }
        }
    }
    all
}
