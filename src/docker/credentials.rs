//! The password of a registry, as `docker login` left it: in the docker command's own settings, or with a helper that they name.

use std::collections::HashMap;
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::find::settings_folder;
use crate::task::environment::Environment;

/// A helper that asks a person for a password has so long.
const HELPER: Duration = Duration::from_secs(30);
/// What Docker Hub is called in these settings.
const HUB: &str = "https://index.docker.io/v1/";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    auths: HashMap<String, Auth>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
    #[serde(rename = "credHelpers")]
    helpers: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    identitytoken: Option<String>,
}

/// A helper's answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// What is known for the registry of an image. Without an entry, or with one that cannot be read, the registry is asked as anybody: it will say where
/// that is not enough.
pub(super) async fn of(env: &Environment, image: &str) -> Option<DockerCredentials> {
    let bytes = std::fs::read(settings_folder(env)?.join("config.json")).ok()?;
    let settings: Settings = serde_json::from_slice(&bytes).ok()?;
    let server = server(image);
    let helper = settings.helpers.get(server).or(settings.store.as_ref());
    if let Some(found) = settings.auths.get(server).and_then(|auth| plain(auth, server)) {
        return Some(found);
    }
    ask(env, helper?, server).await
}

/// The registry of an image, as these settings name it: what stands before the first slash, where that can be a host.
fn server(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host == "localhost" || host.contains(['.', ':']) => match host {
            "docker.io" | "index.docker.io" => HUB,
            _ => host,
        },
        Some(_) | None => HUB,
    }
}

fn plain(auth: &Auth, server: &str) -> Option<DockerCredentials> {
    let text = String::from_utf8(STANDARD.decode(auth.auth.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(DockerCredentials {
        username: Some(username.to_owned()),
        password: Some(password.trim_end_matches('\0').to_owned()),
        identitytoken: auth.identitytoken.clone(),
        serveraddress: Some(server.to_owned()),
        ..DockerCredentials::default()
    })
}

/// Asks a helper, `docker-credential-NAME`, which is found in the caller's PATH.
async fn ask(env: &Environment, name: &str, server: &str) -> Option<DockerCredentials> {
    let program = OsString::from(format!("docker-credential-{name}"));
    let folders = std::env::split_paths(env.get("PATH")?).collect::<Vec<_>>();
    let program = folders.into_iter().map(|folder| folder.join(&program)).find(|file| file.is_file())?;
    let mut child = Command::new(program)
        .arg("get")
        .env_clear()
        .envs(env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(server.as_bytes()).await.ok()?;
    let out = timeout(HELPER, child.wait_with_output()).await.ok()?.ok()?;
    let answer: Answer = serde_json::from_slice(&out.stdout).ok()?;
    let token = answer.username == "<token>";
    Some(DockerCredentials {
        username: (!token).then(|| answer.username.clone()),
        password: (!token).then(|| answer.secret.clone()),
        identitytoken: token.then(|| answer.secret.clone()),
        serveraddress: Some(server.to_owned()),
        ..DockerCredentials::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_registry_is_known_by_its_host() {
        for (image, host) in [
            ("postgres:16", HUB),
            ("library/postgres", HUB),
            ("docker.io/library/postgres", HUB),
            ("ghcr.io/team/db:1", "ghcr.io"),
            ("localhost/db", "localhost"),
            ("10.0.0.7:5000/db", "10.0.0.7:5000"),
        ] {
            assert_eq!(server(image), host, "{image}");
        }
    }

    #[tokio::test]
    async fn passwords_come_from_the_settings_or_from_a_helper() {
        let dir = tempfile::tempdir().unwrap();
        let secret = STANDARD.encode("me:pass:word");
        let text = format!(
            r#"{{"auths":{{"ghcr.io":{{"auth":"{secret}"}},"quay.io":{{}}}},"credHelpers":{{"quay.io":"try"}}}}"#
        );
        std::fs::write(dir.path().join("config.json"), text).unwrap();
        let helper = dir.path().join("docker-credential-try");
        let script = "#!/bin/sh\nread -r server\necho \"{\\\"ServerURL\\\":\\\"$server\\\",\\\"Username\\\":\\\"you\\\",\\\"Secret\\\":\\\"for $server\\\"}\"\n";
        std::fs::write(&helper, script).unwrap();
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().display().to_string();
        let env: Environment =
            [("DOCKER_CONFIG".into(), path.clone().into()), ("PATH".into(), path.into())].into_iter().collect();
        let known = async |image: &str| of(&env, image).await.map(|found| (found.username, found.password));
        let pair = |user: &str, password: &str| Some((Some(user.to_owned()), Some(password.to_owned())));
        assert_eq!(known("ghcr.io/team/db").await, pair("me", "pass:word"));
        assert_eq!(known("quay.io/team/db").await, pair("you", "for quay.io"));
        assert_eq!(known("postgres:16").await, None);
    }
}
