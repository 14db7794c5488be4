//! A layer with weights under its rule, with the weights that the rule needs made once.

use std::sync::OnceLock;

use candle_core::Tensor;

use super::elementwise::{constant, exact_quotient, product, quotient, stabilised, zip};
use super::rule::{Rule, STABILISER};
use crate::error::Result;
use crate::model::kernels::{Denominator, Kernels, Prepared, values};
use crate::model::op::{Conv2d, Op};
use crate::text::fault;

/// A convolution or linear layer in canonical form (BatchNorm folded in), its rule, and its modified weights.
pub(super) struct Layer {
    /// With all of its parameters.
    pub(super) whole: Op,
    pub(super) rule: Rule,
    /// Whether the input is known to be at least 0, so that its negative part need not be computed.
    pub(super) nonnegative: bool,
    /// What black and white become, per input channel, for the z-box rule.
    pub(super) range: Option<[Vec<f32>; 2]>,
    /// One modified layer for each [`Part`], made when first asked for.
    parts: [OnceLock<Op>; 10],
}

/// Modified weights and biases.
#[derive(Clone, Copy)]
enum Part {
    /// `W+`, `b+`.
    Positive,
    /// `W-`, `b-`.
    Negative,
    /// `W+` without bias.
    PositiveOnly,
    /// `W-` without bias.
    NegativeOnly,
    /// `W` without bias.
    Unbiased,
    /// 1 without bias.
    Ones,
    /// `W^2`, `b^2`.
    Square,
    /// [`POSITIVE`] side by side: reads both parts of the input as twice the channels.
    BothPositive,
    /// [`NEGATIVE`] side by side.
    BothNegative,
    /// [`POSITIVE_ONLY`] side by side.
    BothPositiveOnly,
}

/// Contributions of one sign: the parts that meet the positive and the negative part of an input, and both side by side.
struct Parts {
    plus: Part,
    minus: Part,
    both: Part,
}

/// Positive contributions; the positive part of the bias belongs to them.
const POSITIVE: Parts = Parts {
    plus: Part::Positive,
    minus: Part::NegativeOnly,
    both: Part::BothPositive,
};
/// Negative contributions, with the negative part of the bias.
const NEGATIVE: Parts = Parts {
    plus: Part::Negative,
    minus: Part::PositiveOnly,
    both: Part::BothNegative,
};
/// Positive contributions alone.
const POSITIVE_ONLY: Parts = Parts {
    plus: Part::PositiveOnly,
    minus: Part::NegativeOnly,
    both: Part::BothPositiveOnly,
};

/// Most input channels of a convolution that reads both parts of its input at once: twice as many still fit the vectors
/// that one part would leave half empty.
const NARROW: usize = 8;

/// An input, divided by sign where that matters.
enum Signs {
    /// There is no negative part.
    Positive(Tensor),
    /// Both parts.
    Apart(Tensor, Tensor),
    /// Both parts as twice the channels.
    Together(Tensor),
}

impl Layer {
    pub(super) fn new(whole: Op, rule: Rule, nonnegative: bool) -> Self {
        Self {
            whole,
            rule,
            nonnegative,
            range: None,
            parts: Default::default(),
        }
    }

