//! Has this message been here before? Our own `X-Loop`, our address twice in `Delivered-To`, one hop again and again among
//! `Received`, and too many hops.

use crate::classify::Marker;
use crate::message::Field;
use crate::message::address::{Address, OwnAddresses};

/// How many times one (from, by) pair may stand among the `Received` fields before it is a loop. Honest mail has two at most.
const SAME_HOP_LIMIT: usize = 3;

/// The same for hops inside one host: content filters and list servers hand a message to themselves several times.
const SAME_HOST_LIMIT: usize = 7;

/// More hops, and more own addresses, are not compared with each other: it would take the square of their number.
const COMPARED_HOPS: usize = 128;

/// The fields that may show a loop.
#[must_use]
pub fn is_trace(field: &Field<'_>) -> bool {
    ["Received", "X-Loop", "Delivered-To"].iter().any(|name| field.is(name))
}

/// All marks of a loop that the message's own header shows; `fields` are those that may.
#[must_use]
pub fn find_loop(fields: &[Field<'_>], own: &OwnAddresses, max_hops: usize) -> Vec<Marker> {
    let mut markers = Vec::new();
    let mut delivered: Vec<Address> = Vec::new();
    let mut hops: Vec<Hop<'_>> = Vec::new();
    let mut count = 0_usize;
    for field in fields {
        if field.is("Received") {
            count += 1;
            if hops.len() < COMPARED_HOPS {
                hops.extend(Hop::read(field.value));
            }
        } else if field.is("X-Loop") {
            // Only the user's own address counts: lists put theirs into `X-Loop` too.
            let value = field.text();
            if markers.is_empty() && own.is_loop_mark(&value) {
                markers.push(Marker::new(
                    "X-Loop",
                    &value,
                    "our own X-Loop: this message was forwarded by us before",
                ));
            }
        } else if field.is("Delivered-To") {
            let value = field.text();
            let Some(address) = Address::parse(&value).filter(|address| own.contains(address)) else {
                continue;
            };
            // `a+lists@` delivered on to `a@`, or one own address to another, is no loop: the same address is.
            let again = delivered.iter().any(|before| {
                before.domain() == address.domain() && before.local().eq_ignore_ascii_case(address.local())
            });
            if again {
                const WHY: &str = "our own address twice: this message was delivered to us before";
                if !markers.iter().any(|marker: &Marker| marker.why == WHY) {
                    markers.push(Marker::new("Delivered-To", &value, WHY));
                }
            } else if delivered.len() < COMPARED_HOPS {
                delivered.push(address);
            }
        }
    }
    if let Some(hop) = repeated(&hops) {
        markers.push(Marker::new(
            "Received",
            &hop.text(),
            "one hop again and again: this message goes round",
        ));
    }
    if count > max_hops {
        markers.push(Marker::new(
            "Received",
            &format!("{count} hops"),
            "more hops than max_hops allows",
        ));
    }
    markers
}

/// The host that handed over and the host that took (RFC 5321 section 4.4). `from` is empty where the field names none.
#[derive(Clone, Copy, Debug)]
struct Hop<'a> {
    from: &'a [u8],
    by: &'a [u8],
}

impl<'a> Hop<'a> {
    /// Reads one `Received` value; comments are passed over, since a host may call itself anything in them.
    fn read(value: &'a [u8]) -> Option<Self> {
        let mut depth = 0_usize;
        let mut words = value
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .filter(|word| {
                let outside = depth == 0 && !word.starts_with(b"(");
                depth += word.iter().filter(|b| **b == b'(').count();
                depth = depth.saturating_sub(word.iter().filter(|b| **b == b')').count());
                outside
            });
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
        Some(Self { from, by })
    }

    fn same(&self, other: &Self) -> bool {
        self.from.eq_ignore_ascii_case(other.from) && self.by.eq_ignore_ascii_case(other.by)
    }

    /// How many of these are too many.
    fn limit(&self) -> usize {
        let local = [
            &b"localhost"[..],
            b"localhost.localdomain",
            b"[127.0.0.1]",
            b"127.0.0.1",
            b"unknown",
            b"",
        ];
        let inside = |host: &[u8]| local.iter().any(|name| name.eq_ignore_ascii_case(host));
        if inside(self.from) || inside(self.by) || self.from.eq_ignore_ascii_case(self.by) {
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

fn repeated<'a>(hops: &[Hop<'a>]) -> Option<Hop<'a>> {
    hops.iter()
        .find(|hop| hops.iter().filter(|other| hop.same(other)).count() >= hop.limit())
        .copied()
}

#[cfg(test)]
mod tests {
    use super::find_loop;
    use crate::message::Message;
    use crate::message::address::{Address, OwnAddresses};

    #[test]
    fn only_marks_of_our_own_and_repeated_hops_are_loops() {
        const HOP: &str = "Received: from mx.b.test (mx.b.test [192.0.2.1])\n\tby mx.a.test (Postfix) with ESMTP id 1;\n\tMon, 2 Nov 2026 10:00:00 +0000\n";
        const INSIDE: &str =
            "Received: from localhost (localhost [127.0.0.1]) by mx.a.test (Postfix) with ESMTP id 1\n";
        let cases = [
            ("X-Loop: a@a.test\n".to_owned(), 1),
            ("X-Loop: A+tag@A.test\n".to_owned(), 1),
            ("X-Loop: list@lists.test\n".to_owned(), 0),
            (
                "Delivered-To: a@a.test\nReceived: x\nDelivered-To: a@a.test\n".to_owned(),
                1,
            ),
            ("Delivered-To: a@a.test\nDelivered-To: a+lists@a.test\n".to_owned(), 0),
            ("Delivered-To: b@a.test\nDelivered-To: b@a.test\n".to_owned(), 0),
            (HOP.repeat(2), 0),
            (HOP.repeat(3), 1),
            (INSIDE.repeat(6), 0),
            (INSIDE.repeat(7), 1),
            ("Received: by mx.a.test (Postfix, from userid 1000)\n".repeat(7), 1),
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
            let found = find_loop(&fields, &own, 50);
            assert_eq!(found.len(), want, "{header}");
        }
    }
}
