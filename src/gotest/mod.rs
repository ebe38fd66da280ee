//! `go test` for a whole fleet: which packages are tested for whom, by how many processes, what they said, and how it is told.
//!
//! `plan` turns services and their packages into jobs; `job` carries one out; `collect` reads its events into `results`; `trace` keeps of a stack what
//! helps; `cover` adds statements up; `junit` writes what other programs read. All but `job` and `log` is pure, except
//! that `trace` looks whether a file it would name is there.

pub mod collect;
pub mod cover;
pub mod job;
pub mod junit;
pub mod log;
pub mod plan;
pub mod results;
pub mod trace;
