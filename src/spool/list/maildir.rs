//! Looks at one Maildir by names and flags, which takes a moment however much mail there is. Where that is asked for,
//! it looks at what its messages are. Nothing is remembered of it, and nothing changes.

use std::io;

use crate::config::value::Limit;
use crate::mailbox::reader::MboxReader;
use crate::maildir::directory::Maildir;
use crate::maildir::name::{delivered_seconds, flags_of};
use crate::maildir::size_file;
use crate::maildir::usage::each_message;
use crate::maildir::view::MaildirView;
use crate::spool::again::SeenMessages;
use crate::spool::list::scan::{Contents, JUDGED_BYTES, Looker, MOST_TIME, RepeatSearch, ScanFailure, Summarizer};
use crate::spool::maildirs::UserMaildir;
use crate::spool::rules::statistics::MailboxStats;
use crate::sys::account::Account;
use crate::sys::deadline::ReadLimit;
use crate::sys::local_time;

/// Counts what lies in the Maildir and its folders: with `Contents::Judged` also what the messages of its inbox are.
pub fn count_maildir(looker: &Looker<'_>, maildir: &Maildir, account: &Account) -> Result<MailboxStats, ScanFailure> {
    let mut survey = MailboxStats::default();
    each_message(maildir, |name, bytes| {
        let is_seen = flags_of(name).contains(&b'S');
        let date = delivered_seconds(name).map(local_time::clock_seconds);
        survey.add_named(bytes, is_seen, date);
    })?;
    if looker.contents == Contents::Judged {
        let judged = judge_all(looker, maildir, account)?;
        survey = MailboxStats {
            all: survey.all,
            seen: survey.seen,
            oldest: survey.oldest,
            newest: survey.newest,
            newest_seen: survey.newest_seen,
            ..judged
        };
    }
    Ok(survey)
}

/// How full it may be: as configured, else as `maildirsize` says.
pub fn maildir_limit(configured: Limit, found: &UserMaildir) -> Limit {
    if configured.bytes.is_some() || configured.messages.is_some() {
        return configured;
    }
    let theirs = size_file::limit_at(&found.path);
    Limit {
        bytes: theirs.bytes,
        messages: theirs.messages,
    }
}

fn judge_all(looker: &Looker<'_>, maildir: &Maildir, account: &Account) -> io::Result<MailboxStats> {
    let view = MaildirView::take(maildir, ReadLimit::ending_in(MOST_TIME))?;
    let mut summarizer = Summarizer::new(looker.config, account, SeenMessages::default());
    let mut survey = MailboxStats::default();
    let mut mbox = MboxReader::new(&view, JUDGED_BYTES)?;
    while let Some(stored) = mbox.next()? {
        if let Some((letter, hash)) = summarizer.summarize(&view, &stored, RepeatSearch::Looked)? {
            survey.add(&letter);
            summarizer.remember(hash);
        }
    }
    Ok(survey)
}
