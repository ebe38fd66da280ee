//! The description of the API, made from the types that travel, so that it cannot lag behind them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Value, json};

use super::convert::Ask;
use super::{VERSION, wire};

/// The OpenAPI 3.1 document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut types = settings.into_generator();
    let paths = paths(&mut types);
    let schemas: BTreeMap<String, Value> = types.take_definitions(true).into_iter().collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "orchestra",
            "version": VERSION,
            "description": "The supervisor of one project, on a Unix socket of its owner. \
                Requests that change something answer with one JSON object a line, as it happens; empty lines only keep the connection alive.",
        },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn paths(types: &mut SchemaGenerator) -> Value {
    let failure = json!({
        "description": "It was not done.",
        "content": { "application/json": { "schema": types.subschema_for::<wire::Failure>() } },
    });
    let answer = |kind: &str, schema: Value| {
        json!({
            "200": { "description": "Done.", "content": { kind: { "schema": schema } } },
            "default": failure,
        })
    };
    let one = |summary: &str, schema: Value| json!({ "get": { "summary": summary, "responses": answer("application/json", schema) } });
    let version = schema::<wire::Version>(types);
    let ps = schema::<wire::Ps>(types);
    let why = schema::<wire::Why>(types);
    let strays = schema::<wire::Strays>(types);
    let progress = schema::<wire::Progress>(types);
    let leaving = schema::<wire::Leaving>(types);
    let request = schema::<wire::Request>(types);
    let mut paths = json!({
        "/v1/version": one("What runs, and what it speaks; the same in every protocol", version),
        "/v1/ps": one("Every service and instance", ps),
        "/v1/why/{service}": one("Why a service is as it is", why),
        "/v1/strays": one("Copies of the services that were started outside, by which proof, and what a start would do about each; changes nothing", strays),
        "/v1/events": { "get": {
            "summary": "A line for every change of a service's state, until the reader leaves",
            "parameters": [{ "name": "services", "in": "query", "required": false, "schema": { "type": "string" },
                "description": "Names with commas between; without it, all" }],
            "responses": answer("application/x-ndjson", progress.clone()),
        } },
        "/v1/leave": { "post": {
            "summary": "Go away without touching a service: a newer supervisor takes over; the same in every protocol",
            "responses": answer("application/json", leaving),
        } },
        "/openapi.json": one("This document", json!({ "type": "object" })),
    });
    paths["/v1/why/{service}"]["get"]["parameters"] =
        json!([{ "name": "service", "in": "path", "required": true, "schema": { "type": "string" } }]);
    for ask in Ask::ALL {
        paths[format!("/v1/{}", ask.word())] = json!({ "post": {
            "summary": summary(ask),
            "requestBody": { "required": true, "content": { "application/json": { "schema": request } } },
            "responses": answer("application/x-ndjson", progress.clone()),
        } });
    }
    paths
}

fn summary(ask: Ask) -> &'static str {
    match ask {
        Ask::Start => {
            "Build, keep what is unchanged, replace what changed, start the rest in order, and wait until it is ready"
        }
        Ask::Stop => "End in reverse order; everything when nothing is selected, and then the supervisor goes too",
        Ask::Restart => "Build, then replace every selected copy",
        Ask::Build => "Build only",
        Ask::Scale => "Add or remove copies",
        Ask::Kill => "Send a signal to the group of each selected copy",
    }
}

fn schema<T: JsonSchema>(types: &mut SchemaGenerator) -> Value {
    types.subschema_for::<T>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(to)) = map.get("$ref") {
                    found.push(to.clone());
                }
                map.values().for_each(|v| references(v, found));
            }
            Value::Array(list) => list.iter().for_each(|v| references(v, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10);
        for to in found {
            assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{to} leads nowhere");
        }
    }

    #[test]
    fn every_type_that_travels_is_described() {
        let document = document();
        let source = include_str!("wire.rs");
        let types = source.lines().filter_map(|line| {
            let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "))?;
            rest.split(|c: char| !c.is_alphanumeric()).next()
        });
        for name in types {
            assert!(document["components"]["schemas"][name].is_object(), "{name} is not described");
        }
    }
}
