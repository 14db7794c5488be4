//! Opening the device that the arithmetic runs on.

use candle_core::Device;

use crate::error::Result;
use crate::plan::DeviceChoice;
use crate::text::fault;

/// Opens a device.
///
/// # Errors
/// Says why a GPU that was asked for cannot be used. `Auto` never fails.
pub fn open(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(Device::new_cuda(0)
            .or_else(|_| Device::new_metal(0))
            .unwrap_or(Device::Cpu)),
        DeviceChoice::Cuda => Device::new_cuda(0).map_err(|e| refuse("cuda", &e)),
        DeviceChoice::Metal => Device::new_metal(0).map_err(|e| refuse("metal", &e)),
    }
}

fn refuse(name: &str, error: &candle_core::Error) -> crate::Error {
    let words = error.to_string();
    fault::device(name, words.lines().next().unwrap_or_default())
}

/// Name of a device for manifests and the window.
pub fn name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}
