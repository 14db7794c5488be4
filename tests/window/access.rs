//! For people without a mouse, or without sight: every control has a name, and the Tab key reaches it.

use std::collections::BTreeSet;

use super::explorer::large;
use super::*;

const CONTROLS: [Role; 8] = [
    Role::Button,
    Role::CheckBox,
    Role::ComboBox,
    Role::Slider,
    Role::SpinButton,
    Role::TextInput,
    Role::RadioButton,
    Role::Link,
];

fn nameless(h: &Harness<'_, App>) -> Vec<String> {
    let mut found = Vec::new();
    for role in CONTROLS {
        for node in h.query_all_by_role(role) {
            let inner = node.accesskit_node();
            let label = inner.label().unwrap_or_default();
            if label.trim().is_empty() {
                found.push(format!("{role:?} at {:?}", node.rect()));
            }
        }
    }
    found
}

#[test]
fn every_control_has_a_name() {
    let mut h = large();
    assert_eq!(nameless(&h), Vec::<String>::new());
    h.state_mut().send(Command::Compare);
    until(&mut h, "two cases", App::is_complete);
    for command in [
        Command::Table(4, 4),
        Command::Swipe,
        Command::Difference,
        Command::Keys,
        Command::Methods,
        Command::Palette,
        Command::About,
        Command::ModelFacts,
        Command::ModelEye,
    ] {
        h.state_mut().send(command);
        steps(&mut h, 4);
        assert_eq!(nameless(&h), Vec::<String>::new(), "{command:?}");
    }
}

#[test]
fn the_tab_key_reaches_every_kind_of_control() {
    let mut h = large();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let mut first = None;
    for _ in 0..250 {
        h.key_press(Key::Tab);
        steps(&mut h, 1);
        let Some(focused) = h.ctx.memory(|m| m.focused()) else {
            continue;
        };
        if first == Some(focused) {
            break;
        }
        first.get_or_insert(focused);
        let all = CONTROLS.into_iter().chain([Role::Image]);
        for node in all.flat_map(|role| h.query_all_by_role(role).collect::<Vec<_>>()) {
            if node.accesskit_node().is_focused() {
                reached.insert(node.accesskit_node().label().unwrap_or_default());
            }
        }
    }
    for name in [
        "File",
        "Layer, panel 1",
        "Layer, panel 4",
        "Method, panel 2",
        "More for panel 3",
        "Strip of layers of panel 1",
        camlens::text::window::DENOISE,
        camlens::text::window::OPACITY,
        camlens::text::window::PATH_BOX,
        camlens::text::window::CONTOURS_HALF,
    ] {
        assert!(
            reached.iter().any(|label| label.contains(name)),
            "{name} is not among {reached:?}"
        );
    }
}
