//! Copies text to where a person can paste it: their desktop's clipboard, tmux, or by a sequence (OSC 52) the clipboard of the terminal they sit at.
//!
//! [`ways`] decides by the environment alone; `send` runs a program for it, away from the terminal; a sequence is written by whoever owns the terminal.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::sys::terminal::keep_away;

/// The longest text in a sequence: terminals drop longer ones without a word (xterm and tmux take 100 kB of base64 and less).
pub const LARGEST_SEQUENCE: usize = 74_994;
/// A program that took no text in this time never will: its display is gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often one looks whether a program has ended.
const BEAT: Duration = Duration::from_millis(5);

/// What the environment says of where the person sits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    /// `$WAYLAND_DISPLAY` is set.
    pub wayland: bool,
    /// `$DISPLAY` is set.
    pub x11: bool,
    /// `$TMUX` is set.
    pub tmux: bool,
    /// `$STY` is set: GNU screen.
    pub screen: bool,
    /// `$SSH_TTY` or `$SSH_CONNECTION` is set: this machine's clipboard is not the person's.
    pub remote: bool,
}

impl Seat {
    /// Reads the environment through `variable`.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Seat {
        let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        Seat {
            wayland: set("WAYLAND_DISPLAY"),
            x11: set("DISPLAY"),
            tmux: set("TMUX"),
            screen: set("STY"),
            remote: set("SSH_TTY") || set("SSH_CONNECTION"),
        }
    }
}

/// One way to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The clipboard of Wayland.
    WlCopy,
    /// That of X11.
    Xclip,
    /// The same by another program.
    Xsel,
    /// That of macOS.
    Pbcopy,
    /// A buffer of tmux, which passes it on to its terminal.
    Tmux,
    /// A sequence to the terminal.
    Osc52,
}

impl Way {
    /// The program to run with the text at its standard input; `None` for a sequence.
    pub fn argv(self) -> Option<&'static [&'static str]> {
        match self {
            Way::WlCopy => Some(&["wl-copy", "--type", "text/plain;charset=utf-8"]),
            Way::Xclip => Some(&["xclip", "-selection", "clipboard", "-in"]),
            Way::Xsel => Some(&["xsel", "--clipboard", "--input"]),
            Way::Pbcopy => Some(&["pbcopy"]),
            Way::Tmux => Some(&["tmux", "load-buffer", "-w", "-"]),
            Way::Osc52 => None,
        }
    }

    /// As a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Way::WlCopy => "wl-copy",
            Way::Xclip => "xclip",
            Way::Xsel => "xsel",
            Way::Pbcopy => "pbcopy",
            Way::Tmux => "tmux buffer",
            Way::Osc52 => "OSC 52",
        }
    }
}

/// The ways to try, the best first; the sequence is the last and always there. At a distance no program of this machine reaches the person's clipboard,
/// but tmux asks their terminal.
pub fn ways(seat: Seat) -> Vec<Way> {
    let mut ways = Vec::new();
    if !seat.remote {
        if seat.wayland {
            ways.push(Way::WlCopy);
        }
        if seat.x11 {
            ways.extend([Way::Xclip, Way::Xsel]);
        }
        if !seat.wayland && !seat.x11 {
            // Found on macOS only, where no variable tells.
            ways.push(Way::Pbcopy);
        }
    }
    if seat.tmux {
        ways.push(Way::Tmux);
    }
    ways.push(Way::Osc52);
    ways
}

/// The sequence that copies a text, in the wrapping that tmux or screen passes on; `None` where the text is too long for one.
pub fn sequence(text: &str, seat: Seat) -> Option<Vec<u8>> {
    if text.len() > LARGEST_SEQUENCE {
        return None;
    }
    let inner = format!("\x1b]52;c;{}\x07", STANDARD.encode(text));
    let whole = if seat.tmux {
        format!("\x1bPtmux;{}\x1b\\", inner.replace('\x1b', "\x1b\x1b"))
    } else if seat.screen {
        // Screen takes no long string at once.
        let parts: Vec<String> =
            inner.as_bytes().chunks(250).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        format!("\x1bP{}\x1b\\", parts.join("\x1b\\\x1bP"))
    } else {
        inner
    };
    Some(whole.into_bytes())
}

