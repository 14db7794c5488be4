//! Occlusion (Zeiler and Fergus 2014): a window hides a part of the input, and the map is how much the target's score
//! falls, `y(x) - y(x_hidden)`, averaged over the windows that cover a pixel.

use super::baseline;
use super::batches::images;
use super::map::Grid;
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::model::kernels::Purpose;
use crate::text::fault;

struct Occlusion {
    /// `[x, y]` of every window's first pixel.
    corners: Vec<[usize; 2]>,
    /// Side of a window; it may end at the image's edge before.
    window: usize,
    hidden: Vec<f32>,
    done: usize,
    sum: Vec<f64>,
    covered: Vec<u32>,
}

/// First pixels of windows along one axis, as Captum places them: the last one may reach beyond the edge, where it is
/// cut.
fn starts(side: usize, window: usize, stride: usize) -> Vec<usize> {
    let last = side.saturating_sub(window).div_ceil(stride.max(1));
    (0..=last).map(|i| i * stride).collect()
}

/// How many windows there are for an input of `[rows, columns]`.
pub(super) fn windows(input: [usize; 2], window: usize, stride: usize) -> usize {
    input
        .map(|side| starts(side, window, stride).len())
        .iter()
        .product()
}

/// Occlusion.
pub(super) fn begin(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let (window, stride) = (settings.count("window"), settings.count("stride"));
    if stride > window {
        let expected = format!("at most the window, {window}");
        return Err(fault::param_value(
            "occlusion",
            "stride",
            settings.word("stride"),
            &expected,
        ));
    }
    let [width, height] = [study.input.width, study.input.height];
    let columns = starts(width, window, stride);
    let rows = starts(height, window, stride);
    let corners = rows
        .iter()
        .flat_map(|&y| columns.iter().map(move |&x| [x, y]))
        .collect();
    Ok(Box::new(Occlusion {
        corners,
        window,
        hidden: baseline::make(study, settings.word("baseline"), 0),
        done: 0,
        sum: vec![0.0; width * height],
        covered: vec![0; width * height],
    }))
}

/// Calls `f` with the range of pixels of each row of a window.
fn rows_of(
    [x, y]: [usize; 2],
    window: usize,
    [width, height]: [usize; 2],
    mut f: impl FnMut(std::ops::Range<usize>),
) {
    let (right, bottom) = ((x + window).min(width), (y + window).min(height));
    for row in y..bottom {
        f(row * width + x..row * width + right);
    }
}

impl Steps for Occlusion {
    fn total(&self) -> usize {
        self.corners.len()
    }

    fn done(&self) -> usize {
        self.done
    }

    fn advance(&mut self, study: &mut Study<'_>) -> Result<()> {
        study.job.check()?;
        let left = self.corners.get(self.done..).unwrap_or_default();
        let count = study.batch_size(Purpose::Scores).min(left.len());
        let size = [study.input.width, study.input.height];
        let (plane, x) = (size[0] * size[1], &study.input.values);
        let batch = images(study, count, |i, image| {
            image.copy_from_slice(x);
            rows_of(left[i], self.window, size, |row| {
                for c in 0..image.len() / plane.max(1) {
                    let at = c * plane + row.start..c * plane + row.end;
                    image[at.clone()].copy_from_slice(&self.hidden[at]);
                }
            });
        })?;
        let scores = study.scores(&batch)?;
        let y = f64::from(study.score());
        for (&corner, score) in left.iter().zip(&scores) {
            let fall = y - f64::from(*score);
            rows_of(corner, self.window, size, |row| {
                for at in row {
                    self.sum[at] += fall;
                    self.covered[at] += 1;
                }
            });
        }
        self.done += scores.len();
        Ok(())
    }

    fn drawn(&self, study: &mut Study<'_>) -> Result<Drawn> {
        let pairs = self.sum.iter().zip(&self.covered);
        Ok(Drawn::Grid(Grid {
            width: study.input.width,
            height: study.input.height,
            values: pairs
                .map(|(sum, &n)| (sum / f64::from(n.max(1))) as f32)
                .collect(),
        }))
    }
}
