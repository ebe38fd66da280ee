//! Programs known by name, for vetoes only: a name never proves a stray, it can only save one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::process::Kin;

/// What an ancestor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Above {
    /// It holds its children.
    Debugger,
    /// It starts its children again.
    Watcher,
    /// A person presses a button there.
    Ide,
    /// A command of ours.
    Orchestra,
}

const DEBUGGERS: [&str; 12] = [
    "dlv",
    "dlv-dap",
    "gdb",
    "gdbserver",
    "lldb",
    "lldb-server",
    "lldb-dap",
    "debugserver",
    "rr",
    "strace",
    "ltrace",
    "perf",
];
/// They start again what ends.
const WATCHERS: [&str; 46] = [
    "air",
    "wgo",
    "reflex",
    "watchexec",
    "CompileDaemon",
    "compiledaemon",
    "gow",
    "modd",
    "entr",
    "nodemon",
    "realize",
    "fresh",
    "gin",
    "arelo",
    "bra",
    "gaper",
    "refresh",
    "rerun",
    "godemon",
    "gomon",
    "templ",
    "foreman",
    "overmind",
    "overmind-run",
    "hivemind",
    "goreman",
    "honcho",
    "forego",
    "process-compose",
    "supervisord",
    "pm2",
    "mprocs",
    "dekit",
    "tilt",
    "skaffold",
    "runsv",
    "runsvdir",
    "s6-supervise",
    "s6-svscan",
    "supervise",
    "circusd",
    "daemontools",
    "devspace",
    "okteto",
    "bazel",
    "ibazel",
];
const IDES: [&str; 40] = [
    "code",
    "code-insiders",
    "code-oss",
    "codium",
    "vscodium",
    "code-server",
    "code-tunnel",
    "openvscode-server",
    "cursor",
    "Cursor",
    "windsurf",
    "trae",
    "goland",
    "goland64",
    "idea",
    "idea64",
    "intellij",
    "fleet",
    "gateway",
    "remote-dev-server",
    "zed",
    "zed-editor",
    "zeditor",
    "sublime_text",
    "subl",
    "lapce",
    "vim",
    "nvim",
    "vi",
    "gvim",
    "emacs",
    "emacsclient",
    "hx",
    "helix",
    "kak",
    "kate",
    "eclipse",
    "atom",
    "liteide",
    "micro",
];
const SHELLS: [&str; 15] = [
    "bash", "zsh", "fish", "sh", "dash", "ash", "ksh", "mksh", "tcsh", "csh", "nu", "pwsh", "elvish", "xonsh", "rbash",
];
/// They run scripts, whose names are what people know.
const INTERPRETERS: [&str; 8] = ["node", "nodejs", "bun", "deno", "ruby", "perl", "java", "python"];
/// Folders in the paths of editors' own runtimes.
const IDE_FOLDERS: [&str; 9] = [
    ".vscode-server",
    ".vscode-server-insiders",
    ".cursor-server",
    ".windsurf-server",
    ".vscodium-server",
    "JetBrains",
    ".jetbrains",
    "code-server",
    "Visual Studio Code.app",
];

fn base(path: &OsStr) -> &str {
    let name = Path::new(path).file_name().and_then(OsStr::to_str).unwrap_or_default();
    // A login shell is called `-bash`; a replaced program is marked by the kernel.
    name.trim_start_matches('-').trim_end_matches(" (deleted)")
}

/// What a process may be called: its file, its own name, and the script an interpreter runs.
fn names(kin: &Kin) -> impl Iterator<Item = &str> {
    let exe = kin.exe.as_ref().map(|exe| base(exe.as_os_str()));
    let own = kin.argv.first().map(|name| base(name));
    let runs_script = [exe, own].into_iter().flatten().any(|name| {
        INTERPRETERS.iter().any(|i| {
            name == *i
                || name.strip_prefix(i).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
        })
    });
    // `python -m honcho start`, `node --inspect /usr/bin/nodemon`: whatever stands first and is no flag may be the script.
    let scripts =
        kin.argv.iter().skip(1).filter(|word| !word.as_bytes().starts_with(b"-")).take(2).map(|word| base(word));
    let scripts = scripts.filter(move |_| runs_script).map(|name| name.trim_end_matches(".js").trim_end_matches(".py"));
    [exe, own].into_iter().flatten().chain(scripts)
}

/// A shim or a supervisor of orchestra: what stands below it is alive and has an owner.
pub(super) fn is_shim(kin: &Kin) -> bool {
    let second = kin.argv.get(1).map(|word| word.as_bytes());
    second == Some(b"__shim") || second == Some(b"__supervisor")
}

/// What an ancestor does to those below it, and its name.
pub(super) fn above(kin: &Kin) -> Option<(Above, String)> {
    let known = |list: &[&str]| names(kin).find(|name| list.contains(name)).map(ToOwned::to_owned);
    if let Some(name) = known(&DEBUGGERS) {
        return Some((Above::Debugger, name));
    }
    if let Some(name) = known(&WATCHERS) {
        return Some((Above::Watcher, name));
    }
    if let Some(name) = known(&["orchestra"]) {
        return Some((Above::Orchestra, name));
    }
    if let Some(name) = known(&IDES) {
        return Some((Above::Ide, name));
    }
    let parts = || kin.exe.iter().flat_map(|exe| exe.iter()).filter_map(OsStr::to_str);
    let folder = parts().find(|part| IDE_FOLDERS.contains(part))?;
    Some((Above::Ide, folder.trim_start_matches('.').to_owned()))
}

