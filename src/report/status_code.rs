//! What a failure means for the next message to the same address (RFC 3463, and the words that mail systems use).

/// Whether the address is dead, or only this time, or only this message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
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
const WORDS: &[(&str, Class)] = &[
    // Full before unknown: "mailbox for user is full" (Smail, Exim, Courier).
    ("quota", Class::Soft),
    ("mailbox full", Class::Soft),
    ("mailbox is full", Class::Soft),
    ("user is full", Class::Soft),
    ("inbox is full", Class::Soft),
    ("exceeds allowed size", Class::Soft),
    ("exceeded the local limit", Class::Soft),
    ("exceeded storage", Class::Soft),
    ("out of storage", Class::Soft),
    ("insufficient system storage", Class::Soft),
    ("no space left", Class::Soft),
    ("greylist", Class::Soft),
    ("try again", Class::Soft),
    ("timed out", Class::Soft),
    ("timeout", Class::Soft),
    ("connection refused", Class::Soft),
    ("temporar", Class::Soft),
    ("too many connections", Class::Soft),
    ("delayed", Class::Soft),
    ("too many messages on", Class::Soft),
    ("not been collected", Class::Soft),
    ("hosts have been failing", Class::Soft),
    // The message.
    ("message too large", Class::Message),
    ("message size exceeds", Class::Message),
    ("too big", Class::Message),
    ("spam", Class::Message),
    ("virus", Class::Message),
    ("blacklist", Class::Message),
    ("block list", Class::Message),
    ("blocklist", Class::Message),
    ("dnsbl", Class::Message),
    ("spamhaus", Class::Message),
    ("dmarc", Class::Message),
    ("dkim", Class::Message),
    ("spf", Class::Message),
    ("policy", Class::Message),
    ("content reject", Class::Message),
    ("sender address rejected", Class::Message),
    ("sender verify failed", Class::Message),
    ("authentication required", Class::Message),
    ("not authorized", Class::Message),
    ("not allowed to send", Class::Message),
    ("requires confirmation", Class::Message),
    ("maximum incoming message size", Class::Message),
    ("size limit exceeded", Class::Message),
    ("too many hops", Class::Message),
    ("loop", Class::Message),
    // The address.
    ("user unknown", Class::Hard),
    ("unknown user", Class::Hard),
    ("unknown recipient", Class::Hard),
    ("recipient unknown", Class::Hard),
    ("no such", Class::Hard),
    ("not exist", Class::Hard),
    ("doesn't exist", Class::Hard),
    ("doesn't have a", Class::Hard),
    ("unknown address", Class::Hard),
    ("user not known", Class::Hard),
    ("not a known user", Class::Hard),
    ("bad_recipient", Class::Hard),
    ("bad recipient", Class::Hard),
    ("no account by that name", Class::Hard),
    ("not an active", Class::Hard),
    ("deactivated", Class::Hard),
    ("undeliverable to", Class::Hard),
    ("unable to find user", Class::Hard),
    ("no user by that name", Class::Hard),
    ("final delivery userid", Class::Hard),
    ("final email delivery point", Class::Hard),
    ("recipient name is not recognized", Class::Hard),
    ("existe pas", Class::Hard),
    ("invalid recipient", Class::Hard),
    ("invalid mailbox", Class::Hard),
    ("not listed in", Class::Hard),
    ("no mailbox", Class::Hard),
    ("no mail box", Class::Hard),
    ("mailbox not found", Class::Hard),
    ("mailbox unavailable", Class::Hard),
    ("mailbox disabled", Class::Hard),
    ("not our customer", Class::Hard),
    ("account is disabled", Class::Hard),
    ("account has been disabled", Class::Hard),
    ("account disabled", Class::Hard),
    ("no longer", Class::Hard),
    ("not a valid", Class::Hard),
    ("not found", Class::Hard),
    ("unrouteable", Class::Hard),
    ("unroutable", Class::Hard),
    ("host unknown", Class::Hard),
    ("unknown host", Class::Hard),
    ("couldn't find any host", Class::Hard),
    ("name or service not known", Class::Hard),
    ("unable to relay", Class::Hard),
    ("relay denied", Class::Hard),
    ("relay access denied", Class::Hard),
    ("as a relay, but", Class::Hard),
    ("allowed rcpthosts", Class::Hard),
    ("could not find a gateway", Class::Hard),
    ("malformed name server reply", Class::Hard),
    ("relaying denied", Class::Hard),
    ("relay not permitted", Class::Hard),
    ("unknown or illegal alias", Class::Hard),
];

/// The class of a status code, with the diagnostic where the code says too little.
#[must_use]
pub fn class_of(status: Option<&str>, diagnostic: &str) -> Class {
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
        (Some("4"), _, _) => Class::Soft,
        // RFC 3463 section 3: X.1.x is the address, but .7 and .8 are the sender's; X.2.x the mailbox; X.3.x the system;
        // X.4.x the network; X.5.x the protocol; X.6.x the content; X.7.x security and policy.
        (Some("5"), "1", "7" | "8") => Class::Message,
        (Some("5"), "1", "0") => by_words().unwrap_or(Class::Hard),
        (Some("5"), "1", _) | (Some("5"), "2", "1") | (Some("5"), "4", "4") => Class::Hard,
        (Some("5"), "2", "2") | (Some("5"), "3", "1" | "2") | (Some("5"), "4", "1" | "2" | "3" | "5" | "7") => {
            Class::Soft
        }
        (Some("5"), "2" | "3", "3" | "4") | (Some("5"), "6", _) | (Some("5"), "4", "6") => Class::Message,
        (Some("5"), "7", _) => by_words()
            .filter(|class| *class != Class::Soft)
            .unwrap_or(Class::Message),
        (Some("5"), _, _) => by_words().unwrap_or_default(),
        _ => Class::Neither,
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
    use super::{Class, class_of, find_reply_code, find_status};

    #[test]
    fn a_class_comes_from_the_code_and_from_the_words_where_the_code_is_vague() {
        let cases = [
            (Some("5.1.1"), "", Class::Hard),
            (Some("5.1.1"), "mailbox full", Class::Hard),
            (Some("5.1.8"), "", Class::Message),
            (Some("5.2.2"), "", Class::Soft),
            (Some("4.4.1"), "user unknown", Class::Soft),
            (Some("5.0.0"), "550 User unknown", Class::Hard),
            (Some("5.0.0"), "552 over quota", Class::Soft),
            (Some("5.0.0"), "554 <b@b.test>: Relay access denied", Class::Hard),
            (Some("5.0.0"), "550 b@b.test is not a known user", Class::Hard),
            (Some("5.0.0"), "550 b has too many messages on the server", Class::Soft),
            (
                Some("5.0.0"),
                "550 192.0.2.1 is not allowed to send mail",
                Class::Message,
            ),
            (Some("5.0.0"), "554 Spam refused", Class::Message),
            (Some("5.0.0"), "", Class::Neither),
            (Some("5.7.1"), "", Class::Message),
            (Some("5.7.1"), "Unable to relay", Class::Hard),
            (Some("5.3.4"), "", Class::Message),
            (Some("2.0.0"), "", Class::Neither),
            (None, "No such user here", Class::Hard),
            (None, "", Class::Neither),
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
