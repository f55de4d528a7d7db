//! Who sent this message and for whom it is, apart from what its header says (RFC 5321 section 2.3.1).

use crate::message::address::{OwnAddresses, without_blanks, without_route};

/// The envelope sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The null reverse-path, `<>`: nothing may answer this message automatically (RFC 5321 section 4.5.5).
    Null,
    /// An address, as the mail system wrote it.
    Address(String),
    /// Nobody said. This is not the null sender.
    Unknown,
}

impl Sender {
    /// Reads what a mail system calls the sender. `<>`, nothing at all, and `MAILER-DAEMON` are the null sender;
    /// sendmail puts its own domain behind that name, and nobody who calls himself so wants an answer.
    pub fn read(text: &str) -> Self {
        let bare = without_blanks(text);
        let bare = without_route(bare.trim_start_matches('<').trim_end_matches('>'));
        let local = bare.rsplit_once('@').map_or(bare, |(local, _)| local);
        if local.is_empty() || local.eq_ignore_ascii_case("MAILER-DAEMON") {
            Self::Null
        } else {
            Self::Address(bare.to_owned())
        }
    }
}

/// Sender, recipient and the user's other addresses. Built once, in `deliver/mod.rs`.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Who the mail system says sent it.
    pub sender: Sender,
    /// The address it was sent to, as the mail system wrote it, where it said so.
    pub recipient: Option<String>,
    /// Every address that reaches this user.
    pub own: OwnAddresses,
}

#[cfg(test)]
mod tests {
    use super::Sender;

    #[test]
    fn only_what_names_nobody_is_the_null_sender() {
        for text in ["", "<>", "< >", "MAILER-DAEMON", "<MAILER-DAEMON@a.test>", "<@a.test>"] {
            assert_eq!(Sender::read(text), Sender::Null, "{text:?}");
        }
        for (text, want) in [
            ("<s@s.test>", "s@s.test"),
            (" s@s.test ", "s@s.test"),
            ("<@a.test,@b.test:s@s.test>", "s@s.test"),
            ("<\"s t\"@s.test>", "\"s t\"@s.test"),
            ("<\"s@t\"@s.test>", "\"s@t\"@s.test"),
        ] {
            assert_eq!(Sender::read(text), Sender::Address(want.to_owned()), "{text:?}");
        }
    }
}
