//! What a failure means for the next message to the same address: whether that is dead, or only this time, or only this
//! message.
//!
//! Words that overrule everything come first: full, rate, sender, policy, size. The stage follows, then words about the
//! address. The far side's own enhanced status is next, then its reply code at RCPT. The reporter's `Status` comes
//! last. A list of phrases would never be complete. So a refusal at RCPT without any word that overrules is about the
//! address, in every language. `docs/suspension.md` shows the same as a table.

use crate::report::stage::SmtpStage;
use crate::report::status_code::{Basis, FailureClass, StatusSubject, find_reply_code, find_status, from_reply_code};
use crate::report::topics::Topic;
use crate::report::wording::Wording;

/// What is known of one failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct FailureEvidence<'a> {
    /// `Status`, as whoever reports wrote it (RFC 3464 section 2.3.4).
    pub status: Option<&'a str>,
    /// What the far side answered, or else what the reporter says: `Diagnostic-Code`, or the words of a report.
    pub reply: &'a str,
    /// At which stage, where anything says so.
    pub stage: Option<SmtpStage>,
    /// The address that failed.
    pub recipient: &'a str,
    /// Who sent the message, in the envelope and in the header.
    pub senders: &'a [String],
}

/// The far side's own codes, from its reply.
#[derive(Clone, Copy, Debug, Default)]
struct Codes<'a> {
    /// The reply code, `550` (RFC 5321 section 4.2).
    reply: Option<u16>,
    /// The enhanced status, `5.1.1` (RFC 3463); none where that says nothing, `5.0.0`.
    enhanced: Option<&'a str>,
}

impl<'a> Codes<'a> {
    /// Reads them. Where words come without any code, nobody was asked but who reports, and `Status` is its own.
    fn read(reply: &'a str, status: Option<&'a str>) -> Self {
        let (code, found) = (find_reply_code(reply), find_status(reply));
        let own = status.filter(|_| code.is_none() && found.is_none());
        Self {
            reply: code,
            enhanced: found.or(own).filter(|status| !status.ends_with(".0.0")),
        }
    }

    /// Tells whether the far side has trouble of its own (RFC 3463, 4.3.x and 4.4.x), whatever it names in it:
    /// `451 4.3.0 content scanner did not answer`.
    fn is_trouble(self) -> bool {
        let own =
            |status: StatusSubject| matches!((status.subject, status.detail), (3, 0 | 1 | 3 | 5) | (4, 0..=5 | 7));
        let transient = self.enhanced.filter(|status| status.starts_with('4'));
        transient.and_then(StatusSubject::read).is_some_and(own)
    }

    /// Tells whether the far side may take it later.
    fn is_transient(self, status: Option<&str>) -> bool {
        match (self.enhanced, self.reply) {
            (Some(enhanced), _) if enhanced.starts_with('4') => true,
            (_, Some(code)) => (400..500).contains(&code),
            (Some(_), None) => false,
            (None, None) => status.is_some_and(|status| status.starts_with('4')),
        }
    }

    /// Tells whether the reply is to how the session goes, or asks for authentication (RFC 5321 section 4.2.2, RFC
    /// 4954).
    fn is_about_session(self) -> bool {
        matches!(self.reply, Some(500 | 502..=504 | 530..=538 | 555))
    }

    fn is_permanent(self, status: Option<&str>) -> bool {
        match (self.reply, self.enhanced.or(status)) {
            (Some(code), _) => (500..600).contains(&code),
            (None, Some(status)) => status.starts_with('5'),
            (None, None) => false,
        }
    }
}

