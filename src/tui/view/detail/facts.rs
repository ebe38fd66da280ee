//! What is known of the service that is looked at, and how lines of text are made of it.

use std::time::Duration;

use ratatui::style::{Modifier, Style};

use crate::api::wire::{Instance, Service, Why};
use crate::text;
use crate::tui::fleet::{Row, Sort, Tone};
use crate::tui::history::Sample;
use crate::tui::model::{Detail, Model};
use crate::tui::theme::Token;
use crate::tui::view::{header, time_of};

/// Text in several styles.
pub(super) type Spans = Vec<(String, Style)>;

/// What is known.
pub(super) struct Facts<'a> {
    pub(super) model: &'a Model,
    pub(super) service: &'a Service,
    /// Those that are meant: one, or all.
    pub(super) instances: Vec<&'a Instance>,
    pub(super) why: Option<&'a Why>,
    /// As the list shows it.
    row: Option<Row>,
}

impl<'a> Facts<'a> {
    /// `None` where there is no such service any more.
    pub(super) fn of(model: &'a Model, detail: &'a Detail) -> Option<Facts<'a>> {
        let service = model.fleet.service(&detail.service)?;
        let meant = |instance: &&Instance| detail.copy.as_ref().is_none_or(|copy| instance.id == *copy);
        let instances = service.instances.iter().filter(meant).collect();
        let vendors = service.kind == "vendor";
        let id = detail.copy.as_ref().unwrap_or(&detail.service);
        let rows = model.fleet.rows(vendors, Sort::Name, "", &std::collections::BTreeSet::new());
        let row = rows.into_iter().find(|row| row.id == *id);
        Some(Facts { model, service, instances, why: detail.why.as_ref(), row })
    }

    pub(super) fn style(&self, token: Token) -> Style {
        self.model.theme.style(token)
    }

    /// One copy is meant, or there is but one.
    pub(super) fn only(&self) -> Option<&'a Instance> {
        match self.instances.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// `orders-1  ● running  pid 48213  up 12m  restarts 3  copy 1 of 2`
    pub(super) fn head(&self) -> Spans {
        let (tone, state) = match &self.row {
            Some(row) => (row.tone, row.state.as_str()),
            None => (Tone::Off, "gone"),
        };
        let name = match self.only().filter(|_| self.service.instances.len() > 1) {
            Some(copy) => copy.id.replace('.', "-"),
            None => self.service.name.clone(),
        };
        let strong = self.style(Token::Accent).add_modifier(Modifier::BOLD);
        let state = if state == "old bin" { "ready (old binary)" } else { state };
        let mut words = vec![
            (format!(" {name}"), strong),
            (format!("  {} {state}", tone.glyph(self.model.ascii)), self.style(tone.token())),
        ];
        let mut say = |text: String| words.push((format!("  {text}"), self.style(Token::Text)));
        if let Some(copy) = self.only() {
            copy.pid.into_iter().for_each(|pid| say(format!("pid {pid}")));
            if let Some(up) = copy.started_at.as_deref().filter(|_| copy.is_up()).and_then(|at| self.ago(at)) {
                say(format!("up {up}"));
            }
        }
        say(format!("restarts {}", self.instances.iter().map(|copy| copy.restarts).sum::<u32>()));
        match self.only().filter(|_| self.service.instances.len() > 1) {
            Some(_) => say(format!("one of {} copies", self.service.scale)),
            None if self.service.scale > 1 => say(format!("{} copies", self.service.scale)),
            None => {}
        }
        let kind = if self.service.kind == "service" { "" } else { self.service.kind.as_str() };
        let worker = self.instances.first().map(|copy| copy.worker.as_str()).filter(|worker| *worker != "process");
        let on =
            [kind, worker.unwrap_or("")].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ");
        if !on.is_empty() {
            say(on);
        }
        if self.service.rerun {
            say("watched".to_owned());
        }
        words
    }

    /// How long ago: changes rarely, and so does the screen.
    pub(super) fn ago(&self, at: &str) -> Option<String> {
        let at = at.parse::<jiff::Timestamp>().ok()?.as_microsecond();
        Some(header::coarse(u64::try_from((self.model.now - at) / 1_000_000).unwrap_or(0)))
    }

    /// A moment by the clock of this place; with its date where that is another.
    pub(super) fn clock(&self, at: &str) -> String {
        let Ok(moment) = at.parse::<jiff::Timestamp>() else { return at.to_owned() };
        let (us, day) = (moment.as_microsecond(), "%Y-%m-%d");
        let today = time_of(self.model, us, day) == time_of(self.model, self.model.now, day);
        time_of(self.model, us, if today { "%H:%M:%S" } else { "%m-%d %H:%M:%S" })
    }

    /// CPU and memory of what is meant, second by second.
    pub(super) fn seconds(&self, n: usize) -> Vec<Option<Sample>> {
        self.model.fleet.seconds(self.instances.iter().map(|copy| copy.id.as_str()), n)
    }

    /// Lines it wrote in the last second.
    pub(super) fn rate(&self) -> u32 {
        let label = self.only().filter(|_| self.service.instances.len() > 1).map(|copy| copy.id.replace('.', "-"));
        let names = self.model.log.names.iter().zip(&self.model.log.now);
        let meant = names.filter(|(name, _)| {
            name.service == self.service.name && label.as_ref().is_none_or(|label| name.label == *label)
        });
        meant.map(|(_, rate)| rate).sum()
    }
}

