//! From logits to honest probabilities, and to a yes or no.

/// Cases of one data set: the logit of pneumonia less that of normal, and the label.
pub(crate) type Scored<'a> = (&'a [f64], &'a [bool]);

/// Probability of pneumonia: the softmax of two logits depends on their difference alone.
pub fn probability(difference: f64, temperature: f64) -> f64 {
    1.0 / (1.0 + (-difference / temperature).exp())
}

/// Mean negative log-likelihood, each data set weighing the same.
fn loss(sets: &[Scored<'_>], temperature: f64) -> f64 {
    let means = sets.iter().map(|(differences, labels)| {
        let sum: f64 = differences
            .iter()
            .zip(*labels)
            .map(|(&z, &l)| {
                let towards = if l { z } else { -z } / temperature;
                // ln(1 + exp(-t)) without overflow.
                (-towards).max(0.0) + (-towards.abs()).exp().ln_1p()
            })
            .sum();
        sum / differences.len().max(1) as f64
    });
    means.sum()
}

/// The temperature that logits are divided by (Guo et al. 2017, "On Calibration of Modern Neural
/// Networks"): the least negative log-likelihood, by golden section on its logarithm.
pub fn temperature(sets: &[Scored<'_>]) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.05_f64.ln(), 20.0_f64.ln());
    let at = |t: f64| loss(sets, t.exp());
    for _ in 0..60 {
        let (a, b) = (high - ratio * (high - low), low + ratio * (high - low));
        if at(a) < at(b) {
            high = b;
        } else {
            low = a;
        }
    }
    // Four digits are more than the data hold, and what is written is what is used.
    (((low + high) / 2.0).exp() * 1e4).round() / 1e4
}

/// The threshold with the largest Youden index (sensitivity + specificity - 1), averaged over data
/// sets so that neither the larger one nor the commoner class decides.
pub fn operating_point(sets: &[Scored<'_>], temperature: f64) -> f64 {
    let probabilities: Vec<Vec<f64>> = sets
        .iter()
        .map(|(z, _)| z.iter().map(|&z| probability(z, temperature)).collect())
        .collect();
    let mut candidates: Vec<f64> = probabilities.concat();
    candidates.sort_by(f64::total_cmp);
    candidates.dedup();
    let youden = |threshold: f64| -> f64 {
        let each = probabilities
            .iter()
            .zip(sets)
            .filter_map(|(p, (_, l))| crate::evaluate::classification::sens_spec(p, l, threshold));
        each.map(|(sensitivity, specificity)| sensitivity + specificity)
            .sum()
    };
    let mut best = (f64::NEG_INFINITY, 0.5);
    for pair in candidates.windows(2) {
        let threshold = ((pair[0] + pair[1]) / 2.0 * 1e4).round() / 1e4;
        let value = youden(threshold);
        if value > best.0 {
            best = (value, threshold);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits drawn so that dividing them by 2 makes them honest.
    #[test]
    fn temperature_of_overconfident_logits_is_found() {
        let (mut z, mut labels) = (Vec::new(), Vec::new());
        for step in -20..=20 {
            let honest = f64::from(step) / 5.0;
            for i in 0..200 {
                z.push(2.0 * honest);
                labels.push((f64::from(i) + 0.5) / 200.0 < probability(honest, 1.0));
            }
        }
        let t = temperature(&[(&z, &labels)]);
        assert!((t - 2.0).abs() < 0.05, "{t}");
    }

    #[test]
    fn threshold_separates_what_can_be_separated() {
        let z = [-3.0, -2.0, 1.0, 2.0];
        let labels = [false, false, true, true];
        let threshold = operating_point(&[(&z, &labels)], 1.0);
        assert!(threshold > probability(-2.0, 1.0) && threshold < probability(1.0, 1.0));
    }
}
