//! The one loop: messages in, commands out, frames to the terminal. Nothing else touches the terminal.

mod guests;
mod log;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, KeyEventKind, MouseButton, MouseEventKind};
use futures_util::FutureExt;
use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::bytes::Input;
use super::custom::Commands;
use super::errands::{self, Coroner};
use super::fleet::Tone;
use super::hands;
use super::keyboard::Keyboard;
use super::keys::Key;
use super::model::Model;
use super::msg::{Cmd, Msg};
use super::remote::Remote;
use super::runner::Runner;
use super::settings::{self, Settings};
use super::terminal::{Terminal, has_failed};
use super::theme::{AUTO, Background, Depth, Theme};
use super::update::{keys_told, update};
use super::view;
use crate::api::launch::Launcher;
use crate::api::wire;
use crate::error::Error;
use crate::logs::index::{Anchor, Index};
use crate::project::Project;
use crate::sys::home::Home;
use crate::sys::machine::machine;

/// Between two frames that no key asked for: at most 30 a second.
const FRAME: Duration = Duration::from_millis(33);
/// So long lines of the log that a key asked for are shown as soon as they are found.
const ANSWER: Duration = Duration::from_millis(100);
/// Between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);
/// Between two rows while lines are dragged beyond their pane.
const BEAT: Duration = Duration::from_millis(50);
/// Rows for a notch of the wheel.
const NOTCH: i32 = 3;
/// An answer of the terminal that is still under way when the dashboard ends is waited for so long, or the shell would get it as if it were typed.
const LAST_ANSWER: Duration = Duration::from_millis(100);
/// After so long nobody answers any more.
const NO_ANSWER: Duration = Duration::from_secs(1);
/// A Ctrl-C for another program that had the terminal is heard here within this time.
const ECHO: Duration = Duration::from_millis(500);
/// Messages of what works in the background that wait for the loop; then that work waits.
const WAITING: usize = 256;

/// What the dashboard is about, and how it looks.
#[derive(Debug)]
pub struct Options {
    /// The project's folders.
    pub home: Home,
    /// The project, where its files are in order.
    pub project: Option<Arc<Project>>,
    /// Its name.
    pub name: String,
    /// What every request to the supervisor carries.
    pub request: wire::Request,
    /// Starts a supervisor.
    pub launcher: Launcher,
    /// How many colours the terminal shows.
    pub depth: Depth,
    /// What is behind the text, as far as the environment says.
    pub background: Option<Background>,
    /// The terminal may be asked for it: it is none that would show the question.
    pub answers: bool,
    /// What the user wishes.
    pub settings: Settings,
    /// The project's own commands, where it could be read.
    pub commands: Option<Commands>,
}

/// Shows the dashboard until somebody leaves it. The fleet runs on.
pub async fn run(options: Options) -> Result<(), Error> {
    let (sender, messages) = mpsc::channel(WAITING);
    let mut terminal = Terminal::take(!options.settings.no_mouse).map_err(|e| broken(&e))?;
    let size = terminal.size().map_err(|e| broken(&e))?;
    let mut model = Model::new(&options.name, size, now());
    model.background = options.background;
    settle(&mut model, &options.settings, options.depth);
    model.runs.names = options.commands.as_ref().map(|commands| commands.names.clone()).unwrap_or_default();
    let runner = Runner::new(options.commands.clone(), sender.clone());
    let remote = Remote::new(&options, sender);
    remote.watch();
    let changed = Arc::new(Notify::new());
    let wake = Arc::clone(&changed);
    let index = Arc::new(Index::open(&options.home.logs(), Box::new(move || wake.notify_one()))?);
    let shown = Instant::now() - FRAME;
    let coroner = Coroner::new(now());
    let mut dashboard = Loop {
        model,
        remote,
        runner,
        messages,
        index,
        changed,
        coroner,
        searched: None,
        looked: None,
        dirty: true,
        pressed: None,
        shown,
        keys: options.settings.file.clone(),
        answers: options.answers,
        asked: None,
        away: false,
        lent: None,
    };
    let done = dashboard.run(&mut terminal).await;
    drop(terminal);
    // Nobody reads what they print any more, and none waits for that.
    dashboard.messages.close();
    dashboard.runner.end().await;
    match done {
        Err(_) if has_failed() => {
            Err(Error::failed("the dashboard has failed; the fleet runs on").hint("orchestra ps"))
        }
        // The terminal is gone: there is nobody to tell.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof) => Ok(()),
        Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => Ok(()),
        done => done.map_err(|e| broken(&e)),
    }
}

