//! What a terminal sends, as keys, mouse and pastes; and its answers, which are no keys. Pure: bytes in, inputs out.
//!
//! A sequence may come in pieces, and its first byte is the escape key's only one. So what is not finished waits as long as [`Bytes::patience`] says, and
//! then [`Bytes::flush`] decides. No piece of a sequence ever becomes a key, however late the rest of it comes.

use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::theme::Background;

/// What follows an escape belongs to it when it comes within this time.
const ESCAPE: Duration = Duration::from_millis(30);
/// A sequence that has begun is finished within this time, or is none: answers over a slow line come in pieces.
const SEQUENCE: Duration = Duration::from_secs(1);
/// No answer is longer, in bytes.
const LONGEST: usize = 4096;
/// No paste is longer, in bytes; more comes as another one.
const LONGEST_PASTE: usize = 1 << 20;
/// What an escape begins a sequence with.
const INTRODUCERS: &[u8] = b"[O]P_^X";
const PASTE_END: &[u8] = b"\x1b[201~";

/// Something that a terminal sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key, the mouse, a paste, another size.
    Event(Event),
    /// Its answer to the question for the colour behind the text.
    Background(Background),
}

/// Bytes that are no input yet.
#[derive(Clone, Debug, Default)]
pub struct Bytes {
    rest: Vec<u8>,
    pasting: bool,
}

/// What the bytes at the front are.
enum Front {
    /// So many bytes, and what they say; nothing for what no key is.
    Whole(usize, Option<Input>),
    /// The beginning of something.
    Unfinished,
    /// From here on all is a paste.
    Paste(usize),
}

impl Bytes {
    /// Takes bytes; gives what they finish.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Input> {
        let mut inputs = Vec::new();
        // A key with alt comes in one piece; a key soon after the escape key is another one.
        if self.rest == [0x1b] && !bytes.first().is_some_and(|byte| INTRODUCERS.contains(byte)) {
            inputs.extend(self.flush());
        }
        self.rest.extend_from_slice(bytes);
        while !self.rest.is_empty() {
            let front = if self.pasting { paste(&self.rest) } else { front(&self.rest) };
            match front {
                Front::Whole(n, input) => {
                    self.rest.drain(..n);
                    self.pasting = false;
                    inputs.extend(input);
                }
                Front::Paste(n) => {
                    self.rest.drain(..n);
                    self.pasting = true;
                }
                Front::Unfinished => break,
            }
        }
        inputs
    }

    /// For how long what is unfinished is waited for; nothing is waited for where there is nothing, and in a paste.
    pub fn patience(&self) -> Option<Duration> {
        match self.rest.as_slice() {
            _ if self.pasting => None,
            [] => None,
            [0x1b] | [0x1b, _] => Some(ESCAPE),
            _ => Some(SEQUENCE),
        }
    }

    /// Nothing more came in time: an escape alone is the key, with one more byte it is that key with alt; anything else was none.
    pub fn flush(&mut self) -> Option<Input> {
        let rest = std::mem::take(&mut self.rest);
        match rest.as_slice() {
            [0x1b] => Some(key(KeyCode::Esc, KeyModifiers::NONE)),
            [0x1b, byte] => Some(key(KeyCode::Char(char::from(*byte)), KeyModifiers::ALT)),
            _ => None,
        }
    }
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
    Input::Event(Event::Key(KeyEvent::new(code, modifiers)))
}

fn paste(rest: &[u8]) -> Front {
    let text = |bytes: &[u8]| Some(Input::Event(Event::Paste(String::from_utf8_lossy(bytes).into_owned())));
    match rest.windows(PASTE_END.len()).position(|window| window == PASTE_END) {
        Some(at) => Front::Whole(at + PASTE_END.len(), text(&rest[..at])),
        None if rest.len() > LONGEST_PASTE => Front::Whole(rest.len(), text(rest)),
        None => Front::Unfinished,
    }
}

