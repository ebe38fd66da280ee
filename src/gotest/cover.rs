//! Coverage profiles: how many statements there are in each package, and how many of them ran.

use std::collections::{BTreeMap, HashMap};

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
}
