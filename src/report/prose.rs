//! Which addresses failed, for reports that are no RFC 3464. `X-Failed-Recipients` comes first, then the lines in which
//! qmail, Exim, sendmail, Exchange, Domino and the others name them. The quoted message's own recipient comes last.

use crate::message::address::Address;
use crate::message::text::normalize_words;
use crate::report::dsn::{Recipient, ReportKind};
use crate::report::failure::FailureEvidence;
use crate::report::stage::SmtpStage;
use crate::report::status_code::{FailureClass, find_status, from_reply_code, status_of_reply_code};

/// A report that names more recipients says nothing new with the rest.
const MAX_RECIPIENTS: usize = 50;

/// As many lines as are looked at.
const MAX_LINES: usize = 400;

/// A reason stands at most this many lines below its address.
const REASON_LINES: usize = 8;

/// The stage of the refusal stands at the end of a reply, which may have more lines than say anything.
const PARAGRAPH_LINES: usize = 20;

/// Words in a line that make the address in it the one that failed.
#[rustfmt::skip]
const LABELS: &[&str] = &[
    "rcpt to", "undeliverable to", "delivered to", "deliver to", "unknown user", "user unknown", "addressed to",
    "recipient", "failed", "mailbox", "not found", "no such", "does not exist", "unknown", "rejected", "quota",
    "user(s)", "address:", "to:", "could not", "error-for", "unable", "userid", "generated from",
    "your message to", "dda:smtp=", "nachricht an", "收件人", "收信人",
];

/// What Exchange 5.5 and 2003 write below the message's own `To`, which need not be the address that failed.
const BELOW: [&str; 2] = [
    "did not reach the following recipient",
    "recipient(s) could not be reached",
];

/// One address that a report in prose names, with the words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFailure {
    /// The address.
    pub address: String,
    /// The lines about it, from the one that names it.
    pub paragraph: String,
    /// At which stage it was refused.
    pub stage: Option<SmtpStage>,
}

impl NamedFailure {
    /// The reason, on one line.
    pub fn reason(&self) -> String {
        let lines = self
            .paragraph
            .lines()
            .filter(|line| !line.is_empty())
            .take(REASON_LINES);
        let words: Vec<&str> = lines.flat_map(str::split_ascii_whitespace).collect();
        words.join(" ")
    }
}

/// Reads addresses and reasons out of `text` as `find_named` does, and weighs them; `senders` sent the message.
pub fn find_failed(text: &str, not: &[String], senders: &[String]) -> Vec<Recipient> {
    find_named(text, not)
        .into_iter()
        .map(|named| weigh_words(named, text, senders))
        .collect()
}

/// Reads addresses and reasons out of `text`, the system's own words as lines. `not` are addresses that cannot have
/// failed: the report's own sender and recipient.
pub fn find_named(text: &str, not: &[String]) -> Vec<NamedFailure> {
    let below = BELOW.iter().filter_map(|words| text.find(words)).min();
    let found = below
        .and_then(|at| text.get(at..))
        .map(|piece| find_among(piece, text, not))
        .unwrap_or_default();
    if found.is_empty() {
        find_among(text, text, not)
    } else {
        found
    }
}

/// The same for a piece of the text.
fn find_among(piece: &str, text: &str, not: &[String]) -> Vec<NamedFailure> {
    let lines: Vec<&str> = piece.lines().take(MAX_LINES).map(str::trim).collect();
    let mut sure: Vec<(usize, String)> = Vec::new();
    let mut likely: Vec<(usize, String)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if sure.len() >= MAX_RECIPIENTS || likely.len() >= MAX_RECIPIENTS {
            break;
        }
        let Some(found) = another_in(line, not) else {
            continue;
        };
        let known = |list: &[(usize, String)]| list.iter().any(|(_, address)| address.eq_ignore_ascii_case(&found));
        if known(&sure) {
            continue;
        }
        if stands_alone(line) {
            sure.push((at, found));
        } else if !known(&likely) {
            let lower = normalize_words(line);
            if lower.starts_with("from") || lower.contains("mail from") {
                continue;
            }
            if LABELS.iter().any(|label| lower.contains(label)) {
                likely.push((at, found));
            }
        }
    }
    let found = if sure.is_empty() { likely } else { sure };
    with_paragraphs(found, &lines, text)
}

