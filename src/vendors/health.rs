//! `healthcheck:`

use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::tree::{Node, Value};
use crate::task::container::{HealthCheck, HealthTest};

/// Keys of `healthcheck:`.
pub(super) const KEYS: &[&str] =
    &["test", "disable", "interval", "timeout", "retries", "start_period", "start_interval"];

/// Reads the section; without a test the image's own is asked, in this rhythm.
pub(super) fn check(node: &Node, reader: &mut Reader) -> Option<HealthCheck> {
    let mut out = HealthCheck {
        test: HealthTest::Image,
        interval: None,
        timeout: None,
        retries: None,
        start_period: None,
        start_interval: None,
    };
    let mut disabled = false;
    for entry in reader.known(node, "healthcheck", KEYS) {
        let (key, node) = (format!("healthcheck.{}", entry.key), &entry.node);
        match entry.key.as_str() {
            "test" => out.test = test(node, &key, reader)?,
            "disable" => disabled = reader.boolean(node, &key).unwrap_or(false),
            "interval" => out.interval = reader.duration(node, &key).filter(|time| !time.is_zero()),
            "timeout" => out.timeout = reader.duration(node, &key).filter(|time| !time.is_zero()),
            "start_period" => out.start_period = reader.duration(node, &key),
            "start_interval" => out.start_interval = reader.duration(node, &key).filter(|time| !time.is_zero()),
            _ => {
                let retries = reader.integer(node, &key, 0, 1_000_000);
                out.retries = retries.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
            }
        }
    }
    if disabled {
        out.test = HealthTest::Off;
    }
    Some(out)
}

fn test(node: &Node, key: &str, reader: &mut Reader) -> Option<HealthTest> {
    if let Value::Scalar { .. } = &node.value {
        return reader.word(node, key).map(HealthTest::Shell);
    }
    let words = reader.texts(node, key);
    let mut rest = words.iter().skip(1).cloned();
    match (words.first().map(String::as_str), words.len()) {
        (Some("NONE"), 1) => Some(HealthTest::Off),
        (Some("CMD"), 2..) => Some(HealthTest::Exec(rest.collect())),
        (Some("CMD-SHELL"), 2) => rest.next().map(HealthTest::Shell),
        (None, _) => Some(HealthTest::Image),
        (Some(_), _) => {
            let message = format!("`{key}` must begin with `CMD`, `CMD-SHELL` or `NONE`, and say what is run");
            let hint = "write [\"CMD\", \"redis-cli\", \"ping\"], or one text for the container's shell";
            reader.push(Problem::at(&node.place, message).hint(hint));
            None
        }
    }
}
