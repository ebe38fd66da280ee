//! Makes the words of a failed test short and clickable: paths as a person in the project says them, and of stacks the frames that are ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::logs::trace::goroutine;

/// Of a message so many bytes are told in one line.
const MESSAGE: usize = 300;

/// Where the packages of a `go test` are.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    /// The project: paths become relative to it.
    pub project: PathBuf,
    /// Where `go test` ran.
    pub dir: PathBuf,
    /// The folder of each package, by import path.
    pub packages: BTreeMap<String, PathBuf>,
    /// Folders with code of ours: modules, or packages where there are none.
    pub ours: Vec<PathBuf>,
}

impl Ground {
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn project(&self) -> &Path {
        &self.project
    }

    fn is_ours(&self, path: &str) -> bool {
        let path = Path::new(path);
        path.starts_with(&self.project) || self.ours.iter().any(|dir| path.starts_with(dir))
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.project).unwrap_or(path).display().to_string()
    }

    /// A line of the compiler, which names files relative to where it ran.
    pub(super) fn relative(&self, line: &str) -> String {
        let Some((file, rest)) = line.split_once(':').filter(|(file, _)| Path::new(file).extension().is_some()) else {
            return line.to_owned();
        };
        let (vet, file) = file.strip_prefix("vet: ").map_or(("", file), |file| ("vet: ", file));
        let plain = self.dir.join(file.trim_start_matches("./"));
        if !plain.exists() { line.to_owned() } else { format!("{vet}{}:{rest}", self.shown(&plain)) }
    }
}

/// The lines of a test: `x_test.go:3:` with its folder, stacks without what is Go's own.
pub(super) fn cut(lines: Vec<String>, ground: &Ground, package: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut stack = Stack::default();
    for line in lines {
        match stack.take(line, ground) {
            Taken::Nothing => {}
            Taken::Lines(lines) => out.extend(lines),
            Taken::Plain(line) => out.push(with_folder(&line, ground, package)),
        }
    }
    out.extend(stack.end(ground));
    while out.last().is_some_and(|line| line.trim().is_empty()) {
        out.pop();
    }
    out
}

static PLACE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^(\s*)([^\s:]+\.go):(\d+): ?(.*)$").ok());
static PATH: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(/[^\s:]+\.go):(\d+)( \+0x[0-9a-f]+)?").ok());

/// `    x_test.go:3: words` names its file by the last part only.
fn with_folder(line: &str, ground: &Ground, package: &str) -> String {
    let here = ground.packages.get(package);
    let known = |found: &Captures<'_>| here.map(|dir| dir.join(&found[2])).filter(|path| path.exists());
    let line = match PLACE.as_ref().and_then(|place| place.captures(line)) {
        Some(found) => match known(&found) {
            Some(path) => format!("{}{}:{}: {}", &found[1], ground.shown(&path), &found[3], &found[4]),
            None => line.to_owned(),
        },
        None => line.to_owned(),
    };
    paths_shown(&line, ground)
}

/// Whole paths of ours, as stacks and assertion libraries print them.
fn paths_shown(line: &str, ground: &Ground) -> String {
    let Some(pattern) = PATH.as_ref() else { return line.to_owned() };
    let shown = |found: &Captures<'_>| {
        if ground.is_ours(&found[1]) {
            format!("{}:{}", ground.shown(Path::new(&found[1])), &found[2])
        } else {
            found[0].to_owned()
        }
    };
    pattern.replace_all(line, shown).into_owned()
}

/// Where a test failed, and the first line of why: of several places in its words the last that is a `file:line: words` of a test, else the first of a
/// stack.
pub(super) fn place(lines: &[String]) -> Option<(String, u32, String)> {
    let pattern = PLACE.as_ref()?;
    let read = |found: &Captures<'_>, at: usize| {
        let message =
            if found[4].trim().is_empty() { lines.get(at + 1).map_or("", |line| line.trim()) } else { found[4].trim() };
        Some((found[2].to_owned(), found[3].parse().ok()?, short(message)))
    };
    let mut said = lines
        .iter()
        .enumerate()
        .rev()
        .filter_map(|(at, line)| pattern.captures(line).and_then(|found| read(&found, at)));
    let said = said.find(|(file, _, message)| file != "testing.go" && !message.starts_with("Error Trace:"));
    let trace = || lines.iter().find_map(|line| Some(line.trim().strip_prefix("Error Trace:")?.trim()));
    let why =
        |start: &str| lines.iter().find(|line| line.trim_start().starts_with(start)).map(|line| short(line.trim()));
    if let Some(path) = trace() {
        // testify: the place in one line, the error in another.
        let (file, line) = path.rsplit_once(':')?;
        let message = lines.iter().find_map(|line| line.trim().strip_prefix("Error:")).map_or("", str::trim);
        return Some((file.to_owned(), line.parse().ok()?, short(message)));
    }
    if let Some(panic) = why("panic: ").or(why("fatal error: ")).or(why("WARNING: DATA RACE")) {
        let frame = lines.iter().find_map(|line| frame(line));
        return match frame {
            Some((file, line)) => Some((file, line, panic)),
            None => said.map(|(file, line, _)| (file, line, panic)),
        };
    }
    said
}

