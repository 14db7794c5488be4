//! One input's forward pass and the reverse walks that start from it.

use candle_core::Tensor;
use std::sync::Arc;

use super::fg_cam::Fine;
use super::guided::Guided;
use super::objective::Objective;
use super::relevance::{Composite, Plan, Plans, Relevance};
use crate::error::Result;
use crate::job::Job;
use crate::model::Model;
use crate::model::backward::{Gradient, Rule, Taps};
use crate::model::forward::Trace;
use crate::model::graph::NodeId;
use crate::preprocess::ModelInput;
use crate::text::fault;

/// Reverse walks that are kept; a walk holds as much memory as the forward pass.
const KEPT_WALKS: usize = 3;
/// What rectifiers hand back in a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkRule {
    /// The ordinary gradient.
    Gradient,
    /// Guided backpropagation.
    Guided,
}

impl WalkRule {
    fn rule(self) -> Arc<dyn Rule> {
        match self {
            Self::Gradient => Arc::new(Gradient),
            Self::Guided => Arc::new(Guided),
        }
    }

    /// A walk under this rule from `seed`, which stands at the output.
    pub(super) fn start(self, trace: &Trace, seed: Tensor) -> Taps {
        Taps::start(trace, seed, self.rule())
    }
}

/// A forward pass with its reverse walks, made as they are asked for.
pub struct Pass {
    /// Every node's output.
    pub trace: Trace,
    /// Raw logits.
    pub logits: Vec<f32>,
    /// Newest last.
    walks: Vec<(Objective, WalkRule, Taps)>,
    /// Layers that gradients will be asked for at, where that is known.
    layers: Option<Vec<NodeId>>,
    /// The newest relevance walk: its composite, what stood at the logits, and what came of it.
    relevance: Option<(Composite, Vec<f32>, Relevance)>,
    /// A pass through the network that relevance explains, where that is not the model's own to the last bit.
    explained: Option<Trace>,
    /// What FG-CAM has made at every resolution, newest last.
    pub(super) fine: Fine,
}

impl Pass {
    /// Runs the forward pass.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn run(model: &Model, input: &ModelInput, job: &Job) -> Result<Self> {
        let trace = model.forward(input, job)?;
        Ok(Self {
            logits: trace.logits()?,
            trace,
            walks: Vec::new(),
            layers: None,
            relevance: None,
            explained: None,
            fine: Fine::default(),
        })
    }

    /// The rules of a composite for this network, made once.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub(super) fn plan(&self, model: &Model, composite: &Composite) -> Result<Arc<Plan>> {
        model.memo::<Plans>().get_or_make(model, composite)
    }

    /// Relevance at every node under a composite, from `start` at the logits. One walk serves all layers.
    ///
    /// # Errors
    /// As [`Plan::walk`].
    pub(super) fn relevance(
        &mut self,
        model: &Model,
        composite: &Composite,
        start: Vec<f32>,
        job: &Job,
    ) -> Result<&Relevance> {
        let known = |(c, s, _): &(Composite, Vec<f32>, Relevance)| c == composite && *s == start;
        let walked = match self.relevance.take().filter(known) {
            Some(walked) => walked,
            None => {
                let plan = self.plan(model, composite)?;
                let seed = Tensor::from_slice(&start, (1, start.len()), model.device())?;
                let output = model.graph.output();
                if self.explained.is_none() {
                    // The same for all composites that ask for it.
                    self.explained = plan.trace(&self.trace, job)?;
                }
                let own = plan.has_own_network().then_some(self.explained.as_ref());
                let trace = own.flatten().unwrap_or(&self.trace);
                let walked = plan.walk_from(model, trace, output, seed, job)?;
                (composite.clone(), start, walked)
            }
        };
        Ok(&self.relevance.insert(walked).2)
    }

    /// Says that gradients will be asked for at these nodes only, so that others need not be kept.
    pub fn only_layers(&mut self, nodes: Vec<NodeId>) {
        self.layers = Some(nodes);
    }

    /// Gradient of the objective at a node, in the shape of its output; `None` where the objective does not
    /// depend on it. Walks back where that was not done yet.
    ///
    /// # Errors
    /// A class that does not exist, cancellation, a device that fails.
    pub fn gradient(
        &mut self,
        model: &Model,
        objective: &Objective,
        rule: WalkRule,
        node: NodeId,
        job: &Job,
    ) -> Result<Option<Tensor>> {
        let known = |(o, r, _): &(Objective, WalkRule, Taps)| o == objective && *r == rule;
        if !self.walks.iter().any(known) {
            let class = objective.target().class;
            if class >= self.logits.len() {
                return Err(fault::no_such_class(&class.to_string(), self.logits.len()));
            }
            let seed = objective.seed(&self.logits, &model.facts);
            let classes = seed.len();
            let seed = Tensor::from_vec(seed, (1, classes), model.device())?;
            let mut taps = rule.start(&self.trace, seed);
            if let Some(layers) = &self.layers {
                taps.keep_only(layers);
            }
            if self.walks.len() == KEPT_WALKS {
                self.walks.remove(0);
            }
            self.walks.push((*objective, rule, taps));
        }
        match self.walks.iter_mut().find(|walk| known(walk)) {
            Some((_, _, taps)) => taps.at(&self.trace, node, job),
            None => Ok(None),
        }
    }
}
