//! Decides which destination of ours a report is about, and how sure that is. A report that proves nothing blames
//! nobody.
//!
//! `Proof` says how much each proof is worth; what follows from it is left to the caller.

use crate::classify::verdict::{Bounce, Judgement, Marker, Verdict};
use crate::classify::{MessageOrigin, Ownership};
use crate::message::address::Address;
use crate::moment::{DAY, Moment};
use crate::report::dsn::{Recipient, ReportKind, kind_of};
use crate::report::status_code::{Basis, FailureClass};

/// Why a report is believed to be about our own forward; a later one proves more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// It quotes our `X-Loop`. Everybody who knows the user's address can write that: it is worth little, and many of
    /// them are worth no more than one.
    LoopMark,
    /// It quotes the Message-ID of a message that was sent to this destination. Whoever wrote that message, or got it
    /// too, can write that: it is worth one failure for each message, and no more for a second report about the same.
    MessageId,
    /// It came to an address with a token that only we can make, for this destination. Only those who saw the envelope
    /// can bring it: the hosts on the way to the destination.
    Token,
}

/// What one report says about one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardFailure {
    /// The address that was forwarded to, as it was written there.
    pub destination: String,
    /// Given up, late, or reached.
    pub kind: ReportKind,
    /// What it means for the next message.
    pub class: FailureClass,
    /// How that was found.
    pub basis: Basis,
    /// The enhanced status code, `5.1.1` (RFC 3463).
    pub status: Option<String>,
    /// What the other host answered; empty where the report does not say.
    pub said: String,
    /// The host that answered, or else the one that reports.
    pub host: Option<String>,
    /// The Message-ID of the message that it is about.
    pub message_id: Option<String>,
    /// Who wrote that message.
    pub sender: Option<String>,
    /// How often a message of this Message-ID was sent there, as far as is remembered.
    pub sends: usize,
    /// Why it is believed.
    pub proof: Proof,
}

/// What is known beside the report.
#[derive(Clone, Copy, Debug)]
pub struct AttributionEvidence<'a> {
    /// What the address says that the report came to.
    pub token: Token<'a>,
    /// Where the message went that it quotes, as the memory of recent forwards has it.
    pub sent_to: &'a [String],
    /// Where the user's mail is forwarded to.
    pub destinations: &'a [String],
}

/// What the address says that a report came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// Tokens are not in use: a report has other proof or none.
    Unused,
    /// Tokens are in use, and this report brings none, a forged one, or one that is too old: it proves nothing.
    Missing,
    /// A token of ours, made for this destination.
    For(&'a str),
}

/// Something unknown may come with the null sender to an address that only our own forward had. It is a report in a
/// shape that nobody has seen yet: the envelope of a forward is answered by MTAs, and by automatic answers, which have
/// marks of their own. Taken for ordinary mail it might be sent on to the very address that it reports about.
pub fn believe_token(judgement: &mut Judgement, address: &str) {
    if judgement.verdict != Verdict::Ordinary || judgement.null_sender.is_none() {
        return;
    }
    const WHY: &str = "came with the null sender to an address that only our own forward had";
    judgement.verdict = Verdict::Bounce(Bounce {
        kind: None,
        recipients: Vec::new(),
        origin: MessageOrigin::OurForward,
        ownership: Ownership::NotShown,
        markers: vec![Marker::new("Recipient", address, WHY)],
        reporting_host: None,
        quoted_message_id: None,
        quoted_sender: None,
    });
}

/// A bounce may be about mail that the user wrote, and that was forwarded from here as well. It is about our forward
/// where it names a destination that had the message, or nobody, or comes to an address that only our forward had: then
/// its loop mark was lost on the way. About anybody else whom the user wrote to it is the user's own.
pub fn believe_history(judgement: &mut Judgement, token: Option<&str>, sent_to: impl Fn(&str) -> Vec<String>) {
    let Verdict::Bounce(bounce) = &mut judgement.verdict else {
        return;
    };
    if bounce.origin != MessageOrigin::User {
        return;
    }
    let is_ours = || {
        let had = bounce.quoted_message_id.as_deref().map(&sent_to).unwrap_or_default();
        let mut named = bounce
            .recipients
            .iter()
            .filter(|recipient| !recipient.address.is_empty())
            .peekable();
        !had.is_empty() && (named.peek().is_none() || named.any(|one| had.iter().any(|to| is_about(one, to))))
    };
    if token.is_some() || is_ours() {
        bounce.origin = MessageOrigin::OurForward;
    }
}

