//! What engines really say, sorted.

use super::*;

fn said(message: &str) -> Failure {
    let error = Said::DockerResponseServerError { status_code: 500, message: message.to_owned() };
    of(&error, &Address::Unix("/run/docker.sock".into()))
}

#[test]
fn an_engines_words_are_sorted_by_what_helps() {
    for (words, class, transient) in [
        ("Bind for 127.0.0.1:5432 failed: port is already allocated", Class::PortTaken, false),
        (
            "driver failed programming external connectivity on endpoint x: Error starting userland proxy: listen tcp4 127.0.0.1:5432: bind: address already in use",
            Class::PortTaken,
            false,
        ),
        (
            "Ports are not available: exposing port TCP 127.0.0.1:5432 -> 0.0.0.0:0: listen tcp 127.0.0.1:5432: bind: address already in use",
            Class::PortTaken,
            false,
        ),
        (
            "Conflict. The container name \"/shop-db-1\" is already in use by container \"0123\". You have to remove (or rename) that container to be able to reuse that name.",
            Class::Conflict,
            false,
        ),
        ("manifest for postgres:99 not found: manifest unknown: manifest unknown", Class::ImageMissing, false),
        (
            "pull access denied for shop, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
            Class::Denied,
            false,
        ),
        (
            "pull access denied for shop, repository does not exist or may require 'docker login'",
            Class::ImageMissing,
            false,
        ),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", Class::ImageMissing, false),
        ("toomanyrequests: You have reached your pull rate limit.", Class::TooMany, false),
        ("Get \"https://ghcr.io/v2/\": unauthorized: authentication required", Class::Denied, false),
        (
            "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: no such host",
            Class::NoRegistry,
            true,
        ),
        (
            "Get \"http://127.0.0.1:5000/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused",
            Class::NoRegistry,
            true,
        ),
        ("Get \"https://registry-1.docker.io/v2/\": net/http: TLS handshake timeout", Class::NoRegistry, true),
        (
            "failed to register layer: Error processing tar file(exit status 1): write /x: no space left on device",
            Class::DiskFull,
            false,
        ),
        (
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
            Class::NoAddresses,
            false,
        ),
        ("invalid mount config for type \"bind\": bind source path does not exist: /srv/x", Class::BadSpec, false),
        (
            "OCI runtime create failed: exec: \"serve\": executable file not found in $PATH: unknown",
            Class::BadSpec,
            false,
        ),
        ("No such container: c0ffee", Class::Gone, false),
        ("network 4711 not found", Class::Gone, false),
        ("something new", Class::Other, false),
    ] {
        let failure = said(words);
        assert_eq!((failure.class, failure.class.is_transient()), (class, transient), "{words}");
        assert!(!failure.class.is_unreachable(), "an engine that says something is there: {words}");
        assert!(words.contains(failure.message.as_str()), "{failure}");
    }
}

#[test]
fn what_engines_put_around_their_errors_is_left_out() {
    for (words, expected) in [
        (
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"serve\": executable file not found in $PATH: unknown",
            "exec: \"serve\": executable file not found in $PATH; the image has no such program: are `command` and `entrypoint` right?",
        ),
        (
            "manifest for redis:77 not found: manifest unknown: manifest unknown",
            "manifest for redis:77 not found: manifest unknown; are its name and tag right?",
        ),
        (
            "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: no such host",
            "lookup registry-1.docker.io on 10.0.0.1:53: no such host; is this machine online, and is the registry's name right?",
        ),
        (
            "Head \"http://ghcr.io/v2/db/manifests/1\": no basic auth credentials",
            "no basic auth credentials; `docker login` to its registry first",
        ),
    ] {
        assert_eq!(said(words).to_string(), expected);
    }
}

#[test]
fn one_line_is_enough() {
    let long = format!("Error response from daemon: first\n  second\n{}", "x".repeat(1000));
    let failure = said(&long);
    assert!(failure.message.starts_with("first second x") && failure.message.len() <= MOST, "{failure}");
}

#[test]
fn a_socket_says_why_nobody_can_be_spoken_with() {
    let address = Address::Unix("/run/docker.sock".into());
    for (kind, class, word) in [
        (io::ErrorKind::PermissionDenied, Class::NoPermission, "usermod"),
        (io::ErrorKind::NotFound, Class::NotRunning, "no such socket"),
        (io::ErrorKind::ConnectionRefused, Class::NotRunning, "nobody listens"),
        (io::ErrorKind::ConnectionReset, Class::NotRunning, "broke off"),
        (io::ErrorKind::HostUnreachable, Class::NotRunning, "cannot be reached"),
    ] {
        let failure = of(&Said::IOError { err: io::Error::from(kind) }, &address);
        assert_eq!(failure.class, class);
        assert!(failure.to_string().contains(word) && failure.to_string().contains("/run/docker.sock"), "{failure}");
        assert!(failure.class.is_unreachable() && !failure.hint.is_empty());
    }
    assert!(!Class::NoPermission.is_transient(), "nobody gets rights by waiting");
    assert!(of(&Said::RequestTimeoutError, &address).class.is_transient());
}

#[test]
fn a_person_gets_the_exit_code_of_an_engine_that_is_away() {
    let away: crate::error::Error =
        of(&Said::SocketNotFoundError("/run/x".into()), &Address::Unix("/run/x".into())).into();
    assert_eq!((away.kind.exit_code(), away.hints.len()), (3, 1));
    let taken: crate::error::Error = said("port is already allocated").into();
    assert_eq!(taken.kind.exit_code(), 1);
}
