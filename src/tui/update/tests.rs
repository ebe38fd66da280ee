//! Tests of what keys do: macros against the model, without a terminal.

use super::*;
use crate::api::convert::Ask;
use crate::tui::keys::keys;
use crate::tui::model::{Order, Popup};
use crate::tui::testing::{ps, service};

fn model() -> Model {
    let mut model = Model::new("shop", (160, 48), 0);
    let services = vec![service("api", &["ready", "ready"]), service("auth", &["ready"]), service("web", &["failed"])];
    update(&mut model, Msg::Ps(Box::new(ps(services))));
    model
}

fn press(model: &mut Model, text: &str) -> Vec<Cmd> {
    keys(text).into_iter().flat_map(|key| update(model, Msg::Key(key))).collect()
}

fn order(what: Ask, names: &[&str]) -> Order {
    Order::new(what, names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn verbs_act_below_the_cursor() {
    let mut model = model();
    assert_eq!(press(&mut model, "r"), [Cmd::Ask(order(Ask::Restart, &["api"]))]);
    assert_eq!(press(&mut model, "jjs"), [Cmd::Ask(order(Ask::Stop, &["api.2"]))]);
    assert_eq!(press(&mut model, "Gb"), [Cmd::Ask(order(Ask::Build, &["web"]))]);
    assert_eq!(press(&mut model, "gjjS"), [Cmd::Ask(order(Ask::Start, &["api.2"]))]);
    assert_eq!(model.toasts.back().map(|toast| toast.text.as_str()), Some("start api.2 …"));
}

#[test]
fn what_cannot_be_undone_is_asked_first() {
    let mut model = model();
    assert_eq!(press(&mut model, "Kn"), []);
    assert_eq!(press(&mut model, "K<esc>"), []);
    assert_eq!(press(&mut model, "Kxy"), [Cmd::Ask(order(Ask::Kill, &["api"]))]);
    assert_eq!(press(&mut model, "<space>jj<space>s"), []);
    assert!(
        matches!(&model.popup, Some(Popup::Confirm { question, .. }) if question == "stop api, auth?"),
        "{:?}",
        model.popup
    );
    assert_eq!(press(&mut model, "y"), [Cmd::Ask(order(Ask::Stop, &["api", "auth"]))]);
    assert!(model.marks.is_empty());
}

#[test]
fn scaling_counts_from_what_is_wanted() {
    let mut model = model();
    let scaled = |name: &str, scale| Cmd::Ask(Order { scale: Some(scale), ..order(Ask::Scale, &[name]) });
    assert_eq!(press(&mut model, "+"), [scaled("api", 3)]);
    assert_eq!(press(&mut model, "-"), [scaled("api", 1)]);
    assert_eq!(press(&mut model, "jjj-"), []);
    assert_eq!(press(&mut model, "y"), [scaled("auth", 0)]);
}

#[test]
fn the_palette_completes_remembers_and_explains() {
    let mut model = model();
    assert_eq!(
        press(&mut model, ":scale api 3<enter>"),
        [Cmd::Ask(Order { scale: Some(3), ..order(Ask::Scale, &["api"]) })]
    );
    assert_eq!(press(&mut model, ":resta<tab><enter>"), [Cmd::Ask(order(Ask::Restart, &[]))]);
    assert_eq!(press(&mut model, ":restart we<tab><enter>"), [Cmd::Ask(order(Ask::Restart, &["web"]))]);
    assert_eq!(press(&mut model, ":restart wbe<enter>"), []);
    let error = model.prompt.as_ref().and_then(|prompt| prompt.error.clone());
    assert_eq!(error.as_deref(), Some("there is no service `wbe`; did you mean `web`?"));
    assert_eq!(press(&mut model, "<esc>:<up><enter>"), [Cmd::Ask(order(Ask::Restart, &["web"]))]);
    assert_eq!(press(&mut model, ":quit<enter>"), [Cmd::Quit]);
}

#[test]
fn a_filter_narrows_while_it_is_typed() {
    let mut model = model();
    press(&mut model, "/au");
    assert_eq!(model.selected().map(|row| row.id), Some("auth".to_owned()));
    assert_eq!(press(&mut model, "<enter>r"), [Cmd::Ask(order(Ask::Restart, &["auth"]))]);
    press(&mut model, "<esc>");
    assert_eq!(model.rows(false).len(), 5);
}

#[test]
fn q_closes_the_innermost_and_leaves_at_last() {
    let mut model = model();
    assert_eq!(press(&mut model, "<enter>"), [Cmd::Why("api".to_owned())]);
    assert_eq!(press(&mut model, "q"), []);
    assert_eq!(press(&mut model, "?jj<esc>zq"), []);
    assert_eq!((model.popup.clone(), model.zoom, &model.screen), (None, false, &Screen::Dashboard));
    assert_eq!(press(&mut model, "<ctrl-c>"), [Cmd::Quit]);
    assert_eq!(press(&mut model, "<esc><esc>"), []);
}

#[test]
fn cursors_and_marks_stay_with_what_they_are_on() {
    let mut model = model();
    press(&mut model, "jjj<space>");
    assert_eq!(model.selected().map(|row| row.id), Some("web".to_owned()));
    let services = vec![service("aaa", &["ready"]), service("web", &["ready"])];
    update(&mut model, Msg::Ps(Box::new(ps(services))));
    assert_eq!(model.selected().map(|row| row.id), Some("web".to_owned()));
    assert!(model.marks.is_empty());
    update(&mut model, Msg::Ps(Box::new(ps(vec![service("aaa", &["ready"])]))));
    assert_eq!(model.selected().map(|row| row.id), Some("aaa".to_owned()));
    update(&mut model, Msg::Ps(Box::new(ps(Vec::new()))));
    assert_eq!(press(&mut model, "rjkG<enter>+W O"), []);
}

fn with_commands() -> Model {
    let mut model = model();
    model.runs.names =
        vec![("migrate".into(), "go run ./cmd/migrate".into()), ("seed".into(), "go run ./cmd/seed".into())];
    model
}

#[test]
fn commands_of_the_project_are_run_shown_and_ended() {
    use crate::sys::child::End;
    use crate::tui::custom::{RunCmd, RunMsg};
    let mut model = with_commands();
    assert_eq!(press(&mut model, "!se<tab><enter>"), [Cmd::Run(RunCmd::Start(0, "seed".into()))]);
    assert_eq!(model.popup, Some(Popup::Output { run: 0, up: 0 }));
    let said = |n: usize| Msg::Run(RunMsg::Said(0, (0..n).map(|n| format!("line {n}").into_bytes()).collect()));
    update(&mut model, said(50));
    // What is read stays where it is.
    press(&mut model, "kk");
    update(&mut model, said(10));
    assert_eq!(model.popup, Some(Popup::Output { run: 0, up: 12 }));
    press(&mut model, "g");
    assert_eq!(model.popup, Some(Popup::Output { run: 0, up: 59 }));
    assert_eq!(press(&mut model, "G<ctrl-c>"), [Cmd::Run(RunCmd::Stop(0))]);
    assert_eq!(press(&mut model, "<esc>"), []);
    // It runs once at a time; typed again it is only shown.
    assert_eq!(press(&mut model, ":run seed<enter>"), []);
    assert_eq!(model.popup, Some(Popup::Output { run: 0, up: 0 }));
    assert_eq!(press(&mut model, "<esc>q"), []);
    assert_eq!(model.popup, Some(Popup::Leave("`seed` runs: end it and leave?".into())));
    assert_eq!(press(&mut model, "n"), []);
    update(&mut model, Msg::Run(RunMsg::Ended(0, Ok(End::Signal(2)))));
    assert_eq!(model.toasts.back().map(|toast| toast.text.as_str()), Some("seed: ended by signal 2"));
    assert_eq!(press(&mut model, ":output<enter>"), []);
    assert_eq!(model.popup, Some(Popup::Output { run: 0, up: 0 }));
    assert_eq!(press(&mut model, "qq"), [Cmd::Quit]);
    assert_eq!(press(&mut model, ":run sed<enter>"), []);
    let error = model.prompt.as_ref().and_then(|prompt| prompt.error.clone());
    assert_eq!(error.as_deref(), Some("orchestra.yml has no command `sed`; did you mean `seed`?"));
}

#[test]
fn a_key_of_keys_toml_runs_a_command() {
    use crate::tui::custom::RunCmd;
    use crate::tui::settings;
    let mut model = with_commands();
    model.keymap = std::sync::Arc::new(settings::parse("[commands]\nmigrate = \"f9\"\nother = \"f8\"\n").keymap);
    assert_eq!(press(&mut model, "<f9>"), [Cmd::Run(RunCmd::Start(0, "migrate".into()))]);
    assert_eq!(press(&mut model, "<esc><f8>"), []);
    assert_eq!(model.toasts.back().map(|toast| toast.text.as_str()), Some("orchestra.yml has no command `other`"));
    let mut none = super::tests::model();
    assert_eq!(press(&mut none, "!"), []);
    assert_eq!(none.prompt, None);
}

fn failing() -> Model {
    use crate::api::wire;
    let mut model = model();
    let problem =
        |line| wire::Problem { file: "api/main.go".into(), line, column: 2, message: format!("wrong {line}") };
    let build = wire::Build { state: "failed".into(), id: None, error: None, problems: vec![problem(3), problem(7)] };
    let broken = wire::Service { build: Some(build), ..service("api", &["ready"]) };
    update(&mut model, Msg::Ps(Box::new(ps(vec![broken, service("web", &["ready"])]))));
    model
}

#[test]
fn a_pane_of_problems_opens_to_a_screen_and_closes_again() {
    use crate::tui::problems::{Listed, Place, ProblemCmd};
    let mut model = failing();
    let place = |line| Place { file: "api/main.go".into(), line, column: 2 };
    assert_eq!(press(&mut model, "3jo"), [Cmd::Edit(place(7))]);
    assert_eq!(press(&mut model, "<enter>"), [Cmd::Problem(ProblemCmd::Excerpt(place(7)))]);
    assert_eq!(model.listed(), Some(Listed::Whole));
    assert_eq!(press(&mut model, "N"), [Cmd::Problem(ProblemCmd::Excerpt(place(3)))]);
    assert_eq!(press(&mut model, "R"), [Cmd::Problem(ProblemCmd::Output("api".into()))]);
    let copied = "api build: api/main.go:3:2: wrong 3\n".to_owned();
    assert_eq!(press(&mut model, "y"), [Cmd::Problem(ProblemCmd::Copy(copied))]);
    assert_eq!(press(&mut model, "b"), [Cmd::Ask(order(Ask::Build, &["api"]))]);
    assert_eq!(press(&mut model, "t"), [Cmd::Test(vec!["api".into()], None)]);
    press(&mut model, "qq");
    assert_eq!((model.listed(), model.zoom), (Some(Listed::Problems), false));
    assert_eq!(press(&mut model, "q"), [Cmd::Quit]);
    // On a narrow terminal there is only the screen; leaving it leads back to the lists.
    update(&mut model, Msg::Resize(80, 24));
    assert_eq!(model.listed(), Some(Listed::Whole));
    assert_eq!(press(&mut model, "q"), []);
    assert_eq!((model.listed(), model.focus), (None, crate::tui::model::Pane::Services));
}

#[test]
fn failed_tests_are_run_again_by_their_names() {
    use crate::tui::problems::read_tests;
    let mut model = model();
    assert_eq!(press(&mut model, ":rerun failed<enter>"), []);
    let test = |name: &str| serde_json::json!({"name": name, "state": "failed", "message": "got 1"});
    let report = serde_json::json!({"packages": [
        {"services": ["api"], "dir": "api", "tests": [test("TestA/x y"), test("TestB")]}, {"services": ["web"], "dir": "web", "error": "no"}]});
    for service in ["api", "web"] {
        update(&mut model, Msg::Tested(service.into(), read_tests(&report, service)));
    }
    let again = |service: &str, only: Option<&str>| Cmd::Test(vec![service.into()], only.map(str::to_owned));
    assert_eq!(press(&mut model, "4t"), [again("api", Some("^TestA$/^x y$"))]);
    assert_eq!(press(&mut model, ":rerun failed<enter>"), [again("api", Some("^(TestA|TestB)$")), again("web", None)]);
}
