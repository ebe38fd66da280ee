//! The `orchestra` program: the only place that picks the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: hundreds of these run, and each must stay tiny.
    if std::env::args_os().nth(1).is_some_and(|word| word == "__shim") {
        return orchestra::shim::main();
    }
    match orchestra::cli::run(std::env::args_os().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(kind) => ExitCode::from(kind.exit_code()),
    }
}
