//! `orchestra ps`

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use super::args::Select;
use super::context::{Context, Place};
use super::output::Paint;
use super::table::{self, Cell, Row, Side};
use super::{answers, text};
use crate::api::wire::{Exit, Instance, Ps, Service};
use crate::error::Error;
use crate::project::Project;
use crate::project::select::{Selection, select};
use crate::sys::terminal::columns;
use crate::sys::usage;
use crate::task::id::InstanceId;

/// Shows every instance. Answers from disk when no supervisor runs, and never starts one.
#[derive(Debug, Default, clap::Args)]
#[command(
    after_help = "Examples:\n  orchestra ps               everything\n  orchestra ps team=pay      what has this label\n  orchestra ps -o json       for programs"
)]
pub(super) struct Args {
    #[command(flatten)]
    select: Select,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load_or_say(&place);
    super::hooks::around(&context.output, &place, project.as_ref(), "ps", || {
        let mut ps = ask(context, &place, project.as_ref())?;
        let selectors = args.select.all();
        if !selectors.is_empty() {
            keep(&mut ps, project.as_ref(), &selectors)?;
        }
        print(context, &ps)
    })
}

/// What runs, and what last ran.
pub(super) fn ask(context: &Context, place: &Place, project: Option<&Project>) -> Result<Ps, Error> {
    context.wait(answers::ps(&context.output, place, project))
}

/// Prints it as a table, or as JSON.
pub(super) fn print(context: &Context, ps: &Ps) -> Result<(), Error> {
    if context.output.is_json() {
        // What the dashboard asks for besides is no part of what is promised to programs.
        let mut ps = ps.clone();
        for instance in ps.services.iter_mut().flat_map(|service| &mut service.instances) {
            (instance.since, instance.ready_at) = (None, None);
            if let Some(exit) = &mut instance.last_exit {
                exit.ran_ms = None;
            }
        }
        return context.output.json(&ps);
    }
    let limit = std::io::stdout().is_terminal().then(|| columns(std::io::stdout()).filter(|n| *n >= 40).unwrap_or(80));
    let clock = Clock { now: jiff::Timestamp::now(), age: usage::age };
    context.output.show(&render(ps, &clock, limit, context.output.color))
}

/// Keeps what was selected: by the project, or by plain names where its files are broken.
fn keep(ps: &mut Ps, project: Option<&Project>, selectors: &[String]) -> Result<(), Error> {
    let chosen = match project {
        Some(project) => select(project, selectors)?,
        None => by_name(ps, selectors)?,
    };
    ps.services.retain(|service| chosen.names.iter().any(|name| name.as_str() == service.name));
    for service in &mut ps.services {
        service.instances.retain(|i| InstanceId::parse(&i.id).is_none_or(|id| chosen.contains(&id)));
    }
    Ok(())
}

fn by_name(ps: &Ps, selectors: &[String]) -> Result<Selection, Error> {
    let mut chosen = Selection::default();
    for selector in selectors {
        let whole =
            ps.services.iter().find(|s| s.name == *selector).and_then(|s| crate::task::id::ServiceName::fold(&s.name));
        match (whole, InstanceId::parse(selector)) {
            (Some(name), _) => drop(chosen.names.insert(name)),
            (None, Some(id)) if ps.services.iter().any(|s| s.name == id.service.as_str()) => {
                chosen.names.insert(id.service.clone());
                chosen.instances.entry(id.service).or_default().insert(id.number);
            }
            (None, _) => {
                let message = format!("there is no service `{selector}`");
                return Err(Error::usage(message).hint("while the configuration has problems, only plain names select"));
            }
        }
    }
    Ok(chosen)
}

/// So many watched services are named one by one.
const WATCHED: usize = 6;

const COLUMNS: [(&str, Side); 9] = [
    ("NAME", Side::Left),
    ("STATE", Side::Left),
    ("PID", Side::Right),
    ("PORTS", Side::Left),
    ("RESTARTS", Side::Right),
    ("CPU", Side::Right),
    ("MEM", Side::Right),
    ("AGE", Side::Right),
    ("HEALTH", Side::Left),
];

/// What ages are told by.
struct Clock {
    /// The wall clock, which may be set.
    now: jiff::Timestamp,
    /// How long a process of this machine has run, which no clock changes; `None` where it is not one.
    age: fn(u32) -> Option<Duration>,
}

