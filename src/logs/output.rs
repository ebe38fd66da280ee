//! What one run wrote, as a whole: for messages of the compiler. Not for services, whose output may be of any size.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::record::{self, Stream};
use crate::task::id::RunId;

/// The output of `run` in the order in which it was read, both streams together, at most about `most` bytes of it (the first).
pub fn of_run(dir: &Path, run: RunId, most: usize) -> io::Result<Vec<u8>> {
    let mut segments: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().and_then(record::segment_number) {
            segments.push((number, entry.path()));
        }
    }
    segments.sort();
    // Newest first: the run is almost always in the last one.
    let mut parts = Vec::new();
    for (_, path) in segments.iter().rev() {
        let bytes = fs::read(path)?;
        let (part, begins_before) = of_segment(&bytes, run);
        parts.push(part);
        if !begins_before {
            break;
        }
    }
    let mut out: Vec<u8> = parts.into_iter().rev().flatten().collect();
    out.truncate(most);
    Ok(out)
}

/// The output of the run in one segment, and whether the segment's first mark is the run's own, so that it may begin in an earlier one.
fn of_segment(bytes: &[u8], run: RunId) -> (Vec<u8>, bool) {
    let mark = format!("run={run}");
    let (mut out, mut ours, mut first) = (Vec::new(), false, None);
    for record in bytes.split(|byte| *byte == b'\n').filter_map(record::parse) {
        if record.stream == Stream::Mark {
            ours = record.payload.split(|byte| *byte == b' ').any(|word| word == mark.as_bytes());
            first.get_or_insert(ours);
        } else if ours && record.stream != Stream::Orchestra {
            out.extend_from_slice(record.payload);
            if record.full {
                out.push(b'\n');
            }
        }
    }
    (out, first == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_run_over_segments() {
        let dir = tempfile::tempdir().unwrap();
        let stamp = "2026-01-02T03:04:05.678901Z";
        let write = |number: u64, lines: &[&str]| {
            let text: String = lines.iter().map(|line| format!("{stamp} {line}\n")).collect();
            fs::write(dir.path().join(record::segment_name(number)), text).unwrap();
        };
        write(1, &["m F run=1 mono=1", "e F old", "m F run=2 mono=2", "e F one", "e P tw"]);
        write(2, &["m F run=2 mono=3", "e F o", "s F ours", "o F three", "m F run=3 mono=4", "o F new"]);
        assert_eq!(of_run(dir.path(), RunId(2), 100).unwrap(), b"one\ntwo\nthree\n");
        assert_eq!(of_run(dir.path(), RunId(3), 100).unwrap(), b"new\n");
        assert_eq!(of_run(dir.path(), RunId(2), 5).unwrap(), b"one\nt");
    }
}
