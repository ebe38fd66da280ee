//! Which lines are wanted: by time, by regular expressions, by level.
//!
//! A line without a level inherits that of the line before it in the same stream, as the lines of a stack trace do. Before the first level of a
//! stream lines count as `info`, on standard error too: Go's loggers write everything there.

use regex::bytes::Regex;

use super::level::{self, Level};
use super::lines::Line;
use super::sources::Channel;

/// What is wanted; everything by default.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Not before this moment, in microseconds since 1970.
    pub since: Option<i64>,
    /// Not after this moment.
    pub until: Option<i64>,
    /// Lines in which each of these matches.
    pub grep: Vec<Regex>,
    /// No line in which one of these matches.
    pub exclude: Vec<Regex>,
    /// Lines of this level and above.
    pub level: Option<Level>,
    /// Only what the services themselves wrote.
    pub programs_only: bool,
    /// A line whose level is not known is not wanted, instead of counting as `info`.
    pub known_level_only: bool,
}

/// What is remembered of a stream between its lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineState {
    level: Option<Level>,
    wanted: bool,
}

impl Filter {
    /// True when every line is wanted.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.since.is_none()
            && self.until.is_none()
            && self.grep.is_empty()
            && self.exclude.is_empty()
            && self.level.is_none()
            && !self.programs_only
    }

    /// Whether a line is wanted. What was decided about its beginning holds for the rest of it.
    pub fn wants(&self, line: &Line<'_>, state: &mut LineState) -> bool {
        if line.first {
            state.wanted = self.decide(line, state);
        }
        state.wanted
    }

    fn decide(&self, line: &Line<'_>, state: &mut LineState) -> bool {
        if let Some(least) = self.level {
            let said = if line.channel == Channel::Orchestra { None } else { level::detect(line.payload) };
            state.level = said.or(state.level);
            let level = state.level.or(if self.known_level_only { None } else { Some(Level::Info) });
            if level.is_none_or(|level| level < least) {
                return false;
            }
        }
        let within =
            self.since.is_none_or(|since| line.time >= since) && self.until.is_none_or(|until| line.time <= until);
        within
            && (!self.programs_only || line.channel.is_program())
            && self.grep.iter().all(|re| re.is_match(line.payload))
            && !self.exclude.iter().any(|re| re.is_match(line.payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(channel: Channel, time: i64, text: &str) -> Line<'_> {
        let stamp = b"1970-01-01T00:00:00.000001Z";
        let payload = text.as_bytes();
        Line { source: 0, channel, run: 1, time, stamp, payload, plain: true, first: true, last: true, newline: true }
    }

    fn kept(filter: &Filter, lines: &[&str]) -> Vec<String> {
        let mut state = LineState::default();
        let numbered = lines.iter().enumerate();
        let kept = numbered.filter(|(n, text)| filter.wants(&line(Channel::Stderr, *n as i64, text), &mut state));
        kept.map(|(_, text)| (*text).to_owned()).collect()
    }

    #[test]
    fn by_time_both_ends_included() {
        let filter = Filter { since: Some(1), until: Some(2), ..Filter::default() };
        assert_eq!(kept(&filter, &["a", "b", "c", "d"]), ["b", "c"]);
    }

    #[test]
    fn by_expressions() {
        let re = |text| Regex::new(text).unwrap();
        let filter = Filter { grep: vec![re("a"), re("b$")], exclude: vec![re("x")], ..Filter::default() };
        assert_eq!(kept(&filter, &["ab", "ba", "axb", "b", "a b"]), ["ab", "a b"]);
    }

    #[test]
    fn levels_are_inherited() {
        let filter = Filter { level: Some(Level::Warn), ..Filter::default() };
        let lines = [
            "hello",
            "level=ERROR msg=x",
            "  at main.go:3",
            "level=INFO msg=y",
            "more",
            "panic: oh",
            "goroutine 1 [running]:",
        ];
        assert_eq!(
            kept(&filter, &lines),
            ["level=ERROR msg=x", "  at main.go:3", "panic: oh", "goroutine 1 [running]:"]
        );
        let filter = Filter { level: Some(Level::Info), ..Filter::default() };
        assert_eq!(kept(&filter, &["hello", "level=DEBUG msg=x", "more"]), ["hello"]);
        let filter = Filter { known_level_only: true, ..filter };
        assert!(kept(&filter, &["hello"]).is_empty());
    }

    #[test]
    fn parts_follow_their_beginning() {
        let filter = Filter { grep: vec![Regex::new("yes").unwrap()], ..Filter::default() };
        let mut state = LineState::default();
        assert!(filter.wants(&line(Channel::Stdout, 1, "yes"), &mut state));
        let rest = Line { first: false, ..line(Channel::Stdout, 1, "no") };
        assert!(filter.wants(&rest, &mut state));
    }

    #[test]
    fn raw_wants_programs_only() {
        let filter = Filter { programs_only: true, ..Filter::default() };
        let mut state = LineState::default();
        assert!(filter.wants(&line(Channel::Stdout, 1, ""), &mut state));
        assert!(!filter.wants(&line(Channel::Orchestra, 1, ""), &mut state));
    }
}
