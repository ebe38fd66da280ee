//! Which lines go on from the line before them in their stream: stack traces, dumps of goroutines, indented text.

/// What the line before in the stream was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fold {
    /// There was none in this run.
    #[default]
    Nothing,
    /// A line like others.
    Plain,
    /// One with tabs between time, level and message, as zap's console writes: names of functions may follow.
    Tabbed,
    /// Part of something indented.
    Indented,
    /// Part of a stack trace.
    Stack,
}

/// What Go's runtime begins its last words with.
const ENDS: [&[u8]; 5] = [b"panic: ", b"fatal error: ", b"SIGQUIT: ", b"runtime: ", b"unexpected fault address"];

/// Whether a line goes on from the one before it, and what it is for the one after it. `stated`: it says its level itself.
pub(super) fn classify(line: &[u8], before: Fold, stated: bool) -> (bool, Fold) {
    if before == Fold::Nothing {
        return (false, begin(line, stated));
    }
    match line.first() {
        Some(b'\t') => (true, if before == Fold::Stack || is_place(line) { Fold::Stack } else { Fold::Indented }),
        Some(b' ') if !stated && line.get(1) == Some(&b' ') => {
            (true, if before == Fold::Stack { Fold::Stack } else { Fold::Indented })
        }
        Some(b'g') if is_goroutine(line) => (true, Fold::Stack),
        Some(b'}' | b']' | b')') if before == Fold::Indented && line.len() <= 3 => (true, Fold::Indented),
        Some(b'p' | b'f') if ENDS.iter().any(|end| line.starts_with(end)) => (false, Fold::Stack),
        _ if before == Fold::Stack && goes_on(line) => (true, Fold::Stack),
        _ if matches!(before, Fold::Tabbed | Fold::Stack) && is_function(line) => (true, Fold::Stack),
        _ => (false, begin(line, stated)),
    }
}

/// What a line is that others may go on from.
fn begin(line: &[u8], stated: bool) -> Fold {
    if ENDS.iter().any(|end| line.starts_with(end)) || is_goroutine(line) {
        return Fold::Stack;
    }
    let head = &line[..line.len().min(64)];
    if stated && memchr::memchr(b'\t', head).is_some() { Fold::Tabbed } else { Fold::Plain }
}

/// `goroutine 17 [running]:`
fn is_goroutine(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"goroutine ") else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && rest[digits..].starts_with(b" ")
}

/// `\t/app/main.go:17 +0x1d`
fn is_place(line: &[u8]) -> bool {
    memchr::memmem::find(line, b".go:").is_some()
}

/// What else is between the frames of a trace.
fn goes_on(line: &[u8]) -> bool {
    const STARTS: [&[u8]; 7] =
        [b"created by ", b"[signal ", b"exit status ", b"runtime stack:", b"...", b"[recovered", b"[originating from "];
    line.is_empty() || STARTS.iter().any(|start| line.starts_with(start)) || is_call(line) || is_register(line)
}

/// `main.(*Charger).Refund(0xc000010000, {0x1, 0x2})`
fn is_call(line: &[u8]) -> bool {
    let Some(open) = line.ends_with(b")").then(|| memchr::memrchr(b'(', line)).flatten() else { return false };
    let name = &line[..open];
    let name = memchr::memchr2(b' ', b'\t', name).map_or(name, |space| &name[..space]);
    memchr::memchr(b'.', name).is_some() && name.len() > 2 && name.first().is_some_and(u8::is_ascii_alphabetic)
}

/// `net/http.HandlerFunc.ServeHTTP`, alone in its line.
fn is_function(line: &[u8]) -> bool {
    let named = |byte: &u8| byte.is_ascii_alphanumeric() || b"._/*()-[]".contains(byte);
    line.first().is_some_and(u8::is_ascii_alphabetic) && memchr::memchr(b'.', line).is_some() && line.iter().all(named)
}

/// `rax    0xca`
fn is_register(line: &[u8]) -> bool {
    let name = line.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    (2..=6).contains(&name) && line[name..].trim_ascii_start().starts_with(b"0x") && line.get(name) == Some(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::level;

    /// The lines that others do not go on from.
    fn heads(lines: &str) -> Vec<&str> {
        let mut fold = Fold::Nothing;
        let is_head = |line: &&str| {
            let (continues, next) = classify(line.as_bytes(), fold, level::detect(line.as_bytes()).is_some());
            fold = next;
            !continues
        };
        lines.lines().filter(is_head).collect()
    }

    #[test]
    fn a_panic_is_one() {
        let text = "serving\npanic: assignment to entry in nil map [recovered]\n\tpanic: again\n[signal SIGSEGV: x]\n\n\
            goroutine 1 [running]:\nmain.handle(...)\n\t/app/main.go:7 +0xf4\nmain.(*C).Do(0x1, {0x2, 0x3})\n\t/app/c.go:1\n\
            created by main.main in goroutine 1\n\t/app/main.go:9\n\ngoroutine 5 [select]:\nnet/http.(*conn).serve(0x1)\n\
            \t/go/x.go:1\nexit status 2\nlistening on :8080";
        let expected = ["serving", "panic: assignment to entry in nil map [recovered]", "listening on :8080"];
        assert_eq!(heads(text), expected);
    }

    #[test]
    fn zaps_traces_and_indented_text_are_folded() {
        let zap = "2026-01-02T03:04:05.000Z\tWARN\tmain.go:43\tdb unreachable\nmain.main\n\t/x/main.go:43\nruntime.main\n\t/go/p.go:2\ndone";
        assert_eq!(heads(zap), ["2026-01-02T03:04:05.000Z\tWARN\tmain.go:43\tdb unreachable", "done"]);
        assert_eq!(heads("{\n  \"a\": 1,\n  \"b\": [\n  ]\n}\nnext"), ["{", "next"]);
        assert_eq!(heads("rax    0x0\nSIGQUIT: quit\nrax    0x0\nrip    0x1"), ["rax    0x0", "SIGQUIT: quit"]);
    }

    #[test]
    fn ordinary_lines_stand_alone() {
        for text in
            ["a\nb", "example.com\nmain.main", "\tfirst\nsecond", "level=INFO a=b\n one space", "a\n  level=INFO x"]
        {
            assert_eq!(heads(text), text.lines().collect::<Vec<_>>(), "{text}");
        }
    }
}
