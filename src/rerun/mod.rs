//! What a service is made of, and what an edit reaches: packages, files, embedded files and module files as `go list` tells them.
//!
//! `list` asks `go` and reads its answer into `package`s; `listing` keeps the last good answer while code is broken; `graph` answers which files belong to
//! what; `reach` decides, purely, which services, builds and tests a set of changed paths reaches, and whether `go` must be asked again first. `head` reads
//! of a source file what `go list` reads, so that an edit inside a function costs no question. `watch` looks at the
//! disk for all of them and tells what edits reach.

pub mod embed;
pub mod graph;
pub mod head;
pub mod list;
pub mod listing;
pub mod package;
pub mod reach;
#[cfg(test)]
mod shapes;
pub mod watch;
