//! One row for each method: what menus, tooltips, `camlens methods` and the manifests are made from.

use serde::Serialize;

use super::cam;
use super::evidence::Evidence;
use super::map::Grid;
use crate::error::Result;
use crate::plan::Values;
use crate::text::fault;

/// What a method reads besides its layer's activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// Activations and the gradient of the target.
    Gradients,
    /// Activations and the weights of the classifier.
    HeadWeights,
}

/// What a method costs in passes through the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Forward passes.
    pub forward: usize,
    /// Reverse walks; one serves every layer and every method.
    pub backward: usize,
}

/// The values that a parameter can take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Domain {
    /// One of several words; the first is the default.
    Choice(&'static [&'static str]),
    /// A number.
    Number {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
        /// The value unless another is given.
        default: f64,
    },
}

/// A parameter of a method.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Param {
    /// Name on the command line, `--set METHOD.PARAM=VALUE`.
    pub id: &'static str,
    /// What it changes.
    pub help: &'static str,
    /// The values that it can take.
    pub domain: Domain,
}

impl Param {
    /// The value unless another is given, as text.
    pub fn default_text(&self) -> String {
        match self.domain {
            Domain::Choice(words) => words.first().copied().unwrap_or_default().to_owned(),
            Domain::Number { default, .. } => default.to_string(),
        }
    }

    fn accepts(&self, value: &str) -> bool {
        match self.domain {
            Domain::Choice(words) => words.contains(&value),
            Domain::Number { min, max, .. } => value
                .parse::<f64>()
                .is_ok_and(|v| v.is_finite() && (min..=max).contains(&v)),
        }
    }

    fn expected(&self) -> String {
        match self.domain {
            Domain::Choice(words) => words.join(", "),
            Domain::Number { min, max, .. } => format!("{min} to {max}"),
        }
    }
}

/// A published source.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Citation {
    /// Authors, title, venue and year in one line.
    pub text: &'static str,
    /// BibTeX entry.
    pub bibtex: &'static str,
}

/// An explanation method.
#[derive(Clone, Copy, Serialize)]
pub struct Method {
    /// Name on the command line and in manifests.
    pub id: &'static str,
    /// Name for people.
    pub label: &'static str,
    /// Family for menus.
    pub family: &'static str,
    /// Whether the map depends on the class that is asked about.
    pub class_discriminative: bool,
    /// What it reads.
    pub reads: Reads,
    /// What it costs.
    pub cost: Cost,
    /// Parameters.
    pub params: &'static [Param],
    /// What the map shows, in a sentence or two.
    pub shows: &'static str,
    /// Where it is known to mislead.
    pub weakness: &'static str,
    /// Formula in the paper's symbols.
    pub formula: &'static str,
    /// Where it comes from.
    pub citation: Citation,
    /// How the computation is done.
    #[serde(skip)]
    pub(super) compute: fn(&Evidence<'_>, &Values) -> Result<Grid>,
}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

impl Method {
    /// Checks parameters given by the user.
    ///
    /// # Errors
    /// Names the unknown parameter or the range of a known one.
    pub fn check(&self, values: &Values) -> Result<()> {
        for (id, value) in values {
            let Some(param) = self.params.iter().find(|p| p.id == id) else {
                let known: Vec<&str> = self.params.iter().map(|p| p.id).collect();
                let known = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                };
                return Err(fault::no_such_param(self.id, id, &known));
            };
            if !param.accepts(value) {
                return Err(fault::param_value(self.id, id, value, &param.expected()));
            }
        }
        Ok(())
    }

    /// All parameters with the values that hold.
    pub fn resolved(&self, values: &Values) -> Values {
        self.params
            .iter()
            .map(|p| {
                let value = values
                    .get(p.id)
                    .cloned()
                    .unwrap_or_else(|| p.default_text());
                (p.id.to_owned(), value)
            })
            .collect()
    }
}

/// The method of an id.
///
/// # Errors
/// Lists the ids that are known.
pub fn find(id: &str) -> Result<&'static Method> {
    METHODS.iter().find(|m| m.id == id).ok_or_else(|| {
        let known: Vec<&str> = METHODS.iter().map(|m| m.id).collect();
        fault::no_such_method(id, &known.join(", "))
    })
}

const ONE_PASS: Cost = Cost {
    forward: 1,
    backward: 1,
};

