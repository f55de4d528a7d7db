//! Has this message been here before? Our own `X-Loop`, our address twice in `Delivered-To`, one hop again and again
//! among `Received`, and too many hops.

use core::net::IpAddr;

use crate::classify::verdict::Marker;
use crate::message::Field;
use crate::message::address::{Address, OwnAddresses};

/// How many times one (from, by) pair may stand among the `Received` fields before it is a loop. Honest mail has two at
/// most.
const SAME_HOP_LIMIT: usize = 3;

/// The same for hops inside one host: content filters and list servers hand a message to themselves several times.
const SAME_HOST_LIMIT: usize = 7;

/// More hops, and more own addresses, are not compared with each other: it would take the square of their number.
const COMPARED_HOPS: usize = 128;

/// The fields that may show a loop.
pub fn is_trace(field: &Field<'_>) -> bool {
    ["Received", "X-Loop", "Delivered-To"].iter().any(|name| field.is(name))
}

/// All marks of a loop that the message's own header shows; `fields` are those that may, `hosts` the names of this
/// host.
pub fn find_loop(fields: &[Field<'_>], own: &OwnAddresses, hosts: &[String], max_hops: usize) -> Vec<Marker> {
    let mut markers = Vec::new();
    // Only the user's own address counts: lists put theirs into `X-Loop` too.
    let mut marks = fields.iter().filter(|field| field.is("X-Loop")).map(Field::text);
    if let Some(value) = marks.find(|value| own.is_loop_mark(value)) {
        let why = "our own X-Loop: this message was forwarded by us before";
        markers.push(Marker::new("X-Loop", &value, why));
    }
    if let Some(value) = delivered_again(fields, own, hosts) {
        let why = "our own address twice: this message was delivered to us before";
        markers.push(Marker::new("Delivered-To", &value, why));
    }
    let received = || fields.iter().filter(|field| field.is("Received"));
    let count = received().count();
    let may_repeat = if count < SAME_HOP_LIMIT {
        Vec::new()
    } else {
        find_frequent(received().map(|field| field.value))
    };
    let hops: Vec<_> = may_repeat
        .into_iter()
        .filter_map(Hop::read)
        .take(COMPARED_HOPS)
        .collect();
    if let Some(hop) = repeated(&hops) {
        let why = "one hop again and again: this message goes round";
        markers.push(Marker::new("Received", &hop.text(), why));
    }
    if count > max_hops {
        let why = "more hops than max_hops allows";
        markers.push(Marker::new("Received", &format!("{count} hops"), why));
    }
    markers
}

/// The own address that stands twice in `Delivered-To`. `a+lists@` delivered on to `a@`, or one own address to another,
/// is no loop. The same address is, where the message came from another host in between. getmail and fetchmail deliver
/// once more what was delivered. A host that hands on by LMTP does so to itself.
fn delivered_again(fields: &[Field<'_>], own: &OwnAddresses, hosts: &[String]) -> Option<String> {
    let is_delivery = |field: &&Field<'_>| field.is("Delivered-To");
    if fields.iter().filter(is_delivery).take(2).count() < 2 {
        return None;
    }
    // Each with the number of SMTP hops above it.
    let mut delivered: Vec<(Address, usize)> = Vec::new();
    // Counted only where an own address asks for it: most mail has none, or one at its top.
    let (mut smtp_hops, mut counted) = (0_usize, 0_usize);
    for (at, field) in fields.iter().enumerate().filter(|(_, field)| field.is("Delivered-To")) {
        let value = field.text();
        let Some(address) = Address::parse(&value).filter(|address| own.contains(address)) else {
            continue;
        };
        let between = fields.get(counted..at).unwrap_or_default().iter();
        smtp_hops += between
            .filter(|field| field.is("Received") && is_smtp_hop(field.value, hosts))
            .count();
        counted = at;
        let is_again = |(before, hops): &(Address, usize)| *hops < smtp_hops && before.same_mailbox(&address, "");
        if delivered.iter().any(is_again) {
            return Some(value.into_owned());
        }
        if delivered.len() < COMPARED_HOPS {
            delivered.push((address, smtp_hops));
        }
    }
    None
}

/// Tells whether a `Received` value is about a hop inside this host: a local submission, a filter, a delivery to
/// itself. What a host calls itself is not believed where its address says something else.
pub fn is_inside(value: &[u8], hosts: &[String]) -> bool {
    let Some(hop) = Hop::read(value) else {
        // `(qmail 1 invoked by uid 89)` is; `(qmail 1 invoked from network)` comes with a field that names the host.
        return !value.windows(7).any(|word| word.eq_ignore_ascii_case(b"network"));
    };
    if hop.from.is_empty() || protocol(value).eq_ignore_ascii_case("local") {
        return true;
    }
    let is_here = |host: &[u8]| hosts.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(host));
    let mut addresses = ip_addresses(value).peekable();
    let named_here = is_local_name(hop.from) || hop.from.eq_ignore_ascii_case(hop.by) || is_here(hop.from);
    match addresses.peek() {
        Some(_) => addresses.all(|address| address.is_loopback()),
        None => named_here,
    }
}

/// Tells whether a `Received` value is about a message that came from another host by SMTP. What was fetched by POP or
/// IMAP, handed on by LMTP, or stayed inside this host did not. Fields that name no protocol are of old MTAs, and
/// count.
pub fn is_smtp_hop(value: &[u8], hosts: &[String]) -> bool {
    let protocol = protocol(value).to_ascii_lowercase();
    let names_smtp = protocol.contains("smtp") || protocol.is_empty() || protocol.contains("http");
    match Hop::read(value) {
        Some(hop) => names_smtp && !hop.from.is_empty() && !is_inside(value, hosts),
        // It came from somewhere, but for qmail's lines, which are comments.
        None => !value.trim_ascii_start().starts_with(b"("),
    }
}

/// Tells whether a `Received` value has the id of a queue (RFC 5321 section 4.4).
pub fn has_queue_id(value: &[u8]) -> bool {
    queue_id(value).is_some()
}

/// The id of the queue that a `Received` value names (RFC 5321 section 4.4).
pub fn queue_id(value: &[u8]) -> Option<String> {
    let mut words = outside_comments(value).skip_while(|word| !word.eq_ignore_ascii_case(b"id"));
    words.next()?;
    let word = String::from_utf8_lossy(words.next()?).into_owned();
    let id = word.trim_end_matches(';');
    (!id.is_empty()).then(|| id.to_owned())
}

/// What stands behind `with` (RFC 5321 section 4.4), up to `id`, `for` or the date; empty where nothing does.
fn protocol(value: &[u8]) -> String {
    let words = outside_comments(value);
    let behind = words.skip_while(|word| !word.eq_ignore_ascii_case(b"with")).skip(1);
    let ends = |word: &[u8]| word.eq_ignore_ascii_case(b"id") || word.eq_ignore_ascii_case(b"for");
    let words = behind.take_while(|word| !ends(word)).take(4);
    let words: Vec<_> = words.map(String::from_utf8_lossy).collect();
    let text = words.join(" ");
    text.split(';').next().unwrap_or_default().to_owned()
}

/// The IP addresses that the field names before its `by`.
fn ip_addresses(value: &[u8]) -> impl Iterator<Item = IpAddr> {
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    let before_by: String = text
        .split_ascii_whitespace()
        .take_while(|word| *word != "by")
        .collect::<Vec<_>>()
        .join(" ");
    let words: Vec<IpAddr> = before_by
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | ':')))
        .filter_map(|word| word.strip_prefix("ipv6:").unwrap_or(word).parse().ok())
        .collect();
    words.into_iter()
}

