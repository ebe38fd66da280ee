//! Bytes as the segments of two instances, torn and overwritten as they like: every reader ends, and shows nothing that could change a terminal.
#![no_main]

use std::cell::LazyCell;
use std::fs;
use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use orchestra::logs::clean::{Colours, clean};
use orchestra::logs::filter::Filter;
use orchestra::logs::level::Level;
use orchestra::logs::lines::Line;
use orchestra::logs::record::segment_name;
use orchestra::logs::tail::Tail;
use orchestra::logs::view::{self, Query};
use orchestra::logs::{output, total};
use orchestra::task::id::RunId;
use regex::bytes::Regex;
use tempfile::TempDir;

thread_local! {
    static DIR: LazyCell<TempDir> = const { LazyCell::new(orchestra_fuzz::folder) };
}

fuzz_target!(|data: &[u8]| {
    let segments: [&[u8]; 3] = orchestra_fuzz::parts(data);
    DIR.with(|dir| {
        let logs = dir.path();
        for (folder, number, bytes) in [("api/1", 1, segments[0]), ("api/1", 2, segments[1]), ("db/build", 1, segments[2])] {
            fs::create_dir_all(logs.join(folder)).unwrap();
            fs::write(logs.join(folder).join(segment_name(number)), bytes).unwrap();
        }
        let all = read(logs, Query::default());
        let last = read(logs, Query { last: Some(3), ..Query::default() });
        assert!(last <= 3 && last <= all);
        let grep = Regex::new("a+b?").unwrap();
        let filter = Filter { grep: vec![grep], level: Some(Level::Warn), since: Some(1), ..Filter::default() };
        assert!(read(logs, Query { filter, ..Query::default() }) <= all);
        let mut tail = Tail::new(&logs.join("api/1"), RunId(1));
        for _ in 0..2 {
            tail.poll(&mut |_| {}).unwrap();
        }
        assert!(output::of_run(&logs.join("db/build"), RunId(1), 1000).unwrap().len() <= 1000);
        total::prune(logs, 0).unwrap();
    });
});

/// How many lines begin.
fn read(logs: &std::path::Path, query: Query) -> usize {
    let mut n = 0;
    let mut out = Vec::new();
    let mut sink = |line: &Line<'_>| {
        n += usize::from(line.first);
        out.clear();
        clean(line.payload, Colours::Keep, &mut out);
        safe(&out, true);
        out.clear();
        clean(line.payload, Colours::Remove, &mut out);
        safe(&out, false);
        ControlFlow::Continue(())
    };
    let flow = view::read(logs, query, &mut sink).unwrap();
    assert!(flow.is_continue());
    n
}

fn safe(out: &[u8], colours: bool) {
    let text = std::str::from_utf8(out).unwrap();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\x1b' && colours {
            // Nothing but a colour: CSI, digits and separators, `m`.
            assert_eq!(rest.next(), Some('['), "{text:?}");
            let end = rest.find(|c| !matches!(c, '0'..='9' | ';' | ':'));
            assert_eq!(end, Some('m'), "{text:?}");
        } else {
            assert!(c == '\t' || !c.is_control(), "{text:?}");
        }
    }
}
