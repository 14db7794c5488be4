//! What is said beside a result that stands: guesses, empty maps, fallbacks.

// ---- images ------------------------------------------------------------------------------------

/// All pixels have one value.
pub fn image_is_constant(value: f32) -> String {
    format!("Every pixel has the value {value}: there is nothing to see in this picture")
}

/// A deep file whose values stay far below white.
pub fn image_uses_few_bits(bits_used: u32, bits: u32, most: f32, max_value: f32) -> String {
    format!(
        "Values use {bits_used} of {bits} bits (largest {most}, white is {max_value}): \
         the model sees a nearly black picture; rescale the file to its full range"
    )
}

/// A narrow band of values somewhere in a wide range.
pub fn image_is_flat(lo: f32, hi: f32, max_value: f32) -> String {
    format!(
        "Values lie between {lo} and {hi} of 0 to {max_value}: the model sees a nearly uniform picture; \
         rescale the file to its full range"
    )
}

/// Bright margins around a dark middle.
pub fn image_looks_inverted() -> String {
    "The picture looks inverted (bright margins, dark middle): models expect air to be dark; if so, turn its grey levels"
        .to_owned()
}

/// A modality that is no plain X-ray.
pub fn not_an_x_ray(modality: &str) -> String {
    format!("The header says modality {modality}: the model was made for plain X-rays (CR, DX)")
}

/// Another body part.
pub fn not_a_chest(part: &str) -> String {
    format!("The header says body part {part}: the model was made for the chest")
}

/// Not a frontal view.
pub fn lateral_view(view: &str) -> String {
    format!(
        "The header says view {view}, from the side: the model was made for frontal views (PA, AP)"
    )
}

/// In suggested names of files.
pub const FRAME: &str = "frame";

/// Which frame of a file, where it has several.
pub fn frame_of_file(name: &str, frame: usize, frames: usize) -> String {
    format!("{name}, frame {frame} of {frames}")
}

/// A folder with more files than a list takes.
pub fn list_is_cut(most: usize) -> String {
    format!("There are more than {most} files; the first {most} are listed")
}

/// Values below 0.
pub fn image_looks_normalised(lo: f32, hi: f32) -> String {
    format!(
        "Values run from {lo} to {hi} and look normalised already: expected plain grey levels from 0"
    )
}

/// Said beside a map whose finding is under its threshold.
pub const NOT_CALLED: &str = "The model does not call this finding";

/// A prefix was taken off every tensor name.
pub fn prefix_stripped(prefix: &str) -> String {
    format!("the prefix '{prefix}' was taken off the tensor names")
}

/// The state dict stood inside a checkpoint.
pub fn nested(keys: &str) -> String {
    format!("the weights were found under '{keys}' of the checkpoint")
}

/// Old spelling of DenseNet's layers.
pub fn old_densenet_names() -> String {
    "the old DenseNet spelling ('norm.1') was read as the present one ('norm1')".to_owned()
}

/// Tensors that the graph does not use.
pub fn unused_tensors(count: usize, first: &str) -> String {
    format!("{count} tensors of the file are not used by the network, '{first}' first")
}

/// Classifiers that serve training only.
pub fn auxiliary_left_out() -> String {
    "the auxiliary classifiers of training are left out, as in PyTorch's evaluation mode".to_owned()
}

/// A stem whose stride tensors cannot tell.
pub fn cifar_stem() -> String {
    "the first convolution is 3 x 3: it is read as in the authors' networks for CIFAR, stride 1 without a max-pool"
        .to_owned()
}

/// A network with two classifiers.
pub fn two_heads() -> String {
    "probability and logit are the perception head's, which is the prediction; the attention head beside them is the classifier that the attention map was trained with, not calibrated"
        .to_owned()
}

/// Tensors named as Hugging Face transformers names them.
pub fn transformers_names() -> String {
    "the spelling of Hugging Face transformers was read: layers have torchvision's or timm's names"
        .to_owned()
}

/// The activation between the layers of a classifier of several layers, which has no tensors.
pub fn guessed_head(module: &str, act: &str) -> String {
    format!("'{module}' has no tensors: {act} is a guess, from its place behind a linear layer")
}

/// Borders that TensorFlow chooses by the size of the input.
pub fn same_padding(side: usize) -> String {
    format!("borders are TensorFlow's ('SAME') for inputs of {side} x {side}")
}

/// What was seen of a network that is not known.
pub fn layers_seen(outline: &str, convolutions: usize, norms: usize, linears: usize) -> String {
    format!("{outline} ({convolutions} convolutions, {norms} BatchNorms, {linears} linear layers)")
}

