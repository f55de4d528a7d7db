//! `spool restore --overflow`: puts what lies in the overflow back into the user's mailbox, oldest first, as far as it
//! fits.
//!
//! The overflow stays locked meanwhile, and a message leaves it only when it is in the mailbox and synced. Killed in
//! between, the next run finds the message in the mailbox, and takes it out of the overflow without putting it back
//! once more.

use std::io;
use std::path::Path;

use time::OffsetDateTime;

use crate::archive::messages::Archived;
use crate::cli::spool::Selection;
use crate::cli::{Everywhere, Who};
use crate::config::value::Limit;
use crate::deliver::context::Run;
use crate::deliver::store::Receipt;
use crate::deliver::store::entry::{Entry, Put, return_path};
use crate::deliver::{self, access, overflow};
use crate::error::{Category, Error, Status};
use crate::escape::make_visible;
use crate::mailbox::expunge::execute::{Expunge, SnapshotTrust, expunge};
use crate::mailbox::expunge::place;
use crate::mailbox::expunge::prepare::{ExpungePlan, Prepared, Unread};
use crate::mailbox::expunge::snapshot::Snapshot;
use crate::mailbox::open::{Absent, Owner};
use crate::mailbox::ranges::Ranges;
use crate::mailbox::reader::{MboxMessage, MboxReader};
use crate::mailbox::{OpenMailbox, excerpt};
use crate::message::Message;
use crate::message::envelope::Sender;
use crate::output::json::write_line;
use crate::output::sizes::{message_count_text, size_text, what_remains};
use crate::output::{OutputForm, print_error, print_line};
use crate::spool::consent::{Consent, ConsentAnswer};
use crate::spool::context::RunMode;
use crate::spool::merge::Merge;
use crate::spool::merge::known::Sameness;
use crate::spool::merge::target::{MergeInto, MergeLimits, MergeTarget, Stop};
use crate::spool::restore::report::OverflowLine;
use crate::sys::account;
use crate::sys::message_buffer::HEAD_BYTES;

/// How often it is begun again when a mail client rewrites the mailbox meanwhile.
const BEGINNINGS: u32 = 5;

/// Runs the command: 0 when nothing is left in the overflow, 1 when something is.
pub fn run(selection: &Selection, everywhere: &Everywhere) -> Status {
    let consent = Consent::of(&selection.changing, everywhere);
    let form = OutputForm::from_flag(selection.changing.json);
    match prepare(selection, everywhere).and_then(|run| all(&run, consent, form)) {
        Ok(status) => status,
        Err(e) => {
            print_error(&e);
            e.command_status()
        }
    }
}

fn prepare(selection: &Selection, everywhere: &Everywhere) -> Result<Run, Error> {
    let user = named_user(selection)?;
    if let Some(name) = &user {
        account::find_subject(name)?;
    }
    let who = Who { user, ..Who::default() };
    Run::prepare_to_deliver(&who, selection.mailbox.clone(), everywhere, deliver::begin_run()?, None)
}

/// The user whose overflow it is, with or without `--user` before the name.
fn named_user(selection: &Selection) -> Result<Option<String>, Error> {
    match (&selection.user, selection.archives.as_slice()) {
        (user, []) => Ok(user.clone()),
        (None, [name]) => Ok(Some(name.to_string_lossy().into_owned())),
        (_, names) => {
            let last = names.last().map(|name| name.display().to_string()).unwrap_or_default();
            let cause = "an overflow is one user's";
            Err(Error::new(Category::Arguments, "put back the overflow of", last, cause).hint("name one user"))
        }
    }
}

/// The part of the overflow that fits.
#[derive(Debug, Default)]
struct OverflowPart {
    ranges: Ranges,
    messages: u64,
    /// How many stay, for want of room.
    stay: u64,
    /// Why they stay, where somebody else says so.
    why: Option<String>,
}

/// Whether it is done by now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OverflowMoved {
    Planned,
    Done,
}

fn tell(run: &Run, form: OutputForm, part: &OverflowPart, done: OverflowMoved, note: Option<&str>) {
    let mailbox = run.store.to_string();
    let note = note.or(part.why.as_deref());
    let (count, bytes) = (part.messages, part.ranges.bytes());
    match form {
        OutputForm::Json => {
            let line = OverflowLine::Overflow {
                user: &run.account.name,
                mailbox,
                done: done == OverflowMoved::Done,
                restored: count,
                bytes,
                remaining: part.stay,
                note,
            };
            let _ = write_line(&mut io::stdout(), &line);
        }
        OutputForm::Text => {
            let verb = match done {
                OverflowMoved::Planned => "would put",
                OverflowMoved::Done => "put",
            };
            print_line(&make_visible(&format!(
                "{}: {verb} {} ({}) back into {mailbox}; {} in the overflow",
                run.account.name,
                message_count_text(count),
                size_text(bytes),
                what_remains(&message_count_text(part.stay), part.stay)
            )));
            if let Some(note) = note {
                print_line(&make_visible(note));
            }
        }
    }
}