/// What stands at the front of bytes, of which there are some.
fn front(rest: &[u8]) -> Front {
    match rest {
        [0x1b] => Front::Unfinished,
        [0x1b, byte] if INTRODUCERS.contains(byte) => Front::Unfinished,
        [0x1b, 0x1b, ..] => Front::Whole(1, Some(key(KeyCode::Esc, KeyModifiers::NONE))),
        [0x1b, b'[', ..] => control(rest),
        [0x1b, b'O', byte, ..] => Front::Whole(3, application(*byte)),
        [0x1b, b']', ..] => string(rest, true),
        [0x1b, b'P' | b'_' | b'^' | b'X', ..] => string(rest, false),
        [0x1b, inner @ ..] => match single(inner) {
            Front::Whole(n, input) => Front::Whole(n + 1, input.map(with_alt)),
            other => other,
        },
        _ => single(rest),
    }
}

fn with_alt(input: Input) -> Input {
    match input {
        Input::Event(Event::Key(event)) => key(event.code, event.modifiers | KeyModifiers::ALT),
        other => other,
    }
}

/// A control byte or a character.
fn single(rest: &[u8]) -> Front {
    let ctrl = |char: u8| key(KeyCode::Char(char::from(char)), KeyModifiers::CONTROL);
    let input = match rest[0] {
        b'\r' => key(KeyCode::Enter, KeyModifiers::NONE),
        b'\t' => key(KeyCode::Tab, KeyModifiers::NONE),
        0x7f => key(KeyCode::Backspace, KeyModifiers::NONE),
        0 => ctrl(b' '),
        byte @ 0x01..=0x1a => ctrl(byte - 1 + b'a'),
        byte @ 0x1c..=0x1f => ctrl(byte - 0x1c + b'4'),
        _ => return character(rest),
    };
    Front::Whole(1, Some(input))
}

fn character(rest: &[u8]) -> Front {
    let length = match rest[0] {
        0x00..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Front::Whole(1, None),
    };
    let Some(bytes) = rest.get(..length) else {
        let sound = rest[1..].iter().all(|byte| (0x80..0xc0).contains(byte));
        return if sound { Front::Unfinished } else { Front::Whole(1, None) };
    };
    match std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next()) {
        Some(char) => Front::Whole(length, Some(key(KeyCode::Char(char), KeyModifiers::NONE))),
        None => Front::Whole(1, None),
    }
}

/// `ESC O x`: arrows and the first function keys of a keypad in application mode.
fn application(byte: u8) -> Option<Input> {
    let code = match byte {
        b'M' => KeyCode::Enter,
        _ => letter(byte)?,
    };
    Some(key(code, KeyModifiers::NONE))
}

fn letter(byte: u8) -> Option<KeyCode> {
    Some(match byte {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'Z' => KeyCode::BackTab,
        b'P'..=b'S' => KeyCode::F(byte - b'P' + 1),
        _ => return None,
    })
}

/// A string for programs, which ends with `ESC \`, or also with a bell.
fn string(rest: &[u8], bell: bool) -> Front {
    let end = (2..rest.len()).find_map(|at| match (rest[at], rest.get(at + 1)) {
        (0x07, _) if bell => Some((at, at + 1)),
        (0x1b, Some(b'\\')) => Some((at, at + 2)),
        _ => None,
    });
    match end {
        Some((end, n)) => Front::Whole(n, answer(&rest[2..end]).map(Input::Background)),
        None if rest.len() > LONGEST => Front::Whole(rest.len(), None),
        None => Front::Unfinished,
    }
}

/// `11;rgb:RRRR/GGGG/BBBB`, each with one to four digits; `rgba:` has one part more.
fn answer(text: &[u8]) -> Option<Background> {
    let colour = std::str::from_utf8(text).ok()?.strip_prefix("11;")?;
    let parts = colour.strip_prefix("rgb:").or_else(|| colour.strip_prefix("rgba:"))?;
    let mut parts = parts.split('/').map(|part| {
        let most = 16_u32.checked_pow(u32::try_from(part.len()).ok()?)?.checked_sub(1).filter(|most| *most > 0)?;
        Some(f64::from(u32::from_str_radix(part, 16).ok()?) / f64::from(most))
    });
    let (red, green, blue) = (parts.next()??, parts.next()??, parts.next()??);
    Some(Background::of(red, green, blue))
}

