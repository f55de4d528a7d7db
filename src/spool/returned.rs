//! Finds messages inside the bounces of a mailbox that never reached anybody. Those that are nowhere else in the
//! mailbox are put back before the bounces go. Each comes back once, however many reports carry it, and as
//! `deliver/rescue/mod.rs` puts it back when a report comes in. What a report tells of a message without carrying it is
//! counted.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use time::OffsetDateTime;

use crate::archive::messages::Archived;
use crate::classify::policy::{self, Action, Job};
use crate::classify::verdict::{Bounce, Verdict};
use crate::cli::Who;
use crate::config::Config;
use crate::deliver::forward::rules::attribution::{AttributionEvidence, Token, attribute_bounce};
use crate::deliver::rescue::unpack;
use crate::deliver::{access, caller, headers, judge};
use crate::mailbox::content_hash::{ContentHash, HashScope, of_stored};
use crate::mailbox::excerpt;
use crate::mailbox::format::{self, MboxEntry};
use crate::mailbox::ranges::Ranges;
use crate::mailbox::reader::{MboxMessage, MboxReader};
use crate::message::Message;
use crate::message::envelope::Envelope;
use crate::report::returned_message::{self, Completeness, ReturnedMessage};
use crate::spool::merge::target::{MergeInto, MergeTally, Stop};
use crate::spool::restore::catalog::CatalogEntry;
use crate::sys::account::Account;
use crate::sys::message_buffer::{HEAD_BYTES, MessageBuffer};
use crate::sys::read_at::ReadAt;

/// A report may carry a report, which carries a message; so deep it is looked for.
const DEEPEST: usize = 8;

/// So many of the messages are described.
const DESCRIBED: usize = 1000;

#[derive(Clone, Copy, Debug)]
struct Carrier {
    offset: u64,
    bytes: u64,
    hash: ContentHash,
}

/// What the reports of a mailbox carry.
#[derive(Debug, Default)]
pub struct Originals {
    carriers: Vec<Carrier>,
    /// Writer, subject and date of the first of the messages, a line each.
    pub described: Vec<String>,
    /// Reports of which the message is in the mailbox, or in another report.
    pub present: u64,
    /// Reports that bring nothing but a header.
    pub header_only: u64,
    /// Reports about what the user wrote to others.
    pub written: u64,
}

impl Originals {
    /// How many messages could be put back.
    pub fn count(&self) -> usize {
        self.carriers.len()
    }

    /// Offers all of them to a mailbox. Fails when something fails, or the mailbox was rewritten meanwhile. What was
    /// put back stays, and is found next time.
    pub fn put_back(&self, unpacker: &Unpacker<'_>, merge: &mut dyn MergeInto) -> Result<MergeTally, Stop> {
        for carrier in &self.carriers {
            if let ReportContent::Whole(letter) = unpacker.unpack(carrier.offset, carrier.bytes)? {
                merge.offer(&Archived::from_elsewhere(MboxMessage::of_buffer(&letter), &letter))?;
            }
        }
        merge.finish()
    }
}

/// Looks into each report that goes.
pub struct ReturnedSearch<'a> {
    unpacker: Unpacker<'a>,
    carried: HashSet<ContentHash>,
    originals: Originals,
}

impl<'a> ReturnedSearch<'a> {
    pub fn new(unpacker: Unpacker<'a>) -> Self {
        Self {
            unpacker,
            carried: HashSet::new(),
            originals: Originals::default(),
        }
    }

    pub fn take_report(&mut self, report: &MboxMessage<'_>) -> io::Result<()> {
        let originals = &mut self.originals;
        match self.unpacker.unpack(report.offset, report.bytes)? {
            ReportContent::Nothing => {}
            ReportContent::HeaderOnly => originals.header_only += 1,
            ReportContent::Written => originals.written += 1,
            ReportContent::Whole(letter) => {
                let hash = of_stored(&letter, &MboxMessage::of_buffer(&letter), HashScope::Written)?;
                if !self.carried.insert(hash) {
                    originals.present += 1;
                    return Ok(());
                }
                originals.carriers.push(Carrier {
                    offset: report.offset,
                    bytes: report.bytes,
                    hash,
                });
                if originals.described.len() < DESCRIBED {
                    originals.described.push(described(&letter)?);
                }
            }
        }
        Ok(())
    }

