//! Which process is which, over restarts of everything: never by a pid alone.
//!
//! Whoever is signalled here is held first (a pidfd on Linux) and looked at afterwards, so that a number given to somebody else meanwhile hits nobody.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Pid, getpgid, getsid};

use super::os;

/// The variable that every process of a service inherits.
pub const MARKER: &str = "ORCHESTRA_RUN";

/// What is known of a run's leader, enough to know it and its descendants again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its pid, which is the number of its session and its group too; 0 where the leader was never seen.
    pub pid: u32,
    /// When it started, as [`os::start_time`] says.
    pub start_time: u64,
    /// The machine's boot it belongs to.
    pub boot_id: String,
    /// Device and inode of its program; zeroes where that is not known.
    pub exe: (u64, u64),
    /// `ORCHESTRA_RUN=…`, which every descendant inherits unless it clears its environment; empty where that is not known.
    pub marker: String,
}

/// What became of the processes of a run whose shim is dead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// So many were signalled.
    pub signalled: usize,
    /// These carry the marker and nothing else that proves that they are the service.
    pub spared: Vec<Spared>,
}

/// A process that a service started and that is not the service: an editor, a shell, a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spared {
    /// Its pid.
    pub pid: u32,
    /// Its program, where we may see it.
    pub exe: PathBuf,
}

impl Spared {
    /// One sentence for people.
    pub fn words(&self, slot: &str) -> String {
        let (pid, exe) = (self.pid, self.exe.display());
        format!(
            "pid {pid} ({exe}) was started from inside `{slot}`, whose shim has died; it is no part of it and runs on"
        )
    }
}

/// What a process is to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kin {
    /// It is the service, or a part of it.
    Service,
    /// It was started from inside the service, and no more is known.
    Guest,
    Stranger,
}

impl Identity {
    /// The identity of a process that runs now. What cannot be seen of it stays unknown.
    pub fn of(pid: u32, marker: &str) -> Identity {
        Identity {
            pid,
            start_time: os::start_time(pid).unwrap_or(0),
            boot_id: os::boot_id().unwrap_or_default(),
            exe: os::exe_inode(pid).unwrap_or((0, 0)),
            marker: marker.to_owned(),
        }
    }

    /// Holds the leader, if that very process still runs. A start time counts in hundredths of a second, so a number that was given away at once may
    /// have the same: its program or its marker must be the same too.
    pub fn hold(&self) -> Option<os::Held> {
        let held = os::Held::open(Some(self.pid).filter(|pid| *pid > 1)?).ok()?;
        let program = || self.exe != (0, 0) && os::exe_inode(self.pid).is_ok_and(|exe| exe == self.exe);
        let same = self.is_of_this_boot()
            && os::is_running(self.pid)
            && is_ours(self.pid)
            && os::start_time(self.pid).is_ok_and(|at| at == self.start_time)
            && (program() || self.is_marked(self.pid));
        same.then_some(held)
    }

    /// Whether that very process still runs.
    pub fn lives(&self) -> bool {
        self.hold().is_some()
    }

    fn is_of_this_boot(&self) -> bool {
        !self.boot_id.is_empty() && os::boot_id().is_ok_and(|boot| boot == self.boot_id)
    }

    fn is_marked(&self, pid: u32) -> bool {
        !self.marker.is_empty() && os::environment_has(pid, self.marker.as_bytes())
    }

    /// Signals all that is certainly left of the run. To be called only once its shim is dead.
    pub fn signal_remains(&self, signal: i32) -> Remains {
        let mut remains = Remains::default();
        let Ok(pids) = os::pids() else { return remains };
        if !self.is_of_this_boot() {
            return remains;
        }
        // As long as it is held and alive, nobody else can have its session's number.
        let leader = self.hold();
        let kin = |pid: u32| self.kin(pid, leader.is_some());
        for pid in pids.into_iter().filter(|pid| *pid > 1 && *pid != std::process::id()) {
            if kin(pid) == Kin::Stranger {
                continue;
            }
            let Ok(held) = os::Held::open(pid) else { continue };
            match kin(pid) {
                Kin::Service => remains.signalled += usize::from(held.signal(signal).is_ok()),
                Kin::Guest => remains.spared.push(Spared { pid, exe: os::exe_path(pid).unwrap_or_default() }),
                Kin::Stranger => {}
            }
        }
        remains
    }

    /// The marker alone proves nothing: a shell or an editor opened from inside a service inherits it. The session of the leader is the service,
    /// whatever runs in it; one that left it counts while it runs the very program of the service and no terminal is its own.
    fn kin(&self, pid: u32, leader_lives: bool) -> Kin {
        let marked = self.is_marked(pid);
        if !marked && !leader_lives || !os::is_running(pid) || !is_ours(pid) {
            return Kin::Stranger;
        }
        if self.is_of_session(pid) {
            return Kin::Service;
        }
        let same_program = || self.exe != (0, 0) && os::exe_inode(pid).is_ok_and(|exe| exe == self.exe);
        match marked {
            true if same_program() && !os::has_terminal(pid) => Kin::Service,
            true => Kin::Guest,
            false => Kin::Stranger,
        }
    }

