//! Finds the level in a line as Go's usual loggers write it: slog, log, logrus, zap, zerolog, klog and glog, hclog, log15; text, logfmt or JSON.

use memchr::memmem;

use super::trace::is_dump;

/// How bad a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Finer than debug.
    Trace,
    /// For the developer.
    Debug,
    /// As usual.
    Info,
    /// Something may be wrong.
    Warn,
    /// Something is wrong.
    Error,
    /// And the program ends of it.
    Fatal,
}

/// The names JSON loggers give to the level, as they stand in a line.
const KEYS: [&[u8]; 6] = [b"\"level\"", b"\"severity\"", b"\"lvl\"", b"\"@level\"", b"\"L\"", b"\"log.level\""];

/// Whether loggers give this name to the level.
pub fn is_key(name: &str) -> bool {
    KEYS.iter().any(|key| key[1..key.len() - 1] == *name.as_bytes())
}

/// How far a level is looked for.
const REACH: usize = 4096;

impl Level {
    /// Three letters, as lines show it.
    pub fn short(self) -> &'static str {
        match self {
            Level::Trace => "TRC",
            Level::Debug => "DBG",
            Level::Info => "INF",
            Level::Warn => "WRN",
            Level::Error => "ERR",
            Level::Fatal => "FTL",
        }
    }

    /// The number with which pino and bunyan write it.
    pub fn from_number(number: u32) -> Option<Level> {
        match number {
            10..20 => Some(Level::Trace),
            20..30 => Some(Level::Debug),
            30..40 => Some(Level::Info),
            40..50 => Some(Level::Warn),
            50..60 => Some(Level::Error),
            60..100 => Some(Level::Fatal),
            _ => None,
        }
    }

    /// Reads a level's name in any of its spellings, in upper or lower case; `INFO+2` and `DEBUG-4` too.
    pub fn from_word(word: &[u8]) -> Option<Level> {
        let word = word.split(|byte| matches!(byte, b'+' | b'-')).next()?;
        let mut lower = [0; 9];
        let lower = lower.get_mut(..word.len())?;
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        match &*lower {
            b"trace" | b"trc" | b"trac" => Some(Level::Trace),
            b"debug" | b"dbg" | b"debu" | b"dbug" => Some(Level::Debug),
            b"info" | b"inf" | b"notice" => Some(Level::Info),
            b"warn" | b"warning" | b"wrn" => Some(Level::Warn),
            b"error" | b"err" | b"erro" | b"eror" => Some(Level::Error),
            b"fatal" | b"ftl" | b"fata" | b"panic" | b"pnc" | b"pani" | b"dpanic" | b"critical" | b"crit"
            | b"emergency" | b"alert" => Some(Level::Fatal),
            _ => None,
        }
    }
}

/// The level a line states itself.
pub fn detect(line: &[u8]) -> Option<Level> {
    let line = &line[..line.len().min(REACH)];
    let line = unescaped(line).trim_ascii_start();
    match line.first()? {
        b'{' => json(line),
        _ if is_dump(line) => Some(Level::Fatal),
        _ => glog(line).or_else(|| pairs(line)).or_else(|| words(line)),
    }
}

/// Without the colours it begins with.
fn unescaped(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = line.strip_prefix(b"\x1b[") {
        let Some(end) = rest.iter().position(|byte| byte.is_ascii_alphabetic()) else { break };
        line = &rest[end + 1..];
    }
    line
}

/// `{"level":"info"}` and its like; zerolog, zap, slog, logrus, hclog, Google Cloud, pino's numbers.
fn json(line: &[u8]) -> Option<Level> {
    KEYS.iter().find_map(|key| {
        let after = memmem::find(line, key)? + key.len();
        let value = line[after..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        match value.strip_prefix(b"\"") {
            Some(text) => Level::from_word(&text[..memchr::memchr(b'"', text)?]),
            None => number(value),
        }
    })
}

fn number(value: &[u8]) -> Option<Level> {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number: u32 = std::str::from_utf8(&value[..digits]).ok()?.parse().ok()?;
    Level::from_number(number)
}

/// `I0102 15:04:05.000000 …`
fn glog(line: &[u8]) -> Option<Level> {
    let [letter, month_day @ .., b' ', hour, _, b':'] = line.get(..9)? else { return None };
    if !hour.is_ascii_digit() || !month_day.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match letter {
        b'D' => Some(Level::Debug),
        b'I' => Some(Level::Info),
        b'W' => Some(Level::Warn),
        b'E' => Some(Level::Error),
        b'F' => Some(Level::Fatal),
        _ => None,
    }
}

/// `level=INFO`, `lvl=info`, `severity="warn"`
fn pairs(line: &[u8]) -> Option<Level> {
    const KEYS: [&[u8]; 3] = [b"level=", b"lvl=", b"severity="];
    KEYS.iter().find_map(|key| {
        let at = memmem::find(line, key)?;
        if at > 0 && !matches!(line[at - 1], b' ' | b'\t' | b'm') {
            return None;
        }
        let value = line[at + key.len()..].trim_ascii_start();
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'"' | 0x1b)).unwrap_or(value.len());
        Level::from_word(&value[..end])
    })
}

