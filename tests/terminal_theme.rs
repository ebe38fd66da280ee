//! Light and dark: a terminal that answers the question for its background, late, with nonsense or never.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use nix::pty::{Winsize, openpty};

use crate::support::{Fleet, eventually};

const QUESTION: &str = "\x1b]11;?";
/// What names of panes are drawn with.
const LIGHT: &str = "38;2;5;80;174";
const DARK: &str = "38;2;125;196;228";
/// A frame that knows the fleet.
const SHOWN: &str = "off";

/// A terminal that is a test: it sees every byte, and says what the test wants.
struct Fake {
    master: File,
    child: Child,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Fake {
    fn dashboard(fleet: &Fleet, variables: &[(&str, &str)]) -> Fake {
        let size = Winsize { ws_row: 40, ws_col: 150, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let stdio = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut command = fleet.command(&[]);
        command.env("TERM", "xterm-256color").env("COLORTERM", "truecolor").envs(variables.iter().copied());
        let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        let (master, seen) = (File::from(pty.master), Arc::<Mutex<Vec<u8>>>::default());
        let (mut reader, all) = (master.try_clone().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // It ends with an error once nobody has the other side.
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                all.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Fake { master, child, seen }
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn until(&self, text: &str) {
        eventually(&format!("{} on the terminal", text.escape_debug()), || self.seen().contains(text).then_some(()));
    }

    fn say(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// `q` leaves, which it would not do if anything that was said had been taken for keys.
    #[track_caller]
    fn leave(mut self) -> String {
        self.until(SHOWN);
        self.say("q");
        let child = &mut self.child;
        let status = eventually("the end", || child.try_wait().unwrap());
        assert!(status.success(), "{status}");
        let seen = self.seen();
        assert!(!seen.contains("does nothing here"), "{}", seen.escape_debug());
        seen
    }
}

fn fleet() -> Fleet {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet
}

#[test]
fn the_answer_chooses_the_theme() {
    let fleet = fleet();
    for (answer, theme, other) in [
        ("\x1b]11;rgb:ffff/ffff/ffff\x1b\\", LIGHT, DARK),
        ("\x1b]11;rgb:1e1e/1e1e/2e2e\x07", DARK, LIGHT),
        ("\x1b]11;rgb:fd/f6/e3\x07", LIGHT, DARK),
    ] {
        let mut terminal = Fake::dashboard(&fleet, &[]);
        terminal.until(QUESTION);
        terminal.say(answer);
        terminal.until(theme);
        let seen = terminal.leave();
        assert!(!seen.contains(other), "{}", seen.escape_debug());
    }
}

#[test]
fn a_late_answer_in_pieces_is_no_key_and_still_chooses() {
    let fleet = fleet();
    let mut terminal = Fake::dashboard(&fleet, &[]);
    terminal.until(QUESTION);
    terminal.until(SHOWN);
    assert!(!terminal.seen().contains(LIGHT));
    for piece in ["\x1b]11;rgb:ff", "ff/ffff", "/ffff", "\x1b", "\\"] {
        terminal.say(piece);
        std::thread::yield_now();
    }
    terminal.until(LIGHT);
    terminal.leave();
}

#[test]
fn nonsense_and_silence_leave_the_terminals_own_colours() {
    let fleet = fleet();
    for answer in ["", "\x1b]11;rgb:q/q/q\x1b\\", "\x1b]11;:stop q\x07", "\x1b[?62;22c\x1b]10;rgb:0/0/0\x07"] {
        let mut terminal = Fake::dashboard(&fleet, &[]);
        terminal.until(QUESTION);
        terminal.say(answer);
        let seen = terminal.leave();
        assert!(!seen.contains("38;2;"), "{}", seen.escape_debug());
    }
    // What the environment says holds where nobody answers, and only there.
    let terminal = Fake::dashboard(&fleet, &[("COLORFGBG", "0;15")]);
    terminal.until(LIGHT);
    terminal.leave();
    let mut terminal = Fake::dashboard(&fleet, &[("COLORFGBG", "0;15")]);
    terminal.until(QUESTION);
    terminal.say("\x1b]11;rgb:0/0/0\x07");
    terminal.until(DARK);
    terminal.leave();
}

#[test]
fn who_chose_a_theme_or_cannot_answer_is_not_asked() {
    let fleet = fleet();
    for variables in [&[("TERM", "linux")][..], &[("TERM", "screen-256color")], &[("STY", "1.screen")]] {
        let seen = Fake::dashboard(&fleet, variables).leave();
        assert!(!seen.contains(QUESTION), "{variables:?}");
    }
    fleet.set("XDG_CONFIG_HOME", fleet.path("config").to_str().unwrap());
    fleet.write("config/orchestra/keys.toml", "theme = \"light\"\nascii = 3\n");
    let mut terminal = Fake::dashboard(&fleet, &[]);
    terminal.until(LIGHT);
    // A mistake in the file never keeps it from starting.
    terminal.until("keys.toml:2:9");
    assert!(!terminal.seen().contains(QUESTION));
    terminal.say(":theme auto\r");
    terminal.until(QUESTION);
    terminal.say("\x1b]11;rgb:0/0/0\x07");
    terminal.until(DARK);
    terminal.leave();
}