/// Three lines of PyTorch that write a network as ONNX, on one line.
pub fn onnx_export(channels: usize) -> String {
    format!(
        "import torch; model.eval(); torch.onnx.export(model, torch.zeros(1, {channels}, 224, 224), \"model.onnx\")"
    )
}

/// Preprocessing that nothing in the file states.
pub fn guessed_recipe(name: &str) -> String {
    format!("preprocessing is a guess: {name}, from the number of input channels")
}

/// The activation that nothing in the file states.
pub fn guessed_activation(name: &str) -> String {
    format!("probabilities are a guess: {name} of the logits")
}

/// Class names that nothing in the file states.
pub fn no_labels() -> String {
    "the file names no classes; they are shown by number".to_owned()
}

/// TorchXRayVision's list stands in for names that nobody gave.
pub fn guessed_xrv_labels() -> String {
    "labels are a guess: the 18 findings of TorchXRayVision in its order, since one grey channel and 18 outputs \
     are its habit; give --labels to say otherwise"
        .to_owned()
}

/// Labels of a file that do not fit.
pub fn labels_not_used(file: &str, found: usize, classes: usize) -> String {
    format!("'{file}' names {found} labels, the network has {classes} outputs: they are not used")
}

/// Something a configuration says that the tensors contradict.
pub fn config_contradicts(file: &str, key: &str, says: usize, is: usize) -> String {
    format!("'{file}' says {key} {says}, the tensors say {is}: the tensors are believed")
}

/// Classes that were never trained.
pub fn untrained_classes(count: usize, of: usize) -> String {
    format!("{count} of {of} outputs were never trained and are not shown")
}

/// Names that come near one that does not exist.
pub fn near_names(names: &str) -> String {
    format!("there are {names}")
}

/// Who wrote an ONNX file.
pub fn onnx_producer(producer: &str, opset: i64) -> String {
    format!("an ONNX file by {producer}, operator set {opset}")
}

/// What a network from an ONNX file is called where an architecture's name is expected.
pub fn onnx_arch(file: &str) -> String {
    format!("ONNX graph {}", file.trim_end_matches(".onnx"))
}

/// What the beginning of a file looks like, for the message that it is no ONNX file.
pub fn onnx_start(bytes: &[u8]) -> String {
    match bytes {
        [] => "an empty file (0 bytes)".to_owned(),
        [b'P', b'K', 3, 4, ..] => "a ZIP archive (perhaps a PyTorch file)".to_owned(),
        _ => "bytes that are not its messages".to_owned(),
    }
}

/// The first line of an error's words.
pub fn first_line(error: &dyn std::fmt::Display) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// An input of an ONNX file that is no image.
pub fn onnx_input(name: &str, axes: usize, float: bool) -> String {
    let kind = if float {
        "numbers"
    } else {
        "something else than numbers"
    };
    format!("'{name}' with {axes} axes of {kind}")
}

/// Words in a row, or that there are none.
pub fn list_or_nothing(words: &[String]) -> String {
    if words.is_empty() {
        return "no input".to_owned();
    }
    let shown: Vec<&str> = words.iter().take(3).map(String::as_str).collect();
    shown.join(", ")
}

/// Sizes that an ONNX file leaves open.
pub fn onnx_open_size(side: usize) -> String {
    format!("the file leaves the image's size open; {side} x {side} is assumed")
}

/// Outputs beside the one that is explained.
pub fn onnx_outputs(first: &str, others: usize) -> String {
    format!("the file has {others} more output(s); '{first}', the first, is explained")
}

/// The last activation was taken off.
pub fn onnx_head_dropped(op: &str) -> String {
    format!("the {op} at the end was taken off, so that maps explain the raw logit")
}

// ---- maps --------------------------------------------------------------------------------------

/// A number with as many digits as a reader can use: three significant ones.
pub fn number(value: f32) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !value.is_finite() {
        value.to_string()
    } else if !(1e-3..1e5).contains(&magnitude) {
        format!("{value:.2e}")
    } else {
        let whole_digits = magnitude.log10().floor() as i32;
        let decimals = usize::try_from((2 - whole_digits).max(0)).unwrap_or(0);
        format!("{value:.decimals$}")
    }
}

/// The map has nothing that speaks for the target. `target` is the class, where the method has one.
pub fn no_positive_evidence(target: Option<&str>, layer: &str, lo: f32, hi: f32) -> String {
    let what = target.map_or("No positive values".to_owned(), |target| {
        format!("No positive evidence for {target}")
    });
    empty_map(&what, layer, lo, hi)
}

/// The map has nothing that speaks against the target.
pub fn no_negative_evidence(target: Option<&str>, layer: &str, lo: f32, hi: f32) -> String {
    let what = target.map_or("No negative values".to_owned(), |target| {
        format!("No evidence against {target}")
    });
    empty_map(&what, layer, lo, hi)
}

