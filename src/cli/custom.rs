//! `commands:` of the project, for the dashboard: which there are, and what is run for one: the hooks of `run` around it, in the project's environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use super::context::{Context, Place};
use super::hooks;
use crate::config::env::Variable;
use crate::config::problem;
use crate::config::template::Template;
use crate::error::Error;
use crate::project::Project;
use crate::project::load::{LoadOptions, load};
use crate::project::resolve::CallerEnv;
use crate::sys::home::Home;
use crate::sys::process::MARKER;
use crate::task::spec::Caller;
use crate::tui::{Commands, Prepared};

/// The commands of a project. `mask` is this process's file mode creation mask, which cannot be read once there are threads.
pub(super) fn offered(context: &Context, place: &Place, project: &Project, mask: u32) -> Commands {
    let options = LoadOptions { config: place.config.clone(), trust: context.global.trust };
    let home = place.home.clone();
    let prepare = move |name: &str| {
        // As the files are now.
        let project = load(&home.root, &options).map_err(problem::error)?;
        prepared(&home, &project, name, mask)
    };
    Commands { names: project.commands.iter().map(shown).collect(), prepare: Arc::new(prepare) }
}

fn shown((name, words): &(String, Vec<Template>)) -> (String, String) {
    let words = words.iter().map(|word| word.constant().unwrap_or_else(|| "…".to_owned()));
    (name.clone(), words.collect::<Vec<_>>().join(" "))
}

fn prepared(home: &Home, project: &Project, name: &str, mask: u32) -> Result<Prepared, Error> {
    let Some((_, words)) = project.commands.iter().find(|(known, _)| known == name) else {
        return Err(Error::usage(format!("orchestra.yml has no command `{name}`")));
    };
    let caller = CallerEnv {
        // A shell that a service opened carries its marker, which is nobody else's.
        env: std::env::vars_os().filter(|(key, _)| key != MARKER).collect(),
        caller: Caller { umask: mask, nofile: None },
        command: "run".to_owned(),
        engine_arch: None,
    };
    let env = hooks::resolved(home, project, caller, &[], |input| project.own_environment(input))?;
    let argv = words.iter().map(|word| filled(word, &env)).collect::<Result<_, _>>()?;
    let hooks = project.hooks("run");
    Ok(Prepared {
        before: hooks.before,
        argv,
        after: hooks.after,
        env: env.into_iter().map(|(key, variable)| (key, variable.value)).collect(),
        dir: project.root.clone(),
    })
}

fn filled(word: &Template, env: &BTreeMap<OsString, Variable>) -> Result<String, Error> {
    let value = |name: &str| env.get(&OsString::from(name)).map(|found| found.value.as_encoded_bytes().to_vec());
    word.fill_text(&mut |name| Ok(value(name))).map_err(|found| problem::error(vec![found]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_the_projects_environment_and_hooks() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let text = "env: {TARGET: staging}\nbefore: [[echo, before]]\nrun: {env: {LEVEL: debug}, after: [[echo, after]]}\n\
            services: {db: {command: [x], port: 7000}}\ncommands: {migrate: [migrate, \"${TARGET}\", \"${DB_ADDR}\", \"${NOT:-no}\"]}\n";
        std::fs::write(root.join("orchestra.yml"), text).unwrap();
        let options = LoadOptions { config: None, trust: true };
        let project = load(&root, &options).map_err(problem::error).unwrap();
        let home = Home::find(&root).unwrap();
        let found = prepared(&home, &project, "migrate", 0o22).unwrap();
        assert_eq!(found.argv, ["migrate", "staging", "127.0.0.1:7000", "no"]);
        assert_eq!(
            (found.before, found.after),
            (vec![vec!["echo".into(), "before".into()]], vec![vec!["echo".into(), "after".into()]])
        );
        assert!(found.env.contains(&("LEVEL".into(), "debug".into())) && found.dir == root);
        assert_eq!(
            prepared(&home, &project, "migrat", 0o22).unwrap_err().message,
            "orchestra.yml has no command `migrat`"
        );
        assert_eq!(shown(&project.commands[0]), ("migrate".to_owned(), "migrate … … …".to_owned()));
    }
}
