//! The mbox form of one message: a separator line, our own fields, the message without the state of other mailboxes,
//! quoted, and an empty line. `mailbox/append.rs` puts it into a mailbox.

use std::io::{self, BufWriter, Read, Write};

use time::OffsetDateTime;

use crate::mailbox::measure::{AppendExtent, Measure};
use crate::mailbox::quoting::{self, LineQuoting, STEP_BYTES};
use crate::mailbox::submissions::SubmissionKey;
use crate::sys::local_time;

/// Up to this length a message is put into mbox form once, in memory, in bytes. Beyond it memory would grow with the
/// message.
const DRAFT_BYTES: usize = 64 << 10;

/// Fields that say in which state a message lies in *another* mailbox. Readers believe them, so they never come in by
/// mail.
pub const STATE_FIELDS: [&str; 9] = [
    "Content-Length",
    "Status",
    "X-Status",
    "X-UID",
    "X-UIDL",
    "X-IMAP",
    "X-IMAPbase",
    "X-Keywords",
    "X-Maildir-Flags",
];

/// What is appended.
#[derive(Clone, Debug)]
pub struct MboxEntry<'a, R> {
    /// The envelope sender, for the separator line.
    pub sender: &'a str,
    /// When it was delivered.
    pub date: OffsetDateTime,
    /// Our own header fields, complete lines.
    pub added: &'a [u8],
    /// The message, without a separator line.
    pub content: R,
    /// How to quote.
    pub quoting: LineQuoting,
    /// Which submission it is, where its MTA says so.
    pub submission: Option<SubmissionKey>,
}

/// Writes one message in mbox form: separator line, our fields, the message quoted and ended by one empty line. Fails
/// when reading or writing fails; then a part may have been written.
pub fn write_letter<R: Read, W: Write>(to: &mut W, letter: MboxEntry<'_, R>) -> io::Result<()> {
    // Room for the longest piece and the separator line before it: a lone separator line must not reach the disk.
    let mut to = BufWriter::with_capacity(3 * STEP_BYTES, to);
    write_through(&mut to, letter)?;
    to.flush()
}

/// The same without a buffer.
fn write_through<R: Read, W: Write>(to: &mut W, letter: MboxEntry<'_, R>) -> io::Result<()> {
    writeln!(to, "{}{}", separator_start(letter.sender), ctime_text(letter.date))?;
    write_rest(to, letter)
}

/// Writes what stands behind the separator line. Fails when reading or writing fails; then a part may have been
/// written.
pub(crate) fn write_rest<R: Read, W: Write>(to: &mut W, letter: MboxEntry<'_, R>) -> io::Result<()> {
    to.write_all(letter.added)?;
    let last = quoting::copy_quoted(letter.content, to, &STATE_FIELDS, letter.quoting)?;
    let end: &[u8] = if last.is_none_or(|last| last == b'\n') {
        b"\n"
    } else {
        b"\n\n"
    };
    to.write_all(end)
}

/// The separator line up to its date.
pub(crate) fn separator_start(sender: &str) -> String {
    format!("From {} ", separator_sender(sender))
}

/// How many bytes a message grows by in an mbox, apart from quoting: its separator line and the empty line behind it.
pub fn frame_bytes(sender: &str) -> u64 {
    "From  \n\n".len() as u64 + separator_sender(sender).len() as u64 + ASCTIME_BYTES
}

/// The sender as the separator line needs it: one word. The null sender is written `MAILER-DAEMON` (RFC 4155, appendix
/// A).
fn separator_sender(sender: &str) -> String {
    let word: String = sender
        .chars()
        .map(|c| if c.is_whitespace() || c.is_control() { '-' } else { c })
        .collect();
    if word.is_empty() {
        "MAILER-DAEMON".to_owned()
    } else {
        word
    }
}

/// What asctime(3) takes.
const ASCTIME_BYTES: u64 = 24;

/// The 24 characters of ctime(3): the local time, as every other program on the host writes and reads them. RFC 4155
/// asks for UTC; nobody does that, and IMAP servers would show a time of arrival that is hours off.
pub fn ctime_text(date: OffsetDateTime) -> String {
    asctime(local_time::to_local(date))
}

/// The 24 characters of asctime(3).
fn asctime(date: OffsetDateTime) -> String {
    let (weekday, month) = (date.weekday().to_string(), date.month().to_string());
    format!(
        "{weekday:.3} {month:.3} {:2} {:02}:{:02}:{:02} {:04}",
        date.day(),
        date.hour(),
        date.minute(),
        date.second(),
        date.year()
    )
}

/// A message in mbox form, measured before any of it is in the mailbox. A large one is not kept: it is written a second
/// time.
#[derive(Debug)]
pub struct EntryDraft {
    measure: Measure,
    text: Option<Vec<u8>>,
}

impl EntryDraft {
    /// Puts `letter` into mbox form.
    pub fn of<R: Read>(letter: MboxEntry<'_, R>) -> io::Result<Self> {
        let mut draft = Self {
            measure: Measure::default(),
            text: Some(Vec::new()),
        };
        write_through(&mut draft, letter)?;
        Ok(draft)
    }

    /// All of it, if it is small enough.
    pub fn text(&self) -> Option<&[u8]> {
        self.text.as_deref()
    }