fn is_local_name(host: &[u8]) -> bool {
    let local = [
        &b"localhost"[..],
        b"localhost.localdomain",
        b"[127.0.0.1]",
        b"127.0.0.1",
        b"unknown",
        b"",
    ];
    local.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// The words of a `Received` value; comments are passed over, since a host may call itself anything in them.
fn outside_comments(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut depth, mut rest) = (0_usize, value);
    core::iter::from_fn(move || {
        loop {
            rest = rest.trim_ascii_start();
            let (mut opened, mut closed) = (0, 0);
            let ends = |b: &u8| match b {
                b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' => true,
                b'(' => {
                    opened += 1;
                    false
                }
                b')' => {
                    closed += 1;
                    false
                }
                _ => false,
            };
            let end = rest.iter().position(ends).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            let is_comment = *word.first()? == b'(';
            let outside = depth == 0 && !is_comment;
            depth = (depth + opened).saturating_sub(closed);
            rest = behind;
            if outside {
                return Some(word);
            }
        }
    })
}

/// The host that handed over and the host that took (RFC 5321 section 4.4). `from` is empty where the field names none.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The name that it called itself.
    pub from: &'a [u8],
    /// The host that wrote the field.
    pub by: &'a [u8],
    /// All that the field says.
    value: &'a [u8],
}

impl<'a> Hop<'a> {
    /// Reads one `Received` value.
    pub fn read(value: &'a [u8]) -> Option<Self> {
        let mut words = outside_comments(value);
        let first = words.next()?;
        let from = if first.eq_ignore_ascii_case(b"from") {
            words.next()?
        } else {
            b""
        };
        let by = if first.eq_ignore_ascii_case(b"by") {
            words.next()?
        } else {
            words.find(|word| word.eq_ignore_ascii_case(b"by"))?;
            words.next()?
        };
        let by = by.strip_suffix(b";").unwrap_or(by);
        Some(Self { from, by, value })
    }

