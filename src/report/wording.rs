//! What a reply speaks about: the mailbox that is full, the rate, the sender, a blocklist, the address that is not
//! there. Read from single words of many languages, not from whole phrases: every site writes its own.
//!
//! Names say nothing by what they are called: addresses, host names and URLs are kept apart from the words.

use crate::report::letters::{has_split_umlaut, is_accent, is_mark, without_accent};
use crate::report::living_words::UNITS;
use crate::report::topic_words::TOPIC_WORDS;
use crate::report::topics::{
    ACCOUNT, BLOCKED, BLOCKLISTS, FAULT, FORBIDDEN, GIVEN_UP, LAPSED, MESSAGE, NEUTRAL, PERSON, REFUSED, RELAYING,
    SENDING, SERVICE, TOPICS, Topic, UNAVAILABLE,
};

/// As much of a reply as is read, in bytes. What a far side has to say stands at its beginning.
const REPLY_BYTES: usize = 2 * 1024;

/// Two words belong together where no more stands between them than "has been", in bytes.
const NEAR: usize = 20;

/// The words of a reply, in one plain form.
#[derive(Clone, Debug, Default)]
pub struct Wording {
    /// Lower case, without accents, one blank around each word.
    plain: String,
    /// Addresses, host names and URLs, in lower case.
    names: String,
    /// Where words begin in `plain`, by their first two bytes, in order: hundreds of words are looked for in one reply.
    starts: Vec<([u8; 2], usize)>,
    /// Which pairs of bytes these are, a bit for several: most words are not there, and need no search.
    pairs: [u64; PAIRS],
}

/// So many times 64 bits tell pairs of bytes apart.
const PAIRS: usize = 16;

/// Where the bit of a pair is.
fn bit_of([first, second]: [u8; 2]) -> (usize, u64) {
    let hash = usize::from(first) * 37 + usize::from(second);
    (hash / 64 % PAIRS, 1 << (hash % 64))
}

impl Wording {
    /// Reads `reply`.
    pub fn of(reply: &str) -> Self {
        let mut end = reply.len().min(REPLY_BYTES);
        while !reply.is_char_boundary(end) {
            end -= 1;
        }
        let mut wording = Self {
            plain: " ".to_owned(),
            names: String::new(),
            starts: Vec::new(),
            pairs: [0; PAIRS],
        };
        for word in reply.get(..end).unwrap_or_default().split_whitespace() {
            if word.contains("://") || !word.contains('@') {
                wording.push(word);
            } else {
                // `(b@b.test:blocked)` is an address and a word.
                word.split(|c: char| "()<>[]:;,\"".contains(c))
                    .for_each(|piece| wording.push(piece));
            }
        }
        wording.push_without_umlauts();
        for neutral in NEUTRAL {
            if wording.plain.contains(neutral) {
                wording.plain = wording.plain.replace(neutral, " ");
            }
        }
        wording.index();
        wording
    }

    /// Adds the text once more, far behind itself, as it is where `ä`, `ö` and `ü` are written with two letters:
    /// `ungueltig` is `ungultig`.
    fn push_without_umlauts(&mut self) {
        if !has_split_umlaut(&self.plain) {
            return;
        }
        let folded = self.plain.replace("ae", "a").replace("oe", "o").replace("ue", "u");
        self.plain.extend(core::iter::repeat_n(' ', 2 * NEAR));
        self.plain.push_str(&folded);
    }

    /// Notes where words begin: behind what is no letter and no digit, or belongs to a script without blanks.
    fn index(&mut self) {
        let mut before = None;
        for (at, c) in self.plain.char_indices() {
            if !before.is_some_and(|b: char| b.is_alphanumeric() && b < '\u{0590}')
                && let Some(&[first, second]) = self.plain.as_bytes().get(at..at + 2)
            {
                self.starts.push(([first, second], at));
                let (place, bit) = bit_of([first, second]);
                if let Some(pairs) = self.pairs.get_mut(place) {
                    *pairs |= bit;
                }
            }
            before = Some(c);
        }
        self.starts.sort_unstable();
    }

