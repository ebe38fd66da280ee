//! What keys do with problems and tests.

use super::{acts, moves};
use crate::api::convert::Ask;
use crate::tui::actions::Action;
use crate::tui::fleet::Tone;
use crate::tui::model::{Model, Order, Pane, Screen};
use crate::tui::msg::Cmd;
use crate::tui::problems::{Kind, Listed, ProblemCmd, Row, pattern_of};

/// Does what a key means in the panes of problems and tests; `None` where it means nothing there.
pub(super) fn act(model: &mut Model, action: Action) -> Option<Vec<Cmd>> {
    let listed = model.listed()?;
    let whole = listed == Listed::Whole;
    let problems = &mut model.problems;
    match action {
        Action::NextProblem => problems.step(listed, true),
        Action::PreviousProblem => problems.step(listed, false),
        Action::Failing => {
            problems.all = !problems.all;
            problems.go(listed, |at, _| at);
        }
        Action::Dismiss => problems.dismiss(listed),
        Action::Raw => {
            (problems.raw, problems.scroll) = (!problems.raw, 0);
            if !whole {
                open(model);
            }
        }
        Action::OpenProblem => return Some(enter(model, listed)),
        Action::EditProblem => return Some(edit(model, listed)),
        Action::FoldGroup if whole => problems.fold(),
        Action::NextKind if whole => problems.turn(true),
        Action::PreviousKind if whole => problems.turn(false),
        // The panes have one kind each.
        Action::NextKind | Action::PreviousKind | Action::FoldGroup => {}
        Action::Zoom if !model.zoom => open(model),
        // What was printed is what is read then.
        Action::HalfDown | Action::PageDown if whole && problems.raw => {
            let by = page(model, action);
            model.problems.scroll += by;
        }
        Action::HalfUp | Action::PageUp if whole && problems.raw => {
            let by = page(model, action);
            model.problems.scroll = model.problems.scroll.saturating_sub(by);
        }
        Action::TestAgain => return Some(test_again(model, listed)),
        Action::BuildAgain => {
            let row = problems.selected(listed)?;
            return Some(vec![acts::ask(model, Order::new(Ask::Build, vec![row.group.service.clone()]))]);
        }
        Action::CopyProblem => {
            let row = problems.selected(listed)?;
            return Some(vec![Cmd::Problem(ProblemCmd::Copy(row.copied()))]);
        }
        _ => return None,
    }
    Some(Vec::new())
}

fn page(model: &Model, action: Action) -> usize {
    let half = usize::try_from(moves::half(model)).unwrap_or(1);
    if matches!(action, Action::HalfDown | Action::HalfUp) { half } else { 2 * half }
}

/// The list alone on the screen, at the same item.
fn open(model: &mut Model) {
    let pane = model.focus;
    let listed = if pane == Pane::Tests { Listed::Tests } else { Listed::Problems };
    if model.listed() != Some(Listed::Whole)
        && let Some(row) = model.problems.selected(listed)
    {
        model.problems.show(&row, pane);
    }
    model.zoom = true;
}

fn enter(model: &mut Model, listed: Listed) -> Vec<Cmd> {
    let Some(row) = model.problems.selected(listed) else { return Vec::new() };
    match (listed, row.item, row.group.kind) {
        (Listed::Problems | Listed::Tests, _, _) => open(model),
        (Listed::Whole, None, _) => model.problems.fold(),
        // A panic is more than its first frame.
        (Listed::Whole, Some(_), Kind::Panic | Kind::Crash) => model.problems.raw = !model.problems.raw,
        (Listed::Whole, Some(_), _) => return edit(model, listed),
    }
    Vec::new()
}

fn edit(model: &mut Model, listed: Listed) -> Vec<Cmd> {
    match model.problems.selected(listed).as_ref().and_then(Row::nearest).map(|item| item.place.clone()) {
        Some(Some(place)) => vec![Cmd::Edit(place)],
        Some(None) => {
            model.toast(Tone::Wait, "it names no place in a file");
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// The test the cursor is on, alone; the tests of its service where it is on none.
fn test_again(model: &mut Model, listed: Listed) -> Vec<Cmd> {
    let Some(row) = model.problems.selected(listed) else { return Vec::new() };
    let only = row.problem().and_then(|item| item.test.as_deref());
    let (service, pattern) = (row.group.service.clone(), only.map(pattern_of));
    match only {
        Some(test) => model.toast(Tone::Wait, format!("test {service}: {test} …")),
        None => model.toast(Tone::Wait, format!("test {service} …")),
    }
    vec![Cmd::Test(vec![service], pattern)]
}

/// Runs everything again that failed.
pub(super) fn rerun_failed(model: &mut Model) -> Vec<Cmd> {
    let failed = model.problems.failed_tests();
    let said = match failed.len() {
        0 => "no test failed".to_owned(),
        n => format!("the failed tests of {n} service{} again …", if n == 1 { "" } else { "s" }),
    };
    model.toast(Tone::Wait, said);
    failed.into_iter().map(|(service, only)| Cmd::Test(vec![service], only)).collect()
}

/// Leaves the screen of their own; false where it is not shown.
pub(super) fn close(model: &mut Model) -> bool {
    if model.listed() != Some(Listed::Whole) {
        return false;
    }
    if std::mem::take(&mut model.problems.raw) {
        model.problems.scroll = 0;
        return true;
    }
    model.zoom = false;
    if model.listed() == Some(Listed::Whole) {
        // There is no room for it beside others: the lists are shown instead.
        model.focus = Pane::Services;
    }
    true
}

/// What is to be found out for what is shown now.
pub(super) fn wishes(model: &mut Model) -> Vec<Cmd> {
    let whole = model.screen == Screen::Dashboard && model.listed() == Some(Listed::Whole);
    model.problems.wishes(whole).into_iter().map(Cmd::Problem).collect()
}
