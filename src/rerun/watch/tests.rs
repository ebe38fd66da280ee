//! The watch on real folders and real Go modules.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use super::yard::{Yard, says};
use super::{News, Options};

pub(super) const MAIN: &str = "package main\n\nfunc main() {}\n";

pub(super) fn main(imports: &[&str]) -> String {
    let imports: String = imports.iter().map(|path| format!("import _ \"{path}\"\n")).collect();
    format!("package main\n\n{imports}\nfunc main() {{}}\n")
}

/// `api` and `web` import `lib`; `tool` imports nothing.
pub(super) fn one() -> Vec<(&'static str, String)> {
    vec![
        ("go.mod", "module ex.com/m\n\ngo 1.21\n".to_owned()),
        ("api/main.go", main(&["ex.com/m/lib"])),
        ("web/main.go", main(&["ex.com/m/lib"])),
        ("tool/main.go", MAIN.to_owned()),
        ("lib/lib.go", "package lib\n".to_owned()),
        ("unused/unused.go", "package unused\n".to_owned()),
    ]
}

pub(super) fn yard(options: Options) -> Yard {
    let files = one();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    Yard::with(&files, options, 64)
}

pub(super) fn armed(services: &[&str]) -> Yard {
    let mut yard = yard(Options::default());
    assert_eq!(says(&yard.arm(services), Path::new("/")), "");
    yard
}

pub(super) fn lib(n: usize) -> String {
    format!("package lib\n\nvar V{n} = {n}\n")
}

#[test]
fn a_save_reaches_who_is_made_of_it_and_one_without_a_difference_nobody() {
    let mut yard = armed(&["api", "web", "tool"]);
    yard.write("lib/lib.go", &lib(1));
    assert_eq!(yard.told(), "build api: lib/lib.go; build web: lib/lib.go");
    yard.write("lib/lib.go", &lib(1));
    File::options().append(true).open(yard.at("lib/lib.go")).unwrap().set_modified(SystemTime::now()).unwrap();
    yard.write("unused/unused.go", "package unused\n\nvar X = 1\n");
    yard.write("lib/notes.txt", "x");
    assert_eq!(yard.told(), "");
    yard.write("tool/main.go", "package main\n\nfunc main() { println() }\n");
    assert_eq!(yard.told(), "build tool: tool/main.go");
}

#[test]
fn editors_replace_files_and_leave_their_own_behind() {
    let mut yard = armed(&["api"]);
    for n in 0..10 {
        // vim: probe, backup by rename, write, swap file.
        yard.write("lib/4913", "");
        fs::remove_file(yard.at("lib/4913")).unwrap();
        yard.write("lib/.lib.go.swp", &n.to_string());
        fs::rename(yard.at("lib/lib.go"), yard.at("lib/lib.go~")).unwrap();
        yard.write("lib/lib.go", &lib(3 * n));
        fs::remove_file(yard.at("lib/lib.go~")).unwrap();
        assert_eq!(yard.told(), "build api: lib/lib.go", "vim {n}");
        yard.write("lib/lib.go___jb_tmp___", &lib(3 * n + 1));
        fs::rename(yard.at("lib/lib.go"), yard.at("lib/lib.go___jb_old___")).unwrap();
        fs::rename(yard.at("lib/lib.go___jb_tmp___"), yard.at("lib/lib.go")).unwrap();
        fs::remove_file(yard.at("lib/lib.go___jb_old___")).unwrap();
        assert_eq!(yard.told(), "build api: lib/lib.go", "GoLand {n}");
        yard.write("lib/lib.go.123.tmp", &lib(3 * n + 2));
        fs::rename(yard.at("lib/lib.go.123.tmp"), yard.at("lib/lib.go")).unwrap();
        assert_eq!(yard.told(), "build api: lib/lib.go", "rename {n}");
        yard.write("lib/.#lib.go", "x");
        yard.write("lib/#lib.go#", "x");
        assert_eq!(yard.told(), "", "{n}");
    }
}

