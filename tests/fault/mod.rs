//! The fault suite: each fault of `rows.txt` on real processes, judged by one oracle, its result recorded for `RESULTS.md`.
//!
//! The quick rows run with all other tests; those behind the feature `faults` take minutes and run by `scripts/faults`.

mod chaos;
mod descriptors;
mod dice;
mod innocents;
mod limits;
mod oracle;
mod outside;
mod ports;
pub(crate) mod proc;
mod processes;
mod report;
mod shim;
#[cfg(feature = "faults")]
mod soak;
mod stop;
mod strays;
mod supervisor;
mod unkillable;
