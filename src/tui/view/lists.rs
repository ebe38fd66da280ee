//! The lists of services and vendors.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::header::coarse;
use super::paint::{Line, restyle, sparks};
use super::shown::{Shown, below_title};
use super::title;
use crate::text;
use crate::tui::fleet::{Row, Sort};
use crate::tui::model::{Model, Pane};
use crate::tui::theme::Token;

/// A column beside the name: its heading, width and whether it is aligned right.
struct Column {
    heading: &'static str,
    width: u16,
    right: bool,
    text: fn(&Model, &Row) -> String,
}

/// The most wanted first: what has no room is left out.
const COLUMNS: [Column; 7] = [
    Column { heading: "STATE", width: 10, right: false, text: |_, row| row.state.clone() },
    Column { heading: "CPU%", width: 5, right: true, text: |_, row| optional(row.cpu, |cpu| format!("{cpu:.1}")) },
    Column { heading: "MEM", width: 4, right: true, text: |_, row| optional(row.memory, text::size) },
    Column { heading: "PORT", width: 6, right: true, text: |_, row| optional(row.port, |port| format!(":{port}")) },
    Column { heading: "AGE", width: 3, right: true, text: age },
    Column { heading: "RS", width: 2, right: true, text: |_, row| optional(row.restarts, |n| n.to_string()) },
    Column {
        heading: "HLTH",
        width: 4,
        right: false,
        text: |_, row| optional(Some(&row.health).filter(|word| !word.is_empty()), String::clone),
    },
];
/// The order in which they stand.
const ORDER: [usize; 7] = [0, 4, 5, 1, 2, 3, 6];
/// The narrowest and the widest name.
const NAME: (u16, u16) = (8, 24);
const SPARK: u16 = 8;
/// The mark, the glyph and a blank stand before the name.
const LABEL: u16 = 3;

fn optional<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

/// `5s`, `12m`, `2h`, `3d`: it changes rarely, and so does the screen.
fn age(model: &Model, row: &Row) -> String {
    let since = row.since.as_deref().and_then(|since| since.parse::<jiff::Timestamp>().ok());
    let seconds = since.map(|since| u64::try_from((model.now - since.as_microsecond()) / 1_000_000).unwrap_or(0));
    optional(seconds, coarse)
}

/// Draws one of the lists.
pub fn draw(model: &Model, buffer: &mut Buffer, area: Rect, pane: Pane) {
    if area.is_empty() {
        return;
    }
    let vendors = pane == Pane::Vendors;
    let rows = model.rows(vendors);
    let list = if vendors { &model.vendors } else { &model.services };
    head(model, buffer, area, pane, &rows);
    let columns = Columns::fit(&rows, area.width);
    let shown = Shown::of(body(area, pane), list, rows.len());
    if shown.area.y > area.y + 1 {
        columns.headings(model, &mut Line::of(buffer, area, 1));
    }
    if rows.is_empty() {
        empty(model, buffer, shown.area, vendors);
        return;
    }
    for (at, y) in shown.rows() {
        columns.row(model, &rows[at], &mut Line::of(buffer, shown.area, y));
        if at == list.at && model.focus == pane {
            restyle(buffer, shown.area, y, model.theme.selected());
        }
    }
}

/// Where the rows are: below the title, and below the headings of the services where there is room for both.
fn body(area: Rect, pane: Pane) -> Rect {
    let below = below_title(area);
    if pane == Pane::Vendors || below.height <= 1 { below } else { below_title(below) }
}

/// The rows that are on the screen.
pub fn shown(model: &Model, area: Rect, pane: Pane) -> Shown {
    let vendors = pane == Pane::Vendors;
    let list = if vendors { &model.vendors } else { &model.services };
    Shown::of(body(area, pane), list, model.rows(vendors).len())
}

/// The column of the sign that folds the copies of a service, where a row has one.
pub fn fold_column(model: &Model, area: Rect, pane: Pane, row: usize) -> Option<u16> {
    let is_list = matches!(pane, Pane::Services | Pane::Vendors);
    let rows = if is_list { model.rows(pane == Pane::Vendors) } else { Vec::new() };
    rows.get(row).filter(|row| row.group).map(|_| area.x + LABEL)
}

