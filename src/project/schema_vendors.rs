//! The schema of a vendor's section and of `volumes:`.

use serde_json::{Value, json};

use super::schema::{flag, object, of, one_of, word};

/// Every key of a section.
pub(super) fn keys() -> Value {
    let mut keys = json!({
        "image": word("The image that runs: postgres:16"),
        "platform": word("linux/amd64; default the engine's own"),
        "pull_policy": word("missing, always or never; default missing"),
        "command": of("texts"),
        "entrypoint": of("texts"),
        "user": of("text"),
        "working_dir": word("In the container"),
        "environment": of("variables"),
        "env": of("variables"),
        "env_file": {"anyOf": [of("vendor_env_file"), {"type": "array", "items": of("vendor_env_file")}]},
        "ports": {"anyOf": [of("text"), {"type": "array", "items": {"anyOf": [of("text"), object(port_keys())]}}], "description": "5432:5432 is this machine's port and the container's; 5432 alone takes a free one"},
        "volumes": {"type": "array", "items": {"anyOf": [word("name:/path, ./folder:/path, /path"), object(mount_keys())]}},
        "tmpfs": of("texts"),
        "secrets": {"type": "array", "description": "Files at the head of a Compose file"},
        "configs": {"type": "array", "description": "Files at the head of a Compose file"},
        "shm_size": of("size"),
        "healthcheck": object(json!({
            "test": of("texts"),
            "disable": flag("Turns a check of the image off"),
            "interval": of("duration"),
            "timeout": of("duration"),
            "retries": {"type": "integer", "minimum": 0},
            "start_period": of("duration"),
            "start_interval": of("duration"),
        })),
        "depends_on": {"anyOf": [of("texts"), {"type": "object", "additionalProperties": {"anyOf": [of("vendor_condition"), object(json!({
            "condition": of("vendor_condition"),
            "required": flag("false: it starts without one that is not there"),
            "restart": flag("Not taken"),
        }))]}}]},
        "profiles": of("texts"),
        "restart": {"anyOf": [word("no, on-failure, on-failure:3, always or unless-stopped"), flag("no"), object(super::schema::restart_keys())]},
        "stop_signal": of("signal"),
        "stop_grace_period": of("duration"),
        "mem_limit": of("size"),
        "memswap_limit": of("size"),
        "cpus": {"type": ["number", "string"], "description": "Cores"},
        "pids_limit": {"type": "integer", "minimum": -1},
        "ulimits": {"type": "object", "additionalProperties": {"anyOf": [{"type": "integer"}, object(json!({"soft": {"type": "integer"}, "hard": {"type": "integer"}}))]}},
        "deploy": {"type": "object", "description": "resources.limits, replicas and restart_policy are taken"},
        "scale": {"type": "integer", "minimum": 0, "maximum": 1, "description": "A vendor has one copy"},
    });
    if let (Value::Object(keys), Value::Object(more)) = (&mut keys, more_keys()) {
        keys.extend(more);
    }
    keys
}

fn more_keys() -> Value {
    json!({
        "networks": {"type": ["array", "object"], "description": "A project has one network; aliases are taken"},
        "network_mode": one_of(&["host", "none", "bridge", "default"], "Default: the project's network"),
        "hostname": word("Its own name"),
        "domainname": word("Its domain"),
        "extra_hosts": {"anyOf": [of("texts"), {"type": "object"}]},
        "dns": of("texts"),
        "links": of("texts"),
        "expose": of("texts"),
        "labels": {"anyOf": [of("texts"), {"type": "object"}]},
        "init": flag("A tiny init as its first process"),
        "privileged": flag("Every right"),
        "read_only": flag("No writing outside its mounts"),
        "cap_add": of("texts"),
        "cap_drop": of("texts"),
        "security_opt": of("texts"),
        "group_add": of("texts"),
        "devices": {"type": "array"},
        "sysctls": {"anyOf": [of("texts"), {"type": "object"}]},
        "tty": flag("A pseudo-terminal for its output"),
        "stdin_open": flag("An open standard input"),
        "container_name": {"type": "string", "description": "Not taken: containers are named after the project"},
        "logging": {"type": "object", "description": "Not taken: the output is in the project's logs"},
        "ready": of("probe"),
        "live": of("probe"),
        "enabled": flag("false: starts only when named or needed"),
        "type": one_of(&["vendor", "job", "service"], "A job runs once per start of a stopped fleet and must exit 0"),
        "before": of("commands"),
        "after": of("commands"),
    })
}

fn port_keys() -> Value {
    json!({
        "target": of("text"),
        "published": of("text"),
        "host_ip": word("Default 127.0.0.1"),
        "protocol": one_of(&["tcp", "udp"], "Default tcp"),
        "mode": word("host or ingress: the same on one machine"),
        "name": word("For people"),
        "app_protocol": word("For people"),
    })
}

fn mount_keys() -> Value {
    json!({
        "type": one_of(&["volume", "bind", "tmpfs"], "What it is"),
        "source": word("A volume's name, or a path"),
        "target": word("Where it is seen"),
        "read_only": flag("No writing"),
        "bind": {"type": "object"},
        "volume": {"type": "object"},
        "tmpfs": {"type": "object"},
        "consistency": word("Means nothing here"),
    })
}

/// Sections by name, with the hooks and the variables of the command of that name.
pub(super) fn vendors() -> Value {
    json!({
        "type": ["object", "null"],
        "description": "Third-party servers in containers, in the syntax of Compose services",
        "properties": {
            "before": {"anyOf": [of("commands"), of("vendor")]},
            "after": {"anyOf": [of("commands"), of("vendor")]},
            "env": {"anyOf": [of("variables"), of("vendor")]},
        },
        "additionalProperties": of("vendor"),
    })
}

/// `volumes:` of the project's file.
pub(super) fn volumes() -> Value {
    let volume = object(json!({
        "name": word("Instead of <project>_<name>"),
        "external": flag("It is made elsewhere, and never removed"),
        "driver": one_of(&["local"], "Others are not supported"),
        "driver_opts": {"type": "object", "deprecated": true, "description": "Not supported: make the volume yourself and say `external: true`"},
        "labels": {"type": "object", "deprecated": true, "description": "Not taken"},
    }));
    json!({"type": "object", "additionalProperties": {"anyOf": [volume, {"type": "null"}]}, "description": "Volumes of vendors that need more than a name"})
}

/// What the keys refer to.
pub(super) fn definitions() -> Vec<(&'static str, Value)> {
    let condition =
        ["service_started", "service_healthy", "service_completed_successfully", "started", "ready", "completed"];
    let env_file = object(json!({
        "path": word("A file"),
        "required": flag("Default true"),
        "format": one_of(&["raw"], "Each line to the letter"),
    }));
    vec![
        ("vendor", object(keys())),
        ("vendor_env_file", json!({"anyOf": [word("A file"), env_file]})),
        ("vendor_condition", one_of(&condition, "What is waited for; default ready")),
    ]
}