/// As the user wishes it to look and to be used.
fn settle(model: &mut Model, settings: &Settings, depth: Depth) {
    model.theme = Theme::auto(None, depth);
    model.paint(settings.theme.as_deref().filter(|name| *name != AUTO).and_then(|name| Theme::named(name, depth)));
    model.keymap = Arc::new(settings.keymap.clone());
    model.cores = machine().cores;
    (model.ascii, model.mouse) = (settings.ascii, !settings.no_mouse);
    if !settings.problems.is_empty() {
        keys_told(model, &settings.problems, &[]);
    }
}

fn broken(error: &io::Error) -> Error {
    Error::failed("the terminal cannot be used").because(error).hint("orchestra ps")
}

fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

struct Loop {
    model: Model,
    remote: Remote,
    runner: Runner,
    messages: mpsc::Receiver<Msg>,
    index: Arc<Index>,
    /// The index has another answer.
    changed: Arc<Notify>,
    /// Looks for panics.
    coroner: Coroner,
    /// What the index looks for.
    searched: Option<String>,
    /// What the index was asked for last, and how it stood then.
    looked: Option<((Anchor, usize, usize), u64)>,
    /// The model has changed since it was shown.
    dirty: bool,
    shown: Instant,
    /// When a key was pressed that waits for its answer.
    pressed: Option<Instant>,
    /// Where `keys.toml` is.
    keys: Option<PathBuf>,
    /// The terminal may be asked.
    answers: bool,
    /// Since when its answer is awaited.
    asked: Option<Instant>,
    /// Somebody else has the terminal, since this process was suspended.
    away: bool,
    /// When another program gave it back.
    lent: Option<Instant>,
}

/// Why the loop ends.
enum Flow {
    On,
    End,
}

impl Loop {
    async fn run(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        let mut input = Some(Keyboard::new()?);
        if self.model.auto {
            self.ask_background(terminal)?;
        }
        let done = self.turns(terminal, &mut input).await;
        if self.asked.is_some_and(|asked| asked.elapsed() < NO_ANSWER) {
            let answered =
                async { while !matches!(next(&mut input).await, None | Some(Ok(Input::Background(_)) | Err(_))) {} };
            // Who does not answer in time will most likely not answer at all.
            timeout(LAST_ANSWER, answered).await.unwrap_or(());
        }
        done
    }

