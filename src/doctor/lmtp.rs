//! Checks whether the LMTP servers of `[mailbox] location` answer and would take mail for the user. Mail should not go
//! to them through networks where others may read it. Delivers nothing: a recipient is named, and that is all.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::location::Endpoint;
use crate::doctor::rules::{CheckSubject, Finding};
use crate::lmtp::{self, Greeting};
use crate::sys::deadline::Deadline;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn examine(topic: &CheckSubject, servers: &[Endpoint], user: &str) -> Finding {
    if let Some(address) = servers.iter().find_map(public_address) {
        let what = format!(
            "{address} is neither of this host nor of a private net, and LMTP is not encrypted: others can read the mail"
        );
        return topic.error(
            what,
            "use a socket, a private net, or a tunnel (stunnel, WireGuard) whose end is on this host",
        );
    }
    let greetings: Vec<_> = servers.iter().map(|server| (server, greet(server))).collect();
    let away: Vec<String> = greetings
        .iter()
        .filter_map(|(server, greeting)| Some(format!("{server}: {}", greeting.as_ref().err()?)))
        .collect();
    let reached = greetings.iter().find_map(|(_, greeting)| greeting.as_ref().ok());
    match (reached, away.as_slice()) {
        (None, _) => topic.error(
            format!(
                "no server answers, and mail stays in the MTA's queue: {}",
                away.join("; ")
            ),
            "start it, or let deliveries use its socket",
        ),
        (Some(_), [_, ..]) => {
            let what = format!("a server does not answer, and the others are used: {}", away.join("; "));
            topic.note(what)
        }
        (Some(greeting), []) => examine_recipient(topic, servers, user, greeting),
    }
}

/// Names the user as a recipient: there, or after the message, a server says that a mailbox is full or missing.
fn examine_recipient(topic: &CheckSubject, servers: &[Endpoint], user: &str, greeting: &Greeting) -> Finding {
    let extensions = match greeting.extensions.as_slice() {
        [] => "no extensions".to_owned(),
        named => named.join(", "),
    };
    let answers = format!("the LMTP server answers, and has {extensions}");
    match lmtp::ask_room(servers, ("", user), 0, PATIENCE) {
        Ok(None) => topic.ok(format!("{answers}; it takes mail for {user}")),
        Ok(Some(said)) => topic.note(format!(
            "{answers}; the mailbox of {user} is full there, and [quota] when_full decides: {said}"
        )),
        Err(cause) => topic.note(format!(
            "{answers}; mail for {user} would wait in the MTA's queue: {cause}"
        )),
    }
}

fn greet(server: &Endpoint) -> Result<Greeting, String> {
    let deadline = Deadline::begin().map_err(|e| e.to_string())?;
    lmtp::greet_server(server, &deadline, PATIENCE)
}

/// The first address of the server that others may listen to.
fn public_address(server: &Endpoint) -> Option<IpAddr> {
    match server {
        Endpoint::Unix(_) => None,
        Endpoint::Tcp(host, _) => {
            let addresses = lmtp::addresses_of(host).unwrap_or_default();
            addresses.into_iter().find(|address| !is_private(*address))
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        // 100.64.0.0/10 is shared by the customers of a provider (RFC 6598): not private.
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_private;

    #[test]
    fn only_loopback_and_private_nets_are_private() {
        for (address, want) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("192.168.1.1", true),
            ("172.31.0.1", true),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("::ffff:10.0.0.1", true),
            ("172.32.0.1", false),
            ("100.64.0.1", false),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
            ("::ffff:192.0.2.1", false),
        ] {
            let parsed = address.parse().unwrap_or_else(|e| unreachable!("{address}: {e}"));
            assert_eq!(is_private(parsed), want, "{address}");
        }
    }
}
