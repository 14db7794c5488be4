//! Opening the device that the arithmetic runs on.

use candle_core::Device;

use crate::error::Result;
use crate::plan::DeviceChoice;
use crate::text::{device as words, fault};

/// Every choice, in the order of menus.
pub const CHOICES: [DeviceChoice; 4] = [
    DeviceChoice::Auto,
    DeviceChoice::Cpu,
    DeviceChoice::Cuda,
    DeviceChoice::Metal,
];

/// The cargo feature that a choice needs and this build lacks.
pub fn missing_feature(choice: DeviceChoice) -> Option<&'static str> {
    match choice {
        DeviceChoice::Cuda if !cfg!(feature = "cuda") => Some("cuda"),
        DeviceChoice::Metal if !cfg!(feature = "metal") => Some("metal"),
        _ => None,
    }
}

/// Opens a device; beside it stands what the user should know: why `Auto` came to the CPU in a build that has
/// a GPU's feature.
///
/// # Errors
/// Of kind `Device`: why a GPU that was asked for cannot be used. `Auto` never fails.
pub fn open(choice: DeviceChoice) -> Result<(Device, Option<String>)> {
    match choice {
        DeviceChoice::Cpu => Ok((Device::Cpu, None)),
        DeviceChoice::Cuda | DeviceChoice::Metal => Ok((gpu(choice)?, None)),
        DeviceChoice::Auto => {
            let mut why = Vec::new();
            for choice in [DeviceChoice::Cuda, DeviceChoice::Metal] {
                if missing_feature(choice).is_some() {
                    continue;
                }
                match gpu(choice) {
                    Ok(device) => return Ok((device, None)),
                    Err(error) => why.push(error.to_string()),
                }
            }
            let said = (!why.is_empty()).then(|| words::fell_back(&why));
            Ok((Device::Cpu, said))
        }
    }
}

fn gpu(choice: DeviceChoice) -> Result<Device> {
    if let Some(feature) = missing_feature(choice) {
        return Err(fault::device_not_built(feature));
    }
    let (name, opened) = match choice {
        DeviceChoice::Metal => ("metal", Device::new_metal(0)),
        _ => ("cuda", Device::new_cuda(0)),
    };
    opened.map_err(|error| {
        let words = error.to_string();
        fault::device(name, words.lines().next().unwrap_or_default())
    })
}

/// Name of a device for manifests and the window.
pub fn name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}
