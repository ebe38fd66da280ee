//! Where the engine is, as the `docker` command finds it: `DOCKER_HOST`, then a context, then the usual places. All from the environment of whoever
//! asked: a background process has none worth using.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::failure::{Class, Failure};
use crate::task::environment::Environment;

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A socket on this machine. Behind it may still be a virtual one.
    Unix(PathBuf),
    /// `host:port`, without encryption.
    Tcp(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp(host) => write!(f, "tcp://{host}"),
        }
    }
}

/// Where an engine may be, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Where.
    pub(super) address: Address,
    /// `DOCKER_HOST`, or the context's name in words; `None`: it is where engines usually are.
    pub(super) said_by: Option<String>,
}

impl Address {
    /// Reads `unix:///run/docker.sock` or `tcp://10.0.0.7:2375`. `tls` says that whoever gave it wants encryption.
    pub fn parse(text: &str, tls: bool, said_by: &str) -> Result<Address, Failure> {
        let bad = |message: String, hint: &str| Failure::new(Class::BadAddress, message, hint);
        let tunnel = "make a tunnel: `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST`, and set DOCKER_HOST=unix:///tmp/docker.sock";
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Address::Unix(path.into())),
            Some(("tcp" | "http", host)) if !host.is_empty() && !tls => {
                let host = host.trim_end_matches('/');
                let host = host.strip_prefix(':').map_or_else(|| host.to_owned(), |port| format!("127.0.0.1:{port}"));
                let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                Ok(Address::Tcp(if has_port { host } else { format!("{host}:2375") }))
            }
            Some(("tcp" | "http" | "https", host)) if !host.is_empty() => Err(bad(
                format!("the engine at `{text}` ({said_by}) wants TLS, which orchestra does not speak"),
                tunnel,
            )),
            Some(("ssh", _)) => {
                Err(bad(format!("`{text}` ({said_by}): orchestra does not reach engines by ssh itself"), tunnel))
            }
            Some(_) | None => Err(bad(
                format!("`{text}` ({said_by}) is no address of an engine"),
                "it looks like `unix:///var/run/docker.sock` or `tcp://host:2375`",
            )),
        }
    }
}

/// The folder of the docker command's own settings: `DOCKER_CONFIG`, else `~/.docker`.
pub(super) fn settings_folder(env: &Environment) -> Option<PathBuf> {
    match text(env, "DOCKER_CONFIG") {
        Some(folder) => Some(folder.into()),
        None => Some(home(env)?.join(".docker")),
    }
}

/// Every place to try, best first; a single one where somebody named it.
pub(super) fn candidates(env: &Environment) -> Result<Vec<Candidate>, Failure> {
    let tls = || text(env, "DOCKER_TLS_VERIFY").is_some() || text(env, "DOCKER_TLS").is_some();
    if let Some(host) = text(env, "DOCKER_HOST") {
        let address = Address::parse(&host, tls(), "DOCKER_HOST")?;
        return Ok(vec![Candidate { address, said_by: Some("DOCKER_HOST".into()) }]);
    }
    match context(env)? {
        Some(candidate) => Ok(vec![candidate]),
        None => {
            let usual = |path| Candidate { address: Address::Unix(path), said_by: None };
            Ok(usual_places(env).into_iter().map(usual).collect())
        }
    }
}

/// The docker command's own settings, as far as they say where the engine is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    #[serde(rename = "currentContext")]
    current: Option<String>,
}

