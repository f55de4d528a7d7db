//! A view of a message's bytes. Building it cannot fail: a message that cannot be parsed is still mail.
//! Bytes are not UTF-8 until proved, nothing is changed in place, and every walk is linear.

pub mod address;
pub mod date;
pub mod envelope;
pub mod from_line;
pub mod idn;
pub mod key;
pub mod line;
pub mod mime;
pub mod phrase_set;
pub mod srs;
pub mod text;
pub mod verp;

use std::borrow::Cow;

use memchr::memchr;

use crate::message::from_line::{leading_length, without_preamble};
use crate::message::line::{field_name, folded_lines, line_length, without_line_end};

pub use crate::message::line::is_field_name;

/// Fields in which mail clients and IMAP servers note the state of a stored message.
#[rustfmt::skip]
pub const CLIENT_FIELDS: [&str; 6] = [
    "Status", "X-Status", "X-UID", "X-Keywords", "X-Mozilla-Status", "X-Mozilla-Keys",
];

/// One header field, as it stands in the message.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The name, without the colon or blanks before it.
    pub name: &'a [u8],
    /// What follows the colon, folds and all, without the last line end.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Reads a line and those that are folded below it; none where they are no field.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let name = field_name(line)?;
        let behind = line.get(name.len()..)?;
        let colon = behind.iter().position(|b| *b == b':')?;
        Some(Self {
            name,
            value: without_line_end(behind.get(colon + 1..)?),
        })
    }

    /// Tells whether this is the field `name`, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value on one line, blanks at its ends removed; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> Cow<'a, str> {
        let value = self.value.trim_ascii();
        if memchr::memchr2(b'\n', b'\r', value).is_none() {
            return std::str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed);
        }
        // Unfolding takes the line end away and leaves the blank that follows it (RFC 5322 section 2.2.3).
        let line: Vec<u8> = value.iter().copied().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
        Cow::Owned(String::from_utf8_lossy(&line).into_owned())
    }

    /// The name as text.
    pub fn name_text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.name)
    }
}

/// The beginning of a message as received: all of a small one, a bounded part of a large one.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    from_line: Option<&'a [u8]>,
    content: &'a [u8],
    header: &'a [u8],
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Looks at `bytes`, which may be cut off anywhere and may begin with a `From ` or `>From ` line.
    pub fn new(bytes: &'a [u8]) -> Self {
        let from_line_bytes = leading_length(bytes);
        let (line, content) = bytes.split_at(from_line_bytes);
        let header_bytes = header_length(content);
        let (header, rest) = content.split_at(header_bytes);
        let body = rest
            .strip_prefix(b"\r\n")
            .or_else(|| rest.strip_prefix(b"\n"))
            .unwrap_or(rest);
        Self {
            from_line: (from_line_bytes > 0).then(|| line.trim_ascii_end()),
            content,
            header,
            body,
        }
    }

    /// The message below a byte order mark or empty lines, if its header begins there. Taken by its word, such a
    /// message has no header at all, and what should be it stands in the body. No mail system delivers one (each adds
    /// its own fields on top), but collections of mail hold them.
    pub fn below_preamble(&self) -> Self {
        const FIELDS: usize = 3;
        if !self.header.is_empty() {
            return *self;
        }
        let rest = without_preamble(self.content).trim_ascii_start();
        // Some put an empty line below the separator line.
        let is_separator = rest.starts_with(b"From ") || rest.starts_with(b">From ");
        let behind = rest.get(line_length(rest)..).filter(|_| is_separator);
        [Some(rest), behind.map(<[u8]>::trim_ascii_start)]
            .into_iter()
            .flatten()
            .map(Self::new)
            .find(|inner| inner.fields().take(FIELDS).count() == FIELDS)
            .unwrap_or(*self)
    }

    /// The mbox separator line that the caller put in front, without its line end.
    pub fn from_line(&self) -> Option<&'a [u8]> {
        self.from_line
    }

    /// Everything behind the separator line.
    pub fn content(&self) -> &'a [u8] {
        self.content
    }

    /// The header, without the empty line that ends it.
    pub fn header(&self) -> &'a [u8] {
        self.header
    }

    /// As much of the body as is at hand.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// All header fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        fields_in(self.header)
    }

    /// The values of every field called `name`, in order.
    pub fn values(&self, name: &'static str) -> impl Iterator<Item = Cow<'a, str>> {
        self.fields_named(name).map(|field| field.text())
    }

    /// Every field called `name`, in order.
    pub fn fields_named<'n>(&self, name: &'n str) -> impl Iterator<Item = Field<'a>> + use<'a, 'n> {
        let header = self.header;
        let starts = [0]
            .into_iter()
            .chain(memchr::memchr_iter(b'\n', header).map(|end| end + 1));
        let first = name.as_bytes().first().copied().unwrap_or_default();
        // Most lines begin otherwise, and need no closer look. What is folded begins with a blank.
        let lines = starts.filter_map(move |at| {
            let is_likely = header.get(at)?.eq_ignore_ascii_case(&first);
            let rest = header.get(at..).filter(|_| is_likely)?;
            let begins = rest.get(..name.len())?.eq_ignore_ascii_case(name.as_bytes());
            begins.then(|| folded_lines(rest).next()).flatten()
        });
        lines.filter_map(Field::read).filter(move |field| field.is(name))
    }

    /// The first field of each name, found in one walk that ends with the last of them.
    pub fn first_fields<const N: usize>(&self, names: [&str; N]) -> [Option<Field<'a>>; N] {
        let mut found = [None; N];
        let may_be = |line: &&[u8]| {
            let first = line.get(..1).unwrap_or_default();
            names
                .iter()
                .any(|name| name.as_bytes().get(..1).is_some_and(|n| n.eq_ignore_ascii_case(first)))
        };
        for field in folded_lines(self.header).filter(may_be).filter_map(Field::read) {
            let places = found.iter_mut().zip(names);
            for (place, _) in places.filter(|(place, name)| place.is_none() && field.is(name)) {
                *place = Some(field);
            }
            if found.iter().all(Option::is_some) {
                break;
            }
        }
        found
    }

    /// The value of the first field called `name`.
    pub fn first(&self, name: &'static str) -> Option<Cow<'a, str>> {
        self.values(name).next()
    }

    /// The fields that stand above the first `Received`: those that the last mail system added, and nobody before it
    /// (RFC 5321 section 4.4). A message without any `Received` has met no other mail system: there it is all fields.
    pub fn delivery_fields(&self) -> impl Iterator<Item = Field<'a>> {
        self.fields().take_while(|field| !field.is("Received"))
    }

    /// When it was delivered, in seconds since 1970, as its separator line says; where that has no date, as its writer
    /// says.
    pub fn delivered_at(&self) -> Option<i64> {
        let written = || self.fields_named("Date").next();
        self.from_line
            .and_then(date::parse_date)
            .or_else(|| date::field_date(written()?.value))
    }

    /// Who sent it, as the separator line says: its second word.
    pub fn from_line_sender(&self) -> Option<Cow<'a, str>> {
        let word = self.from_line?.split(|b| *b == b' ').nth(1)?;
        Some(String::from_utf8_lossy(word))
    }

    /// Tells whether the user has read it: `R` in `Status` says so (mbox(5)).
    pub fn is_seen(&self) -> bool {
        self.first("Status").is_some_and(|status| status.contains('R'))
    }

    /// The line end that the header uses, so that an added field uses it too.
    pub fn line_end(&self) -> &'static str {
        match memchr(b'\n', self.content) {
            Some(at) if at > 0 && self.content.get(at - 1) == Some(&b'\r') => "\r\n",
            _ => "\n",
        }
    }
}

