//! Reads from what the caller says who sent a message and whose it is. Postfix, Exim, sendmail, OpenSMTPD, procmail and
//! maildrop each set other variables and add other header fields. Flags come first, then the environment, then the
//! message.

use std::cell::LazyCell;

use crate::cli::Who;
use crate::config::Config;
use crate::message::Message;
use crate::message::address::{Address, OwnAddresses};
use crate::message::envelope::{Envelope, Sender};
use crate::sys::account::{self, Account};

/// Reads one variable of the environment.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process. Bytes that are not UTF-8 are replaced.
pub fn read_variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Tells whether an MTA started this run: then the message is gone for good when we end with 0.
pub fn is_mail_system(variable: Variable<'_>) -> bool {
    // ORGMAIL is procmail's, MAILFILTER maildrop's.
    ["SENDER", "RECIPIENT", "ORGMAIL", "MAILFILTER"]
        .iter()
        .any(|name| variable(name).is_some())
        || variable("AGENT").is_some_and(|agent| agent == "sendmail")
}

/// Builds the envelope.
pub fn read_envelope(
    who: &Who,
    variable: Variable<'_>,
    message: &Message<'_>,
    config: &Config,
    account: &Account,
) -> Envelope {
    let recipient = recipient(who, variable, message);
    let mut own = OwnAddresses::new(&config.recipient_delimiter);
    let mail_name = LazyCell::new(account::mail_name);
    let mut add = |text: &str| {
        if let Some(address) = Address::parse(text) {
            let qualified = match address.domain() {
                Some(_) => Some(address),
                // A bare name is a mailbox of this host, where a user is called so: getmail writes `unknown` for all of
                // them.
                None if is_user(address.without_extension(&config.recipient_delimiter), account) => {
                    Address::from_parts(address.local(), &mail_name)
                }
                None => None,
            };
            qualified.into_iter().for_each(|address| own.add(address));
        }
    };
    if account.is_alias() {
        let domain = recipient.as_deref().and_then(Address::parse);
        let domain = domain.as_ref().and_then(|address| address.domain());
        // Every alias of a chain has the same recipient; each is known by its own name.
        let named = match (account.name.contains('@'), domain) {
            (true, _) => account.name.clone(),
            (false, Some(domain)) => format!("{}@{domain}", account.name),
            (false, None) => format!("{}@{}", account.name, *mail_name),
        };
        add(&named);
    }
    recipient.iter().for_each(|text| add(text));
    config.addresses.iter().for_each(|text| add(text));
    // Who names the recipient knows better than a header that may have come from anywhere.
    if who.recipient.is_none() {
        delivered_to(message).iter().for_each(|text| add(text));
    }
    if account.is_virtual() {
        Address::parse(&account.name)
            .into_iter()
            .for_each(|address| own.add(address));
    }
    if own.primary().is_none() {
        own.add_bare(&account.name, &account::mail_name());
    }
    Envelope {
        sender: sender(who, variable, message),
        recipient,
        own,
    }
}

/// Tells whether a bare name is a user of this host.
fn is_user(name: &str, account: &Account) -> bool {
    name == account.name || account::find_known(name).is_ok_and(|user| user.is_some())
}

/// Sees to it that an envelope is that of a stored message. Nothing but the command line and the message is asked; own
/// addresses are looked up only where they can be others than those of the message before.
pub fn take_stored(kept: &mut Option<Envelope>, who: &Who, message: &Message<'_>, config: &Config, account: &Account) {
    let nothing = |_: &str| None;
    match kept {
        Some(envelope) if envelope.recipient == recipient(who, &nothing, message) => {
            envelope.sender = sender(who, &nothing, message);
        }
        _ => *kept = Some(self::read_envelope(who, &nothing, message, config, account)),
    }
}

/// Who sent it. The variable holds even when it is empty: that is how most MTAs write the null sender. A missing
/// `Return-Path` says nothing: Exim's `.forward` and OpenSMTPD leave it out.
fn sender(who: &Who, variable: Variable<'_>, message: &Message<'_>) -> Sender {
    if let Some(text) = who.sender.clone().or_else(|| variable("SENDER")) {
        return Sender::read(&text);
    }
    let trusted = message.delivery_fields().find(|field| field.is("Return-Path"));
    if let Some(field) = trusted {
        return Sender::read(&field.text());
    }
    // maildrop exports every variable of its own, MAILFILTER among them; its MAILER-DAEMON may also mean that it knows
    // nothing.
    if let (Some(_), Some(from)) = (variable("MAILFILTER"), variable("FROM"))
        && let sender @ Sender::Address(_) = Sender::read(&from)
    {
        return sender;
    }
    if let Some(line) = message.from_line() {
        let line = String::from_utf8_lossy(line);
        let rest = line.split_once(' ').map(|(_, rest)| first_word(rest));
        return match rest.filter(|word| !word.is_empty()) {
            Some(word) => Sender::read(word),
            None => Sender::Unknown,
        };
    }
    match message.first("Return-Path") {
        Some(text) => Sender::read(&text),
        None => Sender::Unknown,
    }
}

