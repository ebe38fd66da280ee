//! Editors that the dashboard opens: those in this terminal have it for themselves, those with a window know nothing of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};

use crate::support::{Fleet, Tmux, eventually};

/// A service whose log names a place in a file, and an editor of this name.
fn fleet(name: &str, script: &str) -> Fleet {
    let fleet = Fleet::new();
    fleet.write("api/main.go", "package main\n\nfunc main() {}\n");
    // As Go's `log` writes it with `Lshortfile`.
    let line = "2026/11/21 00:58:53 main.go:3: oops";
    fleet.write("api/service.yml", format!("command: [sh, -c, 'echo {line}; exec sleep 1000']\n"));
    fleet.write(&format!("bin/{name}"), format!("#!/bin/sh\n{script}"));
    fs::set_permissions(fleet.path(&format!("bin/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
    fleet.set("ORCHESTRA_EDITOR", fleet.path(&format!("bin/{name}")).to_str().unwrap());
    fleet.orchestra(&["start"]).ok();
    fleet
}

fn dashboard(fleet: &Fleet) -> Tmux {
    let program = fleet.command(&[]).get_program().to_str().unwrap().to_owned();
    let screen = Tmux::run(fleet, (160, 48), &format!("'{program}'\necho \"ended with $?\"\nexec sleep 1000\n"));
    screen.until("●1 up");
    screen.until("oops");
    screen.until("api.1 is ready");
    screen.press(&["5", "Up", "o"]);
    screen
}

fn read(fleet: &Fleet, name: &str) -> String {
    eventually(&format!("the editor to write `{name}`"), || {
        fs::read_to_string(fleet.path(name)).ok().filter(|text| text.ends_with("end\n"))
    })
}

#[test]
fn an_editor_with_a_window_outlives_the_dashboard_and_its_terminal() {
    let fleet = fleet("code", "{ echo $$; echo \"$@\"; tty; echo end; } > opened\nexec sleep 1000\n");
    let screen = dashboard(&fleet);
    let opened = read(&fleet, "opened");
    let mut lines = opened.lines();
    let pid = Pid::from_raw(lines.next().unwrap().parse().unwrap());
    let place = format!("-g {}:3:1", fleet.path("api/main.go").display());
    assert_eq!((lines.next(), lines.next()), (Some(place.as_str()), Some("not a tty")));
    assert_eq!(getsid(Some(pid)), Ok(pid));
    // The dashboard goes on meanwhile.
    screen.press(&["?"]);
    screen.until("esc closes");
    screen.close();
    let dashboards = || fleet.processes().iter().filter(|process| process.command.ends_with("/orchestra")).count();
    eventually("the dashboard ends", || (dashboards() == 0).then_some(()));
    kill(pid, None).unwrap();
    kill(pid, Signal::SIGKILL).unwrap();
}

#[test]
fn an_editor_that_has_ended_leaves_no_zombie() {
    let fleet = fleet("code", "echo $$ end > opened\n");
    let screen = dashboard(&fleet);
    let pid: i32 = read(&fleet, "opened").split(' ').next().unwrap().parse().unwrap();
    eventually("the runtime takes notice", || kill(Pid::from_raw(pid), None).is_err().then_some(()));
    screen.press(&["q"]);
    screen.until("ended with 0");
}

#[test]
fn an_editor_in_the_terminal_has_every_key() {
    let script = "stty -a > inside\necho \"editing $*\"\nread line\necho \"$line end\" > typed\n";
    let fleet = fleet("vi", script);
    let screen = dashboard(&fleet);
    screen.until("editing +3 ");
    assert_eq!(screen.modes(), "0 0 1");
    assert!(fs::read_to_string(fleet.path("inside")).unwrap().contains(" icanon"));
    // Keys that mean much to the dashboard.
    screen.type_text("q:stop?");
    screen.press(&["Enter"]);
    assert_eq!(read(&fleet, "typed"), "q:stop? end\n");
    screen.until("●1 up");
    screen.press(&["?"]);
    screen.until("esc closes");
    screen.close_help();
    screen.press(&["q"]);
    screen.until("ended with 0");
}
