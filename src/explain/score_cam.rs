//! Score-CAM (Wang et al. 2020) and its smoothed and integrated kin: every channel of a layer, enlarged to a mask,
//! dims the input, and what the target's score is then becomes the channel's weight.

use rand_chacha::ChaCha8Rng;

use super::batches::{dim, images};
use super::channels::Channels;
use super::objective::{Objective, softmax};
use super::random;
use super::resize::{Align, Resize, min_max, range};
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::model::kernels::Purpose;
use crate::plan::{Score, Target};
use crate::text::notice;

/// Added to the range of a mask by pytorch-grad-cam and torchcam.
const PEER_EPS: f32 = 1e-8;

/// How a channel becomes a mask.
#[derive(Clone, Copy)]
enum Scaling {
    /// Enlarged, then normalised with a constant added to the range.
    After(f32),
    /// Normalised first.
    Before(f32),
}

/// What happens to a mask in several passes.
#[derive(Clone, Copy)]
enum Vary {
    /// One pass with the mask as it is.
    No,
    /// SS-CAM: normal noise of a standard deviation is added.
    Noise { sd: f32, seed: u64 },
    /// IS-CAM: the i-th of N passes has the mask times `sum_{j <= i} j / N`.
    Scale,
}

/// Scores of masked inputs, channel by channel.
struct ScoreCam {
    objective: Objective,
    /// Whether the scores go through a softmax over channels.
    softmax: bool,
    scaling: Scaling,
    vary: Vary,
    /// Passes for each mask.
    samples: usize,
    /// Activations, `[K, h, w]`.
    activations: Vec<f32>,
    cells: usize,
    resize: Resize,
    /// One channel for each mask, the most active first; channels without a mask stand for all constant ones, whose
    /// masks are all the same.
    masks: Vec<usize>,
    /// The mask of every channel that has one.
    mask_of: Vec<Option<usize>>,
    /// Channels without any contrast.
    constant: usize,
    /// Channels that were left out because only the most active were asked for.
    left_out: usize,
    /// Sum of the scores of each mask's passes.
    sums: Vec<f64>,
    done: usize,
}

/// Score-CAM.
pub(super) fn score_cam(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    begin(study, settings, Vary::No, 1)
}

/// SS-CAM (Wang, Naidu, Michael and Kundu 2020): mean score over noisy masks.
pub(super) fn ss_cam(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let vary = Vary::Noise {
        sd: settings.number("sd") as f32,
        seed: settings.seed(),
    };
    begin(study, settings, vary, settings.count("samples"))
}

/// IS-CAM (Naidu, Ghosh, Maurya and Kundu 2020): mean score over masks of growing strength.
pub(super) fn is_cam(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    begin(study, settings, Vary::Scale, settings.count("samples"))
}

fn begin(
    study: &mut Study<'_>,
    settings: &Settings,
    vary: Vary,
    samples: usize,
) -> Result<Box<dyn Steps>> {
    let evidence = study.evidence(false)?;
    // Passes for scores only pack the weights their own way; what the trace packed would lie beside it unused.
    study.model.forget_forward();
    let cells = evidence.cells().max(1);
    // Kin without modes are torchcam's.
    let (align, scaling, keeps_constant) = match settings.word("mode") {
        "pytorch-grad-cam" => (Align::Corners, Scaling::After(PEER_EPS), true),
        "official" | "paper" => (Align::Centres, Scaling::After(0.0), false),
        _ => (Align::Centres, Scaling::Before(PEER_EPS), true),
    };
    let official = settings.is("mode", "official");
    let objective = match official {
        // The authors' code weighs with the probability itself.
        true => Objective::Target(Target {
            score: Score::Probability,
            ..study.target
        }),
        false => study.objective(),
    };

    let energy = |k: usize| -> f64 {
        let channel = evidence.activations[k * cells..(k + 1) * cells].iter();
        channel.map(|&a| f64::from(a) * f64::from(a)).sum()
    };
    let mut order: Vec<(usize, f64)> = (0..evidence.channels).map(|k| (k, energy(k))).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let wanted = match settings.count("channels") {
        0 => order.len(),
        some => some.min(order.len()),
    };
    let left_out = order.len() - wanted;
    order.truncate(wanted);

    let mut masks = Vec::with_capacity(order.len());
    let mut mask_of = vec![None; evidence.channels];
    let mut constants = Vec::new();
    for (k, _) in order {
        let (lo, hi) = range(&evidence.activations[k * cells..(k + 1) * cells]);
        if hi > lo {
            mask_of[k] = Some(masks.len());
            masks.push(k);
        } else {
            constants.push(k);
        }
    }
    if keeps_constant && let Some(&first) = constants.first() {
        for &k in &constants {
            mask_of[k] = Some(masks.len());
        }
        masks.push(first);
    }
    Ok(Box::new(ScoreCam {
        objective,
        softmax: !official,
        scaling,
        vary,
        samples: samples.max(1),
        resize: Resize::new(
            [evidence.width, evidence.height],
            [study.input.width, study.input.height],
            align,
        ),
        activations: evidence.activations,
        cells,
        sums: vec![0.0; masks.len()],
        masks,
        mask_of,
        constant: constants.len(),
        left_out,
        done: 0,
    }))
}