impl FailureEvidence<'_> {
    /// Weighs it.
    pub fn class(&self) -> FailureClass {
        self.weigh().0
    }

    /// Weighs it, and says how sure that is.
    pub fn weigh(&self) -> (FailureClass, Basis) {
        if self.status.is_some_and(|status| status.starts_with('2')) {
            return (FailureClass::Neither, Basis::Said);
        }
        let codes = Codes::read(self.reply, self.status);
        if codes.is_trouble() {
            return (FailureClass::Soft, Basis::Said);
        }
        let words = Wording::of(self.reply);
        let stage = self.stage.or_else(|| SmtpStage::find(self.reply));
        let topic = self.topic(&words, codes);
        let class = match topic {
            // These overrule every status.
            Topic::Full | Topic::Rate => FailureClass::Soft,
            Topic::Size | Topic::Sender | Topic::Policy => FailureClass::Message,
            Topic::Limit => FailureClass::Soft,
            Topic::Loop => FailureClass::Message,
            // No host takes mail for that domain: whatever the stage.
            Topic::NoMail => FailureClass::Hard,
            Topic::Expired => FailureClass::Soft,
            Topic::Relay
            | Topic::Blocked
            | Topic::Missing
            | Topic::Client
            | Topic::Later
            | Topic::Closed
            | Topic::Refused
            | Topic::Unsaid => {
                if codes.is_transient(self.status) {
                    return (FailureClass::Soft, Basis::Said);
                }
                match (topic, stage) {
                    (_, Some(SmtpStage::Session | SmtpStage::Sender)) | (Topic::Client, _) => FailureClass::Message,
                    (Topic::Missing | Topic::Closed, Some(SmtpStage::Data) | None) if words.is_about_mail() => {
                        self.class_after_data(codes)
                    }
                    (Topic::Closed, Some(SmtpStage::Data)) if !words.says_closed() => self.class_after_data(codes),
                    (Topic::Missing, Some(SmtpStage::Data)) if words.has_content() => self.class_after_data(codes),
                    (Topic::Relay | Topic::Blocked | Topic::Missing | Topic::Closed, _) => FailureClass::Hard,
                    (Topic::Later, _) => FailureClass::Soft,
                    (_, Some(SmtpStage::Data)) => self.class_after_data(codes),
                    (_, Some(SmtpStage::Recipient) | None) => return self.weigh_codes(topic, stage, &words, codes),
                }
            }
        };
        (class, Basis::Said)
    }

    /// What the words are about, unless the far side's status names a topic that comes before.
    fn topic(&self, words: &Wording, codes: Codes<'_>) -> Topic {
        let said = words.topic();
        let gave_up = |status: StatusSubject| (status.subject, status.detail) == (4, 7);
        if said != Topic::NoMail
            && (words.is_given_up() || self.status.and_then(StatusSubject::read).is_some_and(gave_up))
        {
            return Topic::Expired;
        }
        let status = codes.enhanced.and_then(StatusSubject::read);
        let is_lasting = codes.is_permanent(self.status);
        let by_status = status
            .and_then(topic_of)
            .filter(|topic| is_lasting || *topic != Topic::Policy);
        let topic = match by_status {
            // How much came is a reason here, and what was refused for good is whoever sends.
            Some(Topic::Policy) | None if said == Topic::Rate && is_lasting && words.names_rule() => Topic::Policy,
            // Words and status agree that nobody is there: any other word is a detail, as in `no such proxy address`.
            None if matches!(said, Topic::Policy | Topic::Later)
                && is_lasting
                && status.is_some_and(is_no_mailbox)
                && words.lacks_person() =>
            {
                Topic::Missing
            }
            Some(Topic::Size) if said == Topic::Full && !words.has_person() => Topic::Size,
            // RFC 7505 gives 5.7.27 to a sender without mail; some give it to recipients.
            Some(_) if said == Topic::NoMail && status.is_some_and(|status| status.detail == 27) => said,
            Some(by_status) => said.min(by_status),
            None => said,
        };
        // It says no, and names the sender alone: `550 5.1.0 <s@s.test> refused`.
        let names_sender = topic > Topic::Sender
            && !words.names(self.recipient)
            && self
                .senders
                .iter()
                .any(|sender| words.names(sender) || self.names_domain_of(words, sender));
        if names_sender { Topic::Sender } else { topic }
    }

    /// Tells whether it names the sender's domain, and the recipient's is another:
    /// `550 s.test has no MX, cannot answer`.
    fn names_domain_of(&self, words: &Wording, sender: &str) -> bool {
        let domain = |address: &str| address.rsplit_once('@').map(|(_, domain)| domain.to_lowercase());
        domain(sender)
            .is_some_and(|sender| domain(self.recipient).is_some_and(|own| own != sender) && words.names(&sender))
    }

    /// Without words about the address, whatever is refused after DATA is the message.
    fn class_after_data(&self, codes: Codes<'_>) -> FailureClass {
        let by_status = codes
            .enhanced
            .or(self.status)
            .and_then(StatusSubject::read)
            .and_then(StatusSubject::class);
        match by_status {
            Some(FailureClass::Soft) => FailureClass::Soft,
            Some(FailureClass::Hard | FailureClass::Message | FailureClass::Neither) | None => FailureClass::Message,
        }
    }

    /// Without words that can be read, the codes decide, and the stage.
    fn weigh_codes(
        &self,
        topic: Topic,
        stage: Option<SmtpStage>,
        words: &Wording,
        codes: Codes<'_>,
    ) -> (FailureClass, Basis) {
        let at_recipient = stage == Some(SmtpStage::Recipient);
        let far = codes.enhanced.and_then(StatusSubject::read);
        // No host answers RCPT with "no answer from host" (RFC 3463, x.4.1); Microsoft's do, about addresses.
        if let Some(class) = far
            .filter(|far| !(at_recipient && far.is_no_answer()))
            .and_then(StatusSubject::class)
        {
            let is_sentence = || topic == Topic::Unsaid && codes.reply.is_some() && is_long(self.reply);
            let is_sure = class != FailureClass::Hard || !is_sentence();
            return (class, if is_sure { Basis::Said } else { Basis::Presumed });
        }
        if topic == Topic::Refused && words.refuses_message() {
            return (FailureClass::Message, Basis::Said);
        }
        let names_mailbox = words.has_person() || words.names(self.recipient);
        let is_about_sending =
            topic == Topic::Unsaid && !names_mailbox && (words.has_sending() || words.faults_piece());
        if at_recipient && (codes.is_about_session() || is_about_sending) {
            return (FailureClass::Message, Basis::Said);
        }
        let is_plain = topic == Topic::Unsaid || names_mailbox;
        // RFC 5321 section 4.2.3: "exceeded storage allocation".
        if at_recipient && topic == Topic::Unsaid && codes.reply == Some(552) {
            return (FailureClass::Soft, Basis::Said);
        }
        if at_recipient && codes.is_permanent(self.status) && is_plain {
            return (FailureClass::Hard, Basis::Presumed);
        }
        if let Some(class) = self.status.and_then(StatusSubject::read).and_then(StatusSubject::class) {
            return (class, Basis::Said);
        }
        // RFC 5321 section 4.2.3: these are about mailboxes, and sites use them for everything.
        let is_mailbox_code = matches!(codes.reply, Some(510 | 511 | 513 | 550 | 551 | 553));
        if is_mailbox_code && topic == Topic::Unsaid && names_mailbox {
            (FailureClass::Hard, Basis::Presumed)
        } else {
            (FailureClass::Neither, Basis::Said)
        }
    }
}