/// Lines one below the other.
pub(super) struct Page<'a> {
    pub(super) facts: &'a Facts<'a>,
    /// Columns there are.
    pub(super) width: usize,
    pub(super) lines: Vec<Spans>,
}

impl Page<'_> {
    /// A name with a rule behind it.
    pub(super) fn head(&mut self, text: &str, more: &str) {
        let (rule, style) = (self.facts.style(Token::Rule), self.facts.style(Token::Accent));
        let dash = if self.facts.model.ascii { "-" } else { "─" };
        let used = 4 + text::width(text) + if more.is_empty() { 0 } else { 2 + text::width(more) };
        let rest = self.width.min(300).saturating_sub(used + 1);
        let mut spans = vec![(format!("{} ", dash.repeat(2)), rule), (format!("{text} "), style)];
        if !more.is_empty() {
            spans.push((format!(" {more} "), self.facts.style(Token::Dim)));
        }
        spans.push((dash.repeat(rest), rule));
        self.lines.push(spans);
    }

    pub(super) fn line(&mut self, text: impl Into<String>, token: Token) {
        let style = self.facts.style(token);
        self.lines.push(vec![(format!(" {}", text.into()), style)]);
    }

    /// A text that may need several lines.
    pub(super) fn wrapped(&mut self, text: &str, token: Token) {
        for part in wrap(text, self.width.saturating_sub(2).max(8)) {
            self.line(part, token);
        }
    }

    /// Words below each other, each in a column of this width and with a style of its own.
    pub(super) fn cells(&mut self, cells: &[(&str, usize, Token)]) {
        let mut spans = vec![(" ".to_owned(), self.facts.style(Token::Text))];
        for (text, width, token) in cells {
            let text = text::clean(text);
            let blanks = " ".repeat(width.saturating_sub(text::width(&text)) + 1);
            spans.push((format!("{text}{blanks}"), self.facts.style(*token)));
        }
        self.lines.push(spans);
    }
}

/// A text in lines of so many columns, between words where that is possible.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut width = 0;
    for word in text::clean(text).split_inclusive(' ') {
        let own = text::width(word.trim_end());
        if width > 0 && width + own > columns {
            lines.push(String::new());
            width = 0;
        }
        for char in word.chars() {
            let one = text::width(char.encode_utf8(&mut [0; 4]));
            if width > 0 && width + one > columns && char != ' ' {
                lines.push(String::new());
                width = 0;
            }
            width += one;
            if let Some(line) = lines.last_mut() {
                line.push(char);
            }
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

/// `ran 4.2s`
pub(super) fn ran(ms: u64) -> String {
    format!("ran {}", text::time(Duration::from_millis(ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("it waits for postgres", 9), ["it waits", "for", "postgres"]);
        assert_eq!(wrap("日本語日本語", 6), ["日本語", "日本語"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
