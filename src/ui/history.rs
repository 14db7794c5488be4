//! Undo and redo: whole states of the window, since one is small and none can then be forgotten.

use std::time::{Duration, Instant};

/// Steps that can be taken back.
const MOST: usize = 200;
/// Zooming and panning within this time is one step.
const TOGETHER: Duration = Duration::from_millis(900);

/// What a state says about the way it differs from another one.
pub(super) trait State: Clone + PartialEq {
    /// Whether both differ in nothing that a user would want back: where the focus is.
    fn is_like(&self, other: &Self) -> bool;
    /// Whether both differ only in the part of the picture that is seen.
    fn shows_elsewhere(&self, other: &Self) -> bool;
}

/// The states that were, and those that were taken back.
pub(super) struct History<T> {
    past: Vec<T>,
    present: Option<T>,
    future: Vec<T>,
    /// When the last step was noted that only looked elsewhere.
    looked: Option<Instant>,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self {
            past: Vec::new(),
            present: None,
            future: Vec::new(),
            looked: None,
        }
    }
}

impl<T: State> History<T> {
    /// Takes in the present state. What was before it becomes a step back, unless they are alike.
    pub(super) fn note(&mut self, state: &T, now: Instant) {
        let Some(present) = &mut self.present else {
            self.present = Some(state.clone());
            return;
        };
        if present.is_like(state) {
            return;
        }
        let elsewhere = present.shows_elsewhere(state);
        let goes_on = elsewhere
            && self
                .looked
                .is_some_and(|at| now.duration_since(at) < TOGETHER);
        let before = std::mem::replace(present, state.clone());
        self.looked = elsewhere.then_some(now);
        if !goes_on {
            self.past.push(before);
            if self.past.len() > MOST {
                self.past.remove(0);
            }
        }
        self.future.clear();
    }

    /// The state before the present one.
    pub(super) fn undo(&mut self) -> Option<T> {
        let before = self.past.pop()?;
        self.future.extend(self.present.replace(before.clone()));
        self.looked = None;
        Some(before)
    }

    /// The state that was taken back last.
    pub(super) fn redo(&mut self) -> Option<T> {
        let after = self.future.pop()?;
        self.past.extend(self.present.replace(after.clone()));
        self.looked = None;
        Some(after)
    }

    /// Whether there is a step back.
    pub(super) fn can_undo(&self) -> bool {
        !self.past.is_empty()
    }

    /// Whether there is a step forward.
    pub(super) fn can_redo(&self) -> bool {
        !self.future.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value, where it is looked at, and the focus.
    #[derive(Clone, Debug, PartialEq)]
    struct Toy(i32, i32, i32);

    impl State for Toy {
        fn is_like(&self, other: &Self) -> bool {
            self.0 == other.0 && self.1 == other.1
        }

        fn shows_elsewhere(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    #[test]
    fn goes_back_and_forth() {
        let (mut history, now) = (History::default(), Instant::now());
        for value in 0..4 {
            history.note(&Toy(value, 0, value), now);
            history.note(&Toy(value, 0, 99), now);
        }
        assert_eq!(history.undo().map(|t| t.0), Some(2));
        assert_eq!(history.undo().map(|t| t.0), Some(1));
        assert_eq!(history.redo().map(|t| t.0), Some(2));
        history.note(&Toy(7, 0, 0), now);
        assert!(!history.can_redo());
        let back: Vec<i32> = std::iter::from_fn(|| history.undo()).map(|t| t.0).collect();
        assert_eq!(back, [2, 1, 0]);
        assert!(!history.can_undo());
    }

    #[test]
    fn one_pan_is_one_step() {
        let (mut history, now) = (History::default(), Instant::now());
        history.note(&Toy(0, 0, 0), now);
        for step in 1..30 {
            history.note(
                &Toy(0, step, 0),
                now + Duration::from_millis(16 * step as u64),
            );
        }
        history.note(&Toy(0, 50, 0), now + Duration::from_secs(60));
        assert_eq!(history.undo().map(|t| t.1), Some(29));
        assert_eq!(history.undo().map(|t| t.1), Some(0));
    }
}
