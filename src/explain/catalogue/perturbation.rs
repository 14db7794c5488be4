//! Methods that change the input or a layer and watch the score: many passes, step by step.

use super::{
    AUG_SMOOTH, Citation, Compute, Cost, Domain, EIGEN_SMOOTH, Method, Param, Passes, Place, Reads,
    SEED, passes,
};
use crate::explain::{Settings, ablation, kernel_shap, occlusion, rise, score_cam};

const CHANNELS: &str = "Channels, masked or ablated";
const PARTS: &str = "Parts of the input, hidden";

const MOST_ACTIVE: Param = Param {
    id: "channels",
    help: "Only the N channels with the highest activation energy, the others weigh nothing; an approximation, 0 for all of them",
    domain: whole(0.0, 100_000.0, 0.0),
};

const BASELINE: Param = Param {
    id: "baseline",
    help: "What stands where the input is hidden: 0 of the normalised input (the data set's mean colour, Captum's default), black, the image's own mean, or the image blurred",
    domain: Domain::Choice(&["zero", "black", "mean", "blur"]),
};

const fn whole(min: f64, max: f64, default: f64) -> Domain {
    Domain::Number {
        min,
        max,
        default,
        whole: true,
    }
}

/// The unchanged input and `each` passes for each channel that is looked at.
fn per_channel(channels: usize, settings: &Settings, each: usize) -> Passes {
    let looked_at = match settings.count(MOST_ACTIVE.id) {
        0 => channels,
        some => some.min(channels),
    };
    passes(1 + looked_at * each, 0)
}