    /// Adds a name as it is. `RecipientNotFound;` becomes `recipient not found`, `doesn't` `does not`.
    fn push(&mut self, word: &str) {
        if is_name(word) {
            self.names.extend(word.chars().flat_map(char::to_lowercase));
            self.names.push(' ');
            return;
        }
        let mut before = ' ';
        let mut chars = word.chars().peekable();
        while let Some(c) = chars.next() {
            if c.is_alphanumeric() {
                let starts = before.is_lowercase() && c.is_uppercase();
                if starts || before.is_ascii_digit() && is_unit(c, chars.clone()) {
                    self.plain.push(' ');
                }
                if c.is_ascii() {
                    self.plain.push(c.to_ascii_lowercase());
                } else {
                    self.plain
                        .extend(c.to_lowercase().filter(|c| !is_accent(*c)).map(without_accent));
                }
            } else {
                let is_apostrophe = matches!(c, '\'' | '\u{2019}' | '`');
                if is_apostrophe && self.plain.ends_with('n') && matches!(chars.peek(), Some('t' | 'T')) {
                    chars.next();
                    self.plain.pop();
                    self.plain.push_str(" not ");
                } else if c == '%'
                    && before.is_ascii_digit()
                    && !chars.peek().is_some_and(|next| next.is_alphanumeric())
                {
                    // `102%` is about a limit; `user%host` is an address of old.
                    self.plain.push_str(" percent ");
                } else if is_mark(c) && !self.plain.ends_with(' ') {
                    self.plain.push(' ');
                }
            }
            before = c;
        }
        if !self.plain.ends_with(' ') {
            self.plain.push(' ');
        }
    }

