//! Tests of the screens of one service and of the graph: keys against the model.

use super::*;
use crate::api::convert::Ask;
use crate::api::wire::{Build, Problem, WhyNeed};
use crate::tui::graph::Told;
use crate::tui::keys::keys;
use crate::tui::model::Order;
use crate::tui::msg::Msg;
use crate::tui::problems::Place;
use crate::tui::testing::{ps, service};
use crate::tui::update::update;

fn model() -> Model {
    let mut model = Model::new("shop", (120, 40), 0);
    let mut web = service("web", &["queued"]);
    let problem = Problem { file: "web/main.go".into(), line: 3, column: 1, message: "undefined: x".into() };
    web.build = Some(Build { state: "failed".into(), id: None, error: None, problems: vec![problem] });
    let services = vec![service("api", &["ready", "ready"]), service("db", &["starting"]), web];
    update(&mut model, Msg::Ps(Box::new(ps(services))));
    model
}

fn press(model: &mut Model, text: &str) -> Vec<Cmd> {
    keys(text).into_iter().flat_map(|key| update(model, Msg::Key(key))).collect()
}

fn ask(what: Ask, name: &str) -> Cmd {
    Cmd::Ask(Order::new(what, vec![name.to_owned()]))
}

fn needs(of: &str) -> Told {
    let need =
        |on: &str| WhyNeed { service: on.into(), condition: "ready".into(), state: "starting".into(), met: false };
    let needs = match of {
        "web" => vec![need("api"), need("db")],
        "api" => vec![need("db")],
        _ => Vec::new(),
    };
    Told { state: "queued".into(), summary: format!("`{of}` is queued"), needs, ..Told::default() }
}

#[test]
fn a_copy_is_looked_at_alone() {
    let mut model = model();
    assert_eq!(press(&mut model, "j<enter>"), [Cmd::Why("api".into())]);
    assert_eq!(model.subject(), Some("api.1"));
    assert_eq!(press(&mut model, "r"), [ask(Ask::Restart, "api.1")]);
    assert_eq!(press(&mut model, "s"), [ask(Ask::Stop, "api.1")]);
    assert_eq!(press(&mut model, "Ky"), [ask(Ask::Kill, "api.1")]);
    let more = Cmd::Ask(Order { scale: Some(3), ..Order::new(Ask::Scale, vec!["api".into()]) });
    assert_eq!(press(&mut model, "+"), [more]);
    assert_eq!(press(&mut model, "o"), [Cmd::EditConfig("api".into())]);
    assert_eq!(press(&mut model, "O"), [Cmd::OpenUrl("http://127.0.0.1:8080/".into())]);
    assert_eq!(press(&mut model, "t"), [Cmd::Test(vec!["api".into()], None)]);
    press(&mut model, "<esc>");
    press(&mut model, "k<enter>");
    assert_eq!(model.subject(), Some("api"), "the service with all its copies");
}

#[test]
fn marks_of_the_list_do_not_count_where_one_service_is_seen() {
    let mut model = model();
    press(&mut model, "<space>G<enter>");
    assert_eq!(press(&mut model, "S"), [ask(Ask::Start, "web")]);
    assert_eq!(press(&mut model, "<space>AI/x"), [], "the list is not seen");
}

#[test]
fn parts_follow_each_other() {
    let part = |model: &Model| match &model.screen {
        Screen::Detail(detail) => Some(detail.part),
        Screen::Dashboard | Screen::Graph => None,
    };
    let mut model = model();
    press(&mut model, "<enter>]");
    assert_eq!(part(&model), Some(Part::Ports));
    press(&mut model, "<right><right>[<left>");
    assert_eq!(part(&model), Some(Part::Ports));
    press(&mut model, "[[");
    assert_eq!(part(&model), Some(Part::Events));
    press(&mut model, "]");
    assert_eq!(part(&model), Some(Part::Overview));
    press(&mut model, "<esc>");
    assert_eq!(press(&mut model, ":next-part<enter>"), [], "and elsewhere they only say where they are for");
    assert!(model.toasts.back().is_some_and(|toast| toast.text.contains("detail")));
}

#[test]
fn from_a_service_to_its_log_and_to_its_problem() {
    let mut model = model();
    assert_eq!(press(&mut model, "jj<enter>l"), [Cmd::Why("api".into()), Cmd::Log(LogCmd::Query)]);
    assert_eq!((&model.screen, model.focus), (&Screen::Dashboard, Pane::Logs));
    assert_eq!(model.log.filters.names, ["api.2".to_owned()].into());
    press(&mut model, "1G<enter><enter>");
    assert_eq!((&model.screen, model.focus), (&Screen::Dashboard, Pane::Problems));
    let place = Place { file: "web/main.go".into(), line: 3, column: 1 };
    assert_eq!(press(&mut model, "o"), [Cmd::Edit(place)]);
    press(&mut model, "1g<enter><enter>");
    assert!(matches!(model.screen, Screen::Detail(_)), "nothing is wrong with it");
}

#[test]
fn copying_takes_what_is_shown() {
    let mut model = model();
    press(&mut model, "G<enter>[[");
    let copied = press(&mut model, "y");
    let [Cmd::CopyText(text)] = copied.as_slice() else { panic!("{copied:?}") };
    assert!(text.starts_with(" web  ◐ ") && text.contains("web/main.go:3:1: undefined: x"), "{text}");
}

#[test]
fn the_graph_asks_once_and_acts_on_its_node() {
    let mut model = model();
    let all = ["api", "db", "web"].map(str::to_owned);
    assert_eq!(press(&mut model, "GD"), [Cmd::Needs(all.to_vec())]);
    assert_eq!(update(&mut model, Msg::Tick(1)), [], "somebody is being asked");
    update(&mut model, Msg::Needs(all.map(|name| (name.clone(), needs(&name))).into()));
    assert_eq!(model.subject(), Some("web"), "where the cursor was");
    assert_eq!(press(&mut model, "hr"), [ask(Ask::Restart, "api")]);
    assert_eq!(press(&mut model, "hs"), [ask(Ask::Stop, "db")]);
    assert_eq!(press(&mut model, "ll<enter>"), [Cmd::Why("web".into())]);
    press(&mut model, "<esc>");
    assert_eq!(model.screen, Screen::Graph, "back to where it was opened");
    press(&mut model, "d");
    assert_eq!(model.graph.light, Light::Needs);
    press(&mut model, "D");
    assert_eq!(model.graph.light, Light::Dependents);
    press(&mut model, "Dg");
    assert_eq!((model.graph.light, model.graph.form), (Light::All, Form::Tree));
    press(&mut model, "g");
    assert_eq!(model.graph.form, Form::Layers);
    press(&mut model, "<esc>");
    assert_eq!(model.screen, Screen::Dashboard);
    assert_eq!(press(&mut model, "gD").len(), 1);
    assert_eq!(model.subject(), Some("api"));
}

#[test]
fn scrolling_ends_where_the_text_does() {
    let mut model = model();
    press(&mut model, "<enter>");
    let furthest = view::detail::furthest(&model);
    press(&mut model, "Gjj");
    let Screen::Detail(detail) = &model.screen else { panic!("closed") };
    assert_eq!(detail.scroll, furthest);
}
