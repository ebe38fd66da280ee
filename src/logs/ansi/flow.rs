//! Lays spans out in columns: rows of a width, a window for sideways scrolling. What a terminal draws as one character is never cut through.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::Span;

/// The columns spans take.
pub fn width<S>(spans: &[Span<S>]) -> usize {
    spans.iter().map(|span| columns(&span.text)).sum()
}

/// The columns a text takes.
pub(super) fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.graphemes(true).map(UnicodeWidthStr::width).sum() }
}

/// Breaks spans into rows of at most `width` columns; put together again they are the same text. There is always a first row. A character that is
/// wider than `width` has a row of its own.
pub fn wrap<S: Copy>(spans: &[Span<S>], width: usize) -> Vec<Vec<Span<S>>> {
    let width = width.max(1);
    let mut rows = vec![Vec::new()];
    let mut used = 0;
    for span in spans {
        let mut rest = span.text.as_str();
        while !rest.is_empty() {
            let (len, columns) = fitting(rest, width - used.min(width), used == 0);
            if len == 0 {
                rows.push(Vec::new());
                used = 0;
                continue;
            }
            let (now, later) = rest.split_at(len);
            if let Some(row) = rows.last_mut() {
                row.push(Span { text: now.to_owned(), style: span.style });
            }
            used += columns;
            rest = later;
        }
    }
    rows
}

/// What of spans is seen in `width` columns from column `from` on. Of a wide character that stands across the left edge blanks are seen, so that what
/// follows keeps its column; one across the right edge is left out.
pub fn cut<S: Copy>(spans: &[Span<S>], from: usize, width: usize) -> Vec<Span<S>> {
    let mut out = Vec::new();
    let (mut column, end) = (0, from.saturating_add(width));
    for span in spans {
        if column >= end {
            break;
        }
        let mut text = String::new();
        if span.text.is_ascii() {
            let len = span.text.len();
            let (first, last) = (from.saturating_sub(column).min(len), (end - column).min(len));
            text.push_str(&span.text[first..last]);
            column += len;
        } else {
            for part in span.text.graphemes(true) {
                let next = column + part.width();
                if next > end {
                    column = end;
                    break;
                }
                // A mark that takes no column belongs to what stands before it.
                if column >= from && (next > from || from == 0) {
                    text.push_str(part);
                } else if next > from {
                    text.extend(std::iter::repeat_n(' ', next - from));
                }
                column = next;
            }
        }
        if !text.is_empty() {
            out.push(Span { text, style: span.style });
        }
    }
    out
}

/// How many bytes of a text fit into `room` columns, and the columns they take; at least one character where the row is `empty`.
fn fitting(text: &str, room: usize, empty: bool) -> (usize, usize) {
    // One more than there is room for: what follows a letter may be a mark on it. No more: a line is measured once, however long.
    let n_seen = text.len().min(room + 1);
    if text.as_bytes()[..n_seen].is_ascii() {
        return (n_seen.min(room), n_seen.min(room));
    }
    let (mut len, mut columns) = (0, 0);
    for part in text.graphemes(true) {
        let wide = part.width();
        let is_first = empty && columns == 0;
        if columns + wide > room && !(is_first && wide > 0) {
            break;
        }
        len += part.len();
        columns += wide;
    }
    (len, columns)
}
