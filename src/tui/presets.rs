//! Sets of keys that `keys.toml` can begin with.

use super::actions::Action;
use super::keymap::Changes;
use super::keys::Key;

/// A name, and the keys it changes.
type Preset = (&'static str, &'static [(Action, &'static [&'static str])]);

const PRESETS: [Preset; 3] = [
    ("default", &[]),
    (
        "less",
        &[
            (Action::PageDown, &["f", "ctrl-f", "ctrl-v", "pgdn", "space"]),
            (Action::PageUp, &["b", "ctrl-b", "pgup"]),
            (Action::HalfDown, &["d", "ctrl-d"]),
            (Action::HalfUp, &["u", "ctrl-u"]),
            (Action::Top, &["g", "<", "home"]),
            (Action::Bottom, &["G", ">", "end"]),
            (Action::Traces, &["s"]),
            (Action::NextMark, &["alt-u"]),
            // Digits are counts, as in less.
            (Action::Pane1, &["alt-1"]),
            (Action::Pane2, &["alt-2"]),
            (Action::Pane3, &["alt-3"]),
            (Action::Pane4, &["alt-4"]),
            (Action::Pane5, &["alt-5"]),
            (Action::Pane6, &["alt-6"]),
        ],
    ),
    (
        "fkeys",
        &[
            (Action::Help, &["?", "f1"]),
            (Action::Palette, &[":", "f2"]),
            (Action::Search, &["/", "f3"]),
            (Action::Filter, &["&", "f4"]),
            (Action::Restart, &["r", "f5"]),
            (Action::Follow, &["F", "f6"]),
            (Action::Start, &["S", "f7"]),
            (Action::Zoom, &["z", "f8"]),
            (Action::Stop, &["s", "f9"]),
            (Action::Quit, &["q", "ctrl-c", "f10"]),
        ],
    ),
];

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// What the one of this name changes.
pub fn named(name: &str) -> Option<Changes> {
    let (_, keys) = PRESETS.into_iter().find(|(known, _)| *known == name)?;
    let read = |keys: &[&str]| keys.iter().filter_map(|key| Key::parse(key)).collect();
    Some(keys.iter().map(|(action, keys)| (*action, read(keys))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keymap::Keymap;

    #[test]
    fn presets_have_no_clashes_of_their_own() {
        for (name, changes) in PRESETS {
            let read = named(name).unwrap();
            assert_eq!(Keymap::with(&read, &Changes::new()).1, [], "{name}");
            assert!(changes.iter().all(|(action, keys)| read[action].len() == keys.len()), "{name}");
        }
    }
}
