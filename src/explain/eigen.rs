//! Principal components of a layer's channels: EigenCAM, Eigen-Grad-CAM, KPCA-CAM, `eigen-smooth`.
//!
//! Only one component is wanted, so a Lanczos process on the smaller Gram matrix finds it: a layer of 56 x 56 cells
//! and 256 channels takes a matrix of 256 x 256, never one of 3136 x 3136.

use candle_core::{Device, Tensor};
use nalgebra::{DMatrix, SymmetricEigen};

use super::evidence::Evidence;
use super::map::Grid;
use super::settings::Settings;
use super::study::Study;
use super::task::Drawn;
use crate::error::Result;
use crate::text::{fault, notice};

/// Steps of the longest Lanczos process.
const MAX_STEPS: usize = 160;
/// Cells of the largest grid that a kernel matrix is made for: 4096^2 doubles are 128 MiB.
const MAX_KERNEL_CELLS: usize = 4096;

/// EigenCAM (Muhammad and Yeasin 2020): the activations.
pub(super) fn eigen_cam(study: &mut Study<'_>, _: &Settings) -> Result<Drawn> {
    let evidence = study.evidence(false)?;
    let map = principal(&evidence.activations, evidence.cells())?;
    Ok(Drawn::Grid(Grid::of(map, &evidence)))
}

/// Eigen-Grad-CAM: gradient times activation.
pub(super) fn eigen_grad_cam(study: &mut Study<'_>, _: &Settings) -> Result<Drawn> {
    let evidence = study.evidence(true)?;
    let pairs = evidence.activations.iter().zip(evidence.gradients()?);
    let products: Vec<f32> = pairs.map(|(a, g)| a * g).collect();
    let map = principal(&products, evidence.cells())?;
    Ok(Drawn::Grid(Grid::of(map, &evidence)))
}

/// KPCA-CAM (Karmani et al. 2024): the first component of a kernel PCA with scikit-learn's sigmoid kernel
/// `tanh(u.v / K + 1)`, double-centred; `M = e1 sqrt(lambda1)`.
pub(super) fn kpca_cam(study: &mut Study<'_>, _: &Settings) -> Result<Drawn> {
    let evidence = study.evidence(false)?;
    let (cells, channels) = (evidence.cells(), evidence.channels);
    if cells > MAX_KERNEL_CELLS {
        return Err(fault::grid_too_fine(
            "kpca-cam",
            &evidence.layer,
            [evidence.height, evidence.width],
            MAX_KERNEL_CELLS,
        ));
    }
    let x = centred(&evidence.activations, cells);
    let mut k = gram(&x, channels, cells, true)?;
    for v in &mut k {
        *v = (*v / channels.max(1) as f64 + 1.0).tanh();
    }
    let means: Vec<f64> = k.chunks_exact(cells.max(1)).map(mean).collect();
    let all = mean(&means);
    for (i, row) in k.chunks_exact_mut(cells.max(1)).enumerate() {
        for (v, m) in row.iter_mut().zip(&means) {
            *v += all - means[i] - m;
        }
    }
    let (value, vector) = top(&k, cells);
    // The kernel's values are at most 1; what centring leaves of equal ones is rounding.
    let map = if value > 1e-12 * cells as f64 {
        vector.iter().map(|e| (e * value.sqrt()) as f32).collect()
    } else {
        study.notice(notice::KERNEL_WITHOUT_COMPONENT);
        vec![0.0; cells]
    };
    Ok(Drawn::Grid(Grid::of(turned(map), &evidence)))
}

