//! Which submission a message is: the one that this host's own MTA took in, whose topmost `Received` line has the MTA's
//! queue id. A message that is sent twice on purpose has two; one that its MTA brings again, after it died behind our
//! answer, has one.
//!
//! Without such a line nothing is known, and the same holds for what has lain in a mailbox before: somebody feeds it in
//! on purpose.

use crate::classify::loops::{Hop, has_queue_id};
use crate::message::{CLIENT_FIELDS, Message};

/// What the submission of a message is known by, `context` with it: for whom it is, what is added to it. None where it
/// cannot be told.
pub fn identify_submission(message: &Message<'_>, hosts: &[String], bytes: u64, context: &[&[u8]]) -> Option<Vec<u8>> {
    let received = message.fields().find(|field| field.is("Received"))?;
    let hop = Hop::read(received.value)?;
    let is_own = hosts.iter().any(|host| is_same_host(hop.by, host.as_bytes()));
    let is_stored = message
        .fields()
        .any(|field| CLIENT_FIELDS.iter().any(|name| field.is(name)));
    if !is_own || !has_queue_id(received.value) || is_stored {
        return None;
    }
    let mut identity = bytes.to_le_bytes().to_vec();
    for part in context {
        identity.extend_from_slice(&(part.len() as u64).to_le_bytes());
        identity.extend_from_slice(part);
    }
    // Exim writes a new one at each try.
    for field in message.fields().filter(|field| !field.is("Delivery-date")) {
        identity.extend_from_slice(field.name);
        identity.push(b':');
        identity.extend_from_slice(field.value);
    }
    Some(identity)
}

/// Tells whether two names are one host's, one of them perhaps without its domain.
fn is_same_host(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let begins = long
        .get(..short.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(short));
    !short.is_empty() && begins && matches!(long.get(short.len()), None | Some(b'.'))
}

#[cfg(test)]
mod tests {
    use super::identify_submission;
    use crate::message::Message;

    #[test]
    fn two_submissions_of_a_text_differ_and_two_tries_do_not() {
        let hosts = ["mx.a.test".to_owned()];
        let key_for = |text: &str, to: &[u8]| identify_submission(&Message::new(text.as_bytes()), &hosts, 100, &[to]);
        let of =
            |received: &str, above: &str| key_for(&format!("{above}Received: {received}\nSubject: x\n\nb\n"), b"a");
        let postfix =
            "from s.test (s.test [192.0.2.1])\n\tby mx.a.test (Postfix) with ESMTPS id 4W1\n\tfor <a@a.test>; Mon";
        let first = of(postfix, "");
        assert!(first.is_some());
        for (same, received, above) in [
            (true, postfix.to_owned(), "Delivery-date: Tue\n"),
            (true, postfix.to_owned(), ""),
            (false, postfix.replace("4W1", "4W2"), ""),
            (false, postfix.to_owned(), "Delivered-To: b@a.test\n"),
        ] {
            let other = of(&received, above);
            assert!(other.is_some() && (other == first) == same, "{received} {above}");
        }
        for unknown in [
            postfix.replace("mx.a.test", "mx.b.test"),
            postfix.replace(" id 4W1", ""),
            "from pop.b.test by mx.b.test with POP3; Mon".to_owned(),
        ] {
            assert_eq!(of(&unknown, ""), None, "{unknown}");
        }
        assert_eq!(of(postfix, "Status: RO\n"), None);
        assert!(
            of(
                "from s.test by mx with esmtp (Exim 4.96)\n\tid 1tF001-0000Ab-21\n\tfor a; Mon",
                ""
            )
            .is_some()
        );
        assert!(
            of(
                "(from root@localhost)\n\tby mx.a.test (8.17.1/Submit) id 4AQA1; Mon",
                ""
            )
            .is_some()
        );
        let text = format!("Received: {postfix}\n\nb\n");
        assert_ne!(key_for(&text, b"a"), key_for(&text, b"b"));
    }
}
