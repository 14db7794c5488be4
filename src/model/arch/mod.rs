//! Architectures: each file reads one family's structure off the tensors and describes it as a graph.
//!
//! Depths, widths, input channels, groups and class counts come from the tensors' names and shapes;
//! what they cannot tell (strides, padding, pooling, activations, eps) is the family's definition in
//! torchvision or timm.

mod abn;
mod alexnet;
mod convnext;
mod densenet;
mod efficientnet;
mod googlenet;
mod head;
mod huggingface;
mod inception;
mod mnasnet;
mod mobilenet_v2;
mod mobilenet_v3;
mod net;
mod regnet;
mod resnet;
mod shufflenet;
mod squeezenet;
mod timm_efficientnet;
mod vgg;
mod vit;

use std::collections::BTreeMap;

use super::graph::Graph;
use super::weights::{Weights, outline};
use crate::error::Result;
use crate::text::{fault, notice};

/// What torchvision's BatchNorm adds to the variance unless a family says otherwise.
pub(crate) const BN_EPS: f64 = 1e-5;

/// First parts of the names of modules that serve training only.
const AUXILIARY: [&str; 3] = ["AuxLogits.", "aux1.", "aux2."];

/// A network that was recognised.
pub struct Built {
    /// Its structure and weights.
    pub graph: Graph,
    /// torchvision's or timm's name of it; a description in brackets follows for variants that have none.
    pub name: String,
    /// Rows and columns of the inputs that it was made for, where it is known not to be 224.
    pub side: Option<usize>,
    /// What was guessed or left out, in words.
    pub notices: Vec<String>,
}

/// What the user or a configuration says of the architecture.
#[derive(Default)]
pub(crate) struct Hint {
    /// Name in lower case without the library before it and the tag behind it; empty where nothing is said.
    name: String,
    /// Whether timm's module names are meant where the tensors' names are the same.
    timm: bool,
    /// Whether the file is Hugging Face transformers', whose LayerNorms add less to the variance.
    transformers: bool,
}

impl Hint {
    fn new(wanted: Option<&str>) -> Self {
        let mut name = wanted.unwrap_or_default().trim().to_lowercase();
        let mut timm = name.starts_with("tf_");
        for (library, is_timm) in [
            ("timm/", true),
            ("timm_", true),
            ("torchvision/", false),
            ("xrv_", false),
        ] {
            if let Some(rest) = name.strip_prefix(library) {
                name = rest.to_owned();
                timm |= is_timm;
            }
        }
        // timm's names may end in the tag of their weights: `resnet50.a1_in1k`.
        if let Some((bare, _)) = name.split_once('.') {
            name = bare.to_owned();
        }
        Self {
            name,
            timm,
            transformers: false,
        }
    }
}

/// A family of networks.
struct Family {
    /// First parts of its members' names.
    names: &'static [&'static str],
    /// Names of the published members, for messages.
    members: &'static str,
    /// Whether the tensors look like it.
    recognise: fn(&Weights) -> bool,
    /// Builds the graph.
    build: fn(&Weights, &Hint) -> Result<Built>,
}

const fn family(
    names: &'static [&'static str],
    members: &'static str,
    recognise: fn(&Weights) -> bool,
    build: fn(&Weights, &Hint) -> Result<Built>,
) -> Family {
    Family {
        names,
        members,
        recognise,
        build,
    }
}

