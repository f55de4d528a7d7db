//! What the words of a reply mean: of which topic it speaks, and of whom or what. Only words of the same reply count
//! here, without its codes and its stage, which `failure` weighs.

use crate::report::absence::says_absent;
use crate::report::living_words::UNITS;
use crate::report::topic_words::TOPIC_WORDS;
use crate::report::topics::{
    ACCOUNT, BLOCKED, BLOCKLISTS, CLOSED, DOMAIN, ENDED, FAULT, FILE, FORBIDDEN, FROM, GIVEN_UP, HOST, LAPSED, MAIL,
    MESSAGE, MISSING, OWN, PERSON, PIECE, REFUSED, RELAYING, RULE, SENDING, SERVICE, TOPICS, Topic, UNAVAILABLE,
    UNKNOWN,
};
use crate::report::wording::Wording;

/// A file and what fails with it stand no farther apart than "could not be", in bytes.
const FILE_GAP: usize = 12;

/// Between `your` and `server` stands no more than `adresse`, in bytes.
const OWN_GAP: usize = 8;

/// Words for mail, as what a domain takes or does not.
const MAIL_NOUN: &[&str] = &["mail ", "email ", "messages "];

/// Words behind those that say which mail alone is meant.
const LIMIT_OF_MAIL: &[&str] = &[
    "from ", "sent ", "with ", "without ", "over ", "that ", "which ", "unless ", "until ",
];

impl Wording {
    /// What it is about; the first of the topics in their order.
    pub fn topic(&self) -> Topic {
        let said = self.topics();
        let has = |topic: Topic| {
            said.iter()
                .zip(TOPICS)
                .any(|(said, (other, _))| *said && *other == topic)
        };
        let by_words = TOPICS.iter().map(|(topic, _)| *topic).find(|topic| match topic {
            Topic::Blocked => (self.has_near(ACCOUNT, BLOCKED) || self.has_near(ACCOUNT, ENDED)) && !has(Topic::Later),
            Topic::Expired => {
                has(Topic::Expired) && !self.has_near(ACCOUNT, LAPSED)
                    || self.lacks_service()
                    || self.lacks_file()
                    || self.has_near(&["ldap"], FAULT)
            }
            Topic::Relay => has(Topic::Relay) || self.refuses_relaying() && !has(Topic::Later),
            // `accepts no mail without a subject`: it accepts other mail.
            Topic::NoMail => has(Topic::NoMail) && !self.has_within(MAIL_NOUN, LIMIT_OF_MAIL, 0),
            Topic::Full => has(Topic::Full) || self.has(UNITS) && self.has_person(),
            Topic::Size => has(Topic::Size) || self.has(UNITS) && !self.has_person(),
            Topic::Policy => has(Topic::Policy) || self.has(&["listed "]) && !self.has(&["not listed"]),
            Topic::Client => has(Topic::Client) || self.names_client(),
            Topic::Later => has(Topic::Later) || self.is_unsure(),
            Topic::Closed => {
                has(Topic::Closed) && self.is_about_address()
                    || self.has_near(ACCOUNT, LAPSED)
                    || self.has_near(PERSON, REFUSED) && !self.refuses_message() && !self.has_sending()
            }
            Topic::Refused => has(Topic::Refused) || self.refuses_message(),
            Topic::Missing => {
                !has(Topic::Later)
                    && (has(Topic::Missing) && self.is_about_address() || says_absent(self) && self.names_address())
            }
            Topic::Sender => {
                has(Topic::Sender) || self.has_within(OWN, HOST, OWN_GAP) || self.has_before(FROM, UNKNOWN)
            }
            Topic::Rate | Topic::Limit | Topic::Loop | Topic::Unsaid => has(*topic),
        });
        let topic = by_words.unwrap_or(Topic::Unsaid);
        if self.is_given_up() && topic != Topic::NoMail {
            return Topic::Expired;
        }
        // A reply that says why with nothing but the address of a blocklist's page.
        let is_blocklist = || BLOCKLISTS.iter().any(|name| self.names.contains(name));
        if topic >= Topic::Closed && is_blocklist() {
            Topic::Policy
        } else {
            topic
        }
    }

