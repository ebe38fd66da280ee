//! The facts that `init` and `doctor` ask for: where one stands, what the project declares, what runs.

use super::context::Context;
use super::doctor::{self, DeclaredPort, DoctorArgs, Facts, Form};
use super::init::{self, InitArgs};
use super::{answers, hooks};
use crate::error::Error;
use crate::project::Project;
use crate::project::find::here;
use crate::services::spec::Program;

/// `orchestra init`: in the folder of `-C`, or the present one.
pub(super) fn init(context: &Context, args: &InitArgs) -> Result<(), Error> {
    let dir = here()?;
    let dir = context.global.directory.as_ref().map_or(dir.clone(), |inner| dir.join(inner));
    if !dir.is_dir() {
        return Err(Error::usage(format!("`{}` is not a folder", dir.display())).hint("-C takes the folder to work in"));
    }
    init::run(args, &init::Place { dir, env: std::env::vars_os().collect(), form: form(context) })
}

/// `orchestra doctor`: of the project one stands in, or of the machine alone.
pub(super) fn doctor(context: &Context, args: &DoctorArgs) -> Result<(), Error> {
    let mut facts = Facts { root: here()?, env: std::env::vars_os().collect(), ..Facts::default() };
    if let Ok(place) = context.place() {
        facts.root.clone_from(&place.home.root);
        match context.load(&place) {
            Ok(project) => {
                learn(&mut facts, &project);
                declared(&mut facts, &project, &place)?;
            }
            Err(error) => facts.problems = error.details,
        }
        let running = context.wait(answers::ps(&context.output, &place, None))?;
        facts.own = running.services.iter().flat_map(|s| &s.instances).filter_map(|i| i.pid).collect();
    }
    // What doctor prints as JSON says itself whether all is well.
    context.output.has_told();
    doctor::run(args, &facts, form(context))
}

fn learn(facts: &mut Facts, project: &Project) {
    facts.warnings = project.warnings.iter().map(ToString::to_string).collect();
    facts.vendors = !project.vendors.is_empty() || project.runs_in_docker();
    facts.limited = project.services.values().any(|s| s.config.resources.limit_anything());
    facts.instances = project.services.values().map(|s| s.config.scale).sum();
    let builds = project.services.values().filter(|s| matches!(s.config.program, Program::Go(_)));
    facts.go_folders = builds.map(|s| s.config.folder.clone()).collect();
}

fn declared(facts: &mut Facts, project: &Project, place: &super::context::Place) -> Result<(), Error> {
    let names: Vec<_> = project.services.keys().cloned().collect();
    let specs = hooks::with_input(place, project, "start", &names, |input| project.resolve(input));
    // What cannot be resolved is a problem of the configuration, told as such.
    let specs = match specs {
        Ok(specs) => specs,
        Err(error) => {
            facts.problems = error.details;
            return Ok(());
        }
    };
    for run in specs.iter().flat_map(|spec| &spec.runs) {
        let owner = run.instance.to_string();
        facts.ports.extend(run.ports.iter().map(|p| DeclaredPort {
            owner: owner.clone(),
            number: p.number,
            protocol: p.protocol,
        }));
    }
    Ok(())
}

fn form(context: &Context) -> Form {
    if context.output.is_json() { Form::Json } else { Form::Text }
}
