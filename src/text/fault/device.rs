//! The sentences of errors about the device that the arithmetic runs on. All are of kind `Device`, so that
//! whoever shows them can offer the CPU.

use crate::error::{Error, Kind};
use crate::text::device::needs_feature;

/// A device that this build does not know.
pub fn device_not_built(name: &str) -> Error {
    Error::new(
        Kind::Device,
        format!("device '{name}' {}", needs_feature(name)),
    )
}

/// A device that cannot be opened: no driver, no GPU.
pub fn device(name: &str, why: &str) -> Error {
    Error::new(
        Kind::Device,
        format!("device '{name}' cannot be opened: {why}"),
    )
}

/// A device that failed in the middle of its work.
pub fn device_failed(name: &str, why: &str) -> Error {
    let lower = why.to_lowercase();
    let is_memory = lower.contains("out of memory") || lower.contains("out_of_memory");
    Error::new(
        Kind::Device,
        if is_memory {
            format!("the memory of device '{name}' is not enough: {why}")
        } else {
            format!("device '{name}' failed: {why}")
        },
    )
}

/// A tensor operation failed: on a GPU its device is to blame, as shapes are checked beforehand.
pub fn tensor(error: &candle_core::Error) -> Error {
    use candle_core::Error as E;
    // candle appends a backtrace when one is asked for by the environment: only the first line is for people.
    let first = |error: &E| {
        let words = error.to_string();
        words.lines().next().unwrap_or_default().to_owned()
    };
    let mut innermost = error;
    while let E::WithBacktrace { inner, .. }
    | E::Context { inner, .. }
    | E::WithPath { inner, .. } = innermost
    {
        innermost = inner;
    }
    match innermost {
        E::Cuda(_) => device_failed("cuda", &first(innermost)),
        E::Metal(_) => device_failed("metal", &first(innermost)),
        E::NotCompiledWithCudaSupport => device_not_built("cuda"),
        E::NotCompiledWithMetalSupport => device_not_built("metal"),
        _ => Error::new(
            Kind::Numeric,
            format!("tensor arithmetic failed: {}", first(error)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gpu_is_told_from_a_fault_of_the_arithmetic() {
        let full = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
        let error = candle_core::Error::Cuda(full.into()).context("conv2d").bt();
        let error = tensor(&error);
        assert_eq!(error.kind(), Kind::Device);
        assert_eq!(
            error.message(),
            format!("the memory of device 'cuda' is not enough: {full}")
        );
        let lost = candle_core::Error::Metal(candle_core::MetalError::Message("lost".to_owned()));
        assert_eq!(
            tensor(&lost).message(),
            "device 'metal' failed: Metal error lost"
        );
        let other = candle_core::Error::Msg("shapes".to_owned());
        assert_eq!(tensor(&other).kind(), Kind::Numeric);
    }
}
