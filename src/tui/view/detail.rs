//! One service, or one copy of it, in depth: a line of what it is, charts, and all there is to say about it; in two columns where there is room.

mod build;
mod charts;
mod facts;
mod parts;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::layout::layout;
use super::paint::Line;
use crate::tui::model::{Detail, Model, Part, Screen};
use crate::tui::theme::Token;
use facts::{Facts, Spans};

/// From so many columns on the overview stands in two columns.
const TWO: u16 = 120;

/// Columns of what is copied.
const COPIED: usize = 100;

/// Where what stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Areas {
    head: Rect,
    tabs: Rect,
    charts: Rect,
    page: Rect,
}

fn areas(detail: &Detail, area: Rect) -> Areas {
    let mut y = area.y;
    let mut take = |height: u16| {
        let height = height.min(area.bottom().saturating_sub(y));
        y += height;
        Rect { y: y - height, height, ..area }
    };
    let head = take(1);
    let tabs = take(if area.height >= 5 { 1 } else { 0 });
    let charts = match area.height {
        _ if detail.part != Part::Overview => 0,
        0..=7 => 0,
        8..=17 => 2,
        18..=25 => 7,
        26..=39 => 8,
        _ => 11,
    };
    let charts = take(if area.width < 50 { charts.min(2) } else { charts });
    Areas { head, tabs, charts, page: take(u16::MAX) }
}

/// Draws the screen.
pub fn draw(model: &Model, detail: &Detail, buffer: &mut Buffer, area: Rect) {
    let Some(facts) = Facts::of(model, detail) else {
        let text = format!(" there is no service `{}` any more", detail.service);
        Line::of(buffer, area, 0).put(&text, model.theme.style(Token::Warn));
        return;
    };
    let areas = areas(detail, area);
    put(buffer, areas.head, 0, facts.head());
    tabs(model, detail, buffer, areas.tabs);
    charts::draw(&facts, buffer, areas.charts);
    let columns = columns(&facts, detail.part, areas.page);
    let scroll = detail.scroll.min(beyond(&columns, areas.page));
    for (column, lines) in columns {
        for (row, spans) in (0..column.height).zip(lines.into_iter().skip(scroll)) {
            put(buffer, column, row, spans);
        }
    }
    if areas.page.width >= TWO && detail.part == Part::Overview {
        let rule = if model.ascii { "|" } else { "│" };
        for row in areas.page.rows() {
            let middle = Rect { x: row.x + row.width / 2 - 1, width: 1, ..row };
            Line::of(buffer, middle, 0).put(rule, model.theme.style(Token::Rule));
        }
    }
}

fn put(buffer: &mut Buffer, area: Rect, row: u16, spans: Spans) {
    let mut line = Line::of(buffer, area, row);
    for (text, style) in spans {
        line.put(&text, style);
    }
}

fn tabs(model: &Model, detail: &Detail, buffer: &mut Buffer, area: Rect) {
    let mut line = Line::of(buffer, area, 0);
    for part in Part::ALL {
        let style = match part == detail.part {
            true => model.theme.style(Token::Accent).add_modifier(Modifier::BOLD | Modifier::REVERSED),
            false => model.theme.style(Token::Dim),
        };
        line.put(" ", model.theme.style(Token::Text)).put(&format!(" {} ", part.word()), style);
    }
    let logs = format!("   {} its log", model.key(crate::tui::actions::Action::OnlyLogs));
    line.put(&logs, model.theme.style(Token::Dim));
}

/// The lines that stand beside each other, each with its area.
fn columns(facts: &Facts<'_>, part: Part, area: Rect) -> Vec<(Rect, Vec<Spans>)> {
    if part != Part::Overview || area.width < TWO {
        return vec![(area, parts::lines(facts, part, usize::from(area.width)))];
    }
    let left = Rect { width: area.width / 2 - 1, ..area };
    let right = Rect { x: area.x + area.width / 2, width: area.width - area.width / 2, ..area };
    let one = |area: Rect, side: parts::Side| (area, parts::side(facts, side, usize::from(area.width)));
    vec![one(left, parts::Side::Left), one(right, parts::Side::Right)]
}

/// Lines that have no room below.
fn beyond(columns: &[(Rect, Vec<Spans>)], page: Rect) -> usize {
    let longest = columns.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0);
    longest.saturating_sub(usize::from(page.height))
}

/// How far one can scroll.
pub fn furthest(model: &Model) -> usize {
    let Screen::Detail(detail) = &model.screen else { return 0 };
    let Some(facts) = Facts::of(model, detail) else { return 0 };
    let page = areas(detail, layout(model).body).page;
    beyond(&columns(&facts, detail.part, page), page)
}

/// What is shown, and what has no room beside it, as text: secrets are masked in it, too.
pub fn text(model: &Model) -> String {
    let Screen::Detail(detail) = &model.screen else { return String::new() };
    let Some(facts) = Facts::of(model, detail) else { return String::new() };
    let line = |spans: Spans| {
        let text: String = spans.into_iter().map(|(text, _)| text).collect();
        crate::text::clean(&text).trim_end().to_owned() + "\n"
    };
    let all = std::iter::once(facts.head()).chain(parts::lines(&facts, detail.part, COPIED));
    all.map(line).collect()
}
