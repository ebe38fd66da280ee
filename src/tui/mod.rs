//! The dashboard: the whole fleet on a terminal. A model that changes by messages, a drawing of it, and one loop that touches the terminal.

pub mod actions;
mod clipboard;
mod command;
mod editor;
mod fleet;
mod fuzzy;
mod hands;
mod graph;
mod input;
mod keymap;
mod keys;
mod log;
mod model;
mod problems;
mod remote;
mod run;
mod seek;
pub mod settings;
mod terminal;
#[cfg(test)]
mod testing;
mod theme;
mod update;
mod update_log;
mod view;

pub use run::{Options, run};
pub use theme::Depth;
