//! Whether a file belongs to a `//go:embed` pattern, before `go` is asked.

/// Whether a file at `path`, relative to the package's folder and with `/` between folders, is or would be embedded by `pattern`.
pub fn takes(pattern: &str, path: &str) -> bool {
    let (pattern, hidden) = match pattern.strip_prefix("all:") {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let names: Vec<&str> = path.split('/').collect();
    if pattern == "." {
        return hidden || !names.iter().any(|name| is_hidden(name));
    }
    let wanted: Vec<&str> = pattern.split('/').collect();
    if wanted.len() > names.len() || !wanted.iter().zip(&names).all(|(pattern, name)| matches(pattern, name)) {
        return false;
    }
    // A pattern that names a folder takes what is below it, hidden files only with `all:`.
    hidden || !names[wanted.len()..].iter().any(|name| is_hidden(name))
}

/// Whether a file below the folder `path`, relative to the package's, may be embedded by `pattern`.
pub fn leads(pattern: &str, path: &str) -> bool {
    let (pattern, hidden) = match pattern.strip_prefix("all:") {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let names: Vec<&str> = path.split('/').collect();
    let wanted: Vec<&str> = if pattern == "." { Vec::new() } else { pattern.split('/').collect() };
    let below = names.get(wanted.len()..).unwrap_or_default();
    wanted.iter().zip(&names).all(|(pattern, name)| matches(pattern, name))
        && (hidden || !below.iter().any(|name| is_hidden(name)))
}

fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

/// `path.Match` of Go for one element: `*`, `?`, `[a-z]`, `[^a]`, `\x`. A malformed pattern matches nothing.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    from(&pattern, &name)
}

fn from(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], rest) => rest.is_empty(),
        (['*', rest @ ..], _) => (0..=name.len()).any(|taken| from(rest, &name[taken..])),
        (['?', rest @ ..], [_, name @ ..]) => from(rest, name),
        (['\\', wanted, rest @ ..], [c, name @ ..]) => wanted == c && from(rest, name),
        (['[', rest @ ..], [c, name @ ..]) => class(rest, *c).is_some_and(|(holds, rest)| holds && from(rest, name)),
        ([wanted, rest @ ..], [c, name @ ..]) => wanted == c && from(rest, name),
        ([_, ..], []) => false,
    }
}

/// Reads a class up to its `]`: whether it holds `c`, and what follows it.
fn class(mut pattern: &[char], c: char) -> Option<(bool, &[char])> {
    let negated = matches!(pattern, ['^', ..]);
    if negated {
        pattern = &pattern[1..];
    }
    let (mut holds, mut is_first) = (false, true);
    loop {
        if let ([']', rest @ ..], false) = (pattern, is_first) {
            return Some((holds != negated, rest));
        }
        is_first = false;
        let (low, rest) = one(pattern)?;
        let (high, rest) = match rest {
            ['-', rest @ ..] => one(rest)?,
            _ => (low, rest),
        };
        holds |= (low..=high).contains(&c);
        pattern = rest;
    }
}

fn one(pattern: &[char]) -> Option<(char, &[char])> {
    match pattern {
        ['\\', c, rest @ ..] => Some((*c, rest)),
        [']' | '-', ..] | [] => None,
        [c, rest @ ..] => Some((*c, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::{leads, takes};

    #[test]
    fn folders_lead_to_what_may_be_taken() {
        let table = [
            ("web", "web", true),
            ("web", "web/a/b", true),
            ("web", "web/.git", false),
            ("all:web", "web/.x", true),
            ("web/*/x", "web", true),
            ("web/*/x", "web/a", true),
            ("web/*/x", "lib", false),
            ("*.txt", "web", false),
            (".", "a/b", true),
            (".", ".git", false),
        ];
        for (pattern, path, wanted) in table {
            assert_eq!(leads(pattern, path), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn takes_what_go_takes() {
        let table = [
            ("a.txt", "a.txt", true),
            ("a.txt", "b/a.txt", false),
            ("*.txt", "new.txt", true),
            ("*.txt", "sub/new.txt", false),
            ("web", "web/a/b.css", true),
            ("web", "web/.hidden", false),
            ("web", "web/_x/y", false),
            ("all:web", "web/.hidden", true),
            ("web/*", "web/.hidden", true),
            ("web/*", "web/a/.hidden", false),
            ("web/*/x", "web/a/x", true),
            ("[a-c]?.t", "b1.t", true),
            ("[^a-c]?.t", "b1.t", false),
            ("[]", "]", false),
            ("[a", "a", false),
            (r"\*", "*", true),
            (r"\*", "a", false),
            (".", "x/y", true),
            (".", ".git", false),
            ("ü*", "über", true),
        ];
        for (pattern, path, wanted) in table {
            assert_eq!(takes(pattern, path), wanted, "{pattern} {path}");
        }
    }
}
