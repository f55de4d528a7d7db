//! Takes chosen messages out of one Maildir, into an archive: look, choose, pack, read back, note, name the archive,
//! remove. Until the archive has its name every message stays where its owner sees it. A message that is removed
//! meanwhile means: once more, a few times.

use crate::error::{Category, Error};
use crate::maildir::departure::{Departure, MaintenanceLock};
use crate::maildir::directory::Maildir;
use crate::maildir::size_file;
use crate::maildir::view::MaildirView;
use crate::spool::choose::{ChosenMessages, Inside};
use crate::spool::context::RunMode;
use crate::spool::merge::into_maildir::MaildirMerge;
use crate::spool::merge::known::Sameness;
use crate::spool::merge::target::MergeTally;
use crate::spool::packing::PackingJob;
use crate::spool::report::BatchReport;
use crate::spool::taken::{MoveEnd, MoveOutcome};
use crate::sys::read_at::ReadAt;

/// How often everything begins anew when a mail client removes messages meanwhile.
const ROUNDS: u32 = 3;

/// Does what the job says. Fails when it cannot be done; the Maildir holds everything that is not in an archive,
/// whatever happened.
pub fn take_out(job: &PackingJob<'_>, mode: RunMode, report: &BatchReport) -> Result<MoveOutcome, Error> {
    let path = &job.spool.path;
    let gone = || {
        Error::new(
            Category::Mailbox,
            "open",
            path.display(),
            "there is no Maildir any more",
        )
    };
    let maildir = Maildir::open(path, job.spool.uid)?.ok_or_else(gone)?;
    let lock = match mode {
        RunMode::Execute => Some(MaintenanceLock::take(&maildir)?),
        RunMode::Rehearse => None,
    };
    for _ in 0..ROUNDS {
        let look = MaildirView::take(&maildir, job.care.reading.get());
        let view = look.map_err(|e| Error::io("read", path, &e).class(Category::Mailbox))?;
        match round(job, &maildir, lock.as_ref(), &view, report) {
            // What was chosen is not there any more.
            Err(_) if view.is_changed() => {}
            ended => return ended,
        }
    }
    let cause = "a mail client removes messages again and again; nothing was taken out";
    Err(Error::new(Category::Mailbox, "archive", path.display(), cause).hint("try again when the user is away"))
}

/// Without a lock it only finds out what would be done.
fn round(
    job: &PackingJob<'_>,
    maildir: &Maildir,
    lock: Option<&MaintenanceLock>,
    view: &MaildirView<'_>,
    report: &BatchReport,
) -> Result<MoveOutcome, Error> {
    let path = &job.spool.path;
    let fail = |e: std::io::Error| Error::io("read", path, &e);
    let choice = job.choose_messages(view)?;
    if choice.taken.is_empty() {
        return Ok(MoveOutcome::nothing_chosen(choice));
    }
    let Some(lock) = lock else {
        job.refuse_unusable_archive_dir(view, &choice)?;
        let back = put_back(job, maildir, view, &choice, RunMode::Rehearse)?;
        job.expire_archives(&job.free_place()?, RunMode::Rehearse, report);
        let end = MoveEnd::Would(job.archive_dir.dir.clone());
        return Ok(MoveOutcome { choice, back, end });
    };
    job.open_archive_dir(view, &choice)?;
    let described = path.metadata().map_err(|e| Error::io("examine", path, &e))?;
    let packed = job.pack_chosen(view, &described, &choice)?;
    // Before the reports go, and synced: whatever comes between, each message is in a report or in the mailbox.
    let back = put_back(job, maildir, view, &choice, RunMode::Execute)?;
    let departure = Departure::note(maildir, lock, view.messages_in(&choice.taken), packed.archive_path())?;
    // Fails without the archive: then the note goes, too.
    let archive = packed.publish()?;
    if let Err(e) = departure.carry_out() {
        let user = &job.spool.account.name;
        report.tell_note(&format!(
            "{user}: the messages that go are in {}",
            archive.path.display()
        ));
        return Err(e);
    }
    job.note_archived(&choice, &archive.path);
    job.expire_archives(&archive.path, RunMode::Execute, report);
    let end = MoveEnd::Done {
        archive,
        stay_bytes: view.length().map_err(fail)?.saturating_sub(choice.taken.bytes()),
        held: None,
    };
    Ok(MoveOutcome { choice, back, end })
}

/// Puts back what the reports carry, where that is asked for.
fn put_back(
    job: &PackingJob<'_>,
    maildir: &Maildir,
    view: &MaildirView<'_>,
    choice: &ChosenMessages,
    mode: RunMode,
) -> Result<MergeTally, Error> {
    if job.wanted.inside != Inside::PutBack {
        return Ok(MergeTally::default());
    }
    if choice.originals.count() == 0 {
        if mode == RunMode::Execute {
            // A killed run may have put back what the reports carry, and no line counts that. Where that fails, the
            // next count finds it out.
            let _ = size_file::count_again(maildir);
        }
        return Ok(MergeTally::default());
    }
    let (room, deadline) = (job.room_beside(choice), &job.care.deadline);
    let put = MaildirMerge::begin(maildir, view, room, Sameness::Once(&choice.taken), mode, deadline)
        .and_then(|mut merge| choice.originals.put_back(&job.unpacker(view), &mut merge));
    match put {
        Ok(tally) => job.tell_put_back(tally, mode),
        Err(stop) => Err(stop.into_failure(&job.spool.path).unwrap_or_else(|| {
            let cause = "it was changed meanwhile";
            Error::new(Category::Mailbox, "put back into", job.spool.path.display(), cause)
        })),
    }
}
