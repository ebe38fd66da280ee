//! Whatever a file holds, it is read or refused, and its problems can be shown.

use proptest::prelude::*;

use super::file;
use crate::config::reader::{Reader, is_old};
use crate::config::template::Template;
use crate::config::tree::{Place, Source};
use crate::config::{dotenv, words, yaml};
use crate::services::{read, spec};
use crate::task::id::ServiceName;

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
