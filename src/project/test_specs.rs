//! What is tested of a service: by the same environment, tags and flags as its build, without the port that only a running copy has.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::build::Purpose;
use super::environment::Side;
use super::resolve::{ResolveInput, Resolver};
use super::{Project, check, environment, gate};
use crate::config::env::Origin;
use crate::config::problem::{self, Problem};
use crate::gotest::plan::{AcceptanceSpec, TestSpec};
use crate::rerun::list::Wanted;
use crate::services::gomod;
use crate::services::spec::Program;
use crate::task::id::{BuildKey, InstanceId, ServiceName};
use crate::task::spec::BuildSpec;

impl Project {
    /// The tests of the wanted services, in the order of the request. One that has nothing to do with Go is left out.
    pub fn tests(&self, input: &mut ResolveInput<'_>) -> Result<Vec<TestSpec>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut resolver = Resolver::new(self, input, &mut problems);
        resolver.find_builds(Purpose::Test, &mut problems);
        let mut out = Vec::new();
        for name in input.services.iter().filter(|name| self.services.contains_key(name)) {
            match resolver.test(name) {
                Ok(spec) => out.extend(spec),
                Err(more) => problems.extend(more),
            }
        }
        problem::sort(&mut problems);
        if problems.is_empty() { Ok(out) } else { Err(problems) }
    }

    /// The environment of a service's acceptance tests: what its first copy gets, addresses and all, and what its build gets over it.
    pub fn acceptance_environment(
        &self,
        input: &mut ResolveInput<'_>,
        spec: &TestSpec,
    ) -> Result<Vec<(OsString, OsString)>, Vec<Problem>> {
        let of = InstanceId { service: spec.wanted.service.clone(), number: 1 };
        let variables = self.environment_here(input, &of)?;
        let mut all: BTreeMap<OsString, OsString> =
            variables.into_iter().map(|(key, variable)| (key, variable.value)).collect();
        let build = self.services.get(&of.service).map(|service| &service.config.build.env);
        let over = build.into_iter().flatten().map(|(key, _)| OsString::from(key));
        for key in over {
            let value = gomod::lookup(&spec.wanted.build.env, &key.to_string_lossy()).map(ToOwned::to_owned);
            all.extend(value.map(|value| (key, value)));
        }
        Ok(all.into_iter().collect())
    }
}

impl Resolver<'_> {
    fn test(&self, name: &ServiceName) -> Result<Option<TestSpec>, Vec<Problem>> {
        // One that is missing here has its problems told already.
        let Some(part) = self.parts.get(name) else { return Err(Vec::new()) };
        let config = &part.service.config;
        let folder = check::plain(&config.folder);
        let mut build = match (self.builds.get(name), &config.program) {
            (Some(build), _) => self.build(part, build)?,
            (None, Program::Go(_)) => return Err(Vec::new()),
            (None, Program::Command(_)) if gomod::module_of(&folder).is_none() => return Ok(None),
            (None, Program::Command(_)) => {
                let own = environment::own(self.project, name, 1, &part.ports, Side::Here);
                let shared = self
                    .layers(part, &own, Side::Here)
                    .some(&|origin, _| !matches!(origin, Origin::Color | Origin::Found | Origin::Orchestra))?;
                BuildSpec {
                    key: BuildKey(name.to_string()),
                    service: name.clone(),
                    dir: folder.clone(),
                    package: ".".to_owned(),
                    flags: vec!["-buildvcs=false".to_owned()],
                    env: shared.into_iter().map(|(key, variable)| (key, variable.value)).collect(),
                    vet: false,
                    before: Vec::new(),
                    output: self.bin.join(name.as_str()),
                    caller: part.caller.caller.clone(),
                }
            }
        };
        build.env.retain(|(key, _)| key != "PORT");
        let acceptance = config.test.acceptance.as_ref().map(|acceptance| AcceptanceSpec {
            dir: gate::acceptance_folder(config, acceptance),
            tags: acceptance.tags.clone(),
        });
        let wanted = Wanted { service: name.clone(), build, tests_below: Some(folder) };
        Ok(Some(TestSpec { wanted, flags: config.test.flags.clone(), acceptance }))
    }
}
