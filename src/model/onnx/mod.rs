//! Networks from ONNX files, as `torch.onnx.export` writes them, with their weights inside.
//!
//! ```text
//! bytes -> survey -> messages (proto) -> patterns (pattern) -> drafts (translate and its parts)
//!       -> module paths (names) -> graph -> stages
//! ```
//!
//! The file is hostile until checked: lengths and the number of parts are surveyed before anything is
//! decoded, data must fill shapes before arrays are made, and what folding makes is paid for from a
//! budget. Opening takes at most 16 times the file's size and 300 MiB.

mod arithmetic;
mod constant;
mod fold;
mod layout;
mod names;
mod pattern;
mod proto;
mod stages;
mod translate;
mod view;
mod window;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::Device;
use prost::Message as _;
use prost::bytes::Bytes;

use super::Model;
use super::facts::{Facts, Sources};
use super::forward::Engine;
use super::graph::{Builder, Graph};
use super::kernels;
use super::memo::Memo;
use crate::error::Result;
use crate::plan::GivenFacts;
use crate::text::{fault, notice};
use proto::{Flaw, GraphProto, ModelProto, ValueInfoProto};
use translate::{Draft, Translator};

/// Protocol buffers end at two gigabytes.
const MAX_BYTES: u64 = 2 << 30;
/// Side that is assumed where a file leaves it open.
const OPEN_SIDE: usize = 224;

/// What a file holds.
struct Imported {
    graph: Graph,
    /// `[C, H, W]` of the image.
    input: [usize; 3],
    /// Facts under the keys that safetensors metadata has them.
    metadata: BTreeMap<String, String>,
    notices: Vec<String>,
}

impl Model {
    /// Opens an ONNX file, with the configuration files beside it.
    ///
    /// # Errors
    /// One sentence that names the file, and the node or tensor that is at fault.
    pub(super) fn open_onnx(
        path: &Path,
        arch: Option<&str>,
        given: &GivenFacts,
        device: &Device,
    ) -> Result<Self> {
        let name = path.file_name().map_or_else(
            || path.display().to_string(),
            |n| n.to_string_lossy().into_owned(),
        );
        if let Some(arch) = arch {
            return Err(fault::onnx_arch(&name, arch));
        }
        let meta = std::fs::metadata(path).map_err(|e| fault::read(path, &e))?;
        if !meta.is_file() {
            return Err(fault::not_a_regular_file(path, "an .onnx file"));
        }
        if meta.len() > MAX_BYTES {
            return Err(fault::model_too_large(path, meta.len(), MAX_BYTES));
        }
        let bytes = std::fs::read(path).map_err(|e| fault::read(path, &e))?;
        let mut sources = Sources::default().beside(path)?;
        sources.given = given.clone();
        let mut model = Self::from_onnx_with(&name, bytes, sources, device)?;
        model.path = Some(path.to_owned());
        Ok(model)
    }

    /// Builds a network from the bytes of an ONNX file; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_onnx(name: &str, bytes: Vec<u8>, device: &Device) -> Result<Self> {
        Self::from_onnx_with(name, bytes, Sources::default(), device)
    }

    fn from_onnx_with(
        name: &str,
        bytes: Vec<u8>,
        mut sources: Sources,
        device: &Device,
    ) -> Result<Self> {
        let sha256 = crate::image::sha256_hex(&bytes);
        let named = |e: crate::Error| {
            let words = e.to_string();
            let said = words.contains(name) && !words.contains(char::is_control);
            if said || e.is_of_device() {
                e
            } else {
                fault::onnx_inside(name, &e)
            }
        };
        let imported = import(name, bytes, device).map_err(named)?;
        let [channels, height, width] = imported.input;
        let graph = imported.graph;
        let classes = graph.classes().unwrap_or(0);
        sources.metadata = imported.metadata;
        // What is folded into the graph holds for this size only.
        sources.size = Some([width, height]);
        let arch = notice::onnx_arch(name);
        let (facts, said) = Facts::gather(name, arch, channels, classes, &sources)?;
        let mut notices = imported.notices;
        notices.extend(facts.guesses());
        notices.extend(said);
        let graph = Arc::new(graph);
        let model = Self {
            memo: Memo::default(),
            engine: Engine::new(Arc::clone(&graph), kernels::for_device(device)),
            graph,
            facts,
            name: name.to_owned(),
            path: None,
            sha256,
            notices,
            device: device.clone(),
        };
        model.graph.shapes(model.input_shape()).map_err(named)?;
        Ok(model)
    }
}

