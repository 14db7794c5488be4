//! The sheet on which a network's facts are seen, settled and saved.

use egui::{ComboBox, Grid, RichText, ScrollArea, TextEdit, Ui};

use crate::error::Result;
use crate::model::Model;
use crate::model::facts::{Provenance, check_labels};
use crate::plan::{Activation, GivenFacts, Preprocess};
use crate::preprocess::Recipe;
use crate::session::fact_lines;
use crate::text::fact as words;
use crate::ui::theme::{self, space};
use crate::ui::widgets::section_ui;

/// What the sheet is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Open the network again with these facts.
    Apply,
    /// Write what is no guess beside the network.
    Save,
}

/// What stands on the sheet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FactsForm {
    /// Every fact in words.
    lines: Vec<(&'static str, String, Provenance)>,
    /// One label a line.
    labels: String,
    /// Labels when the sheet was opened: unchanged ones stay what they were.
    labels_before: String,
    recipe: Option<&'static str>,
    activation: Option<Activation>,
    /// Recipes that fit the network's channels.
    recipes: Vec<&'static str>,
    /// Why the last wish was not granted.
    pub(super) error: Option<String>,
}

impl FactsForm {
    /// The sheet of a network as it is.
    pub(super) fn of(model: &Model) -> Self {
        let [channels, height, width] = model.input_shape();
        let labels = model.facts.labels.value.join("\n");
        Self {
            lines: fact_lines(model),
            labels_before: labels.clone(),
            labels,
            recipe: None,
            activation: None,
            recipes: Recipe::NAMES
                .into_iter()
                .filter(|name| Recipe::by_name(name, channels, [width, height]).is_ok())
                .collect(),
            error: None,
        }
    }

    /// What the sheet says, over what was said before.
    ///
    /// # Errors
    /// Labels that do not fit the network.
    pub(super) fn given(&self, model: &Model, before: &GivenFacts) -> Result<GivenFacts> {
        let mut given = before.clone();
        if self.labels != self.labels_before {
            let mut labels: Vec<String> =
                self.labels.lines().map(|l| l.trim().to_owned()).collect();
            // What stands behind the last label is a way of ending a text, unless classes are missing.
            while labels.len() > model.classes() && labels.last().is_some_and(String::is_empty) {
                labels.pop();
            }
            check_labels(&labels, model.classes())?;
            given.labels = Some(labels);
        }
        if let Some(name) = self.recipe {
            given.preprocess = Some(Preprocess::Named(name.to_owned()));
        }
        given.activation = self.activation.or(given.activation);
        Ok(given)
    }

    /// Whether something stands on the sheet that was not applied.
    pub(super) fn is_changed(&self) -> bool {
        self.labels != self.labels_before || self.recipe.is_some() || self.activation.is_some()
    }

    /// Draws the sheet.
    pub(super) fn ui(&mut self, ui: &mut Ui) -> Option<Deed> {
        let p = theme::palette(ui);
        ui.label(RichText::new(words::TITLE).font(theme::semibold(theme::size::TITLE)));
        ui.add_space(space::S);
        ui.label(RichText::new(words::EXPLAIN).color(p.muted));
        ui.add_space(space::S);
        Grid::new("facts")
            .num_columns(3)
            .spacing([16.0, 5.0])
            .show(ui, |ui| {
                for (name, value, from) in &self.lines {
                    ui.label(RichText::new(*name).font(theme::medium(theme::size::BODY)));
                    ui.scope(|ui| {
                        ui.set_max_width(300.0);
                        ui.add(egui::Label::new(value).wrap());
                    });
                    let colour = match from {
                        Provenance::Guessed => p.caution,
                        _ => p.muted,
                    };
                    ui.label(
                        RichText::new(words::provenance(from.id()))
                            .small()
                            .color(colour),
                    );
                    ui.end_row();
                }
            });
        ui.add_space(space::M);
        section_ui(ui, words::LABELS_BOX);
        ScrollArea::vertical().max_height(140.0).show(ui, |ui| {
            let edit = ui.add(
                TextEdit::multiline(&mut self.labels)
                    .hint_text(words::LABELS_HINT)
                    .desired_rows(4)
                    .desired_width(520.0),
            );
            // The hint would name it otherwise.
            ui.ctx()
                .accesskit_node_builder(edit.id, |node| node.set_label(words::LABELS_BOX));
        });
        ui.add_space(space::S);
        ui.horizontal(|ui| {
            ui.label(words::PREPROCESSING);
            ui.name_inputs(words::PREPROCESSING, |ui| {
                ComboBox::from_id_salt("recipe")
                    .selected_text(self.recipe.unwrap_or(words::KEEP))
                    .show_ui(ui, |ui| {
                        ui.selectable_value(&mut self.recipe, None, words::KEEP);
                        for name in &self.recipes {
                            ui.selectable_value(&mut self.recipe, Some(name), *name);
                        }
                    })
                    .response
            });
            ui.label(words::ACTIVATION);
            ui.name_inputs(words::ACTIVATION, |ui| {
                ComboBox::from_id_salt("activation")
                    .selected_text(self.activation.map_or(words::KEEP, Activation::id))
                    .show_ui(ui, |ui| {
                        ui.selectable_value(&mut self.activation, None, words::KEEP);
                        for activation in Activation::ALL {
                            ui.selectable_value(
                                &mut self.activation,
                                Some(activation),
                                activation.id(),
                            );
                        }
                    })
                    .response
            });
        });
        if let Some(error) = &self.error {
            ui.label(RichText::new(error).color(p.caution));
        }
        ui.add_space(space::S);
        let mut deed = None;
        ui.horizontal(|ui| {
            if ui.button(words::APPLY).clicked() {
                deed = Some(Deed::Apply);
            }
            if ui.button(words::SAVE).clicked() {
                deed = Some(Deed::Save);
            }
        });
        deed
    }
}
