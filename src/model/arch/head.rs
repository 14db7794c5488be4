//! The classifier behind the pooling: one linear layer, or a list of modules that people put in its place.

use super::super::graph::NodeId;
use super::super::op::{Act, Op};
use super::net::Net;
use crate::error::Result;
use crate::text::{fault, notice};

/// Most modules without tensors that may stand between two with tensors.
const MAX_GAP: usize = 8;

/// Adds the classifier under `path` (`fc`, `classifier`) to features `x`.
///
/// Where `path` is a list, its numbered modules are linear layers, BatchNorms, and modules without tensors:
/// the first gap behind a linear layer (or its BatchNorm) is taken for the activation `act`, every other one
/// for dropout. `published` says whether the family itself has such a list; where it does not, the
/// activation is said to be a guess.
pub(super) fn classifier(
    net: &mut Net<'_>,
    path: &str,
    x: NodeId,
    act: Act,
    published: bool,
) -> Result<NodeId> {
    if net.has(path) {
        return net.linear(path, x);
    }
    let indices = net.children(path);
    let Some(&end) = indices.last() else {
        return Err(fault::missing_tensor(
            &net.weights.name,
            &format!("{path}.weight"),
        ));
    };
    let (mut x, mut next) = (x, 0);
    // Whether the numbers that arrive have not passed an activation since the last linear layer.
    let mut raw = false;
    for index in indices {
        if index - next > MAX_GAP {
            return Err(fault::shape(
                &format!("{path}.{index}"),
                &format!("a gap of {} modules before it", index - next),
                &format!("at most {MAX_GAP}"),
            ));
        }
        for gap in next..index {
            let gap = format!("{path}.{gap}");
            x = if raw {
                if !published {
                    net.notice(notice::guessed_head(&gap, act.label()));
                }
                net.act(&gap, act, x)
            } else {
                net.push(&gap, Op::Identity, &[x])
            };
            raw = false;
        }
        let module = format!("{path}.{index}");
        x = if net.weights.has(&format!("{module}.running_mean")) {
            net.batch_norm(&module, x)?
        } else {
            raw = index != end;
            net.linear(&module, x)?
        };
        next = index + 1;
    }
    Ok(x)
}
