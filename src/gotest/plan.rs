//! From services and what they are made of to runs of `go test`: each package once, in the environment and with the tags and flags of its build. Pure.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::trace::Ground;
use crate::rerun::graph::Graph;
use crate::rerun::list::{self, Query, Root, Wanted};
use crate::rerun::listing::Listing;
use crate::rerun::package::{ModuleKind, Package};
use crate::services::build::{CommandLine, find_go};
use crate::services::gomod;
use crate::task::id::ServiceName;
use crate::task::outcome::BuildFailure;

/// What is to be tested of one service.
#[derive(Clone, Debug)]
pub struct TestSpec {
    /// Its build, and its folder.
    pub wanted: Wanted,
    /// `test.flags`.
    pub flags: Vec<String>,
    /// `test.acceptance`.
    pub acceptance: Option<AcceptanceSpec>,
}

/// Tests against the running fleet.
#[derive(Clone, Debug)]
pub struct AcceptanceSpec {
    /// The folder of the package.
    pub dir: PathBuf,
    /// Build tags beside those of the service.
    pub tags: Vec<String>,
}

/// What kind of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Of packages, by themselves.
    Unit,
    /// Of the running fleet.
    Acceptance,
}

/// One package with tests, and for whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested {
    /// Its import path.
    pub path: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Who consists of it; the first is the one it is tested for.
    pub services: Vec<ServiceName>,
    /// In whose own folder it lies.
    pub owner: Option<ServiceName>,
}

/// One `go test`.
#[derive(Clone, Debug)]
pub struct Job {
    /// In whose environment it runs, and into whose log its output goes.
    pub service: ServiceName,
    /// What kind of tests.
    pub kind: Kind,
    /// Where it runs.
    pub dir: PathBuf,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Flags of the build.
    pub flags: Vec<String>,
    /// Flags of the tests.
    pub test_flags: Vec<String>,
    /// What is tested: import path (as events say it) and what `go test` is told.
    pub packages: Vec<(String, OsString)>,
    /// Where everything is, to tell places.
    pub ground: Ground,
}

/// Everything that is to be done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The runs.
    pub jobs: Vec<Job>,
    /// By import path and kind.
    pub tested: BTreeMap<(Kind, String), Tested>,
    /// Services that `go` could say nothing about, with why.
    pub unlisted: Vec<(ServiceName, BuildFailure)>,
}

/// Flags of one command.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where coverage profiles are written; none without coverage.
    pub cover: Option<PathBuf>,
    /// Packages built and tested at once by one `go test`.
    pub parallel: usize,
}

/// Plans unit tests. A package that several services consist of is tested for the first of them.
pub fn unit(specs: &[TestSpec], graph: &Graph, project: &Path) -> Plan {
    let mut out = Plan::default();
    let mut by_dir: BTreeMap<PathBuf, String> = BTreeMap::new();
    for spec in specs {
        let service = &spec.wanted.service;
        for (listing, root) in roots(graph, service) {
            if let Some(failure) = listing.failure.clone().filter(|_| listing.packages.is_empty()) {
                out.unlisted.push((service.clone(), failure));
            }
            for path in listing.tested(root) {
                let Some(package) = listing.packages.get(path).filter(|package| !is_acceptance(spec, package)) else {
                    continue;
                };
                let real = listing.real_of(&package.dir).to_owned();
                let owner = root.tests_below.as_ref().is_some_and(|folder| package.dir.starts_with(folder));
                let key = by_dir.entry(real).or_insert_with(|| path.to_owned()).clone();
                let known = out.tested.get_mut(&(Kind::Unit, key.clone()));
                match known {
                    Some(tested) => {
                        tested.services.extend((!tested.services.contains(service)).then(|| service.clone()));
                        tested.owner = tested.owner.take().or(owner.then(|| service.clone()));
                    }
                    None => {
                        let tested = Tested {
                            path: path.to_owned(),
                            dir: package.dir.clone(),
                            services: vec![service.clone()],
                            owner: owner.then(|| service.clone()),
                        };
                        out.tested.insert((Kind::Unit, key), tested);
                        out.add(spec, listing, package, project);
                    }
                }
            }
        }
    }
    out
}

