//! Which image is seen when.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::augment::generator;
use super::data::{Dataset, Split};

/// Images of one data set and one class.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stratum {
    /// Data set.
    pub source: String,
    /// Whether labelled pneumonia.
    pub positive: bool,
    /// Images an epoch takes from it.
    pub drawn: usize,
    /// Its images.
    #[serde(skip)]
    pub cases: Vec<usize>,
}

/// Strata with the number of images each epoch takes. Within a data set classes weigh the same when half of
/// the normals that are turned by an opacity (a share of `opacities`) are made up for; data sets weigh by the fourth root of their size, so that a small one is seen often enough
/// without being learned by heart.
pub fn strata(data: &Dataset, opacities: f64) -> Vec<Stratum> {
    let training = data.indices(Split::Train, None);
    let per_source: Vec<Vec<usize>> = (0..data.sources.len())
        .map(|s| data.indices(Split::Train, Some(s)))
        .collect();
    let weight = |cases: &[usize]| (cases.len() as f64).powf(0.25);
    let total: f64 = per_source.iter().map(|cases| weight(cases)).sum();
    let mut all = Vec::new();
    for (source, cases) in per_source.iter().enumerate() {
        let share = training.len() as f64 * weight(cases) / total;
        let [negatives, positives] = [false, true].map(|positive| {
            let of_class = |&&i: &&usize| data.cases[i].positive == positive;
            cases.iter().filter(of_class).copied().collect::<Vec<_>>()
        });
        let normal_share = match (negatives.is_empty(), positives.is_empty()) {
            (true, _) => 0.0,
            (_, true) => 1.0,
            _ => 0.5 / (1.0 - opacities / 2.0),
        };
        let both = [
            (false, negatives, normal_share),
            (true, positives, 1.0 - normal_share),
        ];
        for (positive, cases, class_share) in both {
            if !cases.is_empty() {
                all.push(Stratum {
                    source: data.sources[source].clone(),
                    positive,
                    drawn: (share * class_share).round() as usize,
                    cases,
                });
            }
        }
    }
    all
}

fn shuffle(values: &mut [usize], rng: &mut ChaCha8Rng) {
    for i in (1..values.len()).rev() {
        values.swap(i, rng.random_range(0..=i));
    }
}

/// The images of one epoch in order. Each stratum is gone through without repetition before an image
/// comes a second time.
pub fn epoch(strata: &[Stratum], seed: u64, epoch: usize) -> Vec<usize> {
    let mut rng = generator(seed, epoch, u32::MAX as usize);
    let mut order = Vec::new();
    for stratum in strata {
        let mut left = stratum.drawn;
        while left > 0 {
            let mut cases = stratum.cases.clone();
            shuffle(&mut cases, &mut rng);
            cases.truncate(left);
            left -= cases.len();
            order.extend(cases);
        }
    }
    shuffle(&mut order, &mut rng);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_keep_the_quota_and_differ() {
        let stratum = |from: usize, n: usize, drawn| Stratum {
            source: "a".to_owned(),
            positive: from > 0,
            drawn,
            cases: (from..from + n).collect(),
        };
        let strata = [stratum(0, 10, 4), stratum(10, 3, 7)];
        let a = epoch(&strata, 1, 0);
        assert_eq!(a.len(), 11);
        assert_eq!(a.iter().filter(|&&i| i >= 10).count(), 7);
        // Seven draws from three: each at least twice.
        assert!((10..13).all(|i| a.iter().filter(|&&j| j == i).count() >= 2));
        assert_eq!(a, epoch(&strata, 1, 0));
        assert_ne!(a, epoch(&strata, 1, 1));
    }
}
