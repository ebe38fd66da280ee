//! Everything the dashboard shows. Pure: it changes in `update`, and is drawn by `view`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::actions::{Action, Scope};
use super::custom::Runs;
use super::fleet::{Fleet, Row, Sort, Tone};
use super::graph::GraphPane;
use super::input::{History, Input};
use super::keymap::Keymap;
use super::log::LogPane;
use super::pointer::Pointer;
use super::problems::{Listed, Problems};
use super::theme::{Background, Theme};
use crate::api::convert::Ask;
use crate::api::wire::Why;

/// So many events are kept.
const EVENTS: usize = 500;
/// A toast is shown for so long, in microseconds.
const TOAST: i64 = 5_000_000;

/// A part of the screen that keys can go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pane {
    /// Our services and jobs.
    #[default]
    Services,
    /// Containers.
    Vendors,
    /// What compilers and panics said.
    Problems,
    /// Tests.
    Tests,
    /// The merged log.
    Logs,
    /// What happened.
    Events,
}

impl Pane {
    /// In the order of their numbers.
    pub const ALL: [Pane; 6] = [Pane::Services, Pane::Vendors, Pane::Problems, Pane::Tests, Pane::Logs, Pane::Events];

    /// From 1: the key that goes there.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// What its keys mean.
    pub fn scope(self) -> Scope {
        match self {
            Pane::Services | Pane::Vendors => Scope::Services,
            Pane::Problems | Pane::Tests => Scope::Problems,
            Pane::Logs => Scope::Log,
            Pane::Events => Scope::Events,
        }
    }
}

/// What fills the screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Screen {
    /// All panes.
    #[default]
    Dashboard,
    /// One service.
    Detail(Box<Detail>),
    /// Who depends on whom.
    Graph,
}

/// One service, in depth.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    /// Which.
    pub service: String,
    /// One copy of it, where that alone is meant: `api.2`.
    pub copy: Option<String>,
    /// The newest answer about it.
    pub why: Option<Why>,
    /// What of it is shown.
    pub part: Part,
    /// The first line that is shown.
    pub scroll: usize,
    /// It was opened from the graph, and closes to it.
    pub from_graph: bool,
}

/// A part of what there is to say about a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All of it, and charts.
    #[default]
    Overview,
    /// Its ports and its health.
    Ports,
    /// Its environment.
    Env,
    /// How its runs ended.
    Restarts,
    /// Whom it needs.
    Needs,
    /// Its build, its tests and its newest edit.
    Build,
    /// What happened.
    Events,
}

impl Part {
    /// As they stand beside each other.
    pub const ALL: [Part; 7] =
        [Part::Overview, Part::Ports, Part::Env, Part::Restarts, Part::Needs, Part::Build, Part::Events];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Part::Overview => "Overview",
            Part::Ports => "Ports",
            Part::Env => "Env",
            Part::Restarts => "Restarts",
            Part::Needs => "Needs",
            Part::Build => "Build",
            Part::Events => "Events",
        }
    }
}

/// What lies over the screen and takes the keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Popup {
    /// All keys, from this line on.
    Help(usize),
    /// The marked lines of the log, with the cursor on this one.
    Marks(usize),
    /// A question; `y` does it.
    Confirm {
        /// What is asked.
        question: String,
        /// What is done.
        order: Order,
    },
    /// Leaving ends a command; `y` does it.
    Leave(String),
    /// What a command of the project prints.
    Output {
        /// Its number.
        run: u64,
        /// So many lines from the newest; 0 stays with it.
        up: usize,
    },
}

/// What is typed at the bottom of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What for.
    pub kind: PromptKind,
    /// The line.
    pub input: Input,
    /// Why the line is none, so far.
    pub error: Option<String>,
    /// Which completion is chosen.
    pub chosen: Option<usize>,
}

/// What a prompt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PromptKind {
    /// A command.
    Palette,
    /// A part of a name.
    FilterList,
    /// A regex to go to.
    Search,
    /// A regex of what is shown.
    Filter,
    /// Names of what is shown.
    Sources,
}

