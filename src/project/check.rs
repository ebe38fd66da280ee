//! What only the whole project shows: dependencies, circles, ports, packages.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::Project;
use super::clashes::{Claim, clashes, constant_claims, too_high, vendor_claims};
use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::services::neighbours::nearest_name;
use crate::services::spec::{Program, RunIn, ServiceConfig, Target};
use crate::task::id::ServiceName;
use crate::task::spec::{Condition, Kind};

/// Checks everything. `known` are all names there are, also of files that could not be read; `None` where that cannot be known.
pub fn all(project: &Project, known: Option<&BTreeSet<ServiceName>>, reader: &mut Reader) {
    if let Some(known) = known {
        project.names().for_each(|name| needs(project, name, known, reader));
    }
    for service in project.services.values() {
        paths(project, &service.config, reader);
        probes(&service.config, reader);
        if let (RunIn::Docker, Program::Command(_)) = (service.config.run_in, &service.config.program) {
            let message = format!(
                "`run_in: docker` runs a Go program that orchestra builds, and `{}` is a `command:`",
                service.config.name
            );
            let hint = "`run_in: process`, or a section of `vendors:` with an image that holds the program";
            reader.push(Problem::at(&service.config.place, message).hint(hint));
        }
    }
    circles(project, reader);
    let enabled = project.services.values().filter(|service| service.config.enabled);
    let mut claims: Vec<Claim> = enabled.flat_map(constant_claims).collect();
    claims.extend(vendor_claims(project));
    for problem in clashes(&claims) {
        reader.push(problem);
    }
    for claim in claims.iter().filter(|claim| claim.number > u32::from(u16::MAX)) {
        reader.push(too_high(claim));
    }
}

fn needs(project: &Project, who: &ServiceName, known: &BTreeSet<ServiceName>, reader: &mut Reader) {
    let vendor = project.vendors.get(who);
    for need in project.needs(who) {
        let name = &need.service;
        if !known.contains(name) {
            let message = format!("`{who}` depends on `{name}`, which is no service or vendor");
            let problem = Problem::at(&need.place, message);
            if vendor.is_some_and(|vendor| vendor.config.optional.contains(name)) {
                continue;
            }
            if vendor.is_some_and(|vendor| vendor.head.left_out.contains(name)) {
                let hint = format!(
                    "`{name}` has `build` in the Compose file: as a service of this project of that name it is waited for"
                );
                reader.push(problem.hint(hint).warning());
                continue;
            }
            reader.push(match nearest_name(name.as_str(), known) {
                Some(near) => problem.hint(format!("did you mean {near}?")),
                None => problem.hint(format!(
                    "there are {}",
                    known.iter().take(20).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
                )),
            });
            continue;
        }
        let kind = project.services.get(name).map(|service| service.config.kind);
        if need.condition == Some(Condition::Completed) && kind == Some(Kind::Service) {
            let problem =
                Problem::at(&need.place, format!("`{who}` waits for `{name}` to complete, but `{name}` is no job"));
            reader.push(problem.hint(format!("wait for `ready`, or give `{name}` the line `type: job`")));
        }
    }
}

/// Folders that must be there.
fn paths(project: &Project, config: &ServiceConfig, reader: &mut Reader) {
    let dir = config.folder.join(&config.dir.value);
    if !dir.is_dir() {
        let message = format!("the working directory `{}` does not exist", shown(project, &dir));
        reader.push(Problem::at(&config.dir.place, message).hint("`dir` is relative to the service's own folder"));
    }
    let Program::Go(package) = &config.program else { return };
    match package_folder(&config.folder, &package.value) {
        Package::Import(_) => {}
        Package::Folder(folder) => {
            if let Some((message, hint)) = missing(project, &folder) {
                reader.push(Problem::at(&package.place, message).hint(hint));
            }
        }
    }
    if let Some(ready) = &config.ready
        && let Target::Http(http) = &ready.target
        && let Some(ca) = http.ca.as_ref().map(|ca| config.folder.join(ca)).filter(|ca| !ca.is_file())
    {
        // A service may make its own authority when it starts.
        let message = format!("there is no certificate file `{}` yet", shown(project, &ca));
        reader.push(Problem::at(&ready.place, message).warning());
    }
}

