//! Every test of the whole program, one file a subject; one binary, so that they share what they build.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a helper that cannot go on fails its test, and says what it saw"
)]

mod cli_build;
mod cli_change;
mod cli_debug;
mod cli_env;
mod cli_files;
mod cli_gate;
mod cli_logs;
mod cli_policy;
mod cli_ps;
mod cli_real;
mod cli_rerun;
mod cli_shop;
mod cli_start;
mod cli_stop;
mod cli_supervisor;
mod cli_test;
mod dashboard;
mod dashboard_problems;
mod fault;
mod harness;
mod layers;
mod rerun;
mod shim;
mod support;
mod terminal;
mod terminal_editor;
mod terminal_slow;
mod terminal_theme;
mod vendors;
