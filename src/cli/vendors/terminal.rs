//! The caller's own terminal, lent to a program in a container: it gets every key, and all of it is put back at the end.

use std::io::stdin;
use std::path::Path;

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::error::{Context as _, Error};

/// The terminal passes on every key; goes back to what it was when this is dropped.
pub(super) struct Raw(Termios);

impl Raw {
    /// Standard input, which is a terminal.
    pub(super) fn new() -> Result<Raw, Error> {
        let terminal = Path::new("the terminal");
        let was = tcgetattr(stdin()).context("ask", terminal)?;
        let mut raw = was.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin(), SetArg::TCSANOW, &raw).context("set", terminal)?;
        Ok(Raw(was))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        tcsetattr(stdin(), SetArg::TCSANOW, &self.0).unwrap_or(());
    }
}
