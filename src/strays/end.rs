//! Ends strays: each is held first, then looked at once more as a whole, and only then signalled. A process that took its number, became another
//! program or was taken by a debugger meanwhile is met by no signal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::judge::{self, Rule};
use super::look::{self, Ground};
use super::stray::{Fate, Stray};
use super::target::Target;
use crate::sys::os::Held;

/// Between two looks at who has ended.
const PAUSE: Duration = Duration::from_millis(5);
/// A `go run` whose program ended gets so long to end by itself before it is asked to.
const BY_ITSELF: Duration = Duration::from_secs(1);
/// After SIGKILL a process that is still there for so long is reported.
const LAST: Duration = Duration::from_secs(2);

/// One that is being ended.
struct Prey<'a> {
    stray: &'a Stray,
    held: Held,
    grace: Duration,
    asked: Option<Instant>,
    killed: Option<Instant>,
    fate: Option<(Fate, Instant)>,
}

/// Ends these and returns once each has its fate, or `cancel` was set: then the rest is left alone.
pub(super) fn end(strays: &[Stray], targets: &[Target], ground: &Ground, cancel: &AtomicBool) -> Vec<Fate> {
    let mut prey: Vec<Result<Prey<'_>, Fate>> = strays.iter().map(|stray| hold(stray, targets)).collect();
    while prey.iter().flatten().any(|prey| prey.fate.is_none()) {
        if cancel.load(Ordering::Relaxed) {
            break;
        }
        for at in 0..prey.len() {
            let waits = waits_for_program(&prey, at);
            if let Ok(prey) = &mut prey[at] {
                prey.go_on(waits, targets, ground);
            }
        }
        std::thread::sleep(PAUSE);
    }
    let given_up = || Fate::Left("the supervisor ends".to_owned());
    prey.into_iter()
        .map(|prey| prey.map_or_else(|fate| fate, |prey| prey.fate.map_or_else(given_up, |(fate, _)| fate)))
        .collect()
}

fn hold<'a>(stray: &'a Stray, targets: &[Target]) -> Result<Prey<'a>, Fate> {
    let grace = targets.iter().find(|target| target.service == stray.service).map_or(LAST, |target| target.grace);
    match Held::open(stray.pid) {
        Ok(held) => Ok(Prey { stray, held, grace, asked: None, killed: None, fate: None }),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Err(Fate::Ended),
        Err(error) => Err(Fate::Left(format!("it cannot be held: {error}"))),
    }
}

/// Whether the program of a `go run` is being ended, or ended just now: that one first, and then `go` ends by itself.
fn waits_for_program(prey: &[Result<Prey<'_>, Fate>], at: usize) -> bool {
    let Some(Ok(go)) = prey.get(at) else { return false };
    let is_program = |other: &Prey<'_>| other.stray.rule == Rule::GoRunProgram && other.stray.parent.0 == go.stray.pid;
    let holds_up = |other: &Prey<'_>| other.fate.as_ref().is_none_or(|(_, since)| since.elapsed() < BY_ITSELF);
    go.stray.rule == Rule::GoRun && prey.iter().flatten().any(|other| is_program(other) && holds_up(other))
}

impl Prey<'_> {
    /// The next step, if it is time for one.
    fn go_on(&mut self, waits: bool, targets: &[Target], ground: &Ground) {
        if self.fate.is_some() {
            return;
        }
        if self.held.has_ended(Duration::ZERO) {
            return self.over(if self.killed.is_some() { Fate::Killed } else { Fate::Ended });
        }
        match (self.asked, self.killed) {
            (None, _) if waits => {}
            (None, _) => {
                self.asked = self.signal(libc::SIGTERM, targets, ground);
                if self.asked.is_some() {
                    // A stopped process hears nothing until it goes on. It may have ended with the first signal.
                    drop(self.held.signal(libc::SIGCONT));
                }
            }
            (Some(asked), None) if asked.elapsed() >= self.grace => {
                self.killed = self.signal(libc::SIGKILL, targets, ground);
            }
            (Some(_), Some(killed)) if killed.elapsed() >= LAST => self.over(Fate::Survived),
            (Some(_), _) => {}
        }
    }

    fn over(&mut self, fate: Fate) {
        self.fate = Some((fate, Instant::now()));
    }

    /// Signals it if it is still what it was; when that was.
    fn signal(&mut self, signal: i32, targets: &[Target], ground: &Ground) -> Option<Instant> {
        match self.still(targets, ground).and_then(|()| self.held.signal(signal).map_err(|error| error.to_string())) {
            Ok(()) => Some(Instant::now()),
            Err(why) => {
                let ended = self.held.has_ended(Duration::ZERO);
                self.over(if ended { Fate::Ended } else { Fate::Left(why) });
                None
            }
        }
    }

    /// Looks at it and its parent anew, now that its number cannot be another's, and judges as at first.
    fn still(&self, targets: &[Target], ground: &Ground) -> Result<(), String> {
        let stray = self.stray;
        let target = targets.iter().find(|target| target.service == stray.service).cloned();
        let mut target = target.ok_or("its service is gone")?;
        let snapshot = look::look(std::slice::from_mut(&mut target), ground, Some(&[stray.pid, stray.parent.0]));
        let now = snapshot.processes.get(&stray.pid).ok_or("it became another program")?;
        if now.start_time != stray.start_time || now.exe.path != stray.exe {
            return Err("it became another program".to_owned());
        }
        match judge::verdict(now, &target, &snapshot) {
            Some(verdict) if verdict.veto.is_none() => Ok(()),
            Some(verdict) => Err(verdict.veto.map(|veto| veto.to_string()).unwrap_or_default()),
            None => Err("it is no stray any more".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::sys::home::Home;
    use crate::sys::inspect;

    #[test]
    fn a_number_that_became_anothers_gets_no_signal() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let ground =
            Ground { home: Home { dot: root.join(".orchestra"), runtime: root.join("run"), root }, caller: None };
        let targets = [Target { service: "api".into(), grace: Duration::ZERO, ..Target::default() }];
        let mut innocent = Command::new("sleep").arg("1000").spawn().unwrap();
        let start_time = inspect::stat(innocent.id()).unwrap().start_time;
        let stray = |pid, start_time, exe: &str| Stray {
            service: "api".into(),
            pid,
            start_time,
            rule: Rule::InFolder,
            veto: None,
            exe: exe.into(),
            is_deleted: false,
            argv: Vec::new(),
            cwd: None,
            parent: (std::process::id(), None),
        };
        // Another process with the number, another program in the same process, and a service that is gone.
        let sleep = inspect::exe(innocent.id()).unwrap().path;
        let sleep = sleep.to_str().unwrap();
        let mut strays = vec![
            stray(innocent.id(), start_time + 1, sleep),
            stray(innocent.id(), start_time, "/w/api/api"),
            stray(innocent.id(), start_time, sleep),
        ];
        strays.push(Stray { service: "gone".into(), ..strays[2].clone() });
        let fates = end(&strays, &targets, &ground, &AtomicBool::new(false));
        assert!(fates.iter().all(|fate| matches!(fate, Fate::Left(_))), "{fates:?}");
        assert!(innocent.try_wait().unwrap().is_none());
        let cancelled = end(&strays, &targets, &ground, &AtomicBool::new(true));
        assert!(cancelled.iter().all(|fate| matches!(fate, Fate::Left(_))), "{cancelled:?}");
        innocent.kill().unwrap();
        innocent.wait().unwrap();
        let gone = stray(innocent.id(), start_time, sleep);
        assert_eq!(end(&[gone], &targets, &ground, &AtomicBool::new(false)), [Fate::Ended]);
    }
}
