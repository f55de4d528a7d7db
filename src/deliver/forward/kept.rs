//! Remembers which messages were kept instead of being sent on, for each destination, and tells the user once a day at
//! most: how many, why, where they are, and the command that sends them on. Trouble with the list is logged, and no
//! delivery stops for it: the message is in the mailbox.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::deliver::context::{Delivery, Run};
use crate::deliver::forward::destinations;
use crate::deliver::forward::rules::kept::{KeptEvent, KeptList, KeptReason, first_line, write_line};
use crate::deliver::forward::rules::kept_name::file_name;
use crate::deliver::{headers, notify, quota_notice, store};
use crate::error::{Category, Error};
use crate::moment::Moment;
use crate::output::wrap::wrap_body;
use crate::sys::dirs::{self, make_private_dir, open_kept, own_file, sync_parent, with_suffix};
use crate::sys::state_file::{LockedStateFile, Store};

/// Where the lists are, in the state directory.
const KEPT_DIR: &str = "kept";

/// What the name of a list ends with.
const SUFFIX: &str = ".list";

/// A list that is shorter stays as it is, in bytes.
const LONG_BYTES: u64 = 64 << 10;

/// A list that is larger was not written by us, in bytes: the longest entries of as many messages as a list has are 5
/// MB.
const MOST_BYTES: u64 = 64 << 20;

/// The list of one destination, on the disk.
#[derive(Clone, Debug)]
pub struct KeptFile {
    dir: PathBuf,
    name: String,
    destination: String,
}

impl KeptFile {
    /// The list for `destination`; none where there is no state directory.
    pub fn of(run: &Run, destination: &str) -> Option<Self> {
        Some(Self {
            dir: run.state_dir()?.join(KEPT_DIR),
            name: file_name(destination),
            destination: destination.to_owned(),
        })
    }

    fn path(&self) -> PathBuf {
        self.dir.join(format!("{}{SUFFIX}", self.name))
    }

    /// What it holds now; nothing where there is none.
    pub fn read(&self) -> Result<KeptList, Error> {
        let mut list = read(&self.path())?;
        if list.destination.is_empty() {
            list.destination.clone_from(&self.destination);
        }
        Ok(list)
    }

    /// The same for whoever holds the lock: what cannot be a list is set aside, and a new one begun.
    fn read_held(&self) -> Result<KeptList, Error> {
        let path = self.path();
        let is_list = |stat: &Metadata| stat.is_file() && stat.len() <= MOST_BYTES;
        let is_usable = match own_file().read(true).append(true).open(&path) {
            Ok(file) => file.metadata().is_ok_and(|stat| is_list(&stat)),
            Err(_) => !dirs::is_foreign(&path),
        };
        if !is_usable {
            tracing::warn!(path = %path.display(), "it is no list of ours: set aside, and begun anew");
            dirs::set_aside(&path).map_err(|e| Error::io("set aside", &path, &e))?;
        }
        read(&path)
    }

    /// Waits until nobody else sends what is on this list. Fails when somebody else does for too long, or the lock
    /// cannot be made.
    pub fn hold_for_sending(&self, run: &Run) -> Result<LockedStateFile, Error> {
        let store = Store::new(&self.dir, &format!("{}.sending", self.name));
        store.hold_within(&run.deadline, run.deadline.remaining())
    }

