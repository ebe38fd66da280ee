//! JSON schemas (draft 2020-12) of both files, for editors. A test holds them to the keys that the readers take.

use serde_json::{Map, Value, json};

use super::{file, schema_vendors};

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// `service.yml`
    Service,
    /// `orchestra.yml`
    Project,
}

/// The schema of a file.
pub fn schema(of: Schema) -> Value {
    let (title, description, body) = match of {
        Schema::Service => ("service.yml", "One service of an orchestra project", service()),
        Schema::Project => ("orchestra.yml", "An orchestra project", project()),
    };
    let mut out = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "description": description,
    });
    if let (Value::Object(out), Value::Object(body)) = (&mut out, body) {
        out.extend(body);
        out.insert("$defs".to_owned(), definitions());
    }
    out
}

/// An object with these keys, and no others; every key may be empty.
pub(super) fn object(properties: Value) -> Value {
    let mut nullable = Map::new();
    if let Value::Object(properties) = properties {
        for (key, value) in properties {
            nullable.insert(key, json!({"anyOf": [value, {"type": "null"}]}));
        }
    }
    let anchors = json!({"^x-": true});
    json!({"type": ["object", "null"], "additionalProperties": false, "patternProperties": anchors, "properties": nullable})
}

pub(super) fn of(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

pub(super) fn word(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "description": description})
}

pub(super) fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

pub(super) fn one_of(words: &[&str], description: &str) -> Value {
    json!({"enum": words, "description": description})
}

fn service() -> Value {
    object(service_keys())
}

fn service_keys() -> Value {
    json!({
        "name": word("Default: the folder's name"),
        "description": {"type": "string", "description": "One sentence for people"},
        "labels": {"type": "object", "additionalProperties": of("scalar"), "description": "For selectors and reports: label=value"},
        "package": word("What `go build` builds, relative to this file; default `.`"),
        "command": of("command"),
        "dir": word("Working directory, relative to this file; default `.`"),
        "build": object(build_keys()),
        "args": of("texts"),
        "env": of("variables"),
        "environment": of("variables"),
        "env_file": of("env_file"),
        "scale": {"type": "integer", "minimum": 0, "maximum": 1000, "description": "How many copies; default 1"},
        "ports": {"type": "object", "additionalProperties": of("port"), "description": "By name; PORT is the one named http, else the first"},
        "port": of("port"),
        "depends_on": of("depends_on"),
        "ready": of("probe"),
        "live": of("probe"),
        "restart": {"anyOf": [of("restart_policy"), object(restart_keys())], "description": "Default on-failure"},
        "stop": object(json!({"signal": of("signal"), "grace": of("duration")})),
        "resources": object(json!({"cpu": {"type": "number", "minimum": 0}, "memory": of("size"), "disk": of("size")})),
        "type": one_of(&["service", "job"], "A job runs once per start of a stopped fleet and must exit 0"),
        "test": object(test_keys()),
        "watch": object(watch_keys()),
        "run_in": one_of(&["process", "docker"], "Where it runs; default process"),
        "tty": flag("A pseudo-terminal for its output"),
        "color": flag("Sets CLICOLOR_FORCE and FORCE_COLOR"),
        "enabled": flag("false: starts only when named"),
        "before": of("commands"),
        "after": of("commands"),
        "gorun": {"deprecated": true, "description": "Of the original Orchestra; does nothing"},
    })
}

fn build_keys() -> Value {
    json!({
        "flags": of("texts"),
        "tags": of("texts"),
        "ldflags": {"anyOf": [{"type": "string"}, of("texts")]},
        "env": of("variables"),
        "race": flag("The race detector"),
        "debug": flag("Built without optimisation and run below `dlv`, on a port of its own"),
        "dwarf": flag("Debugging tables; default true"),
        "vet": flag("`go vet` after each build; what it finds fails the build"),
        "before": of("commands"),
    })
}

pub(super) fn restart_keys() -> Value {
    json!({
        "policy": of("restart_policy"),
        "delay": of("duration"),
        "max_delay": of("duration"),
        "limit": {"type": "integer", "minimum": 0},
        "window": of("duration"),
    })
}

