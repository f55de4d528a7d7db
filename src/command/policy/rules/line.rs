//! Cuts a stream into lines in bounded memory. A line beyond the bound is not kept, and is reported as too long.

/// How much of one line is kept, in bytes.
pub const LINE_BYTES: usize = 8 << 10;

/// One line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolLine<'a> {
    /// Its first `LINE_BYTES`.
    pub bytes: &'a [u8],
    pub is_cut: bool,
}

/// Collects a line from pieces of a stream.
#[derive(Debug, Default)]
pub struct LineBuffer {
    kept: Vec<u8>,
    is_cut: bool,
    is_whole: bool,
}

impl LineBuffer {
    /// Takes bytes up to the end of a line. Returns how many were taken, and the line where its end was among them.
    pub fn take(&mut self, bytes: &[u8]) -> (usize, Option<ProtocolLine<'_>>) {
        if std::mem::take(&mut self.is_whole) {
            self.kept.clear();
            self.is_cut = false;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let piece = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        let room = LINE_BYTES - self.kept.len().min(LINE_BYTES);
        self.kept.extend(piece.iter().take(room));
        self.is_cut |= piece.len() > room;
        match end {
            None => (bytes.len(), None),
            Some(end) => {
                self.is_whole = true;
                let line = ProtocolLine {
                    bytes: self.kept.strip_suffix(b"\r").unwrap_or(&self.kept),
                    is_cut: self.is_cut,
                };
                (end + 1, Some(line))
            }
        }
    }

    pub fn is_within_line(&self) -> bool {
        !self.is_whole && (self.is_cut || !self.kept.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES, LineBuffer};

    #[test]
    fn lines_come_out_whole_whatever_the_pieces() {
        let text = b"a=1\r\n\nb=2\nrest";
        for step in 1..=text.len() {
            let (mut lines, mut found) = (LineBuffer::default(), Vec::new());
            for mut piece in text.chunks(step) {
                while !piece.is_empty() {
                    let (taken, line) = lines.take(piece);
                    found.extend(line.map(|line| line.bytes.to_vec()));
                    piece = piece.split_at(taken).1;
                }
            }
            assert_eq!(found, [&b"a=1"[..], b"", b"b=2"], "pieces of {step}");
            assert!(lines.is_within_line());
        }
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_not() {
        let mut lines = LineBuffer::default();
        let long = [vec![b'x'; 3 * LINE_BYTES], b"\nshort\n".to_vec()].concat();
        let (taken, line) = lines.take(&long);
        assert_eq!(
            line.map(|line| (line.bytes.len(), line.is_cut)),
            Some((LINE_BYTES, true))
        );
        let (_, line) = lines.take(long.split_at(taken).1);
        assert_eq!(
            line.map(|line| (line.bytes.to_vec(), line.is_cut)),
            Some((b"short".to_vec(), false))
        );
    }
}