    /// Adds lines, synced.
    pub fn add(&self, run: &Run, own: &str, at: i64, events: &[KeptEvent<'_>]) -> Result<(), Error> {
        self.change(
            run,
            |_| ((), events.iter().map(|event| write_line(at, event)).collect()),
            own,
        )?;
        self.shorten(run, at)
    }

    /// Writes a list that has grown long anew.
    fn shorten(&self, run: &Run, now: i64) -> Result<(), Error> {
        let path = self.path();
        if path.metadata().map_or(0, |stat| stat.len()) < LONG_BYTES {
            return Ok(());
        }
        let _lock = self.lock(run)?;
        let Some(text) = self.read()?.shorten(now) else {
            return Ok(());
        };
        let draft = with_suffix(&path, ".new");
        let _ = std::fs::remove_file(&draft);
        let written = open_to_append(&draft)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_data()))
            .and_then(|()| std::fs::rename(&draft, &path))
            .and_then(|()| sync_parent(&path));
        written.map_err(|e| Error::io("write", &path, &e))
    }

    /// Takes the turn to tell the user: what is to be told, if a notice is due.
    pub fn take_due(&self, run: &Run, now: i64) -> Result<Option<KeptList>, Error> {
        if !self.read()?.is_due(now) {
            return Ok(None);
        }
        // The line first: whoever is not told once is better off than whoever is told with each message.
        let take = |list: KeptList| match list.is_due(now) {
            true => (Some(list), write_line(now, &KeptEvent::Told)),
            false => (None, String::new()),
        };
        self.change(run, take, "")
    }

    /// Removes the list, if nothing on it waits or may come back.
    pub fn remove_if_settled(&self, run: &Run) -> Result<(), Error> {
        let _lock = self.lock(run)?;
        if self.read()?.entries_to_find().next().is_none() {
            let _ = std::fs::remove_file(self.path());
        }
        Ok(())
    }

    fn lock(&self, run: &Run) -> Result<LockedStateFile, Error> {
        Store::new(&self.dir, &self.name).hold(&run.deadline)
    }

    fn change<R>(&self, run: &Run, change: impl FnOnce(KeptList) -> (R, String), own: &str) -> Result<R, Error> {
        make_private_dir(&self.dir)?;
        let _lock = self.lock(run)?;
        let path = self.path();
        let fail = |e: io::Error| Error::io("write", &path, &e);
        let list = self.read_held()?;
        // A killed run or a full disk may have left a file without it.
        let is_unnamed = list.destination.is_empty();
        let (result, lines) = change(list);
        if !lines.is_empty() {
            let is_new = !path.exists();
            let mut file = open_to_append(&path).map_err(fail)?;
            let mut text = String::new();
            if !ends_with_line(&mut file).map_err(fail)? {
                // What a killed run left.
                text.push('\n');
            }
            if is_unnamed {
                text.push_str(&first_line(&self.destination, own));
            }
            text.push_str(&lines);
            file.write_all(text.as_bytes()).map_err(fail)?;
            file.sync_data().map_err(fail)?;
            if is_new {
                sync_parent(&path).map_err(fail)?;
            }
        }
        Ok(result)
    }
}

fn open_to_append(path: &Path) -> io::Result<File> {
    let mut options = own_file();
    options.read(true).append(true).create(true).mode(0o600).open(path)
}

fn ends_with_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn read(path: &Path) -> Result<KeptList, Error> {
    let fail = |e: io::Error| Error::io("read", path, &e);
    let mut bytes = Vec::new();
    if let Some(file) = open_kept(path).map_err(fail)? {
        if file.metadata().map_err(fail)?.len() > MOST_BYTES {
            return Err(fail(io::Error::other("not written by spoolguard")));
        }
        file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(fail)?;
    }
    Ok(KeptList::read(&bytes))
}

/// The lists of all destinations; what cannot be read is an error beside the others.
pub fn read_kept_lists(run: &Run) -> Vec<Result<KeptList, Error>> {
    let Some(dir) = run.state_dir() else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(dir.join(KEPT_DIR)).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(SUFFIX))
        .collect();
    paths.sort();
    paths.iter().filter_map(|path| read_named(path).transpose()).collect()
}

/// Reads a list. None where it is empty: what a full disk or a killed run left, and the next message begins.
fn read_named(path: &Path) -> Result<Option<KeptList>, Error> {
    let list = read(path)?;
    match (list.destination.is_empty(), list.entries.is_empty()) {
        (false, _) => Ok(Some(list)),
        (true, true) => Ok(None),
        (true, false) => {
            let cause = "nothing in it says for which address, until another message is kept for that";
            Err(Error::new(Category::System, "understand", path.display(), cause))
        }
    }
}

/// Notes that a message was kept instead of being sent to `destination`, and tells the user if that is due. `key` is
/// the message's own.
pub fn note_kept(run: &Run, delivery: &Delivery<'_>, destination: &str, key: &str, reason: KeptReason, said: &str) {
    let Some(file) = KeptFile::of(run, destination) else {
        return;
    };
    let (now, own) = (delivery.date.unix_timestamp(), delivery.own_address());
    let mut events = vec![KeptEvent::Kept(key, reason, said)];
    // The notice about the suspension has told where mail is kept from now on.
    let is_first = || {
        file.read()
            .is_ok_and(|list| list.told_at.is_none() && list.entries.is_empty())
    };
    if reason == KeptReason::Suspended && is_first() {
        events.push(KeptEvent::Told);
    }
    if let Err(e) = file.add(run, &own, now, &events) {
        tracing::warn!(user = run.account.name, to = destination, note = %e, "nobody will be told that a message was kept");
        return;
    }
    tell_if_due(run, &file, delivery.date);
}

