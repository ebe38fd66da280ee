//! Every folder of `tests/fixtures/bad_configs` is a small project with something wrong, and `expected.txt` is all that is said about it.
//!
//! With `BLESS=1` the files are written anew; read the difference before committing it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::Project;
use super::load::{LoadOptions, load};
use super::ports::AutoPorts;
use super::resolve::{CallerEnv, ResolveInput};
use crate::config::problem::Problem;
use crate::sys::home::Home;
use crate::task::id::ServiceName;
use crate::task::spec::{Caller, Protocol};

struct Counting(u16);

impl AutoPorts for Counting {
    fn port(&mut self, _: &ServiceName, _: &str, _: u32, _: Protocol) -> Result<u16, String> {
        self.0 += 1;
        Ok(self.0)
    }
}

fn resolve(project: &Project) -> Vec<Problem> {
    let home =
        Home { root: project.root.clone(), dot: project.root.join(".orchestra"), runtime: project.root.join("run") };
    let services: Vec<ServiceName> = project.names().cloned().collect();
    let caller = Caller { umask: 0o022, nofile: None };
    let caller = CallerEnv { env: Vec::new(), caller, command: "start".to_owned(), engine_arch: None };
    let mut input = ResolveInput {
        home: &home,
        services: &services,
        callers: BTreeMap::new(),
        default_caller: Arc::new(caller),
        overrides: BTreeMap::new(),
        port_offset: None,
        auto_ports: &mut Counting(20000),
    };
    project.resolve(&mut input).err().unwrap_or_default()
}

fn said(root: &Path) -> String {
    let problems = match load(root, &LoadOptions { config: None, trust: true }) {
        Err(problems) => problems,
        Ok(project) => {
            let mut problems = project.warnings.clone();
            problems.extend(resolve(&project));
            problems
        }
    };
    let all: Vec<String> = problems.iter().map(|problem| format!("{problem}\n")).collect();
    all.join("\n").replace(&root.display().to_string(), "ROOT")
}

#[test]
fn every_bad_configuration_says_exactly_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bad_configs").canonicalize().unwrap();
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 60, "fixtures are missing");
    let mut wrong = Vec::new();
    for root in names {
        let (said, file) = (said(&root), root.join("expected.txt"));
        assert!(!said.is_empty(), "{} has nothing wrong", root.display());
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &said).unwrap();
        } else if said != fs::read_to_string(&file).unwrap_or_default() {
            wrong.push(format!("── {}\n{said}", root.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
