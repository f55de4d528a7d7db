//! Puts a message into the user's mailbox, within quota. What the quota says is asked under the lock: before it, it is a guess.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::act::lock::{self, Locked, Method, Owner, Plan};
use crate::act::mbox::{self, Appended, Letter};
use crate::act::{dir, intake, rewrite, tally};
use crate::command::divert;
use crate::command::guard::{Case, Guard, Outcome};
use crate::command::{marks, notice};
use crate::config;
use crate::config::value::Size;
use crate::decide::envelope::Sender;
use crate::decide::policy::{Admission, Limit, Over, Usage, Why, admit};
use crate::exit::{Class, Error};

/// How long the user is not warned again, in seconds.
const WARN_AGAIN_SECONDS: i64 = 24 * 60 * 60;

/// What a separator line and the empty line at the end add to a message, roughly, in bytes.
const SEPARATOR_BYTES: u64 = 64;

/// The user's mailbox.
#[must_use]
pub fn path(guard: &Guard) -> PathBuf {
    match &guard.mbox {
        Some(path) => path.clone(),
        None => Path::new(&guard.config.spool.dir).join(&guard.account.name),
    }
}

/// How the mailbox at a path is locked.
#[must_use]
pub fn plan(guard: &Guard, owner: Owner) -> Plan {
    let method = |lock: &config::Lock| match lock {
        config::Lock::Dotlock => Method::Dotlock,
        config::Lock::Fcntl => Method::Fcntl,
        config::Lock::Flock => Method::Flock,
    };
    Plan {
        methods: guard.config.spool.locks.iter().map(method).collect(),
        timeout: guard.config.spool.lock_timeout.duration(),
        owner,
    }
}

/// The message in the form that an mbox takes.
#[must_use]
pub fn letter<'a>(
    guard: &Guard,
    case: &'a Case<'_>,
    sender: &'a str,
    added: &'a str,
) -> Letter<'a, intake::Reader<'a>> {
    Letter {
        sender,
        date: case.date,
        added: added.as_bytes(),
        content: case.intake.reader(case.content_start()),
        quoting: match guard.config.spool.quoting {
            config::Quoting::Mboxrd => rewrite::Quoting::Mboxrd,
            config::Quoting::Mboxo => rewrite::Quoting::Mboxo,
        },
    }
}

/// The sender for the separator line. Where nobody said one, it is the user, whose program brought the message.
#[must_use]
pub fn separator_sender(guard: &Guard, case: &Case<'_>) -> String {
    match &case.envelope.sender {
        Sender::Null => String::new(),
        Sender::Address(address) => address.clone(),
        Sender::Unknown => guard.account.name.clone(),
    }
}

/// Appends the message with `added` fields on top. When there is no room, `over` says what is done.
///
/// # Errors
/// When it cannot be appended, or the quota defers or refuses it.
pub fn append(guard: &Guard, case: &Case<'_>, added: &str, over: Over) -> Result<Outcome, Error> {
    match place(guard, case, added, over)? {
        Placed::Here(_) => Ok(Outcome::Appended {
            mailbox: path(guard),
            note: None,
        }),
        Placed::Elsewhere(outcome) => Ok(outcome),
    }
}

/// Appends a message that was to go elsewhere, and says why it is here.
///
/// # Errors
/// As `append`.
pub fn keep(guard: &Guard, case: &Case<'_>, why: &str) -> Result<Outcome, Error> {
    let field = marks::kept_field(&case.judgement, why, case.message.line_end());
    match append(guard, case, &field, guard.config.quota.over)? {
        Outcome::Appended { mailbox, note: None } => Ok(Outcome::Appended {
            mailbox,
            note: Some(why.to_owned()),
        }),
        outcome @ (Outcome::Appended { .. } | Outcome::Forwarded { .. } | Outcome::Diverted { .. }) => Ok(outcome),
    }
}

