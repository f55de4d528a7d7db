//! `spoolguard status --send-kept`: sends on what was kept for one destination, each message once, the oldest first. What is sent stays
//! in the mailbox as well.
//!
//! Each message is sent by a run of its own, which notes what came of it. A kill of the command ends no such run: the next command waits
//! for it, and sees what it did. Only a kill of that run between the two steps leaves open whether the message was sent: then it is
//! sent again, since a message too many is better than one too few.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use time::OffsetDateTime;

use crate::classify::policy::{Action, Copies};
use crate::cli::{Everywhere, Who};
use crate::config::location::MailStore;
use crate::deliver::context::{Delivery, Run};
use crate::deliver::forward::history::{self, Sketches};
use crate::deliver::forward::kept::{KeptFile, reason_text};
use crate::deliver::forward::rules::kept::{KeptEvent, KeptList, KeptMessage, KeptReason, KeptState};
use crate::deliver::{self, caller, forward, headers};
use crate::error::{Category, Error, Status};
use crate::escape::visible;
use crate::mailbox::excerpt;
use crate::mailbox::format::STATE_FIELDS;
use crate::mailbox::limited_file::{LimitedFile, refuse_holes};
use crate::mailbox::quoting::{self, LineQuoting};
use crate::mailbox::reader::MboxReader;
use crate::maildir::directory::Maildir;
use crate::maildir::read::list_messages;
use crate::message::Message;
use crate::message::key::{MessageKey, of_id};
use crate::moment::Moment;
use crate::output::sizes::{messages, size_text};
use crate::output::{OutputForm, shell};
use crate::spool::consent::{Consent, ConsentAnswer};
use crate::sys::dirs::open_kept;
use crate::sys::message_buffer::{HEAD_BYTES, MessageBuffer};
use crate::sys::self_exec;

/// So many messages of the plan are listed one by one.
const LISTED: usize = 20;

/// Where a message that was kept lies now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyLocation {
    path: PathBuf,
    form: CopyForm,
    offset: u64,
    bytes: u64,
}

/// How a message lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CopyForm {
    /// One of an mbox, quoted.
    InMbox,
    /// A file of a Maildir.
    Alone,
}

/// What the command would do.
struct SendPlan {
    file: KeptFile,
    list: KeptList,
    places: HashMap<String, CopyLocation>,
}

/// Sends on what was kept for `destination`.
///
/// # Errors
/// When the list or the mailbox cannot be read, or a message cannot be sent now.
pub fn run(
    run: &Run,
    destination: &str,
    consent: Consent,
    everywhere: &Everywhere,
    now: OffsetDateTime,
) -> Result<Status, Error> {
    if matches!(run.store, MailStore::Lmtp(_)) {
        let cause = format!("what was kept lies behind {}, where it cannot be read", run.store);
        let error = Error::new(Category::Configuration, "send what was kept for", destination, cause);
        return Err(error.hint("a mail client can send it on"));
    }
    let Some(plan) = SendPlan::make(run, destination)? else {
        say(&format!("nothing was kept for {destination}"));
        return Ok(Status::Done);
    };
    let found = plan
        .list
        .waiting()
        .filter(|entry| plan.places.contains_key(&entry.key))
        .count();
    say(plan.text(run).trim_end());
    let (question, undone) = if found > 0 {
        let to = &plan.list.destination;
        (format!("Send {} to {to}?", messages(found as u64)), "nothing was sent")
    } else {
        let question = "Take them off the list?".to_owned();
        (question, "nothing was sent or taken off the list")
    };
    match consent.decide(&question, undone, OutputForm::Text) {
        ConsentAnswer::Proceed => {}
        ConsentAnswer::Leave { status, last_line } => {
            say(&last_line);
            return Ok(status);
        }
    }
    plan.carry_out(run, everywhere, now)
}

/// What is done is done, whether somebody reads it or not.
fn say(text: &str) {
    let lines: Vec<_> = text.lines().map(visible).collect();
    let _ = writeln!(io::stdout(), "{}", lines.join("\n"));
}

impl SendPlan {
    /// None where nothing waits.
    fn make(run: &Run, destination: &str) -> Result<Option<Self>, Error> {
        let Some(file) = KeptFile::of(run, destination) else {
            if let Some(trouble) = run.state_trouble() {
                return Err(trouble);
            }
            return Ok(None);
        };
        let list = file.read()?;
        if list.waiting().next().is_none() {
            return Ok(None);
        }
        let places = find_copies(run, &list)?;
        Ok(Some(Self { file, list, places }))
    }

