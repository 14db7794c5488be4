//! From ONNX nodes to the nodes of a graph.
//!
//! Only what the output depends on is translated, in the file's order. A value is a constant, or the
//! output of a draft node under a [`View`]; constants are folded, and what only changes a shape leaves no
//! node unless its result is flattened or shuffled.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Device, Tensor};

use super::constant::{Budget, Const};
use super::fold::{Call, fold};
use super::names::{Place, Places};
use super::pattern::{self, Fused, Matches, attribute};
use super::proto::{GraphProto, NodeProto, TensorProto};
use super::view::View;
use crate::error::Result;
use crate::model::Shape;
use crate::model::graph::Node;
use crate::model::op::{Act, Op};
use crate::model::shape::output_shape;
use crate::text::fault;

/// Most operations of a network.
const MAX_NODES: usize = 10_000;
/// Most values of one array, a batch of one.
const MAX_VALUES: usize = 1 << 28;

/// A node of the graph to be.
pub(super) struct Draft {
    /// Where it stands in the module tree.
    pub(super) place: Place,
    /// What it does.
    pub(super) op: Op,
    /// Drafts that it reads.
    pub(super) inputs: Vec<usize>,
    /// Shape of its output.
    pub(super) shape: Shape,
}

/// What a name of the file stands for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A constant.
    Const(Const),
    /// The output of a draft, seen through a view.
    Node {
        /// The draft.
        id: usize,
        /// How the value looks at it.
        view: View,
    },
}

/// The ONNX node that is being translated.
pub(super) struct Step<'a> {
    /// The node.
    pub(super) node: &'a NodeProto,
    /// Where it stands.
    pub(super) place: Place,
    /// Its inputs; `None` for one that is left out.
    pub(super) inputs: Vec<Option<Value>>,
}

impl Step<'_> {
    /// Name for messages.
    pub(super) fn name(&self) -> &str {
        node_name(self.node)
    }

    /// A constant input.
    pub(super) fn constant(&self, i: usize) -> Option<&Const> {
        match self.inputs.get(i)?.as_ref()? {
            Value::Const(value) => Some(value),
            Value::Node { .. } => None,
        }
    }

    /// Whether an input is there.
    pub(super) fn has(&self, i: usize) -> bool {
        matches!(self.inputs.get(i), Some(Some(_)))
    }

    /// Name of an input's value.
    pub(super) fn input_name(&self, i: usize) -> &str {
        self.node.input.get(i).map_or("", String::as_str)
    }

    /// An attribute's integers: a list, or one.
    pub(super) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        let a = attribute(self.node, name)?;
        Some(if a.ints.is_empty() {
            vec![a.i]
        } else {
            a.ints.clone()
        })
    }

    /// An attribute that is one integer.
    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        attribute(self.node, name).map_or(default, |a| a.i)
    }

    /// An attribute that is one number.
    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        attribute(self.node, name).map_or(default, |a| a.f)
    }

    /// An attribute that is text.
    pub(super) fn text(&self, name: &str) -> String {
        attribute(self.node, name)
            .map(|a| String::from_utf8_lossy(&a.s).into_owned())
            .unwrap_or_default()
    }
}

fn node_name(node: &NodeProto) -> &str {
    if node.name.is_empty() {
        node.output.first().map_or("", String::as_str)
    } else {
        &node.name
    }
}

/// The state of a translation.
pub(super) struct Translator<'a> {
    /// Name of the file, for messages.
    pub(super) file: &'a str,
    /// Where weights go.
    pub(super) device: &'a Device,
    /// What folding may still make.
    pub(super) budget: Budget,
    /// The graph so far.
    pub(super) drafts: Vec<Draft>,
    graph: &'a GraphProto,
    places: Places,
    matches: Matches,
    weights: BTreeMap<&'a str, &'a TensorProto>,
    values: BTreeMap<String, Value>,
    readers: BTreeMap<&'a str, Vec<usize>>,
    tensors: BTreeMap<String, Tensor>,
}

impl<'a> Translator<'a> {
    /// Starts with the image under its name. `bytes` is the length of the file.
    pub(super) fn new(
        file: &'a str,
        graph: &'a GraphProto,
        device: &'a Device,
        bytes: usize,
    ) -> Self {
        Self {
            file,
            device,
            budget: Budget((1 << 20) + 4 * bytes),
            drafts: Vec::new(),
            graph,
            places: Places::new(graph),
            matches: pattern::find(file, graph),
            weights: graph
                .initializer
                .iter()
                .map(|t| (t.name.as_str(), t))
                .collect(),
            values: BTreeMap::new(),
            readers: BTreeMap::new(),
            tensors: BTreeMap::new(),
        }
    }

