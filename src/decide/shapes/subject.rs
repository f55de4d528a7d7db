//! Subjects of reports. A rule matches at the start of the subject, behind `[tags]` that lists and filters put there.

use super::{Rule, failed, late, reached, report, weak};

/// The rules, more telling ones before the shorter ones that begin like them.
pub const RULES: &[Rule] = &[
    // Postfix: src/bounce, default templates in bounce(5).
    failed("undelivered mail returned to sender", "Postfix, bounce(5)"),
    late("delayed mail (still being retried)", "Postfix, bounce(5)"),
    reached("successful mail delivery report", "Postfix, bounce(5)"),
    report("mail delivery status report", "Postfix, bounce(5)"),
    failed("postmaster copy: undelivered mail", "Postfix, bounce(5)"),
    // sendmail: savemail.c, and the queue's warnings.
    failed("returned mail", "sendmail, savemail.c"),
    late("warning: could not send message for past", "sendmail, queue.c"),
    late("warning: cannot send message for", "sendmail, queue.c"),
    report("postmaster notify:", "sendmail, PostMasterCopy"),
    reached("return receipt", "sendmail 8.6 and older"),
    // Exim: deliver.c, moan.c.
    late("warning: message ", "Exim, deliver.c"),
    failed("mail delivery failed", "Exim, deliver.c; also GMX, mail.ru, MXLogic"),
    failed("mail failure", "Exim, moan.c"),
    report("message frozen", "Exim, freeze_tell"),
    failed("error(s) in forwarding or filtering", "Exim, deliver.c"),
    // qmail: qmail-send.c, and everything that imitates it.
    failed(
        "failure notice",
        "qmail, qmail-send.8; also Yahoo, m-FILTER, Active!hunter",
    ),
    failed("permanent delivery failure", "qmail relatives"),
    failed("mail not delivered", "qmail relatives"),
    // Exchange, Outlook, Office 365.
    failed(
        "undeliverable",
        "Exchange; also InterScan, IMail, MailMarshal, Notes, GroupWise",
    ),
    failed("undelivered", "SendGrid, Zoho, AOL"),
    failed("nondeliverable mail", "PMDF, smtpsvc"),
    failed("non-deliverable", "smtpsvc"),
    failed("non-delivery", "X.400 gateways"),
    late("delivery delayed", "Exchange 2007 and later"),
    late("delayed:", "Exchange 2003"),
    reached("delivered:", "Exchange"),
    reached("relayed:", "Exchange"),
    reached("expanded:", "Exchange"),
    failed("rejected:", "Exchange, Dovecot Sieve"),
    // Everyone who writes RFC 3464 by hand.
    report(
        "delivery status notification",
        "Gmail, Outlook.com, SES, McAfee, OpenSMTPD",
    ),
    report("mail delivery status notification", "Zoho"),
    report("delivery status", "McAfee"),
    report("delivery report", "PowerMTA, Sun Messaging Server"),
    report("delivery notification", "Sun Messaging Server, PMDF"),
    report("notice: mail delivery status", "Courier"),
    late("warning: delayed mail", "Courier"),
    failed("delivery failure", "Domino, James, Yahoo"),
    failed("delivery_failure", "Domino"),
    failed("delivery failed", "Zimbra, Kerio"),
    failed("delivery error", "InterScan, MailEnable"),
    failed("delivery problem", "Kerio, ArGoSoft"),
    failed("delivery has failed", "Sun Messaging Server"),
    failed("fail to deliver", "Yahoo and its relatives"),
    failed("failed to deliver", "Yahoo and its relatives"),
    failed("failed delivery", "Yahoo and its relatives"),
    failed("failure delivery", "Yahoo and its relatives"),
    failed("failed mail", "MDaemon"),
    failed("mail delivery failure", "MessageLabs, Merak"),
    failed("mail delivery error", "Mercury, mail gateways"),
    failed("mail delivery problem", "CommuniGate Pro"),
    report("mail delivery report", "Mirapoint"),
    failed("mail could not be delivered", "InterScan"),
    failed("mail undeliverable", "Netscape Messaging Server"),
    failed("mail returned", "Post.Office, firewalls"),
    failed("mail system error - returned mail", "au by KDDI"),
    failed("email delivery failure", "Mimecast"),
    failed("email delivery error", "hosting panels"),
    failed("message delivery failure", "MailFoundry"),
    failed("message delivery has failed", "MailFoundry"),
    failed("message delivery failed", "MailFoundry"),
    failed("message undeliverable", "GroupWise"),
    failed("message status - undeliverable", "GroupWise, GWIA"),
    failed("message not delivered", "MailEnable"),
    failed("message you sent blocked by our bulk email filter", "Barracuda"),
    late("message delayed", "PMDF"),
    failed("your message could not be delivered", "web mailers"),
    failed("your mail could not be delivered", "web mailers"),
    failed("your email could not be delivered", "web mailers"),
    failed("sorry, your message could not be delivered", "Facebook"),
    failed("there was an error sending your mail", "web mailers"),
    failed("unable to deliver", "AOL, Earthlink"),
    failed("could not deliver", "IMail, VPOP3"),
    failed("cannot deliver", "older gateways"),
    failed("can't deliver", "older gateways"),
    failed("user unknown", "older gateways"),
    failed("unknown user", "older gateways"),
    failed("automatically rejected mail", "Dovecot, Cyrus"),
    // fml: its messages to people who are no members, and its loop alerts.
    failed("not member article from", "fml"),
    failed("reject mail", "fml"),
    failed("rejected mail from", "fml"),
    failed("spam mail from a spammer is rejected", "fml"),
    failed("loop alert:", "fml"),
    failed("fml system error message", "fml"),
    // Amazon's notices through its notification service.
    weak("aws notification message", "Amazon SNS for SES"),
    weak("amazon ses email event notification", "Amazon SNS for SES"),
    // Other tongues, mostly Exchange, Domino, hosting systems and carriers.
    failed("unzustellbar", "Exchange, German"),
    failed("nicht zustellbar", "Tobit, Exchange, German"),
    failed("nachricht konnte nicht zugestellt", "GMX, German"),
    failed("zustellung fehlgeschlagen", "Kerio, German"),
    failed("zustellfehler", "German systems"),
    failed("non remis", "Exchange, French"),
    failed("non_remis", "Exchange, French"),
    failed("message non remis", "La Poste, French"),
    failed("non distribuable", "Exchange, French"),
    failed("\u{e9}chec de la remise", "Exchange, French"),
    failed("\u{e9}chec de remise", "Exchange, French"),
    failed("non recapitabile", "Exchange, Italian"),
    failed("mancato recapito", "Exchange, Italian"),
    failed("impossibile recapitare", "Italian systems"),
    failed("onbestelbaar", "Exchange, Dutch"),
    failed("niet bezorgd", "Dutch systems"),
    failed("no se puede entregar", "Exchange, Spanish"),
    failed("no se pudo entregar", "Spanish systems"),
    failed("no entregado", "Exchange, Spanish"),
    failed("correo no entregado", "Spanish systems"),
    failed("error de entrega", "Spanish systems"),
    failed("n\u{e3}o \u{e9} poss\u{ed}vel entregar", "Exchange, Portuguese"),
    failed("n\u{e3}o entregue", "Exchange, Portuguese"),
    failed("n\u{e3}o foi poss\u{ed}vel entregar", "Portuguese systems"),
    failed("falha na entrega", "UOL, Portuguese"),
    failed("mensagem n\u{e3}o entregue", "UOL, Portuguese"),
    failed("mensagem devolvida", "Portuguese systems"),
    failed("olevererbart", "Exchange, Swedish"),
    failed("det g\u{e5}r inte att leverera", "Exchange, Swedish"),
    failed("kan ikke leveres", "Exchange, Danish and Norwegian"),
    failed("ikke leveret", "Danish systems"),
    failed("ikke levert", "Norwegian systems"),
    failed("toimittaminen ei onnistu", "Exchange, Finnish"),
    failed("ei voi toimittaa", "Exchange, Finnish"),
    failed("niedostarczalne", "Exchange, Polish"),
    failed("nie mo\u{17c}na dostarczy\u{107}", "Exchange, Polish"),
    failed("niedostarczon", "Polish systems"),
    failed("nedoru\u{10d}iteln", "Exchange, Czech"),
    failed("k\u{e9}zbes\u{ed}thetetlen", "Exchange, Hungarian"),
    failed("teslim edilemedi", "Exchange, Turkish"),
    failed("teslim edilemiyor", "Exchange, Turkish"),
    failed("imposibil de livrat", "Exchange, Romanian"),
    failed(
        "\u{43d}\u{435} \u{434}\u{43e}\u{441}\u{442}\u{430}\u{432}\u{43b}\u{435}\u{43d}",
        "Exchange, Russian",
    ),
    failed(
        "\u{43d}\u{435}\u{434}\u{43e}\u{441}\u{442}\u{430}\u{432}\u{43b}\u{435}\u{43d}",
        "mail.ru, Russian",
    ),
    failed(
        "\u{43d}\u{435} \u{443}\u{434}\u{430}\u{435}\u{442}\u{441}\u{44f} \u{434}\u{43e}\u{441}\u{442}\u{430}\u{432}\u{438}\u{442}\u{44c}",
        "Exchange, Russian",
    ),
    failed(
        "\u{43d}\u{435}\u{432}\u{43e}\u{437}\u{43c}\u{43e}\u{436}\u{43d}\u{43e} \u{434}\u{43e}\u{441}\u{442}\u{430}\u{432}\u{438}\u{442}\u{44c}",
        "Russian systems",
    ),
    failed(
        "\u{43e}\u{448}\u{438}\u{431}\u{43a}\u{430} \u{434}\u{43e}\u{441}\u{442}\u{430}\u{432}\u{43a}\u{438}",
        "Russian systems",
    ),
    failed(
        "\u{3b1}\u{3b4}\u{3cd}\u{3bd}\u{3b1}\u{3c4}\u{3b7} \u{3b7} \u{3c0}\u{3b1}\u{3c1}\u{3ac}\u{3b4}\u{3bf}\u{3c3}\u{3b7}",
        "Exchange, Greek",
    ),
    failed("\u{914d}\u{4fe1}\u{4e0d}\u{80fd}", "Exchange, Japanese"),
    failed(
        "\u{914d}\u{4fe1}\u{3067}\u{304d}\u{307e}\u{305b}\u{3093}",
        "Japanese systems",
    ),
    failed("\u{914d}\u{4fe1}\u{5931}\u{6557}", "Japanese systems"),
    failed(
        "\u{30e1}\u{30c3}\u{30bb}\u{30fc}\u{30b8}\u{3092}\u{914d}\u{4fe1}\u{3067}\u{304d}\u{307e}\u{305b}\u{3093}",
        "InterScan, Japanese",
    ),
    failed(
        "\u{30e1}\u{30fc}\u{30eb}\u{914d}\u{4fe1}\u{306b}\u{5931}\u{6557}",
        "InterScan, Japanese",
    ),
    failed("\u{672a}\u{914d}\u{4fe1}", "Japanese systems"),
    failed("\u{9001}\u{4fe1}\u{30a8}\u{30e9}\u{30fc}", "Japanese systems"),
    failed("\u{65e0}\u{6cd5}\u{6295}\u{9012}", "Exchange, Chinese"),
    failed("\u{672a}\u{9001}\u{8fbe}", "Exchange, Chinese"),
    failed("\u{9000}\u{4fe1}", "Coremail, Tencent, Chinese"),
    failed("\u{7cfb}\u{7edf}\u{9000}\u{4fe1}", "Coremail, Tencent, Chinese"),
    failed("\u{7121}\u{6cd5}\u{50b3}\u{905e}", "Exchange, Chinese"),
    failed("\u{c804}\u{c1a1} \u{c2e4}\u{d328}", "Korean systems"),
    failed("\u{bc30}\u{b2ec}\u{b418}\u{c9c0} \u{c54a}\u{c74c}", "Exchange, Korean"),
    failed("\u{bc30}\u{b2ec}\u{d560} \u{c218} \u{c5c6}\u{c74c}", "Exchange, Korean"),
];

