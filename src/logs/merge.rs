//! Merges the records of many sources by their keys; equal keys keep the order of the sources, and each source its own order.

use std::ops::ControlFlow;

use super::reader::{Raw, Reader};
use crate::error::PathError;

/// What whoever takes the records wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next in order.
    Any,
    /// The next of the same source, as long as it has one: a long line is not interrupted.
    Same,
    /// Nothing more.
    Stop,
}

/// Takes records in order, with the number of their source.
pub trait Records {
    /// Takes one.
    fn record(&mut self, source: usize, raw: &Raw<'_>) -> Next;
}

/// Readers by number, and which of them stand on a record that was not handed out yet.
#[derive(Debug, Default)]
pub struct Merge {
    readers: Vec<Reader>,
    /// A heap, smallest first: key and number.
    heap: Vec<(i64, usize)>,
    waiting: Vec<bool>,
}

impl Merge {
    /// Adds a source; its number is how many there were before.
    pub fn add(&mut self, reader: Reader) {
        self.readers.push(reader);
        self.waiting.push(true);
    }

    /// The readers by number.
    pub fn readers(&self) -> &[Reader] {
        &self.readers
    }

    /// Looks whether any source has more, and hands everything out in order. `Break` when the taker stopped.
    pub fn pump(&mut self, records: &mut impl Records) -> Result<ControlFlow<()>, PathError> {
        for number in 0..self.readers.len() {
            self.look(number)?;
        }
        self.drain(records)
    }

    /// Like [`pump`](Merge::pump) for the sources that may have more.
    pub fn pump_some(
        &mut self,
        some: impl IntoIterator<Item = usize>,
        records: &mut impl Records,
    ) -> Result<ControlFlow<()>, PathError> {
        for number in some {
            self.look(number)?;
        }
        self.drain(records)
    }

    fn look(&mut self, number: usize) -> Result<(), PathError> {
        if self.waiting[number] && self.readers[number].advance()? {
            self.waiting[number] = false;
            self.heap.push((self.readers[number].key(), number));
            sift_up(&mut self.heap);
        }
        Ok(())
    }