/// A shell at a terminal that was given nothing to run: somebody types there.
pub(super) fn is_interactive_shell(kin: &Kin) -> bool {
    let is_shell = names(kin).take(2).any(|name| SHELLS.contains(&name));
    if !is_shell || !kin.has_terminal {
        return false;
    }
    let mut words = kin.argv.iter().skip(1).map(|word| word.as_bytes());
    while let Some(word) = words.next() {
        match word {
            // These take the next word; what they name is read before the prompt.
            b"--init-file" | b"--rcfile" | b"-o" | b"+o" | b"-O" | b"+O" | b"-C" | b"--init-command" | b"--config"
            | b"--env-config" => {
                words.next();
            }
            b"-NoExit" | b"-NoLogo" => {}
            _ if word.starts_with(b"--") => {
                if word.starts_with(b"--command") {
                    return false;
                }
            }
            // `-c`, and `-lc`.
            _ if word.starts_with(b"-") && word.contains(&b'c') => return false,
            _ if word.starts_with(b"-") || word.starts_with(b"+") => {}
            _ => return false,
        }
    }
    true
}

/// Whether a control group's path is a container's.
pub(super) fn is_container(path: &str) -> bool {
    const WORDS: [&str; 12] = [
        "docker",
        "libpod",
        "kubepods",
        "containerd",
        "crio",
        "cri-containerd",
        "lxc",
        "machine.slice",
        "buildkit",
        "podman",
        "nspawn",
        "garden",
    ];
    path.split('/').any(|part| {
        WORDS
            .iter()
            .any(|word| part == *word || part.starts_with(&format!("{word}-")) || part.starts_with(&format!("{word}.")))
    })
}

/// The systemd service a control group belongs to, unless it is a user's session.
pub(super) fn service_unit(path: &str) -> Option<&str> {
    let unit = path.rsplit('/').find(|part| part.ends_with(".service") || part.ends_with(".scope"))?;
    (unit.ends_with(".service") && !unit.starts_with("user@")).then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kin(exe: &str, argv: &str, has_terminal: bool) -> Kin {
        let argv = argv.split(' ').map(Into::into).collect();
        Kin { parent: 1, exe: Some(exe.into()), argv, has_terminal }
    }

    #[test]
    fn who_types_and_who_runs_scripts() {
        for argv in ["bash", "-zsh", "bash --init-file /x/shellIntegration-bash.sh", "zsh -i", "fish -l", "bash -o vi"]
        {
            let exe = if argv.contains("zsh") {
                "/bin/zsh"
            } else if argv.contains("fish") {
                "/bin/fish"
            } else {
                "/bin/bash"
            };
            assert!(is_interactive_shell(&kin(exe, argv, true)), "{argv}");
            assert!(!is_interactive_shell(&kin(exe, argv, false)), "{argv} without a terminal");
        }
        for argv in ["bash -c x", "bash -lc x", "bash script.sh", "bash -x run", "sh -ec x"] {
            assert!(!is_interactive_shell(&kin("/bin/bash", argv, true)), "{argv}");
        }
        assert!(!is_interactive_shell(&kin("/usr/bin/python3", "python3", true)));
    }

    #[test]
    fn who_stands_above() {
        let of = |exe: &str, argv: &str| above(&kin(exe, argv, false)).map(|(what, _)| what);
        assert_eq!(of("/go/bin/air", "air -c .air.toml"), Some(Above::Watcher));
        assert_eq!(of("/usr/bin/node", "node /usr/local/bin/nodemon --exec go"), Some(Above::Watcher));
        assert_eq!(of("/usr/bin/python3.12", "python3 -m honcho start"), Some(Above::Watcher));
        assert_eq!(of("/go/bin/dlv", "dlv debug ."), Some(Above::Debugger));
        assert_eq!(of("/usr/share/code/code", "/usr/share/code/code --type=zygote"), Some(Above::Ide));
        assert_eq!(of("/home/u/.vscode-server/bin/ab/node", "node server.js"), Some(Above::Ide));
        assert_eq!(of("/opt/orchestra", "orchestra start -a"), Some(Above::Orchestra));
        // Only an interpreter's script counts, not what anybody was given.
        assert_eq!(of("/usr/bin/less", "less air"), None);
        assert_eq!(of("/bin/bash", "bash"), None);
        assert!(is_shim(&kin("/proc/self/exe", "orchestra __shim api.1", false)));
        assert!(!is_shim(&kin("/usr/bin/orchestra", "orchestra start", false)));
    }

    #[test]
    fn units_and_containers() {
        assert_eq!(service_unit("/system.slice/api.service"), Some("api.service"));
        assert_eq!(
            service_unit("/user.slice/user-1000.slice/user@1000.service/app.slice/code-server.service"),
            Some("code-server.service")
        );
        assert_eq!(service_unit("/user.slice/user-1000.slice/user@1000.service/app.slice/vte-spawn-1.scope"), None);
        assert_eq!(service_unit("/user.slice/user-1000.slice/session-3.scope"), None);
        assert_eq!(service_unit("/user.slice/user-1000.slice/user@1000.service/init.scope"), None);
        assert_eq!(service_unit("/"), None);
        for path in [
            "/docker/ab12",
            "/system.slice/docker-ab12.scope",
            "/kubepods/besteffort/x",
            "/machine.slice/libpod-1.scope",
            "/lxc.payload.x",
        ] {
            assert!(is_container(path), "{path}");
        }
        assert!(!is_container("/user.slice/user-1000.slice/session-3.scope") && !is_container("/dockerish"));
    }
}
