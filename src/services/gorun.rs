//! What a `go run` command line runs. Pure: paths stay as they were typed.
//!
//! A flag that is not known may take a value that then looks like a package, so one of those makes the whole line unknown.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What `go run` was asked to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runs {
    /// A package: a folder that begins with a dot or a slash, or an import path, which may end in `@version`.
    Package(OsString),
    /// Go files.
    Files(Vec<OsString>),
}

/// Flags that stand alone.
const ALONE: [&str; 14] = [
    "a",
    "n",
    "race",
    "msan",
    "asan",
    "cover",
    "v",
    "work",
    "x",
    "linkshared",
    "modcacherw",
    "trimpath",
    "buildvcs",
    "json",
];
/// Flags with a value, in the same word or the next. `-exec` is none of them: what runs is then the other program's business.
const WITH_VALUE: [&str; 18] = [
    "C",
    "p",
    "covermode",
    "coverpkg",
    "asmflags",
    "buildmode",
    "compiler",
    "gccgoflags",
    "gcflags",
    "installsuffix",
    "ldflags",
    "mod",
    "modfile",
    "overlay",
    "pgo",
    "pkgdir",
    "tags",
    "toolexec",
];

/// Reads `go run …` and `go -C DIR run …`; `None` for anything else and for what is not understood. `go` changes its working directory for `-C`, so
/// that relative paths are relative to its working directory in any case.
pub fn parse(argv: &[OsString]) -> Option<Runs> {
    let mut words = argv.iter().skip(1).map(OsString::as_os_str);
    let mut word = words.next()?;
    if let Some((name, value)) = flag(word)
        && name == b"C"
    {
        if value.is_none() {
            words.next()?;
        }
        word = words.next()?;
    }
    if word != "run" {
        return None;
    }
    let first = loop {
        let word = words.next()?;
        let Some((name, value)) = flag(word) else { break word };
        let name = std::str::from_utf8(name).ok()?;
        if WITH_VALUE.contains(&name) {
            if value.is_none() {
                words.next()?;
            }
        } else if !ALONE.contains(&name) {
            return None;
        }
    };
    if !is_go_file(first) {
        return Some(Runs::Package(first.to_owned()));
    }
    let more = words.take_while(|word| is_go_file(word));
    Some(Runs::Files(std::iter::once(first).chain(more).map(OsStr::to_owned).collect()))
}

/// `-name`, `--name`, `-name=value`.
fn flag(word: &OsStr) -> Option<(&[u8], Option<&[u8]>)> {
    let word = word.as_bytes().strip_prefix(b"-")?;
    let word = word.strip_prefix(b"-").unwrap_or(word);
    match word.iter().position(|b| *b == b'=') {
        Some(at) => Some((&word[..at], Some(&word[at + 1..]))),
        None => Some((word, None)),
    }
}

fn is_go_file(word: &OsStr) -> bool {
    word.as_bytes().ends_with(b".go")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Runs> {
        parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    fn package(name: &str) -> Option<Runs> {
        Some(Runs::Package(name.into()))
    }

    #[test]
    fn what_is_run() {
        assert_eq!(read("go run ."), package("."));
        assert_eq!(read("go run -race ./cmd/api -port 80"), package("./cmd/api"));
        assert_eq!(
            read("go run -tags dev,x -ldflags=-s --mod=mod example.com/a@latest x.go"),
            package("example.com/a@latest")
        );
        assert_eq!(read("go -C /w/api run ."), package("."));
        assert_eq!(read("go run -C=/w/api -v ."), package("."));
        assert_eq!(read("go run main.go util.go -v x.go"), Some(Runs::Files(vec!["main.go".into(), "util.go".into()])));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for line in [
            "go",
            "go run",
            "go build .",
            "go test .",
            "go run -exec sudo .",
            "go run -newflag x .",
            "go tool run .",
            "go -C",
            "go vet run",
            "go run -tags",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
        assert_eq!(parse(&[]), None);
    }
}
