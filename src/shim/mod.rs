//! The tiny parent of one service: it holds the service's pipes, writes its log and ends its group. It decides nothing.
//!
//! `main` runs before any runtime or argument parser, and so does `template`, which becomes shims by forking; `spec` and `wire` are what supervisor
//! and shim say to each other; `survey` finds shims that run already, and `client` talks to them.

pub mod client;
mod control;
mod ending;
pub mod former;
mod leave;
mod limits;
mod output;
pub mod record;
mod run;
pub mod spec;
mod start;
pub mod survey;
pub mod template;
pub mod wire;

pub use start::main;
