//! `ready:` and `live:` of a service's section.

use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;

use super::spec::{HttpConfig, PROBE_KEYS, ProbeConfig, Target};
use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::tree::{Entry, Node};

/// Reads `ready:` or `live:`.
pub fn probe(node: &Node, key: &str, reader: &mut Reader) -> Option<ProbeConfig> {
    let known = reader.problems.len();
    let entries = reader.known(node, key, PROBE_KEYS);
    let mut out = ProbeConfig {
        target: Target::Notify,
        interval: None,
        timeout: Duration::from_secs(1),
        failures: 3,
        start_period: Duration::ZERO,
        place: node.place.clone(),
    };
    let mut targets: Vec<(&Entry, Target)> = Vec::new();
    for entry in &entries {
        let (path, node) = (format!("{key}.{}", entry.key), &entry.node);
        match entry.key.as_str() {
            "interval" => out.interval = reader.duration(node, &path),
            "timeout" => out.timeout = reader.duration(node, &path).unwrap_or(out.timeout),
            "start_period" => out.start_period = reader.duration(node, &path).unwrap_or_default(),
            "failures" => {
                let failures = reader.integer(node, &path, 1, 1_000_000);
                out.failures = failures.and_then(|n| u32::try_from(n).ok()).unwrap_or(out.failures);
            }
            "http" => {
                targets.extend(http(node, &path, &entries, key, reader).map(|target| (*entry, Target::Http(target))))
            }
            "tcp" => targets.extend(reader.template(node, &path).map(|port| (*entry, Target::Tcp(port)))),
            "exec" => targets.extend(reader.command(node, &path).map(|argv| (*entry, Target::Exec(argv)))),
            "log" => targets.extend(regex(node, &path, reader).map(|regex| (*entry, Target::Log(regex)))),
            "notify" => {
                let on = reader.boolean(node, &path).unwrap_or(false);
                targets.extend(on.then_some((*entry, Target::Notify)));
            }
            // The details of http, read with it.
            _ => {}
        }
    }
    refuse_http_details(&entries, key, reader);
    let mut targets = targets.into_iter();
    match (targets.next(), targets.next()) {
        (Some((first, _)), Some((second, _))) => {
            let message = format!("`{key}` asks in two ways: `{}` and `{}`", first.key, second.key);
            reader.push(Problem::at(&second.place, message).hint("keep one of them"));
            None
        }
        (Some((entry, Target::Log(_) | Target::Notify)), None) if key == "live" => {
            reader.error(&entry.place, format!("`live` takes `http`, `tcp` or `exec`, not `{}`", entry.key));
            None
        }
        (Some((_, target)), None) => Some(ProbeConfig { target, ..out }),
        (None, _) => {
            if reader.problems.len() == known {
                let message = format!("`{key}` does not say what to ask");
                reader.push(
                    Problem::at(&node.place, message).hint("give it one of `http`, `tcp`, `exec`, `log`, `notify`"),
                );
            }
            None
        }
    }
}

fn refuse_http_details(entries: &[&Entry], key: &str, reader: &mut Reader) {
    if entries.iter().any(|entry| entry.key == "http") {
        return;
    }
    for entry in entries.iter().filter(|e| ["status", "body", "headers", "insecure", "ca"].contains(&e.key.as_str())) {
        reader.error(&entry.place, format!("`{key}.{}` belongs to `http`, which is not given", entry.key));
    }
}

fn http(node: &Node, path: &str, entries: &[&Entry], key: &str, reader: &mut Reader) -> Option<HttpConfig> {
    let url = reader.template(node, path)?;
    if let Some(text) = url.constant()
        && !["/", "http://", "https://"].iter().any(|start| text.starts_with(start))
    {
        let problem = Problem::at(&node.place, format!("`{path}` must be a path (`/healthz`) or a URL, not `{text}`"));
        reader.push(problem.hint("`/healthz` is asked on the service's own port"));
        return None;
    }
    let mut out = HttpConfig { url, status: None, body: None, headers: Vec::new(), insecure: false, ca: None };
    for entry in entries {
        let (path, node) = (format!("{key}.{}", entry.key), &entry.node);
        match entry.key.as_str() {
            "status" => out.status = reader.integer(node, &path, 100, 599).and_then(|n| u16::try_from(n).ok()),
            "body" => out.body = regex(node, &path, reader),
            "headers" => {
                for header in reader.map(node, &path) {
                    let value = reader.text(&header.node, &format!("{path}.{}", header.key));
                    out.headers.extend(value.map(|value| (header.key.clone(), value)));
                }
            }
            "insecure" => out.insecure = reader.boolean(node, &path).unwrap_or(false),
            "ca" => out.ca = reader.word(node, &path).map(PathBuf::from),
            _ => {}
        }
    }
    Some(out)
}

fn regex(node: &Node, key: &str, reader: &mut Reader) -> Option<String> {
    let text = reader.word(node, key)?;
    match Regex::new(&text) {
        Ok(_) => Some(text),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
            reader.error(&node.place, format!("`{key}` is not a regular expression: {reason}"));
            None
        }
    }
}