/// Tells whether the far side says so much that its status is not all of it. Policies come with the status of an
/// unknown address as well.
fn is_long(reply: &str) -> bool {
    /// `The account has been administratively put on hold`, with its reply code; of what is unread about dead
    /// addresses, nothing is longer.
    const WORDS: usize = 10;
    let far = from_reply_code(reply).unwrap_or(reply);
    let words = far
        .split_whitespace()
        .filter(|word| word.contains(char::is_alphanumeric) && !word.contains(['.', '@', '/']));
    words.count() > WORDS
}

/// Tells whether a status says that there is no such mailbox, that it moved, or that its domain takes no mail.
fn is_no_mailbox(status: StatusSubject) -> bool {
    matches!((status.subject, status.detail), (1, 1 | 6 | 10))
}

/// The topic that an enhanced status names by itself, in no language (RFC 3463 section 3).
fn topic_of(status: StatusSubject) -> Option<Topic> {
    match (status.subject, status.detail) {
        (2, 2) | (3, 1) => Some(Topic::Full),
        (2, 3) | (3, 4) => Some(Topic::Size),
        (1, 7 | 8) => Some(Topic::Sender),
        (4, 5) | (5, 3) => Some(Topic::Rate),
        (4, 6 | 14) => Some(Topic::Loop),
        // The content, or how it is written.
        (6, _) => Some(Topic::Policy),
        // Owners that changed (RFC 7293): that is the address.
        (7, 17 | 18) => Some(Topic::Missing),
        // 5.7.0 and 5.7.1 are given for everything, the others each for one thing.
        (7, 2..) => Some(Topic::Policy),
        _ => None,
    }
}

