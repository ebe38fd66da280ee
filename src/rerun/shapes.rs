//! Real Go modules of every shape, asked about with the real `go list`, without the network.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use super::graph::Graph;
use super::head::Head;
use super::list::{Query, Wanted, queries};
use super::listing::{Answer, Listing};
use super::reach::{Change, What, reach, stale};
use crate::task::id::{BuildKey, ServiceName};
use crate::task::spec::{BuildSpec, Caller};

struct Shape {
    _dir: tempfile::TempDir,
    root: PathBuf,
    env: Vec<(&'static str, String)>,
    flags: Vec<&'static str>,
}

impl Shape {
    fn new(files: &[(&str, &str)]) -> Shape {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let shape = Shape { _dir: dir, root, env: Vec::new(), flags: Vec::new() };
        files.iter().for_each(|(path, text)| shape.write(path, text));
        shape
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn wanted(&self, dir: &str, package: &str) -> Wanted {
        let kept = |key: &OsString| !["GOFLAGS", "GOWORK", "GO111MODULE", "GOPATH"].iter().any(|name| key == name);
        let mut env: Vec<(OsString, OsString)> = std::env::vars_os().filter(|(key, _)| kept(key)).collect();
        let ours = [("GOPROXY", "off"), ("GOTOOLCHAIN", "local"), ("GOENV", "off"), ("CGO_ENABLED", "0")]
            .map(|(k, v)| (k, v.to_owned()));
        env.extend(ours.into_iter().chain(self.env.clone()).map(|(key, value)| (key.into(), value.into())));
        let service = ServiceName::fold(dir.rsplit('/').next().unwrap()).or(ServiceName::fold("v")).unwrap();
        let folder = self.root.join(dir);
        let build = BuildSpec {
            key: BuildKey(service.to_string()),
            service: service.clone(),
            dir: folder.clone(),
            package: package.to_owned(),
            flags: self.flags.iter().map(|flag| (*flag).to_owned()).collect(),
            env,
            vet: false,
            before: vec![],
            output: self.root.join(".out").join(service.as_str()),
            caller: Caller { umask: 0o022, nofile: None },
        };
        Wanted { service, build, tests_below: Some(folder) }
    }

    fn queries(&self, dirs: &[&str]) -> Vec<Query> {
        queries(&dirs.iter().map(|dir| self.wanted(dir, ".")).collect::<Vec<_>>())
    }

    fn ask(&self, query: Query, last: Option<&Listing>) -> Listing {
        let line = query.command_line().unwrap();
        let (program, args) = line.argv.split_first().unwrap();
        let out = Command::new(program).args(args).current_dir(&line.dir).env_clear().envs(line.env).output().unwrap();
        let answer = Answer { output: &out.stdout, errors: &out.stderr, is_whole: out.status.success() };
        Listing::read(query, answer, last, &self.root)
    }

    /// Asks, and once more where tests of imported packages want it.
    fn ask_all(&self, query: Query, last: Option<&Listing>) -> Listing {
        let listing = self.ask(query, last);
        match listing.wider() {
            Some(wider) => self.ask(wider, Some(&listing)),
            None => listing,
        }
    }

    fn graph(&self, dirs: &[&str]) -> Graph {
        Graph::new(self.queries(dirs).into_iter().map(|query| self.ask_all(query, None)).collect())
    }

    /// Asks again for the listings that no longer hold, as the watch does.
    fn again(&self, before: &Graph, stale: &BTreeSet<usize>) -> Graph {
        let one = |(at, listing): (usize, &Listing)| match stale.contains(&at) {
            true => self.ask_all(listing.query.clone(), Some(listing)),
            false => listing.clone(),
        };
        Graph::new(before.listings.iter().enumerate().map(one).collect())
    }

    /// Writes (or removes: `None`) files, finds out how each changed, and says what they reach.
    fn edit(&self, graph: &mut Graph, files: &[(&str, Option<&str>)]) -> String {
        let mut changes = Vec::new();
        for (path, text) in files {
            let whole = self.root.join(path);
            let old = fs::read(&whole).ok();
            let what = match (&old, text) {
                (None, _) => What::Appeared,
                (_, None) => What::Vanished,
                (Some(old), Some(new)) if Head::of(old) == Head::of(new.as_bytes()) => What::Content,
                (Some(_), Some(_)) => What::Head,
            };
            match text {
                Some(text) => self.write(path, text),
                None => fs::remove_file(&whole).unwrap(),
            }
            changes.push(Change { path: whole, what });
        }
        self.says(graph, &changes)
    }

    fn says(&self, graph: &mut Graph, changes: &[Change]) -> String {
        let old = stale(graph, changes);
        let after = self.again(graph, &old);
        let reached = reach(graph, &after, changes);
        *graph = after;
        let asked = if old.is_empty() { "" } else { "asked; " };
        let services: Vec<&str> = reached.services.iter().map(ServiceName::as_str).collect();
        let tests: Vec<&str> = reached.tests.keys().map(String::as_str).collect();
        assert_eq!(reached.builds.len(), reached.services.len());
        let tested: BTreeSet<&String> = reached.tested.values().flatten().collect();
        assert_eq!(tested, reached.tests.keys().collect(), "each is some service's own");
        format!("{asked}builds [{}] tests [{}]", services.join(" "), tests.join(" "))
    }
}

const MAIN: &str = "package main\n\nfunc main() {}\n";

fn main(import: &str) -> String {
    format!("package main\n\nimport _ \"{import}\"\n\nfunc main() {{}}\n")
}

fn test(package: &str) -> String {
    format!("package {package}\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) {{}}\n")
}

/// One module: `api` and `web` import `lib`, which imports `lib/deep`; `tool` imports nothing.
fn one() -> Shape {
    Shape::new(&[
        ("go.mod", "module ex.com/m\n\ngo 1.21\n"),
        ("api/main.go", &main("ex.com/m/lib")),
        ("api/main_test.go", &test("main")),
        ("web/main.go", &main("ex.com/m/lib")),
        ("tool/main.go", MAIN),
        ("lib/lib.go", "package lib\n\nimport _ \"ex.com/m/lib/deep\"\n"),
        ("lib/lib_test.go", &test("lib")),
        ("lib/deep/deep.go", "package deep\n"),
        ("unused/unused.go", "package unused\n"),
    ])
}

#[test]
fn one_module_is_one_question_and_an_edit_reaches_what_imports_it() {
    let shape = one();
    let mut graph = shape.graph(&["api", "web", "tool"]);
    assert_eq!(graph.listings.len(), 1);
    let cases: [(&str, &str, &str); 6] = [
        ("lib/deep/deep.go", "package deep\n\nvar X = 1\n", "builds [api web] tests [ex.com/m/api ex.com/m/lib]"),
        (
            "api/main.go",
            "package main\n\nimport _ \"ex.com/m/lib\"\n\nfunc main() { println(1) }\n",
            "builds [api] tests [ex.com/m/api]",
        ),
        ("tool/main.go", "package main\n\nfunc main() { println(2) }\n", "builds [tool] tests []"),
        (
            "lib/lib_test.go",
            "package lib\n\nimport \"testing\"\n\nfunc TestY(t *testing.T) {}\n",
            "builds [] tests [ex.com/m/lib]",
        ),
        ("unused/unused.go", "package unused\n\nvar Y = 1\n", "builds [] tests []"),
        ("README.md", "words", "builds [] tests []"),
    ];
    for (path, text, wanted) in cases {
        assert_eq!(shape.edit(&mut graph, &[(path, Some(text))]), wanted, "{path}");
    }
    let tested: Vec<_> = graph.tested(&ServiceName::fold("api").unwrap()).into_keys().collect();
    assert_eq!(tested, ["ex.com/m/api", "ex.com/m/lib", "ex.com/m/lib/deep"]);
    assert!(
        graph.folders().contains(&shape.root.join("lib/deep")) && !graph.folders().contains(&shape.root.join("unused"))
    );
    assert!(graph.files().contains(shape.root.join("lib/lib_test.go").as_path()));
}

#[test]
fn files_for_others_reach_nothing_until_their_constraint_lets_them_in() {
    let shape = one();
    let foreign = if cfg!(unix) { "windows" } else { "linux" };
    shape.write(&format!("lib/x_{foreign}.go"), "package lib\n");
    shape.write("lib/tagged.go", "//go:build special\n\npackage lib\n");
    let mut graph = shape.graph(&["api"]);
    let other = format!("lib/x_{foreign}.go");
    assert_eq!(shape.edit(&mut graph, &[(&other, Some("package lib\n\nvar A = 1\n"))]), "builds [] tests []");
    assert_eq!(
        shape.edit(&mut graph, &[("lib/tagged.go", Some("//go:build special\n\npackage lib\n\nvar B = 1\n"))]),
        "builds [] tests []"
    );
    assert_eq!(
        shape.edit(&mut graph, &[("lib/tagged.go", Some("package lib\n\nvar B = 1\n"))]),
        "asked; builds [api] tests [ex.com/m/api ex.com/m/lib]"
    );
    assert_eq!(
        shape.edit(&mut graph, &[("lib/new.go", Some("//go:build special\n\npackage lib\n"))]),
        "asked; builds [] tests []",
        "a new file counts when `go` takes it"
    );
    let mut tagged = one();
    tagged.flags = vec!["-tags=special"];
    tagged.write("lib/tagged.go", "//go:build special\n\npackage lib\n");
    let mut graph = tagged.graph(&["api"]);
    let text = "//go:build special\n\npackage lib\n\nvar B = 1\n";
    assert_eq!(
        tagged.edit(&mut graph, &[("lib/tagged.go", Some(text))]),
        "builds [api] tests [ex.com/m/api ex.com/m/lib]"
    );
}

#[test]
fn new_files_and_folders_are_found_and_gone_ones_too() {
    let shape = one();
    let mut graph = shape.graph(&["api", "tool"]);
    assert_eq!(
        shape.edit(&mut graph, &[("lib/more.go", Some("package lib\n"))]),
        "asked; builds [api] tests [ex.com/m/api ex.com/m/lib]"
    );
    assert_eq!(
        shape.edit(&mut graph, &[("lib/more.go", None)]),
        "asked; builds [api] tests [ex.com/m/api ex.com/m/lib]"
    );
    assert_eq!(
        shape.edit(&mut graph, &[("lib/deep/d_test.go", Some(&test("deep")))]),
        "asked; builds [] tests [ex.com/m/lib/deep]"
    );
    assert_eq!(
        shape.edit(
            &mut graph,
            &[("lib/.#lock.go", Some("")), ("lib/_x.go", Some("")), ("other/o.go", Some("package other\n"))]
        ),
        "builds [] tests []"
    );
    // The import first, the package later: nothing can be built in between, and the folder is waited for.
    assert_eq!(
        shape.edit(&mut graph, &[("tool/main.go", Some(&main("ex.com/m/a/b/c")))]),
        "asked; builds [tool] tests []"
    );
    assert_eq!(shape.edit(&mut graph, &[("a/b/c/c.go", Some("package c\n"))]), "asked; builds [tool] tests []");
    assert_eq!(shape.edit(&mut graph, &[("a/b/c/c.go", Some("package c\n\nvar X = 1\n"))]), "builds [tool] tests []");
    // Another way round: an import of a package that was there.
    assert_eq!(
        shape.edit(&mut graph, &[("tool/main.go", Some(&main("ex.com/m/unused")))]),
        "asked; builds [tool] tests []"
    );
    assert_eq!(
        shape.edit(&mut graph, &[("unused/unused.go", Some("package unused\n\nvar Z = 1\n"))]),
        "builds [tool] tests []"
    );
    assert_eq!(
        shape.edit(&mut graph, &[("api/sub/s_test.go", Some(&test("sub")))]),
        "asked; builds [] tests [ex.com/m/api/sub]"
    );
}

#[test]
fn embedded_files_belong_to_those_that_embed_them() {
    let shape = one();
    let embeds = "package main\n\nimport _ \"embed\"\n\n//go:embed hello.txt web/*\nvar s string\n\nfunc main() {}\n";
    shape.write(
        "tool/main.go",
        &embeds
            .replace("var s string", "var s embedFS")
            .replace("import _ \"embed\"", "import \"embed\"\n\ntype embedFS = embed.FS"),
    );
    shape.write("tool/hello.txt", "hello");
    shape.write("tool/web/a/style.css", "a");
    shape.write("lib/e_test.go", "package lib\n\nimport _ \"embed\"\n\n//go:embed golden.txt\nvar golden string\n");
    shape.write("lib/golden.txt", "1");
    let mut graph = shape.graph(&["api", "tool"]);
    assert_eq!(shape.edit(&mut graph, &[("tool/hello.txt", Some("bye"))]), "builds [tool] tests []");
    assert_eq!(shape.edit(&mut graph, &[("tool/web/a/style.css", Some("b"))]), "builds [tool] tests []");
    assert_eq!(shape.edit(&mut graph, &[("tool/web/new.js", Some("c"))]), "asked; builds [tool] tests []");
    assert_eq!(shape.edit(&mut graph, &[("tool/web/a/new.js", Some("c"))]), "asked; builds [tool] tests []");
    assert_eq!(shape.edit(&mut graph, &[("tool/other.txt", Some("c"))]), "builds [] tests []");
    assert_eq!(shape.edit(&mut graph, &[("lib/golden.txt", Some("2"))]), "builds [] tests [ex.com/m/lib]");
    assert_eq!(shape.edit(&mut graph, &[("lib/testdata/in.txt", Some("2"))]), "builds [] tests [ex.com/m/lib]");
    assert_eq!(shape.edit(&mut graph, &[("tool/web/new.js", None)]), "asked; builds [tool] tests []");
}

#[test]
fn what_only_tests_import_reaches_only_those_tests() {
    let shape = one();
    shape.write("testkit/kit.go", "package testkit\n");
    shape.write(
        "lib/outer_test.go",
        "package lib_test\n\nimport (\n\t_ \"ex.com/m/lib\"\n\t_ \"ex.com/m/testkit\"\n)\n",
    );
    let mut graph = shape.graph(&["api", "web"]);
    assert_eq!(
        shape.edit(&mut graph, &[("testkit/kit.go", Some("package testkit\n\nvar X = 1\n"))]),
        "builds [] tests [ex.com/m/lib]"
    );
    assert_eq!(
        shape.edit(&mut graph, &[("lib/outer_test.go", Some("package lib_test\n"))]),
        "asked; builds [] tests [ex.com/m/lib]"
    );
    assert_eq!(shape.edit(&mut graph, &[("testkit/kit.go", Some("package testkit\n"))]), "builds [] tests []");
}

#[test]
fn module_files_are_asked_about_and_reach_their_module() {
    let shape = one();
    let mut graph = shape.graph(&["api", "tool"]);
    let all = "asked; builds [api tool] tests [ex.com/m/api ex.com/m/lib]";
    assert_eq!(shape.edit(&mut graph, &[("go.mod", Some("module ex.com/m\n\ngo 1.22\n"))]), all);
    assert_eq!(shape.edit(&mut graph, &[("go.sum", Some(""))]), all);
    assert_eq!(shape.edit(&mut graph, &[("go.work", Some("go 1.22\n\nuse .\n"))]), all);
    assert_eq!(shape.edit(&mut graph, &[("go.work", None)]), all);
    assert_eq!(shape.edit(&mut graph, &[("elsewhere/go.mod", Some("module x\n"))]), "builds [] tests []");
}

#[test]
fn while_code_is_broken_the_last_good_list_holds() {
    let shape = one();
    let mut graph = shape.graph(&["api"]);
    let steps = [
        ("lib/lib.go", "pack", "asked; builds [api] tests [ex.com/m/api ex.com/m/lib]"),
        ("lib/deep/deep.go", "package deep\n\nvar Q = 1\n", "builds [api] tests [ex.com/m/api ex.com/m/lib]"),
        ("api/main.go", "package main\n\nimport (\n\t\"ex.com/m/lib\n)\n", "asked; builds [api] tests [ex.com/m/api]"),
        ("lib/deep/deep.go", "package deep\n\nvar Q = 2\n", "builds [api] tests [ex.com/m/api ex.com/m/lib]"),
        ("go.mod", "modul ex.com/m\n", "asked; builds [api] tests [ex.com/m/api ex.com/m/lib]"),
    ];
    for (path, text, wanted) in steps {
        assert_eq!(shape.edit(&mut graph, &[(path, Some(text))]), wanted, "{path}");
    }
    let failure = graph.listings[0].failure.clone().unwrap();
    assert_eq!(failure.error, "go.mod:1: unknown directive: modul");
    let mended = [
        ("go.mod", Some("module ex.com/m\n\ngo 1.21\n")),
        ("lib/lib.go", Some("package lib\n\nvar V = 1\n")),
        ("api/main.go", Some(&*main("ex.com/m/lib"))),
    ];
    assert_eq!(shape.edit(&mut graph, &mended), "asked; builds [api] tests [ex.com/m/api ex.com/m/lib]");
    assert_eq!(graph.listings[0].failure, None);
    assert_eq!(
        shape.edit(&mut graph, &[("lib/deep/deep.go", Some("package deep\n"))]),
        "builds [] tests []",
        "nobody imports it any more"
    );
}

#[test]
fn a_folder_that_goes_and_comes_back() {
    let shape = one();
    let mut graph = shape.graph(&["api", "tool"]);
    assert_eq!(shape.edit(&mut graph, &[("tool/main.go", None)]), "asked; builds [tool] tests []");
    fs::remove_dir(shape.root.join("tool")).unwrap();
    assert_eq!(
        shape.edit(&mut graph, &[("lib/lib.go", Some("package lib\n"))]),
        "asked; builds [api] tests [ex.com/m/api ex.com/m/lib]"
    );
    assert_eq!(shape.edit(&mut graph, &[("tool/main.go", Some(MAIN))]), "asked; builds [tool] tests []");
    assert_eq!(
        shape.edit(&mut graph, &[("tool/main.go", Some("package main\n\nfunc main() { println() }\n"))]),
        "builds [tool] tests []"
    );
}

#[test]
fn a_workspace_and_a_replaced_module_reach_over_their_borders() {
    let shape = Shape::new(&[
        ("ws/go.work", "go 1.21\n\nuse (\n\t./api\n\t./lib\n)\n"),
        ("ws/api/go.mod", "module ex.com/api\n\ngo 1.21\n"),
        ("ws/api/main.go", &main("ex.com/lib/x")),
        ("ws/lib/go.mod", "module ex.com/lib\n\ngo 1.21\n"),
        ("ws/lib/x/x.go", "package x\n"),
        ("ws/lib/x/x_test.go", &test("x")),
        (
            "old/go.mod",
            "module ex.com/old\n\ngo 1.21\n\nrequire ex.com/lib v0.0.0\n\nreplace ex.com/lib => ../ws/lib\n",
        ),
        ("old/main.go", &main("ex.com/lib/x")),
        ("alone/go.mod", "module ex.com/alone\n\ngo 1.21\n"),
        ("alone/main.go", MAIN),
    ]);
    let mut graph = shape.graph(&["ws/api", "old", "alone"]);
    assert_eq!(graph.listings.len(), 3);
    assert_eq!(
        shape.edit(&mut graph, &[("ws/lib/x/x.go", Some("package x\n\nvar X = 1\n"))]),
        "builds [api old] tests [ex.com/lib/x]"
    );
    assert_eq!(
        shape.edit(&mut graph, &[("ws/lib/go.mod", Some("module ex.com/lib\n\ngo 1.22\n"))]),
        "asked; builds [api old] tests [ex.com/lib/x]"
    );
    assert_eq!(
        shape.edit(&mut graph, &[("alone/main.go", Some("package main\n\nfunc main() { println() }\n"))]),
        "builds [alone] tests []"
    );
    assert_eq!(
        shape.edit(&mut graph, &[("ws/go.work", Some("go 1.22\n\nuse (\n\t./api\n\t./lib\n)\n"))]),
        "asked; builds [api] tests [ex.com/lib/x]"
    );
    assert_eq!(
        shape.edit(&mut graph, &[("ws/lib/x/x_test.go", Some("package x\n"))]),
        "asked; builds [] tests [ex.com/lib/x]"
    );
}

#[test]
fn vendored_code_is_watched_and_its_tests_are_not_ours() {
    let mut shape = Shape::new(&[
        ("go.mod", "module ex.com/v\n\ngo 1.21\n\nrequire ex.org/dep v1.0.0\n"),
        ("main.go", &main("ex.org/dep")),
        ("vendor/modules.txt", "# ex.org/dep v1.0.0\n## explicit; go 1.21\nex.org/dep\n"),
        ("vendor/ex.org/dep/dep.go", "package dep\n"),
    ]);
    shape.env = vec![("GOFLAGS", "-mod=vendor".to_owned())];
    let mut graph = shape.graph(&[""]);
    assert_eq!(
        shape.edit(&mut graph, &[("vendor/ex.org/dep/dep.go", Some("package dep\n\nvar X = 1\n"))]),
        "builds [v] tests []"
    );
    assert_eq!(
        shape.edit(&mut graph, &[("vendor/modules.txt", Some("# ex.org/dep v1.0.0\n## explicit\nex.org/dep\n"))]),
        "asked; builds [v] tests []"
    );
    let tested: Vec<_> = graph.tested(&ServiceName::fold("v").unwrap()).into_keys().collect();
    assert_eq!(tested, ["ex.com/v"]);
}

#[test]
fn symbolic_links_are_seen_at_both_ends() {
    let outside = Shape::new(&[
        ("go.mod", "module ex.com/linked\n\ngo 1.21\n"),
        ("main.go", MAIN),
        ("real.txt", "package main\n"),
    ]);
    let shape = Shape::new(&[("go.mod", "module ex.com/host\n\ngo 1.21\n"), ("api/main.go", MAIN)]);
    symlink(&outside.root, shape.root.join("linked")).unwrap();
    symlink(outside.root.join("real.txt"), shape.root.join("api/by_link.go")).unwrap();
    let mut graph = shape.graph(&["linked", "api"]);
    let change = |path: PathBuf| [Change { path, what: What::Content }];
    assert_eq!(shape.says(&mut graph, &change(outside.root.join("main.go"))), "builds [linked] tests []");
    assert_eq!(shape.says(&mut graph, &change(shape.root.join("linked/main.go"))), "builds [linked] tests []");
    assert_eq!(shape.says(&mut graph, &change(outside.root.join("real.txt"))), "builds [api] tests []");
    assert!(graph.folders().contains(&outside.root) && !graph.folders().contains(&shape.root.join("linked")));
    let new = [Change { path: outside.root.join("more.go"), what: What::Appeared }];
    outside.write("more.go", "package main\n\nvar X = 1\n");
    assert_eq!(shape.says(&mut graph, &new), "asked; builds [linked] tests []");
}

#[test]
fn gopath_mode_and_c_sources() {
    let mut shape = Shape::new(&[
        ("src/ex.com/old/main.go", &main("ex.com/dep")),
        ("src/ex.com/dep/dep.go", "package dep\n\nimport \"C\"\n"),
        ("src/ex.com/dep/dep.c", "int x;\n"),
        ("src/ex.com/dep/dep.h", "\n"),
    ]);
    shape.env = vec![
        ("GO111MODULE", "off".to_owned()),
        ("GOPATH", shape.root.to_string_lossy().into_owned()),
        ("CGO_ENABLED", "1".to_owned()),
    ];
    let mut graph = shape.graph(&["src/ex.com/old"]);
    assert_eq!(shape.edit(&mut graph, &[("src/ex.com/dep/dep.h", Some("int y;\n"))]), "builds [old] tests []");
    assert_eq!(shape.edit(&mut graph, &[("src/ex.com/dep/new.c", Some("int z;\n"))]), "asked; builds [old] tests []");
    assert_eq!(
        shape.edit(&mut graph, &[("src/ex.com/dep/dep_test.go", Some(&test("dep")))]),
        "asked; builds [] tests [ex.com/dep]"
    );
}

#[test]
fn settings_keep_questions_apart_and_what_is_said_is_read_up_to_its_broken_end() {
    let shape = one();
    let mut wanted: Vec<Wanted> = ["api", "web", "tool"].iter().map(|dir| shape.wanted(dir, ".")).collect();
    wanted[1].build.flags = vec!["-race".to_owned()];
    wanted[2].build.env.push(("LOG_LEVEL".into(), "debug".into()));
    let names = |query: &Query| query.roots.iter().map(|root| root.service.to_string()).collect::<Vec<_>>().join(" ");
    let asked: Vec<String> = queries(&wanted).iter().map(names).collect();
    assert_eq!(asked, ["api tool", "web"]);
    let output = b"{\"ImportPath\":\"a\",\"Dir\":\"/a\",\"Module\":{\"Path\":\"a\",\"Main\":true}}\n{\"ImportPath\":\"fmt\",\"Standard\":true}\n{\"Impo";
    let packages = super::list::parse(&output[..]);
    assert_eq!(packages.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), ["a"]);
    let mut import = shape.wanted("api", "ex.com/m/tool");
    import.tests_below = None;
    let query = queries(&[import]).remove(0);
    assert!(!query.with_tests);
    let mut graph = Graph::new(vec![shape.ask(query, None)]);
    assert_eq!(
        shape.edit(&mut graph, &[("tool/main.go", Some("package main\n\nfunc main() { println() }\n"))]),
        "builds [api] tests []"
    );
}
