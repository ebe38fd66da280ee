//! Which records of an origin are on disk already, so that whoever gets them again goes on exactly where the log ends.
//!
//! The log itself is the only memory: nothing can be out of step with it. An origin is asked for everything from a little before the newest record on
//! disk; what is there is known again by its time, its bytes and how often it is there, and passed over. Times alone would not do: many lines share
//! one, and a clock may be set back between two lines.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::path::Path;

use memchr::memmem;

use super::clock::{Pair, WITHIN, set_back};
use super::past::{MARGIN, Past};
use super::record::{self, Stream};
use super::segments;
use super::stamp::Stamps;
use super::writer::Origin;
use crate::error::{Context, PathError};

const SECOND: i64 = 1_000_000;
/// So many bytes of others are looked through for an origin that did not write last: one that was replaced does not come back.
const FOREIGN: usize = 64 << 20;

/// What the log holds of one origin.
#[derive(Debug, Default)]
pub struct Cursor {
    since: Option<i64>,
    earlier: Option<u64>,
    streams: [Known; 2],
    /// The beginning of what was asked for is not known yet to be the end of what is there.
    unjoined: bool,
    gap: bool,
}

/// What is on disk of one stream, as far as it may come again.
#[derive(Debug, Default)]
enum Known {
    /// All that comes is new.
    #[default]
    Nothing,
    Some(Box<Tail>),
}

#[derive(Debug)]
struct Tail {
    /// How often each record is there, and the run that the last of them belongs to.
    counts: HashMap<u64, (u32, u64)>,
    /// The last one.
    last: Item,
    /// The greatest time among them.
    newest: i64,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    time: i64,
    key: u64,
    run: u64,
}

/// Whether a record is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    /// It is.
    Yes {
        /// The run it belongs to.
        run: u64,
    },
    /// It was dropped for want of room, as the log says, and what came after it is there.
    Dropped,
    /// It is new.
    No,
}

impl Cursor {
    /// Reads the end of the log in `dir`, which `run` goes on with.
    pub fn read(dir: &Path, origin: &Origin, run: u64) -> Result<Cursor, PathError> {
        let mut search = Search { origin, run, found: Vec::new(), earlier: None, clocks: None };
        let (mut since, mut foreign) = (None, 0);
        for number in segments::list(dir)?.into_iter().rev() {
            let Some(mut file) = segments::open(dir, number)? else { continue };
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).context("read", &dir.join(record::segment_name(number)))?;
            let segment = search.segment(&bytes);
            // Marks further in front may tell of more.
            since = search.newest().map(|newest| search.since(newest));
            foreign += if segment.has_ours { 0 } else { bytes.len() };
            if since.is_none() && foreign > FOREIGN {
                break;
            }
            // Only what begins with other records than ours, or ends before what is asked for, has nothing to tell in front of it.
            if let Some(since) = since
                && (!segment.begins_ours || segment.newest.is_some_and(|newest| newest < since))
            {
                break;
            }
        }
        Ok(search.cursor(since))
    }

    /// From when on the origin is to be asked, in whole seconds since 1970; `None`: for everything.
    pub fn since(&self) -> Option<i64> {
        self.since.map(|since| since.div_euclid(SECOND))
    }

    /// The newest earlier run of the origin.
    pub fn earlier(&self) -> Option<u64> {
        self.earlier
    }

    /// Whether a record that came is on disk already. Each must be asked about once, in the order in which they come.
    pub fn look(&mut self, stream: Stream, time: i64, full: bool, payload: &[u8]) -> There {
        let known = match stream {
            Stream::Stdout => &mut self.streams[0],
            Stream::Stderr => &mut self.streams[1],
            Stream::Orchestra | Stream::Mark => return There::No,
        };
        let Known::Some(tail) = known else {
            self.gap |= std::mem::take(&mut self.unjoined);
            return There::No;
        };
        let key = key(time, full, payload);
        if let Some((count, run)) = tail.counts.get_mut(&key).filter(|(count, _)| *count > 0) {
            let run = *run;
            *count -= 1;
            self.unjoined = false;
            if key == tail.last.key && *count == 0 {
                *known = Known::Nothing;
            }
            return There::Yes { run };
        }
        if time <= tail.last.time {
            return There::Dropped;
        }
        if time > tail.newest + SECOND {
            *known = Known::Nothing;
        }
        self.gap |= std::mem::take(&mut self.unjoined);
        There::No
    }

    /// True once when what came is new and nothing of what is on disk came before it: the origin has forgotten what was between.
    pub fn has_gap(&mut self) -> bool {
        std::mem::take(&mut self.gap)
    }
}

fn key(time: i64, full: bool, payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_i64(time);
    hasher.write_u8(u8::from(full));
    hasher.write(payload);
    hasher.finish()
}