/// `2026/01/02 03:04:05 main.go:9: ERROR …`, `[warn] …`, `INFO[0003] …`, `3:04PM ERR …`, zap's `…Z\tinfo\t…`
fn words(line: &[u8]) -> Option<Level> {
    let mut after_time = false;
    for word in line.split(|byte| matches!(byte, b' ' | b'\t' | b'|')).filter(|word| !word.is_empty()).take(6) {
        let bare = unescaped(word);
        let end = bare.iter().position(|byte| *byte == 0x1b).unwrap_or(bare.len());
        let bare = &bare[..end];
        let bracketed = matches!(bare.first(), Some(b'[' | b'(' | b'<'));
        let is_open = |byte: &u8| matches!(byte, b'[' | b'(' | b'<');
        let bare = &bare[bare.iter().take_while(|byte| is_open(byte)).count()..];
        let end =
            bare.iter().position(|byte| matches!(byte, b'[' | b']' | b')' | b'>' | b':' | b',')).unwrap_or(bare.len());
        let (name, rest) = bare.split_at(end);
        if let Some(level) = Level::from_word(name) {
            let upper = name.iter().all(|byte| !byte.is_ascii_lowercase());
            if upper || bracketed || after_time || rest.starts_with(b":") {
                return Some(level);
            }
        }
        after_time = bare.first().is_some_and(u8::is_ascii_digit);
        let is_place = memchr::memchr(b':', word).is_some();
        if !(after_time || bracketed || is_place) {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loggers() {
        let cases: [(&str, Option<Level>); 32] = [
            ("time=2026-01-02T03:04:05Z level=INFO msg=hi", Some(Level::Info)),
            ("level=DEBUG-4 msg=hi", Some(Level::Debug)),
            (r#"{"time":"x","level":"ERROR","msg":"level=info"}"#, Some(Level::Error)),
            (r#"{"level":"warn","msg":"hi"}"#, Some(Level::Warn)),
            (r#"{"level": 30, "msg":"hi"}"#, Some(Level::Info)),
            (r#"{"severity":"CRITICAL"}"#, Some(Level::Fatal)),
            (r#"{"msg":"no level"}"#, None),
            ("I0102 15:04:05.000000 1234 main.go:1] hi", Some(Level::Info)),
            ("E0102 15:04:05.000000 1234 main.go:1] hi", Some(Level::Error)),
            ("2026/01/02 03:04:05 ERROR it broke", Some(Level::Error)),
            ("2026/01/02 03:04:05 main.go:9: WARN careful", Some(Level::Warn)),
            ("2026/01/02 03:04:05 hello world", None),
            ("2026/01/02 03:04:05 [error] it broke", Some(Level::Error)),
            ("[ERROR] it broke", Some(Level::Error)),
            ("[warn] careful", Some(Level::Warn)),
            ("ERROR: it broke", Some(Level::Error)),
            ("error: it broke", Some(Level::Error)),
            ("error in the middle of prose", None),
            ("an ERROR in the middle of prose", None),
            ("info about things", None),
            ("INFO[0003] logrus on a terminal", Some(Level::Info)),
            ("\x1b[31mERRO\x1b[0m[0003] logrus in colour", Some(Level::Error)),
            ("\x1b[90m3:04PM\x1b[0m \x1b[31mERR\x1b[0m zerolog console", Some(Level::Error)),
            ("2026-01-02T03:04:05.000Z\tinfo\tmain.go:1\tzap console", Some(Level::Info)),
            ("2026-01-02T03:04:05.000Z [DEBUG] hclog: hi", Some(Level::Debug)),
            ("t=2026 lvl=eror msg=log15", Some(Level::Error)),
            ("WARNING: DATA RACE", Some(Level::Warn)),
            ("panic: runtime error: index out of range", Some(Level::Fatal)),
            ("goroutine 17 [running]:", Some(Level::Fatal)),
            ("goroutine pools are nice", None),
            ("\tmain.go:17 +0x1d", None),
            ("", None),
        ];
        for (line, level) in cases {
            assert_eq!(detect(line.as_bytes()), level, "{line}");
        }
    }
}