    /// Where it will lie behind `before_bytes`, with `ends` written first.
    pub fn extent(&self, before_bytes: u64, ends: &[u8]) -> AppendExtent {
        self.measure.extent(before_bytes, ends)
    }
}

impl Write for EntryDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(text) = self
            .text
            .as_mut()
            .filter(|text| text.len() + bytes.len() <= DRAFT_BYTES)
        {
            text.extend_from_slice(bytes);
        } else {
            self.text = None;
        }
        self.measure.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MboxEntry, asctime, write_letter};
    use crate::mailbox::quoting::{LineQuoting, STEP_BYTES};
    use std::io::Read;
    use time::OffsetDateTime;

    fn written(message: &[u8], quoting: LineQuoting) -> Vec<u8> {
        let mut out = Vec::new();
        let letter = MboxEntry {
            sender: "s@s.test",
            date: OffsetDateTime::UNIX_EPOCH,
            added: b"",
            content: message,
            quoting,
            submission: None,
        };
        write_letter(&mut out, letter).unwrap_or_else(|e| unreachable!("{e}"));
        out
    }

    #[test]
    fn the_separator_line_has_the_date_of_asctime() {
        assert_eq!(asctime(OffsetDateTime::UNIX_EPOCH), "Thu Jan  1 00:00:00 1970");
    }

    #[test]
    fn what_is_written_is_the_message_and_nothing_but_quotes() {
        const LINE: &[u8] = b"From s@s.test Thu Jan  1 00:00:00 1970\n";
        let cases: [(&[u8], LineQuoting, &[u8]); 14] = [
            (b"", LineQuoting::Mboxrd, b"\n"),
            (b"A: 1\n\nb\n", LineQuoting::Mboxrd, b"A: 1\n\nb\n\n"),
            (b"A: 1\n\nb", LineQuoting::Mboxrd, b"A: 1\n\nb\n\n"),
            (b"A: 1\r\n\r\nb\r\n", LineQuoting::Mboxrd, b"A: 1\r\n\r\nb\r\n\n"),
            (b"A: 1\n\nFrom x\n", LineQuoting::Mboxrd, b"A: 1\n\n>From x\n\n"),
            (
                b"A: 1\n\n>From x\n>>From\n",
                LineQuoting::Mboxrd,
                b"A: 1\n\n>>From x\n>>From\n\n",
            ),
            (
                b"A: 1\n\n>From x\nFrom y",
                LineQuoting::Mboxo,
                b"A: 1\n\n>From x\n>From y\n\n",
            ),
            (b"A: 1\n\nx From y\n", LineQuoting::Mboxrd, b"A: 1\n\nx From y\n\n"),
            (
                b"From here on\nno header\n",
                LineQuoting::Mboxrd,
                b">From here on\nno header\n\n",
            ),
            (
                b"A: 1\nStatus: RO\nX-UID: 3\n more\nB: 2\n\nStatus: 1\n",
                LineQuoting::Mboxrd,
                b"A: 1\nB: 2\n\nStatus: 1\n\n",
            ),
            (b"content-length : 9\n\n", LineQuoting::Mboxrd, b"\n\n"),
            (b"A: 1\n\na\0b\rc\n", LineQuoting::Mboxrd, b"A: 1\n\na\0b\rc\n\n"),
            (b"\nFrom x\n", LineQuoting::Mboxrd, b"\n>From x\n\n"),
            (
                b"A: 1\r\n\r\nFrom x\r\n",
                LineQuoting::Mboxrd,
                b"A: 1\r\n\r\n>From x\r\n\n",
            ),
        ];
        for (message, quoting, want) in cases {
            let want = [LINE, want].concat();
            assert_eq!(
                String::from_utf8_lossy(&written(message, quoting)),
                String::from_utf8_lossy(&want),
                "{:?}",
                String::from_utf8_lossy(message)
            );
        }
    }

    #[test]
    fn a_separator_is_found_wherever_a_step_ends() {
        for length in (STEP_BYTES - 8..STEP_BYTES + 8).chain(2 * STEP_BYTES - 8..2 * STEP_BYTES + 8) {
            for line_end in [true, false] {
                let mut message = b"A: 1\n\n".to_vec();
                message.resize(length, b'x');
                if line_end {
                    message.push(b'\n');
                }
                message.extend_from_slice(b"From x\n>From y\n");
                let out = written(&message, LineQuoting::Mboxrd);
                let quoted: &[u8] = if line_end {
                    b"\n>From x\n>>From y\n\n"
                } else {
                    b"xFrom x\n>>From y\n\n"
                };
                assert!(out.ends_with(quoted), "length {length}");
            }
        }
    }

    #[test]
    fn a_slow_reader_changes_nothing() {
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let length = buffer.len().min(1);
                self.0.read(buffer.get_mut(..length).unwrap_or_default())
            }
        }
        let message = b"A: 1\nStatus: O\n\n>From x\nFrom y\nz";
        let mut out = Vec::new();
        let letter = MboxEntry {
            sender: "s@s.test",
            date: OffsetDateTime::UNIX_EPOCH,
            added: b"",
            content: Slow(message),
            quoting: LineQuoting::Mboxrd,
            submission: None,
        };
        write_letter(&mut out, letter).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(out, written(message, LineQuoting::Mboxrd));
    }
}
