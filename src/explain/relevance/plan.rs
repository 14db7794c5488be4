//! What each node of a network does with relevance: canonical weights and rules, made once per network and composite.
//!
//! Canonisation changes no node and no name, only what a node does. A BatchNorm behind a convolution that nobody else
//! reads goes into its weights, and the BatchNorm's own node passes relevance on. A BatchNorm and ReLU *in front* of a
//! convolution (DenseNet) become a threshold: with `u = w x + b` and `t = x` where `u > 0`, else `-b / w`, the ReLU's output is
//! `w t + b`, so the convolution reads t with weights `W w` and the bias `sum W b` on top; where it pads with zeros, t is padded
//! with `-b / w`, at which `w t + b` is 0.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;

use super::composite::{Composite, Mixing, Norms, Strided, fits};
use super::elementwise::{constant, per_channel};
use super::layer::Layer;
use super::rule::Rule;
use crate::error::Result;
use crate::job::Job;
use crate::model::Model;
use crate::model::forward::{Engine, Trace};
use crate::model::graph::{Graph, NodeId};
use crate::model::kernels::Prepared;
use crate::model::op::{Act, BatchNorm, Border, Conv2d, Op};
use crate::preprocess::Scale;
use crate::text::{fault, notice};

/// Widths of a convolution without border.
const NO_BORDER: Border = [[0; 2]; 2];

/// What a node does with the relevance of its output.
pub(super) enum Action {
    /// Nothing: there is no input, or no relevance comes here.
    End,
    /// Hands all of it to the first input.
    Pass,
    /// Hands on the ordinary gradient: winner takes all, slices, borders, reorderings.
    Gradient,
    /// In proportion to what each input gives.
    Norm,
    /// A sum of two nodes, in proportion to each.
    Sum,
    /// A pool, in proportion to the positive part of its input.
    PositivePool,
    /// A sum of two nodes, in proportion to the positive part of each.
    PositiveSum,
    /// A mean of values with constant weights.
    Attention,
    /// A layer with weights.
    Weights(Box<Weighted>),
}

/// A layer with weights where it stands.
pub(super) struct Weighted {
    pub(super) layer: Layer,
    /// The node whose output is the canonical layer's.
    pub(super) end: NodeId,
    /// Whether the canonical layer reads more than the network's, so that its output is another.
    pub(super) spread: bool,
    pub(super) threshold: Option<Threshold>,
}

/// A BatchNorm and ReLU in front of a convolution, as a threshold.
pub(super) struct Threshold {
    /// The BatchNorm's input.
    pub(super) from: NodeId,
    /// `-b / w` for each channel.
    cut: Vec<f32>,
    /// `w` for each channel.
    slope: Vec<f32>,
    /// The convolution's border, which is not 0 here.
    border: Border,
}

/// The relevance rules of a network: keep it, the modified weights are made once.
pub struct Plan {
    pub(super) actions: Vec<Action>,
    /// What is not as the composite would have it, in words.
    pub notices: Vec<String>,
    /// The network that is explained, where it is not the model's own to the last bit.
    engine: Option<Engine>,
}

impl Plan {
    /// Brings a network into canonical form and gives each layer its rule.
    ///
    /// # Errors
    /// A name in the composite that no layer has; z-box where the image's range is not known; a rule that needs no
    /// weights at a layer whose shape it cannot keep is refused by the walk.
    pub fn new(model: &Model, composite: &Composite) -> Result<Self> {
        match composite.norms {
            Norms::Zennit => {
                let graph = Arc::new(leftover(&model.graph)?);
                let mut maker = Maker::new(model, &graph, composite);
                let actions = maker.actions()?;
                let absorbed =
                    |id: usize| matches!(actions[id], Action::Pass) && maker.absorbed[id];
                let all_behind = (0..graph.nodes.len())
                    .filter(|&id| matches!(graph.nodes[id].op, Op::BatchNorm(_)))
                    .filter(|&id| maker.reached[id])
                    .all(|id| absorbed(id) && maker.behind[id]);
                let has_norms = maker.behind.contains(&true);
                if all_behind && has_norms {
                    let engine = model.engine_of(Arc::clone(&graph));
                    return Ok(maker.plan(actions, Some(engine)));
                }
            }
            Norms::Folded | Norms::FoldedBehind | Norms::Passed => {}
        }
        let mut maker = Maker::new(model, &model.graph, composite);
        let actions = maker.actions()?;
        Ok(maker.plan(actions, None))
    }

