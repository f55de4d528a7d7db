//! The overflow: an mbox in the state directory, for mail that finds no room in the mailbox and must not wait.
//!
//! It is bounded in bytes and messages; beyond that a message stays in the MTA's queue. A copy of a message that lies
//! there already, by its id and its content, is counted and not stored: a stranger who sends one message again and
//! again fills nothing. User and administrator are told once, until the overflow is empty again. What fits goes back
//! into the mailbox in a process of its own (`spool/restore/overflow.rs`), which the next delivery starts.

use crate::deliver::{access, auto_archive, notify, quota_notice, store};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::classify::policy::Why;
use crate::config::Over;
use crate::config::value::Limit;
use crate::deliver::context::{Delivery, Intent, Outcome, Run, when_settled};
use crate::deliver::store::mbox::{self, Opened};
use crate::error::{Category, Error};
use crate::mailbox::content_hash::{HashScope, of_stored};
use crate::mailbox::intent::note_names;
use crate::mailbox::limited_file::LimitedFile;
use crate::mailbox::open::{Owner, open_existing};
use crate::mailbox::reader::{MboxMessage, MboxReader};
use crate::mailbox::{OpenMailbox, append, format};
use crate::message::Message;
use crate::output::shell;
use crate::sys::deadline::ReadLimit;
use crate::sys::message_buffer::MessageBuffer;
use crate::sys::state_file::Store;
use crate::sys::{dirs, json_state};

/// What it is called in the state directory.
const NAME: &str = "overflow";

/// As much of a stored message as is read to find its id, in bytes.
const HEAD_BYTES: usize = 64 << 10;

/// What is remembered about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct OverflowState {
    /// How many messages were not stored, since an equal one lies there.
    counted: u64,
    /// Whether user and administrator know.
    told: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overflow {
    pub path: PathBuf,
    pub messages: u64,
    /// How large they are together, in bytes.
    pub bytes: u64,
    pub counted: u64,
}

pub fn overflow_path(run: &Run) -> Option<PathBuf> {
    Some(run.state_dir()?.join(NAME))
}

/// How it stands in the state directory `dir` of the user with this number, who asks; none where it is empty or cannot
/// be read.
pub fn inspect_overflow(dir: &Path, uid: u32) -> Option<Overflow> {
    let path = dir.join(NAME);
    let file = open_existing(&path, Owner::Trusted(uid)).ok()??;
    let limited = LimitedFile::new(&file, ReadLimit::until_stopped());
    let mut messages = 0;
    let mut mbox = MboxReader::new(&limited, 0).ok()?;
    mbox.count(&mut messages).ok()?;
    let state: OverflowState = json_state::read_state(&memory(dir)).unwrap_or_default();
    (mbox.length() > 0).then(|| Overflow {
        path,
        messages,
        bytes: mbox.length(),
        counted: state.counted,
    })
}

/// How many bytes lie in the overflow of the state directory `dir`. Nothing is opened, and no link followed: for
/// whoever is not its user.
pub fn overflow_bytes(dir: &Path) -> Option<u64> {
    let stat = dir.join(NAME).symlink_metadata().ok()?;
    Some(stat.len()).filter(|bytes| stat.is_file() && *bytes > 0)
}

/// Notes that nothing lies there any more. Call it while it is locked.
pub fn forget_overflow(run: &Run) {
    let Some(dir) = run.state_dir() else { return };
    let cleared = change(run, &dir, |state| *state = OverflowState::default());
    if let Err(e) = cleared {
        tracing::warn!(user = run.account.name, note = %e, "the next overflow is not told of");
    }
}

fn change<R>(run: &Run, dir: &Path, change: impl FnOnce(&mut OverflowState) -> R) -> Result<R, Error> {
    json_state::change_state(&memory(dir), &run.account.name, &run.deadline, change)
}

fn memory(dir: &Path) -> Store {
    Store::new(dir, "overflow.json")
}

