//! The build of a service: its binary, what is wrong with the newest, its tests, and what the newest edit led to.

use std::time::Duration;

use super::facts::Page;
use crate::api::wire::{Build, WhyRerun};
use crate::text;
use crate::tui::actions::Action;
use crate::tui::theme::Token;

/// So much of a binary's hash is shown.
const HASH: usize = 12;

/// Its binary, what is wrong with the newest, and what the newest edit led to.
pub(super) fn build(page: &mut Page<'_>, places: usize) {
    let facts = page.facts;
    let Some(build) = &facts.service.build else { return };
    page.head("Build", "");
    let hash: String = build.id.as_deref().unwrap_or("-").chars().take(HASH).collect();
    let (words, token) = match &*build.state {
        "failed" => ("FAILED", Token::Bad),
        "building" => ("building", Token::Wait),
        "queued" => ("waits for a place", Token::Wait),
        "ok" => ("ok", Token::Good),
        _ => ("never built", Token::Dim),
    };
    let runs = facts.instances.iter().any(|copy| copy.is_up());
    let what = if runs { "running" } else { "newest" };
    page.cells(&[(what, 7, Token::Dim), (&hash, HASH, Token::Text), ("build", 5, Token::Dim), (words, 0, token)]);
    if build.state == "failed" {
        failure(page, build, places);
    }
    if let Some(rerun) = facts.why.and_then(|why| why.rerun.as_ref()) {
        edit(page, rerun);
    }
    if let Some(tests) = facts.why.and_then(|why| why.tests.as_ref()) {
        let token = match &*tests.state {
            "failed" => Token::Bad,
            "passed" => Token::Good,
            _ => Token::Wait,
        };
        let counts = format!("{} passed, {} failed", tests.passed, tests.failed);
        page.cells(&[("tests", 7, Token::Dim), (&tests.state, 8, token), (&counts, 0, Token::Text)]);
        tests.error.iter().for_each(|error| page.wrapped(error, Token::Bad));
    }
}

fn failure(page: &mut Page<'_>, build: &Build, places: usize) {
    let key = page.facts.model.key(Action::GoProblem);
    let n = build.problems.len();
    let errors = if n == 1 { "1 error".to_owned() } else { format!("{n} errors") };
    let kept = if build.id.is_some() { "the old binary is kept" } else { "there is no binary" };
    page.line(format!("{kept}; {errors}; {key} goes to the problems"), Token::Text);
    for problem in build.problems.iter().take(places) {
        page.wrapped(&format!("{}:{}:{}: {}", problem.file, problem.line, problem.column, problem.message), Token::Bad);
    }
    if n > places {
        page.line(format!("… and {} more", n - places), Token::Dim);
    }
    if n == 0 {
        build.error.iter().for_each(|error| page.wrapped(error, Token::Bad));
    }
}

/// Which files, what became of it, and how long each part of that took.
fn edit(page: &mut Page<'_>, rerun: &WhyRerun) {
    let more = if rerun.more > 0 { format!(" and {} more", rerun.more) } else { String::new() };
    let seen = page.facts.clock(&rerun.seen_at);
    page.wrapped(&format!("edited {seen}: {}{more}", rerun.files.join(", ")), Token::Text);
    let phases: Vec<String> = rerun
        .phases
        .iter()
        .map(|phase| format!("{} {}", phase.phase, text::time(Duration::from_secs_f64(phase.ms.max(0.0) / 1000.0))))
        .collect();
    let outcome = rerun.build.as_deref().map_or_else(String::new, |outcome| format!("{outcome}: "));
    if !phases.is_empty() || !outcome.is_empty() {
        page.wrapped(&format!("  {outcome}{}", phases.join(", ")), Token::Dim);
    }
}
