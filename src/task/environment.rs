//! The environment of a run. In a project of hundreds of services each instance sees thousands of addresses of the others, which are held once.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

/// One variable.
pub type Pair = (OsString, OsString);

/// Every variable of a run, each key once: its own, and those that it shares with other runs.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    own: Vec<Pair>,
    shared: Arc<Vec<Pair>>,
}

impl Environment {
    /// Both lists sorted by key; of a key in both, its own value holds.
    pub fn new(own: Vec<Pair>, shared: Arc<Vec<Pair>>) -> Environment {
        Environment { own, shared }
    }

    /// Sets one of its own variables.
    pub fn push(&mut self, pair: Pair) {
        match self.own.binary_search_by(|(key, _)| key.cmp(&pair.0)) {
            Ok(at) => self.own[at] = pair,
            Err(at) => self.own.insert(at, pair),
        }
    }

    /// Takes away one of its own variables.
    pub fn remove(&mut self, key: &str) {
        self.own.retain(|(own, _)| own != key);
    }

    /// Every variable, sorted by key.
    pub fn iter(&self) -> Iter<'_> {
        Iter { own: &self.own, shared: &self.shared }
    }

    /// The value of a variable.
    pub fn get(&self, key: &str) -> Option<&OsStr> {
        let key = OsStr::new(key);
        let own = self.own.iter().find(|(own, _)| own == key);
        let shared = || Some(&self.shared[self.shared.binary_search_by(|(other, _)| other.as_os_str().cmp(key)).ok()?]);
        own.or_else(shared).map(|(_, value)| value.as_os_str())
    }
}

impl PartialEq for Environment {
    fn eq(&self, other: &Environment) -> bool {
        let parts = self.own == other.own && (Arc::ptr_eq(&self.shared, &other.shared) || self.shared == other.shared);
        parts || self.iter().eq(other.iter())
    }
}

impl Eq for Environment {}

impl From<Vec<Pair>> for Environment {
    fn from(mut own: Vec<Pair>) -> Environment {
        own.sort();
        Environment { own, shared: Arc::default() }
    }
}

impl FromIterator<Pair> for Environment {
    fn from_iter<I: IntoIterator<Item = Pair>>(pairs: I) -> Environment {
        pairs.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a Environment {
    type Item = &'a Pair;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The variables of an environment, sorted by key.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    own: &'a [Pair],
    shared: &'a [Pair],
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Pair;

    fn next(&mut self) -> Option<&'a Pair> {
        let order = match (self.own.first(), self.shared.first()) {
            (Some((own, _)), Some((shared, _))) => own.cmp(shared),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, _) => std::cmp::Ordering::Greater,
        };
        if order.is_eq() {
            self.shared = self.shared.get(1..)?;
        }
        let from = if order.is_le() { &mut self.own } else { &mut self.shared };
        let (first, rest) = from.split_first()?;
        *from = rest;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<Pair> {
        text.split_whitespace().filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
    }

    #[test]
    fn its_own_variables_win_over_shared_ones() {
        let both = |own, shared| Environment::new(pairs(own), Arc::new(pairs(shared)));
        for (own, shared, all) in [
            ("", "", ""),
            ("A=1 C=3", "", "A=1 C=3"),
            ("", "A=1 C=3", "A=1 C=3"),
            ("B=2 D=4", "A=1 B=x C=3 D=x", "A=1 B=2 C=3 D=4"),
            ("A=1 B=2", "B=x C=3", "A=1 B=2 C=3"),
            ("Z=9", "A=1", "A=1 Z=9"),
        ] {
            let environment = both(own, shared);
            assert_eq!(environment.iter().cloned().collect::<Vec<_>>(), pairs(all));
            assert_eq!(environment, Environment::from(pairs(all)));
            for (key, value) in pairs(all) {
                assert_eq!(environment.get(key.to_str().unwrap()), Some(value.as_os_str()));
            }
            assert_eq!(environment.get("X"), None);
        }
        assert_ne!(both("A=1", ""), both("A=2", ""));
        let mut more = both("B=2", "A=1");
        more.push(("C".into(), "x".into()));
        more.push(("C".into(), "3".into()));
        more.push(("D".into(), "4".into()));
        more.remove("D");
        assert_eq!(more, Environment::from(pairs("C=3 B=2 A=1")));
    }
}
