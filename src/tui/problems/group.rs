//! What problems are: places, items, and groups of them by kind and service. Pure.

use std::fmt::{self, Display};
use std::sync::Arc;

use crate::api::wire::Service;
use crate::tui::fleet::Tone;

/// A place in a file of the project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Relative to the project.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in bytes; 0 where it is not known.
    pub column: u32,
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            0 => write!(f, "{}:{}", self.file, self.line),
            column => write!(f, "{}:{}:{column}", self.file, self.line),
        }
    }
}

/// What kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A build failed.
    Build,
    /// A binary is not run because its tests failed.
    Gate,
    /// Tests.
    Test,
    /// A panic, or an error of Go's runtime.
    Panic,
    /// A program that ended badly, again and again.
    Crash,
    /// What `go vet` found.
    Lint,
}

impl Kind {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Build => "build",
            Kind::Gate => "gate",
            Kind::Test => "test",
            Kind::Panic => "panic",
            Kind::Crash => "crash",
            Kind::Lint => "vet",
        }
    }

    /// Where it is shown.
    pub fn tab(self) -> Tab {
        match self {
            Kind::Build => Tab::Builds,
            Kind::Gate | Kind::Test => Tab::Tests,
            Kind::Panic | Kind::Crash => Tab::Panics,
            Kind::Lint => Tab::Lint,
        }
    }
}

/// Kinds that are shown together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// Everything.
    All,
    /// What was not built.
    Builds,
    /// Tests, and what waits for them.
    Tests,
    /// Panics and crashes.
    Panics,
    /// Findings.
    Lint,
}

impl Tab {
    /// From left to right.
    pub const ALL: [Tab; 5] = [Tab::All, Tab::Builds, Tab::Tests, Tab::Panics, Tab::Lint];

    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Tab::All => "all",
            Tab::Builds => "build",
            Tab::Tests => "tests",
            Tab::Panics => "panics",
            Tab::Lint => "lint",
        }
    }

    /// The next one, or the one before.
    pub(super) fn turned(self, forward: bool) -> Tab {
        let n = Tab::ALL.len();
        Tab::ALL[(self as usize + if forward { 1 } else { n - 1 }) % n]
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Tells it from others.
    pub id: String,
    /// How bad.
    pub tone: Tone,
    /// Where, where that is known.
    pub place: Option<Place>,
    /// What.
    pub text: String,
    /// What else there is to say in a word or two.
    pub more: String,
    /// What was printed, where it is at hand; text only.
    pub raw: Arc<[String]>,
    /// The test that failed.
    pub test: Option<String>,
    /// When it was told, in microseconds since 1970: a file that was changed since may say something else there.
    pub since: i64,
}

impl Problem {
    /// Something bad.
    pub fn new(id: String, place: Option<Place>, text: String) -> Problem {
        let raw = Arc::default();
        Problem { id, tone: Tone::Bad, place, text, more: String::new(), raw, test: None, since: 0 }
    }
}

/// What belongs together: one build, one package's tests, one panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Tells it from others.
    pub id: String,
    /// What kind.
    pub kind: Kind,
    /// Whose.
    pub service: String,
    /// How bad.
    pub tone: Tone,
    /// What, in a line.
    pub title: String,
    /// What else there is to say in a word or two.
    pub more: String,
    /// How often and when last (microseconds since 1970), where it may happen more than once.
    pub times: Option<(u64, i64)>,
    /// It is over.
    pub past: bool,
    /// One by one.
    pub items: Vec<Problem>,
}

impl Group {
    /// Something bad without items yet.
    pub fn new(kind: Kind, service: &str, what: &str) -> Group {
        Group {
            id: format!("{} {service} {what}", kind.word()),
            kind,
            service: service.to_owned(),
            tone: Tone::Bad,
            title: String::new(),
            more: String::new(),
            times: None,
            past: false,
            items: Vec::new(),
        }
    }

    /// It is bad, and not over.
    pub fn fails(&self) -> bool {
        !self.past && (self.tone == Tone::Bad || self.kind == Kind::Lint)
    }
}

/// A line of a list: a group, or one of its items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The group.
    pub group: Arc<Group>,
    /// Which of its items; the group itself where there is none.
    pub item: Option<usize>,
    /// The group's items are hidden.
    pub folded: bool,
}

impl Row {
    /// Tells it from others.
    pub fn id(&self) -> &str {
        self.problem().map_or(&self.group.id, |item| &item.id)
    }

    /// The item, where it is none of a group's own line.
    pub fn problem(&self) -> Option<&Problem> {
        self.group.items.get(self.item?)
    }

    /// The item, or the first of the group.
    pub fn nearest(&self) -> Option<&Problem> {
        self.group.items.get(self.item.unwrap_or(0))
    }

    /// How bad.
    pub fn tone(&self) -> Tone {
        match self.problem() {
            _ if self.group.past => Tone::Off,
            Some(item) => item.tone,
            None => self.group.tone,
        }
    }

    /// As people paste it: a line for each problem, and what was printed of one.
    pub fn copied(&self) -> String {
        let line = |item: &Problem| {
            let place = item.place.as_ref().map_or_else(String::new, |place| format!("{place}: "));
            format!("{} {}: {place}{}\n", self.group.service, self.group.kind.word(), item.text)
        };
        match self.problem() {
            Some(item) => line(item) + &item.raw.iter().map(|line| format!("{line}\n")).collect::<String>(),
            None if self.group.items.is_empty() => {
                format!("{} {}: {}\n", self.group.service, self.group.kind.word(), self.group.title)
            }
            None => self.group.items.iter().map(line).collect(),
        }
    }
}

/// What a failed build said.
pub(super) fn of_build(service: &Service) -> Option<Group> {
    let build = service.build.as_ref().filter(|build| build.state == "failed")?;
    let named = build.problems.iter().map(|problem| {
        let place = Place { file: problem.file.clone(), line: problem.line, column: problem.column };
        let id = format!("{} {place} {}", service.name, problem.message);
        Problem::new(id, Some(place).filter(|place| place.line > 0), problem.message.clone())
    });
    let mut items: Vec<Problem> = named.collect();
    if items.is_empty() {
        // The linker, a missing module: nothing that has a place.
        let error = build.error.clone().unwrap_or_else(|| "the build failed".to_owned());
        items.push(Problem::new(format!("{} {error}", service.name), None, error));
    }
    let kept = service.instances.iter().any(|instance| instance.is_up());
    let title = if items.len() == 1 { "1 error".to_owned() } else { format!("{} errors", items.len()) };
    let more = if kept { "old copy kept" } else { "" }.to_owned();
    Some(Group { title, more, items, ..Group::new(Kind::Build, &service.name, "") })
}