    /// What was found, when `going` is all that goes: of what stays in the mailbox nothing has to be put back. Where
    /// the reports carry something, all of it is read once more, so that memory grows with that and not with the
    /// mailbox.
    pub fn finish(
        self,
        going: &Ranges,
        mut step: impl FnMut(&MboxMessage<'_>) -> io::Result<()>,
    ) -> io::Result<Originals> {
        let Self {
            unpacker,
            carried: mut missing,
            mut originals,
        } = self;
        let mail = unpacker.mail;
        let mut mbox = MboxReader::new(&mail, HEAD_BYTES)?;
        while !missing.is_empty()
            && let Some(stored) = mbox.next()?
        {
            step(&stored)?;
            if !going.contain(stored.offset) {
                missing.remove(&of_stored(mail, &stored, HashScope::Written)?);
            }
        }
        let mut stays = originals.carriers.iter().map(|carrier| missing.contains(&carrier.hash));
        originals.described.retain(|_| stays.next().unwrap_or(true));
        let all = originals.carriers.len();
        originals.carriers.retain(|carrier| missing.contains(&carrier.hash));
        originals.present += (all - originals.carriers.len()) as u64;
        Ok(originals)
    }
}

enum ReportContent {
    /// A message, as it lies in a mailbox when it was put back.
    Whole(MessageBuffer),
    HeaderOnly,
    /// A message that the user wrote to others.
    Written,
    /// Nothing, or what is no mail of the user's.
    Nothing,
}

/// Takes messages out of the reports of one mailbox.
#[derive(Clone, Copy)]
pub struct Unpacker<'a> {
    /// The mailbox as far as it was looked at, an mbox or the mbox that it would make.
    pub mail: &'a dyn ReadAt,
    pub path: &'a Path,
    pub account: &'a Account,
    pub config: &'a Config,
    /// The time, for a report of which nobody knows when it came.
    pub date: OffsetDateTime,
}

impl Unpacker<'_> {
    fn unpack(&self, offset: u64, bytes: u64) -> io::Result<ReportContent> {
        let config = self.config;
        let mut report = excerpt::read_excerpt(self.mail, offset, bytes)?;
        let message = Message::new(report.head());
        let date = message
            .delivered_at()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .unwrap_or(self.date);
        let mut envelope = caller::read_envelope(&Who::default(), &|_| None, &message, config, self.account);
        for _ in 0..DEEPEST {
            let message = Message::new(report.head());
            let judgement = judge::judge_message(&message, &envelope, config);
            let Verdict::Bounce(bounce) = &judgement.verdict else {
                return Ok(ReportContent::Nothing);
            };
            // What went to the administrator is no mail of the user's.
            if !bounce.gives_up() || judgement.diverted_before.is_some() {
                return Ok(ReportContent::Nothing);
            }
            let place = match ReturnedMessage::find(&message) {
                ReturnedMessage::Whole(place) => place,
                ReturnedMessage::HeaderOnly(_) => return Ok(ReportContent::HeaderOnly),
                ReturnedMessage::None => return Ok(ReportContent::Nothing),
            };
            let start = report.head().len() - message.content().len();
            let taken = unpack::take_out(&report, start, &place, &envelope.own)?;
            let inner = Message::new(taken.buffer.head());
            if returned_message::lacks_body(&inner) {
                return Ok(ReportContent::HeaderOnly);
            }
            let of_inner = Envelope {
                sender: returned_message::read_sender(&inner, &envelope.own),
                ..envelope.clone()
            };
            let judged = judge::judge_message(&inner, &of_inner, config);
            if let Verdict::Bounce(_) = judged.verdict {
                (report, envelope) = (taken.buffer, of_inner);
                continue;
            }
            if policy::choose_action(&judged, Job::Deliver, &config.guard) != Action::Append {
                return Ok(ReportContent::Nothing);
            }
            if returned_message::is_sent_by_user(&inner, &envelope.own) {
                return Ok(ReportContent::Written);
            }
            let field = field(bounce, taken.extent, &inner);
            let sender = access::separator_sender(&of_inner.sender, self.account);
            let letter = MboxEntry {
                sender: &sender,
                date,
                added: field.as_bytes(),
                content: taken.buffer.reader(taken.buffer.head().len() - inner.content().len()),
                quoting: access::line_quoting(config),
                submission: None,
            };
            return MessageBuffer::collect(|to| format::write_letter(to, letter)).map(ReportContent::Whole);
        }
        Ok(ReportContent::Nothing)
    }
}

/// The field on top.
fn field(report: &Bounce, extent: Completeness, original: &Message<'_>) -> String {
    let failed: Vec<_> = report.recipients.iter().map(|one| one.address.clone()).collect();
    let evidence = AttributionEvidence {
        token: Token::Unused,
        sent_to: &failed,
        destinations: &[],
    };
    let blames = attribute_bounce(report, &evidence);
    let notes = match extent {
        Completeness::All => Vec::new(),
        Completeness::Cut => vec![headers::CUT.to_owned()],
    };
    let host = report.reporting_host.as_deref();
    headers::rescued_field(blames.first(), host, &notes, original.line_end()) + &headers::separator_field(original)
}

fn described(letter: &MessageBuffer) -> io::Result<String> {
    let entry = CatalogEntry {
        archive: "",
        mailbox: "",
        offset: 0,
        bytes: letter.bytes(),
        message: &Message::new(letter.head()),
    };
    let mut line = Vec::new();
    entry.write_text(&mut line)?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
