//! Where a message of an mbox begins: the line `From sender date` (RFC 4155, mbox(5)). The one rule for all who read a
//! mailbox.
//!
//! Every program writes that line a little differently, prose begins with the same word, and few programs quote it in
//! what they store. So a line is judged by three things: what stands above it, its own form, and what follows. A line
//! after an empty line, or at the start of the file, is
//!
//! | form of the line | a whole header follows | two fields | one field | nothing | text |
//! |---|---|---|---|---|---|
//! | exact: ends in the date of asctime(3), with or without a zone | separator | separator | separator | separator | separator |
//! | dated: an address, and a date of any other form | separator | separator | doubtful | doubtful | text |
//! | named: an address or one word, and no date that we know | separator | doubtful | doubtful | text | text |
//! | bare: nothing at all, as Thunderbird has written it | separator | doubtful | doubtful | text | text |
//! | any other words, or none, and a date | separator | doubtful | text | text | text |
//! | any other words | doubtful | text | text | text | text |
//! | git's: a commit and `Mon Sep 17 00:00:00 2001` | text | text | text | text | text |
//!
//! An exact line separates whatever follows, because every other program splits there, and whoever stores mail quotes
//! it. A whole header names its writer and has a field that programs add (`Date`, `Message-ID`, `Received`), as RFC
//! 5322 section 3.6 demands; a mail that somebody pasted into a text rarely has both below such a line. In a file that
//! begins with git's line, every such line is exact (git-format-patch(1)).
//!
//! Below the header of a MIME part, and below the ruler of a forwarded message, everything but an exact line is
//! doubtful at best. Without an empty line above it, an exact line with a whole header is doubtful, and everything else
//! is text.
//!
//! Doubtful means: no message is split there, and nobody takes the message around it out of a mailbox. Both mistakes
//! keep mail where it is: to split nothing, and to take nothing.

use crate::message::date::{DateWord, asctime_tail, split_words};
use crate::message::line::{field_name, line_length, skip_empty_lines, without_line_end};

/// The longest separator line that is recognised, in bytes.
pub const LINE_BYTES: usize = 1024;

/// How much of what follows is looked at, the line itself included, in bytes.
pub const LOOK_BYTES: usize = 8 * 1024;

/// How much of what stands above is looked at, in bytes.
pub const ABOVE_BYTES: usize = 256;

/// The date that git-format-patch(1) puts into each line, whenever the commit was made.
const GIT_DATE: [&[u8]; 5] = [b"Mon", b"Sep", b"17", b"00:00:00", b"2001"];

/// How the date of asctime(3) begins, up to its year.
const YEARLESS: [Option<DateWord>; 4] = [
    Some(DateWord::Weekday),
    Some(DateWord::Month),
    Some(DateWord::Day),
    Some(DateWord::Time),
];

/// What a line that begins with `From ` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum LineKind {
    /// A message begins here.
    Separator,
    /// One may begin here: nothing is split, and nothing around it is taken away.
    Doubtful,
    /// It belongs to the message around it.
    Text,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Series {
    /// Mail.
    #[default]
    Mail,
    /// Patches, as git-format-patch(1) writes them.
    Patches,
}

impl Series {
    /// Tells what a file holds that begins with `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        match FromLineForm::of(first_line(bytes)) {
            Some(FromLineForm::Patch) => Self::Patches,
            Some(_) | None => Self::Mail,
        }
    }
}

/// A line that may separate messages, and what is around it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The last `ABOVE_BYTES` above it; nothing at the start of the file.
    pub above: &'a [u8],
    /// The line and what follows, `LOOK_BYTES` of it where there are as many.
    pub bytes: &'a [u8],
    /// What the file holds.
    pub series: Series,
}

/// Judges a line that may separate messages.
pub fn classify_line(candidate: &Candidate<'_>) -> LineKind {
    let bytes = candidate.bytes.get(..LOOK_BYTES).unwrap_or(candidate.bytes);
    let line = first_line(bytes);
    let Some(form) = FromLineForm::of(line) else {
        return LineKind::Text;
    };
    let follows = || Following::of(bytes.get(line_length(bytes)..).unwrap_or_default());
    if !ends_empty(candidate.above) {
        let is_likely = form == FromLineForm::Exact && follows() == Following::Header;
        return if is_likely { LineKind::Doubtful } else { LineKind::Text };
    }
    let kind = match form {
        FromLineForm::Exact => return LineKind::Separator,
        FromLineForm::Patch if candidate.series == Series::Patches => return LineKind::Separator,
        FromLineForm::Patch => return LineKind::Text,
        FromLineForm::Dated => match follows() {
            Following::Header | Following::Fields => LineKind::Separator,
            Following::Field | Following::Nothing => LineKind::Doubtful,
            Following::Text => LineKind::Text,
        },
        FromLineForm::Named | FromLineForm::Bare => match follows() {
            Following::Header => LineKind::Separator,
            Following::Fields | Following::Field => LineKind::Doubtful,
            Following::Nothing | Following::Text => LineKind::Text,
        },
        FromLineForm::DatedProse => match follows() {
            Following::Header => LineKind::Separator,
            Following::Fields => LineKind::Doubtful,
            Following::Field | Following::Nothing | Following::Text => LineKind::Text,
        },
        FromLineForm::Prose => match follows() {
            Following::Header => LineKind::Doubtful,
            Following::Fields | Following::Field | Following::Nothing | Following::Text => LineKind::Text,
        },
    };
    match kind {
        LineKind::Separator if introduces_a_quote(candidate.above) => LineKind::Doubtful,
        LineKind::Separator | LineKind::Doubtful | LineKind::Text => kind,
    }
}

