//! Status codes: where they stand in a text, and what each means by itself for the next message to the same address
//! (RFC 3463).

/// Whether the address is dead, or only this time, or only this message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureClass {
    /// The address will not take mail again: no such user, no such host, moved, disabled.
    Hard,
    /// It may take mail again: full, late, busy.
    Soft,
    /// Its host would not take this message: spam, policy, size, authentication. It says nothing about the address.
    Message,
    /// Nothing can be said, or nothing failed.
    #[default]
    Neither,
}

impl FailureClass {
    /// The word for it, as JSON and people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Message => "message",
            Self::Neither => "neither",
        }
    }
}

/// How a class was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The far side says so, in words or with a status.
    #[default]
    Said,
    /// The far side refused an address, and nobody can read why: it may be full, or refuse whoever sends.
    Presumed,
}

impl Basis {
    /// The word for it, as JSON and people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Said => "said",
            Self::Presumed => "presumed",
        }
    }
}

/// The subject and the detail of an enhanced status, `1` and `10` of `5.1.10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusSubject {
    /// The second number.
    pub subject: u16,
    /// The third number.
    pub detail: u16,
}

impl StatusSubject {
    /// Reads them from a status.
    pub fn read(status: &str) -> Option<Self> {
        let mut numbers = status.split('.').skip(1).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(subject)), Some(Ok(detail))) => Some(Self { subject, detail }),
            _ => None,
        }
    }

    /// What a permanent failure of this sort means where no word says more. RFC 3463 section 3: X.1.x is the address,
    /// but .7 and .8 are the sender's; X.2.x the mailbox; X.3.x the system; X.4.x the network; X.5.x the protocol;
    /// X.6.x the content; X.7.x security and policy.
    pub fn class(self) -> Option<FailureClass> {
        match (self.subject, self.detail) {
            (1, 7 | 8) => Some(FailureClass::Message),
            (1, 5 | 9) => None,
            (1, _) | (2, 1) | (4, 4) => Some(FailureClass::Hard),
            (2, 2) | (3, 1 | 2 | 5) | (5, 3) => Some(FailureClass::Soft),
            (2 | 3, 3 | 4) | (4, 6) | (6, _) => Some(FailureClass::Message),
            // RFC 7293: the mailbox or its domain belongs to somebody else now.
            (7, 17 | 18) => Some(FailureClass::Hard),
            (7, _) => Some(FailureClass::Message),
            (4, 1..) => Some(FailureClass::Soft),
            _ => None,
        }
    }

    /// X.4.1: no answer from the host.
    pub fn is_no_answer(self) -> bool {
        (self.subject, self.detail) == (4, 1)
    }
}

/// The first enhanced status code in `text` (RFC 3463 section 2), `5.1.1`, if it is no piece of an IP address or a
/// version.
pub fn find_status(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'.', bytes.get(at..)?) {
        let dot = at + found;
        at = dot + 1;
        let Some(start) = dot.checked_sub(1) else { continue };
        let opens = matches!(bytes.get(start), Some(b'2' | b'4' | b'5'));
        let free = start == 0
            || matches!(
                bytes.get(start - 1),
                Some(
                    b' ' | b'\t' | b'\n' | b'(' | b'[' | b'#' | b'<' | b'-' | b':' | b';' | b'"' | b'=' | b'_' | b'\''
                )
            );
        if !opens || !free {
            continue;
        }
        let subject = digits(bytes, dot + 1);
        let detail_at = dot + 1 + subject;
        if !(1..=3).contains(&subject) || bytes.get(detail_at) != Some(&b'.') {
            continue;
        }
        let detail = digits(bytes, detail_at + 1);
        let end = detail_at + 1 + detail;
        let ends = !matches!(bytes.get(end), Some(b'.')) || !bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        let ends = ends && !bytes.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'-');
        if (1..=3).contains(&detail) && ends {
            return text.get(start..end);
        }
    }
    None
}

/// SMTP reply codes that refuse (RFC 5321 section 4.2.3, RFC 7504), and some that sites made up. Each has the enhanced
/// status that says no more.
const REPLY_CODES: [(&str, u16, &str); 27] = [
    ("421", 421, "4.0.0"),
    ("432", 432, "4.0.0"),
    ("450", 450, "4.2.0"),
    ("451", 451, "4.3.0"),
    ("452", 452, "4.3.1"),
    ("454", 454, "4.0.0"),
    ("471", 471, "4.0.0"),
    ("500", 500, "5.5.0"),
    ("501", 501, "5.5.0"),
    ("503", 503, "5.5.0"),
    ("504", 504, "5.5.0"),
    ("510", 510, "5.1.1"),
    ("511", 511, "5.1.1"),
    ("513", 513, "5.1.1"),
    ("521", 521, "5.0.0"),
    ("530", 530, "5.7.0"),
    ("535", 535, "5.7.0"),
    ("541", 541, "5.7.1"),
    ("550", 550, "5.0.0"),
    ("551", 551, "5.1.6"),
    ("552", 552, "5.2.0"),
    ("553", 553, "5.1.0"),
    ("554", 554, "5.0.0"),
    ("555", 555, "5.5.4"),
    ("556", 556, "5.1.10"),
    ("571", 571, "5.7.1"),
    ("577", 577, "5.7.1"),
];

