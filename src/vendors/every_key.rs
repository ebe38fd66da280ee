//! Every key that the Compose specification knows for a service, and for what stands below: each changes something here, or is named with its place.

use std::path::Path;

use super::read;
use super::spec::Dialect;
use super::tests::entry;
use crate::config::reader::Reader;

/// The keys of a service, each with a value that means something.
const SERVICE: &[&str] = &[
    "annotations: {a: b}",
    "attach: false",
    "blkio_config: {weight: 300}",
    "build: .",
    "cap_add: [NET_ADMIN]",
    "cap_drop: [NET_ADMIN]",
    "cgroup: host",
    "cgroup_parent: m",
    "command: [serve]",
    "configs: [conf]",
    "container_name: me",
    "cpu_count: 2",
    "cpu_percent: 50",
    "cpu_period: 100000",
    "cpu_quota: 50000",
    "cpu_rt_period: 1000",
    "cpu_rt_runtime: 500",
    "cpu_shares: 512",
    "cpus: 0.5",
    "cpuset: '0,1'",
    "credential_spec: {file: a.json}",
    "depends_on: [other]",
    "deploy: {replicas: 0}",
    "develop: {watch: []}",
    "device_cgroup_rules: ['c 1:3 mr']",
    "devices: [/dev/x]",
    "dns: 1.1.1.1",
    "dns_opt: [use-vc]",
    "dns_search: [example.com]",
    "domainname: d",
    "driver_opts: {a: b}",
    "entrypoint: [serve]",
    "env_file: a.env",
    "environment: {A: b}",
    "extends: {service: x}",
    "external_links: [x]",
    "extra_hosts: ['a:1.2.3.4']",
    "gpus: all",
    "group_add: [mail]",
    "healthcheck: {test: a}",
    "hostname: h",
    "init: true",
    "ipc: host",
    "isolation: default",
    "label_file: a.labels",
    "labels: [a=b]",
    "links: [other]",
    "logging: {driver: syslog}",
    "mac_address: '02:42:ac:11:00:02'",
    "mem_limit: 64m",
    "mem_reservation: 32m",
    "mem_swappiness: 10",
    "memswap_limit: 128m",
    "models: [m]",
    "network_mode: host",
    "networks: {a: {aliases: [b]}}",
    "oom_kill_disable: true",
    "oom_score_adj: 100",
    "pid: host",
    "pids_limit: 10",
    "platform: linux/amd64",
    "ports: ['5432']",
    "post_start: [{command: a}]",
    "pre_stop: [{command: a}]",
    "privileged: true",
    "profiles: [p]",
    "provider: {type: a}",
    "pull_policy: always",
    "pull_refresh_after: 1h",
    "read_only: true",
    "restart: always",
    "runtime: runsc",
    "scale: 0",
    "secrets: [s]",
    "security_opt: ['seccomp=unconfined']",
    "shm_size: 64m",
    "stdin_open: true",
    "stop_grace_period: 33s",
    "stop_signal: SIGINT",
    "storage_opt: {size: 1G}",
    "sysctls: {a: 1}",
    "tmpfs: /run",
    "tty: true",
    "ulimits: {nofile: 100}",
    "use_api_socket: true",
    "user: postgres",
    "userns_mode: host",
    "uts: host",
    "volumes: ['a:/a']",
    "volumes_from: [x]",
    "working_dir: /w",
];

/// Keys of mappings below, each in a section that means something without it.
const BELOW: &[(&str, &[&str])] = &[
    (
        "deploy",
        &[
            "mode: global",
            "endpoint_mode: vip",
            "labels: {a: b}",
            "placement: {constraints: []}",
            "update_config: {parallelism: 1}",
            "rollback_config: {parallelism: 1}",
            "restart_policy: {condition: any}",
            "resources: {limits: {cpus: '0.5'}}",
            "resources: {limits: {memory: 64m}}",
            "resources: {limits: {pids: 7}}",
            "resources: {reservations: {memory: 64m}}",
            "resources: {reservations: {devices: [{capabilities: [gpu]}]}}",
        ],
    ),
    (
        "healthcheck",
        &[
            "test: [CMD, a]",
            "disable: true",
            "interval: 2s",
            "timeout: 2s",
            "retries: 7",
            "start_period: 2s",
            "start_interval: 2s",
        ],
    ),
    (
        "networks",
        &[
            "a: {aliases: [b]}",
            "a: {ipv4_address: 10.0.0.2}",
            "a: {ipv6_address: '2001:db8::2'}",
            "a: {link_local_ips: [169.254.1.1]}",
            "a: {mac_address: '02:42:ac:11:00:02'}",
            "a: {driver_opts: {a: b}}",
            "a: {gw_priority: 1}",
            "a: {interface_name: eth7}",
            "a: {priority: 1}",
        ],
    ),
    (
        "depends_on",
        &[
            "a: {condition: service_healthy}",
            "a: {condition: service_started, restart: true}",
            "a: {condition: service_started, required: false}",
        ],
    ),
];

