//! How a run opens a mailbox: with which locks, as which user, and only while the disk has room. Everything that
//! appends goes through here.

use crate::config::{self, Config};
use crate::deliver::context::Run;
use crate::deliver::recovery_log::log_recovery;
use crate::error::{Category, Error};
use crate::mailbox::lock::LockPlan;
use crate::mailbox::open::{Absent, Owner};
use crate::mailbox::{self, OpenMailbox, append, quoting};
use crate::message::envelope::Sender;
use crate::sys::account::Account;
use crate::sys::filesystem;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// How the mailbox at a path is locked when mail comes in.
pub fn delivery_lock_plan(run: &Run, owner: Owner) -> LockPlan {
    LockPlan {
        place: run.place.clone(),
        ..lock_plan(&run.config, owner, Absent::Create, run.state_dir())
    }
}

pub fn lock_plan(config: &Config, owner: Owner, absent: Absent, state_dir: Option<PathBuf>) -> LockPlan {
    LockPlan {
        methods: config.mailbox.locks.clone(),
        timeout: config.mailbox.lock_timeout.duration(),
        owner,
        absent,
        state_dir,
        place: None,
        tell: None,
    }
}

pub fn line_quoting(config: &Config) -> quoting::LineQuoting {
    match config.mailbox.quoting {
        config::Quoting::Mboxrd => quoting::LineQuoting::Mboxrd,
        config::Quoting::Mboxo => quoting::LineQuoting::Mboxo,
    }
}

/// Opens and locks the mailbox at `path`, and puts in order what a killed run left. Fails when the mailbox cannot be
/// locked, or cannot be put in order.
pub fn open_locked(run: &Run, path: &Path, owner: Owner) -> Result<OpenMailbox, Error> {
    refuse_number(run, path)?;
    let mailbox = mailbox::open_locked(path, &delivery_lock_plan(run, owner), &run.deadline)?;
    log_recovery(&mailbox);
    Ok(mailbox)
}

/// Makes no mailbox that is called after a number: whoever gets a name later does not look there. One that is there is
/// used.
pub fn refuse_number(run: &Run, path: &Path) -> Result<(), Error> {
    let is_named = run.is_named_by_hand || !run.account.is_nameless() || run.store.path() != Some(path);
    if is_named || path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let cause = format!("nobody in the user database has uid {}", run.account.uid);
    Err(
        Error::new(Category::Configuration, "create mailbox", path.display(), cause)
            .hint("say --user or --mailbox, or create it once as root; setgid makes none for a number"),
    )
}

/// Leaves `min_free` on the file system, for everybody else's mail.
pub fn refuse_full_disk(run: &Run, locked: &OpenMailbox, incoming_bytes: u64) -> Result<(), Error> {
    refuse_full_disk_at(run, locked.path(), locked.file(), incoming_bytes)
}

/// The same for the file system of an open file or directory.
pub fn refuse_full_disk_at(run: &Run, path: &Path, file: impl AsFd, incoming_bytes: u64) -> Result<(), Error> {
    let Some(min_free_bytes) = run.config.mailbox.min_free.bound() else {
        return Ok(());
    };
    let free_bytes = filesystem::free_bytes(path, file)?;
    if free_bytes < incoming_bytes.saturating_add(min_free_bytes) {
        return Err(append::too_little_space(path, free_bytes, min_free_bytes));
    }
    Ok(())
}

/// The sender for the separator line. Where nobody said one, it is the user, whose program brought the message.
pub fn separator_sender(sender: &Sender, user: &Account) -> String {
    match sender {
        Sender::Null => String::new(),
        Sender::Address(address) => address.clone(),
        Sender::Unknown => user.name.clone(),
    }
}