/// Adds to each address, and the line that it stands in, the lines about it.
fn with_paragraphs(found: Vec<(usize, String)>, lines: &[&str], text: &str) -> Vec<NamedFailure> {
    let starts: Vec<usize> = found.iter().map(|(at, _)| *at).collect();
    found
        .into_iter()
        .map(|(at, address)| {
            let next = starts.iter().copied().find(|start| *start > at).unwrap_or(lines.len());
            let below: Vec<&str> = lines
                .get(at..next)
                .unwrap_or_default()
                .iter()
                .enumerate()
                .take_while(|(number, line)| *number == 0 || !line.starts_with("---"))
                .map(|(_, line)| *line)
                .scan(0, |lines, line| {
                    *lines += usize::from(!line.is_empty());
                    (*lines <= PARAGRAPH_LINES).then_some(line)
                })
                .collect();
            let paragraph = below.join("\n");
            let mut stage = SmtpStage::find(&paragraph);
            if starts.len() == 1 {
                stage = stage.or_else(|| SmtpStage::find(text));
            }
            NamedFailure {
                address,
                paragraph,
                stage,
            }
        })
        .collect()
}

/// The only address in `text` beside those in `not`, and beside those that reports ask to write to: it failed, whatever
/// the language. Where there are several, the only one that is all of a line behind its label.
pub fn find_only(text: &str, not: &[String]) -> Option<String> {
    let lines = || text.lines().take(MAX_LINES);
    only_of(lines(), not).or_else(|| only_of(lines().filter_map(behind_label), not))
}

fn only_of<'t>(lines: impl Iterator<Item = &'t str>, not: &[String]) -> Option<String> {
    let mut found = lines.filter_map(|line| another_in(line, not));
    let only = found.by_ref().find(|address| !is_contact(address))?;
    let is_other = |address: String| !is_contact(&address) && !address.eq_ignore_ascii_case(&only);
    (!found.any(is_other)).then_some(only)
}

/// What stands behind the label of a line, where that is one word: `Destinatario: <b@b.test>`.
fn behind_label(line: &str) -> Option<&str> {
    let (_, value) = line.split_once([':', '\u{ff1a}'])?;
    let value = value.trim();
    (value.contains('@') && !value.contains(char::is_whitespace)).then_some(value)
}

/// Tells whether an address is one that reports ask to write to.
fn is_contact(address: &str) -> bool {
    let local = address.split('@').next().unwrap_or_default().to_ascii_lowercase();
    [
        "postmaster",
        "mailer-daemon",
        "abuse",
        "support",
        "help",
        "admin",
        "info",
        "contact",
    ]
    .iter()
    .any(|name| local.starts_with(name))
}

/// Tells whether `text` has any address at all beside those in `not`.
pub fn names_anybody(text: &str, not: &[String]) -> bool {
    text.lines().take(MAX_LINES).any(|line| another_in(line, not).is_some())
}

/// The address in a line, unless it is one of those in `not`.
fn another_in(line: &str, not: &[String]) -> Option<String> {
    address_in(line).filter(|found| !not.iter().any(|other| other.eq_ignore_ascii_case(found)))
}

/// Weighs what the words about one recipient say, and `all` words of the report where those say nothing.
pub fn weigh_words(named: NamedFailure, all: &str, senders: &[String]) -> Recipient {
    let paragraph = named.paragraph.as_str();
    let status = find_status(paragraph)
        .or_else(|| find_status(all))
        .or_else(|| status_of_reply_code(paragraph))
        .or_else(|| status_of_reply_code(all))
        .map(str::to_owned);
    let class_by = |reply| {
        let evidence = FailureEvidence {
            status: status.as_deref(),
            reply,
            stage: named.stage,
            recipient: &named.address,
            senders,
        };
        Some(evidence.weigh()).filter(|(class, _)| *class != FailureClass::Neither)
    };
    // What the far side answered, which an empty line ends; what is said of this address, then all.
    let (class, basis) = from_reply_code(paragraph)
        .map(up_to_empty_line)
        .and_then(class_by)
        .or_else(|| from_reply_code(paragraph).and_then(class_by))
        .or_else(|| class_by(paragraph))
        .or_else(|| from_reply_code(all).map(up_to_empty_line).and_then(class_by))
        .or_else(|| class_by(all))
        .unwrap_or_default();
    let reason = named.reason();
    Recipient {
        action: None,
        status,
        diagnostic: Some(reason).filter(|reason| !reason.is_empty()),
        stage: named.stage,
        class,
        basis,
        address: named.address,
        ..Recipient::default()
    }
}

