//! The parts of a message, as far as judging needs them: a flat list, in order, without what is inside attached
//! messages. Bounded in depth, number and bytes; a wrong or missing boundary is guessed from the body (reports are
//! often damaged).

use memchr::memmem;

use crate::message::Message;
use crate::message::text::{find_parameter, starts_with_ignoring_case};

/// As much of a body as is taken apart.
const BODY_BYTES: usize = 256 * 1024;

/// Reports are two deep, three behind a list; nothing honest needs more.
const MAX_DEPTH: usize = 6;

const MAX_PARTS: usize = 64;

/// What stands above the first delimiter is not longer than this ("This is a multi-part message in MIME format.").
const PREAMBLE_BYTES: usize = 300;

/// What a part is to a report (RFC 6522 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// `message/delivery-status` (RFC 3464), or its international form (RFC 6533).
    DeliveryStatus,
    /// `message/disposition-notification` (RFC 8098).
    Disposition,
    /// `message/feedback-report` (RFC 5965).
    Feedback,
    /// A whole message, or the beginning of it.
    Message,
    /// The header of a message alone (RFC 6522 section 4).
    Header,
    /// Text for people.
    Text,
    /// Anything else.
    Other,
}

/// One leaf of the tree of parts.
#[derive(Clone, Copy, Debug)]
pub struct MimePart<'a> {
    /// What it is.
    pub kind: PartKind,
    /// Its own header, and its content as a body.
    pub part: Message<'a>,
    /// The delimiter line that stands before it, `--boundary`; the next one ends it.
    pub delimiter: Option<&'a [u8]>,
}

/// All leaves of a message.
#[derive(Clone, Debug, Default)]
pub struct MimeParts<'a> {
    /// The leaves, in order.
    pub parts: Vec<MimePart<'a>>,
    /// There was a `multipart/report`, or something that gives a `report-type`, around some of them: that type, empty
    /// where it has none.
    pub report_type: Option<String>,
}

impl<'a> MimeParts<'a> {
    /// Takes `message` apart.
    pub fn of(message: &Message<'a>) -> Self {
        let mut outline = Self::default();
        outline.walk(message, None, 0);
        outline
    }

    /// The first part of `kind`.
    pub fn first(&self, kind: PartKind) -> Option<&Message<'a>> {
        self.all(kind).next()
    }

    /// Every part of `kind`, in order.
    pub fn all(&self, kind: PartKind) -> impl Iterator<Item = &Message<'a>> {
        self.parts
            .iter()
            .filter(move |part| part.kind == kind)
            .map(|part| &part.part)
    }

    fn walk(&mut self, part: &Message<'a>, delimiter: Option<&'a [u8]>, depth: usize) {
        if self.parts.len() >= MAX_PARTS {
            return;
        }
        let value = part.first("Content-Type").unwrap_or_default();
        // A header that lost its Content-Type on the way, above a body that begins with a delimiter.
        if value.is_empty()
            && depth == 0
            && let Some(guess) = guess_undeclared(part.body().get(..BODY_BYTES).unwrap_or(part.body()))
            && self.split(part.body(), guess, depth)
        {
            return;
        }
        if starts_with_ignoring_case(&value, "multipart/") && depth < MAX_DEPTH {
            // A filter that packs a report into a part writes `multipart/mixed` and leaves the rest as it was
            // (InterScan).
            let kind = find_parameter(&value, "report-type");
            if self.report_type.is_none() && (kind.is_some() || starts_with_ignoring_case(&value, "multipart/report")) {
                self.report_type = Some(kind.unwrap_or_default().to_ascii_lowercase());
            }
            let body = part.body();
            let body = body.get(..BODY_BYTES).unwrap_or(body);
            let named = find_parameter(&value, "boundary").filter(|name| !name.is_empty());
            let named = named.unwrap_or_default();
            // A boundary that was broken over two lines has a blank where they met.
            let joined: String = named.split_whitespace().collect();
            if self.split(body, named.as_bytes(), depth)
                || self.split(body, joined.as_bytes(), depth)
                || first_delimiter(body).is_some_and(|guess| self.split(body, guess, depth))
            {
                return;
            }
        }
        self.parts.push(MimePart {
            kind: kind_of(&value),
            part: *part,
            delimiter,
        });
    }

    /// Walks over the parts between the delimiter lines of `boundary`; tells whether there were any.
    fn split(&mut self, body: &'a [u8], boundary: &[u8], depth: usize) -> bool {
        if boundary.is_empty() {
            return false;
        }
        let mut start = None;
        let mut delimiter = None;
        for at in delimiters(body, boundary) {
            delimiter = body.get(at..at + boundary.len() + 2);
            if let Some(from) = start {
                self.walk(
                    &Message::new(body.get(from..at).unwrap_or_default()),
                    delimiter,
                    depth + 1,
                );
                if self.parts.len() >= MAX_PARTS {
                    return true;
                }
            }
            let rest = body.get(at..).unwrap_or_default();
            let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let closes = rest
                .get(boundary.len() + 2..)
                .is_some_and(|tail| tail.starts_with(b"--"));
            start = Some(at + line);
            if closes {
                // A report's last part may stand behind a closing line that came too early.
                let text = body.get(at + line..).unwrap_or_default();
                if !text.trim_ascii_start().starts_with(b"Content-") {
                    return true;
                }
            }
        }
        match start {
            Some(from) => {
                self.walk(
                    &Message::new(body.get(from..).unwrap_or_default()),
                    delimiter,
                    depth + 1,
                );
                true
            }
            None => false,
        }
    }
}

