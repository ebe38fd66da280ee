//! Colours by meaning, for every kind of terminal: each is written three times, and a terminal gets the finest it can show.

use ratatui::style::{Color, Modifier, Style};

/// How many colours a terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// None at all, as `NO_COLOR` wishes; bold and reverse remain.
    Mono,
    /// The sixteen of its own palette.
    #[default]
    Ansi,
    /// 256.
    Indexed,
    /// All.
    True,
}

/// What is behind the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// Dark.
    Dark,
    /// Light.
    Light,
}

impl Background {
    /// Of this colour, each part from 0 to 1: as light as people see it.
    pub fn of(red: f64, green: f64, blue: f64) -> Background {
        // Relative luminance (Rec. 709) of a value that displays bend by 2.2; text in the middle of greys is as far from black as from white at 0.18.
        let seen = 0.2126 * red.powf(2.2) + 0.7152 * green.powf(2.2) + 0.0722 * blue.powf(2.2);
        if seen > 0.18 { Background::Light } else { Background::Dark }
    }

    /// By the variable COLORFGBG of some terminals: `15;0`, `0;default;15`; its last number is one of the sixteen colours.
    pub fn of_variable(text: &str) -> Option<Background> {
        match text.rsplit(';').next()?.parse().ok()? {
            0..=6 | 8 => Some(Background::Dark),
            7 | 9..=15 => Some(Background::Light),
            16_u8.. => None,
        }
    }
}

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Plain text.
    Text,
    /// What matters less.
    Dim,
    /// Names of panes, keys, what invites.
    Accent,
    /// As it should be.
    Good,
    /// On its way.
    Wait,
    /// Needs a look.
    Warn,
    /// Failed.
    Bad,
    /// Lines between panes.
    Rule,
    /// What was searched for.
    Hit,
}

/// One colour for three kinds of terminals.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Paint {
    rgb: (u8, u8, u8),
    indexed: u8,
    ansi: Color,
}

const fn paint(rgb: (u8, u8, u8), indexed: u8, ansi: Color) -> Paint {
    Paint { rgb, indexed, ansi }
}

/// A set of colours.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Palette {
    name: &'static str,
    /// By token, in its order.
    tokens: [Paint; 9],
    /// Only the terminal's own sixteen colours, however many it has.
    own: bool,
    /// For names of services.
    names: &'static [(u8, Color); 10],
}

const DARK: [Paint; 9] = [
    paint((0xd8, 0xde, 0xe9), 253, Color::Reset),
    paint((0x7b, 0x84, 0x96), 244, Color::DarkGray),
    paint((0x7d, 0xc4, 0xe4), 117, Color::Cyan),
    paint((0x8f, 0xd1, 0x7f), 114, Color::Green),
    paint((0xe5, 0xc0, 0x7b), 180, Color::Yellow),
    paint((0xf0, 0xa0, 0x60), 215, Color::LightYellow),
    paint((0xf0, 0x71, 0x78), 203, Color::LightRed),
    paint((0x4c, 0x56, 0x6a), 240, Color::DarkGray),
    paint((0xff, 0xd8, 0x66), 221, Color::LightMagenta),
];

const LIGHT: [Paint; 9] = [
    paint((0x24, 0x29, 0x2f), 235, Color::Reset),
    paint((0x6e, 0x77, 0x81), 243, Color::DarkGray),
    paint((0x05, 0x50, 0xae), 25, Color::Blue),
    paint((0x11, 0x63, 0x29), 22, Color::Green),
    paint((0x8a, 0x5a, 0x00), 94, Color::Magenta),
    paint((0xb3, 0x5c, 0x00), 130, Color::Magenta),
    paint((0xcf, 0x22, 0x2e), 160, Color::Red),
    paint((0xaf, 0xb8, 0xc1), 249, Color::Gray),
    paint((0x82, 0x50, 0xdf), 98, Color::Magenta),
];

