//! Shows how a request goes on: bars on a terminal, plain lines elsewhere, JSON lines for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{Output, Paint};
use super::text;
use crate::api::convert::Ask;
use crate::api::wire::Progress;
use crate::error::Error;

/// So many services have a line of their own on a terminal; the rest are counted.
const BARS: usize = 20;

/// Between two pictures of a line that moves.
const TICK: Duration = Duration::from_millis(120);

/// The last known of one service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    service: String,
    state: String,
    ready: u32,
    scale: u32,
    reason: Option<String>,
    elapsed: Duration,
}

/// Shows one request.
pub(super) struct Show {
    ask: Ask,
    output: Output,
    widest: usize,
    last: BTreeMap<String, Line>,
    bars: Option<Bars>,
    /// Nothing was asked: what is at the beginning is no news.
    beside: bool,
}

struct Bars {
    all: MultiProgress,
    each: BTreeMap<String, ProgressBar>,
    style: ProgressStyle,
    still: ProgressStyle,
}

impl Show {
    /// Begins to show a request.
    pub(super) fn new(ask: Ask, output: Output) -> Show {
        let bars = (!output.is_json() && output.lively).then(Bars::new);
        Show { ask, output, widest: 0, last: BTreeMap::new(), bars, beside: false }
    }

    /// Begins to show what happens beside any request, a line for each change.
    pub(super) fn events(output: Output) -> Show {
        Show { ask: Ask::Start, output, widest: 0, last: BTreeMap::new(), bars: None, beside: true }
    }

    /// Shows one line of the answer.
    pub(super) fn line(&mut self, line: &Progress) -> Result<(), Error> {
        if self.output.is_json() {
            if matches!(line, Progress::End { error: Some(_) }) {
                self.output.has_told();
            }
            return self.output.json(line);
        }
        match line {
            Progress::Accepted { services, notes } => {
                self.widest = services.iter().map(|name| text::width(name)).max().unwrap_or(0).min(40);
                notes.iter().for_each(|note| self.tell(&format!("note: {}", text::clean(note))));
            }
            Progress::State { service, state, ready, scale, reason, elapsed_ms } => {
                let elapsed = Duration::from_millis(*elapsed_ms);
                let (service, state, reason) = (service.clone(), self.word(state).to_owned(), reason.clone());
                self.state(Line { service, state, ready: *ready, scale: *scale, reason, elapsed });
            }
            Progress::Note { message } => self.tell(&text::clean(message)),
            Progress::End { .. } => self.finish(),
        }
        Ok(())
    }

    /// Takes the bars away, and says once how each service ended.
    pub(super) fn finish(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.each.values().for_each(ProgressBar::disable_steady_tick);
            // A terminal that cannot be cleared only keeps some old lines.
            bars.all.clear().unwrap_or(());
            let lines: Vec<String> = self.last.values().map(|line| self.text(line)).collect();
            lines.iter().for_each(|line| self.output.say(line));
        }
    }

    /// Services that ended badly.
    pub(super) fn failed(&self) -> Vec<String> {
        let bad = |line: &&Line| matches!(line.state.as_str(), "failed" | "crashloop" | "backoff");
        self.last.values().filter(bad).map(|line| line.service.clone()).collect()
    }

    fn state(&mut self, line: Line) {
        let before = self.last.insert(line.service.clone(), line.clone());
        let settled = is_settled(&line.state);
        let text = self.text(&line);
        match &mut self.bars {
            Some(bars) => bars.show(&line.service, text, settled),
            None => {
                // A reason that changes while the state stays is for `why`.
                let news = match before {
                    None => !self.beside,
                    Some(old) => (old.state, old.ready) != (line.state.clone(), line.ready),
                };
                if news && !self.is_still_up(&line) {
                    self.output.say(&text);
                }
            }
        }
    }

    /// What a `stop` finds running is no news; that it stops is.
    fn is_still_up(&self, line: &Line) -> bool {
        self.ask == Ask::Stop && !matches!(line.state.as_str(), "stopping" | "stopped" | "failed" | "done")
    }

    /// Says something beside the lines of services.
    pub(super) fn tell(&self, line: &str) {
        match &self.bars {
            // The terminal is standard error's; a line that cannot be printed has no other way out.
            Some(bars) => bars.all.println(line).unwrap_or(()),
            None => self.output.say(line),
        }
    }

    fn word<'a>(&self, state: &'a str) -> &'a str {
        if state == "idle" && self.ask == Ask::Stop { "stopped" } else { state }
    }

    fn text(&self, line: &Line) -> String {
        let pad = " ".repeat(self.widest.saturating_sub(text::width(&line.service)));
        let state = format!("{:<9}", line.state);
        let state = Paint::of_state(&line.state).map_or(state.clone(), |paint| paint.on(&state, self.output.color_err));
        let mut out = format!("{}{pad}  {state}", text::clean(&line.service));
        if line.scale > 1 && self.ask != Ask::Stop {
            out.push_str(&format!("  {}/{}", line.ready, line.scale));
        }
        // A line that moves would show a time that stands still.
        if self.bars.is_none() || is_settled(&line.state) {
            out.push_str(&format!("  {}", text::time(line.elapsed)));
        }
        if let Some(reason) = line.reason.as_ref().filter(|_| line.state != "ready") {
            out.push_str(&format!("  {}", text::clean(reason)));
        }
        out
    }
}