impl PromptKind {
    /// What stands before the line.
    pub fn sign(self) -> &'static str {
        match self {
            PromptKind::Palette => ":",
            PromptKind::FilterList | PromptKind::Search => "/",
            PromptKind::Filter => "&",
            PromptKind::Sources => "@",
        }
    }
}

/// A request to the supervisor.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// What is asked.
    pub ask: Ask,
    /// Services or single copies.
    pub names: Vec<String>,
    /// `scale`: how many copies each service shall have.
    pub scale: Option<u32>,
    /// `start`: whether saves build and replace from now on.
    pub rerun: Option<bool>,
}

impl Order {
    /// A request about these.
    pub fn new(ask: Ask, names: Vec<String>) -> Order {
        Order { ask, names, scale: None, rerun: None }
    }

    /// As toasts and events tell it: `restart api, web`.
    pub fn told(&self) -> String {
        let names = match self.names.as_slice() {
            [] => "all".to_owned(),
            names @ [_, _, _, _, ..] => format!("{} and {} more", names[..3].join(", "), names.len() - 3),
            names => names.join(", "),
        };
        match (self.scale, self.rerun) {
            (Some(scale), _) => format!("scale {names} to {scale}"),
            (_, Some(true)) => format!("watch {names}"),
            (_, Some(false)) => format!("stop watching {names}"),
            (None, None) => format!("{} {names}", self.ask.word()),
        }
    }
}

/// A short word at the bottom, for a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// One line.
    pub text: String,
    /// How it is meant.
    pub tone: Tone,
    /// Until when, in microseconds since 1970.
    pub until: i64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Microseconds since 1970.
    pub at: i64,
    /// One line.
    pub text: String,
    /// How it is meant.
    pub tone: Tone,
}

/// Whether a supervisor answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Nobody was asked yet.
    #[default]
    Unknown,
    /// One runs.
    Up,
    /// None runs; what is shown comes from the files.
    Down,
    /// It does not answer, and why.
    Trouble(String),
}

/// A list with a cursor.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// What the cursor is on.
    pub selected: Option<String>,
    /// Where it is.
    pub at: usize,
    /// The first row that was shown.
    pub top: usize,
}

impl List {
    /// Keeps the cursor on its row, or near where that was.
    pub fn settle(&mut self, ids: &[&str]) {
        let found = self.selected.as_deref().and_then(|id| ids.iter().position(|other| *other == id));
        self.at = found.unwrap_or(self.at).min(ids.len().saturating_sub(1));
        self.selected = ids.get(self.at).map(|id| (*id).to_owned());
    }

    /// The first of `len` rows to show in `height`: the cursor stays in sight, and the list moves no more than it must.
    pub fn first(&self, height: usize, len: usize) -> usize {
        let height = height.max(1);
        let top = self.top.min(len.saturating_sub(height));
        top.clamp((self.at + 1).saturating_sub(height), self.at)
    }

    /// Scrolls the rows; the cursor moves only as far as it must to stay in sight.
    pub fn scroll(&mut self, by: isize, height: usize, ids: &[&str]) {
        let height = height.max(1);
        let last = ids.len().saturating_sub(height);
        self.top = self.first(height, ids.len()).saturating_add_signed(by).min(last);
        self.go(self.at.clamp(self.top, self.top + height - 1), ids);
    }

    /// Goes to another row, as far as there are some.
    pub fn go(&mut self, to: usize, ids: &[&str]) {
        self.at = to.min(ids.len().saturating_sub(1));
        self.selected = ids.get(self.at).map(|id| (*id).to_owned());
    }
}

