//! The map of an Attention Branch Network (Fukui et al., CVPR 2019, arXiv 1812.10025).

use super::map::Grid;
use super::settings::Settings;
use super::study::Study;
use super::task::Drawn;
use crate::error::Result;
use crate::model::kernels::values;
use crate::text::fault;

/// The branch's map on its own grid, `[h, w]`, 0..=1, as the forward pass left it. It knows no class.
///
/// # Errors
/// A network without an attention branch.
pub(super) fn map(study: &mut Study<'_>, _: &Settings) -> Result<Drawn> {
    let Some(branch) = study.model.graph.attention else {
        return Err(fault::no_attention_branch(&study.model.name));
    };
    let map = study.pass.trace.output(branch.map)?;
    let (_, _, height, width) = map.dims4()?;
    Ok(Drawn::Grid(Grid {
        width,
        height,
        values: values(&map.narrow(0, 0, 1)?)?,
    }))
}