#[test]
fn a_half_written_file_is_never_taken_for_one() {
    let mut yard = armed(&["api"]);
    for n in 1..10 {
        let (path, text) = (yard.at("lib/lib.go"), lib(n));
        let writer = std::thread::spawn({
            let (path, text) = (path.clone(), text.clone());
            move || {
                // By one descriptor, slowly.
                let mut file = File::create(&path).unwrap();
                for part in [&text[..12], &text[12..]] {
                    sleep(Duration::from_millis(40));
                    file.write_all(part.as_bytes()).unwrap();
                }
            }
        });
        let changed = yard.changed();
        assert_eq!(says(&changed, &yard.root), "build api: lib/lib.go");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        writer.join().unwrap();
        // And in two steps, emptied first; nothing of the first is told.
        File::create(&path).unwrap();
        sleep(Duration::from_millis(40));
        fs::write(&path, &text).unwrap();
        assert_eq!(yard.told(), "");
    }
}

#[test]
fn files_in_folders_made_a_moment_ago_are_found_every_time() {
    let mut yard = yard(Options::default());
    yard.include = vec!["conf/**/*.toml".to_owned()];
    yard.arm(&["api"]);
    for n in 0..100 {
        yard.write(&format!("api/conf/a{n}/b/c/x.toml"), "x");
        assert_eq!(yard.told(), format!("restart api: api/conf/a{n}/b/c/x.toml"));
    }
    yard.write("api/conf/a7/b/c/x.toml", "y");
    assert_eq!(yard.told(), "restart api: api/conf/a7/b/c/x.toml");
    fs::remove_dir_all(yard.at("api/conf")).unwrap();
    assert_eq!(yard.told().matches("x.toml").count(), 100);
}

#[test]
fn packages_made_a_moment_ago_are_found_before_and_after_their_import() {
    let mut yard = armed(&["api", "tool"]);
    let mut imports = vec!["ex.com/m/lib".to_owned()];
    for n in 0..6 {
        let (dir, path) = (format!("a{n}/b/c"), format!("ex.com/m/a{n}/b/c"));
        imports.push(path);
        let text = main(&imports.iter().map(String::as_str).collect::<Vec<_>>());
        if n % 2 == 0 {
            yard.write(&format!("{dir}/x.go"), "package c\n");
            yard.write("api/main.go", &text);
            yard.reached("build api: api/main.go");
        } else {
            yard.write("api/main.go", &text);
            yard.reached("build api: api/main.go");
            yard.write(&format!("{dir}/x.go"), "package c\n");
            yard.reached(&format!("build api: {dir}/x.go"));
        }
        // Whether `go` has answered yet or not, the edit counts.
        let mut version = 0;
        while yard.told() != format!("build api: {dir}/x.go") {
            version += 1;
            assert!(version < 600, "{dir} is not watched");
            yard.write(&format!("{dir}/x.go"), &format!("package c\n\nvar X = {version}\n"));
            sleep(Duration::from_millis(50));
        }
    }
    // What was edited while `go` was asked may be told twice; once it is armed again, no question is open.
    yard.arm(&["api", "tool"]);
    yard.write("tool/more.go", "package main\n");
    yard.reached("build tool: tool/more.go");
    fs::remove_file(yard.at("tool/more.go")).unwrap();
    yard.reached("build tool: tool/more.go");
}

#[test]
fn folders_that_are_deleted_come_back() {
    let mut yard = armed(&["api", "tool"]);
    for n in 0..3 {
        fs::remove_dir_all(yard.at("tool")).unwrap();
        yard.reached("build tool: tool/main.go");
        yard.write("tool/main.go", MAIN);
        yard.reached("build tool: tool/main.go");
        yard.arm(&["api", "tool"]);
        yard.write("tool/main.go", &format!("package main\n\nfunc main() {{ println({n}) }}\n"));
        assert_eq!(yard.told(), "build tool: tool/main.go");
    }
}

#[test]
fn folders_that_are_moved_come_back() {
    let mut yard = armed(&["api"]);
    for n in 0..3 {
        fs::rename(yard.at("lib"), yard.at("away")).unwrap();
        yard.reached("build api: lib/lib.go");
        yard.write("away/lib.go", &lib(100 + n));
        fs::rename(yard.at("away"), yard.at("lib")).unwrap();
        yard.reached("build api: lib/lib.go");
        yard.arm(&["api"]);
        yard.write("lib/lib.go", &lib(n));
        assert_eq!(yard.told(), "build api: lib/lib.go");
        fs::rename(yard.at("lib"), yard.at("away")).unwrap();
        fs::rename(yard.at("away"), yard.at("lib")).unwrap();
        assert_eq!(yard.told(), "", "as it was, all along");
    }
}

