//! A command in one string, split into words as a shell would do it, without running one.

/// What a command line could not be split for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclosed {
    /// A quote without its partner.
    #[error("a quote is opened and never closed")]
    Quote,
    /// A backslash at the very end.
    #[error("a backslash at the end escapes nothing")]
    Backslash,
}

/// Splits at blanks; single quotes keep everything, double quotes keep all but `\"`, `\\`, `\$` and `` \` ``; a backslash keeps the next character.
pub fn split(text: &str) -> Result<Vec<String>, Unclosed> {
    let (mut words, mut word): (Vec<String>, Option<String>) = (Vec::new(), None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err(Unclosed::Backslash),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), Unclosed> {
    loop {
        match chars.next().ok_or(Unclosed::Quote)? {
            '\'' => return Ok(()),
            c => word.push(c),
        }
    }
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), Unclosed> {
    loop {
        match chars.next().ok_or(Unclosed::Quote)? {
            '"' => return Ok(()),
            '\\' => match chars.next().ok_or(Unclosed::Quote)? {
                '\n' => {}
                c @ ('"' | '\\' | '$' | '`') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

/// The first word that only a shell would understand.
pub fn shell_operator(words: &[String]) -> Option<&str> {
    let operators = ["|", "||", "&", "&&", ";", ">", ">>", "<", "2>&1", "2>"];
    words.iter().map(String::as_str).find(|word| operators.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_like_a_shell_does() {
        let split = |text| split(text).unwrap();
        assert_eq!(split("go run ./cmd/migrate"), ["go", "run", "./cmd/migrate"]);
        assert_eq!(split(r#" a 'b  c' "d \"e\" \x" f\ g '' "#), ["a", "b  c", "d \"e\" \\x", "f g", ""]);
        assert_eq!(split("x=$(touch y); echo"), ["x=$(touch", "y);", "echo"]);
        assert!(split("   ").is_empty());
    }

    #[test]
    fn open_quotes_are_errors() {
        assert_eq!(split("a 'b"), Err(Unclosed::Quote));
        assert_eq!(split("a \"b\\"), Err(Unclosed::Quote));
        assert_eq!(split("a\\"), Err(Unclosed::Backslash));
    }
}