    fn drain(&mut self, records: &mut impl Records) -> Result<ControlFlow<()>, PathError> {
        while let Some((_, number)) = self.heap.first().copied() {
            let bound = second(&self.heap);
            let reader = &mut self.readers[number];
            // As long as this source has the smallest, the heap need not be touched.
            while let Some(raw) = reader.raw() {
                let next = records.record(number, &raw);
                if !reader.advance()? {
                    self.waiting[number] = true;
                    self.heap.swap_remove(0);
                    break;
                }
                self.heap[0].0 = reader.key();
                match next {
                    Next::Stop => return Ok(ControlFlow::Break(())),
                    Next::Any if self.heap[0] > bound => break,
                    Next::Any | Next::Same => {}
                }
            }
            sift_down(&mut self.heap);
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The smallest but one.
#[inline]
fn second(heap: &[(i64, usize)]) -> (i64, usize) {
    const NONE: (i64, usize) = (i64::MAX, usize::MAX);
    let (left, right) = (heap.get(1).copied().unwrap_or(NONE), heap.get(2).copied().unwrap_or(NONE));
    left.min(right)
}

fn sift_up(heap: &mut [(i64, usize)]) {
    let mut at = heap.len().saturating_sub(1);
    while at > 0 && heap[at] < heap[(at - 1) / 2] {
        heap.swap(at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

#[inline]
fn sift_down(heap: &mut [(i64, usize)]) {
    let mut at = 0;
    loop {
        let left = 2 * at + 1;
        if left >= heap.len() {
            return;
        }
        let right = left + 1;
        let least = if right < heap.len() && heap[right] < heap[left] { right } else { left };
        if heap[at] <= heap[least] {
            return;
        }
        heap.swap(at, least);
        at = least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::clock::Anchors;
    use crate::logs::reader::{Start, span};
    use crate::logs::record::Stream;
    use crate::logs::testing::Folder;
    use proptest::prelude::*;
    use std::sync::Arc;

    #[derive(Default)]
    struct Seen(Vec<(i64, usize, String)>);

    impl Records for Seen {
        fn record(&mut self, source: usize, raw: &Raw<'_>) -> Next {
            self.0.push((raw.time, source, String::from_utf8_lossy(raw.payload).into_owned()));
            Next::Any
        }
    }

    fn merge(folders: &[Folder]) -> Merge {
        let mut merge = Merge::default();
        let starts: Vec<_> = folders.iter().map(|folder| span(folder.dir(), None, None).unwrap()).collect();
        let anchors = Arc::new(Anchors::new(starts.iter().flat_map(|(start, _)| start.marks.clone())));
        for (folder, (start, last)) in folders.iter().zip(starts) {
            merge.add(Reader::anchored(folder.dir(), start, last, 0, Arc::clone(&anchors)));
        }
        merge
    }

    #[test]
    fn order_survives_a_clock_set_back() {
        const HOUR: i64 = 3_600_000_000;
        let mut folders = [Folder::new(), Folder::new()];
        for (n, folder) in folders.iter_mut().enumerate() {
            let n = n as i64;
            folder.mark(50 * HOUR, 1, HOUR);
            for step in 0..10 {
                folder.line(50 * HOUR + 2 * step + n, Stream::Stdout, &format!("{:02}", 2 * step + n));
            }
            folder.mark(49 * HOUR + 100, 1, HOUR + 100);
            for step in 10..20 {
                folder.line(49 * HOUR + 100 + 2 * step + n, Stream::Stdout, &format!("{:02}", 2 * step + n));
            }
        }
        let mut seen = Seen::default();
        assert!(merge(&folders).pump(&mut seen).unwrap().is_continue());
        let texts: Vec<_> = seen.0.into_iter().map(|line| line.2).collect();
        let expected: Vec<_> = (0..40).map(|n| format!("{n:02}")).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn goes_on_when_more_is_written() {
        let mut folders = [Folder::new(), Folder::new()];
        folders[0].line(1, Stream::Stdout, "a");
        let mut merge = merge(&folders);
        let mut seen = Seen::default();
        assert!(merge.pump(&mut seen).unwrap().is_continue());
        folders[1].line(3, Stream::Stdout, "c");
        folders[0].line(2, Stream::Stdout, "b");
        assert!(merge.pump(&mut seen).unwrap().is_continue());
        assert_eq!(seen.0.iter().map(|line| line.2.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn nothing_is_lost_or_doubled(sources in prop::collection::vec(prop::collection::vec((0_i64..50, prop::bool::weighted(0.1)), 0..60), 1..6)) {
            let mut expected = Vec::new();
            let mut folders = Vec::new();
            for (number, steps) in sources.iter().enumerate() {
                let mut folder = Folder::new();
                let mut at = 0;
                for (n, (step, rotate)) in steps.iter().enumerate() {
                    at += step;
                    if *rotate {
                        folder.rotate();
                    }
                    let text = format!("{number}:{n}");
                    folder.line(at, Stream::Stdout, &text);
                    expected.push((at, number, n, text));
                }
                folders.push(folder);
            }
            expected.sort();
            let mut seen = Seen::default();
            prop_assert!(merge(&folders).pump(&mut seen).unwrap().is_continue());
            let expected: Vec<_> = expected.into_iter().map(|(at, number, _, text)| (at, number, text)).collect();
            prop_assert_eq!(seen.0, expected);
        }
    }

    #[test]
    fn a_reader_starts_anywhere() {
        let mut folder = Folder::new();
        folder.line(1, Stream::Stdout, "a").line(2, Stream::Stdout, "b");
        let start = Start { segment: 1, offset: 34, ..Start::default() };
        let mut merge = Merge::default();
        merge.add(Reader::new(folder.dir(), start, None, 0));
        let mut seen = Seen::default();
        assert!(merge.pump(&mut seen).unwrap().is_continue());
        assert_eq!(seen.0, [(2, 0, "b".to_owned())]);
    }
}
