//! Where the maps lie against the boxes that radiologists drew.

use serde::{Deserialize, Serialize};

use super::data::{Dataset, LesionBox, Split, grey};
use super::measure::{BOOTSTRAP_SEED, RESAMPLES};
use super::network::Network;
use super::predict::{CamMap, Input, cams_of};
use crate::error::Result;
use crate::evaluate::classification::{Interval, bootstrap_ci};
use crate::evaluate::localisation::energy_inside;
use crate::image::geometry::Affine;
use crate::job::Job;
use crate::regions::Shape;

/// The class that the maps explain.
const PNEUMONIA: usize = 1;

/// Where the maps lie against radiologists' boxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoxNumbers {
    /// Images with boxes.
    pub images: usize,
    /// Boxes labelled pneumonia.
    pub boxes: usize,
    /// Images whose map has no positive value; they count in no share.
    pub empty_maps: usize,
    /// Mean share of positive Grad-CAM energy inside the boxes.
    pub energy: Option<Interval>,
    /// Mean share of the image that the boxes cover: what a map without structure gives.
    pub area: Option<Interval>,
    /// Energy less area, image by image.
    pub gain: Option<Interval>,
    /// Mean share that the maps of *other* images have inside an image's boxes: what knowing where
    /// lungs lie gives without looking at this image.
    pub energy_of_other_maps: Option<f64>,
    /// Share of images whose largest value lies inside a box.
    pub pointing: Option<Interval>,
}

/// A map after its ReLU at the image's size, bilinear between the centres of its cells.
fn enlarge(map: &CamMap, side: usize) -> Vec<f32> {
    let at = |o: usize, n: usize| {
        let x = ((o as f32 + 0.5) * n as f32 / side as f32 - 0.5).clamp(0.0, (n - 1) as f32);
        (x as usize, (x as usize + 1).min(n - 1), x.fract())
    };
    let value = |x: usize, y: usize| map.values[y * map.width + x].max(0.0);
    let mut out = Vec::with_capacity(side * side);
    for oy in 0..side {
        let (y0, y1, fy) = at(oy, map.height);
        for ox in 0..side {
            let (x0, x1, fx) = at(ox, map.width);
            let top = value(x0, y0) * (1.0 - fx) + value(x1, y0) * fx;
            let bottom = value(x0, y1) * (1.0 - fx) + value(x1, y1) * fx;
            out.push(top * (1.0 - fy) + bottom * fy);
        }
    }
    out
}

/// Measures a network's maps on the images with boxes; `None` where the data have none.
pub fn box_numbers(
    network: &Network,
    input: &Input,
    data: &Dataset,
    job: &Job,
) -> Result<Option<BoxNumbers>> {
    let side = data.side;
    let indices = data.indices(Split::Boxes, None);
    if indices.is_empty() {
        return Ok(None);
    }
    let images: Vec<Vec<f32>> = indices
        .iter()
        .map(|&i| grey(&data.cases[i].pixels))
        .collect();
    let cams = cams_of(network, &images, side, input, PNEUMONIA, job)?;
    let maps: Vec<Vec<f32>> = cams.iter().map(|cam| enlarge(cam, side)).collect();
    let unit = Affine::scale_to([1, 1], [side, side]);
    let region = |b: &LesionBox| Shape::Box {
        x: b.origin[0],
        y: b.origin[1],
        w: b.size[0],
        h: b.size[1],
    };
    let regions: Vec<Vec<Shape>> = indices
        .iter()
        .map(|&i| data.cases[i].boxes.iter().map(region).collect())
        .collect();
    let inside = |map: &[f32], i: usize| energy_inside(map, side, &unit, &regions[i]);
    let flat = vec![1.0; side * side];
    // Images whose map is empty are left out of every mean, so that the means compare.
    let kept: Vec<usize> = (0..maps.len())
        .filter(|&i| maps[i].iter().any(|&v| v > 0.0))
        .collect();
    let patients: Vec<&str> = kept
        .iter()
        .map(|&k| data.cases[indices[k]].patient.as_str())
        .collect();
    let values = |f: &dyn Fn(usize) -> Option<f64>| -> Vec<f64> {
        kept.iter().filter_map(|&i| f(i)).collect()
    };
    let mean_of = |values: &[f64]| -> Option<Interval> {
        (values.len() == patients.len()).then_some(())?;
        bootstrap_ci(&patients, RESAMPLES, BOOTSTRAP_SEED, |drawn| {
            let sum: f64 = drawn.iter().map(|&i| values[i]).sum();
            (!drawn.is_empty()).then(|| sum / drawn.len() as f64)
        })
    };
    let energy = values(&|i| inside(&maps[i], i));
    let area = values(&|i| inside(&flat, i));
    let gain: Vec<f64> = energy.iter().zip(&area).map(|(e, a)| e - a).collect();
    let pointing = values(&|i| {
        let mut point = vec![0.0; side * side];
        let top = (0..maps[i].len()).max_by(|&a, &b| maps[i][a].total_cmp(&maps[i][b]))?;
        point[top] = 1.0;
        inside(&point, i)
    });
    let others: Vec<f64> = kept
        .iter()
        .flat_map(|&i| kept.iter().filter(move |&&j| j != i).map(move |&j| (i, j)))
        .filter_map(|(i, j)| inside(&maps[j], i))
        .collect();
    Ok(Some(BoxNumbers {
        images: indices.len(),
        boxes: regions.iter().map(Vec::len).sum(),
        empty_maps: maps.len() - kept.len(),
        energy: mean_of(&energy),
        area: mean_of(&area),
        gain: mean_of(&gain),
        energy_of_other_maps: (!others.is_empty())
            .then(|| others.iter().sum::<f64>() / others.len() as f64),
        pointing: mean_of(&pointing),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enlarging_cuts_negatives_and_keeps_the_middle_of_cells() {
        let map = CamMap {
            width: 2,
            height: 1,
            values: vec![-3.0, 4.0],
        };
        let large = enlarge(&map, 4);
        assert_eq!(&large[..4], [0.0, 1.0, 3.0, 4.0]);
        assert_eq!(&large[..4], &large[12..]);
    }
}
