//! The definition in plain loops and double precision, written from the authors' code and independent of the graph.

use camlens::preprocess::ModelInput;

use super::network::{Layout, Tensors, flat};

/// A plane stack `[c, h, w]` in double precision.
#[derive(Clone)]
struct Planes {
    c: usize,
    h: usize,
    w: usize,
    v: Vec<f64>,
}

impl Planes {
    fn at(&self, c: usize, y: isize, x: isize) -> Option<f64> {
        let inside = (0..self.h as isize).contains(&y) && (0..self.w as isize).contains(&x);
        inside.then(|| self.v[(c * self.h + y as usize) * self.w + x as usize])
    }

    fn zip(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let plane = other.h * other.w;
        // A single plane is repeated for every channel.
        let value = |i: usize| other.v[if other.c == 1 { i % plane } else { i }];
        let v = self.v.iter().enumerate().map(|(i, a)| f(*a, value(i)));
        Self {
            v: v.collect(),
            ..*self
        }
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            v: self.v.iter().map(|v| f(*v)).collect(),
            ..*self
        }
    }

    fn relu(&self) -> Self {
        self.map(|v| v.max(0.0))
    }

    fn means(&self) -> Vec<f64> {
        let plane = self.h * self.w;
        let sums = self.v.chunks(plane).map(|c| c.iter().sum::<f64>());
        sums.map(|sum| sum / plane as f64).collect()
    }

    fn max_pool(&self) -> Self {
        let (h, w) = (self.h.div_ceil(2), self.w.div_ceil(2));
        let mut v = Vec::new();
        for c in 0..self.c {
            for y in 0..h as isize {
                for x in 0..w as isize {
                    let window = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx)));
                    let seen = window.filter_map(|(dy, dx)| self.at(c, 2 * y + dy, 2 * x + dx));
                    v.push(seen.fold(f64::MIN, f64::max));
                }
            }
        }
        Self { h, w, v, ..*self }
    }
}

/// The network of some tensors.
pub(super) struct Reference<'a>(pub(super) &'a Tensors);

impl Reference<'_> {
    fn vector(&self, key: &str) -> Vec<f64> {
        flat(&self.0[key]).into_iter().map(f64::from).collect()
    }

    fn conv(&self, path: &str, x: &Planes, stride: usize) -> Planes {
        let key = format!("{path}.weight");
        let weight = self.vector(&key);
        let (o, i, k, _) = self.0[&key].dims4().unwrap();
        assert_eq!(i, x.c, "{path}");
        let pad = (k / 2) as isize;
        let (h, w) = (x.h.div_ceil(stride), x.w.div_ceil(stride));
        let mut v = Vec::new();
        for oc in 0..o {
            for y in 0..h {
                for column in 0..w {
                    let mut sum = 0.0;
                    for ic in 0..i {
                        for ky in 0..k {
                            for kx in 0..k {
                                let iy = (y * stride + ky) as isize - pad;
                                let ix = (column * stride + kx) as isize - pad;
                                if let Some(value) = x.at(ic, iy, ix) {
                                    sum += value * weight[((oc * i + ic) * k + ky) * k + kx];
                                }
                            }
                        }
                    }
                    v.push(sum);
                }
            }
        }
        Planes { c: o, h, w, v }
    }

    fn norm(&self, path: &str, x: &Planes) -> Planes {
        let leaf = |leaf: &str| self.vector(&format!("{path}.{leaf}"));
        let (gamma, beta, mean, var) = (
            leaf("weight"),
            leaf("bias"),
            leaf("running_mean"),
            leaf("running_var"),
        );
        let plane = x.h * x.w;
        let mut x = x.clone();
        for (i, v) in x.v.iter_mut().enumerate() {
            let c = i / plane;
            *v = (*v - mean[c]) / (var[c] + 1e-5).sqrt() * gamma[c] + beta[c];
        }
        x
    }

    fn stage(&self, path: &str, x: &Planes, stride: usize) -> Planes {
        let mut x = x.clone();
        for block in 0.. {
            let at = |leaf: &str| format!("{path}.{block}.{leaf}");
            if !self.0.contains_key(&at("conv1.weight")) {
                break;
            }
            let stride = if block == 0 { stride } else { 1 };
            let bottleneck = self.0.contains_key(&at("conv3.weight"));
            let strides = if bottleneck {
                [1, stride, 1]
            } else {
                [stride, 1, 0]
            };
            let mut y = x.clone();
            let count = if bottleneck { 3 } else { 2 };
            for (i, stride) in strides.into_iter().take(count).enumerate() {
                if i > 0 {
                    y = y.relu();
                }
                y = self.conv(&at(&format!("conv{}", i + 1)), &y, stride);
                y = self.norm(&at(&format!("bn{}", i + 1)), &y);
            }
            let shortcut = if self.0.contains_key(&at("downsample.0.weight")) {
                self.norm(
                    &at("downsample.1"),
                    &self.conv(&at("downsample.0"), &x, stride),
                )
            } else {
                x
            };
            x = y.zip(&shortcut, |a, b| a + b).relu();
        }
        x
    }

    /// Perception logits, attention logits and the map.
    pub(super) fn run(&self, layout: &Layout, input: &ModelInput) -> [Vec<f32>; 3] {
        let mut x = Planes {
            c: input.channels,
            h: input.height,
            w: input.width,
            v: input.values.iter().map(|v| f64::from(*v)).collect(),
        };
        let imagenet = layout.kernel == 7;
        x = self.conv("conv1", &x, if imagenet { 2 } else { 1 });
        x = self.norm("bn1", &x).relu();
        if imagenet {
            x = x.max_pool();
        }
        for stage in 1..layout.last() {
            x = self.stage(&format!("layer{stage}"), &x, stage.min(2));
        }
        let mut t = self.stage(&format!("att_layer{}", layout.last()), &x, 1);
        t = self.norm("bn_att", &t);
        t = self.norm("bn_att2", &self.conv("att_conv", &t, 1)).relu();
        let own = self.conv("att_conv2", &t, 1).means();
        let map = self.norm("bn_att3", &self.conv("att_conv3", &t, 1));
        let map = map.map(|v| 1.0 / (1.0 + (-v).exp()));
        let fed = x.zip(&map, |f, m| f * m).zip(&x, |a, b| a + b);
        let features = self.stage(&format!("layer{}", layout.last()), &fed, 2);
        let (weight, bias, means) = (
            self.vector("fc.weight"),
            self.vector("fc.bias"),
            features.means(),
        );
        let rows = weight.chunks(means.len()).zip(bias);
        let logits =
            rows.map(|(row, b)| row.iter().zip(&means).map(|(w, m)| w * m).sum::<f64>() + b);
        let narrow = |v: Vec<f64>| v.into_iter().map(|v| v as f32).collect();
        [narrow(logits.collect()), narrow(own), narrow(map.v)]
    }
}
