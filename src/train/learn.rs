//! The training loop: gradient steps, a running average of the weights, checkpoints.

use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor};
use rand::RngExt;
use rayon::prelude::*;

use super::augment::{augment, generator};
use super::checkpoint::{CHECKPOINT, Position};
use super::data::{Dataset, Split, grey};
use super::network::Network;
use super::opacity::add_opacities;
use super::optimiser::{AdamW, learning_rate};
use super::predict::logits_of;
use super::sample::{Stratum, epoch as draw_epoch, strata};
use super::setup::{EpochRecord, Setup};
use super::state::State;
use crate::error::Result;
use crate::evaluate::classification::auc;
use crate::job::Job;
use crate::text::{fault, notice};

/// A run as far as it has come.
pub struct Learned {
    /// The averaged network.
    pub network: Network,
    /// What the epochs came to.
    pub history: Vec<EpochRecord>,
    /// Whether the time limit ended it before its last epoch.
    pub unfinished: bool,
}

/// Images of validation that are looked at after every epoch, at most, from one data set.
const VALIDATION_PEEK: usize = 300;

/// A checkpoint is written at least this often, and after every epoch.
const CHECKPOINT_SECONDS: u64 = 120;

/// A run under way.
pub(super) struct Learner<'a> {
    pub(super) setup: &'a Setup,
    data: &'a Dataset,
    pub(super) network: Network,
    pub(super) average: State,
    pub(super) optimiser: AdamW,
    pub(super) at: Position,
    strata: Vec<Stratum>,
    started: Instant,
    pub(super) saved: Instant,
}

/// Trains on the training cases of `data`, from the weights of `start` or from random ones. With `resume`
/// an interrupted run's checkpoint in `folder` is taken up at the very step where it stopped; the result is
/// the one an uninterrupted run gives.
///
/// # Errors
/// `Cancelled` when the job is cancelled, after a checkpoint was written; a checkpoint of another set-up;
/// a loss that is no number.
pub fn learn(
    setup: &Setup,
    start: Option<&State>,
    data: &Dataset,
    folder: &Path,
    resume: bool,
    minutes: Option<f64>,
    job: &Job,
) -> Result<Learned> {
    let network = Network::new(&setup.shape(), setup.seed)?;
    if let Some(start) = start {
        network.load(start)?;
    }
    let mut learner = Learner {
        average: network.state()?,
        optimiser: AdamW::new(network.parameters(), setup.weight_decay),
        at: Position::default(),
        strata: strata(data, setup.opacities),
        started: Instant::now(),
        saved: Instant::now(),
        network,
        setup,
        data,
    };
    let checkpoint = folder.join(CHECKPOINT);
    if resume {
        learner.load(&checkpoint)?;
    }
    let limit = minutes.map(|m| m * 60.0);
    let outcome = learner.run(limit, &checkpoint, job);
    match outcome {
        Ok(finished) => {
            let network = Network::new(&setup.shape(), setup.seed)?;
            network.load(&learner.average)?;
            Ok(Learned {
                network,
                history: learner.at.history,
                unfinished: !finished,
            })
        }
        Err(error) => {
            if error.is_cancelled() {
                learner.save(&checkpoint)?;
                job.notice(notice::training_kept(&checkpoint));
            }
            Err(error)
        }
    }
}