fn test_keys() -> Value {
    json!({
        "flags": of("texts"),
        "before_start": flag("Tests must pass before a copy is started or replaced"),
        "acceptance": object(json!({"package": word("Default ./acceptance"), "tags": of("texts")})),
    })
}

fn watch_keys() -> Value {
    json!({
        "include": of("texts"),
        "exclude": of("texts"),
        "on_test_failure": one_of(&["keep", "stop"], "What happens to the running copy; default keep"),
    })
}

fn probe_keys() -> Value {
    json!({
        "http": word("A path on PORT, or a URL; any 2xx"),
        "tcp": of("text"),
        "exec": of("command"),
        "log": word("A regular expression over the output"),
        "notify": flag("sd_notify"),
        "status": {"type": "integer", "minimum": 100, "maximum": 599},
        "body": word("A regular expression over the body"),
        "headers": {"type": "object", "additionalProperties": of("scalar")},
        "insecure": flag("Do not verify the certificate"),
        "ca": word("A PEM file, relative to this file"),
        "interval": of("duration"),
        "timeout": of("duration"),
        "failures": {"type": "integer", "minimum": 1},
        "start_period": of("duration"),
    })
}

fn section_keys() -> Value {
    json!({"env": of("variables"), "environment": of("variables"), "before": of("commands"), "after": of("commands")})
}

fn project() -> Value {
    let mut keys = json!({
        "name": word("Default: the folder's name"),
        "env": of("variables"),
        "environment": of("variables"),
        "env_file": of("env_file"),
        "before": of("commands"),
        "after": of("commands"),
        "discover": of("texts"),
        "defaults": of("service"),
        "services": {"type": "object", "additionalProperties": of("service")},
        "include": of("texts"),
        "vendors": schema_vendors::vendors(),
        "volumes": schema_vendors::volumes(),
        "commands": {"type": "object", "additionalProperties": of("command")},
        "logs": of("logs"),
        "port_offset": {"type": "integer", "minimum": -65535, "maximum": 65535},
        "scheduler": one_of(&["epvm", "round-robin", "greedy"], "How tasks are placed"),
        "strays": {"anyOf": [one_of(&["kill", "ask", "report"], "Processes of our services started outside"), of("section")]},
        "linger": {"anyOf": [{"const": "forever"}, of("duration")]},
    });
    if let Value::Object(keys) = &mut keys {
        for command in file::COMMANDS {
            keys.entry((*command).to_owned()).or_insert_with(|| of("section"));
        }
    }
    object(keys)
}

fn logs() -> Value {
    let mut keys = section_keys();
    if let Value::Object(keys) = &mut keys {
        keys.insert("keep".to_owned(), of("size"));
        keys.insert("total".to_owned(), of("size"));
    }
    object(keys)
}

