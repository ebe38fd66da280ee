//! What commands do about vendors, with a worker that runs nothing.

use std::collections::BTreeSet;

use super::{Project, home};
use crate::store::intent;
use crate::supervisor::{Accepted, StartFlags, Verb};
use crate::task::id::ServiceName;

const SHOP: &[(&str, &str)] = &[
    (
        "orchestra.yml",
        "name: shop\nvendors:\n  pg: {image: 'postgres:16', ports: ['25432:5432']}\n  cache: {image: redis}\n  \
         migrate: {image: migrate, type: job, depends_on: [pg]}\n  admin: {image: admin, profiles: [tools], depends_on: [pg]}\n  \
         old: {image: old, enabled: false}\n",
    ),
    ("api/service.yml", "command: [/bin/sleep, '1000']\ndepends_on: [pg]\n"),
    ("web/service.yml", "command: [/bin/sleep, '1000']\n"),
];

impl Project {
    async fn start_with(&self, flags: StartFlags, select: &[&str]) -> Accepted {
        let accepted = self.ask(Verb::Start(flags), select).await.unwrap();
        self.settle(accepted.from).await;
        accepted
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_brings_up_every_vendor_that_is_enabled_and_a_named_one_what_it_needs() {
    let project = Project::new(SHOP);
    project.start(&["api"]).await;
    assert_eq!(
        project.states(),
        "admin:idle api:ready cache:idle migrate:idle old:idle pg:ready web:idle",
        "what the chosen need"
    );
    project.start(&[]).await;
    assert_eq!(project.states(), "admin:idle api:ready cache:ready migrate:done old:idle pg:ready web:ready");
    project.start(&["old"]).await;
    assert!(project.states().contains("old:ready"));
}

#[tokio::test(start_paused = true)]
async fn profiles_choose_more() {
    let project = Project::new(SHOP);
    let flags = StartFlags { profiles: vec!["tools".to_owned(), "tolls".to_owned()], ..StartFlags::default() };
    let accepted = project.start_with(flags, &[]).await;
    assert!(project.states().starts_with("admin:ready api:ready"), "{}", project.states());
    assert_eq!(accepted.notes, ["no vendor has the profile `tolls`; did you mean tools?"]);
}

#[tokio::test(start_paused = true)]
async fn without_vendors_nobody_waits_for_one() {
    let project = Project::new(SHOP);
    let flags = StartFlags { no_vendors: true, ..StartFlags::default() };
    let accepted = project.start_with(flags, &["api"]).await;
    assert_eq!(accepted.notes, ["vendor `pg` is left out"]);
    assert_eq!(project.states(), "admin:idle api:ready cache:idle migrate:idle old:idle pg:idle web:idle");
    let accepted = project.ask(Verb::Restart { replace: BTreeSet::new() }, &["api"]).await.unwrap();
    project.settle(accepted.from).await;
    assert!(project.states().contains("api:ready"), "that is kept: {}", project.states());
    project.start(&["api"]).await;
    assert!(project.states().contains("pg:ready"), "until a start says nothing of it: {}", project.states());
}

#[tokio::test(start_paused = true)]
async fn a_restart_without_a_name_leaves_vendors_running() {
    let project = Project::new(SHOP);
    project.start(&[]).await;
    let runs = |project: &Project| {
        let snapshot = project.handle.snapshots.borrow().clone();
        let all = snapshot.services.iter().flat_map(|view| &view.instances);
        all.filter_map(|view| Some((view.id.service.to_string(), view.run?)))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = runs(&project);
    let accepted = project.ask(Verb::Restart { replace: BTreeSet::new() }, &[]).await.unwrap();
    project.settle(accepted.from).await;
    let accepted = project.ask(Verb::Restart { replace: BTreeSet::new() }, &["~web"]).await.unwrap();
    project.settle(accepted.from).await;
    let after = runs(&project);
    assert_eq!((before["pg"], before["cache"]), (after["pg"], after["cache"]));
    assert_ne!(before["api"], after["api"]);
    let accepted = project.ask(Verb::Restart { replace: BTreeSet::new() }, &["cache"]).await.unwrap();
    project.settle(accepted.from).await;
    assert_ne!(after["cache"], runs(&project)["cache"], "by its name it is restarted");
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_everything_reaches_vendors_and_one_by_name_says_who_goes_on() {
    let project = Project::new(SHOP);
    project.start(&[]).await;
    let accepted = project.ask(Verb::Stop { grace: None }, &["pg"]).await.unwrap();
    assert_eq!(
        accepted.notes,
        ["`api` depends on `pg` and keeps running", "`migrate` depends on `pg` and keeps running"]
    );
    project.settle(accepted.from).await;
    let accepted = project.ask(Verb::Stop { grace: None }, &[]).await.unwrap();
    assert!(accepted.services.iter().any(|name| name.as_str() == "cache"));
    project.settle(accepted.from).await;
    project.task.await.unwrap();
    let (intents, _) = intent::load(&home(project.dir.path()).state()).unwrap();
    assert!(intents.values().all(|intent| intent.desired == "down"));
}

#[tokio::test(start_paused = true)]
async fn a_vendor_is_neither_scaled_nor_built() {
    let project = Project::new(SHOP);
    project.start(&[]).await;
    let numbers = [(ServiceName::fold("pg").unwrap(), Some(2))].into();
    let error = project.ask(Verb::Scale(numbers), &[]).await.unwrap_err();
    assert_eq!(error.message, "`pg` is a vendor, and a vendor has one copy");
    assert!(!error.hints.is_empty());
    let accepted = project.ask(Verb::Build, &["pg"]).await.unwrap();
    assert_eq!(accepted.notes, ["vendor `pg` is left out: it runs an image and is not built"]);
    assert_eq!(project.ask(Verb::Build, &[]).await.unwrap().notes, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_variable_of_the_command_line_reaches_a_vendor_only_by_its_name() {
    let project = Project::new(SHOP);
    let flags = || StartFlags { env: vec![("LOG".into(), "debug".into())], ..StartFlags::default() };
    project.start_with(flags(), &[]).await;
    let kept = |vendor: &str| {
        let (intents, _) = intent::load(&home(project.dir.path()).state()).unwrap();
        intent::unpairs(&intents[&ServiceName::fold(vendor).unwrap()].extra_env).len()
    };
    assert_eq!((kept("api"), kept("pg")), (1, 0), "a database is not made anew for it");
    project.start_with(flags(), &["pg"]).await;
    assert_eq!(kept("pg"), 1);
}
