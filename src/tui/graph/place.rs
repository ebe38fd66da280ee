//! Where each service of the graph stands, and the lines between them: layers from left to right, whoever is needed to the left of whom needs it.
//! Pure, and the same for the same input.

mod lines;

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
        let reached = far.saturating_sub(*own).max(1);
        for (beyond, column) in columns.iter_mut().skip(*own).take(reached).enumerate() {
            column.push(Item { of, passes: beyond > 0, y: 0 });
        }
    }
    Some(columns)
}

/// Who is beside whom: by layer and service, the services of the layer to the left or right that a line joins it with.
struct Links {
    left: Vec<Joined>,
    right: Vec<Joined>,
}

/// By service, and whether its line only passes: whom a line joins it with.
type Joined = BTreeMap<(usize, bool), Vec<(usize, bool)>>;

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

#[cfg(test)]
mod tests;
