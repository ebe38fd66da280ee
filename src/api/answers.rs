//! What `ps` and `why` answer: the supervisor's word, or what the files say where none answers.

use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::client::{self, Client};
use super::{convert, lock, wire};
use crate::error::{Error, Kind};
use crate::project::Project;
use crate::store::tested;
use crate::supervisor::disk::{self, Told};
use crate::sys::home::Home;
use crate::task::id::ServiceName;
use crate::worker::docker::{alone, record};

/// A supervisor that dies over its answer is followed by another, or by none: it is asked again so often.
const ASKED: usize = 5;

/// Asks the supervisor; or says why none answers: nobody runs (`None`), or one runs that is silent (a sentence).
async fn ask<T>(
    home: &Home,
    question: impl for<'a> Fn(&'a mut Client) -> BoxFuture<'a, Result<T, Error>>,
) -> Result<Result<T, Option<String>>, Error> {
    for n in 1.. {
        let mut client = match client::existing(home).await {
            Ok(Some(client)) => client,
            Ok(None) => break,
            Err(error) if error.kind == Kind::Silent => return Ok(Err(Some(in_one_line(&error)))),
            Err(error) => return Err(error),
        };
        match question(&mut client).await {
            Err(error) if error.kind == Kind::Unreachable && n < ASKED => {}
            answer => return answer.map(Ok),
        }
    }
    Ok(Err(None))
}

fn in_one_line(error: &Error) -> String {
    std::iter::once(&error.message).chain(&error.hints).map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// What `ps` answers, with the newest tests, which are in files. `name` says the project's where it could not be loaded.
pub async fn ps(
    home: &Home,
    project: Option<&Project>,
    name: &(dyn Fn() -> String + Sync),
) -> Result<Told<wire::Ps>, Error> {
    let mut told = without_tests(home, project, name).await?;
    for service in told.answer.services.iter_mut().filter(|service| service.test.is_none()) {
        let last = ServiceName::fold(&service.name).and_then(|name| tested::load(&home.state(), &name));
        service.test = last.map(|last| {
            let at = convert::time(last.at_us);
            serde_json::json!({
                "state": last.state, "passed": last.passed, "failed": last.failed, "skipped": last.skipped, "at": at, "run": last.run,
            })
        });
    }
    Ok(told)
}

async fn without_tests(
    home: &Home,
    project: Option<&Project>,
    name: &(dyn Fn() -> String + Sync),
) -> Result<Told<wire::Ps>, Error> {
    let trouble = match ask(home, |client| client.ps().boxed()).await? {
        Ok(answer) => return Ok(Told { answer, aside: Vec::<PathBuf>::new() }),
        Err(trouble) => trouble,
    };
    let pid = trouble.as_ref().and_then(|_| lock::holder(home));
    let told = disk::snapshot(home, project, alone::look(home).await)?;
    let answer = wire::Ps {
        project: project.map_or_else(name, |project| project.name.clone()),
        root: home.root.to_string_lossy().into_owned(),
        supervisor: wire::Supervisor { running: trouble.is_some(), pid, trouble, ..wire::Supervisor::default() },
        services: told.answer.services.iter().map(convert::service).collect(),
    };
    Ok(Told { answer, aside: told.aside })
}

async fn ask_why(client: &mut Client, name: String) -> Result<wire::Why, Error> {
    client.why(&name).await
}

/// What `why` answers.
pub async fn why(home: &Home, project: Option<&Project>, name: &str) -> Result<Told<wire::Why>, Error> {
    let trouble = match ask(home, |client| ask_why(client, name.to_owned()).boxed()).await? {
        Ok(answer) => return Ok(Told { answer, aside: Vec::new() }),
        Err(trouble) => trouble,
    };
    let who = trouble.as_deref().unwrap_or("no supervisor runs");
    let sights = alone::look(home).await;
    let told = disk::explain(home, project, &convert::service_name(name)?, who, sights)?;
    let unknown = || {
        Error::usage(format!("there is no service `{name}`")).hint("`orchestra ps` lists the services of this project")
    };
    let answer = told.answer.as_ref().map(|answer| convert::why(answer, &record::all(home).0)).ok_or_else(unknown)?;
    Ok(Told { answer, aside: told.aside })
}
