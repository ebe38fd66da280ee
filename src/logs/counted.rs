//! Work whose instructions `benches/counts` counts: the writer and the merge.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::lines::Line;
use super::record::Stream;
use super::view;
use super::writer::{Place, Writer};

const LINES: usize = 20_000;
const TEXT: &[u8] = b"level=INFO msg=\"order created\" order=88213 user=41 total=1999 trace=7f3a91c2d4e5 took=12ms";

fn writer(dir: &Path, service: &str) -> Writer {
    let folder = PathBuf::from("logs").join(service).join("1");
    Writer::open(Place { dot: dir.to_owned(), folder, keep: 1 << 30, run: 1 }).unwrap()
}

#[inline(never)]
fn counted_writer(writer: &mut Writer, n_lines: usize) {
    for n in 0..n_lines {
        if n % 64 == 0 {
            writer.tick();
        }
        writer.append(Stream::Stdout, true, black_box(TEXT));
    }
    writer.flush();
}

#[inline(never)]
fn counted_merge(logs: &Path) -> usize {
    let mut n = 0;
    let mut sink = |line: &Line<'_>| {
        n += usize::from(!black_box(line.payload).is_empty());
        ControlFlow::Continue(())
    };
    assert!(view::read(logs, view::Query::default(), &mut sink).unwrap().is_continue());
    n
}

#[test]
#[ignore = "counted by benches/counts"]
fn the_writer() {
    let dir = tempfile::tempdir().unwrap();
    counted_writer(&mut writer(dir.path(), "api"), LINES);
    assert_eq!(counted_merge(&dir.path().join("logs")), LINES);
}

#[test]
#[ignore = "counted by benches/counts"]
fn the_merge() {
    let dir = tempfile::tempdir().unwrap();
    let mut writers = ["api", "auth", "orders", "web"].map(|service| writer(dir.path(), service));
    // In turns of some lines, as services write.
    for n in 0..LINES / 20 {
        counted_writer(&mut writers[n % 4], 20);
    }
    assert_eq!(counted_merge(&dir.path().join("logs")), LINES);
}
