//! Is a returned message really the user's? Whoever sends spam in the user's name can write the name, and little else.

use crate::classify::loops::Hop;
use crate::classify::verdict::{Facts, Ownership};
use crate::message::Message;
use crate::message::address::Address;

/// Looks in the header of a returned message for signs, beside its writer's name, that the user sent it.
pub fn find_ownership(message: &Message<'_>, facts: &Facts<'_>) -> Ownership {
    let domains = facts.own.iter().filter_map(Address::domain);
    let names: Vec<&str> = domains
        .chain(facts.hosts.iter().map(String::as_str))
        .chain(facts.relays.iter().map(String::as_str))
        .filter(|name| name.contains('.'))
        .collect();
    let is_known = |host: &str| names.iter().any(|name| is_at_or_below(host, name));
    let travelled = message.fields().filter(|field| field.is("Received")).any(|field| {
        let hop = Hop::read(field.value);
        hop.is_some_and(|hop| {
            [hop.from, hop.by]
                .iter()
                .any(|host| is_known(&String::from_utf8_lossy(host)))
        })
    });
    let made = message.first("Message-ID").and_then(|id| Address::parse(&id));
    let made = made.is_some_and(|id| id.domain().is_some_and(is_known));
    if travelled || made {
        Ownership::Shown
    } else {
        Ownership::NotShown
    }
}

/// Tells whether `host` is `domain`, or a host below it.
fn is_at_or_below(host: &str, domain: &str) -> bool {
    let host = host.trim_end_matches([';', '.']).to_ascii_lowercase();
    let domain = domain.to_ascii_lowercase();
    host.strip_suffix(&domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::find_ownership;
    use crate::classify::verdict::Facts;
    use crate::classify::verdict::Ownership;
    use crate::message::Message;
    use crate::message::address::OwnAddresses;
    use crate::message::envelope::Sender;

    #[test]
    fn only_what_an_mta_or_the_id_says_shows_whose_it_is() {
        let mut own = OwnAddresses::new("+");
        own.add_bare("a", "a.test");
        let (hosts, relays) = (["mx.isp.test".to_owned()], ["relay.test".to_owned()]);
        let facts = Facts {
            sender: &Sender::Null,
            own: &own,
            max_hops: 50,
            hosts: &hosts,
            relays: &relays,
        };
        for (header, want) in [
            ("Received: from x by mx.a.test with ESMTP\n", Ownership::Shown),
            ("Received: from laptop by mx.isp.test with ESMTP\n", Ownership::Shown),
            (
                "Received: from smtp.relay.test (x [192.0.2.1]) by mx.b.test with ESMTP\n",
                Ownership::Shown,
            ),
            ("Message-ID: <1@a.test>\n", Ownership::Shown),
            ("Message-ID: <1@laptop.A.test>\n", Ownership::Shown),
            ("From: a@a.test\n", Ownership::NotShown),
            (
                "Received: from x (envelope-from <a@a.test>) by mx.b.test for <a@a.test>\n",
                Ownership::NotShown,
            ),
            ("Message-ID: <1@nota.test>\n", Ownership::NotShown),
            ("Message-ID: <1@a.test.evil.test>\n", Ownership::NotShown),
        ] {
            assert_eq!(
                find_ownership(&Message::new(header.as_bytes()), &facts),
                want,
                "{header}"
            );
        }
    }
}
