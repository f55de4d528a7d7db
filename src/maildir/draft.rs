//! Size and fingerprint of a message before any of it is on the disk: its name needs both.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use crate::sys::read_at::each_piece;

/// How much is read at once, in bytes.
const STEP_BYTES: usize = 64 << 10;

/// A message in the form that a Maildir takes: our own fields, then the message as it came.
#[derive(Clone, Debug)]
pub struct MaildirDraft<R> {
    head: Vec<u8>,
    content: R,
    /// Its size on disk, in bytes.
    pub bytes: u64,
    /// Its size with CRLF at the end of each line, in bytes.
    pub crlf_bytes: u64,
    pub fingerprint: u64,
}

impl<R: Read + Clone> MaildirDraft<R> {
    pub fn of(head: Vec<u8>, content: R) -> io::Result<Self> {
        let mut measure = DraftMeasure::default();
        measure.add(&head);
        each_piece(content.clone(), STEP_BYTES, |bytes| {
            measure.add(bytes);
            Ok(())
        })?;
        let digest = measure.hash.finalize();
        Ok(Self {
            head,
            content,
            bytes: measure.bytes,
            crlf_bytes: measure.bytes + measure.bare_line_ends,
            fingerprint: u64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default()),
        })
    }

    /// Writes all of it. Fails when it cannot be read or written, or reads otherwise than it was measured.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        let mut written = self.head.len() as u64;
        to.write_all(&self.head)?;
        each_piece(self.content.clone(), STEP_BYTES, |bytes| {
            written += bytes.len() as u64;
            to.write_all(bytes)
        })?;
        if written == self.bytes {
            Ok(())
        } else {
            Err(io::Error::other("the message has another length than a moment ago"))
        }
    }
}

#[derive(Default)]
struct DraftMeasure {
    bytes: u64,
    bare_line_ends: u64,
    last: u8,
    hash: Sha256,
}

impl DraftMeasure {
    fn add(&mut self, bytes: &[u8]) {
        for at in memchr::memchr_iter(b'\n', bytes) {
            let before = at
                .checked_sub(1)
                .and_then(|before| bytes.get(before))
                .unwrap_or(&self.last);
            self.bare_line_ends += u64::from(*before != b'\r');
        }
        self.last = bytes.last().copied().unwrap_or(self.last);
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::MaildirDraft;
    use std::io::Read;

    /// Gives one byte at a time.
    #[derive(Clone)]
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(buffer.get_mut(..length).unwrap_or_default())
        }
    }

    #[test]
    fn sizes_are_those_on_disk_and_with_crlf() {
        for (head, content, bytes, crlf_bytes) in [
            ("", "", 0, 0),
            ("", "\n", 1, 2),
            ("", "\r\n", 2, 2),
            ("A: 1\n", "B: 2\r\n\r\nx\n", 15, 17),
            ("A: 1\r", "\nb", 7, 7),
            ("", "a\n\n\nb", 5, 8),
        ] {
            let draft =
                MaildirDraft::of(head.as_bytes().to_vec(), content.as_bytes()).unwrap_or_else(|e| unreachable!("{e}"));
            assert_eq!(
                (draft.bytes, draft.crlf_bytes),
                (bytes, crlf_bytes),
                "{head:?} {content:?}"
            );
            let slow = MaildirDraft::of(head.as_bytes().to_vec(), Slow(content.as_bytes()));
            let slow = slow.unwrap_or_else(|e| unreachable!("{e}"));
            assert_eq!(
                (slow.bytes, slow.crlf_bytes, slow.fingerprint),
                (bytes, crlf_bytes, draft.fingerprint)
            );
            let mut out = Vec::new();
            assert!(draft.write(&mut out).is_ok());
            assert_eq!(out, [head, content].concat().as_bytes());
        }
    }
}
