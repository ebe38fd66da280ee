//! Lines that are no JSON: Go's `log`, slog's and logrus' text, klog, hclog, and what zap, zerolog and logrus write for a terminal.

use super::caller::Caller;
use super::{Field, Format, Read, Role, Time, Value, caller, key, pairs, quoted, time, value};
use crate::logs::level::Level;

/// A prefix before the date of Go's `log` is no longer.
const PREFIX: usize = 48;

/// Reads a line without colours and control characters.
pub(super) fn read(line: &str) -> Read {
    let text = line.trim_end();
    let forms = [klog, logfmt, zap, hclog, zerolog, logrus, log];
    forms.iter().find_map(|form| form(text)).unwrap_or_else(|| {
        let mut plain = Parts::new(Format::Plain);
        plain.add(Role::Message, "msg", line);
        plain.end()
    })
}

/// The parts of a line, as they are found.
struct Parts {
    read: Read,
}

impl Parts {
    fn new(format: Format) -> Parts {
        Parts { read: Read { format, ..Read::default() } }
    }

    fn add(&mut self, role: Role, key: &str, text: &str) {
        self.read.fields.push(Field { key: key.to_owned(), value: Value::String(text.to_owned()), role });
    }

    fn time(&mut self, time: Time) {
        self.add(Role::Time, "time", &time.text);
        self.read.time = Some(time);
    }

    fn caller(&mut self, caller: &Caller) {
        self.add(Role::Caller, "caller", &format!("{}:{}", caller.file, caller.line));
    }

    /// Fields of the line's own, whose names change nothing of what was found already.
    fn fields(&mut self, members: Vec<(String, Value)>) {
        let plain = |mut field: Field| {
            field.role = if matches!(field.role, Role::Error | Role::Stack) { field.role } else { Role::Other };
            field
        };
        self.read.fields.extend(key::assign(members).into_iter().map(plain));
    }

    /// A message with pairs behind it.
    fn words(&mut self, text: &str) {
        let (message, members) = pairs::trailing(text);
        self.add(Role::Message, "msg", message);
        self.fields(members);
    }

    fn end(self) -> Read {
        self.read
    }
}

/// `E1121 00:58:53.655603   22409 main.go:57] "db unreachable" err="dial ..." attempt=3`
fn klog(text: &str) -> Option<Read> {
    let letter = text.bytes().next().filter(|b| b"DIWEF".contains(b))?;
    let clock = text.get(1..21).filter(|clock| {
        let shape = b"dddd dd:dd:dd.dddddd";
        clock
            .bytes()
            .zip(shape)
            .all(|(byte, wanted)| if *wanted == b'd' { byte.is_ascii_digit() } else { byte == *wanted })
    })?;
    let thread = text[21..].trim_start();
    let rest = thread.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(' ')?;
    let (caller, len) = caller::read(rest)?;
    let message = rest[len..].strip_prefix(']')?.trim_start();
    let mut parts = Parts::new(Format::Klog);
    parts.add(Role::Level, "level", &char::from(letter).to_string());
    parts.time(Time { text: clock.to_owned(), moment: None });
    parts.caller(&caller);
    match quoted::read(message) {
        Some((inner, len)) if matches!(message.as_bytes().get(len), None | Some(b' ')) => {
            parts.add(Role::Message, "msg", &inner);
            let (between, members) = pairs::trailing(&message[len..]);
            if !between.trim().is_empty() {
                parts.read.fields.pop();
                parts.add(Role::Message, "msg", message);
            } else {
                parts.fields(members);
            }
        }
        _ => parts.add(Role::Message, "msg", message),
    }
    Some(parts.end())
}

/// `time=… level=INFO msg="…"`
fn logfmt(text: &str) -> Option<Read> {
    let fields = key::assign(pairs::all(text)?);
    let of = |name: &str| fields.iter().find(|field| field.key == name).map(|field| &field.value);
    let level = of("level").and_then(Value::as_str).unwrap_or_default();
    let format = match (fields.first().map(|field| field.key.as_str()), of("msg").is_some()) {
        (Some("time" | "level"), true) if level.starts_with(|c: char| c.is_ascii_uppercase()) => Format::SlogText,
        (Some("time"), true) if !level.is_empty() => Format::LogrusText,
        _ => Format::Logfmt,
    };
    Some(Read { format, fields, time: None })
}

/// `2026-11-21T00:58:53.655Z⇥WARN⇥orders⇥demo/main.go:43⇥db unreachable⇥{"error": "…"}`
fn zap(text: &str) -> Option<Read> {
    let mut columns: Vec<&str> = text.split('\t').collect();
    let (stamp, level) = (*columns.first()?, *columns.get(1)?);
    let numbers = || time::of_value(&Value::bare(stamp));
    let time = time::read(stamp).filter(|(_, len)| *len == stamp.len()).map(|(time, _)| time).or_else(numbers)?;
    Level::from_word(level.as_bytes())?;
    let mut parts = Parts::new(Format::ZapConsole);
    parts.time(time);
    parts.add(Role::Level, "level", level);
    columns.drain(..2);
    let members = columns.last().filter(|_| columns.len() > 1).and_then(|last| {
        let (value, len) = value::json(last)?;
        match value {
            Value::Object(members) if len == last.len() => Some(members),
            _ => None,
        }
    });
    if members.is_some() {
        columns.pop();
    }
    if let Some(at) = columns.iter().take(2).position(|column| caller::whole(column).is_some()) {
        if at == 1 {
            parts.add(Role::Logger, "logger", columns[0]);
        }
        if let Some(caller) = caller::whole(columns[at]) {
            parts.caller(&caller);
        }
        columns.drain(..=at);
    }
    parts.add(Role::Message, "msg", &columns.join("\t"));
    parts.fields(members.unwrap_or_default());
    Some(parts.end())
}