    /// Of which topics a word is there, in the order of `TOPICS`.
    fn topics(&self) -> [bool; TOPICS.len()] {
        let mut said = [false; TOPICS.len()];
        for (at, number) in TOPIC_WORDS.find_all(&self.plain) {
            let mut rest = number;
            let topic = TOPICS
                .iter()
                .position(|(_, words)| match rest.checked_sub(words.len()) {
                    Some(behind) => {
                        rest = behind;
                        false
                    }
                    None => true,
                });
            if let Some(said) = topic.and_then(|topic| said.get_mut(topic))
                && (self.is_start(at) || self.is_anywhere(TOPIC_WORDS.phrase(number)))
            {
                *said = true;
            }
        }
        said
    }

    /// Tells whether it speaks of a person or a mailbox.
    pub fn has_person(&self) -> bool {
        self.has(PERSON)
    }

    /// Tells whether it speaks of whoever sends or of a piece of the message.
    pub fn has_sending(&self) -> bool {
        self.has(SENDING)
    }

    /// Tells whether a message was given up. Whoever does says after how long, and at what it failed last:
    /// `Message expired, TLS negotiation failed`.
    pub fn is_given_up(&self) -> bool {
        self.has_near(MESSAGE, GIVEN_UP)
    }

    /// Tells whether what is unknown, invalid or closed may be an address: `invalid message format` names something
    /// else, and so does `192.0.2.5 not found`.
    fn is_about_address(&self) -> bool {
        let names_message = || MESSAGE.iter().any(|word| !MAIL.contains(word) && self.has(&[*word]));
        self.names_address() || !(self.has(PIECE) || self.has_sending() || self.names_client() || names_message())
    }

    /// Tells whether it names an address, by itself or with a word for one.
    fn names_address(&self) -> bool {
        self.has_person() || self.names.contains('@') || self.has(DOMAIN)
    }

    /// Tells whether nothing but a message is closed or unknown: `mail dropped`.
    pub fn is_about_mail(&self) -> bool {
        self.has(MESSAGE) && !self.names_address()
    }

    /// Tells whether it speaks of a part of the message.
    pub fn has_content(&self) -> bool {
        self.has(&["header", "body "])
    }

    /// Tells whether something is unknown, invalid or closed that is no address.
    pub fn faults_piece(&self) -> bool {
        (self.has(MISSING) || self.has(CLOSED) || says_absent(self)) && !self.is_about_address()
    }

    /// Tells whether it names a rule about whoever sends.
    pub fn names_rule(&self) -> bool {
        self.has(RULE)
    }

    /// Tells whether it says that a person or a mailbox is unknown, and names no rule and nobody who sends.
    pub fn lacks_person(&self) -> bool {
        let is_missing = || self.has_near(PERSON, MISSING) || self.has_near(MISSING, PERSON);
        !(self.names_rule() || self.has_sending() || self.names_client())
            && (is_missing() || self.has_person() && says_absent(self))
    }

    /// Tells whether it names an IP address or a network.
    fn names_client(&self) -> bool {
        self.names.split(' ').any(is_ip_address) || self.plain.split(' ').any(is_as_number)
    }

    /// Tells whether it has a word for what was closed, and not only a refusal of somebody.
    pub fn says_closed(&self) -> bool {
        self.has(CLOSED) || self.has_near(ACCOUNT, LAPSED)
    }

    /// Tells whether it says that a message was refused, and not an address.
    pub fn refuses_message(&self) -> bool {
        self.has_near(MESSAGE, REFUSED) || self.has_near(REFUSED, MESSAGE)
    }

    /// Tells whether it refuses to hand mail on, and not by a rule about whoever sends: `open relay` is a word for a
    /// host.
    fn refuses_relaying(&self) -> bool {
        (self.has_near(RELAYING, REFUSED) || self.has_near(RELAYING, FORBIDDEN)) && !self.names_rule()
    }

    /// Tells whether the host is unavailable, and not a mailbox there: `554 mx.c.test ESMTP not available`.
    fn lacks_service(&self) -> bool {
        self.has_near(SERVICE, UNAVAILABLE) && !self.has_person()
    }

    /// Tells whether a file is not there, or cannot be used, in which a mailbox is kept: `cannot lock maildir`.
    fn lacks_file(&self) -> bool {
        const NEGATION: &[&str] = &["not ", "cannot ", "unable ", "no such "];
        !self.has(&["on file "]) && self.has_within(NEGATION, FILE, FILE_GAP)
            || self.has_within(FILE, NEGATION, FILE_GAP)
    }

    /// Tells whether it leaves open what the reason is. `550 Mailbox unavailable or access denied` is said of mailboxes
    /// that get too much as well, and whoever cannot check a recipient does not know.
    fn is_unsure(&self) -> bool {
        self.has(UNAVAILABLE) && self.has_near(&["or "], REFUSED)
            || (self.has_person() || self.names.contains('@'))
                && self.has_near(
                    &["not ", "cannot ", "unable "],
                    &["verif", "check", "validat", "determin"],
                )
    }
}

