//! The fault suite: each fault of `rows.txt` on real processes, judged by one oracle, its result recorded for `RESULTS.md`.
//!
//! The quick rows run with all other tests; those behind the feature `faults` take minutes and run by `scripts/faults`.

mod chaos;
mod clock;
mod committed;
mod config;
mod descriptors;
mod dice;
mod disk;
mod engine;
mod exhaustion;
pub(crate) mod hands;
mod identity;
mod innocents;
mod limits;
pub(crate) mod oracle;
mod output;
mod outside;
mod paths;
mod ports;
pub(crate) mod proc;
mod processes;
mod pulls;
mod report;
mod shim;
#[cfg(feature = "faults")]
mod soak;
mod state;
mod stop;
mod stopped;
mod strays;
mod supervisor;
mod unkillable;
