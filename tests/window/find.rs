//! The palette, the guide to the methods, and the queue.

use camlens::explain::catalogue;
use camlens::text::{method as method_words, palette, window as words};

use super::explorer::{large, methods};
use super::*;

fn type_in(h: &mut Harness<'_, App>, text: &str) {
    h.key_press_modifiers(Modifiers::COMMAND, Key::K);
    steps(h, 3);
    h.event(Event::Text(text.to_owned()));
    steps(h, 2);
}

#[test]
fn anything_is_found_by_a_few_letters() {
    let mut h = large();
    // A method, in the selected panel.
    type_in(&mut h, "eigen-cam");
    h.key_press(Key::Enter);
    steps(&mut h, 3);
    assert_eq!(methods(h.state())[0], "eigen-cam");
    // A finding.
    type_in(&mut h, "normal");
    h.key_press(Key::Enter);
    steps(&mut h, 3);
    assert_eq!(h.state().target(), Some(0));
    // A layer.
    let layer = h.state().stops().list[2].name.clone();
    type_in(&mut h, &layer);
    h.key_press(Key::Enter);
    steps(&mut h, 3);
    assert_eq!(stop_name(h.state(), 0), layer);
    // An action, the second one that fits.
    type_in(&mut h, "grid of 3");
    h.key_press(Key::ArrowDown);
    h.key_press(Key::Enter);
    steps(&mut h, 3);
    assert_eq!(h.state().grid().panels.len(), 6);
    // Nothing is called that.
    type_in(&mut h, "qqq");
    h.get_by_label(palette::NOTHING);
    h.key_press(Key::Enter);
    h.key_press(Key::Escape);
    steps(&mut h, 3);
    assert!(h.query_by_label(palette::NOTHING).is_none(), "closed");
}

#[test]
fn the_palette_lists_every_action() {
    let mut h = large();
    for command in Command::all() {
        if command == Command::Palette {
            continue;
        }
        type_in(&mut h, &command.label());
        assert!(
            h.query_all_by_role(Role::Button).any(|node| node
                .accesskit_node()
                .label()
                .is_some_and(|l| l.starts_with(&command.label()))),
            "{}",
            command.label()
        );
        h.key_press(Key::Escape);
        steps(&mut h, 2);
    }
}

#[test]
fn the_guide_tells_what_a_method_is_and_shows_it() {
    let mut h = large();
    h.state_mut().send(Command::Methods);
    steps(&mut h, 3);
    // It opens at the method of the selected panel.
    let grad_cam = catalogue::find("grad-cam").unwrap();
    h.get_by_label(grad_cam.weakness);
    h.get_by_label(method_words::FIND_METHOD).focus();
    steps(&mut h, 2);
    h.event(Event::Text("rise".to_owned()));
    steps(&mut h, 3);
    let rise = catalogue::find("rise").unwrap();
    for text in [rise.shows, rise.weakness, rise.citation.text] {
        h.get_by_label(text);
    }
    h.get_by_role_and_label(Role::Button, method_words::COPY_BIBTEX)
        .click();
    h.step();
    let copied = h.output().platform_output.commands.iter().any(|command| {
        matches!(command, egui::OutputCommand::CopyText(text) if text.contains("@") && text.contains("title"))
    });
    assert!(copied);
    h.get_by_role_and_label(Role::Button, &words::show_in_panel(1))
        .click();
    steps(&mut h, 3);
    assert_eq!(methods(h.state())[0], "rise");
    assert!(h.query_by_label(rise.weakness).is_none(), "closed");
}

#[test]
fn the_queue_says_what_waits_and_stops_one_map() {
    let mut h = large();
    for (panel, id) in [(0, "rise"), (1, "score-cam")] {
        h.get_by_role_and_label(Role::ComboBox, &format!("Method, panel {}", panel + 1))
            .click();
        steps(&mut h, 3);
        let label = catalogue::find(id).unwrap().label;
        h.get_by_role_and_label(Role::Button, label)
            .click_accesskit();
        steps(&mut h, 3);
        if panel == 0 {
            h.get_by_role_and_label(Role::SpinButton, "samples")
                .set_value_accesskit(200_000.0);
            steps(&mut h, 3);
        }
    }
    until(&mut h, "the first map grows", |app| {
        matches!(app.state_of(0), Some(MapState::Growing(_)))
    });
    h.get_by_role_and_label(Role::Button, words::QUEUE).click();
    steps(&mut h, 3);
    let layer = shown_layer(h.state(), 0).unwrap_or_default();
    assert!(
        h.query_by_label_contains("Panel 1: RISE").is_some(),
        "{layer}"
    );
    assert!(h.query_by_label_contains("Panel 2: Score-CAM").is_some());
    // Panel 1 gives way.
    let stop = method_words::on_panel(method_words::STOP_MAP, 1);
    let buttons: Vec<_> = h.query_all_by_role_and_label(Role::Button, &stop).collect();
    buttons.last().unwrap().click();
    steps(&mut h, 3);
    until(&mut h, "the other map", |app| {
        matches!(app.state_of(1), Some(MapState::Ready(_)))
    });
    assert!(matches!(h.state().state_of(0), Some(MapState::Growing(g)) if g.stopped));
}
