//! One image through one network: the forward pass, reverse walks by class, and the maps they serve.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Result;
use crate::explain::{Pass, RawMap, Study, Task, catalogue};
use crate::job::Job;
use crate::model::Model;
use crate::plan::MapKey;
use crate::preprocess::ModelInput;
use crate::text::window as words;

/// Shortest time between two looks at a map that grows.
const SHOW_EVERY: Duration = Duration::from_millis(250);

/// One logit in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Class index.
    pub index: usize,
    /// Its label, or its number.
    pub label: String,
    /// Raw logit.
    pub logit: f32,
    /// Softmax or sigmoid of the logits, calibrated where the network has a temperature.
    pub probability: f32,
    /// TorchXRayVision's display score, a half at the operating point; where the network has such points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// Whether the class was trained; one that was not is never offered.
    #[serde(skip)]
    pub trained: bool,
}

/// Maps that are begun and not finished, kept so that they can go on.
const KEPT_TASKS: usize = 6;

/// A map as far as it has come.
pub struct Partial {
    /// The map.
    pub map: RawMap,
    /// Steps that are done.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
}

/// What one image left in one network.
pub struct Analysis {
    /// The network.
    pub model: Arc<Model>,
    /// Its input.
    pub input: Arc<ModelInput>,
    /// Raw logits; with an attention branch, those of the perception branch.
    pub logits: Vec<f32>,
    /// Raw logits of the attention branch, where the network has one.
    pub attention_logits: Option<Vec<f32>>,
    /// Time of the forward pass.
    pub pass_time: Duration,
    pass: Pass,
    /// Newest last.
    tasks: Vec<(MapKey, Task)>,
}

impl Analysis {
    /// Runs the forward pass.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn run(model: Arc<Model>, input: Arc<ModelInput>, job: &Job) -> Result<Self> {
        let start = Instant::now();
        let pass = Pass::run(&model, &input, job)?;
        Ok(Self {
            logits: pass.logits.clone(),
            pass_time: start.elapsed(),
            attention_logits: model.attention_logits(&pass.trace)?,
            model,
            input,
            pass,
            tasks: Vec::new(),
        })
    }

    /// Logits and probabilities by class.
    pub fn findings(&self) -> Vec<Finding> {
        let facts = &self.model.facts;
        let mut findings = self.by_class(&self.logits, facts.probabilities(&self.logits));
        for finding in &mut findings {
            finding.score = facts.score(finding.index, finding.probability);
        }
        findings
    }

    /// What the attention branch's own classifier says by class; empty where the network has no such branch.
    /// Temperature and operating points belong to the perception branch: they are not applied.
    pub fn attention_findings(&self) -> Vec<Finding> {
        let Some(logits) = &self.attention_logits else {
            return Vec::new();
        };
        self.by_class(logits, self.model.facts.probabilities_at(logits, 1.0))
    }

    fn by_class(&self, logits: &[f32], probabilities: Vec<f32>) -> Vec<Finding> {
        logits
            .iter()
            .zip(probabilities)
            .enumerate()
            .map(|(index, (&logit, probability))| Finding {
                index,
                label: self.model.facts.label(index),
                logit,
                probability,
                score: None,
                trained: self.model.facts.is_trained(index),
            })
            .collect()
    }

    /// The trained class with the highest logit; the first of several.
    pub fn top(&self) -> usize {
        let mut best: Option<(usize, f32)> = None;
        for (class, &logit) in self.logits.iter().enumerate() {
            if self.model.facts.is_trained(class) && best.is_none_or(|(_, most)| logit > most) {
                best = Some((class, logit));
            }
        }
        best.map_or(0, |(class, _)| class)
    }

    /// Makes a map to its end, walking back from its target first where that was not done yet.
    ///
    /// # Errors
    /// An unknown method, layer or class, a method not defined there, cancellation.
    pub fn map(&mut self, key: &MapKey, job: &Job) -> Result<RawMap> {
        self.grow(key, job, &mut |_| {})
    }

    /// As [`Analysis::map`]; a map that takes many passes is shown to `grown` after each step. Where it is
    /// cancelled what was done stays, and the next call for the same map goes on from there.
    ///
    /// # Errors
    /// As [`Analysis::map`].
    pub fn grow(
        &mut self,
        key: &MapKey,
        job: &Job,
        grown: &mut dyn FnMut(Partial),
    ) -> Result<RawMap> {
        let method = catalogue::find(&key.method)?;
        let layer = method.layer_of(&key.layer);
        let (model, input) = (Arc::clone(&self.model), Arc::clone(&self.input));
        let mut study = Study::new(&model, &input, &mut self.pass, key.target, layer, job)?;
        let known = self.tasks.iter().position(|(begun, _)| begun == key);
        let mut task = match known.map(|at| self.tasks.remove(at)) {
            Some((_, task)) => task,
            None => Task::begin(method, &key.params, &mut study)?,
        };
        let mut shown = Instant::now();
        while !task.is_done() {
            let (done, total) = task.progress();
            if total > 1 {
                job.progress(&words::sampling(method.label), done, total);
            }
            if let Err(error) = task.advance(&mut study) {
                if error.is_cancelled() {
                    if self.tasks.len() == KEPT_TASKS {
                        self.tasks.remove(0);
                    }
                    self.tasks.push((key.clone(), task));
                }
                return Err(error);
            }
            let (done, total) = task.progress();
            if done < total && shown.elapsed() >= SHOW_EVERY {
                let map = task.map(&mut study)?;
                grown(Partial { map, done, total });
                shown = Instant::now();
            }
        }
        task.map(&mut study)
    }

    /// Says that gradients will be read at these layers only, so that others need not be kept.
    ///
    /// # Errors
    /// As [`Model::layer`].
    pub fn only_layers(&mut self, names: &[String]) -> Result<()> {
        let nodes = names.iter().map(|name| self.model.layer(name));
        self.pass.only_layers(nodes.collect::<Result<_>>()?);
        Ok(())
    }

    /// Parameters by method with every default filled in, for manifests.
    ///
    /// # Errors
    /// An unknown method.
    pub fn resolved_params(
        methods: &[String],
        given: &BTreeMap<String, crate::plan::Values>,
    ) -> Result<BTreeMap<String, crate::plan::Values>> {
        methods
            .iter()
            .map(|id| {
                let method = catalogue::find(id)?;
                let values = given.get(id).cloned().unwrap_or_default();
                method.check(&values)?;
                Ok((id.clone(), method.resolved(&values)))
            })
            .collect()
    }
}
