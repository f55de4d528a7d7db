//! What a failure means for the next message to the same address (RFC 3463, and the words that mail systems use).

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

/// Words of diagnostics, in lower case, and what they mean; the first that is found counts. Seen in the replies of the
/// systems that are named; most of them use several.
const WORDS: &[(&str, FailureClass)] = &[
    // Full before unknown: "mailbox for user is full" (Smail, Exim, Courier).
    ("quota", FailureClass::Soft),
    ("mailbox full", FailureClass::Soft),
    ("mailbox is full", FailureClass::Soft),
    ("user is full", FailureClass::Soft),
    ("inbox is full", FailureClass::Soft),
    ("exceeds allowed size", FailureClass::Soft),
    ("exceeded the local limit", FailureClass::Soft),
    ("exceeded storage", FailureClass::Soft),
    ("out of storage", FailureClass::Soft),
    ("insufficient system storage", FailureClass::Soft),
    ("no space left", FailureClass::Soft),
    ("greylist", FailureClass::Soft),
    ("try again", FailureClass::Soft),
    ("timed out", FailureClass::Soft),
    ("timeout", FailureClass::Soft),
    ("connection refused", FailureClass::Soft),
    ("temporar", FailureClass::Soft),
    ("too many connections", FailureClass::Soft),
    ("delayed", FailureClass::Soft),
    ("too many messages on", FailureClass::Soft),
    ("not been collected", FailureClass::Soft),
    ("hosts have been failing", FailureClass::Soft),
    // The message.
    ("message too large", FailureClass::Message),
    ("message size exceeds", FailureClass::Message),
    ("too big", FailureClass::Message),
    ("spam", FailureClass::Message),
    ("virus", FailureClass::Message),
    ("blacklist", FailureClass::Message),
    ("block list", FailureClass::Message),
    ("blocklist", FailureClass::Message),
    ("dnsbl", FailureClass::Message),
    ("spamhaus", FailureClass::Message),
    ("dmarc", FailureClass::Message),
    ("dkim", FailureClass::Message),
    ("spf", FailureClass::Message),
    ("policy", FailureClass::Message),
    ("content reject", FailureClass::Message),
    ("sender address rejected", FailureClass::Message),
    ("sender verify failed", FailureClass::Message),
    ("authentication required", FailureClass::Message),
    ("not authorized", FailureClass::Message),
    ("not allowed to send", FailureClass::Message),
    ("requires confirmation", FailureClass::Message),
    ("maximum incoming message size", FailureClass::Message),
    ("size limit exceeded", FailureClass::Message),
    ("too many hops", FailureClass::Message),
    ("loop", FailureClass::Message),
    // The address.
    ("user unknown", FailureClass::Hard),
    ("unknown user", FailureClass::Hard),
    ("unknown recipient", FailureClass::Hard),
    ("recipient unknown", FailureClass::Hard),
    ("no such", FailureClass::Hard),
    ("not exist", FailureClass::Hard),
    ("doesn't exist", FailureClass::Hard),
    ("doesn't have a", FailureClass::Hard),
    ("unknown address", FailureClass::Hard),
    ("user not known", FailureClass::Hard),
    ("not a known user", FailureClass::Hard),
    ("bad_recipient", FailureClass::Hard),
    ("bad recipient", FailureClass::Hard),
    ("no account by that name", FailureClass::Hard),
    ("not an active", FailureClass::Hard),
    ("deactivated", FailureClass::Hard),
    ("undeliverable to", FailureClass::Hard),
    ("unable to find user", FailureClass::Hard),
    ("no user by that name", FailureClass::Hard),
    ("final delivery userid", FailureClass::Hard),
    ("final email delivery point", FailureClass::Hard),
    ("recipient name is not recognized", FailureClass::Hard),
    ("existe pas", FailureClass::Hard),
    ("invalid recipient", FailureClass::Hard),
    ("invalid mailbox", FailureClass::Hard),
    ("not listed in", FailureClass::Hard),
    ("no mailbox", FailureClass::Hard),
    ("no mail box", FailureClass::Hard),
    ("mailbox not found", FailureClass::Hard),
    ("mailbox unavailable", FailureClass::Hard),
    ("mailbox disabled", FailureClass::Hard),
    ("not our customer", FailureClass::Hard),
    ("account is disabled", FailureClass::Hard),
    ("account has been disabled", FailureClass::Hard),
    ("account disabled", FailureClass::Hard),
    ("no longer", FailureClass::Hard),
    ("not a valid", FailureClass::Hard),
    ("not found", FailureClass::Hard),
    ("unrouteable", FailureClass::Hard),
    ("unroutable", FailureClass::Hard),
    ("host unknown", FailureClass::Hard),
    ("unknown host", FailureClass::Hard),
    ("couldn't find any host", FailureClass::Hard),
    ("name or service not known", FailureClass::Hard),
    ("unable to relay", FailureClass::Hard),
    ("relay denied", FailureClass::Hard),
    ("relay access denied", FailureClass::Hard),
    ("as a relay, but", FailureClass::Hard),
    ("allowed rcpthosts", FailureClass::Hard),
    ("could not find a gateway", FailureClass::Hard),
    ("malformed name server reply", FailureClass::Hard),
    ("relaying denied", FailureClass::Hard),
    ("relay not permitted", FailureClass::Hard),
    ("unknown or illegal alias", FailureClass::Hard),
];