/// Where a message was put.
#[derive(Debug)]
pub enum Placed {
    /// In the mailbox.
    Here(Appended),
    /// The quota sent it elsewhere.
    Elsewhere(Outcome),
}

/// Appends the message, and says where it lies.
///
/// # Errors
/// As `append`.
pub fn place(guard: &Guard, case: &Case<'_>, added: &str, over: Over) -> Result<Placed, Error> {
    let path = path(guard);
    let plan = plan(guard, Owner::Exactly(guard.account.uid));
    let mut locked = lock::lock(&path, &plan, &guard.patience)?;
    let limit = guard.config.limit_of(&guard.account.name, || guard.account.groups());
    let usage = measure(guard, &locked, limit)?;
    let incoming_bytes = case.content_bytes() + added.len() as u64 + SEPARATOR_BYTES;
    match admit(usage, incoming_bytes, limit, over, &case.envelope.sender, case.action) {
        Admission::Fits => {}
        Admission::Full(over) => {
            drop(locked);
            return full(guard, case, limit, over).map(Placed::Elsewhere);
        }
    }
    refuse_full_disk(guard, &locked, incoming_bytes)?;
    let sender = separator_sender(guard, case);
    let appended = mbox::append(&mut locked, letter(guard, case, &sender, added))?;
    if limit.messages.is_some()
        && let Some(dir) = state_dir(guard)
    {
        tally::remember(locked.file(), &path, &dir, usage.messages + 1);
    }
    warn_user(guard, case, &mut locked, limit);
    Ok(Placed::Here(Appended {
        // With the notice: a copy that is taken back takes along what was said about it.
        after_bytes: mbox::length(&locked).unwrap_or(appended.after_bytes),
        ..appended
    }))
}

/// Takes a copy back, when the message goes back to the mail system and will come again.
///
/// # Errors
/// When the mailbox has changed since.
pub fn take_back(guard: &Guard, appended: Appended) -> Result<(), Error> {
    let plan = plan(guard, Owner::Exactly(guard.account.uid));
    let mut locked = lock::lock(&path(guard), &plan, &guard.patience)?;
    mbox::take_back(&mut locked, appended)
}

fn measure(guard: &Guard, locked: &Locked, limit: Limit) -> Result<Usage, Error> {
    let messages = match (limit.messages, state_dir(guard)) {
        (None, _) => 0,
        (Some(_), dir) => {
            // Without a state directory there is no memory, and the mailbox is counted as a whole.
            let dir = dir.unwrap_or_else(|| PathBuf::from("/nonexistent"));
            tally::count(locked.file(), locked.path(), &dir)?
        }
    };
    Ok(Usage {
        bytes: mbox::length(locked)?,
        messages,
    })
}

/// Leaves `min_free` on the file system, for everybody else's mail.
///
/// # Errors
/// When there is less.
pub fn refuse_full_disk(guard: &Guard, locked: &Locked, incoming_bytes: u64) -> Result<(), Error> {
    let Some(min_free_bytes) = guard.config.spool.min_free.bound() else {
        return Ok(());
    };
    let free_bytes = mbox::free_bytes(locked.path(), locked.file())?;
    if free_bytes < incoming_bytes.saturating_add(min_free_bytes) {
        return Err(mbox::too_little_space(locked.path(), free_bytes, min_free_bytes));
    }
    Ok(())
}

/// There is no room in the mailbox.
fn full(guard: &Guard, case: &Case<'_>, limit: Limit, over: Over) -> Result<Outcome, Error> {
    match over {
        Over::Defer => Err(full_error(guard, limit, Class::MailboxFull)),
        Over::Refuse => Err(full_error(guard, limit, Class::Refused)),
        Over::Divert => divert::divert(guard, case, Why::OverQuota),
        Over::Overflow => overflow(guard, case),
    }
}

