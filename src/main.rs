//! The `orchestra` program: the only place that picks the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: hundreds of these run, and each must stay tiny.
    match std::env::args_os().nth(1) {
        Some(word) if word == "__shim" => return orchestra::shim::main(),
        Some(word) if word == "__shims" => return orchestra::shim::template::main(),
        Some(word) if word == orchestra::worker::process::DEBUGGER => {
            return orchestra::cli::debug(&std::env::args_os().skip(2).collect::<Vec<_>>());
        }
        Some(_) | None => {}
    }
    match orchestra::cli::run(std::env::args_os().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(kind) => ExitCode::from(kind.exit_code()),
    }
}
