//! Every screen at four sizes, as text and with its styles; and that nothing a service writes reaches a cell as anything but text.

use std::fmt::Write;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use crate::api::wire;
use crate::logs::index::{Anchor, Position, Row, Tick, Window};
use crate::logs::level::Level;
use crate::logs::record::Stream;
use crate::logs::sources::Channel;
use crate::sys::child::End;
use crate::tui::custom::RunMsg;
use crate::tui::keys::keys;
use crate::tui::log::{Bar, Name, Rate};
use crate::tui::model::{Link, Model};
use crate::tui::msg::Msg;
use crate::tui::problems::{Death, Excerpt, Place, ProblemMsg, read_tests};
use crate::tui::testing::{instance, ps, service};
use crate::tui::theme::{Depth, Theme};
use crate::tui::update::update;

#[cfg(test)]
mod depth;

const NOW: i64 = 1_767_323_105_000_000;
const SIZES: [(u16, u16); 4] = [(160, 48), (80, 24), (60, 15), (20, 5)];

pub(super) fn line(n: i64, source: u32, text: &str, level: Option<Level>, channel: Channel) -> Row {
    Row {
        position: Position { key: n, source, segment: 1, offset: n as u64 },
        time: NOW - 60_000_000 + n * 1_000_000,
        stream: Stream::Stdout,
        channel,
        level,
        stated: level.is_some(),
        run: 1,
        continues: false,
        n_folded: if text.starts_with("panic") { 14 } else { 0 },
        bytes: text.as_bytes().to_vec(),
        cut: false,
        gone: false,
    }
}

pub(super) fn window(rows: Vec<Row>) -> Window {
    let n_lines = 8_412_667;
    Window { n_before: n_lines - rows.len() as u64, rows, exact: true, n_lines, at_bottom: true, ..Window::default() }
}

/// A fleet in which much is going on.
pub(super) fn model(size: (u16, u16)) -> Model {
    let mut model = Model::new("shop", size, NOW);
    (model.zone, model.link) = (TimeZone::UTC, Link::Up);
    model.theme = Theme::named("dark", Depth::Indexed).unwrap();
    let mut orders = service("orders", &["ready", "ready"]);
    let problem = |line, message: &str| wire::Problem {
        file: "orders/main.go".into(),
        line,
        column: 17,
        message: message.into(),
    };
    let problems = vec![problem(41, "undefined: newRepo"), problem(88, "declared and not used: tx")];
    orders.build = Some(wire::Build { state: "failed".into(), id: None, error: None, problems });
    let mut payments = service("payments", &["failed"]);
    payments.instances[0].last_exit = Some(wire::Exit {
        code: Some(2),
        signal: None,
        reason: "exit".into(),
        killed: false,
        ran_ms: None,
        at: "2026-01-02T03:04:57Z".into(),
    });
    payments.instances[0].restarts = 5;
    let mut postgres = service("postgres", &["ready"]);
    postgres.kind = "vendor".into();
    let mut named = service("名前-の長いサービス", &["starting"]);
    named.instances[0] = instance("名前.1", "starting", 130.0);
    let all = vec![service("auth", &["ready"]), orders, payments, postgres, service("mailer", &["idle"]), named];
    update(&mut model, Msg::Ps(Box::new(ps(all))));
    let report = serde_json::json!({"packages": [{"services": ["auth"], "dir": "auth", "passed": 88, "tests": [], "elapsed_ms": 1200}]});
    update(&mut model, Msg::Tested("auth".into(), read_tests(&report, "auth")));
    let name = |service: &str, label: &str| Name { service: service.into(), label: label.into() };
    model.log.names = vec![name("auth", "auth"), name("orders", "orders-1"), name("payments", "payments")];
    model.log.window = window(vec![
        line(1, 0, "token issued sub=41 ttl=15m", Some(Level::Info), Channel::Stdout),
        line(2, 1, "\x1b[32morder created\x1b[0m id=88213 user=41", None, Channel::Stdout),
        line(
            3,
            2,
            "level=error msg=\"provider declined\" code=card_declined trace=7f3a91c2",
            Some(Level::Error),
            Channel::Stderr,
        ),
        line(4, 2, "panic: assignment to entry in nil map", Some(Level::Fatal), Channel::Stderr),
        line(5, 2, "payments.1 exited with 2", None, Channel::Orchestra),
        line(
            6,
            0,
            "a line that is so long that it has no room on any of the screens this is drawn for, however wide they are made by whoever looks at them, and then some",
            Some(Level::Warn),
            Channel::Stdout,
        ),
    ]);
    model.log.progress.idle = true;
    let rate = |service: &str, lines: u32, errors: u32| Rate {
        service: service.into(),
        lines: (0..60).map(|at| lines * (at % 7)).collect(),
        errors: (0..60).map(|at| if at % 20 == 0 { errors } else { 0 }).collect(),
    };
    model.log.rates = vec![rate("auth", 2, 0), rate("orders", 1400, 0), rate("payments", 7, 3)];
    let tick = |at: usize| Tick { error: at % 10 == 3, hit: at % 12 == 5 };
    model.log.bar = Bar { ticks: (0..60).map(tick).collect(), marks: vec![('q', 0.5)] };
    model.settle_log();
    model
}

