//! What a message that is to be sent on looks like, as far as it matters for who made it and why: who wrote it, which host handed it
//! over, what its subject and its text share with others. Of what was sent on some numbers are remembered, never a text.
//!
//! Numbers are hashes: two messages may share one by chance, so no rule goes by a single one of subject or text.

use std::collections::BTreeSet;

use memchr::memchr;

use crate::classify::verdict::{Judgement, Verdict};
use crate::deliver::forward::rules::text_hash::{hash_pieces, hash_text};
use crate::message::Message;
use crate::message::address::{Address, OwnAddresses};
use crate::message::envelope::Sender;
use crate::message::key::of_id;
use crate::message::mime::{MimeParts, PartKind};
use crate::message::text::{
    decode_transfer_encoding, decoded_value, normalize_words, part_text, starts_with_ignoring_case,
};

/// As many words of a subject are remembered.
pub const SUBJECT_WORDS: usize = 10;

/// As many people of a header, and pieces of a text.
const PEOPLE: usize = 16;
const TEXT_PIECES: usize = 8;

/// As many texts of a message are compared, the first ones: as plain text, as HTML, and two that are attached.
const TEXTS: usize = 4;

/// As many Message-IDs that a message names are looked up, the last ones.
const REFERENCES: usize = 20;

/// What is remembered of a message that was sent on, or kept instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Who wrote it, going by `From`.
    pub from: u32,
    /// Whose host handed it over to this site; zero where it was made here.
    pub source: u32,
    /// Through how many hops it came.
    pub hops: u32,
    /// It came from the destination's domain, or through its hosts.
    pub is_near: bool,
    /// A list sent it.
    pub is_list: bool,
    /// It is an automatic answer by its own word.
    pub is_auto_reply: bool,
    /// It answers some message.
    pub answers: bool,
    /// How long after the last message that was sent to the destination it came, in seconds; none after a long pause.
    pub gap: Option<u32>,
    /// How far it is from mail that nobody caused: what `brake` adds up.
    pub weight: u32,
    /// Words of the subject.
    pub subject: Vec<u16>,
    /// Everybody who wrote it or got it, going by the header.
    pub people: Vec<u16>,
    /// Pieces of the text.
    pub text: Vec<u32>,
    /// How many pieces it has in all.
    pub pieces: usize,
    /// The pieces that it begins with.
    pub head: Vec<u32>,
}

impl Sketch {
    /// The sketch as one word.
    pub fn text(&self) -> String {
        let flags = [
            (self.is_near, 'n'),
            (self.is_list, 'l'),
            (self.is_auto_reply, 'a'),
            (self.answers, 'r'),
        ];
        let flags: String = flags.iter().filter(|(is, _)| *is).map(|(_, flag)| *flag).collect();
        let gap = self.gap.map_or_else(String::new, |gap| gap.to_string());
        let mut text = format!("{:x}.{:x}.{flags}.{gap}.{}.", self.from, self.source, self.weight);
        let short = |list: &[u16]| list.iter().copied().map(u32::from).collect::<Vec<_>>();
        for (list, digits) in [
            (short(&self.subject), 4),
            (short(&self.people), 4),
            (self.text.clone(), 8),
        ] {
            list.iter().for_each(|number| push_digits(&mut text, *number, digits));
            text.push('.');
        }
        text += &format!("{}.{}.", self.hops, self.pieces);
        self.head.iter().for_each(|piece| push_digits(&mut text, *piece, 8));
        text
    }

