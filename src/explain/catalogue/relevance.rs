//! Layer-wise relevance propagation.

use super::{Citation, Compute, Cost, Domain, Method, Param, Place, Reads, passes};
use crate::explain::lrp;

pub(super) const LRP: &str = "Relevance propagation";

const START: Param = Param {
    id: "start",
    help: "What stands at the output: 1 at the class (zennit's habit, so that a negative logit does not turn the map), or the score itself, so that the map is in its units",
    domain: Domain::Choice(&["one", "score"]),
};

pub(super) const ROWS: &[Method] = &[
    Method {
        id: "lrp-epsilon-plus",
        label: "LRP epsilon-plus",
        family: LRP,
        class_discriminative: true,
        reads: Reads::Activations,
        place: Place::Pixels,
        cost: Cost {
            formula: "1 F + one relevance walk of about 3 B, shared by all layers",
            shared: true,
            passes: |_, _| passes(1, 3),
        },
        params: &[START],
        shows: "Relevance handed down from the target to the pixels: positive contributions only at convolutions, epsilon at linear layers. The usual composite; calm and positive.",
        weakness: "Only what speaks for the class survives at convolutions, so maps of different classes look alike.",
        reconstruction: Some(
            "BatchNorm is folded into the convolution before it; DenseNet's BN-ReLU-convolution by thresholds, where zennit documents nothing; gates of squeeze-excite, layer norms and attention follow stand-in rules that the map's notice names.",
        ),
        formula: "conv: R_i = x_i sum_j w_ij^+ R_j / z_j^+; linear: R_i = x_i sum_j w_ij R_j / (z_j + eps sgn z_j)",
        citation: Citation {
            text: "Bach et al., On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation, PLoS ONE 10(7), 2015; rules as in Montavon et al. 2019 and zennit (Anders et al., arXiv 2106.13200)",
            bibtex: "@article{bach2015lrp, title={On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation}, author={Bach, Sebastian and Binder, Alexander and Montavon, Gregoire and Klauschen, Frederick and Mueller, Klaus-Robert and Samek, Wojciech}, journal={PLoS ONE}, volume={10}, number={7}, year={2015}}",
        },
        compute: Compute::Map(lrp::epsilon_plus),
    },
    Method {
        id: "lrp-epsilon",
        label: "LRP epsilon",
        family: LRP,
        class_discriminative: true,
        reads: Reads::Activations,
        place: Place::Pixels,
        cost: Cost {
            formula: "1 F + one relevance walk of about 3 B, shared by all layers",
            shared: true,
            passes: |_, _| passes(1, 3),
        },
        params: &[START],
        shows: "The plain rule at every layer: with a small epsilon it is close to Input x Gradient in networks of rectifiers.",
        weakness: "Noisy: relevance of both signs cancels and grows where denominators are small.",
        reconstruction: Some(
            "BatchNorm is folded into the convolution before it; DenseNet's BN-ReLU-convolution by thresholds, where zennit documents nothing; gates of squeeze-excite, layer norms and attention follow stand-in rules that the map's notice names.",
        ),
        formula: "R_i = x_i sum_j w_ij R_j / (z_j + eps sgn z_j)",
        citation: Citation {
            text: "Bach et al., On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation, PLoS ONE 10(7), 2015; rules as in Montavon et al. 2019 and zennit (Anders et al., arXiv 2106.13200)",
            bibtex: "@article{bach2015lrp, title={On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation}, author={Bach, Sebastian and Binder, Alexander and Montavon, Gregoire and Klauschen, Frederick and Mueller, Klaus-Robert and Samek, Wojciech}, journal={PLoS ONE}, volume={10}, number={7}, year={2015}}",
        },
        compute: Compute::Map(lrp::epsilon),
    },
    Method {
        id: "lrp-epsilon-plus-flat",
        label: "LRP epsilon-plus-flat",
        family: LRP,
        class_discriminative: true,
        reads: Reads::Activations,
        place: Place::Pixels,
        cost: Cost {
            formula: "1 F + one relevance walk of about 3 B, shared by all layers",
            shared: true,
            passes: |_, _| passes(1, 3),
        },
        params: &[START],
        shows: "As epsilon-plus; the first layer spreads relevance evenly over what it sees, which takes away its grid.",
        weakness: "Detail finer than the first layer's window is lost.",
        reconstruction: Some(
            "BatchNorm is folded into the convolution before it; DenseNet's BN-ReLU-convolution by thresholds, where zennit documents nothing; gates of squeeze-excite, layer norms and attention follow stand-in rules that the map's notice names.",
        ),
        formula: "as epsilon-plus; first layer: R_i = sum_j R_j / n_j",
        citation: Citation {
            text: "Bach et al., On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation, PLoS ONE 10(7), 2015; rules as in Montavon et al. 2019 and zennit (Anders et al., arXiv 2106.13200)",
            bibtex: "@article{bach2015lrp, title={On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation}, author={Bach, Sebastian and Binder, Alexander and Montavon, Gregoire and Klauschen, Frederick and Mueller, Klaus-Robert and Samek, Wojciech}, journal={PLoS ONE}, volume={10}, number={7}, year={2015}}",
        },
        compute: Compute::Map(lrp::epsilon_plus_flat),
    },
    Method {
        id: "lrp-epsilon-gamma-box",
        label: "LRP epsilon-gamma-box",
        family: LRP,
        class_discriminative: true,
        reads: Reads::Activations,
        place: Place::Pixels,
        cost: Cost {
            formula: "1 F + one relevance walk of about 3 B, shared by all layers",
            shared: true,
            passes: |_, _| passes(1, 3),
        },
        params: &[START],
        shows: "Positive contributions favoured by gamma = 0.25, negative ones kept; the first layer respects the range of pixels.",
        weakness: "Needs the range of the input: preprocessing that is guessed shifts the map. Gamma is a choice.",
        reconstruction: Some(
            "BatchNorm is folded into the convolution before it; DenseNet's BN-ReLU-convolution by thresholds, where zennit documents nothing; gates of squeeze-excite, layer norms and attention follow stand-in rules that the map's notice names.",
        ),
        formula: "conv: W + gamma W^+ (sign-aware); first: z-box with black and white; linear: epsilon",
        citation: Citation {
            text: "Bach et al., On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation, PLoS ONE 10(7), 2015; rules as in Montavon et al. 2019 and zennit (Anders et al., arXiv 2106.13200)",
            bibtex: "@article{bach2015lrp, title={On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation}, author={Bach, Sebastian and Binder, Alexander and Montavon, Gregoire and Klauschen, Frederick and Mueller, Klaus-Robert and Samek, Wojciech}, journal={PLoS ONE}, volume={10}, number={7}, year={2015}}",
        },
        compute: Compute::Map(lrp::epsilon_gamma_box),
    },
    Method {
        id: "lrp-epsilon-alpha2-beta1",
        label: "LRP epsilon-alpha2-beta1",
        family: LRP,
        class_discriminative: true,
        reads: Reads::Activations,
        place: Place::Pixels,
        cost: Cost {
            formula: "1 F + one relevance walk of about 3 B, shared by all layers",
            shared: true,
            passes: |_, _| passes(1, 3),
        },
        params: &[START],
        shows: "Positive contributions count twice and negative ones once, against them: sharper, with evidence of both signs.",
        weakness: "Relevance grows from layer to layer where negative contributions are strong; values are not comparable with other composites.",
        reconstruction: Some(
            "BatchNorm is folded into the convolution before it; DenseNet's BN-ReLU-convolution by thresholds, where zennit documents nothing; gates of squeeze-excite, layer norms and attention follow stand-in rules that the map's notice names.",
        ),
        formula: "conv: R_i = 2 (positive part) - 1 (negative part); linear: epsilon",
        citation: Citation {
            text: "Bach et al., On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation, PLoS ONE 10(7), 2015; rules as in Montavon et al. 2019 and zennit (Anders et al., arXiv 2106.13200)",
            bibtex: "@article{bach2015lrp, title={On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation}, author={Bach, Sebastian and Binder, Alexander and Montavon, Gregoire and Klauschen, Frederick and Mueller, Klaus-Robert and Samek, Wojciech}, journal={PLoS ONE}, volume={10}, number={7}, year={2015}}",
        },
        compute: Compute::Map(lrp::epsilon_alpha2_beta1),
    },
];