    fn text(&self, run: &Run) -> String {
        let to = &self.list.destination;
        let waiting: Vec<&KeptMessage> = self.list.waiting().collect();
        let bytes: u64 = self.places.values().map(|place| place.bytes).sum();
        let mut text = format!(
            "{} kept for {to}, {} in all, in {}:\n",
            messages(waiting.len() as u64),
            size_text(bytes),
            shell::quote_path(Path::new(&run.store.to_string()))
        );
        for reason in self.list.reasons() {
            text.push_str(&format!("    {}\n", reason_text(to, &reason)));
        }
        for entry in waiting.iter().take(LISTED) {
            let when = headers::moment_text(Moment::at(entry.at));
            let place = self.places.get(&entry.key);
            let said = match (place, entry.state) {
                (None, _) => "no longer in the mailbox: it will be taken off the list".to_owned(),
                (Some(place), KeptState::Kept | KeptState::Settled) => size_text(place.bytes),
                (Some(place), KeptState::Sending) => {
                    format!("{}; a run that was killed may have sent it", size_text(place.bytes))
                }
            };
            let from = place.and_then(author).unwrap_or_default();
            text.push_str(&format!("  {when}  {from}  {said}\n"));
        }
        if waiting.len() > LISTED {
            text.push_str(&format!("  and {} more\n", waiting.len() - LISTED));
        }
        text
    }

    fn carry_out(&self, run: &Run, everywhere: &Everywhere, now: OffsetDateTime) -> Result<Status, Error> {
        let at = now.unix_timestamp();
        let (mut sent, mut refused, mut gone) = (0_u64, 0_u64, 0_u64);
        for entry in self.list.waiting() {
            run.deadline.begin_again();
            run.deadline.check("send", &self.list.destination)?;
            let Some(place) = self.places.get(&entry.key) else {
                self.file.add(run, &self.list.own, at, &[KeptEvent::Gone(&entry.key)])?;
                gone += 1;
                continue;
            };
            match self.send_in_a_run_of_its_own(run, everywhere, entry, place)? {
                Status::Done => sent += 1,
                Status::Wrong | Status::Usage | Status::Refused => refused += 1,
                Status::TryAgain => {
                    say(&format!("{} sent; the others remain on the list", messages(sent)));
                    return Ok(Status::TryAgain);
                }
            }
        }
        self.file.remove_if_settled(run)?;
        let mut parts = vec![format!("{} sent to {}", messages(sent), self.list.destination)];
        if gone > 0 {
            parts.push(format!("{gone} no longer in the mailbox"));
        }
        if refused > 0 {
            parts.push(format!("{refused} refused, still kept"));
        }
        say(&parts.join("; "));
        Ok(if refused > 0 { Status::Wrong } else { Status::Done })
    }

    fn send_in_a_run_of_its_own(
        &self,
        run: &Run,
        everywhere: &Everywhere,
        entry: &KeptMessage,
        place: &CopyLocation,
    ) -> Result<Status, Error> {
        let mut command = self_exec::start_self();
        if let Some(path) = &everywhere.config {
            command.arg("--config").arg(path);
        }
        for _ in 0..everywhere.verbose {
            command.arg("-v");
        }
        let one = format!(
            "{} {} {} {}",
            entry.key,
            place.offset,
            place.bytes,
            place.path.display()
        );
        command
            .args(["status", run.account.flag(), &run.account.name, "--yes", "--send-kept"])
            .arg(&self.list.destination)
            .arg("--one")
            .arg(one)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // What is sent to the group of this command, ^C or a kill, does not end it between sending and noting that.
            .process_group(0);
        let fail = |e: io::Error| Error::io("send", Path::new(&self.list.destination), &e);
        let status = command.status().map_err(fail)?;
        Ok(match status.code() {
            Some(0) => Status::Done,
            Some(1) => Status::Wrong,
            _ => Status::TryAgain,
        })
    }
}

/// Who wrote the message at a place.
fn author(place: &CopyLocation) -> Option<String> {
    let buffer = take(place).ok()?;
    Message::new(buffer.head()).first("From").map(|from| from.into_owned())
}

fn take(place: &CopyLocation) -> io::Result<MessageBuffer> {
    let file = open_kept(&place.path)?.ok_or(io::ErrorKind::NotFound)?;
    match place.form {
        CopyForm::InMbox => excerpt::read_excerpt(&file, place.offset, place.bytes),
        CopyForm::Alone => read_alone(file),
    }
}

fn read_alone(mut file: File) -> io::Result<MessageBuffer> {
    MessageBuffer::collect(|to| io::copy(&mut file, to).map(drop))
}

