//! Where each service of the graph stands, and the lines between them: layers from left to right, whoever is needed to the left of whom needs it.
//! Pure, and the same for the same input.

use std::collections::BTreeMap;

/// Up, right, down and left of a cell with a line.
pub const NORTH: u8 = 1;
/// To the right.
pub const EAST: u8 = 2;
/// Down.
pub const SOUTH: u8 = 4;
/// To the left.
pub const WEST: u8 = 8;

/// More than so many places, those of lines that only pass included, are not laid out: nobody could read it.
const MOST: usize = 20_000;
/// Passes over the layers that put neighbours near each other.
const PASSES: usize = 4;

/// Where a service stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// From 0, at the left.
    pub layer: usize,
    /// Its first column.
    pub x: usize,
    /// Its row.
    pub y: usize,
}

/// A cell with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Column.
    pub x: usize,
    /// Row.
    pub y: usize,
    /// To which sides it goes on.
    pub sides: u8,
    /// Whose line: of the service that is needed.
    pub of: usize,
    /// Who needs it, where this cell leads to one service alone.
    pub to: Option<usize>,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// By number of the service.
    pub places: Vec<Place>,
    /// Lines; of several in one cell each is there.
    pub cells: Vec<Cell>,
    /// Columns of each layer's names.
    pub widths: Vec<usize>,
    /// Columns in all.
    pub width: usize,
    /// Rows in all.
    pub height: usize,
}

/// Something with a row in a layer: a service, or a line of one that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    /// Whose.
    of: usize,
    passes: bool,
    y: usize,
}