impl Learner<'_> {
    /// Whether the last epoch was reached.
    fn run(&mut self, limit: Option<f64>, checkpoint: &Path, job: &Job) -> Result<bool> {
        let before = self.at.seconds;
        let mut planes = (0, Vec::new());
        while self.at.epoch < self.setup.epochs {
            let side = self.setup.side(self.at.epoch);
            if planes.0 != side {
                planes = (side, self.data.planes(side, &[Split::Train, Split::Val]));
            }
            let order = draw_epoch(&self.strata, self.setup.seed, self.at.epoch);
            let batches = order.len() / self.setup.batch;
            let total = batches * self.setup.epochs;
            while self.at.batch < batches {
                self.at.seconds = before + self.started.elapsed().as_secs_f64();
                job.progress(
                    &self.label(side),
                    self.at.epoch * batches + self.at.batch,
                    total,
                );
                job.check()?;
                if limit.is_some_and(|limit| self.started.elapsed().as_secs_f64() > limit) {
                    self.save(checkpoint)?;
                    job.notice(notice::training_time_up(self.at.epoch, self.setup.epochs));
                    return Ok(false);
                }
                let from = self.at.batch * self.setup.batch;
                let cases = &order[from..from + self.setup.batch];
                let rate = learning_rate(self.setup.peak_rate, self.at.steps, total);
                self.step(cases, from, &planes.1, side, rate)?;
                if self.saved.elapsed().as_secs() > CHECKPOINT_SECONDS {
                    self.save(checkpoint)?;
                }
            }
            self.at.seconds = before + self.started.elapsed().as_secs_f64();
            self.close_epoch(side, batches, &planes.1, job)?;
            self.save(checkpoint)?;
        }
        Ok(true)
    }

    fn label(&self, side: usize) -> String {
        let last = self.at.history.last();
        let loss = if self.at.batch > 0 {
            Some(self.at.loss_sum / self.at.batch as f64)
        } else {
            last.map(|h| h.loss)
        };
        let auc = last.map_or(&[][..], |h| &h.validation_auc);
        notice::training_progress(self.at.epoch + 1, self.setup.epochs, side, loss, auc)
    }

    fn step(
        &mut self,
        cases: &[usize],
        first: usize,
        planes: &[Vec<u8>],
        side: usize,
        rate: f64,
    ) -> Result<()> {
        let (setup, epoch) = (self.setup, self.at.epoch);
        let high = (1.0 - setup.smoothing / 2.0) as f32;
        let made: Vec<(Vec<f32>, f32)> = cases
            .par_iter()
            .enumerate()
            .map(|(i, &case)| {
                let mut rng = generator(setup.seed, epoch, first + i);
                let mut positive = self.data.cases[case].positive;
                let mut image = grey(&planes[case]);
                if !positive && rng.random_bool(setup.opacities) {
                    add_opacities(&mut image, side, &mut rng);
                    positive = true;
                }
                let other = setup
                    .foreign_borders
                    .then(|| planes[cases[rng.random_range(0..cases.len())]].as_slice());
                let mut image = augment(&image, other, side, &mut rng);
                setup.input.standardise(&mut image);
                (image, if positive { high } else { 1.0 - high })
            })
            .collect();
        let (inputs, labels): (Vec<Vec<f32>>, Vec<f32>) = made.into_iter().unzip();
        let inputs = inputs.concat();
        let targets: Vec<f32> = labels.iter().flat_map(|&p| [1.0 - p, p]).collect();
        let n = cases.len();
        let inputs = Tensor::from_vec(inputs, (n, 1, side, side), &Device::Cpu)?;
        let targets = Tensor::from_vec(targets, (n, 2), &Device::Cpu)?;
        let logits = self.network.train(&inputs)?;
        let log_p = candle_nn::ops::log_softmax(&logits, 1)?;
        let loss = ((log_p * targets)?.sum_all()? * (-1.0 / n as f64))?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Err(fault::training_diverged(self.at.steps));
        }
        self.optimiser.step(&loss.backward()?, rate)?;
        self.at.loss_sum += value;
        self.at.steps += 1;
        self.at.batch += 1;
        self.move_average()
    }

    /// The average follows quickly at first, when the weights are far from anything useful.
    fn move_average(&mut self) -> Result<()> {
        let steps = self.at.steps as f64;
        let keep = self.setup.average.min((1.0 + steps) / (10.0 + steps)) as f32;
        let state = self.network.state()?;
        for (average, now) in self.average.values_mut().zip(state.values()) {
            for (a, n) in average.values.iter_mut().zip(&now.values) {
                *a = keep * *a + (1.0 - keep) * n;
            }
        }
        Ok(())
    }

    fn close_epoch(
        &mut self,
        side: usize,
        batches: usize,
        planes: &[Vec<u8>],
        job: &Job,
    ) -> Result<()> {
        let network = Network::new(&self.setup.shape(), self.setup.seed)?;
        network.load(&self.average)?;
        let mut aucs = Vec::new();
        for (source, name) in self.data.sources.iter().enumerate() {
            let all = self.data.indices(Split::Val, Some(source));
            let every = all.len().div_ceil(VALIDATION_PEEK).max(1);
            let cases: Vec<usize> = all.into_iter().step_by(every).collect();
            let images: Vec<Vec<f32>> = cases.iter().map(|&i| grey(&planes[i])).collect();
            let logits = logits_of(&network, &images, side, &self.setup.input, job)?;
            let scores: Vec<f64> = logits.iter().map(|l| l[1] - l[0]).collect();
            let labels: Vec<bool> = cases.iter().map(|&i| self.data.cases[i].positive).collect();
            aucs.push((name.clone(), auc(&scores, &labels)));
        }
        self.at.history.push(EpochRecord {
            epoch: self.at.epoch + 1,
            side,
            loss: self.at.loss_sum / batches.max(1) as f64,
            validation_auc: aucs,
            seconds: self.at.seconds,
        });
        self.at.epoch += 1;
        self.at.batch = 0;
        self.at.loss_sum = 0.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use super::super::data::Case;
    use super::super::predict::Input;
    use super::super::state::{Metadata, to_bytes};
    use super::*;

    fn setup() -> Setup {
        Setup {
            widths: [2, 3, 4, 4],
            blocks: [1, 1, 1, 1],
            seed: 5,
            epochs: 3,
            batch: 4,
            peak_rate: 2e-3,
            weight_decay: 0.05,
            smoothing: 0.05,
            average: 0.9,
            sides: vec![(0.0, 24), (0.6, 32)],
            opacities: 0.3,
            foreign_borders: true,
            input: Input {
                mean: 0.5,
                std: 0.25,
            },
        }
    }

    /// Bright squares are the finding.
    fn toy() -> Dataset {
        let cases = (0..24)
            .map(|i| {
                let positive = i % 2 == 0;
                let mut pixels: Vec<u8> = (0..32 * 32)
                    .map(|p| ((p * 7 + i * 13) % 90) as u8)
                    .collect();
                if positive {
                    for p in 0..64 {
                        pixels[(8 + p / 8) * 32 + 8 + p % 8 + i / 3] = 250;
                    }
                }
                Case {
                    file: format!("{i}"),
                    positive,
                    patient: format!("{i}"),
                    source: 0,
                    split: if i < 16 { Split::Train } else { Split::Val },
                    boxes: Vec::new(),
                    pixels,
                }
            })
            .collect();
        Dataset {
            sources: vec!["toy".to_owned()],
            side: 32,
            cases,
        }
    }

    fn go(setup: &Setup, data: &Dataset, at: &Path, resume: bool, job: &Job) -> Result<Learned> {
        learn(setup, None, data, at, resume, None, job)
    }

    fn bytes(learned: &Learned) -> Vec<u8> {
        to_bytes(&learned.network.state().unwrap(), &Metadata::new()).unwrap()
    }

    #[test]
    fn interrupted_and_resumed_gives_the_uninterrupted_bytes() {
        let (setup, data) = (setup(), toy());
        let folder = tempfile::tempdir().unwrap();
        let whole = go(&setup, &data, folder.path(), false, &Job::default()).unwrap();
        assert_eq!(whole.history.len(), 3);
        for stop in [0, 4, 6, 11] {
            let folder = tempfile::tempdir().unwrap();
            let handle = Arc::new(OnceLock::<Job>::new());
            let seen = handle.clone();
            let job = Job::new(move |p| {
                if p.done == stop && p.total == 12 {
                    seen.get().unwrap().cancel();
                }
            });
            handle.set(job.clone()).ok().unwrap();
            let Err(error) = go(&setup, &data, folder.path(), false, &job) else {
                panic!("the job was cancelled");
            };
            assert!(error.is_cancelled());
            let resumed = go(&setup, &data, folder.path(), true, &Job::default()).unwrap();
            assert_eq!(bytes(&whole), bytes(&resumed), "stopped at step {stop}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_bytes_on_any_number_of_threads() {
        let (setup, data) = (setup(), toy());
        let run = |threads: usize, setup: &Setup| {
            let folder = tempfile::tempdir().unwrap();
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let job = Job::default();
            bytes(
                &pool
                    .install(|| go(setup, &data, folder.path(), false, &job))
                    .unwrap(),
            )
        };
        let once = run(1, &setup);
        assert_eq!(once, run(3, &setup));
        assert_ne!(once, run(1, &Setup { seed: 6, ..setup }));
    }

    #[test]
    fn checkpoint_of_another_set_up_is_refused() {
        let (setup, data) = (setup(), toy());
        let folder = tempfile::tempdir().unwrap();
        let job = Job::default();
        let Err(error) = go(&setup, &data, folder.path(), true, &job) else {
            panic!("there is nothing to resume");
        };
        assert!(error.to_string().contains(CHECKPOINT), "{error}");
        go(&setup, &data, folder.path(), false, &job).unwrap();
        let other = Setup { batch: 8, ..setup };
        assert!(go(&other, &data, folder.path(), true, &job).is_err());
    }

    #[test]
    fn time_limit_leaves_a_model_and_a_checkpoint() {
        let (setup, data) = (setup(), toy());
        let folder = tempfile::tempdir().unwrap();
        let job = Job::default();
        let learned = learn(&setup, None, &data, folder.path(), false, Some(0.0), &job).unwrap();
        assert!(learned.unfinished && folder.path().join(CHECKPOINT).exists());
        assert_eq!(job.take_notices().len(), 1);
    }
}
