//! Methods that follow gradients to the input.

use super::{Citation, Compute, Cost, Domain, Method, ONE_PASS, Param, Place, Reads, SEED, passes};
use crate::explain::baseline::BASELINE;
use crate::explain::{deep_lift, gradient_shap, guided, integrated, pixels};

const PLAIN: &str = "Gradients at pixels";
const PATHS: &str = "Paths from a baseline";

pub(super) const ROWS: &[Method] = &[
    Method {
        id: "saliency",
        label: "Saliency",
        family: PLAIN,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Pixels,
        cost: ONE_PASS,
        params: &[],
        shows: "How strongly the target answers to each pixel: the largest gradient among its channels.",
        weakness: "Noisy, and without a sign: it shows what the target is sensitive to, not what it was made of.",
        reconstruction: None,
        formula: "M = max_ch |dy/dx|",
        citation: Citation {
            text: "Simonyan et al., Deep Inside Convolutional Networks: Visualising Image Classification Models and Saliency Maps, 2013, arXiv 1312.6034",
            bibtex: "@article{simonyan2013saliency, title={Deep Inside Convolutional Networks: Visualising Image Classification Models and Saliency Maps}, author={Simonyan, Karen and Vedaldi, Andrea and Zisserman, Andrew}, journal={arXiv:1312.6034}, year={2013}}",
        },
        compute: Compute::Map(pixels::saliency),
    },
    Method {
        id: "input-x-gradient",
        label: "Input x Gradient",
        family: PLAIN,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Pixels,
        cost: ONE_PASS,
        params: &[],
        shows: "Gradient times pixel: a first-order account of what each pixel adds to the target.",
        weakness: "Dark pixels of the normalised image (its mean colour) always count 0, whatever they mean. Noisy, as gradients are.",
        reconstruction: None,
        formula: "M = sum_ch x * dy/dx",
        citation: Citation {
            text: "Shrikumar et al., Not Just a Black Box: Learning Important Features Through Propagating Activation Differences, 2016, arXiv 1605.01713",
            bibtex: "@article{shrikumar2016blackbox, title={Not Just a Black Box: Learning Important Features Through Propagating Activation Differences}, author={Shrikumar, Avanti and Greenside, Peyton and Shcherbina, Anna and Kundaje, Anshul}, journal={arXiv:1605.01713}, year={2016}}",
        },
        compute: Compute::Map(pixels::input_x_gradient),
    },
    Method {
        id: "smooth-grad",
        label: "SmoothGrad",
        family: PLAIN,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Pixels,
        cost: Cost {
            formula: "N F + N B, N samples",
            shared: false,
            passes: |_, s| passes(s.count("samples"), s.count("samples")),
        },
        params: &[
            Param {
                id: "samples",
                help: "Noisy copies of the input",
                domain: Domain::Number {
                    min: 1.0,
                    max: 1000.0,
                    default: 25.0,
                    whole: true,
                },
            },
            Param {
                id: "noise",
                help: "Standard deviation of the noise, as a share of the input's range",
                domain: Domain::Number {
                    min: 0.0,
                    max: 1.0,
                    default: 0.15,
                    whole: false,
                },
            },
            Param {
                id: "mode",
                help: "Sum of channels with their sign, largest magnitude, or mean of squares",
                domain: Domain::Choice(&["signed", "magnitude", "squared"]),
            },
            SEED,
        ],
        shows: "The gradient averaged over noisy copies of the input: what stays is not due to single pixels.",
        weakness: "Looks convincing because it is smooth; with squares it loses the sign, and noise takes the input away from what the network knows.",
        reconstruction: Some(
            "Number of samples and noise are the paper's; the sign is kept by default (PAIR squares, Captum takes 5 samples of absolute noise 1).",
        ),
        formula: "M = sum_ch mean_n dy/dx(x + noise_n)",
        citation: Citation {
            text: "Smilkov et al., SmoothGrad: removing noise by adding noise, 2017, arXiv 1706.03825",
            bibtex: "@article{smilkov2017smoothgrad, title={{SmoothGrad}: removing noise by adding noise}, author={Smilkov, Daniel and Thorat, Nikhil and Kim, Been and Vi{\\'e}gas, Fernanda and Wattenberg, Martin}, journal={arXiv:1706.03825}, year={2017}}",
        },
        compute: Compute::Steps(pixels::smooth_grad),
    },
    Method {
        id: "guided-backprop",
        label: "Guided Backpropagation",
        family: PLAIN,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Pixels,
        cost: Cost {
            formula: "1 F + 1 B of its own",
            shared: true,
            passes: |_, _| passes(1, 1),
        },
        params: &[],
        shows: "The gradient with everything negative dropped at each rectifier: crisp outlines.",
        weakness: "Fails parameter randomisation (Adebayo et al. 2018): with random weights the map looks much the same. It recovers the image's edges, not the network's reasons.",
        reconstruction: Some(
            "Only ReLU is guided, as in Captum; other activations, ReLU6 included, hand back the plain gradient.",
        ),
        formula: "at every ReLU: g * [input > 0] * [g > 0]; M = sum_ch",
        citation: Citation {
            text: "Springenberg et al., Striving for Simplicity: The All Convolutional Net, ICLR workshop 2015, arXiv 1412.6806",
            bibtex: "@inproceedings{springenberg2015guided, title={Striving for Simplicity: The All Convolutional Net}, author={Springenberg, Jost Tobias and Dosovitskiy, Alexey and Brox, Thomas and Riedmiller, Martin}, booktitle={ICLR Workshop}, year={2015}}",
        },
        compute: Compute::Map(guided::guided_backprop),
    },
    Method {
        id: "guided-grad-cam",
        label: "Guided Grad-CAM",
        family: PLAIN,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Layer,
        cost: Cost {
            formula: "1 F + 1 B shared, 1 B of its own",
            shared: true,
            passes: |_, _| passes(1, 2),
        },
        params: &[],
        shows: "Guided backpropagation, kept where the layer's Grad-CAM is positive.",
        weakness: "Fails parameter randomisation (Adebayo et al. 2018): its detail is guided backpropagation's, which draws edges whatever the weights.",
        reconstruction: None,
        formula: "M = (sum_ch guided gradient) * up(relu(Grad-CAM))",
        citation: Citation {
            text: "Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV 2017, arXiv 1610.02391",
            bibtex: "@inproceedings{selvaraju2017gradcam, title={Grad-{CAM}: Visual Explanations from Deep Networks via Gradient-based Localization}, author={Selvaraju, Ramprasaath R. and Cogswell, Michael and Das, Abhishek and Vedantam, Ramakrishna and Parikh, Devi and Batra, Dhruv}, booktitle={ICCV}, year={2017}}",
        },
        compute: Compute::Map(guided::guided_grad_cam),
    },
    Method {
        id: "integrated-gradients",
        label: "Integrated Gradients",
        family: PATHS,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Pixels,
        cost: Cost {
            formula: "2 F + N F + N B, N steps",
            shared: false,
            passes: |_, s| passes(2 + s.count("steps"), s.count("steps")),
        },
        params: &[
            Param {
                id: "steps",
                help: "Points on the path",
                domain: Domain::Number {
                    min: 1.0,
                    max: 1000.0,
                    default: 50.0,
                    whole: true,
                },
            },
            Param {
                id: "rule",
                help: "How the integral is taken; riemann-trapezoid is Captum's, whose weights add up to (N - 1) / N only",
                domain: Domain::Choice(&["gausslegendre", "riemann-trapezoid", "riemann-middle"]),
            },
            BASELINE,
            SEED,
        ],
        shows: "What each pixel adds on the way from an image with nothing to see to this one; the sum is the difference of the scores, and the gap is shown.",
        weakness: "The answer hangs on the baseline: against black, dark places can never count. The path leads through images that no patient has.",
        reconstruction: Some(
            "Captum's rule and baseline are the defaults; the paper's example uses black in pixel space, which is baseline=black. At a layer the line runs between what the layer makes of both images (Captum's LayerIntegratedGradients).",
        ),
        formula: "M = sum_ch (x - x') * integral_0^1 dy/dx(x' + a (x - x')) da",
        citation: Citation {
            text: "Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017, arXiv 1703.01365",
            bibtex: "@inproceedings{sundararajan2017ig, title={Axiomatic Attribution for Deep Networks}, author={Sundararajan, Mukund and Taly, Ankur and Yan, Qiqi}, booktitle={ICML}, year={2017}}",
        },
        compute: Compute::Steps(integrated::begin),
    },
    Method {
        id: "gradient-shap",
        label: "GradientSHAP",
        family: PATHS,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Pixels,
        cost: Cost {
            formula: "N F + N B, N samples; at a layer 1 F more for each baseline",
            shared: false,
            passes: |_, s| passes(1 + s.count("samples"), s.count("samples")),
        },
        params: &[
            Param {
                id: "samples",
                help: "Random points between a baseline and the image",
                domain: Domain::Number {
                    min: 1.0,
                    max: 1000.0,
                    default: 5.0,
                    whole: true,
                },
            },
            Param {
                id: "sd",
                help: "Standard deviation of noise that is added to the image",
                domain: Domain::Number {
                    min: 0.0,
                    max: 5.0,
                    default: 0.0,
                    whole: false,
                },
            },
            Param {
                id: "baseline",
                help: "What the image is compared with; several draws one of four for each sample",
                domain: Domain::Choice(&[
                    "zero", "black", "white", "mean", "blur", "noise", "several",
                ]),
            },
            SEED,
        ],
        shows: "Expected gradients: Integrated Gradients with random points and, with several baselines, an average over what the image is compared with.",
        weakness: "Few samples are noisy: raise them until the map stands still. Approximates Shapley values only if pixels were independent and the network linear.",
        reconstruction: Some(
            "Captum's 5 samples are the default; the set of several baselines is ours.",
        ),
        formula: "M = sum_ch mean_n dy/dx(x'_n + a_n (x - x'_n)) * (x - x'_n), a_n uniform",
        citation: Citation {
            text: "Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017, arXiv 1705.07874",
            bibtex: "@inproceedings{lundberg2017shap, title={A Unified Approach to Interpreting Model Predictions}, author={Lundberg, Scott M. and Lee, Su-In}, booktitle={NeurIPS}, year={2017}}",
        },
        compute: Compute::Steps(gradient_shap::begin),
    },
    Method {
        id: "deep-lift",
        label: "DeepLIFT (rescale)",
        family: PATHS,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Pixels,
        cost: Cost {
            formula: "2 F + 2 B (image and baseline as one batch)",
            shared: false,
            passes: |_, _| passes(2, 2),
        },
        params: &[
            BASELINE,
            Param {
                id: "mode",
                help: "As Captum computes it: ReLU, LeakyReLU, ELU, Sigmoid and Tanh are rescaled and max-pools hand back the plain gradient; exact: every activation is rescaled and max-pools share between both maxima, gates share what both factors did, so that sums are exact for any baseline",
                domain: Domain::Choice(&["captum", "exact"]),
            },
            SEED,
        ],
        shows: "Each unit's share of the difference from a baseline, handed down layer by layer; the sum is the difference of the scores.",
        weakness: "The answer hangs on the baseline. Layer norms and attention hand back plain gradients, and so do gates and smooth activations by Captum's rules: where sums are not exact the gap is shown.",
        reconstruction: Some(
            "What Captum computes is the default; its sums are exact only where the baseline is constant at max-pools (zero and black are), which mode=exact puts right. A probability starts from its mean gradient between both outputs, so that it adds up too.",
        ),
        formula: "m = (y - y') / (x - x') at activations, M = sum_ch m * (x - x')",
        citation: Citation {
            text: "Shrikumar et al., Learning Important Features Through Propagating Activation Differences, ICML 2017, arXiv 1704.02685",
            bibtex: "@inproceedings{shrikumar2017deeplift, title={Learning Important Features Through Propagating Activation Differences}, author={Shrikumar, Avanti and Greenside, Peyton and Kundaje, Anshul}, booktitle={ICML}, year={2017}}",
        },
        compute: Compute::Steps(deep_lift::deep_lift),
    },
    Method {
        id: "deep-shap",
        label: "DeepSHAP",
        family: PATHS,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Pixels,
        cost: Cost {
            formula: "2 N F + 2 N B, N baselines",
            shared: false,
            passes: |_, s| passes(2 * (5 + s.count("noises")), 2 * (5 + s.count("noises"))),
        },
        params: &[
            Param {
                id: "noises",
                help: "Baselines of noise, beside zero, black, white, the image's mean and the image blurred",
                domain: Domain::Number {
                    min: 0.0,
                    max: 100.0,
                    default: 3.0,
                    whole: true,
                },
            },
            Param {
                id: "mode",
                help: "As Captum computes it: ReLU, LeakyReLU, ELU, Sigmoid and Tanh are rescaled and max-pools hand back the plain gradient; exact: every activation is rescaled and max-pools share between both maxima, gates share what both factors did, so that sums are exact for any baseline",
                domain: Domain::Choice(&["captum", "exact"]),
            },
            SEED,
        ],
        shows: "DeepLIFT averaged over several baselines, so that no single idea of nothing decides.",
        weakness: "The set of baselines is a choice; healthy X-rays of the same projection would be the better ones.",
        reconstruction: Some("The set of baselines is ours: libraries leave it to the user."),
        formula: "M = mean over x' of DeepLIFT(x, x')",
        citation: Citation {
            text: "Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017, arXiv 1705.07874",
            bibtex: "@inproceedings{lundberg2017shap, title={A Unified Approach to Interpreting Model Predictions}, author={Lundberg, Scott M. and Lee, Su-In}, booktitle={NeurIPS}, year={2017}}",
        },
        compute: Compute::Steps(deep_lift::deep_shap),
    },
];
