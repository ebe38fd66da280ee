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
