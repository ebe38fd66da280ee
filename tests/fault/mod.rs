//! The fault suite: each fault of `rows.txt` on real processes, judged by one oracle, its result recorded for `RESULTS.md`.
//!
//! The quick rows run with all other tests; those behind the feature `faults` take minutes and run by `scripts/faults`.

mod descriptors;
mod limits;
mod oracle;
pub(crate) mod proc;
mod processes;
mod report;
mod shim;
mod stop;
mod supervisor;
mod unkillable;
