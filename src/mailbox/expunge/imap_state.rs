//! What IMAP servers keep in the first message of an mbox: UIDVALIDITY and the last UID. The field `X-IMAPbase` stands
//! in any message, the field `X-IMAP` in a message of the server's own, which is not mail. When it is lost, clients
//! fetch everything again, or take one message for another. So it is carried over when the message that holds it goes.

use std::io::Write;

use crate::message::Message;

/// The header of a message: its lines, without the separator line and without what follows the empty line.
fn fields(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    message
        .split_inclusive(|b| *b == b'\n')
        .skip(1)
        .take_while(|line| !matches!(*line, b"\n" | b"\r\n"))
}

fn value<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (field, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    field.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
}

/// Tells whether a message is the server's own.
pub fn is_internal(message: &[u8]) -> bool {
    fields(message).any(|line| value(line, "X-IMAP").is_some())
}

/// The same for a message that need not be the first of its mailbox: anybody may write such a field, so its subject
/// counts, too.
pub fn is_internal_anywhere(message: &Message<'_>) -> bool {
    message.fields().any(|field| field.is("X-IMAP"))
        && message
            .first("Subject")
            .is_some_and(|subject| subject.starts_with("DON'T DELETE THIS MESSAGE"))
}

pub fn read_imap_base(message: &[u8]) -> Option<Vec<u8>> {
    fields(message).find_map(|line| value(line, "X-IMAPbase").map(<[u8]>::to_vec))
}

/// The field for a message that does not have it.
pub fn write_base_field(base: &[u8]) -> Vec<u8> {
    [b"X-IMAPbase: ", base, b"\n"].concat()
}

/// Puts `field` behind the separator line that `beginning` starts with; before everything else where there is none.
pub fn insert_field(beginning: &[u8], field: &[u8]) -> Vec<u8> {
    let line = beginning.iter().position(|b| *b == b'\n').map_or(0, |at| at + 1);
    let (line, rest) = beginning.split_at_checked(line).unwrap_or((b"", beginning));
    [line, field, rest].concat()
}

/// A message of the server's own, as c-client and Dovecot know it, for a mailbox in which nothing else stays. `date` is
/// that of the separator line.
pub fn write_internal_message(base: &[u8], asctime: &str) -> Vec<u8> {
    let mut message = Vec::new();
    let _ = write!(
        message,
        "From MAILER-DAEMON {asctime}\n\
         From: Mail System Internal Data <MAILER-DAEMON>\n\
         Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n\
         X-IMAP: "
    );
    message.extend_from_slice(base);
    message.extend_from_slice(
        b"\nStatus: RO\n\n\
          This text is part of the internal format of your mail folder, and is not\n\
          a real message.  It is created automatically by the mail system software.\n\
          If deleted, important folder data will be lost, and it will be re-created\n\
          with the data reset to initial values.\n\n",
    );
    message
}

#[cfg(test)]
mod tests {
    use super::{insert_field, is_internal, read_imap_base, write_base_field, write_internal_message};

    #[test]
    fn what_the_server_keeps_is_found_in_headers_alone() {
        for (message, says, own) in [
            (
                &b"From a\nx-imapbase: 12 7 key\nA: 1\n\n"[..],
                Some(&b"12 7 key"[..]),
                false,
            ),
            (b"From a\r\nA: 1\r\nX-IMAPbase: 12 7\r\n\r\n", Some(b"12 7"), false),
            (b"From a\nA: 1\n\nX-IMAPbase: 12 7\nX-IMAP: 1 2\n", None, false),
            (b"From a\nX-IMAP: 12 7\n\n", None, true),
            (b"From a\nX-IMAPbases: 12 7\nX-IMAPother: 1\n\n", None, false),
            (b"", None, false),
        ] {
            assert_eq!(read_imap_base(message).as_deref(), says);
            assert_eq!(is_internal(message), own);
        }
        assert!(is_internal(&write_internal_message(
            b"12 7",
            "Thu Jan  1 00:00:00 1970"
        )));
    }

    #[test]
    fn it_is_put_behind_the_separator_line() {
        let carried = insert_field(b"From b x\nB: 1\n\n", &write_base_field(b"12 7"));
        assert_eq!(carried, b"From b x\nX-IMAPbase: 12 7\nB: 1\n\n");
        assert_eq!(read_imap_base(&carried).as_deref(), Some(&b"12 7"[..]));
    }
}
