//! The header of the message that a report is about: attached, as text behind a ruler, or indented. It tells whose
//! message it was.

use std::borrow::Cow;

use crate::message::address::{Address, OwnAddresses};
use crate::message::line::{begins_line, skip_empty_lines};
use crate::message::mime::{MimeParts, PartKind};
use crate::message::phrase_set::PhraseSet;
use crate::message::text::decode_transfer_encoding;
use crate::message::{Message, is_field_name};

/// As much as is read of a quoted message.
const QUOTED_BYTES: usize = 64 * 1024;

/// Fields that every message has; two of them in one block of lines are a header, if one is of the first seven:
/// Exchange tells `To`, `Subject` and `Sent` in its own words.
#[rustfmt::skip]
const USUAL: [&str; 10] = [
    "Received", "Return-Path", "From", "Date", "Message-ID", "MIME-Version", "X-Loop", "To", "Subject",
    "Delivered-To",
];

/// Whose message a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageOrigin {
    /// A message that this guard forwarded: what is quoted carries our `X-Loop`.
    OurForward,
    /// A message that the user wrote.
    User,
    /// Neither: backscatter, or a report that quotes nothing.
    Unknown,
}

impl MessageOrigin {
    /// The word for it, as logs and JSON use it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OurForward => "our-forward",
            Self::User => "user",
            Self::Unknown => "unknown",
        }
    }
}

/// A quoted header; empty where nothing is quoted.
#[derive(Clone, Debug, Default)]
pub struct ReturnedHeader<'a> {
    bytes: Cow<'a, [u8]>,
}

impl<'a> ReturnedHeader<'a> {
    /// Finds it among the parts of a message, then in its text.
    pub fn find(outline: &MimeParts<'a>, text: &str) -> Self {
        let attached = outline.all(PartKind::Message).chain(outline.all(PartKind::Header));
        for part in attached {
            let encoding = part.first("Content-Transfer-Encoding").unwrap_or_default();
            let body = part.body().get(..QUOTED_BYTES).unwrap_or(part.body());
            let bytes = match decode_transfer_encoding(body, &encoding) {
                Cow::Borrowed(bytes) => Cow::Borrowed(skip_empty_lines(bytes)),
                Cow::Owned(bytes) => Cow::Owned(bytes),
            };
            if Message::new(&bytes).fields().next().is_some() {
                return Self { bytes };
            }
        }
        match header_start(text) {
            Some(at) => Self {
                bytes: Cow::Owned(unindented(text.get(at..).unwrap_or_default())),
            },
            None => Self::default(),
        }
    }

    /// The quoted message; an empty one where nothing is quoted.
    pub fn message(&self) -> Message<'_> {
        Message::new(&self.bytes)
    }

    /// Who wrote the quoted message, as its header says.
    pub fn sender(&self) -> Option<String> {
        let from = self.message().first("From")?;
        Address::parse(&from).map(|address| address.to_string())
    }

    /// All that is quoted, as far as it is read.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Tells whether nothing is quoted.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whose message it was, by `X-Loop`, then by its author; where it names none, by its envelope sender and by who
    /// made its Message-ID.
    pub fn origin(&self, own: &OwnAddresses) -> MessageOrigin {
        let message = self.message();
        let is_own = |value: Cow<'_, str>| Address::parse(&value).is_some_and(|address| own.contains(&address));
        if message.values("X-Loop").any(|value| own.is_loop_mark(&value)) {
            return MessageOrigin::OurForward;
        }
        let has_author = message.first("From").is_some();
        let written = ["From", "Sender"]
            .into_iter()
            .any(|name| message.values(name).any(is_own));
        if written {
            return MessageOrigin::User;
        }
        // What somebody else wrote and was forwarded from here has the user as its envelope sender, too, and perhaps a
        // neighbour's id.
        let returned = message.values("Return-Path").any(is_own);
        let id = message.first("Message-ID").and_then(|id| Address::parse(&id));
        let made = id.is_some_and(|id| id.domain().is_some() && own.iter().any(|a| a.domain() == id.domain()));
        if !has_author && (returned || made) {
            MessageOrigin::User
        } else {
            MessageOrigin::Unknown
        }
    }
}

