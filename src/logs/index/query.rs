//! What is to be shown: sources, channels, levels, texts, times and runs.

use regex::bytes::{Regex, RegexBuilder};

use crate::logs::level::Level;
use crate::logs::sources::{Channel, Selection};

/// An expression whose compiled form is larger is refused.
const SIZE_LIMIT: usize = 4 * 1024 * 1024;

/// A set of levels, and whether lines of no known level are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels(u8);

impl Levels {
    /// Every line.
    pub const ALL: Levels = Levels(0b111_1111);
    /// No line.
    pub const NONE: Levels = Levels(0);
    /// Errors and worse.
    pub const ERRORS: Levels = Levels(0b110_0000);

    /// This level and those above; lines of no known level count as `info`, as in `orchestra logs --level`.
    pub fn at_least(level: Level) -> Levels {
        let known = Levels::ALL.0 & !((1_u8 << code(Some(level))) - 1);
        Levels(known | u8::from(level <= Level::Info))
    }

    /// With one more level; `None` is that of lines whose level is not known.
    #[must_use]
    pub fn with(self, level: Option<Level>) -> Levels {
        Levels(self.0 | 1 << code(level))
    }

    /// Without one level.
    #[must_use]
    pub fn without(self, level: Option<Level>) -> Levels {
        Levels(self.0 & !(1 << code(level)))
    }

    /// Whether a level is in the set.
    pub fn contains(self, level: Option<Level>) -> bool {
        self.has(code(level))
    }

    pub(super) fn has(self, code: u8) -> bool {
        self.0 >> code & 1 == 1
    }
}

impl Default for Levels {
    fn default() -> Levels {
        Levels::ALL
    }
}

/// 0 for unknown, 1 for trace, … 6 for fatal.
pub(super) fn code(level: Option<Level>) -> u8 {
    level.map_or(0, |level| level as u8 + 1)
}

/// The inverse of [`code`].
pub(super) fn level_of(code: u8) -> Option<Level> {
    const LEVELS: [Level; 6] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];
    LEVELS.get(usize::from(code).checked_sub(1)?).copied()
}

/// A set of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels(u8);

impl Channels {
    /// Every channel.
    pub const ALL: Channels = Channels(0b1_1111);
    /// None.
    pub const NONE: Channels = Channels(0);

    /// With one more.
    #[must_use]
    pub fn with(self, channel: Channel) -> Channels {
        Channels(self.0 | 1 << channel as u8)
    }

    /// Without one.
    #[must_use]
    pub fn without(self, channel: Channel) -> Channels {
        Channels(self.0 & !(1 << channel as u8))
    }

    /// Whether a channel is in the set.
    pub fn contains(self, channel: Channel) -> bool {
        self.0 >> channel as u8 & 1 == 1
    }
}

impl Default for Channels {
    fn default() -> Channels {
        Channels::ALL
    }
}

/// A text to look for. It is looked for in lines as they are shown: without colours and control sequences; of a line beyond 1 MiB in its beginning.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// For one line.
    pub(super) line: Regex,
    /// For many lines at once; `None` where the expression would not mean the same there.
    pub(super) lines: Option<Regex>,
}

impl Pattern {
    /// A regular expression. The error says what is wrong with it, in the words of the `regex` crate.
    pub fn regex(text: &str, ignore_case: bool) -> Result<Pattern, regex::Error> {
        let build = |many: bool| {
            let mut builder = RegexBuilder::new(text);
            builder.case_insensitive(ignore_case).multi_line(many).size_limit(SIZE_LIMIT).build()
        };
        // These look at the very ends of what is searched, which are those of a line for one line only.
        let at_ends = ["\\A", "\\z", "(?"].iter().any(|sign| text.contains(sign));
        let lines = if at_ends { None } else { build(true).ok() };
        Ok(Pattern { line: build(false)?, lines })
    }

    /// A text as it stands.
    pub fn literal(text: &str, ignore_case: bool) -> Result<Pattern, regex::Error> {
        Pattern::regex(&regex::escape(text), ignore_case)
    }

    /// Where it is found in a line that is shown, for marking: starts and ends in bytes.
    pub fn find_in<'a>(&'a self, line: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
        self.line.find_iter(line).map(|found| (found.start(), found.end()))
    }
}

/// Which lines are shown; all of them by default. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Of which services and instances.
    pub selection: Selection,
    /// Of which channels.
    pub channels: Channels,
    /// Of which levels. A line without a level has that of the line before it in its stream, as in [`crate::logs::filter`].
    pub levels: Levels,
    /// Each of these is found in the line.
    pub include: Vec<Pattern>,
    /// None of these is found in the line.
    pub exclude: Vec<Pattern>,
    /// Not before this moment, in microseconds since 1970 (by the order of the log: the clock's jumps taken out).
    pub since: Option<i64>,
    /// Not after this moment.
    pub until: Option<i64>,
    /// Of these runs; empty: of all.
    pub runs: Vec<u64>,
    /// Stack traces and the like are one row: that of the line they go on from. A fold is shown when any of its lines is wanted, unless its first line is
    /// one that `exclude` takes out.
    pub fold: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_a_set() {
        let set = Levels::at_least(Level::Warn);
        assert!(set.contains(Some(Level::Warn)) && set.contains(Some(Level::Fatal)));
        assert!(!set.contains(Some(Level::Info)) && !set.contains(None));
        assert!(Levels::at_least(Level::Info).contains(None));
        assert_eq!(Levels::at_least(Level::Error), Levels::ERRORS);
        assert_eq!(Levels::at_least(Level::Trace), Levels::ALL);
        assert_eq!(Levels::NONE.with(Some(Level::Error)).with(Some(Level::Fatal)), Levels::ERRORS);
        assert!(!Levels::ALL.without(None).contains(None));
        for level in [None, Some(Level::Trace), Some(Level::Info), Some(Level::Fatal)] {
            assert_eq!(level_of(code(level)), level);
        }
    }

    #[test]
    fn channels_are_a_set() {
        let set = Channels::NONE.with(Channel::Stderr).with(Channel::Build);
        assert!(set.contains(Channel::Build) && !set.contains(Channel::Stdout));
        assert_eq!(set.without(Channel::Build).without(Channel::Stderr), Channels::NONE);
    }

    #[test]
    fn expressions_that_look_at_ends_are_for_single_lines() {
        assert!(Pattern::regex("^a.*b$", true).unwrap().lines.is_some());
        assert!(Pattern::regex("\\Aa", false).unwrap().lines.is_none());
        assert!(Pattern::literal("(?x)\\A", false).unwrap().line.is_match(b"a(?x)\\A"));
        assert!(Pattern::regex("(", false).is_err());
        assert!(Pattern::regex("((a{1000}){1000}){1000}", false).is_err());
    }
}