fn head(model: &Model, buffer: &mut Buffer, area: Rect, pane: Pane, rows: &[Row]) {
    let vendors = pane == Pane::Vendors;
    let n = rows.iter().filter(|row| !row.child).count();
    let copies = rows.iter().filter(|row| row.child).count();
    let what = if vendors { "Vendors" } else { "Services" };
    let mut name = format!("{what} {n}");
    if copies > 0 {
        name.push_str(&format!(" ({copies} copies)"));
    }
    let mut more = if vendors { String::new() } else { format!("sort:{}", model.sort.word()) };
    if !model.list_filter.is_empty() {
        more.push_str(&format!("  filter:{}", model.list_filter));
    }
    if !model.marks.is_empty() && !vendors {
        more.push_str(&format!("  {} marked", model.marks.len()));
    }
    title(model, buffer, area, pane, &name, more.trim_start());
}

fn empty(model: &Model, buffer: &mut Buffer, area: Rect, vendors: bool) {
    let text = match (model.fleet.ps.is_some(), vendors, model.list_filter.is_empty()) {
        (false, _, _) => " asking …",
        (true, _, false) => " no name matches",
        (true, true, true) => " no vendors",
        (true, false, true) => " no services: `orchestra init` finds them",
    };
    Line::of(buffer, area, 0).put(text, model.theme.style(Token::Dim));
}

/// Which columns have room, and how wide the names are.
struct Columns {
    name: u16,
    shown: Vec<&'static Column>,
    spark: u16,
}

impl Columns {
    fn fit(rows: &[Row], width: u16) -> Columns {
        let longest = rows.iter().map(|row| text::width(&row.label)).max().unwrap_or(0);
        let name = u16::try_from(longest).unwrap_or(u16::MAX).clamp(NAME.0, NAME.1);
        let mut left = width.saturating_sub(LABEL + name);
        let mut fits = [false; COLUMNS.len()];
        for (at, column) in COLUMNS.iter().enumerate() {
            if left > column.width {
                left -= column.width + 1;
                fits[at] = true;
            } else {
                break;
            }
        }
        let shown = ORDER.into_iter().filter(|at| fits[*at]).map(|at| &COLUMNS[at]).collect();
        Columns { name, shown, spark: if left > SPARK { SPARK } else { 0 } }
    }

    fn headings(&self, model: &Model, line: &mut Line<'_>) {
        let style = model.theme.style(Token::Dim);
        let name = if model.sort == Sort::Name { model.theme.style(Token::Accent) } else { style };
        line.put("   ", style).cell("NAME", self.name, false, name);
        for column in &self.shown {
            let sorted = column.heading == model.sort.heading();
            let style = if sorted { model.theme.style(Token::Accent) } else { style };
            line.put(" ", style).cell(column.heading, column.width, column.right, style);
        }
        if self.spark > 0 {
            line.put(" ", style).cell("CPU 60s", self.spark, false, style);
        }
    }

    fn row(&self, model: &Model, row: &Row, line: &mut Line<'_>) {
        let plain = model.theme.style(Token::Text);
        let tone = model.theme.style(row.tone.token());
        let marked = model.marks.contains(&row.id);
        line.put(if marked { "+" } else { " " }, model.theme.style(Token::Accent));
        line.put(&row.tone.glyph(model.ascii).to_string(), tone).put(" ", plain);
        let name = if marked { plain.add_modifier(Modifier::BOLD) } else { plain };
        line.cell(&row.label, self.name, false, name);
        for column in &self.shown {
            let text = (column.text)(model, row);
            line.put(" ", plain).cell(&text, column.width, column.right, style_of(model, column, row, plain, tone));
        }
        if self.spark > 0 {
            let bars = sparks(&model.fleet.cpu_bars(row, usize::from(self.spark)), 100.0, model.ascii);
            line.put(" ", plain).put(&bars, model.theme.style(Token::Accent));
        }
    }
}

fn style_of(model: &Model, column: &Column, row: &Row, plain: Style, tone: Style) -> Style {
    match column.heading {
        "STATE" => tone,
        "HLTH" if row.health == "fail" => model.theme.style(Token::Bad),
        "HLTH" if row.health == "wait" => model.theme.style(Token::Warn),
        "RS" if row.restarts.is_some_and(|n| n > 0) => model.theme.style(Token::Warn),
        _ => plain,
    }
}
