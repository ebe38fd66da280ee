//! What keys do in the log.

use super::moves;
use crate::logs::ansi;
use crate::logs::index::{Anchor, Direction, Found, Position, Row};
use crate::logs::shape::{self, Caller, trace_id};
use crate::tui::actions::Action;
use crate::tui::fleet::Tone;
use crate::tui::keys::Key;
use crate::tui::log::row::Text;
use crate::tui::log::{Form, Letter, LogCmd, Mark, Opened, least_after, level_word};
use crate::tui::model::{Model, Pane, Popup, PromptKind};
use crate::tui::msg::Cmd;
use crate::tui::problems::Place;

/// Columns of a marked line that are kept to tell it.
const MARK_TEXT: usize = 120;

/// Does what a key of the log pane means; `None` where it means nothing there.
pub(super) fn act(model: &mut Model, action: Action) -> Option<Vec<Cmd>> {
    let pane = &mut model.log;
    let mut cmds = Vec::new();
    match action {
        Action::Down => scroll(model, 1),
        Action::Up => scroll(model, -1),
        Action::HalfDown => pane.pages(1),
        Action::HalfUp => pane.pages(-1),
        Action::PageDown => pane.pages(2),
        Action::PageUp => pane.pages(-2),
        Action::Top => pane.top(),
        Action::Bottom => pane.bottom(),
        Action::Left => pane.sideways = pane.sideways.saturating_sub(8),
        Action::Right if !pane.wrap => pane.sideways += 8,
        Action::Right => {}
        Action::LineStart => pane.sideways = 0,
        Action::LineEnd => pane.line_end(),
        Action::Follow => pane.toggle_follow(),
        Action::Wrap => pane.wrap = !pane.wrap,
        Action::Time => pane.time = pane.time.next(),
        Action::Pretty => pane.form = if pane.form == Form::Pretty { Form::Written } else { Form::Pretty },
        Action::Bytes => pane.form = if pane.form == Form::Raw { Form::Pretty } else { Form::Raw },
        Action::Traces => {
            pane.filters.unfolded = !pane.filters.unfolded;
            cmds.push(Cmd::Log(LogCmd::Query));
        }
        Action::Level => {
            pane.filters.least = least_after(pane.filters.least);
            let said =
                pane.filters.least.map_or("every level".to_owned(), |least| format!("{} and worse", level_word(least)));
            model.toast(Tone::Good, said);
            cmds.push(Cmd::Log(LogCmd::Query));
        }
        Action::Search => model.open_prompt(PromptKind::Search, ""),
        Action::Filter => model.open_prompt(PromptKind::Filter, ""),
        Action::Sources => {
            let names = pane.filters.names.iter().cloned().collect::<Vec<_>>().join(",");
            model.open_prompt(PromptKind::Sources, &names);
        }
        Action::SearchNext => cmds.extend(seek(model, Direction::Forward)),
        Action::SearchPrevious => cmds.extend(seek(model, Direction::Backward)),
        Action::NextError => {
            cmds.extend(from(model, Direction::Forward).map(|at| Cmd::Log(LogCmd::Error(at, Direction::Forward))))
        }
        Action::PreviousError => {
            cmds.extend(from(model, Direction::Backward).map(|at| Cmd::Log(LogCmd::Error(at, Direction::Backward))));
        }
        Action::SetMark => pane.letter = Some(Letter::Set),
        Action::GoMark => pane.letter = Some(Letter::Go),
        Action::NextMark => next_mark(model),
        Action::Marks if pane.marks.is_empty() => {
            let set = model.key(Action::SetMark);
            model.toast(Tone::Wait, format!("no line is marked; `{set}` and a letter mark one"));
        }
        Action::Marks => model.popup = Some(Popup::Marks(0)),
        Action::NextRun => cmds.extend(pane.current_row().map(|row| run(row, Direction::Forward))),
        Action::PreviousRun => cmds.extend(pane.current_row().map(|row| run(row, Direction::Backward))),
        Action::Clear => match pane.filters.since.take() {
            Some(_) => cmds.push(Cmd::Log(LogCmd::Query)),
            None => cmds.push(Cmd::Log(LogCmd::Clear)),
        },
        Action::CopyAll => {
            let page = pane.page();
            let ends = page.rows.first().zip(page.rows.last());
            let of = |at: usize| pane.window.rows[at].position;
            cmds.extend(ends.map(|((first, _), (last, _))| Cmd::Log(LogCmd::Copy(of(*first), of(*last)))));
        }
        Action::Select => {
            let current = pane.current_row().map(|row| row.position);
            pane.other = if pane.other.is_some() { None } else { current };
            if pane.other.is_some() && pane.follow {
                pane.toggle_follow();
            }
        }
        Action::Copy => {
            let selected = pane.selected();
            pane.other = None;
            cmds.extend(selected.map(|(first, last)| Cmd::Log(LogCmd::Copy(first, last))));
        }
        Action::Open => match pane.opened.take() {
            Some(_) => {}
            None => cmds.extend(pane.current_row().map(|row| Cmd::Log(LogCmd::Open(row.position)))),
        },
        Action::Trace => {
            let id = pane.current_row().and_then(|row| trace_id(&shape::parse(&row.bytes)));
            match (pane.filters.trace.take(), id) {
                (Some(_), _) => cmds.push(Cmd::Log(LogCmd::Query)),
                (None, Some(id)) => {
                    pane.filters.trace = Some(id.value.clone());
                    model.toast(Tone::Good, format!("only lines with {} {}; * shows all again", id.key, id.value));
                    cmds.push(Cmd::Log(LogCmd::Query));
                }
                (None, None) => model.toast(Tone::Wait, "this line has no trace id, request id or the like"),
            }
        }
        Action::EditLine => {
            let caller = pane.current_row().and_then(|row| shape::parse(&row.bytes).caller);
            match caller {
                Some(Caller { file, line }) => cmds.push(Cmd::Edit(Place { file, line, column: 1 })),
                None => model.toast(Tone::Wait, "this line names no place in a file"),
            }
        }
        Action::Export => model.open_prompt(PromptKind::Palette, "export "),
        _ => return None,
    }
    Some(cmds)
}