    fn same(&self, other: &Self) -> bool {
        self.from.eq_ignore_ascii_case(other.from) && self.by.eq_ignore_ascii_case(other.by)
    }

    /// How many of these are too many.
    fn limit(&self) -> usize {
        if stays_inside(self.from, self.by, self.value) {
            SAME_HOST_LIMIT
        } else {
            SAME_HOP_LIMIT
        }
    }

    fn text(&self) -> String {
        let (from, by) = (String::from_utf8_lossy(self.from), String::from_utf8_lossy(self.by));
        if from.is_empty() {
            format!("by {by}")
        } else {
            format!("from {from} by {by}")
        }
    }
}

/// Tells whether a hop leads from a host to itself. Its names say so, the address in the receiving side's comment, or a
/// content filter that hands the message back. Filters call themselves what they like, and reinject through ports of
/// their own.
fn stays_inside(from: &[u8], by: &[u8], value: &[u8]) -> bool {
    const FILTERS: [&[u8]; 14] = [
        b"filterd",   // Proofpoint
        b"reinject",  // Proofpoint
        b"ppops.net", // Proofpoint
        b"imsva",     // Trend Micro
        b"imss",      // Trend Micro
        b"amavis",
        b"spamd",
        b"clamsmtp",
        b"mimedefang",
        b"mailscanner",
        b"port 1002", // amavisd, from 10024 on, and what listens beside it
        b"port 1003",
        b"port 1004",
        b"[127.",
    ];
    const LOOPBACK: [&[u8]; 3] = [b"localhost", b"[::1]", b"ipv6:::1"];
    if is_local_name(from) || is_local_name(by) || from.eq_ignore_ascii_case(by) {
        return true;
    }
    let lower = value.to_ascii_lowercase();
    let has = |words: &&[u8]| memchr::memmem::find(&lower, words).is_some();
    FILTERS.iter().chain(&LOOPBACK).any(has)
}

/// The host that handed over, by the first words of a `Received` value.
fn from_word(value: &[u8]) -> &[u8] {
    let mut words = outside_comments(value);
    let is_from = words.next().is_some_and(|first| first.eq_ignore_ascii_case(b"from"));
    words.next().filter(|_| is_from).unwrap_or_default()
}

/// Those values whose host handed over so often that a hop may be there again and again. Most mail has none.
fn find_frequent<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    let all: Vec<_> = values.map(|value| (from_word(value), value)).collect();
    let is_often = |from: &[u8]| {
        let alike = all.iter().filter(|(other, _)| other.eq_ignore_ascii_case(from));
        alike.take(SAME_HOP_LIMIT).count() == SAME_HOP_LIMIT
    };
    let is_many = all.len() > COMPARED_HOPS;
    let often = all.iter().filter(|(from, _)| is_many || is_often(from));
    often.map(|(_, value)| *value).collect()
}

fn repeated<'a>(hops: &[Hop<'a>]) -> Option<Hop<'a>> {
    let count = |hop: &Hop<'_>| hops.iter().filter(|other| hop.same(other)).count();
    // Most mail has no hop twice; only what may be a loop is looked at closer.
    hops.iter()
        .find(|hop| {
            let times = count(hop);
            times >= SAME_HOP_LIMIT && times >= hop.limit()
        })
        .copied()
}

#[cfg(test)]
mod tests {
    use super::{find_loop, is_inside};
    use crate::message::Message;
    use crate::message::address::{Address, OwnAddresses};