    /// Reads a sketch; none where it is damaged.
    pub fn read(text: &str) -> Option<Self> {
        let mut rest = Some(text);
        let mut part = || {
            let text = rest?;
            let end = memchr(b'.', text.as_bytes()).unwrap_or(text.len());
            rest = text.get(end + 1..);
            text.get(..end)
        };
        let (from, source, flags, gap, weight) = (part()?, part()?, part()?, part()?, part()?);
        let (subject, people, pieces) = (part()?, part()?, part()?);
        let short = |text: &str| {
            let mut list = Vec::with_capacity(text.len() / 4);
            list.extend(numbers(text, 4).map(|n| u16::try_from(n).unwrap_or(0)));
            list
        };
        Some(Self {
            from: u32::from_str_radix(from, 16).ok()?,
            source: u32::from_str_radix(source, 16).ok()?,
            is_near: flags.contains('n'),
            is_list: flags.contains('l'),
            is_auto_reply: flags.contains('a'),
            answers: flags.contains('r'),
            gap: gap.parse().ok(),
            weight: weight.parse().ok()?,
            subject: short(subject),
            people: short(people),
            text: numbers(pieces, 8).collect(),
            hops: part()?.parse().ok()?,
            // Earlier versions wrote none of these.
            pieces: part().and_then(|count| count.parse().ok()).unwrap_or(0),
            head: part().map(|pieces| numbers(pieces, 8).collect()).unwrap_or_default(),
        })
    }

    /// Tells whether `address` stands among the people of it.
    pub fn names(&self, address: &Address) -> bool {
        self.people.contains(&person(address))
    }
}

fn numbers(text: &str, digits: usize) -> impl Iterator<Item = u32> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(u32::from(digit - b'0')),
        b'a'..=b'f' => Some(u32::from(digit - b'a') + 10),
        b'A'..=b'F' => Some(u32::from(digit - b'A') + 10),
        _ => None,
    };
    let pieces = text.as_bytes().chunks_exact(digits);
    pieces.filter_map(move |piece| {
        piece
            .iter()
            .try_fold(0, |number, digit| Some(number << 4 | value(*digit)?))
    })
}

/// Adds a number of so many hexadecimal digits.
fn push_digits(text: &mut String, number: u32, digits: u32) {
    let places = (0..digits).rev();
    text.extend(places.filter_map(|place| char::from_digit(number >> (4 * place) & 0xf, 16)));
}

/// A message as it comes in, with all that is compared with sketches.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// What will be remembered of it, without what depends on the destination.
    pub sketch: Sketch,
    /// Envelope sender, `From` and `Reply-To`.
    pub authors: Vec<Address>,
    /// The first of `From`.
    pub from: Option<Address>,
    /// The Message-IDs that it answers, as the history has them.
    pub references: Vec<String>,
    /// Those of the messages that lie inside it, whole or as a header, and those that its text names.
    pub attached: Vec<String>,
    /// Every word of the subject.
    pub words: Vec<u16>,
    /// Every piece of its texts.
    pub pieces: BTreeSet<u32>,
    /// Those that stand in one of them more than once.
    pub repeated: BTreeSet<u32>,
    /// The domains of all hosts that it came through.
    hosts: BTreeSet<String>,
    /// The domains of the user's own addresses.
    own: BTreeSet<String>,
}