    /// Divides relevance `r` at the output. `x` is the input; `z` gives the output with its bias, where a rule asks.
    pub(super) fn divide(
        &self,
        kernels: &dyn Kernels,
        x: &Tensor,
        z: impl FnOnce() -> Result<Tensor>,
        r: &Tensor,
    ) -> Result<Tensor> {
        match self.rule {
            Rule::Pass => {
                if x.dims() == r.dims() {
                    return Ok(r.clone());
                }
                let (found, expected) = (format!("{:?}", r.dims()), format!("{:?}", x.dims()));
                Err(fault::shape("relevance, rule pass", &found, &expected))
            }
            Rule::Epsilon(e) => {
                let s = quotient(r, &z()?, e)?;
                times(kernels, &self.whole, &s, x)
            }
            Rule::Norm => {
                let s = quotient(r, &z()?, STABILISER)?;
                times(kernels, &self.whole, &s, x)
            }
            Rule::ZPlus => {
                let over = Denominator::Stabilised(STABILISER);
                self.spread(kernels, &self.signs(x)?, &POSITIVE, r, over)
            }
            Rule::ZPlusExact => {
                let signs = self.signs(x)?;
                self.spread(kernels, &signs, &POSITIVE_ONLY, r, Denominator::Exact)
            }
            Rule::AlphaBeta { alpha, beta } => {
                let (signs, over) = (self.signs(x)?, Denominator::Stabilised(STABILISER));
                let up = self.spread(kernels, &signs, &POSITIVE, r, over)?;
                let down = self.spread(kernels, &signs, &NEGATIVE, r, over)?;
                zip([&up, &down], |[up, down]| alpha * up - beta * down)
            }
            Rule::Gamma(g) => self.gamma(kernels, x, &z()?, r, g),
            Rule::ZBox => {
                let Some(range) = &self.range else {
                    return Err(fault::relevance_box(self.whole.label()));
                };
                let range = [constant(x, &range[0])?, constant(x, &range[1])?];
                self.in_box(kernels, x, range, |z| quotient(r, z, STABILISER))
            }
            Rule::ImageBox => {
                let (low, high) = extremes(x)?;
                let range = [zip([x], |_| low)?, zip([x], |_| high)?];
                self.in_box(kernels, x, range, |z| exact_quotient(r, z))
            }
            Rule::Flat | Rule::WSquare => {
                let part = match self.rule {
                    Rule::Flat => Part::Ones,
                    _ => Part::Square,
                };
                let op = self.part(part)?;
                let ones = zip([x], |_| 1.0)?;
                let s = quotient(r, &kernels.apply(op, &[&ones])?, STABILISER)?;
                vjp(kernels, op, &s, x)
            }
        }
    }

    /// With p the positive and n the negative contributions, `z = p + n`: a positive output divides by `z + g p`, a
    /// negative one by `z + g n`. Since `n = z - p`, two convolutions and two gradients do for the five and four of the
    /// definition.
    fn gamma(
        &self,
        kernels: &dyn Kernels,
        x: &Tensor,
        z: &Tensor,
        r: &Tensor,
        g: f32,
    ) -> Result<Tensor> {
        let signs = self.signs(x)?;
        let p = self.forward(kernels, &signs, &POSITIVE)?;
        let up = move |[r, z, p]: [f32; 3]| {
            if z > 0.0 {
                r / stabilised(z + g * p, STABILISER)
            } else {
                0.0
            }
        };
        let down = move |[r, z, p]: [f32; 3]| {
            if z < 0.0 {
                r / stabilised(z + g * (z - p), STABILISER)
            } else {
                0.0
            }
        };
        let all = zip([r, z, &p], |v| up(v) + (1.0 + g) * down(v))?;
        let more = zip([r, z, &p], |v| up(v) - down(v))?;
        let common = vjp(kernels, &self.whole, &all, x)?;
        let positive = self.backward(kernels, &signs, &POSITIVE, &more)?;
        zip([x, &common, &positive], |[x, c, p]| x * c + g * p)
    }

    /// The part of an input between a lowest and a highest value. The biases of the three terms cancel and are left out.
    fn in_box(
        &self,
        kernels: &dyn Kernels,
        x: &Tensor,
        [low, high]: [Tensor; 2],
        over: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let whole = self.part(Part::Unbiased)?;
        let positive = self.part(Part::PositiveOnly)?;
        let negative = self.part(Part::NegativeOnly)?;
        let z = kernels.apply(whole, &[x])?;
        let zl = kernels.apply(positive, &[&low])?;
        let zh = kernels.apply(negative, &[&high])?;
        let s = over(&zip([&z, &zl, &zh], |[z, l, h]| z - l - h)?)?;
        let from_x = times(kernels, whole, &s, x)?;
        let from_low = times(kernels, positive, &s, &low)?;
        let from_high = times(kernels, negative, &s, &high)?;
        zip([&from_x, &from_low, &from_high], |[x, l, h]| x - l - h)
    }

