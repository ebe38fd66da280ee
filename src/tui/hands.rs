//! What the loop does outside of the terminal for the log and for places in files: copying, exporting, finding the editor. Nothing here draws.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::clipboard::{Copied, Seat, copy};
use super::editor::{self, Open, Roots};
use super::log::Name;
use super::problems::Place;
use super::seek::seek;
use crate::logs::ansi;
use crate::logs::index::{Anchor, Index, Position, Row};
use crate::logs::stamp;
use crate::logs::trace::Ground;

/// More lines are for a file.
const MOST_COPIED: usize = 100_000;

/// Copies the lines from one to another; what became of it, in words, and bytes for the terminal where it needs some.
pub fn copy_lines(index: &Index, names: &[Name], first: Position, last: Position) -> (String, Option<Vec<u8>>) {
    let rows: Vec<Row> =
        index.lines(Anchor::At(first)).take_while(|row| row.position <= last).take(MOST_COPIED + 1).collect();
    if rows.len() > MOST_COPIED {
        return (format!("not copied: more than {MOST_COPIED} lines; `:export` writes a file"), None);
    }
    let alone = rows.iter().all(|row| row.position.source == first.source);
    let text: String = rows.iter().map(|row| format!("{}{}\n", prefix(names, row, alone), plain(row))).collect();
    let text = if rows.len() == 1 { text.trim_end_matches('\n') } else { &text };
    copy_text(text)
}

/// Copies a text; what became of it, in words, and bytes for the terminal where it needs some.
pub fn copy_text(text: &str) -> (String, Option<Vec<u8>>) {
    let copied = copy(text, Seat::of(|name| std::env::var_os(name)));
    let said = copied.message(text);
    match copied {
        Copied::Write(bytes) => (said, Some(bytes)),
        Copied::Done(_) | Copied::TooLong(_) => (said, None),
    }
}

/// Writes all wanted lines to a new file; how many there were.
pub fn export(index: &Index, names: &[Name], file: &str) -> Result<String, String> {
    let path = match (file.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(file),
    };
    let cannot = |error: std::io::Error| format!("cannot write `{}`: {error}", path.display());
    let out = OpenOptions::new().write(true).create_new(true).open(&path).map_err(cannot)?;
    let mut out = BufWriter::new(out);
    let mut n = 0_u64;
    for row in index.lines(Anchor::Top) {
        let time = String::from_utf8_lossy(&stamp::text(row.time)).into_owned();
        writeln!(out, "{time} {}{}", prefix(names, &row, false), plain(&row)).map_err(cannot)?;
        n += 1;
    }
    out.flush().map_err(cannot)?;
    Ok(format!("{n} lines written to `{}`", path.display()))
}

fn prefix(names: &[Name], row: &Row, alone: bool) -> String {
    match names.get(row.position.source as usize) {
        Some(name) if !alone => format!("{} | ", name.label),
        Some(_) | None => String::new(),
    }
}

/// Text only: what is copied may be pasted into a shell.
fn plain(row: &Row) -> String {
    ansi::text(&ansi::spans(&row.bytes))
}

/// How to open a place, or why it cannot be.
pub fn edit(project: &Path, place: &Place) -> Result<Open, String> {
    let found = found(project, place)?;
    editor::open(&found, |name| std::env::var_os(name)).map_err(|refused| refused.to_string())
}

/// The file of a place, whole, or why it cannot be read.
pub fn file(project: &Path, place: &Place) -> Result<PathBuf, String> {
    found(project, place).map(|found| found.file)
}

/// Where code that is not the project's own lies.
pub fn ground(project: &Path) -> Ground {
    let roots = roots(project);
    Ground { goroot: roots.goroot.clone(), modules: roots.modules.clone() }
}

fn found(project: &Path, place: &Place) -> Result<editor::Place, String> {
    let roots = roots(project);
    let named = editor::Place { file: PathBuf::from(&place.file), line: place.line, column: place.column };
    let found = editor::find(&named, roots).or_else(|refused| match seek(project, project, &named.file) {
        Some(file) => editor::find(&editor::Place { file, ..named.clone() }, roots),
        None => Err(refused),
    });
    found.map_err(|refused| refused.to_string())
}

/// Go is asked once.
fn roots(project: &Path) -> &'static Roots {
    static ROOTS: OnceLock<Roots> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let asked = Command::new("go").args(["env", "GOMODCACHE", "GOROOT"]).stdin(Stdio::null()).output();
        let said = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let mut lines = said.lines().map(|line| Some(PathBuf::from(line)).filter(|path| path.is_absolute()));
        Roots { project: project.to_owned(), modules: lines.next().flatten(), goroot: lines.next().flatten() }
    })
}
