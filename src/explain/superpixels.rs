//! The input in pieces: a plain grid, or SLIC superpixels that follow edges.

use super::resize::range;

/// Weight of distance against grey levels in 0..=1: the paper's m = 10 for lightness in 0..=100.
const COMPACTNESS: f32 = 0.1;
/// Rounds of assignment, as in the paper.
const ROUNDS: usize = 10;

/// The segment of every pixel, row by row, and how many segments there are.
#[derive(Debug)]
pub(super) struct Segments {
    pub(super) labels: Vec<usize>,
    pub(super) count: usize,
}

/// Rows and columns of a grid of about `wanted` cells on `[width, height]`.
fn grid_of([width, height]: [usize; 2], wanted: usize) -> [usize; 2] {
    let shape = wanted as f64 * height as f64 / width.max(1) as f64;
    let rows = (shape.sqrt().round() as usize).clamp(1, height.max(1));
    let columns = (wanted as f64 / rows as f64).round() as usize;
    [rows, columns.clamp(1, width.max(1))]
}

/// A grid of about `wanted` rectangles.
pub(super) fn grid(size: [usize; 2], wanted: usize) -> Segments {
    let [rows, columns] = grid_of(size, wanted);
    let [width, height] = size;
    let labels = (0..height)
        .flat_map(|y| (0..width).map(move |x| y * rows / height * columns + x * columns / width))
        .collect();
    Segments {
        labels,
        count: rows * columns,
    }
}

#[derive(Clone, Copy)]
struct Centre {
    grey: f32,
    x: f32,
    y: f32,
}

/// SLIC (Achanta et al., PAMI 2012) on grey levels: about `wanted` pieces that hang together.
pub(super) fn slic(grey: &[f32], size: [usize; 2], wanted: usize) -> Segments {
    let [width, height] = size;
    let (lo, hi) = range(grey);
    if hi <= lo {
        // Nothing to follow: the pieces would be the seeds' cells.
        return grid(size, wanted);
    }
    let grey: Vec<f32> = grey.iter().map(|v| (v - lo) / (hi - lo)).collect();
    let [rows, columns] = grid_of(size, wanted);
    let mut centres: Vec<Centre> = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for column in 0..columns {
            let y = (row as f32 + 0.5) * height as f32 / rows as f32;
            let x = (column as f32 + 0.5) * width as f32 / columns as f32;
            let at = (y as usize).min(height - 1) * width + (x as usize).min(width - 1);
            centres.push(Centre {
                grey: grey[at],
                x,
                y,
            });
        }
    }
    let spacing = ((width * height) as f32 / centres.len() as f32).sqrt();
    let mut labels = grid(size, wanted).labels;
    for _ in 0..ROUNDS {
        let mut best = vec![f32::INFINITY; grey.len()];
        for (label, centre) in centres.iter().enumerate() {
            let span = |at: f32, side: usize| {
                let from = (at - 2.0 * spacing).floor().max(0.0) as usize;
                from..(((at + 2.0 * spacing).ceil() as usize).min(side))
            };
            for y in span(centre.y, height) {
                for x in span(centre.x, width) {
                    let at = y * width + x;
                    let (dx, dy) = (x as f32 + 0.5 - centre.x, y as f32 + 0.5 - centre.y);
                    let far = (dx * dx + dy * dy) / (spacing * spacing);
                    let differs = grey[at] - centre.grey;
                    let distance = differs * differs + COMPACTNESS * COMPACTNESS * far;
                    if distance < best[at] {
                        best[at] = distance;
                        labels[at] = label;
                    }
                }
            }
        }
        let mut sums = vec![(0f64, 0f64, 0f64, 0usize); centres.len()];
        for (at, &label) in labels.iter().enumerate() {
            let sum = &mut sums[label];
            sum.0 += f64::from(grey[at]);
            sum.1 += (at % width) as f64 + 0.5;
            sum.2 += (at / width) as f64 + 0.5;
            sum.3 += 1;
        }
        for (centre, (grey, x, y, n)) in centres.iter_mut().zip(sums) {
            if n > 0 {
                let mean = |sum: f64| (sum / n as f64) as f32;
                *centre = Centre {
                    grey: mean(grey),
                    x: mean(x),
                    y: mean(y),
                };
            }
        }
    }
    connected(&labels, size, spacing)
}

/// Pieces that hang together: every part of a label becomes one of its own, and parts that are smaller than a quarter
/// of a piece join the neighbour before them.
fn connected(labels: &[usize], [width, height]: [usize; 2], spacing: f32) -> Segments {
    let least = (spacing * spacing / 4.0) as usize;
    let mut out = vec![usize::MAX; labels.len()];
    let mut count = 0;
    let mut part = Vec::new();
    for start in 0..labels.len() {
        if out[start] != usize::MAX {
            continue;
        }
        part.clear();
        part.push(start);
        out[start] = count;
        let mut neighbour = None;
        let mut next = 0;
        while next < part.len() {
            let at = part[next];
            next += 1;
            let (x, y) = (at % width, at / width);
            let around = [
                (x > 0).then(|| at - 1),
                (x + 1 < width).then(|| at + 1),
                (y > 0).then(|| at - width),
                (y + 1 < height).then(|| at + width),
            ];
            for other in around.into_iter().flatten() {
                if out[other] == usize::MAX && labels[other] == labels[start] {
                    out[other] = count;
                    part.push(other);
                } else if out[other] != usize::MAX && out[other] != count {
                    neighbour = Some(out[other]);
                }
            }
        }
        match neighbour {
            Some(neighbour) if part.len() < least => {
                for &at in &part {
                    out[at] = neighbour;
                }
            }
            _ => count += 1,
        }
    }
    Segments { labels: out, count }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hangs_together(segments: &Segments, width: usize) -> bool {
        let height = segments.labels.len() / width;
        connected(&segments.labels, [width, height], 0.0).count == segments.count
    }

    #[test]
    fn a_grid_has_about_as_many_cells_as_wanted() {
        let segments = grid([224, 224], 50);
        assert_eq!(segments.count, 49);
        assert_eq!(segments.labels.iter().max(), Some(&48));
        assert_eq!(grid([3, 2], 50).count, 6);
    }

    #[test]
    fn slic_follows_an_edge_and_hangs_together() {
        let size = [60, 44];
        // A bright disc on a sloping ground.
        let inside = |at: usize| {
            let (x, y) = ((at % 60) as f32 - 22.0, (at / 60) as f32 - 20.0);
            x * x + y * y < 100.0
        };
        let grey: Vec<f32> = (0..60 * 44)
            .map(|at| {
                if inside(at) {
                    1.0
                } else {
                    (at % 60) as f32 / 300.0
                }
            })
            .collect();
        let segments = slic(&grey, size, 30);
        assert!((15..=45).contains(&segments.count), "{}", segments.count);
        assert!(segments.labels.iter().all(|&label| label < segments.count));
        assert!(hangs_together(&segments, 60));
        // No piece lies on both sides of the edge but for a few pixels.
        for label in 0..segments.count {
            let pixels = (0..grey.len()).filter(|&at| segments.labels[at] == label);
            let (inner, all) =
                pixels.fold((0, 0), |(i, n), at| (i + usize::from(inside(at)), n + 1));
            assert!(
                inner * 10 <= all * 2 || inner * 10 >= all * 8,
                "{inner} of {all}"
            );
        }
        assert_eq!(slic(&[1.0; 60 * 44], size, 30).count, grid(size, 30).count);
    }
}
