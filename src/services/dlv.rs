//! Delve, the debugger of Go: where its program is, how a service runs below it, and the little of its language that is spoken here. Pure but for the
//! look at which files there are.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::sys::child::End;

/// What installs it.
pub const INSTALL: &str = "go install github.com/go-delve/delve/cmd/dlv@latest";
/// The name of its program, and of a command line that was made where it could not be found.
pub const NAME: &str = "dlv";

/// Finds `dlv` as a shell would and, as many a PATH lacks the folder that `go install` writes to, there.
pub fn find(get: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = get("PATH").unwrap_or_default();
    let installed = install_folders(&get);
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).chain(installed);
    folders.map(|folder| folder.join(NAME)).find(|file| runs(file))
}

/// `GOBIN`, else `bin` of each `GOPATH`, which is `~/go` where nothing is said: by variables, and by what `go env -w` has written.
fn install_folders(get: &impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let home = get("HOME").map(PathBuf::from);
    let written = written(get, home.as_deref());
    let value = |key: &str| {
        let said = get(key).filter(|value| !value.is_empty());
        said.or_else(|| written.get(key).map(OsString::from).filter(|value| !value.is_empty()))
    };
    let gobin = value("GOBIN").map(PathBuf::from);
    let gopath = value("GOPATH").map_or_else(
        || home.into_iter().map(|home| home.join("go")).collect(),
        |path| std::env::split_paths(&path).collect::<Vec<_>>(),
    );
    gobin.into_iter().chain(gopath.into_iter().map(|folder| folder.join("bin"))).collect()
}

