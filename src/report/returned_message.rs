//! The message that a report brings back: where in the report it stands, how it is packed, and whether it is all there.

use std::borrow::Cow;

use crate::message::address::{Address, OwnAddresses};
use crate::message::envelope::Sender;
use crate::message::line::{behind_line, folded_lines, skip_empty_lines};
use crate::message::mime::{MimePart, MimeParts, PartKind};
use crate::message::text::{find_ignoring_case, starts_with_ignoring_case};
use crate::message::{Field, Message};
use crate::report::returned_header::ReturnedHeader;

/// As much of a report's text as is searched for a ruler.
const TEXT_BYTES: usize = 64 << 10;

/// What a report brings back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReturnedMessage {
    /// The message, header and body.
    Whole(ReturnedPlace),
    /// Its header alone.
    HeaderOnly(LostMessage),
    /// Nothing.
    None,
}

/// Where a message stands in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnedPlace {
    /// Where it begins, in bytes from the start of the report's content.
    pub start: usize,
    /// The delimiter line behind it, without its line end; it goes to the end of the report where there is none.
    pub until: Option<Vec<u8>>,
    /// How it is packed.
    pub coding: TransferEncoding,
    /// Whether the report says that this is not all of it.
    pub extent: Completeness,
}

/// How an attached message is packed. RFC 2046 section 5.2.1 allows none of it for whole messages, and it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEncoding {
    /// As it is.
    Plain,
    /// In base64 (RFC 2045 section 6.8).
    Base64,
    /// In quoted-printable (RFC 2045 section 6.7).
    QuotedPrintable,
}

/// Whether all of a message is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Nothing says otherwise.
    All,
    /// Its end was cut off.
    Cut,
}

impl ReturnedMessage {
    /// Finds it in `report`.
    pub fn find(report: &Message<'_>) -> Self {
        let outline = MimeParts::of(report);
        let extent = if says_cut(&outline) {
            Completeness::Cut
        } else {
            Completeness::All
        };
        // OpenSMTPD puts the whole message under the name of a header.
        let has_body = |part: &&MimePart<'_>| {
            let message = Message::new(part.part.body().trim_ascii_start());
            !message.body().trim_ascii().is_empty()
        };
        let is_message =
            |part: &&MimePart<'_>| part.kind == PartKind::Message || (part.kind == PartKind::Header && has_body(part));
        let attached = outline.parts.iter().filter(is_message);
        if let Some(place) = attached.filter_map(|part| attached_at(report, part, extent)).next() {
            return Self::Whole(place);
        }
        if let [only] = outline.parts.as_slice()
            && let Some(place) = below_ruler(report, only)
        {
            return Self::Whole(place);
        }
        let text = String::from_utf8_lossy(report.body().get(..TEXT_BYTES).unwrap_or(report.body()));
        let quoted = ReturnedHeader::find(&outline, &text);
        if quoted.is_empty() {
            Self::None
        } else {
            Self::HeaderOnly(read_lost_message(&quoted.message()))
        }
    }
}

/// What there is to say about a message of which only the header came back.
pub fn read_lost_message(header: &Message<'_>) -> LostMessage {
    let value = |name| header.first(name).map(|value| value.trim().chars().take(200).collect());
    LostMessage {
        message_id: value("Message-ID"),
        from: value("From"),
        date: value("Date"),
        destination: None,
    }
}

/// Tells whether a message that should have a body has none: then only its header came back, whatever the part calls
/// itself (Exchange). A message without text is whole as it is.
pub fn lacks_body(message: &Message<'_>) -> bool {
    let value = |name| message.first(name).unwrap_or_default();
    let has_parts = starts_with_ignoring_case(value("Content-Type").trim_start(), "multipart/");
    let is_packed = ["base64", "quoted-printable"]
        .iter()
        .any(|coding| value("Content-Transfer-Encoding").trim().eq_ignore_ascii_case(coding));
    let counted = ["Content-Length", "Lines"]
        .iter()
        .any(|name| value(name).trim().parse::<u64>().is_ok_and(|count| count > 1));
    message.body().trim_ascii().is_empty() && (has_parts || is_packed || counted)
}

/// Tells whether the user wrote the message that came back, to others: then it was no mail for the mailbox. What users
/// write to themselves is.
pub fn is_sent_by_user(message: &Message<'_>, own: &OwnAddresses) -> bool {
    let is_from_user = message
        .first("From")
        .and_then(|from| Address::parse(&from))
        .is_some_and(|address| own.contains(&address));
    let names_user = |value: Cow<'_, str>| {
        own.iter()
            .any(|own| find_ignoring_case(&value, &own.to_string()).is_some())
    };
    let is_to_user = ["Delivered-To", "To", "Cc"]
        .into_iter()
        .any(|name| message.values(name).any(names_user));
    is_from_user && !is_to_user
}

