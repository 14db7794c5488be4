//! Every action of the window, once: menus, shortcuts, buttons and tests share it.

use egui::{Context, Key, KeyboardShortcut, ModifierNames, Modifiers};

use super::regions_tool::Tool;
use crate::plan::DeviceChoice;
use crate::text::window as words;

/// An action.
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
    /// Choose a network in a dialog.
    OpenModel,
    /// Go back to the network in the program.
    OpenDemoModel,
    /// Open a sample case, by its place in the menu.
    OpenSample(usize),
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
    /// Show or hide all overlays.
    ToggleOverlay,
    /// Show the whole X-ray.
    Fit,
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
    /// Show so many panels.
    Panels(usize),
    /// Take away a panel.
    RemovePanel(usize),
    /// One method at every stage.
    PresetDepth,
    /// Every method at one layer.
    PresetMethods,
    /// The grid of the first start.
    PresetDefault,
    /// All panels at the same depth.
    ToggleLinkedDepth,
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
    /// Commands that have a shortcut, in the order of the list of keys. A shortcut with more
    /// modifiers stands before the one that it contains, since that one would take its keys.
    pub const WITH_SHORTCUT: [Self; 27] = [
        Self::OpenModel,
        Self::OpenImage,
        Self::NextFile,
        Self::PreviousFile,
        Self::Export,
        Self::Quit,
        Self::ToggleOverlay,
        Self::Fit,
        Self::Invert,
        Self::ZoomIn,
        Self::ZoomOut,
        Self::PreviousFinding,
        Self::NextFinding,
        Self::Panels(1),
        Self::Panels(2),
        Self::Panels(3),
        Self::Panels(4),
        Self::Panels(5),
        Self::Panels(6),
        Self::ToggleTheme,
        Self::Draw(Tool::Box),
        Self::Draw(Tool::Ellipse),
        Self::Draw(Tool::Freehand),
        Self::DeleteRegion,
        Self::LeaveTool,
        Self::Keys,
        Self::Cancel,
    ];

    /// What menus and buttons call it.
    pub fn label(self) -> String {
        words::command(self.word())
    }

    fn word(self) -> words::Word {
        use words::Word;
        match self {
            Self::OpenImage => Word::OpenImage,
            Self::Files => Word::Files,
            Self::NextFile => Word::NextFile,
            Self::PreviousFile => Word::PreviousFile,
            Self::OpenModel => Word::OpenModel,
            Self::OpenDemoModel => Word::OpenDemoModel,
            Self::OpenSample(_) => Word::OpenSample,
            Self::Device(choice) => Word::Device(choice),
            Self::ModelFacts => Word::ModelFacts,
            Self::OpenRegions => Word::OpenRegions,
            Self::SaveRegions => Word::SaveRegions,
            Self::Draw(Tool::Box) => Word::DrawBox,
            Self::Draw(Tool::Ellipse) => Word::DrawEllipse,
            Self::Draw(Tool::Freehand) => Word::DrawFreehand,
            Self::DeleteRegion => Word::DeleteRegion,
            Self::LeaveTool => Word::LeaveTool,
            Self::ModelEye => Word::ModelEye,
            Self::Export => Word::Export,
            Self::Quit => Word::Quit,
            Self::ToggleOverlay => Word::ToggleOverlay,
            Self::Fit => Word::Fit,
            Self::Invert => Word::Invert,
            Self::ResetGrey => Word::ResetGrey,
            Self::ZoomIn => Word::ZoomIn,
            Self::ZoomOut => Word::ZoomOut,
            Self::ToggleTheme => Word::ToggleTheme,
            Self::Panels(count) => Word::Panels(count),
            Self::RemovePanel(_) => Word::RemovePanel,
            Self::PresetDepth => Word::PresetDepth,
            Self::PresetMethods => Word::PresetMethods,
            Self::PresetDefault => Word::PresetDefault,
            Self::ToggleLinkedDepth => Word::ToggleLinkedDepth,
            Self::PreviousFinding => Word::PreviousFinding,
            Self::NextFinding => Word::NextFinding,
            Self::ShowSigned => Word::ShowSigned,
            Self::ResetLook => Word::ResetLook,
            Self::Cancel => Word::Cancel,
            Self::Resume => Word::Resume,
            Self::About => Word::About,
            Self::Keys => Word::Keys,
            Self::Methods => Word::Methods,
        }
    }

    /// Its keys.
    pub fn shortcut(self) -> Option<KeyboardShortcut> {
        let plain = |key| Some(KeyboardShortcut::new(Modifiers::NONE, key));
        let command = |key| Some(KeyboardShortcut::new(Modifiers::COMMAND, key));
        match self {
            Self::OpenImage => command(Key::O),
            Self::OpenModel => Some(KeyboardShortcut::new(
                Modifiers::COMMAND | Modifiers::SHIFT,
                Key::O,
            )),
            Self::Export => command(Key::E),
            Self::Quit => command(Key::Q),
            Self::ToggleOverlay => plain(Key::H),
            Self::Fit => plain(Key::Num0),
            Self::Invert => plain(Key::I),
            Self::NextFile => plain(Key::N),
            Self::PreviousFile => plain(Key::P),
            Self::Draw(Tool::Box) => plain(Key::B),
            Self::Draw(Tool::Ellipse) => plain(Key::E),
            Self::Draw(Tool::Freehand) => plain(Key::F),
            Self::DeleteRegion => plain(Key::Delete),
            Self::LeaveTool => plain(Key::Escape),
            Self::ZoomIn => plain(Key::Plus),
            Self::ZoomOut => plain(Key::Minus),
            Self::PreviousFinding => plain(Key::OpenBracket),
            Self::NextFinding => plain(Key::CloseBracket),
            Self::Panels(1) => plain(Key::Num1),
            Self::Panels(2) => plain(Key::Num2),
            Self::Panels(3) => plain(Key::Num3),
            Self::Panels(4) => plain(Key::Num4),
            Self::Panels(5) => plain(Key::Num5),
            Self::Panels(6) => plain(Key::Num6),
            Self::ToggleTheme => command(Key::T),
            Self::Keys => plain(Key::F1),
            Self::Cancel => plain(Key::Escape),
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
        self.shortcut()
            .is_some_and(|s| s.modifiers.is_none() && !matches!(s.logical_key, Key::F1))
    }
}