/// Moves the cursor, or what is open.
fn scroll(model: &mut Model, by: isize) {
    match model.log.opened {
        Some(_) => scroll_opened(model, by),
        None => model.log.step(by),
    }
}

/// Scrolls the line that is open.
pub(super) fn scroll_opened(model: &mut Model, by: isize) {
    let last = crate::tui::view::log::last_of_opened(model);
    if let Some(open) = &mut model.log.opened {
        open.scroll = open.scroll.saturating_add_signed(by).min(last);
    }
}

/// Moves the cursor by lines, beyond what is in the window too.
pub(super) fn step(model: &mut Model, by: i64) -> Vec<Cmd> {
    let window = &model.log.window;
    let Some(at) = model.log.current() else { return Vec::new() };
    let to = i64::try_from(at).unwrap_or(i64::MAX).saturating_add(by);
    if (0..i64::try_from(window.rows.len()).unwrap_or(i64::MAX)).contains(&to) {
        model.log.step(isize::try_from(by).unwrap_or(0));
        return Vec::new();
    }
    let line = window.n_before.saturating_add(at as u64).saturating_add_signed(by);
    vec![Cmd::Log(LogCmd::Number(line))]
}

fn run(row: &Row, direction: Direction) -> Cmd {
    Cmd::Log(LogCmd::Run(row.position, direction))
}

/// Shows only lines from a moment on, or all of them.
pub(super) fn since(model: &mut Model, since: Option<i64>) -> Vec<Cmd> {
    model.log.filters.since = since;
    moves::focus(model, Pane::Logs);
    vec![Cmd::Log(LogCmd::Query)]
}

/// To the log of the moment when the event below the cursor happened.
pub(super) fn at_event(model: &mut Model) -> Vec<Cmd> {
    let event = model.events.iter().rev().nth(model.event.at);
    event.map(|event| Cmd::Log(LogCmd::Time(event.at))).into_iter().collect()
}

/// To the first marked line below the cursor, or to the first of all.
fn next_mark(model: &mut Model) {
    let current = model.log.current_row().map(|row| row.position);
    let mut all: Vec<_> = model.log.marks.iter().map(|(letter, mark)| (mark.position, *letter)).collect();
    all.sort_unstable();
    let below = all.iter().find(|(position, _)| current.is_none_or(|current| *position > current));
    match below.or(all.first()).copied() {
        Some((_, letter)) => go_mark(model, letter),
        None => model.toast(Tone::Wait, "no line is marked"),
    }
}

