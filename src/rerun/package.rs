//! One package as `go list -json` tells it, as far as it matters to what a build or a test is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The fields that are asked for: with all of them `go` would also work out what is stale, which takes longer than the rest.
pub const FIELDS: &str = "Dir,ImportPath,Name,ForTest,Standard,DepOnly,Module,Error,GoFiles,CgoFiles,CFiles,CXXFiles,MFiles,HFiles,FFiles,SFiles,\
SwigFiles,SwigCXXFiles,SysoFiles,EmbedPatterns,EmbedFiles,IgnoredGoFiles,IgnoredOtherFiles,TestGoFiles,XTestGoFiles,TestEmbedPatterns,\
TestEmbedFiles,XTestEmbedPatterns,XTestEmbedFiles,Imports,TestImports,XTestImports,ImportMap";

/// A package that is not part of Go itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Package {
    /// Its import path; of a folder that is no package the pattern that named it.
    pub path: String,
    /// Its name; empty where no file says one.
    pub name: String,
    /// Its folder as `go` says it, symbolic links unresolved; empty for a package that is not there.
    pub dir: PathBuf,
    /// The module it belongs to; none with `GO111MODULE=off`.
    pub module: Option<Module>,
    /// Asked for, and not only imported.
    pub matched: bool,
    /// What a build reads: names relative to `dir`, those of embedded files with folders.
    pub compiled: BTreeSet<PathBuf>,
    /// What only its tests read.
    pub tests: BTreeSet<PathBuf>,
    /// Sources for other systems or tags.
    pub ignored: BTreeSet<PathBuf>,
    /// What `//go:embed` lines say.
    pub embeds: Vec<String>,
    /// The same of its tests.
    pub test_embeds: Vec<String>,
    /// Import paths, as the `Package::path` of who is meant.
    pub imports: BTreeSet<String>,
    /// Those of its tests.
    pub test_imports: BTreeSet<String>,
    /// What is wrong with the package itself.
    pub error: Option<String>,
}

/// A module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Module {
    /// `example.com/shop/lib`
    pub path: String,
    /// Its folder; empty where packages come from a `vendor` folder.
    pub dir: PathBuf,
    /// Whose code it is.
    pub kind: ModuleKind,
}

/// Whose code a module is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModuleKind {
    /// The one `go` was asked in, or one of its workspace.
    Main,
    /// A `replace` points to its folder.
    Replaced,
    /// Of the module cache, or vendored.
    #[default]
    Foreign,
}

impl Package {
    /// Whether its files lie in a `vendor` folder.
    pub fn is_vendored(&self) -> bool {
        self.dir.components().any(|part| part.as_os_str() == "vendor")
            && self.module.as_ref().is_none_or(|module| module.kind == ModuleKind::Foreign)
    }

    /// Whether it is written here, so that its tests are ours.
    pub fn is_local(&self) -> bool {
        !self.dir.as_os_str().is_empty()
            && !self.is_vendored()
            && self.module.as_ref().is_none_or(|module| module.kind != ModuleKind::Foreign)
    }

    /// Whether its files may change: all but those of the module cache.
    pub fn is_watched(&self) -> bool {
        self.is_local() || self.is_vendored()
    }

    /// Whether it is only a folder without Go files for this system: asked for by name, and no package.
    pub fn is_empty(&self) -> bool {
        let says = |words: &str| self.error.as_ref().is_some_and(|error| error.contains(words));
        let has_files = !self.compiled.is_empty() || !self.tests.is_empty();
        !has_files && (says("no Go files in ") || says("build constraints exclude all Go files"))
    }

    /// Whether it has tests of its own.
    pub fn has_tests(&self) -> bool {
        self.tests.iter().any(|file| file.to_str().is_some_and(|name| name.ends_with("_test.go")))
    }

    /// Whether both are made of the same files and import the same.
    pub fn same_code(&self, other: &Package) -> bool {
        (&self.dir, &self.compiled, &self.imports, &self.name)
            == (&other.dir, &other.compiled, &other.imports, &other.name)
    }

    /// Whether the tests of both are made of the same files and import the same.
    pub fn same_tests(&self, other: &Package) -> bool {
        (&self.tests, &self.test_imports) == (&other.tests, &other.test_imports)
    }
}

