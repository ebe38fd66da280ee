//! Services that want more than they may have: memory, CPU time.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use super::oracle::Oracle;
use super::{proc, report};
use crate::support::{Fleet, cgroups, eventually};

const ROW: u32 = 45;

/// Whether limits must be enforced here: only then is it a mistake when they are not.
fn possible() -> Option<(PathBuf, PathBuf)> {
    let both = cgroups::own("memory").zip(cgroups::own("cpu"));
    if both.is_none() {
        report::record(ROW, "not possible here: no cgroups of version 1 that can be written to");
    }
    both
}

/// What the fleet has left in the hierarchies.
fn groups(fleet: &Fleet, (memory, cpu): &(PathBuf, PathBuf)) -> Vec<PathBuf> {
    let name = format!("orchestra-{}-", fleet.runtime().file_name().unwrap().to_str().unwrap());
    let entries = [memory, cpu].into_iter().flat_map(|folder| fs::read_dir(folder).unwrap().flatten());
    let ours = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&name);
    entries.map(|entry| entry.path()).filter(ours).collect()
}

#[test]
fn too_much_memory_is_told_and_tried_again() {
    let Some(places) = possible() else { return };
    let fleet = Fleet::new();
    // The first run takes too much, the next ones do not.
    let greedy = "exec 3<>big || exit 9; if read -r _ <&3; then exec \"$0\"; fi; echo x >big; exec \"$0\" -alloc 64";
    let command = serde_json::to_string(&["sh", "-c", greedy, crate::support::toy::toy()]).unwrap();
    fleet.write("big", "");
    fleet.write("greedy/service.yml", format!("command: {command}\ndir: ..\nresources: {{memory: 32MiB}}\n"));
    fleet.toy("calm", &[], "");
    fleet.orchestra(&["start"]).ok();
    let oracle = Oracle::before(&fleet);
    let instance = fleet.until("greedy.1", "ready");
    assert_eq!(instance["restarts"], 1, "{instance}");
    assert_eq!(instance["last_exit"]["reason"], "oom", "{instance}");
    assert_eq!(instance["last_exit"]["signal"], 9);
    let limits = serde_json::json!({"memory_bytes": 32 << 20, "cpu": null, "enforced": true, "reason": null});
    assert_eq!(instance["limits"], limits);
    assert!(fleet.instance("calm.1").get("limits").is_none());
    let why = fleet.orchestra(&["why", "greedy"]).ok().stdout;
    assert!(why.contains("greedy.1 was killed by the kernel: it used more than 32 MiB"), "{why}");
    assert!(why.contains("32 MiB of memory, enforced"), "{why}");
    // Another limit is another setting: the copy is replaced, and the other is not.
    let before = (fleet.pid("greedy.1"), fleet.pid("calm.1"));
    fleet.write("greedy/service.yml", format!("command: {command}\ndir: ..\nresources: {{memory: 48MiB}}\n"));
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.instance("greedy.1")["limits"]["memory_bytes"], 48 << 20);
    assert!(fleet.pid("greedy.1") != before.0 && fleet.pid("calm.1") == before.1);
    oracle.holds(&fleet);
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(groups(&fleet, &places), Vec::<PathBuf>::new());
    report::record(
        ROW,
        "64 MiB taken of 32 MiB allowed: `oom`, restarted by policy, ready again; no group left after `stop`",
    );
}

#[test]
fn cpu_time_is_held() {
    let Some(places) = possible() else { return };
    let fleet = Fleet::new();
    fleet.toy("spin", &["-spin"], "resources: {cpu: 0.2}");
    fleet.orchestra(&["start"]).ok();
    // A mean since the last sample of at least a second ago: the first question only begins to count.
    fleet.instance("spin.1");
    std::thread::sleep(std::time::Duration::from_secs(2));
    let percent = fleet.instance("spin.1")["cpu_percent"].as_f64().unwrap();
    assert!(percent <= 30.0, "{percent} % of a core");
    // A killed shim leaves its group, which the next one takes over; `stop` removes it.
    let old = fleet.pid("spin.1");
    proc::send(proc::shim_of(&fleet, "spin.1"), Signal::SIGKILL);
    eventually("another copy", || fleet.instance("spin.1")["pid"].as_i64().filter(|pid| *pid != i64::from(old)));
    assert_eq!(groups(&fleet, &places).len(), 1);
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(groups(&fleet, &places), Vec::<PathBuf>::new());
    report::record(ROW, format!("two busy threads with `cpu: 0.2` used {percent} % of a core over 2 s"));
}

