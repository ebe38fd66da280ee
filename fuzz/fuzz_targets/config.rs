//! Files of a project: orchestra.yml, a service.yml, an env file. Each is read or refused with problems that can be shown, and what is read can be
//! exported and resolved.
#![no_main]

use std::cell::LazyCell;
use std::fs;

use libfuzzer_sys::fuzz_target;
use orchestra::config::problem;
use orchestra::project::load::{self, LoadOptions};
use tempfile::TempDir;

thread_local! {
    static DIR: LazyCell<TempDir> = const { LazyCell::new(orchestra_fuzz::folder) };
}

fuzz_target!(|data: &[u8]| {
    let [project, service, env] = orchestra_fuzz::parts(data);
    DIR.with(|dir| {
        let root = dir.path();
        fs::create_dir_all(root.join("api")).unwrap();
        fs::write(root.join("api/main.go"), "package main\n\nfunc main() {}\n").unwrap();
        fs::write(root.join("orchestra.yml"), project).unwrap();
        fs::write(root.join("api/service.yml"), service).unwrap();
        fs::write(root.join(".env"), env).unwrap();
        let options = LoadOptions { config: None, trust: true };
        match load::load(root, &options) {
            Ok(project) => {
                for warning in &project.warnings {
                    shown(&warning.to_string());
                }
            }
            Err(problems) => {
                assert!(!problems.is_empty());
                for problem in &problems {
                    shown(&problem.to_string());
                }
                shown(&problem::error(problems).to_string());
            }
        }
        let _sound = load::load_sound(root, &options);
    });
});

/// Nothing of a file reaches a terminal that would change it.
fn shown(text: &str) {
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}
