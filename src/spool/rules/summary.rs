//! Summarises one message for `spool list`: what it is, who wrote it, what it is about, whether it was read.

use serde::{Deserialize, Serialize};

use crate::classify::verdict::{Judgement, Marker, Verdict};
use crate::message::address::Address;
use crate::message::text::decoded_value;
use crate::message::{Field, Message};

/// What sort of mail a message is, going by what bloats mailboxes: the verdict, and of ordinary mail whether a machine
/// sent it to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MailKind {
    /// It has been here before.
    Loop,
    /// A report from an MTA.
    Bounce,
    /// A feedback report.
    Complaint,
    /// A read receipt.
    Receipt,
    /// Vacation and the like.
    AutoReply,
    /// Written by spoolguard itself.
    Notice,
    /// The output of a job that cron(8) ran.
    Cron,
    /// From a mailing list.
    List,
    /// Everything else.
    Ordinary,
}

/// Whether the user has seen a message, as its `Status` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// A mail client has shown it.
    Seen,
    /// It has not, or keeps no such record.
    Unseen,
}

/// Whether a mailbox holds a message already, further up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Repetition {
    /// It is the first.
    No,
    /// It holds it.
    Earlier,
}

/// What is kept of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSummary {
    /// Its length, separator line included.
    pub bytes: u64,
    /// When it was delivered, as its separator line says, in seconds since 1970.
    pub date: Option<i64>,
    /// What it is.
    pub kind: MailKind,
    /// Whether it was seen.
    pub reading: Reading,
    /// Who wrote it: an address in lower case.
    pub sender: String,
    /// What it is about: failed recipients of a report, the host that a loop leads through, the list, the job.
    pub labels: Vec<String>,
    /// Whether such a message stands further up.
    pub repeats: Repetition,
    /// The first line in it at which another message may begin.
    #[serde(default)]
    pub doubt: Option<DoubtfulLine>,
}

/// A line at which a message may begin, and does not surely.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct DoubtfulLine {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its beginning.
    pub line: String,
}

/// A label is not kept longer than this, in characters: nobody reads on.
const LABEL_CHARACTERS: usize = 120;

/// A report may name thousands of recipients.
const LABELS: usize = 8;

/// The fields that are of interest here, found in one walk.
#[derive(Default)]
struct SummaryFields<'a> {
    from: Option<Field<'a>>,
    subject: Option<Field<'a>>,
    status: Option<Field<'a>>,
    received: Option<Field<'a>>,
    list: Option<Field<'a>>,
    cron: bool,
}

impl<'a> SummaryFields<'a> {
    fn take(&mut self, field: Field<'a>) {
        let slot = match field.name.len() {
            4 if field.is("From") => &mut self.from,
            6 if field.is("Status") => &mut self.status,
            7 if field.is("Subject") => &mut self.subject,
            7 if field.is("List-Id") => &mut self.list,
            8 if field.is("Received") => &mut self.received,
            9 if field.is("List-Post") => &mut self.list,
            10 if field.is("X-Cron-Env") => {
                self.cron = true;
                return;
            }
            12 if field.is("Mailing-List") => &mut self.list,
            _ => return,
        };
        if slot.is_none() {
            *slot = Some(field);
        }
    }
}

impl MessageSummary {
    /// Keeps of a judged message what counts; `bytes` is its length, separator line included.
    pub fn read(message: &Message<'_>, judgement: &Judgement, bytes: u64) -> Self {
        let mut found = SummaryFields::default();
        message.fields().for_each(|field| found.take(field));
        let from = found.from.map(|field| decoded_value(&field, None));
        let job = job(&found, from.as_deref());
        let (kind, labels) = match &judgement.verdict {
            Verdict::Loop(markers) => (MailKind::Loop, way(markers, found.received).into_iter().collect()),
            Verdict::Bounce(bounce) => {
                let addresses = bounce.recipients.iter().map(|recipient| &recipient.address);
                let named = addresses.filter(|address| !address.is_empty()).take(LABELS);
                (MailKind::Bounce, named.map(|address| label(address)).collect())
            }
            Verdict::Complaint(_) => (MailKind::Complaint, Vec::new()),
            Verdict::Receipt(_) => (MailKind::Receipt, Vec::new()),
            Verdict::AutoReply(_) => (MailKind::AutoReply, Vec::new()),
            Verdict::Notice(_) => (MailKind::Notice, Vec::new()),
            Verdict::Ordinary => match (job, found.list) {
                (Some(job), _) => (MailKind::Cron, vec![job]),
                (None, Some(field)) => (MailKind::List, vec![list(&field)]),
                (None, None) => (MailKind::Ordinary, Vec::new()),
            },
        };
        let seen = found.status.is_some_and(|field| field.value.contains(&b'R'));
        Self {
            bytes,
            date: message.delivered_at(),
            kind,
            reading: if seen { Reading::Seen } else { Reading::Unseen },
            sender: sender(from.as_deref(), message),
            labels,
            repeats: Repetition::No,
            doubt: None,
        }
    }
}

/// The writer's address; what the separator line says where there is none.
fn sender(from: Option<&str>, message: &Message<'_>) -> String {
    match (from.and_then(Address::parse), message.from_line_sender()) {
        (Some(address), _) => label(&address.to_string()),
        (None, Some(word)) => label(&word),
        (None, None) => "(nobody)".to_owned(),
    }
}

