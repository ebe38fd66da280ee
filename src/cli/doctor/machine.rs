//! Checks of the machine: limits, file systems, tracing.

use std::fs;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};

use super::checks::check;
use super::{Check, Facts, Status};
use crate::sys::cgroup::{self, Wanted};
use crate::sys::filesystem;

/// Descriptors a supervisor wants at least, and for each instance.
const NOFILE: u64 = 1024;
const NOFILE_EACH: u64 = 8;

/// Limits of processes, pipes and watchers.
pub(super) fn limits(facts: &Facts) -> Vec<Check> {
    let mut out = Vec::new();
    let needed = NOFILE.max(u64::from(facts.instances) * NOFILE_EACH);
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) if hard < needed => out.push(
            check("limits", Status::Failed, format!("only {hard} open files are allowed, {needed} are needed"))
                .mend("raise `nofile` in /etc/security/limits.conf, or `ulimit -Hn` of the parent"),
        ),
        Ok((soft, hard)) => out.push(check("limits", Status::Ok, format!("{soft} open files, {hard} at most"))),
        Err(e) => out.push(check("limits", Status::Warning, format!("the limit of open files cannot be read: {e}"))),
    }
    out.extend(pipes(facts.instances));
    out.extend(inotify());
    out.push(resources(facts.limited));
    out
}

/// Tries it, as no file says beforehand whether the kernel will agree.
fn resources(limited: bool) -> Check {
    let wanted = Wanted { memory: Some(1 << 30), cpu: Some(1.0) };
    let made = cgroup::make(&format!("orchestra-doctor-{}", std::process::id()), &wanted);
    if let Some(group) = &made.group {
        group.remove();
    }
    let Some(obstacle) = made.obstacle else {
        return check("limits", Status::Ok, "`resources` of services are enforced (memory and CPU time)");
    };
    // Nobody is disappointed while no service sets any.
    let status = if limited { Status::Warning } else { Status::Ok };
    let found = check("limits", status, format!("`resources` of services are not enforced here: {}", obstacle.what));
    match obstacle.remedy() {
        Some(remedy) => found.mend(remedy),
        None => found,
    }
}

/// Two pipes of sixteen pages for each instance; past the quota a pipe gets two pages and flooding services wait.
fn pipes(instances: u32) -> Option<Check> {
    const PAGES_EACH: u64 = 32;
    const NAME: &str = "/proc/sys/fs/pipe-user-pages-soft";
    let quota = number(NAME).filter(|n| *n > 0)?;
    let needed = u64::from(instances) * PAGES_EACH;
    (needed > quota).then(|| {
        check(
            "limits",
            Status::Warning,
            format!("{instances} instances need {needed} pages of pipe buffers, a user has {quota}"),
        )
        .mend(format!("`sudo sysctl fs.pipe-user-pages-soft={}`", needed * 2))
    })
}

fn inotify() -> Option<Check> {
    let watches = number("/proc/sys/fs/inotify/max_user_watches")?;
    let instances = number("/proc/sys/fs/inotify/max_user_instances")?;
    let message = format!("{watches} watched folders, {instances} watchers");
    Some(if watches < 8192 || instances < 64 {
        check("limits", Status::Warning, message)
            .mend("`sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`")
    } else {
        check("limits", Status::Ok, message)
    })
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Whether the file system can hold what a project keeps.
pub(super) fn file_systems(root: &Path) -> Vec<Check> {
    const NAME: &str = "file-system";
    let dot = root.join(".orchestra");
    let place = if dot.is_dir() { dot } else { root.to_owned() };
    let found = match filesystem::look(&place) {
        Ok(found) => found,
        Err(e) => return vec![check(NAME, Status::Warning, format!("`{}` cannot be looked at: {e}", place.display()))],
    };
    let shown = place.display();
    let mut out = Vec::new();
    if found.read_only {
        out.push(
            check(NAME, Status::Failed, format!("`{shown}` is read-only"))
                .mend("move the project to a folder that can be written to"),
        );
    }
    if found.noexec {
        out.push(
            check(
                NAME,
                Status::Failed,
                format!("`{shown}` is on a file system without programs (noexec): binaries built there cannot run"),
            )
            .mend("move the project, or `sudo mount -o remount,exec` that file system"),
        );
    }
    if let Some(kind) = &found.remote {
        out.push(
            check(
                NAME,
                Status::Warning,
                format!(
                    "`{shown}` is on a network file system ({kind}): locks, logs and change notices are slow or missing"
                ),
            )
            .mend("keep the project on a local disk"),
        );
    }
    if found.size > 0 && found.free < found.size / 20 {
        let percent = found.free * 100 / found.size;
        out.push(
            check(
                NAME,
                Status::Warning,
                format!("only {percent} % of the disk of `{shown}` is free, and logs stop at 5 %"),
            )
            .mend("free some space"),
        );
    }
    if out.is_empty() {
        out.push(check(NAME, Status::Ok, format!("`{shown}` is local, {} MiB free", found.free >> 20)));
    }
    out
}

/// Debuggers attach to services, which are not their children.
pub(super) fn ptrace() -> Check {
    match number("/proc/sys/kernel/yama/ptrace_scope") {
        None | Some(0) => check("ptrace", Status::Ok, "debuggers can attach to services"),
        Some(scope) => check(
            "ptrace",
            Status::Warning,
            format!("kernel.yama.ptrace_scope is {scope}: debuggers cannot attach to services"),
        )
        .mend(if scope >= 3 {
            "set it to 0 in /etc/sysctl.d and restart the machine"
        } else {
            "`sudo sysctl kernel.yama.ptrace_scope=0`"
        }),
    }
}
