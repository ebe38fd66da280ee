//! How text looks, as SGR can say it.

/// A colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Color {
    /// As the terminal has it.
    #[default]
    Default,
    /// One of the sixteen that the user's theme decides: 0 to 7, and 8 to 15 for the bright ones.
    Ansi(u8),
    /// One of 256.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

/// One effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Effect {
    /// Bold.
    Bold = 1,
    /// Dim.
    Dim = 2,
    /// Italic.
    Italic = 4,
    /// Underlined, in whatever shape.
    Underline = 8,
    /// Foreground and background exchanged.
    Reverse = 16,
    /// Struck out.
    Strike = 32,
}

/// A set of effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Effects(u8);

impl Effects {
    /// Whether one of them is in the set.
    pub fn has(self, effect: Effect) -> bool {
        self.0 & effect as u8 != 0
    }

    /// The set with one more.
    #[must_use]
    pub fn with(self, effect: Effect) -> Effects {
        Effects(self.0 | effect as u8)
    }

    /// The set without one.
    #[must_use]
    pub fn without(self, effect: Effect) -> Effects {
        Effects(self.0 & !(effect as u8))
    }
}

/// How a span looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Style {
    /// Of the text.
    pub foreground: Color,
    /// Behind it.
    pub background: Color,
    /// What else.
    pub effects: Effects,
}