    /// Translates all that `output` depends on and returns its draft, `[1, classes]`.
    ///
    /// # Errors
    /// Names the node that cannot be translated, and why.
    pub(super) fn run(
        &mut self,
        image: &str,
        shape: [usize; 3],
        last: bool,
        output: &str,
    ) -> Result<usize> {
        let shape_of = Shape::Map(shape);
        let view = if last {
            View::channels_last(shape)
        } else {
            View::plain(shape_of)
        };
        let place = self.places.of(
            &NodeProto {
                name: "input".into(),
                ..NodeProto::default()
            },
            0,
        );
        self.drafts.push(Draft {
            place,
            op: Op::Input,
            inputs: Vec::new(),
            shape: shape_of,
        });
        self.values
            .insert(image.to_owned(), Value::Node { id: 0, view });

        let live = self.live(output);
        if live.len() > MAX_NODES {
            return Err(fault::onnx_too_many(self.file, "operations", MAX_NODES));
        }
        for &i in &live {
            let Some(node) = self.graph.node.get(i) else {
                continue;
            };
            let outputs = self.node(i, node)?;
            for (name, value) in node.output.iter().zip(outputs) {
                if let Some(value) = value {
                    self.values.insert(name.clone(), value);
                }
            }
        }
        let Some(Value::Node { id, view }) = self.lookup(output)? else {
            return Err(fault::onnx_no_output(self.file));
        };
        self.logits(id, &view)
    }

    /// Numbers of the nodes that `output` depends on, in order.
    fn live(&mut self, output: &str) -> BTreeSet<usize> {
        let graph = self.graph;
        let mut producers: BTreeMap<&str, usize> = BTreeMap::new();
        for (i, node) in graph.node.iter().enumerate() {
            for name in &node.output {
                producers.insert(name, i);
            }
        }
        let mut live = BTreeSet::new();
        let mut open: Vec<usize> = producers.get(output).copied().into_iter().collect();
        while let Some(i) = open.pop() {
            let Some(node) = graph.node.get(i) else {
                continue;
            };
            if !live.insert(i) {
                continue;
            }
            let fused = self.matches.get(&i).map(|(_, x)| x.as_str());
            for name in node
                .input
                .iter()
                .filter(|n| fused.is_none_or(|x| x == n.as_str()))
            {
                self.readers.entry(name).or_default().push(i);
            }
            let direct = node
                .input
                .iter()
                .map(String::as_str)
                .filter(|_| fused.is_none());
            open.extend(direct.chain(fused).filter_map(|name| producers.get(name)));
        }
        live
    }

