//! How a line looks: text with a prefix, JSON, or as it is.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;

use super::LogsProject;
use crate::error::{Error, Kind, Result};
use crate::logs::clean::{Colours, clean};
use crate::logs::escape::is_hidden;
use crate::logs::lines::{Line, Sink};
use crate::logs::sources::{Channel, Source};
use crate::task::id::{InstanceId, ServiceName};

/// Written at once.
const FULL: usize = 64 * 1024;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `api.1 | the line`
    Text { timestamps: bool, color: bool },
    /// One object a line.
    Json,
    /// As the service wrote it.
    Raw,
}

/// What stands before the lines of each source.
#[derive(Debug)]
pub(super) struct Names {
    scales: BTreeMap<ServiceName, u32>,
    /// The widest label that can be foreseen.
    width: usize,
    sources: Vec<Source>,
}

impl Names {
    pub(super) fn new(project: &LogsProject) -> Names {
        let mut names = Names { scales: project.scales.clone(), width: 0, sources: Vec::new() };
        for service in &project.names {
            let last = names.scales.get(service).copied().unwrap_or(1);
            names.width = names.width.max(names.label(service, Some(last)).len());
        }
        for InstanceId { service, number } in &project.instances {
            names.width = names.width.max(names.label(service, Some(*number)).len());
        }
        names
    }

    /// Takes note of all sources there are; true when the prefixes change.
    pub(super) fn learn(&mut self, sources: &[Source]) {
        self.sources = sources.to_vec();
        for source in sources {
            // Told by the folders where nobody knows better.
            if let Some(number) = source.instance()
                && number > 1
            {
                self.scales.entry(source.service.clone()).or_insert(number);
            }
        }
        let labels = sources.iter().map(|source| self.label(&source.service, source.instance()).len());
        self.width = labels.fold(self.width, usize::max);
    }

    /// `api` where there is one copy, else `api.2`.
    fn label(&self, service: &ServiceName, instance: Option<u32>) -> String {
        let scale = self.scales.get(service).copied().unwrap_or(1);
        match instance {
            Some(number) if scale > 1 || number > 1 => format!("{service}.{number}"),
            _ => service.to_string(),
        }
    }

    fn prefix(&self, source: &Source, color: bool) -> Vec<u8> {
        let label = self.label(&source.service, source.instance());
        let width = self.width;
        if color {
            let hue = hue(source.service.as_str());
            format!("\x1b[{hue}m{label:width$} |\x1b[0m ").into_bytes()
        } else {
            format!("{label:width$} | ").into_bytes()
        }
    }
}

/// The same name always has the same colour.
fn hue(name: &str) -> u8 {
    const HUES: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    HUES[((hash >> 32) % HUES.len() as u64) as usize]
}

/// Writes lines.
#[derive(Debug)]
pub(super) struct Printer<W> {
    out: W,
    format: Format,
    names: Names,
    /// By source.
    prefixes: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    /// A line was begun and not ended.
    open: Option<(usize, Channel)>,
    error: Option<std::io::Error>,
}

impl<W: Write> Printer<W> {
    pub(super) fn new(out: W, format: Format, names: Names) -> Printer<W> {
        let mut printer = Printer {
            out,
            format,
            names,
            prefixes: Vec::new(),
            buffer: Vec::with_capacity(2 * FULL),
            open: None,
            error: None,
        };
        printer.prepare();
        printer
    }

    /// Where it writes to.
    pub(super) fn out(&self) -> &W {
        &self.out
    }

    /// Whether nothing more can be written.
    pub(super) fn is_closed(&self) -> bool {
        self.error.is_some()
    }

    /// The sources by number, as the view has them now.
    pub(super) fn learn(&mut self, sources: &[Source]) {
        self.names.learn(sources);
        self.prepare();
    }

    fn prepare(&mut self) {
        let color = matches!(self.format, Format::Text { color: true, .. });
        let json = self.format == Format::Json;
        let prefix = |source| if json { json_prefix(source) } else { self.names.prefix(source, color) };
        self.prefixes = self.names.sources.iter().map(prefix).collect();
    }

    /// Writes out what was collected.
    pub(super) fn flush(&mut self) {
        if self.error.is_none()
            && let Err(error) = self.out.write_all(&self.buffer).and_then(|()| self.out.flush())
        {
            self.error = Some(error);
        }
        self.buffer.clear();
    }

    /// What became of the writing. A reader that closed the pipe is no error of ours.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.error.take() {
            None => Ok(()),
            Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Err(Error::new(Kind::ClosedPipe, "the reader closed the pipe"))
            }
            Some(error) => Err(Error::failed("cannot write to stdout").because(&error)),
        }
    }

    #[inline]
    fn text(&mut self, line: &Line<'_>, timestamps: bool, color: bool) {
        let here = Some((line.source, line.channel));
        if line.first || self.open != here {
            if self.open.take().is_some() {
                self.buffer.push(b'\n');
            }
            if let Some(prefix) = self.prefixes.get(line.source) {
                self.buffer.extend_from_slice(prefix);
            }
            if timestamps {
                self.buffer.extend_from_slice(line.stamp);
                self.buffer.push(b' ');
            }
        }
        if line.plain {
            self.buffer.extend_from_slice(line.payload);
        } else {
            clean(line.payload, if color { Colours::Keep } else { Colours::Remove }, &mut self.buffer);
        }
        if line.last {
            self.buffer.push(b'\n');
            self.open = None;
        } else {
            self.open = here;
        }
    }

    fn json(&mut self, line: &Line<'_>) {
        let out = &mut self.buffer;
        out.extend_from_slice(b"{\"time\":\"");
        out.extend_from_slice(line.stamp);
        if let Some(prefix) = self.prefixes.get(line.source) {
            out.extend_from_slice(prefix);
        }
        out.extend_from_slice(line.run.to_string().as_bytes());
        out.extend_from_slice(b",\"stream\":\"");
        out.extend_from_slice(line.channel.word().as_bytes());
        match std::str::from_utf8(line.payload) {
            Ok(text) => {
                out.extend_from_slice(b"\",\"line\":\"");
                escape(text, out);
            }
            Err(_) => {
                out.extend_from_slice(b"\",\"base64\":\"");
                base64(line.payload, out);
            }
        }
        out.extend_from_slice(if line.first && line.last { b"\"}\n" } else { b"\",\"partial\":true}\n" });
    }
}