/// The map is 0 everywhere.
pub fn no_evidence(target: Option<&str>, layer: &str, lo: f32, hi: f32) -> String {
    let what = target.map_or("No values other than 0".to_owned(), |target| {
        format!("No evidence for or against {target}")
    });
    empty_map(&what, layer, lo, hi)
}

fn empty_map(what: &str, layer: &str, lo: f32, hi: f32) -> String {
    format!(
        "{what} at {layer} (values from {} to {})",
        number(lo),
        number(hi)
    )
}

/// The map has something of the chosen sign, but the other sign outweighs it by far.
pub fn weak_evidence(negative: bool, lo: f32, hi: f32) -> String {
    let shown = if negative { "Negative" } else { "Positive" };
    format!(
        "{shown} values are faint beside the rest of the map (values from {} to {})",
        number(lo),
        number(hi)
    )
}

/// All cells of the map have one value.
pub fn map_is_constant(value: f32) -> String {
    format!(
        "Every cell has the value {}: the map says nothing about where",
        number(value)
    )
}

/// Cells that are NaN or infinite.
pub fn cells_not_finite(count: usize, total: usize) -> String {
    format!("{count} of {total} cells are not finite numbers and are shown as 0")
}

/// Score-CAM and its kin over some channels only.
pub fn most_active_channels(looked_at: usize, of: usize) -> String {
    format!(
        "an approximation: only the {looked_at} of {of} channels with the highest activation energy were looked at"
    )
}

/// Channels that make no mask.
pub fn constant_channels(count: usize, of: usize) -> String {
    format!("{count} of {of} channels have the same value everywhere and say nothing about where")
}

/// Passes whose score is no number.
pub fn scores_not_finite(count: usize, of: usize) -> String {
    format!(
        "the scores of {count} of {of} changed inputs are not finite numbers: their channels weigh nothing"
    )
}

/// Ablation-CAM divides by a score that is 0 or negative.
pub fn ablated_score_not_positive(score: f32, signed: bool) -> String {
    let what = match signed {
        true => "dividing by it turns the map's sign (mode paper divides by its magnitude)",
        false => "the map is divided by its magnitude",
    };
    format!("the target's score is {}: {what}", number(score))
}

/// pytorch-grad-cam's value for an ablated channel at a layer without a ReLU.
pub fn ablated_far_below(value: f32) -> String {
    format!(
        "this layer's smallest value is not 0: ablated channels hold {value:.1e}, as in pytorch-grad-cam, which no \
         network ever sees (mode paper takes 0)"
    )
}

/// How far a map of random samples has settled. `range` is the map's largest value less its smallest.
pub fn sampling_error(samples: usize, error: f32, range: f32) -> String {
    let share = match range > 0.0 {
        true => format!(", {:.0} % of the map's range", 100.0 * error / range),
        false => String::new(),
    };
    format!(
        "{samples} masks: the standard error of a cell is {} on average{share}",
        number(error)
    )
}

/// What Kernel SHAP's values add up to.
pub fn shapley_values(pieces: usize, coalitions: usize, all: bool, whole: f32) -> String {
    let which = if all { "all" } else { "a sample of" };
    format!(
        "Shapley values of {pieces} pieces from {which} {coalitions} coalitions; they add up to {}, the score less the baseline's",
        number(whole)
    )
}

// ---- figures -----------------------------------------------------------------------------------

/// In the caption of a picture of which the network saw a part.
pub const CROP_OUTLINE: &str = "dashed outline: the part that the network saw";

/// Under a colour bar: what the hatched part means. `cut` is a share, 0..=1.
pub fn bar_cut(cut: f32, both_signs: bool) -> String {
    let percent = (cut * 100.0).round();
    if both_signs {
        format!("not drawn within {percent} % of 0")
    } else {
        format!("not drawn under {percent} %")
    }
}

/// Left end of a bar that shows both signs.
pub fn bar_against(value: f32) -> String {
    format!("{} against", number(value))
}

/// Right end of a bar that shows both signs.
pub fn bar_in_favour(value: f32) -> String {
    format!("{} in favour", number(value))
}

/// Where an interrupted training can be taken up.
pub fn training_kept(checkpoint: &std::path::Path) -> String {
    format!(
        "training stopped; '{}' holds its state: run the same command with --resume to go on",
        checkpoint.display()
    )
}

/// The time given was used up.
pub fn training_time_up(epochs_done: usize, epochs: usize) -> String {
    format!(
        "the time given was used up after {epochs_done} of {epochs} epochs: the model is the average so far; --resume goes on"
    )
}

