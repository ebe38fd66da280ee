//! `orchestra` on a terminal: a real fleet, real keys, a real screen.

use crate::support::{Fleet, Tmux, eventually};

/// Runs the dashboard and says how it ended; the terminal's settings before and after are kept.
const SCRIPT: &str = "stty -g > before; orchestra; echo \"ended with $?\"; stty -g > after; sleep 1000\n";

pub(crate) fn fleet() -> Fleet {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.toy("api", &["-tick", "20ms"], &format!("port: {port}\nready: {{http: /ready}}"));
    fleet.toy("worker", &[], "");
    fleet
}

/// The dashboard of a fleet, in a terminal of its own.
pub(crate) fn dashboard(fleet: &Fleet) -> Tmux {
    // The program by its name, as people type it.
    let program = fleet.command(&[]).get_program().to_owned();
    let script = SCRIPT.replace("orchestra;", &format!("'{}';", program.to_str().unwrap()));
    Tmux::run(fleet, (160, 48), &script)
}

#[test]
fn shows_the_fleet_and_leaves_it_running() {
    let fleet = fleet();
    fleet.orchestra(&["start"]).ok();
    let before = fleet.pids();
    let screen = dashboard(&fleet);
    let shown = screen.until("●2 up");
    assert!(shown.contains("api") && shown.contains("worker") && shown.contains("ready"), "{shown}");
    screen.until("│tick");
    screen.press(&["q"]);
    screen.until("ended with 0");
    eventually("the terminal is as it was", || {
        let read = |name: &str| std::fs::read_to_string(fleet.path(name)).ok();
        (read("before").is_some_and(|before| !before.is_empty()) && read("before") == read("after")).then_some(())
    });
    assert_eq!(fleet.pids(), before);
}

#[test]
fn starts_scales_stops_and_goes_on_without_a_supervisor() {
    let fleet = fleet();
    let screen = dashboard(&fleet);
    screen.until("no supervisor");
    screen.until("·2 off");
    screen.press(&["A", "S"]);
    screen.until("●2 up");
    screen.press(&["G", "+"]);
    screen.until("▾worker/2");
    fleet.until("worker.2", "ready");
    screen.type_text(":stop worker");
    screen.press(&["Enter"]);
    screen.until("stop worker: done");
    assert_eq!(fleet.service("worker")["desired"], "down");
    // From elsewhere, too.
    fleet.orchestra(&["stop"]).ok();
    screen.until("no supervisor");
    fleet.orchestra(&["start", "api"]).ok();
    screen.until("●1 up");
    screen.press(&["C-c"]);
    screen.until("ended with 0");
}

#[test]
fn a_signal_and_a_suspension_give_the_terminal_back() {
    let fleet = fleet();
    fleet.orchestra(&["start"]).ok();
    let screen = dashboard(&fleet);
    screen.until("●2 up");
    screen.resize(100, 30);
    eventually("the log moves below the lists", || {
        let shown = screen.screen();
        (!shown.contains("│──[5]") && shown.contains("──[5] Logs")).then_some(())
    });
    let pid = eventually("the dashboard's pid", || {
        let ours = |process: &crate::support::Process| process.command.ends_with("/orchestra");
        fleet.processes().into_iter().find(ours).map(|process| process.pid)
    });
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
    screen.until("ended with 0");
    assert_eq!(fleet.instance("api.1")["state"], "ready");
}

#[test]
fn the_mouse_selects_scrolls_and_copies() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-lines", "200"], "");
    fleet.toy("worker", &[], "");
    fleet.orchestra(&["start"]).ok();
    let screen = dashboard(&fleet);
    // Both have come: the names stand in the log, too.
    screen.until("●2 up");
    let shown = screen.until("line 000200");
    let newest = Tmux::place(&shown, "line 000200");
    // The focus is where the click was.
    screen.click(Tmux::place(&shown, "worker"));
    screen.press(&["Enter"]);
    screen.until("it depends on nothing");
    screen.press(&["Escape"]);
    screen.until("line 000200");
    // Three rows a notch, whoever has the focus.
    let row = |screen: &str| Tmux::place(screen, "line 000190").1;
    let before = row(&shown);
    let until_row = |wanted: usize| {
        eventually("the log to be scrolled", || {
            let shown = screen.screen();
            (shown.contains("line 000190") && row(&shown) == wanted).then_some(shown)
        })
    };
    screen.mouse(64, newest, true);
    until_row(before + 3);
    screen.mouse(65, newest, true);
    let shown = until_row(before);
    // Whole lines, wherever it is let go; the way is told.
    let (from, to) = (Tmux::place(&shown, "line 000190"), Tmux::place(&shown, "line 000193"));
    screen.mouse(0, from, true);
    screen.mouse(32, (from.0, from.1 + 1), true);
    screen.mouse(32, (3, to.1), true);
    screen.mouse(0, (3, to.1), false);
    screen.until("copied 4 lines (tmux buffer)");
    assert_eq!(screen.buffer(), "line 000190\nline 000191\nline 000192\nline 000193\n");
    // Beyond the pane it scrolls as long as the button is down.
    let top = Tmux::place(&screen.screen(), "[5] Logs");
    screen.mouse(0, from, true);
    screen.mouse(32, (from.0, top.1), true);
    screen.until("line 000001");
    screen.mouse(0, (from.0, top.1), false);
    eventually("all of it to be copied", || screen.buffer().starts_with("line 000001\n").then_some(()));
    assert_eq!(screen.buffer().lines().count(), 190);
    let shown = screen.screen();
    screen.click(Tmux::place(&shown, "q quit"));
    screen.until("ended with 0");
}

#[test]
fn says_what_a_service_waits_for_and_shows_it_in_depth() {
    let fleet = Fleet::new();
    let (slow, port) = (fleet.port(), fleet.port());
    fleet.toy("slow", &["-ready-file", "../go"], &format!("port: {slow}\nready: {{http: /ready}}"));
    fleet.toy(
        "api",
        &["-tick", "20ms"],
        &format!(
            "port: {port}\nready: {{http: /ready}}\ndepends_on: [slow]\nenv: {{API_KEY: not-for-eyes, MODE: fast}}"
        ),
    );
    let screen = dashboard(&fleet);
    screen.until("·2 off");
    screen.press(&["A", "S", "g"]);
    fleet.until("slow.1", "running");
    screen.press(&["D"]);
    // By the lower part of the screen: who waits, and for whom.
    let shown = screen.until("waits for slow to be ready: it is running for");
    assert!(shown.contains("why: api"), "{shown}");
    // It needs what stands to its left.
    screen.press(&["h"]);
    screen.until("why: slow");
    screen.press(&["l"]);
    screen.until("why: api");
    fleet.write("go", "");
    screen.until("all it needs is met: slow");
    screen.press(&["Enter"]);
    let shown = screen.until("API_KEY=********");
    assert!(shown.contains("MODE=fast") && !shown.contains("not-for-eyes"), "{shown}");
    assert!(shown.contains("env of the service") && shown.contains("listening"), "{shown}");
    let braille = |shown: &str| shown.chars().any(|char| ('\u{2801}'..='\u{28ff}').contains(&char));
    eventually("a chart of its memory", || {
        let shown = screen.screen();
        (braille(&shown) && shown.contains("──now") && shown.contains("┤")).then_some(())
    });
    // The end of its run is told with how long that took.
    screen.press(&["r"]);
    screen.until("restart api: done");
    screen.until("#1 ");
    screen.until(" ran ");
    // Back to the graph, and out.
    screen.press(&["Escape"]);
    screen.until("why: api");
    screen.press(&["q", "q"]);
    screen.until("ended with 0");
}
