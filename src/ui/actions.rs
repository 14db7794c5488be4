//! What commands do.

use egui::{Context, Theme, ViewportCommand};

use super::app::{App, Message, Sheet};
use super::command::Command;
use super::facts_form::FactsForm;
use super::outgoing::session_name;
use super::panels::{Eye, Guide};
use super::picker::Ask;
use super::presets::{Ground, Preset};
use super::state::{Arrangement, Duel, Look, Overlap};
use super::viewport::{Turn, Viewport};
use crate::plan::{ImageSource, ModelSource, Sign};
use crate::session::{samples, save_facts};
use crate::text::{fact, region, session as session_words, window as words};

/// A step of the zoom keys.
const ZOOM_STEP: f32 = 1.25;

impl App {
    /// Carries out what was asked for since the last frame.
    pub(super) fn carry_out(&mut self, ctx: &Context) {
        for command in std::mem::take(&mut self.queue) {
            self.execute(ctx, command);
        }
        self.drop_unseen_case();
    }

    fn execute(&mut self, ctx: &Context, command: Command) {
        match command {
            Command::OpenImage => self.picker.ask(ctx, Ask::Image),
            Command::OpenModel => self.picker.ask(ctx, Ask::Model),
            Command::OpenDemoModel => self.open_model(ModelSource::Demo),
            Command::OpenSample(place) => {
                if let Some(sample) = samples::SAMPLES.get(place) {
                    self.open_image(ImageSource::Sample(sample.name.clone()));
                }
            }
            Command::Device(choice) => self.run_on(choice),
            Command::ModelFacts => self.open_facts(),
            Command::OpenRegions => self.picker.ask(ctx, Ask::Regions),
            Command::SaveRegions if self.case().drawn.set.list.is_empty() => {
                self.say(Message::Error(region::NOTHING_TO_SAVE.to_owned()));
            }
            Command::SaveRegions => {
                let ask = Ask::SaveRegions(self.case().regions_file_name());
                self.picker.ask(ctx, ask);
            }
            Command::Draw(tool) => self.take_tool(Some(tool)),
            Command::DeleteRegion => self.case_mut().drawn.delete(),
            Command::LeaveTool => self.leave_tool(),
            Command::ModelEye => match Eye::of(self, ctx) {
                Ok(eye) => self.sheet = Some(Sheet::Eye(eye)),
                Err(words) => self.say(Message::Error(words)),
            },
            Command::Export => self.ask_export(ctx),
            Command::Quit => ctx.send_viewport_cmd(ViewportCommand::Close),
            Command::ToggleOverlay => self.overlay = !self.overlay,
            Command::Files if self.files.is_some() => self.sheet = Some(Sheet::Files),
            Command::Files => self.say(Message::Error(words::NO_FOLDER.to_owned())),
            Command::NextFile => self.step_file(1),
            Command::PreviousFile => self.step_file(-1),
            Command::NextFrame => self.step_frame(1),
            Command::PreviousFrame => self.step_frame(-1),
            Command::Fit => self.change_view(|view| view.fit()),
            Command::FlipAcross => self.change_view(|view| view.turn.flip_across()),
            Command::FlipDown => self.change_view(|view| view.turn.flip_down()),
            Command::RotateRight => self.change_view(|view| view.turn.rotate(1)),
            Command::RotateLeft => self.change_view(|view| view.turn.rotate(3)),
            Command::AsStored => self.change_view(|view| view.turn = Turn::default()),
            Command::NativePixels => self.change_view(|view| view.native = !view.native),
            Command::OneToOne => self.one_to_one(ctx.pixels_per_point()),
            Command::Invert => {
                if let Some(mut display) = self.case().base.display() {
                    display.invert = !display.invert;
                    self.case_mut().base.set_display(Some(display));
                }
            }
            Command::ResetGrey => self.case_mut().base.set_display(None),
            Command::ZoomIn => self.zoom(ZOOM_STEP),
            Command::ZoomOut => self.zoom(1.0 / ZOOM_STEP),
            Command::ToggleTheme => {
                let light = ctx.theme() == Theme::Dark;
                self.store.settings.light = light;
                ctx.set_theme(if light { Theme::Light } else { Theme::Dark });
            }
            Command::Panels(count) => {
                self.grid.arrangement = Arrangement::Automatic;
                let case = self.grid.case_of(self.grid.selected);
                self.grid.set_count(count, &self.cases.get(case).stops);
            }
            Command::Table(columns, rows) => {
                let case = self.grid.case_of(self.grid.selected);
                self.grid
                    .set_table(columns, rows, &self.cases.get(case).stops);
            }
            Command::RemovePanel(panel) => {
                self.grid.remove(panel);
                if panel < self.heats.len() {
                    self.heats.remove(panel);
                }
            }
            Command::DuplicatePanel(panel) => self.grid.duplicate(panel),
            Command::MovePanel(from, to) => self.grid.move_panel(from, to),
            Command::PinPanel(panel) => {
                if let Some(panel) = self.grid.panels.get_mut(panel) {
                    panel.pinned = !panel.pinned;
                }
            }
            Command::Solo(panel) => {
                self.grid.duel = None;
                self.grid.solo = match self.grid.solo {
                    Some(_) => None,
                    None => Some(panel).filter(|_| self.grid.panels.len() > 1),
                };
                self.grid.selected = panel.min(self.grid.panels.len().saturating_sub(1));
            }
            Command::Swipe => self.lay_over(Overlap::Swipe(0.5)),
            Command::Difference => self.lay_over(Overlap::Difference),
            Command::NextPanel => {
                self.grid.selected = (self.grid.selected + 1) % self.grid.panels.len().max(1);
                self.grid.solo = self.grid.solo.map(|_| self.grid.selected);
            }
            Command::Preset(preset) => self.lay_out(preset),
            Command::Compare => self.compare(ctx),
            Command::CompareImage => self.compare_with(ctx, Ask::Image),
            Command::CompareModel => self.compare_with(ctx, Ask::Model),
            Command::EndComparison => self.end_comparison(),
            Command::ToggleLinkedView => self.toggle_linked_view(),
            Command::ToggleLinkedTarget => self.grid.linked_target = !self.grid.linked_target,
            Command::ToggleSides => self.sides = !self.sides,
            Command::ToggleStrip => self.strip.shown = !self.strip.shown,
            Command::Undo => match self.history.undo() {
                Some(desk) => self.put_back(ctx, &desk),
                None => self.say(Message::Done(session_words::NOTHING_TO_UNDO.to_owned())),
            },
            Command::Redo => match self.history.redo() {
                Some(desk) => self.put_back(ctx, &desk),
                None => self.say(Message::Done(session_words::NOTHING_TO_REDO.to_owned())),
            },
            Command::Palette => self.sheet = Some(Sheet::Palette(Default::default())),
            Command::OpenSession => self.picker.ask(ctx, Ask::Session),
            Command::SaveSession => self.picker.ask(ctx, Ask::SaveSession(session_name())),
            Command::RestoreSession => match self.store.last().cloned() {
                Some(desk) => self.put_back(ctx, &desk),
                None => self.say(Message::Error(session_words::NO_LAST.to_owned())),
            },
            Command::OpenRecent(place) => {
                if let Some(path) = self.store.settings.recent.get(place).cloned() {
                    self.open_recent(&path);
                }
            }
            Command::ForgetRecent => self.store.settings.recent.clear(),
            Command::ToggleLinkedDepth => {
                self.grid.linked_depth = !self.grid.linked_depth;
                let selected = self.grid.selected;
                if let Some(stop) = self.grid.panels.get(selected).map(|p| p.stop) {
                    self.grid.move_to(selected, stop);
                }
            }
            Command::PreviousFinding => self.step_finding(-1),
            Command::NextFinding => self.step_finding(1),
            Command::ShowSigned => {
                let mut look = self.grid.edited();
                look.choose_sign(Some(Sign::Signed));
                self.grid.edit(look);
                // A panel with settings of its own does not follow the others.
                self.grid.show_signed(self.grid.selected);
            }
            Command::ResetLook => self.grid.edit(Look::default()),
            Command::Cancel => {
                for case in self.cases.iter_mut() {
                    case.session.cancel();
                    case.stopped = true;
                }
            }
            Command::Resume => {
                for case in self.cases.iter_mut() {
                    if case.session.findings().is_empty() {
                        // The forward pass itself was stopped.
                        case.session.open_picture(case.image_source.clone());
                    }
                    case.want_again();
                }
            }
            Command::About => self.sheet = Some(Sheet::About),
            Command::Keys => self.sheet = Some(Sheet::Keys),
            Command::Methods => {
                let now = self.grid.panels.get(self.grid.selected);
                let guide = now.map(|panel| Guide::at(panel.method)).unwrap_or_default();
                self.sheet = Some(Sheet::Methods(guide));
            }
        }
    }

