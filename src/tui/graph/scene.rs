//! What the screen of the graph shows in a given room: layers or a tree, with the cursor's ways through them. Pure.

use std::time::Duration;

use super::place::{self, Layers};
use super::tree::{self, Row};
use super::{Form, numbered, why};
use crate::text;
use crate::tui::fleet::Tone;
use crate::tui::model::Model;

/// Widths of names and of what stands beside them that are tried, the most readable first.
const WIDTHS: [(usize, usize); 4] = [(24, 9), (16, 9), (16, 0), (10, 0)];
/// The least a layer takes beside its name: glyph and blank, and the lines to the next.
const BESIDE: usize = 2;
const GUTTER: usize = 4;

/// What is drawn.
#[derive(Clone, Debug)]
pub enum Scene {
    /// Layers.
    Layers(Layered),
    /// A tree.
    Tree(Vec<Row>),
}

/// Services in layers.
#[derive(Clone, Debug)]
pub struct Layered {
    /// By number: the name of the service.
    pub names: Vec<String>,
    /// Columns each gets for its glyph, its name and its note.
    pub widths: Vec<usize>,
    /// Columns of the note; 0 for none.
    pub note: usize,
    /// Whom each needs.
    pub needs: Vec<Vec<usize>>,
    /// Where everything is.
    pub layers: Layers,
}

/// Where the cursor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// So many services down, or up where negative.
    Down(isize),
    /// To what needs it.
    Right,
    /// To what it needs.
    Left,
}

/// What is shown in so many columns and rows.
pub fn scene(model: &Model, columns: usize, rows: usize) -> Scene {
    let graph = &model.graph;
    let layered = match graph.form {
        Form::Tree => None,
        Form::Fitting => layered(model, columns, rows),
        Form::Layers => layered(model, columns, rows).or_else(|| layered(model, usize::MAX, usize::MAX)),
    };
    layered.map_or_else(|| Scene::Tree(tree::rows(&graph.needs, &model.fleet, model.ascii)), Scene::Layers)
}

fn layered(model: &Model, columns: usize, rows: usize) -> Option<Layered> {
    let (names, needs) = numbered(&model.graph.needs, &model.fleet);
    if names.is_empty() || model.graph.needs.is_empty() {
        return None;
    }
    // What cannot fit is not tried.
    let (depth, _) = place::depths(&needs);
    let mut counts = vec![0; depth.iter().max().map_or(0, |deepest| deepest + 1)];
    depth.iter().for_each(|layer| counts[*layer] += 1);
    let most = counts.iter().copied().max().unwrap_or(0);
    if most > rows || (counts.len() - 1).saturating_mul(GUTTER + BESIDE) > columns {
        return None;
    }
    for (name, note) in WIDTHS {
        let beside = BESIDE + if note > 0 { note + 1 } else { 0 };
        let widths: Vec<usize> = names.iter().map(|of| text::width(of).min(name) + beside).collect();
        for pitch in [2, 1] {
            let layers =
                (most.saturating_sub(1) * pitch < rows).then(|| place::layers(&widths, &needs, pitch)).flatten();
            if let Some(layers) = layers.filter(|layers| layers.width <= columns && layers.height <= rows) {
                let names = names.iter().map(|name| (*name).to_owned()).collect();
                return Some(Layered { names, widths, note, needs, layers });
            }
        }
    }
    None
}

impl Layered {
    /// What stands beside a service: its state where it is not as it should be, else how long it took to become ready.
    pub fn note(&self, model: &Model, at: usize) -> String {
        let Some(service) = model.fleet.service(&self.names[at]) else { return String::new() };
        match (Tone::of(&service.state), why::took_all(service)) {
            (Tone::Off, _) => "off".to_owned(),
            (Tone::Good, Some(took)) => text::time(took),
            (Tone::Good, None) => String::new(),
            (Tone::Bad | Tone::Wait, _) => service.state.clone(),
        }
    }

    fn go(&self, from: usize, way: Way) -> usize {
        let here = self.layers.places[from];
        let in_layer = |layer: usize| {
            let mut all: Vec<usize> =
                (0..self.names.len()).filter(|at| self.layers.places[*at].layer == layer).collect();
            all.sort_by_key(|at| self.layers.places[*at].y);
            all
        };
        let layer = match way {
            Way::Down(by) => {
                let all = in_layer(here.layer);
                let at = all.iter().position(|at| *at == from).unwrap_or(0);
                return all.get(at.saturating_add_signed(by).min(all.len().saturating_sub(1))).copied().unwrap_or(from);
            }
            Way::Right => Some(here.layer + 1),
            Way::Left => here.layer.checked_sub(1),
        };
        // The nearest that a line joins it with; else the nearest beside it.
        let joined = |at: &usize| match way {
            Way::Right => self.needs[*at].contains(&from),
            Way::Left => self.needs[from].contains(at),
            Way::Down(_) => false,
        };
        let far = |at: &usize| {
            let place = self.layers.places[*at];
            (place.layer.abs_diff(here.layer), place.y.abs_diff(here.y))
        };
        let near = (0..self.names.len()).filter(joined).min_by_key(far);
        let beside = layer.and_then(|layer| in_layer(layer).into_iter().min_by_key(far));
        near.or(beside).unwrap_or(from)
    }
}

impl Scene {
    /// The service at the cursor, and its row in a tree, after a step from where it is.
    pub fn go(&self, chosen: Option<&str>, row: usize, way: Way) -> Option<(String, usize)> {
        match self {
            Scene::Layers(layered) => {
                let from = layered.names.iter().position(|name| Some(name.as_str()) == chosen);
                let to = from.map_or(0, |from| layered.go(from, way));
                Some((layered.names.get(to)?.clone(), row))
            }
            Scene::Tree(rows) => {
                let from = at_row(rows, chosen, row)?;
                let to = match way {
                    Way::Down(by) => from.saturating_add_signed(by).min(rows.len() - 1),
                    // Below each stands what it needs.
                    Way::Left => {
                        rows.get(from + 1).filter(|next| next.depth > rows[from].depth).map_or(from, |_| from + 1)
                    }
                    Way::Right => (0..from).rev().find(|at| rows[*at].depth < rows[from].depth).unwrap_or(from),
                };
                Some((rows[to].name.clone(), to))
            }
        }
    }
}

/// The row of the cursor: the one it was in, where that is still of its service, else the first of it.
pub fn at_row(rows: &[Row], chosen: Option<&str>, row: usize) -> Option<usize> {
    let is_it = |row: &Row| Some(row.name.as_str()) == chosen;
    let kept = rows.get(row).is_some_and(is_it).then_some(row);
    kept.or_else(|| rows.iter().position(is_it)).or_else(|| (!rows.is_empty()).then_some(0))
}

/// `postgres>catalog>orders 3.8s`: what made the start slow; `None` where nobody knows.
pub fn slow(model: &Model) -> Option<String> {
    let (names, needs) = numbered(&model.graph.needs, &model.fleet);
    let took: Vec<Option<Duration>> =
        names.iter().map(|name| model.fleet.service(name).and_then(why::took_all)).collect();
    let (chain, sum) = why::slowest(&needs, &took)?;
    let chain: Vec<&str> = chain.into_iter().map(|at| names[at]).collect();
    Some(format!("{} {}", chain.join(">"), text::time(sum)))
}