fn roots<'a>(graph: &'a Graph, service: &'a ServiceName) -> impl Iterator<Item = (&'a Listing, &'a Root)> {
    let of = move |listing: &'a Listing| {
        let roots = listing.query.roots.iter().filter(move |root| root.service == *service);
        roots.map(move |root| (listing, root))
    };
    graph.listings.iter().flat_map(of)
}

/// Without a tag of their own the tests of the fleet would be found among the others.
fn is_acceptance(spec: &TestSpec, package: &Package) -> bool {
    spec.acceptance.as_ref().is_some_and(|acceptance| acceptance.dir == package.dir)
}

/// The question what the acceptance package of a service is.
pub fn acceptance_query(spec: &TestSpec, env: Vec<(OsString, OsString)>) -> Option<Query> {
    let acceptance = spec.acceptance.as_ref()?;
    let flags = with_tags(&spec.wanted.build.flags, &acceptance.tags);
    let dir = spec.wanted.tests_below.clone().unwrap_or_else(|| spec.wanted.build.dir.clone());
    let root = Root {
        service: spec.wanted.service.clone(),
        build: spec.wanted.build.key.clone(),
        dir: acceptance.dir.clone(),
        import: None,
        tests_below: Some(acceptance.dir.clone()),
    };
    let patterns = vec![acceptance.dir.clone().into_os_string()];
    Some(Query { dir, patterns, flags, env, with_tests: false, roots: vec![root] })
}

/// Adds the acceptance tests of a service, as its listing says.
pub fn acceptance(plan: &mut Plan, spec: &TestSpec, listing: &Listing, project: &Path) {
    let service = &spec.wanted.service;
    if let Some(failure) = &listing.failure {
        plan.unlisted.push((service.clone(), failure.clone()));
        return;
    }
    let matched: Vec<&Package> = listing.packages.values().filter(|package| package.matched).collect();
    let mut test_flags = vec!["-count=1".to_owned()];
    test_flags.extend(spec.flags.iter().cloned());
    plan.jobs.push(Job {
        service: service.clone(),
        kind: Kind::Acceptance,
        dir: listing.query.dir.clone(),
        env: listing.query.env.clone(),
        flags: listing.query.flags.clone(),
        test_flags,
        packages: matched.iter().map(|package| (package.path.clone(), OsString::from(&package.path))).collect(),
        ground: ground(listing, project, &listing.query.dir),
    });
    for package in matched {
        let services = vec![service.clone()];
        let tested =
            Tested { path: package.path.clone(), dir: package.dir.clone(), owner: Some(service.clone()), services };
        plan.tested.insert((Kind::Acceptance, package.path.clone()), tested);
    }
}

/// `go` takes the last `-tags` only.
fn with_tags(flags: &[String], more: &[String]) -> Vec<String> {
    let tags = |flag: &String| flag.trim_start_matches('-').strip_prefix("tags=").map(str::to_owned);
    let mut all: Vec<String> = flags.iter().filter_map(tags).next_back().into_iter().collect();
    all.extend(more.iter().cloned());
    let mut out: Vec<String> = flags.iter().filter(|flag| tags(flag).is_none()).cloned().collect();
    if !all.is_empty() {
        out.push(format!("-tags={}", all.join(",")));
    }
    out
}

fn ground(listing: &Listing, project: &Path, dir: &Path) -> Ground {
    let local = || listing.packages.values().filter(|package| package.is_local());
    let mut ours: Vec<PathBuf> = Vec::new();
    for package in local() {
        let root = package.module.as_ref().map(|module| module.dir.clone()).filter(|dir| !dir.as_os_str().is_empty());
        let root = root.unwrap_or_else(|| package.dir.clone());
        for root in [listing.real_of(&package.dir).to_owned(), root] {
            if !ours.contains(&root) && !ours.iter().any(|known| root.starts_with(known)) {
                ours.push(root);
            }
        }
    }
    let packages = local().map(|package| (package.path.clone(), package.dir.clone())).collect();
    Ground { project: project.to_owned(), dir: dir.to_owned(), packages, ours }
}