fn all(run: &Run, consent: Consent, form: OutputForm) -> Result<Status, Error> {
    let owner = Owner::Trusted(run.account.uid);
    let Some(path) = overflow::overflow_path(run).filter(|path| path.symlink_metadata().is_ok()) else {
        let note = Some("nothing lies in the overflow");
        tell(run, form, &OverflowPart::default(), OverflowMoved::Planned, note);
        return Ok(Status::Done);
    };
    let plan = access::lock_plan(&run.config, owner, Absent::Refuse, run.state_dir());
    if consent != Consent::Given {
        // Nobody is made to wait for an answer: the overflow is locked for the plan, and again for the work.
        let locked = crate::mailbox::open_locked(&path, &plan, &run.deadline)?;
        let look = Snapshot::take(&locked, run.deadline.for_reading())?;
        drop(locked);
        let part = put_back(run, &look, RunMode::Rehearse)?;
        let question = format!("Put {} back?", message_count_text(part.messages));
        if part.messages == 0 {
            tell(run, form, &part, OverflowMoved::Planned, None);
            return Ok(ended(&part));
        }
        if form == OutputForm::Text {
            tell(run, form, &part, OverflowMoved::Planned, None);
        }
        match consent.decide(&question, "nothing was put back", form) {
            ConsentAnswer::Proceed => {}
            ConsentAnswer::Leave { status, last_line } => {
                match form {
                    OutputForm::Text => print_line(&last_line),
                    OutputForm::Json => tell(run, form, &part, OverflowMoved::Planned, Some(&last_line)),
                }
                return Ok(if status == Status::Done { ended(&part) } else { status });
            }
        }
        run.deadline.begin_again();
    }
    let mut locked = crate::mailbox::open_locked(&path, &plan, &run.deadline)?;
    let look = Snapshot::take(&locked, run.deadline.for_reading())?;
    let part = put_back(run, &look, RunMode::Execute)?;
    // What the mailbox has and the overflow keeps must be known to the next run.
    take_out(run, &mut locked, &look, &part).inspect_err(|_| run.intents.leave())?;
    if part.stay == 0 {
        overflow::forget_overflow(run);
    }
    tracing::info!(
        action = "overflow-return",
        user = run.account.name,
        mailbox = run.store.to_string(),
        messages = part.messages,
        bytes = part.ranges.bytes(),
        left = part.stay,
        note = ""
    );
    tell(run, form, &part, OverflowMoved::Done, None);
    Ok(ended(&part))
}

fn ended(part: &OverflowPart) -> Status {
    if part.stay == 0 { Status::Done } else { Status::Wrong }
}

/// Puts the first messages into the mailbox, up to one that does not fit, and syncs them. What a killed run has put
/// there takes no room. Begun again when a mail client rewrites the mailbox meanwhile.
fn put_back(run: &Run, look: &Snapshot, mode: RunMode) -> Result<OverflowPart, Error> {
    for _ in 0..BEGINNINGS {
        let put = match run.store.mbox() {
            Some(path) => merge(run, path, look, mode),
            None => put_one_by_one(run, look, mode),
        };
        match put.map_err(|stop| stop.into_failure(look.path())) {
            Ok(part) => return Ok(part),
            Err(Some(e)) => return Err(e),
            Err(None) => {}
        }
    }
    let cause = "another program rewrites it again and again";
    Err(Error::new(
        Category::Mailbox,
        "put back into",
        run.store.to_string(),
        cause,
    ))
}

/// The room in the mailbox for what lies in the overflow.
struct OverflowRoom {
    limit: Limit,
    bytes: u64,
    messages: u64,
    is_full: bool,
}

impl OverflowRoom {
    /// Measures it. A server alone knows how much it has.
    fn of(run: &Run) -> Result<Self, Error> {
        let limit = run.store.limit(run);
        let used = run
            .store
            .can_be_read()
            .then(|| run.store.usage(run, limit))
            .transpose()?;
        Ok(Self {
            limit,
            bytes: used.map_or(0, |used| used.bytes),
            messages: used.map_or(0, |used| used.messages),
            is_full: false,
        })
    }

    /// Takes room for a message; false where it does not fit, or one before it did not. One that no empty mailbox has
    /// room for holds up nobody else's.
    fn take(&mut self, bytes: u64) -> bool {
        let Limit {
            bytes: most_bytes,
            messages: most_messages,
        } = self.limit;
        if most_bytes.is_some_and(|most| bytes > most) {
            return false;
        }
        self.bytes += bytes;
        self.messages += 1;
        self.is_full |=
            most_bytes.is_some_and(|most| self.bytes > most) || most_messages.is_some_and(|most| self.messages > most);
        !self.is_full
    }
}

