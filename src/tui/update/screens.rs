//! What keys do where one service, or the graph, fills the screen.

use super::acts;
use crate::tui::actions::Action;
use crate::tui::fleet::Tone;
use crate::tui::graph::{Form, Light, scene};
use crate::tui::log::LogCmd;
use crate::tui::model::{Detail, Model, Pane, Part, Screen};
use crate::tui::msg::Cmd;
use crate::tui::problems::{Listed, Row};
use crate::tui::view;

/// Does what an action means on these screens; `None` where it means what it means anywhere.
pub(super) fn act(model: &mut Model, action: Action) -> Option<Vec<Cmd>> {
    match model.screen {
        Screen::Dashboard => elsewhere(model, action),
        Screen::Detail(_) => in_detail(model, action),
        Screen::Graph => in_graph(model, action),
    }
}

/// What only those screens can do.
fn elsewhere(model: &mut Model, action: Action) -> Option<Vec<Cmd>> {
    let where_to = match action {
        Action::NextPart | Action::PreviousPart | Action::GoProblem | Action::CopyShown | Action::OpenConfig => {
            Action::Detail
        }
        Action::NodeLeft | Action::NodeRight | Action::GraphForm | Action::LightNeeds | Action::LightDependents => {
            Action::Graph
        }
        _ => return None,
    };
    let text = format!("that is for the {} screen (`{}`)", where_to.entry().name, model.key(where_to));
    model.toast(Tone::Wait, text);
    Some(Vec::new())
}

/// What is about the list, which is not seen.
fn is_of_list(action: Action) -> bool {
    matches!(action, Action::Mark | Action::MarkAll | Action::Fold | Action::Sort | Action::FilterList | Action::Zoom)
}

fn in_detail(model: &mut Model, action: Action) -> Option<Vec<Cmd>> {
    let subject = model.subject()?.to_owned();
    match action {
        Action::NextPart | Action::Right => turn(model, 1),
        Action::PreviousPart | Action::Left => turn(model, Part::ALL.len() - 1),
        Action::OnlyLogs => return Some(vec![only_logs(model, subject)]),
        Action::GoProblem => go_problem(model),
        Action::CopyShown => return Some(vec![Cmd::CopyText(view::detail::text(model))]),
        Action::OpenConfig => {
            let service = acts::service_of(&subject).to_owned();
            return Some(vec![Cmd::EditConfig(service)]);
        }
        Action::Graph => return Some(open_graph(model)),
        action if is_of_list(action) => {}
        _ => return None,
    }
    Some(Vec::new())
}

fn turn(model: &mut Model, by: usize) {
    if let Screen::Detail(detail) = &mut model.screen {
        let at = Part::ALL.iter().position(|part| *part == detail.part).unwrap_or(0);
        (detail.part, detail.scroll) = (Part::ALL[(at + by) % Part::ALL.len()], 0);
    }
}

/// Its log, and nothing else of it.
fn only_logs(model: &mut Model, subject: String) -> Cmd {
    model.toast(Tone::Good, format!("only the log of {subject}"));
    model.log.filters.names = [subject].into();
    (model.screen, model.focus) = (Screen::Dashboard, Pane::Logs);
    Cmd::Log(LogCmd::Query)
}

/// To the first line of its service among the problems, or among the tests.
fn go_problem(model: &mut Model) {
    let Some(service) = model.subject().map(|id| acts::service_of(id).to_owned()) else { return };
    for (pane, listed) in [(Pane::Problems, Listed::Problems), (Pane::Tests, Listed::Tests)] {
        let is_it = |row: &Row| row.group.service == service && row.group.fails();
        if let Some(at) = model.problems.rows(listed).iter().position(is_it) {
            (model.screen, model.focus) = (Screen::Dashboard, pane);
            model.problems.go(listed, |_, _| at);
            // On a narrow terminal both lists are one.
            if let Some(row) = model.problems.selected(listed) {
                model.problems.show(&row, pane);
            }
            return;
        }
    }
    model.toast(Tone::Good, format!("nothing is wrong with the build and the tests of {service}"));
}