/// The class of a status code, with the diagnostic where the code says too little.
#[must_use]
pub fn class_of(status: Option<&str>, diagnostic: &str) -> FailureClass {
    let by_words = || {
        let text = diagnostic.to_ascii_lowercase();
        WORDS
            .iter()
            .find(|(words, _)| text.contains(words))
            .map(|(_, class)| *class)
    };
    let Some(status) = status else {
        return by_words().unwrap_or_default();
    };
    let mut digits = status.split('.');
    let (kind, subject, detail) = (
        digits.next(),
        digits.next().unwrap_or("0"),
        digits.next().unwrap_or("0"),
    );
    match (kind, subject, detail) {
        (Some("4"), _, _) => FailureClass::Soft,
        // RFC 3463 section 3: X.1.x is the address, but .7 and .8 are the sender's; X.2.x the mailbox; X.3.x the system;
        // X.4.x the network; X.5.x the protocol; X.6.x the content; X.7.x security and policy.
        (Some("5"), "1", "7" | "8") => FailureClass::Message,
        (Some("5"), "1", "0") => by_words().unwrap_or(FailureClass::Hard),
        (Some("5"), "1", _) | (Some("5"), "2", "1") | (Some("5"), "4", "4") => FailureClass::Hard,
        (Some("5"), "2", "2") | (Some("5"), "3", "1" | "2") | (Some("5"), "4", "1" | "2" | "3" | "5" | "7") => {
            FailureClass::Soft
        }
        (Some("5"), "2" | "3", "3" | "4") | (Some("5"), "6", _) | (Some("5"), "4", "6") => FailureClass::Message,
        (Some("5"), "7", _) => by_words()
            .filter(|class| *class != FailureClass::Soft)
            .unwrap_or(FailureClass::Message),
        (Some("5"), _, _) => by_words().unwrap_or_default(),
        _ => FailureClass::Neither,
    }
}

/// The first enhanced status code in `text` (RFC 3463 section 2), `5.1.1`, if it is no piece of an IP address or a version.
#[must_use]
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
                Some(b' ' | b'\t' | b'\n' | b'(' | b'[' | b'#' | b'<' | b'-' | b':' | b';' | b'"' | b'=' | b'_')
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

/// The enhanced code that stands for an SMTP reply code (RFC 5321 section 4.2.3), where a line begins with one or names it.
#[must_use]
pub fn find_reply_code(text: &str) -> Option<&'static str> {
    const CODES: [(&str, &str); 14] = [
        ("421", "4.0.0"),
        ("450", "4.2.0"),
        ("451", "4.3.0"),
        ("452", "4.3.1"),
        ("500", "5.5.0"),
        ("501", "5.5.0"),
        ("503", "5.5.0"),
        ("510", "5.1.1"),
        ("550", "5.0.0"),
        ("551", "5.1.6"),
        ("552", "5.2.0"),
        ("553", "5.1.0"),
        ("554", "5.0.0"),
        ("571", "5.7.1"),
    ];
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .find_map(|word| CODES.iter().find(|(code, _)| *code == word))
        .map(|(_, status)| *status)
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
    use super::{FailureClass, class_of, find_reply_code, find_status};

    #[test]
    fn a_class_comes_from_the_code_and_from_the_words_where_the_code_is_vague() {
        let cases = [
            (Some("5.1.1"), "", FailureClass::Hard),
            (Some("5.1.1"), "mailbox full", FailureClass::Hard),
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
        assert_eq!(find_reply_code("said: 550 no such user"), Some("5.0.0"));
        assert_eq!(find_reply_code("in 2550 days"), None);
    }
}
