//! The fault suite: each fault of `rows.txt` on real processes, judged by one oracle, its result recorded for `RESULTS.md`.
//!
//! The quick rows run with all other tests; those behind the feature `faults` take minutes and run by `scripts/faults`.

mod descriptors;
mod innocents;
mod oracle;
mod outside;
mod ports;
pub(crate) mod proc;
mod report;
mod shim;
mod stop;
mod strays;
mod supervisor;
mod unkillable;
