//! FG-CAM (Qiu, Jin and Zhang, arXiv 2303.09171): a CAM's channels handed down, layer by layer, to any resolution.
//!
//! The components I_k of a CAM at the network's last stage (weight times activation, not yet added up) are what the walk starts
//! from. Each layer divides them in proportion to the positive contributions of its inputs
//! ([`Composite::fine_grained`]), so the map at an earlier layer has that layer's resolution and still adds up to what the
//! last stage says. One walk serves all layers.
//!
//! Optional denoising keeps the leading singular values of `I` as a matrix of channels by places, each channel's mean
//! subtracted. The authors do not add the means back; that is the default here.
//!
//! The authors' code exists for VGG only. Sums, concatenations and gates are our extension.

use std::sync::Arc;

use candle_core::Tensor;

use super::catalogue::{self, Compute, Method, Param};
use super::channels::Channels;
use super::eigen;
use super::map::Grid;
use super::relevance::{Composite, Strided};
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps, Task};
use crate::error::Result;
use crate::model::graph::{Graph, NodeId};
use crate::model::op::Op;
use crate::plan::{Target, Values};
use crate::text::{fault, notice};

/// Walks that are kept: a map of every layer each, so that sliders run over them.
const KEPT_WALKS: usize = 24;
/// Components of base methods that are kept.
const KEPT_BASES: usize = 4;

/// A base method and what it explains.
#[derive(Clone, Copy, PartialEq)]
struct Base {
    method: &'static str,
    target: Target,
}

/// Everything that a walk depends on.
#[derive(Clone, Copy, PartialEq)]
struct Key {
    base: Base,
    /// Share of singular values that are kept, and whether the means are added back.
    denoise: Option<(f64, bool)>,
    folded: bool,
    strided: Strided,
}

/// Channel sums at every node that a walk came to.
struct Raised {
    maps: Vec<Option<Grid>>,
    notices: Vec<String>,
}

/// What has been made for one input.
#[derive(Default)]
pub(super) struct Fine {
    /// Components `[K, h, w]` at the last stage.
    bases: Vec<(Base, Arc<Vec<f32>>)>,
    walks: Vec<(Key, Arc<Raised>)>,
}

fn find<K: PartialEq, V>(list: &[(K, Arc<V>)], key: &K) -> Option<Arc<V>> {
    let found = list.iter().find(|(known, _)| known == key);
    found.map(|(_, value)| Arc::clone(value))
}

fn keep<K, V>(list: &mut Vec<(K, Arc<V>)>, key: K, value: V, most: usize) -> Arc<V> {
    let value = Arc::new(value);
    if list.len() >= most {
        list.remove(0);
    }
    list.push((key, Arc::clone(&value)));
    value
}

struct FgCam {
    key: Key,
    method: &'static Method,
    /// Name of the layer whose channels are the components.
    stage: String,
    /// The base method while it takes passes of its own.
    task: Option<Task>,
    raised: Option<Arc<Raised>>,
}

/// The layer whose channels are the components: the last one, behind the pool that follows it (VGG).
fn base_node(graph: &Graph, last: NodeId) -> NodeId {
    let pool = |op: &Op| matches!(op, Op::MaxPool(_));
    let behind = |node: &crate::model::graph::Node| node.inputs == [last] && pool(&node.op);
    graph.nodes.iter().position(behind).unwrap_or(last)
}

pub(super) fn begin(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let graph = &study.model.graph;
    if graph
        .nodes
        .iter()
        .any(|n| matches!(n.op, Op::Attention { .. }))
    {
        return Err(fault::fg_cam_of_transformer());
    }
    let base = base_node(graph, study.model.layer(&graph.last)?);
    let stage = graph.nodes[base].name.clone();
    if study.node > base {
        return Err(fault::fg_cam_behind(&study.layer, &stage));
    }
    let branches = |op: &Op| matches!(op, Op::Add | Op::Concat | Op::Mul);
    let folded = match settings.word("batch-norm") {
        "folded" => true,
        "official" => false,
        // The authors' code knows chains only.
        _ => graph.nodes.iter().any(|node| branches(&node.op)),
    };
    let method = catalogue::find(settings.word("base"))?;
    let key = Key {
        base: Base {
            method: method.id,
            target: study.target,
        },
        denoise: settings
            .is("denoise", catalogue::YES)
            .then(|| (settings.number("keep"), settings.is("mean", "added-back"))),
        folded,
        strided: strided(settings),
    };
    let raised = find(&study.pass.fine.walks, &key);
    let task = match method.compute {
        Compute::Steps(_) if find(&study.pass.fine.bases, &key.base).is_none() => {
            let mut values = Values::new();
            let has = |param: &Param| param.id == "mode" && param.fault("official").is_none();
            if method.params.iter().any(has) {
                // The authors weigh with the probability itself.
                values.insert("mode".to_owned(), "official".to_owned());
            }
            at(study, &stage, |study| Task::begin(method, &values, study)).map(Some)?
        }
        _ => None,
    };
    Ok(Box::new(FgCam {
        key,
        method,
        stage,
        task: task.filter(|_| raised.is_none()),
        raised,
    }))
}

/// What strided shortcuts divide relevance among.
pub(super) fn strided(settings: &Settings) -> Strided {
    match settings.word("shortcut") {
        "window" => Strided::Window,
        _ => Strided::Strict,
    }
}

