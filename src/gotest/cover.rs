//! Coverage profiles: how many statements there are in each package, and how many of them ran.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::Path;

use crate::services::build::{CommandLine, find_go};
use crate::task::outcome::BuildFailure;

/// Statements of one package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statements {
    /// All.
    pub total: u64,
    /// Those that ran at least once.
    pub covered: u64,
}

impl Statements {
    /// In percent; `None` where there is no statement.
    pub fn percent(self) -> Option<f64> {
        (self.total > 0).then(|| self.covered as f64 * 100.0 / self.total as f64)
    }
}

impl std::ops::Add for Statements {
    type Output = Statements;

    fn add(mut self, other: Statements) -> Statements {
        self += other;
        self
    }
}

impl std::ops::AddAssign for Statements {
    fn add_assign(&mut self, other: Statements) {
        self.total += other.total;
        self.covered += other.covered;
    }
}

/// Reads a profile, by import path. A block that is named more than once ran when any of its lines says so.
pub fn read(profile: &str) -> BTreeMap<String, Statements> {
    let mut blocks: HashMap<&str, (u64, bool)> = HashMap::new();
    for line in profile.lines().filter(|line| !line.starts_with("mode:")) {
        let Some((place, statements, count)) = block(line) else { continue };
        let known = blocks.entry(place).or_insert((statements, false));
        known.1 |= count > 0;
    }
    let mut out: BTreeMap<String, Statements> = BTreeMap::new();
    for (place, (statements, ran)) in blocks {
        let file = place.rsplit_once(':').map_or(place, |(file, _)| file);
        let package = file.rsplit_once('/').map_or("", |(package, _)| package);
        let covered = if ran { statements } else { 0 };
        *out.entry(package.to_owned()).or_default() += Statements { total: statements, covered };
    }
    out
}

/// Several profiles, one after another, as one: each block once, with the sum of what was counted.
pub fn merge(profiles: &str) -> String {
    let mut blocks: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (place, statements, count) in profiles.lines().filter_map(block) {
        let known = blocks.entry(place).or_insert((statements, 0));
        known.1 = known.1.saturating_add(count);
    }
    let mut out = "mode: atomic\n".to_owned();
    for (place, (statements, count)) in blocks {
        out.push_str(&format!("{place} {statements} {count}\n"));
    }
    out
}

/// The command line that makes a profile, `output`, of what a program has counted into `data`.
pub fn profile(env: &[(OsString, OsString)], data: &Path, output: &Path) -> Result<CommandLine, BuildFailure> {
    let go = find_go(env)?;
    let flag = |name: &str, path: &Path| {
        let mut flag = OsString::from(name);
        flag.push(path);
        flag
    };
    let mut argv: Vec<OsString> = vec![go.into()];
    argv.extend(["tool", "covdata", "textfmt"].map(OsString::from));
    argv.extend([flag("-i=", data), flag("-o=", output)]);
    Ok(CommandLine { argv, dir: data.to_owned(), env: env.to_vec() })
}

/// Whether a program has written what it counted into `data`, as it does when it ends by itself.
pub fn has_counted(data: &Path) -> bool {
    // A folder that cannot be read holds nothing for us.
    let entries = std::fs::read_dir(data).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"covcounters."))
}

/// `ex.com/a/x.go:3.14,5.2 2 1`: the place, how many statements, how often.
fn block(line: &str) -> Option<(&str, u64, u64)> {
    let (rest, count) = line.rsplit_once(' ')?;
    let (place, statements) = rest.rsplit_once(' ')?;
    Some((place, statements.parse().ok()?, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_added_up_once() {
        let profile = "mode: set\nex.com/a/x.go:1.1,2.2 3 0\nex.com/a/x.go:1.1,2.2 3 1\nex.com/a/y z.go:1.1,2.2 1 0\nex.com/b/b.go:1.1,2.2 2 0\ntorn li";
        let got = read(profile);
        assert_eq!(got["ex.com/a"], Statements { total: 4, covered: 3 });
        assert_eq!(got["ex.com/a"].percent(), Some(75.0));
        assert_eq!(got["ex.com/b"].percent(), Some(0.0));
        assert_eq!(got.len(), 2);
        assert_eq!(Statements::default().percent(), None);
    }

    #[test]
    fn several_profiles_are_one() {
        let profiles = "mode: atomic\nex.com/b/b.go:1.1,2.2 2 3\nmode: atomic\nex.com/a/x y.go:1.1,2.2 1 0\nex.com/b/b.go:1.1,2.2 2 4\n";
        let merged = merge(profiles);
        assert_eq!(merged, "mode: atomic\nex.com/a/x y.go:1.1,2.2 1 0\nex.com/b/b.go:1.1,2.2 2 7\n");
        assert_eq!(read(&merged), read(profiles));
    }

    #[test]
    fn what_a_program_writes_when_it_ends_is_seen() {
        let temp = tempfile::tempdir().unwrap();
        assert!(!has_counted(&temp.path().join("none")));
        std::fs::write(temp.path().join("covmeta.1f"), "").unwrap();
        assert!(!has_counted(temp.path()), "this is written when it begins");
        std::fs::write(temp.path().join("covcounters.1f.8.9"), "").unwrap();
        assert!(has_counted(temp.path()));
    }
}