/// The host through which a loop leads: one that a marker names, else the last that handed the message over.
fn way(markers: &[Marker], received: Option<Field<'_>>) -> Option<String> {
    let of_marker = markers.iter().find_map(|marker| {
        let rest = marker
            .value
            .strip_prefix("from ")
            .filter(|_| marker.header == "Received")?;
        rest.split_ascii_whitespace().next().map(str::to_owned)
    });
    let host = of_marker.or_else(|| {
        let value = received?.text().into_owned();
        let mut words = value.split_ascii_whitespace();
        let from = words.next().filter(|word| word.eq_ignore_ascii_case("from"));
        from.and_then(|_| words.next()).map(str::to_owned)
    })?;
    Some(label(&host))
}

/// What a list calls itself: the part between angle brackets (RFC 2919), or what its address field says.
fn list(field: &Field<'_>) -> String {
    let text = field.text();
    let inner = text.rsplit_once('<').map_or(&*text, |(_, rest)| rest);
    let inner = inner.split('>').next().unwrap_or(inner).trim();
    let inner = inner.strip_prefix("mailto:").unwrap_or(inner);
    label(inner)
}

/// The user and the command of a job: `Cron <root@host> /usr/local/bin/job` is how every cron begins its subject.
fn job(found: &SummaryFields<'_>, from: Option<&str>) -> Option<String> {
    let subject = found.subject.map(|field| field.text()).unwrap_or_default();
    let inside = subject.strip_prefix("Cron <").and_then(|rest| rest.split_once('>'));
    let daemon = from.is_some_and(|from| from.contains("Cron Daemon"));
    let (who, command) = match inside {
        Some(inside) => inside,
        None if found.cron || daemon => (from.unwrap_or_default(), ""),
        None => return None,
    };
    let user = Address::parse(who).map(|address| address.local().to_owned());
    let command: String = command.trim().chars().take(LABEL_CHARACTERS).collect();
    let text = format!("{} {command}", user.as_deref().unwrap_or("somebody"));
    Some(text.trim_end().to_owned())
}

/// Text as it is counted: short, in lower case.
fn label(text: &str) -> String {
    let short: String = text.chars().take(LABEL_CHARACTERS).collect();
    short.to_lowercase()
}

/// FNV-1a: stays the same from one version to the next, and is no defence against anybody.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::{MailKind, MessageSummary, Reading};
    use crate::classify::classify;
    use crate::classify::verdict::Facts;
    use crate::message::Message;
    use crate::message::address::{Address, OwnAddresses};
    use crate::message::envelope::Sender;

    fn read(text: &str) -> MessageSummary {
        let mut own = OwnAddresses::new("+");
        own.add(Address::parse("a@a.test").unwrap_or_else(|| unreachable!()));
        let facts = Facts {
            sender: &Sender::Unknown,
            own: &own,
            max_hops: 50,
            hosts: &[],
            relays: &[],
        };
        let text = format!("From s@s.test Mon Nov  2 10:00:00 2026\n{text}");
        let message = Message::new(text.as_bytes());
        let judgement = classify(&message, &facts);
        MessageSummary::read(&message, &judgement, text.len() as u64)
    }

    #[test]
    fn each_message_is_told_by_what_bloats_mailboxes() {
        let cases = [
            (
                "From: S <S@s.test>\nSubject: hi\n\nx\n",
                MailKind::Ordinary,
                "s@s.test",
                "",
            ),
            (
                "From: root (Cron Daemon)\nSubject: Cron <root@h> /bin/job  -x\n\nx\n",
                MailKind::Cron,
                "root",
                "root /bin/job  -x",
            ),
            (
                "From: \"Cron Daemon\" <bob@h.test>\nX-Cron-Env: <HOME=/>\nSubject: job\n\nx\n",
                MailKind::Cron,
                "bob@h.test",
                "bob",
            ),
            (
                "From: s@s.test\nList-Id: The list <L.lists.test>\nSubject: hi\n\nx\n",
                MailKind::List,
                "s@s.test",
                "l.lists.test",
            ),
            (
                "Received: from mx.b.test (x) by mx.a.test\nX-Loop: a@a.test\nFrom: s@s.test\n\nx\n",
                MailKind::Loop,
                "s@s.test",
                "mx.b.test",
            ),
            (
                "From: MAILER-DAEMON@b.test\nSubject: failure notice\n\nHi. This is the qmail-send program at b.test.\n\n<C@c.test>:\nSorry, no mailbox here by that name. (#5.1.1)\n",
                MailKind::Bounce,
                "mailer-daemon@b.test",
                "c@c.test",
            ),
            ("Subject: nobody wrote this\n\nx\n", MailKind::Ordinary, "s@s.test", ""),
        ];
        for (text, kind, sender, label) in cases {
            let letter = read(text);
            let first = letter.labels.first().map(|label| &**label).unwrap_or_default();
            assert_eq!((letter.kind, &*letter.sender, first), (kind, sender, label), "{text}");
            assert_eq!(letter.date, Some(1_793_613_600), "{text}");
        }
        assert_eq!(read("Status: RO\n\n").reading, Reading::Seen);
        assert_eq!(read("Status: O\n\n").reading, Reading::Unseen);
    }
}