pub(super) fn press(model: &mut Model, text: &str) {
    for key in keys(text) {
        update(model, Msg::Key(key));
        model.settle_log();
    }
}

pub(super) fn draw(model: &Model) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, model.size.0, model.size.1));
    super::draw(model, &mut buffer);
    buffer
}

fn text(buffer: &Buffer) -> String {
    let rows = buffer.content().chunks(usize::from(buffer.area.width));
    rows.map(|row| {
        let mut columns = 0;
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            // The second cell of a wide character holds nothing.
            if at >= columns {
                line.push_str(cell.symbol());
                columns = at + crate::text::width(cell.symbol()).max(1);
            }
        }
        format!("{}\n", line.trim_end())
    })
    .collect()
}

/// Every run of cells with a style: row, columns, style.
fn styles(buffer: &Buffer) -> String {
    let mut out = String::new();
    for (y, row) in buffer.content().chunks(usize::from(buffer.area.width)).enumerate() {
        let mut from = 0;
        while from < row.len() {
            let (fg, modifier) = (row[from].fg, row[from].modifier);
            let to = row[from..]
                .iter()
                .position(|cell| (cell.fg, cell.modifier) != (fg, modifier))
                .map_or(row.len(), |n| from + n);
            if (fg, modifier) != (Color::Reset, Modifier::empty())
                && row[from..to].iter().any(|cell| cell.symbol() != " ")
            {
                writeln!(out, "{y:2} {from:3}-{:<3} {fg} {modifier:?}", to - 1).unwrap();
            }
            from = to;
        }
    }
    out
}

#[test]
fn screens() {
    let screens = [
        ("dashboard", ""),
        ("log", "5kk"),
        ("log-zoomed-wrapped", "5zwt"),
        ("problems", "3j"),
        ("tests", "4"),
        ("events", "6"),
        ("detail", "j<enter>"),
        ("graph", "D"),
        ("help", "?"),
        ("palette", ":re<tab>"),
        ("marked", "<space>jj<space>s"),
        ("filtered", "/or"),
        ("log-raw", "5P"),
        ("marks", "5kmakmbU"),
    ];
    for (name, keys) in screens {
        for size in SIZES {
            let mut model = model(size);
            press(&mut model, keys);
            insta::assert_snapshot!(format!("{name}-{}x{}", size.0, size.1), text(&draw(&model)));
        }
    }
}

/// Everything that can be wrong.
fn troubled(size: (u16, u16)) -> Model {
    let mut model = model(size);
    let report = serde_json::json!({"packages": [
        {"services": ["payments"], "dir": "internal/charge", "passed": 41, "skipped": 2, "elapsed_ms": 3400, "tests": [
            {"name": "TestCharge/declined", "state": "failed", "file": "internal/charge/charge_test.go", "line": 57,
             "message": "got 500, want 402", "elapsed_ms": 20, "output": ["    charge_test.go:57: got 500, want 402"]}]},
        {"services": ["payments"], "dir": "internal/refund", "vet": true, "passed": 0, "tests": [], "problems": [
            {"file": "internal/refund/pg.go", "line": 12, "column": 2, "message": "unkeyed fields"}]}]});
    update(&mut model, Msg::Tested("payments".into(), read_tests(&report, "payments")));
    let raw = ["panic: assignment to entry in nil map", "", "goroutine 1 [running]:", "main.(*Charger).Refund(0x1)"];
    let death = |service: &str, time| Death {
        service: service.into(),
        key: "nil map".into(),
        time,
        n: 5,
        message: "assignment to entry in nil map".into(),
        place: Some(Place { file: "internal/charge/refund.go".into(), line: 31, column: 0 }),
        function: "main.(*Charger).Refund".into(),
        n_frames: 14,
        raw: raw.map(str::to_owned).into(),
    };
    let deaths = vec![death("payments", NOW - 8_000_000), death("auth", NOW - 90_000_000)];
    update(&mut model, Msg::Problem(ProblemMsg::Deaths(deaths)));
    let lines =
        ["func main() {", "    cfg := config.Load()", "    repo := newRepo(cfg)", "    srv := server.New(repo)", "}"];
    let excerpt =
        Excerpt { first: 39, lines: lines.map(str::to_owned).into(), at: Some(2), mark: Some((12, 7)), modified: 0 };
    let place = Place { file: "orders/main.go".into(), line: 41, column: 17 };
    update(&mut model, Msg::Problem(ProblemMsg::Excerpt(place, Ok(excerpt))));
    let printed = vec!["# example.com/shop/orders".to_owned(), "./main.go:41:17: undefined: newRepo".to_owned()];
    update(&mut model, Msg::Problem(ProblemMsg::Output("orders".into(), printed)));
    model
}

