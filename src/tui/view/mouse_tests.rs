//! The mouse, against what is drawn: every place is found by the text that stands there, so that what is clicked is what is seen.

use proptest::prelude::*;

use super::spot::{self, Spot};
use super::tests::{draw, line, model, press, window};
use crate::api::convert::Ask;
use crate::logs::index::Position;
use crate::logs::sources::Channel;
use crate::tui::actions::Action;
use crate::tui::fleet::Tone;
use crate::tui::log::LogCmd;
use crate::tui::model::{Model, Order, Pane, Popup, Screen};
use crate::tui::msg::{Cmd, Msg};
use crate::tui::testing::{ps, service};
use crate::tui::update::update;

/// Where a text is drawn for the first time, from the left edge `from` on.
fn find_from(model: &Model, from: u16, text: &str) -> (u16, u16) {
    place(model, from, text).unwrap_or_else(|| panic!("`{text}` is not drawn"))
}

fn place(model: &Model, from: u16, text: &str) -> Option<(u16, u16)> {
    let buffer = draw(model);
    let chars: Vec<String> = text.chars().map(String::from).collect();
    let here = |x: u16, y: u16| {
        chars.iter().zip(x..).all(|(char, x)| buffer.cell((x, y)).is_some_and(|cell| cell.symbol() == char))
    };
    // The lists are at the left.
    (from..model.size.0).flat_map(|x| (0..model.size.1).map(move |y| (x, y))).find(|(x, y)| here(*x, *y))
}

fn find(model: &Model, text: &str) -> (u16, u16) {
    find_from(model, 0, text)
}

/// A click long after whatever was clicked before.
fn click(model: &mut Model, (x, y): (u16, u16)) -> Vec<Cmd> {
    let at = model.now + 1_000_000;
    without_wishes(update(model, Msg::Click { x, y, at }))
}

/// What is asked for, but for what the problems wish to know.
fn without_wishes(cmds: Vec<Cmd>) -> Vec<Cmd> {
    cmds.into_iter().filter(|cmd| !matches!(cmd, Cmd::Problem(_))).collect()
}

fn double_click(model: &mut Model, place: (u16, u16)) -> Vec<Cmd> {
    let first = click(model, place);
    assert_eq!(first, []);
    let at = model.now + 400_000;
    without_wishes(update(model, Msg::Click { x: place.0, y: place.1, at }))
}

fn wheel(model: &mut Model, (x, y): (u16, u16), by: i32) {
    assert_eq!(without_wishes(update(model, Msg::Wheel { x, y, by })), []);
}

fn drag(model: &mut Model, (x, y): (u16, u16)) {
    assert_eq!(update(model, Msg::Drag { x, y }), []);
}

fn many(size: (u16, u16), n: usize) -> Model {
    let mut model = model(size);
    let services: Vec<_> = (0..n).map(|at| service(&format!("svc{at:03}"), &["ready"])).collect();
    update(&mut model, Msg::Ps(Box::new(ps(services))));
    model.log.window = window((0..300).map(|n| line(n, 0, &format!("text {n:03}"), None, Channel::Stdout)).collect());
    model
}

fn at(model: &Model, n: i64) -> Position {
    model.log.window.rows[n as usize].position
}

#[test]
fn a_click_focuses_and_selects() {
    let mut model = model((160, 48));
    model.event(Tone::Good, "first thing");
    model.event(Tone::Bad, "second thing");
    let cases = [
        ("payments ", Pane::Services, 5),
        ("postgres", Pane::Vendors, 0),
        ("declared and not", Pane::Problems, 1),
        ("88 passed", Pane::Tests, 0),
        ("first thing", Pane::Events, 1),
        ("─[1]", Pane::Services, 5),
        ("[6] Events", Pane::Events, 1),
    ];
    for (text, pane, row) in cases {
        let place = find(&model, text);
        assert_eq!(click(&mut model, place), [], "{text}");
        assert_eq!((model.focus, model.list_of(pane).map(|list| list.at)), (pane, Some(row)), "{text}");
    }
    assert_eq!(model.services.selected.as_deref(), Some("payments"));
    let place = find(&model, "order created");
    click(&mut model, place);
    assert_eq!((model.focus, model.log.follow, model.log.current()), (Pane::Logs, false, Some(1)));
}