/// Projection of channels on their first principal component over places, from `[K, cells]` to `[cells]`. The
/// sign, which the decomposition leaves open, is such that the largest magnitude is positive.
///
/// # Errors
/// A matrix product fails.
pub(super) fn principal(channels: &[f32], cells: usize) -> Result<Vec<f32>> {
    let count = channels.len() / cells.max(1);
    let x = centred(channels, cells);
    let map = if cells <= count {
        // X v1 = sigma1 u1, u1 the first eigenvector of X X^T.
        let (value, vector) = top(&gram(&x, count, cells, true)?, cells);
        let sigma = value.max(0.0).sqrt();
        vector.iter().map(|u| (u * sigma) as f32).collect()
    } else {
        let (_, vector) = top(&gram(&x, count, cells, false)?, count);
        let mut map = vec![0f64; cells];
        for (row, v) in x.chunks_exact(cells).zip(&vector) {
            for (m, x) in map.iter_mut().zip(row) {
                *m += v * x;
            }
        }
        map.into_iter().map(|m| m as f32).collect()
    };
    Ok(turned(map))
}

/// First principal component of a method's weighted channels.
pub(super) fn smooth(components: &[f32], evidence: &Evidence<'_>) -> Result<Grid> {
    Ok(Grid::of(principal(components, evidence.cells())?, evidence))
}

/// What denoising kept.
pub(super) struct Kept {
    /// Singular values that were kept.
    pub(super) kept: usize,
    /// Singular values in all.
    pub(super) of: usize,
    /// Share of the squares' sum that they hold; `None` where all channels are constant.
    pub(super) energy: Option<f64>,
}

/// The best approximation of channels `[K, cells]`, each less its mean, by their leading singular values: `floor(share
/// min(K, cells))` of them, at least 1. The means are added back where that is asked for.
///
/// # Errors
/// A matrix product fails.
pub(super) fn denoise(
    channels: &[f32],
    cells: usize,
    share: f64,
    add_back: bool,
) -> Result<(Vec<f32>, Kept)> {
    let cells = cells.max(1);
    let count = channels.len() / cells;
    let x = centred(channels, cells);
    let of = count.min(cells);
    // The share of a whole number must not fall under it by rounding.
    let kept = ((share * of as f64 + 1e-9).floor() as usize).clamp(1, of.max(1));
    let of_cells = cells <= count;
    let gram = gram(&x, count, cells, of_cells)?;
    let eigen = SymmetricEigen::new(DMatrix::from_row_slice(of, of, &gram));
    let mut order: Vec<usize> = (0..of).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    order.truncate(kept);
    let basis = eigen.eigenvectors.select_columns(&order);
    // Rows of x are channels: projected on the leading patterns of places, or of channels.
    let x = DMatrix::from_row_slice(count, cells, &x);
    let near = match of_cells {
        true => &x * &basis * basis.transpose(),
        false => &basis * (basis.transpose() * &x),
    };
    let total: f64 = eigen.eigenvalues.iter().map(|v| v.max(0.0)).sum();
    let held: f64 = order.iter().map(|&i| eigen.eigenvalues[i].max(0.0)).sum();
    let means = channels.chunks_exact(cells).map(|row| {
        let row: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
        if add_back { mean(&row) } else { 0.0 }
    });
    let values = means
        .enumerate()
        .flat_map(|(k, mean)| {
            near.row(k)
                .iter()
                .map(|v| (v + mean) as f32)
                .collect::<Vec<_>>()
        })
        .collect();
    let energy = (total > 0.0).then(|| held / total);
    Ok((values, Kept { kept, of, energy }))
}