/// To the line that is marked with a letter.
pub(super) fn go_mark(model: &mut Model, letter: char) {
    match model.log.marks.get(&letter).map(|mark| mark.position) {
        Some(position) => model.log.go(position),
        None => model.toast(Tone::Wait, format!("no line is marked as {letter}")),
    }
}

/// Where looking in a direction begins: beside the current line.
fn from(model: &Model, direction: Direction) -> Option<Anchor> {
    let current = model.log.current_row()?.position;
    // Following, the current line is the newest, which may be what is looked for.
    let beside = model.log.follow && direction == Direction::Backward;
    Some(if beside { Anchor::Bottom } else { Anchor::At(current) })
}

fn seek(model: &mut Model, direction: Direction) -> Option<Cmd> {
    if model.log.search.is_none() {
        model.toast(Tone::Wait, "nothing was searched for");
        return None;
    }
    let at = from(model, direction)?;
    Some(Cmd::Log(LogCmd::Search(at, direction)))
}

/// The letter after `m` or `'`.
pub(super) fn letter(model: &mut Model, what: Letter, key: Key) {
    let Some(letter) = key.typed().filter(char::is_ascii_alphanumeric) else { return };
    match what {
        Letter::Set => {
            let mark = model.log.current_row().map(|row| {
                let text = ansi::text(&Text::of(row, Form::Pretty).cut(0, MARK_TEXT));
                Mark { position: row.position, time: row.time, text }
            });
            if let Some(mark) = mark {
                model.log.marks.insert(letter, mark);
                model.toast(Tone::Good, format!("marked as {letter}; '{letter} comes back"));
            }
        }
        Letter::Go => go_mark(model, letter),
    }
}

/// What a search came to.
pub(super) fn found(model: &mut Model, found: Found, asked: (Anchor, Direction), what: &str) {
    model.log.seeking = None;
    match found {
        Found::At(position) => model.log.go(position),
        Found::Looking => model.log.seeking = Some(asked),
        Found::Nothing => {
            let way = if asked.1 == Direction::Forward { "below" } else { "above" };
            model.toast(Tone::Wait, format!("no {what} {way}"));
        }
    }
}

/// The whole of a line has come.
pub(super) fn opened(model: &mut Model, position: Position, bytes: Option<Vec<u8>>) {
    let row: Option<Row> = model.log.window.rows.iter().find(|row| row.position == position).cloned();
    match (row, bytes) {
        (Some(row), Some(bytes)) => model.log.opened = Some(Opened { row, bytes, scroll: 0 }),
        _ => model.toast(Tone::Wait, "this line is gone"),
    }
}

/// What is typed takes effect at once; the error is what is wrong with it.
pub(super) fn typed(model: &mut Model, kind: PromptKind, text: &str) -> Result<Option<Cmd>, String> {
    let before = model.log.filters.clone();
    match kind {
        PromptKind::Filter => model.log.filters.typed(text).inspect_err(|_| model.log.filters = before)?,
        PromptKind::Sources => model.log.filters.named(text),
        PromptKind::Search => {
            if !text.is_empty() {
                crate::tui::log::pattern(text)?;
            }
            model.log.search = Some(text.to_owned()).filter(|text| !text.is_empty());
            let at = from(model, Direction::Backward).unwrap_or(Anchor::Bottom);
            return Ok(Some(Cmd::Log(LogCmd::Search(at, Direction::Backward))));
        }
        PromptKind::Palette | PromptKind::FilterList => return Ok(None),
    }
    Ok(Some(Cmd::Log(LogCmd::Query)))
}

/// Leaves the innermost thing that is open in the log; false where there is none.
pub(super) fn close(model: &mut Model) -> Option<Vec<Cmd>> {
    let pane = &mut model.log;
    if pane.opened.take().is_some() || pane.other.take().is_some() {
        return Some(Vec::new());
    }
    if pane.search.take().is_some() {
        return Some(vec![Cmd::Log(LogCmd::Search(Anchor::Bottom, Direction::Backward))]);
    }
    pane.filters.clear().then(|| vec![Cmd::Log(LogCmd::Query)])
}