/// Everything the dashboard shows.
#[derive(Clone, Debug)]
pub struct Model {
    /// The project's name.
    pub project: String,
    /// Of this place.
    pub zone: TimeZone,
    /// Columns and rows.
    pub size: (u16, u16),
    /// Microseconds since 1970.
    pub now: i64,
    /// The services.
    pub fleet: Fleet,
    /// Who answers about them.
    pub link: Link,
    /// What fills the screen.
    pub screen: Screen,
    /// Where keys go.
    pub focus: Pane,
    /// Only the pane that has the focus is shown.
    pub zoom: bool,
    /// The list of services.
    pub services: List,
    /// The list of vendors.
    pub vendors: List,
    /// Services and copies that verbs act on instead of the one below the cursor.
    pub marks: BTreeSet<String>,
    /// Services whose copies are hidden.
    pub folded: BTreeSet<String>,
    /// The order of the lists.
    pub sort: Sort,
    /// Only names with this part are listed.
    pub list_filter: String,
    /// What lies over all.
    pub popup: Option<Popup>,
    /// What is being typed.
    pub prompt: Option<Prompt>,
    /// What was typed at the palette.
    pub history: History,
    /// Short words.
    pub toasts: VecDeque<Toast>,
    /// What happened, oldest first.
    pub events: VecDeque<Event>,
    /// The cursor in the events, from the newest on.
    pub event: List,
    /// The log.
    pub log: LogPane,
    /// What compilers and tests said.
    pub problems: Problems,
    /// Commands of the project, and what they printed.
    pub runs: Runs,
    /// Who depends on whom.
    pub graph: GraphPane,
    /// Cores of this machine; 0 where nobody counted them.
    pub cores: u32,
    /// Which key does what.
    pub keymap: Arc<Keymap>,
    /// The colours.
    pub theme: Theme,
    /// They follow the background.
    pub auto: bool,
    /// What is behind the text, as far as it is known.
    pub background: Option<Background>,
    /// The mouse is ours.
    pub mouse: bool,
    /// What it is doing.
    pub pointer: Pointer,
    /// How often the next move is made: digits that were typed before it.
    pub count: Option<u32>,
    /// Only ASCII is drawn.
    pub ascii: bool,
}

impl Model {
    /// Begins typing, with this text.
    pub fn open_prompt(&mut self, kind: PromptKind, text: &str) {
        self.prompt = Some(Prompt { kind, input: super::input::Input::of(text), error: None, chosen: None });
    }

    /// Nothing known yet.
    pub fn new(project: &str, size: (u16, u16), now: i64) -> Model {
        Model {
            project: project.to_owned(),
            zone: TimeZone::system(),
            size,
            now,
            fleet: Fleet::default(),
            link: Link::Unknown,
            screen: Screen::Dashboard,
            focus: Pane::Services,
            zoom: false,
            services: List::default(),
            vendors: List::default(),
            marks: BTreeSet::new(),
            folded: BTreeSet::new(),
            sort: Sort::Name,
            list_filter: String::new(),
            popup: None,
            prompt: None,
            history: History::default(),
            toasts: VecDeque::new(),
            events: VecDeque::new(),
            event: List::default(),
            log: LogPane::default(),
            problems: Problems::default(),
            runs: Runs::default(),
            graph: GraphPane::default(),
            cores: 0,
            keymap: Arc::default(),
            theme: Theme::default(),
            auto: false,
            background: None,
            mouse: true,
            pointer: Pointer::default(),
            count: None,
            ascii: false,
        }
    }

    /// Gives the log its room, as the screen is divided now.
    pub fn settle_log(&mut self) {
        let area = super::view::layout::layout(self).pane(Pane::Logs);
        let lines = super::view::log::parts(self, area).lines;
        self.log.resize((lines.width, lines.height));
    }

    /// Keeps what each list shows, as the screen is divided now: so that a cursor that goes back moves nothing.
    pub fn settle_lists(&mut self) {
        let layout = super::view::layout::layout(self);
        for pane in Pane::ALL {
            let shown = super::view::shown::of(self, &layout, pane).filter(|shown| !shown.area.is_empty());
            if let (Some(shown), Some(list)) = (shown, self.list_of(pane)) {
                list.top = shown.first;
            }
        }
    }

    /// The list of a pane; the log has none.
    pub fn list_of(&mut self, pane: Pane) -> Option<&mut List> {
        match pane {
            Pane::Services => Some(&mut self.services),
            Pane::Vendors => Some(&mut self.vendors),
            Pane::Problems | Pane::Tests => Some(self.problems.list_mut(self.listed_in(pane))),
            Pane::Events => Some(&mut self.event),
            Pane::Logs => None,
        }
    }