/// Tells whether an mbox begins with `bytes`: a separator line, which a byte order mark or empty lines may precede.
/// Where nothing follows them, it is one without messages.
pub fn begins_mbox(bytes: &[u8]) -> bool {
    let bytes = without_preamble(bytes);
    if bytes.is_empty() {
        return true;
    }
    let start = Candidate {
        above: b"",
        bytes,
        series: Series::of(bytes),
    };
    classify_line(&start) == LineKind::Separator
}

/// Tells whether a message may begin at `at`, where one was torn: in the middle of a line an exact line does, unless it
/// was quoted, at its start any line that may separate messages.
pub fn begins_anywhere(bytes: &[u8], at: usize) -> bool {
    let rest = bytes.get(at..).unwrap_or_default();
    let above = bytes.get(..at).unwrap_or_default();
    if !above.is_empty() && !above.ends_with(b"\n") {
        // A message that was torn behind a quote mark would go on with a header; what was quoted in one mostly goes on
        // with text.
        let marks = above.iter().rev().take_while(|b| **b == b'>').count();
        let before = above.get(..above.len() - marks).unwrap_or_default();
        let is_quoted = marks > 0
            && (before.is_empty() || before.ends_with(b"\n"))
            && Following::of(rest.get(line_length(rest)..).unwrap_or_default()) == Following::Text;
        return !is_quoted && FromLineForm::of(first_line(rest)) == Some(FromLineForm::Exact);
    }
    let start = Candidate {
        above: b"",
        bytes: rest,
        series: Series::Mail,
    };
    classify_line(&start) != LineKind::Text
}

/// What some editors write at the start of a file (RFC 3629 section 6).
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What is left behind a byte order mark and empty lines: editors write the one, broken copies have the others.
pub fn without_preamble(bytes: &[u8]) -> &[u8] {
    skip_empty_lines(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes))
}

/// How many bytes the separator lines take at the start of one message: `From ` of any form, or the `>From ` that some
/// callers make of it. What is no exact line counts only right above a header.
pub fn leading_length(bytes: &[u8]) -> usize {
    let unquoted = |line| <[u8]>::strip_prefix(line, b">").unwrap_or(line);
    let mut length = 0;
    while let Some(rest) = bytes.get(length..) {
        let line = line_length(rest);
        let Some(form) = FromLineForm::of(unquoted(first_line(rest))) else {
            break;
        };
        let next = first_line(rest.get(line..).unwrap_or_default());
        let leads = match form {
            FromLineForm::Exact | FromLineForm::Patch => true,
            FromLineForm::Dated if next.is_empty() => true,
            FromLineForm::Dated
            | FromLineForm::Named
            | FromLineForm::Bare
            | FromLineForm::DatedProse
            | FromLineForm::Prose => unquoted(next).starts_with(b"From ") || field_name(next).is_some(),
        };
        if !leads {
            break;
        }
        length += line;
    }
    length
}

/// The form of a line that begins with `From `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FromLineForm {
    Exact,
    Patch,
    Dated,
    Named,
    Bare,
    DatedProse,
    Prose,
}

impl FromLineForm {
    fn of(line: &[u8]) -> Option<Self> {
        if asctime_tail(line).is_some() {
            return Some(Self::Exact);
        }
        let mut words: Vec<&[u8]> = split_words(line.strip_prefix(b"From ")?).collect();
        // UUCP says behind the date where a message came from.
        if let [.., b"remote", b"from", _] = words.as_slice() {
            words.truncate(words.len() - 3);
        }
        let kinds: Vec<_> = words.iter().map(|word| DateWord::of(word)).collect();
        let trailing = kinds.iter().rev().take_while(|kind| kind.is_some()).count();
        let date = kinds.get(words.len() - trailing..).unwrap_or_default();
        if let [commit, date @ ..] = words.as_slice()
            && matches!(commit.len(), 40 | 64)
            && commit.iter().all(u8::is_ascii_hexdigit)
            && date == GIT_DATE
        {
            return Some(Self::Patch);
        }
        let has = |kinds: &[Option<DateWord>], wanted| kinds.contains(&Some(wanted));
        let at = |wanted| date.iter().position(|kind| *kind == Some(wanted));
        // In this order: RFC 5322 has the year before the time.
        if let (Some(month), Some(time)) = (at(DateWord::Month), at(DateWord::Time))
            && month < time
            && has(date.get(time..).unwrap_or_default(), DateWord::Year)
        {
            return Some(Self::Exact);
        }
        // Some leave the year out, or write two digits of it.
        let is_yearless = date.starts_with(&YEARLESS);
        let dated = is_yearless
            || has(&kinds, DateWord::Numeric)
            || has(&kinds, DateWord::Year) && (has(&kinds, DateWord::Time) || has(&kinds, DateWord::Month));
        let is_named = kinds.len() > trailing && words.first().is_some_and(|word| is_address(word));
        Some(match words.as_slice() {
            [] => Self::Bare,
            _ if dated && is_named => Self::Dated,
            _ if dated => Self::DatedProse,
            [_] => Self::Named,
            _ if is_named => Self::Named,
            _ => Self::Prose,
        })
    }
}