impl Clock {
    fn age(&self, instance: &Instance) -> Option<Duration> {
        let by_system = instance.pid.and_then(self.age);
        let since = instance.started_at.as_ref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
        by_system.or_else(|| Duration::try_from(self.now.duration_since(since?)).ok())
    }
}

/// The table, or one sentence where there is nothing to show.
fn render(ps: &Ps, clock: &Clock, limit: Option<usize>, color: bool) -> String {
    if ps.services.is_empty() {
        return format!(
            "{} has no services; a service is a folder with a service.yml (orchestra init makes them)\n",
            text::clean(&ps.project)
        );
    }
    let rows: Vec<Row> = ps.services.iter().flat_map(|service| rows(service, clock)).collect();
    let mut out = table::render(&COLUMNS, &rows, &[0, 3], limit, color);
    if let Some(trouble) = &ps.supervisor.trouble {
        // One that answers has an uptime.
        let who = if ps.supervisor.uptime_ms.is_some() { "" } else { "; this is what its files say" };
        let line = format!("{}{who}", text::clean(trouble));
        out.push_str(&format!("{}\n", Paint::Red.on(&line, color)));
    } else if !ps.supervisor.running {
        out.push_str(&format!("{}\n", Paint::Dim.on("no supervisor runs", color)));
    }
    if let Some(words) = watched(ps) {
        out.push_str(&format!("{}\n", Paint::Dim.on(&words, color)));
    }
    out
}

/// Who is built and swapped at each save; `None` where nobody is, or nobody watches.
fn watched(ps: &Ps) -> Option<String> {
    let is_on = |service: &&Service| service.rerun;
    let on: Vec<String> =
        ps.services.iter().filter(is_on).map(|service| text::clean(&service.name).into_owned()).collect();
    let up = ps.services.iter().filter(|service| service.desired != "down").count();
    match on.len() {
        _ if ps.supervisor.uptime_ms.is_none() => None,
        0 => None,
        n if n == up => Some("edits are watched for: all".to_owned()),
        n if n > WATCHED => Some(format!("edits are watched for: {n} of {up}")),
        _ => Some(format!("edits are watched for: {}", on.join(", "))),
    }
}

fn rows(service: &Service, clock: &Clock) -> Vec<Row> {
    let mut out = Vec::new();
    if service.instances.is_empty() {
        let mut cells = vec![Cell::plain(service.name.clone()), state(&service.state, None)];
        cells.resize(COLUMNS.len(), Cell::plain("-"));
        out.push(Row::Cells(cells));
    }
    let alone = service.instances.len() == 1 && service.scale <= 1;
    for instance in &service.instances {
        out.push(Row::Cells(cells(service, instance, alone, clock)));
        if let Some(why) = trouble(instance) {
            out.push(Row::Line(format!("  {why}"), Paint::of_state(&instance.state)));
        }
    }
    // Once for all copies: what is in the way is most often the same.
    let unenforced = service.instances.iter().filter_map(|i| i.limits.as_ref()).find(|limits| !limits.enforced);
    if let Some(limits) = unenforced {
        let why = limits.reason.as_deref().map_or_else(String::new, |why| format!(": {why}"));
        out.push(Row::Line(format!("  limits not enforced{why}; see: orchestra doctor"), Some(Paint::Yellow)));
    }
    if let Some(error) = service.build.as_ref().filter(|b| b.state == "failed").and_then(|b| b.error.as_ref()) {
        out.push(Row::Line(format!("  build failed: {error}"), Some(Paint::Red)));
    }
    out
}

fn cells(service: &Service, instance: &Instance, alone: bool, clock: &Clock) -> Vec<Cell> {
    let name = if alone { &service.name } else { &instance.id };
    let up = instance.is_up();
    let or_dash = |text: Option<String>| Cell::plain(text.unwrap_or_else(|| "-".to_owned()));
    let age = clock.age(instance).filter(|_| up);
    let health = if up { instance.health.as_str() } else { "-" };
    vec![
        Cell::plain(name.clone()),
        state(&instance.state, instance.trouble.as_deref()),
        or_dash(instance.pid.map(|pid| pid.to_string())),
        or_dash(ports(&instance.ports)),
        Cell::plain(instance.restarts.to_string()),
        or_dash(instance.cpu_percent.map(|percent| format!("{percent:.1}%"))),
        or_dash(instance.memory_bytes.map(text::size)),
        or_dash(age.map(text::age)),
        Cell::painted(if health == "unknown" { "-" } else { health }, Paint::of_state(health)),
    ]
}

