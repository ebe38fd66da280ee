//! The dashboard. What it decides is pure and knows no terminal; one loop alone meets the terminal.

pub mod clipboard;
pub mod editor;
pub mod fuzzy;
pub mod seek;
