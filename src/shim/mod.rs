//! The tiny parent of one service: it holds the service's pipes, writes its log and ends its group. It decides nothing.
//!
//! `main` runs before any runtime or argument parser, and so does `template`, which becomes shims by forking; `spec` and `wire` are what supervisor and shim say to each other; `client` is for those who
//! find shims that run already.

pub mod client;
mod control;
mod ending;
mod limits;
mod output;
pub mod record;
mod run;
pub mod spec;
mod start;
pub mod template;
pub mod wire;

pub use start::main;