    /// The positive and, where there is one, the negative part of an input.
    fn signs(&self, x: &Tensor) -> Result<Signs> {
        if self.nonnegative {
            return Ok(Signs::Positive(x.clone()));
        }
        let plus = zip([x], |[x]| x.max(0.0))?;
        let minus = zip([x], |[x]| x.min(0.0))?;
        let is_narrow = match &self.whole {
            Op::Conv2d(conv) => conv.groups == 1 && x.dim(1)? <= NARROW,
            _ => false,
        };
        Ok(match is_narrow {
            true => Signs::Together(side_by_side(&plus, &minus)?),
            false => Signs::Apart(plus, minus),
        })
    }

    /// Divides r in proportion to some contributions.
    fn spread(
        &self,
        kernels: &dyn Kernels,
        signs: &Signs,
        parts: &Parts,
        r: &Tensor,
        over: Denominator,
    ) -> Result<Tensor> {
        let at_once = match signs {
            Signs::Positive(x) => Some((parts.plus, x)),
            Signs::Together(x) => Some((parts.both, x)),
            Signs::Apart(..) => None,
        };
        let mut s = None;
        if let Some((part, x)) = at_once
            && let Op::Conv2d(conv) = self.part(part)?
        {
            s = kernels.conv2d_quotient(x, conv, r, over)?;
        }
        let s = match s {
            Some(s) => s,
            None => {
                let z = self.forward(kernels, signs, parts)?;
                match over {
                    Denominator::Stabilised(e) => quotient(r, &z, e)?,
                    Denominator::Exact => exact_quotient(r, &z)?,
                }
            }
        };
        self.backward(kernels, signs, parts, &s)
    }

    /// The sum of some contributions.
    fn forward(&self, kernels: &dyn Kernels, signs: &Signs, parts: &Parts) -> Result<Tensor> {
        match signs {
            Signs::Positive(x) => kernels.apply(self.part(parts.plus)?, &[x]),
            Signs::Together(x) => kernels.apply(self.part(parts.both)?, &[x]),
            Signs::Apart(plus, minus) => {
                let z = kernels.apply(self.part(parts.plus)?, &[plus])?;
                let rest = kernels.apply(self.part(parts.minus)?, &[minus])?;
                zip([&z, &rest], |[a, b]| a + b)
            }
        }
    }

    /// What these contributions hand back for `s` at the output.
    fn backward(
        &self,
        kernels: &dyn Kernels,
        signs: &Signs,
        parts: &Parts,
        s: &Tensor,
    ) -> Result<Tensor> {
        match signs {
            Signs::Positive(x) => times(kernels, self.part(parts.plus)?, s, x),
            Signs::Together(x) => {
                let both = times(kernels, self.part(parts.both)?, s, x)?;
                let channels = both.dim(1)? / 2;
                let [plus, minus] = [0, channels].map(|from| both.narrow(1, from, channels));
                zip([&plus?, &minus?], |[p, m]| p + m)
            }
            Signs::Apart(plus, minus) => {
                let g = vjp(kernels, self.part(parts.plus)?, s, plus)?;
                let h = vjp(kernels, self.part(parts.minus)?, s, minus)?;
                zip([plus, &g, minus, &h], |[p, g, m, h]| p * g + m * h)
            }
        }
    }

    fn part(&self, part: Part) -> Result<&Op> {
        let Some(cell) = self.parts.get(part as usize) else {
            return Err(fault::shape("relevance", "no such part", "a part"));
        };
        if let Some(op) = cell.get() {
            return Ok(op);
        }
        let op = modified(&self.whole, part)?;
        Ok(cell.get_or_init(|| op))
    }
}

