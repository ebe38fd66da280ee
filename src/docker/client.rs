//! The way to one engine. Every call is bounded in time: an engine that hangs must not hang us.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::API_DEFAULT_VERSION;
use bollard::errors::Error as Said;
use tokio::time::timeout;

use super::failure::{Class, Failure};
use super::find::{self, Address, Candidate};
use super::words;
use crate::task::environment::Environment;

/// An engine that is well says who it is within this time.
const HELLO: Duration = Duration::from_secs(5);
/// Whatever only looks is answered within this time.
pub(super) const LOOK: Duration = Duration::from_secs(20);
/// Whatever makes, starts or removes something is done within this time.
pub(super) const CHANGE: Duration = Duration::from_secs(120);
/// The head of an answer comes within this time; what follows has bounds of its own.
const HEAD: Duration = Duration::from_secs(180);

/// An engine that has answered; cheap to clone. It holds no connection: each call makes its own.
#[derive(Clone, Debug)]
pub struct Docker {
    engine: bollard::Docker,
    facts: Arc<Facts>,
}

#[derive(Debug)]
struct Facts {
    address: Address,
    api: (usize, usize),
    version: String,
    arch: String,
}

impl Docker {
    /// Finds the engine as the `docker` command does, from the environment of whoever asks, and makes sure that it answers. Nothing of this process's
    /// own environment counts.
    pub async fn connect(env: &Environment) -> Result<Docker, Failure> {
        let mut first = None;
        for candidate in find::candidates(env)? {
            match reach(&candidate).await {
                Ok(docker) => return Ok(docker),
                Err(failure) => _ = first.get_or_insert(failure),
            }
        }
        Err(first.unwrap_or_else(|| find::nobody(env)))
    }

    /// The engine at a known address, `unix:///var/run/docker.sock`; whatever the environment says now.
    pub async fn at(address: &str) -> Result<Docker, Failure> {
        let address = Address::parse(address, false, "its record")?;
        reach(&Candidate { address, said_by: None }).await
    }

    /// Where it is, as [`Docker::at`] takes it.
    pub fn address(&self) -> String {
        self.facts.address.to_string()
    }

    /// It has a socket on this machine. Its containers may still run in a virtual one.
    pub fn is_local(&self) -> bool {
        matches!(self.facts.address, Address::Unix(_))
    }

    /// The newest API it speaks: `(1, 41)`.
    pub fn api(&self) -> (usize, usize) {
        self.facts.api
    }

    /// Its own version, `20.10.24`.
    pub fn version(&self) -> &str {
        &self.facts.version
    }

    /// The architecture of its machine, as Go calls it; empty where it does not say.
    pub fn arch(&self) -> &str {
        &self.facts.arch
    }

    /// For streams (logs, statistics, events), whose length nobody can bound: only the head of the answer is.
    pub fn engine(&self) -> &bollard::Docker {
        &self.engine
    }

    /// An error of [`Docker::engine`] in words.
    pub fn failure(&self, said: &Said) -> Failure {
        words::of(said, &self.facts.address)
    }

    /// Makes sure that it answers.
    pub async fn ping(&self) -> Result<(), Failure> {
        self.bounded(HELLO, self.engine.ping()).await.map(drop)
    }

    /// Does `work`, at most for `limit`.
    pub(super) async fn bounded<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Said>>,
    ) -> Result<T, Failure> {
        match timeout(limit, work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(said)) => Err(self.failure(&said)),
            Err(_) => Err(words::timed_out(&self.facts.address, limit)),
        }
    }

    /// The same, where what is not there is an answer.
    pub(super) async fn if_there<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Said>>,
    ) -> Result<Option<T>, Failure> {
        let not_there = |said: &Said| matches!(said, Said::DockerResponseServerError { status_code: 404, .. });
        match timeout(limit, work).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(said)) if not_there(&said) => Ok(None),
            Ok(Err(said)) => Err(self.failure(&said)),
            Err(_) => Err(words::timed_out(&self.facts.address, limit)),
        }
    }
}

/// Opens the way, and asks who is there.
async fn reach(candidate: &Candidate) -> Result<Docker, Failure> {
    let address = &candidate.address;
    let engine = match address {
        Address::Unix(path) => unix(path),
        Address::Tcp(host) => bollard::Docker::connect_with_http(host, HEAD.as_secs(), API_DEFAULT_VERSION),
    };
    let engine = engine.map_err(|said| words::unreached(&said, candidate))?;
    let answer = timeout(HELLO, engine.version()).await;
    let version = match answer {
        Ok(Ok(version)) => version,
        Ok(Err(said)) => return Err(words::unreached(&said, candidate)),
        Err(_) => return Err(words::timed_out(address, HELLO)),
    };
    let number = version.api_version.unwrap_or_default();
    let api = number.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let Some(api) = api else {
        let message = format!("`{address}` does not answer like a Docker engine");
        return Err(Failure::new(Class::BadAddress, message, "is DOCKER_HOST right?"));
    };
    let (version, arch) = (version.version.unwrap_or_default(), version.arch.unwrap_or_default());
    let facts = Facts { address: address.clone(), api, version, arch };
    Ok(Docker { engine, facts: Arc::new(facts) })
}

fn unix(path: &Path) -> Result<bollard::Docker, Said> {
    bollard::Docker::connect_with_unix(&path.to_string_lossy(), HEAD.as_secs(), API_DEFAULT_VERSION)
}