/// What a section came to, and everything that is said of it.
fn taken(text: &str) -> (String, Vec<(u32, String)>) {
    let mut reader = Reader::default();
    let config = read::section(&entry(text), Path::new("/shop"), Dialect::Compose, &mut reader);
    let said = reader.problems.iter().map(|problem| (problem.line, problem.message.clone())).collect();
    (format!("{config:?}"), said)
}

/// The key changes what runs, or something is said of it, in its line and by its name.
#[track_caller]
fn is_not_dropped(with: &str, without: &str, line: u32, key: &str) {
    let ((now, said), (before, _)) = (taken(with), taken(without));
    let is_named = said.iter().any(|(at, message)| *at == line && message.contains(key));
    assert!(is_named || (said.is_empty() && now != before), "`{key}` is dropped: {with}\n{said:?}");
}

#[test]
fn no_key_of_a_service_is_dropped() {
    let bare = "image: x\n# nothing\n";
    for text in SERVICE {
        let key = text.split(':').next().unwrap();
        is_not_dropped(&format!("image: x\n{text}\n"), bare, 2, key);
    }
    // Everything is reached on the project's network whether it is exposed or not.
    assert_eq!(taken("image: x\nexpose: [80]").1, []);
}

#[test]
fn no_key_below_is_dropped() {
    for (section, lines) in BELOW {
        for text in *lines {
            let words: Vec<&str> = text.split(['{', ':', ' ']).filter(|word| !word.is_empty()).collect();
            let key = match *section {
                // Below a name that is free.
                "networks" => words[1],
                "depends_on" if text.contains("restart") => "restart",
                "depends_on" if text.contains("required") => "required",
                "depends_on" => "condition",
                _ if text.contains("reservations") => "reservations",
                _ => words[0],
            };
            let without = match *section {
                "depends_on" if !text.contains(", ") => "a: {}".to_owned(),
                "depends_on" => "a: {condition: service_started}".to_owned(),
                "networks" => "a: {}".to_owned(),
                "healthcheck" => "test: [CMD, b]".to_owned(),
                _ => "replicas: 1".to_owned(),
            };
            let with = if *section == "healthcheck" && !text.starts_with("test") {
                format!("test: [CMD, b], {text}")
            } else {
                (*text).to_owned()
            };
            let whole = |inner: &str| format!("image: x\n{section}: {{{inner}}}\n");
            is_not_dropped(&whole(&with), &whole(&without), 2, key);
        }
    }
}

#[test]
fn no_key_of_a_port_or_a_mount_is_dropped() {
    let port = "image: x\nports: [{target: 80";
    for text in ["published: 8080", "host_ip: 127.0.0.2", "protocol: udp"] {
        is_not_dropped(&format!("{port}, {text}}}]"), &format!("{port}}}]"), 2, text);
    }
    // On one machine every published port is the host's, and names are for people.
    for text in ["mode: host", "name: web", "app_protocol: http"] {
        assert_eq!(taken(&format!("{port}, {text}}}]")).1, [], "{text}");
    }
    for (kind, text) in [
        ("bind, source: ./a", "read_only: true"),
        ("bind, source: ./a", "bind: {create_host_path: true}"),
        ("bind, source: ./a", "bind: {propagation: rshared}"),
        ("bind, source: ./a", "bind: {selinux: z}"),
        ("bind, source: ./a", "bind: {recursive: disabled}"),
        ("volume, source: a", "volume: {nocopy: true}"),
        ("volume, source: a", "volume: {subpath: b}"),
        ("volume, source: a", "volume: {labels: {a: b}}"),
        ("tmpfs", "tmpfs: {size: 1m}"),
        ("tmpfs", "tmpfs: {mode: 0700}"),
    ] {
        let mount = format!("image: x\nvolumes: [{{type: {kind}, target: /d");
        let key = text.split(['{', ':', ' ']).rfind(|word| word.len() > 3 && !word.contains('}')).unwrap();
        is_not_dropped(&format!("{mount}, {text}}}]"), &format!("{mount}}}]"), 2, key);
    }
}