fn state(word: &str, trouble: Option<&str>) -> Cell {
    let text = trouble.map_or_else(|| word.to_owned(), |trouble| format!("{word} ({trouble})"));
    Cell::painted(text, if trouble.is_some() { Some(Paint::Red) } else { Paint::of_state(word) })
}

fn ports(ports: &BTreeMap<String, u16>) -> Option<String> {
    let mut numbers: Vec<u16> = ports.values().copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    (!numbers.is_empty()).then(|| numbers.join(","))
}

/// One line about an instance that failed.
fn trouble(instance: &Instance) -> Option<String> {
    let bad = matches!(instance.state.as_str(), "failed" | "crashloop" | "backoff");
    let exit = instance.last_exit.as_ref().filter(|_| bad)?;
    Some(format!("{}; see: orchestra why {}", ended(exit), service_of(&instance.id)))
}

fn service_of(instance: &str) -> &str {
    instance.rsplit_once('.').map_or(instance, |(service, _)| service)
}

/// How a run ended, in words.
pub(super) fn ended(exit: &Exit) -> String {
    let how = match (exit.code, exit.signal) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("ended by {}", signal_name(signal)),
        (None, None) => "ended".to_owned(),
    };
    match exit.reason.as_str() {
        "exit" | "signal" => how,
        "oom" => "killed by the kernel: out of memory".to_owned(),
        "stopped" if exit.killed && exit.signal.is_none() => {
            format!("{how} when it was stopped; what it left behind was killed")
        }
        "stopped" if exit.killed => "killed when it was stopped, as it did not end by itself".to_owned(),
        "stopped" => format!("{how} when it was stopped"),
        "rerun" => format!("{how} when it was replaced"),
        "failed-probe" => format!("{how} because its liveness probe failed"),
        "lost" => "it was lost: its shim or its container was gone".to_owned(),
        "start-failed" => "it could not be started".to_owned(),
        "port" => "another process holds its port".to_owned(),
        other => format!("{how} ({other})"),
    }
}