/// What became of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copied {
    /// A program took it.
    Done(Way),
    /// It is copied once these bytes are written to the terminal.
    Write(Vec<u8>),
    /// No program took it, and it is too long for a sequence; so many bytes.
    TooLong(usize),
}

impl Copied {
    /// What a person is told of `text`: `copied 3 lines (tmux buffer)`.
    pub fn message(&self, text: &str) -> String {
        let n = text.lines().count();
        let what = if n == 1 { "1 line".to_owned() } else { format!("{n} lines") };
        match self {
            Copied::Done(way) => format!("copied {what} ({})", way.name()),
            Copied::Write(_) => format!("copied {what} ({}, if the terminal allows it)", Way::Osc52.name()),
            Copied::TooLong(bytes) => format!(
                "not copied: {} kB are too much for the terminal's clipboard (at most {} kB); `:export` writes a file",
                bytes.div_ceil(1000),
                LARGEST_SEQUENCE / 1000
            ),
        }
    }
}

/// Copies a text in the first way that works. Takes as long as the programs it tries, each at most two seconds: not for the loop that draws.
pub fn copy(text: &str, seat: Seat) -> Copied {
    copy_by(text, seat, |way| send(way, text.as_bytes()))
}

/// The same with `run` instead of programs: whether a way worked.
pub fn copy_by(text: &str, seat: Seat, mut run: impl FnMut(Way) -> bool) -> Copied {
    for way in ways(seat) {
        if way != Way::Osc52 && run(way) {
            return Copied::Done(way);
        }
    }
    sequence(text, seat).map_or(Copied::TooLong(text.len()), Copied::Write)
}

/// Whether the program of a way took the text. It gets no terminal: neither its streams nor its session are the dashboard's.
fn send(way: Way, text: &[u8]) -> bool {
    let Some([program, arguments @ ..]) = way.argv() else { return false };
    deliver(Command::new(program).args(arguments), text, PATIENCE)
}

fn deliver(command: &mut Command, text: &[u8], patience: Duration) -> bool {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = keep_away(command).spawn() else { return false };
    let Some(mut input) = child.stdin.take() else { return false };
    let deadline = Instant::now() + patience;
    let bytes = text.to_vec();
    // It holds one word, and one is sent: it is never full.
    let (told, heard) = sync_channel(1);
    // A thread of its own: a program that reads nothing would hold us for ever. It ends when the last reader of the pipe does; nobody may hear it then.
    let write = move || told.send(input.write_all(&bytes).is_ok()).unwrap_or(());
    let begun = std::thread::Builder::new().name("clipboard".to_owned()).spawn(write).is_ok();
    let ended_well = wait(&mut child, deadline);
    // A program that stays to serve the clipboard leaves a child of its own behind, which may hold the pipe: so this wait has an end, too.
    let left = deadline.saturating_duration_since(Instant::now());
    begun && ended_well && heard.recv_timeout(left.max(BEAT)).unwrap_or(false)
}

