//! Decodes a message out of the report around it, piece by piece: memory does not grow with the message. A damaged
//! message comes out as far as it can be read.

use std::io::{self, Read, Write};

use memchr::memchr;

use crate::report::returned_message::TransferEncoding;

/// How much is read in one step, in bytes. A delimiter line is shorter (RFC 2046 section 5.1.1: 70 characters).
const STEP_BYTES: usize = 64 << 10;

/// How it came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum DecodeEnd {
    AtDelimiter,
    /// With the report: where a delimiter should follow, something is cut off.
    WithReport,
}

/// Copies what is packed in `from` to `to`, up to a line that begins with `until`. Line ends of what was unpacked
/// become those of this host. Fails when reading or writing fails; then a part may have been written.
pub fn extract_message<R: Read, W: Write>(
    mut from: R,
    until: Option<&[u8]>,
    coding: TransferEncoding,
    to: &mut W,
) -> io::Result<DecodeEnd> {
    let mut unpacker = TransferDecoder::new(coding);
    let mut carry = Vec::with_capacity(2 * STEP_BYTES);
    let mut out = Vec::with_capacity(2 * STEP_BYTES);
    // The line end before a delimiter belongs to the delimiter (RFC 2046 section 5.1.1).
    let mut held_back: &[u8] = b"";
    let mut in_line = false;
    loop {
        let read = read_more(&mut from, &mut carry)?;
        let mut rest = carry.as_slice();
        while let Some(line) = next_line(rest, read) {
            if !in_line && until.is_some_and(|until| is_delimiter(line, until)) {
                unpacker.finish(&mut out);
                to.write_all(&out)?;
                return Ok(DecodeEnd::AtDelimiter);
            }
            unpacker.take(held_back, &mut out);
            let end = line_end(line);
            held_back = end;
            in_line = end.is_empty();
            unpacker.take(line.get(..line.len() - end.len()).unwrap_or_default(), &mut out);
            rest = rest.get(line.len()..).unwrap_or_default();
        }
        let left = rest.len();
        carry.drain(..carry.len() - left);
        if out.len() >= STEP_BYTES {
            to.write_all(&out)?;
            out.clear();
        }
        if read == 0 {
            unpacker.take(held_back, &mut out);
            unpacker.finish(&mut out);
            to.write_all(&out)?;
            return Ok(DecodeEnd::WithReport);
        }
    }
}

/// Reads the next bytes behind `carry`; 0 is the end.
fn read_more(from: &mut impl Read, carry: &mut Vec<u8>) -> io::Result<usize> {
    let before = carry.len();
    carry.resize(before + STEP_BYTES, 0);
    let read = loop {
        match from.read(carry.get_mut(before..).unwrap_or_default()) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    carry.truncate(before + read);
    Ok(read)
}

/// The first line of what was read; `read` is how much the last read brought.
fn next_line(rest: &[u8], read: usize) -> Option<&[u8]> {
    match memchr(b'\n', rest) {
        Some(end) => rest.get(..=end),
        // A line of which more is to come, unless it is longer than any delimiter.
        None if read > 0 && rest.len() < STEP_BYTES => None,
        None => Some(rest).filter(|rest| !rest.is_empty()),
    }
}

fn line_end(line: &[u8]) -> &'static [u8] {
    if line.ends_with(b"\r\n") {
        b"\r\n"
    } else if line.ends_with(b"\n") {
        b"\n"
    } else {
        b""
    }
}

/// A longer boundary may begin with this one.
fn is_delimiter(line: &[u8], until: &[u8]) -> bool {
    line.strip_prefix(until)
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'\r' | b'\n' | b' ' | b'\t' | b'-')))
}

/// Takes bytes in pieces of any size, and gives what they stand for.
enum TransferDecoder {
    Plain,
    Base64 {
        bits: u32,
        count: u32,
        lines: LineEndWriter,
    },
    QuotedPrintable {
        /// An `=` and what came behind it.
        escape: Vec<u8>,
        lines: LineEndWriter,
    },
}