/// Finds the destinations that a report is about.
pub fn attribute_bounce(bounce: &Bounce, evidence: &AttributionEvidence<'_>) -> Vec<ForwardFailure> {
    match evidence.token {
        Token::For(destination) => vec![blame(bounce, worst(bounce, destination), destination, Proof::Token)],
        Token::Missing => Vec::new(),
        Token::Unused => {
            let by_memory = named(bounce, evidence.sent_to, Proof::MessageId);
            if !by_memory.is_empty() || bounce.origin != MessageOrigin::OurForward {
                return by_memory;
            }
            named(bounce, evidence.destinations, Proof::LoopMark)
        }
    }
}

/// The destinations among `candidates` that a report names. One that names none of them, where there is only one, is
/// about that: it went on from there, and failed further away.
fn named(bounce: &Bounce, candidates: &[String], proof: Proof) -> Vec<ForwardFailure> {
    let mut found: Vec<ForwardFailure> = Vec::new();
    for destination in candidates {
        let about = bounce
            .recipients
            .iter()
            .find(|recipient| is_about(recipient, destination));
        if let Some(recipient) = about
            && !found
                .iter()
                .any(|blame| is_same_address(&blame.destination, destination))
        {
            found.push(blame(bounce, Some(recipient), destination, proof));
        }
    }
    if let ([], [only]) = (found.as_slice(), candidates) {
        found.push(blame(bounce, worst(bounce, only), only, proof));
    }
    found
}

/// The recipient that tells most about `destination`: itself, else the first that failed, else the first.
fn worst<'b>(bounce: &'b Bounce, destination: &str) -> Option<&'b Recipient> {
    let recipients = &bounce.recipients;
    recipients
        .iter()
        .find(|recipient| is_about(recipient, destination))
        .or_else(|| recipients.iter().find(|r| kind_of(r) == Some(ReportKind::Failure)))
        .or_else(|| recipients.first())
}

fn blame(bounce: &Bounce, about: Option<&Recipient>, destination: &str, proof: Proof) -> ForwardFailure {
    // A report that does not say what happened reports a failure: that is what reports are for.
    let kind = about.and_then(kind_of).or(bounce.kind).unwrap_or(ReportKind::Failure);
    ForwardFailure {
        destination: destination.to_owned(),
        kind,
        class: about.map(|recipient| recipient.class).unwrap_or_default(),
        basis: about.map(|recipient| recipient.basis).unwrap_or_default(),
        status: about.and_then(|recipient| recipient.status.clone()),
        said: about
            .and_then(|recipient| recipient.diagnostic.clone())
            .unwrap_or_default(),
        host: about
            .and_then(|recipient| recipient.remote_host.clone())
            .or_else(|| bounce.reporting_host.clone()),
        message_id: bounce.quoted_message_id.clone(),
        sender: bounce.quoted_sender.clone(),
        sends: 0,
        proof,
    }
}

fn is_about(recipient: &Recipient, destination: &str) -> bool {
    is_same_address(&recipient.address, destination)
        || recipient
            .original
            .as_deref()
            .is_some_and(|original| is_same_address(original, destination))
}

/// Tells whether both texts are one address; local parts are compared without case, as MTAs do.
pub fn is_same_address(one: &str, other: &str) -> bool {
    // Nearly all are written so, and each message compares its destinations with thousands.
    if is_bare(one) && is_bare(other) {
        return one.eq_ignore_ascii_case(other);
    }
    match (Address::parse(one), Address::parse(other)) {
        (Some(one), Some(other)) => one.same_mailbox(&other, ""),
        _ => false,
    }
}