/// What a `package:` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Package {
    /// A folder of ours.
    Folder(PathBuf),
    /// An import path that `go` finds.
    Import(String),
}

/// Where a package is: an import path begins with a host (`example.com/…`) and is no folder here.
pub fn package_folder(base: &Path, package: &str) -> Package {
    let first = package.split('/').next().unwrap_or("");
    let path = base.join(package);
    let import = !first.starts_with('.') && first.contains('.') && !package.starts_with('/') && !path.is_dir();
    if import { Package::Import(package.to_owned()) } else { Package::Folder(plain(&path)) }
}

/// A path without `.` and, where nothing is a symbolic link, without `..`.
pub fn plain(path: &Path) -> PathBuf {
    if path.components().any(|part| part == Component::ParentDir) {
        return path.canonicalize().unwrap_or_else(|_| path.to_owned());
    }
    path.components().filter(|part| *part != Component::CurDir).collect()
}

fn missing(project: &Project, folder: &Path) -> Option<(String, &'static str)> {
    let name = shown(project, folder);
    if folder.is_file() {
        return Some((format!("the package `{name}` is a file"), "name the folder of the package"));
    }
    let Ok(entries) = folder.read_dir() else {
        return Some((
            format!("the package folder `{name}` does not exist"),
            "`package` is relative to the service's own folder",
        ));
    };
    let is_go = |name: &str| name.ends_with(".go") && !name.ends_with("_test.go") && !name.starts_with(['.', '_']);
    let found = entries.filter_map(Result::ok).any(|entry| entry.file_name().to_str().is_some_and(is_go));
    let hint = "say where it is with `package: ./cmd/…`, or run another program with `command: […]`";
    (!found).then(|| (format!("no Go files in `{name}`"), hint))
}

fn shown(project: &Project, path: &Path) -> String {
    let path = plain(path);
    match path.strip_prefix(&project.root) {
        Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
        Ok(rest) => rest.display().to_string(),
        Err(_) => path.display().to_string(),
    }
}

/// A path without a port to ask it on.
fn probes(config: &ServiceConfig, reader: &mut Reader) {
    for (key, probe) in [("ready", &config.ready), ("live", &config.live)] {
        let Some(probe) = probe else { continue };
        let Target::Http(http) = &probe.target else { continue };
        if let Some(path) = http.url.constant().filter(|url| url.starts_with('/') && config.ports.is_empty()) {
            let place = http.url.place().unwrap_or(&probe.place);
            let problem =
                Problem::at(place, format!("`{key}.http: {path}` needs a port to ask, and the service has none"));
            reader.push(problem.hint("add `ports: {http: 8080}`, or write the whole URL"));
        }
    }
}

/// Finds each circle of dependencies once and prints its path.
fn circles(project: &Project, reader: &mut Reader) {
    let mut done: BTreeSet<&ServiceName> = BTreeSet::new();
    for start in project.names() {
        // Each step of the way: a service, and how many of its needs were followed.
        let mut way: Vec<(&ServiceName, usize)> = vec![(start, 0)];
        while let Some((name, next)) = way.last_mut() {
            let need = project.needs(name).get(*next).filter(|_| !done.contains(*name));
            let Some(need) = need else {
                done.insert(*name);
                way.pop();
                continue;
            };
            *next += 1;
            match way.iter().position(|(name, _)| **name == need.service) {
                Some(at) => {
                    let mut path: Vec<String> = way[at..].iter().map(|(name, _)| name.to_string()).collect();
                    path.push(need.service.to_string());
                    let problem = Problem::at(
                        &need.place,
                        format!("services depend on each other in a circle: {}", path.join(" → ")),
                    );
                    reader.push(problem.hint("remove one of these dependencies"));
                }
                None if project.contains(&need.service) => way.push((&need.service, 0)),
                None => {}
            }
        }
    }
}