/// Where in `text` the first block of header lines begins: three fields in a row, two of them usual ones.
pub fn header_start(text: &str) -> Option<usize> {
    let mut block: Option<usize> = None;
    let mut seen = [false; USUAL.len()];
    let mut fields = 0;
    let mut indent = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let bare = line.trim_start_matches([' ', '\t', '>', '|']).trim_end();
        let name = bare
            .split_once(':')
            .map(|(name, _)| name.trim_end())
            .filter(|name| is_field_name(name.as_bytes()));
        match name {
            Some(name) => {
                if block.is_none() {
                    block = Some(start);
                    indent = indent_of(line);
                }
                fields += 1;
                for (seen, usual) in seen.iter_mut().zip(USUAL) {
                    *seen |= name.eq_ignore_ascii_case(usual);
                }
                let telling = seen.iter().take(7).any(|seen| *seen);
                if fields >= 3 && telling && seen.iter().filter(|seen| **seen).count() >= 2 {
                    return block;
                }
            }
            // A folded line belongs to the field before it.
            None if block.is_some() && !bare.is_empty() && indent_of(line) > indent => {}
            None => {
                block = None;
                seen = [false; USUAL.len()];
                fields = 0;
            }
        }
    }
    None
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t', '>', '|']).len()
}

/// Every value of the field `name` that begins a line in `body`, however deep it is nested, indented or quoted.
/// `name` is in lower case and has a hyphen. Linear, and without looking at anything but the beginnings of lines.
pub fn nested_values<'b>(body: &'b [u8], name: &'static str) -> impl Iterator<Item = Cow<'b, str>> {
    // Base64 has no hyphen, and most of the bytes of mail are that; of letters it is full.
    let hyphen = name.find('-').unwrap_or_default();
    memchr::memchr_iter(b'-', body).filter_map(move |found| {
        let at = found.checked_sub(hyphen)?;
        // Of all hyphens, few stand behind such a letter.
        if !body.get(at)?.eq_ignore_ascii_case(name.as_bytes().first()?) {
            return None;
        }
        let rest = body.get(at + name.len()..)?;
        let matches = body.get(at..at + name.len())?.eq_ignore_ascii_case(name.as_bytes());
        if !matches || !rest.trim_ascii_start().starts_with(b":") {
            return None;
        }
        begins_line(body.get(..at)?, b">|").then(|| {
            let colon = memchr::memchr(b':', rest).map_or(0, |colon| colon + 1);
            let value = rest.get(colon..).unwrap_or_default();
            let end = memchr::memchr(b'\n', value).unwrap_or(value.len()).min(1000);
            String::from_utf8_lossy(value.get(..end).unwrap_or_default().trim_ascii())
        })
    })
}

/// Takes away what stands before every line of an indented or quoted header.
fn unindented(text: &str) -> Vec<u8> {
    let indent: String = text
        .chars()
        .take_while(|c| matches!(c, ' ' | '\t' | '>' | '|'))
        .collect();
    let mut out = Vec::with_capacity(text.len().min(QUOTED_BYTES));
    for line in text.split_inclusive('\n') {
        if out.len() >= QUOTED_BYTES {
            break;
        }
        out.extend_from_slice(line.strip_prefix(indent.as_str()).unwrap_or(line).as_bytes());
    }
    out
}

/// Lines behind which mail systems put the message, in lower case.
const RULERS: &[&str] = &[
    "below this line is a copy of the message",        // qmail
    "below the next line is a copy of the message",    // newmail.ru
    "this is a copy of the message, including",        // Exim
    "this is a copy of your message",                  // Exim
    "original message follows",                        // Yahoo, IMail
    "----- original message",                          // Gmail
    "original message -----",                          // Outlook
    "unsent message follows",                          // sendmail
    "unsent message below",                            // sendmail 8.6
    "message header follows",                          // sendmail, Smail
    "message headers follow",                          // MessageLabs, MailEnable
    "message text follows",                            // Smail
    "returned message",                                // Notes, demon.co.uk
    "here is your returned mail",                      // WebShield
    "returned mail follows",                           // usa.net
    "copy of the original message below",              // OpenSMTPD
    "original message headers:",                       // Exchange 2007
    "the header of the original message is following", // GMX
];