/// `\tapi/x.go:3`, as frames stand in a stack that was cut.
fn frame(line: &str) -> Option<(String, u32)> {
    let path = line.strip_prefix(['\t', ' '])?.trim();
    let (file, number) = path.rsplit_once(':')?;
    (file.ends_with(".go") && !file.contains(' ')).then(|| Some((file.to_owned(), number.parse().ok()?))).flatten()
}

fn short(text: &str) -> String {
    let end = (0..=MESSAGE.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}

/// What became of a line.
enum Taken {
    /// It is kept back.
    Nothing,
    /// These are told now.
    Lines(Vec<String>),
    /// It belongs to no stack.
    Plain(String),
}

/// Reads stacks: of a panic or a timeout (`goroutine 7 [running]:`), and of the race detector.
#[derive(Default)]
struct Stack {
    inside: bool,
    is_race: bool,
    block: Vec<String>,
    n_told: usize,
    n_hidden: usize,
    /// The first stack without a frame of ours: told where no other is, for something must be.
    instead: Vec<String>,
}

impl Stack {
    fn take(&mut self, line: String, ground: &Ground) -> Taken {
        if line == "==================" {
            let told = self.flush(ground);
            self.is_race = !self.is_race;
            return Taken::Lines(told.into_iter().chain([line]).collect());
        }
        let begins = goroutine(line.as_bytes()).is_some()
            || (self.is_race
                && (line.ends_with(" by:") || line.contains(" goroutine ") || line.starts_with("Goroutine ")));
        if begins && !line.starts_with(' ') {
            let told = self.flush(ground);
            self.inside = true;
            self.block.push(line);
            return Taken::Lines(told);
        }
        if self.inside && (line.is_empty() || line.starts_with("FAIL")) {
            let told = self.flush(ground);
            return Taken::Lines(told);
        }
        if self.inside {
            self.block.push(line);
            return Taken::Nothing;
        }
        Taken::Plain(line)
    }

    /// The frames of ours in the block that ends, with its heading. A stack without any is hidden.
    fn flush(&mut self, ground: &Ground) -> Vec<String> {
        self.inside = false;
        let block = std::mem::take(&mut self.block);
        let Some((heading, frames)) = block.split_first() else { return Vec::new() };
        let mut ours: Vec<String> = Vec::new();
        for pair in frames.chunks(2) {
            let is_ours = |line: &String| {
                PATH.as_ref().and_then(|p| p.captures(line)).is_some_and(|found| ground.is_ours(&found[1]))
            };
            if let [function, file] = pair
                && is_ours(file)
            {
                ours.extend([without_arguments(function), paths_shown(file, ground)]);
            }
        }
        if !ours.is_empty() {
            self.n_told += 1;
            return [vec![heading.clone()], ours, vec![String::new()]].concat();
        }
        self.n_hidden += 1;
        if self.instead.is_empty() && frames.iter().any(|line| line.contains(".go:")) {
            self.instead = [vec![heading.clone()], frames.iter().take(8).cloned().collect()].concat();
        }
        Vec::new()
    }

    fn end(mut self, ground: &Ground) -> Vec<String> {
        let mut out = self.flush(ground);
        if self.n_told == 0 && !self.instead.is_empty() {
            out.append(&mut self.instead);
            self.n_hidden -= 1;
        }
        if self.n_hidden > 0 {
            let what = if self.n_hidden == 1 { "stack".to_owned() } else { format!("{} stacks", self.n_hidden) };
            out.push(format!("... {what} of Go's own left out; `orchestra logs` has all ..."));
        }
        out
    }
}

/// `ex.com/a.F(...)`: words of memory tell nobody anything.
fn without_arguments(function: &str) -> String {
    match ["(0x", "({0x"].iter().filter_map(|start| function.find(start)).min() {
        Some(at) => format!("{}(...)", &function[..at]),
        None => function.to_owned(),
    }
}