/// Finds the messages that wait on `list` in the mailbox, and in what took its overflow.
///
/// # Errors
/// When one of them cannot be read.
pub fn find_copies(run: &Run, list: &KeptList) -> Result<HashMap<String, CopyLocation>, Error> {
    let mut places = HashMap::new();
    let overflow = run.state_dir().map(|dir| dir.join("overflow"));
    for path in [run.store.mbox().map(Path::to_owned), overflow].into_iter().flatten() {
        let fail = |e: io::Error| Error::io("read", &path, &e);
        if let Some(file) = open_kept(&path).map_err(fail)? {
            find_in(run, &path, &file, list, &mut places).map_err(fail)?;
        }
    }
    match &run.store {
        MailStore::Mbox(_) => {}
        MailStore::Maildir(path) => {
            if let Some(maildir) = Maildir::open(path, run.account.uid)? {
                find_in_maildir(run, &maildir, list, &mut places).map_err(|e| Error::io("read", path, &e))?;
            }
        }
        MailStore::Lmtp(_) => {
            let cause = "mail that is delivered by LMTP cannot be read again";
            return Err(Error::new(
                Category::Configuration,
                "look into",
                run.store.to_string(),
                cause,
            ));
        }
    }
    Ok(places)
}

fn find_in_maildir(
    run: &Run,
    maildir: &Maildir,
    list: &KeptList,
    places: &mut HashMap<String, CopyLocation>,
) -> io::Result<()> {
    let limit = run.deadline.for_reading();
    for message in list_messages(maildir)? {
        limit.check()?;
        let Some(file) = message.open(maildir)? else { continue };
        let bytes = file.metadata()?.len();
        let mut head = Vec::new();
        (&file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let id = Message::new(&head).first("Message-ID").and_then(|id| of_id(&id));
        if !list.waiting().any(|entry| may_be(id.as_deref(), entry)) {
            continue;
        }
        let place = CopyLocation {
            path: message.path(maildir),
            form: CopyForm::Alone,
            offset: 0,
            bytes,
        };
        // A reader that sets flags meanwhile gives it another name.
        let Ok(key) = key_at(&place) else { continue };
        note_place(list, id.as_deref(), &key, place, places);
    }
    Ok(())
}

/// Tells whether a message of this id may be the one that was kept. Most have other ids, and are not looked at any further.
fn may_be(id: Option<&str>, entry: &KeptMessage) -> bool {
    id.is_none_or(|id| entry.key.starts_with(id) || !entry.key.starts_with("id:"))
}

fn note_place(
    list: &KeptList,
    id: Option<&str>,
    key: &MessageKey,
    place: CopyLocation,
    places: &mut HashMap<String, CopyLocation>,
) {
    let mut waiting = list.waiting().filter(|entry| may_be(id, entry));
    if let Some(entry) = waiting.find(|entry| is(key, place.bytes, &entry.key)) {
        places.entry(entry.key.clone()).or_insert(place);
    }
}

fn find_in(
    run: &Run,
    path: &Path,
    file: &File,
    list: &KeptList,
    places: &mut HashMap<String, CopyLocation>,
) -> io::Result<()> {
    refuse_holes(file)?;
    let limited = LimitedFile::new(file, run.deadline.for_reading());
    let mut reader = MboxReader::new(&limited, HEAD_BYTES)?;
    while let Some(stored) = reader.next()? {
        let (offset, bytes) = (stored.offset, stored.bytes);
        let id = Message::new(stored.head).first("Message-ID").and_then(|id| of_id(&id));
        if !list.waiting().any(|entry| may_be(id.as_deref(), entry)) {
            continue;
        }
        let place = CopyLocation {
            path: path.to_owned(),
            form: CopyForm::InMbox,
            offset,
            bytes,
        };
        let key = key_at(&place)?;
        note_place(list, id.as_deref(), &key, place, places);
    }
    Ok(())
}

fn key_at(place: &CopyLocation) -> io::Result<MessageKey> {
    let buffer = take(place)?;
    let message = Message::new(buffer.head());
    let above = buffer.head().len() - message.content().len();
    Ok(MessageKey::of(&message, buffer.bytes().saturating_sub(above as u64)))
}

/// Tells whether the message of `key` in the mailbox is the one that was kept. Of a large one the length is part of the text, and the
/// mailbox adds to that.
fn is(key: &MessageKey, bytes: u64, kept: &str) -> bool {
    const LARGE_BYTES: u64 = 200 << 10;
    let written = key.to_string();
    match (&key.id, kept.split_once('+')) {
        (Some(id), Some((kept_id, _))) if bytes >= LARGE_BYTES => id == kept_id,
        _ => written == kept || (!kept.starts_with("id:") && key.text == kept),
    }
}

/// Sends one message, and notes what came of it: the run that the command starts for each. `one` names it: its key, its place and its length
/// there, and the file.
///
/// # Errors
/// When it cannot be sent now.
pub fn run_one(run: &Run, destination: &str, one: &str, now: OffsetDateTime) -> Result<Status, Error> {
    let unknown = || Error::new(Category::Configuration, "send", one, "it is on no list");
    let file = KeptFile::of(run, destination).ok_or_else(unknown)?;
    let mut words = one.splitn(4, ' ');
    let key = words.next().unwrap_or_default();
    let (offset, bytes) = (words.next(), words.next());
    let number = |word: Option<&str>| word.and_then(|word| word.parse().ok()).unwrap_or_default();
    let path = PathBuf::from(words.next().unwrap_or_default());
    let is_alone = matches!(run.store, MailStore::Maildir(_)) && is_in_store(run, &path);
    let hint = CopyLocation {
        path,
        form: if is_alone { CopyForm::Alone } else { CopyForm::InMbox },
        offset: number(offset),
        bytes: number(bytes),
    };
    let _lock = file.hold_for_sending(run)?;
    let list = file.read()?;
    let Some(entry) = list.waiting().find(|entry| entry.key == key) else {
        // Another run has sent it.
        return Ok(Status::Done);
    };
    let Some(place) = still_at(run, &list, entry, hint)? else {
        file.add(run, &list.own, now.unix_timestamp(), &[KeptEvent::Gone(key)])?;
        return Ok(Status::Done);
    };
    send(run, &file, &list, entry, &place, now)
}

/// Where the message is: at the place where it was seen, else wherever it moved to.
fn still_at(
    run: &Run,
    list: &KeptList,
    entry: &KeptMessage,
    hint: CopyLocation,
) -> Result<Option<CopyLocation>, Error> {
    let known = is_in_store(run, &hint.path) || run.state_dir().is_some_and(|dir| dir.join("overflow") == hint.path);
    if known && key_at(&hint).is_ok_and(|key| is(&key, hint.bytes, &entry.key)) {
        return Ok(Some(hint));
    }
    Ok(find_copies(run, list)?.remove(&entry.key))
}

/// Tells whether a path is the user's mbox, or a message of the user's Maildir.
fn is_in_store(run: &Run, path: &Path) -> bool {
    match &run.store {
        MailStore::Mbox(mbox) => mbox == path,
        MailStore::Maildir(maildir) => path.parent().and_then(Path::parent) == Some(maildir),
        MailStore::Lmtp(_) => false,
    }
}

fn send(
    run: &Run,
    file: &KeptFile,
    list: &KeptList,
    entry: &KeptMessage,
    place: &CopyLocation,
    now: OffsetDateTime,
) -> Result<Status, Error> {
    let fail = |e: io::Error| Error::io("read", &place.path, &e);
    let stored = take(place).map_err(fail)?;
    let who = Who {
        recipient: (!list.own.is_empty()).then(|| list.own.clone()),
        ..Who::default()
    };
    let whole = Message::new(stored.head());
    let envelope = caller::read_envelope(&who, &|_| None, &whole, &run.config, &run.account);
    let start = stored.head().len() - whole.content().len();
    // As it was before it was kept.
    let dropped: Vec<&str> = headers::KEPT_FIELDS.iter().chain(&STATE_FIELDS).copied().collect();
    let buffer = MessageBuffer::collect(|to| {
        quoting::copy_quoted(stored.reader(start), to, &dropped, LineQuoting::None).map(drop)
    });
    let buffer = buffer.map_err(fail)?;
    let message = Message::new(buffer.head());
    let judgement = deliver::judge::judge_message(&message, &envelope, &run.config);
    let delivery = Delivery {
        buffer: &buffer,
        message,
        envelope,
        judgement,
        action: Action::Forward(Copies::Keep),
        destinations: vec![list.destination.clone()],
        token: None,
        date: now,
        name: OnceCell::new(),
    };
    let at = now.unix_timestamp();
    file.add(run, &list.own, at, &[KeptEvent::Sending(&entry.key)])?;
    // The user has it: what comes back need not be put there again.
    history::note_kept(run, &delivery);
    let sent = forward::send_on(run, &delivery, &delivery.destinations, &Sketches::default())?;
    if let Some(refusal) = sent.refused.first() {
        let event = KeptEvent::Kept(&entry.key, KeptReason::Refused, &refusal.reply.to_string());
        file.add(run, &list.own, at, &[event])?;
        let text = format!("spoolguard: cannot send to {}: {}", list.destination, refusal.reply);
        let _ = writeln!(io::stderr(), "{}", visible(&text));
        return Ok(Status::Wrong);
    }
    file.add(run, &list.own, at, &[KeptEvent::Sent(&entry.key)])?;
    tracing::info!(
        action = "send-kept",
        user = run.account.name,
        to = list.destination,
        mailbox = place.path.display().to_string(),
        id = delivery.message.first("Message-ID").map(|id| id.into_owned())
    );
    Ok(Status::Done)
}
