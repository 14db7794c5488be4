//! Layer-wise relevance propagation, and what joins it with CAMs.

use super::{
    AUG_SMOOTH, Citation, Compute, Cost, Domain, Method, NO, NONE, Param, Place, Reads, YES, passes,
};
use crate::explain::{fg_cam, hybrid, lrp};

pub(super) const LRP: &str = "Relevance propagation";
const FINE: &str = "CAM and relevance joined";

const START: Param = Param {
    id: "start",
    help: "What stands at the output: 1 at the class (zennit's habit, so that a negative logit does not turn the map), or the score itself, so that the map is in its units",
    domain: Domain::Choice(&["one", "score"]),
};

const BACH: Citation = Citation {
    text: "Bach et al., On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation, PLoS ONE 10(7), 2015; rules as in Montavon et al. 2019 and zennit (Anders et al., arXiv 2106.13200)",
    bibtex: "@article{bach2015lrp, title={On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation}, author={Bach, Sebastian and Binder, Alexander and Montavon, Gregoire and Klauschen, Frederick and Mueller, Klaus-Robert and Samek, Wojciech}, journal={PLoS ONE}, volume={10}, number={7}, year={2015}}",
};

const SHORTCUT: Param = Param {
    id: "shortcut",
    help: "A ResNet's shortcut skips every second cell, which leaves a lattice of dots on finer maps. strict: as the network has it; window: its share is divided among all cells of the stride's window (ours)",
    domain: Domain::Choice(&["strict", "window"]),
};

const CANONICAL: &str = "BatchNorm is folded into the convolution before it; DenseNet's BN-ReLU-convolution by thresholds, where zennit documents nothing; gates of squeeze-excite, layer norms and attention follow stand-in rules that the map's notice names.";

const ONE_WALK: Cost = Cost {
    formula: "1 F + one relevance walk of about 3 B, shared by all layers",
    shared: true,
    passes: |_, _| passes(1, 3),
};

