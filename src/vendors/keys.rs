//! Every key of a vendor's section: those that are taken, and what is said of those that Compose knows and that are not.

use crate::config::problem::Problem;
use crate::config::reader::{Reader, unknown_key};
use crate::config::tree::{Entry, Node};

/// Keys that mean something here, in the order of the documentation.
pub const KEYS: &[&str] = &[
    "image",
    "platform",
    "pull_policy",
    "command",
    "entrypoint",
    "user",
    "working_dir",
    "environment",
    "env",
    "env_file",
    "ports",
    "volumes",
    "tmpfs",
    "secrets",
    "configs",
    "shm_size",
    "healthcheck",
    "depends_on",
    "profiles",
    "restart",
    "stop_signal",
    "stop_grace_period",
    "mem_limit",
    "memswap_limit",
    "cpus",
    "pids_limit",
    "ulimits",
    "deploy",
    "scale",
    "networks",
    "network_mode",
    "hostname",
    "domainname",
    "extra_hosts",
    "dns",
    "links",
    "expose",
    "labels",
    "init",
    "privileged",
    "read_only",
    "cap_add",
    "cap_drop",
    "security_opt",
    "group_add",
    "devices",
    "sysctls",
    "tty",
    "stdin_open",
    "container_name",
    "logging",
    "ready",
    "live",
    "enabled",
    "type",
    "before",
    "after",
];

/// Keys of Compose that change nothing which matters here, and why they are left out.
const WARNED: &[(&str, &str)] = &[
    ("annotations", "the engine's annotations are not set"),
    ("attach", "`orchestra logs` shows every vendor"),
    ("blkio_config", "disk bandwidth is not limited"),
    ("cpu_count", "it is for Windows"),
    ("cpu_percent", "it is for Windows"),
    ("cpu_shares", "shares of the processor are not set"),
    ("cpuset", "it may run on every core"),
    ("develop", "vendors are not rebuilt"),
    ("isolation", "it is for Windows"),
    ("mem_reservation", "memory is limited and never reserved"),
    ("mem_swappiness", "the machine's own swappiness holds"),
    ("oom_kill_disable", "the kernel's own rule holds"),
    ("oom_score_adj", "the kernel's own rule holds"),
    ("pull_refresh_after", "`orchestra vendors pull` fetches newer images"),
    ("storage_opt", "the engine's own options hold"),
];

/// Keys of Compose that would change what runs, and what to do instead.
const REFUSED: &[(&str, &str)] = &[
    ("build", "a vendor runs an image: build it and name it with `image`, or make it a service of this project"),
    ("cgroup", "remove it"),
    ("cgroup_parent", "remove it"),
    ("cpu_period", "write `cpus: 0.5`"),
    ("cpu_quota", "write `cpus: 0.5`"),
    ("cpu_rt_period", "remove it"),
    ("cpu_rt_runtime", "remove it"),
    ("credential_spec", "it is for Windows"),
    ("device_cgroup_rules", "name the devices in `devices`"),
    ("dns_opt", "remove it"),
    ("dns_search", "write whole names"),
    ("driver_opts", "remove it"),
    ("extends", "write the keys out, or share them with a YAML anchor (`&name`, `<<: *name`)"),
    (
        "external_links",
        "publish a port of the other container and use `extra_hosts: [\"host.docker.internal:host-gateway\"]`",
    ),
    ("gpus", "remove it"),
    ("ipc", "remove it"),
    ("label_file", "write the labels out in `labels`"),
    ("mac_address", "remove it"),
    ("models", "remove it"),
    ("pid", "remove it"),
    ("post_start", "hooks inside a container are not run: `before` runs on this machine"),
    ("pre_stop", "hooks inside a container are not run: `after` runs on this machine once it has ended"),
    ("provider", "a vendor is an image"),
    ("runtime", "set the engine's default runtime"),
    ("use_api_socket", "mount the socket in `volumes`"),
    ("userns_mode", "remove it"),
    ("uts", "remove it"),
    ("volumes_from", "give both the same named volume"),
];

/// Whether the value under a key matters: of what is not taken only the key is looked at.
pub(super) fn is_read(key: &str) -> bool {
    KEYS.contains(&key) && !["container_name", "logging"].contains(&key)
}

/// The entries that mean something; of all others it is said why they do not.
pub(super) fn known<'n>(node: &'n Node, path: &str, reader: &mut Reader) -> Vec<&'n Entry> {
    let mut out = Vec::new();
    for entry in reader.map(node, path) {
        let key = entry.key.as_str();
        let find =
            |table: &[(&'static str, &'static str)]| table.iter().find(|(known, _)| *known == key).map(|(_, why)| *why);
        if KEYS.contains(&key) {
            out.extend((!entry.node.is_null()).then_some(entry));
        } else if key.starts_with("x-") {
            // A place for anchors.
        } else if let Some(why) = find(WARNED) {
            reader.push(Problem::at(&entry.place, format!("`{key}` is not taken: {why}")).warning());
        } else if let Some(instead) = find(REFUSED) {
            reader.push(Problem::at(&entry.place, format!("`{key}` is not supported")).hint(instead));
        } else {
            let all: Vec<&str> =
                KEYS.iter().copied().chain(WARNED.iter().chain(REFUSED).map(|(key, _)| *key)).collect();
            reader.push(unknown_key(entry, &all));
        }
    }
    out
}