impl TransferDecoder {
    fn new(coding: TransferEncoding) -> Self {
        let lines = LineEndWriter { carriage_return: false };
        match coding {
            TransferEncoding::Plain => Self::Plain,
            TransferEncoding::Base64 => Self::Base64 {
                bits: 0,
                count: 0,
                lines,
            },
            TransferEncoding::QuotedPrintable => Self::QuotedPrintable {
                escape: Vec::new(),
                lines,
            },
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Plain => out.extend_from_slice(bytes),
            Self::Base64 { bits, count, lines } => {
                for byte in bytes {
                    let Some(value) = base64_value(*byte) else {
                        if *byte == b'=' {
                            // The end of one piece; what follows, if anything, begins anew.
                            (*bits, *count) = (0, 0);
                        }
                        continue;
                    };
                    *bits = (*bits << 6 | value) & 0xffff;
                    *count += 6;
                    if *count >= 8 {
                        *count -= 8;
                        lines.push(u8::try_from(*bits >> *count & 0xff).unwrap_or_default(), out);
                    }
                }
            }
            Self::QuotedPrintable { escape, lines } => {
                for byte in bytes {
                    quoted_printable(*byte, escape, lines, out);
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Plain => {}
            Self::Base64 { lines, .. } => lines.finish(out),
            Self::QuotedPrintable { escape, lines } => {
                let escape = std::mem::take(escape);
                // A line end that was packed away may be the one that belongs to the delimiter.
                let is_line_end = escape.iter().skip(1).all(|b| b.is_ascii_whitespace());
                for byte in escape.into_iter().filter(|_| !is_line_end) {
                    lines.push(byte, out);
                }
                lines.finish(out);
            }
        }
    }
}

fn base64_value(byte: u8) -> Option<u32> {
    Some(match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

fn quoted_printable(byte: u8, escape: &mut Vec<u8>, lines: &mut LineEndWriter, out: &mut Vec<u8>) {
    if escape.is_empty() {
        if byte == b'=' {
            escape.push(byte);
        } else {
            lines.push(byte, out);
        }
        return;
    }
    let hex = |byte: &u8| char::from(*byte).to_digit(16);
    match (escape.as_slice(), byte) {
        // A line end that the packing alone put there; blanks before it were added on the way.
        (_, b'\n') => escape.clear(),
        (_, b'\r' | b' ' | b'\t') if escape.iter().skip(1).all(|b| b.is_ascii_whitespace()) => escape.push(byte),
        (b"=", _) if byte.is_ascii_hexdigit() => escape.push(byte),
        ([b'=', first], _) if byte.is_ascii_hexdigit() && first.is_ascii_hexdigit() => {
            let value = hex(first).zip(hex(&byte)).map_or(0, |(high, low)| high << 4 | low);
            escape.clear();
            lines.push(u8::try_from(value).unwrap_or_default(), out);
        }
        // No escape at all: it stands for itself.
        _ => {
            for byte in std::mem::take(escape).into_iter().chain([byte]) {
                lines.push(byte, out);
            }
        }
    }
}

/// Makes LF of CRLF: packed messages have the line ends of the network, and mailboxes those of this host.
struct LineEndWriter {
    carriage_return: bool,
}

impl LineEndWriter {
    fn push(&mut self, byte: u8, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.carriage_return) && byte != b'\n' {
            out.push(b'\r');
        }
        if byte == b'\r' {
            self.carriage_return = true;
        } else {
            out.push(byte);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.carriage_return) {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DecodeEnd, STEP_BYTES, TransferEncoding, extract_message};
    use std::io::Read;

    /// Hands out as many bytes at a time as is said.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = buffer.len().min(self.1);
            self.0.read(buffer.get_mut(..length).unwrap_or_default())
        }
    }

    #[track_caller]
    fn check(input: &[u8], until: Option<&str>, coding: TransferEncoding, want: &[u8], ended: DecodeEnd) {
        // A long line in small steps would only take long.
        let steps = [1, 3, 7, STEP_BYTES - 3, STEP_BYTES];
        for step in steps.into_iter().filter(|step| step * 100 > input.len()) {
            let mut out = Vec::new();
            let end = extract_message(Slow(input, step), until.map(str::as_bytes), coding, &mut out);
            assert_eq!(
                (String::from_utf8_lossy(&out), end.ok()),
                (String::from_utf8_lossy(want), Some(ended)),
                "{:?} in steps of {step}",
                String::from_utf8_lossy(input)
            );
        }
    }

    #[test]
    fn a_message_ends_at_its_delimiter() {
        let (plain, at, with) = (TransferEncoding::Plain, DecodeEnd::AtDelimiter, DecodeEnd::WithReport);
        let cases: [(&[u8], &[u8], DecodeEnd); 9] = [
            (b"A: 1\n\nx\n\n--b--\nmore", b"A: 1\n\nx\n", at),
            (b"A: 1\n\nx\n--b", b"A: 1\n\nx", at),
            (b"A: 1\r\n\r\nx\r\n\r\n--b \r\nmore", b"A: 1\r\n\r\nx\r\n", at),
            (b"--b\n", b"", at),
            (b"A: 1\n\nx --b\n--bc\n --b\n--", b"A: 1\n\nx --b\n--bc\n --b\n--", with),
            (b"A: 1\n\nx\n", b"A: 1\n\nx\n", with),
            (b"A: 1\n\nx\n\n", b"A: 1\n\nx\n\n", with),
            (b"A: 1", b"A: 1", with),
            (b"", b"", with),
        ];
        for (input, want, ended) in cases {
            check(input, Some("--b"), plain, want, ended);
        }
        check(b"x\n--b\n", None, plain, b"x\n--b\n", with);
    }

    #[test]
    fn a_delimiter_is_found_at_any_step_and_no_long_line_is_one() {
        for length in STEP_BYTES - 8..STEP_BYTES + 8 {
            let body = "x".repeat(length);
            let input = format!("{body}\n--b\nmore");
            check(
                input.as_bytes(),
                Some("--b"),
                TransferEncoding::Plain,
                body.as_bytes(),
                DecodeEnd::AtDelimiter,
            );
            let input = format!("{body}--b\nmore");
            check(
                input.as_bytes(),
                Some("--b"),
                TransferEncoding::Plain,
                input.as_bytes(),
                DecodeEnd::WithReport,
            );
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_as_far_as_it_can_be_read() {
        let (base64, quoted, at) = (
            TransferEncoding::Base64,
            TransferEncoding::QuotedPrintable,
            DecodeEnd::AtDelimiter,
        );
        let cases: [(TransferEncoding, &[u8], &[u8]); 12] = [
            // "A: 1\r\n\r\nhi\r\n"
            (base64, b"QTogMQ0K\nDQpoaQ0K\n\n--b", b"A: 1\n\nhi\n"),
            (base64, b"QTog MQ0KDQpo\r\naQ==\n--b", b"A: 1\n\nhi"),
            (base64, b"QTogMQ0KDQ", b"A: 1\n\r"),
            (base64, b"aGk=aGk=\n--b", b"hihi"),
            (base64, b"a\n--b", b""),
            (quoted, b"A: 1\n\nh=69=\n!\n\n--b", b"A: 1\n\nhi!\n"),
            (quoted, b"=41: 1=0D=0A=0D=0Ahi\n--b", b"A: 1\n\nhi"),
            (quoted, b"x= \t\r\ny\n--b", b"xy"),
            (quoted, b"x=zz=4g=\n--b", b"x=zz=4g"),
            (quoted, b"a=3d=3D\n--b", b"a=="),
            (quoted, b"x=4", b"x=4"),
            (quoted, b"x\r\n\r\ny\r\n--b", b"x\n\ny"),
        ];
        for (coding, input, want) in cases {
            let ended = if input.ends_with(b"--b") {
                at
            } else {
                DecodeEnd::WithReport
            };
            check(input, Some("--b"), coding, want, ended);
        }
    }
}
