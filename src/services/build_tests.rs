//! Real `go build`s of small modules, without the network.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::{batches, command_line, failed, finish, prepare, vet};
use crate::task::id::{Artifact, BuildKey, ServiceName};
use crate::task::outcome::{BuildBatch, BuildFailure, Outcome};
use crate::task::spec::{BuildSpec, Caller};

struct Bench {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        Bench { _dir: dir, root }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn main(&self, path: &str, body: &str) {
        self.write(path, &format!("package main\n\nfunc main() {{ {body} }}\n"));
    }

    fn spec(&self, dir: &str) -> BuildSpec {
        let mut env: Vec<(OsString, OsString)> =
            std::env::vars_os().filter(|(k, _)| k != "GOFLAGS" && k != "GOWORK").collect();
        env.extend(
            [("GOFLAGS", "-mod=mod"), ("GOPROXY", "off"), ("GOTOOLCHAIN", "local")].map(|(k, v)| (k.into(), v.into())),
        );
        BuildSpec {
            key: BuildKey(dir.to_owned()),
            service: ServiceName::fold(&format!("s-{dir}")).unwrap(),
            dir: self.root.join(dir),
            package: ".".to_owned(),
            flags: vec![],
            env,
            vet: false,
            before: vec![],
            output: self.root.join(".orchestra/bin").join(dir.replace('/', "-")),
            caller: Caller { umask: 0o022, nofile: None },
        }
    }

    fn batch(&self, dirs: &[&str]) -> Vec<BuildBatch> {
        batches(dirs.iter().map(|d| Arc::new(self.spec(d))).collect())
    }

