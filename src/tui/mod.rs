//! The dashboard: the whole fleet on a terminal. A model that changes by messages, a drawing of it, and one loop that touches the terminal.

pub mod actions;
pub mod bytes;
pub mod clipboard;
pub mod command;
pub mod custom;
pub mod editor;
pub mod errands;
pub mod fleet;
pub mod fuzzy;
pub mod graph;
pub mod hands;
pub mod history;
pub mod input;
pub mod keyboard;
pub mod keymap;
pub mod keys;
pub mod log;
pub mod model;
pub mod msg;
pub mod out;
pub mod pace;
pub mod pointer;
pub mod presets;
pub mod problems;
pub mod remote;
pub mod run;
pub mod runner;
pub mod seek;
pub mod settings;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod theme;
pub mod update;

pub mod view;

pub use custom::{Commands, Prepared};
pub use run::{Options, run};
pub use theme::{Background, Depth};