    /// Lays the grid out for a purpose, for every case.
    fn lay_out(&mut self, preset: Preset) {
        let first = self.cases.get(0);
        let order = first.findings_order("");
        let grounds: Vec<Ground<'_>> = self
            .cases
            .iter()
            .map(|case| Ground {
                stops: &case.stops,
                attention: !case.session.attention_findings().is_empty(),
                classes: (order.iter())
                    .map(|&class| case.class_of(&first.label(class)))
                    .collect(),
            })
            .collect();
        self.grid.preset(preset, &grounds);
    }

    /// Panels look at the same part of the picture from here on, that of the selected one; or each at its own.
    fn toggle_linked_view(&mut self) {
        if self.grid.is_view_linked() {
            let view = self.viewport;
            self.grid
                .panels
                .iter_mut()
                .for_each(|p| p.view = Some(view));
        } else {
            self.viewport = self.view_of(self.grid.selected);
            self.grid.panels.iter_mut().for_each(|p| p.view = None);
        }
    }

    /// Lays the selected panel and the next one over each other, or shows all panels again.
    fn lay_over(&mut self, overlap: Overlap) {
        let (count, first) = (self.grid.panels.len(), self.grid.selected);
        if count < 2 {
            self.say(Message::Error(words::NEEDS_TWO_PANELS.to_owned()));
            return;
        }
        let same_kind = self.grid.duel.is_some_and(|duel| {
            std::mem::discriminant(&duel.overlap) == std::mem::discriminant(&overlap)
        });
        self.grid.solo = None;
        let panels = match self.grid.duel {
            Some(duel) => duel.panels,
            None => [first, self.opponent_of(first)],
        };
        self.grid.duel = (!same_kind).then_some(Duel { panels, overlap });
    }

