//! Small Attention Branch Networks with the authors' tensors.

use std::collections::BTreeMap;

use camlens::model::Model;
use camlens::model::weights::Weights;
use camlens::preprocess::ModelInput;
use candle_core::{Device, Tensor};

use super::support::{recipe_tensor, scene_a};

/// What a test network looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) channels: usize,
    /// Side of the first kernel: 7 as for ImageNet, 3 as for CIFAR.
    pub(super) kernel: usize,
    pub(super) bottleneck: bool,
    /// Channels inside the blocks of each stage.
    pub(super) widths: &'static [usize],
    /// Blocks a stage.
    pub(super) blocks: usize,
    pub(super) classes: usize,
    pub(super) side: usize,
}

pub(super) const BASIC: Layout = Layout {
    channels: 3,
    kernel: 7,
    bottleneck: false,
    widths: &[8, 10, 12, 14],
    blocks: 2,
    classes: 4,
    side: 96,
};
pub(super) const LAYOUTS: [Layout; 5] = [
    BASIC,
    Layout {
        bottleneck: true,
        ..BASIC
    },
    Layout {
        channels: 1,
        widths: &[6, 8],
        blocks: 1,
        classes: 2,
        side: 48,
        ..BASIC
    },
    Layout {
        kernel: 3,
        widths: &[6, 8, 10],
        side: 32,
        ..BASIC
    },
    Layout {
        kernel: 3,
        bottleneck: true,
        widths: &[6, 8, 10],
        side: 32,
        ..BASIC
    },
];

/// A BatchNorm's tensors.
const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

pub(super) type Tensors = BTreeMap<String, Tensor>;

impl Layout {
    pub(super) fn last(&self) -> usize {
        self.widths.len()
    }

    /// The authors' tensors with the recipe's numbers.
    pub(super) fn tensors(&self) -> Tensors {
        let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
        let mut conv =
            |path: &str, norm: &str, dims: [usize; 3]| add(&mut shapes, path, norm, dims);
        let first = self.widths[0];
        conv("conv1", "bn1", [first, self.channels, self.kernel]);
        let mut stage = |path: &str, mut inputs: usize, width: usize, strided: bool| {
            let out = if self.bottleneck { 4 * width } else { width };
            for block in 0..self.blocks {
                let at = |leaf: &str| format!("{path}.{block}.{leaf}");
                let kernels: &[[usize; 3]] = if self.bottleneck {
                    &[[width, inputs, 1], [width, width, 3], [out, width, 1]]
                } else {
                    &[[width, inputs, 3], [out, width, 3]]
                };
                for (i, kernel) in kernels.iter().enumerate() {
                    let (path, norm) = (format!("conv{}", i + 1), format!("bn{}", i + 1));
                    conv(&at(&path), &at(&norm), *kernel);
                }
                if block == 0 && (strided || inputs != out) {
                    conv(&at("downsample.0"), &at("downsample.1"), [out, inputs, 1]);
                }
                inputs = out;
            }
            out
        };
        let mut inputs = first;
        for (i, &width) in self.widths.iter().enumerate() {
            if i + 1 == self.last() {
                stage(&format!("att_layer{}", i + 1), inputs, width, false);
            }
            inputs = stage(&format!("layer{}", i + 1), inputs, width, i > 0);
        }
        let classes = self.classes;
        // BatchNorm of the copied stage, which no convolution of its own stands before.
        for leaf in NORM {
            shapes.push((format!("bn_att.{leaf}"), vec![inputs]));
        }
        let mut conv =
            |path: &str, norm: &str, dims: [usize; 3]| add(&mut shapes, path, norm, dims);
        conv("att_conv", "bn_att2", [classes, inputs, 1]);
        conv("att_conv2", "", [classes, classes, 1]);
        conv("att_conv3", "bn_att3", [1, classes, 3]);
        shapes.push(("fc.weight".into(), vec![classes, inputs]));
        shapes.push(("fc.bias".into(), vec![classes]));
        shapes
            .into_iter()
            .map(|(name, shape)| {
                let values = recipe_tensor(&name, &shape, 11, &[]);
                let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
                (name, tensor)
            })
            .collect()
    }

    pub(super) fn input(&self) -> ModelInput {
        let (_, values) = scene_a(self.side, self.side, false);
        let shape = [1, self.channels, self.side, self.side];
        let plane = self.side * self.side;
        ModelInput::from_ready(&shape, values[..self.channels * plane].to_vec()).unwrap()
    }

    pub(super) fn model(&self) -> Model {
        open(self.tensors()).unwrap()
    }
}

/// A convolution's tensor and those of the BatchNorm behind it, where there is one.
fn add(shapes: &mut Vec<(String, Vec<usize>)>, path: &str, norm: &str, [o, i, k]: [usize; 3]) {
    shapes.push((format!("{path}.weight"), vec![o, i, k, k]));
    if !norm.is_empty() {
        for leaf in NORM {
            shapes.push((format!("{norm}.{leaf}"), vec![o]));
        }
    }
}

pub(super) fn open(tensors: Tensors) -> camlens::Result<Model> {
    Model::build(
        &Weights::from_tensors("net.pth", tensors),
        None,
        &Device::Cpu,
    )
}

pub(super) fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}
