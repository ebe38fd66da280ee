//! Who has the terminal: the dashboard, a shell it was suspended in, or an editor.

use std::io;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, raise};
use tokio::time::Instant;

use super::Loop;
use crate::sys::terminal::{is_ours, keep_away};
use crate::tui::editor::Screen;
use crate::tui::fleet::Tone;
use crate::tui::hands;
use crate::tui::keyboard::Keyboard;
use crate::tui::problems::Place;
use crate::tui::terminal::Terminal;

impl Loop {
    pub(super) fn ask_background(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        if self.answers {
            self.asked = Some(Instant::now());
            terminal.ask_background()?;
        }
        Ok(())
    }

    /// Stops this process, and only it, until somebody continues it; where nobody could, the system does not stop it.
    pub(super) fn suspend(&mut self, terminal: &mut Terminal, input: &mut Option<Keyboard>) -> io::Result<()> {
        *input = None;
        if !std::mem::replace(&mut self.away, true) {
            terminal.leave()?;
        }
        raise(Signal::SIGTSTP)?;
        self.come_back(terminal, input)
    }

    /// Takes the terminal again, if it is ours to take: whoever was continued in the background has to wait.
    pub(super) fn come_back(&mut self, terminal: &mut Terminal, input: &mut Option<Keyboard>) -> io::Result<()> {
        if !is_ours(io::stdin()) {
            return Ok(());
        }
        terminal.enter()?;
        self.away = false;
        *input = Some(Keyboard::new()?);
        self.model.size = terminal.size()?;
        self.dirty = true;
        Ok(())
    }

    /// Gives terminal and keys away while `meanwhile` lasts.
    pub(super) fn away<T>(
        &mut self,
        terminal: &mut Terminal,
        input: &mut Option<Keyboard>,
        meanwhile: impl FnOnce() -> T,
    ) -> io::Result<T> {
        // Dropped first: it would take keys from whoever has the terminal.
        *input = None;
        terminal.leave()?;
        let done = meanwhile();
        self.lent = Some(Instant::now());
        self.come_back(terminal, input)?;
        Ok(done)
    }

    pub(super) fn edit(
        &mut self,
        place: &Place,
        terminal: &mut Terminal,
        input: &mut Option<Keyboard>,
    ) -> io::Result<()> {
        let open = match hands::edit(self.remote.root(), place) {
            Ok(open) => open,
            Err(error) => {
                self.model.toast(Tone::Bad, error);
                return Ok(());
            }
        };
        let Some((program, arguments)) = open.argv.split_first() else { return Ok(()) };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.remote.root());
        let name = program.to_string_lossy();
        let failed = match open.screen {
            Screen::Window => {
                keep_away(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
                // Forgotten, but not as a zombie: the runtime takes notice of its end.
                tokio::process::Command::from(command).spawn().err().map(|error| error.to_string())
            }
            Screen::Terminal => match self.away(terminal, input, || command.status())? {
                Ok(status) => (!status.success()).then(|| status.to_string()),
                Err(error) => Some(error.to_string()),
            },
        };
        if let Some(error) = failed {
            self.model.toast(Tone::Bad, format!("`{name}`: {error}; $ORCHESTRA_EDITOR names another"));
        }
        Ok(())
    }
}