/// Divides the messages of the overflow into those that `goes` says go, and those that stay.
fn divide(look: &Snapshot, mut goes: impl FnMut(MboxMessage<'_>) -> Result<bool, Stop>) -> Result<OverflowPart, Stop> {
    let mut part = OverflowPart::default();
    let mut mbox = MboxReader::new(look, HEAD_BYTES)?;
    while let Some(stored) = mbox.next()? {
        if goes(stored)? {
            part.ranges.push(stored.offset..stored.offset + stored.bytes);
            part.messages += 1;
        } else {
            part.stay += 1;
        }
    }
    Ok(part)
}

fn merge(run: &Run, path: &Path, look: &Snapshot, mode: RunMode) -> Result<OverflowPart, Stop> {
    let plan = access::delivery_lock_plan(run, Owner::Exactly(run.account.uid));
    let mut merge = Merge::begin(MergeTarget {
        path,
        plan: &plan,
        room: MergeLimits {
            min_free: run.config.mailbox.min_free.bound(),
            ..MergeLimits::default()
        },
        sameness: Sameness::Each,
        mode,
        deadline: &run.deadline,
    })?;
    let mut room = OverflowRoom::of(run)?;
    let part = divide(look, |stored| {
        let archived = Archived::from_elsewhere(stored, look);
        if merge.find_once(&archived)? {
            return Ok(true);
        }
        let fits = room.take(stored.bytes);
        if fits {
            merge.offer(&archived)?;
        }
        Ok(fits)
    })?;
    let tally = merge.finish()?;
    if tally.no_room > 0 {
        let cause = "the disk is full up to what min_free keeps free";
        return Err(Error::new(Category::SystemFull, "put back into", path.display(), cause).into());
    }
    Ok(part)
}

/// The same for a mailbox that is no mbox. The notes on what is put there go when the run is over: a killed run's next
/// one finds by them what it has put there. What a server has room for, it says when it is asked to take a message.
fn put_one_by_one(run: &Run, look: &Snapshot, mode: RunMode) -> Result<OverflowPart, Stop> {
    let mut room = OverflowRoom::of(run)?;
    let (mut count, mut why) = (0, None);
    if mode == RunMode::Rehearse && !run.store.can_be_read() {
        why = Some("the server alone knows how many it has room for".to_owned());
    }
    let part = divide(look, |stored| {
        if !room.take(stored.bytes) {
            return Ok(false);
        }
        if mode == RunMode::Rehearse {
            return Ok(true);
        }
        run.deadline.begin_again();
        match put_one(run, look, stored) {
            Ok(Put::Done(receipt)) => {
                receipt.keep(run);
                count += 1;
                return Ok(true);
            }
            Ok(Put::Full(_)) => why = Some("the server says that the mailbox has no room for the next one".to_owned()),
            // What the mailbox has must leave the overflow all the same.
            Err(e) if count > 0 => {
                tracing::warn!(user = run.account.name, note = %e, "the others stay in the overflow");
                why = Some(e.to_string());
            }
            Err(e) => return Err(e.into()),
        }
        room.is_full = true;
        Ok(false)
    })?;
    Ok(OverflowPart { why, ..part })
}

fn put_one(run: &Run, look: &Snapshot, stored: MboxMessage<'_>) -> Result<Put<Receipt>, Error> {
    let fail = |e: io::Error| Error::io("read", look.path(), &e);
    let buffer = excerpt::read_excerpt(look.file(), stored.offset, stored.bytes).map_err(fail)?;
    let message = Message::new(buffer.head());
    let sender = match message.from_line_sender().as_deref() {
        None | Some("" | "MAILER-DAEMON") => Sender::Null,
        Some(word) => Sender::Address(word.to_owned()),
    };
    let start = buffer.head().len() - message.content().len();
    let entry = Entry {
        return_path: return_path(&sender, &message),
        sender: &sender,
        recipient: None,
        date: OffsetDateTime::now_utc(),
        added: "",
        content: buffer.reader(start),
        content_bytes: buffer.bytes() - start as u64,
        submission: None,
    };
    run.store.put(run, entry, None)
}

/// Takes the part out of the overflow. What a killed run leaves here is finished when the overflow is opened next.
fn take_out(run: &Run, locked: &mut OpenMailbox, look: &Snapshot, part: &OverflowPart) -> Result<(), Error> {
    if part.ranges.is_empty() {
        return Ok(());
    }
    let fail = |e: io::Error| Error::io("read", look.path(), &e);
    let plan = ExpungePlan {
        taken: part.ranges.clone(),
        hash: part.ranges.hash(look.file(), |_| Ok(())).map_err(fail)?,
        imap_base: None,
        unread: Unread::None,
        archive: run.store.to_string(),
        date: OffsetDateTime::now_utc(),
    };
    let place = place::place_beside(look.path());
    let prepared = Prepared::new(look, &plan, &place, |_| Ok(()))?;
    match expunge(locked, look, &plan, prepared, SnapshotTrust::Twice)? {
        Expunge::Done(_) => Ok(()),
        Expunge::Unfinished(e) => Err(e),
        Expunge::Changed | Expunge::InDoubt(_) => {
            let cause = "somebody else wrote to it; what is in the mailbox is not put back again";
            Err(Error::new(
                Category::Mailbox,
                "take messages out of",
                look.path().display(),
                cause,
            ))
        }
    }
}