impl Plan {
    fn add(&mut self, spec: &TestSpec, listing: &Listing, package: &Package, project: &Path) {
        let (dir, told) = context(listing, package);
        let service = &spec.wanted.service;
        let packages = vec![(package.path.clone(), told)];
        match self.jobs.iter_mut().find(|job| job.service == *service && job.dir == dir) {
            Some(job) => job.packages.extend(packages),
            None => self.jobs.push(Job {
                service: service.clone(),
                kind: Kind::Unit,
                env: spec.wanted.build.env.clone(),
                flags: spec.wanted.build.flags.clone(),
                test_flags: spec.flags.clone(),
                ground: ground(listing, project, &dir),
                packages,
                dir,
            }),
        }
    }
}

/// Where a package's tests run and how it is named there. A module that is reached by `replace` knows the dependencies of its tests by its own `go.mod`
/// only.
fn context(listing: &Listing, package: &Package) -> (PathBuf, OsString) {
    let own = package
        .module
        .as_ref()
        .filter(|module| module.kind == ModuleKind::Replaced && module.dir.join("go.mod").is_file());
    match own {
        Some(module) if gomod::workspace_of(&module.dir, &listing.query.env).is_none() => {
            let mut told = OsString::from("./");
            told.push(package.dir.strip_prefix(&module.dir).unwrap_or(Path::new("")));
            (module.dir.clone(), told)
        }
        Some(_) | None => (listing.query.dir.clone(), OsString::from(&package.path)),
    }
}

impl Job {
    /// The command line. `number` tells its profile from those of others.
    pub fn command_line(&self, options: &Options, number: usize) -> Result<CommandLine, BuildFailure> {
        let go = find_go(&self.env)?;
        let mut argv: Vec<OsString> = vec![go.into_os_string(), "test".into(), "-json".into()];
        argv.extend(self.flags.iter().map(OsString::from));
        argv.push(format!("-p={}", options.parallel.max(1)).into());
        if let Some(profile) = self.profile(options, number) {
            argv.push("-cover".into());
            let mut flag = OsString::from("-coverprofile=");
            flag.push(profile);
            argv.push(flag);
        }
        argv.extend(self.packages.iter().map(|(_, told)| told.clone()));
        // Behind the packages, since `-args` ends everything; and the last of two equal flags holds.
        argv.extend(self.test_flags.iter().map(OsString::from));
        Ok(CommandLine { argv, dir: self.dir.clone(), env: list::at(&self.env, &self.dir) })
    }

    /// Where its coverage profile is written. Acceptance tests run the code of other processes.
    pub fn profile(&self, options: &Options, number: usize) -> Option<PathBuf> {
        let folder = options.cover.as_ref().filter(|_| self.kind == Kind::Unit)?;
        Some(folder.join(format!("{number}.cover")))
    }
}

/// How many `go test` may run at once, and how many packages each of them may build and test at once, so that all cores are used and no more.
pub fn budget(cores: usize, jobs: usize) -> (usize, usize) {
    let at_once = jobs.clamp(1, (cores / 2).max(1));
    (at_once, (cores / at_once).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_shared() {
        assert_eq!(
            [budget(1, 5), budget(2, 5), budget(8, 1), budget(8, 20), budget(6, 2)],
            [(1, 1), (1, 2), (1, 8), (4, 2), (2, 3)]
        );
        assert_eq!(budget(4, 0), (1, 4));
    }

    #[test]
    fn tags_are_one_flag() {
        let flags = |list: &[&str]| list.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
        assert_eq!(with_tags(&flags(&["-tags=a", "-race"]), &flags(&["b"])), ["-race", "-tags=a,b"]);
        assert_eq!(with_tags(&flags(&["-race"]), &[]), ["-race"]);
    }
}
