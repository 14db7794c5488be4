//! Every action of the window, once: menus, shortcuts, buttons, the palette and tests share it.

use egui::{Context, Key, KeyboardShortcut, ModifierNames, Modifiers};

use super::presets::Preset;
use super::regions_tool::Tool;
use super::state::{MAX_PANELS, MAX_SIDE};
use crate::model::device::CHOICES;
use crate::plan::DeviceChoice;
use crate::session::samples;
use crate::text::command as words;

/// An action. Panels are named by their place in the grid, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Choose an X-ray in a dialog.
    OpenImage,
    /// See the files of the folder that was opened last.
    Files,
    /// The picture after this one in its folder.
    NextFile,
    /// The one before.
    PreviousFile,
    /// The frame after this one in its file.
    NextFrame,
    /// The one before.
    PreviousFrame,
    /// Choose a network in a dialog.
    OpenModel,
    /// Go back to the network in the program.
    OpenDemoModel,
    /// Open a sample case, by its place in the menu.
    OpenSample(usize),
    /// Open a file again, by its place among those that were open last.
    OpenRecent(usize),
    /// Forget which files were open.
    ForgetRecent,
    /// Choose a session file in a dialog.
    OpenSession,
    /// Write everything that is open and how it is shown into a session file.
    SaveSession,
    /// Go on where the program was left.
    RestoreSession,
    /// Run the network elsewhere.
    Device(DeviceChoice),
    /// See and settle what is known about the network.
    ModelFacts,
    /// Choose a file of regions in a dialog.
    OpenRegions,
    /// Write the regions as COCO JSON.
    SaveRegions,
    /// Draw regions.
    Draw(Tool),
    /// Take away the selected region.
    DeleteRegion,
    /// Leave the drawing tool, or the selected region.
    LeaveTool,
    /// Show what the network is fed.
    ModelEye,
    /// Write the annotated grid as a PNG.
    Export,
    /// Leave.
    Quit,
    /// Take the last change back.
    Undo,
    /// Make the change again that was taken back.
    Redo,
    /// Find any action, method, layer or finding by typing.
    Palette,
    /// Show or hide all overlays.
    ToggleOverlay,
    /// Show the whole X-ray.
    Fit,
    /// One pixel of the X-ray on one pixel of the screen.
    OneToOne,
    /// Single pixels as squares, or smoothed.
    NativePixels,
    /// Left for right, as it is seen.
    FlipAcross,
    /// Top for bottom, as it is seen.
    FlipDown,
    /// A quarter turn clockwise.
    RotateRight,
    /// A quarter turn the other way.
    RotateLeft,
    /// Neither mirrored nor turned.
    AsStored,
    /// Black for white.
    Invert,
    /// The file's own grey levels.
    ResetGrey,
    /// Closer.
    ZoomIn,
    /// Farther.
    ZoomOut,
    /// Dark or light.
    ToggleTheme,
    /// Show or hide the sides, so that pictures have all the room.
    ToggleSides,
    /// Show or hide the strip of small maps of every layer.
    ToggleStrip,
    /// Show so many panels.
    Panels(usize),
    /// So many columns and rows.
    Table(usize, usize),
    /// Lay the grid out for a purpose.
    Preset(Preset),
    /// Take away a panel.
    RemovePanel(usize),
    /// Put a copy of a panel behind it.
    DuplicatePanel(usize),
    /// Take a panel to another place.
    MovePanel(usize, usize),
    /// Keep a panel where presets lay the grid out anew, or let it go.
    PinPanel(usize),
    /// Show one panel alone, or all again.
    Solo(usize),
    /// The selected panel and the next one to either side of a line.
    Swipe,
    /// The selected panel minus the next one.
    Difference,
    /// The panel after the selected one.
    NextPanel,
    /// All panels at the same depth.
    ToggleLinkedDepth,
    /// All panels zoom and pan together.
    ToggleLinkedView,
    /// Both cases explain the same finding.
    ToggleLinkedTarget,
    /// The same network and picture once more, to change either.
    Compare,
    /// Another picture in the same network.
    CompareImage,
    /// The same picture in another network.
    CompareModel,
    /// One case again.
    EndComparison,
    /// The finding above in the list.
    PreviousFinding,
    /// The finding below in the list.
    NextFinding,
    /// Show what speaks for and against.
    ShowSigned,
    /// Defaults for every display setting.
    ResetLook,
    /// Stop what is being computed.
    Cancel,
    /// Compute again what was stopped.
    Resume,
    /// What the program is and is not.
    About,
    /// The list of keys.
    Keys,
    /// What the methods show.
    Methods,
}

