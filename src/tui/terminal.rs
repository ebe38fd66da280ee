//! The terminal: taken, given back whatever happens, and written to only where cells have changed.

use std::io::{self, Write, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::queue;
use crossterm::style::ResetColor;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode, size,
};
use nix::errno::Errno;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::out::{Out, Progress};
use super::pace::Pace;

/// Whether the terminal is ours now. A panic of any thread gives it back first, so that what it says can be read.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// A part of the program has panicked, and said so on the terminal: it is not taken again.
static FAILED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal while it is ours; dropped, it is as it was.
pub struct Terminal {
    backend: CrosstermBackend<Out>,
    progress: Progress,
    shown: Buffer,
    cursor: Option<(u16, u16)>,
    mouse: bool,
}

impl Terminal {
    /// Takes the terminal: raw, on its second screen.
    pub fn take(mouse: bool) -> io::Result<Terminal> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                FAILED.store(true, Ordering::SeqCst);
                give_back();
                before(info);
            }));
        });
        let out = Out::new(&TAKEN)?;
        let progress = out.progress();
        let backend = CrosstermBackend::new(out);
        let mut terminal = Terminal { backend, progress, shown: Buffer::empty(Rect::ZERO), cursor: None, mouse };
        terminal.enter()?;
        Ok(terminal)
    }

    /// Takes it again, after [`Terminal::leave`].
    pub fn enter(&mut self) -> io::Result<()> {
        sound()?;
        if TAKEN.swap(true, Ordering::SeqCst) {
            // Somebody may have changed its modes, and the wish for raw ones is heard once.
            disable_raw_mode()?;
        }
        enable_raw_mode()?;
        queue!(self.backend, EnterAlternateScreen, EnableBracketedPaste, Hide)?;
        if self.mouse {
            queue!(self.backend, EnableMouseCapture)?;
        }
        self.redraw();
        Write::flush(&mut self.backend)
    }

    /// Gives it back for a while: to a shell, or to an editor.
    pub fn leave(&mut self) -> io::Result<()> {
        self.finish();
        Ok(())
    }

    /// Whether all that was shown is written. Frames that are made before only make it late.
    pub fn is_free(&self) -> bool {
        self.progress.is_free()
    }

    /// Waits for something to have been written.
    pub async fn written(&self) {
        self.progress.written().await;
    }

    /// How fast it reads.
    pub fn pace(&self) -> Pace {
        self.progress.pace()
    }

    fn finish(&mut self) {
        // Its error was told already, or nobody is left to tell.
        Write::flush(&mut self.backend).unwrap_or(());
        match self.progress.finish() {
            true => give_back(),
            // One that takes nothing cannot be told, but keys are to be as they were.
            false if TAKEN.swap(false, Ordering::SeqCst) => disable_raw_mode().unwrap_or(()),
            false => {}
        }
    }

    /// Takes the mouse, or gives it to the terminal, which can select text then.
    pub fn mouse(&mut self, ours: bool) -> io::Result<()> {
        self.mouse = ours;
        if ours {
            queue!(self.backend, EnableMouseCapture)?
        } else {
            queue!(self.backend, DisableMouseCapture)?
        }
        Write::flush(&mut self.backend)
    }

    /// Asks what is behind the text. An answer comes with the keys, soon, late or never.
    pub fn ask_background(&mut self) -> io::Result<()> {
        self.write(b"\x1b]11;?\x1b\\")
    }

    /// Writes bytes that draw nothing: a sequence for the clipboard.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.backend.write_all(bytes)?;
        Write::flush(&mut self.backend)
    }

    /// Columns and rows.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        size()
    }

    /// The next frame draws every cell.
    pub fn redraw(&mut self) {
        self.shown = Buffer::empty(Rect::ZERO);
    }

    /// Shows what `draw` puts into an empty buffer of this size. Writes nothing where nothing has changed.
    pub fn show(&mut self, size: (u16, u16), draw: impl FnOnce(&mut Buffer) -> Option<(u16, u16)>) -> io::Result<()> {
        sound()?;
        let area = Rect::new(0, 0, size.0, size.1);
        let mut next = Buffer::empty(area);
        let cursor = draw(&mut next);
        let anew = self.shown.area != area;
        if anew {
            self.shown = Buffer::empty(area);
        }
        let changes = self.shown.diff(&next);
        if changes.is_empty() && cursor == self.cursor && !anew {
            return Ok(());
        }
        queue!(self.backend, BeginSynchronizedUpdate)?;
        if anew {
            queue!(self.backend, Clear(ClearType::All))?;
        }
        self.backend.draw(changes.into_iter())?;
        match cursor {
            Some((x, y)) => queue!(self.backend, MoveTo(x, y), Show)?,
            None if self.cursor.is_some() => queue!(self.backend, Hide)?,
            None => {}
        }
        queue!(self.backend, EndSynchronizedUpdate)?;
        Write::flush(&mut self.backend)?;
        (self.shown, self.cursor) = (next, cursor);
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Whether a part of the program has panicked since the terminal was taken first. It has it no more, and nothing may be drawn over what was said.
pub fn has_failed() -> bool {
    FAILED.load(Ordering::SeqCst)
}

fn sound() -> io::Result<()> {
    if has_failed() { Err(io::Error::other("a part of the dashboard has failed")) } else { Ok(()) }
}

/// Undoes everything, once. A terminal that is gone cannot be told, and need not be.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut all = Vec::new();
    let told = queue!(
        all,
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableBracketedPaste,
        ResetColor,
        Show,
        LeaveAlternateScreen
    );
    // Past the lock and the buffer of standard output: whoever has panicked may hold them.
    let told = told.and_then(|()| write_all(&all)).and_then(|()| disable_raw_mode());
    drop(told);
}

fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(stdout(), bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