/// Whether it ended well in time; if not in time it is killed.
fn wait(child: &mut Child, deadline: Instant) -> bool {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(BEAT),
            Ok(None) | Err(_) => {
                // One that has just ended cannot be killed, and is waited for all the same; what its end was makes no difference.
                _ = child.kill();
                _ = child.wait();
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(words: &str) -> Seat {
        Seat::of(|name| words.split(' ').any(|word| word == name).then(|| OsString::from("x")))
    }

    #[test]
    fn the_seat_decides() {
        let cases: [(&str, &[Way]); 8] = [
            ("", &[Way::Pbcopy, Way::Osc52]),
            ("WAYLAND_DISPLAY DISPLAY", &[Way::WlCopy, Way::Xclip, Way::Xsel, Way::Osc52]),
            ("DISPLAY", &[Way::Xclip, Way::Xsel, Way::Osc52]),
            ("DISPLAY TMUX", &[Way::Xclip, Way::Xsel, Way::Tmux, Way::Osc52]),
            ("SSH_TTY DISPLAY", &[Way::Osc52]),
            ("SSH_CONNECTION TMUX", &[Way::Tmux, Way::Osc52]),
            ("SSH_TTY STY", &[Way::Osc52]),
            ("TMUX", &[Way::Pbcopy, Way::Tmux, Way::Osc52]),
        ];
        for (words, expected) in cases {
            assert_eq!(ways(seat(words)), expected, "{words}");
        }
        assert_eq!(Seat::of(|_| Some(OsString::new())), Seat::default());
    }

    #[test]
    fn sequences() {
        let of = |words| String::from_utf8(sequence("hi\n", seat(words)).unwrap()).unwrap();
        assert_eq!(of(""), "\x1b]52;c;aGkK\x07");
        assert_eq!(of("TMUX"), "\x1bPtmux;\x1b\x1b]52;c;aGkK\x07\x1b\\");
        assert_eq!(of("STY"), "\x1bP\x1b]52;c;aGkK\x07\x1b\\");
        let long = String::from_utf8(sequence(&"x".repeat(300), seat("STY")).unwrap()).unwrap();
        let parts: Vec<&str> = long.split("\x1bP").skip(1).map(|part| part.strip_suffix("\x1b\\").unwrap()).collect();
        assert!(parts.len() == 2 && parts[0].len() == 250);
        assert_eq!(parts.concat(), format!("\x1b]52;c;{}\x07", STANDARD.encode("x".repeat(300))));
    }

    #[test]
    fn a_sequence_is_never_too_long() {
        let largest = "x".repeat(LARGEST_SEQUENCE);
        assert_eq!(sequence(&largest, Seat::default()).map(|bytes| bytes.len()), Some(100_000));
        assert_eq!(sequence(&format!("{largest}x"), Seat::default()), None);
    }

    #[test]
    fn the_first_way_that_works_is_told() {
        let try_all = |text: &str, words, works: &[Way]| {
            let copied = copy_by(text, seat(words), |way| works.contains(&way));
            copied.message(text)
        };
        assert_eq!(try_all("a\nb\nc\n", "TMUX SSH_TTY", &[Way::Tmux]), "copied 3 lines (tmux buffer)");
        assert_eq!(try_all("a", "WAYLAND_DISPLAY DISPLAY", &[Way::Xsel, Way::Xclip]), "copied 1 line (xclip)");
        assert_eq!(try_all("a", "DISPLAY", &[]), "copied 1 line (OSC 52, if the terminal allows it)");
        let much = "x".repeat(200_000);
        assert_eq!(try_all(&much, "DISPLAY", &[Way::Xclip]), "copied 1 line (xclip)");
        assert_eq!(
            try_all(&much, "", &[]),
            "not copied: 200 kB are too much for the terminal's clipboard (at most 74 kB); `:export` writes a file"
        );
    }

    #[test]
    fn a_program_gets_all_of_the_text() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("copied");
        let text = "žluť\n".repeat(100_000);
        let mut command = Command::new("sh");
        command.args(["-c", "cat > \"$1\"", "sh"]).arg(&file);
        assert!(deliver(&mut command, text.as_bytes(), Duration::from_secs(60)));
        assert_eq!(std::fs::read_to_string(file).unwrap(), text);
    }

    #[test]
    fn a_program_that_fails_or_hangs_took_nothing() {
        let deliver = |script: &str| {
            deliver(Command::new("sh").args(["-c", script]), &[b'x'; 200_000], Duration::from_millis(200))
        };
        assert!(!deliver("cat > /dev/null; exit 1"));
        assert!(!deliver("exit 0"));
        assert!(!deliver("exec sleep 60"));
        assert!(!super::deliver(&mut Command::new("/nowhere/wl-copy"), b"x", PATIENCE));
    }

    #[test]
    fn a_program_has_no_terminal() {
        let script = "! (exec < /dev/tty) 2> /dev/null && [ ! -t 0 ] && [ ! -t 1 ] && [ ! -t 2 ] && cat > /dev/null && [ \"$(ps -o pgid= -p $$ | tr -d ' ')\" = $$ ]";
        assert!(deliver(Command::new("sh").args(["-c", script]), b"x", Duration::from_secs(60)));
    }
}