impl Command {
    /// Every action that makes sense without naming a place in the grid or a file, in the order of menus.
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self::OpenImage,
            Self::Files,
            Self::NextFile,
            Self::PreviousFile,
            Self::NextFrame,
            Self::PreviousFrame,
            Self::OpenModel,
            Self::OpenDemoModel,
            Self::OpenSession,
            Self::SaveSession,
            Self::RestoreSession,
            Self::ForgetRecent,
            Self::ModelFacts,
            Self::ModelEye,
            Self::Export,
            Self::Quit,
            Self::Undo,
            Self::Redo,
            Self::Palette,
            Self::ToggleOverlay,
            Self::Fit,
            Self::ZoomIn,
            Self::ZoomOut,
            Self::OneToOne,
            Self::NativePixels,
            Self::FlipAcross,
            Self::FlipDown,
            Self::RotateRight,
            Self::RotateLeft,
            Self::AsStored,
            Self::Invert,
            Self::ResetGrey,
            Self::ToggleTheme,
            Self::ToggleSides,
            Self::ToggleStrip,
            Self::ResetLook,
            Self::ShowSigned,
            Self::PreviousFinding,
            Self::NextFinding,
        ];
        all.extend(Preset::ALL.map(Self::Preset));
        all.extend([
            Self::Swipe,
            Self::Difference,
            Self::NextPanel,
            Self::ToggleLinkedDepth,
            Self::ToggleLinkedView,
            Self::ToggleLinkedTarget,
            Self::Compare,
            Self::CompareImage,
            Self::CompareModel,
            Self::EndComparison,
            Self::OpenRegions,
            Self::SaveRegions,
            Self::Draw(Tool::Box),
            Self::Draw(Tool::Ellipse),
            Self::Draw(Tool::Freehand),
            Self::DeleteRegion,
            Self::LeaveTool,
            Self::Cancel,
            Self::Resume,
            Self::Methods,
            Self::Keys,
            Self::About,
        ]);
        all.extend(CHOICES.map(Self::Device));
        all.extend((0..samples::SAMPLES.len()).map(Self::OpenSample));
        all.extend((1..=MAX_PANELS.min(9)).map(Self::Panels));
        for rows in 1..=MAX_SIDE {
            all.extend((1..=MAX_SIDE).map(|columns| Self::Table(columns, rows)));
        }
        all
    }

    /// Commands that have a shortcut. A shortcut with more modifiers stands before the one that it contains, since that
    /// one would take its keys; and what Escape leaves first stands before what it leaves next.
    pub fn with_shortcut() -> Vec<Self> {
        let mut all: Vec<Self> = Self::all();
        all.extend([Self::DuplicatePanel(0), Self::PinPanel(0), Self::Solo(0)]);
        all.retain(|command| command.shortcut().is_some());
        all.sort_by_key(|command| {
            let modifiers = command.shortcut().map(|s| s.modifiers).unwrap_or_default();
            std::cmp::Reverse(u8::from(modifiers.shift) + u8::from(modifiers.any()))
        });
        all
    }

    /// The same for the panel at this place; a command without a place stays as it is.
    pub fn at(self, panel: usize) -> Self {
        match self {
            Self::DuplicatePanel(_) => Self::DuplicatePanel(panel),
            Self::PinPanel(_) => Self::PinPanel(panel),
            Self::Solo(_) => Self::Solo(panel),
            Self::RemovePanel(_) => Self::RemovePanel(panel),
            other => other,
        }
    }

    /// What menus and buttons call it.
    pub fn label(self) -> String {
        match self {
            Self::OpenImage => words::OPEN_IMAGE,
            Self::Files => words::FILES,
            Self::NextFile => words::NEXT_FILE,
            Self::PreviousFile => words::PREVIOUS_FILE,
            Self::NextFrame => words::NEXT_FRAME,
            Self::PreviousFrame => words::PREVIOUS_FRAME,
            Self::OpenModel => words::OPEN_MODEL,
            Self::OpenDemoModel => words::OPEN_DEMO_MODEL,
            Self::OpenSample(place) => {
                let title = samples::SAMPLES.get(place).map_or("", |s| s.title.as_str());
                return words::sample(title);
            }
            Self::OpenRecent(_) => words::OPEN_RECENT,
            Self::ForgetRecent => words::FORGET_RECENT,
            Self::OpenSession => words::OPEN_SESSION,
            Self::SaveSession => words::SAVE_SESSION,
            Self::RestoreSession => words::RESTORE_SESSION,
            Self::Device(choice) => crate::text::device::choice(choice),
            Self::ModelFacts => words::MODEL_FACTS,
            Self::OpenRegions => crate::text::region::OPEN,
            Self::SaveRegions => crate::text::region::SAVE,
            Self::Draw(Tool::Box) => crate::text::region::DRAW[0],
            Self::Draw(Tool::Ellipse) => crate::text::region::DRAW[1],
            Self::Draw(Tool::Freehand) => crate::text::region::DRAW[2],
            Self::DeleteRegion => crate::text::region::DELETE,
            Self::LeaveTool => crate::text::region::LEAVE,
            Self::ModelEye => crate::text::region::MODEL_EYE,
            Self::Export => words::EXPORT,
            Self::Quit => words::QUIT,
            Self::Undo => words::UNDO,
            Self::Redo => words::REDO,
            Self::Palette => words::PALETTE,
            Self::ToggleOverlay => words::TOGGLE_OVERLAY,
            Self::Fit => words::FIT,
            Self::OneToOne => words::ONE_TO_ONE,
            Self::NativePixels => words::NATIVE_PIXELS,
            Self::FlipAcross => words::FLIP_ACROSS,
            Self::FlipDown => words::FLIP_DOWN,
            Self::RotateRight => words::ROTATE_RIGHT,
            Self::RotateLeft => words::ROTATE_LEFT,
            Self::AsStored => words::AS_STORED,
            Self::Invert => words::INVERT,
            Self::ResetGrey => words::RESET_GREY,
            Self::ZoomIn => words::ZOOM_IN,
            Self::ZoomOut => words::ZOOM_OUT,
            Self::ToggleTheme => words::TOGGLE_THEME,
            Self::ToggleSides => words::TOGGLE_SIDES,
            Self::ToggleStrip => words::TOGGLE_STRIP,
            Self::Panels(count) => return words::panels(count),
            Self::Table(columns, rows) => return words::table(columns, rows),
            Self::Preset(preset) => match preset {
                Preset::First => words::PRESET_FIRST,
                Preset::Clinician => words::PRESET_CLINICIAN,
                Preset::Methods => words::PRESET_METHODS,
                Preset::Depth => words::PRESET_DEPTH,
                Preset::Seed => words::PRESET_SEED,
                Preset::Findings => words::PRESET_FINDINGS,
                Preset::Stages => words::PRESET_STAGES,
            },
            Self::RemovePanel(_) => words::REMOVE_PANEL,
            Self::DuplicatePanel(_) => words::DUPLICATE_PANEL,
            Self::MovePanel(..) => words::MOVE_PANEL,
            Self::PinPanel(_) => words::PIN_PANEL,
            Self::Solo(_) => words::SOLO,
            Self::Swipe => words::SWIPE,
            Self::Difference => words::DIFFERENCE,
            Self::NextPanel => words::NEXT_PANEL,
            Self::ToggleLinkedDepth => words::LINKED_DEPTH,
            Self::ToggleLinkedView => words::LINKED_VIEW,
            Self::ToggleLinkedTarget => words::LINKED_TARGET,
            Self::Compare => words::COMPARE,
            Self::CompareImage => words::COMPARE_IMAGE,
            Self::CompareModel => words::COMPARE_MODEL,
            Self::EndComparison => words::END_COMPARISON,
            Self::PreviousFinding => words::PREVIOUS_FINDING,
            Self::NextFinding => words::NEXT_FINDING,
            Self::ShowSigned => words::SHOW_SIGNED,
            Self::ResetLook => words::RESET_LOOK,
            Self::Cancel => words::CANCEL,
            Self::Resume => words::RESUME,
            Self::About => words::ABOUT,
            Self::Keys => words::KEYS,
            Self::Methods => words::METHODS,
        }
        .to_owned()
    }

    /// Its keys.
    pub fn shortcut(self) -> Option<KeyboardShortcut> {
        let with = |modifiers, key| Some(KeyboardShortcut::new(modifiers, key));
        let plain = |key| with(Modifiers::NONE, key);
        let command = |key| with(Modifiers::COMMAND, key);
        let shifted = |key| with(Modifiers::COMMAND | Modifiers::SHIFT, key);
        match self {
            Self::OpenImage => command(Key::O),
            Self::OpenModel => shifted(Key::O),
            Self::SaveSession => command(Key::S),
            Self::Export => command(Key::E),
            Self::Quit => command(Key::Q),
            Self::Undo => command(Key::Z),
            Self::Redo => shifted(Key::Z),
            Self::Palette => command(Key::K),
            Self::ToggleOverlay => plain(Key::H),
            Self::Fit => plain(Key::Num0),
            Self::OneToOne => plain(Key::Z),
            Self::NativePixels => plain(Key::M),
            Self::FlipAcross => plain(Key::X),
            Self::FlipDown => plain(Key::Y),
            Self::RotateRight => plain(Key::R),
            Self::RotateLeft => with(Modifiers::SHIFT, Key::R),
            Self::Invert => plain(Key::I),
            Self::NextFile => plain(Key::N),
            Self::PreviousFile => plain(Key::P),
            Self::NextFrame => plain(Key::Period),
            Self::PreviousFrame => plain(Key::Comma),
            Self::Draw(Tool::Box) => plain(Key::B),
            Self::Draw(Tool::Ellipse) => plain(Key::E),
            Self::Draw(Tool::Freehand) => plain(Key::F),
            Self::DeleteRegion => plain(Key::Delete),
            Self::LeaveTool | Self::Cancel => plain(Key::Escape),
            Self::ZoomIn => plain(Key::Plus),
            Self::ZoomOut => plain(Key::Minus),
            Self::PreviousFinding => plain(Key::OpenBracket),
            Self::NextFinding => plain(Key::CloseBracket),
            Self::Panels(count) => {
                const NUMBERS: [Key; 9] = [
                    Key::Num1,
                    Key::Num2,
                    Key::Num3,
                    Key::Num4,
                    Key::Num5,
                    Key::Num6,
                    Key::Num7,
                    Key::Num8,
                    Key::Num9,
                ];
                NUMBERS.get(count.checked_sub(1)?).copied().and_then(plain)
            }
            Self::DuplicatePanel(_) => command(Key::D),
            Self::PinPanel(_) => plain(Key::K),
            Self::Solo(_) => plain(Key::S),
            Self::Swipe => plain(Key::W),
            Self::Difference => plain(Key::D),
            Self::NextPanel => plain(Key::T),
            Self::ToggleStrip => plain(Key::L),
            Self::ToggleSides => command(Key::B),
            Self::ToggleTheme => command(Key::T),
            Self::Keys => plain(Key::F1),
            _ => None,
        }
    }

    /// Its keys, as they are printed on them.
    pub fn keys(self, ctx: &Context) -> Option<String> {
        let shortcut = self.shortcut()?;
        // Names, not symbols: the fonts have no signs for them.
        let names = ModifierNames::NAMES;
        let is_mac = ctx.os().is_mac();
        let modifiers = names.format(&shortcut.modifiers, is_mac);
        let key = match shortcut.logical_key {
            Key::OpenBracket => "[",
            Key::CloseBracket => "]",
            Key::Plus => "+",
            Key::Minus => "-",
            Key::Period => ".",
            Key::Comma => ",",
            key => key.name(),
        };
        Some(if modifiers.is_empty() {
            key.to_owned()
        } else {
            format!("{modifiers}{}{key}", names.concat)
        })
    }

    /// Whether it must not fire while somebody types.
    pub fn is_plain_key(self) -> bool {
        let types = |m: Modifiers| m.is_none() || m.shift_only();
        self.shortcut()
            .is_some_and(|s| types(s.modifiers) && !matches!(s.logical_key, Key::F1))
    }
}
