//! Options that many methods have: they wrap a method, whatever it is.

use super::catalogue::{AUG_SMOOTH, EIGEN_SMOOTH, FUSION, Method, NO, NONE, YES};
use super::map::Grid;
use super::pass::Pass;
use super::resize::{self, min_max, normalised};
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps, Task};
use super::{cam, eigen};
use crate::error::Result;
use crate::plan::Values;
use crate::preprocess::ModelInput;
use crate::text::notice;

/// Stages that LayerCAM's paper scales with tanh before they are joined, from the shallowest.
const SHALLOW_STAGES: usize = 3;
/// Factor inside that tanh.
const TANH_GAMMA: f32 = 2.0;

/// The steps of a method under an option that runs it several times, where one is set.
pub(super) fn wrap(
    method: &'static Method,
    settings: &Settings,
    study: &mut Study<'_>,
) -> Result<Option<Box<dyn Steps>>> {
    if !settings.is(AUG_SMOOTH.id, YES) {
        return Ok(None);
    }
    study.notice(notice::MIRRORED);
    Ok(Some(Box::new(AugSmooth {
        method,
        values: settings.with(AUG_SMOOTH.id, NO).values().clone(),
        open: None,
        done: 0,
        sum: vec![0.0; study.input.width * study.input.height],
    })))
}

/// One map out of what a method gives.
pub(super) fn grid(drawn: Drawn, settings: &Settings, study: &mut Study<'_>) -> Result<Grid> {
    match drawn {
        Drawn::Grid(grid) => Ok(grid),
        Drawn::Channels(channels) => {
            let evidence = study.evidence(false)?;
            if settings.is(EIGEN_SMOOTH.id, YES) {
                eigen::smooth(&channels.components(&evidence), &evidence)
            } else {
                Ok(channels.sum(&evidence))
            }
        }
    }
}