/// Words of which one from each half makes a subject look like a report in any wording. Weak: newsletters do that too.
const DELIVERY: &[&str] = &[
    "deliver",
    "undeliver",
    "returned",
    "sending",
    "mail",
    "message",
    "envoi",
    "entrega",
    "zustell",
];
const TROUBLE: &[&str] = &[
    "fail",
    "unable",
    "could not",
    "couldn't",
    "cannot",
    "can't",
    "error",
    "delayed",
    "problem",
    "undeliver",
    "not delivered",
    "rejected",
    "unknown",
    "bounce",
    "refused",
    "blocked",
    "reject",
    "returned",
];

/// What a subject says.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The rule that matched; none where only the general words did.
    pub rule: Option<&'static Rule>,
    /// The subject answers or passes on another message: `Re:`, `Fwd:`.
    pub answered: bool,
}

/// Looks at `subject`, which is folded (lower case, single blanks).
#[must_use]
pub fn find(subject: &str) -> Option<Found> {
    let (bare, answered) = bare(subject);
    if let Some(rule) = RULES.iter().find(|rule| bare.starts_with(rule.text)) {
        // Exim's warning is a delay only when it says so; anyone may warn of a message.
        if rule.text != "warning: message " || bare.contains("delayed") {
            return Some(Found {
                rule: Some(rule),
                answered,
            });
        }
    }
    let general = DELIVERY.iter().any(|word| bare.contains(word)) && TROUBLE.iter().any(|word| bare.contains(word));
    general.then_some(Found { rule: None, answered })
}