    /// Whether the network that is explained is not the model's own to the last bit.
    pub(in crate::explain) fn has_own_network(&self) -> bool {
        self.engine.is_some()
    }

    /// A pass through the network that is explained, where the model's own pass is not one.
    ///
    /// # Errors
    /// As [`Model::trace`].
    pub fn trace(&self, own: &Trace, job: &Job) -> Result<Option<Trace>> {
        let input = own.output(0)?;
        let trace = |engine: &Engine| engine.trace(&input, job);
        self.engine.as_ref().map(trace).transpose()
    }
}

/// A network with zennit's leftover factor behind every BatchNorm.
fn leftover(graph: &Graph) -> Result<Graph> {
    let mut graph = graph.clone();
    let factor = 1.0 / (1.0f64 + 1e-5).sqrt();
    for node in &mut graph.nodes {
        if let Op::BatchNorm(norm) = &mut node.op {
            norm.scale = (&norm.scale * factor)?;
            norm.shift = (&norm.shift * factor)?;
        }
    }
    Ok(graph)
}

/// Plans that are kept of one network; one holds its weights two or three times.
const KEPT_PLANS: usize = 2;

/// The plans that have been made for one network, newest last: they serve every image.
#[derive(Default)]
pub struct Plans(Mutex<Vec<(Composite, Arc<Plan>)>>);

impl Plans {
    /// The plan of a composite, made once.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn get_or_make(&self, model: &Model, composite: &Composite) -> Result<Arc<Plan>> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, plan)) = plans.iter().find(|(known, _)| known == composite) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(Plan::new(model, composite)?);
        if plans.len() == KEPT_PLANS {
            plans.remove(0);
        }
        plans.push((composite.clone(), Arc::clone(&plan)));
        Ok(plan)
    }
}

struct Maker<'a> {
    model: &'a Model,
    graph: &'a Graph,
    composite: &'a Composite,
    readers: Vec<Vec<NodeId>>,
    nonnegative: Vec<bool>,
    /// BatchNorms that have gone into a layer.
    absorbed: Vec<bool>,
    /// Those of them that went into the layer before them.
    behind: Vec<bool>,
    /// Nodes that relevance can come to.
    reached: Vec<bool>,
}

impl<'a> Maker<'a> {
    fn new(model: &'a Model, graph: &'a Graph, composite: &'a Composite) -> Self {
        let mut readers = vec![Vec::new(); graph.nodes.len()];
        let mut nonnegative: Vec<bool> = Vec::with_capacity(graph.nodes.len());
        for (id, node) in graph.nodes.iter().enumerate() {
            for &input in &node.inputs {
                readers[input].push(id);
            }
            let all = !node.inputs.is_empty() && node.inputs.iter().all(|&i| nonnegative[i]);
            nonnegative.push(match &node.op {
                Op::Act(Act::Relu | Act::Sigmoid | Act::HardSigmoid) => true,
                Op::Act(Act::Clamp { lo, .. }) => *lo >= 0.0,
                Op::Pad { value, .. } => all && *value >= 0.0,
                Op::MaxPool(_)
                | Op::GlobalMaxPool
                | Op::AvgPool { .. }
                | Op::AdaptiveAvgPool(_)
                | Op::Flatten
                | Op::Unflatten
                | Op::Add
                | Op::Mul
                | Op::Concat
                | Op::Slice { .. }
                | Op::ChannelShuffle { .. }
                | Op::SelectToken(_)
                | Op::Identity => all,
                _ => false,
            });
        }
        Self {
            model,
            graph,
            composite,
            absorbed: vec![false; graph.nodes.len()],
            behind: vec![false; graph.nodes.len()],
            reached: reached(graph),
            readers,
            nonnegative,
        }
    }

