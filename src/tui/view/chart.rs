//! A chart of the last minutes: an area below a line, with its values, its time and its limit. Pure.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::paint::Line;
use crate::tui::theme::{Theme, Token};

/// Columns for the values at the left, the axis included.
pub const AXIS: u16 = 7;

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// What it is of.
    pub title: &'a str,
    /// The same in numbers: now, on average, at most.
    pub words: String,
    /// Oldest first: two for each column; `None` where there is none.
    pub bars: &'a [Option<f64>],
    /// The value at the upper edge.
    pub top: f64,
    /// What it is held to.
    pub limit: Option<f64>,
    /// How a value is written.
    pub label: fn(f64) -> String,
    /// How long ago the left edge is, in seconds.
    pub span: usize,
}

/// Two bars for each column that is left beside the values.
pub fn n_bars(width: u16) -> usize {
    2 * usize::from(width.saturating_sub(AXIS))
}

/// A round number that is not below this one: 1, 2 or 5 and zeros.
pub fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let unit = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * unit).find(|step| *step >= value).unwrap_or(value)
}

/// The same for bytes: a power of two of them.
pub fn round_up_bytes(value: f64) -> f64 {
    if value <= 1.0 || !value.is_finite() { 1.0 } else { 2_f64.powf(value.log2().ceil()) }
}

/// Draws it: a title, the area, the time below. With less than three rows there is no area.
pub fn draw(theme: &Theme, ascii: bool, chart: &Chart<'_>, buffer: &mut Buffer, area: Rect) {
    let dim = theme.style(Token::Dim);
    let mut line = Line::of(buffer, area, 0);
    line.put(" ", dim).put(chart.title, theme.style(Token::Accent).add_modifier(Modifier::BOLD));
    line.put("  ", dim).put(&chart.words, theme.style(Token::Text));
    let rows = area.height.saturating_sub(2);
    let top = if chart.top > 0.0 { chart.top } else { 1.0 };
    for row in 0..rows {
        let mut line = Line::of(buffer, area, row + 1);
        let left = f64::from(rows - row);
        let value = top * left / f64::from(rows);
        // With many rows each second one has room enough to be read.
        let label = if rows <= 5 || (rows - row).is_multiple_of(2) { (chart.label)(value) } else { String::new() };
        line.cell(&label, AXIS - 1, true, dim).put(if ascii { "|" } else { "┤" }, theme.style(Token::Rule));
        let limit = chart.limit.map(|limit| limit / top * f64::from(rows));
        let is_limit = limit.is_some_and(|limit| limit > left - 1.0 && limit <= left);
        for pair in chart.bars.chunks(2) {
            let dots = |bar: Option<&Option<f64>>| dots(bar.copied().flatten(), top, rows, rows - 1 - row);
            let (symbol, style) = cell([dots(pair.first()), dots(pair.get(1))], is_limit, ascii, theme);
            line.put(symbol.encode_utf8(&mut [0; 4]), style);
        }
    }
    if area.height > 1 {
        axis(theme, ascii, chart, &mut Line::of(buffer, area, area.height - 1));
    }
}

/// How many of the four dots of a cell a value fills: in the cell that is `level` cells above the ground.
fn dots(bar: Option<f64>, top: f64, rows: u16, level: u16) -> u8 {
    let Some(value) = bar else { return 0 };
    let all = (value / top * f64::from(rows) * 4.0).round().max(if level == 0 { 1.0 } else { 0.0 });
    (all - f64::from(level) * 4.0).clamp(0.0, 4.0) as u8
}

/// One cell: two bars beside each other.
fn cell(dots: [u8; 2], is_limit: bool, ascii: bool, theme: &Theme) -> (char, Style) {
    // The dots of braille from the ground up.
    const LEFT: [u32; 5] = [0, 0x40, 0x44, 0x46, 0x47];
    const RIGHT: [u32; 5] = [0, 0x80, 0xA0, 0xB0, 0xB8];
    const PLAIN: [char; 5] = [' ', '.', ':', '|', '#'];
    let [left, right] = dots.map(usize::from);
    match (left + right, ascii) {
        (0, false) if is_limit => ('╌', theme.style(Token::Warn)),
        (0, true) if is_limit => ('-', theme.style(Token::Warn)),
        (0, _) => (' ', theme.style(Token::Text)),
        (_, true) => (PLAIN[left.max(right)], theme.style(Token::Good)),
        (_, false) => {
            let symbol = char::from_u32(0x2800 + LEFT[left] + RIGHT[right]).unwrap_or(' ');
            (symbol, theme.style(Token::Good))
        }
    }
}

/// `└5m────2m30s────now`
fn axis(theme: &Theme, ascii: bool, chart: &Chart<'_>, line: &mut Line<'_>) {
    let (dim, rule) = (theme.style(Token::Dim), theme.style(Token::Rule));
    let [corner, dash] = if ascii { ["`", "-"] } else { ["└", "─"] };
    line.cell("", AXIS - 1, true, dim).put(corner, rule);
    let width = chart.bars.len() / 2;
    let [first, middle, last] = [span(chart.span), span(chart.span / 2), "now".to_owned()];
    let words = first.len() + middle.len() + last.len();
    if words + 4 > width {
        line.put(&dash.repeat(width), rule);
        return;
    }
    // The middle stands in the middle.
    let before = (width / 2).saturating_sub(middle.len() / 2 + first.len());
    let after = width.saturating_sub(before + words);
    line.put(&first, dim)
        .put(&dash.repeat(before), rule)
        .put(&middle, dim)
        .put(&dash.repeat(after), rule)
        .put(&last, dim);
}

/// `5m`, `2m30s`, `40s`
fn span(seconds: usize) -> String {
    match (seconds / 60, seconds % 60) {
        (0, s) => format!("{s}s"),
        (m, 0) => format!("{m}m"),
        (m, s) => format!("{m}m{s:02}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drawn(bars: &[Option<f64>], area: Rect, ascii: bool) -> String {
        let chart = Chart {
            title: "CPU",
            words: "now 1".into(),
            bars,
            top: 8.0,
            limit: Some(7.0),
            label: |value| format!("{value:.0}"),
            span: 300,
        };
        let mut buffer = Buffer::empty(area);
        draw(&Theme::default(), ascii, &chart, &mut buffer, area);
        let rows = buffer.content().chunks(usize::from(area.width).max(1));
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n").collect()
    }

    #[test]
    fn an_area_with_its_axes() {
        let bars: Vec<Option<f64>> =
            (0..40).map(|n| if n < 6 { None } else { Some(f64::from(n % 16) / 2.0) }).collect();
        let both = [(6, false), (4, true)].map(|(height, ascii)| drawn(&bars, Rect::new(0, 0, 27, height), ascii));
        insta::assert_snapshot!("chart", both.concat());
    }

    #[test]
    fn edges_are_round() {
        assert_eq!([0.0, 0.3, 3.0, 5.0, 51.0, f64::NAN].map(round_up), [1.0, 0.5, 5.0, 5.0, 100.0, 1.0]);
        assert_eq!([0.0, 3.0, 1e6].map(round_up_bytes), [1.0, 4.0, 1_048_576.0]);
    }

    proptest! {
        #[test]
        fn any_values_at_any_size(bars in prop::collection::vec(prop::option::of(any::<f64>()), 0..90), width in 1_u16..60, height in 1_u16..9) {
            drawn(&bars, Rect::new(0, 0, width, height), false);
            drawn(&bars, Rect::new(0, 0, width, height), true);
        }
    }
}
