//! A forward pass: one that keeps what a reverse walk needs, or one that only gives logits.

use std::sync::Arc;
use std::time::Instant;

use candle_core::Tensor;

use super::graph::{Graph, NodeId};
use super::kernels::{Chain, Kernels, Purpose, cpu};
use super::op::{Act, BatchNorm, Conv2d, Op};
use super::program::{ChainNodes, Kind, Program, Step};
use super::resume::{Resumed, widen};
use crate::error::Result;
use crate::job::Job;
use crate::text::{fault, window};

/// A network's structure with the arithmetic that runs it.
#[derive(Clone)]
pub struct Engine {
    pub(super) graph: Arc<Graph>,
    pub(super) kernels: Arc<dyn Kernels>,
    trace: Arc<Program>,
    scores: Arc<Program>,
    singles: Arc<Program>,
}

impl Engine {
    /// Divides a graph into the steps that these kernels like.
    pub fn new(graph: Arc<Graph>, kernels: Arc<dyn Kernels>) -> Self {
        let singles = Arc::new(Program::unfused(&graph));
        let program = |purpose| {
            if kernels.fuses() {
                Arc::new(Program::fused(&graph, purpose))
            } else {
                Arc::clone(&singles)
            }
        };
        Self {
            trace: program(Purpose::Trace),
            scores: program(Purpose::Scores),
            singles,
            graph,
            kernels,
        }
    }

    /// The same arithmetic with every node a step by itself: a walk whose rule reads what stands inside fused steps
    /// computes nothing again, at the price of memory.
    pub fn unfused(&self) -> Self {
        Self {
            trace: Arc::clone(&self.singles),
            ..self.clone()
        }
    }

    /// Runs the network on `input`, `[N, C, H, W]`, and keeps every step's output.
    ///
    /// # Errors
    /// Fails when the job is cancelled or the device fails. Shapes are checked beforehand by
    /// [`Graph::shapes`].
    pub fn trace(&self, input: &Tensor, job: &Job) -> Result<Trace> {
        self.trace_for(Purpose::Trace, input, job)
    }

    /// As [`Engine::trace`], for one of many samples whose mean is looked at.
    ///
    /// # Errors
    /// As [`Engine::trace`].
    pub fn trace_sample(&self, input: &Tensor, job: &Job) -> Result<Trace> {
        self.trace_for(Purpose::Sample, input, job)
    }

    fn trace_for(&self, purpose: Purpose, input: &Tensor, job: &Job) -> Result<Trace> {
        let mut values = vec![None; self.graph.nodes.len()];
        run(self, purpose, &mut values, input, job, None)?;
        Ok(Trace {
            engine: self.clone(),
            values,
            resumed: None,
        })
    }

    /// Runs the network on `input` for its logits only, `[N, classes]`; what nobody reads any more is given back at
    /// once.
    ///
    /// # Errors
    /// As [`Engine::trace`].
    pub fn scores(&self, input: &Tensor, job: &Job) -> Result<Tensor> {
        let mut values = vec![None; self.graph.nodes.len()];
        run(self, Purpose::Scores, &mut values, input, job, None)?;
        values
            .pop()
            .flatten()
            .ok_or_else(|| fault::shape("the network", "no nodes", "some"))
    }

    /// Runs the network as [`Engine::trace`] does and tells what each step is and how many seconds it took.
    ///
    /// # Errors
    /// As [`Engine::trace`].
    pub fn profile(&self, input: &Tensor) -> Result<Vec<(String, f64)>> {
        let mut values = vec![None; self.graph.nodes.len()];
        let mut seconds = Vec::with_capacity(self.trace.steps.len());
        let job = Job::default();
        run(
            self,
            Purpose::Trace,
            &mut values,
            input,
            &job,
            Some(&mut seconds),
        )?;
        let names = self.trace.steps.iter().map(|step| self.step_label(step));
        Ok(names.zip(seconds).collect())
    }

    /// PyTorch's names of a step's operations, convolutions with their kernel's size.
    fn step_label(&self, step: &Step) -> String {
        let label = |node: NodeId| match &self.graph.nodes[node].op {
            Op::Conv2d(conv) => match conv.weight.dims() {
                [outputs, _, h, w] if conv.groups == *outputs && conv.groups > 1 => {
                    format!("depthwise {h}x{w}")
                }
                [_, _, h, w] if conv.groups > 1 => format!("grouped {h}x{w}"),
                [_, _, h, w] => format!("Conv2d {h}x{w}"),
                _ => "Conv2d".to_owned(),
            },
            op => op.label().to_owned(),
        };
        match step.kind {
            Kind::Single => label(step.node),
            Kind::NormAct { norm } => format!("{} + {}", label(norm), label(step.node)),
            Kind::Chain(chain) => [
                Some(chain.conv),
                chain.norm,
                chain.add.map(|(sum, _)| sum),
                chain.act,
            ]
            .into_iter()
            .flatten()
            .map(label)
            .collect::<Vec<_>>()
            .join(" + "),
        }
    }

