//! What a vendor may use, and when it is started again: `cpus`, `mem_limit`, `deploy`, `restart`.

use super::spec::VendorConfig;
use super::values;
use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::tree::{Node, Place, Value};
use crate::services::sections;
use crate::task::restart::{RestartMode, RestartPolicy};

/// Keys of `deploy:` that say how a swarm places and replaces: on one machine they mean nothing.
const SWARM: &[&str] = &["mode", "labels", "placement", "update_config", "rollback_config", "endpoint_mode"];
const DEPLOY: &[&str] = &[
    "resources",
    "replicas",
    "restart_policy",
    "mode",
    "labels",
    "placement",
    "update_config",
    "rollback_config",
    "endpoint_mode",
];

pub(super) fn memory(config: &mut VendorConfig, node: &Node, key: &str, reader: &mut Reader) {
    let Some(bytes) = values::size(node, key, reader) else { return };
    if config.resources.memory != 0 && config.resources.memory != bytes {
        reader.error(&node.place, format!("`{key}` and another key limit the memory differently"));
    }
    config.resources.memory = bytes;
}

pub(super) fn cpus(config: &mut VendorConfig, node: &Node, key: &str, reader: &mut Reader) {
    let Some(cores) = reader.number(node, key) else { return };
    if config.resources.cpu != 0.0 && (config.resources.cpu - cores).abs() > f64::EPSILON {
        reader.error(&node.place, format!("`{key}` and another key limit the processor differently"));
    }
    config.resources.cpu = cores;
}

pub(super) fn pids(config: &mut VendorConfig, node: &Node, key: &str, reader: &mut Reader) {
    config.container.pids_limit = reader.integer(node, key, -1, i64::MAX);
}

/// Memory and swap together; -1 is as much as there is.
pub(super) fn memory_swap(node: &Node, reader: &mut Reader) -> Option<i64> {
    let bytes = |text: &str| match text {
        "-1" => Ok(-1),
        text => values::bytes(text).and_then(|bytes| i64::try_from(bytes).map_err(|_| format!("`{text}` is too much"))),
    };
    values::parsed(node, "memswap_limit", reader, bytes)
}

/// `scale:`, and `replicas:` of `deploy:`: a vendor has one copy; none means that it starts only when named.
pub(super) fn copies(config: &mut VendorConfig, node: &Node, key: &str, reader: &mut Reader) {
    match reader.integer(node, key, 0, 1_000_000) {
        Some(0) => config.enabled = false,
        Some(1) | None => {}
        Some(more) => {
            let problem = Problem::at(&node.place, format!("`{key}: {more}`: a vendor has one copy"));
            reader.push(problem.hint("give each further copy a section and ports of its own"));
        }
    }
}

pub(super) fn deploy(config: &mut VendorConfig, node: &Node, reader: &mut Reader) {
    for entry in reader.known(node, "deploy", DEPLOY) {
        match entry.key.as_str() {
            "resources" => resources(config, &entry.node, reader),
            "replicas" => copies(config, &entry.node, "deploy.replicas", reader),
            "restart_policy" => restart_policy(config, &entry.node, reader),
            key if SWARM.contains(&key) => {
                let message = format!("`deploy.{key}` is not taken: it is for a swarm");
                reader.push(Problem::at(&entry.place, message).warning());
            }
            _ => {}
        }
    }
}

fn resources(config: &mut VendorConfig, node: &Node, reader: &mut Reader) {
    for entry in reader.known(node, "deploy.resources", &["limits", "reservations"]) {
        if entry.key == "reservations" {
            let devices = entry.node.get("devices").is_some();
            let message = format!(
                "`deploy.resources.reservations` {}",
                if devices { "of devices are not supported" } else { "are not taken: nothing is reserved" }
            );
            let problem = Problem::at(&entry.place, message);
            reader.push(if devices { problem.hint("name them in `devices`") } else { problem.warning() });
            continue;
        }
        for limit in reader.known(&entry.node, "deploy.resources.limits", &["cpus", "memory", "pids"]) {
            let key = format!("deploy.resources.limits.{}", limit.key);
            match limit.key.as_str() {
                "cpus" => cpus(config, &limit.node, &key, reader),
                "memory" => memory(config, &limit.node, &key, reader),
                _ => pids(config, &limit.node, &key, reader),
            }
        }
    }
}

/// Of a swarm's words, which a Compose file may use too.
fn restart_policy(config: &mut VendorConfig, node: &Node, reader: &mut Reader) {
    let mut out = RestartPolicy { mode: RestartMode::Always, ..RestartPolicy::default() };
    for entry in reader.known(node, "deploy.restart_policy", &["condition", "delay", "max_attempts", "window"]) {
        let (key, node) = (format!("deploy.restart_policy.{}", entry.key), &entry.node);
        let modes = &[("none", RestartMode::No), ("on-failure", RestartMode::OnFailure), ("any", RestartMode::Always)];
        match entry.key.as_str() {
            "condition" => out.mode = reader.choice(node, &key, modes).unwrap_or(out.mode),
            "delay" => out.delay = reader.duration(node, &key).unwrap_or(out.delay),
            "window" => out.window = reader.duration(node, &key).unwrap_or(out.window),
            _ => {
                let attempts = reader.integer(node, &key, 0, 1_000_000);
                out.limit = attempts.and_then(|n| u32::try_from(n).ok()).map_or(out.limit, |n| n.saturating_add(1));
            }
        }
    }
    out.max_delay = out.max_delay.max(out.delay);
    config.restart = out;
}

/// Compose's words, ours, or our mapping.
pub(super) fn restart(node: &Node, reader: &mut Reader) -> RestartPolicy {
    let Value::Scalar { text, .. } = &node.value else { return sections::restart(node, reader) };
    let of = |mode| RestartPolicy { mode, ..RestartPolicy::default() };
    match text.as_str() {
        "no" | "false" => of(RestartMode::No),
        // A vendor that somebody stopped stays so, whatever its policy.
        "always" | "unless-stopped" => of(RestartMode::Always),
        "on-failure" => of(RestartMode::OnFailure),
        other => match other.strip_prefix("on-failure:").map(str::parse::<u32>) {
            // So many tries after the first failure.
            Some(Ok(tries)) => RestartPolicy { limit: tries.saturating_add(1), ..of(RestartMode::OnFailure) },
            Some(Err(_)) | None => {
                wrong_restart(&node.place, other, reader);
                RestartPolicy::default()
            }
        },
    }
}

fn wrong_restart(place: &Place, text: &str, reader: &mut Reader) {
    let words = "`no`, `on-failure`, `on-failure:3`, `always`, `unless-stopped`";
    reader.error(place, format!("`restart` must be one of {words}, not `{text}`"));
}