    fn build(&self, batch: &BuildBatch) -> Vec<Result<Artifact, BuildFailure>> {
        let staging = self.root.join(".orchestra/bin/.staging");
        prepare(batch, &staging).unwrap();
        let line = command_line(batch, &staging).unwrap();
        let (program, args) = line.argv.split_first().unwrap();
        let out = Command::new(program).args(args).current_dir(&line.dir).env_clear().envs(line.env).output().unwrap();
        let outcome =
            Outcome { code: out.status.code(), signal: None, oom: false, lost: false, killed: false, ended_us: None };
        let said = [out.stdout, out.stderr].concat();
        let results = finish(batch, &staging, &outcome, &said, &self.root);
        assert!(!staging.exists());
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn error(&self, dir: &str) -> String {
        let batch = BuildBatch { members: vec![Arc::new(self.spec(dir))] };
        self.build(&batch).remove(0).unwrap_err().error
    }

    fn inode(&self, dir: &str) -> u64 {
        fs::metadata(self.spec(dir).output).unwrap().ino()
    }
}

fn sleeper(body: &str, end: &str) -> String {
    format!("package main\n\nimport \"time\"\n\nfunc main() {{ {body}; time.Sleep(time.Hour) }}\n{end}\n")
}

fn names(batch: &BuildBatch) -> Vec<&str> {
    batch.members.iter().map(|m| m.key.0.as_str()).collect()
}

#[test]
fn one_module_is_one_build_and_only_what_changed_is_replaced() {
    let bench = Bench::new();
    bench.write("go.mod", "module ex.com/one\ngo 1.21\n");
    bench.write("api/main.go", &sleeper("", ""));
    bench.main("worker/main.go", "println(1)");
    let batch = bench.batch(&["api", "worker", "api"]);
    assert_eq!(batch.iter().map(names).collect::<Vec<_>>(), [["api", "worker"]]);
    let first: Vec<_> = bench.build(&batch[0]).into_iter().map(Result::unwrap).collect();
    let (api, worker) = (bench.inode("api"), bench.inode("worker"));

    assert_eq!(bench.build(&batch[0]).into_iter().map(Result::unwrap).collect::<Vec<_>>(), first);
    assert_eq!((bench.inode("api"), bench.inode("worker")), (api, worker), "an up-to-date binary is not touched");

    let mut running = Command::new(bench.spec("api").output).spawn().unwrap();
    bench.write("api/main.go", &sleeper("println(7)", ""));
    let second: Vec<_> = bench.build(&batch[0]).into_iter().map(Result::unwrap).collect();
    assert!(running.try_wait().unwrap().is_none(), "a running binary is replaced, never written through");
    running.kill().unwrap();
    running.wait().unwrap();
    assert_ne!(bench.inode("api"), api);
    assert_eq!(bench.inode("worker"), worker);
    assert_ne!(second[0], first[0]);
    assert_eq!(second[1], first[1]);

    bench.write("api/main.go", &sleeper("println(7)", "// a comment"));
    assert_eq!(bench.build(&batch[0]).remove(0).unwrap(), second[0], "a comment is no new code");
}

#[test]
fn a_failed_batch_replaces_nothing_and_each_alone_knows_its_own() {
    let bench = Bench::new();
    bench.write("go.mod", "module ex.com/two\ngo 1.21\n");
    bench.main("a/main.go", "println(1)");
    bench.main("b/main.go", "println(1)");
    let batch = bench.batch(&["a", "b"]).remove(0);
    assert!(bench.build(&batch).iter().all(Result::is_ok));
    let before = (bench.inode("a"), bench.inode("b"));
    bench.main("a/main.go", "println(2)");
    bench.main("b/main.go", "return 1");
    assert!(bench.build(&batch).iter().all(Result::is_err));
    assert_eq!((bench.inode("a"), bench.inode("b")), before);
    let alone: Vec<_> =
        batch.members.iter().map(|m| bench.build(&BuildBatch { members: vec![m.clone()] }).remove(0)).collect();
    assert!(alone[0].is_ok());
    let failure = alone[1].clone().unwrap_err();
    assert_eq!(failure.error, "b/main.go:3:22: too many return values");
    assert_eq!((failure.problems[0].line, failure.problems[0].column), (3, 22));
}

#[test]
fn vet_looks_at_what_was_built_and_only_where_it_shall() {
    let bench = Bench::new();
    bench.write("go.mod", "module ex.com/vet\ngo 1.21\n");
    let spec = |dir: &str, vet| {
        Arc::new(BuildSpec {
            vet,
            flags: ["-tags=x", "-cover", "-coverpkg=ex.com/vet"].map(str::to_owned).to_vec(),
            ..bench.spec(dir)
        })
    };
    for dir in ["a", "b", "c"] {
        bench.main(&format!("{dir}/main.go"), "println(1)");
    }
    let batches = batches(vec![spec("a", true), spec("b", false), spec("c", true)]);
    assert_eq!(batches.iter().map(names).collect::<Vec<_>>(), [vec!["a", "c"], vec!["b"]]);
    let staging = bench.root.join("staging");
    let line = vet(&batches[0], &staging).unwrap().unwrap();
    let words: Vec<_> = line.argv[1..].iter().map(|word| word.to_str().unwrap()).collect();
    assert_eq!((words.join(" ").as_str(), &line.dir), ("vet -tags=x -buildvcs=false ./a ./c", &bench.root));
    assert_eq!(vet(&batches[1], &staging), None);
}

#[test]
fn an_output_that_was_cut_short_is_made_anew() {
    let bench = Bench::new();
    bench.write("go.mod", "module ex.com/cut\ngo 1.21\n");
    bench.main("a/main.go", "println(1)");
    let batch = bench.batch(&["a"]).remove(0);
    let whole = bench.build(&batch).remove(0).unwrap();
    bench.write(".orchestra/bin/a", "half a binary");
    assert_eq!(bench.build(&batch).remove(0).unwrap(), whole);
    assert!(Command::new(bench.spec("a").output).status().unwrap().success());
}

#[test]
fn workspaces_share_and_names_that_clash_do_not() {
    let bench = Bench::new();
    bench.write("go.work", "go 1.21\nuse (\n\t./api\n\t\"./sp ace\"\n\t./v2\n)\n");
    for (dir, module) in [("api", "ex.com/api"), ("sp ace", "ex.com/space"), ("v2", "ex.com/third/v2")] {
        bench.write(&format!("{dir}/go.mod"), &format!("module {module}\ngo 1.21\n"));
        bench.main(&format!("{dir}/main.go"), "println(1)");
    }
    bench.main("api/cmd/space/main.go", "println(2)");
    let mut work: Vec<Arc<BuildSpec>> = Vec::new();
    for dir in ["api", "sp ace", "v2", "api/cmd/space"] {
        let mut spec = bench.spec(dir);
        // `-mod=mod` is refused in a workspace.
        spec.env.retain(|(k, _)| k != "GOFLAGS");
        work.push(Arc::new(spec));
    }
    let batch = batches(work);
    assert_eq!(batch.iter().map(names).collect::<Vec<_>>(), [vec!["api", "sp ace", "v2"], vec!["api/cmd/space"]]);
    for batch in &batch {
        for result in bench.build(batch) {
            result.unwrap();
        }
    }
    let out = Command::new(bench.spec("sp ace").output).output().unwrap();
    assert_eq!(out.stderr, b"1\n");
}

#[test]
fn settings_keep_builds_apart() {
    let bench = Bench::new();
    bench.write("go.mod", "module ex.com/apart\ngo 1.21\n");
    for dir in ["a", "b", "c", "d", "e", "f"] {
        bench.main(&format!("{dir}/main.go"), "println(1)");
    }
    let mut specs: Vec<BuildSpec> = ["a", "b", "c", "d", "e", "f"].iter().map(|d| bench.spec(d)).collect();
    specs[1].flags = vec!["-race".into()];
    specs[2].env.push(("CGO_ENABLED".into(), "0".into()));
    specs[3].before = vec![vec!["true".into()]];
    specs[4].env.push(("GO111MODULE".into(), "off".into()));
    specs[5].env.retain(|(k, _)| k != "PWD");
    specs[5].env.extend([("PWD", "/elsewhere"), ("LOG_LEVEL", "debug")].map(|(k, v)| (k.into(), v.into())));
    let got = batches(specs.into_iter().map(Arc::new).collect());
    assert_eq!(got.iter().map(names).collect::<Vec<_>>(), [vec!["a", "f"], vec!["b"], vec!["c"], vec!["d"], vec!["e"]]);
}

#[test]
fn a_symlinked_folder_is_built_alone_from_its_own_name() {
    let bench = Bench::new();
    let other = Bench::new();
    other.write("go.mod", "module ex.com/linked\ngo 1.21\n");
    other.main("main.go", "println(1)");
    bench.write("go.mod", "module ex.com/host\ngo 1.21\n");
    bench.main("a/main.go", "println(1)");
    symlink(&other.root, bench.root.join("linked")).unwrap();
    let got = bench.batch(&["a", "linked"]);
    assert_eq!(got.len(), 2);
    assert!(got.iter().all(|b| bench.build(b).iter().all(Result::is_ok)));
    let line = command_line(&got[1], Path::new("/s")).unwrap();
    assert!(line.env.contains(&("PWD".into(), bench.root.join("linked").into_os_string())));
    assert_eq!(line.argv[1..].join(OsStr::new(" ")), "build -buildvcs=false -o /s/linked .");
}

#[test]
fn failures_are_in_the_compilers_own_words() {
    let bench = Bench::new();
    bench.write("new/go.mod", "module ex.com/new\ngo 1.99\n");
    bench.main("new/main.go", "");
    assert!(bench.error("new").starts_with("go: go.mod requires go >= 1.99"));
    bench.write("go.mod", "module ex.com/x\ngo 1.21\n");
    bench.write(
        "embed/main.go",
        "package main\nimport _ \"embed\"\n//go:embed missing.txt\nvar s string\nfunc main() {}\n",
    );
    assert_eq!(bench.error("embed"), "embed/main.go:3:12: pattern missing.txt: no matching files found");
    bench.write("lib/lib.go", "package lib\n");
    assert_eq!(
        bench.error("lib"),
        "`lib` made no program: its package is not `main`, or its folder changed during the build"
    );
    assert!(!bench.spec("lib").output.exists());
    bench.write("dep/main.go", "package main\nimport _ \"ex.org/none\"\nfunc main() {}\n");
    assert!(bench.error("dep").starts_with("dep/main.go:2:8: "), "{}", bench.error("dep"));
    bench.write("x/x.go", "package x\nimport _ \"ex.com/x/y\"\n");
    bench.write("y/y.go", "package y\nimport _ \"ex.com/x/x\"\n");
    bench.write("cycle/main.go", "package main\nimport _ \"ex.com/x/x\"\nfunc main() {}\n");
    assert!(bench.error("cycle").ends_with("import cycle not allowed"), "{}", bench.error("cycle"));
}

#[test]
fn gopath_mode_and_a_missing_go() {
    let bench = Bench::new();
    bench.main("src/ex.com/old/main.go", "println(1)");
    let mut spec = bench.spec("src/ex.com/old");
    spec.env.retain(|(k, _)| k != "GOFLAGS");
    spec.env.push(("GO111MODULE".into(), "off".into()));
    spec.env.push(("GOPATH".into(), bench.root.clone().into_os_string()));
    let batch = BuildBatch { members: vec![Arc::new(spec.clone())] };
    bench.build(&batch).remove(0).unwrap();
    spec.env.retain(|(k, _)| k != "PATH");
    let failure = command_line(&BuildBatch { members: vec![Arc::new(spec)] }, Path::new("/s")).unwrap_err();
    assert!(failure.error.starts_with("`go` is not in PATH"), "{}", failure.error);
}

#[test]
fn ends_without_words() {
    let bench = Bench::new();
    let with = |code, signal, oom| {
        let outcome = Outcome { code, signal, oom, lost: false, killed: false, ended_us: None };
        failed(&outcome, b"", &bench.root, &bench.root).error
    };
    assert_eq!(with(Some(2), None, false), "`go build` failed with code 2 and said nothing");
    assert_eq!(with(None, Some(9), false), "`go build` was ended by signal 9");
    assert_eq!(with(None, Some(9), true), "`go build` was killed: out of memory");
}