/// `contexts/meta/<hash>/meta.json`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Meta {
    name: String,
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Endpoints {
    docker: Endpoint,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Endpoint {
    host: String,
}

/// The context that is in use; `None` for the one that stands for the usual places.
fn context(env: &Environment) -> Result<Option<Candidate>, Failure> {
    let Some(folder) = settings_folder(env) else { return Ok(None) };
    let in_settings = || read::<Settings>(&folder.join("config.json")).unwrap_or_default().current;
    let name = text(env, "DOCKER_CONTEXT").or_else(in_settings);
    let Some(name) = name.filter(|name| !name.is_empty() && name != "default") else { return Ok(None) };
    let said_by = format!("the docker context `{name}`");
    let metas = std::fs::read_dir(folder.join("contexts/meta")).into_iter().flatten().flatten();
    let found = metas.map(|entry| entry.path()).find_map(|path| {
        let meta = read::<Meta>(&path.join("meta.json")).filter(|meta| meta.name == name)?;
        // Its certificates lie in a folder of the same hash.
        let tls = folder.join("contexts/tls").join(path.file_name()?).join("docker").is_dir();
        Some((meta.endpoints.docker.host, tls))
    });
    let Some((host, tls)) = found else {
        let message = format!("{said_by} does not exist");
        return Err(Failure::new(
            Class::BadAddress,
            message,
            "`docker context ls` lists them, `docker context use default` goes back",
        ));
    };
    let address = Address::parse(&host, tls, &said_by)?;
    Ok(Some(Candidate { address, said_by: Some(said_by) }))
}

/// A file of somebody else's; what cannot be understood says nothing.
fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Docker's own socket, those of rootless and desktop engines, and podman's; only those that are there.
fn usual_places(env: &Environment) -> Vec<PathBuf> {
    let runtime = text(env, "XDG_RUNTIME_DIR").map_or_else(own_runtime, PathBuf::from);
    let mut places = vec![PathBuf::from("/var/run/docker.sock"), runtime.join("docker.sock")];
    let in_home = [
        ".docker/run/docker.sock",
        ".docker/desktop/docker.sock",
        ".orbstack/run/docker.sock",
        ".colima/default/docker.sock",
        ".rd/docker.sock",
    ];
    places.extend(home(env).iter().flat_map(|home| in_home.map(|name| home.join(name))));
    places.push(runtime.join("podman/podman.sock"));
    places.push("/run/podman/podman.sock".into());
    places.retain(|path| std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_socket()));
    // `/var/run` is `/run`, and a link from one place to another is no second engine.
    let mut known = Vec::new();
    places.retain(|path| {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        let is_new = !known.contains(&real);
        known.push(real);
        is_new
    });
    places
}

fn own_runtime() -> PathBuf {
    PathBuf::from(format!("/run/user/{}", nix::unistd::geteuid()))
}

/// Nobody listens anywhere: because nobody was installed, or because nobody was started?
pub(super) fn nobody(env: &Environment) -> Failure {
    let path = env.get("PATH").unwrap_or_default();
    let has = |name: &str| {
        std::env::split_paths(path).chain(["/usr/bin".into(), "/usr/local/bin".into(), "/usr/sbin".into()]).any(
            |folder| {
                std::fs::metadata(folder.join(name))
                    .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
            },
        )
    };
    if has("docker") || has("dockerd") || Path::new("/Applications/Docker.app").exists() {
        return Failure::new(Class::NotRunning, "the Docker engine is not running", start_hint());
    }
    if has("podman") {
        let hint = "`systemctl --user start podman.socket` starts podman's";
        return Failure::new(Class::NotRunning, "no container engine is running", hint);
    }
    let hint = "install Docker (https://docs.docker.com/get-docker), or say where one is: DOCKER_HOST=unix:///path/to/docker.sock";
    Failure::new(Class::NotInstalled, "there is no Docker on this machine", hint)
}

/// How an engine that is installed is started here.
pub(super) fn start_hint() -> &'static str {
    match Path::new("/run/systemd/system").is_dir() {
        true => "`sudo systemctl start docker` starts it",
        false => "start Docker, then try again",
    }
}

