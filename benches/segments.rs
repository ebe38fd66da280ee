//! Segments as shims write them, of many lines at once: what the benches of logs read.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use orchestra::logs::record::{self, SEGMENT, Stream};
use orchestra::logs::stamp;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// Between two lines, in microseconds.
pub(crate) const APART: i64 = 3;

/// Which lines there are.
pub(crate) struct Lines<'a> {
    pub(crate) services: &'a [String],
    pub(crate) n: u64,
    /// Another service goes on after at most so many lines.
    pub(crate) longest_run: u64,
    /// When the first one was written, in microseconds since 1970.
    pub(crate) begin: i64,
}

impl Lines<'_> {
    /// Writes them below `logs`; `payload` puts line after line, all services' together, into an empty buffer.
    pub(crate) fn make(
        &self,
        logs: &Path,
        mut payload: impl FnMut(u64, &mut Vec<u8>) -> std::io::Result<()>,
    ) -> Outcome<()> {
        let mut folders = Vec::new();
        for name in self.services {
            let dir = logs.join(name).join("1");
            fs::create_dir_all(&dir)?;
            folders.push(Folder { dir, number: 0, size: SEGMENT, out: None, begin: self.begin });
        }
        let (mut service, mut left, mut buffer) = (0, 0, Vec::new());
        for n in 0..self.n {
            if left == 0 {
                service = (service + 1) % folders.len();
                left = 1 + n.wrapping_mul(2_654_435_761) % self.longest_run;
            }
            left -= 1;
            buffer.clear();
            payload(n, &mut buffer)?;
            folders[service].line(self.begin + n as i64 * APART, &buffer)?;
        }
        for mut folder in folders {
            folder.out.iter_mut().try_for_each(Write::flush)?;
        }
        Ok(())
    }
}

struct Folder {
    dir: PathBuf,
    number: u64,
    size: u64,
    out: Option<BufWriter<File>>,
    begin: i64,
}

impl Folder {
    fn line(&mut self, at: i64, payload: &[u8]) -> Outcome<()> {
        if self.size >= SEGMENT {
            self.number += 1;
            let old = self.out.replace(BufWriter::new(File::create(self.dir.join(record::segment_name(self.number)))?));
            old.into_iter().try_for_each(|mut old| old.flush())?;
            self.size = 0;
            let mark = format!("run=1 mono={}", (at - self.begin + 1_000_000) * 1000);
            self.record(at, Stream::Mark, mark.as_bytes())?;
        }
        self.record(at, Stream::Stdout, payload)
    }

    fn record(&mut self, at: i64, stream: Stream, payload: &[u8]) -> Outcome<()> {
        let out = self.out.as_mut().ok_or("no segment")?;
        out.write_all(&record::header(&stamp::text(at), stream, true))?;
        out.write_all(payload)?;
        out.write_all(b"\n")?;
        self.size += (record::HEADER + payload.len() + 1) as u64;
        Ok(())
    }
}