#[test]
fn problems_and_tests() {
    let screens = [
        ("all", "3z"),
        ("excerpt", "3zj"),
        ("raw", "3zjR"),
        ("panic", "3zlll<enter><enter>jR"),
        ("folded", "3z<enter>"),
        ("failing", "4f"),
        ("panes", ""),
    ];
    for (name, keys) in screens {
        for size in SIZES {
            let mut model = troubled(size);
            press(&mut model, keys);
            insta::assert_snapshot!(format!("trouble-{name}-{}x{}", size.0, size.1), text(&draw(&model)));
        }
    }
}

#[test]
fn what_a_command_prints() {
    for size in SIZES {
        let mut model = model(size);
        model.runs.names = vec![("migrate".into(), "go run ./cmd/migrate".into())];
        press(&mut model, "!mig<tab><enter>");
        let said = ["\x1b[32mapplied\x1b[0m 0001_init.sql\n", "\x1b]0;title\x07applied\t0002_orders.sql\r\n", "last"];
        let lines = said.iter().map(|line| line.as_bytes().to_vec()).collect();
        update(&mut model, Msg::Run(RunMsg::Began(0, "go run ./cmd/migrate".into())));
        update(&mut model, Msg::Run(RunMsg::Said(0, lines)));
        model.now += 3_000_000;
        insta::assert_snapshot!(format!("output-running-{}x{}", size.0, size.1), text(&draw(&model)));
        update(&mut model, Msg::Run(RunMsg::Ended(0, Ok(End::Code(3)))));
        insta::assert_snapshot!(format!("output-{}x{}", size.0, size.1), text(&draw(&model)));
    }
}

#[test]
fn colours() {
    let mut troubled = troubled((80, 24));
    press(&mut troubled, "3j");
    insta::assert_snapshot!("colours-trouble-80x24", styles(&draw(&troubled)));
    insta::assert_snapshot!("colours-160x48", styles(&draw(&model((160, 48)))));
    let mut mono = model((80, 24));
    mono.theme = Theme::named("mono", Depth::True).unwrap();
    let styles = styles(&draw(&mono));
    assert!(!styles.lines().any(|line| !line.contains(" Reset ")), "{styles}");
}

#[test]
fn a_fleet_that_is_empty_or_not_known_yet() {
    let mut model = Model::new("shop", (80, 24), NOW);
    model.zone = TimeZone::UTC;
    insta::assert_snapshot!("unknown-80x24", text(&draw(&model)));
    update(&mut model, Msg::Ps(Box::new(wire::Ps { supervisor: wire::Supervisor::default(), ..ps(Vec::new()) })));
    model.log.progress.idle = true;
    insta::assert_snapshot!("empty-80x24", text(&draw(&model)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_bytes_at_any_size_are_text(
        bytes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..30),
        name in ".{0,40}",
        size in (1_u16..200, 1_u16..60),
        typed in "[1-9zwtTpPUu\\[\\]cYm'&/:?jkGgFvye<>a-cDdhlI+]{0,30}",
    ) {
        let mut model = model(size);
        let rows = bytes.iter().zip(1..).map(|(bytes, n)| Row { bytes: bytes.clone(), ..line(n, 0, "", None, Channel::Stdout) });
        model.log.window = window(rows.collect());
        model.log.names[0].label = name;
        press(&mut model, &typed);
        for cell in draw(&model).content() {
            prop_assert!(!cell.symbol().chars().any(|char| char.is_control() || crate::logs::escape::is_hidden(char)), "{:?}", cell.symbol());
        }
    }

    #[test]
    fn the_cursor_stays_on_the_screen(moves in "[jkJKudfbGgF]{1,60}", n in 0_i64..200, wrap in any::<bool>()) {
        let mut model = model((80, 24));
        model.focus = crate::tui::model::Pane::Logs;
        model.log.wrap = wrap;
        model.log.window = window((0..n).map(|n| line(n, 0, &"text ".repeat(n as usize % 60), None, Channel::Stdout)).collect());
        model.settle_log();
        for key in moves.chars() {
            let name = match key { 'u' => "<ctrl-u>", 'd' => "<ctrl-d>", 'f' => "<ctrl-f>", 'b' => "<ctrl-b>", 'J' => "jjj", 'K' => "kkk", 'G' => "G", 'g' => "k", 'F' => "F", 'j' => "j", _ => "k" };
            press(&mut model, name);
            let page = model.log.page();
            let current = model.log.current();
            prop_assert!(n == 0 || page.rows.iter().any(|(at, _)| Some(*at) == current), "{key} {page:?} {current:?} {:?}", model.log.top);
            prop_assert!(model.log.follow == (model.log.top == Anchor::Bottom));
        }
    }
}