/// Decodes and translates a file.
fn import(name: &str, bytes: Vec<u8>, device: &Device) -> Result<Imported> {
    let length = bytes.len();
    proto::survey(&bytes).map_err(|flaw| match flaw {
        Flaw::Short if length > 0 => fault::onnx_short(name, length),
        Flaw::TooMany => fault::onnx_too_many(name, "parts", proto::MAX_PARTS),
        _ => fault::not_onnx(name, &notice::onnx_start(&bytes)),
    })?;
    let start = notice::onnx_start(&bytes);
    let model = ModelProto::decode(Bytes::from(bytes))
        .map_err(|e| fault::not_onnx(name, &notice::first_line(&e)))?;
    let Some(file_graph) = &model.graph else {
        return Err(fault::not_onnx(name, &start));
    };
    let mut notices = vec![producer(&model)];

    let (image, input, last) = image(name, file_graph, &mut notices)?;
    let mut metadata = facts_of(&model);
    let output = output(name, file_graph, &mut metadata, &mut notices)?;

    let mut translator = Translator::new(name, file_graph, device, length);
    let end = translator.run(&image.name, input, last, output)?;
    let (graph, shapes) = {
        let drafts = used(translator.drafts, end);
        let shapes: Vec<_> = drafts.iter().map(|d| d.shape).collect();
        (build(drafts), shapes)
    };
    let mut graph = graph;
    (graph.stages, graph.last) = stages::find(&graph, &shapes);
    Ok(Imported {
        graph,
        input,
        metadata,
        notices,
    })
}

fn producer(model: &ModelProto) -> String {
    let version = model
        .opset_import
        .iter()
        .find(|o| matches!(o.domain.as_str(), "" | "ai.onnx"))
        .map_or(0, |o| o.version);
    let producer = format!("{} {}", model.producer_name, model.producer_version);
    notice::onnx_producer(producer.trim(), version)
}

/// The input that is an image, its `[C, H, W]`, and whether its channels are last.
fn image<'a>(
    name: &str,
    graph: &'a GraphProto,
    notices: &mut Vec<String>,
) -> Result<(&'a ValueInfoProto, [usize; 3], bool)> {
    let mut seen = Vec::new();
    for input in &graph.input {
        if graph.initializer.iter().any(|t| t.name == input.name) {
            continue;
        }
        let tensor = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        let float = tensor.is_some_and(|t| matches!(t.elem_type, 1 | 10 | 11 | 16));
        let dims: Vec<Option<i64>> = tensor
            .and_then(|t| t.shape.as_ref())
            .map(|s| {
                s.dim
                    .iter()
                    .map(|d| d.dim_value.filter(|&v| v > 0))
                    .collect()
            })
            .unwrap_or_default();
        let (&[_, a, b, c], true) = (dims.as_slice(), float) else {
            seen.push(notice::onnx_input(&input.name, dims.len(), float));
            continue;
        };
        // [batch, rows, columns, channels], as TensorFlow's exporter leaves it.
        let last = matches!(c, Some(1 | 3)) && !matches!(a, Some(1 | 3));
        let [channels, rows, columns] = if last { [c, a, b] } else { [a, b, c] };
        if rows.is_none() || columns.is_none() {
            notices.push(notice::onnx_open_size(OPEN_SIDE));
        }
        let open = i64::try_from(OPEN_SIDE).unwrap_or(i64::MAX);
        let sizes = [
            channels.unwrap_or(3),
            rows.unwrap_or(open),
            columns.unwrap_or(open),
        ];
        let fits =
            (1..=64).contains(&sizes[0]) && sizes[1..].iter().all(|s| (1..=4096).contains(s));
        if !fits {
            return Err(fault::onnx_input_size(name, &sizes));
        }
        return Ok((input, sizes.map(|s| usize::try_from(s).unwrap_or(1)), last));
    }
    Err(fault::onnx_no_image(name, &notice::list_or_nothing(&seen)))
}