#[test]
fn what_links_lead_to_is_watched() {
    let outside = tempfile::tempdir().unwrap();
    let real = outside.path().canonicalize().unwrap();
    for name in ["one", "two"] {
        fs::create_dir(real.join(name)).unwrap();
        fs::write(real.join(name).join("p.go"), "package linked\n").unwrap();
    }
    fs::write(real.join("file.go"), "package main\n").unwrap();
    let mut yard = yard(Options::default());
    symlink(real.join("one"), yard.at("linked")).unwrap();
    symlink(real.join("file.go"), yard.at("api/by_link.go")).unwrap();
    yard.write("api/main.go", &main(&["ex.com/m/linked"]));
    yard.arm(&["api"]);
    fs::write(real.join("one/p.go"), "package linked\n\nvar X = 1\n").unwrap();
    assert!(yard.told().starts_with("build api: "));
    fs::write(real.join("file.go"), "package main\n\nvar Y = 1\n").unwrap();
    assert!(yard.told().starts_with("build api: "));
    fs::remove_file(yard.at("linked")).unwrap();
    symlink(real.join("two"), yard.at("linked")).unwrap();
    assert!(says(&yard.changed(), &yard.root).starts_with("build api: "));
    let mut version = 0;
    while yard.told().is_empty() {
        version += 1;
        assert!(version < 600, "the new end of the link is not watched");
        fs::write(real.join("two/p.go"), format!("package linked\n\nvar X = {version}\n")).unwrap();
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn edits_while_git_is_at_work_count_once_it_is_done() {
    let mut yard = armed(&["api"]);
    fs::create_dir(yard.at(".git")).unwrap();
    yard.write(".git/index.lock", "");
    let began = SystemTime::now();
    for n in 0..5 {
        yard.write("lib/lib.go", &lib(n));
        sleep(Duration::from_millis(60));
    }
    let unlock = yard.at(".git/index.lock");
    let git = std::thread::spawn(move || fs::remove_file(unlock).unwrap());
    let changed = yard.changed();
    git.join().unwrap();
    assert!(began.elapsed().unwrap() >= Duration::from_millis(300));
    assert_eq!(says(&changed, &yard.root), "build api: lib/lib.go");
    assert_eq!(yard.told(), "");
}

#[test]
fn a_checkout_of_many_files_is_one_edit() {
    let mut yard = yard(Options::default());
    for n in 0..500 {
        yard.write(&format!("lib/f{n}.go"), "package lib\n");
    }
    yard.arm(&["api"]);
    for n in 0..500 {
        yard.write(&format!("lib/f{n}.go"), &lib(n));
        sleep(Duration::from_millis(4));
    }
    let changed = yard.changed();
    assert_eq!(changed.reach.builds.values().map(|files| files.len()).collect::<Vec<_>>(), [500]);
    assert_eq!(yard.told(), "");
}

#[test]
fn what_was_edited_while_builds_began_counts() {
    let mut yard = yard(Options::default());
    sleep(Duration::from_millis(30));
    yard.since = Some(SystemTime::now());
    sleep(Duration::from_millis(30));
    yard.write("lib/lib.go", &lib(1));
    yard.arm(&["api", "tool"]);
    yard.reached("build api: lib/lib.go");
    assert_eq!(yard.told(), "");
}

#[test]
fn what_was_written_before_its_import_is_no_edit() {
    let mut yard = yard(Options::default());
    // File systems tell times in steps of some milliseconds.
    sleep(Duration::from_millis(30));
    yard.since = Some(SystemTime::now());
    yard.arm(&["api"]);
    yard.write("late/late.go", "package late\n");
    yard.write("late/other.go", "package late\n");
    assert_eq!(yard.told(), "");
    sleep(Duration::from_millis(50));
    yard.write("api/main.go", &main(&["ex.com/m/late"]));
    yard.reached("build api: api/main.go");
    for version in 0.. {
        assert!(version < 600, "`late` is not watched");
        yard.write("late/other.go", &format!("package late\n\nvar X = {version}\n"));
        match yard.told().as_str() {
            "" => sleep(Duration::from_millis(50)),
            // What was saved while `go` was asked may be told twice, and what came with it.
            told => return assert!(told.contains("late/other.go"), "{told}"),
        }
    }
}

#[test]
fn configuration_that_comes_goes_and_changes() {
    let mut yard = yard(Options::default());
    yard.config = [yard.at("orchestra.yml"), yard.at("api/.env"), yard.at("not/yet/there.env")].into();
    yard.discover = [yard.root.clone()].into();
    yard.arm(&["api"]);
    yard.write("orchestra.yml", "");
    assert_eq!(yard.told(), "config: orchestra.yml");
    yard.write("api/.env", "A=1");
    assert_eq!(yard.told(), "config: api/.env");
    yard.write("not/yet/there.env", "A=1");
    assert_eq!(yard.told(), "config: not/yet/there.env");
    yard.write("new/service.yml", "{}");
    assert_eq!(yard.told(), "config: new/service.yml");
    fs::remove_dir_all(yard.at("new")).unwrap();
    assert_eq!(yard.told(), "config: new/service.yml");
    yard.write("new/deeper/service.yml", "{}");
    yard.write("node_modules/service.yml", "{}");
    assert_eq!(yard.told(), "");
}

#[test]
fn included_files_restart_and_compiled_ones_build_whatever_is_excluded() {
    let mut yard = yard(Options::default());
    (yard.include, yard.exclude) = (vec!["**".to_owned()], vec!["*.go".to_owned(), "log".to_owned()]);
    yard.arm(&["api"]);
    yard.write("api/main.go", &main(&["ex.com/m/lib", "fmt"]));
    assert_eq!(yard.told(), "build api: api/main.go");
    yard.write("api/a/b.txt", "1");
    yard.write("api/log/x", "1");
    assert_eq!(yard.told(), "restart api: api/a/b.txt");
}

#[test]
fn tests_are_reached_where_they_are_wanted() {
    let mut yard = yard(Options::default());
    let test = |package: &str| format!("package {package}\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) {{}}\n");
    yard.write("lib/lib_test.go", &test("lib"));
    yard.with_tests = true;
    yard.arm(&["api"]);
    yard.write("lib/lib_test.go", &format!("{}\nvar X = 1\n", test("lib")));
    assert_eq!(yard.told(), "test ex.com/m/lib: lib/lib_test.go");
    yard.write("lib/testdata/a/b/in.txt", "1");
    assert_eq!(yard.told(), "test ex.com/m/lib: lib/testdata/a/b/in.txt");
    yard.write("lib/lib.go", &lib(1));
    assert_eq!(yard.told(), "build api: lib/lib.go; test ex.com/m/lib: lib/lib.go");
    yard.write("api/deep/er/d_test.go", &test("er"));
    yard.reached("test ex.com/m/api/deep/er: api/deep/er/d_test.go");
}

#[test]
fn broken_modules_are_asked_about_until_they_are_whole() {
    let mut yard = armed(&["api", "web"]);
    yard.write("go.mod", "modul ex.com/m\n");
    yard.reached("build api: go.mod; build web: go.mod");
    yard.write("lib/lib.go", &lib(1));
    yard.reached("build api: lib/lib.go; build web: lib/lib.go");
    yard.write("go.mod", "module ex.com/m\n\ngo 1.21\n");
    yard.reached("build api: go.mod; build web: go.mod");
    yard.write("web/main.go", MAIN);
    yard.reached("build web: web/main.go");
    // Once `go` has answered, `web` is not made of `lib` any more.
    let mut version = 1;
    loop {
        version += 1;
        assert!(version < 600);
        yard.write("lib/lib.go", &lib(version));
        if yard.told() == "build api: lib/lib.go" {
            break;
        }
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_not_wanted_any_more_is_not_watched() {
    let mut yard = armed(&["api", "tool"]);
    yard.arm(&["tool"]);
    yard.write("lib/lib.go", &lib(1));
    assert_eq!(yard.told(), "");
    yard.arm(&["api", "tool"]);
    yard.write("lib/lib.go", &lib(2));
    assert_eq!(yard.told(), "build api: lib/lib.go");
    assert!(matches!(yard.arm(&[]), early if says(&early, Path::new("/")).is_empty()));
    yard.tell(&["tool"]);
    while !matches!(yard.next(), News::Armed(_)) {}
    yard.end();
}