impl Bars {
    fn new() -> Bars {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let style =
            |template| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        Bars { all, each: BTreeMap::new(), style: style("{spinner} {wide_msg}"), still: style("  {wide_msg}") }
    }

    fn show(&mut self, service: &str, text: String, settled: bool) {
        if self.each.len() >= BARS && !self.each.contains_key(service) {
            return;
        }
        let all = &self.all;
        let bar = self.each.entry(service.to_owned()).or_insert_with(|| all.add(ProgressBar::new_spinner()));
        bar.set_message(text);
        // A settled service keeps its line, without anything that moves: taking single lines away leaves remains on some terminals.
        bar.set_style(if settled { self.still.clone() } else { self.style.clone() });
        if settled {
            bar.disable_steady_tick();
        } else {
            bar.enable_steady_tick(TICK);
        }
    }
}

fn is_settled(state: &str) -> bool {
    matches!(state, "ready" | "done" | "stopped" | "failed" | "crashloop")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Color, Format};

    /// Service, state, ready, scale, reason, milliseconds.
    type Given<'a> = (&'a str, &'a str, u32, u32, Option<&'a str>, u64);

    fn shown(ask: Ask, lines: &[Given<'_>]) -> String {
        let mut show = Show::new(ask, Output::new(Format::Text, Color::Never));
        show.widest = 6;
        let text = |&(service, state, ready, scale, reason, ms): &Given<'_>| {
            let state = show.word(state).to_owned();
            let (service, reason) = (service.to_owned(), reason.map(Into::into));
            show.text(&Line { service, state, ready, scale, reason, elapsed: Duration::from_millis(ms) })
        };
        lines.iter().map(text).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn one_line_for_each_change() {
        let text = shown(
            Ask::Start,
            &[
                ("api", "building", 0, 1, None, 12),
                ("worker", "queued", 0, 2, Some("waits for `api` to be ready"), 900),
                ("worker", "ready", 2, 2, Some("old"), 1234),
                ("api", "failed", 0, 1, Some("exited with\ncode 2"), 61_000),
            ],
        );
        insta::assert_snapshot!(text, @r"
        api     building   12ms
        worker  queued     0/2  900ms  waits for `api` to be ready
        worker  ready      2/2  1.2s
        api     failed     1m01s  exited with code 2
        ");
        insta::assert_snapshot!(shown(Ask::Stop, &[("api", "idle", 0, 2, None, 12)]), @"api     stopped    12ms");
        let killed = Some("it was killed after the grace of 400ms");
        insta::assert_snapshot!(shown(Ask::Stop, &[("api", "idle", 0, 1, killed, 412)]), @"api     stopped    412ms  it was killed after the grace of 400ms");
    }
}
