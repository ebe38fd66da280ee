//! A vendor whose image tag was edited: its data were written by the old one, and the new one may read them in a way of no return. So a person is asked
//! before its container is made anew.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal};
use std::path::Path;

use super::super::context::{Context, Place};
use super::super::text;
use super::{environment, specs};
use crate::docker::{Docker, Kept, image_of_data};
use crate::error::{Context as _, Error};
use crate::project::Project;
use crate::task::id::ServiceName;

/// A vendor with data whose container is of another image than the file says now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Changed {
    vendor: ServiceName,
    was: String,
    is: String,
}

/// Which of these vendors may be made anew though their image's tag has changed: all with `yes`, those a person agrees to on a terminal. Elsewhere, and where a
/// person says no, it is an error, and nothing is done.
pub(in crate::cli) fn agreed(
    context: &Context,
    place: &Place,
    project: &Project,
    names: &BTreeSet<ServiceName>,
    yes: bool,
) -> Result<Vec<String>, Error> {
    let vendors: BTreeSet<ServiceName> =
        names.iter().filter(|name| project.vendors.contains_key(name)).cloned().collect();
    if vendors.is_empty() {
        return Ok(Vec::new());
    }
    if yes {
        return Ok(vendors.iter().map(ToString::to_string).collect());
    }
    let changed = context.wait(find(place, project, &vendors))?;
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let lines: Vec<String> = changed.iter().map(line).collect();
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !terminal || context.output.is_json() {
        return Err(refused("the image of a vendor with data has changed", &lines));
    }
    context.output.say("the image has changed, and the data were written by the old one:");
    lines.iter().for_each(|line| context.output.say(&format!("  {}", text::clean(line))));
    context.output.ask("make it anew with these data? [y/N] ");
    match is_yes()? {
        true => Ok(changed.into_iter().map(|one| one.vendor.to_string()).collect()),
        false => Err(refused("nothing was done: the image of a vendor with data has changed", &lines)),
    }
}

fn line(changed: &Changed) -> String {
    format!("{}: {} -> {}", changed.vendor, changed.was, changed.is)
}

fn refused(message: &str, lines: &[String]) -> Error {
    let error = Error::usage(message).hint("`--yes` makes it anew with the data it has; back them up first");
    lines.iter().fold(error, |error, line| error.detail(line.clone())).hint("or write the old image into the file again")
}

/// Reads what a person types to a question.
pub(super) fn is_yes() -> Result<bool, Error> {
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("read", Path::new("the answer"))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Where the engine cannot be asked, nothing is made anew either.
async fn find(place: &Place, project: &Project, vendors: &BTreeSet<ServiceName>) -> Result<Vec<Changed>, Error> {
    let wanted = specs(place, project, vendors)?;
    let env = environment(place, Some(project))?;
    let Ok(docker) = Docker::connect(&env).await else { return Ok(Vec::new()) };
    let Ok(there) = docker.containers(&place.home.root).await else { return Ok(Vec::new()) };
    let mut changed = Vec::new();
    for (vendor, spec) in wanted {
        // The newest first: older ones are remains.
        let of = |kept: &&Kept| kept.instance.as_ref().is_some_and(|instance| instance.service == vendor);
        let Some(kept) = there.iter().find(of) else { continue };
        if let Some(was) = with_data(&docker, kept).await.filter(|was| *was != spec.image) {
            changed.push(Changed { vendor, was, is: spec.image.clone() });
        }
    }
    changed.dedup();
    Ok(changed)
}

/// The image that a container was made of, as it was written; `None` where it keeps no data outside of itself.
async fn with_data(docker: &Docker, kept: &Kept) -> Option<String> {
    let all = docker.inspect(&kept.id).await.ok()??;
    image_of_data(&all).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_changed_and_what_to_type() {
        let vendor = ServiceName::fold("postgres").unwrap();
        let changed = Changed { vendor, was: "postgres:15".into(), is: "postgres:16".into() };
        let error = refused("x", &[line(&changed)]);
        assert_eq!((error.kind, error.details), (crate::error::Kind::Usage, vec!["postgres: postgres:15 -> postgres:16".to_owned()]));
        assert!(error.hints[0].contains("--yes"));
    }
}
