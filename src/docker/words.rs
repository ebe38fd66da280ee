//! What an engine, a registry or the system said, in one sentence with the next step.

use std::io;
use std::time::Duration;

use bollard::errors::Error as Said;

use super::failure::{Class, Failure};
use super::find::{self, Address, Candidate};

/// Of an engine's words so much is told.
const MOST: usize = 400;

/// An engine that did not answer in time.
pub(super) fn timed_out(address: &Address, limit: Duration) -> Failure {
    let message = format!("the Docker engine at `{address}` did not answer within {} s", limit.as_secs());
    Failure::new(
        Class::TimedOut,
        message,
        "it hangs or is overloaded: restart it (`docker info` shows whether it answers)",
    )
}

/// Why an engine could not be spoken with when it was looked for.
pub(super) fn unreached(said: &Said, candidate: &Candidate) -> Failure {
    let failure = of(said, &candidate.address);
    match &candidate.said_by {
        Some(who) if failure.class.is_unreachable() => {
            // Where somebody named a place that has no engine, the place may be what is wrong.
            let hint = match failure.class {
                Class::NotRunning => format!("start it, or mend {who}"),
                _ => failure.hint,
            };
            Failure { message: format!("{} ({who})", failure.message), hint, ..failure }
        }
        Some(_) | None => failure,
    }
}

/// Anything that an engine said, or why nothing was heard.
pub(super) fn of(said: &Said, address: &Address) -> Failure {
    match said {
        Said::DockerResponseServerError { message, .. } => sorted(message),
        Said::DockerStreamError { error } => sorted(error),
        Said::DockerContainerWaitError { error, .. } => sorted(error),
        Said::RequestTimeoutError => timed_out(address, Duration::from_secs(180)),
        Said::SocketNotFoundError(_) => absent(address, io::ErrorKind::NotFound),
        other => match kind_of(other) {
            Some(kind) => absent(address, kind),
            None => Failure::new(
                Class::Other,
                format!("the Docker engine at `{address}`: {}", short(&other.to_string())),
                "",
            ),
        },
    }
}

/// The system's word below an error of the client; a connection that broke counts as one.
fn kind_of(said: &Said) -> Option<io::ErrorKind> {
    // This one speaks as what it holds, which so stands nowhere below it.
    if let Said::IOError { err } = said {
        return Some(err.kind());
    }
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(said);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    match said {
        Said::HyperLegacyError { .. } | Said::HyperResponseError { .. } => Some(io::ErrorKind::ConnectionReset),
        _ => None,
    }
}

/// Nobody could be spoken with.
fn absent(address: &Address, kind: io::ErrorKind) -> Failure {
    let at = format!("the Docker engine at `{address}`");
    match kind {
        io::ErrorKind::PermissionDenied => Failure::new(
            Class::NoPermission,
            format!("you may not use {at}"),
            "`sudo usermod -aG docker $USER` lets you, from your next login on",
        ),
        io::ErrorKind::NotFound => {
            Failure::new(Class::NotRunning, format!("{at} is not running: there is no such socket"), find::start_hint())
        }
        io::ErrorKind::ConnectionRefused => {
            Failure::new(Class::NotRunning, format!("{at} is not running: nobody listens there"), find::start_hint())
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            Failure::new(Class::NotRunning, format!("{at} broke off"), find::start_hint())
        }
        _ => Failure::new(Class::NotRunning, format!("{at} cannot be reached: {kind}"), find::start_hint()),
    }
}

