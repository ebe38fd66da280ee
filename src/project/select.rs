//! Which services a person means: names, instances, globs, labels, all but some.

use std::collections::{BTreeMap, BTreeSet};

use globset::Glob;

use super::Project;
use crate::error::Error;
use crate::services::neighbours::nearest_name;
use crate::task::id::{InstanceId, ServiceName};

/// What was selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Services and vendors by name.
    pub names: BTreeSet<ServiceName>,
    /// Of these only some instances.
    pub instances: BTreeMap<ServiceName, BTreeSet<u32>>,
    /// Nothing was typed: all that are enabled.
    pub everything: bool,
}

impl Selection {
    /// Whether an instance is among the selected.
    pub fn contains(&self, instance: &InstanceId) -> bool {
        let numbers = self.instances.get(&instance.service);
        self.names.contains(&instance.service) && numbers.is_none_or(|numbers| numbers.contains(&instance.number))
    }
}

/// Selects by what was typed; nothing means all enabled services and vendors. `~name` is all enabled ones but that.
pub fn select(project: &Project, selectors: &[String]) -> Result<Selection, Error> {
    select_with(project, selectors, &[])
}

/// The same, where these profiles are asked for.
pub fn select_with(project: &Project, selectors: &[String], profiles: &[String]) -> Result<Selection, Error> {
    let (without, with): (Vec<&String>, Vec<&String>) =
        selectors.iter().partition(|selector| selector.starts_with('~'));
    match (with.is_empty(), without.is_empty()) {
        (true, true) => Ok(Selection { names: enabled(project, profiles), everything: true, ..Selection::default() }),
        (false, true) => including(project, &with),
        (true, false) => excluding(project, &without, profiles),
        (false, false) => {
            let message = format!("`{}` includes and `{}` excludes: do one of them", with[0], without[0]);
            Err(Error::usage(message).hint("`~name` selects all enabled services but that one"))
        }
    }
}

/// All that is started when nobody is named.
pub fn enabled(project: &Project, profiles: &[String]) -> BTreeSet<ServiceName> {
    let services = project.services.iter().filter(|(_, service)| service.config.enabled).map(|(name, _)| name);
    let vendors = project.vendors.iter().filter(|(_, vendor)| vendor.config.is_enabled(profiles)).map(|(name, _)| name);
    services.chain(vendors).cloned().collect()
}

fn including(project: &Project, selectors: &[&String]) -> Result<Selection, Error> {
    let mut out = Selection::default();
    let mut whole = BTreeSet::new();
    for selector in selectors {
        match matches(project, selector)? {
            Matched::Services(names) => {
                whole.extend(names.iter().cloned());
                out.names.extend(names);
            }
            Matched::Instance(instance) => {
                out.names.insert(instance.service.clone());
                out.instances.entry(instance.service).or_default().insert(instance.number);
            }
        }
    }
    // `api api.2` is all of api.
    out.instances.retain(|name, _| !whole.contains(name));
    Ok(out)
}

fn excluding(project: &Project, selectors: &[&String], profiles: &[String]) -> Result<Selection, Error> {
    let mut names = enabled(project, profiles);
    for selector in selectors {
        match matches(project, selector.trim_start_matches('~'))? {
            Matched::Services(gone) => names.retain(|name| !gone.contains(name)),
            Matched::Instance(instance) => {
                let message = format!("`~{instance}` would exclude one instance; only whole services can be excluded");
                return Err(Error::usage(message)
                    .hint(format!("`orchestra scale {}=N` sets how many there are", instance.service)));
            }
        }
    }
    if names.is_empty() {
        return Err(Error::usage("nothing is left after these exclusions"));
    }
    Ok(Selection { names, ..Selection::default() })
}

enum Matched {
    Services(BTreeSet<ServiceName>),
    Instance(InstanceId),
}

fn matches(project: &Project, selector: &str) -> Result<Matched, Error> {
    let all = || project.names();
    if let Some((label, value)) = selector.split_once('=') {
        let has = |labels: &[(String, String)]| labels.iter().any(|(k, v)| k == label && v == value);
        let names = all().filter(|name| has(labels(project, name))).cloned().collect();
        return some(names, || no_label(project, label, value));
    }
    if selector.contains(['*', '?', '[', '{']) {
        let glob = Glob::new(&selector.to_lowercase()).map_err(|error| {
            Error::usage(format!("`{selector}` is not a glob: {}", error.kind()))
                .hint("quote globs, and write `*` for any text")
        })?;
        let glob = glob.compile_matcher();
        let names = all().filter(|name| glob.is_match(name.as_str())).cloned().collect();
        return some(names, || Error::usage(format!("no service matches `{selector}`")).hint(known(project)));
    }
    // A folder may be typed as the shell completes it.
    let text = selector.trim_start_matches("./").trim_end_matches('/');
    if let Some(name) = ServiceName::fold(text).filter(|name| all().any(|known| known == name)) {
        return Ok(Matched::Services([name].into()));
    }
    if let Some(instance) = InstanceId::parse(text)
        && all().any(|known| *known == instance.service)
    {
        return Ok(Matched::Instance(instance));
    }
    if let Some((name, "0")) = text.rsplit_once('.')
        && all().any(|known| known.as_str() == name)
    {
        return Err(Error::usage(format!("there is no instance `{selector}`"))
            .hint(format!("instances count from 1: `{name}.1`")));
    }
    let name = InstanceId::parse(text).map_or(text.to_owned(), |instance| instance.service.to_string());
    let error = Error::usage(format!("there is no service `{selector}`"));
    Err(match nearest_name(&name, all()) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(known(project)),
    })
}