/// Puts the message there with `added` fields on top, unless an equal one lies there. Fails when it is full, there is
/// no place for it, or it cannot be locked or written.
pub fn put_in_overflow(run: &Run, delivery: &Delivery<'_>, added: &str) -> Result<Outcome, Error> {
    let Some(dir) = run.state_dir() else {
        return Err(store::full_error(run, delivery.content_bytes(), Category::MailboxFull)
            .hint("there is no state directory for the overflow"));
    };
    dirs::make_private_dir(&dir)?;
    let path = dir.join(NAME);
    let sender = access::separator_sender(&delivery.envelope.sender, &run.account);
    let entry = || mbox::mailbox_entry(run, delivery, &sender, added);
    let outcome = |note: String| Outcome::Appended {
        mailbox: path.display().to_string(),
        note: Some(note),
    };
    let appended = match mbox::open_mbox(run, &path, Owner::Trusted(run.account.uid), &entry())? {
        Opened::There(appended) => appended,
        Opened::Ready(mut locked) => {
            let fail = |e: std::io::Error| Error::io("read", &path, &e);
            let incoming = || MessageBuffer::collect(|to| format::write_letter(to, entry()).map(drop));
            let held = OverflowContent::find(run, delivery, &locked, incoming).map_err(fail)?;
            if held.has_equal && count_one(run, &dir) {
                return Ok(outcome(
                    "an equal message lies in the overflow, and this one is counted".to_owned(),
                ));
            }
            let incoming_bytes = delivery.content_bytes() + added.len() as u64 + format::frame_bytes(&sender);
            held.refuse_full(run, &locked, incoming_bytes)?;
            access::refuse_full_disk(run, &locked, incoming_bytes)?;
            append::append(&mut locked, entry())?
        }
    };
    run.intents.add(appended.into_note().map(Intent::Mbox));
    Ok(outcome(Why::OverQuota.to_string()))
}

/// What an earlier run has put there of this message, with `added` fields on top, that was killed before it could say
/// so. By now there may be room in the mailbox, and it would be in both. Fails when the overflow cannot be locked or
/// put in order.
pub fn find_earlier(run: &Run, delivery: &Delivery<'_>, added: &str) -> Result<Option<Outcome>, Error> {
    let Some(path) = overflow_path(run) else {
        return Ok(None);
    };
    let owner = Owner::Trusted(run.account.uid);
    // Nearly always there is no overflow, or no note on it: no lock is needed to see that.
    let noted = open_existing(&path, owner).is_ok_and(|file| file.is_some_and(|file| !note_names(&file).is_empty()));
    if !noted {
        return Ok(None);
    }
    let sender = access::separator_sender(&delivery.envelope.sender, &run.account);
    match mbox::open_mbox(run, &path, owner, &mbox::mailbox_entry(run, delivery, &sender, added))? {
        Opened::Ready(_) => Ok(None),
        Opened::There(appended) => {
            run.intents.add(appended.into_note().map(Intent::Mbox));
            Ok(Some(Outcome::Appended {
                mailbox: path.display().to_string(),
                note: Some(Why::OverQuota.to_string()),
            }))
        }
    }
}

/// Puts the message there; where the configuration sends mail here, user and administrator are told. What comes here
/// for want of a better place is shown by `status`, and comes back by itself.
pub fn put_and_tell(run: &Run, delivery: &Delivery<'_>) -> Result<Outcome, Error> {
    let outcome = put_in_overflow(run, delivery, "")?;
    if run.config.quota.when_full == Over::Overflow
        && let Some(dir) = run.state_dir()
    {
        when_settled(|| tell(run, delivery, &dir));
    }
    Ok(outcome)
}

/// Counts a message; false where that cannot be written down: then it is stored.
fn count_one(run: &Run, dir: &Path) -> bool {
    change(run, dir, |state| state.counted += 1).is_ok()
}

/// What lies there already.
struct OverflowContent {
    messages: u64,
    has_equal: bool,
}

impl OverflowContent {
    /// Reads what lies there. Only what has the id of this message is compared with it.
    fn find(
        run: &Run,
        delivery: &Delivery<'_>,
        locked: &OpenMailbox,
        incoming: impl FnOnce() -> std::io::Result<MessageBuffer>,
    ) -> std::io::Result<Self> {
        let id = |message: &Message<'_>| message.first("Message-ID").map(|id| id.trim().to_owned());
        let own = id(&delivery.message);
        let limited = LimitedFile::new(locked.file(), run.deadline.for_reading());
        let mut mbox = MboxReader::new(&limited, HEAD_BYTES)?;
        let mut messages = 0;
        let mut alike = Vec::new();
        while let Some(stored) = mbox.next()? {
            messages += 1;
            if id(&Message::new(stored.head)) == own {
                alike.push(of_stored(&limited, &stored, HashScope::Written)?);
            }
        }
        let has_equal = !alike.is_empty() && {
            let incoming = incoming()?;
            alike.contains(&of_stored(
                &incoming,
                &MboxMessage::of_buffer(&incoming),
                HashScope::Written,
            )?)
        };
        Ok(Self { messages, has_equal })
    }

