//! Which key does what, where: the defaults, and what `keys.toml` changes of them.

use std::collections::hash_map::Entry;
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

/// Keys of actions that somebody changed.
pub type Changes = BTreeMap<Action, Vec<Key>>;

/// A key that two actions want where only one can have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clash {
    /// Which.
    pub key: Key,
    /// What it does.
    pub does: Action,
    /// What it does not do.
    pub hides: Action,
}

impl Default for Keymap {
    fn default() -> Keymap {
        Keymap::with(&Changes::new(), &Changes::new()).0
    }
}

impl Keymap {
    /// The keymap in which a preset's keys replace the defaults, and somebody's own keys replace both. Of two actions of one scope on one key the one that was
    /// chosen last has it; each such clash comes beside it.
    pub fn with(preset: &Changes, own: &Changes) -> (Keymap, Vec<Clash>) {
        let mut map = Keymap { bound: HashMap::new(), keys: BTreeMap::new(), commands: BTreeMap::new() };
        let mut clashes = Vec::new();
        let chosen = |action: Action| own.contains_key(&action);
        let set = |action: Action| !chosen(action) && preset.contains_key(&action);
        let ranks: [&dyn Fn(Action) -> bool; 3] = [&chosen, &set, &|action| !chosen(action) && !set(action)];
        for rank in ranks {
            for entry in ACTIONS.iter().filter(|entry| rank(entry.action)) {
                let changed = own.get(&entry.action).or_else(|| preset.get(&entry.action));
                let keys = changed.cloned().unwrap_or_else(|| entry.default_keys().collect());
                let mut mine = Vec::new();
                for key in keys {
                    match map.bound.entry((entry.scope, key)) {
                        Entry::Vacant(free) => {
                            free.insert(entry.action);
                            mine.push(key);
                        }
                        Entry::Occupied(taken) if *taken.get() == entry.action => {}
                        Entry::Occupied(taken) => {
                            clashes.push(Clash { key, does: *taken.get(), hides: entry.action });
                        }
                    }
                }
                map.keys.insert(entry.action, mine);
            }
        }
        (map, clashes)
    }

    /// Keys of moves and of what holds everywhere that mean something else in some pane.
    pub fn hidden(&self) -> Vec<Clash> {
        const ABOVE: [Scope; 7] =
            [Scope::Move, Scope::Services, Scope::Log, Scope::Problems, Scope::Events, Scope::Detail, Scope::Graph];
        let mut hidden = Vec::new();
        for (action, keys) in &self.keys {
            let above: &[Scope] = match action.entry().scope {
                Scope::Everywhere => &ABOVE,
                Scope::Move => &ABOVE[1..],
                Scope::Services | Scope::Log | Scope::Problems | Scope::Events | Scope::Detail | Scope::Graph => &[],
            };
            for (key, scope) in keys.iter().flat_map(|key| above.iter().map(move |scope| (*key, *scope))) {
                if let Some(does) = self.bound.get(&(scope, key)) {
                    hidden.push(Clash { key, does: *does, hides: *action });
                }
            }
        }
        hidden
    }

    /// With keys for commands of the project, everywhere; what a key of these meant before comes beside it: the command, the key, and one sentence.
    pub fn with_commands(self, commands: BTreeMap<String, Vec<Key>>) -> (Keymap, Vec<(String, Key, String)>) {
        let mut clashes = Vec::new();
        let mut taken: HashMap<Key, &str> = HashMap::new();
        for (name, key) in commands.iter().flat_map(|(name, keys)| keys.iter().map(move |key| (name, *key))) {
            for scope in Scope::ALL {
                if let Some(action) = self.bound.get(&(scope, key)) {
                    let (word, action) = (scope.word(), action.entry().name);
                    let text = format!("`{key}` means the command `{name}`, and `{action}` [{word}] no more");
                    clashes.push((name.clone(), key, text));
                }
            }
            match taken.entry(key) {
                Entry::Vacant(free) => {
                    free.insert(name);
                }
                Entry::Occupied(first) => {
                    let text =
                        format!("`{key}` means both the commands `{}` and `{name}`, and does the first", first.get());
                    clashes.push((name.clone(), key, text));
                }
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
        // What fills the screen with services means the verbs of their list, too.
        let verbs = matches!(scope, Scope::Detail | Scope::Graph).then_some(Scope::Services);
        let mut scopes = [Some(scope), verbs, Some(Scope::Move), Some(Scope::Everywhere)].into_iter().flatten();
        scopes.find_map(|scope| self.bound.get(&(scope, key)).copied())
    }

    /// The keys of an action.
    pub fn keys(&self, action: Action) -> &[Key] {
        self.keys.get(&action).map_or(&[], Vec::as_slice)
    }

    /// The first key of an action, as people write it; empty where it has none.
    pub fn shown(&self, action: Action) -> String {
        self.keys(action).first().map_or_else(String::new, Key::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(changes: &[(Action, &str)]) -> (Keymap, Vec<String>) {
        let own = changes.iter().map(|(action, key)| (*action, vec![Key::parse(key).unwrap()])).collect();
        let (map, clashes) = Keymap::with(&Changes::new(), &own);
        (map, clashes.iter().map(|c| format!("{} {:?} {:?}", c.key, c.does, c.hides)).collect())
    }

    #[test]
    fn no_default_hides_another() {
        assert_eq!(with(&[]).1, Vec::<String>::new());
        // Within a pane some keys mean something of its own, on purpose; none of these is one that people cannot do without.
        let hidden = Keymap::default().hidden();
        let needed = [Action::Help, Action::Palette, Action::Quit, Action::Close, Action::NextPane, Action::Down];
        assert!(hidden.iter().all(|clash| !needed.contains(&clash.hides)), "{hidden:?}");
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
        assert_eq!(map.action(Scope::Detail, Key::char('r')), Some(Action::Restart));
        assert_eq!(map.action(Scope::Graph, Key::char('g')), Some(Action::GraphForm));
    }

    #[test]
    fn who_chose_a_key_has_it() {
        for (mine, other, key) in [(Action::Restart, Action::Stop, "s"), (Action::Stop, Action::Restart, "r")] {
            let (map, clashes) = with(&[(mine, key)]);
            assert_eq!(map.action(Scope::Services, Key::parse(key).unwrap()), Some(mine));
            assert_eq!(map.keys(other), []);
            assert_eq!(clashes, [format!("{key} {mine:?} {other:?}")]);
        }
        let (map, _) = with(&[(Action::Restart, "x")]);
        assert_eq!(map.action(Scope::Services, Key::char('r')), None);
    }

    #[test]
    fn what_is_hidden_in_a_pane_is_known() {
        let hidden = |changes: &[(Action, &str)]| {
            let default = Keymap::default().hidden();
            let mut hidden = with(changes).0.hidden();
            hidden.retain(|clash| !default.contains(clash));
            hidden.iter().map(|c| format!("{} {:?} {:?}", c.key, c.does, c.hides)).collect::<Vec<_>>()
        };
        assert_eq!(hidden(&[(Action::Help, "r")]), ["r Restart Help"]);
        assert_eq!(hidden(&[(Action::Restart, "j")]), ["j Restart Down"]);
        assert_eq!(hidden(&[(Action::Down, "?")]), ["? Down Help"]);
    }
}