const CONTRAST: [Paint; 9] = [
    paint((0xff, 0xff, 0xff), 231, Color::White),
    paint((0xd0, 0xd0, 0xd0), 252, Color::Gray),
    paint((0x5f, 0xff, 0xff), 87, Color::LightCyan),
    paint((0x5f, 0xff, 0x5f), 83, Color::LightGreen),
    paint((0xff, 0xff, 0x5f), 227, Color::LightYellow),
    paint((0xff, 0xaf, 0x00), 214, Color::LightYellow),
    paint((0xff, 0x5f, 0x5f), 203, Color::LightRed),
    paint((0xff, 0xff, 0xff), 231, Color::White),
    paint((0xff, 0x5f, 0xff), 207, Color::LightMagenta),
];

/// Blue, orange and vermilion are told apart by everybody (Okabe and Ito 2008).
const COLOUR_BLIND: [Paint; 9] = [
    paint((0xd8, 0xde, 0xe9), 253, Color::Reset),
    paint((0x8a, 0x93, 0xa5), 245, Color::DarkGray),
    paint((0x56, 0xb4, 0xe9), 74, Color::Cyan),
    paint((0x56, 0xb4, 0xe9), 74, Color::LightBlue),
    paint((0xf0, 0xe4, 0x42), 227, Color::Yellow),
    paint((0xe6, 0x9f, 0x00), 178, Color::LightYellow),
    paint((0xd5, 0x5e, 0x00), 166, Color::LightRed),
    paint((0x5a, 0x63, 0x75), 240, Color::DarkGray),
    paint((0xcc, 0x79, 0xa7), 175, Color::LightMagenta),
];

const PALETTES: [Palette; 6] = [
    Palette { name: "terminal", tokens: DARK, own: true, names: &NAMES },
    Palette { name: "dark", tokens: DARK, own: false, names: &NAMES },
    Palette { name: "light", tokens: LIGHT, own: false, names: &DARK_NAMES },
    Palette { name: "high-contrast", tokens: CONTRAST, own: false, names: &NAMES },
    Palette { name: "colour-blind", tokens: COLOUR_BLIND, own: false, names: &NAMES },
    Palette { name: "mono", tokens: DARK, own: true, names: &NAMES },
];

/// Colours for names of services: far from each other, none of them red. Indexed, and the nearest of the sixteen.
const NAMES: [(u8, Color); 10] = [
    (75, Color::LightBlue),
    (114, Color::Green),
    (179, Color::Yellow),
    (176, Color::Magenta),
    (80, Color::Cyan),
    (149, Color::LightGreen),
    (111, Color::Blue),
    (216, Color::LightYellow),
    (139, Color::LightMagenta),
    (117, Color::LightCyan),
];

/// The same for a light background.
const DARK_NAMES: [(u8, Color); 10] = [
    (25, Color::Blue),
    (28, Color::Green),
    (94, Color::Magenta),
    (90, Color::Magenta),
    (30, Color::Cyan),
    (58, Color::Green),
    (62, Color::Blue),
    (130, Color::Magenta),
    (97, Color::Magenta),
    (24, Color::Cyan),
];

/// The word for the theme that suits the background.
pub const AUTO: &str = "auto";

/// A theme on a terminal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Theme {
    palette: &'static Palette,
    depth: Depth,
}

impl Default for Theme {
    fn default() -> Theme {
        Theme { palette: &PALETTES[0], depth: Depth::Ansi }
    }
}

impl Theme {
    /// The theme of this name, for a terminal with so many colours.
    pub fn named(name: &str, depth: Depth) -> Option<Theme> {
        let palette = PALETTES.iter().find(|palette| palette.name == name)?;
        Some(Theme { palette, depth })
    }

    /// The theme for this background: while nobody knows it, the terminal's own colours.
    pub fn auto(background: Option<Background>, depth: Depth) -> Theme {
        let name = match background {
            None => PALETTES[0].name,
            Some(Background::Dark) => "dark",
            Some(Background::Light) => "light",
        };
        Theme::named(name, depth).unwrap_or_default()
    }

