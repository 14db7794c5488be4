//! Two cases side by side: another picture, or another network, under the same methods and settings.

use egui::Context;

use super::app::{App, Message};
use super::picker::Ask;
use super::state::MAX_PANELS;

impl App {
    /// Sets a second case beside the open one: the same network and picture at first, in panels of its own next to
    /// those of the first case.
    pub(super) fn compare(&mut self, ctx: &Context) {
        if self.cases.len() > 1 {
            return;
        }
        match self.cases.get(0).beside(ctx) {
            Ok(second) => {
                self.cases.set_second(Some(second));
                self.grid.add_case();
            }
            Err(error) => self.say(Message::Error(error.to_string())),
        }
    }

    /// Asks for what the second case is to show, and sets it beside the first.
    pub(super) fn compare_with(&mut self, ctx: &Context, ask: Ask) {
        self.compare(ctx);
        if self.cases.len() > 1 {
            let second = self.grid.panels.iter().position(|panel| panel.case == 1);
            self.grid.selected = second.unwrap_or(self.grid.selected);
            self.picker.ask(ctx, ask);
        }
    }

    /// A case whose last panel is gone goes with it.
    pub(super) fn drop_unseen_case(&mut self) {
        if self.cases.len() < 2 {
            return;
        }
        let seen = |case: usize| self.grid.panels.iter().any(|panel| panel.case == case);
        if !seen(1) {
            self.end_comparison();
        } else if !seen(0) {
            self.cases.keep_second();
            self.grid.panels.iter_mut().for_each(|panel| panel.case = 0);
            self.heats.clear();
            self.hover = None;
        }
    }

    /// Takes the second case away, and its panels.
    pub(super) fn end_comparison(&mut self) {
        self.grid.drop_case();
        self.heats.clear();
        self.cases.set_second(None);
        self.hover = None;
    }
}

const _: () = assert!(MAX_PANELS >= 2, "two cases need a panel each");