/// The first SMTP reply code that `text` names.
pub fn find_reply_code(text: &str) -> Option<u16> {
    reply_code_in(text).map(|(_, code, _)| *code)
}

/// The enhanced status that stands for it.
pub fn status_of_reply_code(text: &str) -> Option<&'static str> {
    reply_code_in(text).map(|(_, _, status)| *status)
}

/// What stands from the first SMTP reply code on: the far side's own words.
pub fn from_reply_code(text: &str) -> Option<&str> {
    let (code, _, _) = reply_code_in(text)?;
    let at = text.match_indices(code).map(|(at, _)| at).find(|at| {
        let is_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        !is_part(at.checked_sub(1).and_then(|before| bytes.get(before))) && !is_part(bytes.get(at + code.len()))
    })?;
    text.get(at..)
}

fn reply_code_in(text: &str) -> Option<&'static (&'static str, u16, &'static str)> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.len() == 3)
        .find_map(|word| REPLY_CODES.iter().find(|(code, _, _)| *code == word))
}

fn digits(bytes: &[u8], from: usize) -> usize {
    bytes
        .iter()
        .skip(from)
        .take(4)
        .take_while(|b| b.is_ascii_digit())
        .count()
}

#[cfg(test)]
mod tests {
    use super::{FailureClass, find_reply_code, find_status, from_reply_code, status_of_reply_code};
    use crate::report::failure::class_of;

    #[test]
    fn the_code_gives_the_class_and_words_where_it_is_vague() {
        let cases = [
            (Some("5.1.1"), "", FailureClass::Hard),
            (Some("5.1.1"), "mailbox full", FailureClass::Soft),
            (Some("5.1.8"), "", FailureClass::Message),
            (Some("5.2.2"), "", FailureClass::Soft),
            (Some("4.4.1"), "user unknown", FailureClass::Soft),
            (Some("5.0.0"), "550 User unknown", FailureClass::Hard),
            (Some("5.0.0"), "552 over quota", FailureClass::Soft),
            (Some("5.0.0"), "554 <b@b.test>: Relay access denied", FailureClass::Hard),
            (Some("5.0.0"), "550 b@b.test is not a known user", FailureClass::Hard),
            (
                Some("5.0.0"),
                "550 b has too many messages on the server",
                FailureClass::Soft,
            ),
            (
                Some("5.0.0"),
                "550 192.0.2.1 is not allowed to send mail",
                FailureClass::Message,
            ),
            (Some("5.0.0"), "554 Spam refused", FailureClass::Message),
            (Some("5.0.0"), "", FailureClass::Neither),
            (Some("5.7.1"), "", FailureClass::Message),
            (Some("5.7.1"), "Unable to relay", FailureClass::Hard),
            (Some("5.3.4"), "", FailureClass::Message),
            (Some("2.0.0"), "", FailureClass::Neither),
            (None, "No such user here", FailureClass::Hard),
            (None, "", FailureClass::Neither),
        ];
        for (status, words, want) in cases {
            assert_eq!(class_of(status, words), want, "{status:?} {words}");
        }
    }

    #[test]
    fn a_status_is_told_from_addresses_and_versions() {
        let cases = [
            ("550 5.1.1 <a@a.test>", Some("5.1.1")),
            ("smtp;550-5.7.26 This", Some("5.7.26")),
            ("(#5.1.1)", Some("5.1.1")),
            ("550-'5.1.1 unknown'", Some("5.1.1")),
            ("#< #5.7.1 smtp;", Some("5.7.1")),
            ("5.4.0.", Some("5.4.0")),
            ("5.4.0.1 said", None),
            ("192.5.1.1", None),
            ("at 2026.5.1", None),
            ("Exim 4.96.2-x", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(find_status(text), want, "{text}");
        }
        assert_eq!(find_reply_code("said: 550 no such user"), Some(550));
        assert_eq!(status_of_reply_code("552-full"), Some("5.2.0"));
        assert_eq!(find_reply_code("in 2550 days"), None);
        assert_eq!(from_reply_code("in 2550 days: 550-no"), Some("550-no"));
        assert_eq!(from_reply_code("no"), None);
    }
}
