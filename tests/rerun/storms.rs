//! Hundreds of files change at once: `git checkout`, a rebase, a code generator.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::stage::{SERVE, Stage, Web, source, until_all_answer};
use super::{record, repeat, spread};

const PACKAGES: usize = 10;
const FILES: usize = 50;

/// One module with `api` and `web`, which share five hundred files; `api`'s first.
fn shop(stage: &Stage) -> [Web<'_>; 2] {
    stage.fleet.write("go.mod", "module example.com/shop\n\ngo 1.22\n");
    let both = [stage.bare("api", ""), stage.bare("web", "")];
    for one in &both {
        one.write("serve.go", SERVE);
    }
    fill(stage, "v1");
    both
}

/// Writes every file for this version.
fn fill(stage: &Stage, version: &str) {
    each(version, |path, text| stage.fleet.write(path, text));
}

/// Every file, those that say the version last.
fn each(version: &str, mut write: impl FnMut(&str, String)) {
    for package in 0..PACKAGES {
        for file in 0..FILES {
            let text = format!(
                "package p{package}\n\n// F{file} is of {version}.\nfunc F{file}() string {{ return \"{version}\" }}\n"
            );
            write(&format!("shared/p{package}/f{file}.go"), text);
        }
    }
    for name in ["api", "web"] {
        let imports = (0..PACKAGES).map(|n| format!("import _ \"example.com/shop/shared/p{n}\"\n")).collect::<String>();
        write(&format!("{name}/main.go"), source(version).replace("\n\nconst", &format!("\n\n{imports}\nconst")));
    }
}

fn git(stage: &Stage, args: &[&str]) {
    let identity =
        ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main", "-c", "gc.auto=0"];
    let out = Command::new("git").args(identity).args(args).current_dir(stage.fleet.root()).output().unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn git_checkout() {
    let stage = Stage::new();
    let both = shop(&stage);
    let bystander = stage.web("bystander", "");
    fs::write(stage.fleet.path(".gitignore"), ".orchestra/\nmarker/\n").unwrap();
    git(&stage, &["init", "-q"]);
    git(&stage, &["add", "-A"]);
    git(&stage, &["commit", "-q", "-m", "one"]);
    git(&stage, &["checkout", "-q", "-b", "two"]);
    fill(&stage, "v2");
    git(&stage, &["commit", "-q", "-a", "-m", "two"]);
    git(&stage, &["checkout", "-q", "main"]);
    stage.start(&[]);
    let (alone, pid) = (bystander.past(), bystander.pid());
    let times = repeat(1, |round| {
        let (branch, version) = [("two", "v2"), ("main", "v1")][round % 2];
        let pasts = both.each_ref().map(Web::past);
        git(&stage, &["checkout", "-q", branch]);
        let began = Instant::now();
        until_all_answer(&both, version);
        let took = began.elapsed();
        both.iter().zip(&pasts).for_each(|(one, past)| one.did(past, 1, &[version]));
        took
    });
    stage.rest();
    bystander.did_nothing(&alone);
    assert_eq!(bystander.pid(), pid);
    record(
        6,
        times.len(),
        &format!(
            "`git checkout` of 500 files of 2 services: 1 build, 1 restart each; checked out → both serve {}",
            spread(times)
        ),
    );
}

/// A rebase: files change for seconds while git holds its lock, with pauses longer than any editor makes.
#[test]
fn while_git_holds_its_lock() {
    let stage = Stage::new();
    let both = shop(&stage);
    stage.fleet.write(".git/HEAD", "ref: refs/heads/main\n");
    stage.start(&[]);
    let times = repeat(1, |_| {
        let (pasts, version) = (both.each_ref().map(Web::past), stage.next_version());
        let (lock, began) = (stage.fleet.path(".git/index.lock"), Instant::now());
        fs::write(&lock, "").unwrap();
        slowly(&stage, &version);
        let wrote = began.elapsed();
        fs::remove_file(&lock).unwrap();
        until_all_answer(&both, &version);
        both.iter().zip(&pasts).for_each(|(one, past)| one.did(past, 1, &[&version]));
        wrote
    });
    record(
        6,
        times.len(),
        &format!("500 files over {} under `.git/index.lock`: 1 build, 1 restart each", spread(times)),
    );
}

/// Writes every file with pauses.
fn slowly(stage: &Stage, version: &str) {
    let mut written = 0;
    each(version, |path, text| {
        stage.fleet.write(path, text);
        written += 1;
        // It is the storm itself that takes this long: two seconds, and now and then a longer pause.
        std::thread::sleep(Duration::from_millis(if written % 100 == 0 { 200 } else { 3 }));
    });
}

/// Git was killed: its lock stays, and edits are taken up all the same.
#[test]
fn a_lock_that_stays() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.fleet.write(".git/index.lock", "");
    stage.start(&[]);
    let times = repeat(1, |_| {
        let (past, version, began) = (api.past(), stage.next_version(), Instant::now());
        api.save(&version);
        api.until_answered(&version);
        api.did(&past, 1, &[&version]);
        began.elapsed()
    });
    fs::remove_file(stage.fleet.path(".git/index.lock")).unwrap();
    record(6, times.len(), &format!("a lock that stays: save → serving {}", spread(times)));
}

/// A code generator, which takes no lock: builds may begin and be given up; never two at once, and the end is right.
#[test]
fn without_a_lock() {
    let stage = Stage::new();
    let both = shop(&stage);
    stage.start(&[]);
    let times = repeat(1, |_| {
        let (pasts, version) = (both.each_ref().map(Web::past), stage.next_version());
        slowly(&stage, &version);
        until_all_answer(&both, &version);
        stage.rest();
        let builds = both[0].builds_since(&pasts[0]);
        assert!(builds.iter().all(|build| !build.beside), "two builds at once: {builds:#?}");
        let last = builds.last().unwrap();
        assert!(last.is_good() && last.folders().len() == 2, "{builds:#?}");
        for (one, past) in both.iter().zip(&pasts) {
            assert_eq!(one.ups_since(past).last(), Some(&version));
        }
        builds.len()
    });
    let most = times.iter().max().unwrap();
    record(
        6,
        times.len(),
        &format!("500 files over 2 s without a lock: at most {most} builds begun, never two at once"),
    );
}

/// Everything is changed and changed back within the storm: nothing is to be done.
#[test]
fn there_and_back() {
    let stage = Stage::new();
    let both = shop(&stage);
    stage.fleet.write(".git/HEAD", "ref: refs/heads/main\n");
    stage.start(&[]);
    let pasts = both.each_ref().map(Web::past);
    let lock = stage.fleet.path(".git/index.lock");
    fs::write(&lock, "").unwrap();
    fill(&stage, "v2");
    fill(&stage, "v1");
    fs::remove_file(&lock).unwrap();
    stage.rest();
    both.iter().zip(&pasts).for_each(|(one, past)| one.did_nothing(past));
    record(6, 1, "500 files changed and changed back: 0 builds");
}
