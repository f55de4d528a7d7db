//! How a judged message is shown: as text for people, or as one JSON object a line for programs. Whatever a message
//! says is escaped, so that it can neither steer a terminal nor look like another line.

use std::io::{self, Write};

use serde::Serialize;

use crate::classify::policy::Action;
use crate::classify::verdict::{Judgement, Marker};
use crate::classify::{FailureClass, MessageOrigin, Ownership, Recipient, ReportKind};
use crate::deliver::headers;
use crate::escape::{escape_harmful, make_visible};
use crate::mailbox::reader::Doubt;
use crate::output::json::write_line;
use crate::output::sizes::size_text;
use crate::spool::restore::catalog::CatalogEntry;

#[derive(Clone, Copy, Debug)]
pub struct InspectedMessage<'a> {
    pub judgement: &'a Judgement,
    pub action: Action,
    /// The first line in it at which another message may begin.
    pub doubt: Option<&'a Doubt>,
    /// Where it lies and how long it is without a separator line. Its mailbox is the file; `-` is standard input.
    pub entry: CatalogEntry<'a>,
}

/// The keys are a promise; the order is only pleasant.
#[derive(Serialize)]
struct InspectLine<'a> {
    source: &'a str,
    offset: u64,
    verdict: &'a str,
    report: Option<ReportKind>,
    null_sender: bool,
    markers: &'a [Marker],
    recipients: &'a [Recipient],
    origin: MessageOrigin,
    action: &'a str,
    size: u64,
    date: Option<String>,
    from: Option<String>,
    subject: Option<String>,
    message_id: Option<String>,
    doubt: Option<DoubtLine<'a>>,
}

#[derive(Serialize)]
struct DoubtLine<'a> {
    offset: u64,
    line: &'a str,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    source: &'a str,
    error: &'a str,
}

impl InspectedMessage<'_> {
    /// Every marker: those of the verdict, and those of the facts beside it that are not among them.
    fn markers(&self) -> Vec<Marker> {
        let mut markers = self.judgement.verdict.markers().to_vec();
        let facts = &self.judgement;
        for marker in [&facts.null_sender, &facts.diverted_before, &facts.spam]
            .into_iter()
            .flatten()
        {
            if !markers.contains(marker) {
                markers.push(marker.clone());
            }
        }
        markers
    }

    pub fn write_json(&self, output: &mut impl Write) -> io::Result<()> {
        let bounce = self.judgement.verdict.bounce();
        let line = InspectLine {
            source: self.entry.mailbox,
            offset: self.entry.offset,
            verdict: self.judgement.verdict.name(),
            report: bounce.and_then(|bounce| bounce.kind),
            null_sender: self.judgement.null_sender.is_some(),
            markers: &self.markers(),
            recipients: bounce.map(|bounce| bounce.recipients.as_slice()).unwrap_or_default(),
            origin: bounce.map_or(MessageOrigin::Unknown, |bounce| bounce.origin),
            action: self.action.name(),
            size: self.entry.bytes,
            date: self.entry.date(),
            from: self.entry.field("From"),
            subject: self.entry.field("Subject"),
            message_id: self.entry.field("Message-ID"),
            doubt: self.doubt.map(|doubt| DoubtLine {
                offset: doubt.offset,
                line: &doubt.line,
            }),
        };
        write_line(output, &line)
    }

    pub fn write_text(&self, output: &mut impl Write) -> io::Result<()> {
        let verdict = headers::verdict_text(&self.judgement.verdict);
        let source = escape_harmful(self.entry.mailbox);
        let (offset, bytes, action) = (self.entry.offset, size_text(self.entry.bytes), self.action.name());
        writeln!(output, "{source}:{offset}: {verdict}, {bytes}: {action}")?;
        let [date, from, subject] = self.entry.headline();
        let line = ["    ", &date, "  ", &from, "  ", &subject].concat();
        output.write_all(line.trim_end().as_bytes())?;
        output.write_all(b"\n")?;
        for marker in self.markers() {
            // A folded field has tabs where it was unfolded.
            let (header, value) = (
                make_visible(&marker.header),
                make_visible(&marker.value.replace('\t', " ")),
            );
            writeln!(output, "    {header}: {value} -- {}", marker.why)?;
        }
        if let Some(doubt) = self.doubt {
            let (offset, line) = (doubt.offset, make_visible(&doubt.line));
            writeln!(
                output,
                "    warning: another message may begin at byte {offset}: {line}"
            )?;
        }
        let Some(bounce) = self.judgement.verdict.bounce() else {
            return Ok(());
        };
        for recipient in &bounce.recipients {
            let facts = [
                recipient.action.as_deref(),
                recipient.status.as_deref(),
                recipient.diagnostic.as_deref(),
            ];
            let facts: Vec<_> = facts.into_iter().flatten().map(make_visible).collect();
            let (facts, meaning) = (facts.join(" "), meaning_of(recipient));
            writeln!(
                output,
                "    for {}: {facts} -- {meaning}",
                make_visible(&recipient.address)
            )?;
        }
        let original = match (bounce.origin, bounce.ownership) {
            (MessageOrigin::OurForward, _) => "forwarded from here (our-forward)",
            (MessageOrigin::User, Ownership::Shown) => "written by the user (user)",
            (MessageOrigin::User, Ownership::NotShown) => "written in the user's name; nothing shows where (user)",
            (MessageOrigin::Unknown, _) => "unknown",
        };
        writeln!(output, "    original message: {original}")
    }
}

/// What a failure means for the next message, and on what that rests; where it means nothing, that rests on nothing.
fn meaning_of(recipient: &Recipient) -> String {
    let class = recipient.class.name();
    match recipient.class {
        FailureClass::Hard | FailureClass::Soft | FailureClass::Message => {
            format!("{class}, {}", recipient.basis.name())
        }
        FailureClass::Neither => class.to_owned(),
    }
}

pub fn write_json_error(output: &mut impl Write, source: &str, error: &str) -> io::Result<()> {
    write_line(output, &ErrorLine { source, error })
}

#[cfg(test)]
mod tests {
    use super::write_json_error;

    #[test]
    fn json_holds_no_character_that_steers_a_terminal() {
        let mut out = Vec::new();
        let harmful = "a\u{1b}[2J\u{9b}2J\u{202e}\u{7f}\n\u{e9}";
        write_json_error(&mut out, harmful, "x").unwrap_or_default();
        let text = String::from_utf8_lossy(&out);
        let want = "{\"source\":\"a\\u001b[2J\\u009b2J\\u202e\\u007f\\n\u{e9}\",\"error\":\"x\"}\n";
        assert_eq!(text, want);
    }
}