    /// What it is about; the first of the topics in their order.
    pub fn topic(&self) -> Topic {
        let said = self.topics();
        let has = |topic: Topic| {
            said.iter()
                .zip(TOPICS)
                .any(|(said, (other, _))| *said && *other == topic)
        };
        let by_words = TOPICS.iter().map(|(topic, _)| *topic).find(|topic| match topic {
            Topic::Blocked => self.has_near(ACCOUNT, BLOCKED) && !has(Topic::Later),
            Topic::Expired => {
                has(Topic::Expired) && !self.has_near(ACCOUNT, LAPSED)
                    || self.lacks_service()
                    || self.has_near(&["ldap"], FAULT)
            }
            Topic::Relay => has(Topic::Relay) || self.refuses_relaying() && !has(Topic::Later),
            Topic::NoMail => {
                has(Topic::NoMail)
                    && !self.has(&["mail from", "email from", "messages from", "mail sent", "email sent"])
            }
            Topic::Full => has(Topic::Full) || self.has(UNITS) && self.has_person(),
            Topic::Size => has(Topic::Size) || self.has(UNITS) && !self.has_person(),
            Topic::Policy => has(Topic::Policy) || self.has(&["listed "]) && !self.has(&["not listed"]),
            Topic::Client => {
                has(Topic::Client)
                    || self.names.split(' ').any(is_ip_address)
                    || self.plain.split(' ').any(is_as_number)
            }
            Topic::Later => has(Topic::Later) || self.is_unsure(),
            Topic::Closed => {
                has(Topic::Closed)
                    || self.has_near(ACCOUNT, LAPSED)
                    || self.has_near(PERSON, REFUSED) && !self.refuses_message()
            }
            Topic::Refused => has(Topic::Refused) || self.refuses_message(),
            Topic::Rate | Topic::Sender | Topic::Limit | Topic::Loop | Topic::Missing | Topic::Unsaid => has(*topic),
        });
        let topic = by_words.unwrap_or(Topic::Unsaid);
        // Whoever gave a message up says after how long, and at what it failed last:
        // `Message expired, TLS negotiation failed`.
        if self.has_near(MESSAGE, GIVEN_UP) && topic != Topic::NoMail {
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

    /// Tells whether a word begins at byte `at`.
    fn is_start(&self, at: usize) -> bool {
        let pair = self.plain.as_bytes().get(at..).and_then(<[u8]>::first_chunk::<2>);
        pair.is_some_and(|pair| self.starts.binary_search(&(*pair, at)).is_ok())
    }

    /// Tells whether `word` counts wherever it stands: it is of a script without blanks.
    fn is_anywhere(&self, word: &str) -> bool {
        word.chars().next().is_some_and(|c| c >= '\u{0590}') && !self.plain.is_ascii()
    }

    /// Tells whether it speaks of a person or a mailbox.
    pub fn has_person(&self) -> bool {
        self.has(PERSON)
    }

    /// Tells whether it speaks of whoever sends or of a piece of the message.
    pub fn has_sending(&self) -> bool {
        self.has(SENDING)
    }

    /// Tells whether it says that a message was refused, and not an address.
    pub fn refuses_message(&self) -> bool {
        self.has_near(MESSAGE, REFUSED) || self.has_near(REFUSED, MESSAGE)
    }

    /// Tells whether it refuses to hand mail on, and not by a rule about whoever sends: `open relay` is a word for a
    /// host.
    fn refuses_relaying(&self) -> bool {
        (self.has_near(RELAYING, REFUSED) || self.has_near(RELAYING, FORBIDDEN))
            && !self.has(&[
                "open relay",
                "polic",
                "rule ",
                "reputation",
                "spam",
                "blacklist",
                "blocklist",
            ])
    }

    /// Tells whether the host is unavailable, and not a mailbox there: `554 mx.c.test ESMTP not available`.
    fn lacks_service(&self) -> bool {
        self.has_near(SERVICE, UNAVAILABLE) && !self.has_person()
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

    /// Tells whether it names this address.
    pub fn names(&self, address: &str) -> bool {
        let address = address.to_lowercase();
        !address.is_empty()
            && self.names.match_indices(&address).any(|(at, _)| {
                let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
                let before = self.names.get(..at).and_then(|head| head.chars().next_back());
                let after = self.names.get(at + address.len()..).unwrap_or_default();
                // A full stop may end the sentence.
                let after = after.strip_prefix('.').unwrap_or(after).chars().next();
                !before.is_some_and(is_part) && !after.is_some_and(|c| c.is_alphanumeric() || c == '-')
            })
    }

    fn has(&self, words: &[&str]) -> bool {
        words
            .iter()
            .any(|word| self.may_have(word) && self.find(word).next().is_some())
    }

    /// Tells whether a word may begin as `word` does. Of scripts without blanks any may.
    fn may_have(&self, word: &str) -> bool {
        let Some(pair) = word.as_bytes().first_chunk::<2>() else {
            return true;
        };
        let (place, bit) = bit_of(*pair);
        // Hebrew, the first of those scripts, is written with such bytes.
        pair[0] >= 0xd6 || self.pairs.get(place).is_some_and(|pairs| pairs & bit != 0)
    }

    /// Tells whether one of `second` stands close behind one of `first`.
    fn has_near(&self, first: &[&str], second: &[&str]) -> bool {
        let near = |from: usize, at: usize| at >= from && at - from <= NEAR;
        first.iter().filter(|one| self.may_have(one)).any(|one| {
            self.find(one).any(|start| {
                let end = start + one.len();
                second.iter().any(|other| self.find(other).any(|at| near(end, at)))
            })
        })
    }

    /// Where `word` stands, at the beginning of a word: a blank at its end ends that, too. Scripts without blanks have
    /// it anywhere.
    fn find<'w>(&'w self, word: &'w str) -> impl Iterator<Item = usize> + 'w {
        let anywhere = self.is_anywhere(word);
        let everywhere = anywhere.then(|| self.plain.match_indices(word).map(|(at, _)| at));
        let key = word.as_bytes().first_chunk::<2>().copied().filter(|_| !anywhere);
        let from = self.starts.partition_point(|(start, _)| Some(*start) < key);
        let alike = self
            .starts
            .iter()
            .skip(from)
            .take_while(move |(start, _)| Some(*start) == key);
        let at_starts = alike.map(|(_, at)| *at);
        let at_starts = at_starts.filter(move |at| {
            self.plain
                .as_bytes()
                .get(*at..)
                .is_some_and(|rest| rest.starts_with(word.as_bytes()))
        });
        everywhere.into_iter().flatten().chain(at_starts)
    }
}

/// Tells whether `first` and the letters behind it are a unit of size: `15GB` is two words.
fn is_unit(first: char, rest: impl Iterator<Item = char>) -> bool {
    let letters = core::iter::once(first).chain(rest).take_while(|c| c.is_alphanumeric());
    let unit: String = letters.flat_map(char::to_lowercase).take(4).collect();
    UNITS.iter().any(|known| known.trim_end() == unit)
}

/// Tells whether `word` is an address, a URL, a host name, an IP address or a status code.
/// `RESOLVER.ADR.RecipientNotFound` and the seam of two sentences are words.
fn is_name(word: &str) -> bool {
    if word.contains('@') || word.contains("://") {
        return true;
    }
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let mut labels = bare.split('.');
    let first = labels.next().unwrap_or_default();
    let rest: Vec<&str> = labels.collect();
    !rest.is_empty()
        && !first.is_empty()
        && bare.is_ascii()
        && rest
            .iter()
            .all(|label| !label.is_empty() && !label.starts_with(|c: char| c.is_ascii_uppercase()))
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
        ACCOUNT, BLOCKED, FAULT, FORBIDDEN, GIVEN_UP, LAPSED, MESSAGE, PERSON, REFUSED, RELAYING, SENDING, SERVICE,
        TOPICS, Topic, UNAVAILABLE, UNITS, Wording,
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
            ("550 It doesn\u{2019}t exist", Topic::Missing),
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
            FAULT,
            FORBIDDEN,
            GIVEN_UP,
            LAPSED,
            MESSAGE,
            PERSON,
            REFUSED,
            RELAYING,
            SENDING,
            SERVICE,
            UNAVAILABLE,
            UNITS,
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
