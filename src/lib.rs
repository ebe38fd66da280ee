//! A supervisor for fleets of Go services on a developer's own machine.
//!
//! The modules, in reading order; each imports only from modules above it in this list of layers (see ARCHITECTURE.md).

// L0: pure words and decisions.
pub mod error;
pub mod task;
// L1: pure placing, shared configuration machinery, the operating system.
pub mod config;
pub mod scheduler;
pub mod sys;
// L2: one subject each.
pub mod docker;
pub mod gotest;
pub mod logs;
pub mod rerun;
pub mod services;
pub mod shim;
pub mod store;
pub mod vendors;
// L3: a whole project; what of it runs outside; what executes tasks.
pub mod project;
pub mod strays;
pub mod worker;
// L4: decides.
pub mod supervisor;
// L5: the way in from other processes.
pub mod api;
// L6: the dashboard; how text looks to people.
pub mod text;
pub mod tui;
// L7: the only printer.
pub mod cli;