/// Tells whether `name` is an IPv4 address, in brackets or not.
fn is_ip_address(name: &str) -> bool {
    let bare = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    bare.parse::<core::net::Ipv4Addr>().is_ok()
}

/// Tells whether `word` is the number of a network, `as64500`.
fn is_as_number(word: &str) -> bool {
    let digits = word.strip_prefix("as").unwrap_or_default();
    digits.len() >= 3 && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{
        ACCOUNT, BLOCKED, DOMAIN, ENDED, FAULT, FILE, FORBIDDEN, FROM, GIVEN_UP, HOST, LAPSED, MAIL, MESSAGE, OWN,
        PERSON, PIECE, REFUSED, RELAYING, RULE, SENDING, SERVICE, TOPICS, Topic, UNAVAILABLE, UNITS, UNKNOWN, Wording,
    };

    #[test]
    fn names_and_urls_are_no_words() {
        for (reply, topic) in [
            ("550 5.1.1 <spam@policy.test>: User unknown", Topic::Missing),
            ("550 No such user, see http://antispam.c.test/quota", Topic::Missing),
            ("550 http://www.spamhaus.org/query/ip/192.0.2.5", Topic::Policy),
            ("550 RESOLVER.ADR.RecipNotFound; not found", Topic::Missing),
            ("550 User unknown.Please look again", Topic::Missing),
            ("554 QuotaExceededException", Topic::Full),
            ("550 That user doesn\u{2019}t exist", Topic::Missing),
            ("550 mailbox full.", Topic::Full),
            ("550 BUZÓN LLENO", Topic::Full),
            ("550 generate separate", Topic::Unsaid),
            ("550 Empfaenger ungueltig", Topic::Missing),
            ("550 Postfach uebervoll", Topic::Full),
            ("552 38 MB cannot go through", Topic::Size),
            ("552 the mailbox holds 38 MB", Topic::Full),
            ("552 the mailbox holds 38MB", Topic::Full),
            ("550 account at 102%", Topic::Full),
            ("550 no such user: x%c", Topic::Missing),
            ("550 body hash did not verify", Topic::Unsaid),
            ("550 cannot verify x@c.test", Topic::Later),
            ("550 AS64500 for all recipients", Topic::Client),
            ("550 only members may post here", Topic::Policy),
            ("550 no such user here, if in doubt write to postmaster", Topic::Missing),
            ("550 as is, for 64500", Topic::Unsaid),
            ("550", Topic::Unsaid),
        ] {
            assert_eq!(Wording::of(reply).topic(), topic, "{reply}");
        }
        let reply = Wording::of("550 <S@s.test>: no; not b.s@s.test.uk");
        assert!(reply.names("s@s.test"));
        assert!(!Wording::of("550 b.s@s.test, s@s.test-x, s@s.testing").names("s@s.test"));
        assert!(!reply.names(""));
    }

    #[test]
    fn every_word_is_written_as_it_is_looked_for() {
        let lists = [
            ACCOUNT,
            BLOCKED,
            DOMAIN,
            ENDED,
            FAULT,
            FILE,
            FORBIDDEN,
            FROM,
            GIVEN_UP,
            HOST,
            LAPSED,
            MAIL,
            MESSAGE,
            OWN,
            PERSON,
            PIECE,
            REFUSED,
            RELAYING,
            RULE,
            SENDING,
            SERVICE,
            UNAVAILABLE,
            UNITS,
            UNKNOWN,
        ];
        let all = TOPICS.iter().map(|(_, words)| *words).chain(lists);
        let wrong: Vec<&str> = all
            .flatten()
            .copied()
            .filter(|word| {
                let plain = Wording::of(word).plain;
                plain.trim().split("  ").next() != Some(word.trim())
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_mailbox_is_blocked_and_so_is_a_sender() {
        for (reply, topic) in [
            ("550 This mailbox has been blocked", Topic::Blocked),
            ("550 Konto gesperrt", Topic::Blocked),
            ("550 Mailbox unavailable, the message was blocked", Topic::Policy),
            ("550 192.0.2.5 is blocked", Topic::Policy),
            ("550 your IP is blocked by this account", Topic::Sender),
        ] {
            assert_eq!(Wording::of(reply).topic(), topic, "{reply}");
        }
    }
}
