//! `orchestra completions`

use clap::ValueEnum;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use super::context::Context;
use crate::error::Error;

/// Prints a script that makes a shell complete commands, flags, and the names of the services of the project one stands in.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  source <(orchestra completions bash)                                  # in ~/.bashrc\n  \
    source <(orchestra completions zsh)                                   # in ~/.zshrc\n  \
    orchestra completions fish > ~/.config/fish/completions/orchestra.fish"
)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    /// bash
    Bash,
    /// elvish
    Elvish,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// zsh
    Zsh,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let completer: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Zsh => &Zsh,
    };
    let mut script = Vec::new();
    completer
        .write_registration("COMPLETE", "orchestra", "orchestra", "orchestra", &mut script)
        .map_err(|e| Error::failed("cannot write the completion script").because(&e))?;
    context.output.print(script)
}