/// `2026-11-21T00:58:53.655Z [ERROR] orders: db unreachable: err="dial ..." attempt=3`
fn hclog(text: &str) -> Option<Read> {
    let (time, len) = time::read(text)?;
    let (level, rest) = text[len..].strip_prefix(" [")?.split_once(']')?;
    Level::from_word(level.as_bytes())?;
    let mut rest = rest.trim_start();
    let mut parts = Parts::new(Format::Hclog);
    parts.time(time);
    parts.add(Role::Level, "level", level);
    if let Some((caller, len)) = caller::read(rest)
        && let Some(after) = rest[len..].strip_prefix(": ")
    {
        parts.caller(&caller);
        rest = after;
    }
    if let Some((name, after)) = rest.split_once(": ")
        && is_name(name)
    {
        parts.add(Role::Logger, "logger", name);
        rest = after;
    }
    let (message, members) = pairs::trailing(rest);
    let message = if members.is_empty() { message } else { message.strip_suffix(':').unwrap_or(message) };
    parts.add(Role::Message, "msg", message);
    parts.fields(members);
    Some(parts.end())
}

/// `12:58AM ERR main.go:47 > db unreachable error="..."`
fn zerolog(text: &str) -> Option<Read> {
    let mut parts = Parts::new(Format::ZerologConsole);
    let len = match time::read(text) {
        Some((time, len)) => {
            parts.time(time);
            len
        }
        None => {
            let len = time::kitchen(text)?;
            parts.time(Time { text: text[..len].to_owned(), moment: None });
            len
        }
    };
    let (level, rest) = text[len..].strip_prefix(' ')?.split_once(' ')?;
    let is_short = level.len() == 3 && level.bytes().all(|b| b.is_ascii_uppercase());
    (is_short && Level::from_word(level.as_bytes()).is_some()).then_some(())?;
    parts.add(Role::Level, "level", level);
    let mut rest = rest;
    if let Some((caller, len)) = caller::read(rest)
        && let Some(after) = rest[len..].strip_prefix(" > ")
    {
        parts.caller(&caller);
        rest = after;
    }
    parts.words(rest);
    Some(parts.end())
}

/// `WARN[0003] slow    attempt=3`
fn logrus(text: &str) -> Option<Read> {
    let (level, rest) = text.split_at_checked(4)?;
    let (stamp, rest) = rest.strip_prefix('[')?.split_once(']')?;
    let is_short = level.bytes().all(|b| b.is_ascii_uppercase());
    (is_short && Level::from_word(level.as_bytes()).is_some()).then_some(())?;
    let mut parts = Parts::new(Format::LogrusConsole);
    parts.add(Role::Level, "level", level);
    match time::read(stamp) {
        Some((time, len)) if len == stamp.len() => parts.time(time),
        _ if !stamp.is_empty() && stamp.bytes().all(|b| b.is_ascii_digit()) => {
            parts.time(Time { text: stamp.to_owned(), moment: None });
        }
        _ => return None,
    }
    parts.words(rest.trim_start());
    Some(parts.end())
}

/// `orders: 2026/11/21 00:58:53.655120 main.go:29: retrying`, slog's `2026/11/21 00:58:53 ERROR db unreachable attempt=3`
fn log(text: &str) -> Option<Read> {
    let (prefix, time, len) = dated(text)?;
    let mut parts = Parts::new(Format::Log);
    let prefix = prefix.trim().trim_end_matches(':');
    if !prefix.is_empty() {
        parts.add(Role::Logger, "logger", prefix);
    }
    parts.time(time);
    let mut rest = text[len..].trim_start();
    if let Some((caller, len)) = caller::read(rest)
        && let Some(after) = rest[len..].strip_prefix(": ")
    {
        parts.caller(&caller);
        rest = after;
    }
    let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_level = word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-'));
    if is_level && Level::from_word(word.as_bytes()).is_some() {
        parts.add(Role::Level, "level", word);
        rest = after;
    }
    parts.words(rest);
    Some(parts.end())
}

/// What stands before the date of `log`, the time, and where the rest begins.
fn dated(text: &str) -> Option<(&str, Time, usize)> {
    let slashes = memchr::memchr_iter(b'/', text.as_bytes()).take_while(|at| *at <= PREFIX + 4);
    slashes.filter_map(|slash| slash.checked_sub(4)).find_map(|at| {
        let (time, len) = time::read(text.get(at..)?)?;
        time.text.contains('/').then(|| (&text[..at], time, at + len))
    })
}

/// What hclog calls a logger: one word, dots between its parts.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}
