//! One reverse walk through the graph.
//!
//! A [`Taps`] visits the steps of a forward pass from the output towards the input. At each a [`Rule`] says what
//! is handed to its inputs, and where several nodes read the same output their shares are added. What arrived at
//! every node is kept, so that all layers and all methods are served by one walk; it goes only as far
//! down as somebody asks. The ordinary gradient is the first rule; others (guided, relevance) are values of
//! the same kind.

use std::sync::Arc;

use candle_core::Tensor;

use super::forward::{Engine, Trace};
use super::graph::{Node, NodeId};
use super::kernels::{Kernels, Purpose};
use super::op::{Act, Op};
use super::program::{ChainNodes, Kind, Program, Step};
use crate::error::Result;
use crate::job::Job;
use crate::text::{fault, window};

/// What one operation hands back to its inputs.
pub trait Rule: Send + Sync {
    /// Whether this is the ordinary gradient, but for [`Rule::before_act`]: such a rule goes through fused steps as a
    /// whole.
    fn is_gradient(&self) -> bool {
        false
    }

    /// What is made of what arrived behind an activation before the activation's gradient is taken. Only rules that
    /// go through fused steps as a whole are asked.
    ///
    /// # Errors
    /// The device fails.
    fn before_act(&self, _act: Act, given: &Tensor, _kernels: &dyn Kernels) -> Result<Tensor> {
        Ok(given.clone())
    }

    /// `given` is what arrived at the node's output; the result has one tensor for each input, in
    /// the input's shape.
    ///
    /// # Errors
    /// Fails when the rule is not defined for the operation or the device fails.
    fn hand_back(
        &self,
        node: &Node,
        inputs: &[&Tensor],
        output: &Tensor,
        given: &Tensor,
        kernels: &dyn Kernels,
    ) -> Result<Vec<Tensor>>;
}

/// The ordinary gradient (vector-Jacobian product). `relu'(0) = 0`, and the gradient of a maximum
/// goes to the first maximum, as in PyTorch.
pub struct Gradient;

impl Rule for Gradient {
    fn is_gradient(&self) -> bool {
        true
    }

    fn hand_back(
        &self,
        node: &Node,
        inputs: &[&Tensor],
        output: &Tensor,
        given: &Tensor,
        kernels: &dyn Kernels,
    ) -> Result<Vec<Tensor>> {
        match node.op {
            Op::Input => Ok(Vec::new()),
            _ => kernels.grad(&node.op, inputs, output, given),
        }
    }
}

/// A walk and what it left at every node: for the gradient rule, d seed / d output of the node.
pub struct Taps {
    rule: Arc<dyn Rule>,
    program: Arc<Program>,
    values: Vec<Option<Tensor>>,
    /// Steps that have not been visited, counted from the input.
    left: usize,
    /// What the walk starts from, and the node that it stands at.
    seed: (NodeId, Tensor),
    /// Steps whose values stay after the walk has passed them; `None` keeps all.
    kept: Option<Vec<NodeId>>,
}

impl Taps {
    /// A walk that starts from `seed`, which stands at the output node.
    pub fn start(trace: &Trace, seed: Tensor, rule: Arc<dyn Rule>) -> Self {
        let engine = trace.engine();
        let program = if rule.is_gradient() {
            engine.program(Purpose::Trace)
        } else {
            engine.singles()
        };
        let program = Arc::clone(program);
        Self::from(trace, rule, program, (engine.graph.output(), seed))
    }

    /// A walk that starts in the middle: from `value`, which stands at `node`.
    pub fn start_at(trace: &Trace, node: NodeId, value: Tensor, rule: Arc<dyn Rule>) -> Self {
        // The node may stand inside a fused step.
        let program = Arc::clone(trace.engine().singles());
        Self::from(trace, rule, program, (node, value))
    }

