//! The log engine: segment files, their one writer and their readers.
//!
//! Records lie in segments (`record`, `stamp`, `segments`), written by the `writer`; a `reader` reads one folder, `merge` puts the folders in order,
//! `lines` joins pieces and asks the `filter`; `view` is all of it together, for whoever shows logs. `index` is for whoever looks around in them.
//! `clean` makes bytes safe for a terminal.

pub mod ansi;
pub mod clean;
pub mod clock;
#[cfg(test)]
mod counted;
pub mod cursor;
pub mod escape;
pub mod filter;
pub mod follow;
pub mod index;
pub mod last;
pub mod level;
pub mod lines;
pub mod merge;
pub mod output;
mod past;
pub mod reader;
pub mod record;
pub mod segments;
pub mod shape;
pub mod sources;
pub mod stamp;
pub mod tail;
#[cfg(test)]
pub(crate) mod testing;
pub mod total;
pub mod trace;
pub mod view;
pub mod writer;
