//! The layers of a network as stops of a slider.

use crate::model::Model;

/// One stop of the depth slider.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// Name by which the map is asked for: the stage's where it is one, else the node's.
    pub name: String,
    /// Operation.
    pub op: String,
    /// `[rows, columns]` of the grid.
    pub resolution: [usize; 2],
    /// Receptive field in pixels of the model's input; `None` for the whole image.
    pub receptive_field: Option<[usize; 2]>,
    /// Whether a stage of the network ends here.
    pub stage: bool,
}

/// Every layer that can be explained, from the input to the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stops {
    /// In order from the input.
    pub list: Vec<Stop>,
    /// The layer that is explained unless another is asked for.
    pub last: usize,
}

impl Stops {
    /// Reads them off a network.
    pub fn of(model: &Model) -> Self {
        // A model that could not list its layers was refused when it was opened.
        let layers = model.layers().unwrap_or_default();
        let graph = &model.graph;
        let node_name = |name: &str| graph.find(name).map(|id| graph.nodes[id].name.as_str());
        let mut list = Vec::new();
        let mut last = 0;
        for layer in layers
            .iter()
            .filter(|l| l.explainable && l.alias_of.is_none())
        {
            let Some(resolution) = layer.resolution else {
                continue;
            };
            let stage = graph
                .stages
                .iter()
                .find(|stage| node_name(stage) == Some(layer.name.as_str()));
            let is_last = node_name(&graph.last) == Some(layer.name.as_str());
            if is_last {
                last = list.len();
            }
            let alias = stage.or(is_last.then_some(&graph.last));
            list.push(Stop {
                name: alias.unwrap_or(&layer.name).clone(),
                op: layer.op.clone(),
                resolution,
                receptive_field: layer.receptive_field,
                stage: alias.is_some(),
            });
        }
        if last == 0 {
            last = list.len().saturating_sub(1);
        }
        Self { list, last }
    }

    /// The stop that is most like one of another network: the last one for the last one, the one of the same name, else
    /// the same depth.
    pub fn like(&self, stop: usize, of: &Self) -> usize {
        if stop == of.last {
            return self.last;
        }
        let name = of.list.get(stop).map(|stop| stop.name.as_str());
        let mut names = self.list.iter().map(|stop| Some(stop.name.as_str()));
        names.position(|own| own == name).unwrap_or_else(|| {
            let depth = stop as f64 / of.list.len().max(1) as f64;
            ((depth * self.list.len() as f64) as usize).min(self.list.len().saturating_sub(1))
        })
    }

    /// The stop of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|stop| stop.name == name)
    }

    /// Stops where a stage ends, in order.
    pub fn stages(&self) -> Vec<usize> {
        (0..self.list.len())
            .filter(|&i| self.list[i].stage)
            .collect()
    }

    /// A good layer of the stage before the last one: its end, or, where a stride follows it, the block
    /// before. What is skipped by a stride gets no gradient, and a map there shows the stride's grid instead
    /// of the image (LayerCAM's authors give the same advice). The last layer where there is no such stage.
    pub fn one_stage_earlier(&self) -> usize {
        let end = self.stages().into_iter().rfind(|&stop| stop < self.last);
        let Some((end, layer)) = end.and_then(|end| Some((end, self.list.get(end)?))) else {
            return self.last;
        };
        let shrinks = |next: &Stop| next.resolution[0] < layer.resolution[0];
        if !self.list.get(end + 1).is_some_and(shrinks) {
            return end;
        }
        // Of a block's activations the last one has a name without a number.
        self.list[..end]
            .iter()
            .rposition(|stop| {
                stop.op == layer.op
                    && stop.resolution == layer.resolution
                    && !stop.name.contains('#')
            })
            .unwrap_or(end)
    }

    /// The next stage end after (`forward`) or before `stop`.
    pub fn next_stage(&self, stop: usize, forward: bool) -> usize {
        let stages = self.stages();
        let next = if forward {
            stages.into_iter().find(|&s| s > stop)
        } else {
            stages.into_iter().rfind(|&s| s < stop)
        };
        next.unwrap_or(if forward {
            self.list.len().saturating_sub(1)
        } else {
            0
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Layers of a made-up network; `stages` are the ends of its stages.
    pub(crate) fn stops(stages: &[usize], count: usize, prefix: &str) -> Stops {
        let list = (0..count)
            .map(|i| Stop {
                name: format!("{prefix}{i}"),
                op: "ReLU".to_owned(),
                resolution: [7, 7],
                receptive_field: None,
                stage: stages.contains(&i),
            })
            .collect();
        Stops {
            list,
            last: *stages.last().unwrap(),
        }
    }

    #[test]
    fn pages_go_through_stages_and_end_at_the_ends() {
        let stops = stops(&[4, 8, 11], 13, "a");
        assert_eq!(stops.next_stage(5, true), 8);
        assert_eq!(stops.next_stage(5, false), 4);
        assert_eq!(stops.next_stage(4, false), 0);
        assert_eq!(stops.next_stage(11, true), 12);
    }
}
