//! The first line: the project, how many services are up, what they use, their log, and who watches over them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::paint::Line;
use super::time_of;
use crate::text;
use crate::tui::fleet::Tone;
use crate::tui::model::{Link, Model};
use crate::tui::theme::Token;

/// A part of the line.
struct Word {
    text: String,
    token: Token,
}

fn word(text: impl Into<String>, token: Token) -> Word {
    Word { text: text.into(), token }
}

/// Draws it: in words where they have room, else in numbers; what still has none is left out from the right. The clock comes last.
pub fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let clock = format!(" {} ", time_of(model, model.now, "%H:%M"));
    let room = usize::from(area.width).saturating_sub(text::width(&clock));
    let head = format!(" orchestra {}", model.project);
    let width = |words: &[Word]| words.iter().map(|word| text::width(&word.text)).sum::<usize>();
    let (mut words, sums) = (counts(model, true), sums(model));
    if text::width(&head) + width(&words) + width(&sums) > room {
        words = counts(model, false);
    }
    words.extend(link(model));
    words.extend(sums);
    let dim = model.theme.style(Token::Dim);
    let mut line = Line::of(buffer, area, 0);
    line.put(" orchestra ", model.theme.style(Token::Accent).add_modifier(Modifier::BOLD));
    line.put(&model.project, model.theme.style(Token::Text));
    let mut left = room.saturating_sub(text::width(&head));
    for word in words {
        let width = text::width(&word.text);
        // A sentence of what is wrong may be cut, a number not.
        if width > left && word.token != Token::Bad {
            break;
        }
        line.put(&text::cut(&text::clean(&word.text), left), model.theme.style(word.token));
        left = left.saturating_sub(width);
    }
    line.right(&clock, dim);
}

fn counts(model: &Model, in_words: bool) -> Vec<Word> {
    let mut words = Vec::new();
    for (tone, n) in model.fleet.counts() {
        let word = match (tone, in_words) {
            (_, false) => "",
            (Tone::Good, _) => " up",
            (Tone::Wait, _) => " pending",
            (Tone::Bad, _) => " failed",
            (Tone::Off, _) => " off",
        };
        if n > 0 || tone == Tone::Good {
            let blanks = if in_words || words.is_empty() { "  " } else { " " };
            words.push(self::word(format!("{blanks}{}{n}{word}", tone.glyph(model.ascii)), tone.token()));
        }
    }
    words
}

/// What is wrong with who answers, if something is.
fn link(model: &Model) -> Option<Word> {
    match &model.link {
        Link::Up => None,
        Link::Unknown => Some(word("   asking …", Token::Dim)),
        Link::Down => Some(word("   no supervisor", Token::Warn)),
        Link::Trouble(trouble) => Some(word(format!("   {trouble}"), Token::Bad)),
    }
}

/// What everything uses, writes and is watched by; the least wanted last.
fn sums(model: &Model) -> Vec<Word> {
    let total = model.fleet.total();
    let cores = if model.cores > 0 { format!("/{}", model.cores * 100) } else { String::new() };
    let log = &model.log;
    let mut words = vec![
        word(format!("   cpu {:.0}%{cores}", total.cpu), Token::Dim),
        word(format!("  mem {}", text::size(total.memory)), Token::Dim),
        word(format!("   log {}/s", short(u64::from(log.rate))), Token::Dim),
        word(format!("  {} lines", short(log.window.n_lines)), Token::Dim),
    ];
    if log.progress.bytes > 0 {
        words.push(word(format!("  {}", text::size(log.progress.bytes)), Token::Dim));
    }
    if model.link == Link::Up {
        let all = model.fleet.services(false).filter(|service| service.kind == "service").count();
        let watched = model.fleet.services(false).filter(|service| service.rerun).count();
        words.push(match watched {
            0 => word("   watch off", Token::Dim),
            n if n >= all => word("   watch on", Token::Dim),
            n => word(format!("   watch {n} of {all}"), Token::Dim),
        });
        let supervisor = model.fleet.ps.as_ref().map(|ps| &ps.supervisor);
        if let Some(up) = supervisor.and_then(|supervisor| supervisor.uptime_ms) {
            words.push(word(format!("   daemon up {}", coarse(up / 1000)), Token::Dim));
        }
    }
    words
}

/// `5s`, `12m`, `2h`, `3d`: it changes rarely, and so does the screen.
pub fn coarse(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `812`, `13.4k`, `8.4M`
pub fn short(n: u64) -> String {
    let value = n as f64;
    match n {
        0..1000 => n.to_string(),
        1000..100_000 => format!("{:.1}k", value / 1e3),
        100_000..1_000_000 => format!("{:.0}k", value / 1e3),
        1_000_000..100_000_000 => format!("{:.1}M", value / 1e6),
        _ => format!("{:.0}M", value / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let all = [0, 999, 1000, 13_440, 99_999, 812_000, 8_412_667, 250_000_000];
        assert_eq!(all.map(short), ["0", "999", "1.0k", "13.4k", "100.0k", "812k", "8.4M", "250M"]);
        assert_eq!([59, 60, 7200, 200_000].map(coarse), ["59s", "1m", "2h", "2d"]);
    }
}
