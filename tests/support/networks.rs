//! Small networks of every family, with the recipe's weights.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

/// Names and shapes of a small network of each family; weights come from the recipe.
pub fn small(family: &str, channels: usize, classes: usize) -> BTreeMap<String, Tensor> {
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    let bn = |shapes: &mut Vec<(String, Vec<usize>)>, path: &str, c: usize| {
        for leaf in ["weight", "bias", "running_mean", "running_var"] {
            shapes.push((format!("{path}.{leaf}"), vec![c]));
        }
    };
    match family {
        "resnet" | "resnet bottleneck" => {
            shapes.push(("conv1.weight".into(), vec![8, channels, 7, 7]));
            bn(&mut shapes, "bn1", 8);
            let bottleneck = family == "resnet bottleneck";
            let mut c = 8;
            for (stage, width) in [(1, 8), (2, 12)] {
                for block in 0..2 {
                    let p = format!("layer{stage}.{block}");
                    let out = if bottleneck { 2 * width } else { width };
                    let list: &[(usize, usize, usize)] = if bottleneck {
                        &[(width, c, 1), (width, width, 3), (out, width, 1)]
                    } else {
                        &[(width, c, 3), (out, width, 3)]
                    };
                    for (i, &(o, ci, k)) in list.iter().enumerate() {
                        shapes.push((format!("{p}.conv{}.weight", i + 1), vec![o, ci, k, k]));
                        bn(&mut shapes, &format!("{p}.bn{}", i + 1), o);
                    }
                    if c != out || (stage > 1 && block == 0) {
                        shapes.push((format!("{p}.downsample.0.weight"), vec![out, c, 1, 1]));
                        bn(&mut shapes, &format!("{p}.downsample.1"), out);
                    }
                    c = out;
                }
            }
            shapes.push(("fc.weight".into(), vec![classes, c]));
            shapes.push(("fc.bias".into(), vec![classes]));
        }
        "densenet" => {
            shapes.push(("features.conv0.weight".into(), vec![8, channels, 7, 7]));
            bn(&mut shapes, "features.norm0", 8);
            let mut c = 8;
            for block in 1..=2 {
                for layer in 1..=2 {
                    let p = format!("features.denseblock{block}.denselayer{layer}");
                    bn(&mut shapes, &format!("{p}.norm1"), c);
                    shapes.push((format!("{p}.conv1.weight"), vec![12, c, 1, 1]));
                    bn(&mut shapes, &format!("{p}.norm2"), 12);
                    shapes.push((format!("{p}.conv2.weight"), vec![6, 12, 3, 3]));
                    c += 6;
                }
                if block == 1 {
                    bn(&mut shapes, "features.transition1.norm", c);
                    shapes.push((
                        "features.transition1.conv.weight".into(),
                        vec![c / 2, c, 1, 1],
                    ));
                    c /= 2;
                }
            }
            bn(&mut shapes, "features.norm5", c);
            shapes.push(("classifier.weight".into(), vec![classes, c]));
            shapes.push(("classifier.bias".into(), vec![classes]));
        }
        _ => {
            let mut c = channels;
            for (i, o) in [(0, 6), (3, 8), (6, 8)] {
                shapes.push((format!("features.{i}.weight"), vec![o, c, 3, 3]));
                shapes.push((format!("features.{i}.bias"), vec![o]));
                if family == "vgg bn" {
                    bn(&mut shapes, &format!("features.{}", i + 1), o);
                }
                c = o;
            }
            shapes.push(("classifier.0.weight".into(), vec![10, c * 49]));
            shapes.push(("classifier.0.bias".into(), vec![10]));
            shapes.push(("classifier.3.weight".into(), vec![classes, 10]));
            shapes.push(("classifier.3.bias".into(), vec![classes]));
        }
    }
    shapes
        .into_iter()
        .map(|(name, shape)| {
            let values = super::recipe_tensor(&name, &shape, 3, &[]);
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            (name, tensor)
        })
        .collect()
}
