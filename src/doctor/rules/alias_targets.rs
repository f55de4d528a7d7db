//! Parses what a `.forward` or an aliases file holds behind a name: addresses, commands, files (aliases(5)).

use crate::doctor::rules::guard_line::{Hook, guard_of};

/// One place that mail goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasTarget {
    /// An address, or a name of this host.
    Address(String),
    /// A name behind a backslash: the user's mailbox, whatever a `.forward` says.
    Mailbox(String),
    /// A command that gets the message, and whether it stands between quotes.
    Command {
        text: String,
        /// Whether blanks in it are safe.
        quoted: Quoted,
    },
    /// A file that it is appended to.
    File(String),
    /// A file with more of them.
    Include(String),
}

impl AliasTarget {
    pub fn command(&self) -> Option<&str> {
        match self {
            Self::Command { text, .. } => Some(text),
            Self::Address(_) | Self::Mailbox(_) | Self::File(_) | Self::Include(_) => None,
        }
    }

    pub fn hook(&self) -> Option<Hook> {
        self.command().and_then(guard_of)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoted {
    Yes,
    No,
}

/// An item and the line that it begins on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedTarget {
    pub line: usize,
    pub item: AliasTarget,
}

/// The items of a `.forward`: one or more a line, with commas between; `#` begins a comment.
pub fn of_forward(text: &str) -> Vec<PlacedTarget> {
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim_start().starts_with('#'));
    lines
        .flat_map(|(text, line)| of_line(text).into_iter().map(move |item| PlacedTarget { line, item }))
        .collect()
}

pub fn of_line(text: &str) -> Vec<AliasTarget> {
    split(text).into_iter().filter_map(|part| item(part.trim())).collect()
}

/// The parts between commas that stand in no quotes.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut in_quotes, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => {
                parts.extend(text.get(begin..at));
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(begin..));
    parts
}

fn item(part: &str) -> Option<AliasTarget> {
    // Both `"|command"` and `|"command"` are written.
    let (bare, quoted) = match part.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => (inner.replace("\\\"", "\""), Quoted::Yes),
        None => (part.to_owned(), Quoted::No),
    };
    let bare = bare.trim();
    if bare.is_empty() {
        return None;
    }
    if let Some(command) = bare.strip_prefix('|') {
        let command = command.trim();
        let inner = command.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        return Some(AliasTarget::Command {
            text: inner.unwrap_or(command).to_owned(),
            quoted: if inner.is_some() { Quoted::Yes } else { quoted },
        });
    }
    Some(if let Some(name) = bare.strip_prefix('\\') {
        AliasTarget::Mailbox(name.to_owned())
    } else if let Some(path) = bare.strip_prefix(":include:") {
        AliasTarget::Include(path.trim().to_owned())
    } else if bare.starts_with(['/', '~']) {
        AliasTarget::File(bare.to_owned())
    } else {
        // `Bob <bob@example.net>` is an address, too (RFC 5322 section 3.4).
        let inner = bare.strip_suffix('>').and_then(|rest| rest.split_once('<'));
        AliasTarget::Address(inner.map_or(bare, |(_, address)| address).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::{AliasTarget, Quoted, of_forward};

    #[test]
    fn a_line_is_split_at_commas_outside_quotes() {
        let text = "# mine\n\"|/usr/bin/spoolguard forward b@b.test, c@c.test\", \\a\nb@b.test,/home/a/mbox\n|\"cat x\"\n:include:/x\n|cat y\nB B <b@b.test>\n";
        let found: Vec<_> = of_forward(text)
            .into_iter()
            .map(|placed| (placed.line, placed.item))
            .collect();
        let command = |text: &str, quoted| AliasTarget::Command {
            text: text.to_owned(),
            quoted,
        };
        assert_eq!(
            found,
            [
                (
                    2,
                    command("/usr/bin/spoolguard forward b@b.test, c@c.test", Quoted::Yes)
                ),
                (2, AliasTarget::Mailbox("a".to_owned())),
                (3, AliasTarget::Address("b@b.test".to_owned())),
                (3, AliasTarget::File("/home/a/mbox".to_owned())),
                (4, command("cat x", Quoted::Yes)),
                (5, AliasTarget::Include("/x".to_owned())),
                (6, command("cat y", Quoted::No)),
                (7, AliasTarget::Address("b@b.test".to_owned())),
            ]
        );
    }
}