    /// The steps of a forward pass.
    pub(super) fn program(&self, purpose: Purpose) -> &Arc<Program> {
        match purpose {
            Purpose::Trace | Purpose::Sample => &self.trace,
            Purpose::Scores => &self.scores,
        }
    }

    /// Every node by itself.
    pub(super) fn singles(&self) -> &Arc<Program> {
        &self.singles
    }

    /// The convolution at a node.
    pub(super) fn conv(&self, node: NodeId) -> Result<std::borrow::Cow<'_, Conv2d>> {
        match &self.graph.nodes[node].op {
            Op::Conv2d(conv) => Ok(std::borrow::Cow::Borrowed(conv)),
            op => Ok(std::borrow::Cow::Owned(op.pointwise()?)),
        }
    }

    /// The BatchNorm and the activation at two nodes.
    pub(super) fn norm_act(&self, norm: NodeId, act: NodeId) -> Result<(&BatchNorm, Act)> {
        let nodes = &self.graph.nodes;
        match (&nodes[norm].op, &nodes[act].op) {
            (Op::BatchNorm(norm), Op::Act(act)) => Ok((norm, *act)),
            (op, _) => Err(fault::shape(&nodes[norm].name, op.label(), "BatchNorm2d")),
        }
    }

    /// Calls `f` with a chain's operations.
    pub(super) fn with_chain<T>(
        &self,
        nodes: &ChainNodes,
        f: impl FnOnce(&Chain<'_>) -> Result<T>,
    ) -> Result<T> {
        let conv = self.conv(nodes.conv)?;
        let norm = match nodes.norm.map(|node| &self.graph.nodes[node].op) {
            Some(Op::BatchNorm(norm)) => Some(norm),
            _ => None,
        };
        let act = match nodes.act.map(|node| &self.graph.nodes[node].op) {
            Some(Op::Act(act)) => Some(*act),
            _ => None,
        };
        f(&Chain {
            conv: &conv,
            norm,
            act,
        })
    }
}

/// What a forward pass left for one input (or a batch of them).
pub struct Trace {
    pub(super) engine: Engine,
    /// One tensor a node, `[N, C, H, W]` or `[N, features]`; `None` inside fused steps.
    pub(super) values: Vec<Option<Tensor>>,
    /// Where the pass did not begin at the input.
    pub(super) resumed: Option<Resumed>,
}

impl Trace {
    /// Output of a node. Inside a fused step it is computed again from the step's input.
    ///
    /// # Errors
    /// Fails when the device does.
    pub fn output(&self, node: NodeId) -> Result<Tensor> {
        let own = self.own(node)?;
        match &self.resumed {
            Some(resumed) if !resumed.depends[node] => widen(&own, resumed.batch),
            _ => Ok(own),
        }
    }

    /// Output of a node; in a resumed pass, that of one image where it is the same for all.
    fn own(&self, node: NodeId) -> Result<Tensor> {
        if let Some(value) = &self.values[node] {
            return Ok(value.clone());
        }
        let depends = self.depends(node);
        let node = &self.engine.graph.nodes[node];
        let inputs = node
            .inputs
            .iter()
            .map(|&input| match depends {
                true => self.output(input),
                false => self.own(input),
            })
            .collect::<Result<Vec<_>>>()?;
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        self.engine.kernels.apply(&node.op, &inputs)
    }

    /// Whether a node's output is kept, so that [`Trace::output`] computes nothing.
    pub fn keeps(&self, node: NodeId) -> bool {
        self.values.get(node).is_some_and(Option::is_some)
    }