/// Up to the first blank outside a quoted local part.
fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let mut is_quoted = false;
    let end = text.find(|c: char| {
        is_quoted ^= c == '"';
        c.is_ascii_whitespace() && !is_quoted
    });
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}

/// The address it was sent to. `ORIGINAL_RECIPIENT` may be a list or an alias, and is nobody's own.
fn recipient(who: &Who, variable: Variable<'_>, message: &Message<'_>) -> Option<String> {
    let joined = |local: &str, domain: &str| {
        let (local, domain) = (variable(local)?, variable(domain)?);
        (!local.is_empty() && !domain.is_empty()).then(|| format!("{local}@{domain}"))
    };
    let given = who.recipient.clone().filter(|text| !text.is_empty());
    given
        .or_else(|| variable("RECIPIENT").filter(|text| !text.is_empty()))
        .or_else(|| joined("LOCAL", "DOMAIN"))
        .or_else(|| joined("LOCAL_PART", "DOMAIN"))
        .or_else(|| delivered_to(message))
}

/// The address that the delivering MTA wrote into the header. Further down it is another host's, and another user's.
fn delivered_to(message: &Message<'_>) -> Option<String> {
    let mut envelope_to = None;
    for field in message.delivery_fields() {
        if field.is("Delivered-To") {
            return Some(field.text().into_owned());
        }
        if envelope_to.is_none() && field.is("Envelope-To") {
            envelope_to = Some(field);
        }
    }
    envelope_to.map(|field| field.text().into_owned())
}

#[cfg(test)]
mod tests {
    use super::{is_mail_system, read_envelope};
    use crate::cli::Who;
    use crate::config::Config;
    use crate::message::Message;
    use crate::message::envelope::Sender;
    use crate::sys::account::{Account, AccountKind};

    fn account() -> Account {
        Account {
            name: "a".to_owned(),
            uid: 1,
            gid: None,
            home: None,
            kind: AccountKind::User,
        }
    }

    fn seen(variables: &[(&str, &str)], message: &[u8], who: &Who) -> (Sender, Option<String>, Vec<String>) {
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let found = read_envelope(who, &variable, &Message::new(message), &Config::default(), &account());
        let own = found.own.iter().map(ToString::to_string).collect();
        (found.sender, found.recipient, own)
    }

    fn address(text: &str) -> Sender {
        Sender::Address(text.to_owned())
    }

    #[test]
    fn each_mail_system_is_understood() {
        let none = Who::default();
        // Postfix, .forward or mailbox_command.
        let postfix = [
            ("SENDER", "s@s.test"),
            ("RECIPIENT", "a+x@a.test"),
            ("ORIGINAL_RECIPIENT", "list@a.test"),
        ];
        let (sender, recipient, own) = seen(
            &postfix,
            b"Return-Path: <>\nDelivered-To: a@a.test\nReceived: x\n\n",
            &none,
        );
        assert_eq!(sender, address("s@s.test"));
        assert_eq!(recipient.as_deref(), Some("a+x@a.test"));
        assert_eq!(own, ["a+x@a.test"]);
        // A null sender is an empty variable, and stays null whatever the header says.
        assert_eq!(
            seen(&[("SENDER", "")], b"Return-Path: <s@s.test>\n\n", &none).0,
            Sender::Null
        );
        // Exim, .forward: no Return-Path for anybody.
        let exim = [("SENDER", "s@s.test"), ("LOCAL_PART", "a"), ("DOMAIN", "a.test")];
        assert_eq!(
            seen(&exim, b"From s@s.test Mon Nov  2 10:00:00 2026\nReceived: x\n\n", &none).2,
            ["a@a.test"]
        );
        // Sendmail's prog mailer says nothing but the separator line.
        let sendmail = b"From MAILER-DAEMON Mon Nov  2 10:00:00 2026\nReceived: x\nReturn-Path: <s@s.test>\n\n";
        assert_eq!(seen(&[("AGENT", "sendmail")], sendmail, &none).0, Sender::Null);
        // procmail under Postfix: the header alone.
        let procmail = b"From s@s.test  Mon Nov  2 10:00:00 2026\nReturn-Path: <s@s.test>\nDelivered-To: a@a.test\nReceived: x\n\n";
        assert_eq!(
            seen(&[], procmail, &none),
            (
                address("s@s.test"),
                Some("a@a.test".to_owned()),
                vec!["a@a.test".to_owned()]
            )
        );
        // maildrop, whose MAILER-DAEMON may mean anything.
        let maildrop = |from| [("MAILFILTER", ".mailfilter"), ("FROM", from)];
        assert_eq!(
            seen(&maildrop("s@s.test"), b"Subject: x\n\n", &none).0,
            address("s@s.test")
        );
        assert_eq!(
            seen(&maildrop("MAILER-DAEMON"), b"Subject: x\n\n", &none).0,
            Sender::Unknown
        );
        // Flags beat everything.
        let flags = Who {
            sender: Some("<>".to_owned()),
            recipient: Some("c@c.test".to_owned()),
            ..Who::default()
        };
        let (sender, recipient, own) = seen(&postfix, b"", &flags);
        assert_eq!((sender, recipient.as_deref()), (Sender::Null, Some("c@c.test")));
        assert_eq!(own, ["c@c.test"]);
    }

