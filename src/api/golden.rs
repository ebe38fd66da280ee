//! Wire names are frozen: `wire.golden` holds one example a line, and lines are only ever added.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::*;

const GOLDEN: &str = include_str!("wire.golden");

fn again<T: Serialize + DeserializeOwned>(json: &str) -> String {
    serde_json::to_string(&serde_json::from_str::<T>(json).unwrap()).unwrap()
}

#[test]
fn every_line_is_read_and_written_as_it_was() {
    for line in GOLDEN.lines() {
        let (name, json) = line.split_once(' ').unwrap();
        let got = match name {
            "Version" => again::<Version>(json),
            "Leaving" => again::<Leaving>(json),
            "Ps" => again::<Ps>(json),
            "Why" => again::<Why>(json),
            "Strays" => again::<Strays>(json),
            "Request" => again::<Request>(json),
            "Progress" => again::<Progress>(json),
            "Failure" => again::<Failure>(json),
            other => panic!("{other} is not known"),
        };
        assert_eq!(got, json, "{name}");
    }
}

#[test]
fn a_small_request_is_enough() {
    let request: Request = serde_json::from_str(r#"{"caller":{"env":["A=b"],"umask":18,"nofile":null}}"#).unwrap();
    assert_eq!(request.scale, BTreeMap::new());
    assert_eq!(request.start, StartFlags::default());
}
