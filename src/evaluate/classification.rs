//! How well scores separate two classes and how honest probabilities are, with intervals.
//!
//! Labels are `true` for the finding. Functions return `None` where the number is not defined, for
//! instance an AUC of one class alone.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Area under the receiver operating characteristic: the probability that a positive scores above a
/// negative, ties counting one half (Hanley and McNeil 1982), by midranks.
pub fn auc(scores: &[f64], labels: &[bool]) -> Option<f64> {
    let n = scores.len().min(labels.len());
    if scores[..n].iter().any(|s| s.is_nan()) {
        return None;
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut rank_sum, mut positives) = (0.0, 0.0);
    let mut start = 0;
    while start < n {
        let mut end = start + 1;
        while end < n && scores[order[end]] == scores[order[start]] {
            end += 1;
        }
        let midrank = (start + 1 + end) as f64 / 2.0;
        let among = order[start..end].iter().filter(|&&i| labels[i]).count() as f64;
        rank_sum += midrank * among;
        positives += among;
        start = end;
    }
    let negatives = n as f64 - positives;
    (positives > 0.0 && negatives > 0.0)
        .then(|| (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// A number with a confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// The number itself, from all cases.
    pub value: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Percentile interval at 95 % of any statistic by resampling whole groups (patients) with
/// replacement (Efron and Tibshirani 1993): images of one patient are not independent. `statistic`
/// is handed indices of cases; resamples for which it is undefined are left out.
pub fn bootstrap_ci<G: Ord + Clone>(
    groups: &[G],
    resamples: usize,
    seed: u64,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> Option<Interval> {
    let mut members = std::collections::BTreeMap::<G, Vec<usize>>::new();
    for (i, group) in groups.iter().enumerate() {
        members.entry(group.clone()).or_default().push(i);
    }
    let members: Vec<Vec<usize>> = members.into_values().collect();
    let all: Vec<usize> = (0..groups.len()).collect();
    let value = statistic(&all)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut values: Vec<f64> = (0..resamples)
        .filter_map(|_| {
            let drawn: Vec<usize> = (0..members.len())
                .flat_map(|_| members[rng.random_range(0..members.len())].iter().copied())
                .collect();
            statistic(&drawn)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    Some(Interval {
        value,
        low: quantile(&values, 0.025)?,
        high: quantile(&values, 0.975)?,
    })
}

/// Quantile of ascending values, linear between neighbours.
pub fn quantile(ascending: &[f64], q: f64) -> Option<f64> {
    let at = q.clamp(0.0, 1.0) * ascending.len().checked_sub(1)? as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(ascending.len() - 1);
    Some(ascending[low] + (at - low as f64) * (ascending[high] - ascending[low]))
}

/// [`auc`] with a 95 % interval from resampled patients.
pub fn auc_ci<G: Ord + Clone>(
    scores: &[f64],
    labels: &[bool],
    patients: &[G],
    resamples: usize,
    seed: u64,
) -> Option<Interval> {
    if scores.len() != labels.len() || scores.len() != patients.len() {
        return None;
    }
    bootstrap_ci(patients, resamples, seed, |drawn| {
        let (s, l): (Vec<f64>, Vec<bool>) = drawn.iter().map(|&i| (scores[i], labels[i])).unzip();
        auc(&s, &l)
    })
}

/// Mean squared distance of probabilities from what was true (Brier 1950); 0 is best.
pub fn brier(probabilities: &[f64], labels: &[bool]) -> Option<f64> {
    let n = probabilities.len().min(labels.len());
    let sum: f64 = probabilities
        .iter()
        .zip(labels)
        .map(|(p, &l)| (p - f64::from(u8::from(l))).powi(2))
        .sum();
    (n > 0).then(|| sum / n as f64)
}

/// Expected calibration error of the finding's probability over `bins` bins of equal width: the
/// mean distance between mean probability and frequency, weighted by the cases in a bin (Naeini et al.
/// 2015; here for the finding's probability, not for the winning class).
pub fn ece(probabilities: &[f64], labels: &[bool], bins: usize) -> Option<f64> {
    let n = probabilities.len().min(labels.len());
    if n == 0 || bins == 0 {
        return None;
    }
    let mut sums = vec![(0.0, 0.0); bins];
    for (&p, &l) in probabilities.iter().zip(labels) {
        let bin = ((p * bins as f64) as usize).min(bins - 1);
        sums[bin].0 += p;
        sums[bin].1 += f64::from(u8::from(l));
    }
    // A bin with k cases weighs k/n and is |sum p - sum l| / k off: k cancels.
    Some(sums.iter().map(|(p, l)| (p - l).abs()).sum::<f64>() / n as f64)
}

/// Sensitivity and specificity when a probability of at least `threshold` counts as the finding.
pub fn sens_spec(probabilities: &[f64], labels: &[bool], threshold: f64) -> Option<(f64, f64)> {
    let mut hits = [[0.0_f64; 2]; 2];
    for (&p, &l) in probabilities.iter().zip(labels) {
        hits[usize::from(l)][usize::from(p >= threshold)] += 1.0;
    }
    let [
        [true_negative, false_positive],
        [false_negative, true_positive],
    ] = hits;
    let positives = true_positive + false_negative;
    let negatives = true_negative + false_positive;
    (positives > 0.0 && negatives > 0.0)
        .then(|| (true_positive / positives, true_negative / negatives))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_of_known_cases() {
        // scikit-learn's own example: 0.75.
        let labels = [false, false, true, true];
        assert_eq!(auc(&[0.1, 0.4, 0.35, 0.8], &labels), Some(0.75));
        assert_eq!(auc(&[0.5; 4], &labels), Some(0.5));
        // One tie between the classes: (1 + 1 + 0.5 + 1) / 4.
        assert_eq!(auc(&[0.1, 0.4, 0.4, 0.8], &labels), Some(0.875));
        assert_eq!(auc(&[0.1, 0.2], &[true, true]), None);
        assert_eq!(auc(&[f64::NAN, 0.2], &[true, false]), None);
    }

    #[test]
    fn interval_holds_the_value_and_repeats() {
        let scores: Vec<f64> = (0..60).map(|i| f64::from((i * 37) % 61)).collect();
        let labels: Vec<bool> = scores
            .iter()
            .enumerate()
            .map(|(i, s)| s + f64::from(i as u32 % 17) > 38.0)
            .collect();
        let patients: Vec<usize> = (0..60).map(|i| i / 2).collect();
        let a = auc_ci(&scores, &labels, &patients, 500, 7).unwrap();
        assert!(
            a.low < a.value && a.value < a.high && a.high <= 1.0,
            "{a:?}"
        );
        assert_eq!(Some(a), auc_ci(&scores, &labels, &patients, 500, 7));
        assert_ne!(Some(a), auc_ci(&scores, &labels, &patients, 500, 8));
    }

    #[test]
    fn calibration_of_known_cases() {
        let labels = [true, false, true, false];
        assert_eq!(brier(&[1.0, 0.0, 1.0, 0.0], &labels), Some(0.0));
        assert_eq!(brier(&[0.5; 4], &labels), Some(0.25));
        assert_eq!(ece(&[0.5; 4], &labels, 10), Some(0.0));
        // One bin with mean 0.9 and frequency 0.5.
        assert!((ece(&[0.9; 4], &labels, 10).unwrap() - 0.4).abs() < 1e-12);
        assert_eq!(ece(&[], &[], 10), None);
    }

    #[test]
    fn operating_point_of_known_cases() {
        let labels = [true, true, false, false, false];
        let p = [0.9, 0.4, 0.5, 0.3, 0.1];
        assert_eq!(sens_spec(&p, &labels, 0.5), Some((0.5, 2.0 / 3.0)));
        assert_eq!(sens_spec(&p, &labels, 0.0), Some((1.0, 0.0)));
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), Some(3.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
