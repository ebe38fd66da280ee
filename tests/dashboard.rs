//! `orchestra` on a terminal: a real fleet, real keys, a real screen.

use crate::support::{Fleet, Tmux, eventually};

/// Runs the dashboard and says how it ended; the terminal's settings before and after are kept.
const SCRIPT: &str = "stty -g > before; orchestra; echo \"ended with $?\"; stty -g > after; sleep 1000\n";

fn fleet() -> Fleet {
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
