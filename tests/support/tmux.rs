//! A terminal that answers like a real one: tmux, with a server of its own for each test.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Fleet, eventually};

/// A terminal in which something runs.
pub(crate) struct Tmux {
    socket: PathBuf,
}

impl Tmux {
    /// Runs a shell script in a terminal of this size, in the fleet's folder with its environment.
    pub(crate) fn run(fleet: &Fleet, (columns, rows): (u16, u16), script: &str) -> Tmux {
        // Several terminals of one fleet are several servers.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let tmux = Tmux { socket: fleet.path(&format!("tmux{number}.sock")) };
        let file = format!("tmux{number}.sh");
        fleet.write("tmux.conf", "set -g status off\nset -g default-terminal tmux-256color\nset -s escape-time 10\n");
        fleet.write(&file, script);
        let plain = fleet.command(&[]);
        let mut command = tmux.command(&["-f"]);
        command.arg(fleet.path("tmux.conf"));
        command.args(["new-session", "-d", "-x", &columns.to_string(), "-y", &rows.to_string(), "sh", &file]);
        command.current_dir(fleet.root()).env_clear();
        command
            .envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))))
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm");
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        tmux
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(args);
        command
    }

    fn ask(&self, args: &[&str]) -> String {
        let done = self.command(args).output().unwrap();
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Presses keys, as tmux names them: `q`, `Enter`, `C-c`.
    pub(crate) fn press(&self, keys: &[&str]) {
        for key in keys {
            self.ask(&["send-keys", key]);
        }
    }

    /// Types text as it is.
    pub(crate) fn type_text(&self, text: &str) {
        self.ask(&["send-keys", "-l", text]);
    }

    /// Closes the help, and waits until it is gone: an escape with a key right behind it is that key with alt.
    pub(crate) fn close_help(&self) {
        self.press(&["Escape"]);
        eventually("the help to be gone", || (!self.screen().contains("esc closes")).then_some(()));
    }

    /// Makes the terminal another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        self.ask(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// Pastes text, as a terminal does: between marks where the program asked for them.
    pub(crate) fn paste(&self, text: &str) {
        self.ask(&["set-buffer", text]);
        self.ask(&["paste-buffer", "-p"]);
    }

    /// Closes the terminal, with everything in it left to itself.
    pub(crate) fn close(&self) {
        self.ask(&["kill-session"]);
    }

    /// Whether a program uses the other screen, wants the mouse, and shows the cursor.
    pub(crate) fn modes(&self) -> String {
        self.ask(&["display-message", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}"]).trim_end().to_owned()
    }

    /// What is on the screen, with colours.
    pub(crate) fn colours(&self) -> String {
        self.ask(&["capture-pane", "-p", "-e"])
    }

    /// Where a text is on a screen, counted from 0.
    pub(crate) fn place(screen: &str, text: &str) -> (usize, usize) {
        let found =
            screen.lines().enumerate().find_map(|(y, line)| Some((line[..line.find(text)?].chars().count(), y)));
        found.unwrap_or_else(|| panic!("`{text}` is not on the screen:\n{screen}"))
    }

    /// Sends what a terminal sends for its mouse: a button (0 the left one, 32 more while it is moved, 64 and 65 the wheel) that goes down, or up.
    pub(crate) fn mouse(&self, button: u32, (x, y): (usize, usize), down: bool) {
        let sequence = format!("\x1b[<{button};{};{}{}", x + 1, y + 1, if down { 'M' } else { 'm' });
        let bytes: Vec<String> = sequence.bytes().map(|byte| format!("{byte:02x}")).collect();
        let mut args = vec!["send-keys", "-H"];
        args.extend(bytes.iter().map(String::as_str));
        self.ask(&args);
    }

    /// A click with the left button.
    pub(crate) fn click(&self, place: (usize, usize)) {
        self.mouse(0, place, true);
        self.mouse(0, place, false);
    }

    /// What was copied last.
    pub(crate) fn buffer(&self) -> String {
        self.ask(&["show-buffer"])
    }

    /// What is on the screen, without colours.
    pub(crate) fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    /// The screen once it holds `text`.
    pub(crate) fn until(&self, text: &str) -> String {
        let mut last = String::new();
        let screen = || {
            last = self.screen();
            last.contains(text).then(|| last.clone())
        };
        eventually(&format!("the screen to hold `{text}`"), screen)
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the screen at last:\n{}", self.screen());
        }
        self.ask(&["kill-server"]);
    }
}
