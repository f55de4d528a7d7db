//! Chooses the messages that `archive` and `sweep` take out of a mailbox, and notes what is to be told about them.
//! Changes nothing.

use std::collections::BTreeMap;
use std::io;

use crate::classify::verdict::Verdict;
use crate::classify::{DIVERT_HEADER, NOTICE_HEADER};
use crate::cli::Who;
use crate::config::Config;
use crate::deliver::headers::{KEPT_HEADER, RESCUED_HEADER};
use crate::deliver::{caller, judge};
use crate::error::{Category, Error};
use crate::mailbox::content_hash::{HashScope, of_stored};
use crate::mailbox::expunge::imap_state;
use crate::mailbox::expunge::prepare::Unread;
use crate::mailbox::expunge::snapshot::MessageStarts;
use crate::mailbox::ranges::Ranges;
use crate::mailbox::reader::{Doubt, MboxMessage, MboxReader};
use crate::message::Message;
use crate::spool::again::SeenMessages;
use crate::spool::returned::{Originals, ReturnedSearch, Unpacker};
use crate::sys::account::Account;
use crate::sys::deadline::{Deadline, stop_if_asked};
use crate::sys::message_buffer::HEAD_BYTES;
use crate::sys::read_at::ReadAt;

/// So much of a message is read where it need not be judged: its header.
const HEADER_BYTES: usize = 64 << 10;

/// So many different senders and recipients are counted.
const MOST_NAMES: usize = 10_000;

/// One kind of mail that a mailbox fills with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedKind {
    Bounce,
    /// It has been here before.
    Loop,
    /// The mailbox holds it already, further up.
    Duplicate,
}

/// Which messages are wanted: those that everything here means.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of one of these kinds; any mail, where none is named.
    pub kinds: Vec<WantedKind>,
    /// Delivered before this, in seconds since 1970.
    pub before: Option<i64>,
    /// Only what the user has seen.
    pub seen: Option<OnlySeen>,
    /// Not more than is needed, so that what stays is not larger than this, in bytes.
    pub down_to: Option<u64>,
    pub inside: Inside,
}

impl Wanted {
    fn is_all_mail(&self) -> bool {
        self.kinds.is_empty() && self.before.is_none() && self.seen.is_none() && self.down_to.is_none()
    }
}

/// What happens to the messages that the reports carry inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inside {
    #[default]
    Ignored,
    Counted,
    /// They are put back first.
    PutBack,
}

/// The user has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnlySeen;

#[derive(Debug, Default)]
pub struct ChosenMessages {
    pub taken: Ranges,
    pub messages: u64,
    pub stay: u64,
    /// Those that stay although they are meant, since another message may begin in them.
    pub doubtful: Vec<Doubtful>,
    /// What `X-IMAPbase` says in the first message of the mailbox.
    pub imap_base: Option<Vec<u8>>,
    /// Whether a message stays that the user has not seen.
    pub unread: Unread,
    /// What the reports among them carry.
    pub originals: Originals,
    /// How some of all the messages begin.
    pub starts: MessageStarts,
    /// How many of those that were chosen lie here instead of having been sent on.
    pub not_sent_on: u64,
    pub senders: BTreeMap<String, u64>,
    /// About whom the reports among them are, and how many.
    pub recipients: BTreeMap<String, u64>,
}

/// A message that stays, since another one may begin in it.
#[derive(Clone, Debug)]
pub struct Doubtful {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// The line at which the other may begin.
    pub doubt: Doubt,
}

/// Goes through a mailbox as far as it was looked at.
pub fn choose_messages(
    unpacker: Unpacker<'_>,
    wanted: &Wanted,
    deadline: &Deadline,
    mut step: impl FnMut(u64),
) -> Result<ChosenMessages, Error> {
    let Unpacker {
        mail,
        path,
        account,
        config,
        ..
    } = unpacker;
    let fail = |e: io::Error| Error::io("read", path, &e);
    let judged = wanted.kinds.contains(&WantedKind::Bounce) || wanted.kinds.contains(&WantedKind::Loop);
    let head_bytes = if judged { HEAD_BYTES } else { HEADER_BYTES };
    let mut mbox = MboxReader::new(&mail, head_bytes).map_err(fail)?;
    if !mbox.is_mbox().map_err(fail)? {
        let cause = "it does not begin with a separator line, and is no mbox";
        return Err(Error::new(Category::Mailbox, "read", path.display(), cause).needs_mending());
    }
    let mut choice = ChosenMessages::default();
    let mut judge = Judge {
        mail,
        bytes: mbox.length(),
        wanted,
        account,
        config,
        before: SeenMessages::default(),
        taken_bytes: 0,
        search: (wanted.inside != Inside::Ignored).then(|| ReturnedSearch::new(unpacker)),
    };
    let mut at = 0;
    while let Some(stored) = mbox.next().map_err(fail)? {
        if stored.offset > at + (16 << 20) || at == 0 {
            deadline.check("read", &path.display().to_string())?;
            step(stored.offset - at);
            at = stored.offset;
        }
        judge.visit(&stored, &mut choice).map_err(fail)?;
    }
    if let Some(search) = judge.search {
        let mut at = 0;
        let found = search.finish(&choice.taken, |stored| {
            if stored.offset > at + (16 << 20) {
                at = stored.offset;
                stop_if_asked(deadline, &path.display().to_string())?;
            }
            Ok(())
        });
        choice.originals = found.map_err(fail)?;
    }
    Ok(choice)
}

