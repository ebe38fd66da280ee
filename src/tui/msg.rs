//! What can happen, and what can be done about it.

use super::custom::{RunCmd, RunMsg};
use super::fleet::Tone;
use super::graph::Needs;
use super::keys::Key;
use super::log::LogCmd;
use super::model::{Link, Order};
use super::problems::{Place, ProblemCmd, ProblemMsg, Tests};
use super::settings::Problem;
use super::theme::Background;
use crate::api::wire::{Progress, Ps, Why};
use crate::logs::index::{Anchor, Direction, Found, Position};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key.
    Key(Key),
    /// Text that was pasted.
    Paste(String),
    /// The wheel over a place of the screen: rows, down positive.
    Wheel {
        /// Column.
        x: u16,
        /// Row.
        y: u16,
        /// How far.
        by: i32,
    },
    /// A click: the button went down.
    Click {
        /// Column.
        x: u16,
        /// Row.
        y: u16,
        /// When, in microseconds since 1970.
        at: i64,
    },
    /// The mouse was moved while its button is down.
    Drag {
        /// Column.
        x: u16,
        /// Row.
        y: u16,
    },
    /// The button went up.
    Release,
    /// A moment has passed while something is dragged beyond its pane.
    Beat,
    /// Columns and rows changed.
    Resize(u16, u16),
    /// The terminal said what is behind the text.
    Background(Background),
    /// What is to be said about `keys.toml`: mistakes, and what is perhaps meant so.
    Keys(Vec<Problem>, Vec<Problem>),
    /// The clock, in microseconds since 1970.
    Tick(i64),
    /// What runs.
    Ps(Box<Ps>),
    /// Nobody could say what runs.
    Lost(Link),
    /// Something the supervisor told without being asked.
    Told(Progress),
    /// Everything about a service.
    Why(Box<Why>),
    /// What each service needs.
    Needs(Needs),
    /// How tests of a service go.
    Tested(String, Tests),
    /// Something about problems was found out.
    Problem(ProblemMsg),
    /// A line of the log was looked for: what came of it, from where, and what it was.
    Found(Found, (Anchor, Direction), &'static str),
    /// The whole of a line of the log.
    Opened(Position, Option<Vec<u8>>),
    /// A command of the project tells something.
    Run(RunMsg),
    /// What was asked is over; the error's words where it failed.
    Done(String, Result<(), String>),
    /// What became of a copy, and what the terminal must get for it.
    Copied(String, Option<Vec<u8>>),
    /// A short word.
    Say(Tone, String),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Cmd {
    /// Ask the supervisor for a change.
    Ask(Order),
    /// Ask for everything about a service.
    Why(String),
    /// Ask what each of these services needs.
    Needs(Vec<String>),
    /// Open a place in the editor.
    Edit(Place),
    /// Open the file that describes a service.
    EditConfig(String),
    /// Copy a text.
    CopyText(String),
    /// Run the tests of these services; with a pattern, only those whose names match.
    Test(Vec<String>, Option<String>),
    /// Find out something about problems.
    Problem(ProblemCmd),
    /// Run a command of the project, or end one.
    Run(RunCmd),
    /// Open a page in the browser.
    OpenUrl(String),
    /// Take the mouse, or give it back.
    Mouse(bool),
    /// Check `keys.toml`.
    CheckKeys,
    /// Ask the terminal what is behind the text.
    AskBackground,
    /// Draw every cell anew.
    Redraw,
    /// Stop this process until somebody continues it.
    Suspend,
    /// Ask the log.
    Log(LogCmd),
    /// Write these bytes to the terminal: they draw nothing.
    Write(Vec<u8>),
    /// Leave; the fleet runs on.
    Quit,
}