    fn actions(&mut self) -> Result<Vec<Action>> {
        let is_weighted = |op: &Op| matches!(op, Op::Conv2d(_) | Op::Linear { .. });
        let graph = self.graph;
        let nodes = &graph.nodes;
        let weighted = || nodes.iter().filter(|node| is_weighted(&node.op));
        for (pattern, _) in &self.composite.named {
            if !weighted().any(|node| fits(pattern, &node.name)) {
                return Err(fault::relevance_no_layer(pattern));
            }
        }
        let first = nodes.iter().position(|node| is_weighted(&node.op));
        let mut actions = Vec::with_capacity(nodes.len());
        for (id, node) in nodes.iter().enumerate() {
            if !self.reached[id] {
                actions.push(Action::End);
                continue;
            }
            actions.push(match &node.op {
                Op::Input => Action::End,
                Op::Conv2d(_) | Op::Linear { .. } => {
                    Action::Weights(Box::new(self.weighted(id, first == Some(id))?))
                }
                Op::Mul
                | Op::LayerNorm(_)
                | Op::Act(_)
                | Op::BatchNorm(_)
                | Op::Scale(_)
                | Op::Identity => Action::Pass,
                Op::MaxPool(_) | Op::AvgPool { .. } | Op::AdaptiveAvgPool(_)
                    if self.composite.mixing == Mixing::Positive =>
                {
                    Action::PositivePool
                }
                Op::Add if self.composite.mixing == Mixing::Positive => Action::PositiveSum,
                Op::AvgPool { .. } | Op::AdaptiveAvgPool(_) => Action::Norm,
                Op::Add => Action::Sum,
                Op::Attention { .. } => Action::Attention,
                _ => Action::Gradient,
            });
        }
        Ok(actions)
    }

    fn plan(&self, actions: Vec<Action>, engine: Option<Engine>) -> Plan {
        let nodes = &self.graph.nodes;
        let count = |is: fn(&Op) -> bool| nodes.iter().filter(|node| is(&node.op)).count();
        let gates = count(|op| matches!(op, Op::Mul));
        let layer_norms = count(|op| matches!(op, Op::LayerNorm(_)));
        let attention = count(|op| matches!(op, Op::Attention { .. }));
        let mut notices = Vec::new();
        let left: Vec<&str> = (0..nodes.len())
            .filter(|&id| matches!(nodes[id].op, Op::BatchNorm(_)))
            .filter(|&id| self.reached[id] && !self.absorbed[id])
            .map(|id| nodes[id].name.as_str())
            .collect();
        if let Some(first) = left.first()
            && self.composite.norms != Norms::Passed
        {
            notices.push(notice::relevance_norms_pass(left.len(), first));
        }
        if gates > 0 {
            notices.push(notice::relevance_gates(gates));
        }
        if layer_norms > 0 {
            notices.push(notice::relevance_layer_norms(layer_norms));
        }
        if attention > 0 {
            notices.push(notice::relevance_attention(attention));
        }
        Plan {
            actions,
            notices,
            engine,
        }
    }