/// What a method draws at the study's layer.
pub(super) type Draw<'f> = &'f dyn Fn(&mut Study<'_>) -> Result<Drawn>;

/// What a method draws at one layer, or joined over the stages up to it.
pub(super) fn at_layers(
    method: &Method,
    draw: Draw<'_>,
    settings: &Settings,
    study: &mut Study<'_>,
) -> Result<Drawn> {
    let join = match settings.word(FUSION.id) {
        "" | NONE => return draw(study),
        "torchcam" => Join::Torchcam {
            curved: method.id == "layer-cam",
        },
        "mean" => Join::Mean,
        "product" => Join::Product,
        "tanh-max" => Join::TanhMax,
        _ => Join::Max,
    };
    fuse(draw, join, settings, study)
}

/// How maps of several layers become one.
#[derive(Clone, Copy, PartialEq)]
enum Join {
    Mean,
    Max,
    Product,
    TanhMax,
    /// torchcam's `fuse_cams`: the maximum on the largest layer's grid; where it is LayerCAM's, of `tanh(2 M)`.
    Torchcam {
        curved: bool,
    },
}

/// RefineCAM (Domeniconi et al. 2026): the product of a base method's maps of the stages up to the layer.
pub(super) fn refine_cam(study: &mut Study<'_>, settings: &Settings) -> Result<Drawn> {
    let base = cam::base(settings.word("base"));
    let draw = |study: &mut Study<'_>| Ok(Drawn::Channels(base(&study.evidence(true)?, settings)?));
    fuse(&draw, Join::Product, settings, study)
}

/// The network's stages in front of the study's layer, and that layer, from the shallowest.
pub(super) fn stages_up_to(study: &Study<'_>) -> Result<Vec<String>> {
    let mut layers = Vec::new();
    for stage in &study.model.graph.stages {
        if study.model.layer(stage)? < study.node {
            layers.push(stage.clone());
        }
    }
    layers.push(study.layer.clone());
    Ok(layers)
}

fn fuse(draw: Draw<'_>, join: Join, settings: &Settings, study: &mut Study<'_>) -> Result<Drawn> {
    let own_layer = study.layer.clone();
    let joined = fused(draw, join, settings, study);
    study.go_to(&own_layer)?;
    joined
}

/// Leaves the study at the last layer that it came to.
fn fused(draw: Draw<'_>, join: Join, settings: &Settings, study: &mut Study<'_>) -> Result<Drawn> {
    let mut grids = Vec::new();
    for layer in stages_up_to(study)? {
        study.go_to(&layer)?;
        let drawn = draw(study)?;
        grids.push(grid(drawn, settings, study)?);
    }
    let largest = |side: fn(&Grid) -> usize| grids.iter().map(side).max().unwrap_or(1);
    let size = match join {
        Join::Torchcam { .. } => [largest(|g| g.width), largest(|g| g.height)],
        _ => [study.input.width, study.input.height],
    };
    let count = grids.len();
    let mut joined: Option<Vec<f32>> = None;
    for (stage, grid) in grids.into_iter().enumerate() {
        let from = [grid.width, grid.height];
        let own = match join {
            // A single map is handed back as it is there.
            Join::Torchcam { curved } => scaled(&grid.values, from, size, curved && count > 1),
            Join::TanhMax => scaled(&grid.values, from, size, stage < SHALLOW_STAGES),
            Join::Product => {
                // RefineCAM's layers are finished maps: normalised before and after they are enlarged.
                let mut map = normalised(&grid.values, from, size);
                min_max(&mut map, 1e-7);
                map
            }
            Join::Mean | Join::Max => normalised(&grid.values, from, size),
        };
        joined = Some(match joined {
            None => own,
            Some(joined) => {
                let pairs = joined.iter().zip(&own);
                match join {
                    Join::Mean => pairs.map(|(a, b)| a + b).collect(),
                    Join::Product => pairs.map(|(a, b)| a * b).collect(),
                    _ => pairs.map(|(a, b)| a.max(*b)).collect(),
                }
            }
        });
    }
    let mut values = joined.unwrap_or_else(|| vec![0.0; size[0] * size[1]]);
    if join == Join::Mean {
        let n = count as f32;
        values.iter_mut().for_each(|v| *v /= n);
    }
    Ok(Drawn::Grid(Grid {
        width: size[0],
        height: size[1],
        values,
    }))
}

/// ReLU, min-max, perhaps `tanh(2 M)`, enlargement.
fn scaled(values: &[f32], from: [usize; 2], to: [usize; 2], tanh: bool) -> Vec<f32> {
    let mut map: Vec<f32> = values.iter().map(|v| v.max(0.0)).collect();
    min_max(&mut map, 1e-8);
    if tanh {
        map.iter_mut().for_each(|v| *v = (TANH_GAMMA * *v).tanh());
    }
    resize::up(&map, from, to)
}

/// Six changed inputs: plain and mirrored, each times 0.9, 1.0 and 1.1 (pytorch-grad-cam's `aug_smooth`).
const CHANGES: [(bool, f32); 6] = [
    (false, 0.9),
    (false, 1.0),
    (false, 1.1),
    (true, 0.9),
    (true, 1.0),
    (true, 1.1),
];

/// The mean of complete maps of changed inputs, turned back.
struct AugSmooth {
    method: &'static Method,
    values: Values,
    open: Option<(ModelInput, Pass, Task)>,
    done: usize,
    sum: Vec<f32>,
}

impl AugSmooth {
    fn begin(&self, study: &Study<'_>) -> Result<(ModelInput, Pass, Task)> {
        let (mirror, factor) = CHANGES[self.done.min(CHANGES.len() - 1)];
        let mut input = study.input.clone();
        input.values.iter_mut().for_each(|v| *v *= factor);
        if mirror {
            mirrored(&mut input.values, input.width);
        }
        let job = study.job.quiet();
        let mut pass = Pass::run(study.model, &input, &job)?;
        let mut inner = Study::new(
            study.model,
            &input,
            &mut pass,
            study.target,
            &study.layer,
            &job,
        )?;
        let task = Task::begin(self.method, &self.values, &mut inner)?;
        Ok((input, pass, task))
    }
}

impl Steps for AugSmooth {
    fn total(&self) -> usize {
        CHANGES.len()
    }

    fn done(&self) -> usize {
        self.done
    }

    fn advance(&mut self, study: &mut Study<'_>) -> Result<()> {
        let (input, mut pass, mut task) = match self.open.take() {
            Some(open) => open,
            None => self.begin(study)?,
        };
        let job = study.job.quiet();
        let mut inner = Study::new(
            study.model,
            &input,
            &mut pass,
            study.target,
            &study.layer,
            &job,
        )?;
        if let Err(error) = task.advance(&mut inner) {
            self.open = Some((input, pass, task));
            return Err(error);
        }
        if !task.is_done() {
            self.open = Some((input, pass, task));
            return Ok(());
        }
        let map = task.map(&mut inner)?;
        let to = [study.input.width, study.input.height];
        let mut full = normalised(&map.values, [map.width, map.height], to);
        min_max(&mut full, 1e-7);
        if CHANGES[self.done.min(CHANGES.len() - 1)].0 {
            mirrored(&mut full, to[0]);
        }
        self.sum.iter_mut().zip(full).for_each(|(s, v)| *s += v);
        self.done += 1;
        Ok(())
    }

    fn drawn(&self, study: &mut Study<'_>) -> Result<Drawn> {
        let n = self.done.max(1) as f32;
        Ok(Drawn::Grid(Grid {
            width: study.input.width,
            height: study.input.height,
            values: self.sum.iter().map(|v| v / n).collect(),
        }))
    }
}

fn mirrored(values: &mut [f32], width: usize) {
    for row in values.chunks_exact_mut(width.max(1)) {
        row.reverse();
    }
}
