//! The command line: one file for each subcommand, and the only printer.

mod answers;
mod args;
mod attach;
mod build;
mod change;
mod complete;
mod completions;
mod context;
mod custom;
mod dashboard;
mod debugger;
pub mod doctor;
mod export;
mod facts;
mod hooks;
pub mod init;
mod keys;
mod kill;
mod last_words;
pub mod logs;
mod man;
mod output;
mod progress;
mod ps;
mod request;
mod restart;
mod scale;
mod schema;
mod show;
mod signals;
mod start;
mod stop;
mod strays;
mod supervisor;
mod table;
mod test;
mod vendors;
mod why;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches};

use crate::api::launch;
use crate::error::{Error, Kind};
use crate::text;
use args::{Cli, Command};
use context::Context;
use output::Output;

/// Runs the program with its arguments, the first of them its name. What went wrong has been told when this returns.
pub fn run(argv: Vec<OsString>) -> Result<(), Kind> {
    // Before any parser or runtime: these are started by the hundred, or must shed what they inherited.
    if argv.get(1).is_some_and(|word| word == launch::COMMAND) {
        return supervisor::run(&argv[2..]);
    }
    clap_complete::CompleteEnv::with_factory(Cli::command).complete();
    let matches = match Cli::command().try_get_matches_from(argv) {
        Ok(matches) => matches,
        Err(error) => return output::usage(&error),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    let context = Context { output: Output::new(cli.global.output, cli.global.color), global: cli.global };
    let done = match cli.command {
        Some(command) => dispatch(&context, command),
        None if dashboard::fits(&context) => dashboard::run(&context),
        None => ps::run(&context, &ps::Args::default()),
    };
    done.map_err(|error| context.output.failed(&error))
}

/// Runs a service below a debugger, with that one's command line. The exit code is the service's.
pub fn debug(argv: &[OsString]) -> std::process::ExitCode {
    debugger::run(argv)
}

fn dispatch(context: &Context, command: Command) -> Result<(), Error> {
    match command {
        Command::Start(args) => start::run(context, &args),
        Command::Stop(args) => stop::run(context, &args),
        Command::Restart(args) => restart::run(context, &args),
        Command::Build(args) => build::run(context, &args),
        Command::Test(args) => test::run(context, &args),
        Command::Ps(args) => ps::run(context, &args),
        Command::Why(args) => why::run(context, &args),
        Command::Scale(args) => scale::run(context, &args),
        Command::Logs(args) => show::run(context, &args),
        Command::Vendors(args) => vendors::run(context, &args),
        Command::Kill(args) => kill::run(context, &args),
        Command::Export(args) => export::run(context, &args),
        Command::Init(args) => facts::init(context, &args),
        Command::Strays(args) => strays::run(context, &args),
        Command::Doctor(args) => facts::doctor(context, &args),
        Command::Keys(args) => keys::run(context, &args),
        Command::Completions(args) => completions::run(context, &args),
        Command::Man(args) => man::run(context, &args),
        Command::Schema(args) => schema::run(context, &args),
    }
}
