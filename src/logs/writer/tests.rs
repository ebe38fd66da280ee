//! A writer in folders of its own.

use super::*;
use crate::logs::clock::Pair;
use crate::logs::record::SEGMENT;
use crate::logs::segments;
use std::path::Path;

fn place(dir: &Path, keep: u64, run: u64) -> Place {
    Place { dot: dir.to_owned(), folder: PathBuf::from("logs/api/1"), keep, run }
}

fn all(dir: &Path) -> Vec<u8> {
    let mut names: Vec<_> = std::fs::read_dir(dir.join("logs/api/1")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    names.into_iter().flat_map(|path| std::fs::read(path).unwrap()).collect()
}

fn payloads(bytes: &[u8]) -> Vec<String> {
    let lines = bytes.split(|b| *b == b'\n').filter_map(record::parse);
    lines.filter(|r| r.stream != Stream::Mark).map(|r| String::from_utf8_lossy(r.payload).into_owned()).collect()
}

#[test]
fn begins_with_a_mark_and_goes_on_in_the_newest_segment() {
    let dir = tempfile::tempdir().unwrap();
    for run in [1, 2] {
        let mut writer = Writer::open(place(dir.path(), SEGMENT, run)).unwrap();
        writer.append(Stream::Stdout, true, format!("line {run}").as_bytes());
        writer.flush();
    }
    let bytes = all(dir.path());
    assert_eq!(payloads(&bytes), ["line 1", "line 2"]);
    let marks = bytes.split(|b| *b == b'\n').filter_map(record::parse).filter(|r| r.stream == Stream::Mark);
    let marks: Vec<_> = marks.map(|r| String::from_utf8_lossy(&r.payload[..6]).into_owned()).collect();
    assert_eq!(marks, ["run=1 ", "run=2 "]);
}

#[test]
fn a_mark_pairs_both_clocks_for_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(place(dir.path(), SEGMENT, 1)).unwrap();
    let difference = |pair: Pair| pair.wall - pair.steady;
    writer.stamp = stamp(wall_us() - 400_000);
    writer.mark().unwrap();
    let bytes = all(dir.path());
    let mut marks = bytes.rsplit(|b| *b == b'\n').filter_map(record::parse).filter(|r| r.stream == Stream::Mark);
    let last = marks.next().unwrap();
    let clocks = segments::mark(micros(last.stamp).unwrap(), last.payload).unwrap().clocks.unwrap();
    let off = difference(clocks) - difference(now());
    assert!(off.abs() < 200_000, "{off}");
}

#[test]
fn a_torn_last_record_is_ended_never_glued() {
    let dir = tempfile::tempdir().unwrap();
    drop(Writer::open(place(dir.path(), SEGMENT, 1)).unwrap());
    let path = dir.path().join("logs/api/1/0000000001.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"2026-01-02T03:04:05.678901Z o F to");
    std::fs::write(&path, &bytes).unwrap();
    let mut writer = Writer::open(place(dir.path(), SEGMENT, 2)).unwrap();
    writer.append(Stream::Stdout, true, b"next");
    writer.flush();
    assert_eq!(payloads(&all(dir.path())), ["to", "next"]);
}

#[test]
fn rotates_at_record_ends_and_keeps_what_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let keep = 4 * 64 * 1024;
    let mut writer = Writer::open(place(dir.path(), keep, 1)).unwrap();
    for n in 0..20_000 {
        writer.append(Stream::Stdout, true, format!("L{n:010}").as_bytes());
    }
    writer.flush();
    let bytes = all(dir.path());
    assert!(bytes.len() as u64 <= keep + 64 * 1024, "{}", bytes.len());
    let numbers: Vec<u64> = payloads(&bytes).iter().map(|l| l[1..].parse().unwrap()).collect();
    assert_eq!(numbers.last(), Some(&19_999));
    assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1));
    assert!(numbers.len() > 3000);
}

#[test]
fn removed_logs_are_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let dot = dir.path().join("dot");
    std::fs::create_dir(&dot).unwrap();
    let mut writer = Writer::open(place(&dot, SEGMENT, 1)).unwrap();
    std::fs::remove_dir_all(&dot).unwrap();
    writer.marked_at = 0;
    writer.append(Stream::Stdout, true, b"again");
    writer.flush();
    assert_eq!(payloads(&all(&dot)), ["again"]);
}

#[test]
fn dropped_lines_are_counted_and_confessed() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(place(dir.path(), SEGMENT, 1)).unwrap();
    writer.append(Stream::Stdout, false, b"begin ");
    writer.flush();
    writer.note_failure(&io::Error::from_raw_os_error(libc::ENOSPC));
    for n in 0..7 {
        writer.append(Stream::Stdout, true, format!("lost {n}").as_bytes());
        writer.append(Stream::Stderr, false, b"lost piece");
        writer.flush();
        writer.append(Stream::Stderr, true, b"lost end");
    }
    writer.flush();
    assert_eq!(writer.dropped(), 14);
    writer.failed_at = 1;
    writer.append(Stream::Stdout, true, b"back");
    writer.flush();
    assert_eq!(payloads(&all(dir.path())), ["begin ", "", "14 lines dropped: ENOSPC", "back"]);
    assert!(!writer.is_behind());
}
