//! The form in which a message goes over the wire (RFC 5321 sections 2.3.8 and 4.5.2): each line feed becomes CR LF, a
//! line that begins with a dot gets another, and a line with a dot alone ends it all. All other bytes go as they are,
//! eight bits of each, and a lone CR too: it ends no line, here or there.

/// Encodes a message piece by piece.
#[derive(Debug)]
pub struct WireEncoder {
    is_line_start: bool,
    last_is_cr: bool,
}

pub const END: &[u8] = b".\r\n";

impl WireEncoder {
    /// At the beginning of a message.
    pub fn new() -> Self {
        Self {
            is_line_start: true,
            last_is_cr: false,
        }
    }

    pub fn encode(&mut self, piece: &[u8], wire: &mut Vec<u8>) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.is_line_start && part.first() == Some(&b'.') {
                wire.push(b'.');
            }
            match part.strip_suffix(b"\n") {
                Some(line) => {
                    wire.extend_from_slice(line);
                    let has_cr = line.last().map_or(self.last_is_cr, |last| *last == b'\r');
                    wire.extend_from_slice(if has_cr { b"\n" } else { b"\r\n" });
                    (self.is_line_start, self.last_is_cr) = (true, false);
                }
                None => {
                    wire.extend_from_slice(part);
                    (self.is_line_start, self.last_is_cr) = (false, part.last() == Some(&b'\r'));
                }
            }
        }
    }

    /// Ends the last line, if it has no end. The dot is left to the caller.
    pub fn finish(&mut self, wire: &mut Vec<u8>) {
        if !self.is_line_start {
            wire.extend_from_slice(b"\r\n");
            (self.is_line_start, self.last_is_cr) = (true, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WireEncoder;
    use proptest::prelude::{ProptestConfig, any, proptest};
    use proptest::{collection, prop_assert, prop_assert_eq};

    fn encoded(message: &[u8], piece_bytes: usize) -> Vec<u8> {
        let (mut encoder, mut wire) = (WireEncoder::new(), Vec::new());
        for piece in message.chunks(piece_bytes) {
            encoder.encode(piece, &mut wire);
        }
        encoder.finish(&mut wire);
        wire
    }

    /// What a server makes of it: whatever stands before the first line with a dot alone.
    fn decoded(wire: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        for line in wire.split_inclusive(|byte| *byte == b'\n') {
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        }
        message
    }

    #[test]
    fn lines_end_with_cr_lf_and_dots_are_doubled() {
        for (message, want) in [
            (&b""[..], &b""[..]),
            (b"a", b"a\r\n"),
            (b"a\n", b"a\r\n"),
            (b"a\r\n", b"a\r\n"),
            (b"a\r", b"a\r\r\n"),
            (b"a\r\r\n", b"a\r\r\n"),
            (b"\n\n", b"\r\n\r\n"),
            (b".", b"..\r\n"),
            (b".\n", b"..\r\n"),
            (b"a\n.\nb\n", b"a\r\n..\r\nb\r\n"),
            (b"a\r\n.\r\nQUIT\r\n", b"a\r\n..\r\nQUIT\r\n"),
            (b"..\n", b"...\r\n"),
            // A lone CR ends no line: what stands behind it is no line of its own.
            (b"a\r.\rb\n", b"a\r.\rb\r\n"),
            (b"\0\xff\n", b"\0\xff\r\n"),
        ] {
            for piece_bytes in [1, 2, 3, 100] {
                assert_eq!(encoded(message, piece_bytes), want, "{}", message.escape_ascii());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn any_message_comes_out_as_it_went_in(
            bytes in collection::vec(proptest::sample::select(&b"a.\r\n\n.\xc3"[..]), 0..40),
            piece_bytes in 1_usize..7,
            other in any::<u8>(),
        ) {
            let mut message = bytes;
            message.push(other);
            let wire = encoded(&message, piece_bytes);
            let lines: Vec<_> = wire.split_inclusive(|byte| *byte == b'\n').collect();
            prop_assert!(lines.iter().all(|line| line.ends_with(b"\r\n") && *line != b".\r\n"));
            let mut plain = Vec::new();
            for line in message.split_inclusive(|byte| *byte == b'\n') {
                let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
                plain.extend_from_slice(line);
                plain.extend_from_slice(b"\r\n");
            }
            prop_assert_eq!(decoded(&wire), plain);
        }
    }
}
