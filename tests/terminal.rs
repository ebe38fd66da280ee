//! The dashboard's manners: whatever happens, the terminal is as it was, and the fleet runs on.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::dashboard::fleet;
use crate::support::{Fleet, Tmux, eventually};

/// What a shell has: the first screen, no mouse, a cursor.
const SHELL: &str = "0 0 1";
/// What the dashboard takes.
const OURS: &str = "1 1 0";

fn program(fleet: &Fleet) -> String {
    format!("'{}'", fleet.command(&[]).get_program().to_str().unwrap())
}

/// A terminal with the dashboard between two looks at the terminal's settings; then a program that shows every byte it gets.
fn dashboard(fleet: &Fleet, before: &str) -> Tmux {
    let script = format!(
        "{before}\nstty -a > before\n{}\necho \"ended with $?\"\nstty -a > after\nexec cat -v\n",
        program(fleet)
    );
    Tmux::run(fleet, (160, 48), &script)
}

/// The pids of all dashboards of a fleet.
fn pids(fleet: &Fleet) -> Vec<i32> {
    // A supervisor and a shim have more words.
    let ours = |process: &crate::support::Process| process.command.ends_with("/orchestra");
    fleet.processes().into_iter().filter(ours).map(|process| process.pid).collect()
}

fn pid(fleet: &Fleet) -> i32 {
    eventually("the dashboard's pid", || pids(fleet).first().copied())
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// The terminal is a shell's again, in every respect.
#[track_caller]
fn given_back(fleet: &Fleet, screen: &Tmux) {
    eventually("the terminal is as it was", || {
        let read = |name: &str| fs::read_to_string(fleet.path(name)).ok().filter(|text| !text.is_empty());
        (read("after").is_some() && read("before") == read("after") && screen.modes() == SHELL).then_some(())
    });
    screen.paste("pasted");
    let shown = screen.until("pasted");
    assert!(!shown.contains("200~"), "{shown}");
}

/// What is done to leave, and its name.
type Way<'a> = (&'static str, &'a dyn Fn(&Tmux));

#[test]
fn every_way_out_gives_the_terminal_back() {
    let fleet = fleet();
    fleet.orchestra(&["start"]).ok();
    let before = fleet.pids();
    let ways: [Way<'_>; 7] = [
        ("q", &|screen| screen.press(&["q"])),
        ("Ctrl-C", &|screen| screen.press(&["C-c"])),
        (":q", &|screen| {
            screen.type_text(":q");
            screen.press(&["Enter"]);
        }),
        ("SIGTERM", &|_| signal(pid(&fleet), Signal::SIGTERM)),
        ("SIGHUP", &|_| signal(pid(&fleet), Signal::SIGHUP)),
        ("SIGINT", &|_| signal(pid(&fleet), Signal::SIGINT)),
        ("SIGTERM while something is typed and opened", &|screen| {
            screen.press(&["?"]);
            screen.until("esc closes");
            signal(pid(&fleet), Signal::SIGTERM);
        }),
    ];
    for (way, leave) in ways {
        for file in ["before", "after"] {
            // The first time there is none.
            let _absent = fs::remove_file(fleet.path(file));
        }
        let screen = dashboard(&fleet, "");
        screen.until("●2 up");
        assert_eq!(screen.modes(), OURS, "{way}");
        leave(&screen);
        screen.until("ended with 0");
        given_back(&fleet, &screen);
        assert_eq!(fleet.pids(), before, "{way}");
    }
}

#[test]
fn a_suspended_dashboard_leaves_the_shell_to_people_and_comes_back() {
    let fleet = fleet();
    fleet.orchestra(&["start"]).ok();
    let screen = Tmux::run(&fleet, (160, 48), "PS1='> ' exec sh -i\n");
    screen.type_text(&format!("stty -a > before; {}; stty -a > after", program(&fleet)));
    screen.press(&["Enter"]);
    screen.until("●2 up");
    for round in 0..2 {
        screen.press(&["C-z"]);
        eventually("the shell has the terminal", || (screen.modes() == SHELL).then_some(()));
        screen.type_text(&format!("stty -a > between{round}; echo between$((20 + {round}))"));
        screen.press(&["Enter"]);
        screen.until(&format!("between2{round}\n"));
        screen.type_text("fg");
        screen.press(&["Enter"]);
        screen.until("●2 up");
        eventually("the dashboard has the terminal", || (screen.modes() == OURS).then_some(()));
    }
    // Not a key was lost or left to the shell.
    screen.press(&["?"]);
    screen.until("esc closes");
    screen.close_help();
    screen.press(&["q"]);
    eventually("the shell has the terminal", || (screen.modes() == SHELL).then_some(()));
    let read = |name: &str| fs::read_to_string(fleet.path(name)).ok().filter(|text| !text.is_empty());
    eventually("the terminal is as it was", || read("after"));
    assert_eq!((read("between0"), read("between1")), (read("before"), read("before")));
    assert_eq!(read("after"), read("before"));
    eventually("the dashboard ends", || pids(&fleet).is_empty().then_some(()));
}

#[test]
fn a_suspended_dashboard_can_be_ended() {
    let fleet = fleet();
    fleet.orchestra(&["start"]).ok();
    let screen = Tmux::run(&fleet, (160, 48), "PS1='> ' exec sh -i\n");
    screen.type_text(&program(&fleet));
    screen.press(&["Enter"]);
    screen.until("●2 up");
    let pid = pid(&fleet);
    screen.press(&["C-z"]);
    eventually("the shell has the terminal", || (screen.modes() == SHELL).then_some(()));
    // As `kill %1` of a shell does it.
    signal(pid, Signal::SIGTERM);
    signal(pid, Signal::SIGCONT);
    eventually("it ends in the background", || pids(&fleet).is_empty().then_some(()));
    assert_eq!(screen.modes(), SHELL);
}

#[test]
fn where_nobody_could_continue_it_a_suspension_is_none() {
    let fleet = fleet();
    fleet.orchestra(&["start"]).ok();
    // No shell with jobs is above it.
    let screen = dashboard(&fleet, "");
    screen.until("●2 up");
    screen.press(&["C-z", "?"]);
    screen.until("esc closes");
    screen.close_help();
    screen.press(&["q"]);
    screen.until("ended with 0");
    given_back(&fleet, &screen);
}

#[test]
fn a_terminal_that_is_closed_ends_the_dashboard_and_nothing_else() {
    let fleet = fleet();
    fleet.orchestra(&["start"]).ok();
    let before = fleet.pids();
    // The second one does not even hear of it by a signal; it must not go on reading nothing.
    for deaf in ["", "trap '' HUP"] {
        let screen = dashboard(&fleet, deaf);
        screen.until("●2 up");
        let pid = pid(&fleet);
        screen.close();
        eventually("the dashboard ends", || (!pids(&fleet).contains(&pid)).then_some(()));
        assert_eq!(fleet.pids(), before);
    }
}

#[test]
fn a_flood_holds_up_no_key() {
    let fleet = Fleet::new();
    fleet.toy("loud", &["-flood"], "");
    fleet.orchestra(&["start"]).ok();
    let screen = dashboard(&fleet, "");
    screen.until("●1 up");
    screen.press(&["q"]);
    screen.until("ended with 0");
    given_back(&fleet, &screen);
}

/// Says its name to those tests that start this program again, below a terminal.
const AGAIN: &str = "ORCHESTRA_TEST_PANIC";

#[test]
fn panics_in_a_terminal() {
    // Run by the test below, not by itself.
    let Ok(where_) = std::env::var(AGAIN) else { return };
    let mut terminal = orchestra::tui::terminal::Terminal::take(true).unwrap();
    terminal
        .show((80, 24), |buffer| {
            buffer.set_string(0, 0, "taken", ratatui::style::Style::new());
            None
        })
        .unwrap();
    let go = PathBuf::from("go");
    eventually("permission", || go.exists().then_some(()));
    if where_ == "thread" {
        std::thread::spawn(|| panic!("on purpose")).join().unwrap_err();
        // Nothing is drawn over what was said.
        terminal.show((80, 24), |_| None).unwrap_err();
        terminal.enter().unwrap_err();
        return;
    }
    panic!("on purpose");
}

#[test]
fn a_panic_gives_the_terminal_back_and_can_be_read() {
    let fleet = Fleet::new();
    let this = std::env::current_exe().unwrap();
    for place in ["here", "thread"] {
        for file in ["before", "after", "go"] {
            // The first time there is none.
            let _absent = fs::remove_file(fleet.path(file));
        }
        let script = format!(
            "stty -a > before\n{AGAIN}={place} '{}' --exact terminal::panics_in_a_terminal --nocapture\nstty -a > after\nexec cat -v\n",
            this.display()
        );
        let screen = Tmux::run(&fleet, (160, 48), &script);
        screen.until("taken");
        assert_eq!(screen.modes(), OURS);
        fleet.write("go", "");
        given_back(&fleet, &screen);
        screen.until("on purpose");
    }
}

#[test]
fn colours_are_those_the_terminal_has() {
    let fleet = fleet();
    fleet.orchestra(&["start"]).ok();
    let shown = |before: &str| {
        let screen = dashboard(&fleet, before);
        screen.until("●2 up");
        let shown = screen.colours();
        screen.press(&["q"]);
        screen.until("ended with 0");
        shown
    };
    let has = |text: &str, wanted: &[&str]| wanted.iter().any(|code| text.contains(code));
    let (mono, linux) = (shown("export NO_COLOR=1"), shown("export TERM=linux COLORTERM="));
    let indexed = shown("export TERM=xterm-256color COLORFGBG='15;0'");
    let full = shown("export TERM=xterm-256color COLORTERM=truecolor COLORFGBG='15;0'");
    let light = shown("export TERM=xterm-256color COLORTERM=truecolor COLORFGBG='0;15'");
    // `39` and `49` are no colour.
    let coloured = regex::Regex::new(r"\x1b\[([0-9;]*;)?([34][0-8]|9[0-7]|10[0-7])[;m]").unwrap();
    assert!(!coloured.is_match(&mono), "{mono}");
    assert!(has(&mono, &["\x1b[7m", "\x1b[1;7m", "\x1b[0;7m"]), "a cursor without colour: {mono}");
    let sixteen = regex::Regex::new(r"38;5;(\d+)").unwrap();
    let few = |text: &str| sixteen.captures_iter(text).all(|found| found[1].parse::<u8>().unwrap() < 16);
    assert!(coloured.is_match(&linux) && few(&linux) && !has(&linux, &["38;2"]), "{linux}");
    assert!(has(&indexed, &["38;5;117"]) && !has(&indexed, &["38;2"]), "{indexed}");
    // tmux knows no terminal that shows all colours here, and keeps what it was told all the same.
    assert!(has(&full, &["38;2;125;196;228"]), "{full}");
    assert!(has(&light, &["38;2;5;80;174"]), "{light}");
}

#[test]
fn without_a_terminal_that_can_show_it_there_is_a_list() {
    let fleet = fleet();
    fleet.orchestra(&["start"]).ok();
    let piped = fleet.orchestra(&[]).ok();
    assert!(piped.stdout.starts_with("NAME") && !piped.stdout.contains('\x1b'), "{}", piped.stdout);
    for (before, after) in [("TERM=dumb", ""), ("", "< /dev/null")] {
        let script = format!("{before} {} {after}\necho \"ended with $?\"\nexec sleep 1000\n", program(&fleet));
        let screen = Tmux::run(&fleet, (160, 48), &script);
        let shown = screen.until("ended with 0");
        assert!(shown.contains("HEALTH") && screen.modes() == SHELL, "{shown}");
    }
}

#[test]
fn several_dashboards_agree_and_survive_their_supervisor() {
    let fleet = fleet();
    fleet.orchestra(&["start"]).ok();
    let before = fleet.pids();
    let (one, other) = (dashboard(&fleet, ""), dashboard(&fleet, ""));
    for screen in [&one, &other] {
        screen.until("●2 up");
    }
    signal(fleet.supervisor(), Signal::SIGKILL);
    for screen in [&one, &other] {
        screen.until("another supervisor is in charge");
    }
    assert_eq!(fleet.pids(), before);
    one.type_text(":stop worker");
    one.press(&["Enter"]);
    for screen in [&one, &other] {
        screen.until("●1 up");
    }
    one.until("stop worker: done");
    other.type_text(":start worker");
    other.press(&["Enter"]);
    one.until("●2 up");
    fleet.orchestra(&["stop"]).ok();
    for screen in [&one, &other] {
        screen.until("no supervisor");
        screen.until("·2 off");
    }
    fleet.orchestra(&["start"]).ok();
    for screen in [&one, &other] {
        screen.until("●2 up");
        screen.press(&["q"]);
        screen.until("ended with 0");
    }
}
