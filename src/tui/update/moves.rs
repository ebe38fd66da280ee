//! What actions only change in what is shown.

use super::screens;
use crate::tui::actions::Action;
use crate::tui::fleet::Tone;
use crate::tui::graph::scene::Way;
use crate::tui::model::{List, Model, Pane, Popup, PromptKind, Screen};
use crate::tui::theme::Theme;
use crate::tui::view;
use crate::tui::view::layout::is_narrow;

/// What only changes what is shown.
pub(super) fn here(model: &mut Model, action: Action) {
    match action {
        Action::NextPane | Action::PreviousPane => {
            let step = if action == Action::NextPane { 1 } else { Pane::ALL.len() - 1 };
            model.focus = Pane::ALL[(model.focus as usize + step) % Pane::ALL.len()];
            model.screen = Screen::Dashboard;
        }
        Action::Pane1 => focus(model, Pane::Services),
        Action::Pane2 => focus(model, Pane::Vendors),
        Action::Pane3 => focus(model, Pane::Problems),
        Action::Pane4 => focus(model, Pane::Tests),
        Action::Pane5 => focus(model, Pane::Logs),
        Action::Pane6 => focus(model, Pane::Events),
        Action::Zoom => model.zoom = !model.zoom,
        Action::Help => model.popup = Some(Popup::Help(0)),
        Action::Palette => model.open_prompt(PromptKind::Palette, ""),
        Action::FilterList => {
            let filter = model.list_filter.clone();
            model.open_prompt(PromptKind::FilterList, &filter);
        }
        Action::Theme => {
            model.paint(Some(Theme::next(model.theme)));
            model.toast(Tone::Good, format!("theme {}", model.theme.name()));
        }
        Action::Sort => {
            model.sort = model.sort.next();
            settle(model);
        }
        Action::Fold => fold(model),
        Action::Mark => mark(model),
        Action::MarkAll => mark_all(model),
        Action::Down => step(model, 1),
        Action::Up => step(model, -1),
        Action::HalfDown => step(model, half(model)),
        Action::HalfUp => step(model, -half(model)),
        Action::PageDown => step(model, 2 * half(model)),
        Action::PageUp => step(model, -2 * half(model)),
        Action::Top => go(model, |_, _| 0),
        Action::Bottom => go(model, |_, len| len),
        _ => {}
    }
}

pub(super) fn half(model: &Model) -> isize {
    isize::try_from(model.size.1 / 4).unwrap_or(1).max(1)
}

pub(super) fn focus(model: &mut Model, pane: Pane) {
    if matches!(pane, Pane::Problems | Pane::Tests) && is_narrow(model.size) {
        model.problems.turn_to(pane);
    }
    model.focus = pane;
    model.screen = Screen::Dashboard;
}

pub(super) fn step(model: &mut Model, by: isize) {
    go(model, |at, _| at.saturating_add_signed(by));
}

/// Moves the cursor of what has the focus: `to` gets where it is and how many there are.
pub(super) fn go(model: &mut Model, to: impl Fn(usize, usize) -> usize) {
    let last = view::detail::furthest(model);
    if let Screen::Detail(detail) = &mut model.screen {
        detail.scroll = to(detail.scroll, last).min(last);
        return;
    }
    if model.screen == Screen::Graph {
        // The wheel.
        const MIDDLE: usize = 1 << 20;
        let by = to(MIDDLE, 2 * MIDDLE) as isize - MIDDLE as isize;
        return screens::go(model, Way::Down(by));
    }
    if let Some(listed) = model.listed() {
        return model.problems.go(listed, to);
    }
    if model.focus == Pane::Events {
        let ids = model.ids(Pane::Events);
        let at = to(model.event.at, ids.len());
        return model.event.go(at, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let vendors = match model.focus {
        Pane::Services => false,
        Pane::Vendors => true,
        Pane::Problems | Pane::Tests | Pane::Logs | Pane::Events => return,
    };
    let rows = model.rows(vendors);
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let list: &mut List = if vendors { &mut model.vendors } else { &mut model.services };
    let at = to(list.at, ids.len());
    list.go(at, &ids);
}

pub(super) fn fold(model: &mut Model) {
    let Some(row) = model.selected() else { return };
    if !model.folded.remove(&row.service) {
        model.folded.insert(row.service);
    }
    settle(model);
}

fn mark(model: &mut Model) {
    let Some(row) = model.selected() else { return };
    if !model.marks.remove(&row.id) {
        model.marks.insert(row.id);
    }
    step(model, 1);
}

fn mark_all(model: &mut Model) {
    if !model.marks.is_empty() {
        return model.marks.clear();
    }
    let (_, vendors) = model.list();
    model.marks = model.rows(vendors).into_iter().filter(|row| !row.child).map(|row| row.id).collect();
}

/// Keeps cursors and marks on what is there.
pub(super) fn settle(model: &mut Model) {
    for vendors in [false, true] {
        let rows = model.rows(vendors);
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let list = if vendors { &mut model.vendors } else { &mut model.services };
        list.settle(&ids);
    }
    let known = |mark: &String| {
        let services = model.fleet.ps.iter().flat_map(|ps| &ps.services);
        services.clone().any(|s| s.name == *mark) || services.flat_map(|s| &s.instances).any(|i| i.id == *mark)
    };
    let kept = model.marks.iter().filter(|mark| known(mark)).cloned().collect();
    model.marks = kept;
}
