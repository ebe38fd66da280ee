//! The Docker engine: whether it is there, may be used, is new enough, and has room.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::checks::check;
use super::{Check, Status};
use crate::cli::context::runtime;
use crate::cli::text;
use crate::docker::{Docker, Failure};
use crate::sys::filesystem;
use crate::task::environment::Environment;

/// Engines from 19.03 on; what older ones answer was never looked at.
const OLDEST: (usize, usize) = (1, 40);
/// Less is soon used up by an image or two.
const ROOM: u64 = 4 << 30;
/// An engine that says what it is gets so long to say where its data are.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks for the engine as every command does. Of one that answers it says its version and whether its disk is nearly full.
pub fn docker(env: &[(OsString, OsString)]) -> Vec<Check> {
    let env: Environment = env.iter().cloned().collect();
    let asked = match runtime() {
        Ok(runtime) => runtime.block_on(ask(&env)),
        Err(error) => return vec![check("docker", Status::Failed, error.message)],
    };
    match asked {
        Ok((docker, folder)) => {
            let mut out = vec![version(docker.version(), docker.api(), &docker.address())];
            out.extend(folder.filter(|_| docker.is_local()).and_then(|folder| room(Path::new(&folder))));
            out
        }
        Err(failure) => vec![away(failure)],
    }
}

/// The engine, and the folder of its data.
async fn ask(env: &Environment) -> Result<(Docker, Option<String>), Failure> {
    let docker = Docker::connect(env).await?;
    let info = timeout(PATIENCE, docker.engine().info()).await;
    let folder = info.ok().and_then(Result::ok).and_then(|info| info.docker_root_dir);
    Ok((docker, folder))
}

fn away(failure: Failure) -> Check {
    let found = check("docker", Status::Failed, failure.message);
    if failure.hint.is_empty() { found } else { found.mend(failure.hint) }
}

fn version(version: &str, api: (usize, usize), address: &str) -> Check {
    let message = format!("engine {version} (API {}.{}) answers on {address}", api.0, api.1);
    match api < OLDEST {
        false => check("docker", Status::Ok, message),
        true => check("docker", Status::Warning, format!("{message}; it is older than what orchestra is tested with"))
            .mend("install Docker 20.10 or newer, as https://docs.docker.com/engine/install/ says"),
    }
}

/// `None` where there is room, or where the folder lies in a virtual machine.
fn room(folder: &Path) -> Option<Check> {
    let disk = filesystem::look(folder).ok()?;
    let is_full = disk.free < ROOM.min(disk.size / 20);
    let message = format!("its data in {} have {} left", folder.display(), text::size(disk.free));
    is_full.then(|| {
        check("docker", Status::Warning, message)
            .mend("`docker system df` shows what uses the room, `docker system prune` removes what nobody uses")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::Class;

    #[test]
    fn it_is_asked_where_the_environment_says() {
        let found = docker(&[("DOCKER_HOST".into(), "unix:///nowhere/docker.sock".into())]);
        assert_eq!((found.len(), found[0].status), (1, Status::Failed));
        assert!(found[0].message.contains("/nowhere/docker.sock") && found[0].fix.is_some(), "{found:?}");
    }

    #[test]
    fn each_finding_says_how_to_mend_it() {
        let gone = away(Failure::new(Class::NotRunning, "the engine is not running", "start it"));
        assert_eq!((gone.status, gone.fix.as_deref()), (Status::Failed, Some("start it")));
        assert_eq!(version("20.10.24", (1, 41), "unix:///x").status, Status::Ok);
        let old = version("18.09", (1, 39), "unix:///x");
        assert!(old.status == Status::Warning && old.fix.is_some(), "{old:?}");
        assert_eq!(room(Path::new("/nowhere")), None);
    }
}
