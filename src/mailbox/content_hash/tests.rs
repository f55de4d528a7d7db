use super::{ContentHash, ContentReader, HashScope, MboxMessage, of_stored};
use crate::sys::message_buffer::MessageBuffer;

fn of(text: &[u8], step: usize) -> ContentHash {
    within(HashScope::All, text, step)
}

fn within(scope: HashScope, text: &[u8], step: usize) -> ContentHash {
    let mut reader = ContentReader::new(scope);
    for part in text.chunks(step) {
        reader.read(part);
    }
    reader.finish()
}

const PLAIN: &str = "From s@s.test Mon Nov  2 10:00:00 2026\nA: 1\nB: 2\n 3\n\nb\n\nFrom x\n> y\n>Fro\n";

#[test]
fn what_mailboxes_add_does_not_count() {
    let want = of(PLAIN.as_bytes(), 1000);
    for same in [
        PLAIN.to_owned(),
        format!("{PLAIN}\n\n"),
        PLAIN.trim_end().to_owned(),
        PLAIN.replace("From s@s.test Mon", "From - Tue"),
        PLAIN.replace("\nFrom x", "\n>From x"),
        PLAIN.replace("\nFrom x", "\n>>>From x"),
        PLAIN.replace("A: 1", "Status: RO\nA: 1"),
        PLAIN.replace("B: 2\n 3\n", "B: 2\n 3\nX-UID: 7\nX-Status: A\nX-Keywords: $Junk\n  \n"),
        PLAIN.replace("A: 1", "X-IMAPbase: 1 2\n\t3 4\nA: 1\ncontent-length : 12\nLINES: 3"),
    ] {
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(of(same.as_bytes(), step), want, "{same:?} in steps of {step}");
        }
    }
}

#[test]
fn the_first_line_counts_unless_it_is_a_separator() {
    let hash = |text: &str| {
        let stored = MboxMessage {
            offset: 0,
            bytes: text.len() as u64,
            head: text.as_bytes(),
            doubt: None,
        };
        let file = MessageBuffer::from_bytes(text.as_bytes().to_vec());
        of_stored(&file, &stored, HashScope::All).unwrap_or_else(|e| unreachable!("{e}"))
    };
    let rest = "A: 1\n\nb\n";
    let want = hash(&format!("From s@s.test Mon Nov  2 10:00:00 2026\n{rest}"));
    assert_eq!(hash(&format!("From x\n{rest}")), want);
    assert_ne!(hash(&format!("a part\n{rest}")), want);
    assert!(hash("From x\n").is_without_content() && !want.is_without_content());
}

#[test]
fn whatever_else_differs_counts() {
    let want = of(PLAIN.as_bytes(), 1000);
    for other in [
        PLAIN.replace("A: 1", "A: 2"),
        PLAIN.replace("A: 1\n", ""),
        PLAIN.replace("\n 3", " 3"),
        PLAIN.replace("b\n", "b\r\n"),
        PLAIN.replace("b\n\n", "b\n"),
        PLAIN.replace("b\n\n", "b\n\n\n"),
        PLAIN.replace("\nFrom x", "\n From x"),
        PLAIN.replace("> y", ">> y"),
        PLAIN.replace(">Fro", "Fro"),
        PLAIN.replace("\n\nb", "\n\nStatus: RO\nb"),
        PLAIN.replace("A: 1", "X-Status-Report: RO\nA: 1"),
        PLAIN.replace("A: 1", "Status\nA: 1"),
    ] {
        for step in [1, 1000] {
            assert_ne!(of(other.as_bytes(), step), want, "{other:?}");
        }
    }
}

#[test]
fn where_only_the_writer_counts_additions_do_not() {
    const CAME: &str =
        "From s@s.test Mon Nov  2 10:00:00 2026\nReceived: x\nFrom: s@s.test\nSubject: a b\nX: 1\n\nb\n>From x\n\n";
    let of = |text: &str, step| within(HashScope::Written, text.as_bytes(), step);
    let want = of(CAME, 1000);
    for step in [1, 3, 1000] {
        for same in [
            CAME.replace(
                "Received: x",
                "X-Spoolguard-Rescued: y\nReturn-Path: <>\nReceived: z\n z",
            ),
            CAME.replace("Subject: a b", "Subject: a\n b").replace(">From", "From"),
        ] {
            assert_eq!(of(&same, step), want, "{same:?}");
        }
        for other in [
            CAME.replace("a b", "a c"),
            CAME.replace("From: s@", "Message-ID: <1@s.test>\nFrom: s@"),
            CAME.replace("From: s@", "From: t@"),
            CAME.replace("\nb\n", "\nc\n"),
        ] {
            assert_ne!(of(&other, step), want, "{other:?}");
        }
    }
}
