//! How soon work ends that somebody cancels.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Analysis, map_key};
use crate::error::Result;
use crate::explain::catalogue;
use crate::job::Job;
use crate::model::Model;
use crate::preprocess::ModelInput;
use crate::text::{bench as words, fault};

/// Moments at which each kind of work is cancelled.
const MOMENTS: usize = 25;
/// The latest of them: long enough for several batches of any method of many passes.
const LATEST: Duration = Duration::from_millis(600);
/// The fractional part of the golden ratio: its multiples, taken modulo 1, spread evenly however many there are, and keep
/// out of step with anything that repeats.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// How soon one kind of work ends after [`Job::cancel`].
#[derive(Clone, Debug, Serialize)]
pub struct Cancelled {
    /// Short name, the same in every version.
    pub id: &'static str,
    /// What was going on.
    pub what: String,
    /// Median of the seconds from the call to the return of the work, with an error of kind `Cancelled`.
    pub median_s: f64,
    /// The longest.
    pub worst_s: f64,
    /// How often it was cancelled; moments at which the work had come to its end are not counted.
    pub times: usize,
}

/// Work that can be cancelled.
type Work<'a> = dyn FnMut(&Job) -> Result<()> + Send + 'a;

/// Times a forward pass, a walk to the input, relevance, and methods of many passes.
///
/// # Errors
/// As running the network; cancellation of `job` between two moments.
pub(super) fn all(
    model: &Arc<Model>,
    input: &Arc<ModelInput>,
    job: &Job,
) -> Result<Vec<Cancelled>> {
    let mut found = Vec::new();
    let mut row = |id, what: String, work: &mut Work<'_>| -> Result<()> {
        found.push(time(id, words::cancelled(&what), work, job)?);
        Ok(())
    };
    row("cancel_forward", words::TRACE.to_owned(), &mut |job| {
        model.forward(input, job).map(|_| ())
    })?;
    let trace = model.forward(input, &Job::default())?;
    let start = model.layer("input")?;
    row("cancel_walk", words::WALK.to_owned(), &mut |job| {
        let mut taps = model.gradients(&trace, 0)?;
        taps.at(&trace, start, job).map(|_| ())
    })?;
    let last = model.graph.last.as_str();
    for (id, method, layer) in [
        ("cancel_lrp", "lrp-epsilon-plus", catalogue::INPUT),
        ("cancel_fg_cam", "fg-cam", catalogue::INPUT),
        ("cancel_score_cam", "score-cam", last),
        ("cancel_rise", "rise", catalogue::INPUT),
        ("cancel_ig", "integrated-gradients", catalogue::INPUT),
        ("cancel_smooth_grad", "smooth-grad", catalogue::INPUT),
        ("cancel_kernel_shap", "kernel-shap", catalogue::INPUT),
        ("cancel_ablation_cam", "ablation-cam", last),
    ] {
        let key = map_key(method, layer, &[]);
        row(id, words::map(method, layer, &[]), &mut |job| {
            let mut analysis = Analysis::run(Arc::clone(model), Arc::clone(input), job)?;
            analysis.map(&key, job).map(|_| ())
        })?;
    }
    Ok(found)
}

/// Starts work on another thread and cancels it, at many moments of its run.
fn time(id: &'static str, what: String, work: &mut Work<'_>, outer: &Job) -> Result<Cancelled> {
    // Twice to its end or to the latest moment: the first packs weights, the second tells how long there is something to
    // cancel.
    let _ = one(work, LATEST)?;
    let warm = Instant::now();
    let _ = one(work, LATEST)?;
    let latest = warm.elapsed().min(LATEST);
    let mut seconds = Vec::with_capacity(MOMENTS);
    for i in 0..MOMENTS {
        outer.check()?;
        outer.progress(&what, i, MOMENTS);
        let after = latest.mul_f64((i as f64 * GOLDEN).fract());
        seconds.extend(one(work, after)?);
    }
    seconds.sort_by(f64::total_cmp);
    Ok(Cancelled {
        id,
        what,
        median_s: seconds.get(seconds.len() / 2).copied().unwrap_or(0.0),
        worst_s: seconds.last().copied().unwrap_or(0.0),
        times: seconds.len(),
    })
}

/// Cancels work that has gone on for a while; the seconds until it ended, `None` where it had come to its end before.
fn one(work: &mut Work<'_>, after: Duration) -> Result<Option<f64>> {
    let job = Job::default();
    thread::scope(|scope| {
        let begun = Instant::now();
        let running = scope.spawn(|| {
            let ended = work(&job);
            (ended, Instant::now())
        });
        while begun.elapsed() < after && !running.is_finished() {
            let left = after.saturating_sub(begun.elapsed());
            thread::sleep(left.min(Duration::from_millis(1)));
        }
        let asked = Instant::now();
        job.cancel();
        let Ok((ended, at)) = running.join() else {
            return Err(fault::cancelled());
        };
        match ended {
            Ok(()) => Ok(None),
            Err(error) if error.is_cancelled() => {
                Ok(Some(at.saturating_duration_since(asked).as_secs_f64()))
            }
            Err(error) => Err(error),
        }
    })
}
