//! Groups of this machine, where they can be made; each test says when they cannot.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command};

use super::*;
use crate::sys::os;

fn sleeper() -> Child {
    Command::new("sleep").arg("1000").spawn().unwrap()
}

fn join(folder: &Path, pid: u32) {
    fs::OpenOptions::new()
        .write(true)
        .open(folder.join("cgroup.procs"))
        .unwrap()
        .write_all(pid.to_string().as_bytes())
        .unwrap();
}

/// Everybody in it is ended, it is gone, and who was outside lives.
fn empties(folder: &Path, name: &str) {
    let (mut inside, mut outside) = (sleeper(), sleeper());
    let below = folder.join("below");
    fs::create_dir(&below).unwrap();
    join(&below, inside.id());
    clear(&[folder.to_owned()], "another name");
    assert!(inside.try_wait().unwrap().is_none());
    let group = Group::new(vec![folder.to_owned()]);
    group.kill();
    assert_eq!(inside.wait().unwrap().signal(), Some(libc::SIGKILL));
    clear(&[folder.to_owned()], name);
    assert!(!folder.exists());
    assert!(group.remove(), "removing what is gone is no trouble");
    assert!(outside.try_wait().unwrap().is_none());
    outside.kill().unwrap();
    outside.wait().unwrap();
}

#[test]
fn limits_hold_or_say_why_not() {
    let name = format!("orchestra-test-limits-{}", std::process::id());
    let wanted = Wanted { memory: Some(64 << 20), cpu: Some(0.5) };
    let made = make(&name, &wanted);
    match (made.group, made.obstacle) {
        (Some(group), None) => {
            let again = make(&name, &wanted);
            assert!(again.obstacle.is_none() && again.group.is_some(), "what is left is used again");
            assert_eq!(group.oom_kills(), Some(0));
            assert!(group.folders().iter().all(|folder| os::is_cgroup(folder)));
            let first = group.folders()[0].clone();
            empties(&first, &name);
            assert!(group.remove());
            assert!(group.folders().iter().all(|folder| !folder.exists()));
        }
        (group, Some(obstacle)) => {
            eprintln!("not possible here: {}", obstacle.what);
            assert!(group.is_none_or(|group| group.remove()));
            assert!(!obstacle.what.is_empty());
        }
        (None, None) => panic!("neither a group nor a reason"),
    }
}

/// The one write that ends a whole group of version 2 needs no controller.
#[test]
fn a_unified_group_is_emptied_at_once() {
    let Some(place) = read().ok().and_then(|membership| membership.unified().cloned()) else {
        return eprintln!("not possible here: no unified hierarchy");
    };
    let name = format!("orchestra-test-kill-{}", std::process::id());
    match unified::parent(&place, &[], &name) {
        Ok(parent) => empties(&parent.join(&name), &name),
        Err(obstacle) => eprintln!("not possible here: {}", obstacle.what),
    }
}

#[test]
fn a_folder_that_is_no_group_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("orchestra-x");
    fs::create_dir(&folder).unwrap();
    clear(std::slice::from_ref(&folder), "orchestra-x");
    assert!(folder.exists());
}

#[test]
fn refusals_have_a_remedy() {
    for errno in [libc::EROFS, libc::EACCES, libc::EBUSY] {
        let obstacle = Obstacle::at("make a group in", Path::new("/x"), &io::Error::from_raw_os_error(errno));
        assert!(obstacle.what.starts_with("cannot make a group in `/x`: "), "{}", obstacle.what);
        assert!(obstacle.remedy().is_some());
    }
}