/// An address as programs write it into such a line: with a domain, as a path of UUCP, or in their own words for
/// "nobody".
fn is_address(word: &[u8]) -> bool {
    word == b"-" || word.starts_with(b"\"") || word.iter().any(|b| matches!(b, b'@' | b'!')) || is_daemon(word)
}

fn is_daemon(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"mailer-daemon")
}

/// What follows a line that may separate messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Following {
    /// A header that names its writer and has a field that programs add.
    Header,
    /// Two fields of mail, one of which names a writer.
    Fields,
    /// A field of mail.
    Field,
    /// An empty line, or the end.
    Nothing,
    /// Anything else.
    Text,
}

/// Fields that name the writer, or the way.
const WRITERS: [&[u8]; 5] = [b"from", b"sender", b"resent-from", b"return-path", b"received"];

/// Fields that programs add, and few people paste.
#[rustfmt::skip]
const PROGRAMS: [&[u8]; 16] = [
    b"received", b"return-path", b"date", b"message-id", b"mime-version", b"delivered-to", b"x-original-to",
    b"envelope-to", b"status", b"x-status", b"x-uid", b"x-uidl", b"x-keywords", b"x-mozilla-status",
    b"x-account-key", b"dkim-signature",
];

/// Fields that every mail has, beside those.
#[rustfmt::skip]
const OTHERS: [&[u8]; 8] = [
    b"to", b"cc", b"subject", b"reply-to", b"content-type", b"in-reply-to", b"references", b"resent-to",
];

impl Following {
    fn of(bytes: &[u8]) -> Self {
        let (mut writers, mut programs, mut known) = (0, 0, Vec::new());
        let mut rest = bytes;
        let (mut begun, mut is_text) = (false, false);
        while !rest.is_empty() {
            let (whole, behind) = rest.split_at(line_length(rest));
            rest = behind;
            let line = without_line_end(whole);
            if line.is_empty() {
                break;
            }
            let continues = begun && matches!(line.first(), Some(b' ' | b'\t'));
            if continues || line.starts_with(b">From ") {
                continue;
            }
            begun = true;
            let Some(name) = field_name(line) else {
                // A line that the look cuts off may be the beginning of a field.
                is_text = whole.ends_with(b"\n") || known.is_empty();
                break;
            };
            let name = name.to_ascii_lowercase();
            if known.contains(&name) {
                continue;
            }
            let is_writer = WRITERS.contains(&name.as_slice());
            let is_programs = PROGRAMS.contains(&name.as_slice());
            writers += usize::from(is_writer);
            programs += usize::from(is_programs);
            if is_writer || is_programs || OTHERS.contains(&name.as_slice()) {
                known.push(name);
            }
        }
        match known.len() {
            3.. if !is_text && writers > 0 && programs > 0 => Self::Header,
            2.. if !is_text && writers > 0 => Self::Fields,
            1.. => Self::Field,
            0 if begun => Self::Text,
            0 => Self::Nothing,
        }
    }
}

/// Tells whether `above` ends in an empty line, or is the start of the file.
fn ends_empty(above: &[u8]) -> bool {
    let Some(line) = above.strip_suffix(b"\n") else {
        return above.is_empty();
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.is_empty() || line.ends_with(b"\n")
}

/// Tells whether the last words above announce a message inside this one: the header of a MIME part, or a mail
/// program's ruler.
fn introduces_a_quote(above: &[u8]) -> bool {
    #[rustfmt::skip]
    const RULERS: [&[u8]; 8] = [
        b"forward", b"original", b"weitergeleit", b"transf", b"reenviad", b"inoltrat", b"doorgestuurd",
        b"vidarebe",
    ];
    let above = above.trim_ascii_end();
    let start = memchr::memrchr(b'\n', above).map_or(0, |at| at + 1);
    let line = above.get(start..).unwrap_or_default().to_ascii_lowercase();
    if line.starts_with(b"content-") && field_name(&line).is_some() {
        return true;
    }
    let is_ruler =
        line.starts_with(b"---") || line.starts_with(b"***") || line.starts_with(b"===") || line.ends_with(b":");
    is_ruler && RULERS.iter().any(|words| memchr::memmem::find(&line, words).is_some())
}

fn first_line(bytes: &[u8]) -> &[u8] {
    let line = bytes.get(..bytes.len().min(LINE_BYTES)).unwrap_or_default();
    without_line_end(line.get(..line_length(line)).unwrap_or_default())
}

#[cfg(test)]
mod tests;