/// Says that the mailbox is full.
#[must_use]
pub fn full_error(guard: &Guard, limit: Limit, class: Class) -> Error {
    let bytes = limit.bytes.map(|bytes| format!("{} bytes", Size::from_bytes(bytes)));
    let messages = limit.messages.map(|count| format!("{count} messages"));
    let bounds: Vec<_> = bytes.into_iter().chain(messages).collect();
    Error::new(
        class,
        "append to",
        path(guard).display(),
        format_args!("the mailbox is full, its limit is {}", bounds.join(" or ")),
    )
}

/// Appends to the mbox that takes what the mailbox has no room for.
fn overflow(guard: &Guard, case: &Case<'_>) -> Result<Outcome, Error> {
    let Some(dir) = state_dir(guard) else {
        return Err(full_error(guard, Limit::default(), Class::MailboxFull)
            .hint("there is no state directory for the overflow"));
    };
    dir::make_private_dir(&dir)?;
    let path = dir.join("overflow");
    let plan = plan(guard, Owner::Trusted(guard.account.uid));
    let mut locked = lock::lock(&path, &plan, &guard.patience)?;
    refuse_full_disk(guard, &locked, case.content_bytes())?;
    let sender = separator_sender(guard, case);
    let _ = mbox::append(&mut locked, letter(guard, case, &sender, ""))?;
    Ok(Outcome::Appended {
        mailbox: path,
        note: Some(Why::OverQuota.to_string()),
    })
}

/// Where this user's held copies, overflow and memories are; none where there is neither a home nor a configured place.
#[must_use]
pub fn state_dir(guard: &Guard) -> Option<PathBuf> {
    let configured = guard.config.state_dir.replace("%u", &guard.account.name);
    match (configured.as_str(), &guard.account.home) {
        ("", None) => None,
        ("", Some(home)) => Some(home.join(".local/state/spoolguard")),
        (path, home) => match (path.strip_prefix("~/"), home) {
            (Some(below), Some(home)) => Some(home.join(below)),
            (Some(_), None) => None,
            (None, _) => Some(PathBuf::from(path)),
        },
    }
}

/// Tells the user that the mailbox fills up, once a day while it lasts, and when it is over. A notice that cannot be written is
/// left out: the message is safe, and that is what counts.
fn warn_user(guard: &Guard, case: &Case<'_>, locked: &mut Locked, limit: Limit) {
    let (Some(bytes), Some(dir)) = (limit.bytes, state_dir(guard)) else {
        return;
    };
    let (Some(threshold), Ok(now)) = (guard.config.quota.warn.of(bytes), mbox::length(locked)) else {
        return;
    };
    let note = dir.join("quota-warned").join(guard.account.name.replace('/', "_"));
    let warned = note
        .metadata()
        .ok()
        .and_then(|stat| stat.modified().ok())
        .map(OffsetDateTime::from);
    let text = if now >= threshold {
        if warned.is_some_and(|then| (case.date - then).whole_seconds() < WARN_AGAIN_SECONDS) {
            return;
        }
        notice::fills_up(now, bytes)
    } else if warned.is_some() {
        notice::has_room_again(now, bytes)
    } else {
        return;
    };
    // The note first: a user who is not warned once is better off than one who is warned with each message.
    let noted = if now >= threshold {
        dir::make_private_dir(&dir.join("quota-warned")).is_ok() && std::fs::write(&note, b"").is_ok()
    } else {
        std::fs::remove_file(&note).is_ok()
    };
    if noted && refuse_full_disk(guard, locked, text.len() as u64).is_ok() {
        let message = notice::message(&case.own_address(), case.date, &text);
        let letter = Letter {
            sender: "",
            date: case.date,
            added: b"",
            content: message.as_bytes(),
            quoting: rewrite::Quoting::Mboxrd,
        };
        if mbox::append(locked, letter).is_ok()
            && limit.messages.is_some()
            && let Ok(messages) = tally::count(locked.file(), locked.path(), &dir)
        {
            tally::remember(locked.file(), locked.path(), &dir, messages);
        }
    }
}
