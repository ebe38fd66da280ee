//! The tiny parent of one service: it holds the service's pipes, writes its log and ends its group. It decides nothing.
//!
//! `main` runs before any runtime or argument parser; `spec` and `wire` are what supervisor and shim say to each other; `client` is for those who
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
pub mod wire;

pub use start::main;
