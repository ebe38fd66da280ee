//! CPU and memory over the last minutes: two charts beside each other, or two lines where there is no room for them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::facts::Facts;
use crate::text;
use crate::tui::history::{Sample, bars};
use crate::tui::theme::Token;
use crate::tui::view::chart::{self, Chart};
use crate::tui::view::header::short;
use crate::tui::view::paint::{Line, sparks};

/// A chart shows at least so many seconds.
const SHOWN: usize = 300;

/// The upper edge of a chart of memory is never lower, in bytes.
const LEAST: f64 = 1_048_576.0;

/// What was measured of one thing.
struct Series {
    seconds: Vec<Option<f64>>,
    now: Option<f64>,
    limit: Option<f64>,
}

impl Series {
    fn of(facts: &Facts<'_>, value: fn(Sample) -> f64, now: Option<f64>, limit: Option<f64>) -> Series {
        let seconds = facts.seconds(crate::tui::history::SECONDS);
        Series { seconds: seconds.into_iter().map(|sample| sample.map(value)).collect(), now, limit }
    }

    /// The seconds of a chart, put together.
    fn bars(&self, second: i64, n: usize) -> (Vec<Option<f64>>, usize) {
        let per = SHOWN.div_ceil(n.max(1));
        (bars(&self.seconds, second, per, n), per * n)
    }

    /// `now 34 avg 22 max 171 of 200`: the last is its limit.
    fn words(&self, write: fn(f64) -> String) -> String {
        let lately = || self.seconds[self.seconds.len().saturating_sub(SHOWN)..].iter().flatten().copied();
        let n = lately().count();
        let now = self.now.map_or_else(|| "-".to_owned(), write);
        let limit = self.limit.map_or_else(String::new, |limit| format!(" of {}", write(limit)));
        match n {
            0 => format!("now {now}{limit}"),
            n => {
                let mean = lately().sum::<f64>() / n as f64;
                let most = lately().fold(0.0, f64::max);
                format!("now {now} avg {} max {}{limit}", write(mean), write(most))
            }
        }
    }
}

fn percent(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn bytes(value: f64) -> String {
    text::size(value.max(0.0) as u64)
}

fn cpu(facts: &Facts<'_>) -> Series {
    let now = facts.instances.iter().filter_map(|copy| copy.cpu_percent).reduce(|a, b| a + b);
    let limits = facts.instances.iter().map(|copy| copy.limits.as_ref()?.cpu.map(|cores| cores * 100.0));
    Series::of(facts, |sample| sample.cpu, now, limits.sum::<Option<f64>>().filter(|limit| *limit > 0.0))
}

fn memory(facts: &Facts<'_>) -> Series {
    let now = facts.instances.iter().filter_map(|copy| copy.memory_bytes).reduce(|a, b| a + b);
    let limits = facts.instances.iter().map(|copy| copy.limits.as_ref()?.memory_bytes.map(|bytes| bytes as f64));
    let limit = limits.sum::<Option<f64>>().filter(|limit| *limit > 0.0);
    Series::of(facts, |sample| sample.memory as f64, now.map(|bytes| bytes as f64), limit)
}

/// Draws both, and a line of numbers that have no chart.
pub(super) fn draw(facts: &Facts<'_>, buffer: &mut Buffer, area: Rect) {
    if area.height == 0 {
        return;
    }
    let (cpu, memory) = (cpu(facts), memory(facts));
    if area.height < 5 {
        lines(facts, &cpu, &memory, buffer, area);
        return;
    }
    let model = facts.model;
    let plots = Rect { height: area.height - 1, ..area };
    let left = Rect { width: plots.width / 2 - 1, ..plots };
    let right = Rect { x: plots.x + plots.width / 2, width: plots.width - plots.width / 2 - 1, ..plots };
    let title = if model.cores > 0 { format!("CPU % of {}", model.cores * 100) } else { "CPU %".to_owned() };
    plot(facts, &title, &cpu, (percent, |highest| chart::round_up(highest.max(1.0))), buffer, left);
    plot(facts, "Memory", &memory, (bytes, |highest| chart::round_up_bytes(highest.max(LEAST))), buffer, right);
    let row = Rect { y: area.bottom() - 1, height: 1, ..area };
    Line::of(buffer, row, 0).put(&numbers(facts), facts.style(Token::Dim));
}

/// How a value is written.
type Write = fn(f64) -> String;
/// The same, and the upper edge of a chart for its highest value.
type Scale = (Write, fn(f64) -> f64);

fn plot(facts: &Facts<'_>, title: &str, series: &Series, scale: Scale, buffer: &mut Buffer, area: Rect) {
    let (bars, span) = series.bars(facts.model.fleet.second(), chart::n_bars(area.width));
    let highest = bars.iter().flatten().copied().fold(0.0, f64::max);
    let near = |limit: &f64| *limit <= 2.0 * highest;
    let top = scale.1(series.limit.filter(near).map_or(highest, |limit| limit.max(highest)));
    let drawn =
        Chart { title, words: series.words(scale.0), bars: &bars, top, limit: series.limit, label: scale.0, span };
    chart::draw(&facts.model.theme, facts.model.ascii, &drawn, buffer, area);
}

/// Where there is no room for axes.
fn lines(facts: &Facts<'_>, cpu: &Series, memory: &Series, buffer: &mut Buffer, area: Rect) {
    let second = facts.model.fleet.second();
    let columns = usize::from(area.width / 3).clamp(6, 40);
    let all: [(&str, &Series, Write); 2] = [("CPU %", cpu, percent), ("Memory", memory, bytes)];
    for (row, (title, series, write)) in (0..area.height).zip(all) {
        let (bars, _) = series.bars(second, columns);
        let mut line = Line::of(buffer, area, row);
        line.put(&format!(" {title:<7}"), facts.style(Token::Accent));
        line.put(&sparks(&bars, 1.0, facts.model.ascii), facts.style(Token::Good));
        line.put(&format!(" {}", series.words(write)), facts.style(Token::Text));
    }
}

/// `log 4.9k lines/s`, and what its limits are worth.
fn numbers(facts: &Facts<'_>) -> String {
    let mut words = vec![format!(" log {} lines/s", short(u64::from(facts.rate())))];
    let limits = facts.instances.iter().find_map(|copy| copy.limits.as_ref());
    if let Some(limits) = limits.filter(|limits| !limits.enforced) {
        let why = limits.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        words.push(format!("limits are not enforced{why}"));
    }
    words.join("   ")
}
