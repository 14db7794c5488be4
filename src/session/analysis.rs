//! One image through one network: the forward pass, reverse walks by class, and the maps they serve.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::error::Result;
use crate::explain::{Evidence, RawMap, catalogue, explain};
use crate::job::Job;
use crate::model::Model;
use crate::model::backward::Taps;
use crate::model::forward::Trace;
use crate::model::graph::NodeId;
use crate::plan::MapKey;
use crate::preprocess::ModelInput;

/// Reverse walks that are kept; a walk holds as much memory as the forward pass.
const KEPT_TARGETS: usize = 3;

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

/// What one image left in one network.
pub struct Analysis {
    /// The network.
    pub model: Arc<Model>,
    /// Its input.
    pub input: Arc<ModelInput>,
    /// Raw logits.
    pub logits: Vec<f32>,
    trace: Trace,
    /// Newest last.
    taps: Vec<(usize, Taps)>,
    /// Layers that maps will be asked for, where that is known.
    layers: Option<Vec<NodeId>>,
}

impl Analysis {
    /// Runs the forward pass.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn run(model: Arc<Model>, input: Arc<ModelInput>, job: &Job) -> Result<Self> {
        let trace = model.forward(&input, job)?;
        Ok(Self {
            logits: trace.logits()?,
            model,
            input,
            trace,
            taps: Vec::new(),
            layers: None,
        })
    }

    /// Logits and probabilities by class.
    pub fn findings(&self) -> Vec<Finding> {
        let probabilities = self.model.facts.probabilities(&self.logits);
        self.logits
            .iter()
            .zip(probabilities)
            .enumerate()
            .map(|(index, (&logit, probability))| Finding {
                index,
                label: self.model.facts.label(index),
                logit,
                probability,
                score: self.model.facts.score(index, probability),
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

    /// Makes a map, walking back from its class first where that was not done yet.
    ///
    /// # Errors
    /// An unknown method, layer or class, a method not defined there, cancellation.
    pub fn map(&mut self, key: &MapKey, job: &Job) -> Result<RawMap> {
        let method = catalogue::find(&key.method)?;
        self.start_walk(key.target)?;
        let (trace, model) = (&self.trace, &self.model);
        let taps = self.taps.iter_mut().find(|(class, _)| *class == key.target);
        let Some((_, taps)) = taps else {
            return Err(crate::text::fault::no_gradient(&key.layer));
        };
        let evidence = Evidence::read(model, trace, taps, key.target, &key.layer, job)?;
        explain(method, &key.params, &evidence, &self.input)
    }

    /// Says that maps will be asked for at these layers only, so that gradients elsewhere need not be kept.
    ///
    /// # Errors
    /// As [`Model::layer`].
    pub fn only_layers(&mut self, names: &[String]) -> Result<()> {
        let nodes = names.iter().map(|name| self.model.layer(name));
        self.layers = Some(nodes.collect::<Result<_>>()?);
        Ok(())
    }

    /// A reverse walk for a class; it goes as far as a map's layer when one is made.
    fn start_walk(&mut self, class: usize) -> Result<()> {
        if self.taps.iter().all(|(kept, _)| *kept != class) {
            let mut taps = self.model.gradients(&self.trace, class)?;
            if let Some(layers) = &self.layers {
                taps.keep_only(layers);
            }
            if self.taps.len() == KEPT_TARGETS {
                self.taps.remove(0);
            }
            self.taps.push((class, taps));
        }
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
