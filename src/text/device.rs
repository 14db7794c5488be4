//! Words about where the arithmetic runs.

use crate::plan::DeviceChoice;

/// Menu.
pub const MENU: &str = "Device";

/// What menus call a choice.
pub fn choice(choice: DeviceChoice) -> &'static str {
    match choice {
        DeviceChoice::Auto => "Automatic",
        DeviceChoice::Cpu => "CPU",
        DeviceChoice::Cuda => "CUDA (NVIDIA)",
        DeviceChoice::Metal => "Metal (Apple)",
    }
}

/// An entry of the menu whose choice stands; `open` is the device that it led to.
pub fn present(chosen: DeviceChoice, open: &str) -> String {
    match chosen {
        DeviceChoice::Auto => format!("{}: {}", choice(chosen), open.to_uppercase()),
        _ => choice(chosen).to_owned(),
    }
}

/// An entry of the menu that this build cannot serve.
pub fn needs(chosen: DeviceChoice, feature: &str) -> String {
    format!("{}: {}", choice(chosen), needs_feature(feature))
}

/// Why a device cannot be had in this build.
pub fn needs_feature(feature: &str) -> String {
    format!("needs a build with the feature '{feature}'")
}

/// Under a message that says that a device failed.
pub const USE_CPU: &str = "Use the CPU";

/// What the command line adds to a sentence that says that a device failed.
pub fn offer_cpu(sentence: &str) -> String {
    format!("{sentence}; '--device cpu' runs on the CPU")
}

/// The automatic choice came to the CPU although the build has a GPU's feature.
pub fn fell_back(why: &[String]) -> String {
    format!("the arithmetic runs on the CPU: {}", why.join("; "))
}
