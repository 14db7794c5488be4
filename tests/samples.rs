//! The shipped network and the shipped cases together: what a user sees first must make sense.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

use std::collections::BTreeMap;
use std::sync::Arc;

use camlens::job::Job;
use camlens::model::Model;
use camlens::plan::{ImageSource, MapKey, ModelSource};
use camlens::session::{Analysis, Picture, samples};
use candle_core::Device;

const PNEUMONIA: usize = 1;

fn analyse(model: &Arc<Model>, name: &str) -> Analysis {
    let picture = Picture::open(&ImageSource::Sample(name.to_owned())).unwrap();
    let input = picture.input_for(model).unwrap();
    Analysis::run(Arc::clone(model), Arc::new(input), &Job::default()).unwrap()
}

#[test]
fn the_network_calls_the_opacities_and_not_the_healthy_chests() {
    let model = Arc::new(Model::open(&ModelSource::Demo, None, &Device::Cpu).unwrap());
    let all = &*samples::SAMPLES;
    assert!(all.len() >= 4, "only {} samples", all.len());
    assert!(samples::first().unwrap().mask.is_some());
    for sample in all {
        let findings = analyse(&model, &sample.name).findings();
        let probabilities: Vec<f32> = findings.iter().map(|f| f.probability).collect();
        let called = model.facts.calls(PNEUMONIA, &probabilities);
        assert_eq!(
            called,
            sample.mask.is_some(),
            "{}: {probabilities:?}",
            sample.name
        );
    }
}

#[test]
fn the_heat_prefers_the_opacities() {
    let model = Arc::new(Model::open(&ModelSource::Demo, None, &Device::Cpu).unwrap());
    let (mut inside, mut by_area) = (0.0, 0.0);
    for sample in samples::SAMPLES.iter() {
        let Some(mask) = sample.mask else { continue };
        let mask = image::load_from_memory(mask).unwrap().into_luma8();
        let key = MapKey {
            method: "grad-cam".into(),
            layer: "layer4".into(),
            target: PNEUMONIA.into(),
            params: BTreeMap::new(),
        };
        let map = analyse(&model, &sample.name)
            .map(&key, &Job::default())
            .unwrap();
        let field = camlens::post::process(&map, &camlens::plan::Post::default());
        let (mut hit, mut energy, mut area) = (0f64, 0f64, 0usize);
        for (i, v) in field.values.iter().enumerate() {
            let centre = [
                (i % field.width) as f64 + 0.5,
                (i / field.width) as f64 + 0.5,
            ];
            let [x, y] = field.source_from_field.apply(centre);
            let ill = mask.get_pixel(x as u32, y as u32).0[0] > 0;
            energy += f64::from(*v);
            area += usize::from(ill);
            if ill {
                hit += f64::from(*v);
            }
        }
        let (share, area) = (hit / energy, area as f64 / field.values.len() as f64);
        eprintln!(
            "{}: {:.1} % of the energy on {:.1} % of the area",
            sample.name,
            100.0 * share,
            100.0 * area
        );
        inside += share;
        by_area += area;
    }
    assert!(inside > 1.5 * by_area, "{inside:.3} of {by_area:.3}");
}