#[test]
fn a_double_click_does_what_enter_does() {
    let mut model = model((160, 48));
    let place = find(&model, "auth ");
    assert_eq!(double_click(&mut model, place), [Cmd::Why("auth".into())]);
    press(&mut model, "<esc>");
    let place = find(&model, "undefined: newRepo");
    assert_eq!(double_click(&mut model, place), []);
    assert!(model.zoom);
    let place = find(&model, "undefined: newRepo");
    assert!(matches!(double_click(&mut model, place).as_slice(), [Cmd::Edit(place)] if place.line == 41));
    press(&mut model, "<esc>");
    let place = find(&model, "order created");
    let second = at(&model, 1);
    assert_eq!(double_click(&mut model, place), [Cmd::Log(LogCmd::Open(second))]);
    let place = find(&model, "[6] Events");
    model.event(Tone::Good, "it began");
    let place = (place.0, find(&model, "it began").1);
    let now = model.events.back().unwrap().at;
    assert_eq!(double_click(&mut model, place), [Cmd::Log(LogCmd::Time(now))]);
    // A slow one is two clicks.
    let place = find(&model, "auth ");
    assert_eq!((click(&mut model, place), click(&mut model, place)), (vec![], vec![]));
}

#[test]
fn the_sign_of_the_selected_row_folds() {
    let mut model = model((160, 48));
    let sign = find(&model, "▾orders");
    click(&mut model, sign);
    assert!(model.folded.is_empty());
    click(&mut model, sign);
    assert_eq!(find(&model, "▸orders"), sign);
    click(&mut model, (sign.0 + 2, sign.1));
    assert!(!model.folded.is_empty());
    click(&mut model, sign);
    assert!(model.folded.is_empty());
}

#[test]
fn the_wheel_scrolls_below_the_pointer_and_leaves_the_focus() {
    let mut model = many((160, 48), 60);
    let list = find(&model, "svc000");
    let newest = find(&model, "text 299");
    wheel(&mut model, newest, -3);
    assert_eq!((model.focus, model.log.follow), (Pane::Services, false));
    assert_eq!(place(&model, 0, "text 297"), None);
    find(&model, "text 296");
    wheel(&mut model, (100, 10), 3);
    assert!(model.log.follow);
    press(&mut model, "6");
    wheel(&mut model, list, 3);
    // The cursor is taken along only as far as it must.
    assert_eq!((model.focus, model.services.top, model.services.at), (Pane::Events, 3, 3));
    assert_eq!(find(&model, "svc003").1, list.1);
    wheel(&mut model, list, -300);
    assert_eq!((model.services.top, find(&model, "svc000")), (0, list));
    wheel(&mut model, list, 300);
    assert!(find(&model, "svc059").1 > list.1);
    press(&mut model, "?");
    wheel(&mut model, (80, 20), 3);
    assert_eq!(model.popup, Some(Popup::Help(3)));
    wheel(&mut model, (0, 20), 3);
    assert_eq!(model.popup, Some(Popup::Help(3)));
    click(&mut model, (0, 20));
    assert_eq!(model.popup, None);
    press(&mut model, "1<enter>");
    // Where all of it is seen there is nothing to scroll.
    wheel(&mut model, (80, 20), 3);
    assert!(matches!(&model.screen, Screen::Detail(detail) if detail.scroll == 0));
}

#[test]
fn a_list_that_was_scrolled_stays_where_it_is() {
    let mut model = many((160, 48), 60);
    press(&mut model, "GkkkK");
    assert!(model.services.top > 0);
    let top = model.services.top;
    press(&mut model, "kk");
    assert_eq!(model.services.top, top);
}

#[test]
fn dragging_selects_whole_lines_and_copies_them() {
    let mut model = many((160, 48), 3);
    let (x, y) = find(&model, "text 290");
    click(&mut model, (x, y));
    drag(&mut model, (x + 1, y));
    assert_eq!(model.log.other, None);
    // Another pane's columns mean lines of this one.
    drag(&mut model, (2, y + 3));
    assert_eq!(model.log.selected(), Some((at(&model, 290), at(&model, 293))));
    assert_eq!(update(&mut model, Msg::Release), [Cmd::Log(LogCmd::Copy(at(&model, 290), at(&model, 293)))]);
    assert_eq!((model.log.other, model.pointer.drag), (None, None));
    assert_eq!(update(&mut model, Msg::Release), []);
    // One line is copied by a drag along it; a click copies nothing, and is not the second of two.
    click(&mut model, (x, y));
    drag(&mut model, (x + 5, y));
    assert_eq!(update(&mut model, Msg::Release), [Cmd::Log(LogCmd::Copy(at(&model, 290), at(&model, 290)))]);
    click(&mut model, (x, y));
    assert_eq!((update(&mut model, Msg::Release), &model.log.opened), (vec![], &None));
}

