//! The parameters of SGR (`1;31`, `38;5;208`, `38:2::255:0:0`, `4:3`) → a look. Blinking, hidden text, overlines and colours of underlines are left out.

use super::style::{Color, Effect, Style};

/// Changes a look as the parameters say. What is not known changes nothing.
pub(super) fn apply(parameters: &[u8], style: &mut Style) {
    let mut fields = parameters.split(|byte| *byte == b';');
    while let Some(field) = fields.next() {
        let mut parts = field.split(|byte| *byte == b':').map(number);
        let code = parts.next().flatten().unwrap_or(0);
        match code {
            38 | 48 | 58 => {
                let color = if field.contains(&b':') { colons(parts) } else { semicolons(&mut fields) };
                match (code, color) {
                    (38, Some(color)) => style.foreground = color,
                    (48, Some(color)) => style.background = color,
                    _ => {}
                }
            }
            4 if parts.next() == Some(Some(0)) => style.effects = style.effects.without(Effect::Underline),
            _ => simple(code, style),
        }
    }
}

/// A number; 0 where nothing stands, `None` where it is too large for any meaning.
fn number(text: &[u8]) -> Option<u16> {
    text.iter().try_fold(0_u16, |n, byte| n.checked_mul(10)?.checked_add(u16::from(byte.wrapping_sub(b'0'))))
}

/// `5:208`, `2:r:g:b`, `2:space:r:g:b`
fn colons(parts: impl Iterator<Item = Option<u16>>) -> Option<Color> {
    let mut all = [None; 6];
    let mut n = 0;
    for (slot, part) in all.iter_mut().zip(parts) {
        *slot = part;
        n += 1;
    }
    match (all[0]?, n) {
        (5, 2..) => indexed(all[1]),
        (2, 4) => rgb(all[1], all[2], all[3]),
        (2, 5..) => rgb(all[2], all[3], all[4]),
        _ => None,
    }
}

/// `5;208`, `2;r;g;b`: takes as many fields as belong to it.
fn semicolons<'a>(fields: &mut impl Iterator<Item = &'a [u8]>) -> Option<Color> {
    let mut next = || fields.next().map(number);
    match next()?? {
        5 => indexed(next()?),
        2 => {
            let (red, green, blue) = (next()?, next()?, next()?);
            rgb(red, green, blue)
        }
        _ => None,
    }
}

fn indexed(number: Option<u16>) -> Option<Color> {
    Some(Color::Indexed(u8::try_from(number?).ok()?))
}

fn rgb(red: Option<u16>, green: Option<u16>, blue: Option<u16>) -> Option<Color> {
    let byte = |part: Option<u16>| u8::try_from(part?).ok();
    Some(Color::Rgb(byte(red)?, byte(green)?, byte(blue)?))
}

fn simple(code: u16, style: &mut Style) {
    let ansi = |base: u16| Color::Ansi((code - base) as u8);
    let with = |effect| style.effects.with(effect);
    let without = |effect| style.effects.without(effect);
    match code {
        0 => *style = Style::default(),
        1 => style.effects = with(Effect::Bold),
        2 => style.effects = with(Effect::Dim),
        3 => style.effects = with(Effect::Italic),
        4 | 21 => style.effects = with(Effect::Underline),
        7 => style.effects = with(Effect::Reverse),
        9 => style.effects = with(Effect::Strike),
        22 => style.effects = without(Effect::Bold).without(Effect::Dim),
        23 => style.effects = without(Effect::Italic),
        24 => style.effects = without(Effect::Underline),
        27 => style.effects = without(Effect::Reverse),
        29 => style.effects = without(Effect::Strike),
        30..=37 => style.foreground = ansi(30),
        39 => style.foreground = Color::Default,
        40..=47 => style.background = ansi(40),
        49 => style.background = Color::Default,
        90..=97 => style.foreground = ansi(82),
        100..=107 => style.background = ansi(92),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::style::Effects;
    use super::*;

    fn read(parameters: &str) -> Style {
        let mut style = Style::default();
        apply(parameters.as_bytes(), &mut style);
        style
    }

    fn foreground(color: Color) -> Style {
        Style { foreground: color, ..Style::default() }
    }

    fn effects(all: &[Effect]) -> Style {
        Style { effects: all.iter().fold(Effects::default(), |set, effect| set.with(*effect)), ..Style::default() }
    }

    #[test]
    fn looks() {
        let background = |color| Style { background: color, ..Style::default() };
        let cases = [
            ("", Style::default()),
            ("31", foreground(Color::Ansi(1))),
            ("91", foreground(Color::Ansi(9))),
            ("107", background(Color::Ansi(15))),
            ("44", background(Color::Ansi(4))),
            ("38;5;208", foreground(Color::Indexed(208))),
            ("38;2;1;2;3", foreground(Color::Rgb(1, 2, 3))),
            ("38:5:208", foreground(Color::Indexed(208))),
            ("38:2:1:2:3", foreground(Color::Rgb(1, 2, 3))),
            ("38:2::1:2:3", foreground(Color::Rgb(1, 2, 3))),
            ("48;2;1;2;3", background(Color::Rgb(1, 2, 3))),
            (
                "1;2;3;4;7;9",
                effects(&[
                    Effect::Bold,
                    Effect::Dim,
                    Effect::Italic,
                    Effect::Underline,
                    Effect::Reverse,
                    Effect::Strike,
                ]),
            ),
            ("4:3", effects(&[Effect::Underline])),
            ("4;4:0", Style::default()),
            ("1;2;3;4;7;9;22;23;24;27;29", Style::default()),
            ("31;44;39;49", Style::default()),
            ("1;31;0", Style::default()),
            ("1;;3", effects(&[Effect::Italic])),
            // The colour of an underline takes its parameters along, and is left out.
            ("58;5;1;3", effects(&[Effect::Italic])),
            ("58:2::1:2:3;3", effects(&[Effect::Italic])),
            // Hidden and blinking text is text.
            ("5;6;8", Style::default()),
            ("38;5;256", Style::default()),
            ("38;5", Style::default()),
            ("38", Style::default()),
            ("99999999999;1", effects(&[Effect::Bold])),
        ];
        for (parameters, style) in cases {
            assert_eq!(read(parameters), style, "{parameters}");
        }
    }
}