/// What is searched for in an engine's words (lower case), and what that means: the first that fits counts.
const KNOWN: &[(&[&str], Class, &str)] = &[
    (
        &["no space left on device"],
        Class::DiskFull,
        "the engine's disk is full: `docker system df` shows what fills it, `docker system prune` frees it",
    ),
    (
        &["port is already allocated", "address already in use", "ports are not available"],
        Class::PortTaken,
        "another port: `ports:` of the file, or `--port-offset`",
    ),
    (
        &["no matching manifest", "does not match the specified platform"],
        Class::ImageMissing,
        "it is not made for this machine: `platform: linux/amd64` takes another machine's, where that can be emulated",
    ),
    (
        &["toomanyrequests", "too many requests", "rate limit"],
        Class::TooMany,
        "`docker login` raises the limit, waiting helps too",
    ),
    (
        &["unauthorized", "authentication required", "no basic auth credentials", "denied: requested access"],
        Class::Denied,
        "`docker login` to its registry first",
    ),
    (
        &["pull access denied", "repository does not exist"],
        Class::ImageMissing,
        "is its name right? A private one needs `docker login` first",
    ),
    (
        &[
            "manifest unknown",
            "manifest for",
            "no such image",
            "not found: manifest",
            "failed to resolve reference",
            "name unknown",
        ],
        Class::ImageMissing,
        "are its name and tag right?",
    ),
    (
        &["no such host", "server misbehaving", "temporary failure in name resolution", "name or service not known"],
        Class::NoRegistry,
        "is this machine online, and is the registry's name right?",
    ),
    (
        &[
            "dial tcp",
            "i/o timeout",
            "tls handshake timeout",
            "network is unreachable",
            "context deadline exceeded",
            "client.timeout exceeded",
            "bad gateway",
            "service unavailable",
            "unexpected eof",
            "received unexpected http status: 5",
        ],
        Class::NoRegistry,
        "is this machine online?",
    ),
    (
        &["non-overlapping ipv4 address pool", "fully subnetted"],
        Class::NoAddresses,
        "`docker network prune` removes networks that nobody uses",
    ),
    (
        &["executable file not found"],
        Class::BadSpec,
        "the image has no such program: are `command` and `entrypoint` right?",
    ),
    (
        &[
            "bind source path does not exist",
            "invalid mount config",
            "no such file or directory",
            "not a directory",
            "exec format error",
            "invalid volume specification",
        ],
        Class::BadSpec,
        "",
    ),
    (
        &[
            "is already in use by container",
            "already in use",
            "volume is in use",
            "has active endpoints",
            "is already in progress",
        ],
        Class::Conflict,
        "",
    ),
    (&["no such container", "no such volume", "not found"], Class::Gone, ""),
];

/// An engine's own words, sorted by what they mean.
fn sorted(words: &str) -> Failure {
    let lower = words.to_lowercase();
    let known = KNOWN.iter().find(|(parts, _, _)| parts.iter().any(|part| lower.contains(part)));
    let (class, hint) = known.map_or((Class::Other, ""), |(_, class, hint)| (*class, *hint));
    Failure::new(class, short(words), hint)
}

/// Why an image could not be fetched.
pub(super) fn of_pull(failure: &Failure, image: &str) -> Failure {
    let mut failure = failure.clone();
    failure.message = match failure.class {
        Class::ImageMissing => format!("there is no image `{image}`: {}", failure.message),
        Class::NoRegistry => format!("cannot fetch `{image}`, its registry cannot be reached: {}", failure.message),
        // Of an image that is not there some registries say just this.
        Class::Gone => {
            failure.class = Class::ImageMissing;
            failure.hint = "are its name and tag right?".to_owned();
            format!("there is no image `{image}`: {}", failure.message)
        }
        _ => format!("cannot fetch `{image}`: {}", failure.message),
    };
    failure
}

/// What engines put around their errors: whose component called whose.
const WRAPPINGS: &[&str] = &[
    "Error response from daemon: ",
    "failed to create shim task: ",
    "failed to create task for container: ",
    "failed to create shim: ",
    "OCI runtime create failed: ",
    "OCI runtime exec failed: ",
    "runc create failed: ",
    "unable to start container process: ",
    "starting container process caused: ",
    "dial tcp: ",
];

/// One line, not too long, without what engines put around their errors.
fn short(words: &str) -> String {
    let mut words = words.trim().trim_end_matches('.');
    while let Some(inner) = unwrapped(words) {
        words = inner;
    }
    let words = words.strip_suffix(": unknown").unwrap_or(words);
    let words = match words.strip_suffix("manifest unknown: manifest unknown") {
        Some(before) => format!("{before}manifest unknown"),
        None => words.to_owned(),
    };
    let line = words.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    line.get(..line.floor_char_boundary(MOST)).unwrap_or_default().to_owned()
}

/// The words without the outermost wrapping; `None` where there is none. A request to a registry is one: `Get "https://ghcr.io/v2/": …`.
fn unwrapped(words: &str) -> Option<&str> {
    let request = ["Get \"", "Head \""].iter().find_map(|verb| words.strip_prefix(verb));
    let inner = request.and_then(|rest| rest.split_once("\": ")).map(|(_, inner)| inner);
    inner.or_else(|| WRAPPINGS.iter().find_map(|wrapping| words.strip_prefix(wrapping)))
}

#[cfg(test)]
mod tests;