/// All families. More particular ones stand before those that they could be mistaken for.
const FAMILIES: [Family; 18] = [
    family(
        &["resnet", "wide_resnet", "resnext", "seresnet", "seresnext"],
        "resnet18 to 152 with wide_resnet and resnext (also timm's)",
        resnet::recognise,
        resnet::build,
    ),
    family(
        &[
            "abn",
            "resnet",
            "wide_resnet",
            "resnext",
            "seresnet",
            "seresnext",
        ],
        "Attention Branch Networks on ResNets",
        abn::recognise,
        abn::build,
    ),
    family(
        &["densenet"],
        "densenet121 to 201 (also timm's and TorchXRayVision's)",
        densenet::recognise,
        densenet::build,
    ),
    family(
        &["vgg"],
        "vgg11 to 19 with and without BatchNorm",
        vgg::recognise,
        vgg::build,
    ),
    family(&["alexnet"], "alexnet", alexnet::recognise, alexnet::build),
    family(
        &["squeezenet"],
        "squeezenet1_0, 1_1",
        squeezenet::recognise,
        squeezenet::build,
    ),
    family(
        &["googlenet"],
        "googlenet",
        googlenet::recognise,
        googlenet::build,
    ),
    family(
        &["inception"],
        "inception_v3",
        inception::recognise,
        inception::build,
    ),
    family(
        &["mobilenet_v2"],
        "mobilenet_v2",
        mobilenet_v2::recognise,
        mobilenet_v2::build,
    ),
    family(
        &["mobilenet_v3"],
        "mobilenet_v3_small, large",
        mobilenet_v3::recognise,
        mobilenet_v3::build,
    ),
    family(
        &["efficientnet"],
        "efficientnet_b0 to b7, v2_s, m, l",
        efficientnet::recognise,
        efficientnet::build,
    ),
    family(
        &["efficientnet", "tf_efficientnet"],
        "timm's efficientnet and tf_efficientnet",
        timm_efficientnet::recognise,
        timm_efficientnet::build,
    ),
    family(
        &["convnext"],
        "convnext_tiny, small, base, large",
        convnext::recognise,
        convnext::build,
    ),
    family(
        &["convnext"],
        "timm's convnext",
        convnext::recognise_timm,
        convnext::build_timm,
    ),
    family(
        &["mnasnet"],
        "mnasnet0_5 to 1_3",
        mnasnet::recognise,
        mnasnet::build,
    ),
    family(
        &["shufflenet"],
        "shufflenet_v2_x0_5 to x2_0",
        shufflenet::recognise,
        shufflenet::build,
    ),
    family(&["regnet"], "regnet_x, y", regnet::recognise, regnet::build),
    family(
        &["vit"],
        "vit_b_16, b_32, l_16, l_32, h_14",
        vit::recognise,
        vit::build,
    ),
];

/// Recognises the architecture and builds its graph; `wanted`, a member's name, overrides the recognition.
///
/// # Errors
/// Lists what was seen and what is supported; names missing tensors, and tensors inside the network that
/// it has no place for.
pub fn build(weights: &Weights, wanted: Option<&str>) -> Result<Built> {
    let mut hint = Hint::new(wanted);
    let mut respelled = huggingface::respelled(weights)?;
    hint.transformers = respelled.is_some();
    let mut prefix = String::new();
    if respelled.is_none()
        && !recognised(weights)
        && let Some((bare, taken)) = without_common_prefix(weights)?
    {
        (respelled, prefix) = (Some(bare), taken);
    }
    let weights = respelled.as_ref().unwrap_or(weights);
    let family = match wanted {
        Some(wanted) => {
            named(weights, &hint).ok_or_else(|| fault::unknown_arch_name(wanted, &supported()))?
        }
        None => FAMILIES
            .iter()
            .find(|f| (f.recognise)(weights))
            .ok_or_else(|| unknown(weights))?,
    };
    let mut built = (family.build)(weights, &hint)?;
    if let Some(wanted) = wanted {
        // A description in brackets belongs to a variant, which may go by its model's name.
        let variant = built.name.contains(' ');
        if !variant && built.name != hint.name && !family.names.contains(&hint.name.as_str()) {
            return Err(fault::other_arch(&weights.name, wanted, &built.name));
        }
    }
    if let Some(key) = without_place(weights, &built.graph) {
        return Err(fault::tensor_without_place(
            &weights.name,
            &built.name,
            key,
            &export_lines(weights),
        ));
    }
    if !prefix.is_empty() {
        built.notices.push(notice::prefix_stripped(&prefix));
    }
    if hint.transformers {
        built.notices.push(notice::transformers_names());
    }
    if weights.keys().any(is_auxiliary) {
        built.notices.push(notice::auxiliary_left_out());
    }
    built.notices.extend(unused(weights, &built.graph));
    Ok(built)
}