pub(super) const ROWS: &[Method] = &[
    Method {
        id: "score-cam",
        label: "Score-CAM",
        family: CHANNELS,
        class_discriminative: true,
        reads: Reads::ActivationsAndOutputs,
        place: Place::Layer,
        cost: Cost {
            formula: "1 F + K F",
            shared: false,
            passes: |layout, settings| per_channel(layout.channels, settings, 1),
        },
        params: &[
            Param {
                id: "mode",
                help: "Whose definition: pytorch-grad-cam's (corners aligned, softmax of raw logits over channels), the authors' code (probabilities as weights, no softmax over channels), the paper's (softmax of the increase over channels), or torchcam's (normalised before it is enlarged)",
                domain: Domain::Choice(&["pytorch-grad-cam", "official", "paper", "torchcam"]),
            },
            MOST_ACTIVE,
            AUG_SMOOTH,
            EIGEN_SMOOTH,
        ],
        shows: "Each channel, enlarged to a mask, dims the input; channels that leave the target's score high weigh more. No gradients.",
        weakness: "The softmax over channels makes the weights nearly one-hot where logits are large and nearly equal where they are small. Masks never say what a place does alone, and dimmed inputs are unlike any X-ray. Slow.",
        reconstruction: Some(
            "Constant channels share one pass with a blank input (modes pytorch-grad-cam and torchcam) or weigh nothing (official and paper, where their mask is 0/0). The paper's increase is taken over a blank input, which the softmax does not see.",
        ),
        formula: "H_k = (up(A_k) - min) / (max - min + 1e-8), w = softmax_k y_c(x * H_k), M = sum_k w_k A_k",
        citation: Citation {
            text: "Wang et al., Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks, CVPR Workshops 2020, arXiv 1910.01279",
            bibtex: "@inproceedings{wang2020scorecam, title={{Score-CAM}: Score-Weighted Visual Explanations for Convolutional Neural Networks}, author={Wang, Haofan and Wang, Zifan and Du, Mengnan and Yang, Fan and Zhang, Zijian and Ding, Sirui and Mardziel, Piotr and Hu, Xia}, booktitle={CVPR Workshops}, year={2020}}",
        },
        compute: Compute::Steps(score_cam::score_cam),
    },
    Method {
        id: "ss-cam",
        label: "SS-CAM",
        family: CHANNELS,
        class_discriminative: true,
        reads: Reads::ActivationsAndOutputs,
        place: Place::Layer,
        cost: Cost {
            formula: "1 F + 35 K F",
            shared: false,
            passes: |layout, settings| {
                per_channel(layout.channels, settings, settings.count("samples"))
            },
        },
        params: &[
            Param {
                id: "samples",
                help: "Noisy masks for each channel, N",
                domain: whole(1.0, 1000.0, 35.0),
            },
            Param {
                id: "sd",
                help: "Standard deviation of the noise that is added to a mask, whose values span 0 to 1",
                domain: Domain::Number {
                    min: 0.0,
                    max: 100.0,
                    default: 2.0,
                    whole: false,
                },
            },
            MOST_ACTIVE,
            SEED,
            AUG_SMOOTH,
            EIGEN_SMOOTH,
        ],
        shows: "Score-CAM with noise on the masks, averaged: weights that hang less on the exact shape of a channel.",
        weakness: "Noise with the usual deviation of 2 drowns masks that span 0 to 1, so that channels differ little and the map nears their plain mean. Very slow: 35 passes for each channel.",
        reconstruction: Some(
            "As torchcam has it (normalised before it is enlarged, half-pixel centres). Constant channels share their passes. Noise comes from our own seeded generator, so numbers differ from torchcam's by sampling.",
        ),
        formula: "w = softmax_k mean_i y_c(x * (H_k + n_i)), n_i ~ N(0, 2^2), i = 1..35, M = sum_k w_k A_k",
        citation: Citation {
            text: "Wang, Naidu, Michael and Kundu, SS-CAM: Smoothed Score-CAM for Sharper Visual Feature Localization, 2020, arXiv 2006.14255",
            bibtex: "@article{wang2020sscam, title={{SS-CAM}: Smoothed {Score-CAM} for Sharper Visual Feature Localization}, author={Wang, Haofan and Naidu, Rakshit and Michael, Joy and Kundu, Soumya Snigdha}, journal={arXiv:2006.14255}, year={2020}}",
        },
        compute: Compute::Steps(score_cam::ss_cam),
    },
    Method {
        id: "is-cam",
        label: "IS-CAM",
        family: CHANNELS,
        class_discriminative: true,
        reads: Reads::ActivationsAndOutputs,
        place: Place::Layer,
        cost: Cost {
            formula: "1 F + 10 K F",
            shared: false,
            passes: |layout, settings| {
                per_channel(layout.channels, settings, settings.count("samples"))
            },
        },
        params: &[
            Param {
                id: "samples",
                help: "Strengths of each mask, N",
                domain: whole(1.0, 1000.0, 10.0),
            },
            MOST_ACTIVE,
            AUG_SMOOTH,
            EIGEN_SMOOTH,
        ],
        shows: "Score-CAM with the score averaged over masks of growing strength.",
        weakness: "The strengths go far beyond 1 (0.1, 0.3, 0.6 up to 5.5 for N = 10), so most passes see an input brighter than any X-ray. Slow: 10 passes for each channel.",
        reconstruction: Some(
            "As torchcam has it (normalised before it is enlarged, half-pixel centres). Constant channels share their passes.",
        ),
        formula: "w = softmax_k mean_i y_c(x * s_i H_k), s_i = sum_{j <= i} j / N, i = 1..10, M = sum_k w_k A_k",
        citation: Citation {
            text: "Naidu, Ghosh, Maurya, Nayak and Kundu, IS-CAM: Integrated Score-CAM for axiomatic-based explanations, 2020, arXiv 2010.03023",
            bibtex: "@article{naidu2020iscam, title={{IS-CAM}: Integrated {Score-CAM} for axiomatic-based explanations}, author={Naidu, Rakshit and Ghosh, Ankita and Maurya, Yash and Nayak, Shamanth R. and Kundu, Soumya Snigdha}, journal={arXiv:2010.03023}, year={2020}}",
        },
        compute: Compute::Steps(score_cam::is_cam),
    },
    Method {
        id: "ablation-cam",
        label: "Ablation-CAM",
        family: CHANNELS,
        class_discriminative: true,
        reads: Reads::ActivationsAndOutputs,
        place: Place::Layer,
        cost: Cost {
            formula: "1 F + K passes from the layer on (F at most)",
            shared: false,
            passes: |layout, _| passes(1 + layout.channels, 0),
        },
        params: &[
            Param {
                id: "mode",
                help: "Whose definition: pytorch-grad-cam's (an ablated channel is 0 where the layer's smallest value is 0, otherwise 1e7 below it; the fall of the score divided by the score with its sign), or the paper's (always 0; divided by the score's magnitude)",
                domain: Domain::Choice(&["pytorch-grad-cam", "paper"]),
            },
            AUG_SMOOTH,
            EIGEN_SMOOTH,
        ],
        shows: "Channels weighted by how much the target's score falls when they are taken out. No gradients. Only what stands behind the layer runs again.",
        weakness: "One channel at a time: where several carry the same finding, none is missed and all look unimportant. Divides by the score: with a score of 0 or below, signs turn (mode pytorch-grad-cam) and near 0 weights explode. At layers without a ReLU pytorch-grad-cam's value is far outside what the network ever sees.",
        reconstruction: Some(
            "The magnitude in the paper's mode, |y| + 1e-8, is our guard. pytorch-grad-cam takes the smallest value anew in every batch, with what it ablated before; ours is the layer's own. Channels that ablation leaves as they are have weight 0 without a pass.",
        ),
        formula: "w_k = (y_c - y_c without A_k) / y_c, M = sum_k w_k A_k",
        citation: Citation {
            text: "Desai and Ramaswamy, Ablation-CAM: Visual Explanations for Deep Convolutional Network via Gradient-free Localization, WACV 2020",
            bibtex: "@inproceedings{desai2020ablationcam, title={{Ablation-CAM}: Visual Explanations for Deep Convolutional Network via Gradient-free Localization}, author={Desai, Saurabh and Ramaswamy, Harish G.}, booktitle={WACV}, year={2020}}",
        },
        compute: Compute::Steps(ablation::begin),
    },
    Method {
        id: "occlusion",
        label: "Occlusion",
        family: PARTS,
        class_discriminative: true,
        reads: Reads::Outputs,
        place: Place::Image,
        cost: Cost {
            formula: "1 F + one F a window",
            shared: false,
            passes: |layout, settings| {
                let (window, stride) = (settings.count("window"), settings.count("stride"));
                let windows = occlusion::windows(layout.input, window, stride.clamp(1, window));
                passes(1 + windows, 0)
            },
        },
        params: &[
            Param {
                id: "window",
                help: "Side of the square that hides a part of the input, in pixels",
                domain: whole(1.0, 4096.0, 32.0),
            },
            Param {
                id: "stride",
                help: "Pixels between neighbouring squares; at most the window, so that none is left out",
                domain: whole(1.0, 4096.0, 16.0),
            },
            BASELINE,
        ],
        shows: "How much the target's score falls when a square is hidden, averaged over the squares that cover a pixel. Any network, no layer.",
        weakness: "A finding larger than the window is never hidden whole, and one that stands twice is not missed. A grey or black square is itself a feature that the network may react to; compare baselines.",
        reconstruction: Some(
            "Placement and averaging are Captum's; window and stride are our default (Captum has none), and so are the baselines black and blur.",
        ),
        formula: "M(p) = mean over windows W with p in W of y_c(x) - y_c(x with W hidden)",
        citation: Citation {
            text: "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, arXiv 1311.2901",
            bibtex: "@inproceedings{zeiler2014visualizing, title={Visualizing and Understanding Convolutional Networks}, author={Zeiler, Matthew D. and Fergus, Rob}, booktitle={ECCV}, year={2014}}",
        },
        compute: Compute::Steps(occlusion::begin),
    },
    Method {
        id: "rise",
        label: "RISE",
        family: PARTS,
        class_discriminative: true,
        reads: Reads::Outputs,
        place: Place::Image,
        cost: Cost {
            formula: "1 F + N F",
            shared: false,
            passes: |_, settings| passes(1 + settings.count("samples"), 0),
        },
        params: &[
            Param {
                id: "samples",
                help: "Random masks N. The authors' code has 6000; the map's notice says how far it has settled",
                domain: whole(1.0, 1_000_000.0, 2000.0),
            },
            Param {
                id: "cells",
                help: "Cells s of a mask along each axis: more are finer and need more masks",
                domain: whole(1.0, 64.0, 8.0),
            },
            Param {
                id: "keep",
                help: "Probability p that a cell lets the input through",
                domain: Domain::Number {
                    min: 0.01,
                    max: 0.99,
                    default: 0.1,
                    whole: false,
                },
            },
            Param {
                id: "score",
                help: "What weighs a mask: the class's probability, as in the paper, or the target's own score (the raw logit, unless another is asked for)",
                domain: Domain::Choice(&["probability", "target"]),
            },
            SEED,
        ],
        shows: "Mean of random masks, each weighted with the probability of what it lets through. Any network, no layer.",
        weakness: "Noisy: with few masks the map shows the masks. Its level is the mean score, not 0, so only differences between places count. With p = 0.1 the network sees inputs of which nine tenths are hidden.",
        reconstruction: Some(
            "2000 masks by default for speed; the authors' code draws 6000 with s = 8 and p = 0.1, the paper's own settings (s = 7, p = 0.5) are quoted from memory. Our generator draws other masks than theirs. The standard error is ours.",
        ),
        formula: "M = sum_i p_c(x * m_i) m_i / (N p)",
        citation: Citation {
            text: "Petsiuk, Das and Saenko, RISE: Randomized Input Sampling for Explanation of Black-box Models, BMVC 2018, arXiv 1806.07421",
            bibtex: "@inproceedings{petsiuk2018rise, title={{RISE}: Randomized Input Sampling for Explanation of Black-box Models}, author={Petsiuk, Vitali and Das, Abir and Saenko, Kate}, booktitle={BMVC}, year={2018}}",
        },
        compute: Compute::Steps(rise::begin),
    },
    Method {
        id: "kernel-shap",
        label: "Kernel SHAP",
        family: PARTS,
        class_discriminative: true,
        reads: Reads::Outputs,
        place: Place::Image,
        cost: Cost {
            formula: "2 F + (2 M + 512) F for M pieces",
            shared: false,
            passes: |_, settings| {
                let coalitions = kernel_shap::coalitions(settings.count("segments"), settings);
                passes(2 + coalitions, 0)
            },
        },
        params: &[
            Param {
                id: "segments",
                help: "Pieces that the input is cut into, about M",
                domain: whole(1.0, 1000.0, 50.0),
            },
            Param {
                id: "pieces",
                help: "How it is cut: superpixels that follow edges (SLIC), or a plain grid",
                domain: Domain::Choice(&["slic", "grid"]),
            },
            Param {
                id: "samples",
                help: "Coalitions that are scored; 0 for 2 M + 512, or all where there are fewer",
                domain: whole(0.0, 1_000_000.0, 0.0),
            },
            BASELINE,
            SEED,
        ],
        shows: "Shapley values of the pieces: how the difference between the input's score and the baseline's is shared out among them. The map adds up to that difference.",
        weakness: "A hidden piece is replaced by a baseline that no X-ray has; other baselines give other values. The pieces are ours, not the network's, and a finding cut in two shares its value.",
        reconstruction: Some(
            "The sum is exact by a constraint (Captum adds two rows of weight 1e6). Coalitions are drawn in pairs with their complements; Captum draws 25 single ones. Each value is spread over its piece's pixels, so that the map adds up. SLIC runs on grey levels; compactness 0.1 for levels in 0 to 1.",
        ),
        formula: "phi = argmin sum_z (y_c(h(z)) - y_c(h(0)) - z . phi)^2 (M - 1) / (C(M, |z|) |z| (M - |z|)), with sum_i phi_i = y_c(x) - y_c(h(0))",
        citation: Citation {
            text: "Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017, arXiv 1705.07874",
            bibtex: "@inproceedings{lundberg2017unified, title={A Unified Approach to Interpreting Model Predictions}, author={Lundberg, Scott M. and Lee, Su-In}, booktitle={NeurIPS}, year={2017}}",
        },
        compute: Compute::Steps(kernel_shap::begin),
    },
];