    async fn turns(&mut self, terminal: &mut Terminal, input: &mut Option<Keyboard>) -> io::Result<()> {
        let mut terminate = unix::signal(SignalKind::terminate())?;
        let mut hangup = unix::signal(SignalKind::hangup())?;
        let mut interrupt = unix::signal(SignalKind::interrupt())?;
        let mut continued = unix::signal(SignalKind::from_raw(Signal::SIGCONT as i32))?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let frame = self.frame_at(terminal);
            let cmds = tokio::select! {
                event = next(input) => match event {
                    // A key is answered at once; those that wait already are taken with it.
                    Some(Ok(event)) => self.input(event, input),
                    Some(Err(error)) => return Err(error),
                    None => return Ok(()),
                },
                Some(msg) = self.messages.recv() => self.message(msg),
                () = self.changed.notified() => self.log_changed(),
                // Also after a suspension from outside, of which nobody told us before.
                _ = continued.recv() => {
                    self.come_back(terminal, input)?;
                    Vec::new()
                }
                _ = tick.tick() => {
                    if self.away {
                        // In the background: nobody can look.
                        self.suspend(terminal, input)?;
                    }
                    self.count_rates();
                    self.coroner.look(&self.remote, &self.index, now());
                    self.message(Msg::Tick(now()))
                }
                _ = beat.tick(), if self.model.pointer.edge() != 0 => self.message(Msg::Beat),
                () = terminal.written(), if self.dirty && frame.is_none() => Vec::new(),
                () = sleep_until(frame.unwrap_or_else(far)), if frame.is_some() => {
                    self.show(terminal)?;
                    Vec::new()
                }
                _ = terminate.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
                _ = interrupt.recv() => match self.lent.is_some_and(|lent| lent.elapsed() < ECHO) {
                    true => Vec::new(),
                    false => return Ok(()),
                },
            };
            let mut cmds = VecDeque::from(cmds);
            while let Some(cmd) = cmds.pop_front() {
                match cmd {
                    Cmd::Log(cmd) => cmds.extend(self.log(cmd)),
                    cmd => match self.carry_out(cmd, terminal, input)? {
                        Flow::On => {}
                        Flow::End => return Ok(()),
                    },
                }
            }
        }
    }

    /// When the next frame is due: at once where a key asked for it. None is made while the terminal has not taken the last one.
    fn frame_at(&self, terminal: &Terminal) -> Option<Instant> {
        let pace = terminal.pace();
        let due = match self.pressed {
            Some(_) => pace.answer_at(),
            None => pace.frame_at((self.shown + FRAME).into_std()),
        };
        (self.dirty && terminal.is_free()).then(|| due.into())
    }

    fn message(&mut self, msg: Msg) -> Vec<Cmd> {
        self.dirty = true;
        let cmds = update(&mut self.model, msg);
        self.look();
        cmds
    }

    fn input(&mut self, first: Input, input: &mut Option<Keyboard>) -> Vec<Cmd> {
        let mut cmds = self.take(first);
        while let Some(Some(Ok(event))) = next(input).now_or_never() {
            cmds.extend(self.take(event));
        }
        self.pressed = Some(Instant::now());
        cmds
    }

    fn take(&mut self, input: Input) -> Vec<Cmd> {
        match input {
            Input::Event(event) => self.event(event),
            Input::Background(background) => {
                self.asked = None;
                self.message(Msg::Background(background))
            }
        }
    }

    fn event(&mut self, event: Event) -> Vec<Cmd> {
        let msg = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => Key::from_event(&key).map(Msg::Key),
            Event::Paste(text) => Some(Msg::Paste(text)),
            Event::Resize(columns, rows) => Some(Msg::Resize(columns, rows)),
            Event::Mouse(mouse) => match mouse.kind {
                MouseEventKind::ScrollDown => Some(Msg::Wheel { x: mouse.column, y: mouse.row, by: NOTCH }),
                MouseEventKind::ScrollUp => Some(Msg::Wheel { x: mouse.column, y: mouse.row, by: -NOTCH }),
                MouseEventKind::Down(MouseButton::Left) => {
                    Some(Msg::Click { x: mouse.column, y: mouse.row, at: now() })
                }
                MouseEventKind::Drag(MouseButton::Left) => Some(Msg::Drag { x: mouse.column, y: mouse.row }),
                MouseEventKind::Up(MouseButton::Left) => Some(Msg::Release),
                _ => None,
            },
            Event::Key(_) | Event::FocusGained | Event::FocusLost => None,
        };
        msg.map_or_else(Vec::new, |msg| self.message(msg))
    }

    fn show(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        (self.dirty, self.shown) = (false, Instant::now());
        if self.away {
            return Ok(());
        }
        self.look();
        let model = &self.model;
        terminal.show(model.size, |buffer| view::draw(model, buffer))?;
        // Lines that a key asked for are a part of its answer, too, where they come soon.
        let waits = self.model.log.window.pending;
        self.pressed = self.pressed.filter(|pressed| waits && pressed.elapsed() < ANSWER);
        Ok(())
    }

    fn carry_out(&mut self, cmd: Cmd, terminal: &mut Terminal, input: &mut Option<Keyboard>) -> io::Result<Flow> {
        match cmd {
            Cmd::Quit => return Ok(Flow::End),
            Cmd::Redraw => terminal.redraw(),
            Cmd::CheckKeys => self.check_keys(),
            Cmd::AskBackground => self.ask_background(terminal)?,
            Cmd::Mouse(ours) => terminal.mouse(ours)?,
            Cmd::Suspend => self.suspend(terminal, input)?,
            Cmd::Ask(order) => self.remote.ask(order),
            Cmd::Why(service) => self.remote.why(service),
            Cmd::Needs(services) => self.remote.needs(services),
            Cmd::Test(services, only) => self.remote.test(services, only),
            Cmd::Run(cmd) => self.runner.carry_out(cmd),
            Cmd::Problem(cmd) => errands::run(&self.remote, &self.index, cmd),
            Cmd::OpenUrl(url) => self.remote.open_url(&url),
            Cmd::Edit(place) => self.edit(&place, terminal, input)?,
            Cmd::EditConfig(service) => match self.remote.config(&service) {
                Some(place) => self.edit(&place, terminal, input)?,
                None => self.model.toast(Tone::Wait, format!("no file is known that describes {service}")),
            },
            Cmd::CopyText(text) => self.work(move |_, _| {
                let (said, bytes) = hands::copy_text(&text);
                Msg::Copied(said, bytes)
            }),
            Cmd::Write(bytes) => terminal.write(&bytes)?,
            Cmd::Log(_) => {}
        }
        self.dirty = true;
        Ok(Flow::On)
    }

    fn check_keys(&mut self) {
        let Some(file) = self.keys.clone() else { return };
        self.remote.work(move || {
            let settings = settings::load(&file);
            Msg::Keys(settings.problems, settings.notes)
        });
    }
}

/// Never done while somebody else has the terminal.
async fn next(input: &mut Option<Keyboard>) -> Option<io::Result<Input>> {
    match input {
        Some(input) => input.next().await,
        None => std::future::pending().await,
    }
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}