/// The header without what the guard put on top when it sent the message on. What came back is what came in, and sent
/// on again it is no loop. Marks of others stay.
pub fn without_marks(header: &[u8], own: &OwnAddresses) -> Vec<u8> {
    let is_mark = |line: &[u8]| {
        Field::read(line).is_some_and(|field| {
            field.is("X-Spoolguard-Seam") || (field.is("X-Loop") && own.is_loop_mark(&field.text()))
        })
    };
    let kept: Vec<&[u8]> = folded_lines(header).filter(|line| !is_mark(line)).collect();
    kept.concat()
}

/// Who sent the message that came back, for its separator line. The sender that our first mail system wrote down
/// counts, else the one in the header. Ours is the one that it was sent on with.
pub fn read_sender(message: &Message<'_>, own: &OwnAddresses) -> Sender {
    let is_own = |text: &str| Address::parse(text).is_some_and(|address| own.contains(&address));
    if let Some(path) = message.values("Return-Path").find(|value| !is_own(value)) {
        return Sender::read(&path);
    }
    match message.first("From").and_then(|from| Address::parse(&from)) {
        Some(address) => Sender::Address(address.to_string()),
        None => Sender::Unknown,
    }
}

/// Where an attached message stands; none where the part holds no header.
fn attached_at(report: &Message<'_>, part: &MimePart<'_>, extent: Completeness) -> Option<ReturnedPlace> {
    let value = |name| part.part.first(name).unwrap_or_default();
    let coding = coding_of(&value("Content-Transfer-Encoding"));
    let mut body = part.part.body();
    if coding == TransferEncoding::Plain {
        body = skip_empty_lines(body);
        Message::new(body).fields().next()?;
    }
    let is_piece = starts_with_ignoring_case(value("Content-Type").trim_start(), "message/partial");
    Some(ReturnedPlace {
        start: offset(report, body)?,
        until: part.delimiter.map(<[u8]>::to_vec),
        coding,
        extent: if is_piece { Completeness::Cut } else { extent },
    })
}

/// How far into the report `piece` of it begins.
fn offset(report: &Message<'_>, piece: &[u8]) -> Option<usize> {
    let start = piece.as_ptr().addr().checked_sub(report.content().as_ptr().addr())?;
    (start <= report.content().len()).then_some(start)
}

fn coding_of(value: &str) -> TransferEncoding {
    match value.trim() {
        v if v.eq_ignore_ascii_case("base64") => TransferEncoding::Base64,
        v if v.eq_ignore_ascii_case("quoted-printable") => TransferEncoding::QuotedPrintable,
        _ => TransferEncoding::Plain,
    }
}

/// Lines behind which a mail system puts the whole message as it is, in lower case. Others put a part of it, or the
/// header alone, and do not say which.
const RULERS: [&[u8]; 3] = [
    b"--- below this line is a copy of the message.",             // qmail
    b"this is a copy of the message, including all the headers",  // Exim
    b"this is a copy of your message, including all the headers", // Exim
];

/// Where a message stands that is copied below a ruler, in a report that is one text.
fn below_ruler(report: &Message<'_>, text: &MimePart<'_>) -> Option<ReturnedPlace> {
    let packed = text.part.first("Content-Transfer-Encoding").unwrap_or_default();
    if text.kind != PartKind::Text || text.delimiter.is_some() || coding_of(&packed) != TransferEncoding::Plain {
        return None;
    }
    let body = report.body();
    let begin = body.get(..TEXT_BYTES).unwrap_or(body).to_ascii_lowercase();
    let ruler = RULERS
        .iter()
        .filter_map(|ruler| memchr::memmem::find(&begin, ruler))
        .min()?;
    let mut rest = behind_line(body.get(ruler..)?);
    let mut extent = Completeness::All;
    // Exim goes on in the same manner where it leaves the rest out, and then there is an empty line.
    while let Some(line) = rest.split(|b| *b == b'\n').next() {
        let line = line.trim_ascii();
        if line.starts_with(b"------") {
            extent = Completeness::Cut;
        } else if !line.is_empty() || rest.is_empty() {
            break;
        }
        rest = behind_line(rest);
    }
    let message = Message::new(rest);
    let usual = |name| message.first(name).is_some();
    if message.fields().take(2).count() < 2 || !(usual("From") || usual("Received") || usual("Date")) {
        return None;
    }
    Some(ReturnedPlace {
        start: offset(report, rest)?,
        until: None,
        coding: TransferEncoding::Plain,
        extent,
    })
}