/// `ESC [ …`: up to its last byte.
fn control(rest: &[u8]) -> Front {
    match rest {
        // The Linux console's first function keys.
        [_, _, b'[', byte @ b'A'..=b'E', ..] => {
            return Front::Whole(4, Some(key(KeyCode::F(byte - b'A' + 1), KeyModifiers::NONE)));
        }
        [_, _, b'['] => return Front::Unfinished,
        [_, _, b'M', button, x, y, ..] => {
            let place = |byte: &u8| u16::from(byte.saturating_sub(32));
            let kind = button.saturating_sub(32);
            let release = kind & 3 == 3 && kind & 64 == 0;
            return Front::Whole(6, mouse(u16::from(kind), place(x), place(y), release));
        }
        [_, _, b'M', ..] => return Front::Unfinished,
        _ => {}
    }
    let body = &rest[2..];
    match body.iter().position(|byte| !(0x20..0x40).contains(byte)) {
        Some(at) if !(0x40..0x7f).contains(&body[at]) => Front::Whole(at + 2, None),
        Some(at) if &body[..=at] == b"200~" => Front::Paste(at + 3),
        Some(at) => Front::Whole(at + 3, sequence(&body[..at], body[at])),
        None if rest.len() > LONGEST => Front::Whole(rest.len(), None),
        None => Front::Unfinished,
    }
}

fn sequence(parameters: &[u8], last: u8) -> Option<Input> {
    let text = std::str::from_utf8(parameters).ok()?;
    if let Some(numbers) = text.strip_prefix('<') {
        let mut numbers = numbers.split(';').map(|number| number.parse::<u16>().ok());
        let (button, x, y) = (numbers.next()??, numbers.next()??, numbers.next()??);
        return matches!(last, b'M' | b'm').then(|| mouse(button, x, y, last == b'm'))?;
    }
    let mut numbers = text.split(';').map(|number| number.parse::<u8>().ok());
    let (first, second) = (numbers.next().flatten(), numbers.next().flatten());
    let code = match (last, first) {
        (b'I', None) => return Some(Input::Event(Event::FocusGained)),
        (b'O', None) => return Some(Input::Event(Event::FocusLost)),
        (b'~', Some(number)) => numbered(number)?,
        // With modifiers the number says nothing, and without any there is none. `R` with others is where the cursor is.
        (_, None | Some(1)) => letter(last)?,
        (_, Some(_)) => return None,
    };
    Some(key(code, modifiers(second.unwrap_or(1))))
}

fn numbered(number: u8) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(number - 10),
        17..=21 => KeyCode::F(number - 11),
        23..=24 => KeyCode::F(number - 12),
        _ => return None,
    })
}

/// One more than the sum of shift 1, alt 2, control 4.
fn modifiers(number: u8) -> KeyModifiers {
    let bits = number.saturating_sub(1);
    let mut all = KeyModifiers::NONE;
    all.set(KeyModifiers::SHIFT, bits & 1 != 0);
    all.set(KeyModifiers::ALT, bits & 2 != 0);
    all.set(KeyModifiers::CONTROL, bits & 4 != 0);
    all
}

fn mouse(button: u16, x: u16, y: u16, release: bool) -> Option<Input> {
    let which = match button & 3 {
        0 => Some(MouseButton::Left),
        1 => Some(MouseButton::Middle),
        2 => Some(MouseButton::Right),
        _ => None,
    };
    let kind = match (button & 0xc0, button & 32 != 0, which) {
        (0, _, Some(which)) if release => MouseEventKind::Up(which),
        (0, false, Some(which)) => MouseEventKind::Down(which),
        (0, true, Some(which)) => MouseEventKind::Drag(which),
        (0, true, None) => MouseEventKind::Moved,
        // The old form does not say which button was let go.
        (0, false, None) => MouseEventKind::Up(MouseButton::Left),
        (64, ..) => [
            MouseEventKind::ScrollUp,
            MouseEventKind::ScrollDown,
            MouseEventKind::ScrollLeft,
            MouseEventKind::ScrollRight,
        ][usize::from(button & 3)],
        _ => return None,
    };
    let mut modifiers = KeyModifiers::NONE;
    modifiers.set(KeyModifiers::SHIFT, button & 4 != 0);
    modifiers.set(KeyModifiers::ALT, button & 8 != 0);
    modifiers.set(KeyModifiers::CONTROL, button & 16 != 0);
    let (column, row) = (x.saturating_sub(1), y.saturating_sub(1));
    Some(Input::Event(Event::Mouse(MouseEvent { kind, column, row, modifiers })))
}

#[cfg(test)]
mod tests;