/// Each channel less its mean, in double precision; what is no number counts as 0. A constant channel becomes exactly
/// 0: rounding of its mean must not pass for a pattern.
fn centred(channels: &[f32], cells: usize) -> Vec<f64> {
    let mut x: Vec<f64> = channels
        .iter()
        .map(|&v| if v.is_finite() { f64::from(v) } else { 0.0 })
        .collect();
    for row in x.chunks_exact_mut(cells.max(1)) {
        let first = row.first().copied().unwrap_or(0.0);
        if row.iter().all(|v| *v == first) {
            row.fill(0.0);
            continue;
        }
        let m = mean(row);
        row.iter_mut().for_each(|v| *v -= m);
    }
    x
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Products of all cells with each other over channels, or of all channels over cells.
fn gram(x: &[f64], channels: usize, cells: usize, of_cells: bool) -> Result<Vec<f64>> {
    let x = Tensor::from_slice(x, (channels, cells), &Device::Cpu)?;
    let t = x.t()?;
    let product = if of_cells {
        t.contiguous()?.matmul(&x)?
    } else {
        x.matmul(&t)?
    };
    Ok(product.flatten_all()?.to_vec1()?)
}

/// Turns a map whose largest magnitude is negative.
fn turned(mut map: Vec<f32>) -> Vec<f32> {
    let (lo, hi) = super::resize::range(&map);
    if lo.abs() > hi.abs() {
        map.iter_mut().for_each(|v| *v = -*v);
    }
    map
}

/// The largest eigenvalue of a symmetric `n x n` matrix and its unit eigenvector, by the Lanczos process with full
/// reorthogonalisation.
fn top(matrix: &[f64], n: usize) -> (f64, Vec<f64>) {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let (mut alphas, mut betas): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    // The longest row lies near the dominant direction; a little of everything else is in it as well.
    let longest = (0..n)
        .max_by(|&a, &b| norm(&matrix[a * n..][..n]).total_cmp(&norm(&matrix[b * n..][..n])))
        .unwrap_or(0);
    let mut v: Vec<f64> = (0..n)
        .map(|i| matrix[longest * n + i] + 1e-3 * norm(&matrix[longest * n..][..n]) * wobble(i))
        .collect();
    let length = norm(&v);
    if length == 0.0 || !length.is_finite() {
        return (0.0, vec![0.0; n]);
    }
    v.iter_mut().for_each(|x| *x /= length);
    let mut next_look = 8;
    let (mut value, mut vector) = (0.0, v.clone());
    loop {
        let mut w: Vec<f64> = matrix.chunks_exact(n).map(|row| dot(row, &v)).collect();
        alphas.push(dot(&w, &v));
        basis.push(v);
        // Twice is enough (Kahan and Parlett).
        for _ in 0..2 {
            for b in &basis {
                let d = dot(&w, b);
                w.iter_mut().zip(b).for_each(|(w, b)| *w -= d * b);
            }
        }
        let beta = norm(&w);
        let scale = alphas.iter().fold(0.0f64, |m, a| m.max(a.abs()));
        let ends = basis.len() == n.min(MAX_STEPS) || beta <= 1e-13 * scale;
        if ends || basis.len() == next_look {
            next_look += 8 + next_look / 4;
            let m = basis.len();
            let t = DMatrix::from_fn(m, m, |i, j| match i.abs_diff(j) {
                0 => alphas[i],
                1 => betas[i.min(j)],
                _ => 0.0,
            });
            let eigen = SymmetricEigen::new(t);
            let best = (0..m)
                .max_by(|&a, &b| eigen.eigenvalues[a].total_cmp(&eigen.eigenvalues[b]))
                .unwrap_or(0);
            let s = eigen.eigenvectors.column(best);
            value = eigen.eigenvalues[best];
            let left = beta * s[m - 1].abs();
            if ends || left <= 1e-11 * value.abs() {
                vector = vec![0.0; n];
                for (b, &s) in basis.iter().zip(s.iter()) {
                    vector.iter_mut().zip(b).for_each(|(v, b)| *v += s * b);
                }
                return (value, vector);
            }
        }
        if beta == 0.0 || !beta.is_finite() {
            return (value, vector);
        }
        w.iter_mut().for_each(|x| *x /= beta);
        betas.push(beta);
        v = w;
    }
}

/// Numbers in -1..1 without a pattern, the same in every run.
fn wobble(i: usize) -> f64 {
    let z = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((z ^ (z >> 29)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rows: usize, columns: usize) -> Vec<f64> {
        (0..rows * columns).map(wobble).collect()
    }

    #[test]
    fn the_largest_eigenvalue_is_that_of_a_full_decomposition() {
        for n in [1, 2, 7, 60, 150] {
            let x = random(n, n + 3);
            let g = gram(&x, n, n + 3, false).unwrap();
            let (value, vector) = top(&g, n);
            let full = SymmetricEigen::new(DMatrix::from_row_slice(n, n, &g))
                .eigenvalues
                .max();
            assert!(
                (value - full).abs() < 1e-9 * full,
                "{n}: {value} for {full}"
            );
            let image: Vec<f64> = g.chunks_exact(n).map(|row| dot(row, &vector)).collect();
            for (i, v) in image.iter().zip(&vector) {
                assert!((i - value * v).abs() < 1e-7 * value, "{n}");
            }
        }
    }

    #[test]
    fn an_indefinite_matrix_gives_its_largest_value_and_not_its_largest_magnitude() {
        let (value, vector) = top(&[-5.0, 0.0, 0.0, 2.0], 2);
        assert!((value - 2.0).abs() < 1e-12);
        assert!(vector[0].abs() < 1e-9);
    }

    #[test]
    fn denoising_keeps_the_leading_singular_values() {
        for (rows, columns) in [(40, 9), (9, 40)] {
            // Two patterns and a little of everything else; no row has a mean.
            let (a, b) = (random(rows, 1), random(rows, 1));
            let value = |i: usize, j: usize| {
                let (p, q) = ((j as f64 * 1.3).sin(), (j as f64 * 0.7).cos());
                10.0 * a[i] * p + 3.0 * b[i] * q + 1e-3 * wobble(7 + i * columns + j)
            };
            let x: Vec<f32> = (0..rows * columns)
                .map(|n| value(n / columns, n % columns) as f32)
                .collect();
            let centre = centred(&x, columns);
            let (all, told) = denoise(&x, columns, 1.0, true).unwrap();
            assert_eq!((told.kept, told.of), (9, 9));
            for (a, b) in all.iter().zip(&x) {
                assert!((a - b).abs() < 1e-5);
            }
            // As a singular value decomposition of the whole matrix has it.
            let svd = DMatrix::from_row_slice(rows, columns, &centre).svd(true, true);
            let (u, vt, s) = (svd.u.unwrap(), svd.v_t.unwrap(), svd.singular_values);
            let (two, told) = denoise(&x, columns, 2.0 / 9.0, false).unwrap();
            assert_eq!(told.kept, 2);
            let expected = u.columns(0, 2)
                * DMatrix::from_diagonal(&s.rows(0, 2).into_owned())
                * vt.rows(0, 2);
            for (i, v) in two.iter().enumerate() {
                let e = expected[(i / columns, i % columns)];
                assert!((f64::from(*v) - e).abs() < 1e-4, "{v} {e}");
            }
            assert!(told.energy.unwrap() > 0.999);
        }
        // A tenth of few is still one, and constants have no pattern.
        let (flat, told) = denoise(&[2.0; 12], 4, 0.1, false).unwrap();
        assert_eq!((flat, told.kept, told.energy), (vec![0.0; 12], 1, None));
    }

    #[test]
    fn both_ways_to_the_component_agree_and_constants_give_nothing() {
        let wide: Vec<f32> = random(30, 12).iter().map(|v| *v as f32).collect();
        let by_cells = principal(&wide, 12).unwrap();
        let x = centred(&wide, 12);
        let (_, v) = top(&gram(&x, 30, 12, false).unwrap(), 30);
        let mut by_channels = [0f64; 12];
        for (row, v) in x.chunks_exact(12).zip(&v) {
            by_channels
                .iter_mut()
                .zip(row)
                .for_each(|(m, x)| *m += v * x);
        }
        let by_channels = turned(by_channels.iter().map(|v| *v as f32).collect());
        for (a, b) in by_cells.iter().zip(&by_channels) {
            assert!((a - b).abs() < 1e-5, "{by_cells:?} {by_channels:?}");
        }
        assert_eq!(principal(&[3.0; 40], 8).unwrap(), [0.0; 8]);
        assert_eq!(principal(&[0.1; 33], 11).unwrap(), [0.0; 11]);
    }
}