impl Arrival {
    /// Looks at a message.
    pub fn of(message: &Message<'_>, sender: &Sender, own: &OwnAddresses, judgement: &Judgement) -> Self {
        let mut arrival = Self {
            own: own
                .iter()
                .filter_map(|own| own.domain().map(registered_domain))
                .collect(),
            ..Self::default()
        };
        if let Sender::Address(address) = sender {
            arrival.authors.extend(Address::parse(address));
        }
        let mut subject = String::new();
        let mut people = BTreeSet::new();
        for field in message.fields() {
            if field.is("Received") {
                arrival.sketch.hops += 1;
                arrival.take_hop(&field.text());
            } else if field.is("From") || field.is("Reply-To") {
                let found = find_addresses(&field.text());
                people.extend(found.iter().map(person));
                if field.is("From") && arrival.from.is_none() {
                    arrival.from = found.first().cloned();
                }
                arrival.authors.extend(found);
            } else if field.is("To") || field.is("Cc") {
                people.extend(find_addresses(&field.text()).iter().map(person));
            } else if field.is("Subject") && subject.is_empty() {
                subject = normalize_words(&decoded_value(&field, None));
            } else if field.is("In-Reply-To") || field.is("References") {
                arrival.sketch.answers = true;
                arrival.references.extend(ids(&field.text()));
            } else if is_list_field(&field) {
                arrival.sketch.is_list = true;
            }
        }
        let surplus = arrival.references.len().saturating_sub(REFERENCES);
        arrival.references.drain(..surplus);
        arrival.words = subject_words(&subject).collect();
        let parts = MimeParts::of(message);
        arrival.attached = attached_ids(&parts).take(REFERENCES).collect();
        // Newsletters are long, nobody answers with one, and they have everything twice.
        let most = if arrival.sketch.is_list { 1 } else { TEXTS };
        let texts: Vec<String> = parts.all(PartKind::Text).take(most).map(part_text).collect();
        arrival
            .attached
            .extend(texts.iter().flat_map(|text| written_ids(text)).take(REFERENCES));
        let text = hash_pieces(&texts);
        arrival.pieces = text.all;
        arrival.repeated = text.repeated;
        arrival.sketch.from = arrival.from.as_ref().map_or(0, |from| hash_text(&whole_address(from)));
        arrival.sketch.is_auto_reply = matches!(judgement.verdict, Verdict::AutoReply(_));
        arrival.sketch.subject = subject_words(&subject).take(SUBJECT_WORDS).collect();
        arrival.sketch.people = people.into_iter().take(PEOPLE).collect();
        // The smallest are the same ones wherever the text is found again.
        arrival.sketch.pieces = text.main.len();
        arrival.sketch.text = text.main.into_iter().take(TEXT_PIECES).collect();
        arrival.sketch.head = text.head;
        arrival
    }

    /// Tells whether it was made at `destination`'s domain, or came through its hosts. Where that is the user's own domain, every
    /// message comes through: then, whether no host of another was on its way.
    pub fn is_near(&self, destination: &str) -> bool {
        let domain = Address::parse(destination).and_then(|address| address.domain().map(registered_domain));
        let by_name = |domain: &String| {
            let mut authors = self.authors.iter().filter_map(Address::domain);
            authors.any(|author| registered_domain(author) == *domain)
        };
        match domain {
            Some(domain) if !self.own.contains(&domain) => by_name(&domain) || self.hosts.contains(&domain),
            Some(_) | None => self.sketch.source == 0,
        }
    }

    fn take_hop(&mut self, value: &str) {
        let (from, by) = hop(value);
        let outside = |host: &String| !self.own.contains(host);
        // The topmost was written here, and nobody but this site's own hosts can forge it.
        if self.sketch.source == 0
            && let Some(host) = from.iter().rev().find(|host| outside(host))
        {
            self.sketch.source = hash_text(host).max(1);
        }
        self.hosts.extend(from);
        self.hosts.extend(by);
    }
}

/// The domains of the host that handed over, by the name it gave and the one that was looked up, and of the host that took (RFC 5321
/// section 4.4).
fn hop(value: &str) -> (Vec<String>, Option<String>) {
    let mut words = value.split_ascii_whitespace();
    let mut from = Vec::new();
    let mut by = None;
    let mut before = "";
    while let Some(word) = words.next() {
        match (before, word) {
            (name, word) if name.eq_ignore_ascii_case("from") => {
                from.extend(host(word));
                let looked_up = words.clone().next().and_then(|next| next.strip_prefix('('));
                from.extend(looked_up.and_then(host));
            }
            (name, word) if name.eq_ignore_ascii_case("by") => {
                by = host(word);
                break;
            }
            _ => {}
        }
        before = word;
    }
    (from, by)
}