fn some(names: BTreeSet<ServiceName>, none: impl FnOnce() -> Error) -> Result<Matched, Error> {
    if names.is_empty() { Err(none()) } else { Ok(Matched::Services(names)) }
}

fn labels<'p>(project: &'p Project, name: &ServiceName) -> &'p [(String, String)] {
    let vendor = || project.vendors.get(name).map(|vendor| vendor.config.container.labels.as_slice());
    project.services.get(name).map(|service| service.config.labels.as_slice()).or_else(vendor).unwrap_or_default()
}

fn no_label(project: &Project, label: &str, value: &str) -> Error {
    let labels: Vec<&(String, String)> = project.names().flat_map(|name| labels(project, name)).collect();
    let values: BTreeSet<&str> =
        labels.iter().filter(|(key, _)| key == label).map(|(_, value)| value.as_str()).collect();
    let keys: BTreeSet<&str> = labels.iter().map(|(key, _)| key.as_str()).collect();
    let error = Error::usage(format!("no service has the label `{label}={value}`"));
    let list = |set: BTreeSet<&str>| set.into_iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ");
    match (values.is_empty(), keys.is_empty()) {
        (false, _) => error.hint(format!("values of `{label}` are {}", list(values))),
        (true, false) => error.hint(format!("labels are {}", list(keys))),
        (true, true) => error.hint("no service has labels: add `labels: {team: payments}` to its service.yml"),
    }
}

fn known(project: &Project) -> String {
    let names: Vec<String> = project.names().map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "there are no services yet: `orchestra init` makes a service.yml for each Go program".to_owned(),
        1..=20 => format!("there are {}", names.join(", ")),
        _ => "`orchestra ps` lists them all".to_owned(),
    }
}

/// These and all they need, directly or not.
pub fn with_needs(project: &Project, names: &BTreeSet<ServiceName>) -> BTreeSet<ServiceName> {
    let mut out = BTreeSet::new();
    let mut waiting: Vec<ServiceName> = names.iter().cloned().collect();
    while let Some(name) = waiting.pop() {
        let needs = project.needs(&name).iter().map(|need| &need.service);
        waiting.extend(needs.filter(|need| project.contains(need) && !out.contains(*need)).cloned());
        out.insert(name);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::load::{LoadOptions, load};

    fn project(root: &std::path::Path) -> Project {
        let file = "services:\n  api: {command: [x], labels: {team: pay}}\n  api-admin: {command: [x]}\n  \
                    web: {command: [x], labels: {team: shop}}\n  old: {command: [x], enabled: false}\nvendors: {pg: {image: pg}}\n";
        std::fs::write(root.join("orchestra.yml"), file).unwrap();
        load(root, &LoadOptions::default()).unwrap()
    }

    #[test]
    fn every_way_to_select() {
        let temp = tempfile::tempdir().unwrap();
        let project = project(temp.path());
        let table = [
            ("", "api api-admin pg web"),
            ("api", "api"),
            ("API/ ./web", "api web"),
            ("old", "old"),
            ("pg", "pg"),
            ("api*", "api api-admin"),
            ("team=pay", "api"),
            ("~web", "api api-admin pg"),
            ("~team=pay ~api-*", "pg web"),
            ("api.2", "api[2]"),
            ("api.2 api.1 web", "api[1,2] web"),
            ("api.2 api", "api"),
            ("appi", "! there is no service `appi` | did you mean api?"),
            ("weeb.1", "! there is no service `weeb.1` | did you mean web?"),
            ("zzz", "! there is no service `zzz` | there are `api`, `api-admin`, `old`, `web`, `pg`"),
            ("api.0", "! there is no instance `api.0` | instances count from 1: `api.1`"),
            ("x*", "! no service matches `x*` | there are `api`, `api-admin`, `old`, `web`, `pg`"),
            ("team=x", "! no service has the label `team=x` | values of `team` are `pay`, `shop`"),
            ("colour=x", "! no service has the label `colour=x` | labels are `team`"),
            (
                "api ~web",
                "! `api` includes and `~web` excludes: do one of them | `~name` selects all enabled services but that one",
            ),
            ("~nope", "! there is no service `nope` | there are `api`, `api-admin`, `old`, `web`, `pg`"),
            ("~*", "! nothing is left after these exclusions"),
        ];
        for (typed, expected) in table {
            let typed: Vec<String> = typed.split_whitespace().map(str::to_owned).collect();
            assert_eq!(shown(select(&project, &typed)), expected, "{typed:?}");
        }
    }

    fn shown(result: Result<Selection, Error>) -> String {
        match result {
            Err(error) => {
                assert_eq!(error.kind, crate::error::Kind::Usage);
                format!(
                    "! {}{}",
                    error.message,
                    error.hints.iter().map(|hint| format!(" | {hint}")).collect::<String>()
                )
            }
            Ok(selection) => {
                let words = selection.names.iter().map(|name| match selection.instances.get(name) {
                    Some(numbers) => {
                        format!("{name}[{}]", numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(","))
                    }
                    None => name.to_string(),
                });
                words.collect::<Vec<_>>().join(" ")
            }
        }
    }
}
