//! Moving through the log: the cursor leads, the screen follows it, and following ends with the first step up.

use super::LogPane;
use crate::logs::index::{Anchor, Position, Window};

impl LogPane {
    /// Moves the cursor by so many rows, as far as the window reaches.
    pub fn step(&mut self, by: isize) {
        let Some(at) = self.current() else { return };
        let last = self.window.rows.len() - 1;
        let to = at.saturating_add_signed(by).min(last);
        if by > 0 && to == last && self.window.at_bottom && (at == last || self.follow) {
            return self.bottom();
        }
        self.show_at(to);
    }

    /// Moves by pages: screen and cursor together.
    pub fn pages(&mut self, halves: isize) {
        let half = (isize::try_from(self.size.1).unwrap_or(1) / 2).max(1);
        let page = self.page();
        let Some((first, _)) = page.rows.first().copied() else { return };
        let by = half.saturating_mul(halves);
        if by > 0
            && (self.follow
                || self.window.at_bottom && page.rows.last().is_some_and(|(at, _)| at + 1 == self.window.rows.len()))
        {
            return self.bottom();
        }
        let last = self.window.rows.len() - 1;
        let top = first.saturating_add_signed(by).min(last);
        let cursor = self.current().unwrap_or(top).saturating_add_signed(by).clamp(0, last);
        self.follow = false;
        self.set_top(top);
        self.cursor = Some(self.window.rows[cursor].position);
        self.keep_in_sight(cursor);
    }

    /// Moves the screen by so many rows, and the cursor only as far as it must to stay on it. At the bottom it follows.
    pub fn scroll(&mut self, by: isize) {
        let page = self.page();
        let (first, last) =
            page.rows.first().zip(page.rows.last()).map_or((0, 0), |(first, last)| (first.0, last.0 + 1));
        let rows = self.window.rows.len();
        let there = last == rows || !self.wrap && first.saturating_add_signed(by) + usize::from(self.size.1) >= rows;
        if by > 0 && (self.follow || self.window.at_bottom && there) {
            return self.bottom();
        }
        self.shift(by);
    }

    /// The same without following: what is being selected does not run away.
    pub fn shift(&mut self, by: isize) {
        let (page, cursor) = (self.page(), self.current());
        let Some((first, _)) = page.rows.first().copied() else { return };
        let highest = self.window.rows.len().saturating_sub(usize::from(self.size.1));
        let bottom = if self.window.at_bottom && !self.wrap { highest } else { self.window.rows.len() - 1 };
        let to = first.saturating_add_signed(by).min(bottom.max(first));
        self.follow = false;
        self.set_top(to);
        let page = self.page();
        let ends = page.rows.first().zip(page.rows.last()).map(|((first, _), (last, _))| (*first, *last));
        if let (Some((first, last)), Some(cursor)) = (ends, cursor) {
            self.cursor = self.window.rows.get(cursor.clamp(first, last)).map(|row| row.position);
        }
    }

    /// Puts the cursor on a row of the window that is on the screen.
    pub fn point(&mut self, to: usize) {
        self.show_at(to);
    }

    /// To the first line.
    pub fn top(&mut self) {
        (self.follow, self.top, self.cursor) = (false, Anchor::Top, None);
        self.window.rows.clear();
        self.cursor = Some(Position { key: i64::MIN, source: 0, segment: 0, offset: 0 });
    }

    /// To the newest line, and stays there.
    pub fn bottom(&mut self) {
        (self.follow, self.top, self.cursor) = (true, Anchor::Bottom, None);
    }

    /// Stays at the newest line, or no longer.
    pub fn toggle_follow(&mut self) {
        match (self.follow, self.current()) {
            (true, Some(at)) => self.show_at(at),
            (true, None) => {}
            (false, _) => self.bottom(),
        }
    }

    /// As far to the right as the longest line on the screen needs.
    pub fn line_end(&mut self) {
        let widest = |(at, _): &(usize, usize)| super::row::Text::of(&self.window.rows[*at], self.form).width();
        let widest = self.page().rows.iter().map(widest).max().unwrap_or(0);
        self.sideways = if self.wrap { 0 } else { widest.saturating_sub(self.text_width()) };
    }

    /// Takes what the index answered.
    pub fn take(&mut self, mut window: Window) {
        let room = usize::from(self.size.1);
        window.anchor = window.anchor.saturating_sub(std::mem::take(&mut self.lead));
        if !self.follow && window.at_bottom && !self.wrap {
            // The last page is a full one.
            window.anchor = window.anchor.min(window.rows.len().saturating_sub(room));
        }
        if !self.follow
            && let Some(row) = window.rows.get(window.anchor)
        {
            self.top = Anchor::At(row.position);
        }
        self.window = window;
    }

    /// To a line anywhere: it is shown a third below the top.
    pub fn go(&mut self, to: Position) {
        self.follow = false;
        self.cursor = Some(to);
        let visible = self.page().rows.iter().any(|(at, _)| self.window.rows[*at].position == to);
        if !visible {
            self.top = Anchor::At(to);
            self.lead = usize::from(self.size.1 / 3);
        }
    }

    /// Takes other columns and rows; a cursor that was seen stays in sight.
    pub fn resize(&mut self, size: (u16, u16)) {
        let current = self.current().filter(|_| size.1 < self.size.1 && !self.follow);
        let seen = current.filter(|at| self.page().rows.iter().any(|(row, _)| row == at));
        self.size = size;
        if let Some(at) = seen {
            self.keep_in_sight(at);
        }
    }

    /// Puts the cursor on a row of the window, and moves the screen as little as that needs.
    fn show_at(&mut self, to: usize) {
        let first = self.page().rows.first().map_or(to, |(at, _)| *at);
        let Some(row) = self.window.rows.get(to) else { return };
        self.cursor = Some(row.position);
        if self.follow {
            self.follow = false;
            self.set_top(first);
        }
        self.keep_in_sight(to);
    }

    fn keep_in_sight(&mut self, to: usize) {
        if to < self.window.anchor {
            return self.set_top(to);
        }
        loop {
            let page = self.page();
            let used: usize = page.rows.iter().map(|(_, height)| height).sum();
            let whole = used <= usize::from(self.size.1);
            let last = page.rows.last().map_or(0, |(at, _)| *at);
            if last > to || last == to && (whole || page.rows.len() == 1) || self.window.anchor >= to {
                return;
            }
            self.set_top(self.window.anchor + 1);
        }
    }

    fn set_top(&mut self, to: usize) {
        if let Some(row) = self.window.rows.get(to) {
            self.top = Anchor::At(row.position);
            self.window.anchor = to;
            self.lead = 0;
        }
    }
}