/// Does something with the study at another layer.
fn at<'a, T>(
    study: &mut Study<'a>,
    layer: &str,
    f: impl FnOnce(&mut Study<'a>) -> Result<T>,
) -> Result<T> {
    let own = study.layer.clone();
    study.go_to(layer)?;
    let done = f(study);
    study.go_to(&own)?;
    done
}

impl FgCam {
    /// Components as they stand, `[K, h, w]`, at the study's layer, which is that of the components.
    fn components(&self, study: &mut Study<'_>) -> Result<Vec<f32>> {
        let channels = match (&self.task, self.method.compute) {
            (Some(task), _) => task.channels(study)?,
            (None, Compute::Channels(f)) => {
                let evidence = study.evidence(self.method.reads.gradients())?;
                let settings = self.method.settings(&Values::new())?;
                Some(f(&evidence, &settings)?)
            }
            _ => None,
        };
        let channels = channels.ok_or_else(|| fault::fg_cam_base(self.method.id))?;
        Ok(channels.components(&study.evidence(false)?))
    }

    /// Hands the components down to the input.
    fn raise(&self, study: &mut Study<'_>) -> Result<Arc<Raised>> {
        let components = match find(&study.pass.fine.bases, &self.key.base) {
            Some(known) => known,
            None => {
                let found = at(study, &self.stage, |study| self.components(study))?;
                keep(&mut study.pass.fine.bases, self.key.base, found, KEPT_BASES)
            }
        };
        let node = study.model.layer(&self.stage)?;
        let (_, k, h, w) = study.pass.trace.output(node)?.dims4()?;
        let mut notices = Vec::new();
        let start = match self.key.denoise {
            Some((share, added_back)) => {
                let (kept, told) = eigen::denoise(&components, h * w, share, added_back)?;
                notices.push(notice::fg_cam_denoised(told.kept, told.of, told.energy));
                kept
            }
            None => components.to_vec(),
        };
        let start = Tensor::from_vec(start, (1, k, h, w), study.model.device())?;
        let composite = Composite {
            strided: self.key.strided,
            ..Composite::fine_grained(self.key.folded)
        };
        let plan = study.pass.plan(study.model, &composite)?;
        notices.extend(plan.notices.iter().cloned());
        let job = study.job.quiet();
        let relevance = plan.walk_from(study.model, &study.pass.trace, node, start, &job)?;
        let maps = (0..=node)
            .map(|node| {
                let is_map = relevance.at(node).is_some_and(|r| r.rank() == 4);
                let sum = if is_map {
                    relevance.channel_sum(node)?
                } else {
                    None
                };
                Ok(sum.map(|(height, width, values)| Grid {
                    width,
                    height,
                    values,
                }))
            })
            .collect::<Result<Vec<_>>>()?;
        let raised = Raised { maps, notices };
        Ok(keep(
            &mut study.pass.fine.walks,
            self.key,
            raised,
            KEPT_WALKS,
        ))
    }
}

impl Steps for FgCam {
    fn total(&self) -> usize {
        // The walk is one step.
        self.task.as_ref().map_or(0, |task| task.progress().1) + 1
    }

    fn done(&self) -> usize {
        let passes = self.task.as_ref().map_or(0, |task| task.progress().0);
        passes + usize::from(self.raised.is_some())
    }

    fn advance(&mut self, study: &mut Study<'_>) -> Result<()> {
        if let Some(task) = self.task.as_mut().filter(|task| !task.is_done()) {
            return at(study, &self.stage, |study| task.advance(study));
        }
        if self.raised.is_none() {
            self.raised = Some(self.raise(study)?);
        }
        Ok(())
    }

    fn drawn(&self, study: &mut Study<'_>) -> Result<Drawn> {
        let Some(raised) = &self.raised else {
            // What the base says so far, at its own resolution.
            return at(study, &self.stage, |study| {
                let components = self.components(study)?;
                let evidence = study.evidence(false)?;
                Ok(Drawn::Grid(Channels::Components(components).sum(&evidence)))
            });
        };
        for words in &raised.notices {
            study.notice(words.clone());
        }
        match raised.maps.get(study.node) {
            Some(Some(grid)) => Ok(Drawn::Grid(grid.clone())),
            _ => Err(fault::no_gradient(&study.layer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::graph::Node;
    use crate::model::op::Pool;

    #[test]
    fn components_stand_behind_the_pool_that_follows_the_last_layer() {
        let node = |name: &str, op, inputs: &[NodeId]| Node {
            name: name.to_owned(),
            op,
            inputs: inputs.to_vec(),
        };
        let mut graph = Graph {
            nodes: vec![
                node("input", Op::Input, &[]),
                node("features.0", Op::Identity, &[0]),
                node("features.1", Op::MaxPool(Pool::square(2, 2, 0)), &[1]),
                node("avgpool", Op::AdaptiveAvgPool([7, 7]), &[2]),
            ],
            aliases: std::collections::BTreeMap::new(),
            stages: Vec::new(),
            last: "features.0".to_owned(),
            attention: None,
        };
        assert_eq!(base_node(&graph, 1), 2);
        graph.nodes[2].op = Op::Identity;
        assert_eq!(base_node(&graph, 1), 1);
    }
}