#[test]
fn dragging_beyond_the_pane_scrolls_it() {
    let mut model = many((160, 48), 3);
    let (x, y) = find(&model, "text 290");
    click(&mut model, (x, y));
    drag(&mut model, (x, 0));
    let first = model.log.page().rows[0].0;
    assert_eq!(model.pointer.edge(), -1);
    for _ in 0..5 {
        update(&mut model, Msg::Beat);
    }
    assert_eq!((model.log.page().rows[0].0, model.log.current()), (first - 5, Some(first - 5)));
    drag(&mut model, (x, 47));
    for _ in 0..100 {
        update(&mut model, Msg::Beat);
    }
    // At the end of the log it neither follows nor goes further.
    assert_eq!((model.log.follow, model.log.current()), (false, Some(299)));
    assert_eq!(update(&mut model, Msg::Release), [Cmd::Log(LogCmd::Copy(at(&model, 290), at(&model, 299)))]);
    update(&mut model, Msg::Beat);
    assert_eq!(model.pointer.edge(), 0);
}

#[test]
fn a_line_that_is_opened_stays_in_sight() {
    let mut model = many((160, 48), 3);
    press(&mut model, "5kkk");
    let row = model.log.current_row().cloned().unwrap();
    let text = String::from_utf8_lossy(&row.bytes).into_owned();
    update(&mut model, Msg::Opened(row.position, Some(row.bytes)));
    let current = model.log.current().unwrap();
    assert!(model.log.page().rows.iter().any(|(at, _)| *at == current), "{text}");
}

#[test]
fn what_the_footer_says_can_be_clicked() {
    let mut model = model((160, 48));
    let restart = (find_from(&model, 0, "restart").0, 47);
    assert_eq!(click(&mut model, restart), [Cmd::Ask(Order::new(Ask::Restart, vec!["auth".into()]))]);
    press(&mut model, "K");
    let no = find(&model, "n no");
    assert_eq!(click(&mut model, no), []);
    assert_eq!(model.popup, None);
    press(&mut model, "K");
    click(&mut model, (0, 5));
    assert!(model.popup.is_some());
    let yes = find(&model, "y yes");
    assert_eq!(click(&mut model, yes), [Cmd::Ask(Order::new(Ask::Kill, vec!["auth".into()]))]);
    let help = (find(&model, "? help").0, 47);
    click(&mut model, help);
    assert_eq!(model.popup, Some(Popup::Help(0)));
}

#[test]
fn a_question_that_is_too_long_can_be_answered() {
    let mut model = model((60, 15));
    let names = (0..3).map(|n| format!("a-service-with-a-long-name-{n}")).collect();
    let order = Order::new(Ask::Stop, names);
    model.popup = Some(Popup::Confirm { question: format!("{}?", order.told()), order });
    let no = find(&model, "n no");
    click(&mut model, no);
    assert_eq!(model.popup, None);
}

#[test]
fn completions_can_be_taken_and_nothing_stands_beside_them() {
    let mut model = model((160, 48));
    press(&mut model, ":resta");
    let place = find(&model, "restart ");
    assert_eq!(spot::at(&model, place.0, place.1), Spot::Candidate(0));
    assert_eq!(spot::at(&model, 159, place.1), Spot::Candidate(0));
    let rest: String = (100..160).map(|x| draw(&model).cell((x, place.1)).unwrap().symbol().to_owned()).collect();
    assert_eq!(rest.trim(), "");
    assert_eq!(click(&mut model, place), []);
    assert_eq!(model.prompt.as_ref().map(|prompt| prompt.input.text().to_owned()).as_deref(), Some("restart"));
}

