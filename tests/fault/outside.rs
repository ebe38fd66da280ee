//! Programs that run outside orchestra: strays to be found, and innocents that count the signals they get.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Fleet, eventually};

/// A service that writes every signal it gets into the file `COUNT`, after its pid; `STAY` makes it go on, `GRAB` makes it wait for a port.
pub(crate) const SOURCE: &str = r#"package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() { serve() }

func serve() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGCONT, syscall.SIGUSR1, syscall.SIGUSR2)
	count, _ := os.OpenFile(os.Getenv("COUNT"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	fmt.Fprintf(count, "ready %d\n", os.Getpid())
	go listen()
	for got := range signals {
		fmt.Fprintf(count, "%v\n", got)
		if os.Getenv("STAY") == "" && got == syscall.SIGTERM {
			os.Exit(0)
		}
	}
}

func listen() {
	for os.Getenv("PORT") != "" {
		if _, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT")); err == nil {
			return
		} else if os.Getenv("GRAB") == "" {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		time.Sleep(time.Millisecond)
	}
}
"#;

/// One program. When it goes, its process group is killed.
pub(crate) struct Outside {
    /// For messages.
    pub(crate) what: String,
    /// What was started; the program itself may be a child of it.
    pub(crate) child: Child,
    /// The program that counts.
    pub(crate) pid: i32,
    start: u64,
    count: PathBuf,
}

/// A command with the environment of the fleet's own, in one of its folders, in a process group of its own.
pub(crate) fn command(fleet: &Fleet, program: &str, args: &[&str], dir: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let like = fleet.command(&[]);
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).env_clear().process_group(0);
    command.envs(like.get_envs().filter_map(|(key, value)| Some((key, value?)))).env("PWD", dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Builds with `go build` in a folder.
#[track_caller]
pub(crate) fn go(fleet: &Fleet, args: &[&str], dir: &Path) {
    let out = command(fleet, "go", args, dir).stderr(Stdio::piped()).output().unwrap();
    assert!(out.status.success(), "go {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

impl Outside {
    /// Starts a program of [`SOURCE`] and waits until it counts.
    #[track_caller]
    pub(crate) fn start(fleet: &Fleet, what: &str, mut command: Command) -> Outside {
        let count = fleet.root().parent().unwrap().join(format!("count-{}", uuid()));
        let child = command.env("COUNT", &count).spawn().unwrap_or_else(|e| panic!("{what}: {e}"));
        let ready = || fs::read_to_string(&count).ok()?.lines().next()?.strip_prefix("ready ")?.parse().ok();
        let pid = eventually(&format!("{what} to be ready"), ready);
        Outside { what: what.to_owned(), child, pid, start: start_time(pid).unwrap(), count }
    }

    /// Starts any other program.
    #[track_caller]
    pub(crate) fn silent(fleet: &Fleet, what: &str, mut command: Command) -> Outside {
        let child = command.spawn().unwrap_or_else(|e| panic!("{what}: {e}"));
        let pid = child.id() as i32;
        // Not before it is what it shall be.
        let own = fs::read_link("/proc/self/exe").unwrap();
        eventually("exec", || (fs::read_link(format!("/proc/{pid}/exe")).ok()? != own).then_some(()));
        Outside::of(fleet, what, child)
    }

    /// What runs already.
    pub(crate) fn of(fleet: &Fleet, what: &str, child: Child) -> Outside {
        let pid = child.id() as i32;
        let count = fleet.root().parent().unwrap().join(format!("count-{}", uuid()));
        Outside { what: what.to_owned(), child, pid, start: start_time(pid).unwrap(), count }
    }

    /// Whether the very process still runs.
    pub(crate) fn lives(&self) -> bool {
        start_time(self.pid) == Some(self.start)
    }

    /// The signals it got.
    pub(crate) fn signals(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.count).unwrap_or_default();
        text.lines().skip(1).map(ToOwned::to_owned).collect()
    }

    /// Reaps what was started, once the program is gone.
    #[track_caller]
    pub(crate) fn ends(&mut self) {
        eventually(&format!("{} to end", self.what), || (!self.lives()).then_some(()));
        eventually(&format!("{} to be reaped", self.what), || self.child.try_wait().unwrap());
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let group = Pid::from_raw(-(self.child.id() as i32));
        // Most often it is gone already.
        let _gone = kill(group, Signal::SIGKILL);
        if self.lives() {
            let _gone = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
        let _reaped = self.child.wait();
    }
}

fn uuid() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap().trim().to_owned()
}

/// When a process that has not ended started.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.rsplit(')').next()?.trim_start();
    if rest.starts_with(['Z', 'X']) {
        return None;
    }
    rest.split_whitespace().nth(19)?.parse().ok()
}