    /// The logits of the first image.
    ///
    /// # Errors
    /// Fails when the device does.
    pub fn logits(&self) -> Result<Vec<f32>> {
        let last = self.output(self.engine.graph.output())?;
        Ok(last.get(0)?.flatten_all()?.to_vec1()?)
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// Runs all steps and leaves their outputs in `values`, and how long each took in `seconds`.
fn run(
    engine: &Engine,
    purpose: Purpose,
    values: &mut [Option<Tensor>],
    input: &Tensor,
    job: &Job,
    mut seconds: Option<&mut Vec<f64>>,
) -> Result<()> {
    let program = engine.program(purpose);
    let graph = &engine.graph;
    let mut blocks = Blocks::default();
    for (at, step) in program.steps.iter().enumerate() {
        job.check()?;
        job.progress(window::FORWARD, at, program.steps.len());
        let start = Instant::now();
        let read = |node: NodeId| stored(engine, values, node);
        let value = match graph.nodes[step.node].op {
            Op::Input => input.clone(),
            _ => run_step(engine, purpose, step, &read, &mut blocks)?,
        };
        values[step.node] = Some(value);
        if let Some(seconds) = &mut seconds {
            seconds.push(start.elapsed().as_secs_f64());
        }
        if purpose == Purpose::Scores {
            give_back(program, graph, at, step, values);
        }
    }
    Ok(())
}

/// The value of a node that has been computed.
pub(super) fn stored(engine: &Engine, values: &[Option<Tensor>], node: NodeId) -> Result<Tensor> {
    values[node]
        .clone()
        .ok_or_else(|| fault::shape(&engine.graph.nodes[node].name, "no value", "one"))
}

/// Forgets what step number `at` was the last to read.
pub(super) fn give_back(
    program: &Program,
    graph: &Graph,
    at: usize,
    step: &Step,
    values: &mut [Option<Tensor>],
) {
    for node in step.reads(graph) {
        if program.last_reader[node] == at && node != graph.output() {
            values[node] = None;
        }
    }
}

/// The output of a step, which is not the input's; `read` gives the outputs of other nodes.
pub(super) fn run_step(
    engine: &Engine,
    purpose: Purpose,
    step: &Step,
    read: &dyn Fn(NodeId) -> Result<Tensor>,
    blocks: &mut Blocks,
) -> Result<Tensor> {
    let program = engine.program(purpose);
    let graph = &engine.graph;
    match step.kind {
        Kind::Single => {
            let node = &graph.nodes[step.node];
            let inputs = node
                .inputs
                .iter()
                .map(|&i| read(i))
                .collect::<Result<Vec<_>>>()?;
            let inputs: Vec<&Tensor> = inputs.iter().collect();
            match (&node.op, program.growing[step.node]) {
                (Op::Concat, Some(growing)) => {
                    let before = (!growing.begins).then(|| node.inputs[0]);
                    blocks.grow(program, graph, step.node, before, &inputs)
                }
                (op, _) => engine.kernels.apply(op, &inputs),
            }
        }
        Kind::NormAct { norm } => {
            let x = read(graph.nodes[norm].inputs[0])?;
            let (norm, act) = engine.norm_act(norm, step.node)?;
            engine.kernels.norm_act(norm, act, &x)
        }
        Kind::Chain(nodes) => {
            let x = read(graph.nodes[nodes.conv].inputs[0])?;
            let added = nodes.add.map(|(_, other)| read(other)).transpose()?;
            engine.with_chain(&nodes, |chain| {
                engine.kernels.chain(chain, &x, added.as_ref(), purpose)
            })
        }
    }
}

/// Blocks of memory that concatenations fill one after the other, so that nothing is copied twice.
#[derive(Default)]
pub(super) struct Blocks {
    /// The node that was written last, the block, and the channels that are filled.
    open: Vec<(NodeId, Tensor, usize)>,
}

impl Blocks {
    fn grow(
        &mut self,
        program: &Program,
        graph: &Graph,
        node: NodeId,
        before: Option<NodeId>,
        parts: &[&Tensor],
    ) -> Result<Tensor> {
        let known = before.and_then(|before| self.open.iter().position(|(n, _, _)| *n == before));
        let (block, mut filled, new) = match known {
            Some(at) => {
                let (_, block, filled) = self.open.swap_remove(at);
                (block, filled, &parts[1..])
            }
            None => {
                let mut channels = 0;
                for part in parts {
                    channels += part.dim(1)?;
                }
                channels += later_channels(program, graph, node)?;
                let (n, _, h, w) = parts[0].dims4()?;
                (cpu::block([n, channels, h, w])?, 0, parts)
            }
        };
        for part in new {
            cpu::grow(&block, part, filled)?;
            filled += part.dim(1)?;
        }
        let view = block.narrow(1, 0, filled)?;
        if filled < block.dim(1)? {
            self.open.push((node, block, filled));
        }
        Ok(view)
    }
}

/// Channels that later concatenations will add behind those of `node`.
fn later_channels(program: &Program, graph: &Graph, node: NodeId) -> Result<usize> {
    let (mut channels, mut node) = (0, node);
    // Each concatenation is extended by at most one growing one.
    while let Some(next) = (node + 1..graph.nodes.len()).find(|&next| {
        program.growing[next].is_some_and(|g| !g.begins)
            && graph.nodes[next].inputs.first() == Some(&node)
    }) {
        for &part in &graph.nodes[next].inputs[1..] {
            channels += graph.channels(part)?;
        }
        node = next;
    }
    Ok(channels)
}
