//! The lines between two layers of the graph: each leaves its service to the right, turns in a column of its own and goes on to who needs it.

use std::collections::BTreeMap;

use super::{Cell, EAST, Item, Layers, NORTH, SOUTH, WEST};

/// The lines from one service, or one that passes, to those of the next layer.
struct Net {
    of: usize,
    /// The row it comes from.
    from: usize,
    /// The column after its service's name.
    begin: usize,
    /// Rows it goes to, and to whom.
    to: Vec<(usize, Option<usize>)>,
}

impl Net {
    /// Before a name there is a blank; a line that passes goes on.
    fn end(end: usize, to: Option<usize>) -> usize {
        if to.is_none() { end + 1 } else { end }
    }

    fn top(&self) -> usize {
        self.to.iter().map(|(y, _)| *y).min().map_or(self.from, |y| y.min(self.from))
    }

    fn bottom(&self) -> usize {
        self.to.iter().map(|(y, _)| *y).max().map_or(self.from, |y| y.max(self.from))
    }

    fn is_straight(&self) -> bool {
        self.top() == self.bottom()
    }
}

impl Layers {
    /// A line that passes a layer.
    pub(super) fn across(&mut self, from: usize, to: usize, item: &Item) {
        self.level(from, to, item.y, item.of, None);
    }

    fn level(&mut self, from: usize, to: usize, y: usize, of: usize, leads: Option<usize>) {
        self.cells.extend((from..to).map(|x| Cell { x, y, sides: EAST | WEST, of, to: leads }));
    }

    /// Draws the lines between two layers; how many columns they take.
    pub(super) fn gutter(
        &mut self,
        x: usize,
        column: &[Item],
        next: &[Item],
        widths: &[usize],
        needs: &[Vec<usize>],
    ) -> usize {
        let nets: Vec<Net> =
            column.iter().filter_map(|item| net(x, self.widths.last().copied()?, item, next, widths, needs)).collect();
        let tracks = tracks(&nets);
        let n_tracks = tracks.iter().flatten().max().map_or(0, |last| last + 1);
        // A blank after the name, the tracks, and a line and a blank before the next name.
        let width = n_tracks + 3;
        let end = x + width - 1;
        for (net, track) in nets.iter().zip(tracks) {
            let Some(track) = track else {
                let to = net.to.first().and_then(|(_, to)| *to);
                self.level(net.begin + 1, Net::end(end, to), net.from, net.of, to);
                continue;
            };
            self.bent(net, x + 1 + track, end);
        }
        width
    }

    /// A line from its service to a column, up and down there, and on to each of its ends.
    fn bent(&mut self, net: &Net, turn: usize, end: usize) {
        let only = match net.to.as_slice() {
            [(_, to)] => *to,
            _ => None,
        };
        self.level(net.begin + 1, turn, net.from, net.of, only);
        for y in net.top()..=net.bottom() {
            let mut sides = 0;
            sides |= if y > net.top() { NORTH } else { 0 };
            sides |= if y < net.bottom() { SOUTH } else { 0 };
            sides |= if y == net.from { WEST } else { 0 };
            sides |= if net.to.iter().any(|(to, _)| *to == y) { EAST } else { 0 };
            self.cells.push(Cell { x: turn, y, sides, of: net.of, to: only });
        }
        for (y, to) in &net.to {
            self.level(turn + 1, Net::end(end, *to), *y, net.of, *to);
        }
    }
}

/// The lines that leave an item; `None` where nobody needs it.
fn net(x: usize, width: usize, item: &Item, next: &[Item], widths: &[usize], needs: &[Vec<usize>]) -> Option<Net> {
    let meant = next.iter().filter(|other| match other.passes {
        true => other.of == item.of,
        false => needs[other.of].contains(&item.of),
    });
    let to: Vec<(usize, Option<usize>)> = meant.map(|other| (other.y, (!other.passes).then_some(other.of))).collect();
    // A line that passes has no name, and no blank after it.
    let begin = if item.passes { x.saturating_sub(1) } else { x - width + widths[item.of].min(width) };
    (!to.is_empty()).then_some(Net { of: item.of, from: item.y, begin, to })
}

/// A column for each line that goes up or down: those that would lie on each other get different ones. Where one ends in the row another comes from, that
/// other turns first, as far as that is possible: so their level parts do not lie on each other.
fn tracks(nets: &[Net]) -> Vec<Option<usize>> {
    let by_row: BTreeMap<usize, usize> = nets.iter().enumerate().map(|(at, net)| (net.from, at)).collect();
    let bent = |at: &usize| !nets[*at].is_straight();
    let first = |at: usize| -> Vec<usize> {
        let ends = nets[at].to.iter().filter_map(|(y, _)| by_row.get(y).copied());
        ends.filter(|other| *other != at).filter(bent).collect()
    };
    let before: Vec<Vec<usize>> = (0..nets.len()).map(first).collect();
    let mut tracks: Vec<Option<usize>> = vec![None; nets.len()];
    let mut taken: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut left: Vec<usize> = (0..nets.len()).filter(bent).collect();
    while !left.is_empty() {
        let is_free = |net: &usize| before[*net].iter().all(|other| tracks[*other].is_some());
        // Of a circle the first goes anyway.
        let net = left.remove(left.iter().position(is_free).unwrap_or(0));
        let (top, bottom) = (nets[net].top(), nets[net].bottom());
        let least = before[net].iter().filter_map(|other| tracks[*other]).max().map_or(0, |track| track + 1);
        let fits = |spans: &Vec<(usize, usize)>| spans.iter().all(|(first, last)| *last < top || *first > bottom);
        let track = (least..taken.len()).find(|track| fits(&taken[*track])).unwrap_or(taken.len().max(least));
        taken.resize(taken.len().max(track + 1), Vec::new());
        taken[track].push((top, bottom));
        tracks[net] = Some(track);
    }
    tracks
}
