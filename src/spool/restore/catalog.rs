//! `spoolguard spool restore --list`: what is in an archive, one line a message. What messages say is escaped and
//! shortened.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use crate::escape::make_visible;
use crate::message::text::decoded_value;
use crate::message::{Field, Message};
use crate::moment::Moment;
use crate::output::columns::{cut_to_columns, pad_to_columns};
use crate::output::json::write_line;
use crate::output::sizes::short_size;

/// How much of a writer's name, and of a subject, is shown to people, in characters.
const WRITER_COLUMNS: usize = 22;
const SUBJECT_COLUMNS: usize = 31;
const LISTED_SUBJECT_COLUMNS: usize = 27;

/// One message of an archive.
#[derive(Clone, Copy, Debug)]
pub struct CatalogEntry<'a> {
    pub archive: &'a str,
    pub mailbox: &'a str,
    /// Where the message lies in that, in bytes.
    pub offset: u64,
    pub bytes: u64,
    /// Its beginning.
    pub message: &'a Message<'a>,
}

/// The keys are a promise.
#[derive(Serialize)]
struct CatalogLine<'a> {
    archive: &'a str,
    mailbox: &'a str,
    offset: u64,
    size: u64,
    date: Option<String>,
    sender: Option<String>,
    from: Option<String>,
    subject: Option<String>,
    message_id: Option<String>,
}

impl CatalogEntry<'_> {
    /// The text of a field, decoded.
    pub fn field(&self, name: &str) -> Option<String> {
        let field = self.message.fields_named(name).next()?;
        Some(decoded_value(&field, None).into_owned())
    }

    /// The day and time of the separator line, else of the `Date` field, as RFC 3339 writes it, without a zone.
    pub fn date(&self) -> Option<String> {
        let moment = Moment::from_seconds(self.message.delivered_at()?);
        let mut text = moment.to_rfc3339()?;
        text.pop();
        Some(text)
    }

    /// The sender, as the separator line has it.
    pub fn sender(&self) -> Option<String> {
        self.message.from_line_sender().map(Cow::into_owned)
    }

    pub fn write_json(&self, output: &mut impl Write) -> io::Result<()> {
        let line = CatalogLine {
            archive: self.archive,
            mailbox: self.mailbox,
            offset: self.offset,
            size: self.bytes,
            date: self.date(),
            sender: self.sender(),
            from: self.field("From"),
            subject: self.field("Subject"),
            message_id: self.field("Message-ID"),
        };
        write_line(output, &line)
    }

    /// Date, sender and subject for people, harmless and short.
    pub fn headline(&self) -> [String; 3] {
        let mut date = self.date().unwrap_or_else(|| "?".to_owned());
        if let Some(at) = date.find('T') {
            date.replace_range(at..=at, " ");
        }
        let [from, subject] = self.message.first_fields(["From", "Subject"]);
        let text = |field: Option<Field<'_>>, most| field.map(|field| short(&decoded_value(&field, None), most));
        let sender = || self.sender().map(|sender| short(&sender, WRITER_COLUMNS));
        let from = text(from, WRITER_COLUMNS).or_else(sender).unwrap_or_default();
        [date, from, text(subject, SUBJECT_COLUMNS).unwrap_or_default()]
    }

    pub fn write_text(&self, output: &mut impl Write) -> io::Result<()> {
        let [date, from, _] = self.headline();
        let subject = short(&self.field("Subject").unwrap_or_default(), LISTED_SUBJECT_COLUMNS);
        let id = make_visible(&self.field("Message-ID").unwrap_or_default());
        writeln!(
            output,
            "{date:19}  {:>6}  {}  {}  {id}",
            short_size(self.bytes),
            pad_to_columns(&from, WRITER_COLUMNS),
            pad_to_columns(&subject, LISTED_SUBJECT_COLUMNS)
        )
    }
}

/// The beginning of a text, made harmless.
fn short(text: &str, most: usize) -> String {
    // Most is plain, and each byte of it takes a column.
    let shown = text.as_bytes().get(..most + 1).unwrap_or(text.as_bytes());
    if shown.iter().all(|b| (b' '..=b'~').contains(b)) {
        return match text.get(..most.saturating_sub(1)) {
            Some(beginning) if text.len() > most => format!("{beginning}…"),
            Some(_) | None => text.to_owned(),
        };
    }
    // Escaping makes it longer: first cut, so that a long one costs no more, then escaped, then cut once more.
    let beginning: String = text.chars().take(most + 1).collect();
    cut_to_columns(&make_visible(&beginning), most, "…")
}

#[cfg(test)]
mod tests {
    use super::{CatalogEntry, short};
    use crate::message::Message;

    #[test]
    fn a_hostile_message_neither_opens_a_line_nor_steers_a_terminal() {
        let text = b"From s@s.test Mon Nov  2 10:00:00 2026\nFrom: \x1b[2J<s@s.test>\n\
            Subject: =?utf-8?q?a=0Ab=E2=80=AE?=\nMessage-ID: <1@s.test>\n\n";
        let message = Message::new(text);
        let entry = CatalogEntry {
            archive: "a.gz",
            mailbox: "a",
            offset: 0,
            bytes: 1536,
            message: &message,
        };
        let mut out = Vec::new();
        entry.write_text(&mut out).unwrap_or_default();
        let line = String::from_utf8_lossy(&out).into_owned();
        assert_eq!(line.lines().count(), 1);
        assert!(
            line.starts_with("2026-11-02 10:00:00    1.5K  \\u{1b}[2J<s@s.test> "),
            "{line}"
        );
        assert!(line.ends_with(" <1@s.test>\n") && line.contains("\\u{202e}"), "{line}");
        out.clear();
        entry.write_json(&mut out).unwrap_or_default();
        let line = String::from_utf8_lossy(&out);
        assert!(!line.contains('\u{202e}') && !line.contains('\u{1b}'), "{line}");
        assert!(
            line.contains("\"date\":\"2026-11-02T10:00:00\",\"sender\":\"s@s.test\""),
            "{line}"
        );
    }

    #[test]
    fn long_texts_are_shortened() {
        assert_eq!(short("abcdef", 6), "abcdef");
        assert_eq!(short("abcdefg", 6), "abcde…");
        assert_eq!(short("\u{1b}\u{1b}", 6), "\\u{1b…");
    }
}
