//! `keys.toml`: keys, theme and manners, as the user wishes. What is wrong in it is told, and the rest holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::actions::{ACTIONS, Action, Scope};
use super::keymap::Keymap;
use super::keys::Key;
use super::theme::Theme;
use crate::config::suggest;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Which key does what.
    pub keymap: Keymap,
    /// The name of a theme.
    pub theme: Option<String>,
    /// Only ASCII is drawn.
    pub ascii: bool,
    /// The mouse is left to the terminal.
    pub no_mouse: bool,
    /// What is wrong with it, one sentence each.
    pub problems: Vec<String>,
}

/// A name, and the keys it changes.
type Preset = (&'static str, &'static [(Action, &'static [&'static str])]);

/// Sets of keys that a file can begin with.
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

/// Where the file is: `$XDG_CONFIG_HOME/orchestra/keys.toml`, else below `~/.config`.
pub fn path(var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let config = var("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let config = config.or_else(|| var("HOME").map(|home| home.join(".config")))?;
    Some(config.join("orchestra/keys.toml"))
}

/// Reads the file; one that is not there says nothing.
pub fn load(path: &Path) -> Settings {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Settings::default(),
        Err(error) => {
            Settings { problems: vec![format!("cannot read `{}`: {error}", path.display())], ..Settings::default() }
        }
    }
}

/// Understands the text of the file.
pub fn parse(text: &str) -> Settings {
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
            let line = before.matches('\n').count() + 1;
            let problem = format!("keys.toml, line {line}: {}", error.message());
            return Settings { problems: vec![problem], ..Settings::default() };
        }
    };
    let mut settings = Settings::default();
    let (mut changes, mut commands) = (BTreeMap::new(), BTreeMap::new());
    if let Some(value) = table.get("preset") {
        preset(value, &mut changes, &mut settings.problems);
    }
    for (name, value) in &table {
        let scope = Scope::ALL.into_iter().find(|scope| scope.word() == name);
        match (&**name, scope, value) {
            ("preset", ..) => {}
            ("theme", _, Value::String(theme)) if Theme::names().any(|name| name == theme) => {
                settings.theme = Some(theme.clone());
            }
            ("theme", ..) => settings.problems.push(among("theme", value, Theme::names())),
            ("ascii", _, Value::Boolean(on)) => settings.ascii = *on,
            ("mouse", _, Value::Boolean(on)) => settings.no_mouse = !on,
            ("ascii" | "mouse", ..) => settings.problems.push(format!("keys.toml: `{name}` is true or false")),
            ("commands", _, Value::Table(table)) => {
                for (name, value) in table {
                    commands.extend(keys(name, value, &mut settings.problems).map(|keys| (name.clone(), keys)));
                }
            }
            (_, Some(scope), Value::Table(keys)) => bindings(scope, keys, &mut changes, &mut settings.problems),
            _ => {
                let known = Scope::ALL
                    .iter()
                    .map(|scope| scope.word())
                    .chain(["commands", "preset", "theme", "ascii", "mouse"]);
                settings.problems.push(format!("keys.toml: there is no `{name}`{}", nearest(name, known)));
            }
        }
    }
    let (keymap, clashes) = Keymap::with(&changes);
    let (keymap, hidden) = keymap.with_commands(commands);
    settings.keymap = keymap;
    settings.problems.extend(clashes.into_iter().chain(hidden).map(|clash| format!("keys.toml: {clash}")));
    settings
}

fn preset(value: &Value, changes: &mut BTreeMap<Action, Vec<Key>>, problems: &mut Vec<String>) {
    let found = PRESETS.into_iter().find(|(name, _)| value.as_str() == Some(name));
    match found {
        Some((_, keys)) => {
            let read = |keys: &[&str]| keys.iter().filter_map(|key| Key::parse(key)).collect();
            changes.extend(keys.iter().map(|(action, keys)| (*action, read(keys))));
        }
        None => problems.push(among("preset", value, PRESETS.iter().map(|(name, _)| *name))),
    }
}

fn bindings(scope: Scope, table: &Table, changes: &mut BTreeMap<Action, Vec<Key>>, problems: &mut Vec<String>) {
    for (name, value) in table {
        let of_scope = || ACTIONS.iter().filter(move |entry| entry.scope == scope);
        let Some(entry) = of_scope().find(|entry| entry.name == name) else {
            let near = nearest(name, of_scope().map(|entry| entry.name));
            problems.push(format!("keys.toml: [{}] has no action `{name}`{near}", scope.word()));
            continue;
        };
        changes.extend(keys(name, value, problems).map(|keys| (entry.action, keys)));
    }
}