/// A layer with other weights and biases.
fn modified(op: &Op, part: Part) -> Result<Op> {
    let both = match part {
        Part::BothPositive => Some([Part::Positive, Part::NegativeOnly]),
        Part::BothNegative => Some([Part::Negative, Part::PositiveOnly]),
        Part::BothPositiveOnly => Some([Part::PositiveOnly, Part::NegativeOnly]),
        _ => None,
    };
    if let Some([plus, minus]) = both {
        let (Op::Conv2d(plus), Op::Conv2d(minus)) = (modified(op, plus)?, modified(op, minus)?)
        else {
            return Err(fault::shape("relevance", op.label(), "a convolution"));
        };
        let weight = Tensor::cat(&[&plus.weight, &minus.weight], 1)?;
        let prepared = Prepared::default();
        return Ok(Op::Conv2d(Conv2d {
            weight,
            prepared,
            ..plus
        }));
    }
    let change = |t: &Tensor| -> Result<Tensor> {
        Ok(match part {
            Part::Positive | Part::PositiveOnly => t.relu()?,
            Part::Negative | Part::NegativeOnly => t.minimum(&t.zeros_like()?)?,
            Part::Unbiased => t.clone(),
            Part::Ones => t.ones_like()?,
            Part::Square => t.sqr()?,
            // Made of others, above.
            Part::BothPositive | Part::BothNegative | Part::BothPositiveOnly => t.clone(),
        })
    };
    let has_bias = matches!(part, Part::Positive | Part::Negative | Part::Square);
    let bias_of =
        |bias: &Option<Tensor>| bias.as_ref().filter(|_| has_bias).map(change).transpose();
    match op {
        Op::Conv2d(conv) => {
            let mut conv = conv.clone();
            conv.weight = change(&conv.weight)?;
            conv.bias = bias_of(&conv.bias)?;
            conv.prepared = Prepared::default();
            Ok(Op::Conv2d(conv))
        }
        Op::Linear { weight, bias, .. } => Ok(Op::linear(change(weight)?, bias_of(bias)?)),
        op => Err(fault::shape(
            "relevance",
            op.label(),
            "a layer with weights",
        )),
    }
}

/// The smallest and the largest number.
fn extremes(x: &Tensor) -> Result<(f32, f32)> {
    let values = values(x)?;
    let ends = |(low, high): (f32, f32), v: &f32| (low.min(*v), high.max(*v));
    Ok(values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), ends))
}

/// Two maps as one with twice the channels.
fn side_by_side(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let pixels = |x: &Tensor| -> Result<Tensor> { Ok(x.permute((0, 2, 3, 1))?.contiguous()?) };
    Ok(Tensor::cat(&[pixels(a)?, pixels(b)?], 3)?.permute((0, 3, 1, 2))?)
}

/// What an operation hands back to its input, times the input.
pub(super) fn times(kernels: &dyn Kernels, op: &Op, s: &Tensor, x: &Tensor) -> Result<Tensor> {
    if let Op::Conv2d(conv) = op
        && let Some(r) = kernels.conv2d_input_grad_product(s, conv, x)?
    {
        return Ok(r);
    }
    product(x, &vjp(kernels, op, s, x)?)
}