/// Whether any family has tensors like these.
fn recognised(weights: &Weights) -> bool {
    FAMILIES.iter().any(|f| (f.recognise)(weights))
}

/// Most modules that may stand around a network.
const MAX_WRAPPERS: usize = 4;

/// A network inside other modules, as in `densenet121.features.conv0.weight`: the tensors without the part
/// that all their names start with, and that part; `None` where no network comes to light.
fn without_common_prefix(weights: &Weights) -> Result<Option<(Weights, String)>> {
    let mut taken = String::new();
    for _ in 0..MAX_WRAPPERS {
        let Some((wrapper, _)) = weights
            .keys()
            .next()
            .and_then(|key| key.get(taken.len()..)?.split_once('.'))
        else {
            return Ok(None);
        };
        taken = format!("{taken}{wrapper}.");
        let mut tensors = BTreeMap::new();
        for key in weights.keys() {
            let Some(bare) = key.strip_prefix(&taken) else {
                return Ok(None);
            };
            tensors.insert(bare.to_owned(), weights.get(key)?);
        }
        let bare = Weights::from_tensors(&weights.name, tensors);
        if recognised(&bare) {
            return Ok(Some((bare, taken)));
        }
    }
    Ok(None)
}

/// Words about tensors beside the network, which no node of the graph stands for.
fn unused(weights: &Weights, graph: &Graph) -> Option<String> {
    let left: Vec<&str> = weights
        .keys()
        .filter(|key| {
            let module = key.rsplit_once('.').map_or(*key, |(module, _)| module);
            graph.find(module).is_none() && !is_auxiliary(key)
        })
        .collect();
    let first = left.first()?;
    Some(notice::unused_tensors(left.len(), first))
}

/// The family of a member's name: the spelling that the tensors have, else the first.
fn named(weights: &Weights, hint: &Hint) -> Option<&'static Family> {
    let candidates = || {
        FAMILIES
            .iter()
            .filter(|f| f.names.iter().any(|name| hint.name.starts_with(name)))
    };
    candidates()
        .find(|f| (f.recognise)(weights))
        .or_else(|| candidates().next())
}

fn supported() -> String {
    FAMILIES.map(|f| f.members).join("; ")
}

/// Whether a tensor belongs to a classifier that serves training only.
fn is_auxiliary(key: &str) -> bool {
    AUXILIARY.iter().any(|prefix| key.starts_with(prefix))
}

/// A tensor that stands inside a part of the network that the graph describes, and has no node there: what
/// it does is not known, and without it the numbers would be wrong. Tensors beside the network are only
/// left over.
fn without_place<'a>(weights: &'a Weights, graph: &Graph) -> Option<&'a str> {
    weights.keys().find(|key| {
        let Some((module, _)) = key.rsplit_once('.') else {
            return false;
        };
        let top = module.split('.').next().unwrap_or(module);
        top != module && graph.find(top).is_some() && graph.find(module).is_none()
    })
}

/// The error about tensors that no family recognises.
fn unknown(weights: &Weights) -> crate::Error {
    let (mut convolutions, mut linears, mut norms) = (0, 0, 0);
    for key in weights.keys() {
        match weights.dims(key).map(<[usize]>::len) {
            Some(4) => convolutions += 1,
            Some(2) => linears += 1,
            _ if key.ends_with("running_mean") => norms += 1,
            _ => {}
        }
    }
    let seen = notice::layers_seen(&outline(weights), convolutions, norms, linears);
    fault::unknown_arch(&weights.name, &seen, &supported(), &export_lines(weights))
}

/// The lines of PyTorch that write this network as ONNX.
fn export_lines(weights: &Weights) -> String {
    // A convolution that reads one or three channels is most likely the first.
    let one = |key: &str| matches!(weights.dims(key), Some(&[o, 1, k, _]) if k > 1 && o > 1);
    let three = |key: &str| matches!(weights.dims(key), Some([_, 3, _, _]));
    let channels = if !weights.keys().any(three) && weights.keys().any(one) {
        1
    } else {
        3
    };
    notice::onnx_export(channels)
}