    /// The panel that a panel is compared with: where there are two cases, the one that shows the same of the other
    /// case; else the next one.
    fn opponent_of(&self, panel: usize) -> usize {
        let panels = &self.grid.panels;
        let next = (panel + 1) % panels.len().max(1);
        let Some(own) = panels.get(panel) else {
            return next;
        };
        let twin = panels
            .iter()
            .position(|p| p.case != own.case && p.method == own.method);
        twin.unwrap_or(next)
    }

    fn zoom(&mut self, factor: f32) {
        if let Some(source) = self.case().source().filter(|_| self.area.is_positive()) {
            let area = self.area;
            self.change_view(|view| view.zoom_at(factor, area.center(), area, source));
        }
    }

    fn one_to_one(&mut self, pixels_per_point: f32) {
        if let Some(source) = self.case().source().filter(|_| self.area.is_positive()) {
            let area = self.area;
            self.change_view(|view| view.one_to_one(area, source, pixels_per_point));
        }
    }

    /// Changes what is seen in the selected panel, and in all that share its view.
    fn change_view(&mut self, change: impl FnOnce(&mut Viewport)) {
        let panel = self.grid.selected;
        let mut view = self.view_of(panel);
        change(&mut view);
        // A turned picture may reach less far to one side.
        if let Some(source) = self.case().source().filter(|_| self.area.is_positive()) {
            view.pan(egui::Vec2::ZERO, self.area, source);
        }
        self.see(panel, view);
    }

    fn step_finding(&mut self, step: isize) {
        let order = self.findings_order();
        let now = self.objective().map(|target| target.class);
        let at = order.iter().position(|i| Some(*i) == now);
        let next = at.map_or(0, |at| {
            at.saturating_add_signed(step)
                .min(order.len().saturating_sub(1))
        });
        if let Some(class) = order.get(next) {
            self.explain(*class);
        }
    }

    // ---- facts about the network -------------------------------------------------------------------

    fn open_facts(&mut self) {
        if let Some(model) = self.case().session.model() {
            self.sheet = Some(Sheet::Facts(FactsForm::of(model)));
        }
    }

    /// Opens the network again with what the form says; false where it does not fit.
    pub(super) fn apply_facts(&mut self, form: &mut FactsForm) -> bool {
        let Some(model) = self.case().session.model() else {
            return false;
        };
        match form.given(model, &self.case().given) {
            Ok(given) => {
                let case = self.case_mut();
                case.open_model(case.model_source.clone(), given);
                true
            }
            Err(error) => {
                form.error = Some(error.to_string());
                false
            }
        }
    }

    /// Writes the facts that are no guesses beside the network.
    pub(super) fn save_facts(&mut self, form: &mut FactsForm) {
        let Some(model) = self.case().session.model() else {
            return;
        };
        if form.is_changed() {
            form.error = Some(fact::APPLY_FIRST.to_owned());
            return;
        }
        match save_facts(model) {
            Ok(paths) => {
                self.say(Message::Done(fact::saved(&paths)));
                form.error = None;
            }
            Err(error) => form.error = Some(error.to_string()),
        }
    }
}
