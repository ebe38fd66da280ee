//! The example of the README from start to end, built from source.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{Fleet, eventually};

/// The shop with its ports moved to free ones, and the first of them.
fn shop() -> (Fleet, u16) {
    let fleet = Fleet::copy_of("examples/shop");
    let port = fleet.ports(12);
    let yaml = fs::read_to_string(fleet.path("orchestra.yml")).unwrap();
    fleet.write("orchestra.yml", format!("{yaml}\nport_offset: {}\n", port - 7400));
    (fleet, port)
}

fn order(port: u16, product: &str, card: &str) -> String {
    let body = json!({"product": product, "card": card}).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "POST /orders HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap()[9..12].to_owned()
}

#[test]
fn the_shop_opens_sells_and_closes() {
    let (fleet, port) = shop();
    fleet.orchestra(&["start"]).ok();
    let ps = fleet.ps();
    let states: Vec<String> = ps["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| format!("{} {}", s["name"], s["state"]).replace('"', ""))
        .collect();
    let wanted = ["catalog ready", "gateway ready", "migrate done", "orders ready", "payments ready", "worker ready"];
    assert_eq!(states, wanted);
    assert_eq!(fleet.instance("worker.2")["ports"]["http"], port + 11);

    assert_eq!(order(port, "tea", "visa"), "201");
    assert_eq!(order(port, "pot", "stolen"), "402");
    assert_eq!(order(port, "nothing", "visa"), "404");
    eventually("the order to be shipped", || {
        fleet.lines(&["worker"]).iter().any(|l| l.contains("ships order 1 tea")).then_some(())
    });

    assert!(
        fleet
            .lines(&["orders"])
            .iter()
            .any(|l| serde_json::from_str::<Value>(l).is_ok_and(|v| v["msg"] == "order placed"))
    );
    let payments = fleet.orchestra(&["logs", "payments", "-o", "json"]).ok().json_lines();
    let on = |stream: &str, text: &str| {
        payments.iter().any(|l| l["stream"] == stream && l["line"].as_str().is_some_and(|l| l.contains(text)))
    };
    assert!(on("stdout", "charged 450 cents") && on("stderr", "the card is stolen"));

    let pids = fleet.pids();
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.pids(), pids, "nothing has changed, so nothing is restarted");
    fleet.orchestra(&["stop"]).ok();
    assert!(fleet.lines(&["gateway"]).last().unwrap().contains("stopped"));
}

#[test]
fn an_edit_reaches_only_the_service_it_belongs_to() {
    let (fleet, _) = shop();
    fleet.orchestra(&["start"]).ok();
    let before = fleet.pids();
    let source = fs::read_to_string(fleet.path("payments/main.go")).unwrap();
    fleet.write("payments/main.go", source.replace("payments: ", "money: "));
    fleet.orchestra(&["start"]).ok();
    let changed: Vec<String> = fleet.pids().into_iter().zip(before).filter(|(a, b)| a != b).map(|(a, _)| a.0).collect();
    assert_eq!(changed, ["payments.1"]);
    assert!(fleet.lines(&["payments"]).last().unwrap().contains("money: "));
}

/// Paths with what differs between two fleets replaced: run numbers, build ids.
fn shape(dir: &std::path::Path, below: &std::path::Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            shape(&path, below, into);
        } else {
            into.push(path.strip_prefix(below).unwrap().to_string_lossy().into_owned());
        }
    }
    into.sort();
}

#[test]
fn the_example_of_the_dot_folder_is_true() {
    let (fleet, _) = shop();
    fleet.orchestra(&["start"]).ok();
    // The last state is written down a moment after the change.
    eventually("the last state on disk", || fleet.path(".orchestra/state/last.json").exists().then_some(()));
    let mut found = Vec::new();
    shape(&fleet.path(".orchestra"), &fleet.path(".orchestra"), &mut found);
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".orchestra.example");
    let mut shown = Vec::new();
    shape(&example, &example, &mut shown);
    shown.retain(|path| path != "README.md");
    // Binaries are large, and a `.gitignore` here would hide the example itself.
    found.retain(|path| !path.starts_with("bin/") && path != ".gitignore");
    assert_eq!(found, shown);
    let readme = fs::read_to_string(example.join("README.md")).unwrap();
    for path in shown {
        let name = path.rsplit('/').next().unwrap();
        let name = if name.starts_with("service-") { "service-<name>.json" } else { name };
        assert!(readme.contains(&format!("`{name}`")), "the README does not explain `{name}`");
    }
}