/// Where the lines begin that consist of `--` and `boundary`.
fn delimiters<'b>(body: &'b [u8], boundary: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    let mut needle = b"--".to_vec();
    needle.extend_from_slice(boundary);
    let finder = memmem::Finder::new(&needle).into_owned();
    let length = needle.len();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let found = at + finder.find(body.get(at..)?)?;
            at = found + length;
            let starts = found == 0 || body.get(found - 1) == Some(&b'\n');
            // A longer boundary may begin with this one.
            let ends = matches!(body.get(at), None | Some(b'\r' | b'\n' | b' ' | b'\t' | b'-'));
            if starts && ends {
                return Some(found);
            }
        }
    })
}

/// Guesses the boundary of a multipart whose own is nowhere: the first line of two hyphens and more with a MIME header
/// right below.
fn first_delimiter(body: &[u8]) -> Option<&[u8]> {
    memmem::find_iter(body, b"--").find_map(|at| {
        let starts = at == 0 || body.get(at - 1) == Some(&b'\n');
        let rest = body.get(at + 2..).filter(|_| starts)?;
        let (line, below) = rest.split_at(memchr::memchr(b'\n', rest)? + 1);
        let boundary = line.trim_ascii_end();
        let is_field = below
            .get(..8)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"Content-"));
        (is_field && !boundary.is_empty()).then_some(boundary)
    })
}

/// Guesses the boundary where the header says nothing. Above it may stand only what mail programs write for those that
/// know no MIME: below other words it is a piece of a message that somebody quotes.
fn guess_undeclared(body: &[u8]) -> Option<&[u8]> {
    let begins = body.get(..PREAMBLE_BYTES).unwrap_or(body);
    let delimiter = begins.split(|b| *b == b'\n').find(|line| line.starts_with(b"--"))?;
    let at = memmem::find(begins, delimiter)?;
    let preamble = begins.get(..at)?.trim_ascii().to_ascii_lowercase();
    if !preamble.is_empty()
        && memmem::find(&preamble, b"mime").is_none()
        && memmem::find(&preamble, b"multi-part").is_none()
    {
        return None;
    }
    let next = body.get(at + delimiter.len()..)?.trim_ascii_start();
    let boundary = delimiter.trim_ascii_end().strip_prefix(b"--")?;
    let is_field = next.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"Content-"));
    // The first part of a report often has no header at all; then another one has.
    let found = is_field || {
        let mut again = delimiter.trim_ascii_end().to_vec();
        again.extend_from_slice(if delimiter.ends_with(b"\r") {
            b"\r\nContent-"
        } else {
            b"\nContent-"
        });
        memmem::find(body, &again).is_some()
    };
    (found && boundary.len() > 3).then_some(boundary)
}