/// The first paragraph of `text`, without the line in which qmail-remote gives up on the host.
fn up_to_empty_line(text: &str) -> &str {
    let end = text.match_indices('\n').map(|(at, _)| at).find(|at| {
        text.get(at + 1..).is_some_and(|rest| {
            let rest = rest.trim_start_matches(['\r', ' ', '\t']);
            rest.starts_with('\n') || rest.starts_with("Giving up on ")
        })
    });
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}

/// Fills in what the kind of the whole report says about each recipient. Where that says nothing, `own` words of
/// waiting make it late, and else it failed: that is what reports are for.
pub fn complete_recipients(recipients: &mut [Recipient], kind: Option<ReportKind>, own: &str) {
    if recipients.iter().all(|recipient| recipient.action.is_some()) {
        return;
    }
    let (action, class) = match kind {
        Some(ReportKind::Failure) => ("failed", None),
        Some(ReportKind::Delay) => ("delayed", Some(FailureClass::Soft)),
        Some(ReportKind::Success) => ("delivered", Some(FailureClass::Neither)),
        None if waits(own) => ("delayed", Some(FailureClass::Soft)),
        None => ("failed", None),
    };
    for recipient in recipients.iter_mut().filter(|recipient| recipient.action.is_none()) {
        recipient.action = Some(action.to_owned());
        recipient.class = class.unwrap_or(recipient.class);
    }
}

/// Tells whether a report says that it is none of a failure yet.
fn waits(own: &str) -> bool {
    #[rustfmt::skip]
    const WORDS: [&str; 8] = [
        "is delayed", "been delayed", "temporary failure report", "not yet been delivered",
        "not been delivered yet", "will be retried", "kept in the queue", "need to re-send",
    ];
    let own = own.to_ascii_lowercase();
    WORDS.iter().any(|words| own.contains(words))
}

/// Tells whether a line is little more than an address: `<a@a.test>:`, `a@a.test`, `To: a@a.test`,
/// `a@a.test on Mon, 2 Nov`.
fn stands_alone(line: &str) -> bool {
    let bare = line.trim_start_matches(['<', '*', '-', '>', ' ', '\'', '"']);
    let word = bare
        .split([' ', '\t', '>', ':', ',', ';', '\''])
        .next()
        .unwrap_or_default();
    // sendmail sets no blank before the reason: `b@b.test... Deferred`.
    let word = word.split("...").next().unwrap_or_default();
    let rest = bare
        .get(word.len()..)
        .unwrap_or_default()
        .trim_start_matches(['>', ' ', '\'', '"']);
    word.contains('@')
        && (rest.is_empty()
            || rest.starts_with(':')
            || rest.starts_with("...")
            || rest.starts_with("on ")
            || rest.len() <= 2)
}

