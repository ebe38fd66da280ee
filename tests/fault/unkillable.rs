//! A service that SIGKILL does not end: it writes to a file system that is frozen.

use std::process::Command;
use std::time::{Duration, Instant};

use super::oracle::no_orphan;
use super::proc::{is_there, state};
use super::report;
use crate::support::{Fleet, eventually};

/// Thaws whatever happens: a frozen file system would keep its processes for ever.
struct Frozen {
    pid: i32,
    at: String,
}

impl Frozen {
    fn freeze(pid: i32, at: &str) -> Frozen {
        let frozen = Frozen { pid, at: at.to_owned() };
        frozen.run("-f");
        frozen
    }

    /// In the service's own mount namespace, which nobody else sees.
    fn run(&self, how: &str) {
        let pid = self.pid.to_string();
        let ran = Command::new("nsenter").args(["-t", &pid, "-m", "fsfreeze", how, &self.at]).output().unwrap();
        assert!(ran.status.success() || how == "-u", "{}", String::from_utf8_lossy(&ran.stderr));
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.run("-u");
    }
}

/// Why no file system of our own can be mounted here.
fn impossible(fleet: &Fleet) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("mounting needs root".to_owned());
    }
    let (image, at) = (fleet.path("image"), fleet.path("mnt"));
    std::fs::create_dir_all(&at).unwrap();
    std::fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
    let script =
        "mkfs.ext4 -qF \"$0\" && exec unshare -m sh -c 'mount -o loop \"$0\" \"$1\" && umount \"$1\"' \"$0\" \"$1\"";
    let tried = Command::new("sh").args(["-c", script]).arg(&image).arg(&at).output().unwrap();
    (!tried.status.success()).then(|| String::from_utf8_lossy(&tried.stderr).trim().replace('\n', "; "))
}

#[test]
fn waits_in_the_kernel() {
    let fleet = Fleet::new();
    if let Some(why) = impossible(&fleet) {
        report::record(26, format!("not possible here: {why}"));
        return;
    }
    let at = fleet.path("mnt").to_str().unwrap().to_owned();
    let script = "mount -o loop ../image ../mnt && touch ../mounted && while :; do echo x > ../mnt/x; sleep 0.02; done";
    let command = serde_json::to_string(&["unshare", "-m", "sh", "-c", script]).unwrap();
    let yaml = format!(
        "command: {command}\ndepends_on: [db]\nready: {{exec: [test, -e, ../mounted]}}\nstop: {{grace: 300ms}}\n"
    );
    fleet.write("writer/service.yml", yaml);
    fleet.toy("db", &[], "");
    fleet.toy("other", &[], "");
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("writer.1");
    let frozen = Frozen::freeze(pid, &at);
    eventually("it waits in the kernel", || (state(pid) == Some('D')).then_some(()));

    let stop = fleet.background(&["stop"]);
    let gone = |line: &str| line.starts_with("other") && line.contains("stopped");
    eventually("the other one to go", || stop.said().lines().any(gone).then_some(()));
    let began = Instant::now();
    fleet.orchestra(&["ps"]).ok();
    let answer = began.elapsed();
    let stop = stop.wait(Duration::from_secs(60)).exits(1);
    assert!(stop.stderr.contains(&format!("pid {pid} (sh) waits in the kernel")), "{}", stop.stderr);
    assert_eq!(fleet.instance("writer.1")["trouble"], "unkillable");
    assert_eq!(fleet.service("db")["state"], "idle", "what it depends on does not wait for it");

    fleet.orchestra(&["start", "other"]).ok();
    let again = fleet.orchestra(&["stop", "writer"]).exits(1);
    assert!(again.took < Duration::from_secs(10), "{:?}", again.took);
    assert!(is_there(pid));
    drop(frozen);
    fleet.until("writer.1", "idle");
    fleet.orchestra(&["stop"]).ok();
    no_orphan(&fleet);
    report::record(
        26,
        format!(
            "`unkillable` with pid and wait channel and exit code 1 after {:.1} s, everything else stopped; `ps` in {} ms \
             meanwhile; gone by itself after the thaw",
            stop.took.as_secs_f64(),
            answer.as_millis()
        ),
    );
}
