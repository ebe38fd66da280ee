//! Whatever a file holds, it is read or refused, and its problems can be shown.

use proptest::prelude::*;

use super::file;
use crate::config::reader::{Reader, is_old};
use crate::config::template::Template;
use crate::config::tree::{Entry, Node, Place, Source};
use crate::config::{dotenv, words, yaml};
use crate::services::{read, spec};
use crate::task::id::ServiceName;
use crate::vendors::spec::Dialect;
use crate::vendors::{compose, read as vendor};

/// Text of the characters that mean something to one of the readers.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("key: "),
        Just("env: "),
        Just("ports: "),
        Just("ready: "),
        Just("http: "),
        Just("build: "),
        Just("vendors: "),
        Just("depends_on: "),
        Just("logs: "),
        Just("image: "),
        Just("services:\n  db:\n    image: x\n    "),
        Just("volumes: "),
        Just("tmpfs: "),
        Just("healthcheck: "),
        Just("test: "),
        Just("deploy: {resources: {limits: "),
        Just("ulimits: "),
        Just("extra_hosts: "),
        Just("networks: "),
        Just("restart: "),
        Just("environment: "),
        Just("target: "),
        Just("a:/b"),
        Just("1-65535"),
        Just("[::1]:1:2"),
        Just("99999999999999999999"),
        Just("-1"),
        Just("$"),
        Just("${A-$B}"),
        Just("external: true"),
        Just("- "),
        Just("\n"),
        Just("  "),
        Just("\t"),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just("&a "),
        Just("*a"),
        Just("<<: "),
        Just("'"),
        Just("\""),
        Just("\\"),
        Just("${A:-"),
        Just("${A}"),
        Just("$$"),
        Just("|\n"),
        Just("? "),
        Just(": "),
        Just("!!str "),
        Just("#"),
        Just("---\n"),
        Just("\u{feff}"),
        Just("\r\n"),
        Just("é"),
        Just("\0"),
        Just("=x"),
        Just("export A"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// The same as a vendor's section, as a Compose file, and with every variable filled in by nonsense.
fn vendors(node: &Node, source: &std::sync::Arc<Source>, reader: &mut Reader) {
    let whole = Entry { key: "x".to_owned(), place: Place::start(source), node: node.clone() };
    let services = compose::file(node, reader).services;
    for dialect in [Dialect::Project, Dialect::Compose] {
        for entry in services.iter().chain([&whole]) {
            let Some(config) = vendor::section(entry, std::path::Path::new("/x"), dialect, reader) else { continue };
            for value in ["", "v", "1", "- [", "65536:a:$"] {
                let mut lookup = |_: &str| Ok(Some(value.as_bytes().to_vec()));
                match vendor::filled(&config, &entry.node, dialect, &mut lookup) {
                    Ok(filled) => assert!(!filled.container.image.is_empty()),
                    Err(problems) => {
                        assert!(!problems.is_empty());
                        problems.into_iter().for_each(|problem| reader.push(problem));
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in text()) {
        let source = Source::new("x.yml", &text);
        let parsed = yaml::parse(&source);
        let mut problems = parsed.problems;
        problems.extend(parsed.tab);
        problems.extend(dotenv::parse(&source).1);
        if let Some(node) = parsed.node {
            let mut reader = Reader { lenient: is_old(&node, spec::OLD_KEYS, spec::KEYS), ..Reader::default() };
            let (name, place) = (ServiceName::fold("x"), Place::start(&source));
            prop_assert!(read::service(&node, name, &place, std::path::Path::new("."), &mut reader).is_some());
            drop(file::read(&node, &mut reader));
            vendors(&node, &source, &mut reader);
            problems.extend(reader.problems);
        }
        for problem in &problems {
            let shown = problem.to_string();
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        }
        drop(words::split(&text));
        drop(Template::parse(&text, None).fill(&mut |_| Ok(Some(b"v".to_vec()))));
    }
}
