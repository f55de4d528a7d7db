//! Puts messages into the user's Maildir, within quota. Nobody locks a Maildir, so the quota may be exceeded by what
//! others deliver at the same time. A limit of ours wins; without one the limit in `maildirsize` holds.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use crate::config::value::Limit;
use crate::deliver::access::refuse_full_disk_at;
use crate::deliver::context::{Intent, Run, when_settled};
use crate::deliver::store::entry::{Entry, Put, Terms};
use crate::error::Error;
use crate::mailbox::submissions::SubmissionKey;
use crate::maildir::deliver::{self, Delivered};
use crate::maildir::directory::Maildir;
use crate::maildir::draft::MaildirDraft;
use crate::maildir::intent::IntentDir;
use crate::maildir::size_file::{self, SizeFile};
use crate::maildir::submissions;
use crate::maildir::usage::MaildirUsage;
use crate::quota::{Admission, Usage};
use crate::sys::cache_file::{mark_time, renew_mark};

/// A full Maildir is counted anew when nobody has delivered into it for so long (Maildir++).
const COUNT_FULL_AFTER: Duration = Duration::from_secs(15 * 60);

/// A limit of ours is not held against what the user's own file says for longer than that.
const COUNT_AGAIN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

const COUNTED: &str = "maildir-counted";

/// Every so many deliveries look for notes that nobody will ask for.
const CLEAN_INTENTS_EVERY: u32 = 64;

/// A message in a Maildir, and the notice about it, if there is one. Nothing where it was delivered before.
#[derive(Debug)]
#[must_use]
pub struct InMaildir {
    delivered: Vec<Delivered>,
    /// The submission that was noted with it.
    submission: Option<SubmissionKey>,
}

impl InMaildir {
    /// It is safe, so its submission may be noted.
    fn noted(
        maildir: &Maildir,
        delivered: Vec<Delivered>,
        submission: Option<SubmissionKey>,
        now: OffsetDateTime,
    ) -> Self {
        if let Some(key) = submission {
            submissions::note_submission(maildir, key, now.unix_timestamp());
        }
        Self { delivered, submission }
    }

    /// The message stays. What is noted of it goes last of all.
    pub fn keep(self, run: &Run) {
        for delivered in self.delivered {
            run.intents.add(delivered.into_intent().map(Intent::Maildir));
        }
    }
}

/// Puts `entry` into the Maildir at `path`. Fails when it cannot be written; then nothing of it is in `new/`.
pub fn put_entry<R: Read + Clone>(
    run: &Run,
    path: &Path,
    entry: Entry<'_, R>,
    terms: Option<Terms<'_>>,
) -> Result<Put<InMaildir>, Error> {
    let now = OffsetDateTime::now_utc();
    let maildir = Maildir::open_or_make(path, run.account.uid)?;
    let draft = draft_of(&entry, path)?;
    let intents = IntentDir::new(run.state_dir().as_deref(), path, now.unix_timestamp());
    if let Some(delivered) = deliver::find_delivered(&maildir, &draft, &intents, now)? {
        tracing::warn!(
            user = run.account.name,
            mailbox = run.store.to_string(),
            "an earlier run brought this message, and was killed before it could say so"
        );
        let delivered = vec![delivered];
        return Ok(Put::Done(InMaildir::noted(&maildir, delivered, entry.submission, now)));
    }
    if entry
        .submission
        .is_some_and(|key| submissions::knows_submission(&maildir, key, now.unix_timestamp()))
    {
        tracing::warn!(
            user = run.account.name,
            mailbox = run.store.to_string(),
            "this message was delivered before, and its MTA brings it again"
        );
        return Ok(Put::Done(InMaildir {
            delivered: Vec::new(),
            submission: None,
        }));
    }
    if let Some(terms) = terms
        && let Admission::Full(over) = admit(run, &maildir, terms, draft.bytes)?
    {
        return Ok(Put::Full(over));
    }
    refuse_full_disk_at(run, path, maildir.tmp_dir(), draft.bytes)?;
    let mut delivered = vec![deliver::deliver_message(&maildir, &draft, Some(&intents), now)?];
    // The message is safe. Nothing that comes behind may make the MTA try again.
    when_settled(|| {
        delivered.extend(terms.and_then(|terms| put_notice(run, &maildir, terms, now)));
        deliver::remove_old_drafts(&maildir, now);
        if fastrand::u32(..CLEAN_INTENTS_EVERY) == 0 {
            intents.remove_stale(maildir.new_dir());
        }
    });
    Ok(Put::Done(InMaildir::noted(&maildir, delivered, entry.submission, now)))
}

fn draft_of<R: Read + Clone>(entry: &Entry<'_, R>, path: &Path) -> Result<MaildirDraft<R>, Error> {
    let head = [entry.return_path.as_str(), entry.added].concat().into_bytes();
    MaildirDraft::of(head, entry.content.clone()).map_err(|e| Error::io("read the message for", path, &e))
}

/// Takes over the note of a killed run on `entry`, which is settled: the note goes with this run.
pub fn settle_left<R: Read + Clone>(run: &Run, path: &Path, entry: Entry<'_, R>) -> Result<(), Error> {
    let now = OffsetDateTime::now_utc();
    let Some(maildir) = Maildir::open(path, run.account.uid)? else {
        return Ok(());
    };
    let draft = draft_of(&entry, path)?;
    let intents = IntentDir::new(run.state_dir().as_deref(), path, now.unix_timestamp());
    if let Some(delivered) = deliver::find_delivered(&maildir, &draft, &intents, now)? {
        run.intents.add(delivered.into_intent().map(Intent::Maildir));
    }
    Ok(())
}

