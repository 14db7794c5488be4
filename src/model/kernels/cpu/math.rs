//! Exponential and error function in straight lines, so that the compiler makes vectors of them.

/// `e^x` to about two units in the last place (Cephes' `expf`): `2^n e^r` with `|r| <= ln 2 / 2`.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// Adding this leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HI: f32 = 0.693_359_4;
    const LN2_LO: f32 = -2.121_944_4e-4;
    // Written so that NaN stays NaN.
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HI) - n * LN2_LO;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 0.166_666_65;
    p = p * r + 0.5;
    let e = p * r * r + r + 1.0;
    let power = (shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127))
        << 23;
    e * f32::from_bits(power)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The error function as a rational one, to a few units in the last place (the coefficients of Eigen's `erf`).
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    const LIMIT: f32 = 3.832_507;
    let x = if x > LIMIT { LIMIT } else { x };
    let x = if x < -LIMIT { -LIMIT } else { x };
    let x2 = x * x;
    let mut a = -2.726_142_3e-10;
    a = a * x2 + 2.770_681_4e-8;
    a = a * x2 + -2.101_024e-6;
    a = a * x2 + -5.692_506_6e-5;
    a = a * x2 + -7.349_906_3e-4;
    a = a * x2 + -2.954_6e-3;
    a = a * x2 + -1.609_603_4e-2;
    let mut b = -1.456_607_2e-5;
    b = b * x2 + -2.133_740_6e-4;
    b = b * x2 + -1.682_827e-3;
    b = b * x2 + -7.373_329_3e-3;
    b = b * x2 + -1.426_474e-2;
    x * a / b
}

#[cfg(test)]
mod tests {
    use super::{erf, exp, sigmoid};

    #[test]
    fn agree_with_double_precision() {
        for i in -8000..=8000 {
            let x = i as f32 * 0.01;
            let wanted = f64::from(x).exp();
            let error = (f64::from(exp(x)) - wanted).abs() / wanted;
            assert!(error < 4e-7, "exp({x}) is off by {error:e}");
            let wanted = 1.0 / (1.0 + (-f64::from(x)).exp());
            assert!((f64::from(sigmoid(x)) - wanted).abs() < 2e-7);
            assert!(
                (f64::from(erf(x)) - series(f64::from(x))).abs() < 4e-7,
                "erf({x})"
            );
        }
        assert!(exp(f32::NAN).is_nan() && erf(f32::NAN).is_nan());
    }

    /// `erf` by its Taylor series, or its limit.
    fn series(x: f64) -> f64 {
        if x.abs() > 5.0 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }
}
