//! Tests of what the graph says and of the cursor's ways through it.

use std::time::Duration;

use super::scene::{Scene, Way, scene};
use super::*;
use crate::tui::model::Model;
use crate::tui::testing::{ps, service};

fn need(service: &str, condition: &str, met: bool) -> WhyNeed {
    WhyNeed { service: service.into(), condition: condition.into(), state: "starting".into(), met }
}

fn told(summary: &str, needs: Vec<WhyNeed>) -> Told {
    Told { summary: summary.into(), needs, ..Told::default() }
}

/// web waits for api, api for a job, and the job for a database that crashes.
fn waiting() -> Model {
    let mut model = Model::new("shop", (80, 24), 20_000_000);
    let mut db = service("db", &["backoff"]);
    db.instances[0].since = Some("1970-01-01T00:00:08Z".into());
    let mut web = service("web", &["queued"]);
    web.instances[0].since = Some("1970-01-01T00:00:05Z".into());
    let all = vec![service("api", &["queued"]), db, service("job", &["queued"]), service("lone", &["ready"]), web];
    model.fleet.update(ps(all), model.now);
    let mut database = told("`db` is backoff: db.1 exited with 1 and is started again soon", Vec::new());
    database.holders.push("port 5432 is held by pid 7 (postgres)".into());
    let all = [
        (
            "api",
            told(
                "`api` is queued: it waits for `job` to complete",
                vec![need("job", "completed", false), need("db", "ready", false)],
            ),
        ),
        ("db", database),
        ("job", told("`job` is queued: it waits for `db` to be ready", vec![need("db", "ready", false)])),
        ("lone", told("`lone` is ready", Vec::new())),
        ("web", told("`web` is queued: it waits for `api` to be ready", vec![need("api", "ready", false)])),
    ];
    model.graph.take(all.map(|(name, told)| (name.to_owned(), told)).into(), &model.fleet);
    model
}

fn said(model: &Model, name: &str) -> Vec<String> {
    let lines = why::lines(&model.graph.needs, &model.fleet, name, model.now);
    lines.into_iter().map(|line| format!("{}{}", "  ".repeat(line.depth), line.text)).collect()
}

#[test]
fn the_chain_ends_at_who_is_to_blame() {
    let model = waiting();
    assert_eq!(
        said(&model, "web"),
        [
            "`web` is queued: it waits for `api` to be ready, for 15s",
            "  waits for api to be ready: it is queued",
            "    waits for job to complete: it is queued",
            "      waits for db to be ready: it is backoff for 12s",
            "        db.1 exited with 1 and is started again soon",
            "        port 5432 is held by pid 7 (postgres)",
            "    waits for db to be ready: it is backoff for 12s",
        ]
    );
    assert_eq!(said(&model, "lone"), ["`lone` is ready"]);
    assert_eq!(said(&model, "nobody"), Vec::<String>::new());
}

#[test]
fn circles_and_the_unknown_end() {
    let mut model = waiting();
    model
        .graph
        .needs
        .insert("db".into(), told("`db` is queued", vec![need("web", "ready", false), need("gone", "ready", false)]));
    let lines = said(&model, "web");
    assert!(lines.len() < 20 && lines.iter().any(|line| line.contains("gone to be ready: it is unknown")), "{lines:?}");
    model.graph.needs.remove("web");
    assert_eq!(said(&model, "web"), ["`web` is queued; asking why …"]);
}

#[test]
fn only_what_is_not_settled_is_asked_about_again() {
    let mut model = waiting();
    for (name, told) in &mut model.graph.needs {
        told.state = model.fleet.service(name).unwrap().state.clone();
    }
    assert_eq!(model.graph.outdated(&model.fleet), ["api", "db", "job", "web"]);
    let all = ["api", "db", "job", "lone", "web"].map(|name| service(name, &["ready"]));
    model.fleet.update(ps(all.into()), 0);
    assert_eq!(model.graph.outdated(&model.fleet), ["api", "db", "job", "web"], "their states are others");
    for told in model.graph.needs.values_mut() {
        told.state = "ready".into();
    }
    assert_eq!(model.graph.outdated(&model.fleet), Vec::<String>::new());
    model.graph.needs.remove("job");
    assert_eq!(model.graph.outdated(&model.fleet), ["job"]);
}

#[test]
fn what_made_the_start_slow() {
    let ms = |ms| Some(Duration::from_millis(ms));
    // 0 and 1 are needed by 2, 2 and 3 by 4.
    let needs = [vec![], vec![], vec![0, 1], vec![], vec![2, 3]];
    let took = [ms(1100), ms(300), ms(600), ms(1500), ms(200)];
    assert_eq!(why::slowest(&needs, &took), Some((vec![0, 2, 4], Duration::from_millis(1900))));
    assert_eq!(why::slowest(&needs, &[None, None, None, ms(5), None]), Some((vec![3], Duration::from_millis(5))));
    assert_eq!(why::slowest(&needs, &[None; 5]), None);
    assert_eq!(why::slowest(&[], &[]), None);
}

#[test]
fn the_cursor_goes_along_the_lines() {
    let mut model = waiting();
    let walk = |model: &Model, from: &str, ways: &[Way]| {
        let scene = scene(model, 100, 20);
        let mut at = (from.to_owned(), 0);
        ways.iter().for_each(|way| at = scene.go(Some(&at.0), at.1, *way).unwrap());
        at.0
    };
    assert!(matches!(scene(&model, 100, 20), Scene::Layers(_)));
    assert!(matches!(scene(&model, 20, 20), Scene::Tree(_)), "it does not fit");
    assert_eq!(walk(&model, "db", &[Way::Right]), "job");
    assert_eq!(walk(&model, "db", &[Way::Right, Way::Right, Way::Right]), "web");
    assert_eq!(walk(&model, "web", &[Way::Left, Way::Left, Way::Left, Way::Left]), "db");
    assert_eq!(walk(&model, "db", &[Way::Down(1)]), "lone");
    assert_eq!(walk(&model, "db", &[Way::Down(isize::MAX), Way::Down(-9)]), "db");
    model.graph.form = Form::Tree;
    // lone, web, api, job, db, db
    assert_eq!(walk(&model, "lone", &[Way::Down(3)]), "job");
    assert_eq!(walk(&model, "job", &[Way::Left, Way::Right]), "job");
    assert_eq!(walk(&model, "web", &[Way::Down(99), Way::Right]), "api");
}

#[test]
fn what_is_needed_is_lit() {
    let mut model = waiting();
    model.graph.chosen = Some("job".into());
    assert_eq!(model.graph.lit(), None);
    model.graph.light = Light::Needs;
    assert_eq!(model.graph.lit(), Some(["db", "job"].into()));
    model.graph.light = Light::Dependents;
    assert_eq!(model.graph.lit(), Some(["api", "job", "web"].into()));
}