static RULER_SET: PhraseSet<{ RULERS.len() }> = PhraseSet::new(RULERS);

/// Where the part of `text` ends that the MTA wrote itself: at a ruler, or where a header is quoted.
pub fn own_words(text: &str) -> &str {
    let lower = text.to_ascii_lowercase();
    let mut places = RULER_SET.find_all(&lower);
    let ruler = places.find(|(at, number)| is_ruler(&lower, *at, RULER_SET.phrase(*number).len()));
    let ruler = ruler.map(|(at, _)| at);
    let end = ruler.into_iter().chain(header_start(text)).min().unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

/// A ruler is a line of its own: drawn, or nothing but its words. The same words stand in sentences as well: "delete
/// your own text from the attached returned message" (Postfix).
fn is_ruler(text: &str, at: usize, length: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let before = before.rsplit('\n').next().unwrap_or_default();
    let behind = text.get(at + length..).unwrap_or_default();
    let behind = behind.split('\n').next().unwrap_or_default();
    let is_drawn = |piece: &str| ["--", "==", "**", "__", "~~"].iter().any(|line| piece.contains(line));
    let has_words = |piece: &str| piece.chars().any(char::is_alphanumeric);
    is_drawn(before) || is_drawn(behind) || before.trim_start().len() <= "the ".len() && !has_words(behind)
}

#[cfg(test)]
mod tests {
    use super::{MessageOrigin, ReturnedHeader, nested_values, own_words};
    use crate::message::Message;
    use crate::message::address::{Address, OwnAddresses};
    use crate::message::mime::MimeParts;

    #[test]
    fn the_quoted_header_is_found_wherever_it_begins() {
        let cases = [
            "Content-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b\nContent-Type: message/rfc822\n\nFrom: a@a.test\nX-Loop: a@a.test\n\nhi\n--b--\n",
            "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: text/rfc822-headers\n\nFrom: s@s.test\nX-Loop: a@a.test\n--b--\n",
            "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nWC1Mb29wOiBhQGEudGVzdA==\n--b--\n",
            "\nIt failed.\n\n--- Below this line is a copy of the message.\n\nReturn-Path: <s@s.test>\nSubject: hi\nX-Loop: a@a.test\n\nhi\n",
            "\nIt failed.\n\n   Received: from x\n      by y\n   From: s@s.test\n   X-Loop: a@a.test\n",
        ];
        let mut own = OwnAddresses::new("+");
        own.extend_for_test("a@a.test");
        for text in cases {
            let message = Message::new(text.as_bytes());
            let outline = MimeParts::of(&message);
            let body = String::from_utf8_lossy(message.body());
            assert_eq!(
                ReturnedHeader::find(&outline, &body).origin(&own),
                MessageOrigin::OurForward,
                "{text}"
            );
        }
    }

    #[test]
    fn nested_values_stand_at_the_start_of_lines() {
        let body = b"X-Loop: one\nno X-Loop: two\n > > x-loop : three\r\nX-Loops: four\n\tX-LOOP:five";
        let found: Vec<_> = nested_values(body, "x-loop").collect();
        assert_eq!(found, ["one", "three", "five"]);
    }

    #[test]
    fn the_systems_own_words_end_at_the_ruler_or_the_header() {
        assert_eq!(own_words("a\n--- Original message follows.\nb"), "a\n--- ");
        assert_eq!(own_words("a: b\nFrom: x\nTo: y\n"), "");
        let postfix = "You can\ndelete your own text from the attached returned message.\n\n<b@b.test>: no\n";
        assert_eq!(own_words(postfix), postfix);
        assert_eq!(own_words("a\n\nReturned message:\nb"), "a\n\n");
        assert_eq!(own_words("a\n  ----- Returned message -----\nb"), "a\n  ----- ");
        assert_eq!(own_words("Reason: none\n\nFrom here\n"), "Reason: none\n\nFrom here\n");
    }

    impl OwnAddresses {
        fn extend_for_test(&mut self, text: &str) {
            self.add(Address::parse(text).unwrap_or_else(|| unreachable!("{text} is an address")));
        }
    }
}