fn signal_name(number: i32) -> String {
    nix::sys::signal::Signal::try_from(number)
        .map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire;

    fn instance(id: &str, state: &str) -> Instance {
        Instance {
            id: id.into(),
            state: state.into(),
            trouble: None,
            pid: None,
            worker: "process".into(),
            node: "local".into(),
            ports: BTreeMap::new(),
            listening: Vec::new(),
            restarts: 0,
            started_at: None,
            last_exit: None,
            health: "unknown".into(),
            cpu_percent: None,
            memory_bytes: None,
            since: None,
            ready_at: None,
            limits: None,
        }
    }

    fn service(name: &str, state: &str, instances: Vec<Instance>) -> Service {
        let (name, state, scale) = (name.to_owned(), state.to_owned(), instances.len() as u32);
        let (kind, desired) = ("service".to_owned(), "up".to_owned());
        Service { name, kind, desired, scale, state, build: None, test: None, rerun: false, instances }
    }

    fn ps() -> Ps {
        let up = |id: &str, pid, port| Instance {
            pid: Some(pid),
            ports: [("http".to_owned(), port), ("metrics".to_owned(), port + 1000)].into(),
            started_at: Some("2026-01-02T03:00:05.000Z".into()),
            health: "ok".into(),
            cpu_percent: Some(0.3),
            memory_bytes: Some(12_582_912),
            ..instance(id, "ready")
        };
        let mut bad = instance("worker.1", "crashloop");
        bad.restarts = 7;
        bad.last_exit = Some(Exit {
            code: Some(2),
            signal: None,
            reason: "exit".into(),
            killed: false,
            ran_ms: None,
            at: "2026-01-02T03:04:05.678Z".into(),
        });
        let mut broken = service("broken", "failed", vec![instance("broken.1", "failed")]);
        broken.build = Some(wire::Build {
            state: "failed".into(),
            id: None,
            error: Some("broken/main.go:9:25: too many return values".into()),
            problems: Vec::new(),
        });
        Ps {
            project: "shop".into(),
            root: "/shop".into(),
            supervisor: wire::Supervisor { running: true, pid: Some(71), uptime_ms: Some(5000), ..Default::default() },
            services: vec![
                service("api", "ready", vec![up("api.1", 812, 8080), up("api.2", 40813, 8081)]),
                broken,
                service("migrate", "idle", Vec::new()),
                service("worker", "crashloop", vec![bad]),
            ],
        }
    }

    #[test]
    fn what_runs_in_a_container_has_an_age_and_health_without_a_pid() {
        let now = Clock { now: "2026-01-02T03:04:05Z".parse().unwrap(), age: |_| None };
        let started_at = Some("2026-01-02T03:00:05.000Z".into());
        let nats = Instance { worker: "docker".into(), started_at, health: "ok".into(), ..instance("nats.1", "ready") };
        let shown = |nats: Instance| {
            let services = vec![service("nats", &nats.state.clone(), vec![nats])];
            render(&Ps { services, ..ps() }, &now, None, false)
        };
        assert!(shown(nats.clone()).contains("4m00s  ok"), "{}", shown(nats));
        let gone = Instance { state: "done".into(), ..nats };
        assert!(!shown(gone.clone()).contains("4m00s"), "{}", shown(gone));
    }

    #[test]
    fn the_table_is_readable_and_fits() {
        let now = Clock { now: "2026-01-02T03:04:05Z".parse().unwrap(), age: |_| None };
        let text = render(&ps(), &now, None, false);
        insta::assert_snapshot!(text, @r"
        NAME     STATE        PID  PORTS      RESTARTS   CPU  MEM    AGE  HEALTH
        api.1    ready        812  8080,9080         0  0.3%  12M  4m00s  ok
        api.2    ready      40813  8081,9081         0  0.3%  12M  4m00s  ok
        broken   failed         -  -                 0     -    -      -  -
          build failed: broken/main.go:9:25: too many return values
        migrate  idle           -  -                 -     -    -      -  -
        worker   crashloop      -  -                 7     -    -      -  -
          exited with code 2; see: orchestra why worker
        ");
        assert!(text.lines().all(|line| text::width(line) <= 80));
        let mut long = ps();
        long.services[0].instances[0].id = "a-service-with-a-very-long-name-indeed.1".into();
        let text = render(&long, &now, Some(80), true);
        assert!(text.lines().next().is_some_and(|line| line.contains("\x1b[1mNAME")));
        let plain = render(&long, &now, Some(80), false);
        assert!(plain.lines().all(|line| text::width(line) <= 80), "{plain}");
    }

    #[test]
    fn without_services_or_supervisor_it_says_so() {
        let now = Clock { now: "2026-01-02T03:04:05Z".parse().unwrap(), age: |_| None };
        let mut none = ps();
        none.services.clear();
        insta::assert_snapshot!(render(&none, &now, None, false), @"shop has no services; a service is a folder with a service.yml (orchestra init makes them)");
        let mut down = ps();
        down.supervisor.running = false;
        down.services.truncate(0);
        down.services.push(service("api", "idle", Vec::new()));
        insta::assert_snapshot!(render(&down, &now, None, false), @r"
        NAME  STATE  PID  PORTS  RESTARTS  CPU  MEM  AGE  HEALTH
        api   idle     -  -             -    -    -    -  -
        no supervisor runs
        ");
    }

    #[test]
    fn who_is_watched_and_what_is_wrong_stands_below() {
        let now = Clock { now: "2026-01-02T03:04:05Z".parse().unwrap(), age: |_| None };
        let last = |ps: &Ps| render(ps, &now, None, false).lines().last().unwrap().to_owned();
        let mut some = ps();
        some.services.truncate(2);
        some.services[0].rerun = true;
        some.services[1].rerun = false;
        assert_eq!(last(&some), "edits are watched for: api");
        some.services[1].desired = "down".into();
        assert_eq!(last(&some), "edits are watched for: all");
        some.services[0].rerun = false;
        some.supervisor.trouble = Some("the configuration has a problem: api/service.yml:1:1: no".into());
        assert_eq!(last(&some), "the configuration has a problem: api/service.yml:1:1: no");
        some.supervisor.uptime_ms = None;
        assert!(last(&some).ends_with("no; this is what its files say"));
    }

    #[test]
    fn plain_names_select_while_files_are_broken() {
        let of = |names: &[&str]| {
            let mut all = ps();
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            keep(&mut all, None, &names)
                .map(|()| all.services.iter().flat_map(|s| &s.instances).map(|i| i.id.clone()).collect::<Vec<_>>())
        };
        assert_eq!(of(&["api.2", "worker"]).unwrap(), ["api.2", "worker.1"]);
        assert!(of(&["nobody"]).is_err());
    }
}