fn kind_of(content_type: &str) -> PartKind {
    const KINDS: [(&str, PartKind); 11] = [
        ("message/delivery-status", PartKind::DeliveryStatus),
        ("message/global-delivery-status", PartKind::DeliveryStatus),
        ("message/disposition-notification", PartKind::Disposition),
        ("message/global-disposition-notification", PartKind::Disposition),
        ("message/feedback-report", PartKind::Feedback),
        ("message/rfc822", PartKind::Message),
        ("message/global", PartKind::Message),
        ("message/partial", PartKind::Message),
        ("text/rfc822", PartKind::Header),
        ("message/rfc822-headers", PartKind::Header),
        ("text/", PartKind::Text),
    ];
    let value = content_type.trim_start();
    // `message/rfc822-headers` and `message/global-headers` begin like whole messages.
    if starts_with_ignoring_case(value, "message/rfc822-header")
        || starts_with_ignoring_case(value, "message/global-header")
    {
        return PartKind::Header;
    }
    if value.is_empty() {
        return PartKind::Text;
    }
    KINDS
        .iter()
        .find(|(prefix, _)| starts_with_ignoring_case(value, prefix))
        .map_or(PartKind::Other, |(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::{MimeParts, PartKind};
    use crate::message::Message;

    fn kinds(bytes: &[u8]) -> Vec<PartKind> {
        MimeParts::of(&Message::new(bytes))
            .parts
            .iter()
            .map(|p| p.kind)
            .collect()
    }

    #[test]
    fn leaves_are_found_also_where_the_boundary_is_wrong_or_missing() {
        const BODY: &str = "\n--b\n\ntext\n--b\nContent-Type: message/delivery-status\n\nAction: failed\n--b\nContent-Type: message/rfc822\n\nFrom: a@a.test\n--b--\n";
        for head in [
            "multipart/report; boundary=b",
            "multipart/report; boundary=\"b\"",
            "multipart/mixed",
        ] {
            let boundary = if head.contains('=') { "b" } else { "longer" };
            let bytes = format!(
                "Content-Type: {head}\n{}",
                BODY.replace("--b", &format!("--{boundary}"))
            );
            assert_eq!(
                kinds(bytes.as_bytes()),
                [PartKind::Text, PartKind::DeliveryStatus, PartKind::Message][..],
                "{head}"
            );
        }
    }

    #[test]
    fn a_report_in_a_lists_wrapping_is_found_and_no_attached_one() {
        let report = "Content-Type: multipart/report; report-type=delivery-status; boundary=in\n\n--in\n\nx\n--in\nContent-Type: message/delivery-status\n\nAction: failed\n--in--\n";
        let wrapped =
            format!("Content-Type: multipart/mixed; boundary=out\n\n--out\n{report}\n--out\n\nfooter\n--out--\n");
        let outline = MimeParts::of(&Message::new(wrapped.as_bytes()));
        assert_eq!(outline.report_type.as_deref(), Some("delivery-status"));
        let packed = "Content-Type: multipart/mixed; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nx: y\n--b--\n";
        assert_eq!(
            MimeParts::of(&Message::new(packed.as_bytes())).report_type.as_deref(),
            Some("delivery-status")
        );
        let attached = format!(
            "Content-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: message/rfc822\n\n{report}\n--out--\n"
        );
        assert_eq!(kinds(attached.as_bytes()), [PartKind::Message]);
    }

    #[test]
    fn deep_and_endless_parts_end() {
        let deep: String = (0..5000)
            .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n"))
            .collect();
        assert!(MimeParts::of(&Message::new(deep.as_bytes())).parts.len() <= super::MAX_PARTS);
        let many = format!(
            "Content-Type: multipart/mixed; boundary=b\n{}",
            "\n--b\n\nx".repeat(50_000)
        );
        assert!(MimeParts::of(&Message::new(many.as_bytes())).parts.len() <= super::MAX_PARTS);
    }
}
