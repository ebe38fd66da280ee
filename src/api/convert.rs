//! Between the wire and the core: the only place where the one becomes the other. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::wire;
use crate::error::{Error, Kind};
use crate::project::Project;
use crate::project::file::Strays;
use crate::services::spec::RunIn;
use crate::store::intent;
use crate::strays::Stray;
use crate::supervisor::snapshot::{BuildView, ExitView, InstanceView, Rerun, ServiceView, Settled, Shown};
use crate::supervisor::{Explanation, Request, StartFlags, Verb};
use crate::task::id::ServiceName;
use crate::task::spec;
use crate::worker::docker::record::ContainerRecord;

/// What was asked for, by the last part of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `POST /v1/start`
    Start,
    /// `POST /v1/stop`
    Stop,
    /// `POST /v1/restart`
    Restart,
    /// `POST /v1/build`
    Build,
    /// `POST /v1/scale`
    Scale,
    /// `POST /v1/kill`
    Kill,
}

impl Ask {
    /// Every request that changes something.
    pub const ALL: [Ask; 6] = [Ask::Start, Ask::Stop, Ask::Restart, Ask::Build, Ask::Scale, Ask::Kill];

    /// The word in the path, and the name of the command.
    pub fn word(self) -> &'static str {
        match self {
            Ask::Start => "start",
            Ask::Stop => "stop",
            Ask::Restart => "restart",
            Ask::Build => "build",
            Ask::Scale => "scale",
            Ask::Kill => "kill",
        }
    }
}

/// Reads a request; an error says what in it is wrong.
pub fn request(ask: Ask, from: &wire::Request) -> Result<Request, Error> {
    let verb = match ask {
        Ask::Start => Verb::Start(start_flags(from)?),
        Ask::Stop => Verb::Stop { grace: from.timeout_ms.map(Duration::from_millis) },
        Ask::Restart => Verb::Restart { replace: replaced(&from.start)? },
        Ask::Build => Verb::Build,
        Ask::Scale => Verb::Scale(scales(from)?),
        Ask::Kill => Verb::Kill(signal(from)?),
    };
    if matches!(ask, Ask::Kill) && from.select.is_empty() {
        return Err(
            Error::usage("`kill` needs the services or instances to signal").hint("orchestra kill -s TERM NAME")
        );
    }
    Ok(Request {
        verb,
        select: from.select.clone(),
        env: entries(&from.caller.env)?,
        caller: spec::Caller { umask: from.caller.umask & 0o777, nofile: from.caller.nofile },
        engine_arch: from.caller.engine_arch.clone().filter(|arch| is_arch(arch)),
        config: from.config.as_ref().map(Into::into),
        trust: from.trust,
        pid: from.caller.pid,
        strays: from.strays.iter().map(|stray| (stray.pid, stray.start_time)).collect(),
    })
}

fn replaced(flags: &wire::StartFlags) -> Result<BTreeSet<ServiceName>, Error> {
    flags.replace.iter().map(|name| service_name(name)).collect()
}

fn start_flags(from: &wire::Request) -> Result<StartFlags, Error> {
    let flags = &from.start;
    let mut scale = BTreeMap::new();
    for (name, number) in scales(from)? {
        let number = number.ok_or_else(|| Error::usage(format!("`start --scale {name}=…` needs a number")))?;
        scale.insert(name, number);
    }
    Ok(StartFlags {
        no_deps: flags.no_deps,
        no_vendors: flags.no_vendors,
        replace: replaced(flags)?,
        profiles: flags.profiles.clone(),
        env: entries(&flags.env)?,
        scale,
        race: flags.race,
        cover: flags
            .cover
            .iter()
            .map(|(name, cover)| Ok((service_name(name)?, self::cover(cover)?)))
            .collect::<Result<_, Error>>()?,
        debug: flags.debug.iter().map(|name| service_name(name)).collect::<Result<_, Error>>()?,
        run_in: flags.run_in.as_deref().map(run_in).transpose()?,
        port_offset: flags.port_offset,
        rerun: flags.rerun,
        test: flags.test,
    })
}

fn run_in(word: &str) -> Result<RunIn, Error> {
    RunIn::parse(word)
        .ok_or_else(|| Error::usage(format!("`in` is `docker` or `process`, and not `{}`", word.escape_debug())))
}

fn cover(from: &wire::Cover) -> Result<intent::Cover, Error> {
    let is_name = !from.folder.is_empty() && !from.folder.contains('/') && from.folder != ".." && from.folder != ".";
    match is_name {
        true => Ok(intent::Cover { folder: from.folder.clone(), packages: from.packages.clone() }),
        false => Err(Error::usage("`cover` needs the name of a folder")),
    }
}

