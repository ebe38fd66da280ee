//! Sections as people write them, and what is said of those that cannot be taken.

use std::fmt::Write;
use std::path::Path;

use super::read;
use super::spec::{Dialect, VendorConfig};
use crate::config::reader::Reader;
use crate::config::tree::{Entry, Node, Place, Source};
use crate::config::yaml;

fn tree(text: &str) -> Node {
    let parsed = yaml::parse(&Source::new("x.yml", text));
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    parsed.node.unwrap()
}

fn entry(text: &str) -> Entry {
    let node = tree(text);
    let place = Place { line: 1, column: 1, ..node.place.clone() };
    Entry { key: "db".to_owned(), place, node }
}

fn loaded(dialect: Dialect, text: &str) -> (Option<VendorConfig>, String) {
    let mut reader = Reader::default();
    let config = read::section(&entry(text), Path::new("/shop"), dialect, &mut reader);
    let mut said = String::new();
    for problem in &reader.problems {
        let word = if problem.severity == crate::config::problem::Severity::Warning { "warning: " } else { "" };
        let hint = problem.hint.as_ref().map_or(String::new(), |hint| format!(" | {hint}"));
        writeln!(said, "{}:{}: {word}{}{hint}", problem.line, problem.column, problem.message).unwrap();
    }
    (config, said)
}

/// A section without a fault.
fn config(text: &str) -> VendorConfig {
    let (config, said) = loaded(Dialect::Project, text);
    assert_eq!(said, "", "{text}");
    config.unwrap()
}

/// What is said of one line beside the image.
fn said(text: &str) -> String {
    loaded(Dialect::Project, &format!("image: x\n{text}")).1.trim_end().to_owned()
}

fn ports(list: &str) -> String {
    let config = config(&format!("image: x\nports: {list}"));
    let word = |port: &super::spec::PortConfig| {
        let address = port.address.as_ref().map_or(String::new(), |address| format!("{address} "));
        format!("{address}{}>{}", port.host.map_or("auto".to_owned(), |host| host.to_string()), port.name())
    };
    config.ports.iter().map(word).collect::<Vec<_>>().join(", ")
}

#[test]
fn ports_in_every_form() {
    for (text, expected) in [
        ("[5432]", "auto>5432"),
        ("5432", "auto>5432"),
        ("['5432:5432', '53:53/udp']", "5432>5432, 53>53/udp"),
        ("['auto:5432', '0:80', ':81']", "auto>5432, auto>80, auto>81"),
        ("['127.0.0.1:5433:5432']", "127.0.0.1 5433>5432"),
        ("['127.0.0.1::5432', '0.0.0.0:80:80']", "127.0.0.1 auto>5432, 0.0.0.0 80>80"),
        ("['[::1]:5433:5432', '::1:5434:5433', 'localhost:1:2']", "::1 5433>5432, ::1 5434>5433, 127.0.0.1 1>2"),
        ("['9090-9092:8080-8082', '3000-3001']", "9090>8080, 9091>8081, 9092>8082, auto>3000, auto>3001"),
        ("['8000:80', '9000:80', '80']", "8000>80, 9000>80"),
        (
            "[{target: 80, published: '8080', host_ip: 0.0.0.0, protocol: tcp, mode: host, name: web}]",
            "0.0.0.0 8080>80",
        ),
        ("[{target: 80}, {target: 53, protocol: udp}]", "auto>80, auto>53/udp"),
    ] {
        assert_eq!(ports(text), expected, "{text}");
    }
    for (text, expected) in [
        ("ports: ['x:80']", "2:9: `ports`: `x:80`: `x` is not a port from 1 to 65535"),
        ("ports: ['80:0']", "2:9: `ports`: `80:0`: `0` is not a port from 1 to 65535"),
        ("ports: ['70000:80']", "2:9: `ports`: `70000:80`: `70000` is not a port from 1 to 65535"),
        ("ports: ['80/sctp']", "2:9: `ports`: `80/sctp`: `sctp` is not supported: `tcp` or `udp`"),
        (
            "ports: ['8000-8010:80']",
            "2:9: `ports`: `8000-8010:80`: one port of a range is not chosen: write one, or leave it out for a free one",
        ),
        ("ports: ['1-2:1-3']", "2:9: `ports`: `1-2:1-3`: 2 of this machine do not fit 3 of the container"),
        ("ports: ['9-1']", "2:9: `ports`: `9-1`: `9-1` ends before it begins"),
        ("ports: ['127.0.0.1:80']", "2:9: `ports`: `127.0.0.1:80`: `127.0.0.1` is an address without a port"),
        (
            "ports: ['host.example:1:80']",
            "2:9: `ports`: `host.example:1:80`: `host.example` is not an address of this machine",
        ),
        ("ports: [{published: 80}]", "2:9: a port does not say which `target` it has"),
        ("ports: {http: 80}", "2:8: `ports` of a vendor is a list, not a mapping"),
    ] {
        let said = said(text);
        assert_eq!(said.split(" | ").next().unwrap(), expected, "{said}");
        assert!(said.contains(" | "), "{said} has no hint");
    }
}
