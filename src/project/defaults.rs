//! The project's `defaults:` below a service's own section.

use crate::config::tree::{self, Entry, Node, Value};

/// A service's section over the project's `defaults:`. Keys that say the same in another way replace each other.
pub(super) fn with_defaults(node: &Node, defaults: Option<&Node>) -> Node {
    let Some(defaults) = defaults else { return node.clone() };
    if !matches!(node.value, Value::Map(_) | Value::Null) {
        return node.clone();
    }
    let given = |key: &str| node.get(key).is_some_and(|node| !node.is_null());
    let replaced = |entry: &Entry| match entry.key.as_str() {
        "package" => given("command"),
        "command" => given("package") || given("build"),
        "build" => given("command"),
        "port" => given("ports"),
        "ports" => given("port"),
        _ => false,
    };
    let kept =
        defaults.entries().iter().filter(|entry| !replaced(entry)).cloned().map(|entry| match entry.key.as_str() {
            // One key under two names must merge with itself.
            "env" if given("environment") => Entry { key: "environment".to_owned(), ..entry },
            "environment" if given("env") => Entry { key: "env".to_owned(), ..entry },
            "ready" | "live" => without_targets(entry, node),
            _ => entry,
        });
    let below = Node { place: defaults.place.clone(), value: Value::Map(kept.collect()) };
    let above = match node.value {
        Value::Null => Node { place: node.place.clone(), value: Value::Map(Vec::new()) },
        _ => node.clone(),
    };
    tree::merge(&above, &below)
}

/// A default probe less what it asks, where the service's own says what to ask.
fn without_targets(entry: Entry, node: &Node) -> Entry {
    let asks = ["http", "tcp", "exec", "log", "notify"];
    let details = ["status", "body", "headers", "insecure", "ca"];
    if !node.get(&entry.key).is_some_and(|own| asks.iter().any(|key| own.get(key).is_some())) {
        return entry;
    }
    let keep = |inner: &&Entry| !asks.contains(&inner.key.as_str()) && !details.contains(&inner.key.as_str());
    let kept = entry.node.entries().iter().filter(keep).cloned().collect();
    Entry { node: Node { place: entry.node.place.clone(), value: Value::Map(kept) }, ..entry }
}