/// Tells whether the report says in words that it does not bring all: Exim does where its `bounce_return_size_limit` is
/// less.
fn says_cut(outline: &MimeParts<'_>) -> bool {
    outline.all(PartKind::Text).take(4).any(|part| {
        let body = part.body().get(..TEXT_BYTES).unwrap_or(part.body());
        let text: Cow<'_, str> = String::from_utf8_lossy(body);
        let text = text
            .split_ascii_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .to_ascii_lowercase();
        text.contains("only the first") && text.contains("included here")
    })
}

/// A message that came back as nothing but its header: the user does not see it in the mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct LostMessage {
    /// Its Message-ID.
    pub message_id: Option<String>,
    /// Who wrote it.
    pub from: Option<String>,
    /// Its own `Date`.
    pub date: Option<String>,
    /// Where it did not arrive.
    pub destination: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::{
        Completeness, ReturnedMessage, TransferEncoding, is_sent_by_user, lacks_body, read_sender, without_marks,
    };
    use crate::message::Message;
    use crate::message::address::{Address, OwnAddresses};
    use crate::message::envelope::Sender;

    fn own() -> OwnAddresses {
        let mut own = OwnAddresses::new("+");
        own.add(Address::parse("a@a.test").unwrap_or_else(|| unreachable!()));
        own
    }

    /// What is found, and what the report holds from there on.
    fn found(report: &str) -> (ReturnedMessage, String) {
        let message = Message::new(report.as_bytes());
        let original = ReturnedMessage::find(&message);
        let rest = match &original {
            ReturnedMessage::Whole(place) => message.content().get(place.start..).unwrap_or_default(),
            ReturnedMessage::HeaderOnly(_) | ReturnedMessage::None => &[],
        };
        (original.clone(), String::from_utf8_lossy(rest).into_owned())
    }

    const COPY: &str = "Received: x\nFrom: s@s.test\n\nhello\n";

    #[test]
    fn an_attached_message_is_found_with_what_ends_it() {
        let report = |head: &str| {
            format!(
                "From: x\nContent-Type: multipart/report; boundary=\"b b\"\n\n--b b\n\nwords\n--b b\n{head}\n\n{COPY}\n--b b--\n"
            )
        };
        for (head, coding, extent) in [
            (
                "Content-Type: message/rfc822",
                TransferEncoding::Plain,
                Completeness::All,
            ),
            (
                "Content-Type: message/global",
                TransferEncoding::Plain,
                Completeness::All,
            ),
            (
                "Content-Type: message/partial; id=1; number=1",
                TransferEncoding::Plain,
                Completeness::Cut,
            ),
            (
                "Content-Type: message/rfc822\nContent-Transfer-Encoding: BASE64 ",
                TransferEncoding::Base64,
                Completeness::All,
            ),
            (
                "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable",
                TransferEncoding::QuotedPrintable,
                Completeness::All,
            ),
        ] {
            let (ReturnedMessage::Whole(place), rest) = found(&report(head)) else {
                unreachable!("{head}")
            };
            assert_eq!((place.coding, place.extent), (coding, extent), "{head}");
            assert_eq!(place.until.as_deref(), Some(&b"--b b"[..]), "{head}");
            assert!(rest.starts_with(COPY), "{head}: {rest}");
        }
        let crlf = report("Content-Type: message/rfc822").replace('\n', "\r\n");
        assert!(found(&crlf).1.starts_with("Received: x\r\n"));
        // Under another name.
        assert!(found(&report("Content-Type: text/rfc822-headers")).1.starts_with(COPY));
        // The header alone.
        let report = |head: &str| report(head).replace("\n\nhello\n", "\n");
        for head in [
            "Content-Type: text/rfc822-headers",
            "Content-Type: message/rfc822-headers",
        ] {
            let (ReturnedMessage::HeaderOnly(lost), _) = found(&report(head)) else {
                unreachable!("{head}")
            };
            assert_eq!(lost.from.as_deref(), Some("s@s.test"), "{head}");
        }
        // Nothing at all.
        assert_eq!(found("From: x\n\nIt failed.\n").0, ReturnedMessage::None);
        assert_eq!(
            found(
                "From: x\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n\n--b--\n"
            )
            .0,
            ReturnedMessage::None
        );
    }

    #[test]
    fn a_copy_below_a_ruler_is_found_where_it_is_whole() {
        let qmail = format!(
            "From: x\n\nHi. This is the qmail-send program at b.test.\n\n--- Below this line is a copy of the message.\n\n{COPY}"
        );
        let exim = "------ This is a copy of the message, including all the headers. ------\n";
        let cut = "------ The body of the message is 200000 characters long; only the first\n------ 106496 or so are included here.\n";
        for (report, extent) in [
            (qmail.clone(), Completeness::All),
            (format!("From: x\n\nIt failed.\n\n{exim}\n{COPY}"), Completeness::All),
            (
                format!("From: x\n\nIt failed.\n\n{exim}{cut}\n{COPY}"),
                Completeness::Cut,
            ),
            (
                format!(
                    "From: x\n\nIt failed.\n\n{}\n{COPY}",
                    exim.replace("the message", "your message")
                ),
                Completeness::All,
            ),
        ] {
            let (ReturnedMessage::Whole(place), rest) = found(&report) else {
                unreachable!("{report}")
            };
            assert_eq!(
                (rest.as_str(), place.extent, place.until),
                (COPY, extent, None),
                "{report}"
            );
        }
        let header = format!("From: x\n\n------ This is a copy of the message's headers. ------\n\nDate: y\n{COPY}");
        assert!(matches!(found(&header).0, ReturnedMessage::HeaderOnly(_)), "{header}");
        // Words below a ruler are no message.
        let words = qmail.replace(COPY, "It is not here.\n");
        assert_eq!(found(&words).0, ReturnedMessage::None);
        let packed = qmail.replacen("From: x\n", "From: x\nContent-Transfer-Encoding: base64\n", 1);
        assert!(!matches!(found(&packed).0, ReturnedMessage::Whole(_)));
    }

    #[test]
    fn our_own_marks_go_and_others_stay() {
        let header = b"Received: x\nX-Loop: b@b.test\nX-Loop:\n a@a.test\nx-loop: A@A.TEST\nX-Spoolguard-Seam: y\nFrom: s@s.test\n more\n";
        assert_eq!(
            String::from_utf8_lossy(&without_marks(header, &own())),
            "Received: x\nX-Loop: b@b.test\nFrom: s@s.test\n more\n"
        );
        assert_eq!(without_marks(b"", &own()), b"");
    }

    #[test]
    fn the_sender_is_the_one_it_came_with() {
        let address = |text: &str| Sender::Address(text.to_owned());
        for (header, want) in [
            ("Return-Path: <r@s.test>\nFrom: s@s.test\n", address("r@s.test")),
            (
                "Return-Path: <a+fwd=x@a.test>\nReturn-Path: <r@s.test>\n",
                address("r@s.test"),
            ),
            ("Return-Path: <a@a.test>\nFrom: Sam <s@s.test>\n", address("s@s.test")),
            ("Return-Path: <>\nFrom: s@s.test\n", Sender::Null),
            ("Subject: x\n", Sender::Unknown),
        ] {
            assert_eq!(read_sender(&Message::new(header.as_bytes()), &own()), want, "{header}");
        }
    }

    #[test]
    fn what_the_user_wrote_to_others_is_told_from_mail_for_the_user() {
        for (header, want) in [
            ("From: A <a@a.test>\nTo: c@c.test\n", true),
            ("From: s@s.test\nTo: c@c.test\n", false),
            ("From: a@a.test\nTo: c@c.test, \"me\" <A@a.test>\n", false),
            ("From: a@a.test\nDelivered-To: a@a.test\n", false),
            ("To: c@c.test\n", false),
        ] {
            assert_eq!(
                is_sent_by_user(&Message::new(header.as_bytes()), &own()),
                want,
                "{header}"
            );
        }
    }

    #[test]
    fn a_body_that_should_be_there_is_missed() {
        for (message, want) in [
            ("Subject: x\n\n", false),
            ("Subject: x\n\n\n", false),
            ("Content-Type: multipart/mixed; boundary=b\n\n", true),
            ("Content-Type: multipart/mixed; boundary=b\n\n--b--\n", false),
            ("Content-Transfer-Encoding: base64\n\n", true),
            ("Content-Length: 77\n\n", true),
            ("Content-Length: 0\n\n", false),
            ("Lines: 9\n", true),
        ] {
            assert_eq!(lacks_body(&Message::new(message.as_bytes())), want, "{message}");
        }
    }
}
