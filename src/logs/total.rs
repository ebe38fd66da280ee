//! Keeps all logs of a project together within a limit: the oldest closed segments of whichever service go first. A shim bounds its own folder; only
//! somebody who sees all of them can bound their sum.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::record;

struct Segment {
    written: SystemTime,
    size: u64,
    path: PathBuf,
    /// The newest of its folder: its writer may have it open.
    newest: bool,
}

/// Removes segments until at most `limit` bytes are left, or only the newest of each folder; says how many bytes were removed.
pub fn prune(logs: &Path, limit: u64) -> io::Result<u64> {
    let mut segments = Vec::new();
    for service in folders(logs)? {
        for source in folders(&service)? {
            collect(&source, &mut segments)?;
        }
    }
    let mut sum: u64 = segments.iter().map(|segment| segment.size).sum();
    let mut removed = 0;
    segments.retain(|segment| !segment.newest);
    segments.sort_by_key(|segment| segment.written);
    for segment in segments {
        if sum <= limit {
            break;
        }
        match fs::remove_file(&segment.path) {
            // Its shim was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(()) => removed += segment.size,
        }
        sum -= segment.size;
    }
    Ok(removed)
}

fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut out = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            out.push(entry.path());
        }
    }
    Ok(out)
}

fn collect(source: &Path, segments: &mut Vec<Segment>) -> io::Result<()> {
    let mut newest: Option<(u64, usize)> = None;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        let Some(number) = entry.file_name().to_str().and_then(record::segment_number) else { continue };
        // It may be removed between our look at the folder and our look at it.
        let Ok(meta) = entry.metadata() else { continue };
        segments.push(Segment { written: meta.modified()?, size: meta.len(), path: entry.path(), newest: false });
        if newest.is_none_or(|(highest, _)| number > highest) {
            newest = Some((number, segments.len() - 1));
        }
    }
    if let Some((_, index)) = newest {
        segments[index].newest = true;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn segment(dir: &Path, source: &str, number: u64, age: u64) {
        let folder = dir.join(source);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(record::segment_name(number));
        fs::write(&path, [0; 100]).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }

    #[test]
    fn the_oldest_closed_segments_go_first() {
        let dir = tempfile::tempdir().unwrap();
        for (source, number, age) in
            [("api/1", 1, 50), ("api/1", 2, 40), ("web/1", 1, 60), ("web/1", 2, 30), ("old/1", 7, 99)]
        {
            segment(dir.path(), source, number, age);
        }
        assert_eq!(prune(dir.path(), 500).unwrap(), 0);
        assert_eq!(prune(dir.path(), 450).unwrap(), 100);
        assert!(!dir.path().join("web/1").join(record::segment_name(1)).exists());
        assert_eq!(prune(dir.path(), 0).unwrap(), 100, "the newest of each folder stays");
        assert_eq!(prune(&dir.path().join("none"), 0).unwrap(), 0);
    }
}
