//! At which point of an SMTP session a message was refused. What is refused at RCPT TO is the address; before it, the
//! host that sends or the sender; after DATA, the message. Each MTA says it in its own way, and many do not say it at
//! all.

use crate::message::phrase_set::PhraseSet;
use crate::message::text::starts_with_ignoring_case;

/// A step of an SMTP session (RFC 5321 section 3), as far as it tells what was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SmtpStage {
    /// The greeting, EHLO, STARTTLS or AUTH: the host that sends was refused.
    Session,
    /// MAIL FROM: the sender was refused.
    Sender,
    /// RCPT TO: the address was refused.
    Recipient,
    /// DATA or its end: the message was refused.
    Data,
}

/// Words before a command that a reply answered: Postfix `(in reply to RCPT TO command)`, Exim
/// `after RCPT TO:<b@b.test>`, Courier, Exchange.
const ANCHORS: &[&str] = &["in reply to ", "after ", "during ", "while sending ", "in response to "];

/// Words between the two.
const BETWEEN: [&str; 3] = ["the ", "pipelined ", "smtp "];

/// The commands, as they are written there.
const COMMANDS: [(&str, SmtpStage); 12] = [
    ("rcpt", SmtpStage::Recipient),
    ("mail from", SmtpStage::Sender),
    ("end of data", SmtpStage::Data),
    ("data", SmtpStage::Data),
    ("message content", SmtpStage::Data),
    ("ehlo", SmtpStage::Session),
    ("helo", SmtpStage::Session),
    ("lhlo", SmtpStage::Session),
    ("starttls", SmtpStage::Session),
    ("auth", SmtpStage::Session),
    ("initial connection", SmtpStage::Session),
    ("initial server greeting", SmtpStage::Session),
];

/// Whole phrases: Postfix at the greeting, qmail-remote and its relatives, Gmail of old.
const PHRASES: [(&str, SmtpStage); 11] = [
    ("refused to talk to me", SmtpStage::Session),
    ("does not like recipient", SmtpStage::Recipient),
    ("sender was rejected", SmtpStage::Sender),
    ("my name was rejected", SmtpStage::Session),
    ("greeting failed", SmtpStage::Session),
    ("failed on data command", SmtpStage::Data),
    ("failed after i sent the message", SmtpStage::Data),
    ("(state 13)", SmtpStage::Recipient),
    ("(state 14)", SmtpStage::Recipient),
    ("(state 17)", SmtpStage::Data),
    ("(state 18)", SmtpStage::Data),
];

static ANCHOR_SET: PhraseSet<{ ANCHORS.len() }> = PhraseSet::new(ANCHORS);
static PHRASE_SET: PhraseSet<{ PHRASES.len() }> = PhraseSet::new(&words_of(PHRASES));

