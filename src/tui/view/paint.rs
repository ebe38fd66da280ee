//! Writes text into cells: cut to its room, one line, nothing that could command a terminal.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::text;

/// A line of a buffer that is written from left to right.
#[derive(Debug)]
pub struct Line<'a> {
    buffer: &'a mut Buffer,
    start: u16,
    x: u16,
    end: u16,
    y: u16,
}

impl<'a> Line<'a> {
    /// Line `row` of an area. What is below the area has no room.
    pub fn of(buffer: &'a mut Buffer, area: Rect, row: u16) -> Line<'a> {
        let inside = row < area.height;
        let end = if inside { area.right() } else { area.x };
        Line { buffer, start: area.x, x: area.x, end, y: area.y.saturating_add(row) }
    }

    /// Columns that are left.
    pub fn room(&self) -> u16 {
        self.end.saturating_sub(self.x)
    }

    /// Where the next cell is.
    pub fn x(&self) -> u16 {
        self.x
    }

    /// Writes as much as there is room for.
    pub fn put(&mut self, text: &str, style: Style) -> &mut Self {
        let room = usize::from(self.room());
        if room > 0 {
            self.split();
            let text = text::clean(text);
            let (x, _) = self.buffer.set_stringn(self.x, self.y, text, room, style);
            self.x = x;
        }
        self
    }

    /// A wide character whose second half is written over is gone: a terminal would draw it over what is written.
    fn split(&mut self) {
        let before = self.x.checked_sub(1).filter(|before| *before >= self.buffer.area.x);
        if let Some(cell) = before.and_then(|before| self.buffer.cell_mut((before, self.y)))
            && text::width(cell.symbol()) > 1
            && self.x == self.start
        {
            cell.set_symbol(" ");
        }
    }

    /// Writes exactly so many columns: cut with `…`, or filled with blanks.
    pub fn cell(&mut self, text: &str, columns: u16, right: bool, style: Style) -> &mut Self {
        let columns = columns.min(self.room());
        let text = text::clean(text);
        let text = text::cut(&text, usize::from(columns));
        let blanks = " ".repeat(usize::from(columns).saturating_sub(text::width(&text)));
        if right { self.put(&blanks, style).put(&text, style) } else { self.put(&text, style).put(&blanks, style) }
    }

    /// Fills what is left.
    pub fn fill(&mut self, with: char, style: Style) {
        let rest = with.to_string().repeat(usize::from(self.room()));
        self.put(&rest, style);
    }

    /// Writes at the right end, where it does not meet what is there.
    pub fn right(&mut self, text: &str, style: Style) {
        let width = u16::try_from(text::width(text)).unwrap_or(u16::MAX);
        if width <= self.room() {
            self.x = self.end - width;
            self.put(text, style);
        }
    }
}

/// Adds a style to the cells of a line.
pub fn restyle(buffer: &mut Buffer, area: Rect, row: u16, style: Style) {
    if row < area.height {
        buffer.set_style(Rect { y: area.y + row, height: 1, ..area }, style);
    }
}

/// Bars of a series, newest at the right; as many as there is room for.
pub fn spark(values: &[f64], columns: usize, top: f64, ascii: bool) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const PLAIN: [char; 8] = ['_', '.', '.', '-', '-', '=', '=', '#'];
    let bars = if ascii { PLAIN } else { BARS };
    let shown = &values[values.len().saturating_sub(columns)..];
    let top = shown.iter().copied().fold(top, f64::max);
    let bar = |value: &f64| bars[((value / top * 8.0) as usize).min(7)];
    let blanks = std::iter::repeat_n(' ', columns - shown.len());
    blanks.chain(shown.iter().map(bar)).collect()
}

/// Bars of which some may be missing.
pub fn sparks(bars: &[Option<f64>], top: f64, ascii: bool) -> String {
    let top = bars.iter().flatten().copied().fold(top, f64::max);
    bars.iter().map(|bar| bar.map_or_else(|| " ".to_owned(), |bar| spark(&[bar], 1, top, ascii))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Line<'_> {
        fn end(&mut self) {}
    }

    fn line(width: u16, write: impl Fn(&mut Line<'_>)) -> String {
        let area = Rect::new(0, 0, width, 1);
        let mut buffer = Buffer::empty(area);
        write(&mut Line::of(&mut buffer, area, 0));
        buffer.content().iter().map(|cell| cell.symbol()).collect()
    }

    #[test]
    fn text_stays_in_its_room() {
        let plain = Style::new();
        assert_eq!(line(8, |line| line.cell("postgres-1", 6, false, plain).put("日本語", plain).end()), "postg…日 ");
        assert_eq!(line(6, |line| line.cell("7", 4, true, plain).put("abc", plain).end()), "   7ab");
        assert_eq!(line(4, |line| line.put("a\x1b[31m\nb", plain).end()), "a\u{fffd}[3");
        assert_eq!(line(6, |line| line.put("ab", plain).right("cd", plain)), "ab  cd");
        assert_eq!(line(3, |line| line.put("ab", plain).right("cd", plain)), "ab ");
    }

    #[test]
    fn half_of_a_wide_character_is_not_left_beside_what_lies_over_it() {
        let area = Rect::new(0, 0, 8, 1);
        let mut buffer = Buffer::empty(area);
        Line::of(&mut buffer, area, 0).put("日本語x", Style::new());
        Line::of(&mut buffer, Rect::new(3, 0, 2, 1), 0).put("┌┐", Style::new());
        let text: String = buffer.content().iter().map(|cell| cell.symbol()).collect();
        assert_eq!(text, "日  ┌┐ x ");
    }

    #[test]
    fn sparks_grow_from_the_right() {
        assert_eq!(spark(&[0.0, 50.0, 100.0], 5, 100.0, false), "  ▁▅█");
        assert_eq!(spark(&[400.0, 1.0], 2, 100.0, false), "█▁");
        assert_eq!(spark(&[], 2, 100.0, true), "  ");
    }
}
