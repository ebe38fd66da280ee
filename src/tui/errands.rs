//! What problems need from outside: files, the log, the supervisor, the clipboard. Each errand goes on a thread of its own and comes back as a message.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::clipboard::{Copied, Seat, copy};
use super::hands;
use super::msg::Msg;
use super::problems::{Death, Excerpt, Place, ProblemCmd, ProblemMsg};
use super::remote::Remote;
use crate::logs::ansi;
use crate::logs::index::{Dump, Index, Looked};
use crate::logs::sources::Folder;
use crate::logs::trace::{Ground, Kind, Trace};
use crate::task::id::{InstanceId, ServiceName};

/// So much of what a build printed is shown.
const OUTPUT: usize = 2000;
/// So many last words of a service.
const WORDS: usize = 12;
/// What panicked so long before the dashboard began is no news. In microseconds.
const OLD: i64 = 3_600_000_000;
/// A stack is printed line by line: so long it may take, in microseconds.
const PRINTED: i64 = 700_000;

/// Does one.
pub fn run(remote: &Remote, index: &Arc<Index>, cmd: ProblemCmd) {
    let index = Arc::clone(index);
    let root = remote.root().to_owned();
    match cmd {
        ProblemCmd::Excerpt(place) => remote.work(move || {
            let read = excerpt(&root, &place);
            Msg::Problem(ProblemMsg::Excerpt(place, read))
        }),
        ProblemCmd::Output(service) => remote.work(move || {
            let lines = words(&index, ServiceName::fold(&service), Folder::Build, OUTPUT);
            Msg::Problem(ProblemMsg::Output(service, lines))
        }),
        ProblemCmd::Words(instance) => remote.work(move || {
            let lines = InstanceId::parse(&instance)
                .map_or_else(Vec::new, |id| words(&index, Some(id.service), Folder::Instance(id.number), WORDS));
            Msg::Problem(ProblemMsg::Words(instance, lines))
        }),
        ProblemCmd::Gate(service) => remote.gate(service),
        ProblemCmd::Copy(text) => remote.work(move || {
            let copied = copy(&text, Seat::of(|name| std::env::var_os(name)));
            let said = copied.message(&text);
            match copied {
                Copied::Write(bytes) => Msg::Copied(said, Some(bytes)),
                Copied::Done(_) | Copied::TooLong(_) => Msg::Copied(said, None),
            }
        }),
    }
}

fn excerpt(root: &Path, place: &Place) -> Result<Excerpt, String> {
    let file = hands::file(root, place)?;
    let cannot = |error: std::io::Error| format!("cannot read `{}`: {error}", file.display());
    let opened = File::open(&file).map_err(cannot)?;
    let modified = opened.metadata().and_then(|meta| meta.modified()).map_err(cannot)?;
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Excerpt::read(place, opened, i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn words(index: &Index, service: Option<ServiceName>, folder: Folder, most: usize) -> Vec<String> {
    let Some(service) = service else { return Vec::new() };
    texts(&index.last_words(&service, folder, most))
}

fn texts(lines: &[Vec<u8>]) -> Vec<String> {
    lines.iter().map(|line| ansi::text(&ansi::spans(line))).collect()
}

/// Looks for panics whenever the log has changed.
#[derive(Debug)]
pub struct Coroner {
    looked: Arc<Mutex<Looked>>,
    /// What is older is no news.
    since: i64,
    /// How the log stood at the last look.
    generation: u64,
    /// One more look: something was too young at the last.
    again: bool,
}

impl Coroner {
    /// From about this moment on, in microseconds since 1970.
    pub fn new(now: i64) -> Coroner {
        Coroner { looked: Arc::default(), since: now.saturating_sub(OLD), generation: 0, again: false }
    }

    /// Looks, in the background, where there is something new.
    pub fn look(&mut self, remote: &Remote, index: &Arc<Index>, now: i64) {
        let generation = index.generation();
        let changed = generation != std::mem::replace(&mut self.generation, generation);
        // What was too young is looked at once more though nothing came after it.
        if !changed && !std::mem::replace(&mut self.again, changed) {
            return;
        }
        self.again = changed;
        let (looked, index, since) = (Arc::clone(&self.looked), Arc::clone(index), self.since);
        let root = remote.root().to_owned();
        remote.work(move || {
            // Looks come one after the other.
            let mut looked = looked.lock().unwrap_or_else(PoisonError::into_inner);
            let dumps = index.dumps(&mut looked, since, now.saturating_sub(PRINTED));
            let ground = if dumps.is_empty() { Ground::default() } else { hands::ground(&root) };
            let deaths = dumps.iter().filter_map(|dump| death(dump, &root, &ground)).collect();
            Msg::Problem(ProblemMsg::Deaths(deaths))
        });
    }
}

/// What a dump says; `None` for stacks that somebody asked for.
fn death(dump: &Dump, root: &Path, ground: &Ground) -> Option<Death> {
    let trace = Trace::read(dump.lines.iter().map(Vec::as_slice));
    let message = match trace.kind {
        Kind::Panic => trace.message.clone(),
        Kind::Fatal => format!("fatal error: {}", trace.message),
        Kind::Signal | Kind::Race | Kind::Stack => return None,
    };
    let target = trace.target(ground);
    let place = target.map(|frame| {
        let file = Path::new(&frame.file);
        let file = file.strip_prefix(root).unwrap_or(file);
        Place { file: file.to_string_lossy().into_owned(), line: frame.line, column: 0 }
    });
    Some(Death {
        service: dump.service.to_string(),
        key: trace.key(ground),
        time: dump.time,
        n: 1 + dump.n_passed_over,
        message,
        place,
        function: target.map_or_else(String::new, |frame| frame.function.clone()),
        n_frames: trace.frames.len(),
        raw: texts(&dump.lines).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_by_its_first_own_frame_and_stacks_somebody_asked_for_are_none() {
        let dump = |lines: &[&str]| Dump {
            service: ServiceName::fold("api").unwrap(),
            instance: 1,
            run: 1,
            time: 7,
            lines: lines.iter().map(|line| line.as_bytes().to_vec()).collect(),
            n_passed_over: 2,
        };
        let stack = [
            "panic: assignment to entry in nil map [recovered]",
            "",
            "goroutine 1 [running]:",
            "runtime.mapassign(0x1)",
            "\t/go/src/runtime/map.go:5 +0x1",
            "main.(*Charger).Refund(0x1)",
            "\t/shop/internal/charge/refund.go:31 +0xf4",
        ];
        let found = death(&dump(&stack), Path::new("/shop"), &Ground::default()).unwrap();
        assert_eq!(found.message, "assignment to entry in nil map");
        assert_eq!(found.place.unwrap().to_string(), "internal/charge/refund.go:31");
        assert_eq!(
            (found.function.as_str(), found.n_frames, found.n, found.raw.len()),
            ("main.(*Charger).Refund", 2, 3, 7)
        );
        let fatal = ["fatal error: all goroutines are asleep - deadlock!", "", "goroutine 1 [chan receive]:"];
        let found = death(&dump(&fatal), Path::new("/shop"), &Ground::default()).unwrap();
        assert_eq!(found.message, "fatal error: all goroutines are asleep - deadlock!");
        assert_eq!(
            death(&dump(&["SIGQUIT: quit", "", "goroutine 1 [running]:"]), Path::new("/"), &Ground::default()),
            None
        );
    }
}