struct Search<'a> {
    origin: &'a Origin,
    run: u64,
    /// For each segment, newest first.
    found: Vec<Found>,
    earlier: Option<u64>,
    /// Of the mark before the newest record: later marks may have been written by other clocks.
    clocks: Option<Pair>,
}

/// What one segment holds of the origin, in its order.
#[derive(Default)]
struct Found {
    items: Vec<(Stream, Item)>,
    /// The clocks of marks, each with the number of records before it.
    marks: Vec<(usize, Pair)>,
}

/// What one segment told about those before it.
struct Segment {
    has_ours: bool,
    begins_ours: bool,
    newest: Option<i64>,
}

impl Search<'_> {
    fn segment(&mut self, bytes: &[u8]) -> Segment {
        let mut told = Segment { has_ours: false, begins_ours: false, newest: None };
        let word = format!("from={}", self.origin.id());
        if memmem::find(bytes, word.as_bytes()).is_none() {
            return told;
        }
        told.has_ours = true;
        let end = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
        let (mut stamps, mut ours, mut first) = (Stamps::default(), false, true);
        let (mut found_here, mut clocks, mut newest, mut run) = (Found::default(), None, None, 0);
        for line in bytes[..end].split(|byte| *byte == b'\n') {
            let Some(found) = record::parse(line) else { continue };
            let Some(time) = found.stamp.first_chunk().and_then(|stamp| stamps.micros(stamp)) else { continue };
            match found.stream {
                Stream::Mark => {
                    ours = found.payload.split(|byte| *byte == b' ').any(|part| part == word.as_bytes());
                    told.begins_ours |= ours && first;
                    first = false;
                    if let Some(mark) = segments::mark(time, found.payload).filter(|_| ours) {
                        run = mark.run;
                        self.earlier = self.earlier.max(Some(mark.run).filter(|run| *run < self.run));
                        clocks = mark.clocks;
                        found_here.marks.extend(clocks.map(|clocks| (found_here.items.len(), clocks)));
                    }
                }
                Stream::Stdout | Stream::Stderr if ours => {
                    told.newest = told.newest.max(Some(time));
                    newest = clocks;
                    let item = Item { time, key: key(time, found.full, found.payload), run };
                    found_here.items.push((found.stream, item));
                }
                Stream::Stdout | Stream::Stderr | Stream::Orchestra => {}
            }
        }
        if !found_here.items.is_empty() && self.newest().is_none() {
            self.clocks = newest;
        }
        self.found.push(found_here);
        told
    }

    /// The time of the newest record.
    fn newest(&self) -> Option<i64> {
        self.found.iter().find_map(|segment| segment.items.last()).map(|(_, item)| item.time)
    }

    fn since(&self, newest: i64) -> i64 {
        let known = self.clocks.map_or(newest, |then| {
            // What is younger than the mark before it allows was written before the clock was set back.
            newest.min(then.wall.saturating_add(WITHIN)).saturating_sub(set_back(then, self.origin.now()))
        });
        let known = self.not_yet_past().map_or(known, |lowest| known.min(lowest));
        known.saturating_sub(MARGIN).div_euclid(SECOND) * SECOND
    }

    /// Where the clock was set back, and nothing shows that what is on disk was written after that: the lowest time of what may come.
    fn not_yet_past(&self) -> Option<i64> {
        let mut past = Past::default();
        for segment in self.found.iter().rev() {
            let mut marks = segment.marks.iter().peekable();
            for (at, (_, item)) in segment.items.iter().enumerate() {
                while let Some((_, clocks)) = marks.next_if(|(before, _)| *before <= at) {
                    past.mark(*clocks);
                }
                past.record(item.time);
            }
            marks.for_each(|(_, clocks)| past.mark(*clocks));
        }
        past.lowest(self.origin.now())
    }

    fn cursor(self, since: Option<i64>) -> Cursor {
        let Some(from) = since else { return Cursor { earlier: self.earlier, ..Cursor::default() } };
        let mut cursor = Cursor { since, earlier: self.earlier, unjoined: true, ..Cursor::default() };
        // Some engines tell only what is not older than they are asked for, others all from the first such line on.
        let items = self.found.into_iter().rev().flat_map(|segment| segment.items);
        for (stream, item) in items.skip_while(|(_, item)| item.time < from) {
            let known = &mut cursor.streams[usize::from(stream == Stream::Stderr)];
            if let Known::Nothing = known {
                *known = Known::Some(Box::new(Tail { counts: HashMap::new(), last: item, newest: item.time }));
            }
            let Known::Some(tail) = known else { continue };
            let (count, run) = tail.counts.entry(item.key).or_default();
            (*count, *run) = (*count + 1, item.run);
            tail.last = item;
            tail.newest = tail.newest.max(item.time);
        }
        cursor
    }
}