/// The gradient at an operation's one input.
pub(super) fn vjp(kernels: &dyn Kernels, op: &Op, s: &Tensor, x: &Tensor) -> Result<Tensor> {
    let shares = kernels.grad(op, &[x], s, s)?;
    shares
        .into_iter()
        .next()
        .ok_or_else(|| fault::shape(op.label(), "no gradient", "one"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kernels::cpu::Cpu;
    use candle_core::Device;

    const X: [f64; 3] = [1.5, -0.5, 2.0];
    /// Output by input.
    const W: [[f64; 3]; 3] = [[1.0, -2.0, -0.1], [-1.0, -0.5, -0.75], [0.5, 1.0, -0.125]];
    const B: [f64; 3] = [0.3, -0.2, 0.1];
    const R: [f64; 3] = [2.0, -1.0, 0.5];
    const LOW: [f64; 3] = [-1.0, -2.0, -1.5];
    const HIGH: [f64; 3] = [2.0, 1.0, 2.5];

    fn found(rule: Rule) -> Vec<f32> {
        let flat: Vec<f32> = W.iter().flatten().map(|w| *w as f32).collect();
        let single = |v: [f64; 3]| v.map(|v| v as f32).to_vec();
        let tensor = |v: [f64; 3]| Tensor::from_vec(single(v), (1, 3, 1, 1), &Device::Cpu).unwrap();
        let weight = Tensor::from_vec(flat, (3, 3), &Device::Cpu).unwrap();
        let bias = Tensor::from_vec(single(B), 3, &Device::Cpu).unwrap();
        let mut layer = Layer::new(Op::linear(weight, Some(bias)), rule, false);
        layer.range = Some([single(LOW), single(HIGH)]);
        let (kernels, x) = (Cpu::new(), tensor(X));
        let z = || kernels.apply(&layer.whole, &[&x]);
        let r = layer.divide(&kernels, &x, z, &tensor(R)).unwrap();
        r.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// What each input gets when output j hands `part(j, i)` of every unit to input i.
    fn by_hand(part: impl Fn(usize, usize) -> f64) -> [f64; 3] {
        [0, 1, 2].map(|i| (0..3).map(|j| R[j] * part(j, i)).sum())
    }

    fn sum(f: impl Fn(usize) -> f64) -> f64 {
        (0..3).map(f).sum()
    }

    fn check(rule: Rule, expected: [f64; 3]) {
        let found = found(rule);
        for (f, e) in found.iter().zip(expected) {
            let close = (f64::from(*f) - e).abs() < 1e-4 * (1.0 + e.abs());
            assert!(close, "{rule}: {found:?}, by hand {expected:?}");
        }
    }

    /// Every rule on three inputs and three outputs of both signs, from its definition product by product.
    #[test]
    fn rules_are_their_definitions() {
        let c = |j: usize, i: usize| X[i] * W[j][i];
        let (up, down) = (|j, i| c(j, i).max(0.0), |j, i| c(j, i).min(0.0));
        let z = |j: usize| sum(|i| c(j, i)) + B[j];
        let p = |j: usize| sum(|i| up(j, i)) + B[j].max(0.0);
        let n = |j: usize| sum(|i| down(j, i)) + B[j].min(0.0);
        assert!((0..3).any(|j| z(j) < 0.0) && (0..3).any(|j| z(j) > 0.0));
        check(
            Rule::Epsilon(0.25),
            by_hand(|j, i| c(j, i) / (z(j) + 0.25 * z(j).signum())),
        );
        check(Rule::Norm, by_hand(|j, i| c(j, i) / z(j)));
        check(Rule::ZPlus, by_hand(|j, i| up(j, i) / p(j)));
        check(
            Rule::ZPlusExact,
            by_hand(|j, i| up(j, i) / sum(|i| up(j, i))),
        );
        let (alpha, beta) = (2.0, 1.0);
        check(
            Rule::AlphaBeta { alpha, beta },
            by_hand(|j, i| 2.0 * up(j, i) / p(j) - down(j, i) / n(j)),
        );
        check(
            Rule::Gamma(0.5),
            by_hand(|j, i| match z(j) > 0.0 {
                true => (c(j, i) + 0.5 * up(j, i)) / (z(j) + 0.5 * p(j)),
                false => (c(j, i) + 0.5 * down(j, i)) / (z(j) + 0.5 * n(j)),
            }),
        );
        check(Rule::Flat, by_hand(|_, _| 1.0 / 3.0));
        check(
            Rule::WSquare,
            by_hand(|j, i| W[j][i].powi(2) / (sum(|i| W[j][i].powi(2)) + B[j].powi(2))),
        );
        let boxed = |low: [f64; 3], high: [f64; 3]| {
            let part = move |j: usize, i: usize| {
                c(j, i) - low[i] * W[j][i].max(0.0) - high[i] * W[j][i].min(0.0)
            };
            by_hand(move |j, i| part(j, i) / sum(|i| part(j, i)))
        };
        check(Rule::ZBox, boxed(LOW, HIGH));
        check(Rule::ImageBox, boxed([-0.5; 3], [2.0; 3]));
        check(Rule::Pass, R);
    }
}
