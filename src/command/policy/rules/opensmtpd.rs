//! The filter protocol of OpenSMTPD (smtpd-filters(7)), as far as recipients and null senders need it. The size of a
//! message is not told at this stage.

use crate::message::address::Address;

/// What is answered once the configuration has been told: at which stages this filter is asked.
pub const REGISTRATION: &str = "register|report|smtp-in|link-disconnect\n\
                                register|filter|smtp-in|mail-from\n\
                                register|filter|smtp-in|rcpt-to\n\
                                register|ready\n";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    pub session: String,
    pub token: String,
    order: ReplyOrder,
}

/// Before protocol 0.5 the token stood first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplyOrder {
    SessionFirst,
    TokenFirst,
}

impl ReplyTo {
    /// The line that lets the session go on.
    pub fn proceed(&self) -> String {
        self.line("proceed")
    }

    /// The line that refuses, with the reply that the client gets.
    pub fn reject(&self, reply: &str) -> String {
        self.line(&format!("reject|{reply}"))
    }

    fn line(&self, result: &str) -> String {
        let (first, second) = match self.order {
            ReplyOrder::SessionFirst => (&self.session, &self.token),
            ReplyOrder::TokenFirst => (&self.token, &self.session),
        };
        format!("filter-result|{first}|{second}|{result}\n")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterEvent {
    /// The configuration has been told.
    Ready,
    MailFrom(ReplyTo, IsNull),
    RecipientTo(ReplyTo, String),
    /// Something else that waits for an answer.
    OtherQuestion(ReplyTo),
    /// This session is over.
    Disconnected(String),
    /// Something that waits for none.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsNull {
    Yes,
    No,
}

pub fn read(line: &[u8]) -> FilterEvent {
    let line = String::from_utf8_lossy(line);
    if line == "config|ready" {
        return FilterEvent::Ready;
    }
    // An address may hold the separator: it is the rest of the line.
    let mut words = line.splitn(8, '|');
    let mut next = || words.next().unwrap_or_default().to_owned();
    let (kind, version, _time, _subsystem, stage) = (next(), next(), next(), next(), next());
    let session = next();
    if kind == "report" && stage == "link-disconnect" {
        return FilterEvent::Disconnected(session);
    }
    if kind != "filter" {
        return FilterEvent::Other;
    }
    let order = match version.as_str() {
        "0.1" | "0.2" | "0.3" | "0.4" => ReplyOrder::TokenFirst,
        _ => ReplyOrder::SessionFirst,
    };
    let (token, rest) = (next(), next());
    if session.is_empty() || token.is_empty() {
        return FilterEvent::Other;
    }
    let to = ReplyTo { session, token, order };
    match stage.as_str() {
        "mail-from" if Address::parse(&rest).is_none() => FilterEvent::MailFrom(to, IsNull::Yes),
        "mail-from" => FilterEvent::MailFrom(to, IsNull::No),
        "rcpt-to" => FilterEvent::RecipientTo(to, rest),
        _ => FilterEvent::OtherQuestion(to),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, proptest};

    use super::{FilterEvent, IsNull, read};

    #[test]
    fn each_line_is_what_it_says() {
        let question = |stage: &str, rest: &str| {
            read(format!("filter|0.6|1795662344.595988|smtp-in|{stage}|0f36|6e9b|{rest}").as_bytes())
        };
        let FilterEvent::RecipientTo(to, address) = question("rcpt-to", "\"a|b\"@a.test") else {
            unreachable!("no question about a recipient")
        };
        assert_eq!(address, "\"a|b\"@a.test");
        assert_eq!(to.proceed(), "filter-result|0f36|6e9b|proceed\n");
        assert_eq!(
            to.reject("552 5.2.2 full"),
            "filter-result|0f36|6e9b|reject|552 5.2.2 full\n"
        );
        assert!(matches!(
            question("mail-from", ""),
            FilterEvent::MailFrom(_, IsNull::Yes)
        ));
        assert!(matches!(
            question("mail-from", "<>"),
            FilterEvent::MailFrom(_, IsNull::Yes)
        ));
        assert!(matches!(
            question("mail-from", "s@s.test"),
            FilterEvent::MailFrom(_, IsNull::No)
        ));
        assert!(matches!(question("data", ""), FilterEvent::OtherQuestion(_)));
        assert_eq!(read(b"config|ready"), FilterEvent::Ready);
        assert_eq!(
            read(b"report|0.6|1.0|smtp-in|link-disconnect|0f36"),
            FilterEvent::Disconnected("0f36".to_owned())
        );
        for other in [
            "",
            "config|admd|a.test",
            "filter",
            "filter|0.6|1|smtp-in|rcpt-to",
            "filter|0.6|1|smtp-in|rcpt-to||x|y",
            "|||||||||",
        ] {
            assert_eq!(read(other.as_bytes()), FilterEvent::Other, "{other}");
        }
    }

    #[test]
    fn an_older_protocol_wants_the_token_first() {
        let FilterEvent::RecipientTo(to, _) = read(b"filter|0.4|1|smtp-in|rcpt-to|session|token|a@a.test") else {
            unreachable!("no question about a recipient")
        };
        assert_eq!(to.proceed(), "filter-result|token|session|proceed\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn whatever_can_be_answered_is_a_question(address in "[^\n]{0,60}", session in "[0-9a-f]{1,16}", token in "[0-9a-f]{1,16}") {
            let line = format!("filter|0.6|1.0|smtp-in|rcpt-to|{session}|{token}|{address}");
            let FilterEvent::RecipientTo(to, rest) = read(line.as_bytes()) else { unreachable!("no question: {line}") };
            assert_eq!((to.session, to.token, rest), (session, token, address));
        }
    }
}
