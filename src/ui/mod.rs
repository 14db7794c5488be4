//! The window. It asks the session for maps and draws them; it computes no network.
//!
//! * [`App`]: what is open and on screen; one frame
//! * [`bench`]: the window driven and measured
//! * [`command`]: every action, once
//! * [`state`]: panels, layers and display settings as plain data
//! * [`viewport`]: zoom, pan and turn, shared by all panels
//! * `panels`: the regions of the window; `widgets`: controls; `theme`: every colour and distance

mod actions;
mod app;
mod base;
pub mod bench;
mod case;
pub mod command;
mod compare;
mod controls;
mod desk;
mod facts_form;
mod file_list;
mod follow;
mod ground;
mod heat;
mod history;
mod incoming;
mod outgoing;
mod panels;
mod picker;
pub mod presets;
mod regions_draw;
mod regions_tool;
mod run;
mod screenshot;
mod session_file;
mod settings;
pub mod state;
pub mod stops;
mod theme;
pub mod viewport;
mod widgets;

pub use app::{App, Message};
pub use picker::{Answer, Ask, FilePicker, NativePicker};
pub use regions_tool::Tool;
pub use run::{Options, run};
pub use session_file::looks_like_session;
pub use settings::folder as settings_folder;