    fn is_of_session(&self, pid: u32) -> bool {
        let process = Some(Pid::from_raw(pid as i32));
        let is_leader = |number: nix::Result<Pid>| number.is_ok_and(|number| number.as_raw() as u32 == self.pid);
        self.pid > 1 && (is_leader(getsid(process)) || is_leader(getpgid(process)))
    }
}

/// Device and inode of a file, as [`os::exe_inode`] says it of a program that runs.
pub fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let meta = std::fs::metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

/// It belongs to our user; root may end what gave its rights away.
fn is_ours(pid: u32) -> bool {
    let me = nix::unistd::getuid().as_raw();
    me == 0 || os::owner(pid).is_ok_and(|owner| owner == me)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    const SLEEP: [&str; 2] = ["sleep", "1000"];

    /// Ended with the test, whatever becomes of it.
    struct Process(Child);

    impl Drop for Process {
        fn drop(&mut self) {
            // It may have been ended by the test already.
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }

    impl Process {
        /// A session of its own, with this marker.
        fn start(argv: &[&str], marker: &str) -> Process {
            let (key, value) = marker.split_once('=').unwrap();
            let mut command = Command::new(argv[0]);
            command.args(&argv[1..]).env(key, value);
            #[expect(unsafe_code, reason = "a session before exec")]
            // SAFETY: one system call.
            unsafe {
                command.pre_exec(|| Ok(nix::unistd::setsid().map(drop)?));
            }
            let child = Process(command.spawn().unwrap());
            // The kernel shows the environment a moment after exec has let the parent go on.
            let until = Instant::now() + Duration::from_secs(10);
            while !os::environment_has(child.pid(), marker.as_bytes()) {
                assert!(Instant::now() < until);
            }
            child
        }

        fn pid(&self) -> u32 {
            self.0.id()
        }

        fn lives(&self) -> bool {
            os::is_running(self.pid())
        }
    }

    fn marker() -> String {
        format!("ORCHESTRA_RUN=test/{}", uuid::Uuid::new_v4())
    }

    #[test]
    fn a_process_is_known_by_more_than_its_pid() {
        let marker = marker();
        let sleep = Process::start(&SLEEP, &marker);
        let identity = Identity::of(sleep.pid(), &marker);
        assert!(identity.lives());
        assert!(!Identity { start_time: identity.start_time + 1, ..identity.clone() }.lives());
        assert!(!Identity { boot_id: "another boot".into(), ..identity.clone() }.lives());
        assert!(!Identity { boot_id: String::new(), ..identity.clone() }.lives());
        let other_program = Identity { exe: (1, 1), ..identity.clone() };
        assert!(other_program.lives(), "it may have executed another program: the marker says who it is");
        assert!(Identity { marker: String::new(), ..identity.clone() }.lives(), "it may have hidden its environment");
        assert!(!Identity { marker: String::new(), ..other_program }.lives());
        assert!(!Identity { pid: 1, ..identity.clone() }.lives() && !Identity { pid: 0, ..identity }.lives());
    }

    #[test]
    fn the_session_of_the_leader_goes_and_nobody_else() {
        let marker = marker();
        let mut leader = Process::start(&SLEEP, &marker);
        let identity = Identity::of(leader.pid(), &marker);
        let stranger = Process::start(&SLEEP, "OTHER=1");
        let namesake = Process::start(&SLEEP, &self::marker());
        let remains = identity.signal_remains(libc::SIGKILL);
        assert_eq!(remains, Remains { signalled: 1, spared: Vec::new() });
        assert_eq!(leader.0.wait().unwrap().signal(), Some(libc::SIGKILL));
        assert!(stranger.lives() && namesake.lives());
        assert_eq!(identity.signal_remains(libc::SIGKILL), Remains::default());
    }

    #[test]
    fn one_that_left_the_session_goes_only_with_the_program_of_the_service() {
        let marker = marker();
        let mut leader = Process::start(&SLEEP, &marker);
        let identity = Identity::of(leader.pid(), &marker);
        let mut daemon = Process::start(&SLEEP, &marker);
        let editor = Process::start(&["tail", "-f", "/dev/null"], &marker);
        leader.0.kill().unwrap();
        leader.0.wait().unwrap();
        let remains = identity.signal_remains(libc::SIGKILL);
        assert_eq!(remains.signalled, 1);
        assert_eq!(remains.spared.iter().map(|spared| spared.pid).collect::<Vec<_>>(), [editor.pid()]);
        assert_eq!(daemon.0.wait().unwrap().signal(), Some(libc::SIGKILL));
        assert!(editor.lives());
    }

    #[test]
    fn after_another_start_of_the_machine_nobody_is_signalled() {
        let marker = marker();
        let sleep = Process::start(&SLEEP, &marker);
        let identity = Identity { boot_id: "before".into(), ..Identity::of(sleep.pid(), &marker) };
        assert_eq!(identity.signal_remains(libc::SIGKILL), Remains::default());
        assert!(sleep.lives());
    }
}