/// Every method, in the order of menus.
pub const METHODS: &[Method] = &[
    Method {
        id: "grad-cam",
        label: "Grad-CAM",
        family: "CAM, gradient-weighted",
        class_discriminative: true,
        reads: Reads::Gradients,
        cost: ONE_PASS,
        params: &[],
        shows: "Channels weighted by how much their mean moves the target. The usual first look; coarse at deep layers.",
        weakness: "Averaging gradients can light places that the network did not use; compare with HiResCAM. At shallow layers the average mixes unrelated places.",
        formula: "M = sum_k alpha_k A_k, alpha_k = mean_ij dy_c/dA_kij",
        citation: Citation {
            text: "Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV 2017, arXiv 1610.02391",
            bibtex: "@inproceedings{selvaraju2017gradcam, title={Grad-{CAM}: Visual Explanations from Deep Networks via Gradient-based Localization}, author={Selvaraju, Ramprasaath R. and Cogswell, Michael and Das, Abhishek and Vedantam, Ramakrishna and Parikh, Devi and Batra, Dhruv}, booktitle={ICCV}, year={2017}}",
        },
        compute: cam::grad_cam,
    },
    Method {
        id: "grad-cam++",
        label: "Grad-CAM++",
        family: "CAM, gradient-weighted",
        class_discriminative: true,
        reads: Reads::Gradients,
        cost: ONE_PASS,
        params: &[Param {
            id: "mode",
            help: "Whose definition: pytorch-grad-cam's, the authors' own code (a second normalisation of the weights), or torchcam's (another denominator)",
            domain: Domain::Choice(&["pytorch-grad-cam", "official", "torchcam"]),
        }],
        shows: "Pixel-wise weights from higher powers of the gradient; meant to catch several instances of a finding.",
        weakness: "With small gradients pytorch-grad-cam's constant 1e-6 in the denominator dominates, so the map depends on the scale of the logits. Implementations differ; see mode.",
        formula: "w_k = sum_ij a_kij relu(G_kij), a = G^2 / (2 G^2 + (sum_ab A_kab) G^3 + 1e-6), M = sum_k w_k A_k",
        citation: Citation {
            text: "Chattopadhay et al., Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional Networks, WACV 2018, arXiv 1710.11063",
            bibtex: "@inproceedings{chattopadhay2018gradcampp, title={Grad-{CAM}++: Generalized Gradient-based Visual Explanations for Deep Convolutional Networks}, author={Chattopadhay, Aditya and Sarkar, Anirban and Howlader, Prantik and Balasubramanian, Vineeth N.}, booktitle={WACV}, year={2018}}",
        },
        compute: cam::grad_cam_pp,
    },
    Method {
        id: "hires-cam",
        label: "HiResCAM",
        family: "CAM, elementwise",
        class_discriminative: true,
        reads: Reads::Gradients,
        cost: ONE_PASS,
        params: &[],
        shows: "Gradient times activation at each place, without averaging. Before a linear head it shows exactly what was added up.",
        weakness: "The guarantee holds at the last convolutional layer of networks that end in pooling and one linear layer; elsewhere gradients are noisy.",
        formula: "M = sum_k G_k * A_k",
        citation: Citation {
            text: "Draelos and Carin, Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks, 2020, arXiv 2011.08891",
            bibtex: "@article{draelos2020hirescam, title={Use {HiResCAM} instead of {Grad-CAM} for faithful explanations of convolutional neural networks}, author={Draelos, Rachel Lea and Carin, Lawrence}, journal={arXiv:2011.08891}, year={2020}}",
        },
        compute: cam::hires_cam,
    },
    Method {
        id: "xgrad-cam",
        label: "XGrad-CAM",
        family: "CAM, gradient-weighted",
        class_discriminative: true,
        reads: Reads::Gradients,
        cost: ONE_PASS,
        params: &[],
        shows: "Grad-CAM with the gradient's mean weighted by the activation, so that channel contributions add up better.",
        weakness: "Divides by the sum of a channel: unstable where activations may be negative (before a ReLU).",
        formula: "w_k = sum_ij G_kij A_kij / (sum_ij A_kij + 1e-7), M = sum_k w_k A_k",
        citation: Citation {
            text: "Fu et al., Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs, BMVC 2020, arXiv 2008.02312",
            bibtex: "@inproceedings{fu2020xgradcam, title={Axiom-based {Grad-CAM}: Towards Accurate Visualization and Explanation of {CNNs}}, author={Fu, Ruigang and Hu, Qingyong and Dong, Xiaohu and Guo, Yulan and Gao, Yinghui and Li, Biao}, booktitle={BMVC}, year={2020}}",
        },
        compute: cam::xgrad_cam,
    },
    Method {
        id: "layer-cam",
        label: "LayerCAM",
        family: "CAM, elementwise",
        class_discriminative: true,
        reads: Reads::Gradients,
        cost: ONE_PASS,
        params: &[],
        shows: "Positive gradient times activation at each place. Made for shallow layers, where it is finer than Grad-CAM.",
        weakness: "Negative evidence is dropped before the sum, so it never speaks against a place. A grid appears at layers right before a stride.",
        formula: "M = sum_k relu(G_k) * A_k",
        citation: Citation {
            text: "Jiang et al., LayerCAM: Exploring Hierarchical Class Activation Maps for Localization, IEEE Transactions on Image Processing 30, 2021",
            bibtex: "@article{jiang2021layercam, title={{LayerCAM}: Exploring Hierarchical Class Activation Maps for Localization}, author={Jiang, Peng-Tao and Zhang, Chang-Bin and Hou, Qibin and Cheng, Ming-Ming and Wei, Yunchao}, journal={IEEE Transactions on Image Processing}, volume={30}, year={2021}}",
        },
        compute: cam::layer_cam,
    },
    Method {
        id: "cam",
        label: "CAM",
        family: "CAM, classifier weights",
        class_discriminative: true,
        reads: Reads::HeadWeights,
        cost: Cost {
            forward: 1,
            backward: 0,
        },
        params: &[],
        shows: "Channels weighted by the classifier's own weights: exactly what the logit is the mean of, less the bias.",
        weakness: "Only where a layer goes through global average pooling into one linear layer; not VGG.",
        formula: "M = sum_k W_ck A_k",
        citation: Citation {
            text: "Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016, arXiv 1512.04150",
            bibtex: "@inproceedings{zhou2016cam, title={Learning Deep Features for Discriminative Localization}, author={Zhou, Bolei and Khosla, Aditya and Lapedriza, Agata and Oliva, Aude and Torralba, Antonio}, booktitle={CVPR}, year={2016}}",
        },
        compute: cam::cam,
    },
];
