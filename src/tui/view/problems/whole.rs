//! Problems and tests alone on the screen: groups, and below them what is said of the one the cursor is on.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::{glyph, source, styles, times};
use crate::text;
use crate::tui::fleet::Tone;
use crate::tui::model::{Model, Pane};
use crate::tui::problems::{Group, Kind, Listed, Row, Tab};
use crate::tui::theme::Token;
use crate::tui::view::paint::{Line, restyle};
use crate::tui::view::shown::Shown;

/// Lines above the list.
const HEAD: u16 = 2;

/// Draws the screen.
pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect, pane: Pane) {
    let rows = model.problems.rows(Listed::Whole);
    if above(area) > 0 {
        head(model, buffer, area, pane);
    }
    let (list, below) = parts(area, rows.len());
    if rows.is_empty() {
        let said = if model.problems.all { "nothing is wrong" } else { "nothing fails" };
        Line::of(buffer, list, 0).put(&format!("   {said}"), model.theme.style(Token::Dim));
        return;
    }
    let at = model.problems.list(Listed::Whole).at;
    let shown = Shown::of(list, model.problems.list(Listed::Whole), rows.len());
    let widest = rows.iter().map(|row| text::width(&row.group.service)).max().unwrap_or(0).clamp(4, 16);
    let places = rows.iter().filter_map(|row| row.problem()?.place.as_ref()).map(|place| place.to_string().len());
    let places = places.max().unwrap_or(0).min(usize::from(area.width) / 2);
    for (n, y) in shown.rows() {
        let row = &rows[n];
        match row.problem() {
            None => group(model, row, widest, &mut Line::of(buffer, list, y)),
            Some(_) => item(model, row, places, &mut Line::of(buffer, list, y)),
        }
        if n == at {
            restyle(buffer, list, y, model.theme.selected());
        }
    }
    if let Some(row) = rows.get(at) {
        source::draw(model, row, buffer, below);
    }
}

/// The list of so many rows, and what is said below it of the one the cursor is on.
pub(super) fn parts(area: Rect, rows: usize) -> (Rect, Rect) {
    let above = above(area);
    let body = Rect { y: area.y + above, height: area.height - above, ..area };
    let wanted = u16::try_from(rows).unwrap_or(u16::MAX);
    // The list has what it needs, up to half; of a small screen all.
    let list = if body.height < 8 { body.height } else { wanted.min(body.height / 2).max(3) };
    (Rect { height: list, ..body }, Rect { y: body.y + list, height: body.height - list, ..body })
}

/// Lines above the list: of a very small screen the list has all.
fn above(area: Rect) -> u16 {
    if area.height > 2 * HEAD { HEAD } else { 0 }
}

fn head(model: &Model, buffer: &mut Buffer, area: Rect, pane: Pane) {
    let theme = &model.theme;
    let (plain, dim) = (theme.style(Token::Text), theme.style(Token::Dim));
    let mut line = Line::of(buffer, area, 0);
    let rule = if model.ascii { "--" } else { "──" };
    line.put(rule, theme.style(Token::Rule));
    let name = theme.style(Token::Accent).add_modifier(Modifier::BOLD);
    line.put(&format!("[{}] Problems & Tests", pane.number()), name);
    for (tab, word) in [(Tab::Builds, "build"), (Tab::Tests, "test"), (Tab::Panics, "panic"), (Tab::Lint, "vet")] {
        let n = model.problems.count(tab);
        let (glyph, token) =
            if tab == Tab::Lint { ('!', Token::Warn) } else { (Tone::Bad.glyph(model.ascii), Token::Bad) };
        if n > 0 {
            line.put(&format!("  {glyph}{n} {word}"), theme.style(token));
        }
    }
    if model.problems.count(Tab::All) == 0 {
        line.put("  none", dim);
    }
    let mut line = Line::of(buffer, area, 1);
    line.put("  ", plain);
    for tab in Tab::ALL {
        let chosen = theme.selected();
        let style = if tab == model.problems.tab { plain.patch(chosen) } else { dim };
        line.put(&format!(" {} ", tab.word()), style);
    }
    let scope = if model.problems.all { "everything" } else { "failing only" };
    line.put(&format!("    {scope} (f)"), dim);
}

/// `▾ ✗ build  orders    3 errors   2.1s  old copy kept`
fn group(model: &Model, row: &Row, widest: usize, line: &mut Line<'_>) {
    let group: &Group = &row.group;
    let (plain, dim) = styles(model, group);
    let fold = match (group.items.is_empty(), row.folded, model.ascii) {
        (true, _, _) => "  ",
        (_, true, false) => " ▸",
        (_, false, false) => " ▾",
        (_, true, true) => " +",
        (_, false, true) => " -",
    };
    line.put(fold, dim);
    glyph(model, row, line);
    line.cell(group.kind.word(), 6, false, if group.past { dim } else { plain.add_modifier(Modifier::BOLD) });
    let name = if group.past { dim } else { model.theme.name_style(&group.service) };
    line.cell(&group.service, u16::try_from(widest).unwrap_or(16), false, name).put("  ", plain);
    line.put(&group.title, plain);
    let mut more: Vec<String> = Some(group.more.clone()).filter(|more| !more.is_empty()).into_iter().collect();
    more.extend(times(model, group));
    more.extend(group.past.then(|| "over".to_owned()));
    let more = more.join("  ");
    let width = u16::try_from(text::width(&more)).unwrap_or(u16::MAX).saturating_add(2);
    if line.room() > width {
        line.right(&format!("{more} "), dim);
    } else {
        line.put("  ", dim).put(&more, dim);
    }
}

/// `    cmd/orders/main.go:41:17   undefined: newRepo`
fn item(model: &Model, row: &Row, places: usize, line: &mut Line<'_>) {
    let Some(item) = row.problem() else { return };
    let (plain, dim) = styles(model, &row.group);
    line.put("     ", plain);
    let place = item.place.as_ref().map(ToString::to_string).unwrap_or_default();
    if places > 0 {
        line.cell(&place, u16::try_from(places).unwrap_or(u16::MAX), false, dim).put("  ", plain);
    }
    line.put(&item.text, plain);
    let hint = match row.group.kind {
        Kind::Panic if !item.more.is_empty() => {
            format!("  {} ({})", item.more, model.key(crate::tui::actions::Action::Raw))
        }
        _ if !item.more.is_empty() => format!("  {}", item.more),
        _ => return,
    };
    if usize::from(line.room()) > text::width(&hint) {
        line.right(&format!("{hint} "), dim);
    }
}
