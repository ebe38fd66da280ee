//! What was asked of `go`, as the script in front of it writes it down: builds are counted where they happen, not where somebody tells of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::fault::proc::is_there;
use crate::support::{Fleet, eventually};

/// One call of `go`.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) pid: i32,
    /// Seconds since 1970.
    pub(crate) began: f64,
    pub(crate) dir: PathBuf,
    /// Another build in the same folder ran when it began.
    pub(crate) beside: bool,
    /// With the verb.
    pub(crate) args: Vec<String>,
    /// When it ended by itself and with which code; a call that is killed has no end.
    pub(crate) end: Option<(f64, i32)>,
}

/// A `go` for a fleet that writes down its calls, in a folder beside the project.
pub(crate) struct Go {
    dir: PathBuf,
}

impl Go {
    /// Puts it where nothing watches.
    pub(crate) fn beside(fleet: &Fleet) -> Go {
        let dir = fleet.path("../go-calls");
        fs::create_dir_all(dir.join("now")).unwrap();
        fs::write(dir.join("go"), include_str!("go.sh")).unwrap();
        fs::set_permissions(dir.join("go"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let real = std::env::split_paths(&path).map(|dir| dir.join("go")).find(|go| go.is_file()).unwrap();
        fs::write(dir.join("real"), real.to_str().unwrap()).unwrap();
        fs::write(dir.join("calls"), "").unwrap();
        Go { dir: dir.canonicalize().unwrap() }
    }

    /// The folder that comes first in `PATH`.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Lets every later call of this verb wait at its begin, until [`Go::release`].
    pub(crate) fn hold(&self, verb: &str) {
        fs::write(self.dir.join(format!("hold.{verb}")), "").unwrap();
    }

    pub(crate) fn release(&self, verb: &str) {
        fs::remove_file(self.dir.join(format!("hold.{verb}"))).unwrap();
    }

    /// Every call so far, oldest first.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let text = fs::read_to_string(self.dir.join("calls")).unwrap();
        let mut calls: Vec<Call> = Vec::new();
        // A line that is just being written comes whole with the next look.
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                ["begin", pid, at, dir, beside, ref args @ ..] => calls.push(Call {
                    pid: pid.parse().unwrap(),
                    began: at.parse().unwrap(),
                    dir: PathBuf::from(dir),
                    beside: !beside.is_empty(),
                    args: args.iter().map(|arg| (*arg).to_owned()).collect(),
                    end: None,
                }),
                ["end", pid, at, code] => {
                    let pid: i32 = pid.parse().unwrap();
                    let call = calls.iter_mut().rfind(|call| call.pid == pid && call.end.is_none()).unwrap();
                    call.end = Some((at.parse().unwrap(), code.parse().unwrap()));
                }
                _ => panic!("what does `{line}` say?"),
            }
        }
        calls
    }

    /// The calls of one verb.
    pub(crate) fn of(&self, verb: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.args.first().is_some_and(|first| first == verb)).collect()
    }

    /// The builds that a package in this folder is part of.
    pub(crate) fn builds_of(&self, folder: &Path) -> Vec<Call> {
        self.of("build").into_iter().filter(|call| call.folders().iter().any(|dir| dir == folder)).collect()
    }

    /// Waits until no call is under way.
    #[track_caller]
    pub(crate) fn rests(&self) {
        eventually("go to rest", || {
            self.calls().iter().all(|call| call.end.is_some() || !is_there(call.pid)).then_some(())
        });
    }
}

impl Call {
    /// Ended by itself, and well.
    pub(crate) fn is_good(&self) -> bool {
        matches!(self.end, Some((_, 0)))
    }

    /// Of a build: the folders of its packages, which stand behind the output.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let packages = self.args.iter().skip_while(|arg| *arg != "-o").skip(2).filter(|arg| *arg != "--");
        packages.map(|package| plain(&self.dir.join(package))).collect()
    }
}

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}