/// Tells the user of all that is due, although no message came.
pub fn tell_due(run: &Run, date: OffsetDateTime) {
    for list in read_kept_lists(run).into_iter().flatten() {
        if let Some(file) = KeptFile::of(run, &list.destination) {
            tell_if_due(run, &file, date);
        }
    }
}

fn tell_if_due(run: &Run, file: &KeptFile, date: OffsetDateTime) {
    let list = match file.take_due(run, date.unix_timestamp()) {
        Ok(Some(list)) => list,
        Ok(None) => return,
        Err(e) => {
            tracing::warn!(user = run.account.name, to = file.destination, note = %e, "a notice is not written");
            return;
        }
    };
    let text = compose(run, &list, date);
    if let Err(e) = store::place_notice(run, &list.own, &text, date) {
        tracing::warn!(user = run.account.name, note = %e, "a notice is not written yet");
        let event = [KeptEvent::NotTold];
        if let Err(e) = file.add(run, &list.own, date.unix_timestamp(), &event) {
            tracing::warn!(user = run.account.name, note = %e, "a notice is not written");
        }
        // Whoever reads at the destination is told with the user.
        return;
    }
    // A user who reads at the destination does not look into this mailbox. One that refuses a message lives; one that
    // is suspended does not.
    if lives(run, &list)
        && let Err(e) = notify::submit_notice(run, "send a notice to", &list.destination, &text)
    {
        tracing::info!(user = run.account.name, note = %e, "the notice is in the mailbox alone");
    }
}

/// Tells whether what is sent to the destination still arrives there, as far as is known.
fn lives(run: &Run, list: &KeptList) -> bool {
    let routes = destinations::open_store(run).and_then(|store| destinations::read_destinations(&store).ok());
    let health = routes.unwrap_or_default();
    let destination = health.find(&list.destination);
    destination.is_none_or(|known| known.suspended.is_none() && known.health.hard == 0)
        && list.waiting().all(|entry| entry.reason == KeptReason::Policy)
}

fn compose(run: &Run, list: &KeptList, date: OffsetDateTime) -> String {
    let to = headers::escape_word(&list.destination);
    let own = headers::escape_word(&list.own);
    let count = list.waiting().count() as u64;
    let since = list.waiting().map(|entry| entry.at).min().unwrap_or_default();
    let (messages, were, lie) = match count {
        1 => ("1 message".to_owned(), "was", "It is"),
        count => (format!("{count} messages"), "were", "They are"),
    };
    let reasons: String = list
        .count_by_reason()
        .iter()
        .map(|one| format!("    {}\n", reason_text(&to, one)))
        .collect();
    let how = if run.store.can_be_read() {
        let command = headers::send_kept_command(&run.account, &list.destination);
        format!("To send what is kept there on to {to}:\n\n    {command}")
    } else {
        format!("A mail client can send what is kept there on to {to}.")
    };
    let body = format!(
        "{messages} for {own} {were} kept instead of being sent on to {to}, the first on {}:\n\n{reasons}\n\
         {lie} in {}. {how}\n\n\
         This notice comes once a day at most, while there is news.\n",
        headers::moment_text(Moment::from_seconds(since)),
        run.store,
    );
    let text = format!("Subject: {messages} {were} not sent on to {to}\n\n{}", wrap_body(&body));
    quota_notice::write_message(&own, &own, date, ".kept", &text)
}

/// How many messages were kept for one reason: `3 because b@b.test refused them: "550 no"`.
pub fn reason_text(to: &str, (reason, count, said): &(KeptReason, u64, &str)) -> String {
    let why = match reason {
        KeptReason::Suspended => format!("because {to} is suspended"),
        KeptReason::Refused => "because the MTA of this host refused the address".to_owned(),
        KeptReason::Returned => format!("came back from {to}"),
        KeptReason::Policy => format!("refused at {to} for what the message is"),
        KeptReason::Own => format!("because it came from {to}"),
        KeptReason::Loop => format!("because mail goes round with {to}"),
    };
    if said.is_empty() || *reason == KeptReason::Suspended {
        format!("{count} {why}")
    } else {
        format!("{count} {why}: {}", headers::quote_text(said))
    }
}