/// Tells whether a text is an address and nothing else, in letters and digits that can be compared as they stand.
fn is_bare(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b'=');
    let (mut marks, mut are_plain) = (0, true);
    for byte in text.bytes() {
        marks += u32::from(byte == b'@');
        are_plain &= byte == b'@' || is_plain(byte);
    }
    let ends_well = text.as_bytes().last().is_some_and(u8::is_ascii_alphanumeric);
    marks == 1 && are_plain && ends_well && !text.starts_with('@')
}

/// A report that quotes nothing but our mark proves little, and an old one nothing: mailboxes are full of reports that
/// some hand may run through the guard again. In seconds.
pub const TIMELY: u64 = 2 * DAY;

/// Tells whether a report is about now. One that names a message of ours is told by the memory of recent forwards.
pub fn is_timely(proof: Proof, dated: Option<&str>, now: Moment) -> bool {
    match proof {
        Proof::MessageId | Proof::Token => true,
        Proof::LoopMark => match dated.and_then(mail_parser::DateTime::parse_rfc822) {
            Some(date) => now.since(Moment::from_seconds(date.to_timestamp())) <= TIMELY,
            None => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{AttributionEvidence, Proof, Token, attribute_bounce, believe_history, is_same_address};
    use crate::classify::verdict::{Bounce, Judgement, Ownership, Verdict};
    use crate::message::address::Address;
    use crate::report::dsn::{Recipient, ReportKind};
    use crate::report::returned_header::MessageOrigin;
    use crate::report::status_code::FailureClass;

    fn recipient(address: &str, action: &str) -> Recipient {
        Recipient {
            address: address.to_owned(),
            action: Some(action.to_owned()),
            status: Some("5.1.1".to_owned()),
            class: FailureClass::Hard,
            ..Recipient::default()
        }
    }

    fn bounce(origin: MessageOrigin, recipients: &[(&str, &str)]) -> Bounce {
        Bounce {
            kind: Some(ReportKind::Failure),
            recipients: recipients
                .iter()
                .map(|(address, action)| recipient(address, action))
                .collect(),
            origin,
            ownership: Ownership::NotShown,
            markers: Vec::new(),
            reporting_host: Some("mx.b.test".to_owned()),
            quoted_message_id: Some("<1@s.test>".to_owned()),
            quoted_sender: Some("s@s.test".to_owned()),
        }
    }

    /// Who is blamed, with which proof.
    fn blamed(bounce: &Bounce, token: Token<'_>, sent_to: &[&str], destinations: &[&str]) -> Vec<(String, Proof)> {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let (sent_to, destinations) = (owned(sent_to), owned(destinations));
        let evidence = AttributionEvidence {
            token,
            sent_to: &sent_to,
            destinations: &destinations,
        };
        let found = attribute_bounce(bounce, &evidence);
        found
            .into_iter()
            .map(|blame| (blame.destination, blame.proof))
            .collect()
    }

    #[test]
    fn a_report_blames_only_whom_it_proves_something_about() {
        let (ours, other) = (MessageOrigin::OurForward, MessageOrigin::Unknown);
        let b = &[("B@b.TEST", "failed")][..];
        let two = &[("b@b.test", "failed"), ("c@c.test", "delayed")][..];
        let beyond = &[("far@away.test", "failed")][..];
        let both = &["b@b.test", "c@c.test"][..];
        let is = |name: &str, proof| (name.to_owned(), proof);
        let (mark, id, token) = (Proof::LoopMark, Proof::MessageId, Proof::Token);
        let cases = [
            (
                "our mark",
                bounce(ours, b),
                Token::Unused,
                &[][..],
                &["b@b.test"][..],
                vec![is("b@b.test", mark)],
            ),
            ("no mark", bounce(other, b), Token::Unused, &[], &["b@b.test"], vec![]),
            (
                "the user's own mail",
                bounce(MessageOrigin::User, b),
                Token::Unused,
                &[],
                &["b@b.test"],
                vec![],
            ),
            (
                "a known Message-ID",
                bounce(other, b),
                Token::Unused,
                &["b@b.test"],
                &["b@b.test"],
                vec![is("b@b.test", id)],
            ),
            (
                "known, and no longer forwarded to",
                bounce(other, b),
                Token::Unused,
                &["b@b.test"],
                &[],
                vec![is("b@b.test", id)],
            ),
            (
                "two of two",
                bounce(ours, two),
                Token::Unused,
                &[],
                both,
                vec![is("b@b.test", mark), is("c@c.test", mark)],
            ),
            (
                "one of two",
                bounce(ours, b),
                Token::Unused,
                &[],
                both,
                vec![is("b@b.test", mark)],
            ),
            (
                "it failed behind the only one",
                bounce(ours, beyond),
                Token::Unused,
                &[],
                &["b@b.test"],
                vec![is("b@b.test", mark)],
            ),
            (
                "it failed behind one of two",
                bounce(ours, beyond),
                Token::Unused,
                &[],
                both,
                vec![],
            ),
            (
                "it failed behind the one it was sent to",
                bounce(ours, beyond),
                Token::Unused,
                &["b@b.test"],
                both,
                vec![is("b@b.test", id)],
            ),
            (
                "nobody is named",
                bounce(ours, &[]),
                Token::Unused,
                &[],
                &["b@b.test"],
                vec![is("b@b.test", mark)],
            ),
            (
                "a token beats what is written",
                bounce(other, beyond),
                Token::For("b@b.test"),
                &["c@c.test"],
                both,
                vec![is("b@b.test", token)],
            ),
            (
                "without a token nothing counts",
                bounce(ours, b),
                Token::Missing,
                &["b@b.test"],
                both,
                vec![],
            ),
        ];
        for (name, bounce, token, sent_to, destinations, want) in cases {
            assert_eq!(blamed(&bounce, token, sent_to, destinations), want, "{name}");
        }
    }

    #[test]
    fn a_bounce_of_own_mail_is_about_our_forward_where_that_failed() {
        let b = &[("b@b.test", "failed")][..];
        let x = &[("x@x.test", "failed")][..];
        for (recipients, token, had, want) in [
            (b, None, &["b@b.test"][..], MessageOrigin::OurForward),
            (&[][..], None, &["b@b.test"], MessageOrigin::OurForward),
            (x, Some("b@b.test"), &[], MessageOrigin::OurForward),
            (x, None, &["b@b.test"], MessageOrigin::User),
            (b, None, &[], MessageOrigin::User),
        ] {
            let mut judgement = Judgement {
                verdict: Verdict::Bounce(bounce(MessageOrigin::User, recipients)),
                null_sender: None,
                diverted_before: None,
                spam: None,
            };
            believe_history(&mut judgement, token, |_| {
                had.iter().map(|to| (*to).to_owned()).collect()
            });
            let Verdict::Bounce(found) = judgement.verdict else {
                unreachable!("it is a bounce");
            };
            assert_eq!(found.origin, want, "{recipients:?} {token:?} {had:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn addresses_that_are_not_read_are_compared_as_those_that_are(
            one in "[aAx][aA.+]{0,2}@[aAx][aA.-]{0,3}",
            other in "[aAx][aA.+]{0,2}@[aAx][aA.-]{0,3}",
        ) {
            let read = |text: &str| Address::parse(text);
            let want = read(&one).zip(read(&other)).is_some_and(|(one, other)| one.same_mailbox(&other, ""));
            proptest::prop_assert_eq!(is_same_address(&one, &other), want);
            proptest::prop_assert!(is_same_address(&one, &one.to_uppercase()));
        }
    }

    #[test]
    fn what_the_report_says_about_the_destination_itself_goes_along() {
        let mut report = bounce(
            MessageOrigin::OurForward,
            &[("x@x.test", "delivered"), ("b@b.test", "failed")],
        );
        let evidence = AttributionEvidence {
            token: Token::For("b@b.test"),
            sent_to: &[],
            destinations: &[],
        };
        let found = attribute_bounce(&report, &evidence);
        let blame = found.first().unwrap_or_else(|| unreachable!("nobody is blamed"));
        assert_eq!((blame.kind, blame.class), (ReportKind::Failure, FailureClass::Hard));
        assert_eq!(blame.host.as_deref(), Some("mx.b.test"));
        // A shape that nothing can be read from is still a report.
        report.recipients.clear();
        report.kind = None;
        let found = attribute_bounce(&report, &evidence);
        assert_eq!(found.first().map(|blame| blame.kind), Some(ReportKind::Failure));
    }
}