struct Judge<'a> {
    mail: &'a dyn ReadAt,
    bytes: u64,
    wanted: &'a Wanted,
    account: &'a Account,
    config: &'a Config,
    before: SeenMessages,
    taken_bytes: u64,
    search: Option<ReturnedSearch<'a>>,
}

impl Judge<'_> {
    /// Takes a message or lets it stay, and notes what is to be told about it.
    fn visit(&mut self, stored: &MboxMessage<'_>, choice: &mut ChosenMessages) -> io::Result<()> {
        let message = Message::new(stored.head);
        let is_first = choice.starts.is_empty();
        choice.starts.push(stored.offset, stored.head);
        if is_first {
            choice.imap_base = imap_state::read_imap_base(stored.head);
        }
        let internal = is_first && imap_state::is_internal(stored.head);
        let mut takes = !internal && self.takes(stored, &message, choice)?;
        // Whoever wants all mail wants it wherever a message begins.
        if let Some(doubt) = stored.doubt.filter(|_| takes && !self.wanted.is_all_mail()) {
            takes = false;
            choice.doubtful.push(Doubtful {
                offset: stored.offset,
                doubt: doubt.clone(),
            });
        }
        if takes {
            // What stands before the first message goes with it.
            let start = if is_first { 0 } else { stored.offset };
            choice.taken.push(start..stored.offset + stored.bytes);
            self.taken_bytes += stored.bytes;
            choice.messages += 1;
            let has = |name: &'static str| message.first(name).is_some();
            // What was diverted, and notices, end where they are.
            let can_be_sent = (has(KEPT_HEADER) || has(RESCUED_HEADER)) && !has(DIVERT_HEADER);
            choice.not_sent_on += u64::from(can_be_sent);
            let sender = message.from_line_sender().unwrap_or_default();
            count(&mut choice.senders, sender.into_owned());
        } else if !internal {
            choice.stay += 1;
            if !message.is_seen() {
                choice.unread = Unread::Stays;
            }
        }
        Ok(())
    }

    fn takes(
        &mut self,
        stored: &MboxMessage<'_>,
        message: &Message<'_>,
        choice: &mut ChosenMessages,
    ) -> io::Result<bool> {
        let wanted = self.wanted;
        // Asked of every message: the first of several stays, even if it is not meant otherwise.
        let again = wanted.kinds.contains(&WantedKind::Duplicate)
            && self
                .before
                .is_again(of_stored(&self.mail, stored, HashScope::Written)?.bytes());
        if let Some(down_to) = wanted.down_to
            && self.bytes.saturating_sub(self.taken_bytes) <= down_to
        {
            return Ok(false);
        }
        if let Some(before) = wanted.before
            && message.delivered_at().is_none_or(|date| date >= before)
        {
            return Ok(false);
        }
        if wanted.seen.is_some() && !message.is_seen() {
            return Ok(false);
        }
        let is_notice = message.first(NOTICE_HEADER).is_some();
        if wanted.kinds.is_empty() || (again && !is_notice) {
            return Ok(true);
        }
        let envelope = caller::read_envelope(&Who::default(), &|_| None, message, self.config, self.account);
        Ok(match judge::judge_message(message, &envelope, self.config).verdict {
            Verdict::Bounce(bounce) if wanted.kinds.contains(&WantedKind::Bounce) => {
                if stored.doubt.is_none() {
                    if let Some(search) = &mut self.search {
                        search.take_report(stored)?;
                    }
                    for recipient in bounce.recipients {
                        count(&mut choice.recipients, recipient.address);
                    }
                }
                true
            }
            Verdict::Loop(_) => again || wanted.kinds.contains(&WantedKind::Loop),
            Verdict::Notice(_) => false,
            // Its mark alone makes no notice.
            Verdict::Bounce(_)
            | Verdict::Complaint(_)
            | Verdict::Receipt(_)
            | Verdict::AutoReply(_)
            | Verdict::Ordinary => again,
        })
    }
}

fn count(names: &mut BTreeMap<String, u64>, name: String) {
    if let Some(count) = names.get_mut(&name) {
        *count += 1;
    } else if names.len() < MOST_NAMES {
        names.insert(name, 1);
    }
}

/// Names with how many messages they have, the most frequent first.
pub fn by_messages(names: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut names: Vec<_> = names.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    names.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    names
}
