//! Reads what one instance writes from a given run on: what a readiness probe looks at.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::filter::Filter;
use super::lines::{Line, Lines};
use super::merge::Merge;
use super::reader::{MIN_BUFFER, Reader, Start};
use super::segments;
use super::sources::{Folder, Source};
use crate::error::PathError;
use crate::task::id::{RunId, ServiceName};

/// A place in the log of one instance.
#[derive(Debug)]
pub struct Tail {
    dir: PathBuf,
    run: RunId,
    open: Option<(Merge, Lines)>,
}

impl Tail {
    /// A tail of the folder of one instance, from the beginning of `run` on. The folder need not be there yet.
    pub fn new(dir: &Path, run: RunId) -> Tail {
        Tail { dir: dir.to_owned(), run, open: None }
    }

    /// Hands out what the service wrote since the last call, line by line. The beginning of a line whose end was not written yet is handed out as
    /// it is, and the rest of it later.
    pub fn poll(&mut self, on_line: &mut dyn FnMut(&[u8])) -> Result<(), PathError> {
        if self.open.is_none() {
            self.open = self.begin()?;
        }
        let Some((merge, lines)) = &mut self.open else { return Ok(()) };
        let run = self.run.0;
        let mut sink = |line: &Line<'_>| {
            if line.run >= run {
                on_line(line.payload);
            }
            ControlFlow::Continue(())
        };
        // The sink never stops.
        if merge.pump(&mut lines.feeding(&mut sink))?.is_continue() && lines.show_open(&mut sink).is_break() {
            self.open = None;
        }
        Ok(())
    }

    /// Begins in the newest segment that an earlier run began, so that no record of this run is before it.
    fn begin(&self) -> Result<Option<(Merge, Lines)>, PathError> {
        let numbers = segments::list(&self.dir)?;
        let Some(mut segment) = numbers.first().copied() else { return Ok(None) };
        for number in numbers.iter().rev() {
            let earlier =
                segments::head(&self.dir, *number)?.and_then(|head| head.mark).is_some_and(|m| m.run < self.run.0);
            if earlier {
                segment = *number;
                break;
            }
        }
        let Some(service) = ServiceName::fold("tail") else { return Ok(None) };
        let source = Source { service, folder: Folder::Instance(1), dir: self.dir.clone() };
        let mut merge = Merge::default();
        merge.add(Reader::new(&self.dir, Start { segment, ..Start::default() }, None, MIN_BUFFER));
        let filter = Filter { programs_only: true, ..Filter::default() };
        Ok(Some((merge, Lines::new(vec![source], filter))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::record::Stream;
    use crate::logs::testing::Folder;

    fn poll(tail: &mut Tail) -> Vec<String> {
        let mut out = Vec::new();
        tail.poll(&mut |line| out.push(String::from_utf8_lossy(line).into_owned())).unwrap();
        out
    }

    #[test]
    fn begins_with_its_run() {
        let mut folder = Folder::new();
        let mut tail = Tail::new(folder.dir(), RunId(6));
        assert!(poll(&mut tail).is_empty());
        folder.mark(1, 4, 1).line(1, Stream::Stdout, "old").rotate().mark(2, 5, 2).line(2, Stream::Stdout, "older run");
        assert!(poll(&mut tail).is_empty());
        folder.mark(3, 6, 3).line(3, Stream::Stderr, "listening").line(3, Stream::Orchestra, "not this");
        folder.record(4, Stream::Stdout, false, b"prompt");
        assert_eq!(poll(&mut tail), ["listening", "prompt"]);
        folder.rotate().mark(5, 6, 5).line(5, Stream::Stderr, "more");
        assert_eq!(poll(&mut tail), ["more"]);
        assert!(poll(&mut tail).is_empty());
    }
}
