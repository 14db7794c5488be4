//! Any action, method, layer or finding by a few letters.

use std::path::PathBuf;

use egui::{Button, Key, RichText, ScrollArea, Ui};

use crate::explain::catalogue;
use crate::text::palette as words;
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::theme;
use crate::ui::widgets::text_box_ui;

/// Most entries that are listed.
const MOST: usize = 60;

/// What is typed, and the entry that Enter takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ui) struct Palette {
    typed: String,
    at: usize,
}

/// Something that can be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ui) enum Found {
    Command(Command),
    /// The method in the selected panel.
    Method(&'static str),
    /// The layer in the selected panel, by its stop.
    Layer(usize),
    /// The finding, by its class.
    Finding(usize),
    Recent(PathBuf),
}

struct Entry {
    found: Found,
    name: String,
    /// Another name by which it is found.
    also: String,
    keys: String,
}

/// The sheet; what was taken from it.
pub(in crate::ui) fn palette_ui(app: &App, ui: &mut Ui, palette: &mut Palette) -> Option<Found> {
    ui.set_width(520.0);
    let before = palette.typed.clone();
    let edit = text_box_ui(ui, words::NAME, words::HINT, &mut palette.typed);
    edit.request_focus();
    if palette.typed != before {
        palette.at = 0;
    }
    let entries = matching(app, ui, &palette.typed);
    let last = entries.len().saturating_sub(1);
    let (down, up, enter) = ui.input(|i| {
        (
            i.num_presses(Key::ArrowDown),
            i.num_presses(Key::ArrowUp),
            i.key_pressed(Key::Enter),
        )
    });
    palette.at = (palette.at + down).saturating_sub(up).min(last);
    let mut taken = None;
    if entries.is_empty() {
        ui.label(words::NOTHING);
    }
    let muted = theme::palette(ui).muted;
    ScrollArea::vertical()
        .max_height(400.0)
        .min_scrolled_height(400.0)
        .auto_shrink(false)
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            for (i, entry) in entries.into_iter().enumerate() {
                let kind = match entry.found {
                    Found::Command(_) => "",
                    Found::Method(_) => words::METHOD,
                    Found::Layer(_) => words::LAYER,
                    Found::Finding(_) => words::FINDING,
                    Found::Recent(_) => words::RECENT,
                };
                let right = match kind {
                    "" => entry.keys,
                    kind => kind.to_owned(),
                };
                let row = Button::selectable(i == palette.at, entry.name)
                    .shortcut_text(RichText::new(right).small().color(muted))
                    .min_size(egui::vec2(ui.available_width(), 26.0))
                    .truncate();
                let row = ui.add(row);
                if i == palette.at && down + up > 0 {
                    row.scroll_to_me(None);
                }
                if row.clicked() || (enter && i == palette.at) {
                    taken = Some(entry.found);
                }
            }
        });
    taken
}

/// Entries that hold every typed word; those that begin with the first one come first.
fn matching(app: &App, ui: &Ui, typed: &str) -> Vec<Entry> {
    let typed = typed.trim().to_lowercase();
    let wanted: Vec<&str> = typed.split_whitespace().collect();
    let mut entries: Vec<(usize, Entry)> = all(app, ui)
        .into_iter()
        .filter_map(|entry| {
            let names = [entry.name.to_lowercase(), entry.also.to_lowercase()];
            let holds = |name: &&String| wanted.iter().all(|word| name.contains(word));
            let best = names
                .iter()
                .filter(holds)
                .map(|name| rank(name, &typed))
                .min();
            best.map(|rank| (rank, entry))
        })
        .collect();
    entries.sort_by_key(|(rank, _)| *rank);
    entries.truncate(MOST);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// Smaller is better: the whole name, its beginning, the beginning of a word, anywhere.
fn rank(name: &str, typed: &str) -> usize {
    if name == typed {
        0
    } else if name.starts_with(typed) {
        1
    } else if name.split_whitespace().any(|word| word.starts_with(typed)) {
        2
    } else {
        3
    }
}

fn all(app: &App, ui: &Ui) -> Vec<Entry> {
    let panel = app.grid.selected;
    let mut commands = Command::all();
    commands.retain(|command| *command != Command::Palette);
    commands.extend([
        Command::DuplicatePanel(panel),
        Command::PinPanel(panel),
        Command::Solo(panel),
        Command::RemovePanel(panel),
    ]);
    let mut entries: Vec<Entry> = commands
        .into_iter()
        .map(|command| Entry {
            name: command.label(),
            keys: command.keys(ui.ctx()).unwrap_or_default(),
            also: String::new(),
            found: Found::Command(command),
        })
        .collect();
    let plain = |found: Found, name: String| Entry {
        found,
        name,
        also: String::new(),
        keys: String::new(),
    };
    let methods = catalogue::all().map(|m| Entry {
        also: m.id.to_owned(),
        ..plain(Found::Method(m.id), m.label.to_owned())
    });
    entries.extend(methods);
    let case = app.case_at(panel);
    let order = case.findings_order("");
    entries.extend(
        order
            .into_iter()
            .map(|class| plain(Found::Finding(class), case.label(class))),
    );
    let stops = case.stops.list.iter().enumerate();
    entries.extend(stops.map(|(i, stop)| plain(Found::Layer(i), stop.name.clone())));
    let recent = app.store.settings.recent.iter();
    entries.extend(recent.map(|path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        plain(
            Found::Recent(path.clone()),
            name.to_string_lossy().into_owned(),
        )
    }));
    entries
}

impl App {
    /// Does what was found.
    pub(in crate::ui) fn take_found(&mut self, found: Found) {
        let panel = self.grid.selected;
        match found {
            Found::Command(command) => self.send(command),
            Found::Method(id) => {
                if let Ok(method) = catalogue::find(id) {
                    let case = self.grid.case_of(panel);
                    self.grid
                        .set_method(panel, method, &self.cases.get(case).stops);
                }
            }
            Found::Layer(stop) => self.grid.move_to(panel, stop),
            Found::Finding(class) => self.explain(class),
            Found::Recent(path) => self.open_recent(&path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn what_begins_with_the_letters_comes_first() {
        let mut names = [
            "one large, three small",
            "the same lung",
            "lung",
            "small lungs",
            "lung fields",
        ];
        names.sort_by_key(|name| rank(name, "lung"));
        assert_eq!(names[..3], ["lung", "lung fields", "the same lung"]);
    }
}
