//! A table whose columns line up whatever the width of its characters; readable without colour.

use super::output::Paint;
use super::text;

/// Between two columns.
const GAP: usize = 2;

/// One cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cell {
    text: String,
    paint: Option<Paint>,
}

/// Which side a column's text stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// A row, or a line of text below one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Row {
    /// One cell for each column.
    Cells(Vec<Cell>),
    /// Printed as it is.
    Line(String, Option<Paint>),
}

impl Cell {
    /// Text in the default look.
    pub(super) fn plain(text: impl Into<String>) -> Cell {
        Cell { text: text::clean(&text.into()).into_owned(), paint: None }
    }

    /// Text in some look.
    pub(super) fn painted(text: impl Into<String>, paint: Option<Paint>) -> Cell {
        Cell { paint, ..Cell::plain(text) }
    }
}

/// Renders the table. `limit` is the width of the terminal: wider rows have the columns named in `shrink` cut, the widest first.
pub(super) fn render(
    columns: &[(&str, Side)],
    rows: &[Row],
    shrink: &[usize],
    limit: Option<usize>,
    color: bool,
) -> String {
    let mut widths: Vec<usize> = columns.iter().map(|(title, _)| text::width(title)).collect();
    for row in rows {
        if let Row::Cells(cells) = row {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(text::width(&cell.text));
            }
        }
    }
    if let Some(limit) = limit {
        fit(&mut widths, shrink, limit);
    }
    let titles = columns.iter().map(|(title, _)| Cell::painted(*title, Some(Paint::Bold))).collect();
    let mut out = String::new();
    for row in [&Row::Cells(titles)].into_iter().chain(rows) {
        match row {
            Row::Cells(cells) => line(&mut out, columns, cells, &widths, color),
            Row::Line(text, paint) => {
                let text = text::clean(text);
                let text = limit.map_or(text.clone(), |limit| text::cut(&text, limit).into_owned().into());
                out.push_str(&paint.map_or_else(|| text.to_string(), |paint| paint.on(&text, color)));
            }
        }
        out.push('\n');
    }
    out
}

fn line(out: &mut String, columns: &[(&str, Side)], cells: &[Cell], widths: &[usize], color: bool) {
    for (at, ((cell, width), (_, side))) in cells.iter().zip(widths).zip(columns).enumerate() {
        let text = text::cut(&cell.text, *width);
        let pad = " ".repeat(width.saturating_sub(text::width(&text)));
        let text = cell.paint.map_or_else(|| text.to_string(), |paint| paint.on(&text, color));
        let last = at + 1 == cells.len();
        match side {
            Side::Right => out.push_str(&format!("{pad}{text}")),
            Side::Left if last => out.push_str(&text),
            Side::Left => out.push_str(&format!("{text}{pad}")),
        }
        if !last {
            out.push_str(&" ".repeat(GAP));
        }
    }
}

/// Takes columns away from the widest that may shrink, down to six.
fn fit(widths: &mut [usize], shrink: &[usize], limit: usize) {
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    while total(widths) > limit {
        let widest =
            shrink.iter().copied().filter(|at| widths.get(*at).is_some_and(|w| *w > 6)).max_by_key(|at| widths[*at]);
        let Some(widest) = widest else { return };
        widths[widest] -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_line_up() {
        let columns = [("NAME", Side::Left), ("N", Side::Right), ("WORD", Side::Left)];
        let row = |a: &str, b: &str, c: &str| Row::Cells(vec![Cell::plain(a), Cell::plain(b), Cell::plain(c)]);
        let rows = [row("日本", "1", "x"), Row::Line("  why".into(), None), row("api", "12", "")];
        let lines = render(&columns, &rows, &[], None, false);
        assert_eq!(lines, "NAME   N  WORD\n日本   1  x\n  why\napi   12  \n");
        let cut = render(&columns, &[row("a-rather-long-name", "1", "x")], &[0], Some(20), false);
        assert_eq!(cut, "NAME         N  WORD\na-rather-l…  1  x\n");
    }
}
