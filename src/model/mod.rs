//! A network: a graph, what is known about it, and the two walks through it.

pub mod arch;
pub mod backward;
pub mod device;
pub mod facts;
mod files;
pub mod forward;
pub mod graph;
pub mod kernels;
mod memo;
mod onnx;
pub mod op;
mod program;
mod resume;
mod shape;
pub mod weights;

use std::any::Any;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::job::Job;
use crate::plan::{DeviceChoice, GivenFacts, ModelSource};
use crate::preprocess::ModelInput;
use crate::text::{fault, notice};
use backward::{Gradient, Taps};
use facts::{Facts, Sources};
use files::ModelFile;
use forward::{Engine, Trace};
use graph::{Graph, NodeId};
use kernels::{Kernels, Purpose};
use memo::Memo;
pub use shape::Shape;
use weights::Weights;

/// The weights of the small network that ships with the program.
const DEMO: &[u8] = include_bytes!("../../models/demo/model.safetensors");

/// Name of the shipped network.
pub const DEMO_NAME: &str = "camlens-demo";

/// Images of the largest batch.
const LARGEST_BATCH: usize = 8;

/// Images of the largest batch that goes on from a layer.
const LARGEST_TAIL_BATCH: usize = 64;

/// Multiplications of the heaviest operation of a batch: about 50 ms of a desktop's CPU.
const LONGEST_OPERATION: usize = 4_000_000_000;

/// A network that is ready to run.
pub struct Model {
    /// Structure and weights.
    pub graph: Arc<Graph>,
    /// What the tensors cannot tell.
    pub facts: Facts,
    /// File name, or the demo's name.
    pub name: String,
    /// Where the file is; `None` for the demo and for tensors in memory.
    pub path: Option<PathBuf>,
    /// SHA-256 of the weights' file.
    pub sha256: String,
    /// What was changed, left out or guessed while loading, in words.
    pub notices: Vec<String>,
    device: Device,
    engine: Engine,
    memo: Memo,
}

/// Shapes of all nodes for the recipe's input.
#[derive(Default)]
struct Shapes(OnceLock<Vec<Shape>>);

/// One layer as the user sees it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Layer {
    /// PyTorch's module path.
    pub name: String,
    /// PyTorch's class of operation.
    pub op: String,
    /// Shape of the output for the model's input size, with a batch of one.
    pub shape: Vec<usize>,
    /// `[rows, columns]` of the grid; `null` where there is none.
    pub resolution: Option<[usize; 2]>,
    /// Receptive field in pixels of the model's input, `[rows, columns]`; `null` for the whole image.
    pub receptive_field: Option<[usize; 2]>,
    /// Whether a map can be made there.
    pub explainable: bool,
    /// For a container: the node whose output it is.
    pub alias_of: Option<String>,
}

impl Model {
    /// Opens a network with what its own files say about it.
    ///
    /// # Errors
    /// One sentence that names the file, what was found and what was expected.
    pub fn open(source: &ModelSource, arch: Option<&str>, device: &Device) -> Result<Self> {
        Self::open_with(source, arch, &GivenFacts::default(), device)
    }

    /// Opens a device and a network on it; what the automatic choice fell back from is told among the
    /// notices.
    ///
    /// # Errors
    /// As [`device::open`] and [`Model::open_with`].
    pub fn open_on(
        source: &ModelSource,
        arch: Option<&str>,
        given: &GivenFacts,
        choice: DeviceChoice,
    ) -> Result<Self> {
        let (device, said) = device::open(choice)?;
        let mut model = Self::open_with(source, arch, given, &device)?;
        model.notices.extend(said);
        Ok(model)
    }

    /// Opens a network; what the user says about it comes before what its files say.
    ///
    /// # Errors
    /// As [`Model::open`]; facts that do not fit the network.
    pub fn open_with(
        source: &ModelSource,
        arch: Option<&str>,
        given: &GivenFacts,
        device: &Device,
    ) -> Result<Self> {
        let weights = match source {
            ModelSource::Demo => Weights::parse(DEMO_NAME, DEMO, device)?,
            ModelSource::Path(path) => match files::locate(path)? {
                ModelFile::Weights(file) => Weights::open(&file, device)?,
                ModelFile::Onnx(file) => return Self::open_onnx(&file, arch, given, device),
            },
        };
        let mut sources = Sources::of(&weights);
        sources.given = given.clone();
        if let Some(file) = &weights.path {
            sources = sources.beside(file)?;
        }
        Self::build_with(&weights, arch, &sources, device)
    }