/// The layer of each service: one more than the highest of those it needs. A need that would close a circle is left out.
pub fn depths(needs: &[Vec<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let n = needs.len();
    let mut depth: Vec<Option<usize>> = vec![None; n];
    let mut open = vec![false; n];
    let mut kept: Vec<Vec<usize>> = vec![Vec::new(); n];
    for root in 0..n {
        // Services on the way from the root, each with the number of the need that is looked at next. No recursion: a chain may be long.
        let mut way = vec![(root, 0)];
        while let Some((at, next)) = way.pop() {
            if next == 0 {
                if depth[at].is_some() {
                    continue;
                }
                open[at] = true;
            }
            match needs[at].get(next).copied() {
                Some(need) => {
                    way.push((at, next + 1));
                    if need < n && need != at && !open[need] && !kept[at].contains(&need) {
                        kept[at].push(need);
                        way.push((need, 0));
                    }
                }
                None => {
                    open[at] = false;
                    depth[at] = Some(kept[at].iter().filter_map(|need| depth[*need]).map(|d| d + 1).max().unwrap_or(0));
                }
            }
        }
    }
    (depth.into_iter().map(Option::unwrap_or_default).collect(), kept)
}

/// Lays out services of these widths, of which each needs those of its numbers; `pitch` rows for each. `None` where there would be too much of it.
pub fn layers(widths: &[usize], needs: &[Vec<usize>], pitch: usize) -> Option<Layers> {
    let (depth, needs) = depths(needs);
    let n_layers = depth.iter().max().map_or(0, |deepest| deepest + 1);
    let mut columns = items(&depth, &needs, n_layers)?;
    let links = Links::of(&columns, &needs);
    order(&mut columns, &links);
    let height = rows(&mut columns, &needs, pitch.max(1));
    let mut drawn = Layers { places: vec![Place::default(); depth.len()], height, ..Layers::default() };
    let mut x = 0;
    for (layer, column) in columns.iter().enumerate() {
        let width = column.iter().filter(|item| !item.passes).map(|item| widths[item.of]).max().unwrap_or(0);
        for item in column {
            match item.passes {
                false => drawn.places[item.of] = Place { layer, x, y: item.y },
                true => drawn.across(x, x + width, item),
            }
        }
        drawn.widths.push(width);
        x += width;
        if let Some(next) = columns.get(layer + 1) {
            x += drawn.gutter(x, column, next, widths, &needs);
        }
    }
    drawn.width = x;
    Some(drawn)
}

/// The services of each layer, and the lines that pass it on the way to a later one.
fn items(depth: &[usize], needs: &[Vec<usize>], n_layers: usize) -> Option<Vec<Vec<Item>>> {
    let mut farthest = depth.to_vec();
    for (service, needs) in needs.iter().enumerate() {
        for need in needs {
            farthest[*need] = farthest[*need].max(depth[service]);
        }
    }
    let all: usize = depth.iter().zip(&farthest).map(|(own, far)| 1 + far.saturating_sub(own + 1)).sum();
    if all > MOST {
        return None;
    }
    let mut columns: Vec<Vec<Item>> = vec![Vec::new(); n_layers];
    for (of, (own, far)) in depth.iter().zip(&farthest).enumerate() {
        for layer in *own..=(*own).max(far.saturating_sub(1)) {
            columns[layer].push(Item { of, passes: layer > *own, y: 0 });
        }
    }
    Some(columns)
}

/// Who is beside whom: by layer and service, the services of the layer to the left or right that a line joins it with.
struct Links {
    left: Vec<BTreeMap<(usize, bool), Vec<(usize, bool)>>>,
    right: Vec<BTreeMap<(usize, bool), Vec<(usize, bool)>>>,
}

impl Links {
    fn of(columns: &[Vec<Item>], needs: &[Vec<usize>]) -> Links {
        let mut links =
            Links { left: vec![BTreeMap::new(); columns.len()], right: vec![BTreeMap::new(); columns.len()] };
        for layer in 1..columns.len() {
            let before: BTreeMap<usize, (usize, bool)> =
                columns[layer - 1].iter().map(|item| (item.of, (item.of, item.passes))).collect();
            for item in &columns[layer] {
                let here = (item.of, item.passes);
                let from = if item.passes { std::slice::from_ref(&item.of) } else { needs[item.of].as_slice() };
                for there in from.iter().filter_map(|of| before.get(of)) {
                    links.left[layer].entry(here).or_default().push(*there);
                    links.right[layer - 1].entry(*there).or_default().push(here);
                }
            }
        }
        links
    }
}

/// Puts what is joined near each other: each layer is sorted by the mean place of its neighbours, to and fro.
fn order(columns: &mut [Vec<Item>], links: &Links) {
    for pass in 0..PASSES {
        let rightwards = pass % 2 == 0;
        let along: Vec<usize> = if rightwards {
            (1..columns.len()).collect()
        } else {
            (0..columns.len().saturating_sub(1)).rev().collect()
        };
        for layer in along {
            let (beside, links) = match rightwards {
                true => (layer - 1, &links.left[layer]),
                false => (layer + 1, &links.right[layer]),
            };
            let at: BTreeMap<(usize, bool), usize> =
                columns[beside].iter().enumerate().map(|(at, item)| ((item.of, item.passes), at)).collect();
            let mean = |at_now: usize, item: &Item| -> f64 {
                let near: Vec<usize> = links
                    .get(&(item.of, item.passes))
                    .into_iter()
                    .flatten()
                    .filter_map(|key| at.get(key).copied())
                    .collect();
                if near.is_empty() { at_now as f64 } else { near.iter().sum::<usize>() as f64 / near.len() as f64 }
            };
            let mut keyed: Vec<(f64, Item)> =
                columns[layer].iter().enumerate().map(|(n, item)| (mean(n, item), *item)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            columns[layer] = keyed.into_iter().map(|(_, item)| item).collect();
        }
    }
}

/// Gives each item a row, near those it is joined with, in its order and so many rows apart; how many rows there are.
fn rows(columns: &mut [Vec<Item>], needs: &[Vec<usize>], pitch: usize) -> usize {
    let most = columns.iter().map(Vec::len).max().unwrap_or(0);
    let height = most.saturating_sub(1) * pitch + usize::from(most > 0);
    let mut before: BTreeMap<usize, usize> = BTreeMap::new();
    for column in columns.iter_mut() {
        let wish = |item: &Item| {
            let from = if item.passes { std::slice::from_ref(&item.of) } else { needs[item.of].as_slice() };
            let near: Vec<usize> = from.iter().filter_map(|of| before.get(of).copied()).collect();
            near.iter().sum::<usize>().checked_div(near.len())
        };
        let mut least = 0;
        for item in column.iter_mut() {
            item.y = wish(item).unwrap_or(least).max(least);
            least = item.y + pitch;
        }
        // What went over the lower edge comes back, and pushes up what is above it.
        let mut most = height.saturating_sub(1);
        for item in column.iter_mut().rev() {
            item.y = item.y.min(most);
            most = item.y.saturating_sub(pitch);
        }
        before = column.iter().map(|item| (item.of, item.y)).collect();
    }
    height
}

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
    fn across(&mut self, from: usize, to: usize, item: &Item) {
        self.level(from, to, item.y, item.of, None);
    }

    fn level(&mut self, from: usize, to: usize, y: usize, of: usize, leads: Option<usize>) {
        self.cells.extend((from..to).map(|x| Cell { x, y, sides: EAST | WEST, of, to: leads }));
    }

    /// Draws the lines between two layers; how many columns they take.
    fn gutter(&mut self, x: usize, column: &[Item], next: &[Item], widths: &[usize], needs: &[Vec<usize>]) -> usize {
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

#[cfg(test)]
mod tests;
