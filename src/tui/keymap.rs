//! Which key does what, where: the defaults, and what `keys.toml` changes of them.

use std::collections::{BTreeMap, HashMap};

use super::actions::{ACTIONS, Action, Scope};
use super::keys::Key;

/// Which key does what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    bound: HashMap<(Scope, Key), Action>,
    /// The keys of each action, as help shows them.
    keys: BTreeMap<Action, Vec<Key>>,
    /// Keys of commands of the project, by name.
    commands: BTreeMap<String, Vec<Key>>,
}

impl Default for Keymap {
    fn default() -> Keymap {
        Keymap::of(ACTIONS.iter().map(|entry| (entry.action, entry.default_keys().collect())).collect())
    }
}

impl Keymap {
    fn of(keys: BTreeMap<Action, Vec<Key>>) -> Keymap {
        let mut bound = HashMap::new();
        for (action, keys) in &keys {
            for key in keys {
                // The first of two is kept; a check of the file names the clash.
                bound.entry((action.entry().scope, *key)).or_insert(*action);
            }
        }
        Keymap { bound, keys, commands: BTreeMap::new() }
    }

    /// The keymap in which these actions have these keys instead of their own; clashes come beside it, one sentence each.
    pub fn with(changes: &BTreeMap<Action, Vec<Key>>) -> (Keymap, Vec<String>) {
        let mut keys = Keymap::default().keys;
        keys.extend(changes.iter().map(|(action, keys)| (*action, keys.clone())));
        let map = Keymap::of(keys);
        let clashes = map.clashes();
        (map, clashes)
    }

    /// With keys for commands of the project, everywhere; what a key of these meant before comes beside it, one sentence each.
    pub fn with_commands(self, commands: BTreeMap<String, Vec<Key>>) -> (Keymap, Vec<String>) {
        let mut clashes = Vec::new();
        let mut taken: HashMap<Key, &str> = HashMap::new();
        for (name, key) in commands.iter().flat_map(|(name, keys)| keys.iter().map(move |key| (name, *key))) {
            for scope in Scope::ALL {
                if let Some(action) = self.bound.get(&(scope, key)) {
                    let (word, action) = (scope.word(), action.entry().name);
                    clashes.push(format!("`{key}` means the command `{name}`, and `{action}` ({word}) no more"));
                }
            }
            if let Some(other) = taken.insert(key, name) {
                clashes.push(format!("`{key}` means both the command `{other}` and `{name}`"));
            }
        }
        (Keymap { commands, ..self }, clashes)
    }

    /// The command of the project that a key runs.
    pub fn command(&self, key: Key) -> Option<&str> {
        self.commands.iter().find(|(_, keys)| keys.contains(&key)).map(|(name, _)| name.as_str())
    }

    /// The keys of a command of the project.
    pub fn keys_of_command(&self, name: &str) -> &[Key] {
        self.commands.get(name).map_or(&[], Vec::as_slice)
    }

    /// What a key does in a pane of this scope: its own bindings first, then moves, then what holds everywhere.
    pub fn action(&self, scope: Scope, key: Key) -> Option<Action> {
        let scopes = [scope, Scope::Move, Scope::Everywhere];
        scopes.into_iter().find_map(|scope| self.bound.get(&(scope, key)).copied())
    }

    /// The keys of an action.
    pub fn keys(&self, action: Action) -> &[Key] {
        self.keys.get(&action).map_or(&[], Vec::as_slice)
    }

    /// The first key of an action, as people write it; empty where it has none.
    pub fn shown(&self, action: Action) -> String {
        self.keys(action).first().map_or_else(String::new, Key::to_string)
    }

    fn clashes(&self) -> Vec<String> {
        let mut clashes = Vec::new();
        for (action, keys) in &self.keys {
            let entry = action.entry();
            for key in keys {
                let other = self.bound.get(&(entry.scope, *key)).filter(|other| *other != action);
                if let Some(other) = other {
                    let (scope, other) = (entry.scope.word(), other.entry().name);
                    clashes.push(format!("`{key}` means both `{other}` and `{}` ({scope})", entry.name));
                }
            }
        }
        clashes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_default_hides_another() {
        assert_eq!(Keymap::default().clashes(), Vec::<String>::new());
    }

    #[test]
    fn a_pane_means_its_own_first() {
        let map = Keymap::default();
        let slash = Key::char('/');
        assert_eq!(map.action(Scope::Services, slash), Some(Action::FilterList));
        assert_eq!(map.action(Scope::Log, slash), Some(Action::Search));
        assert_eq!(map.action(Scope::Log, Key::char('j')), Some(Action::Down));
        assert_eq!(map.action(Scope::Problems, Key::char('?')), Some(Action::Help));
        assert_eq!(map.action(Scope::Problems, Key::char('#')), None);
    }

    #[test]
    fn changes_replace_and_clashes_are_named() {
        let changes = [(Action::Restart, vec![Key::char('s')])].into();
        let (map, clashes) = Keymap::with(&changes);
        assert_eq!(map.action(Scope::Services, Key::char('r')), None);
        assert_eq!(clashes, ["`s` means both `restart` and `stop` (services)"]);
    }
}