fn definitions() -> Value {
    let mut out = own_definitions();
    if let Value::Object(out) = &mut out {
        out.extend(schema_vendors::definitions().into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    out
}

fn own_definitions() -> Value {
    json!({
        "service": service(),
        "probe": object(probe_keys()),
        "section": object(section_keys()),
        "logs": logs(),
        "scalar": {"type": ["string", "number", "boolean"]},
        "text": {"type": ["string", "integer"]},
        "texts": {"anyOf": [of("scalar"), {"type": "array", "items": of("scalar")}]},
        "command": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": of("scalar"), "minItems": 1}]},
        "commands": {"anyOf": [{"type": "string"}, {"type": "array", "items": of("command")}]},
        "variables": {"anyOf": [
            {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
            {"type": "array", "items": {"type": "string"}},
        ]},
        "env_file": {"anyOf": [of("env_file_item"), {"type": "array", "items": of("env_file_item")}]},
        "env_file_item": {"anyOf": [word("A file"), object(json!({"path": word("A file"), "required": flag("Default true")}))]},
        "port": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, word("8080, auto, 5683/udp")]},
        "depends_on": {"anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}},
            {"type": "object", "additionalProperties": {"anyOf": [of("condition"), object(json!({"condition": of("condition")}))]}},
        ]},
        "condition": one_of(&["started", "ready", "completed"], "What is waited for; default ready"),
        "restart_policy": one_of(&["no", "on-failure", "always"], "When an instance that ended is started again"),
        "duration": {"type": ["string", "integer"], "description": "10s, 500ms, 1m30s"},
        "size": {"type": ["string", "integer"], "description": "512MiB, 1GB"},
        "signal": {"type": ["string", "integer"], "description": "SIGTERM, TERM or 15"},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reader::Reader;
    use crate::config::tree::{Place, Source};
    use crate::config::yaml;
    use crate::services::{read, spec};
    use crate::task::id::ServiceName;
    use std::collections::BTreeSet;

    fn keys(value: &Value) -> BTreeSet<String> {
        value["properties"].as_object().unwrap().keys().cloned().collect()
    }

    fn set(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn the_schema_has_exactly_the_keys_of_the_readers() {
        let service = schema(Schema::Service);
        let at = |key: &str| service["properties"][key]["anyOf"][0].clone();
        assert_eq!(keys(&service), set(spec::KEYS));
        assert_eq!(keys(&at("build")), set(spec::BUILD_KEYS));
        assert_eq!(keys(&at("stop")), set(spec::STOP_KEYS));
        assert_eq!(keys(&at("resources")), set(spec::RESOURCE_KEYS));
        assert_eq!(keys(&at("test")), set(spec::TEST_KEYS));
        assert_eq!(keys(&at("test")["properties"]["acceptance"]["anyOf"][0]), set(spec::ACCEPTANCE_KEYS));
        assert_eq!(keys(&at("watch")), set(spec::WATCH_KEYS));
        assert_eq!(keys(&at("restart")["anyOf"][1]), set(spec::RESTART_KEYS));
        assert_eq!(keys(&service["$defs"]["probe"]), set(spec::PROBE_KEYS));
        let project = schema(Schema::Project);
        assert_eq!(keys(&project), set(&file::all_keys()));
        assert_eq!(keys(&project["$defs"]["section"]), set(file::SECTION_KEYS));
        assert_eq!(keys(&project["$defs"]["vendor"]), set(crate::vendors::keys::KEYS));
        let logs: Vec<&str> = file::SECTION_KEYS.iter().chain(file::LOG_KEYS).copied().collect();
        assert_eq!(keys(&project["$defs"]["logs"]), set(&logs));
    }

    /// The unknown keys that a reader complains of when each of these has a value.
    fn unknown(keys: &[&str], read: impl Fn(&crate::config::tree::Node, &mut Reader)) -> Vec<String> {
        let mut out = Vec::new();
        for key in keys {
            let parsed = yaml::parse(&Source::new("x.yml", &format!("{key}: x")));
            let mut reader = Reader::default();
            read(&parsed.node.unwrap(), &mut reader);
            out.extend(
                reader.problems.into_iter().map(|problem| problem.message).filter(|m| m.contains("unknown key")),
            );
        }
        out
    }

    #[test]
    fn the_readers_take_every_key_of_their_tables() {
        let place = Place::start(&Source::new("x.yml", ""));
        let service = |node: &crate::config::tree::Node, reader: &mut Reader| {
            let folder = std::path::Path::new(".");
            assert!(read::service(node, ServiceName::fold("x"), &place, folder, reader).is_some());
        };
        assert_eq!(unknown(spec::KEYS, service), Vec::<String>::new());
        let project = |node: &crate::config::tree::Node, reader: &mut Reader| drop(file::read(node, reader));
        assert_eq!(unknown(&file::all_keys(), project), Vec::<String>::new());
        assert_eq!(unknown(&["nope"], project).len(), 1);
    }

    #[test]
    fn every_reference_has_a_definition() {
        for of in [Schema::Service, Schema::Project] {
            let schema = schema(of);
            let text = schema.to_string();
            for part in text.split("#/$defs/").skip(1) {
                let name = part.split('"').next().unwrap();
                assert!(schema["$defs"].get(name).is_some(), "{name}");
            }
        }
    }
}