fn scales(from: &wire::Request) -> Result<BTreeMap<ServiceName, Option<u32>>, Error> {
    from.scale.iter().map(|(name, number)| Ok((service_name(name)?, *number))).collect()
}

fn signal(from: &wire::Request) -> Result<i32, Error> {
    // Real-time signals included; 0 would only ask whether the group is there.
    from.signal.filter(|n| (1..=64).contains(n)).ok_or_else(|| Error::usage("`signal` must be a number from 1 to 64"))
}

/// A word that `GOARCH` may be.
fn is_arch(arch: &str) -> bool {
    !arch.is_empty() && arch.len() < 32 && arch.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Folds a name, or says that it cannot be one.
pub fn service_name(name: &str) -> Result<ServiceName, Error> {
    ServiceName::fold(name)
        .ok_or_else(|| Error::usage(format!("`{}` cannot be the name of a service", name.escape_debug())))
}

fn entries(list: &[wire::Bytes]) -> Result<Vec<(OsString, OsString)>, Error> {
    list.iter().map(entry).collect()
}

/// Splits `K=V` at its first `=` after the first byte.
fn entry(bytes: &wire::Bytes) -> Result<(OsString, OsString), Error> {
    let raw = match bytes {
        wire::Bytes::Text(text) => text.clone().into_bytes(),
        wire::Bytes::Base64 { base64 } => {
            STANDARD.decode(base64).map_err(|e| Error::usage("an environment entry is not base64").because(&e))?
        }
    };
    let at = raw.iter().skip(1).position(|b| *b == b'=').map(|at| at + 1);
    match at {
        Some(at) if !raw.contains(&0) => {
            Ok((OsString::from_vec(raw[..at].to_vec()), OsString::from_vec(raw[at + 1..].to_vec())))
        }
        _ => Err(Error::usage(format!("`{}` is no environment entry", String::from_utf8_lossy(&raw).escape_debug()))
            .hint("write it as KEY=VALUE")),
    }
}

/// An environment entry as it travels.
pub fn env_entry(key: &OsStr, value: &OsStr) -> wire::Bytes {
    let mut raw = key.as_bytes().to_vec();
    raw.push(b'=');
    raw.extend_from_slice(value.as_bytes());
    match String::from_utf8(raw) {
        Ok(text) => wire::Bytes::Text(text),
        Err(e) => wire::Bytes::Base64 { base64: STANDARD.encode(e.as_bytes()) },
    }
}

/// Microseconds since 1970 as RFC 3339 with milliseconds, UTC.
pub fn time(us: i64) -> String {
    // Out of jiff's range (year ±9999) only when a clock is absurd; then the epoch is as good as any.
    let at = jiff::Timestamp::from_microsecond(us).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

/// A service as `ps` shows it, without what is sampled.
pub fn service(view: &ServiceView) -> wire::Service {
    wire::Service {
        name: view.name.to_string(),
        kind: match view.kind {
            spec::Kind::Service => "service",
            spec::Kind::Vendor => "vendor",
            spec::Kind::Job => "job",
        }
        .into(),
        desired: match view.desired {
            spec::Desired::Up => "up",
            spec::Desired::Down => "down",
            spec::Desired::Once => "once",
        }
        .into(),
        scale: view.scale,
        state: view.state().word().into(),
        build: view.build.as_ref().map(build),
        test: None,
        rerun: view.rerun,
        instances: view.instances.iter().map(instance).collect(),
    }
}

fn build(view: &BuildView) -> wire::Build {
    wire::Build {
        state: view.state.word().into(),
        id: view.artifact.clone(),
        error: view.error.clone(),
        problems: view
            .problems
            .iter()
            .map(|p| wire::Problem {
                file: p.file.to_string_lossy().into_owned(),
                line: p.line,
                column: p.column,
                message: p.message.clone(),
            })
            .collect(),
    }
}

fn instance(view: &InstanceView) -> wire::Instance {
    wire::Instance {
        id: view.id.to_string(),
        state: view.state.word().into(),
        trouble: view.trouble.map(Into::into),
        pid: view.pid,
        worker: if view.contained { "docker" } else { wire::PROCESS }.into(),
        node: "local".into(),
        ports: view.ports.iter().map(|p| (p.name.clone(), p.number)).collect(),
        listening: view.listening.clone(),
        restarts: view.restarts,
        started_at: view.started_us.map(time),
        last_exit: view.last_exit.as_ref().map(exit),
        health: match view.healthy {
            Some(true) => "ok",
            Some(false) => "failing",
            None => "unknown",
        }
        .into(),
        cpu_percent: None,
        memory_bytes: None,
        since: view.since_us.map(time),
        ready_at: view.ready_us.map(time),
        limits: view.limits.as_ref().map(limits),
    }
}

fn limits(from: &spec::Limits) -> wire::Limits {
    wire::Limits {
        memory_bytes: from.memory,
        cpu: from.cpu,
        enforced: from.unenforced.is_none(),
        reason: from.unenforced.clone(),
    }
}

fn exit(view: &ExitView) -> wire::Exit {
    wire::Exit {
        code: view.code,
        signal: view.signal,
        reason: view.reason.word().into(),
        killed: view.killed,
        ran_ms: view.ran_us.and_then(|us| u64::try_from(us / 1000).ok()),
        at: time(view.at_us),
    }
}

/// The answer of `strays`.
pub fn strays(project: &Project, found: &[Stray]) -> wire::Strays {
    let policy = match project.strays {
        Strays::Kill => "kill",
        Strays::Ask => "ask",
        Strays::Report => "report",
    };
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let one = |stray: &Stray| wire::Stray {
        service: stray.service.clone(),
        pid: stray.pid,
        start_time: stray.start_time,
        rule: stray.rule.word().into(),
        action: if stray.veto.is_some() { "report" } else { policy }.into(),
        veto: stray.veto.as_ref().map(ToString::to_string),
        exe: text(&stray.exe),
        deleted: stray.is_deleted,
        argv: stray.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        cwd: stray.cwd.as_deref().map(text),
        parent: wire::StrayParent { pid: stray.parent.0, exe: stray.parent.1.as_deref().map(text) },
    };
    wire::Strays {
        project: project.name.clone(),
        root: text(&project.root),
        policy: policy.into(),
        strays: found.iter().map(one).collect(),
    }
}

/// The `state` line of a service.
pub fn state_line(view: &ServiceView, elapsed: Duration) -> wire::Progress {
    let ready = view.instances.iter().filter(|i| matches!(i.state, Shown::Ready | Shown::Done)).count();
    let reason = match &view.settled {
        Settled::Failed(why) | Settled::Absent(why) | Settled::Blocked(why) => Some(why.clone()),
        Settled::Pending | Settled::Met => view.reason.clone(),
    };
    wire::Progress::State {
        service: view.name.to_string(),
        state: view.state().word().into(),
        ready: u32::try_from(ready).unwrap_or(u32::MAX),
        scale: view.scale,
        reason,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    }
}

/// The answer of `why`; of a service whose newest runs were in containers these records tell where.
pub fn why(from: &Explanation, records: &[ContainerRecord]) -> wire::Why {
    let mut exits: Vec<_> = from.exits.iter().collect();
    exits.sort_by_key(|(_, exit)| std::cmp::Reverse(exit.at_us));
    wire::Why {
        service: service(&from.service),
        summary: from.summary.clone(),
        reasons: from.reasons.clone(),
        needs: from
            .needs
            .iter()
            .map(|(name, condition, state, met)| wire::WhyNeed {
                service: name.to_string(),
                condition: (*condition).into(),
                state: state.clone(),
                met: *met,
            })
            .collect(),
        exits: exits
            .into_iter()
            .map(|(instance, view)| wire::WhyExit { instance: instance.to_string(), exit: exit(view) })
            .collect(),
        holders: from.holders.clone(),
        watched: from.service.rerun,
        rerun: from.rerun.as_ref().map(rerun),
        tests: from.service.tests.as_ref().map(|tests| wire::WhyTests {
            state: tests.state.word().into(),
            passed: tests.passed,
            failed: tests.failed,
            error: tests.error.clone(),
        }),
        containers: containers(&from.service, records),
        events: from.events.iter().map(|h| wire::WhyEvent { at: time(h.at_us), message: h.message.clone() }).collect(),
        env: from.env.iter().map(|var| (var.key.clone(), var.value.clone())).collect(),
        env_from: from.env.iter().map(|var| (var.key.clone(), var.from.to_owned())).collect(),
    }
}

fn containers(service: &ServiceView, records: &[ContainerRecord]) -> Vec<wire::WhyContainer> {
    let mut of = Vec::new();
    for record in records {
        if record.instance().is_some_and(|instance| instance.service == service.name) {
            let ContainerRecord { slot, name, container, image, engine, .. } = record.clone();
            of.push(wire::WhyContainer { instance: slot, name, id: container, image, engine });
        }
    }
    of
}

fn rerun(from: &Rerun) -> wire::WhyRerun {
    let moments = [
        ("waited", from.build_us),
        ("built", from.built_us),
        ("tested", from.tested_us),
        ("told", from.told_us),
        ("stopped", from.gone_us),
        ("started", from.started_us),
        ("ready", from.ready_us),
    ];
    let mut last = from.seen_us;
    let mut phases = Vec::new();
    for (phase, at) in moments.into_iter().filter_map(|(phase, at)| Some((phase, at?))) {
        phases.push(wire::WhyPhase { phase: phase.into(), at: time(at), ms: ms_between(last, at) });
        last = at.max(last);
    }
    wire::WhyRerun {
        files: from.files.iter().map(|file| file.display().to_string()).collect(),
        more: from.more,
        seen_at: time(from.seen_us),
        aborted: from.aborted,
        build: from.outcome.map(|outcome| outcome.word().into()),
        phases,
        total_ms: ms_between(from.seen_us, last),
    }
}

/// Milliseconds from one moment to another, both in microseconds; none where a clock was set back.
fn ms_between(from: i64, to: i64) -> f64 {
    to.saturating_sub(from).max(0) as f64 / 1000.0
}

/// An error as it travels.
pub fn failure(error: &Error) -> wire::Failure {
    wire::Failure {
        kind: error.kind.word().into(),
        message: error.message.clone(),
        details: error.details.clone(),
        causes: error.causes.clone(),
        hints: error.hints.clone(),
    }
}

/// An error that travelled; a kind this program does not know counts as `failed`.
pub fn error(failure: wire::Failure) -> Error {
    let kind = [Kind::Usage, Kind::Unreachable, Kind::NoEngine, Kind::Interrupted, Kind::ClosedPipe]
        .into_iter()
        .find(|k| k.word() == failure.kind)
        .unwrap_or(Kind::Failed);
    Error { kind, message: failure.message, details: failure.details, causes: failure.causes, hints: failure.hints }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_as_environment() {
        for (key, value) in [(&b"A"[..], &b"b=c"[..]), (b"PATH", b""), (b"X", b"\xff\xfe"), (b"=odd", b"1")] {
            let sent = env_entry(OsStr::from_bytes(key), OsStr::from_bytes(value));
            assert_eq!(entry(&sent).unwrap(), (OsStr::from_bytes(key).into(), OsStr::from_bytes(value).into()));
        }
        for bad in ["", "A", "=", "A\0=b"] {
            assert!(entry(&wire::Bytes::Text(bad.into())).is_err(), "{bad:?}");
        }
        assert!(entry(&wire::Bytes::Base64 { base64: "!".into() }).is_err());
    }

    #[test]
    fn times_are_rfc_3339_with_milliseconds() {
        assert_eq!(time(1_767_323_045_678_901), "2026-01-02T03:04:05.678Z");
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(i64::MAX), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn errors_survive_the_way() {
        let sent = Error::usage("no").hint("try").detail("line");
        let got = error(failure(&sent));
        assert_eq!(
            (got.kind, got.message, got.hints, got.details),
            (sent.kind, sent.message, sent.hints, sent.details)
        );
    }

    #[test]
    fn malformed_requests_are_refused() {
        let ask = |ask, change: fn(&mut wire::Request)| {
            let mut from = wire::Request::default();
            change(&mut from);
            request(ask, &from).map_err(|e| e.message)
        };
        assert!(ask(Ask::Kill, |r| r.select = vec!["api".into()]).is_err());
        assert!(ask(Ask::Kill, |r| r.signal = Some(15)).is_err());
        assert!(ask(Ask::Scale, |r| r.scale = [("--".to_owned(), Some(1))].into()).is_err());
        assert!(ask(Ask::Start, |r| r.scale = [("api".to_owned(), None)].into()).is_err());
        assert!(ask(Ask::Start, |r| r.caller.env = vec![wire::Bytes::Text("novalue".into())]).is_err());
        assert!(ask(Ask::Stop, |_| ()).is_ok());
    }

    #[test]
    fn flags_of_start_arrive() {
        let mut from = wire::Request::default();
        from.start.rerun = Some(false);
        from.start.test = true;
        let Ok(Request { verb: Verb::Start(flags), .. }) = request(Ask::Start, &from) else { panic!("refused") };
        assert_eq!((flags.rerun, flags.test), (Some(false), true));
    }
}