    /// Builds a network from tensors that have been read.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn build(weights: &Weights, arch: Option<&str>, device: &Device) -> Result<Self> {
        Self::build_with(weights, arch, &Sources::of(weights), device)
    }

    fn build_with(
        weights: &Weights,
        arch: Option<&str>,
        sources: &Sources,
        device: &Device,
    ) -> Result<Self> {
        // A configuration's name tells what tensors cannot (timm's names and borders); where it does not fit
        // them, they are believed alone.
        let hint = sources.arch_hint().filter(|_| arch.is_none());
        let built = match hint.map(|hint| arch::build(weights, Some(&hint))) {
            Some(Ok(built)) => built,
            _ => arch::build(weights, arch)?,
        };
        let (graph, arch) = (built.graph, built.name);
        let channels = graph.input_channels().unwrap_or(3);
        let classes = graph.classes().unwrap_or(0);
        let mut sources = sources.clone();
        sources.size = sources.size.or(built.side.map(|side| [side; 2]));
        let (facts, said) = Facts::gather(&weights.name, arch, channels, classes, &sources)?;
        let mut notices = weights.notices.clone();
        notices.extend(built.notices);
        notices.extend(facts.guesses());
        notices.extend(said);
        let graph = Arc::new(graph);
        let model = Self {
            engine: Engine::new(Arc::clone(&graph), kernels::for_device(device)),
            graph,
            facts,
            name: weights.name.clone(),
            path: weights.path.clone(),
            sha256: weights.sha256.clone(),
            notices,
            device: device.clone(),
            memo: Memo::default(),
        };
        // Shapes that do not fit are found now, and not in the middle of the first image.
        model.graph.shapes(model.input_shape())?;
        Ok(model)
    }

    /// Replaces the arithmetic; for tests and comparisons.
    pub fn with_kernels(mut self, kernels: Arc<dyn Kernels>) -> Self {
        self.engine = Engine::new(Arc::clone(&self.graph), kernels);
        self
    }

    /// The device that the network runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.graph.classes().unwrap_or(0)
    }

    /// `[C, H, W]` of the input that the recipe makes.
    pub fn input_shape(&self) -> [usize; 3] {
        let channels = self.graph.input_channels().unwrap_or(3);
        match &self.facts.recipe {
            Some(recipe) => [channels, recipe.value.height, recipe.value.width],
            None => [channels, 224, 224],
        }
    }

    /// Runs the network and keeps what a reverse walk needs; every node's output can be asked for.
    ///
    /// # Errors
    /// Wrong channels, too small a grid, logits that are not finite, cancellation.
    pub fn forward(&self, input: &ModelInput, job: &Job) -> Result<Trace> {
        let x = self.tensor(input)?;
        let trace = self.engine.trace(&x, job)?;
        self.check(&trace.logits()?)?;
        Ok(trace)
    }

    /// Runs the network for its logits only: less memory, and sums may be taken by shortcuts.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn logits(&self, input: &ModelInput, job: &Job) -> Result<Vec<f32>> {
        let x = self.tensor(input)?;
        let logits = self.scores(&x, job)?.get(0)?.flatten_all()?.to_vec1()?;
        self.check(&logits)?;
        Ok(logits)
    }

    /// Logits of a batch `[N, C, H, W]`, `[N, classes]`.
    ///
    /// # Errors
    /// Shapes that do not fit, cancellation.
    pub fn scores(&self, batch: &Tensor, job: &Job) -> Result<Tensor> {
        self.engine.scores(batch, job)
    }

    /// Logits of the attention branch in a pass, of the first image; `None` where the network has no such branch.
    ///
    /// # Errors
    /// Logits that are not finite, a device that fails.
    pub fn attention_logits(&self, trace: &Trace) -> Result<Option<Vec<f32>>> {
        let Some(branch) = self.graph.attention else {
            return Ok(None);
        };
        let logits = trace.output(branch.logits)?;
        let logits: Vec<f32> = logits.get(0)?.flatten_all()?.to_vec1()?;
        self.check(&logits)?;
        Ok(Some(logits))
    }

    /// Gives back the packed weights of forward passes, a copy as large as the network's file; the next forward pass
    /// packs them again. For work that has run its last one.
    pub fn forget_forward(&self) {
        for node in &self.graph.nodes {
            match &node.op {
                op::Op::Conv2d(conv) => conv.prepared.forget_forward(),
                op::Op::Linear { prepared, .. } => prepared.forget_forward(),
                _ => {}
            }
        }
    }

    /// What each step of a forward pass is and how many seconds it takes.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn profile(&self, input: &ModelInput) -> Result<Vec<(String, f64)>> {
        self.engine.profile(&self.tensor(input)?)
    }

    /// Gradient of the raw logit of `class`, at every node that is asked for.
    ///
    /// # Errors
    /// A class that does not exist.
    pub fn gradients(&self, trace: &Trace, class: usize) -> Result<Taps> {
        let logits = trace.output(self.graph.output())?;
        let seed = backward::one_hot(&logits, class)?;
        Ok(Taps::start(trace, seed, Arc::new(Gradient)))
    }

    /// What a module has made of this network and keeps with it, its type's default at first.
    pub fn memo<T: Default + Any + Send + Sync>(&self) -> Arc<T> {
        self.memo.get()
    }

    /// The arithmetic for another graph of the same network, as one with changed parameters.
    pub fn engine_of(&self, graph: Arc<Graph>) -> Engine {
        Engine::new(graph, Arc::clone(&self.engine.kernels))
    }

    /// Runs the network on a batch `[N, C, H, W]` and keeps what a reverse walk needs.
    ///
    /// # Errors
    /// Shapes that do not fit, cancellation.
    pub fn trace(&self, batch: &Tensor, job: &Job) -> Result<Trace> {
        self.engine.trace(batch, job)
    }

    /// As [`Model::trace`], for some of many samples whose mean is looked at: sums may be taken by shortcuts.
    ///
    /// # Errors
    /// As [`Model::trace`].
    pub fn trace_samples(&self, batch: &Tensor, job: &Job) -> Result<Trace> {
        self.engine.trace_sample(batch, job)
    }

    /// As [`Model::trace`], with the output of every node kept, those inside fused steps included: for rules that read
    /// inputs of activations.
    ///
    /// # Errors
    /// As [`Model::trace`].
    pub fn trace_nodes(&self, batch: &Tensor, job: &Job) -> Result<Trace> {
        self.engine.unfused().trace(batch, job)
    }

    /// Images of this size that a batch may have: as many as `bytes` of memory hold, and few enough that no single
    /// operation takes so long that cancelling would wait for it.
    pub fn batch_size(&self, size: [usize; 2], purpose: Purpose, bytes: usize) -> usize {
        self.batch_size_from(0, size, purpose, bytes)
            .min(LARGEST_BATCH)
    }

    /// The same for passes that go on from a node and of which only logits are read. Where little is left to do, more
    /// images come together.
    pub fn tail_batch_size(&self, node: NodeId, size: [usize; 2], bytes: usize) -> usize {
        // The trace that the passes go on from is held as well.
        self.batch_size_from(node, size, Purpose::Scores, bytes / 2)
            .min(LARGEST_TAIL_BATCH)
    }

    fn batch_size_from(
        &self,
        from: NodeId,
        size: [usize; 2],
        purpose: Purpose,
        bytes: usize,
    ) -> usize {
        let channels = self.graph.input_channels().unwrap_or(3);
        let Ok(shapes) = self.graph.shapes([channels, size[0], size[1]]) else {
            return 1;
        };
        let elements: Vec<usize> = shapes
            .iter()
            .skip(from)
            .map(|shape| shape.dims().iter().product())
            .collect();
        let held = match purpose {
            // A few of the largest outputs stand at the same time.
            Purpose::Scores => 4 * elements.iter().max().copied().unwrap_or(0),
            // Outputs of fused steps, and as much again for what a reverse walk hands on.
            Purpose::Trace | Purpose::Sample => elements.iter().sum(),
        };
        let by_memory = bytes / (4 * held).max(1);
        let heaviest = self
            .graph
            .nodes
            .iter()
            .skip(from)
            .zip(&elements)
            .map(|(node, &out)| match &node.op {
                op::Op::Conv2d(conv) => out * conv.weight.dims().iter().skip(1).product::<usize>(),
                // Weights of a few images are read from memory for nothing but them: twice the time of a convolution's.
                op::Op::Linear { weight, .. } => 2 * out * weight.dim(1).unwrap_or(1),
                _ => 0,
            });
        let by_time = match self.device {
            Device::Cpu => LONGEST_OPERATION / heaviest.max().unwrap_or(0).max(1),
            _ => LARGEST_BATCH,
        };
        by_memory.min(by_time).max(1)
    }

    /// An input as a tensor, `[1, C, H, W]`.
    ///
    /// # Errors
    /// Channels or a size that the network cannot take.
    pub fn tensor(&self, input: &ModelInput) -> Result<Tensor> {
        let shape = [input.channels, input.height, input.width];
        if let Some(expected) = self.graph.input_channels()
            && expected != input.channels
        {
            return Err(fault::input_channels(input.channels, expected));
        }
        self.graph.shapes(shape)?;
        Ok(Tensor::from_slice(
            &input.values,
            (1, input.channels, input.height, input.width),
            &self.device,
        )?)
    }

    fn check(&self, logits: &[f32]) -> Result<()> {
        if logits.iter().any(|v| !v.is_finite()) {
            return Err(fault::logits_not_finite(&self.name));
        }
        Ok(())
    }

    /// The arithmetic that runs the network.
    pub fn kernels(&self) -> &dyn Kernels {
        self.engine.kernels.as_ref()
    }

    /// The class of an index or label.
    ///
    /// # Errors
    /// Says how many classes there are, or that the class was never trained.
    pub fn class(&self, wanted: &str) -> Result<usize> {
        let by_label = || {
            self.facts
                .labels
                .value
                .iter()
                .position(|label| !label.is_empty() && label.eq_ignore_ascii_case(wanted))
        };
        let class = wanted
            .parse()
            .ok()
            .filter(|&class: &usize| class < self.classes())
            .or_else(by_label)
            .ok_or_else(|| fault::no_such_class(wanted, self.classes()))?;
        if !self.facts.is_trained(class) {
            return Err(fault::untrained_class(wanted));
        }
        Ok(class)
    }

    /// Resolves a layer's name or alias to a node that has a grid.
    ///
    /// # Errors
    /// Names the nearest names, or says that the layer has no grid.
    pub fn layer(&self, name: &str) -> Result<NodeId> {
        let Some(node) = self.graph.find(name) else {
            return Err(match name {
                graph::ATTENTION => fault::no_attention_branch(&self.name),
                _ => fault::no_such_layer(name, &self.near(name)),
            });
        };
        if self.shape(node)?.grid().is_none() {
            return Err(fault::layer_without_grid(
                name,
                self.graph.nodes[node].op.label(),
            ));
        }
        Ok(node)
    }

    /// Shape of a node's output for the input that the recipe makes. Only the kind of a shape (map,
    /// tokens, features) holds for every size of input.
    ///
    /// # Errors
    /// Fails when shapes do not fit, which [`Model::build`] has excluded.
    pub fn shape(&self, node: NodeId) -> Result<Shape> {
        // The window asks for some in every frame.
        let known = self.memo.get::<Shapes>();
        let shapes = match known.0.get() {
            Some(shapes) => shapes,
            None => {
                let shapes = self.graph.shapes(self.input_shape())?;
                known.0.get_or_init(|| shapes)
            }
        };
        Ok(shapes[node])
    }

    /// Names of layers for `last`, `stages`, `all` or a list of names, in the order asked for.
    ///
    /// # Errors
    /// As [`Model::layer`].
    pub fn layers_named(&self, wanted: &str) -> Result<Vec<String>> {
        Ok(match wanted {
            "last" => vec![self.graph.last.clone()],
            "stages" => self.graph.stages.clone(),
            "all" => {
                let shapes = self.graph.shapes(self.input_shape())?;
                self.graph
                    .spatial(&shapes)
                    .into_iter()
                    .map(|id| self.graph.nodes[id].name.clone())
                    .collect()
            }
            name => {
                self.layer(name)?;
                vec![name.to_owned()]
            }
        })
    }

    /// Every layer, in order from the input; containers follow the node whose output they are.
    ///
    /// # Errors
    /// Fails when shapes do not fit, which [`Model::build`] has excluded.
    pub fn layers(&self) -> Result<Vec<Layer>> {
        let shapes = self.graph.shapes(self.input_shape())?;
        let fields = self.graph.receptive_fields();
        let spatial = self.graph.spatial(&shapes);
        let row = |name: &str, id: NodeId, alias: bool| Layer {
            name: name.to_owned(),
            op: self.graph.nodes[id].op.label().to_owned(),
            shape: shapes[id].dims(),
            resolution: shapes[id].grid(),
            receptive_field: fields[id],
            explainable: spatial.contains(&id),
            alias_of: alias.then(|| self.graph.nodes[id].name.clone()),
        };
        let mut rows = Vec::new();
        for id in 0..self.graph.nodes.len() {
            rows.push(row(&self.graph.nodes[id].name, id, false));
            let mut containers: Vec<&str> = self
                .graph
                .aliases
                .iter()
                .filter(|(_, node)| **node == id)
                .map(|(name, _)| name.as_str())
                .collect();
            containers.sort_by_key(|name| std::cmp::Reverse(name.len()));
            rows.extend(containers.into_iter().map(|name| row(name, id, true)));
        }
        Ok(rows)
    }

    /// Names that look like `name`, for the message that it does not exist.
    fn near(&self, name: &str) -> String {
        let start = name.split('.').next().unwrap_or(name);
        let mut near: Vec<&str> = self
            .graph
            .aliases
            .keys()
            .map(String::as_str)
            .chain(self.graph.nodes.iter().map(|n| n.name.as_str()))
            .filter(|n| !start.is_empty() && n.starts_with(start))
            .take(5)
            .collect();
        if near.is_empty() {
            near = self.graph.stages.iter().map(String::as_str).collect();
        }
        notice::near_names(&near.join(", "))
    }
}