#[test]
fn the_bar_jumps() {
    let mut model = many((160, 48), 3);
    model.log.window.n_before = 100_000;
    let parts = super::log::parts(&model, super::layout::layout(&model).pane(Pane::Logs));
    let (x, y, rows) = (parts.bar.x, parts.bar.y, parts.bar.height);
    assert_eq!(click(&mut model, (x, y + 5)), [Cmd::Log(LogCmd::Bar { row: 5, rows })]);
    assert_eq!(model.focus, Pane::Logs);
    assert_eq!(update(&mut model, Msg::Drag { x: 3, y: y + 6 }), [Cmd::Log(LogCmd::Bar { row: 6, rows })]);
    assert_eq!(update(&mut model, Msg::Drag { x, y: 47 }), []);
    assert!(model.log.follow);
    assert_eq!(update(&mut model, Msg::Release), []);
    click(&mut model, (x, y));
    assert_eq!(model.log.top, crate::logs::index::Anchor::Top);
}

#[test]
fn every_pane_answers_when_it_is_zoomed() {
    for pane in Pane::ALL {
        let mut model = model((100, 30));
        model.event(Tone::Good, "a thing");
        // The status line would say the same as a pane.
        model.toasts.clear();
        press(&mut model, &format!("{}z", pane.number()));
        let texts = ["auth ", "postgres", "undefined: newRepo", "88 passed", "order created", "a thing"];
        let (x, y) = find(&model, texts[pane as usize]);
        let spot = spot::at(&model, x, y);
        match spot {
            Spot::Line(1) => assert_eq!(pane, Pane::Logs),
            Spot::Row(of, _) => assert_eq!(pane, of),
            other => panic!("{pane:?}: {other:?}"),
        }
        wheel(&mut model, (x, y), 3);
        click(&mut model, (x, y));
        assert_eq!((model.focus, model.zoom), (pane, true));
    }
}

#[test]
fn marks_are_listed_and_clicked() {
    let mut model = many((160, 48), 3);
    press(&mut model, "5kmakkmb");
    press(&mut model, "U");
    let place = find_from(&model, 32, "b 01-02");
    assert_eq!(click(&mut model, place), []);
    assert_eq!(model.popup, Some(Popup::Marks(1)));
    let at = model.now + 1;
    update(&mut model, Msg::Click { x: place.0, y: place.1, at });
    assert_eq!((model.popup.clone(), model.log.current()), (None, Some(296)));
    press(&mut model, "u");
    assert_eq!(model.log.current(), Some(298));
    press(&mut model, "uUa");
    assert_eq!(model.log.current(), Some(298));
    press(&mut model, "UxxU");
    assert_eq!((model.popup.clone(), model.log.marks.len()), (None, 0));
}

#[test]
fn digits_repeat_moves() {
    let mut model = many((160, 48), 30);
    press(&mut model, "7j");
    assert_eq!(model.services.at, 7);
    press(&mut model, "<alt-2>k<alt-1>0j");
    assert_eq!(model.services.at, 15);
    press(&mut model, "<alt-3>G");
    assert_eq!((model.services.at, model.count), (2, None));
    press(&mut model, "8<esc>j");
    assert_eq!(model.services.at, 3);
    press(&mut model, "5<alt-1>2k");
    assert_eq!(model.log.current(), Some(287));
    let cmds = update(&mut model, Msg::Key(crate::tui::keys::Key::char('9')));
    assert_eq!(cmds, []);
    press(&mut model, "99");
    let far = update(&mut model, Msg::Key(crate::tui::keys::Key::char('k')));
    let before = model.log.window.n_before;
    assert_eq!(far, [Cmd::Log(LogCmd::Number(before + 287 - 999))]);
}