/// The header fields in `bytes`. Lines that are no field and continue none are passed over.
pub fn fields_in(bytes: &[u8]) -> impl Iterator<Item = Field<'_>> {
    folded_lines(bytes).filter_map(Field::read)
}

/// How long the header is: up to the first empty line, or the first line that belongs to no field.
fn header_length(content: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = content.get(at..).filter(|rest| !rest.is_empty()) {
        let length = line_length(rest);
        let line = without_line_end(rest.get(..length).unwrap_or(rest));
        if line.is_empty() {
            break;
        }
        let continues = at > 0 && matches!(line.first(), Some(b' ' | b'\t'));
        if !continues && field_name(line).is_none() {
            break;
        }
        at += length;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::Message;

    fn names(bytes: &[u8]) -> Vec<String> {
        Message::new(bytes)
            .fields()
            .map(|f| f.name_text().into_owned())
            .collect()
    }

    #[test]
    fn headers_are_found_whatever_surrounds_them() {
        let cases: [(&[u8], &[&str], &[u8]); 10] = [
            (b"", &[], b""),
            (b"A: 1\nB: 2\n\nbody", &["A", "B"], b"body"),
            (b"A: 1\r\nB: 2\r\n\r\nbody", &["A", "B"], b"body"),
            (b"From x Mon Nov  2 10:00:00 2026\nA: 1\n\nbody", &["A"], b"body"),
            (b">From x Mon Nov  2 1:00:00 2026\nA: 1\n\nbody", &["A"], b"body"),
            (b"From the desk of x\n\nbody", &[], b"From the desk of x\n\nbody"),
            (b"A: 1\n folded\n\tmore\nB : 2\n\nbody", &["A", "B"], b"body"),
            (b"\nA: 1\n", &[], b"A: 1\n"),
            (b"no header here\n", &[], b"no header here\n"),
            (b"A: 1", &["A"], b""),
        ];
        for (bytes, fields, body) in cases {
            assert_eq!(names(bytes), fields, "{:?}", String::from_utf8_lossy(bytes));
            assert_eq!(Message::new(bytes).body(), body, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_folded_value_is_one_line_of_text() {
        let message = Message::new(b"Subject: one\r\n two\n\tthree \n\n");
        assert_eq!(message.first("subject").as_deref(), Some("one two\tthree"));
    }

    #[test]
    fn only_fields_above_the_first_received_are_the_deliverys_own() {
        let message = Message::new(b"Return-Path: <s@s.test>\nReceived: x\nDelivered-To: b@b.test\n\n");
        assert_eq!(message.delivery_fields().count(), 1);
        assert_eq!(Message::new(b"Delivered-To: b@b.test\n\n").delivery_fields().count(), 1);
    }
}
