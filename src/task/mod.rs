//! The words of the core: ids, specs, the state machine, the restart decision. Pure: no clock, no file system, no tokio, no serde.

pub mod container;
pub mod environment;
pub mod id;
pub mod outcome;
pub mod restart;
pub mod spec;
pub mod state;
