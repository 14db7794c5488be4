//! What the main screens look like, pixel by pixel. `UPDATE_SNAPSHOTS=1` writes them anew, into tests/snapshots; look at them
//! before they are committed.

use egui_kittest::SnapshotOptions;

use super::*;

/// Rasterisers round edges of letters differently, and a map's last bit may fall into the next colour.
fn options() -> SnapshotOptions {
    SnapshotOptions::new().threshold(1.2).max_failed_pixels(600)
}

fn shoot(h: &mut Harness<'_, App>, name: &str) {
    // The pointer is nowhere: nothing is lit.
    h.remove_cursor();
    steps(h, 12);
    h.snapshot_options(name, &options());
}

#[test]
fn the_main_screens_look_as_they_did() {
    if !can_draw() {
        return;
    }
    let mut h = window();
    h.set_size(vec2(1280.0, 800.0));
    steps(&mut h, 3);
    until(&mut h, "maps of all layers", |app| {
        app.is_complete() && !app.session().is_busy()
    });
    steps(&mut h, 30);
    shoot(&mut h, "main-dark");
    h.state_mut().send(Command::ToggleTheme);
    h.state_mut().send(Command::Preset(Preset::Clinician));
    until(&mut h, "maps", |app| {
        app.is_complete() && !app.session().is_busy()
    });
    steps(&mut h, 30);
    shoot(&mut h, "clinician-light");
    h.state_mut().send(Command::ToggleTheme);
    h.state_mut().send(Command::Swipe);
    shoot(&mut h, "swipe");
    h.state_mut().send(Command::Swipe);
    h.state_mut().send(Command::Methods);
    shoot(&mut h, "guide");
}
