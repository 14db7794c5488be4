//! Where the window's controls lie, by the names that screen readers hear: for measurements and for scripts that
//! drive the window from outside.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use egui::accesskit::{Node, Role};
use egui::{Context, FullOutput, Plugin, Rect, pos2};
use serde_json::json;

use crate::export::write_whole;

/// Roles of what can be used. Plain text is not among them: it may say whose X-ray is open.
const CONTROLS: [Role; 9] = [
    Role::Button,
    Role::CheckBox,
    Role::ComboBox,
    Role::Image,
    Role::MenuItem,
    Role::RadioButton,
    Role::Slider,
    Role::SpinButton,
    Role::TextInput,
];

/// A control.
#[derive(Clone, PartialEq)]
struct Control {
    role: Role,
    name: String,
    /// In points.
    rect: Rect,
    /// Whether keys go to it.
    focused: bool,
}

fn control(node: &Node, focused: bool) -> Option<Control> {
    let b = node.bounds()?;
    let rect = Rect::from_min_max(
        pos2(b.x0 as f32, b.y0 as f32),
        pos2(b.x1 as f32, b.y1 as f32),
    );
    let known = CONTROLS.contains(&node.role());
    known.then_some(Control {
        role: node.role(),
        name: node.label()?.to_owned(),
        rect,
        focused,
    })
}

/// Takes in the controls of every frame in which egui describes the window for screen readers.
#[derive(Clone, Default)]
pub(super) struct Controls {
    all: Arc<Mutex<Vec<Control>>>,
    /// Where they are written whenever they have changed.
    file: Option<PathBuf>,
    written: Vec<Control>,
}

impl Controls {
    /// Writes the controls to a file from here on.
    pub(super) fn to_file(ctx: &Context, file: PathBuf) {
        ctx.enable_accesskit();
        ctx.add_plugin(Self {
            file: Some(file),
            ..Self::default()
        });
    }

    /// Where the control of this role and name lies.
    pub(super) fn find(&self, role: Role, name: &str) -> Option<Rect> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|c| c.role == role && c.name == name);
        found.map(|control| control.rect)
    }

    fn write(&mut self) {
        let Some(file) = &self.file else {
            return;
        };
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if *all == self.written {
            return;
        }
        self.written.clone_from(&all);
        let list: Vec<serde_json::Value> = all
            .iter()
            .map(|control| {
                let Rect { min, max } = control.rect;
                json!({
                    "role": format!("{:?}", control.role),
                    "name": control.name,
                    "rect": [min.x, min.y, max.x, max.y],
                    "focused": control.focused,
                })
            })
            .collect();
        // A script that finds no file says so itself; the window goes on.
        if let Ok(bytes) = serde_json::to_vec_pretty(&list) {
            let _ = write_whole(file, &bytes);
        }
    }
}

impl Plugin for Controls {
    fn debug_name(&self) -> &'static str {
        "controls"
    }

    fn output_hook(&mut self, _ctx: &Context, output: &mut FullOutput) {
        let Some(update) = &output.platform_output.accesskit_update else {
            return;
        };
        let nodes = update.nodes.iter();
        let found = nodes.filter_map(|(id, node)| control(node, *id == update.focus));
        *self.all.lock().unwrap_or_else(PoisonError::into_inner) = found.collect();
        self.write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_written_and_words_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("controls.json");
        let ctx = Context::default();
        Controls::to_file(&ctx, file.clone());
        let mut count = 3.0;
        let mut output = ctx.run_ui(egui::RawInput::default(), |ui| {
            ui.label("Synthetic^Name");
            let _ = ui.button("Export");
            ui.name_inputs("Cut", |ui| {
                ui.add(egui::Slider::new(&mut count, 0.0..=9.0).show_value(false))
            });
        });
        output.textures_delta.clear();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("Synthetic"), "{text}");
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (role, name) in [("Button", "Export"), ("Slider", "Cut")] {
            let found = list.as_array().unwrap().iter();
            let found = found.filter(|c| c["role"] == role && c["name"] == name);
            let rects: Vec<f64> = found
                .flat_map(|c| [0, 1, 2, 3].map(|i| c["rect"][i].as_f64().unwrap()))
                .collect();
            assert!(
                rects.len() == 4 && rects[2] > rects[0] && rects[3] > rects[1],
                "{rects:?}"
            );
        }
    }
}