/// Opens everything about a service, or about one of its copies.
pub(super) fn detail(model: &mut Model, id: &str) -> Vec<Cmd> {
    let service = acts::service_of(id).to_owned();
    let copy = (service != id).then(|| id.to_owned());
    let from_graph = model.screen == Screen::Graph;
    let detail = Detail { service: service.clone(), copy, why: None, part: Part::default(), scroll: 0, from_graph };
    model.screen = Screen::Detail(Box::new(detail));
    vec![Cmd::Why(service)]
}

/// Where one came from.
pub(super) fn back(model: &mut Model) {
    let from_graph = matches!(&model.screen, Screen::Detail(detail) if detail.from_graph);
    model.screen = if from_graph { Screen::Graph } else { Screen::Dashboard };
}

/// Opens the graph at the service that was looked at.
pub(super) fn open_graph(model: &mut Model) -> Vec<Cmd> {
    let worst = || {
        let all = model.fleet.ps.iter().flat_map(|ps| &ps.services);
        all.min_by_key(|service| Tone::of(&service.state)).map(|service| service.name.clone())
    };
    let subject = model.subject().map(|id| acts::service_of(id).to_owned());
    let chosen = subject.or_else(|| model.selected().map(|row| row.service)).or_else(worst);
    (model.graph.chosen, model.graph.row) = (chosen, 0);
    model.screen = Screen::Graph;
    ask(model).into_iter().collect()
}

/// Asks about those of whom not enough is known, unless somebody is being asked.
pub(super) fn ask(model: &mut Model) -> Option<Cmd> {
    let outdated = model.graph.outdated(&model.fleet);
    if outdated.is_empty() || model.graph.asking {
        return None;
    }
    model.graph.asking = true;
    Some(Cmd::Needs(outdated))
}

fn in_graph(model: &mut Model, action: Action) -> Option<Vec<Cmd>> {
    let page = super::moves::half(model);
    match action {
        Action::Down => go(model, scene::Way::Down(1)),
        Action::Up => go(model, scene::Way::Down(-1)),
        Action::HalfDown => go(model, scene::Way::Down(page)),
        Action::HalfUp => go(model, scene::Way::Down(-page)),
        Action::PageDown => go(model, scene::Way::Down(2 * page)),
        Action::PageUp => go(model, scene::Way::Down(-2 * page)),
        Action::Top => go(model, scene::Way::Down(isize::MIN + 1)),
        Action::Bottom => go(model, scene::Way::Down(isize::MAX)),
        Action::NodeLeft => go(model, scene::Way::Left),
        Action::NodeRight => go(model, scene::Way::Right),
        Action::GraphForm => form(model),
        Action::LightNeeds => light(model, Light::Needs),
        Action::LightDependents => light(model, Light::Dependents),
        Action::Detail => {
            let chosen = model.graph.chosen.clone();
            return Some(chosen.map_or_else(Vec::new, |chosen| detail(model, &chosen)));
        }
        Action::OnlyLogs => {
            let chosen = model.graph.chosen.clone();
            return Some(chosen.map(|chosen| only_logs(model, chosen)).into_iter().collect());
        }
        action if is_of_list(action) => {}
        _ => return None,
    }
    Some(Vec::new())
}

/// Moves the cursor.
pub(super) fn go(model: &mut Model, way: scene::Way) {
    let room = view::graph::room(model);
    let scene = scene::scene(model, room.0, room.1);
    if let Some((chosen, row)) = scene.go(model.graph.chosen.as_deref(), model.graph.row, way) {
        (model.graph.chosen, model.graph.row) = (Some(chosen), row);
    }
}

fn light(model: &mut Model, light: Light) {
    model.graph.light = if model.graph.light == light { Light::All } else { light };
}

/// From what is seen now to the other.
fn form(model: &mut Model) {
    let room = view::graph::room(model);
    let now = scene::scene(model, room.0, room.1);
    let (form, said) = match now {
        scene::Scene::Layers(_) => (Form::Tree, "a tree"),
        scene::Scene::Tree(_) => (Form::Layers, "layers"),
    };
    model.graph.form = form;
    model.toast(Tone::Good, said);
    if form == Form::Layers && matches!(scene::scene(model, room.0, room.1), scene::Scene::Tree(_)) {
        model.graph.form = Form::Tree;
        model.toast(Tone::Wait, "there are too many lines for layers");
    }
}

#[cfg(test)]
mod tests;