#[test]
fn the_log_can_be_cleared_looked_at_raw_and_copied_whole() {
    let mut model = many((160, 48), 3);
    let key = |model: &mut Model, key: char| update(model, Msg::Key(crate::tui::keys::Key::char(key)));
    press(&mut model, "5");
    assert_eq!(key(&mut model, 'c'), [Cmd::Log(LogCmd::Clear)]);
    model.log.filters.since = Some(7);
    assert_eq!(key(&mut model, 'c'), [Cmd::Log(LogCmd::Query)]);
    assert_eq!(model.log.filters.since, None);
    let rows = model.log.page().rows;
    let (first, last) = (rows[0].0 as i64, rows[rows.len() - 1].0 as i64);
    assert_eq!(key(&mut model, 'Y'), [Cmd::Log(LogCmd::Copy(at(&model, first), at(&model, last)))]);
    let newest = at(&model, 299);
    assert_eq!(key(&mut model, ']'), [Cmd::Log(LogCmd::Run(newest, crate::logs::index::Direction::Forward))]);
    assert_eq!(key(&mut model, '['), [Cmd::Log(LogCmd::Run(newest, crate::logs::index::Direction::Backward))]);
    model.log.window.rows[299].bytes = b"\x1b[31mred\xff".to_vec();
    key(&mut model, 'P');
    find(&model, "\\x1b[31mred\\xff");
    key(&mut model, 'P');
    find(&model, "red\u{fffd}");
    press(&mut model, ":since 5m");
    let query = update(&mut model, Msg::Key(crate::tui::keys::Key::plain(crate::tui::keys::Code::Enter)));
    assert_eq!((query, model.log.filters.since), (vec![Cmd::Log(LogCmd::Query)], Some(model.now - 300_000_000)));
    press(&mut model, "<esc>");
    assert_eq!(model.log.filters.since, None);
}

#[test]
fn where_runs_begin_and_end_is_drawn() {
    let mut model = many((160, 48), 3);
    model.log.window.rows[290..].iter_mut().for_each(|row| row.run = 2);
    find(&model, "└text 289");
    find(&model, "┌text 290");
    find(&model, "│text 291");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_click_anywhere_at_any_size_is_harmless(
        size in (1_u16..200, 1_u16..60),
        events in prop::collection::vec((0_u8..9, 0_u16..200, 0_u16..60, "[1-6zwtPUmaKuc:?D&/]|<enter>|<esc>"), 0..40),
    ) {
        let mut model = many(size, 40);
        for (what, x, y, keys) in events {
            let at = model.now + i64::from(x) * 5_000;
            match what {
                0..=2 => drop(update(&mut model, Msg::Click { x, y, at })),
                3 => drop(update(&mut model, Msg::Drag { x, y })),
                4 => drop(update(&mut model, Msg::Release)),
                5 => drop(update(&mut model, Msg::Beat)),
                6 => drop(update(&mut model, Msg::Wheel { x, y, by: i32::from(x) - 100 })),
                7 => drop(update(&mut model, Msg::Resize(x.max(1), y.max(1)))),
                _ => press(&mut model, &keys),
            }
            draw(&model);
        }
    }

    #[test]
    fn what_is_clicked_is_what_is_seen(
        size in (60_u16..200, 15_u16..60),
        n in 1_usize..80,
        moves in prop::collection::vec((any::<bool>(), -9_i32..9, "[jkGg]|<ctrl-d>|<ctrl-u>"), 0..20),
        y in 0_u16..60,
    ) {
        let mut model = many(size, n);
        for (wheels, by, keys) in moves {
            if wheels { wheel(&mut model, (5, 4), by) } else { press(&mut model, &keys) }
        }
        if let Spot::Row(Pane::Services, row) = spot::at(&model, 5, y) {
            let expected = format!("svc{row:03}");
            prop_assert_eq!(find(&model, &expected).1, y);
        }
        let at = model.services.at;
        prop_assert_eq!(spot::at(&model, 5, find(&model, &format!("svc{at:03}")).1), Spot::Row(Pane::Services, at));
    }
}

#[test]
fn hints_are_where_they_are_drawn() {
    for size in [(160, 48), (80, 24), (60, 15), (20, 5)] {
        for keys in ["1", "3", "5", "6", "1<enter>", "D"] {
            let mut model = model(size);
            press(&mut model, keys);
            for hint in super::footer::hints(&model, super::layout::layout(&model).footer) {
                let (x, y) = (hint.area.x + 1, hint.area.y);
                let drawn: String =
                    (x..hint.area.right()).map(|x| draw(&model).cell((x, y)).unwrap().symbol().to_owned()).collect();
                let expected = format!("{} {}", model.key(hint.action), hint.action.entry().name);
                assert_eq!(drawn.trim_end(), expected);
                assert_eq!(spot::at(&model, x, y), Spot::Hint(hint.action));
            }
        }
    }
    assert!(matches!(spot::at(&model((160, 48)), 1, 47), Spot::Hint(Action::Help)));
}