    fn refuse_full(&self, run: &Run, locked: &OpenMailbox, incoming_bytes: u64) -> Result<(), Error> {
        let quota = &run.config.quota;
        let too_large = |most: u64| locked.length().map(|bytes| bytes.saturating_add(incoming_bytes) > most);
        let is_full = quota.overflow_limit.bound().map_or(Ok(false), too_large)?
            || (quota.overflow_messages > 0 && self.messages >= quota.overflow_messages);
        if !is_full {
            return Ok(());
        }
        let hint = format!(
            "the overflow is full too ({}); make room, or raise overflow_limit or overflow_messages",
            locked.path().display()
        );
        Err(store::full_error(run, incoming_bytes, Category::MailboxFull).hint(hint))
    }
}

/// Tells user and administrator, once until it is empty again.
fn tell(run: &Run, delivery: &Delivery<'_>, dir: &Path) {
    let was_told = change(run, dir, |state| std::mem::replace(&mut state.told, true));
    if !matches!(was_told, Ok(false)) {
        return;
    }
    let (own, admin) = (delivery.own_address(), run.config.admin.as_str());
    let text = text(run, &dir.join(NAME));
    let to_user = quota_notice::write_message(&own, &own, delivery.date, ".user", &text);
    let user = store::place_notice(run, &own, &to_user, delivery.date);
    let to_admin = quota_notice::write_message(&own, admin, delivery.date, ".admin", &text);
    let limit = run.config.digest.admin_limit.bound();
    let admin = notify::notify_admin(run, "tell of the overflow", &to_admin, delivery.date, limit);
    for e in [user, admin].into_iter().filter_map(Result::err) {
        tracing::warn!(user = run.account.name, note = %e, "cannot tell of the overflow");
    }
}

fn text(run: &Run, path: &Path) -> String {
    let (user, program) = (&run.account.name, shell::program_command());
    format!(
        "Subject: The mailbox of {user} is full, and new mail is put aside\n\n\
         There is no room for new mail in the mailbox of {user}.\n\
         It is put aside, in {}\n\n\
         When mail is deleted or moved, what was put aside comes into the mailbox\n\
         with the next message. To have it at once:\n\n\
         \x20   {program} spool restore --overflow --user {user}\n\n\
         When the overflow is full too, mail waits with the mail system.\n\
         This notice comes once, until nothing is put aside any more.\n",
        path.display()
    )
}

/// Begins to put back what lies there, in the background, where there is room for some of it. The message is safe by
/// now: what fails here is logged, and nothing more.
pub fn begin_return(run: &Run, delivery: &Delivery<'_>) {
    let has_mail = overflow_path(run).is_some_and(|path| path.symlink_metadata().is_ok_and(|stat| stat.len() > 0));
    // Counting messages takes its time; the command that is started does that.
    let limit = Limit {
        messages: None,
        ..run.store.limit(run)
    };
    let has_room = |limit_bytes: u64| run.store.usage(run, limit).is_ok_and(|usage| usage.bytes < limit_bytes);
    let has_room = limit.bytes.is_none_or(has_room);
    // A server that the command line named is not the one that the configuration names.
    let is_elsewhere = run.is_named_by_hand && run.store.path().is_none();
    if !has_mail || !has_room || is_elsewhere {
        return;
    }
    let mut words: Vec<OsString> = vec!["spool".into(), "restore".into(), "--overflow".into(), "--yes".into()];
    if !run.account.is_nameless() {
        words.extend(["--user".into(), run.account.name.clone().into()]);
    }
    if run.is_named_by_hand
        && let Some(path) = run.store.path().and_then(|path| std::path::absolute(path).ok())
    {
        let mut word = path.into_os_string();
        if run.store.mbox().is_none() {
            word.push("/");
        }
        words.extend(["--mailbox".into(), word]);
    }
    match auto_archive::in_background(run, delivery, "returning", &words) {
        Ok(true) => tracing::info!(action = "overflow-return-begin", user = run.account.name, note = ""),
        Ok(false) => {}
        Err(e) => tracing::warn!(
            action = "overflow-return-begin",
            user = run.account.name,
            note = e.to_string()
        ),
    }
}
