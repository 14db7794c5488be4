//! What a network was trained to show of itself.

use super::{Citation, Compute, Method, ONE_FORWARD, Place, Reads};
use crate::explain::attention;

const BUILT_IN: &str = "Built into the network";

pub(super) const ROWS: &[Method] = &[Method {
    id: "abn",
    label: "Attention branch",
    family: BUILT_IN,
    class_discriminative: false,
    reads: Reads::Activations,
    place: Place::Branch,
    cost: ONE_FORWARD,
    params: &[],
    shows: "The attention map of an Attention Branch Network: the factor, 0 to 1, with which the network itself weights its features at each place. It is the sigmoid's output as it is, not normalised; with the colour scale fixed to 0..1 (--normalise 0..1) it is shown as in the paper.",
    weakness: "It is the same for every finding. The features are weighted with 1 + M, so that a dark place is still read, and a bright one need not speak for any finding. Only networks with an attention branch have it.",
    reconstruction: Some(
        "The branch's pools, fixed to inputs of 224 (CIFAR: 32) in the authors' code, are global means here. All other methods explain the perception branch, whose logits are the prediction; relevance propagation counts the map as a constant.",
    ),
    formula: "M = sigmoid(BN(conv_3x3(T))), T = relu(BN(conv_1x1(BN(copy of the last stage at stride 1)(F)))); the perception branch reads F M + F",
    citation: Citation {
        text: "Fukui et al., Attention Branch Network: Learning of Attention Mechanism for Visual Explanation, CVPR 2019, arXiv 1812.10025",
        bibtex: "@inproceedings{fukui2019abn, title={Attention Branch Network: Learning of Attention Mechanism for Visual Explanation}, author={Fukui, Hiroshi and Hirakawa, Tsubasa and Yamashita, Takayoshi and Fujiyoshi, Hironobu}, booktitle={CVPR}, year={2019}}",
    },
    compute: Compute::Map(attention::map),
}];
