//! A Procfile's lines → `services:` entries. Foreman's rules: `name: command`, run by a shell with `PORT` set; here a shell is used only where the
//! command needs one.

use crate::task::id::ServiceName;

/// Foreman gives the first process this port, and each further one a hundred more.
const FIRST_PORT: u16 = 5000;
const NEXT_PORT: u16 = 100;

/// One process of a Procfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: ServiceName,
    /// `K=V` before the command.
    pub(super) env: Vec<(String, String)>,
    pub(super) what: What,
    /// Where the command reads `PORT`.
    pub(super) port: Option<u16>,
}

/// What a line runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// `go run ./api -x`: built and run as a service of ours.
    Package { package: String, args: Vec<String> },
    /// Anything else.
    Command(Vec<String>),
}

/// Reads a Procfile; the second list says what was left out and why.
pub(super) fn parse(text: &str) -> (Vec<Entry>, Vec<String>) {
    let mut entries: Vec<Entry> = Vec::new();
    let mut notes = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let split = line.split_once(':').map(|(name, command)| (name.trim(), command.trim()));
        let Some((name, command)) = split.filter(|(_, command)| !command.is_empty()) else {
            notes.push(format!("line {} is not `name: command` and was left out: {line}", number + 1));
            continue;
        };
        match ServiceName::fold(name).filter(|name| entries.iter().all(|e| e.name != *name)) {
            Some(name) => {
                let port = FIRST_PORT.saturating_add(NEXT_PORT.saturating_mul(entries.len() as u16));
                entries.push(entry(name, command, port));
            }
            None => notes.push(format!("line {} was left out: `{name}` is no name, or stands twice", number + 1)),
        }
    }
    (entries, notes)
}

fn entry(name: ServiceName, command: &str, port: u16) -> Entry {
    let port = if reads_port(command) { Some(port) } else { None };
    let Some(words) = split(command) else {
        return Entry { name, env: Vec::new(), what: What::Command(shell(command)), port };
    };
    let is_setting = |word: &&String| word.split_once('=').is_some_and(|(key, _)| is_variable(key));
    let settings = words.iter().take_while(is_setting).count();
    let mut env: Vec<(String, String)> = Vec::new();
    for (key, value) in words[..settings].iter().filter_map(|word| word.split_once('=')) {
        // As in a shell, the last one holds.
        env.retain(|(earlier, _)| earlier != key);
        env.push((key.to_owned(), value.to_owned()));
    }
    let words = words[settings..].to_vec();
    let what = match words.as_slice() {
        [] => What::Command(shell(command)),
        [first, rest @ ..] => match (first.as_str(), rest) {
            ("exec", [program, ..]) if !program.starts_with('-') => What::Command(rest.to_vec()),
            ("go", [run, package, args @ ..]) if run == "run" && is_package(package) => {
                What::Package { package: package.clone(), args: args.to_vec() }
            }
            _ => What::Command(words),
        },
    };
    Entry { name, env, what, port }
}

/// A folder, not a flag, a file or something that is downloaded.
fn is_package(word: &str) -> bool {
    (word == "." || word.starts_with("./")) && !word.ends_with(".go") && !word.contains('@')
}