/// The file of `go env -w`.
fn written(get: &impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> BTreeMap<String, String> {
    let config = || match get("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty() && !cfg!(target_vendor = "apple")) {
        Some(folder) => Some(PathBuf::from(folder)),
        None if cfg!(target_vendor = "apple") => Some(home?.join("Library/Application Support")),
        None => Some(home?.join(".config")),
    };
    let file = get("GOENV").filter(|file| !file.is_empty()).map(PathBuf::from);
    let Some(file) = file.or_else(|| Some(config()?.join("go/env"))) else { return BTreeMap::new() };
    // Most people have none.
    let text = fs::read_to_string(file).unwrap_or_default();
    let pair = |line: &str| line.trim().split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    text.lines().filter_map(pair).collect()
}

fn runs(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The command line that runs `program` (with its arguments) below `dlv`, going on at once, for any number of clients one after another or together.
/// What `dlv` itself has to say goes to its standard input, which is a pipe that its parent reads: the service's own output stays its own.
pub fn argv(dlv: Option<&Path>, port: u16, program: Vec<OsString>) -> Vec<OsString> {
    let mut out: Vec<OsString> = vec![dlv.map_or_else(|| NAME.into(), Into::into)];
    out.extend(
        ["exec", "--headless", "--accept-multiclient", "--continue", "--api-version=2", "--log-dest=0"]
            .map(OsString::from),
    );
    out.push("--redirect=stdin:/dev/null".into());
    out.push(format!("--listen=127.0.0.1:{port}").into());
    let mut program = program.into_iter();
    out.extend(program.next());
    out.push("--".into());
    out.extend(program);
    out
}

/// Whether a command line was made where no `dlv` could be found.
pub fn is_missing(argv: &[OsString]) -> bool {
    argv.first().is_some_and(|program| program == NAME)
}

/// The program below `dlv` in a command line made by [`argv`].
pub fn program(argv: &[OsString]) -> Option<&OsStr> {
    let at = argv.iter().position(|word| word == "--")?;
    argv.get(at.checked_sub(1)?).map(OsString::as_os_str)
}

/// How the service ended, from what `dlv` answers about one that has: `Process 812 has exited with status 2`; a signal counts below 0.
pub fn ended(words: &str) -> Option<End> {
    let (_, status) = words.rsplit_once("has exited with status ")?;
    Some(self::status(status.trim().parse().ok()?))
}

fn status(number: i64) -> End {
    let small = |number: i64| i32::try_from(number).unwrap_or(1);
    if number < 0 { End::Signal(small(-number)) } else { End::Code(small(number)) }
}

/// Where `dlv` listens, in a command line made by [`argv`].
pub fn address(argv: &[OsString]) -> Option<&str> {
    argv.iter().find_map(|word| word.to_str()?.strip_prefix("--listen="))
}

/// What `dlv` says of the program below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It stands still, as at a breakpoint.
    Held,
    /// It has ended.
    Ended(End),
}

/// A connection to a running `dlv`: JSON-RPC, one object a line. It may come and go beside those of people.
#[derive(Debug)]
pub struct Client {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

/// One answer may take so long; a program that runs lets most questions wait until it stands still.
const PATIENCE: Duration = Duration::from_secs(1);

impl Client {
    /// Connects to `127.0.0.1:4000`.
    pub async fn connect(address: &str) -> io::Result<Client> {
        let (reader, writer) = TcpStream::connect(address).await?.into_split();
        Ok(Client { lines: BufReader::new(reader).lines(), writer })
    }

    /// What the program is doing.
    pub async fn state(&mut self) -> io::Result<State> {
        self.tell("State", &json!({"NonBlocking": true})).await?;
        let answer = self.answer().await?;
        if let Some(end) = answer["error"].as_str().and_then(ended) {
            return Ok(State::Ended(end));
        }
        let state = &answer["result"]["State"];
        Ok(match (state["exited"].as_bool(), state["Running"].as_bool()) {
            (Some(true), _) => State::Ended(status(state["exitStatus"].as_i64().unwrap_or(1))),
            (_, Some(true)) => State::Running,
            (_, _) => State::Held,
        })
    }

    /// Takes every breakpoint away from a program that stands still, and lets it go on.
    pub async fn go_on(&mut self) -> io::Result<()> {
        self.tell("ListBreakpoints", &json!({})).await?;
        let answer = self.answer().await?;
        let all = answer["result"]["Breakpoints"].as_array().cloned().unwrap_or_default();
        // Those below 0 are its own, for panics.
        for id in all.iter().filter_map(|breakpoint| breakpoint["id"].as_i64()).filter(|id| *id > 0) {
            self.tell("ClearBreakpoint", &json!({"Id": id})).await?;
            self.answer().await?;
        }
        // This is answered when the program stands still again.
        self.tell("Command", &json!({"name": "continue"})).await
    }

    async fn tell(&mut self, method: &str, argument: &Value) -> io::Result<()> {
        let request = json!({"method": format!("RPCServer.{method}"), "params": [argument], "id": 1});
        self.writer.write_all(format!("{request}\n").as_bytes()).await
    }

    async fn answer(&mut self) -> io::Result<Value> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await??;
        let line = line.ok_or(io::ErrorKind::UnexpectedEof)?;
        serde_json::from_str(&line).map_err(io::Error::other)
    }
}

/// Words of `-gcflags` that take optimisation and inlining away.
const PLAIN: &str = "-N -l";

/// Build flags with those for a debugger among them. `go` takes for each package the last `-gcflags` whose pattern fits, so that ours come first and are
/// added to everybody else's; and a binary must keep its tables.
pub fn build_flags(flags: &[String]) -> Vec<String> {
    let mut out = vec![format!("-gcflags=all={PLAIN}")];
    let mut words = flags.iter();
    while let Some(word) = words.next() {
        let name = word.trim_start_matches('-');
        match (name.split_once('='), name) {
            (Some(("gcflags", value)), _) => out.push(format!("-gcflags={value} {PLAIN}")),
            (None, "gcflags") => out.extend(words.next().map(|value| format!("-gcflags={value} {PLAIN}"))),
            (Some(("ldflags", value)), _) => out.push(format!("-ldflags={}", link_flags(value))),
            (None, "ldflags") => out.extend(words.next().map(|value| format!("-ldflags={}", link_flags(value)))),
            (Some(_) | None, _) => out.push(word.clone()),
        }
    }
    out
}

/// Without what strips the debugger's tables.
pub fn link_flags(flags: &str) -> String {
    let strips = |word: &&str| matches!(*word, "-s" | "-w" | "--s" | "--w");
    match flags.split_whitespace().any(|word| strips(&word)) {
        true => flags.split_whitespace().filter(|word| !strips(word)).collect::<Vec<_>>().join(" "),
        // Blanks within quotes stay as they are.
        false => flags.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_in_path_and_where_go_installs() {
        let temp = tempfile::tempdir().unwrap();
        let program = |folder: &str| {
            let folder = temp.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(NAME), "").unwrap();
            fs::set_permissions(folder.join(NAME), fs::Permissions::from_mode(0o755)).unwrap();
        };
        let text = |folder: &str| OsString::from(temp.path().join(folder));
        let found = |pairs: &[(&str, OsString)]| {
            let find = find(|key| pairs.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone()))?;
            Some(find.strip_prefix(temp.path()).unwrap().to_owned())
        };
        let home = ("HOME", text("home"));
        assert_eq!(found(std::slice::from_ref(&home)), None);
        program("home/go/bin");
        assert_eq!(found(std::slice::from_ref(&home)), Some("home/go/bin/dlv".into()));
        program("own/bin");
        assert_eq!(found(&[home.clone(), ("GOPATH", text("own"))]), Some("own/bin/dlv".into()));
        program("gobin");
        fs::create_dir_all(temp.path().join("home/.config/go")).unwrap();
        fs::write(temp.path().join("home/.config/go/env"), format!("GOBIN={}\n", temp.path().join("gobin").display()))
            .unwrap();
        if !cfg!(target_vendor = "apple") {
            assert_eq!(found(std::slice::from_ref(&home)), Some("gobin/dlv".into()));
            assert_eq!(found(&[home.clone(), ("GOENV", "off".into())]), Some("home/go/bin/dlv".into()));
        }
        program("path");
        assert_eq!(found(&[home, ("PATH", text("path"))]), Some("path/dlv".into()));
        // A file that may not be executed is no program.
        fs::create_dir_all(temp.path().join("dull")).unwrap();
        fs::write(temp.path().join("dull").join(NAME), "").unwrap();
        assert_eq!(found(&[("PATH", text("dull"))]), None);
    }

    #[test]
    fn a_service_runs_below_it() {
        let words = ["/p/bin/api", "-listen", "--"].map(OsString::from).to_vec();
        let line = argv(Some(Path::new("/go/bin/dlv")), 4000, words);
        let said: Vec<_> = line.iter().filter_map(|word| word.to_str()).collect();
        assert_eq!(
            said.join(" "),
            "/go/bin/dlv exec --headless --accept-multiclient --continue --api-version=2 --log-dest=0 \
             --redirect=stdin:/dev/null --listen=127.0.0.1:4000 /p/bin/api -- -listen --"
        );
        assert_eq!(program(&line), Some(OsStr::new("/p/bin/api")));
        assert!(!is_missing(&line) && is_missing(&argv(None, 1, vec!["/p/bin/api".into()])));
    }

    #[test]
    fn how_a_service_ended() {
        assert_eq!(ended("Process 812 has exited with status 2"), Some(End::Code(2)));
        assert_eq!(ended("Process 812 has exited with status -9"), Some(End::Signal(9)));
        assert_eq!(ended("could not halt"), None);
    }

    #[test]
    fn the_flags_of_a_debugger_join_those_of_people() {
        let flags = |list: &[&str]| build_flags(&list.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>());
        assert_eq!(flags(&["-trimpath"]), ["-gcflags=all=-N -l", "-trimpath"]);
        assert_eq!(
            flags(&["-gcflags=-m", "--gcflags", "all=-d=checkptr", "-ldflags=-s -w -X main.v=1"]),
            ["-gcflags=all=-N -l", "-gcflags=-m -N -l", "-gcflags=all=-d=checkptr -N -l", "-ldflags=-X main.v=1"]
        );
    }
}
