//! One file is saved, in every way that editors do it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::SystemTime;

use super::stage::{Stage, source};
use super::{record, repeat, saved};

#[test]
fn in_place() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let past = api.past();
    let swaps = repeat(2, |_| api.swaps_once(in_pieces));
    stage.rest();
    assert_eq!(api.builds_since(&past).len(), swaps.len(), "a late build");
    assert_eq!(api.ups_since(&past).len(), swaps.len(), "a late start");
    record(1, swaps.len(), &saved(&swaps));
}

/// Truncates it, then writes it in pieces.
fn in_pieces(path: &Path, source: &str) {
    let mut file = File::create(path).unwrap();
    for piece in source.as_bytes().chunks(16) {
        file.write_all(piece).unwrap();
    }
}

#[test]
fn by_editors_with_files_beside() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let past = api.past();
    let ways = [vim, goland, emacs];
    let swaps = repeat(3, |round| api.swaps_once(ways[round % ways.len()]));
    temporary(&api.path("main.go"));
    stage.rest();
    assert_eq!(api.builds_since(&past).len(), swaps.len(), "builds because of files beside");
    assert_eq!(api.ups_since(&past).len(), swaps.len());
    record(2, swaps.len(), &format!("vim, GoLand and Emacs in turn; {}", saved(&swaps)));
}

/// `:w` with `backupcopy=no`, the default where the folder may be written to.
fn vim(path: &Path, source: &str) {
    let (swap, backup, probe) =
        (path.with_file_name(".main.go.swp"), path.with_file_name("main.go~"), path.with_file_name("4913"));
    fs::write(&swap, "b0VIM 9.0").unwrap();
    fs::write(&probe, "").unwrap();
    fs::remove_file(&probe).unwrap();
    fs::rename(path, &backup).unwrap();
    in_pieces(path, source);
    fs::remove_file(&backup).unwrap();
    fs::remove_file(&swap).unwrap();
}

/// A "safe write".
fn goland(path: &Path, source: &str) {
    let (fresh, old) = (path.with_file_name("main.go___jb_tmp___"), path.with_file_name("main.go___jb_old___"));
    fs::write(&fresh, source).unwrap();
    fs::rename(path, &old).unwrap();
    fs::rename(&fresh, path).unwrap();
    fs::remove_file(&old).unwrap();
}

/// With its lock, a link that leads to nothing, and its auto-save file.
fn emacs(path: &Path, source: &str) {
    let (lock, auto, backup) =
        (path.with_file_name(".#main.go"), path.with_file_name("#main.go#"), path.with_file_name("main.go~"));
    symlink("gopher@host.4711:1", &lock).unwrap();
    fs::write(&auto, source).unwrap();
    fs::copy(path, &backup).unwrap();
    in_pieces(path, source);
    fs::remove_file(&auto).unwrap();
    fs::remove_file(&lock).unwrap();
}

/// What lies beside a file that is open and not saved.
fn temporary(path: &Path) {
    let other = source("unsaved");
    for name in
        [".main.go.swp", ".main.go.swx", "4913", "main.go~", "#main.go#", "main.go___jb_tmp___", ".main.go.kate-swp"]
    {
        fs::write(path.with_file_name(name), &other).unwrap();
    }
    for name in ["main.go.tmp.20781.4", ".!4711!main.go", ".goutputstream-A1B2C3", "_draft.go", ".hidden.go"] {
        fs::write(path.with_file_name(name), &other).unwrap();
    }
    symlink("gopher@host.4711:1", path.with_file_name(".#main.go")).unwrap();
}

#[test]
fn by_rename() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let past = api.past();
    let elsewhere = stage.fleet.path("../main.go.new");
    let swaps = repeat(3, |round| {
        api.swaps_once(|path, source| {
            // VS Code and gofmt write beside the file, others in the folder for temporary files; and at times a file is simply saved.
            let fresh =
                [path.with_file_name(".main.go.4711.tmp"), elsewhere.clone(), path.to_owned()][round % 3].clone();
            fs::write(&fresh, source).unwrap();
            fs::rename(&fresh, path).unwrap();
        })
    });
    stage.rest();
    assert_eq!(api.builds_since(&past).len(), swaps.len(), "a late build");
    record(3, swaps.len(), &format!("each save followed by another; {}", saved(&swaps)));
}

#[test]
fn without_a_change() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let (past, pid, path) = (api.past(), api.pid(), api.path("main.go"));
    let times = repeat(1, |_| {
        let text = fs::read(&path).unwrap();
        File::options().append(true).open(&path).unwrap().set_modified(SystemTime::now()).unwrap();
        stage.rest();
        fs::write(&path, &text).unwrap();
        stage.rest();
        let fresh = path.with_file_name("main.go.new");
        fs::write(&fresh, &text).unwrap();
        fs::rename(&fresh, &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        stage.rest();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    });
    stage.rest();
    api.did_nothing(&past);
    assert_eq!(api.pid(), pid);
    api.swaps();
    record(
        4,
        times.len(),
        "touched, written anew, renamed over with the same bytes, other permissions: 0 builds; the next real save was built",
    );
}

#[test]
fn of_a_comment() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let (mut past, pid) = (api.past(), api.pid());
    let times = repeat(2, |round| {
        fs::write(api.path("main.go"), format!("{} // {round}\n", source("v1").trim_end())).unwrap();
        stage.rest();
        api.did(&past, 1, &[]);
        past = api.past();
        assert_eq!(api.pid(), pid);
        assert_eq!(api.build()["state"], "ok");
    });
    let swap = api.swaps();
    assert_ne!(api.pid(), pid);
    record(5, times.len(), &format!("1 build, 0 restarts each; then a real edit: {}", saved(&[swap])));
}