#[test]
fn knowledge_survives_the_supervisor() {
    let Some(_) = possible() else { return };
    let fleet = Fleet::new();
    fleet.toy("api", &[], "resources: {memory: 64MiB, cpu: 0.5}");
    fleet.orchestra(&["start"]).ok();
    let (limits, old) = (fleet.instance("api.1")["limits"].clone(), fleet.supervisor());
    assert_eq!(limits["enforced"], true, "{limits}");
    proc::send(old, Signal::SIGKILL);
    eventually("another supervisor", || {
        // One that was just killed may still be in the middle of an answer.
        let ps = fleet.orchestra(&["ps", "-o", "json"]);
        (ps.code == Some(0)).then(|| ps.json()["supervisor"]["pid"].as_i64())?.filter(|pid| *pid != i64::from(old))
    });
    eventually("the limits to be known", || (fleet.instance("api.1")["limits"] == limits).then_some(()));
}

#[test]
fn what_is_not_enforced_is_shown() {
    if possible().is_none() {
        return;
    }
    let fleet = Fleet::new();
    fleet.toy("api", &[], "resources: {memory: 64MiB}");
    // In mounts of its own, where no cgroup can be written to.
    let program = fleet.command(&[]).get_program().to_owned();
    let mut start = Command::new("unshare");
    let script = "for m in /sys/fs/cgroup/*; do mount -o remount,bind,ro $m || exit 7; done; exec \"$@\"";
    start.args(["--mount", "sh", "-c", script, "sh"]).arg(program).arg("start").current_dir(fleet.root()).env_clear();
    start.envs(fleet.command(&[]).get_envs().filter_map(|(key, value)| Some((key, value?))));
    let output = fleet.run(start);
    if output.code == Some(7) || output.stderr.contains("unshare failed") {
        return report::record(ROW, format!("not possible here: {}", output.stderr.trim()));
    }
    output.ok();
    let limits = fleet.instance("api.1")["limits"].clone();
    assert_eq!((&limits["enforced"], &limits["memory_bytes"]), (&false.into(), &(64 << 20).into()));
    let reason = limits["reason"].as_str().unwrap();
    assert!(reason.ends_with("cgroups are mounted read-only here"), "{reason}");
    let ps = fleet.orchestra(&["ps"]).ok().stdout;
    assert!(ps.contains(&format!("limits not enforced: {reason}; see: orchestra doctor")), "{ps}");
    let why = fleet.orchestra(&["why", "api"]).ok().stdout;
    assert!(why.contains("64 MiB of memory, not enforced: "), "{why}");
    assert!(why.contains("api.1: its limits are not enforced: "), "{why}");
    report::record(ROW, format!("not enforced is shown by ps, why and doctor: {reason}"));
}

/// The kernel takes the service before its shim, and neither shim nor supervisor is offered.
#[test]
fn only_the_service_is_offered_to_the_kernel() {
    let adj = |pid: i32| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).ok()?.trim().parse::<i32>().ok();
    let Some(ours) = adj(std::process::id() as i32) else {
        return report::record(ROW, "not possible here: no /proc/PID/oom_score_adj");
    };
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start"]).ok();
    let api = fleet.pid("api.1");
    let shim = proc::shim_of(&fleet, "api.1");
    let found = (adj(api), adj(shim), adj(fleet.supervisor()));
    assert_eq!(found, (Some((ours + 200).min(1000)), Some(ours), Some(ours)));
    report::record(ROW, format!("oom_score_adj of service, shim and supervisor: {found:?}"));
}
