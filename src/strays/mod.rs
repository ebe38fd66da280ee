//! Strays: copies of a project's services that were started outside orchestra. Found by what their executables prove, ended only when nothing speaks
//! against it.
//!
//! `look` gathers facts, `judge` decides and knows no system, `end` signals what it holds and has looked at once more. An innocent process is
//! never signalled: what cannot be proved is left alone, and what is proved but doubtful is only reported.

mod end;
mod hunt;
mod judge;
#[cfg(test)]
mod judge_tests;
mod look;
mod process;
mod programs;
mod stray;
mod target;
mod veto;

pub use hunt::{Finding, Hunt, Hunts, Policy};
pub use judge::Rule;
pub use look::Ground;
pub use stray::{Fate, Stray, find};
pub use target::{Target, targets};
