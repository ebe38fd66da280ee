//! Which process is which, over restarts of everything: never by a pid alone.

use std::io;

use super::os;

/// What a record on disk says about a process, enough to know it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its pid.
    pub pid: u32,
    /// When it started, as [`os::start_time`] says.
    pub start_time: u64,
    /// The machine's boot it belongs to.
    pub boot_id: String,
}

impl Identity {
    /// The identity of a living process.
    pub fn of(pid: u32) -> io::Result<Identity> {
        Ok(Identity { pid, start_time: os::start_time(pid)?, boot_id: os::boot_id()? })
    }

    /// Whether that very process still runs.
    pub fn lives(&self) -> bool {
        os::is_running(self.pid)
            && os::boot_id().is_ok_and(|boot| boot == self.boot_id)
            && os::start_time(self.pid).is_ok_and(|at| at == self.start_time)
    }
}

/// Sends `signal` to every process that was started with `marker` (`ORCHESTRA_RUN=…`) in its environment, and says how many there were. Each is
/// held before it is looked at, so a recycled pid cannot be hit.
pub fn signal_marked(marker: &str, signal: i32) -> usize {
    let Ok(pids) = os::pids() else { return 0 };
    let marked = |pid: &u32| os::environment_has(*pid, marker.as_bytes()) && os::is_running(*pid);
    let mut found = 0;
    for pid in pids.into_iter().filter(|pid| *pid != std::process::id() && marked(pid)) {
        if let Ok(held) = os::Held::open(pid)
            && marked(&pid)
            && held.signal(signal).is_ok()
        {
            found += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_process_is_known_by_more_than_its_pid() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.lives());
        assert!(!Identity { start_time: me.start_time + 1, ..me.clone() }.lives());
        assert!(!Identity { boot_id: "another boot".into(), ..me }.lives());
    }

    #[test]
    fn marked_processes_are_found_and_no_others() {
        let marker = format!("ORCHESTRA_RUN=test/{}", uuid::Uuid::new_v4());
        let (key, value) = marker.split_once('=').unwrap();
        let sleep = || std::process::Command::new("sleep");
        let mut marked = sleep().arg("1000").env(key, value).spawn().unwrap();
        let mut innocent = sleep().arg("1000").spawn().unwrap();
        // The kernel shows the environment a moment after exec has let the parent go on.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while signal_marked(&marker, libc::SIGKILL) == 0 {
            assert!(std::time::Instant::now() < until);
        }
        assert_eq!(marked.wait().unwrap().signal(), Some(libc::SIGKILL));
        assert_eq!(signal_marked(&marker, libc::SIGKILL), 0);
        assert!(innocent.try_wait().unwrap().is_none());
        innocent.kill().unwrap();
        innocent.wait().unwrap();
    }
}