/// The class of a status and of what was said, where nothing else is known.
pub fn class_of(status: Option<&str>, reply: &str) -> FailureClass {
    let evidence = FailureEvidence {
        status,
        reply,
        ..FailureEvidence::default()
    };
    evidence.class()
}

#[cfg(test)]
mod tests {
    use super::{FailureEvidence, class_of};
    use crate::report::stage::SmtpStage;
    use crate::report::status_code::{Basis, FailureClass};

    #[test]
    fn after_data_a_word_for_people_is_no_address() {
        for reply in [
            "550 From: contains two mailboxes, refused by a check",
            "554 The list of recipients is not valid in this header",
            "554 Reference to unknown user in the body",
        ] {
            let evidence = FailureEvidence {
                reply,
                stage: Some(SmtpStage::Data),
                ..FailureEvidence::default()
            };
            assert_eq!(evidence.class(), FailureClass::Message, "{reply}");
        }
        let evidence = FailureEvidence {
            reply: "554 There is no account x@c.test here",
            stage: Some(SmtpStage::Data),
            ..FailureEvidence::default()
        };
        assert_eq!(evidence.class(), FailureClass::Hard);
    }

    #[test]
    fn the_status_of_whoever_speaks_without_codes_is_its_own() {
        for (status, words, class) in [
            ("5.2.2", "mailbox x: error writing message", FailureClass::Soft),
            (
                "5.4.7",
                "given up, last answer was 451 4.7.500 busy",
                FailureClass::Soft,
            ),
            ("4.3.0", "451 4.3.0 spam filter does not answer", FailureClass::Soft),
            (
                "5.0.0",
                "550 5.1.1 no such proxy address for x@c.test",
                FailureClass::Hard,
            ),
            (
                "5.0.0",
                "550 5.1.1 recipient unknown to your policy",
                FailureClass::Message,
            ),
        ] {
            assert_eq!(class_of(Some(status), words), class, "{status} {words}");
        }
    }

    #[test]
    fn a_status_beside_much_that_is_unread_is_presumed() {
        for (reply, class, basis) in [
            ("550 5.1.1 xyzzy", FailureClass::Hard, Basis::Said),
            (
                "550 5.1.1 <x@c.test>: un du trois qua cin six set hui neu dis",
                FailureClass::Hard,
                Basis::Presumed,
            ),
            (
                "550 5.1.1 <x@c.test>: no such user, un du trois qua cin six set hui neu",
                FailureClass::Hard,
                Basis::Said,
            ),
            (
                "550 5.1.7 un du trois qua cin six set hui neu dis",
                FailureClass::Message,
                Basis::Said,
            ),
            ("503 5.5.1 xyzzy", FailureClass::Message, Basis::Said),
            ("550 subject xyzzy", FailureClass::Message, Basis::Said),
            ("550 mailbox of your xyzzy", FailureClass::Hard, Basis::Presumed),
        ] {
            let evidence = FailureEvidence {
                reply,
                stage: Some(SmtpStage::Recipient),
                recipient: "x@c.test",
                ..FailureEvidence::default()
            };
            assert_eq!(evidence.weigh(), (class, basis), "{reply}");
        }
    }
}
