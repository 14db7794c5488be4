//! Methods of the CAM family that join layers, or that know no class.

use super::{
    AUG_SMOOTH, Citation, Compute, Cost, Domain, EIGEN_SMOOTH, FUSION, Method, ONE_FORWARD,
    ONE_PASS, Param, Place, Reads, SEED, passes,
};
use crate::explain::{cam, eigen, full_grad, options, poly_cam};

const LAYERS: &str = "Several layers";
const FREE: &str = "Principal components and controls";

pub(super) const ROWS: &[Method] = &[
    Method {
        id: "refine-cam",
        label: "RefineCAM",
        family: LAYERS,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Layer,
        cost: ONE_PASS,
        params: &[
            Param {
                id: "base",
                help: "The method whose maps are multiplied",
                domain: Domain::Choice(&[
                    "grad-cam++",
                    "grad-cam",
                    "hires-cam",
                    "xgrad-cam",
                    "layer-cam",
                ]),
            },
            AUG_SMOOTH,
            EIGEN_SMOOTH,
        ],
        shows: "The product of Grad-CAM++ maps of all stages up to the layer: fine as the shallow ones, where the deep ones agree.",
        weakness: "One layer without evidence at a place blackens it whatever the others say; normalisation of each layer hides how strong it is.",
        reconstruction: Some(
            "The stages of the network are the layers that are multiplied; pytorch-grad-cam leaves their choice to the user.",
        ),
        formula: "M = prod_l mm(up(mm(relu(M_l)))), M_l Grad-CAM++ at stage l",
        citation: Citation {
            text: "Domeniconi et al., How to Evaluate and Refine your CAM, 2026, arXiv 2605.14641",
            bibtex: "@article{domeniconi2026refinecam, title={How to Evaluate and Refine your {CAM}}, author={Domeniconi, Luca and Stramiglio, Alessandra and Lombardi, Michele and Salti, Samuele}, journal={arXiv:2605.14641}, year={2026}}",
        },
        compute: Compute::Map(options::refine_cam),
    },
    Method {
        id: "poly-cam",
        label: "Poly-CAM",
        family: LAYERS,
        class_discriminative: true,
        reads: Reads::ActivationsAndOutputs,
        place: Place::Layer,
        cost: Cost {
            formula: "1 F + sum over stages of K F (twice that for mode +-)",
            shared: false,
            passes: |l, s| {
                let all: usize = l.stages.iter().sum();
                passes(1 + all * if s.is("mode", "+-") { 2 } else { 1 }, 0)
            },
        },
        params: &[
            Param {
                id: "mode",
                help: "What a channel's weight is: the probability when only its places are kept (+), the loss when they are hidden (-), or both",
                domain: Domain::Choice(&["+", "-", "+-"]),
            },
            AUG_SMOOTH,
        ],
        shows: "Scores of masked inputs at several layers, joined so that shallow layers sharpen what deep layers found.",
        weakness: "Thousands of passes; masked images are unlike any that the network was trained on.",
        reconstruction: Some(
            "The layers are the network's stages up to this one; percentiles are taken of each channel by itself.",
        ),
        formula: "L = relu(sum_k w_k norm(A_k)); P = relu(L / up(down(L)) * up(P of the deeper layer))",
        citation: Citation {
            text: "Englebert et al., Poly-CAM: High resolution class activation map for convolutional neural networks, ICPR 2022, arXiv 2204.13359",
            bibtex: "@inproceedings{englebert2022polycam, title={{Poly-CAM}: High resolution class activation map for convolutional neural networks}, author={Englebert, Alexandre and Cornu, Olivier and De Vleeschouwer, Christophe}, booktitle={ICPR}, year={2022}}",
        },
        compute: Compute::Steps(poly_cam::begin),
    },
    Method {
        id: "full-grad",
        label: "FullGrad",
        family: LAYERS,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Image,
        cost: ONE_PASS,
        params: &[
            Param {
                id: "mode",
                help: "Each channel normalised by itself (pytorch-grad-cam) or all channels of a layer together (the authors)",
                domain: Domain::Choice(&["pytorch-grad-cam", "official"]),
            },
            AUG_SMOOTH,
        ],
        shows: "Gradient at the input and at the bias of every layer; together they add up to the logit.",
        weakness: "Magnitudes are taken before the sum, so evidence against the class looks like evidence for it. The default normalises each channel and loses how much each one counts.",
        reconstruction: Some(
            "The default is pytorch-grad-cam's, because its maps are what people have; completeness holds in networks of rectifiers, biases of linear layers included.",
        ),
        formula: "M = psi(x * dy/dx) + sum_l sum_k up(psi(b_lk G_lk)), psi the normalised magnitude",
        citation: Citation {
            text: "Srinivas and Fleuret, Full-Gradient Representation for Neural Network Visualization, NeurIPS 2019, arXiv 1905.00780",
            bibtex: "@inproceedings{srinivas2019fullgrad, title={Full-Gradient Representation for Neural Network Visualization}, author={Srinivas, Suraj and Fleuret, Fran{\\c{c}}ois}, booktitle={NeurIPS}, year={2019}}",
        },
        compute: Compute::Map(full_grad::full_grad),
    },
    Method {
        id: "eigen-cam",
        label: "EigenCAM",
        family: FREE,
        class_discriminative: false,
        reads: Reads::Activations,
        place: Place::Layer,
        cost: ONE_FORWARD,
        params: &[AUG_SMOOTH, FUSION],
        shows: "The first principal component of the layer's activations: what most channels have in common.",
        weakness: "It knows no class and no prediction: it shows what stands out in the image, wherever the network's decision came from.",
        reconstruction: Some(
            "The sign, which the decomposition leaves open, is such that the largest magnitude is positive (pytorch-grad-cam keeps what LAPACK gives).",
        ),
        formula: "M = X v_1, X the centred [cells, K] activations, v_1 their first right singular vector",
        citation: Citation {
            text: "Muhammad and Yeasin, Eigen-CAM: Class Activation Map using Principal Components, IJCNN 2020, arXiv 2008.00299",
            bibtex: "@inproceedings{muhammad2020eigencam, title={{Eigen-CAM}: Class Activation Map using Principal Components}, author={Muhammad, Mohammed Bany and Yeasin, Mohammed}, booktitle={IJCNN}, year={2020}}",
        },
        compute: Compute::Map(eigen::eigen_cam),
    },
    Method {
        id: "eigen-grad-cam",
        label: "Eigen-Grad-CAM",
        family: FREE,
        class_discriminative: true,
        reads: Reads::Gradients,
        place: Place::Layer,
        cost: ONE_PASS,
        params: &[AUG_SMOOTH, FUSION],
        shows: "The first principal component of gradient times activation: class-specific and smooth.",
        weakness: "The component's sign says nothing about for or against the class.",
        reconstruction: Some("The sign is such that the largest magnitude is positive."),
        formula: "M = X v_1, X the centred [cells, K] products G * A",
        citation: Citation {
            text: "Gildenblat and contributors, PyTorch library for CAM methods (EigenGradCAM), 2021, github.com/jacobgil/pytorch-grad-cam",
            bibtex: "@misc{gildenblat2021pytorchcam, title={{PyTorch} library for {CAM} methods}, author={Gildenblat, Jacob and contributors}, publisher={GitHub}, howpublished={https://github.com/jacobgil/pytorch-grad-cam}, year={2021}}",
        },
        compute: Compute::Map(eigen::eigen_grad_cam),
    },
    Method {
        id: "kpca-cam",
        label: "KPCA-CAM",
        family: FREE,
        class_discriminative: false,
        reads: Reads::Activations,
        place: Place::Layer,
        cost: ONE_FORWARD,
        params: &[AUG_SMOOTH, FUSION],
        shows: "As EigenCAM with a kernel: the first component of the activations in a curved space.",
        weakness: "It knows no class. The sigmoid kernel is not positive definite, so a layer may have no component; fine grids are refused, their kernel matrix is too large.",
        reconstruction: Some(
            "Kernel and constants are scikit-learn's defaults, as pytorch-grad-cam uses them; the sign is such that the largest magnitude is positive.",
        ),
        formula: "M = sqrt(lambda_1) e_1 of the double-centred kernel tanh(u.v / K + 1)",
        citation: Citation {
            text: "Karmani et al., KPCA-CAM: Visual Explainability of Deep Computer Vision Models using Kernel PCA, 2024, arXiv 2410.00267",
            bibtex: "@article{karmani2024kpcacam, title={{KPCA-CAM}: Visual Explainability of Deep Computer Vision Models using Kernel {PCA}}, author={Karmani, Sachin and Sivakaran, Thanushon and Prasad, Gaurav and Ali, Mehmet and Yang, Wenbo and Tang, Sheyang}, journal={arXiv:2410.00267}, year={2024}}",
        },
        compute: Compute::Map(eigen::kpca_cam),
    },
    Method {
        id: "fem",
        label: "FEM",
        family: FREE,
        class_discriminative: false,
        reads: Reads::Activations,
        place: Place::Layer,
        cost: ONE_FORWARD,
        params: &[AUG_SMOOTH, EIGEN_SMOOTH, FUSION],
        shows: "Channels weighted by how many of their cells are unusually strong.",
        weakness: "It knows no class and no prediction; a channel with one strong spot in the wrong place counts as much as one in the right place.",
        reconstruction: None,
        formula: "w_k = share of cells with A_kij > mean_k + 2 sd_k, M = sum_k w_k A_k",
        citation: Citation {
            text: "Fuad et al., Features Understanding in 3D CNNs for Actions Recognition in Video, IPTA 2020",
            bibtex: "@inproceedings{fuad2020fem, title={Features Understanding in {3D CNNs} for Actions Recognition in Video}, author={Fuad, Kazi Ahmed Asif and Martin, Pierre-Etienne and Giot, Romain and Bourqui, Romain and Benois-Pineau, Jenny and Zemmari, Akka}, booktitle={IPTA}, year={2020}}",
        },
        compute: Compute::Channels(cam::fem),
    },
    Method {
        id: "random-cam",
        label: "Random CAM (control)",
        family: FREE,
        class_discriminative: false,
        reads: Reads::Activations,
        place: Place::Layer,
        cost: ONE_FORWARD,
        params: &[SEED, AUG_SMOOTH, EIGEN_SMOOTH, FUSION],
        shows: "Channels weighted at random: the control. A method whose map looks no better than this one has shown nothing.",
        weakness: "By design it says nothing about the network's decision.",
        reconstruction: None,
        formula: "M = sum_k w_k A_k, w_k uniform in -1..1",
        citation: Citation {
            text: "Gildenblat and contributors, PyTorch library for CAM methods (RandomCAM), 2021, github.com/jacobgil/pytorch-grad-cam",
            bibtex: "@misc{gildenblat2021pytorchcam, title={{PyTorch} library for {CAM} methods}, author={Gildenblat, Jacob and contributors}, publisher={GitHub}, howpublished={https://github.com/jacobgil/pytorch-grad-cam}, year={2021}}",
        },
        compute: Compute::Channels(cam::random_cam),
    },
];
