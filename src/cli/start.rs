//! `orchestra start`

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::args::{Select, count, pair};
use super::change::{self, Ended};
use super::context::{Context, Place, check};
use super::signals::{self, Came, Signals};
use super::vendors::tags;
use super::{attach, hooks, request, show, strays};
use crate::api::convert::{self, Ask};
use crate::api::wire;
use crate::config::values;
use crate::error::Error;
use crate::project::select::{select_with, with_needs};

/// Builds, keeps the copies whose code and settings are unchanged, replaces changed ones, starts the rest in order, and waits until all are
/// ready. Ctrl-C ends the waiting, not the fleet.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orchestra start                   everything\n  orchestra start api worker        these, and what they depend on\n  \
    orchestra start '~batch'          everything but batch\n  \
    orchestra start --rerun           build and swap at each save\n  orchestra start -al api           stay in front and follow the logs; Ctrl-C stops api"
)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) select: Select,
    /// How many instances of a service, until it is stopped
    #[arg(long, value_name = "S=N", value_parser = count)]
    scale: Vec<(String, u32)>,
    /// A variable above every file, until it is stopped
    #[arg(short = 'e', long = "env", value_name = "K=V", value_parser = pair)]
    env: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) stay: Stay,
    /// Do not start what the selected services depend on
    #[arg(long)]
    no_deps: bool,
    /// Do not start vendors
    #[arg(long)]
    no_vendors: bool,
    /// Make vendors anew whose image tag has changed, without asking
    #[arg(short, long)]
    yes: bool,
    /// Start vendors of this profile, too; may be given again
    #[arg(long, value_name = "P")]
    profile: Vec<String>,
    /// How long to wait until everything is ready
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = values::duration)]
    timeout: Duration,
    /// Build with the race detector
    #[arg(long)]
    race: bool,
    /// Build and swap at each save, for these and what they depend on, until they are stopped; =false turns it off
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rerun: Option<bool>,
    /// Tests must pass before an instance is started or replaced, until it is stopped
    #[arg(long)]
    test: bool,
    /// Build this service for a debugger and run it below `dlv`, on a port of its own, until it is stopped; may be given again
    #[arg(long, value_name = "S")]
    debug: Vec<String>,
    /// Run Go services in containers of minimal images, or as processes, whatever their files say, until they are stopped
    #[arg(long = "in", value_name = "WHERE", value_parser = ["docker", "process"])]
    run_in: Option<String>,
    /// Added to every fixed host port
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    port_offset: Option<i32>,
}

/// Flags of commands that can stay in front.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Stay {
    /// Stay in front: Ctrl-C stops what was selected
    #[arg(short = 'a', long)]
    pub(super) attach: bool,
    /// Follow the logs
    #[arg(short = 'l', long)]
    pub(super) logs: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load(&place)?;
    check(&project, &args.select.all())?;
    check(&project, &args.debug)?;
    let mut asked = request::of(context, &place, args.select.all());
    asked.scale = args.scale.iter().map(|(name, number)| (name.clone(), Some(*number))).collect::<BTreeMap<_, _>>();
    asked.timeout_ms = Some(u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX));
    asked.start = wire::StartFlags {
        no_deps: args.no_deps,
        no_vendors: args.no_vendors,
        replace: Vec::new(),
        profiles: args.profile.clone(),
        env: args.env.iter().map(|(key, value)| convert::env_entry(key.as_ref(), value.as_ref())).collect(),
        race: args.race,
        debug: args.debug.clone(),
        cover: BTreeMap::new(),
        run_in: args.run_in.clone(),
        port_offset: args.port_offset,
        rerun: args.rerun,
        test: args.test,
    };
    asked.caller.engine_arch = request::engine_arch(context, &place, &project, args.run_in.as_deref());
    asked.strays = strays::ask(context, &place, &project, &asked.select)?;
    let profiles = project.profiles(&args.profile, &std::env::vars_os().collect::<Vec<_>>());
    let chosen = select_with(&project, &asked.select, &profiles)?.names;
    let vendors = match (args.no_vendors, args.no_deps, chosen) {
        (true, _, _) => BTreeSet::new(),
        (false, true, names) => names,
        (false, false, names) => with_needs(&project, &names),
    };
    hooks::around(&context.output, &place, Some(&project), "start", || {
        asked.start.replace = tags::agreed(context, &place, &project, &vendors, args.yes)?;
        context.wait(converge(context, &place, Ask::Start, &asked, args.stay))
    })
}

/// `start` and `restart`: asks, waits, and stays where it shall.
pub(super) async fn converge(
    context: &Context,
    place: &Place,
    ask: Ask,
    asked: &wire::Request,
    stay: Stay,
) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    if stay.attach || stay.logs {
        signals::reap()?;
    }
    let ended = change::follow(&context.output, &place.home, ask, asked, &mut signals).await?;
    match (ended, stay) {
        (Ended::Interrupted(Came::Interrupt | Came::Terminate), Stay { attach: true, .. }) => {
            attach::end(context, place, asked, &mut signals).await
        }
        (Ended::Interrupted(_), Stay { .. }) => Err(change::interrupted("stopped waiting; the fleet goes on starting")
            .hint("`orchestra ps` shows it, `orchestra stop` stops it")),
        (Ended::Over(Err(error)), _) => Err(error),
        (Ended::Over(Ok(())), Stay { attach: true, logs }) => {
            attach::run(context, place, asked, logs, &mut signals).await
        }
        (Ended::Over(Ok(())), Stay { attach: false, logs: true }) => {
            tokio::select! {
                followed = show::follow(context, place, &asked.select) => followed,
                _ = signals.next() => Ok(()),
            }
        }
        (Ended::Over(Ok(())), Stay { attach: false, logs: false }) => Ok(()),
    }
}
