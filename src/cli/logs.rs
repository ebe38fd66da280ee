//! `orchestra logs`: shows what services wrote, merged by arrival. Reads the files itself and needs no supervisor.

mod printer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{SigSet, Signal};
use regex::bytes::{Regex, RegexBuilder};

use crate::error::{Context, Error, Kind, Result};
use crate::logs::filter::Filter;
use crate::logs::follow::{Follower, follow};
use crate::logs::level::Level;
use crate::logs::lines::{Line, Sink};
use crate::logs::sources::{Selection, Source};
use crate::logs::view::{Gap, Query, View};
use crate::sys::home::Home;
use crate::task::id::{InstanceId, ServiceName};

use printer::{Format, Names, Printer};

/// Flags of `orchestra logs`. Selectors, `-o`, `--color` belong to every command and are resolved by the caller.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LogsArgs {
    /// Goes on with what is written; alone it begins with the last 10 lines
    #[arg(short, long)]
    pub follow: bool,
    /// Shows only the last N lines of all together
    #[arg(short = 'n', long = "lines", visible_alias = "tail", value_name = "N")]
    pub lines: Option<usize>,
    /// Shows lines since a moment: `10m` ago, or RFC 3339
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Shows lines until a moment: `10m` ago, or RFC 3339
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Shows lines in which the regular expression matches; given again, in which all match
    #[arg(long, value_name = "RE")]
    pub grep: Vec<String>,
    /// Leaves out lines in which the regular expression matches
    #[arg(long, value_name = "RE")]
    pub exclude: Vec<String>,
    /// Shows lines of this level and above: trace, debug, info, warn, error, fatal; a line without a level has that of the line before it
    #[arg(long, value_name = "L")]
    pub level: Option<String>,
    /// Shows when each line was written
    #[arg(long)]
    pub timestamps: bool,
    /// Writes the bytes as the services wrote them, without prefix, of stdout and stderr only; not to a terminal
    #[arg(long)]
    pub raw: bool,
}

/// When colours are used: `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorWhen {
    fn on(self) -> bool {
        match self {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => {
                let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                !no_color && !dumb && std::io::stdout().is_terminal()
            }
        }
    }
}

/// Whose logs, and how they are shown: what the caller knows of the project.
#[derive(Clone, Debug)]
pub struct LogsProject {
    /// Where the project keeps its things.
    pub home: Home,
    /// The selected services; with `instances` empty too: every service that has logs.
    pub names: Vec<ServiceName>,
    /// Selected single instances, beside `names`.
    pub instances: Vec<InstanceId>,
    /// How many copies each service has; what is not in it is told from the folders.
    pub scales: BTreeMap<ServiceName, u32>,
    /// `-o json`.
    pub json: bool,
    /// `--color`.
    pub color: ColorWhen,
}

/// Shows the logs.
pub fn run(args: LogsArgs, project: &LogsProject) -> Result<()> {
    let query = query(&args, project, now())?;
    let out = stdout()?;
    if args.raw && project.json {
        return Err(Error::usage("`--raw` and `-o json` exclude each other").hint("leave one of them out"));
    }
    if args.raw && out.is_terminal() {
        let error = Error::usage("`--raw` does not write to a terminal: what services print could command it");
        return Err(error.hint("orchestra logs --raw > FILE"));
    }
    raise_descriptors();
    let format = match () {
        () if args.raw => Format::Raw,
        () if project.json => Format::Json,
        () => Format::Text { timestamps: args.timestamps, color: project.color.on() },
    };
    let follow_on = query.follow;
    let mut view = View::open(&project.home.logs(), query)?;
    let mut names = Names::new(project);
    names.learn(view.sources());
    crate::sys::pipe::widen(&out);
    let mut printer = Printer::new(out, format, names);
    let result = if follow_on { run_follow(&mut view, &mut printer) } else { run_once(&mut view, &mut printer) };
    warn(&view.gaps());
    result
}

fn run_once(view: &mut View, printer: &mut Printer<File>) -> Result<()> {
    if view.history(printer)?.is_continue() && view.finish(printer).is_continue() {
        printer.flush();
    }
    printer.end()
}

fn run_follow(view: &mut View, printer: &mut Printer<File>) -> Result<()> {
    let interrupt = Interrupt::new()?;
    let until = view.query().filter.until;
    if view.history(printer)?.is_break() {
        return printer.end();
    }
    let beside = printer.out().try_clone().map_err(|error| Error::failed("cannot use stdout").because(&error))?;
    let mut following = Following { printer, interrupted: &interrupt.seen, until };
    follow(view, &[interrupt.wake.as_fd(), beside.as_fd()], &mut following)?;
    let flow = if interrupt.seen.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { view.finish(printer) };
    if flow.is_continue() {
        printer.flush();
    }
    printer.end()?;
    if interrupt.seen.load(Ordering::SeqCst) { Err(Error::new(Kind::Interrupted, "interrupted")) } else { Ok(()) }
}

struct Following<'a> {
    printer: &'a mut Printer<File>,
    interrupted: &'a AtomicBool,
    until: Option<i64>,
}

impl Sink for Following<'_> {
    fn line(&mut self, line: &Line<'_>) -> ControlFlow<()> {
        self.printer.line(line)
    }
}

impl Follower for Following<'_> {
    fn caught_up(&mut self) -> ControlFlow<()> {
        self.printer.flush();
        let over = self.until.is_some_and(|until| now() > until);
        if over || self.interrupted.load(Ordering::SeqCst) || self.printer.is_closed() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn sources(&mut self, sources: &[Source]) {
        self.printer.learn(sources);
    }

    fn wake_after(&self) -> Option<Duration> {
        let left = self.until?.saturating_sub(now()).max(0);
        Some(Duration::from_micros(left as u64 + 1000))
    }
}