/// What `go list` prints, in its own names.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Raw {
    dir: PathBuf,
    import_path: String,
    name: String,
    for_test: String,
    standard: bool,
    dep_only: bool,
    module: Option<RawModule>,
    error: Option<RawError>,
    go_files: Vec<PathBuf>,
    cgo_files: Vec<PathBuf>,
    #[serde(rename = "CFiles")]
    c: Vec<PathBuf>,
    #[serde(rename = "CXXFiles")]
    cxx: Vec<PathBuf>,
    #[serde(rename = "MFiles")]
    m: Vec<PathBuf>,
    #[serde(rename = "HFiles")]
    h: Vec<PathBuf>,
    #[serde(rename = "FFiles")]
    f: Vec<PathBuf>,
    #[serde(rename = "SFiles")]
    s: Vec<PathBuf>,
    swig_files: Vec<PathBuf>,
    #[serde(rename = "SwigCXXFiles")]
    swig_cxx: Vec<PathBuf>,
    syso_files: Vec<PathBuf>,
    embed_patterns: Vec<String>,
    embed_files: Vec<PathBuf>,
    ignored_go_files: Vec<PathBuf>,
    ignored_other_files: Vec<PathBuf>,
    test_go_files: Vec<PathBuf>,
    #[serde(rename = "XTestGoFiles")]
    x_test_go_files: Vec<PathBuf>,
    test_embed_patterns: Vec<String>,
    test_embed_files: Vec<PathBuf>,
    #[serde(rename = "XTestEmbedPatterns")]
    x_test_embed_patterns: Vec<String>,
    #[serde(rename = "XTestEmbedFiles")]
    x_test_embed_files: Vec<PathBuf>,
    imports: Vec<String>,
    test_imports: Vec<String>,
    #[serde(rename = "XTestImports")]
    x_test_imports: Vec<String>,
    import_map: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawModule {
    path: String,
    dir: PathBuf,
    main: bool,
    replace: Option<RawReplace>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawReplace {
    version: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawError {
    pos: String,
    err: String,
}

impl Raw {
    /// The package; `None` for Go's own and for what only the machinery of tests needs. Of a package that was listed only in the form a test recompiles
    /// (`q [p.test]`) the plain one is made: it has the same files.
    pub(super) fn package(self) -> Option<Package> {
        let path = self.import_path.split(' ').next().unwrap_or_default().to_owned();
        let is_machinery =
            path.ends_with(".test") || (!self.for_test.is_empty() && path == format!("{}_test", self.for_test));
        if self.standard || is_machinery || path == "unsafe" || path == "C" {
            return None;
        }
        let is_variant = !self.for_test.is_empty();
        let map = self.import_map;
        let meant = |imports: Vec<String>| {
            let plain = imports.into_iter().map(|import| map.get(&import).cloned().unwrap_or(import));
            plain
                .map(|import| import.split(' ').next().unwrap_or_default().to_owned())
                .filter(|i| i != "C")
                .collect::<BTreeSet<String>>()
        };
        let compiled = [
            self.go_files,
            self.cgo_files,
            self.c,
            self.cxx,
            self.m,
            self.h,
            self.f,
            self.s,
            self.swig_files,
            self.swig_cxx,
            self.syso_files,
            self.embed_files,
        ];
        let compiled =
            compiled.into_iter().flatten().filter(|file| !(is_variant && is_test_file(file)) && file.is_relative());
        let tests = [self.test_go_files, self.x_test_go_files, self.test_embed_files, self.x_test_embed_files];
        Some(Package {
            name: self.name,
            dir: self.dir,
            module: self.module.map(RawModule::module),
            matched: !self.dep_only && !is_variant,
            compiled: compiled.collect(),
            tests: tests.into_iter().flatten().collect(),
            ignored: [self.ignored_go_files, self.ignored_other_files].into_iter().flatten().collect(),
            embeds: self.embed_patterns,
            test_embeds: [self.test_embed_patterns, self.x_test_embed_patterns].concat(),
            imports: meant(self.imports),
            test_imports: meant([self.test_imports, self.x_test_imports].concat()),
            error: self.error.map(RawError::sentence),
            path,
        })
    }

    /// Whether this is the form of a package that only a test has.
    pub(super) fn is_variant(&self) -> bool {
        !self.for_test.is_empty()
    }
}

fn is_test_file(file: &Path) -> bool {
    file.to_str().is_some_and(|name| name.ends_with("_test.go"))
}

impl RawModule {
    fn module(self) -> Module {
        let kind = match &self.replace {
            _ if self.main => ModuleKind::Main,
            Some(replace) if replace.version.is_empty() => ModuleKind::Replaced,
            _ => ModuleKind::Foreign,
        };
        Module { path: self.path, dir: self.dir, kind }
    }
}

impl RawError {
    fn sentence(self) -> String {
        if self.pos.is_empty() { self.err } else { format!("{}: {}", self.pos, self.err) }
    }
}