impl<W: Write> Sink for Printer<W> {
    #[inline]
    fn line(&mut self, line: &Line<'_>) -> ControlFlow<()> {
        match self.format {
            Format::Text { timestamps, color } => self.text(line, timestamps, color),
            Format::Json => self.json(line),
            Format::Raw => {
                self.buffer.extend_from_slice(line.payload);
                if line.last && line.newline {
                    self.buffer.push(b'\n');
                }
            }
        }
        if self.buffer.len() >= FULL {
            self.flush();
            if self.is_closed() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

fn json_prefix(source: &Source) -> Vec<u8> {
    let instance = source.instance().map_or_else(|| "null".to_owned(), |number| number.to_string());
    format!("\",\"service\":\"{}\",\"instance\":{instance},\"run\":", source.service).into_bytes()
}

/// Writes text as the inside of a JSON string; whatever could command a terminal is escaped.
fn escape(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, char) in text.char_indices() {
        let short: &[u8] = match char {
            '"' => b"\\\"",
            '\\' => b"\\\\",
            '\n' => b"\\n",
            '\r' => b"\\r",
            '\t' => b"\\t",
            ' '..='~' => continue,
            _ if char.is_control() || is_hidden(char) => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[done..at]);
        if short.is_empty() {
            out.extend_from_slice(format!("\\u{:04x}", u32::from(char)).as_bytes());
        } else {
            out.extend_from_slice(short);
        }
        done = at + char.len_utf8();
    }
    out.extend_from_slice(&bytes[done..]);
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= three.len() { letter } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::sources::Folder;

    const STAMP: &[u8; 27] = b"2026-01-02T03:04:05.678901Z";

    fn sources() -> Vec<Source> {
        let source = |name, folder| Source { service: ServiceName::fold(name).unwrap(), folder, dir: "x".into() };
        vec![
            source("api", Folder::Instance(1)),
            source("api", Folder::Instance(2)),
            source("gateway", Folder::Instance(1)),
            source("api", Folder::Build),
        ]
    }

    fn line(source: usize, payload: &[u8]) -> Line<'_> {
        let (channel, stamp) = (sources()[source].channel(crate::logs::record::Stream::Stdout), STAMP);
        Line { source, channel, run: 17, time: 0, stamp, payload, plain: false, first: true, last: true, newline: true }
    }

    fn print(format: Format, lines: &[Line<'_>]) -> String {
        let mut names = Names { scales: BTreeMap::new(), width: 0, sources: Vec::new() };
        names.learn(&sources());
        let mut printer = Printer::new(Vec::new(), format, names);
        lines.iter().for_each(|line| assert!(printer.line(line).is_continue()));
        printer.flush();
        printer.end().unwrap();
        String::from_utf8(printer.out).unwrap()
    }

    #[test]
    fn text() {
        let lines = [line(0, b"one"), line(1, b"\x1b[31mtwo"), line(2, b"three\x07"), line(3, b"four")];
        let plain = print(Format::Text { timestamps: false, color: false }, &lines);
        assert_eq!(plain, "api.1   | one\napi.2   | two\ngateway | three\napi     | four\n");
        let color = print(Format::Text { timestamps: true, color: true }, &lines[1..2]);
        let hue = hue("api");
        assert_eq!(color, format!("\x1b[{hue}mapi.2   |\x1b[0m 2026-01-02T03:04:05.678901Z \x1b[31mtwo\x1b[0m\n"));
    }

    #[test]
    fn parts_of_a_line_have_one_prefix() {
        let begin = Line { last: false, ..line(0, b"be") };
        let end = Line { first: false, ..line(0, b"gin") };
        let format = Format::Text { timestamps: false, color: false };
        assert_eq!(print(format, &[begin, end]), "api.1   | begin\n");
        assert_eq!(print(format, &[begin, line(1, b"x"), end]), "api.1   | be\napi.2   | x\napi.1   | gin\n");
        assert!(print(Format::Json, &[begin]).contains("\"line\":\"be\",\"partial\":true}"));
    }

    #[test]
    fn json() {
        let lines = [line(0, "q\" b\\ t\t e\x1b c\u{9b} ž".as_bytes()), line(1, b"\xffab"), line(3, b"built")];
        let expected = r#"{"time":"2026-01-02T03:04:05.678901Z","service":"api","instance":1,"run":17,"stream":"stdout","line":"q\" b\\ t\t e\u001b c\u009b ž"}
{"time":"2026-01-02T03:04:05.678901Z","service":"api","instance":2,"run":17,"stream":"stdout","base64":"/2Fi"}
{"time":"2026-01-02T03:04:05.678901Z","service":"api","instance":null,"run":17,"stream":"build","line":"built"}
"#;
        assert_eq!(print(Format::Json, &lines), expected);
        for (bytes, text) in [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg==")]
        {
            let mut out = Vec::new();
            base64(bytes, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn raw() {
        let open = Line { newline: false, ..line(0, b"\x1b]open") };
        assert_eq!(print(Format::Raw, &[line(0, b"a\x1b[31m"), open]), "a\x1b[31m\n\x1b]open");
    }
}
