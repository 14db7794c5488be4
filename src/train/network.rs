//! The network that is trained: a narrow ResNet with torchvision's topology and names, so that the
//! program's ordinary loader opens the result (He et al. 2016, "Deep Residual Learning for Image Recognition").

use std::sync::PoisonError;

use candle_core::{Device, Tensor, Var};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::ops::{AddRelu, MaxPool};
use super::state::{Array, State};
use super::unit::{Init, Unit};
use crate::error::Result;
use crate::text::fault;

/// What fixes the shapes of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Channels of the four stages; the stem has as many as the first.
    pub widths: [usize; 4],
    /// Basic blocks a stage; `[2, 2, 2, 2]` is ResNet-18.
    pub blocks: [usize; 4],
    /// Channels of the input.
    pub inputs: usize,
    /// Classes.
    pub classes: usize,
}

/// A trainable array and its name in the file.
pub struct Parameter {
    /// torchvision's name.
    pub name: String,
    /// The values.
    pub var: Var,
    /// Whether weight decay applies: to kernels, not to scales and biases.
    pub decay: bool,
}

struct Block {
    first: Unit,
    second: Unit,
    downsample: Option<Unit>,
}

/// A ResNet of basic blocks.
pub struct Network {
    shape: Shape,
    stem: Unit,
    blocks: Vec<Block>,
    head: Var,
    bias: Var,
}

impl Network {
    /// A network with random kernels that depend on `seed` alone. The last scale of every block
    /// starts at zero, so that training starts from short paths (Goyal et al. 2017, section 5.1).
    pub fn new(shape: &Shape, seed: u64) -> Result<Self> {
        let mut init = Init(ChaCha8Rng::seed_from_u64(seed));
        let names = |conv: &str, norm: &str| [conv.to_owned(), norm.to_owned()];
        let first = shape.widths[0];
        let stem = init.unit(
            names("conv1", "bn1"),
            [shape.inputs, first, 7],
            2,
            true,
            1.0,
        )?;
        let mut blocks = Vec::new();
        let mut inputs = first;
        for (stage, (&width, &count)) in shape.widths.iter().zip(&shape.blocks).enumerate() {
            for index in 0..count {
                let at = format!("layer{}.{index}", stage + 1);
                let name = |conv: &str, norm: &str| {
                    names(&format!("{at}.{conv}"), &format!("{at}.{norm}"))
                };
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let downsample = (stride != 1 || inputs != width)
                    .then(|| {
                        init.unit(
                            name("downsample.0", "downsample.1"),
                            [inputs, width, 1],
                            stride,
                            false,
                            1.0,
                        )
                    })
                    .transpose()?;
                blocks.push(Block {
                    first: init.unit(
                        name("conv1", "bn1"),
                        [inputs, width, 3],
                        stride,
                        true,
                        1.0,
                    )?,
                    second: init.unit(name("conv2", "bn2"), [width, width, 3], 1, false, 0.0)?,
                    downsample,
                });
                inputs = width;
            }
        }
        let head = init.normal(shape.classes * inputs, 1.0 / (inputs as f64).sqrt());
        Ok(Self {
            shape: shape.clone(),
            stem,
            blocks,
            head: Var::from_vec(head, (shape.classes, inputs), &Device::Cpu)?,
            bias: Var::from_vec(vec![0.0_f32; shape.classes], shape.classes, &Device::Cpu)?,
        })
    }