/// The value that is explained: the first output, without the activation at its end, which becomes a fact.
fn output<'a>(
    name: &str,
    graph: &'a GraphProto,
    metadata: &mut BTreeMap<String, String>,
    notices: &mut Vec<String>,
) -> Result<&'a str> {
    let Some(first) = graph.output.first() else {
        return Err(fault::onnx_no_output(name));
    };
    if graph.output.len() > 1 {
        notices.push(notice::onnx_outputs(&first.name, graph.output.len() - 1));
    }
    let mut value = first.name.as_str();
    // As often as there are nodes, so that a cycle ends.
    for _ in 0..graph.node.len() {
        let Some(node) = graph
            .node
            .iter()
            .find(|n| n.output.iter().any(|o| o == value))
        else {
            break;
        };
        let activation = match node.op_type.as_str() {
            "Softmax" | "LogSoftmax" => Some("softmax"),
            "Sigmoid" => Some("sigmoid"),
            "Identity" | "Dropout" => None,
            _ => break,
        };
        let Some(input) = node.input.first() else {
            break;
        };
        value = input;
        if let Some(activation) = activation {
            metadata.insert("camlens.activation".to_owned(), activation.to_owned());
            notices.push(notice::onnx_head_dropped(&node.op_type));
            break;
        }
    }
    Ok(value)
}

/// Facts in the file's metadata: `camlens.*` as in safetensors, and class names as `names` or `labels`.
fn facts_of(model: &ModelProto) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for entry in &model.metadata_props {
        if entry.key.starts_with("camlens.") {
            facts.insert(entry.key.clone(), entry.value.clone());
        } else if matches!(entry.key.as_str(), "names" | "labels")
            && let Some(labels) = labels(&entry.value)
        {
            facts.entry("camlens.labels".to_owned()).or_insert(labels);
        }
    }
    facts
}

/// A JSON list of labels from a JSON list, or from a JSON object by number.
fn labels(text: &str) -> Option<String> {
    let list = serde_json::from_str::<Vec<String>>(text).ok().or_else(|| {
        let by_number: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
        let mut numbered = BTreeMap::new();
        for (number, label) in by_number {
            numbered.insert(number.parse::<usize>().ok()?, label);
        }
        numbered
            .keys()
            .copied()
            .eq(0..numbered.len())
            .then(|| numbered.into_values().collect())
    })?;
    serde_json::to_string(&list).ok()
}

/// The drafts that `end` depends on, in order and renumbered.
fn used(drafts: Vec<Draft>, end: usize) -> Vec<Draft> {
    let mut needed = vec![false; drafts.len()];
    if let Some(first) = needed.first_mut() {
        *first = true;
    }
    if let Some(end) = needed.get_mut(end) {
        *end = true;
    }
    for (id, draft) in drafts.iter().enumerate().rev() {
        if needed.get(id) == Some(&true) {
            for &input in &draft.inputs {
                if let Some(input) = needed.get_mut(input) {
                    *input = true;
                }
            }
        }
    }
    let mut number = vec![0; drafts.len()];
    let mut kept: Vec<Draft> = Vec::new();
    for (id, mut draft) in drafts.into_iter().enumerate() {
        if needed.get(id) != Some(&true) {
            continue;
        }
        if let Some(number) = number.get_mut(id) {
            *number = kept.len();
        }
        for input in &mut draft.inputs {
            *input = number.get(*input).copied().unwrap_or(0);
        }
        kept.push(draft);
    }
    kept
}

/// Names the drafts and writes the graph down.
fn build(drafts: Vec<Draft>) -> Graph {
    let paths = {
        let places: Vec<_> = drafts
            .iter()
            .skip(1)
            .map(|d| (d.place.clone(), &d.op))
            .collect();
        names::paths(&places)
    };
    let mut builder = Builder::new();
    for (draft, path) in drafts.into_iter().skip(1).zip(paths) {
        if path == "features.relu5" {
            let norm = draft.inputs.first().copied().unwrap_or(0);
            builder.alias("features", norm);
        }
        builder.push(&path, draft.op, &draft.inputs);
    }
    builder.finish(Vec::new(), "")
}