/// Takes away `[list]`, `***SPAM***`, `Re:` and `Fwd:` at the start, and tells whether it was an answer or passed on.
#[must_use]
pub fn bare(subject: &str) -> (&str, bool) {
    const ANSWERS: [&str; 14] = [
        "re:", "fwd:", "fw:", "aw:", "wg:", "sv:", "vs:", "antw:", "tr:", "rv:", "enc:", "res:", "rif:", "re[2]:",
    ];
    let mut rest = subject.trim();
    let mut answered = false;
    loop {
        if let Some(tail) = rest
            .strip_prefix('[')
            .and_then(|tail| tail.split_once(']'))
            .map(|(_, tail)| tail)
        {
            // `[Fwd: subject]`, as Mozilla passes mail on.
            answered |= rest.starts_with("[fwd:");
            rest = tail.trim_start();
        } else if let Some(tail) = ANSWERS.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
            answered = true;
            rest = tail.trim_start();
        } else if let Some(tail) = rest.strip_prefix("***spam***").or_else(|| rest.strip_prefix("{spam?}")) {
            rest = tail.trim_start();
        } else {
            return (rest.trim_start_matches(['*', '"', '<', '!', ' ']), answered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RULES, find};

    #[test]
    fn a_subject_is_known_behind_tags_and_seen_to_be_answered() {
        let cases = [
            ("undelivered mail returned to sender", Some((true, false))),
            ("[list] mail delivery failed: returning message", Some((true, false))),
            ("re: undelivered mail returned to sender", Some((true, true))),
            ("[fwd: undeliverable: x] undeliverable", Some((true, true))),
            (
                "**message you sent blocked by our bulk email filter**",
                Some((true, false)),
            ),
            ("warning: message 1abc-def-gh delayed 24 hours", Some((true, false))),
            ("warning: message from the king", None),
            ("your mail has a problem", Some((false, false))),
            ("lunch on friday", None),
        ];
        for (subject, want) in cases {
            assert_eq!(
                find(subject).map(|found| (found.rule.is_some(), found.answered)),
                want,
                "{subject}"
            );
        }
    }

    #[test]
    fn no_rule_hides_behind_a_shorter_one_before_it() {
        for (at, rule) in RULES.iter().enumerate() {
            let hidden = RULES.iter().take(at).find(|before| rule.text.starts_with(before.text));
            assert!(
                hidden.is_none_or(|before| before.kind == rule.kind),
                "{} is never reached",
                rule.text
            );
            assert_eq!(rule.text, rule.text.to_lowercase());
        }
    }
}