pub(super) const ROWS: &[Method] = &[
    Method {
        id: "lrp-epsilon-plus",
        label: "LRP epsilon-plus",
        family: LRP,
        class_discriminative: true,
        reads: Reads::Activations,
        place: Place::Pixels,
        cost: ONE_WALK,
        params: &[START, SHORTCUT],
        shows: "Relevance handed down from the target to the pixels: positive contributions only at convolutions, epsilon at linear layers. The usual composite; calm and positive.",
        weakness: "Only what speaks for the class survives at convolutions, so maps of different classes look alike.",
        reconstruction: Some(CANONICAL),
        formula: "conv: R_i = x_i sum_j w_ij^+ R_j / z_j^+; linear: R_i = x_i sum_j w_ij R_j / (z_j + eps sgn z_j)",
        citation: BACH,
        compute: Compute::Map(lrp::epsilon_plus),
    },
    Method {
        id: "lrp-epsilon",
        label: "LRP epsilon",
        family: LRP,
        class_discriminative: true,
        reads: Reads::Activations,
        place: Place::Pixels,
        cost: ONE_WALK,
        params: &[START, SHORTCUT],
        shows: "The plain rule at every layer: with a small epsilon it is close to Input x Gradient in networks of rectifiers.",
        weakness: "Noisy: relevance of both signs cancels and grows where denominators are small.",
        reconstruction: Some(CANONICAL),
        formula: "R_i = x_i sum_j w_ij R_j / (z_j + eps sgn z_j)",
        citation: BACH,
        compute: Compute::Map(lrp::epsilon),
    },
    Method {
        id: "lrp-epsilon-plus-flat",
        label: "LRP epsilon-plus-flat",
        family: LRP,
        class_discriminative: true,
        reads: Reads::Activations,
        place: Place::Pixels,
        cost: ONE_WALK,
        params: &[START, SHORTCUT],
        shows: "As epsilon-plus; the first layer spreads relevance evenly over what it sees, which takes away its grid.",
        weakness: "Detail finer than the first layer's window is lost.",
        reconstruction: Some(CANONICAL),
        formula: "as epsilon-plus; first layer: R_i = sum_j R_j / n_j",
        citation: BACH,
        compute: Compute::Map(lrp::epsilon_plus_flat),
    },
    Method {
        id: "lrp-epsilon-gamma-box",
        label: "LRP epsilon-gamma-box",
        family: LRP,
        class_discriminative: true,
        reads: Reads::Activations,
        place: Place::Pixels,
        cost: ONE_WALK,
        params: &[START, SHORTCUT],
        shows: "Positive contributions favoured by gamma = 0.25, negative ones kept; the first layer respects the range of pixels.",
        weakness: "Needs the range of the input: preprocessing that is guessed shifts the map. Gamma is a choice.",
        reconstruction: Some(CANONICAL),
        formula: "conv: W + gamma W^+ (sign-aware); first: z-box with black and white; linear: epsilon",
        citation: BACH,
        compute: Compute::Map(lrp::epsilon_gamma_box),
    },
    Method {
        id: "lrp-epsilon-alpha2-beta1",
        label: "LRP epsilon-alpha2-beta1",
        family: LRP,
        class_discriminative: true,
        reads: Reads::Activations,
        place: Place::Pixels,
        cost: ONE_WALK,
        params: &[START, SHORTCUT],
        shows: "Positive contributions count twice and negative ones once, against them: sharper, with evidence of both signs.",
        weakness: "Relevance grows from layer to layer where negative contributions are strong; values are not comparable with other composites.",
        reconstruction: Some(CANONICAL),
        formula: "conv: R_i = 2 (positive part) - 1 (negative part); linear: epsilon",
        citation: BACH,
        compute: Compute::Map(lrp::epsilon_alpha2_beta1),
    },
    Method {
        id: "lrp",
        label: "LRP, own rules",
        family: LRP,
        class_discriminative: true,
        reads: Reads::Activations,
        place: Place::Pixels,
        cost: ONE_WALK,
        params: &[
            Param {
                id: "rules",
                help: "A rule for each kind of layer or name, the last that fits counts: conv, linear, first (the first layer with weights), a name with * for any letters; rules epsilon(e), z-plus, gamma(g), alpha-beta(a,b), z-box, flat, w-square, norm, pass, z-plus-exact, image-box. The default: epsilon at linear layers, gamma at convolutions, flat at the image",
                domain: Domain::Rules {
                    default: "conv=gamma(0.25),linear=epsilon,first=flat",
                },
            },
            START,
            SHORTCUT,
        ],
        shows: "Relevance under rules that you choose, layer by layer.",
        weakness: "What the map shows is as much the choice of rules as the network: compare with a known composite.",
        reconstruction: Some(CANONICAL),
        formula: "as the rules of each layer say",
        citation: BACH,
        compute: Compute::Map(lrp::own),
    },
    Method {
        id: "fg-cam",
        label: "FG-CAM",
        family: FINE,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Layer,
        cost: Cost {
            formula: "1 F + 1 B + one relevance walk of about 3 B, shared by all layers; bases that mask channels add their K F at the last layer",
            shared: true,
            passes: |layout, settings| {
                let masked = ["score-cam", "ss-cam", "is-cam", "ablation-cam"];
                let own = match masked.contains(&settings.word("base")) {
                    true => layout.last,
                    false => 0,
                };
                passes(1 + own, 4)
            },
        },
        params: &[
            Param {
                id: "base",
                help: "The CAM whose channels at the last layer are handed down; of Score-CAM the authors' own form",
                domain: Domain::Choice(&[
                    "grad-cam",
                    "score-cam",
                    "grad-cam++",
                    "xgrad-cam",
                    "hires-cam",
                    "layer-cam",
                    "elementwise-cam",
                    "cam",
                    "ablation-cam",
                ]),
            },
            Param {
                id: "denoise",
                help: "Keeps only what many channels share: the leading singular values of channels by places",
                domain: Domain::Choice(&[NO, YES]),
            },
            Param {
                id: "keep",
                help: "Share of the singular values that denoising keeps, at least one of them (the authors' code: a tenth)",
                domain: Domain::Number {
                    min: 0.01,
                    max: 1.0,
                    default: 0.1,
                    whole: false,
                },
            },
            Param {
                id: "mean",
                help: "What becomes of each channel's mean, which denoising subtracts: dropped (the authors' code), or added back",
                domain: Domain::Choice(&["dropped", "added-back"]),
            },
            Param {
                id: "batch-norm",
                help: "official: relevance passes by BatchNorm and the convolution keeps its weights, whatever the sign of BatchNorm's; folded: BatchNorm goes into the convolution. auto: official in plain chains as VGG, folded in networks with branches",
                domain: Domain::Choice(&["auto", "official", "folded"]),
            },
            SHORTCUT,
            AUG_SMOOTH,
        ],
        shows: "A CAM at the resolution of the layer you choose: its channels are handed down from the last layer by positive contributions, so the deepest map and the finest tell the same story.",
        weakness: "Only positive contributions count on the way down, and below the last layer nothing depends on the class any more than the CAM it began with. Denoising as published drops each channel's mean, which can turn the map's sign.",
        reconstruction: Some(
            "The authors' code is for VGG only. ResNet and DenseNet are our extension: BatchNorm folded where a convolution stands before it and passed elsewhere, residual sums divided in proportion to their positive parts, concatenations sliced, gates constant. At least one singular value is kept.",
        ),
        formula: "I_k = w_k A_k at the last layer; conv: I' = x^+ (W^+)^T s + x^- (W^-)^T s, s = I / (W^+ x^+ + W^- x^-); M = sum_k I_k",
        citation: Citation {
            text: "Qiu, Jin and Zhang, Empowering CAM-Based Methods with Capability to Generate Fine-Grained and High-Faithfulness Explanations, 2023, arXiv 2303.09171",
            bibtex: "@article{qiu2023fgcam, title={Empowering {CAM}-Based Methods with Capability to Generate Fine-Grained and High-Faithfulness Explanations}, author={Qiu, Changqing and Jin, Fusheng and Zhang, Yining}, journal={arXiv:2303.09171}, year={2023}}",
        },
        compute: Compute::Steps(fg_cam::begin),
    },
    Method {
        id: "grad-cam-lrp",
        label: "Grad-CAM x LRP",
        family: FINE,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Layer,
        cost: Cost {
            formula: "1 F + 1 B + one relevance walk of about 3 B, shared by all layers",
            shared: true,
            passes: |_, _| passes(1, 4),
        },
        params: &[
            Param {
                id: "cam",
                help: "The CAM that says where (a summary of the paper names Grad-CAM++)",
                domain: Domain::Choice(&["grad-cam++", "grad-cam"]),
            },
            Param {
                id: "relevance",
                help: "The rules of the relevance that says what; the paper does not tell them",
                domain: Domain::Choice(&[
                    "epsilon-plus",
                    "epsilon",
                    "epsilon-plus-flat",
                    "epsilon-gamma-box",
                    "epsilon-alpha2-beta1",
                ]),
            },
            SHORTCUT,
            Param {
                id: "denoise",
                help: "Where the CAM is cut to 0: Otsu's threshold, its mean, a fixed share of its largest value, or nowhere; ours, the paper does not tell",
                domain: Domain::Choice(&["otsu", "mean", "fixed", NONE]),
            },
            Param {
                id: "threshold",
                help: "The fixed threshold, as a share of the CAM's largest value (with denoise = fixed)",
                domain: Domain::Number {
                    min: 0.0,
                    max: 1.0,
                    default: 0.2,
                    whole: false,
                },
            },
            Param {
                id: "sigma",
                help: "Standard deviation of the Gaussian blur in percent of the input's longer side; ours, the paper does not tell. Files hold the product before the blur",
                domain: Domain::Number {
                    min: 0.0,
                    max: 10.0,
                    default: 1.0,
                    whole: false,
                },
            },
            Param {
                id: "stage",
                help: "Which of the stages is shown: the blurred product, the product as it is, the denoised CAM, or the relevance",
                domain: Domain::Choice(&["blurred", "product", "cam", "lrp"]),
            },
            AUG_SMOOTH,
        ],
        shows: "Fine relevance where a CAM agrees: the CAM says where the evidence lies, relevance which structures there.",
        weakness: "Where either parent is wrong the product is blank, and it cannot tell which; a threshold and a blur stand between the network and the picture.",
        reconstruction: Some(
            "No code was published and the paper's text does not give threshold, rules or blur: Otsu's threshold, epsilon-plus and a sigma of 1 % of the longer side are ours, and so is the order of normalising and enlarging (pytorch-grad-cam's).",
        ),
        formula: "P = G(sigma) * (g [g >= tau] . mean_c LRP(x)), g = mm(up(mm(relu(Grad-CAM++))))",
        citation: Citation {
            text: "Dhore, Bhat, Nerlekar, Chavhan and Umare, a hybrid of Grad-CAM and LRP, 2024, arXiv 2405.12175",
            bibtex: "@article{dhore2024hybrid, title={Enhancing Explainable {AI}: A Hybrid Approach Combining {GradCAM} and {LRP} for {CNN} Interpretability}, author={Dhore, Vaibhav and Bhat, Achintya and Nerlekar, Viraj and Chavhan, Kashyap and Umare, Aniket}, journal={arXiv:2405.12175}, year={2024}}",
        },
        compute: Compute::Map(hybrid::grad_cam_lrp),
    },
];
