//! What a method is handed: one network, one input, one layer, one target, and the means to ask for more passes.

use candle_core::{DType, Tensor};

use super::evidence::Evidence;
use super::objective::Objective;
use super::pass::{Pass, WalkRule};
use super::relevance::Conserved;
use crate::error::Result;
use crate::job::Job;
use crate::model::Model;
use crate::model::graph::NodeId;
use crate::model::kernels::Purpose;
use crate::plan::Target;
use crate::preprocess::ModelInput;

/// One question to one network about one input.
pub struct Study<'a> {
    /// The network.
    pub model: &'a Model,
    /// Its input.
    pub input: &'a ModelInput,
    /// The input's forward pass and reverse walks.
    pub pass: &'a mut Pass,
    /// What is explained.
    pub target: Target,
    /// Name under which the layer was asked for.
    pub layer: String,
    /// The layer's node.
    pub node: NodeId,
    /// Progress and cancellation.
    pub job: &'a Job,
    /// What the reader of the map should know.
    pub notices: Vec<String>,
    /// Standard deviation of a blur that belongs to the method, in pixels of the input; applied where the map is shown.
    pub blur_px: f32,
    /// How much relevance came through, where the method hands relevance down: from the input over the stages to the
    /// logits.
    pub conservation: Vec<Conserved>,
}

/// Gradients of a batch at a node.
pub struct BatchGradients {
    /// Raw logits of each image.
    pub logits: Vec<Vec<f32>>,
    /// The node's output, `[N, ...]`.
    pub output: Tensor,
    /// Gradient of the objective there, in the same shape; `None` where nothing arrived.
    pub gradient: Option<Tensor>,
}

impl<'a> Study<'a> {
    /// A question about a layer.
    ///
    /// # Errors
    /// A layer that does not exist or has no grid.
    pub fn new(
        model: &'a Model,
        input: &'a ModelInput,
        pass: &'a mut Pass,
        target: Target,
        layer: &str,
        job: &'a Job,
    ) -> Result<Self> {
        Ok(Self {
            node: model.layer(layer)?,
            model,
            input,
            pass,
            target,
            layer: layer.to_owned(),
            job,
            notices: Vec::new(),
            blur_px: 0.0,
            conservation: Vec::new(),
        })
    }

    /// Turns to another layer.
    ///
    /// # Errors
    /// A layer that does not exist or has no grid.
    pub(super) fn go_to(&mut self, layer: &str) -> Result<()> {
        self.node = self.model.layer(layer)?;
        layer.clone_into(&mut self.layer);
        Ok(())
    }

    /// The target as an objective.
    pub fn objective(&self) -> Objective {
        Objective::Target(self.target)
    }

    /// Activations of the layer, with the gradient of the target where `gradients` is set.
    ///
    /// # Errors
    /// Cancellation, a device that fails.
    pub fn evidence(&mut self, gradients: bool) -> Result<Evidence<'a>> {
        self.evidence_of(&self.layer.clone(), gradients.then(|| self.objective()))
    }

    /// Activations of any layer, with the gradient of an objective.
    ///
    /// # Errors
    /// A layer that does not exist, cancellation, a device that fails.
    pub fn evidence_of(
        &mut self,
        layer: &str,
        objective: Option<Objective>,
    ) -> Result<Evidence<'a>> {
        self.job.check()?;
        let node = self.model.layer(layer)?;
        let gradient = match objective {
            Some(objective) => {
                self.pass
                    .gradient(self.model, &objective, WalkRule::Gradient, node, self.job)?
            }
            None => None,
        };
        let output = self.pass.trace.output(node)?;
        let objective = objective.unwrap_or_else(|| self.objective());
        let seed = objective.seed(&self.pass.logits, &self.model.facts);
        Evidence::read(self.model, node, layer, seed, &output, gradient.as_ref())
    }

    /// The input as a tensor, `[1, C, H, W]`.
    ///
    /// # Errors
    /// A device that fails.
    pub fn input_tensor(&self) -> Result<Tensor> {
        self.model.tensor(self.input)
    }

    /// The target's score of the unchanged input.
    pub fn score(&self) -> f32 {
        self.objective().value(&self.pass.logits, &self.model.facts)
    }

    /// The target's score of every image of a batch `[N, C, H, W]`.
    ///
    /// # Errors
    /// Cancellation, a device that fails.
    pub fn scores(&self, batch: &Tensor) -> Result<Vec<f32>> {
        let objective = self.objective();
        let rows = self.logits(batch)?;
        Ok(rows
            .iter()
            .map(|row| objective.value(row, &self.model.facts))
            .collect())
    }

    /// Raw logits of every image of a batch.
    ///
    /// # Errors
    /// Cancellation, a device that fails.
    pub fn logits(&self, batch: &Tensor) -> Result<Vec<Vec<f32>>> {
        let rows = self.model.scores(batch, &self.job.quiet())?;
        Ok(rows.to_dtype(DType::F32)?.to_vec2()?)
    }

    /// Forward and back for a batch of samples `[N, C, H, W]` whose mean is looked at: gradient of the target at
    /// `node`.
    ///
    /// # Errors
    /// Cancellation, a device that fails.
    pub fn batch_gradients(
        &self,
        batch: &Tensor,
        node: NodeId,
        rule: WalkRule,
    ) -> Result<BatchGradients> {
        let job = self.job.quiet();
        let trace = self.model.trace_samples(batch, &job)?;
        let logits: Vec<Vec<f32>> = trace.output(self.model.graph.output())?.to_vec2()?;
        let objective = self.objective();
        let classes = logits.first().map_or(0, Vec::len);
        let seed: Vec<f32> = logits
            .iter()
            .flat_map(|row| objective.seed(row, &self.model.facts))
            .collect();
        let seed = Tensor::from_vec(seed, (logits.len(), classes), self.model.device())?;
        let mut taps = rule.start(&trace, seed);
        taps.keep_only(&[node]);
        Ok(BatchGradients {
            output: trace.output(node)?,
            gradient: taps.at(&trace, node, &job)?,
            logits,
        })
    }

    /// Images that fit a batch, so that memory stays within the job's budget and cancelling takes effect soon.
    pub fn batch_size(&self, purpose: Purpose) -> usize {
        self.model.batch_size(
            [self.input.height, self.input.width],
            purpose,
            self.job.memory_budget(),
        )
    }

    /// The same for a pass that goes on from the study's layer.
    pub fn tail_batch_size(&self) -> usize {
        self.model.tail_batch_size(
            self.node,
            [self.input.height, self.input.width],
            self.job.memory_budget(),
        )
    }

    /// Records what the reader of the map should know, once.
    pub fn notice(&mut self, words: impl Into<String>) {
        let words = words.into();
        if !self.notices.contains(&words) {
            self.notices.push(words);
        }
    }
}