/// Ctrl-C and SIGTERM while following: the first ends it in order, a second at once.
struct Interrupt {
    seen: Arc<AtomicBool>,
    wake: OwnedFd,
}

impl Interrupt {
    fn new() -> Result<Interrupt> {
        let cannot = |error: &dyn std::error::Error| Error::failed("cannot wait for Ctrl-C").because(error);
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        signals.thread_block().map_err(|error| cannot(&error))?;
        let (wake, end) = nix::unistd::pipe().map_err(|error| cannot(&error))?;
        let seen = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&seen);
        let wait = move || {
            if signals.wait().is_ok() {
                told.store(true, Ordering::SeqCst);
            }
            drop(end);
            // From here on the default: a second signal ends the program even while a write blocks.
            if signals.thread_unblock().is_ok() {
                std::thread::park();
            }
        };
        std::thread::Builder::new().name("interrupt".into()).spawn(wait).map_err(|error| cannot(&error))?;
        Ok(Interrupt { seen, wake })
    }
}

fn query(args: &LogsArgs, project: &LogsProject, now: i64) -> Result<Query> {
    let filter = Filter {
        since: args.since.as_deref().map(|text| moment("--since", text, now)).transpose()?,
        until: args.until.as_deref().map(|text| moment("--until", text, now)).transpose()?,
        grep: expressions("--grep", &args.grep)?,
        exclude: expressions("--exclude", &args.exclude)?,
        level: args.level.as_deref().map(level).transpose()?,
        programs_only: args.raw,
        known_level_only: false,
    };
    let selection =
        Selection { services: project.names.clone(), instances: project.instances.clone(), programs_only: args.raw };
    let last = args.lines.or(if args.follow && filter.since.is_none() { Some(10) } else { None });
    Ok(Query { selection, filter, last, follow: args.follow })
}

fn expressions(flag: &str, texts: &[String]) -> Result<Vec<Regex>> {
    let compile = |text: &String| {
        RegexBuilder::new(text).unicode(true).build().map_err(|error| {
            let last = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let error = Error::usage(format!("`{flag} {text}` is no regular expression: {last}"));
            error.hint(format!("a text as it is: `{flag} '{}'`", regex::escape(text)))
        })
    };
    texts.iter().map(compile).collect()
}

fn level(text: &str) -> Result<Level> {
    Level::from_word(text.as_bytes()).ok_or_else(|| {
        let error = Error::usage(format!("`--level {text}` is no level"));
        error.hint("one of: trace, debug, info, warn, error, fatal")
    })
}

/// Reads `10m` (so long ago), `1h30m`, a number of seconds, or RFC 3339; microseconds since 1970.
fn moment(flag: &str, text: &str, now: i64) -> Result<i64> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at.as_microsecond());
    }
    let ago = match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => text.parse::<jiff::SignedDuration>().ok().and_then(|ago| Duration::try_from(ago).ok()),
    };
    let ago = ago.or_else(|| days(text)).and_then(|ago| i64::try_from(ago.as_micros()).ok());
    ago.map(|ago| now.saturating_sub(ago)).ok_or_else(|| {
        let error = Error::usage(format!("`{flag} {text}` is no moment"));
        error.hint(format!("so long ago: `{flag} 10m`; or RFC 3339: `{flag} 2026-01-02T15:04:05Z`"))
    })
}

/// `2d`: durations in the strict sense end at hours, people's do not.
fn days(text: &str) -> Option<Duration> {
    let days: u64 = text.strip_suffix('d')?.parse().ok()?;
    Some(Duration::from_secs(days.checked_mul(86_400)?))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Standard output without the line buffer of the standard library.
fn stdout() -> Result<File> {
    let path = std::path::Path::new("/dev/stdout");
    Ok(File::from(std::io::stdout().as_fd().try_clone_to_owned().context("open", path)?))
}

/// One descriptor per source: as many as the system lets us have.
fn raise_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = hard.min(8192);
        // Without it only very large fleets notice, by an error that names the file.
        if soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_err() {}
    }
}

#[expect(clippy::print_stderr, reason = "what was dropped is said, beside the data")]
fn warn(gaps: &[Gap]) {
    for gap in gaps {
        let dir = gap.source.dir.display().to_string();
        let dir = super::text::clean(&dir);
        if gap.n_dropped > 0 {
            eprintln!("warning: {} segments of `{dir}` were removed before they were read", gap.n_dropped);
        }
        if gap.n_skipped > 0 {
            eprintln!("warning: {} lines of `{dir}` are no records and were left out", gap.n_skipped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let now = 1_000_000_000_000_000;
        let at = |text| moment("--since", text, now).ok();
        assert_eq!(at("10m"), Some(now - 600_000_000));
        assert_eq!(at("1h30m"), Some(now - 5_400_000_000));
        assert_eq!(at("45"), Some(now - 45_000_000));
        assert_eq!(at("2d"), Some(now - 172_800_000_000));
        assert_eq!(at("2026-01-02T03:04:05.678901Z"), Some(1_767_323_045_678_901));
        assert_eq!(at("2026-01-02T04:04:05.678901+01:00"), Some(1_767_323_045_678_901));
        assert_eq!(at("soon"), None);
        assert_eq!(at("-5m"), None);
    }

    #[test]
    fn wrong_flags_are_said() {
        let wrong = level("loud").unwrap_err();
        assert_eq!((wrong.kind, wrong.message.as_str()), (Kind::Usage, "`--level loud` is no level"));
        let wrong = expressions("--grep", &["a(".to_owned()]).unwrap_err();
        assert_eq!(wrong.message, "`--grep a(` is no regular expression: unclosed group");
        assert_eq!(wrong.kind, Kind::Usage);
    }
}
