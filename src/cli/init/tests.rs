//! `init` as it is run, over and over.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{InitArgs, Place, make, text};
use crate::cli::doctor::Form;
use crate::project::load::{LoadOptions, load};

const MAIN: &str = "package main\n\nfunc main() {}\n";

#[test]
fn makes_files_once_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place { dir: dir.path().to_owned(), env: std::env::vars_os().collect(), form: Form::Text };
    for (path, text) in [("api/main.go", MAIN), ("own/main.go", MAIN), ("own/service.yml", "name: mine\n")] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    make(&InitArgs { from: None, dry_run: true }, &place).unwrap();
    assert!(!dir.path().join("orchestra.yml").exists() && !dir.path().join(".orchestra").exists());
    let answer = make(&InitArgs::default(), &place).unwrap();
    let shown = "made        orchestra.yml\nmade        api/service.yml\nmade        .orchestra/\nkept        own/service.yml\nnext        orchestra start\n";
    assert_eq!(text(&answer), shown);
    let dot = dir.path().join(".orchestra");
    assert_eq!(fs::metadata(&dot).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_to_string(dot.join(".gitignore")).unwrap(), "*\n");
    fs::write(dir.path().join("orchestra.yml"), "name: changed\n").unwrap();
    make(&InitArgs::default(), &place).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("orchestra.yml")).unwrap(), "name: changed\n");
    assert_eq!(fs::read_to_string(dir.path().join("own/service.yml")).unwrap(), "name: mine\n");
    assert!(dir.path().join("api/service.yml").exists());
    fs::remove_dir_all(&dot).unwrap();
    symlink("/etc", &dot).unwrap();
    assert!(make(&InitArgs::default(), &place).unwrap_err().message.contains("is not a folder"));
}

#[test]
fn what_it_makes_loads() {
    let services = |files: &[(&str, &str)], from: Option<&str>| {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let place = Place { dir: dir.path().to_owned(), env: std::env::vars_os().collect(), form: Form::Text };
        make(&InitArgs { from: from.map(Into::into), dry_run: false }, &place).unwrap();
        let project = load(dir.path(), &LoadOptions::default()).unwrap();
        let names = project.services.keys().chain(project.vendors.keys()).map(|name| name.to_string());
        names.collect::<Vec<_>>()
    };
    let module = ("go.mod", "module ex.com/m\ngo 1.21\n");
    let shell = "web: bin/web -p $PORT\nyes: A=1 go run ./api -x 'y z' \"${Z:-1}\"\nsh: echo ${X%y} $$ | cat\nexec: exec sleep 1\n";
    let procfile = [module, ("api/main.go", MAIN), ("ctl/main.go", MAIN), ("Procfile", shell)];
    assert_eq!(services(&procfile, Some("Procfile")), ["ctl", "exec", "sh", "web", "yes"]);
    assert_eq!(services(&[module, ("api/main.go", MAIN), ("cmd/x/main.go", MAIN)], None), ["api"]);
    assert_eq!(services(&[module, ("main.go", MAIN), ("b/main.go", MAIN)], None).len(), 2);
    let compose = "services:\n  db: {image: \"postgres:16\"}\n  app: {build: .}\n";
    assert_eq!(services(&[module, ("api/main.go", MAIN), ("c d.yml", compose)], Some("c d.yml")), ["api", "db"]);
}