impl ScoreCam {
    /// The mask of pass number `pass`, one value a pixel.
    fn mask(&self, pass: usize) -> Vec<f32> {
        let (number, sample) = (pass / self.samples, pass % self.samples);
        let k = self.masks[number];
        let channel = &self.activations[k * self.cells..(k + 1) * self.cells];
        let mut mask = match self.scaling {
            Scaling::After(eps) => {
                let mut mask = self.resize.run(channel);
                min_max(&mut mask, eps);
                mask
            }
            Scaling::Before(eps) => {
                let mut channel = channel.to_vec();
                min_max(&mut channel, eps);
                self.resize.run(&channel)
            }
        };
        match self.vary {
            Vary::No => {}
            Vary::Noise { sd, seed } => {
                // The channel's own stream, whatever the order of channels is.
                let index = (k * self.samples + sample) as u64;
                let mut rng: ChaCha8Rng = random::stream(seed, index);
                let noise = random::normals(&mut rng, mask.len());
                mask.iter_mut().zip(noise).for_each(|(m, n)| *m += sd * n);
            }
            Vary::Scale => {
                let (i, n) = ((sample + 1) as f32, self.samples as f32);
                let strength = i * (i + 1.0) / 2.0 / n;
                mask.iter_mut().for_each(|m| *m *= strength);
            }
        }
        mask
    }

    /// Weights of the channels whose passes are done; 0 elsewhere.
    fn weights(&self) -> Vec<f32> {
        let complete = self.done / self.samples;
        let mut scores: Vec<(usize, f64)> = Vec::new();
        for (k, mask) in self.mask_of.iter().enumerate() {
            if let Some(mask) = mask.filter(|&mask| mask < complete) {
                let score = self.sums[mask] / self.samples as f64;
                if score.is_finite() {
                    scores.push((k, score));
                }
            }
        }
        let mut weights = vec![0f32; self.mask_of.len()];
        if self.softmax {
            let only: Vec<f64> = scores.iter().map(|&(_, score)| score).collect();
            for (&(k, _), w) in scores.iter().zip(softmax(&only)) {
                weights[k] = w as f32;
            }
        } else {
            for (k, score) in scores {
                weights[k] = score as f32;
            }
        }
        weights
    }
}

impl Steps for ScoreCam {
    fn total(&self) -> usize {
        self.masks.len() * self.samples
    }

    fn done(&self) -> usize {
        self.done
    }

    fn advance(&mut self, study: &mut Study<'_>) -> Result<()> {
        study.job.check()?;
        let count = study
            .batch_size(Purpose::Scores)
            .min(self.total() - self.done);
        let x = &study.input.values;
        let batch = images(study, count, |i, image| {
            dim(image, x, &self.mask(self.done + i));
        })?;
        let rows = study.logits(&batch)?;
        for (pass, row) in (self.done..).zip(&rows) {
            let score = self.objective.value(row, &study.model.facts);
            self.sums[pass / self.samples] += f64::from(score);
        }
        self.done += rows.len();
        Ok(())
    }

    fn drawn(&self, study: &mut Study<'_>) -> Result<Drawn> {
        let of = self.mask_of.len();
        if self.left_out > 0 {
            study.notice(notice::most_active_channels(of - self.left_out, of));
        }
        if self.constant > 0 {
            study.notice(notice::constant_channels(self.constant, of));
        }
        let odd = self.sums.iter().filter(|sum| !sum.is_finite()).count();
        if odd > 0 {
            study.notice(notice::scores_not_finite(odd, self.masks.len()));
        }
        Ok(Drawn::Channels(Channels::Weights(self.weights())))
    }
}
