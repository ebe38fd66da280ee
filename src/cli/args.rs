//! What can be typed: the program's arguments, and those that several subcommands share.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use super::{
    build, complete, completions, doctor, export, init, keys, kill, man, ps, restart, scale, schema, show, start, stop,
    strays, test, vendors, why,
};

/// Builds, runs, watches over and logs a fleet of Go services.
#[derive(Debug, Parser)]
#[command(
    name = "orchestra",
    version,
    about,
    max_term_width = 100,
    after_help = "Services are selected by name, instance (api.2), glob (a*), label (team=pay), or all but (~api).\n\n\
        Examples:\n  orchestra start            build and start everything, wait until it is ready\n  \
        orchestra logs -f api      follow what api writes\n  orchestra why api          what it waits for or suffers from\n\n\
        Exit codes: 0 done, 1 tried and failed, 2 wrong usage or configuration, 3 unreachable, 130 interrupted"
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub(super) struct Global {
    /// Work in this folder instead of the present one
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true, value_hint = clap::ValueHint::DirPath)]
    pub(super) directory: Option<PathBuf>,
    /// The project's file instead of the orchestra.yml found upward
    #[arg(short = 'c', long = "config", value_name = "FILE", env = "ORCHESTRA_CONFIG", global = true, value_hint = clap::ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
    /// Text for people, or JSON for programs
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "text", global = true)]
    pub(super) output: Format,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(super) color: Color,
    /// Load a configuration that belongs to another user
    #[arg(long, global = true)]
    pub(super) trust: bool,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The subcommands, in the order of the help.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make orchestra.yml, a service.yml for each folder with a Go main package, and .orchestra
    Init(init::InitArgs),
    /// Build and start services with what they depend on, and wait until they are ready
    Start(start::Args),
    /// Stop services in reverse order; all of them, and the supervisor, when none is named
    Stop(stop::Args),
    /// Build, then replace services; if a build fails nothing is stopped
    Restart(restart::Args),
    /// Build services without starting them
    Build(build::Args),
    /// Run the tests of services and of the packages they import
    Test(test::Args),
    /// Show every instance: state, pid, ports, restarts, CPU, memory, age, health
    Ps(ps::Args),
    /// Show what services wrote, merged by arrival
    Logs(show::Args),
    /// Say why a service is as it is: what it waits for, its last exits, its last build
    Why(why::Args),
    /// Change how many instances of a service run
    Scale(scale::Args),
    /// Third-party servers: start, stop, fetch, show them, and run commands in their containers
    Vendors(vendors::Args),
    /// Send a signal to the process groups of services
    Kill(kill::Args),
    /// Show copies of services that run outside orchestra, and what `start` would do about them
    Strays(strays::Args),
    /// Check Go, Docker, limits, ports, files and file systems, and say how to mend each
    Doctor(doctor::DoctorArgs),
    /// Print the environment as shell commands
    Export(export::Args),
    /// Show the dashboard's keys, or check keys.toml
    Keys(keys::Args),
    /// Print a completion script for a shell; it completes service names too
    Completions(completions::Args),
    /// Print the manual page
    Man(man::Args),
    /// Print the JSON schema of a configuration file, for editors
    Schema(schema::Args),
}

/// Which services are meant.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Select {
    /// Services: name, instance (api.2), glob, label=value, or ~name for all but that one; none means all enabled
    #[arg(value_name = "SEL", add = ArgValueCompleter::new(complete::selectors))]
    pub(super) select: Vec<String>,
    /// All but this one, as ~NAME, which some shells expand
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::selectors))]
    pub(super) without: Vec<String>,
}

impl Select {
    /// The selectors as the project knows them.
    pub(super) fn all(&self) -> Vec<String> {
        let without = self.without.iter().map(|name| format!("~{}", name.trim_start_matches('~')));
        self.select.iter().cloned().chain(without).collect()
    }
}

/// `KEY=VALUE`
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

/// `SERVICE=N`
pub(super) fn count(text: &str) -> Result<(String, u32), String> {
    let (name, number) = pair(text).map_err(|_| "write it as SERVICE=N".to_owned())?;
    Ok((name, number.parse().map_err(|_| format!("`{number}` is not a number of instances"))?))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_arguments_make_sense() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_anywhere() {
        let cli = parse("orchestra ps -o json -C /x --color never").unwrap();
        assert_eq!((cli.global.output, cli.global.color), (Format::Json, Color::Never));
        assert_eq!(cli.global.directory, Some("/x".into()));
        assert!(parse("orchestra -o json").unwrap().command.is_none());
    }

    #[test]
    fn selections_are_one_list() {
        let Some(Command::Start(args)) = parse("orchestra start ~web --without api --without ~db").unwrap().command
        else {
            panic!("not start")
        };
        assert_eq!(args.select.all(), ["~web", "~api", "~db"]);
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "orchestra strat",
            "orchestra start --scale api",
            "orchestra start --timeout soon",
            "orchestra start -e novalue",
            "orchestra start --rerun=perhaps",
            "orchestra kill",
            "orchestra kill -s NONSENSE api",
            "orchestra scale api",
            "orchestra scale api=-1",
            "orchestra completions cobol",
            "orchestra schema nonsense",
            "orchestra why",
            "orchestra vendors exec postgres",
            "orchestra vendors exec",
            "orchestra vendors down --timeout soon",
        ] {
            assert_eq!(parse(line).map(|_| ()).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn what_a_command_in_a_container_is_given_is_its_own() {
        let cli = parse("orchestra -o json vendors exec postgres psql -c select -o x --color y").unwrap();
        assert_eq!((cli.global.output, cli.global.config), (Format::Json, None));
        let shown = format!("{:?}", cli.command);
        assert!(shown.contains(r#"command: ["psql", "-c", "select", "-o", "x", "--color", "y"]"#), "{shown}");
    }

    #[test]
    fn right_usage_is_taken() {
        for line in [
            "orchestra",
            "orchestra start api.2 a* team=pay -al --no-deps --no-vendors --scale api=3 -e A=b=c --race --timeout 1m30s --port-offset 100",
            "orchestra start --rerun api --test",
            "orchestra start --rerun=false api",
            "orchestra stop --timeout 0",
            "orchestra restart api -a -l",
            "orchestra kill -s SIGQUIT api web.1",
            "orchestra kill -s 15 api",
            "orchestra scale api=3 web=file",
            "orchestra export --format env api",
            "orchestra vendors",
            "orchestra vendors postgres",
            "orchestra vendors ps -o json",
            "orchestra vendors up postgres ~redis -y --timeout 1m",
            "orchestra vendors down --volumes --yes postgres",
            "orchestra vendors pull --without redis",
            "orchestra vendors logs -f postgres -n 10",
            "orchestra vendors exec -T -e A=b -u root -w /tmp postgres psql -U postgres -c select",
            "orchestra start --yes",
            "orchestra keys",
            "orchestra keys check -o json",
            "orchestra test api ~web -v -r --acceptance --cover --junit out.xml",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }
}
