//! The one loop: messages in, commands out, frames to the terminal. Nothing else touches the terminal.

mod log;

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEventKind, MouseButton, MouseEventKind};
use futures_util::{FutureExt, StreamExt};
use nix::sys::signal::{Signal, raise};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use super::custom::Commands;
use super::editor::Screen;
use super::errands::{self, Coroner};
use super::fleet::Tone;
use super::hands;
use super::keys::Key;
use super::model::Model;
use super::msg::{Cmd, Msg};
use super::problems::Place;
use super::remote::Remote;
use super::runner::Runner;
use super::settings::Settings;
use super::terminal::Terminal;
use super::theme::{Depth, Theme};
use super::update::update;
use super::view;
use crate::api::launch::Launcher;
use crate::api::wire;
use crate::error::Error;
use crate::logs::index::{Anchor, Index};
use crate::project::Project;
use crate::sys::home::Home;

/// Between two frames that no key asked for: at most 30 a second.
const FRAME: Duration = Duration::from_millis(33);
/// Between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);
/// Between two rows while lines are dragged beyond their pane.
const BEAT: Duration = Duration::from_millis(50);
/// Rows for a notch of the wheel.
const NOTCH: i32 = 3;
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
        shown,
    };
    let done = dashboard.run(&mut terminal).await;
    drop(terminal);
    // Nobody reads what they print any more, and none waits for that.
    dashboard.messages.close();
    dashboard.runner.end().await;
    match done {
        // The terminal is gone: there is nobody to tell.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof) => Ok(()),
        Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => Ok(()),
        done => done.map_err(|e| broken(&e)),
    }
}

/// As the user wishes it to look and to be used.
fn settle(model: &mut Model, settings: &Settings, depth: Depth) {
    let theme = settings.theme.as_deref().unwrap_or("terminal");
    model.theme = Theme::named(theme, depth).unwrap_or_default();
    model.keymap = Arc::new(settings.keymap.clone());
    (model.ascii, model.mouse) = (settings.ascii, !settings.no_mouse);
    for problem in &settings.problems {
        model.event(Tone::Bad, problem.clone());
    }
    if let Some(first) = settings.problems.first() {
        model.toast(Tone::Bad, first.clone());
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
}

/// Why the loop ends.
enum Flow {
    On,
    End,
}

impl Loop {
    async fn run(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        let mut input = Some(EventStream::new());
        let mut ends = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()].map(unix::signal);
        let [terminate, hangup, interrupt] = &mut ends;
        let (Ok(terminate), Ok(hangup), Ok(interrupt)) = (terminate, hangup, interrupt) else {
            return Err(io::Error::other("signals cannot be waited for"));
        };
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let frame = self.dirty.then_some(self.shown + FRAME);
            let cmds = tokio::select! {
                event = next(&mut input) => match event {
                    // A key is answered at once; those that wait already are taken with it.
                    Some(Ok(event)) => self.input(event, &mut input).await,
                    Some(Err(error)) => return Err(error),
                    None => return Ok(()),
                },
                Some(msg) = self.messages.recv() => self.message(msg),
                () = self.changed.notified() => self.log_changed(),
                _ = tick.tick() => {
                    self.count_rates();
                    self.coroner.look(&self.remote, &self.index, now());
                    self.message(Msg::Tick(now()))
                }
                _ = beat.tick(), if self.model.pointer.edge() != 0 => self.message(Msg::Beat),
                () = sleep_until(frame.unwrap_or_else(far)), if frame.is_some() => {
                    self.show(terminal)?;
                    Vec::new()
                }
                _ = terminate.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
            };
            let mut cmds = VecDeque::from(cmds);
            while let Some(cmd) = cmds.pop_front() {
                match cmd {
                    Cmd::Log(cmd) => cmds.extend(self.log(cmd)),
                    cmd => match self.carry_out(cmd, terminal, &mut input)? {
                        Flow::On => {}
                        Flow::End => return Ok(()),
                    },
                }
            }
        }
    }

    fn message(&mut self, msg: Msg) -> Vec<Cmd> {
        self.dirty = true;
        let cmds = update(&mut self.model, msg);
        self.look();
        cmds
    }

    async fn input(&mut self, event: Event, input: &mut Option<EventStream>) -> Vec<Cmd> {
        let mut cmds = self.event(event);
        while let Some(Some(Ok(event))) = next(input).now_or_never() {
            cmds.extend(self.event(event));
        }
        // Due now.
        self.shown = Instant::now() - FRAME;
        cmds
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
        self.look();
        let model = &self.model;
        terminal.show(model.size, |buffer| view::draw(model, buffer))?;
        (self.dirty, self.shown) = (false, Instant::now());
        Ok(())
    }

    fn carry_out(&mut self, cmd: Cmd, terminal: &mut Terminal, input: &mut Option<EventStream>) -> io::Result<Flow> {
        match cmd {
            Cmd::Quit => return Ok(Flow::End),
            Cmd::Redraw => terminal.redraw(),
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
            Cmd::Write(bytes) => terminal.write(&bytes)?,
            Cmd::Log(_) => {}
        }
        self.dirty = true;
        Ok(Flow::On)
    }

    /// Stops this process, and only it, until somebody continues it.
    fn suspend(&mut self, terminal: &mut Terminal, input: &mut Option<EventStream>) -> io::Result<()> {
        self.away(terminal, input, || raise(Signal::SIGSTOP).map_err(io::Error::from))?
    }

    /// Gives terminal and keys away while `meanwhile` lasts.
    fn away<T>(
        &mut self,
        terminal: &mut Terminal,
        input: &mut Option<EventStream>,
        meanwhile: impl FnOnce() -> T,
    ) -> io::Result<T> {
        // Dropped first: it would take keys from whoever has the terminal.
        *input = None;
        terminal.leave()?;
        let done = meanwhile();
        terminal.enter()?;
        *input = Some(EventStream::new());
        self.model.size = terminal.size()?;
        Ok(done)
    }

    fn edit(&mut self, place: &Place, terminal: &mut Terminal, input: &mut Option<EventStream>) -> io::Result<()> {
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
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
                command.spawn().err().map(|error| error.to_string())
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

async fn next(input: &mut Option<EventStream>) -> Option<io::Result<Event>> {
    match input {
        Some(input) => input.next().await,
        None => None,
    }
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}