    /// What fixes its shapes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    fn pool() -> MaxPool {
        MaxPool {
            kernel: 3,
            stride: 2,
            padding: 1,
        }
    }

    /// Logits `[n, classes]` of `x` `[n, inputs, h, w]` in training mode, with a graph for gradients.
    pub fn train(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.stem.train(x)?.apply_op1(Self::pool())?;
        for block in &self.blocks {
            let inner = block.second.train(&block.first.train(&x)?)?;
            let outer = match &block.downsample {
                Some(unit) => unit.train(&x)?,
                None => x,
            };
            x = inner.apply_op2(&outer, AddRelu)?;
        }
        let pooled = x.mean((2, 3))?;
        Ok(pooled.matmul(&self.head.t()?)?.broadcast_add(&self.bias)?)
    }

    /// Output of the last stage, `layer4`, `[n, channels, h / 32, w / 32]`, in inference mode.
    pub fn features(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.stem.infer(x)?.apply_op1_no_bwd(&Self::pool())?;
        for block in &self.blocks {
            let inner = block.second.infer(&block.first.infer(&x)?)?;
            let outer = match &block.downsample {
                Some(unit) => unit.infer(&x)?,
                None => x,
            };
            x = inner.apply_op2_no_bwd(&outer, &AddRelu)?;
        }
        Ok(x)
    }

    /// Logits `[n, classes]` of the last stage's output.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor> {
        let pooled = features.mean((2, 3))?;
        let head = self.head.as_detached_tensor().t()?;
        let bias = self.bias.as_detached_tensor();
        Ok(pooled.matmul(&head)?.broadcast_add(&bias)?)
    }

    /// Weights of the last linear layer for one class, one a channel of `layer4`.
    pub fn head_weights(&self, class: usize) -> Result<Vec<f32>> {
        Ok(self.head.as_detached_tensor().get(class)?.to_vec1()?)
    }

    fn units(&self) -> impl Iterator<Item = &Unit> {
        std::iter::once(&self.stem).chain(self.blocks.iter().flat_map(|block| {
            [&block.first, &block.second]
                .into_iter()
                .chain(&block.downsample)
        }))
    }

    /// Everything that is trained.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut all = Vec::new();
        let mut push = |name: String, var: &Var, decay: bool| {
            let var = var.clone();
            all.push(Parameter { name, var, decay });
        };
        for unit in self.units() {
            push(format!("{}.weight", unit.conv_name), &unit.weight, true);
            push(format!("{}.weight", unit.norm_name), &unit.gamma, false);
            push(format!("{}.bias", unit.norm_name), &unit.beta, false);
        }
        push("fc.weight".to_owned(), &self.head, true);
        push("fc.bias".to_owned(), &self.bias, false);
        all
    }

    /// Parameters and running statistics as they stand.
    pub fn state(&self) -> Result<State> {
        let mut state = State::new();
        for parameter in self.parameters() {
            let tensor = parameter.var.as_detached_tensor();
            let shape = tensor.dims().to_vec();
            let values = tensor.flatten_all()?.to_vec1()?;
            state.insert(parameter.name, Array { shape, values });
        }
        state.extend(self.units().flat_map(Unit::running));
        Ok(state)
    }

    /// Takes over values that [`Self::state`] gave.
    pub fn load(&self, state: &State) -> Result<()> {
        let find = |name: &str, shape: &[usize]| match state.get(name) {
            Some(array) if array.shape == shape => Ok(array),
            found => Err(fault::training_array(
                name,
                shape,
                found.map(|a| a.shape.as_slice()),
            )),
        };
        for parameter in self.parameters() {
            let array = find(&parameter.name, parameter.var.dims())?;
            let tensor = Tensor::from_slice(&array.values, parameter.var.dims(), &Device::Cpu)?;
            parameter.var.set(&tensor)?;
        }
        for unit in self.units() {
            let mut running = unit.running.lock().unwrap_or_else(PoisonError::into_inner);
            let shape = [running.mean.len()];
            let mean = find(&format!("{}.running_mean", unit.norm_name), &shape)?;
            let variance = find(&format!("{}.running_var", unit.norm_name), &shape)?;
            running.mean.clone_from(&mean.values);
            running.variance.clone_from(&variance.values);
        }
        Ok(())
    }
}

/// The shape of the network whose arrays these are, or an error that says what is missing.
pub fn shape_of(state: &State) -> Result<Shape> {
    let dims = |name: &str| {
        state
            .get(name)
            .map(|a| a.shape.clone())
            .ok_or_else(|| fault::training_array(name, &[], None))
    };
    let mut shape = Shape {
        widths: [0; 4],
        blocks: [0; 4],
        inputs: dims("conv1.weight")?.get(1).copied().unwrap_or_default(),
        classes: dims("fc.weight")?.first().copied().unwrap_or_default(),
    };
    for stage in 0..4 {
        let name = |block: usize| format!("layer{}.{block}.conv1.weight", stage + 1);
        shape.widths[stage] = dims(&name(0))?.first().copied().unwrap_or_default();
        shape.blocks[stage] = (0..).take_while(|&b| state.contains_key(&name(b))).count();
    }
    Ok(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::ops::test_support::noise_tensor;

    fn tiny() -> Shape {
        Shape {
            widths: [3, 4, 5, 6],
            blocks: [1, 2, 1, 1],
            inputs: 1,
            classes: 2,
        }
    }

    #[test]
    fn names_and_shapes_are_torchvisions() {
        let state = Network::new(&tiny(), 1).unwrap().state().unwrap();
        for (name, shape) in [
            ("conv1.weight", vec![3, 1, 7, 7]),
            ("bn1.running_var", vec![3]),
            ("layer2.0.downsample.0.weight", vec![4, 3, 1, 1]),
            ("layer2.0.downsample.1.running_mean", vec![4]),
            ("layer2.1.conv2.weight", vec![4, 4, 3, 3]),
            ("fc.bias", vec![2]),
        ] {
            assert_eq!(state[name].shape, shape, "{name}");
        }
        assert!(!state.contains_key("layer1.0.downsample.0.weight"));
        assert_eq!(shape_of(&state).unwrap(), tiny());
    }

    #[test]
    fn state_survives_the_way_to_another_network() {
        let a = Network::new(&tiny(), 1).unwrap();
        let b = Network::new(&tiny(), 2).unwrap();
        let x = noise_tensor(&[4, 1, 32, 32], 3);
        a.train(&x).unwrap();
        b.load(&a.state().unwrap()).unwrap();
        let logits = |n: &Network| -> Vec<f32> {
            let out = n.logits(&n.features(&x).unwrap()).unwrap();
            out.flatten_all().unwrap().to_vec1().unwrap()
        };
        assert_eq!(logits(&a), logits(&b));
    }

    #[test]
    fn missing_array_is_named() {
        let net = Network::new(&tiny(), 1).unwrap();
        let mut state = net.state().unwrap();
        state.remove("layer2.0.conv1.weight");
        let error = net.load(&state).unwrap_err();
        assert!(
            error.to_string().contains("layer2.0.conv1.weight"),
            "{error}"
        );
    }
}