/// The domain that a host belongs to; none for what is no name, and for this host itself.
fn host(word: &str) -> Option<String> {
    let name = word.trim_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
    let is_name = name.contains('.') && name.contains(|c: char| c.is_alphabetic());
    (is_name && !name.starts_with("localhost")).then(|| registered_domain(&name))
}

/// The part of a domain name that somebody registered, as well as that can be told without a list: the last two labels, or three where
/// the last two are short (`example.co.uk`).
pub fn registered_domain(domain: &str) -> String {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let labels: Vec<&str> = domain.rsplit('.').collect();
    let count = match labels.as_slice() {
        [top, second, _, ..] if top.len() == 2 && second.len() <= 3 => 3,
        _ => 2,
    };
    let mut kept: Vec<&str> = labels.into_iter().take(count).collect();
    kept.reverse();
    kept.join(".")
}

/// Lists and newsletters say so (RFC 2369, RFC 2919 and older).
fn is_list_field(field: &crate::message::Field<'_>) -> bool {
    const NAMES: [&str; 7] = [
        "List-Id",
        "List-Post",
        "List-Unsubscribe",
        "Mailing-List",
        "X-Mailing-List",
        "X-BeenThere",
        "X-Mailman-Version",
    ];
    NAMES.iter().any(|name| field.is(name))
        || (field.is("Precedence") && field.text().trim().eq_ignore_ascii_case("list"))
}

/// The addresses of a field that holds several (RFC 5322 section 3.4).
pub fn find_addresses(text: &str) -> Vec<Address> {
    let (mut found, mut start) = (Vec::new(), 0);
    let (mut quoted, mut depth) = (false, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' | '<' if !quoted => depth += 1,
            ')' | '>' if !quoted => depth = depth.saturating_sub(1),
            ',' | ';' if !quoted && depth == 0 => {
                found.extend(text.get(start..at).and_then(Address::parse));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.extend(text.get(start..).and_then(Address::parse));
    found
}

/// The Message-IDs of the messages among the parts, however they are encoded for the way.
fn attached_ids(parts: &MimeParts<'_>) -> impl Iterator<Item = String> {
    let messages = parts.all(PartKind::Message).chain(parts.all(PartKind::Header));
    messages.filter_map(|part| {
        let encoding = part.first("Content-Transfer-Encoding").unwrap_or_default();
        let bytes = decode_transfer_encoding(part.body(), &encoding);
        of_id(&Message::new(&bytes).first("Message-ID")?)
    })
}

/// The Message-IDs that a text names as such, as desks and `Forward inline` do with a header.
fn written_ids(text: &str) -> impl Iterator<Item = String> {
    let is_named = |line: &&str| starts_with_ignoring_case(line.trim_start_matches(['>', ' ', '*']), "message-id");
    let lines = text.lines().filter(is_named);
    lines.filter_map(|line| of_id(line.split_once(':')?.1))
}

fn ids(text: &str) -> impl Iterator<Item = String> {
    text.split_ascii_whitespace().filter_map(of_id)
}

/// The words of a subject: none of one letter, no numbers, nothing that only says that it answers or passes on (`Re:`, `AW:`, `Fwd:`).
fn subject_words(subject: &str) -> impl Iterator<Item = u16> {
    let mut rest = subject.trim();
    while let Some((mark, tail)) = rest.split_once(':') {
        if mark.chars().count() > 4 || mark.contains(' ') {
            break;
        }
        rest = tail.trim_start();
    }
    let words = rest.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| word.chars().count() > 1 && word.contains(|c: char| !c.is_numeric()))
        .map(|word| low(hash_text(word)))
}

/// An address without its extension: answers of one desk have one each.
pub fn whole_address(address: &Address) -> String {
    let domain = address.domain().unwrap_or_default();
    format!("{}@{domain}", address.without_extension("+").to_lowercase())
}

fn person(address: &Address) -> u16 {
    low(hash_text(&whole_address(address)))
}

fn low(hash: u32) -> u16 {
    u16::try_from(hash & 0xffff).unwrap_or(0)
}