fn text(env: &Environment, key: &str) -> Option<String> {
    env.get(key).filter(|value| !value.is_empty()).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn home(env: &Environment) -> Option<PathBuf> {
    text(env, "HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    #[test]
    fn addresses_are_read_as_docker_reads_them() {
        let read = |text: &str, tls| Address::parse(text, tls, "DOCKER_HOST").map(|address| address.to_string());
        assert_eq!(read("unix:///run/x.sock", true).unwrap(), "unix:///run/x.sock");
        assert_eq!(read("tcp://10.0.0.7:4000", false).unwrap(), "tcp://10.0.0.7:4000");
        assert_eq!(read("tcp://10.0.0.7", false).unwrap(), "tcp://10.0.0.7:2375");
        assert_eq!(read("tcp://:2375/", false).unwrap(), "tcp://127.0.0.1:2375");
        for (text, tls) in
            [("tcp://10.0.0.7:2376", true), ("ssh://me@host", false), ("docker.sock", false), ("unix://x", false)]
        {
            let failure = read(text, tls).unwrap_err();
            assert_eq!(failure.class, Class::BadAddress, "{text}");
            assert!(failure.message.contains(text) && !failure.hint.is_empty(), "{failure}");
        }
    }

    #[test]
    fn a_named_engine_is_the_only_one_that_is_tried() {
        let dir = tempfile::tempdir().unwrap();
        let meta = dir.path().join("contexts/meta/0a1b");
        std::fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"lab","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/lab.sock","SkipTLSVerify":false}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        std::fs::write(dir.path().join("config.json"), r#"{"currentContext":"lab","auths":{}}"#).unwrap();
        let config = dir.path().to_str().unwrap();
        let by = |pairs: &[(&str, &str)]| {
            let found = candidates(&env(pairs)).map_err(|failure| failure.to_string());
            found.map(|all| all.iter().map(|one| (one.address.to_string(), one.said_by.clone())).collect::<Vec<_>>())
        };
        let lab = vec![("unix:///run/lab.sock".to_owned(), Some("the docker context `lab`".to_owned()))];
        assert_eq!(by(&[("DOCKER_CONFIG", config)]), Ok(lab.clone()));
        assert_eq!(by(&[("DOCKER_CONTEXT", "lab"), ("DOCKER_CONFIG", config)]), Ok(lab));
        let host = vec![("tcp://h:1".to_owned(), Some("DOCKER_HOST".to_owned()))];
        assert_eq!(by(&[("DOCKER_HOST", "tcp://h:1"), ("DOCKER_CONTEXT", "lab"), ("DOCKER_CONFIG", config)]), Ok(host));
        let gone = by(&[("DOCKER_CONTEXT", "away"), ("DOCKER_CONFIG", config)]).unwrap_err();
        assert!(gone.starts_with("the docker context `away` does not exist; `docker context ls`"), "{gone}");
        // Certificates beside a context say that it wants TLS.
        std::fs::create_dir_all(dir.path().join("contexts/tls/0a1b/docker")).unwrap();
        std::fs::write(meta.join("meta.json"), text.replace("unix:///run/lab.sock", "tcp://lab:2376")).unwrap();
        assert!(by(&[("DOCKER_CONFIG", config)]).unwrap_err().contains("wants TLS"));
    }

    #[test]
    fn the_usual_places_are_those_where_a_socket_is() {
        let dir = tempfile::tempdir().unwrap();
        let (home, runtime) = (dir.path().join("home"), dir.path().join("run"));
        for folder in [home.join(".docker/run"), home.join(".colima/default"), runtime.join("podman")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let sockets =
            [home.join(".docker/run/docker.sock"), runtime.join("podman/podman.sock"), runtime.join("docker.sock")];
        let _held: Vec<UnixListener> = sockets.iter().map(|path| UnixListener::bind(path).unwrap()).collect();
        std::fs::write(home.join(".colima/default/docker.sock"), "no socket").unwrap();
        let env = env(&[("HOME", home.to_str().unwrap()), ("XDG_RUNTIME_DIR", runtime.to_str().unwrap())]);
        let found: Vec<PathBuf> = usual_places(&env).into_iter().filter(|path| path.starts_with(dir.path())).collect();
        assert_eq!(found, [sockets[2].clone(), sockets[0].clone(), sockets[1].clone()]);
        assert_eq!(candidates(&env).unwrap().iter().filter(|one| one.said_by.is_some()).count(), 0);
    }
}