    fn only_reader(&self, node: NodeId) -> Option<NodeId> {
        match self.readers[node].as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    fn weighted(&mut self, id: NodeId, is_first: bool) -> Result<Weighted> {
        let node = &self.graph.nodes[id];
        let is_conv = matches!(node.op, Op::Conv2d(_));
        let rule = self.composite.rule(&node.name, is_conv, is_first);
        let input = node.inputs.first().copied().unwrap_or(0);
        let mut whole = node.op.clone();
        let threshold = match self.composite.norms {
            Norms::Zennit | Norms::Folded => self.threshold(id, input, &mut whole)?,
            Norms::FoldedBehind | Norms::Passed => None,
        };
        let mut end = id;
        if self.composite.norms != Norms::Passed
            && let Some(next) = self.only_reader(id)
            && let Op::BatchNorm(norm) = &self.graph.nodes[next].op
        {
            whole = folded(&whole, norm)?;
            self.absorbed[next] = true;
            self.behind[next] = true;
            end = next;
        }
        let mut spread = false;
        if self.composite.strided == Strided::Window
            && let Op::Conv2d(conv) = &whole
            && let Some(wide) = over_window(conv)?
        {
            whole = Op::Conv2d(wide);
            spread = true;
        }
        let nonnegative = threshold.is_none() && self.nonnegative[input];
        let mut layer = Layer::new(whole, rule, nonnegative);
        if rule == Rule::ZBox {
            layer.range = self.range(input);
            if layer.range.is_none() {
                return Err(fault::relevance_box(&node.name));
            }
        }
        Ok(Weighted {
            layer,
            end,
            spread,
            threshold,
        })
    }

    /// What black and white become in each channel of the image.
    fn range(&self, mut input: NodeId) -> Option<[Vec<f32>; 2]> {
        while let Op::Identity = self.graph.nodes[input].op {
            input = *self.graph.nodes[input].inputs.first()?;
        }
        let recipe = &self.model.facts.recipe.as_ref()?.value;
        if !matches!(self.graph.nodes[input].op, Op::Input) {
            return None;
        }
        let channels = self.graph.input_channels()?;
        let range = match recipe.scale {
            Scale::XRayVision => [vec![-1024.0; channels], vec![1024.0; channels]],
            Scale::Unit => [0.0, 1.0].map(|v| {
                let per_channel = recipe.mean.iter().zip(&recipe.std);
                per_channel.map(|(mean, std)| (v - mean) / std).collect()
            }),
        };
        let sound = |v: &Vec<f32>| v.len() == channels && v.iter().all(|v| v.is_finite());
        range.iter().all(sound).then_some(range)
    }

    /// Looks for BatchNorm and ReLU in front of a convolution, each read by nobody else, and brings them into `whole`.
    fn threshold(&mut self, id: NodeId, relu: NodeId, whole: &mut Op) -> Result<Option<Threshold>> {
        let nodes = &self.graph.nodes;
        let (Op::Conv2d(conv), Op::Act(Act::Relu)) = (&*whole, &nodes[relu].op) else {
            return Ok(None);
        };
        let Some(&norm) = nodes[relu].inputs.first() else {
            return Ok(None);
        };
        let (Op::BatchNorm(bn), Some(&from)) = (&nodes[norm].op, nodes[norm].inputs.first()) else {
            return Ok(None);
        };
        let alone = self.only_reader(relu) == Some(id) && self.only_reader(norm) == Some(relu);
        if !alone || self.absorbed[norm] {
            return Ok(None);
        }
        let slope: Vec<f32> = bn.scale.flatten_all()?.to_vec1()?;
        let shift: Vec<f32> = bn.shift.flatten_all()?.to_vec1()?;
        let cut: Vec<f32> = slope.iter().zip(&shift).map(|(w, b)| -b / w).collect();
        // A channel that BatchNorm makes constant has no threshold: the ReLU gives max(b, 0) everywhere but in the border.
        let dead: Vec<bool> = cut.iter().map(|cut| !cut.is_finite()).collect();
        let constant = |i: usize| dead[i] && shift[i] > 0.0;
        if conv.padding != NO_BORDER && (0..dead.len()).any(constant) {
            return Ok(None);
        }
        let each = |f: &dyn Fn(usize) -> f32| -> Vec<f32> { (0..dead.len()).map(f).collect() };
        let scale = each(&|i| if dead[i] { 0.0 } else { slope[i] });
        let offset = each(&|i| if dead[i] { shift[i].max(0.0) } else { shift[i] });
        let cut = each(&|i| if dead[i] { 0.0 } else { cut[i] });
        let border = conv.padding;
        *whole = Op::Conv2d(fed_by(conv, &scale, &offset)?);
        self.absorbed[norm] = true;
        Ok(Some(Threshold {
            from,
            cut,
            slope: scale,
            border,
        }))
    }
}

/// For every node whether relevance can come there: not where only a gate's factor is made (squeeze-excite, an attention
/// branch), which counts as a constant, nor in a second head.
fn reached(graph: &Graph) -> Vec<bool> {
    let mut reached = vec![false; graph.nodes.len()];
    if let Some(output) = reached.last_mut() {
        *output = true;
    }
    for (id, node) in graph.nodes.iter().enumerate().rev() {
        let takes = match &node.op {
            Op::Mul => 1,
            _ => node.inputs.len(),
        };
        if reached[id] {
            for &input in node.inputs.iter().take(takes) {
                reached[input] = true;
            }
        }
    }
    reached
}

/// A layer with the BatchNorm behind it in its weights.
fn folded(op: &Op, norm: &BatchNorm) -> Result<Op> {
    let bias = |bias: &Option<Tensor>| -> Result<Option<Tensor>> {
        let shift = norm.shift.flatten_all()?;
        Ok(Some(match bias {
            Some(bias) => bias.mul(&norm.scale.flatten_all()?)?.add(&shift)?,
            None => shift,
        }))
    };
    match op {
        Op::Conv2d(conv) => {
            let scale = norm.scale.reshape(((), 1, 1, 1))?;
            let mut conv = conv.clone();
            conv.weight = conv.weight.broadcast_mul(&scale)?;
            conv.bias = bias(&conv.bias)?;
            conv.prepared = Prepared::default();
            Ok(Op::Conv2d(conv))
        }
        Op::Linear {
            weight, bias: b, ..
        } => Ok(Op::linear(
            weight.broadcast_mul(&norm.scale.reshape(((), 1))?)?,
            bias(b)?,
        )),
        op => Err(fault::shape(
            "relevance",
            op.label(),
            "a layer with weights",
        )),
    }
}

/// A 1x1 convolution with a stride as one of the mean over each window of the stride; `None` for others.
fn over_window(conv: &Conv2d) -> Result<Option<Conv2d>> {
    let [o, i, kh, kw] = conv.weight_dims()?;
    let [sy, sx] = conv.stride;
    if [kh, kw] != [1, 1] || [sy, sx] == [1, 1] || conv.padding != NO_BORDER {
        return Ok(None);
    }
    let mut wide = conv.clone();
    wide.weight = (&conv.weight / (sy * sx) as f64)?
        .broadcast_as((o, i, sy, sx))?
        .contiguous()?;
    // The last window may reach over the edge, where there is nothing.
    wide.padding = [[0, sy - 1], [0, sx - 1]];
    wide.prepared = Prepared::default();
    Ok(Some(wide))
}

/// A convolution without border that reads `t` in place of `scale t + offset`.
fn fed_by(conv: &Conv2d, scale: &[f32], offset: &[f32]) -> Result<Conv2d> {
    let [o, i, kh, kw] = conv.weight_dims()?;
    let groups = conv.groups.max(1);
    let weight = conv
        .weight
        .contiguous()?
        .reshape((groups, o / groups, i, kh * kw))?;
    let per_input = |values: &[f32]| -> Result<Tensor> {
        let device = conv.weight.device();
        Ok(Tensor::from_slice(values, (groups, 1, i, 1), device)?)
    };
    let constant = weight.broadcast_mul(&per_input(offset)?)?;
    let constant = constant.sum(3)?.sum(2)?.reshape(o)?;
    let mut fed = conv.clone();
    fed.weight = weight
        .broadcast_mul(&per_input(scale)?)?
        .reshape((o, i, kh, kw))?;
    fed.bias = Some(match &conv.bias {
        Some(bias) => bias.add(&constant)?,
        None => constant,
    });
    fed.padding = NO_BORDER;
    fed.prepared = Prepared::default();
    Ok(fed)
}

impl Threshold {
    /// What the convolution reads for an input `x` of the BatchNorm, its border included.
    pub(super) fn input(&self, x: &Tensor) -> Result<Tensor> {
        let t = per_channel(x, &self.cut, &self.slope, |x, cut, slope| {
            if slope >= 0.0 { x.max(cut) } else { x.min(cut) }
        })?;
        if self.border == NO_BORDER {
            return Ok(t);
        }
        // Zeros around `t - cut` are cuts around t.
        let [[top, bottom], [left, right]] = self.border;
        let t = t.sub(&constant(x, &self.cut)?)?.contiguous()?;
        let t = t
            .pad_with_zeros(2, top, bottom)?
            .pad_with_zeros(3, left, right)?;
        per_channel(&t, &self.cut, &self.cut, |t, cut, _| t + cut)
    }

    /// Relevance of the part of [`Threshold::input`] that `x` stands for; what fell on the border is lost, as a bias's.
    pub(super) fn inside(&self, r: &Tensor, x: &Tensor) -> Result<Tensor> {
        if self.border == NO_BORDER {
            return Ok(r.clone());
        }
        let (_, _, h, w) = x.dims4()?;
        Ok(r.narrow(2, self.border[0][0], h)?
            .narrow(3, self.border[1][0], w)?)
    }
}