    fn from(
        trace: &Trace,
        rule: Arc<dyn Rule>,
        program: Arc<Program>,
        seed: (NodeId, Tensor),
    ) -> Self {
        let mut taps = Self {
            rule,
            left: 0,
            program,
            values: vec![None; trace.engine().graph.nodes.len()],
            seed,
            kept: None,
        };
        taps.restart();
        taps
    }

    fn restart(&mut self) {
        self.values.fill(None);
        let (node, value) = &self.seed;
        self.values[*node] = Some(value.clone());
        let steps = &self.program.steps;
        self.left = steps.partition_point(|step| step.node <= *node);
    }

    /// Keeps only what arrives at these nodes, which saves as much memory as the forward pass takes. Others can
    /// still be asked for, at the price of another walk.
    pub fn keep_only(&mut self, nodes: &[NodeId]) {
        let ends = nodes.iter().map(|&node| self.end_of(node));
        self.kept = Some(ends.collect());
    }

    /// The node whose output the step of `node` gives.
    fn end_of(&self, node: NodeId) -> NodeId {
        let has = |step: &&Step| match step.kind {
            Kind::Single => false,
            Kind::NormAct { norm } => norm == node,
            Kind::Chain(chain) => chain.after(node).is_some(),
        };
        self.program
            .steps
            .iter()
            .find(has)
            .map_or(node, |step| step.node)
    }

    /// What arrived at a node, in the shape of its output; `None` where nothing did. The walk goes on down to the
    /// node where it has not been there yet.
    ///
    /// # Errors
    /// Fails when the job is cancelled or the device fails; the walk can go on afterwards.
    pub fn at(&mut self, trace: &Trace, node: NodeId, job: &Job) -> Result<Option<Tensor>> {
        let end = self.end_of(node);
        let is_kept = self.kept.as_ref().is_none_or(|kept| kept.contains(&end));
        if !is_kept {
            self.kept = None;
            self.restart();
        }
        self.walk_to(trace, node, job)?;
        self.value(trace, node)
    }

    /// Visits every step whose output lies behind `node`: what arrives there is complete then.
    fn walk_to(&mut self, trace: &Trace, node: NodeId, job: &Job) -> Result<()> {
        let program = Arc::clone(&self.program);
        let total = program.steps.len();
        while let Some(step) = self
            .left
            .checked_sub(1)
            .and_then(|at| program.steps.get(at))
        {
            if step.node <= node {
                break;
            }
            job.check()?;
            job.progress(window::BACKWARD, total - self.left, total);
            self.visit(trace, step)?;
            self.left -= 1;
            if self
                .kept
                .as_ref()
                .is_some_and(|kept| !kept.contains(&step.node))
            {
                self.values[step.node] = None;
            }
        }
        Ok(())
    }

    /// A node's value; inside a fused step it follows from what arrived at the step's end.
    fn value(&self, trace: &Trace, node: NodeId) -> Result<Option<Tensor>> {
        if let Some(value) = &self.values[node] {
            return Ok(Some(value.clone()));
        }
        let engine = trace.engine();
        // The chain that the node is inside of, and the next node of that chain.
        let next = self.program.steps.iter().find_map(|step| match step.kind {
            Kind::Chain(chain) if step.node > node => chain.after(node),
            Kind::NormAct { norm } if norm == node => Some(step.node),
            _ => None,
        });
        let Some(next) = next else {
            return Ok(None);
        };
        let Some(given) = self.value(trace, next)? else {
            return Ok(None);
        };
        let reader = &engine.graph.nodes[next];
        let shares = self.hand_back(trace, reader, next, &given)?;
        Ok(reader
            .inputs
            .iter()
            .zip(shares)
            .find_map(|(&input, share)| (input == node).then_some(share)))
    }

    fn hand_back(
        &self,
        trace: &Trace,
        node: &Node,
        id: NodeId,
        given: &Tensor,
    ) -> Result<Vec<Tensor>> {
        let inputs = node
            .inputs
            .iter()
            .map(|&input| trace.output(input))
            .collect::<Result<Vec<_>>>()?;
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let kernels = trace.engine().kernels.as_ref();
        self.rule
            .hand_back(node, &inputs, &trace.output(id)?, given, kernels)
    }