    #[test]
    fn an_alias_goes_by_its_own_name_first() {
        let seen = |name: &str, recipient: &str| {
            let alias = Account {
                name: name.to_owned(),
                kind: AccountKind::Alias,
                ..account()
            };
            let variable = |name: &str| (name == "RECIPIENT").then(|| recipient.to_owned());
            let (who, config) = (Who::default(), Config::default());
            let found = read_envelope(&who, &variable, &Message::new(b"\n"), &config, &alias);
            found.own.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(seen("dave", "dave@a.test"), "dave@a.test");
        assert_eq!(seen("dave", "team@a.test"), "dave@a.test team@a.test");
        assert_eq!(seen("dave@v.test", "dave@a.test"), "dave@v.test dave@a.test");
        assert!(seen("dave", "").starts_with("dave@"));
    }

    #[test]
    fn nothing_said_is_not_the_null_sender() {
        assert_eq!(seen(&[], b"Subject: x\n\n", &Who::default()).0, Sender::Unknown);
        assert_eq!(
            seen(&[], b"Received: x\nReturn-Path: <s@s.test>\n\n", &Who::default()).0,
            address("s@s.test")
        );
    }

    #[test]
    fn another_hosts_delivered_to_is_not_ours() {
        let message = b"Received: by a.test\nDelivered-To: b@b.test\nReceived: by b.test\n\n";
        let own = seen(&[("RECIPIENT", "a@a.test")], message, &Who::default()).2;
        assert_eq!(own, ["a@a.test"]);
        assert!(!seen(&[], message, &Who::default()).2.contains(&"b@b.test".to_owned()));
    }

    #[test]
    fn a_bare_word_is_an_address_only_where_a_user_is_called_so() {
        let message = b"Delivered-To: unknown\nReceived: from pop.b.test by a.test with POP3\n\n";
        let own = seen(&[], message, &Who::default()).2;
        assert!(!own.iter().any(|own| own.starts_with("unknown")), "{own:?}");
        let own = seen(&[], b"Delivered-To: a\n\n", &Who::default()).2;
        assert!(own.iter().any(|own| own.starts_with("a@")), "{own:?}");
    }

    #[test]
    fn whoever_names_the_recipient_names_the_only_one() {
        let who = Who {
            recipient: Some("c@c.test".to_owned()),
            ..Who::default()
        };
        assert_eq!(seen(&[], b"Delivered-To: a@a.test\n\n", &who).2, ["c@c.test"]);
    }

    #[test]
    fn blanks_in_a_quoted_local_part_stay() {
        let line = b"From \"s t\"@s.test Mon Nov  2 10:00:00 2026\nReceived: x\n\n";
        assert_eq!(seen(&[], line, &Who::default()).0, address("\"s t\"@s.test"));
        let route = [("SENDER", "<@r.test,@q.test:s@s.test>")];
        assert_eq!(seen(&route, b"\n", &Who::default()).0, address("s@s.test"));
    }

    #[test]
    fn a_mail_system_is_known_by_what_it_sets() {
        assert!(is_mail_system(&|name| (name == "SENDER").then(String::new)));
        assert!(!is_mail_system(&|_| None));
    }
}