    /// Kinds of operators that read a value.
    pub(super) fn readers(&self, name: &str) -> impl Iterator<Item = &'a str> + '_ {
        let graph = self.graph;
        self.readers
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|&i| graph.node.get(i))
            .map(|n| n.op_type.as_str())
    }

    /// The value of a name; weights are decoded when they are first asked for.
    fn lookup(&mut self, name: &str) -> Result<Option<Value>> {
        if let Some(value) = self.values.get(name) {
            return Ok(Some(value.clone()));
        }
        let Some(tensor) = self.weights.get(name) else {
            return Ok(None);
        };
        let value = Value::Const(Const::decode(self.file, tensor)?);
        self.values.insert(name.to_owned(), value.clone());
        Ok(Some(value))
    }

    fn input(&mut self, node: &NodeProto, name: &str) -> Result<Option<Value>> {
        if name.is_empty() {
            return Ok(None);
        }
        match self.lookup(name)? {
            Some(value) => Ok(Some(value)),
            None => Err(fault::onnx_dangling(self.file, node_name(node), name)),
        }
    }

    fn node(&mut self, index: usize, node: &'a NodeProto) -> Result<Vec<Option<Value>>> {
        let place = self.places.of(node, index);
        if let Some((fused, x)) = self.matches.get(&index).cloned() {
            let inputs = vec![self.input(node, &x)?];
            let step = Step {
                node,
                place,
                inputs,
            };
            return Ok(vec![Some(self.fused(&step, &fused)?)]);
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(self.input(node, name)?);
        }
        let step = Step {
            node,
            place,
            inputs,
        };
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            return Err(self.lacks(&step));
        }
        if let Some(value) = self.constant(&step)? {
            return Ok(vec![Some(Value::Const(value))]);
        }
        if node.op_type == "Split" {
            return self.split(&step);
        }
        self.single(&step).map(|value| vec![Some(value)])
    }

    /// The result of a node that depends on no image.
    fn constant(&mut self, step: &Step<'_>) -> Result<Option<Const>> {
        let op = step.node.op_type.as_str();
        if op == "Constant" {
            return self.constant_node(step).map(Some);
        }
        let inputs: Option<Vec<Option<Const>>> = step
            .inputs
            .iter()
            .map(|input| match input {
                None => Some(None),
                Some(Value::Const(value)) => Some(Some(value.clone())),
                // Shapes are known, and the batch is one.
                Some(Value::Node { view, .. }) if op == "Shape" || op == "Size" => {
                    view_shape(view).map(Some)
                }
                Some(Value::Node { .. }) => None,
            })
            .collect();
        let Some(inputs) = inputs else {
            return Ok(None);
        };
        if op == "Shape"
            && let Some(Some(sizes)) = inputs.first()
            && matches!(step.inputs.first(), Some(Some(Value::Node { .. })))
        {
            return Ok(Some(
                shape_range(sizes, step).unwrap_or_else(|| sizes.clone()),
            ));
        }
        let file = self.file;
        let call = Call {
            op,
            inputs: &inputs,
            ints: &|name| step.ints(name),
            value: &|| {
                let tensor = attribute(step.node, "value")?.t.as_ref()?;
                Const::decode(file, tensor).ok()
            },
        };
        match fold(&call, &mut self.budget) {
            Some(value) => Ok(Some(value)),
            None if self.budget.0 == 0 => Err(fault::onnx_too_large(file, step.name(), &[])),
            None => Err(self.refuse(step, "computes a constant in a way that Camlens does not")),
        }
    }

    fn constant_node(&self, step: &Step<'_>) -> Result<Const> {
        for a in &step.node.attribute {
            match a.name.as_str() {
                "value" => {
                    if let Some(tensor) = &a.t {
                        return Const::decode(self.file, tensor);
                    }
                }
                "value_int" => {
                    return Ok(Const {
                        dims: Vec::new(),
                        ..Const::ints(vec![a.i])
                    });
                }
                "value_ints" => return Ok(Const::ints(a.ints.clone())),
                "value_float" => {
                    return Ok(Const {
                        dims: Vec::new(),
                        ..Const::numbers(vec![a.f])
                    });
                }
                "value_floats" => return Ok(Const::numbers(a.floats.clone())),
                _ => {}
            }
        }
        Err(self.refuse(step, "holds no numbers"))
    }

    /// A node with one output.
    fn single(&mut self, step: &Step<'_>) -> Result<Value> {
        match step.node.op_type.as_str() {
            "Identity" | "Dropout" => self.first(step).cloned(),
            "Cast" => match step.int("to", 1) {
                1 | 10 | 11 | 16 => self.first(step).cloned(),
                _ => Err(self.refuse(step, "turns a result of the network into integers")),
            },
            "Conv" => self.conv(step),
            "MaxPool" => self.max_pool(step),
            "AveragePool" => self.avg_pool(step),
            "GlobalAveragePool" => self.pool_all(step, Op::AdaptiveAvgPool([1, 1])),
            "GlobalMaxPool" => self.pool_all(step, Op::GlobalMaxPool),
            "ReduceMean" => self.reduce(step, Op::AdaptiveAvgPool([1, 1])),
            "ReduceMax" => self.reduce(step, Op::GlobalMaxPool),
            "Pad" => self.pad(step),
            "BatchNormalization" => self.batch_norm(step),
            "LayerNormalization" => self.layer_norm(step),
            "Gemm" => self.gemm(step),
            "MatMul" => self.mat_mul(step),
            "Add" | "Sub" | "Mul" | "Div" | "Neg" => self.arithmetic(step),
            "Concat" => self.concat(step),
            "Slice" => self.slice(step),
            "Gather" => self.gather(step),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Expand" => {
                self.layout(step)
            }
            _ => self.activation(step),
        }
    }

    fn activation(&mut self, step: &Step<'_>) -> Result<Value> {
        let act = match step.node.op_type.as_str() {
            "Relu" => Act::Relu,
            "LeakyRelu" => Act::LeakyRelu(step.float("alpha", 0.01)),
            "PRelu" => match step.constant(1).and_then(Const::uniform) {
                Some(slope) => Act::LeakyRelu(slope),
                None => {
                    return Err(
                        self.refuse(step, "has a slope for every channel; expected one slope")
                    );
                }
            },
            "Elu" => Act::Elu(step.float("alpha", 1.0)),
            "Clip" => self.clip(step)?,
            "Sigmoid" => Act::Sigmoid,
            "Tanh" => Act::Tanh,
            "HardSwish" => Act::Hardswish,
            "Mish" => Act::Mish,
            "Gelu" if step.text("approximate") == "tanh" => Act::GeluTanh,
            "Gelu" => Act::Gelu,
            "HardSigmoid" => return self.hard_sigmoid(step),
            _ => return Err(self.lacks(step)),
        };
        self.act(step, act)
    }

    fn act(&mut self, step: &Step<'_>, act: Act) -> Result<Value> {
        let (id, view) = self.node_input(step, 0)?;
        let finite = match act {
            Act::LeakyRelu(v) | Act::Elu(v) => v.is_finite(),
            Act::Clamp { lo, hi } => lo <= hi,
            _ => true,
        };
        if !finite {
            return Err(self.refuse(step, "has a parameter that is no number"));
        }
        let id = self.push(step, Op::Act(act), &[id])?;
        Ok(Value::Node { id, view })
    }

    fn clip(&self, step: &Step<'_>) -> Result<Act> {
        let bound = |i: usize, name: &str, open: f32| match (step.has(i), step.constant(i)) {
            (false, _) => Some(step.float(name, open)),
            (true, value) => value?.scalar(),
        };
        match (
            bound(1, "min", f32::NEG_INFINITY),
            bound(2, "max", f32::INFINITY),
        ) {
            (Some(0.0), Some(f32::INFINITY | f32::MAX)) => Ok(Act::Relu),
            (Some(lo), Some(hi)) => Ok(Act::Clamp { lo, hi }),
            _ => Err(self.refuse(step, "has bounds that are not constants")),
        }
    }

    /// PyTorch's has a slope of 1/6; others are an affine map and a clamp.
    fn hard_sigmoid(&mut self, step: &Step<'_>) -> Result<Value> {
        let (alpha, beta) = (step.float("alpha", 0.2), step.float("beta", 0.5));
        if (alpha - 1.0 / 6.0).abs() < 1e-4 && beta == 0.5 {
            return self.act(step, Act::HardSigmoid);
        }
        let (id, view) = self.node_input(step, 0)?;
        let channels = self.shape(id).channels();
        self.pay(step, 2 * channels)?;
        let id = self.affine(step, id, &vec![alpha; channels], &vec![beta; channels])?;
        let id = self.push(step, Op::Act(Act::Clamp { lo: 0.0, hi: 1.0 }), &[id])?;
        Ok(Value::Node { id, view })
    }

    fn fused(&mut self, step: &Step<'_>, fused: &Fused) -> Result<Value> {
        match fused {
            Fused::Act(act) => self.act(step, *act),
            Fused::Normalise { axes, eps } => self.normalise(step, axes, *eps),
        }
    }

    /// The first input, whatever it is.
    fn first<'s>(&self, step: &'s Step<'_>) -> Result<&'s Value> {
        match step.inputs.first() {
            Some(Some(value)) => Ok(value),
            _ => Err(self.refuse(step, "has no input")),
        }
    }

    /// An input that depends on the image.
    pub(super) fn node_input(&self, step: &Step<'_>, i: usize) -> Result<(usize, View)> {
        match step.inputs.get(i) {
            Some(Some(Value::Node { id, view })) => Ok((*id, view.clone())),
            _ => Err(self.refuse(
                step,
                "reads a constant where a result of the network is expected",
            )),
        }
    }

    /// An input as a map `[1, C, H, W]`.
    pub(super) fn map_input(&self, step: &Step<'_>, i: usize) -> Result<(usize, [usize; 3])> {
        let (id, view) = self.node_input(step, i)?;
        match self.shape(id) {
            Shape::Map(shape) if view == View::plain(Shape::Map(shape)) => Ok((id, shape)),
            _ => Err(self.refuse(
                step,
                &format!(
                    "reads an array of {:?}; expected a map [batch, channels, rows, columns]",
                    view.sizes()
                ),
            )),
        }
    }

    /// Shape of a draft.
    pub(super) fn shape(&self, id: usize) -> Shape {
        self.drafts.get(id).map_or(Shape::Flat(0), |d| d.shape)
    }

    /// Adds a draft at the step's place.
    pub(super) fn push(&mut self, step: &Step<'_>, op: Op, inputs: &[usize]) -> Result<usize> {
        self.push_at(step.place.clone(), step.name(), op, inputs)
    }

    pub(super) fn push_at(
        &mut self,
        place: Place,
        name: &str,
        op: Op,
        inputs: &[usize],
    ) -> Result<usize> {
        if self.drafts.len() >= MAX_NODES {
            return Err(fault::onnx_too_many(self.file, "operations", MAX_NODES));
        }
        let node = Node {
            name: name.to_owned(),
            op,
            inputs: inputs.to_vec(),
        };
        let shapes: Vec<Shape> = inputs.iter().map(|&i| self.shape(i)).collect();
        let shape = output_shape(&node, &shapes, [0; 3]).map_err(|e| self.in_file(&e))?;
        match super::constant::product(&shape.dims()) {
            Some(1..=MAX_VALUES) => {}
            _ => return Err(fault::onnx_too_large(self.file, name, &shape.dims())),
        }
        self.drafts.push(Draft {
            place,
            op: node.op,
            inputs: node.inputs,
            shape,
        });
        Ok(self.drafts.len() - 1)
    }

    /// Puts the file's name in front of an error about shapes.
    fn in_file(&self, error: &crate::Error) -> crate::Error {
        fault::onnx_inside(self.file, error)
    }

    /// A constant input as weights; one tensor of the file becomes one tensor on the device.
    pub(super) fn weight(&mut self, step: &Step<'_>, i: usize) -> Result<Tensor> {
        let name = step.input_name(i);
        if let Some(tensor) = self.tensors.get(name) {
            return Ok(tensor.clone());
        }
        let Some(value) = step.constant(i) else {
            return Err(self.refuse(step, "has weights that are not constant"));
        };
        let tensor = value.tensor(self.file, name, self.device)?;
        self.tensors.insert(name.to_owned(), tensor.clone());
        Ok(tensor)
    }

    /// The transpose of a constant matrix, kept as [`Self::weight`] keeps it.
    pub(super) fn transposed_weight(&mut self, step: &Step<'_>, i: usize) -> Result<Tensor> {
        // A slash twice is in no value's name that an exporter gives; a clash would only cost a refusal.
        let key = format!("{}//transposed", step.input_name(i));
        if let Some(tensor) = self.tensors.get(&key) {
            return Ok(tensor.clone());
        }
        let weight = self.weight(step, i)?;
        if weight.rank() != 2 {
            return Err(self.refuse(step, "has weights that are no matrix"));
        }
        let tensor = weight.t()?.contiguous()?;
        self.tensors.insert(key, tensor.clone());
        Ok(tensor)
    }

    /// Takes numbers out of the budget.
    ///
    /// # Errors
    /// A small file asks for too much.
    pub(super) fn pay(&mut self, step: &Step<'_>, count: usize) -> Result<()> {
        match self.budget.pay(count) {
            Some(()) => Ok(()),
            None => Err(fault::onnx_too_large(self.file, step.name(), &[count])),
        }
    }

    /// The error that an operator is used in a way that is not there.
    pub(super) fn refuse(&self, step: &Step<'_>, why: &str) -> crate::Error {
        fault::onnx_use(self.file, &step.node.op_type, step.name(), why)
    }

    /// The error that an operator is not there.
    pub(super) fn lacks(&self, step: &Step<'_>) -> crate::Error {
        fault::onnx_operator(self.file, &step.node.op_type, step.name())
    }

    /// The output as `[1, classes]`.
    fn logits(&mut self, id: usize, view: &View) -> Result<usize> {
        let shape = self.shape(id);
        if id > 0 && matches!(shape, Shape::Flat(_)) && *view == View::plain(shape) {
            return Ok(id);
        }
        // A network that is convolutional to its end leaves single cells.
        if id > 0 && shape.grid() == Some([1, 1]) && *view == View::plain(shape) {
            let place = self.places.of(
                &NodeProto {
                    name: "flatten".into(),
                    ..NodeProto::default()
                },
                0,
            );
            return self.push_at(place, "flatten", Op::Flatten, &[id]);
        }
        Err(fault::onnx_output_shape(self.file, &view.sizes()))
    }
}

/// The sizes of a view as a constant.
fn view_shape(view: &View) -> Option<Const> {
    let sizes: Option<Vec<i64>> = view
        .sizes()
        .into_iter()
        .map(|d| i64::try_from(d).ok())
        .collect();
    sizes.map(Const::ints)
}

/// The part of a shape that `start` and `end` of a Shape node (opset 15) ask for.
fn shape_range(sizes: &Const, step: &Step<'_>) -> Option<Const> {
    let (start, end) = (step.int("start", 0), step.int("end", i64::MAX));
    let picks = super::constant::sliced(start, end, 1, sizes.len())?;
    sizes.pick(vec![picks.len()], &picks)
}