fn is_variable(key: &str) -> bool {
    let mut chars = key.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn reads_port(command: &str) -> bool {
    command.match_indices("PORT").any(|(at, _)| {
        let ends = !command[at + 4..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let plain = command[..at].ends_with('$') && ends;
        plain || command[..at].ends_with("${")
    })
}

/// What `sh` gets; `${` and `$$` are ours, and so are written twice where the shell shall see them.
fn shell(command: &str) -> Vec<String> {
    let command = command.replace("$$", "$$$$").replace("${", "$${");
    vec!["sh".to_owned(), "-c".to_owned(), command]
}

/// The words of a command without a shell; `None` when only a shell gives them their meaning. `$NAME` becomes `${NAME}`.
fn split(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        '$' => word.push_str("$$"),
                        c => word.push(c),
                    }
                }
            }
            '"' => quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '$' => variable(&mut chars, word.get_or_insert_default())?,
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '`' | '*' | '?' | '[' | '{' | '~' | '#' | '!' | '\n' => {
                return None;
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if words.is_empty() { None } else { Some(words) }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn quoted(chars: &mut Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            '"' => return Some(()),
            '`' => return None,
            '$' => variable(chars, word)?,
            '\\' => match chars.next()? {
                '$' => word.push_str("$$"),
                c @ ('"' | '\\' | '`') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

/// After a `$`. An unquoted variable with spaces would be several words in a shell; for ports, hosts and paths it makes no difference.
fn variable(chars: &mut Chars<'_>, word: &mut String) -> Option<()> {
    let mut name = String::new();
    let braces = chars.next_if_eq(&'{').is_some();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    let default = if braces { default(chars)? } else { String::new() };
    if !is_variable(&name) {
        return None;
    }
    word.push_str(&format!("${{{name}{default}}}"));
    Some(())
}

/// `:-text}`, which means the same to us, or `}`; nothing else does.
fn default(chars: &mut Chars<'_>) -> Option<String> {
    let rest: String = std::iter::from_fn(|| chars.next_if(|c| *c != '}')).collect();
    chars.next()?;
    let plain = rest.is_empty() || (rest.starts_with(":-") && !rest.contains(['$', '{', '"', '\'', '`']));
    plain.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(command: &str) -> Entry {
        let (mut entries, notes) = parse(&format!("web: {command}"));
        assert_eq!(notes, Vec::<String>::new());
        entries.remove(0)
    }

    fn argv(command: &str) -> Vec<String> {
        match one(command).what {
            What::Command(argv) => argv,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn of_two_equal_settings_the_last_holds() {
        let (entries, _) = parse("web: A=1 B=2 A=3 ./web");
        assert_eq!(entries[0].env, [("B".to_owned(), "2".to_owned()), ("A".to_owned(), "3".to_owned())]);
    }

    #[test]
    fn words_without_a_shell() {
        assert_eq!(
            argv("bin/etcd --name a --initial-cluster 'a=http://x,b=http://y' --enable-pprof --logger=zap"),
            ["bin/etcd", "--name", "a", "--initial-cluster", "a=http://x,b=http://y", "--enable-pprof", "--logger=zap"]
        );
        assert_eq!(
            argv(r#"a "b c" d\ e '$x' "\$y" $PORT "${Z:-1}""#),
            ["a", "b c", "d e", "$$x", "$$y", "${PORT}", "${Z:-1}"]
        );
        assert_eq!(argv("exec bin/x"), ["bin/x"]);
    }

    #[test]
    fn words_that_need_one() {
        for command in
            ["a | b", "cd x && y", "a > b", "ls *.go", "echo ${X%y}", "echo 'open", "a; b", "$(x)", "echo $1"]
        {
            assert_eq!(argv(command)[..2], ["sh", "-c"], "{command}");
        }
        assert_eq!(argv("echo ${X%y} $$ $PORT; x"), ["sh", "-c", "echo $${X%y} $$$$ $PORT; x"]);
    }

    #[test]
    fn packages_settings_and_ports() {
        let entry = one("A=1 B='x y' go run ./cmd/web -p $PORT");
        assert_eq!(entry.env, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "x y".to_owned())]);
        assert_eq!(
            entry.what,
            What::Package { package: "./cmd/web".into(), args: vec!["-p".into(), "${PORT}".into()] }
        );
        assert_eq!(entry.port, Some(5000));
        assert_eq!(one("go run main.go").what, What::Command(vec!["go".into(), "run".into(), "main.go".into()]));
        assert_eq!(one("x $PORTAL").port, None);
    }

    #[test]
    fn names_and_lines() {
        let (entries, notes) = parse("# c\n\nWeb: a\nclock: b $PORT\nnonsense\nweb: again\n--: x\n");
        let names: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.port)).collect();
        assert_eq!(names, [("web", None), ("clock", Some(5100))]);
        assert_eq!(notes.len(), 3, "{notes:?}");
    }
}
