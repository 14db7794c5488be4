//! Options that many methods have: they wrap a method, whatever it is.

use super::catalogue::Method;
use super::map::Grid;
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;

/// The steps of a method under an option that runs it several times, where one is set.
pub(super) fn wrap(
    _method: &'static Method,
    _settings: &Settings,
    _study: &mut Study<'_>,
) -> Result<Option<Box<dyn Steps>>> {
    Ok(None)
}

/// One map out of what a method gives.
pub(super) fn grid(drawn: Drawn, _settings: &Settings, study: &mut Study<'_>) -> Result<Grid> {
    Ok(match drawn {
        Drawn::Grid(grid) => grid,
        Drawn::Channels(channels) => channels.sum(&study.evidence(false)?),
    })
}