/// The words of a table.
#[allow(
    clippy::indexing_slicing,
    reason = "the compiler runs it, and stops at an index that is too large"
)]
const fn words_of<const N: usize>(table: [(&'static str, SmtpStage); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut at = 0;
    while at < N {
        words[at] = table[at].0;
        at += 1;
    }
    words
}

impl SmtpStage {
    /// Finds the stage that `text` names. Where it names several, the first counts: an MTA puts its own words before
    /// those that it hands on.
    pub fn find(text: &str) -> Option<Self> {
        if let Some(stage) = in_dialogue(text) {
            return Some(stage);
        }
        // One blank between words: Postfix breaks its lines at any of them.
        let mut plain = String::with_capacity(text.len() + 1);
        for word in text.split_ascii_whitespace() {
            plain.push_str(word);
            plain.push(' ');
        }
        plain.make_ascii_lowercase();
        let phrase = PHRASE_SET
            .find_all(&plain)
            .find_map(|(at, number)| PHRASES.get(number).map(|(_, stage)| (at, *stage)));
        let command = ANCHOR_SET.find_all(&plain).find_map(|(at, number)| {
            let rest = plain.get(at..)?.strip_prefix(ANCHOR_SET.phrase(number))?;
            command_at(rest).map(|stage| (at, stage))
        });
        let found = command.into_iter().chain(phrase).min_by_key(|(at, _)| *at);
        found.map(|(_, stage)| stage)
    }
}

/// The stage of the command with which `text` begins.
fn command_at(text: &str) -> Option<SmtpStage> {
    let mut rest = text;
    while let Some(next) = BETWEEN.iter().find_map(|word| rest.strip_prefix(word)) {
        rest = next;
    }
    let (_, stage) = COMMANDS.iter().find(|(command, _)| rest.starts_with(command))?;
    Some(*stage)
}

/// The command that a reply stands below, where the dialogue itself is shown: `>>> RCPT To:<b@b.test>`, then
/// `<<< 550 ...` (sendmail, Courier). A final dot is the end of DATA. With PIPELINING sendmail shows DATA above the
/// answer to RCPT, and the answer to DATA, which misses a recipient, below that.
fn in_dialogue(text: &str) -> Option<SmtpStage> {
    let mut command = None;
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if let Some(sent) = line.strip_prefix(">>> ") {
            let starts = |word: &str| starts_with_ignoring_case(sent, word);
            command = if starts("rcpt") {
                Some(SmtpStage::Recipient)
            } else if starts("mail") || starts("send") {
                Some(SmtpStage::Sender)
            } else if starts("data") || starts("bdat") || sent.trim() == "." {
                Some(SmtpStage::Data)
            } else if ["ehlo", "helo", "lhlo", "starttls", "auth"].into_iter().any(starts) {
                Some(SmtpStage::Session)
            } else {
                command
            };
        } else if let Some(answer) = line.strip_prefix("<<< ")
            && answer.starts_with(['4', '5'])
            && command.is_some()
        {
            let misses_recipient = |line: &str| {
                let line = line.to_ascii_lowercase();
                line.starts_with("<<< 503") || line.starts_with("<<< 554") && line.contains("no valid recipient")
            };
            return match command {
                Some(SmtpStage::Data) if lines.any(misses_recipient) => Some(SmtpStage::Recipient),
                command => command,
            };
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::SmtpStage;

    #[test]
    fn each_mta_names_the_stage_in_its_own_way() {
        for (text, want) in [
            (
                "host mx said: 550 no (in reply to RCPT TO command)",
                Some(SmtpStage::Recipient),
            ),
            (
                "550 no (in\n    reply to end of\n    DATA command)",
                Some(SmtpStage::Data),
            ),
            (
                "host mx[192.0.2.9] refused to talk to me: 554 no",
                Some(SmtpStage::Session),
            ),
            (
                "SMTP error from remote mail server after MAIL FROM:<> SIZE=1: 550",
                Some(SmtpStage::Sender),
            ),
            (
                "after RCPT TO:<b@b.test>: 550-a (in reply to MAIL FROM command)",
                Some(SmtpStage::Recipient),
            ),
            (
                "192.0.2.9 does not like recipient.\nRemote host said: 550",
                Some(SmtpStage::Recipient),
            ),
            (
                "Connected to 192.0.2.9 but sender was rejected.",
                Some(SmtpStage::Sender),
            ),
            (
                ">>> MAIL From:<a@a.test>\n<<< 250 ok\n>>> RCPT To:<b@b.test>\n<<< 550 5.1.1 no\n>>> DATA\n<<< 503 no",
                Some(SmtpStage::Recipient),
            ),
            (
                ">>> DATA\n<<< 550 5.1.1 no\n550 5.1.1 no\n<<< 503 5.0.0 Need RCPT (recipient)",
                Some(SmtpStage::Recipient),
            ),
            (">>> DATA\n<<< 354 go on\n>>> .\n<<< 550 no", Some(SmtpStage::Data)),
            ("550 b@b.test unknown", None),
            ("", None),
        ] {
            assert_eq!(SmtpStage::find(text), want, "{text}");
        }
    }
}