/// Puts a notice about the mailbox itself there, if one is due. One that cannot be written is left out.
fn put_notice(run: &Run, maildir: &Maildir, terms: Terms<'_>, now: OffsetDateTime) -> Option<Delivered> {
    terms.limit.bytes?;
    let usage = Measured::of(run, maildir).ok()?.usage;
    let text = (terms.notice)(usage.bytes)?;
    let draft = MaildirDraft::of(text.into_bytes(), b"".as_slice()).ok()?;
    deliver::deliver_message(maildir, &draft, None, now).ok()
}

/// Takes a message back, when it goes back to the MTA and will come again. One that stays is known then. Fails when a
/// reader has moved it away, or it cannot be removed.
pub fn take_back(run: &Run, path: &Path, receipt: InMaildir) -> Result<(), Error> {
    let opened = Maildir::open_or_make(path, run.account.uid).and_then(|maildir| {
        if let Some(key) = receipt.submission {
            // First, or a kill in between would leave a note on mail that is nowhere.
            submissions::forget_submission(&maildir, key).map_err(|e| Error::io("take a copy back from", path, &e))?;
        }
        Ok(maildir)
    });
    let maildir = match opened {
        Ok(maildir) => maildir,
        Err(e) => {
            receipt.delivered.into_iter().for_each(Delivered::leave);
            return Err(e);
        }
    };
    let taken = receipt
        .delivered
        .into_iter()
        .map(|delivered| deliver::take_back(&maildir, delivered));
    // All are tried.
    taken.collect::<Vec<_>>().into_iter().collect()
}

/// How full the Maildir at `path` is; nothing where there is none.
pub fn measure_usage(run: &Run, path: &Path) -> Result<Usage, Error> {
    match Maildir::open(path, run.account.uid)? {
        Some(maildir) => Measured::of(run, &maildir).map(|measured| measured.usage),
        None => Ok(Usage::default()),
    }
}

/// How full the Maildir at `path` may be: as the configuration says, else as its `maildirsize` says.
pub fn find_limit(run: &Run, path: &Path) -> Limit {
    let own = run.limit();
    if own.bytes.is_some() || own.messages.is_some() {
        return own;
    }
    size_file::limit_at(path)
}

fn admit(run: &Run, maildir: &Maildir, terms: Terms<'_>, incoming_bytes: u64) -> Result<Admission, Error> {
    if terms.limit.bytes.is_none() && terms.limit.messages.is_none() {
        return Ok(Admission::Fits);
    }
    let measured = Measured::of(run, maildir)?;
    let admission = (terms.fits)(measured.usage, incoming_bytes);
    match (admission, measured.believed) {
        // Mail that was removed without a line is still counted there.
        (Admission::Full(_), Some(file)) if is_older(file.modified, COUNT_FULL_AFTER) => {
            let usage = count(run, maildir, Some(&file))?;
            Ok((terms.fits)(usage, incoming_bytes))
        }
        (admission, _) => Ok(admission),
    }
}

/// How full a Maildir is, and the file that says so, where it was not counted.
struct Measured {
    usage: Usage,
    believed: Option<SizeFile>,
}

impl Measured {
    fn of(run: &Run, maildir: &Maildir) -> Result<Self, Error> {
        // One that may not be read says nothing, and must not hold mail up.
        let file = size_file::read_size_file(maildir).ok().flatten();
        if let Some(found) = file.as_ref().and_then(SizeFile::usage)
            && !is_count_due(run)
        {
            return Ok(Self {
                usage: usage_of(found),
                believed: file,
            });
        }
        Ok(Self {
            usage: count(run, maildir, file.as_ref())?,
            believed: None,
        })
    }
}

/// Counts by names, and writes `maildirsize` anew where there is one.
fn count(run: &Run, maildir: &Maildir, file: Option<&SizeFile>) -> Result<Usage, Error> {
    let counted = MaildirUsage::count(maildir).map_err(|e| Error::io("count", maildir.path(), &e))?;
    if let Some(file) = file
        && matches!(size_file::write_size_file(maildir, file, counted), Ok(true))
        && let Some(mark) = run.mark_path(COUNTED)
    {
        let _ = renew_mark(&mark);
    }
    Ok(usage_of(counted))
}

/// Tells whether a limit of ours has to be held against a count of our own.
fn is_count_due(run: &Run) -> bool {
    let own = run.limit();
    if own.bytes.is_none() && own.messages.is_none() {
        return false;
    }
    let counted = run.mark_path(COUNTED).and_then(|mark| mark_time(&mark));
    counted.is_none_or(|counted| is_older(counted, COUNT_AGAIN_AFTER))
}

/// One from the future is of a clock that was wrong.
fn is_older(then: SystemTime, age: Duration) -> bool {
    then.elapsed().map_or(true, |since| since > age)
}

fn usage_of(found: MaildirUsage) -> Usage {
    Usage {
        bytes: found.bytes,
        messages: found.messages,
    }
}
