//! The flags of a message, as a Maildir has them in names and an mbox in fields: `S` is `R` in `Status`, the others
//! stand in `X-Status` under letters of their own. What an mbox has no letter for stands in a field of its own, and
//! comes back from there.

use crate::maildir::name;
use crate::maildir::read::SeenMessage;
use crate::message::Message;

/// Letters in names, and in `X-Status`: replied, flagged, trashed, draft.
const IN_X_STATUS: [(char, char); 4] = [('R', 'A'), ('F', 'F'), ('T', 'D'), ('D', 'T')];

/// For the letters that mboxes know nothing of: passed on, and the keywords of an IMAP server.
pub const FIELD: &str = "X-Maildir-Flags";

/// The fields that say in an mbox what the name of a message says in a Maildir. Nothing for one that nobody has seen.
pub fn write_fields(message: &SeenMessage, line_end: &str) -> String {
    let flags = String::from_utf8_lossy(name::flags_of(message.name())).into_owned();
    let mut fields = String::new();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            fields.push_str(&format!("{name}: {value}{line_end}"));
        }
    };
    add(
        "Status",
        match (flags.contains('S'), message.is_in_new()) {
            (true, _) => "RO",
            (false, false) => "O",
            (false, true) => "",
        },
    );
    let known = |flag: &char| IN_X_STATUS.iter().find(|(own, _)| own == flag);
    let x_status: String = flags
        .chars()
        .filter_map(|flag| known(&flag))
        .map(|(_, in_mbox)| in_mbox)
        .collect();
    add("X-Status", &x_status);
    let others: String = flags
        .chars()
        .filter(|flag| *flag != 'S' && flag.is_ascii_alphabetic() && known(flag).is_none())
        .collect();
    add(FIELD, &others);
    fields
}

/// The flags that a message of an mbox gets in a Maildir, in the order that maildir(5) asks for.
pub fn read_fields(message: &Message<'_>) -> String {
    let value = |name| message.first(name).unwrap_or_default().into_owned();
    let x_status = value("X-Status");
    let mut flags: Vec<char> = IN_X_STATUS
        .iter()
        .filter(|(_, in_mbox)| x_status.contains(*in_mbox))
        .map(|(own, _)| *own)
        .chain(message.is_seen().then_some('S'))
        .chain(value(FIELD).chars().filter(char::is_ascii_alphabetic))
        .collect();
    flags.sort_unstable();
    flags.dedup();
    flags.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::{read_fields, write_fields};
    use crate::maildir::read::SeenMessage;
    use crate::message::Message;

    #[test]
    fn flags_go_into_an_mbox_and_come_back() {
        for (name, fields, back) in [
            ("new/1.x.h", "", ""),
            ("cur/1.x.h:2,", "Status: O\n", ""),
            ("cur/1.x.h:2,S", "Status: RO\n", "S"),
            ("cur/1.x.h:2,FRS", "Status: RO\nX-Status: FA\n", "FRS"),
            ("cur/1.x.h:2,DT", "Status: O\nX-Status: TD\n", "DT"),
            ("cur/1.x.h:2,PSab", "Status: RO\nX-Maildir-Flags: Pab\n", "PSab"),
            ("new/1.x.h:2,S\n!", "Status: RO\n", "S"),
        ] {
            let message = SeenMessage::named(name);
            let written = write_fields(&message, "\n");
            assert_eq!(written, fields, "{name}");
            assert_eq!(read_fields(&Message::new(written.as_bytes())), back, "{name}");
        }
        // As other programs write it.
        let message = Message::new(b"Status: OR\nX-Status: FDA\n\n");
        assert_eq!(read_fields(&message), "FRST");
    }
}