/// One line on how training goes.
pub fn training_progress(
    epoch: usize,
    epochs: usize,
    side: usize,
    loss: Option<f64>,
    auc: &[(String, Option<f64>)],
) -> String {
    let mut line = format!("epoch {epoch}/{epochs}, {side} px");
    if let Some(loss) = loss {
        line.push_str(&format!(", loss {loss:.3}"));
    }
    for (i, (name, value)) in auc.iter().enumerate() {
        let lead = if i == 0 { ", validation AUC " } else { ", " };
        match value {
            Some(value) => line.push_str(&format!("{lead}{name} {value:.3}")),
            None => line.push_str(&format!("{lead}{name} undefined")),
        }
    }
    line
}

/// The image came as a ready model input.
pub fn ready_input() -> String {
    "a ready model input: no preprocessing was applied, and its grey levels are a guess".to_owned()
}

/// A method left cells that are no numbers.
pub fn map_not_finite(cells: usize, of: usize) -> String {
    format!(
        "{cells} of {of} cells are not finite numbers and are shown as 0; the network's values may be too large"
    )
}

/// Mirrored inputs are part of a map.
pub const MIRRORED: &str = "half of the inputs behind this map are mirrored: left and right of the chest are swapped in them";

/// A kernel matrix without a positive eigenvalue.
pub const KERNEL_WITHOUT_COMPONENT: &str =
    "the kernel matrix of this layer has no positive component: the map is empty";

/// Methods whose maps hardly change when the network's weights are replaced by noise.
pub const FAILS_RANDOMISATION: &str = "this method fails parameter randomisation: its map stays much the same when the network's weights are replaced by noise (Adebayo et al. 2018), so it shows edges of the image more than reasons of the network";

/// What attributions add up to, and what they should.
pub fn completeness(sum: f64, difference: f64) -> String {
    format!(
        "attributions add up to {sum:.4}; the score differs from the baseline's by {difference:.4} (gap {:.4})",
        sum - difference
    )
}

/// A map that was stopped before its last pass.
pub fn unfinished(done: usize, total: usize) -> String {
    format!("unfinished: {done} of {total} steps")
}

/// A method that knows no class.
pub const NO_CLASS: &str = "this method knows no class: its map is the same for every finding";

// ---- relevance ---------------------------------------------------------------------------------

/// BatchNorms that could not be brought into a convolution.
pub fn relevance_norms_pass(count: usize, first: &str) -> String {
    format!(
        "{count} BatchNorm layers stand beside no convolution that could take them in, '{first}' first: they pass relevance on unchanged"
    )
}

/// Gates that get no relevance.
pub fn relevance_gates(count: usize) -> String {
    format!(
        "{count} gates are treated as constants: relevance goes to the features that they multiply"
    )
}

/// LayerNorms under a stand-in rule.
pub fn relevance_layer_norms(count: usize) -> String {
    format!(
        "{count} LayerNorms pass relevance on unchanged: no rule of relevance propagation is agreed on for them"
    )
}

/// Attention under a stand-in rule.
pub fn relevance_attention(count: usize) -> String {
    format!(
        "{count} attention layers are treated as means with constant weights (Ali et al. 2022): queries and keys get no relevance, the class token's start keeps its own"
    )
}
/// What denoising left of FG-CAM's components.
pub fn fg_cam_denoised(kept: usize, of: usize, energy: Option<f64>) -> String {
    match energy {
        Some(energy) => format!(
            "denoised: {kept} of {of} singular values are kept, which hold {:.0} % of the variation",
            100.0 * energy
        ),
        None => "denoised: no channel varies, nothing is left".to_owned(),
    }
}

/// Where the hybrid's CAM was cut.
pub fn hybrid_threshold(threshold: f32, kept: f64) -> String {
    format!(
        "the CAM counts where it is at least {threshold:.2} of its largest value: {:.0} % of the picture",
        100.0 * kept
    )
}

/// NIH's boxes on a picture of another size than NIH gave out.
pub fn regions_of_nih(size: [usize; 2]) -> String {
    format!(
        "NIH's boxes are in pixels of the originals of 1024 x 1024; this X-ray has {} x {}: make sure that they belong to it",
        size[0], size[1]
    )
}

/// Regions that are called otherwise than the explained finding.
pub fn regions_of_other_findings(labels: &[&str], finding: &str) -> String {
    format!(
        "the regions are called {}, the explained finding {finding}: all of them are counted",
        labels.join(", ")
    )
}

/// Of several regions those of the finding count.
pub fn regions_left_out(counted: usize, of: usize, finding: &str) -> String {
    format!("of {of} regions the {counted} called {finding} are counted")
}