    /// What tells the rows of a pane from each other.
    pub fn ids(&self, pane: Pane) -> Vec<String> {
        match pane {
            Pane::Services | Pane::Vendors => self.rows(pane == Pane::Vendors).into_iter().map(|row| row.id).collect(),
            Pane::Problems | Pane::Tests => {
                self.problems.rows(self.listed_in(pane)).iter().map(|row| row.id().to_owned()).collect()
            }
            Pane::Events => self.events.iter().rev().map(|event| format!("{} {}", event.at, event.text)).collect(),
            Pane::Logs => Vec::new(),
        }
    }

    /// The list of problems or tests that has the focus: both together where they have the screen alone.
    pub fn listed(&self) -> Option<Listed> {
        if !matches!(self.focus, Pane::Problems | Pane::Tests) || self.screen != Screen::Dashboard {
            return None;
        }
        Some(match self.focus {
            _ if self.zoom || super::view::layout::is_narrow(self.size) => Listed::Whole,
            Pane::Tests => Listed::Tests,
            _ => Listed::Problems,
        })
    }

    /// What a pane of problems or tests lists.
    pub fn listed_in(&self, pane: Pane) -> Listed {
        match pane {
            _ if self.focus == pane && self.listed() == Some(Listed::Whole) => Listed::Whole,
            Pane::Tests => Listed::Tests,
            _ => Listed::Problems,
        }
    }

    /// The rows of the services, or of the vendors.
    pub fn rows(&self, vendors: bool) -> Vec<Row> {
        self.fleet.rows(vendors, self.sort, &self.list_filter, &self.folded)
    }

    /// The list that has the focus, or had it last.
    pub fn list(&self) -> (&List, bool) {
        match self.focus {
            Pane::Vendors => (&self.vendors, true),
            _ => (&self.services, false),
        }
    }

    /// The service, or the copy, that fills the screen or is chosen in the graph.
    pub fn subject(&self) -> Option<&str> {
        match &self.screen {
            Screen::Dashboard => None,
            Screen::Detail(detail) => Some(detail.copy.as_ref().unwrap_or(&detail.service)),
            Screen::Graph => self.graph.chosen.as_deref(),
        }
    }

    /// The row below the cursor, or that of what fills the screen.
    pub fn selected(&self) -> Option<Row> {
        if self.screen != Screen::Dashboard {
            let id = self.subject()?;
            let all = |vendors| self.fleet.rows(vendors, Sort::Name, "", &BTreeSet::new());
            return all(false).into_iter().chain(all(true)).find(|row| row.id == id);
        }
        let (list, vendors) = self.list();
        let id = list.selected.as_deref()?;
        self.rows(vendors).into_iter().find(|row| row.id == id)
    }

    /// What a verb acts on: what fills the screen, else what is marked, else what the cursor is on.
    pub fn targets(&self) -> Vec<String> {
        if self.screen != Screen::Dashboard {
            return self.subject().map(str::to_owned).into_iter().collect();
        }
        match self.marks.is_empty() {
            false => self.marks.iter().cloned().collect(),
            true => self.selected().map(|row| row.id).into_iter().collect(),
        }
    }

    /// Uses these colours from now on, or with `None` those that suit the background.
    pub fn paint(&mut self, theme: Option<Theme>) {
        self.auto = theme.is_none();
        self.theme = theme.unwrap_or_else(|| Theme::auto(self.background, self.theme.depth()));
    }

    /// Says something for a moment.
    pub fn toast(&mut self, tone: Tone, text: impl Into<String>) {
        let until = self.now.saturating_add(TOAST);
        self.toasts.push_back(Toast { text: text.into(), tone, until });
        while self.toasts.len() > 3 {
            self.toasts.pop_front();
        }
    }

    /// Keeps what happened.
    pub fn event(&mut self, tone: Tone, text: impl Into<String>) {
        self.events.push_back(Event { at: self.now, text: text.into(), tone });
        while self.events.len() > EVENTS {
            self.events.pop_front();
        }
        // Who reads older ones goes on reading them.
        if self.event.at > 0 || self.event.top > 0 {
            let last = self.events.len() - 1;
            (self.event.at, self.event.top) = ((self.event.at + 1).min(last), (self.event.top + 1).min(last));
        }
    }

    /// The first key of an action, as people write it.
    pub fn key(&self, action: Action) -> String {
        self.keymap.shown(action)
    }
}
