//! What happens to logs while somebody looks: they appear, rotate, are removed and begin anew.

use super::feed::Sizes;
use super::tests::{Opened, SMALL, open};
use super::{Anchor, Levels, Query};
use crate::logs::record::{self, Stream};
use crate::logs::testing::Folder;

fn texts(opened: &Opened) -> Vec<String> {
    let rows = opened.index.lines(Anchor::Top);
    rows.map(|row| String::from_utf8_lossy(&row.bytes).into_owned()).collect()
}

#[test]
fn logs_appear_where_there_was_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let opened = open(&logs, Sizes::default());
    opened.settle(0);
    assert!(opened.index.window(Anchor::Bottom, 5, 5).rows.is_empty());
    assert_eq!((opened.index.nth(3), opened.index.at_fraction(0.5), opened.index.at_time(1)), (None, None, None));
    std::fs::create_dir(&logs).unwrap();
    Folder::at(&logs, "api/1").mark(1, 1, 1).line(1, Stream::Stdout, "a");
    opened.settle(1);
    Folder::at(&logs, "web/1").mark(2, 1, 2).line(2, Stream::Stdout, "b").record(3, Stream::Stdout, false, b"prompt");
    opened.settle(3);
    assert_eq!(texts(&opened), ["a", "b", "prompt"]);
}

#[test]
fn what_is_removed_is_counted_and_its_places_fall_to_what_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::at(dir.path(), "api/1");
    for n in 1..=3 {
        folder.mark(n, 1, n).line(n, Stream::Stdout, &format!("first of {n}"));
        folder.line(n, Stream::Stdout, &format!("second of {n}")).rotate();
    }
    let opened = open(dir.path(), SMALL);
    opened.settle(6);
    let rows = opened.index.window(Anchor::Top, 0, 9).rows;
    std::fs::remove_file(dir.path().join("api/1").join(record::segment_name(1))).unwrap();
    opened.until("removed", |index| index.sources()[0].n_gone == 2);
    opened.settle(4);
    assert_eq!(opened.index.line(rows[0].position), None);
    let window = opened.index.window(Anchor::At(rows[1].position), 3, 1);
    assert_eq!((window.rows.len(), window.anchor, window.at_top), (1, 0, true));
    assert_eq!(window.rows[0].position, rows[2].position);
    assert_eq!(texts(&opened).len(), 4);
}

#[test]
fn removed_segments_stay_readable_as_long_as_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::at(dir.path(), "api/1");
    folder.mark(1, 1, 1).line(1, Stream::Stdout, "old").rotate().mark(2, 1, 2).line(2, Stream::Stdout, "new");
    let opened = open(dir.path(), Sizes::default());
    opened.settle(2);
    std::fs::remove_file(dir.path().join("api/1").join(record::segment_name(1))).unwrap();
    folder.rotate().mark(3, 1, 3).line(3, Stream::Stdout, "newer");
    opened.settle(3);
    assert_eq!(texts(&opened), ["old", "new", "newer"]);
}

#[test]
fn a_folder_made_again_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::at(dir.path(), "api/1");
    folder.mark(1, 1, 1).line(1, Stream::Stdout, "a");
    let opened = open(dir.path(), SMALL);
    opened.settle(1);
    folder.wipe().mark(2, 2, 2).line(2, Stream::Stdout, "b");
    opened.until("made again", |_| texts(&opened).last().is_some_and(|text| text == "b"));
    folder.line(3, Stream::Stdout, "c");
    opened.until("more", |_| texts(&opened).last().is_some_and(|text| text == "c"));
}

#[test]
fn a_line_of_many_pieces_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::at(dir.path(), "api/1");
    folder.mark(1, 1, 1).line(1, Stream::Stdout, "before");
    for n in 0..200 {
        folder.record(2, Stream::Stdout, false, &[b'x'; record::MAX_PAYLOAD]);
        if n % 50 == 0 {
            folder.rotate().mark(2, 1, 2).line(2, Stream::Stderr, "between");
        }
    }
    folder.line(3, Stream::Stdout, "end").line(4, Stream::Stdout, "after");
    let opened = open(dir.path(), Sizes { part: 60_000, at_once: 0, ..Sizes::default() });
    opened.settle(7);
    let window = opened.index.window(Anchor::Top, 0, 9);
    let starts: Vec<_> = window.rows.iter().map(|row| String::from_utf8_lossy(&row.bytes[..3]).into_owned()).collect();
    assert_eq!(starts, ["bef", "xxx", "bet", "bet", "bet", "bet", "aft"]);
    assert!(window.rows[1].cut && window.rows[1].bytes.len() == super::ROW);
    assert_eq!(opened.index.line(window.rows[1].position).unwrap().len(), crate::logs::lines::JOINED);
}

#[test]
fn marks_and_rates_say_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::at(dir.path(), "api/1");
    let now = crate::sys::fd::wall_us();
    folder.mark(now, 1, 1);
    for n in 0..100 {
        let level = if n == 77 { "ERROR" } else { "INFO" };
        folder.line(now, Stream::Stdout, &format!("level={level} msg={n}"));
    }
    let opened = open(dir.path(), Sizes::default());
    opened.settle(100);
    opened.index.set_search(Some(super::Pattern::literal("msg=5", false).unwrap()));
    let marks = |pick: fn(&super::Tick) -> bool| -> Vec<usize> {
        let ticks = opened.index.ticks(10);
        (0..ticks.len()).filter(|at| pick(&ticks[*at])).collect()
    };
    opened.until("errors", |_| marks(|tick| tick.error) == [7]);
    opened.until("hits", |_| marks(|tick| tick.hit) == [0, 5]);
    opened.index.set_query(Query { levels: Levels::ERRORS, ..Query::default() });
    opened.until("of a query", |_| marks(|tick| tick.error) == [0]);
    let rates = opened.index.rates();
    assert_eq!((rates[0].lines.iter().sum::<u32>(), rates[0].errors.iter().sum::<u32>()), (100, 1));
}
