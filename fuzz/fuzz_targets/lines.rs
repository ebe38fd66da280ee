//! Bytes as the lines of one service: whatever they are, what is drawn of them holds no control character, rows together are the line, and it ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orchestra::logs::ansi::{self, Span};
use orchestra::logs::escape::is_hidden;
use orchestra::logs::level;
use orchestra::logs::shape::{one_line, parse, trace_id, tree};
use orchestra::logs::trace::{Ground, Group, Trace};

fuzz_target!(|data: &[u8]| {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let mut group = Group::default();
    for (at, line) in lines.iter().enumerate() {
        group.take(line, lines.get(at + 1).copied());
        let spans = ansi::spans(line);
        safe(&spans);
        for width in [1, 2, 7, 80] {
            let rows = ansi::wrap(&spans, width);
            let joined: String = rows.iter().map(|row| ansi::text(row)).collect();
            assert_eq!(joined, ansi::text(&spans));
            assert!(ansi::width(&ansi::cut(&spans, width / 2, width)) <= width);
        }
        let shape = parse(line);
        assert_eq!(shape.level, level::detect(line));
        safe(&one_line(&shape));
        tree(&shape).iter().for_each(|row| safe(&row.spans));
        trace_id(&shape);
    }
    let trace = Trace::read(lines);
    trace.key(&Ground::default());
});

fn safe<S>(spans: &[Span<S>]) {
    let text = ansi::text(spans);
    assert!(!text.chars().any(|c| c.is_control() || is_hidden(c)), "{text:?}");
}