    #[test]
    fn only_marks_of_our_own_and_repeated_hops_are_loops() {
        const HOP: &str = "Received: from mx.b.test (mx.b.test [192.0.2.1])\n\tby mx.a.test (Postfix) with ESMTP id 1;\n\tMon, 2 Nov 2026 10:00:00 +0000\n";
        const FETCHED: &str =
            "Received: from pop.b.test (192.0.2.7) by a.test with POP3-SSL; 26 Nov 2026 02:00:00 -0000\n";
        const LMTP: &str =
            "Received: from mx.a.test (mx.a.test [192.0.2.7])\n\tby store.a.test (Dovecot) with LMTP id 1\n";
        const INSIDE: &str =
            "Received: from localhost (localhost [127.0.0.1]) by mx.a.test (Postfix) with ESMTP id 1\n";
        let cases = [
            ("X-Loop: a@a.test\n".to_owned(), 1),
            ("X-Loop: A+tag@A.test\n".to_owned(), 1),
            ("X-Loop: list@lists.test\n".to_owned(), 0),
            (format!("Delivered-To: a@a.test\n{HOP}Delivered-To: a@a.test\n"), 1),
            (
                format!("Delivered-To: a@a.test\n{FETCHED}Delivered-To: a@a.test\n{HOP}"),
                0,
            ),
            (
                format!("Delivered-To: a@a.test\n{LMTP}Delivered-To: a@a.test\n{HOP}"),
                0,
            ),
            (
                format!("Delivered-To: a@a.test\n{INSIDE}Delivered-To: a@a.test\n{HOP}"),
                0,
            ),
            (
                format!("Delivered-To: a@a.test\n{HOP}{LMTP}Delivered-To: a@a.test\n"),
                1,
            ),
            ("Delivered-To: a@a.test\nDelivered-To: a+lists@a.test\n".to_owned(), 0),
            ("Delivered-To: b@a.test\nDelivered-To: b@a.test\n".to_owned(), 0),
            (HOP.repeat(2), 0),
            (HOP.repeat(3), 1),
            (INSIDE.repeat(6), 0),
            (INSIDE.repeat(7), 1),
            ("Received: by mx.a.test (Postfix, from userid 1000)\n".repeat(7), 1),
            (
                "Received: from pps.filterd (m1.ppops.net [127.0.0.1]) by mx.a.test (8.16) with SMTP id 1\n".repeat(6),
                0,
            ),
            ("Received: from pps.reinject (localhost [127.0.0.1]) by mx.a.test (PPS) id 1\n".repeat(6), 0),
            ("Received: from imsva.a.test (x [192.0.2.1]) by mx.a.test (Postfix) id 1\n".repeat(6), 0),
            (
                "Received: from mx.a.test ([192.0.2.1]) by scan.a.test (scan [192.0.2.2]) (amavisd-new, port 10024) id 1\n".repeat(6),
                0,
            ),
            ("Received: from mx1.a.test (mx1.a.test [::1]) by mx.a.test (Postfix) id 1\n".repeat(6), 0),
            ("Received: from pps.filterd (m1.ppops.net [127.0.0.1]) by mx.a.test id 1\n".repeat(7), 1),
            ("Received: (qmail 1 invoked by uid 89); Mon\n".repeat(9), 0),
            (
                (0..51)
                    .map(|n| format!("Received: from h{n}.test by g{n}.test\n"))
                    .collect(),
                1,
            ),
        ];
        let mut own = OwnAddresses::new("+");
        own.add(Address::parse("a@a.test").unwrap_or_else(|| unreachable!()));
        for (header, want) in cases {
            let fields: Vec<_> = Message::new(header.as_bytes()).fields().collect();
            let found = find_loop(&fields, &own, &[], 50);
            assert_eq!(found.len(), want, "{header}");
        }
    }

    #[test]
    fn a_hop_inside_is_told_by_its_address_not_by_a_name() {
        let hosts = ["mx.a.test".to_owned()];
        for (value, inside) in [
            ("by mx.a.test (Postfix, from userid 1000)\n\tid 1; Thu", true),
            (
                "from root by mx.a.test with local (Exim 4.96) (envelope-from <>) id 1",
                true,
            ),
            ("(from root@localhost) by mx.a.test (8.17.1/Submit) id 1; Thu", true),
            (
                "from localhost (localhost [127.0.0.1]) by mx.a.test with ESMTP id 1",
                true,
            ),
            (
                "from localhost (mx.a.test [local]) by mx.a.test (OpenSMTPD) with ESMTPA id 1",
                true,
            ),
            ("(qmail 12 invoked by uid 0); 1 Nov 2026 00:00:00 -0000", true),
            ("(qmail 12 invoked from network); 1 Nov 2026 00:00:00 -0000", false),
            (
                "from localhost (unknown [203.0.113.9]) by mx.a.test with ESMTP id 1",
                false,
            ),
            (
                "from mx.a.test (evil.test [203.0.113.9]) by mx.a.test with ESMTP id 1",
                false,
            ),
            (
                "from [203.0.113.9] (helo=localhost) by mx.a.test with esmtp (Exim 4.96) id 1",
                false,
            ),
            (
                "from unknown (HELO localhost) (203.0.113.9) by mx.a.test with SMTP; 1 Nov",
                false,
            ),
            (
                "from s.test (s.test [IPv6:2001:db8::9]) by mx.a.test with ESMTPS id 1",
                false,
            ),
            ("from s.test by mx.a.test with ESMTP id 1", false),
        ] {
            assert_eq!(is_inside(value.as_bytes(), &hosts), inside, "{value}");
        }
    }
}