/// One key, or a list of them.
fn keys(name: &str, value: &Value, problems: &mut Vec<String>) -> Option<Vec<Key>> {
    let texts: Option<Vec<&str>> = match value {
        Value::String(key) => Some(vec![key]),
        Value::Array(keys) => keys.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let Some(texts) = texts else {
        problems.push(format!("keys.toml: `{name}` takes a key, or a list of keys: [\"r\", \"f5\"]"));
        return None;
    };
    for text in texts.iter().filter(|text| Key::parse(text).is_none()) {
        problems.push(format!("keys.toml: `{text}` of `{name}` is no key: j, G, space, ctrl-d, alt-x, f5, pgdn"));
    }
    Some(texts.iter().filter_map(|text| Key::parse(text)).collect())
}

fn among<'a>(what: &str, value: &Value, known: impl Iterator<Item = &'a str>) -> String {
    let known = known.collect::<Vec<_>>().join(", ");
    let Some(value) = value.as_str() else { return format!("keys.toml: `{what}` is one of {known}") };
    format!("keys.toml: there is no {what} `{value}`; there are {known}")
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    suggest::nearest(name, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_file_replace_those_of_the_preset() {
        let text = "preset = \"fkeys\"\ntheme = \"light\"\nmouse = false\n[services]\nrestart = [\"R\", \"ctrl-r\"]\nstop = []\n";
        let settings = parse(text);
        assert_eq!(settings.problems, Vec::<String>::new());
        assert_eq!((settings.theme.as_deref(), settings.no_mouse), (Some("light"), true));
        let does = |key: &str| settings.keymap.action(Scope::Services, Key::parse(key).unwrap());
        assert_eq!((does("R"), does("r"), does("f5")), (Some(Action::Restart), None, None));
        assert_eq!((does("s"), does("f7")), (None, Some(Action::Start)));
    }

    #[test]
    fn commands_of_the_project_have_keys_and_win() {
        let settings = parse("[commands]\nmigrate = \"f9\"\nseed = [\"ctrl-s\", \"R\"]\nbad = 1\n");
        let command = |key: &str| settings.keymap.command(Key::parse(key).unwrap()).map(str::to_owned);
        assert_eq!([command("f9"), command("R"), command("r")], [Some("migrate".into()), Some("seed".into()), None]);
        assert_eq!(settings.keymap.keys_of_command("migrate"), [Key::parse("f9").unwrap()]);
        assert_eq!(
            settings.problems,
            [
                "keys.toml: `bad` takes a key, or a list of keys: [\"r\", \"f5\"]",
                "keys.toml: `R` means the command `seed`, and `raw` (problems) no more",
            ]
        );
    }

    #[test]
    fn presets_have_no_clashes_of_their_own() {
        for (name, _) in PRESETS {
            assert_eq!(parse(&format!("preset = \"{name}\"")).problems, Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn moves_of_less_are_not_hidden_by_the_log() {
        let keymap = parse("preset = \"less\"").keymap;
        let does = |key: &str| keymap.action(Scope::Log, Key::parse(key).unwrap());
        for (key, action) in
            [("f", Action::PageDown), ("b", Action::PageUp), ("d", Action::HalfDown), ("u", Action::HalfUp)]
        {
            assert_eq!(does(key), Some(action), "{key}");
        }
        assert_eq!((does("5"), does("alt-5")), (None, Some(Action::Pane5)));
    }

    #[test]
    fn what_is_wrong_is_told_and_the_rest_holds() {
        let text =
            "theme = \"drak\"\nascii = 1\n[services]\nrestrat = \"x\"\nstop = \"S\"\nbuild = \"nokey\"\n[logs]\n";
        let settings = parse(text);
        assert_eq!(
            settings.problems,
            [
                "keys.toml: `ascii` is true or false",
                "keys.toml: there is no `logs`; did you mean `log`?",
                "keys.toml: `nokey` of `build` is no key: j, G, space, ctrl-d, alt-x, f5, pgdn",
                "keys.toml: [services] has no action `restrat`; did you mean `restart`?",
                "keys.toml: there is no theme `drak`; there are terminal, dark, light, high-contrast, colour-blind, mono",
                "keys.toml: `S` means both `stop` and `start` (services)",
            ]
        );
        assert_eq!(parse("a = 1\nb = = 2").problems[0].split(':').next(), Some("keys.toml, line 2"));
    }

    #[test]
    fn the_file_is_where_configuration_is() {
        let of = |vars: &[(&str, &str)]| {
            path(|key| vars.iter().find(|(known, _)| *known == key).map(|(_, value)| PathBuf::from(value)))
        };
        assert_eq!(of(&[("HOME", "/h")]), Some("/h/.config/orchestra/keys.toml".into()));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")]), Some("/c/orchestra/keys.toml".into()));
        assert_eq!(of(&[]), None);
    }
}
