//! `orchestra man`

use clap::CommandFactory;

use super::args::Cli;
use super::context::Context;
use crate::error::Error;

/// Prints the manual page of the program, or of one of its commands.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  orchestra man | man -l -\n  orchestra man start | man -l -")]
pub(super) struct Args {
    /// The command to describe
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let mut all = Cli::command();
    all.build();
    let page = match &args.command {
        None => all,
        Some(name) => match all.find_subcommand(name) {
            Some(one) => one.clone(),
            None => return Err(Error::usage(format!("there is no command `{name}`")).hint("orchestra --help")),
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(|e| Error::failed("cannot write the manual").because(&e))?;
    context.output.print(text)
}
