//! How much each service wrote in the last minute, and how much of it is errors.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::text;
use crate::tui::log::Rate;
use crate::tui::model::Model;
use crate::tui::theme::Token;
use crate::tui::view::paint::{Line, spark};

/// Columns of a chart, and of the number behind it.
const CHART: u16 = 8;
const NUMBER: u16 = 6;
/// `errors/s` and a blank on each side.
const HEAD: u16 = 10;

/// Draws the strip: a rule, lines and errors a second.
pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let rule = model.theme.style(Token::Rule);
    let dash = if model.ascii { '-' } else { '─' };
    let mut line = Line::of(buffer, area, 0);
    line.put(&format!("{dash}{dash} "), rule).put("rate 60s", model.theme.style(Token::Dim));
    line.put(" ", rule).fill(dash, rule);
    let rates = &model.log.rates;
    let name = rates.iter().map(|rate| text::width(&rate.service)).max().unwrap_or(0).min(16);
    let name = u16::try_from(name).unwrap_or(16);
    let each = name + CHART + NUMBER + 4;
    let n = usize::from(area.width.saturating_sub(HEAD) / each);
    let more = n < rates.len();
    row(model, &mut Line::of(buffer, area, 1), "lines/s", &rates[..n.min(rates.len())], name, |rate| &rate.lines, more);
    row(
        model,
        &mut Line::of(buffer, area, 2),
        "errors/s",
        &rates[..n.min(rates.len())],
        name,
        |rate| &rate.errors,
        more,
    );
}

fn row(
    model: &Model,
    line: &mut Line<'_>,
    head: &str,
    rates: &[Rate],
    name: u16,
    of: impl Fn(&Rate) -> &Vec<u32>,
    more: bool,
) {
    let (plain, dim) = (model.theme.style(Token::Text), model.theme.style(Token::Dim));
    line.put(" ", dim).cell(head, HEAD - 2, false, dim).put(" ", dim);
    for rate in rates {
        let values = of(rate);
        // The present second is not over.
        let whole = &values[..values.len().saturating_sub(1)];
        let top = whole.iter().copied().max().unwrap_or(0);
        let chart = if top == 0 { String::new() } else { chart(whole, f64::from(top), model.ascii) };
        let bad = head.starts_with("errors") && top > 0;
        let style = model.theme.style(if bad { Token::Bad } else { Token::Accent });
        line.cell(&rate.service, name, false, model.theme.name_style(&rate.service)).put(" ", dim);
        line.cell(&chart, CHART, false, style);
        line.cell(&short(whole.last().copied().unwrap_or(0)), NUMBER, true, plain).put("   ", dim);
    }
    if more {
        line.right(if model.ascii { ">" } else { "›" }, dim);
    }
}

/// Some seconds a column, the highest of them: a burst is not lost.
fn chart(values: &[u32], top: f64, ascii: bool) -> String {
    let columns = usize::from(CHART);
    let each = values.len().div_ceil(columns).max(1);
    let highest = |part: &[u32]| f64::from(part.iter().copied().max().unwrap_or(0));
    let bars: Vec<f64> = values.rchunks(each).rev().map(highest).collect();
    spark(&bars, columns, top, ascii)
}

/// `999`, `9.8k`, `1.2M`
fn short(n: u32) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{:.1}k", f64::from(n) / 1e3),
        _ => format!("{:.1}M", f64::from(n) / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_bursts_stay() {
        assert_eq!([999, 1_000, 9_849, 1_250_000].map(short), ["999", "1.0k", "9.8k", "1.2M"]);
        let mut values = vec![0; 59];
        values[30] = 10;
        assert_eq!(chart(&values, 10.0, true), "____#___");
    }
}
