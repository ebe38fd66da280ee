//! What `go list` reads of a Go file: build constraints, package clause, imports, embed lines. Two heads that are equal give the same answer.
//!
//! It takes no more than is needed to notice a difference: a wrong file has a head, too, and another one once it is mended.

/// What `go list` would see of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// `//go:build` and `// +build` lines before the package clause.
    pub constraints: Vec<String>,
    /// The name in the package clause; `None`: there is none yet.
    pub package: Option<String>,
    /// Import paths in the order of the file, without quotes.
    pub imports: Vec<String>,
    /// The patterns of `//go:embed` lines.
    pub embeds: Vec<String>,
    /// The imports could not be read to their end.
    pub broken: bool,
}

impl Head {
    /// Reads a file's text; bytes that are no UTF-8 are read as signs that mean nothing.
    pub fn of(source: &[u8]) -> Head {
        let text = String::from_utf8_lossy(source);
        let mut head = Head::default();
        let mut rest = Rest(text.trim_start_matches('\u{feff}'));
        rest.skip(|comment| {
            if comment.starts_with("//go:build ") || is_old_constraint(comment) {
                head.constraints.push(comment.trim_end().to_owned());
            }
        });
        if rest.word() != "package" {
            head.broken = true;
            return head;
        }
        rest.skip(|_| {});
        head.package = Some(rest.word().to_owned()).filter(|name| !name.is_empty());
        head.broken = !head.read_imports(&mut rest);
        let lines = rest.0.lines().filter_map(|line| line.trim_start().strip_prefix("//go:embed"));
        head.embeds = lines.filter(|line| line.starts_with([' ', '\t'])).map(|line| line.trim().to_owned()).collect();
        head
    }

    /// False where something is missing.
    fn read_imports(&mut self, rest: &mut Rest<'_>) -> bool {
        loop {
            let before = rest.0;
            rest.skip(|_| {});
            if rest.word() != "import" {
                // Comments before what follows are its own: `//go:embed` is one.
                rest.0 = before;
                return true;
            }
            rest.skip(|_| {});
            if !rest.takes('(') {
                match rest.spec() {
                    Some(path) => self.imports.push(path),
                    None => return false,
                }
                continue;
            }
            loop {
                rest.skip(|_| {});
                if rest.takes(')') {
                    break;
                }
                match rest.spec() {
                    Some(path) => self.imports.push(path),
                    None => return false,
                }
            }
        }
    }
}

fn is_old_constraint(comment: &str) -> bool {
    comment.trim_start_matches('/').trim_start().starts_with("+build ")
}

/// What is left of the text.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Skips spaces, semicolons and comments; each comment is shown to `see`.
    fn skip(&mut self, mut see: impl FnMut(&'a str)) {
        loop {
            self.0 = self.0.trim_start_matches([' ', '\t', '\r', '\n', ';']);
            let end = if self.0.starts_with("//") {
                self.0.find('\n').unwrap_or(self.0.len())
            } else if self.0.starts_with("/*") {
                self.0.find("*/").map_or(self.0.len(), |at| at + 2)
            } else {
                return;
            };
            see(&self.0[..end]);
            self.0 = &self.0[end..];
        }
    }

    /// Letters and digits, or nothing.
    fn word(&mut self) -> &'a str {
        let end = self.0.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word
    }

    fn takes(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// One import: a name, `.` or `_` and the path, or the path alone.
    fn spec(&mut self) -> Option<String> {
        if !self.takes('.') {
            self.word();
        }
        self.skip(|_| {});
        let quote = self.0.chars().next().filter(|c| matches!(c, '"' | '`'))?;
        let inner = &self.0[1..];
        let end = inner.find(quote).filter(|end| !inner[..*end].contains('\n'))?;
        self.0 = &inner[end + 1..];
        Some(inner[..end].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Head;

    const FILE: &str = "// Licence\n//go:build linux && !x\n\n/* doc */ package api // hi\n\nimport \"fmt\"\nimport (\n\t// \"commented\"\n\
                        \t. \"a/b\"; x `c/d`\n\t_ \"embed\" /* e */\n)\n\n//go:embed a.txt web/*\nvar s string\nfunc main() { fmt.Println(\"import\") }\n";

    fn head(text: &str) -> Head {
        Head::of(text.as_bytes())
    }

    #[test]
    fn reads_what_go_list_reads() {
        let got = head(FILE);
        assert_eq!(got.constraints, ["//go:build linux && !x"]);
        assert_eq!((got.package.as_deref(), got.broken), (Some("api"), false));
        assert_eq!(got.imports, ["fmt", "a/b", "c/d", "embed"]);
        assert_eq!(got.embeds, ["a.txt web/*"]);
    }

    #[test]
    fn only_what_matters_makes_a_difference() {
        let same = [("fmt.Println(\"import\")", "fmt.Println(1)"), ("// Licence", "// License"), ("/* doc */", "")];
        for (from, to) in same {
            assert_eq!(head(&FILE.replace(from, to)), head(FILE), "{from}");
        }
        let other = [
            ("linux", "darwin"),
            ("package api", "package web"),
            ("c/d", "c/e"),
            ("a.txt", "b.txt"),
            ("\n)\n", "\n"),
            ("package", "packag"),
        ];
        for (from, to) in other {
            assert_ne!(head(&FILE.replacen(from, to, 1)), head(FILE), "{from}");
        }
    }

    #[test]
    fn halves_are_no_reason_to_panic() {
        for end in 0..=FILE.len() {
            head(&FILE[..end]);
        }
        assert!(head("").broken);
        assert!(head("package a\nimport \"fmt\nx").broken);
        assert!(Head::of(b"\xef\xbb\xbfpackage a; import \"\xff\"").imports.len() == 1);
        assert_eq!(head("// +build x\n\npackage a").constraints, ["// +build x"]);
    }
}
