//! The checks themselves: each looks at one thing and says what it found.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::engine::docker;
use super::machine::{file_systems, limits, ptrace};
use super::{Check, DeclaredPort, Facts, Status};
use crate::services::{build, gomod};
use crate::sys::listeners::{self, Ownership};
use crate::task::spec::Protocol;

/// Every check, in the order in which they are shown.
pub(super) fn all(facts: &Facts) -> Vec<Check> {
    let mut out = go(&facts.env, &facts.go_folders, &facts.root);
    if facts.vendors {
        out.extend(docker(&facts.env));
    }
    out.extend(limits(facts));
    out.extend(ports(&facts.ports, &facts.own));
    out.extend(files(facts));
    out.extend(file_systems(&facts.root));
    out.push(ptrace());
    out
}

/// A finding without a remedy.
pub(super) fn check(name: &'static str, status: Status, message: impl Into<String>) -> Check {
    Check { name, status, message: message.into(), fix: None }
}

impl Check {
    /// Says what to type or change.
    pub(super) fn mend(self, fix: impl Into<String>) -> Check {
        Check { fix: Some(fix.into()), ..self }
    }
}

/// Whether `go` is there, and new enough for every module.
pub fn go(env: &[(OsString, OsString)], folders: &[PathBuf], root: &Path) -> Vec<Check> {
    let go = match build::find_go(env) {
        Ok(go) => go,
        Err(failure) => {
            let (what, fix) =
                failure.error.split_once(": ").unwrap_or((&failure.error, "install Go from https://go.dev/dl/"));
            return vec![check("go", Status::Failed, what).mend(fix)];
        }
    };
    let ask = |args: &[&str]| {
        let mut command = Command::new(&go);
        command.args(args).env_clear().envs(env.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
        let out = command.env("GOTOOLCHAIN", "local").current_dir("/").output();
        out.map(|o| (o.status.success(), String::from_utf8_lossy(&o.stdout).trim().to_owned()))
    };
    let version = match ask(&["env", "GOVERSION"]) {
        Ok((true, version)) => version,
        Ok((false, _)) => {
            return vec![
                check("go", Status::Failed, format!("`{} env` fails", go.display())).mend("run it to see why"),
            ];
        }
        Err(e) => return vec![check("go", Status::Failed, format!("`{}` cannot be run: {e}", go.display()))],
    };
    let mut out = vec![check("go", Status::Ok, format!("{version} at {}", go.display()))];
    let modules: BTreeSet<(PathBuf, String)> = folders
        .iter()
        .filter_map(|folder| gomod::module_of(folder))
        .filter_map(|m| Some((m.root.join("go.mod"), m.directives.go?)))
        .collect();
    let switches = gomod::lookup(env, "GOTOOLCHAIN").is_none_or(|v| v != "local");
    for (file, wanted) in modules.into_iter().filter(|(_, wanted)| gomod::older(&version, wanted)) {
        let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        out.push(if switches {
            check(
                "go",
                Status::Warning,
                format!(
                    "{shown} asks for go {wanted}: `go` downloads it at the first build, or fails without a network"
                ),
            )
            .mend("install it from https://go.dev/dl/")
        } else {
            check(
                "go",
                Status::Failed,
                format!("{shown} asks for go {wanted}, and GOTOOLCHAIN=local forbids another than {version}"),
            )
            .mend(format!("`unset GOTOOLCHAIN`, or install go {wanted} from https://go.dev/dl/"))
        });
    }
    out
}

/// Ports that somebody else holds, with who it is.
pub fn ports(declared: &[DeclaredPort], own: &[u32]) -> Vec<Check> {
    let taken: Vec<Check> = declared.iter().filter_map(|port| taken(port, own)).collect();
    match (taken.is_empty(), declared.len()) {
        (true, 0) => Vec::new(),
        (true, 1) => vec![check("ports", Status::Ok, "the one declared port is free, or held by its service")],
        (true, n) => {
            vec![check("ports", Status::Ok, format!("all {n} declared ports are free, or held by their services"))]
        }
        (false, _) => taken,
    }
}

fn taken(port: &DeclaredPort, own: &[u32]) -> Option<Check> {
    let here = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let of = |leader| {
        let each = here.map(|ip| listeners::ownership(leader, port.protocol, SocketAddr::new(ip, port.number)));
        each.into_iter().find(|o| *o != Ownership::Nobody)
    };
    let found = match of(std::process::id())? {
        Ownership::Foreign(socket) => socket,
        Ownership::Ours(_) | Ownership::Unknown | Ownership::Nobody => return None,
    };
    if own.iter().any(|leader| matches!(of(*leader), Some(Ownership::Ours(_) | Ownership::Unknown))) {
        return None;
    }
    let protocol = match port.protocol {
        Protocol::Tcp => "",
        Protocol::Udp => "/udp",
    };
    let what = format!("port {}{protocol} of {} is held by", port.number, port.owner);
    Some(match listeners::holder(&found) {
        Some(holder) => {
            let pid = holder.claim.pid;
            let exe = holder.exe.map_or(String::new(), |exe| format!(" (`{}`)", exe.display()));
            check("ports", Status::Failed, format!("{what} pid {pid}{exe}"))
                .mend(format!("end it (`kill {pid}`), or give {} another port", port.owner))
        }
        None => check("ports", Status::Failed, format!("{what} a process of another user")).mend(format!(
            "`sudo ss -lptn 'sport = :{}'` names it; end it, or give {} another port",
            port.number, port.owner
        )),
    })
}

fn files(facts: &Facts) -> Vec<Check> {
    if facts.problems.is_empty() && facts.warnings.is_empty() {
        return vec![check("files", Status::Ok, "the project's files are right")];
    }
    let each = |status| move |text: &String| check("files", status, text.clone());
    let wrong = facts.problems.iter().map(each(Status::Failed));
    wrong.chain(facts.warnings.iter().map(each(Status::Warning))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpListener;

    use super::*;

    fn env() -> Vec<(OsString, OsString)> {
        std::env::vars_os().collect()
    }

    #[test]
    fn go_is_found_and_compared_with_modules() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("go.mod"), "module a\ngo 1.99\n").unwrap();
        let mut env = env();
        env.retain(|(k, _)| k != "GOTOOLCHAIN");
        env.push(("GOTOOLCHAIN".into(), "local".into()));
        let found = go(&env, &[dir.path().to_owned()], dir.path());
        assert_eq!(found.iter().map(|c| c.status).collect::<Vec<_>>(), [Status::Ok, Status::Failed]);
        assert!(found[1].message.starts_with("go.mod asks for go 1.99, and GOTOOLCHAIN=local"), "{found:?}");
        let found = go(&[("PATH".into(), "/nowhere".into())], &[], dir.path());
        assert_eq!((found.len(), found[0].status), (1, Status::Failed));
        assert!(found[0].fix.is_some(), "{found:?}");
    }

    #[test]
    fn a_taken_port_names_its_holder() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = tcp.local_addr().unwrap().port();
        let port = DeclaredPort { owner: "api.1".into(), number, protocol: Protocol::Tcp };
        assert_eq!(ports(std::slice::from_ref(&port), &[]).first().map(|c| c.status), Some(Status::Ok), "our own");
        let mut other = Command::new("sleep").arg("60").spawn().unwrap();
        assert_eq!(ports(std::slice::from_ref(&port), &[other.id()])[0].status, Status::Ok);
        other.kill().unwrap();
        other.wait().unwrap();
        drop(tcp);
        assert_eq!(ports(&[port], &[])[0].status, Status::Ok);
        assert!(ports(&[], &[]).is_empty());
    }

    #[test]
    fn everything_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let facts = Facts {
            root: dir.path().to_owned(),
            env: env(),
            problems: vec!["api/service.yml:1:1: bad\n  | x".into()],
            instances: 3,
            ..Facts::default()
        };
        let found = all(&facts);
        for name in ["go", "limits", "files", "file-system", "ptrace"] {
            assert!(found.iter().any(|c| c.name == name), "{name}: {found:?}");
        }
        assert!(found.iter().any(|c| c.name == "files" && c.status == Status::Failed));
        assert!(super::super::text(&found).contains("failed   files"), "{}", super::super::text(&found));
    }
}