    /// Their names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PALETTES.iter().map(|palette| palette.name)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.palette.name
    }

    /// The one that comes after it.
    pub fn next(self) -> Theme {
        let at = PALETTES.iter().position(|palette| palette.name == self.palette.name).unwrap_or(0);
        Theme { palette: &PALETTES[(at + 1) % PALETTES.len()], ..self }
    }

    /// How many colours the terminal has.
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// Whether it shows colours at all.
    pub fn has_colour(&self) -> bool {
        self.shown_depth() != Depth::Mono
    }

    fn shown_depth(&self) -> Depth {
        match (self.palette.name, self.palette.own) {
            ("mono", _) => Depth::Mono,
            (_, true) => self.depth.min(Depth::Ansi),
            (_, false) => self.depth,
        }
    }

    /// The style that says this.
    pub fn style(&self, token: Token) -> Style {
        let paint = self.palette.tokens[token as usize];
        let style = match self.shown_depth() {
            Depth::Mono => Style::new(),
            Depth::Ansi => Style::new().fg(paint.ansi),
            Depth::Indexed => Style::new().fg(Color::Indexed(paint.indexed)),
            Depth::True => Style::new().fg(Color::Rgb(paint.rgb.0, paint.rgb.1, paint.rgb.2)),
        };
        match token {
            Token::Bad => style.add_modifier(Modifier::BOLD),
            Token::Hit => style.add_modifier(Modifier::REVERSED),
            Token::Dim | Token::Rule if self.shown_depth() == Depth::Mono => style.add_modifier(Modifier::DIM),
            _ => style,
        }
    }

    /// The style of a service's name in the log: the same service has the same one everywhere.
    pub fn name_style(&self, service: &str) -> Style {
        let (indexed, ansi) = self.palette.names[hash(service) % self.palette.names.len()];
        match self.shown_depth() {
            Depth::Mono => Style::new(),
            Depth::Ansi => Style::new().fg(ansi),
            Depth::Indexed | Depth::True => Style::new().fg(Color::Indexed(indexed)),
        }
    }

    /// What is added to the row that the cursor is on: visible without colours, too.
    pub fn selected(&self) -> Style {
        Style::new().fg(Color::Reset).bg(Color::Reset).add_modifier(Modifier::REVERSED)
    }
}

/// FNV-1a, 32 bits.
fn hash(text: &str) -> usize {
    text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn themes_turn_in_a_circle_and_mono_has_no_colour() {
        let mut theme = Theme::default();
        for name in Theme::names() {
            assert_eq!(theme.name(), name);
            theme = theme.next();
        }
        assert_eq!(theme.name(), "terminal");
        let mono = Theme::named("mono", Depth::True).unwrap();
        assert_eq!(mono.style(Token::Good), Style::new());
        assert!(Theme::named("none", Depth::True).is_none());
    }

    #[test]
    fn backgrounds() {
        let of = |rgb: u32| {
            let part = |shift: u32| f64::from(rgb >> shift & 0xff) / 255.0;
            Background::of(part(16), part(8), part(0))
        };
        for dark in [0x000000, 0x1e1e1e, 0x002b36, 0x0000ff, 0x300a24, 0x282c34, 0x5f5f5f] {
            assert_eq!(of(dark), Background::Dark, "{dark:06x}");
        }
        for light in [0xffffff, 0xfdf6e3, 0xeeeeee, 0xffffdd, 0xc0c0c0, 0x00ff00] {
            assert_eq!(of(light), Background::Light, "{light:06x}");
        }
        let said = Background::of_variable;
        assert_eq!((said("15;0"), said("0;15")), (Some(Background::Dark), Some(Background::Light)));
        assert_eq!((said("0;default;7"), said("12;8")), (Some(Background::Light), Some(Background::Dark)));
        assert_eq!((said(""), said("default;default"), said("0;99")), (None, None, None));
        assert_eq!(Theme::auto(None, Depth::True).name(), "terminal");
        assert_eq!(Theme::auto(Some(Background::Light), Depth::True).name(), "light");
        assert_eq!(Theme::auto(Some(Background::Dark), Depth::Mono).style(Token::Good), Style::new());
    }

    #[test]
    fn a_terminal_gets_what_it_can_show() {
        let of = |depth| Theme::named("dark", depth).unwrap().style(Token::Good).fg;
        assert_eq!(of(Depth::True), Some(Color::Rgb(0x8f, 0xd1, 0x7f)));
        assert_eq!(of(Depth::Indexed), Some(Color::Indexed(114)));
        assert_eq!(of(Depth::Ansi), Some(Color::Green));
        assert_eq!(of(Depth::Mono), None);
    }
}