/// The first address in a line.
fn address_in(line: &str) -> Option<String> {
    let at = line.get(..line.len().min(1000)).unwrap_or(line).find('@')?;
    let is_part = |c: char| c.is_alphanumeric() || "!#$%&*+-./=?^_{|}~".contains(c);
    let (before, after) = (line.get(..at)?, line.get(at + 1..)?);
    let start = before.rfind(|c| !is_part(c)).map_or(0, |found| {
        found
            + before
                .get(found..)
                .and_then(|s| s.chars().next())
                .map_or(1, char::len_utf8)
    });
    let end = after
        .find(|c: char| !c.is_alphanumeric() && !"-.".contains(c))
        .unwrap_or(after.len());
    let local = before.get(start..)?.trim_matches('.');
    // Exchange 5.5 writes X.400 addresses: `c=US;a= ;p=B;dda:SMTP=b@b.test;`.
    let local = local.strip_prefix("SMTP=").unwrap_or(local);
    // sendmail writes `a@a.test... User unknown`, some without the blank.
    let domain = after.get(..end)?.split("..").next()?.trim_matches(['.', '-']);
    if local.is_empty() || domain.is_empty() {
        return None;
    }
    Address::parse(&format!("{local}@{domain}")).map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::{find_failed, find_only};
    use crate::report::status_code::FailureClass;

    #[test]
    fn the_only_address_failed_in_any_language() {
        for (text, want) in [
            ("\u{bc1b} b@b.test\n550 no\n", Some("b@b.test")),
            ("a@a.test\nb@b.test\nB@b.test\nsupport@b.test\n", Some("b@b.test")),
            ("b@b.test\nc@c.test\n", None),
            ("Destinatario: <b@b.test>\n550 no; c@c.test\n", Some("b@b.test")),
            ("Uno: b@b.test\nDos: c@c.test\n", None),
            ("support@b.test\n", None),
            ("", None),
        ] {
            assert_eq!(find_only(text, &["a@a.test".to_owned()]).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn failed_addresses_are_read_out_of_each_systems_lines() {
        let cases = [
            (
                "<b@b.test>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 unknown user\n",
                "b@b.test",
                Some("5.1.1"),
                FailureClass::Hard,
            ),
            (
                "  b@b.test\n    Unrouteable address\n",
                "b@b.test",
                None,
                FailureClass::Hard,
            ),
            (
                "550 5.1.1 <b@b.test>... User unknown\n",
                "b@b.test",
                Some("5.1.1"),
                FailureClass::Hard,
            ),
            (
                ">>> RCPT To:<b@b.test>\n<<< 552 quota exceeded\n",
                "b@b.test",
                Some("5.2.0"),
                FailureClass::Soft,
            ),
            (
                "was not delivered to:\n\n  b@b.test\n\nbecause:\n\n  not listed in Directory\n",
                "b@b.test",
                None,
                FailureClass::Hard,
            ),
            (
                "User mailbox exceeds allowed size: b@b.test\n",
                "b@b.test",
                None,
                FailureClass::Soft,
            ),
            ("To: b@b.test\nfrom a@a.test\n", "b@b.test", None, FailureClass::Neither),
            ("undeliverable  to b@b.test\n", "b@b.test", None, FailureClass::Hard),
            (
                "Your message\n  To: list@c.test\ndid not reach the following recipient(s):\n\nc=B;a= ;dda:SMTP=b@b.test; on Mon\n  The recipient name is not recognized\n",
                "b@b.test",
                None,
                FailureClass::Hard,
            ),
            (
                "  To: b@b.test\ndid not reach the following recipient(s):\n\nthe postmaster\n",
                "b@b.test",
                None,
                FailureClass::Neither,
            ),
            ("a@a.test\n", "", None, FailureClass::Neither),
            // qmail-remote ends with a line of its own.
            (
                "<b@b.test>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 #5.1.0 Address rejected.\nGiving up on 192.0.2.1.\n",
                "b@b.test",
                Some("5.1.0"),
                FailureClass::Hard,
            ),
            (
                "b@b.test... Deferred: timed out\n",
                "b@b.test",
                None,
                FailureClass::Soft,
            ),
            // A reply that names the sender refuses it.
            (
                "  b@b.test\n    SMTP error after RCPT TO:<b@b.test>:\n    550-Callout failed:\n    550 550 <s@s.test>: unknown user\n",
                "b@b.test",
                Some("5.0.0"),
                FailureClass::Message,
            ),
        ];
        for (text, address, status, class) in cases {
            let found = find_failed(text, &["a@a.test".to_owned()], &["s@s.test".to_owned()]);
            let first = found.first();
            assert_eq!(first.map(|r| r.address.as_str()).unwrap_or_default(), address, "{text}");
            if let Some(first) = first {
                assert_eq!((first.status.as_deref(), first.class), (status, class), "{text}");
            }
        }
    }
}