    fn visit(&mut self, trace: &Trace, step: &Step) -> Result<()> {
        let Some(given) = self.values[step.node].clone() else {
            return Ok(());
        };
        if !trace.goes_through(step) {
            return Ok(());
        }
        let engine = trace.engine();
        match step.kind {
            Kind::Single => {
                let node = &engine.graph.nodes[step.node];
                let shares = self.hand_back(trace, node, step.node, &given)?;
                for (&input, share) in node.inputs.iter().zip(shares) {
                    self.add(engine, input, share)?;
                }
            }
            Kind::Chain(chain) => self.visit_chain(trace, step.node, &chain, given)?,
            Kind::NormAct { norm } => {
                let input = engine.graph.nodes[norm].inputs[0];
                let (norm, act) = engine.norm_act(norm, step.node)?;
                let y = trace.output(step.node)?;
                let given = self.rule.before_act(act, &given, engine.kernels.as_ref())?;
                let sum = self.values[input].clone();
                let share = engine
                    .kernels
                    .norm_act_grad(norm, act, &y, &given, sum.as_ref())?;
                self.values[input] = Some(share);
            }
        }
        Ok(())
    }

    fn visit_chain(
        &mut self,
        trace: &Trace,
        end: NodeId,
        nodes: &ChainNodes,
        given: Tensor,
    ) -> Result<()> {
        let engine = trace.engine();
        let mut g = given;
        if let Some(act) = nodes.act
            && let Op::Act(act) = engine.graph.nodes[act].op
        {
            // Activations in a trace's chains are clamps, whose gradient follows from their output.
            let y = trace.output(end)?;
            g = self.rule.before_act(act, &g, engine.kernels.as_ref())?;
            g = first(engine.kernels.grad(&Op::Act(act), &[&y], &y, &g)?)?;
        }
        if let Some((_, other)) = nodes.add {
            self.add(engine, other, g.clone())?;
        }
        let input = engine.graph.nodes[nodes.conv].inputs[0];
        let x = trace.output(input)?;
        let (n, c, h, w) = x.dims4()?;
        let sum = self.values[input].take();
        let share = engine.with_chain(nodes, |chain| {
            engine
                .kernels
                .chain_input_grad(chain, &g, [n, c, h, w], sum.as_ref())
        });
        match share {
            Ok(share) => self.values[input] = Some(share),
            Err(error) => {
                // Nothing is lost: the walk can be tried again.
                self.values[input] = sum;
                return Err(error);
            }
        }
        Ok(())
    }

    fn add(&mut self, engine: &Engine, node: NodeId, share: Tensor) -> Result<()> {
        self.values[node] = Some(match self.values[node].take() {
            Some(sum) => engine.kernels.apply(&Op::Add, &[&sum, &share])?,
            None => share,
        });
        Ok(())
    }
}

impl ChainNodes {
    /// The node of this chain that reads `node`, another node of it.
    fn after(&self, node: NodeId) -> Option<NodeId> {
        let mut nodes = self.nodes();
        nodes.find(|&n| n == node)?;
        nodes.next()
    }
}

fn first(shares: Vec<Tensor>) -> Result<Tensor> {
    shares
        .into_iter()
        .next()
        .ok_or_else(|| fault::shape(Act::Relu.label(), "no gradient", "one"))
}

/// A seed that reads one logit: 1 at `class`, 0 elsewhere, in the shape of the output.
///
/// # Errors
/// Fails when the class does not exist.
pub(super) fn one_hot(logits: &Tensor, class: usize) -> Result<Tensor> {
    let (n, classes) = logits.dims2()?;
    if class >= classes {
        return Err(fault::no_such_class(&class.to_string(), classes));
    }
    let mut seed = vec![0f32; n * classes];
    for row in seed.chunks_exact_mut(classes) {
        row[class] = 1.0;
    }
    Ok(Tensor::from_vec(seed, (n, classes), logits.device())?)
}
