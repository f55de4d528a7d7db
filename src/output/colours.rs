//! Colours on a terminal that has some, unless `NO_COLOR` is set.

use std::io::{self, IsTerminal};

/// A way to write (ECMA-48, select graphic rendition).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Bold = 1,
    Red = 31,
    Green = 32,
    Yellow = 33,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    On,
    Off,
}

impl Colours {
    /// What standard output can show.
    pub fn of_output() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        if io::stdout().is_terminal() && !dumb && set("NO_COLOR").is_none() {
            Self::On
        } else {
            Self::Off
        }
    }

    pub fn paint(self, text: &str, colour: Colour) -> String {
        match self {
            Self::On => format!("\x1b[{}m{text}\x1b[0m", colour as u8),
            Self::Off => text.to_owned(),
        }
    }
}
