//! Keeps two runs from forwarding the same message for one user at the same time: each waits for its turn. The same
//! message may come by several aliases at once, and the MTA starts a run for each. A turn ends with the process.

use std::path::PathBuf;
use std::time::Duration;

use crate::classify::loops::has_queue_id;
use crate::deliver::context::{Delivery, Run};
use crate::deliver::forward::history;
use crate::deliver::forward::history_line::HistoryKey;
use crate::error::{Category, Error};
use crate::mailbox::lock::kernel;
use crate::message::key::{of_id, short_hash};
use crate::sys::dirs::{make_private_dir, open_own};

/// For how long another run may hold a message's turn: longer than sendmail takes, and shorter than an MTA waits for
/// us.
const TURN_TIME: Duration = Duration::from_secs(120);

/// For how long a report waits for the run that sends its message on.
const SENDER_TIME: Duration = Duration::from_secs(10);

/// The byte that stands for all chains, behind those of messages. Behind it are those of submissions.
const CHAIN_PLACE: u64 = 1 << 62;

/// How often the turn is asked for meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// The turn of one message: nobody else forwards the same one for this user meanwhile. It ends with the process,
/// however that ends.
#[derive(Debug, Default)]
#[must_use]
pub struct MessageTurn {
    _lock: Option<Places>,
    /// Whether another run had the same submission in hand when this one began: it came by another alias. That the turn
    /// was taken says nothing: on a fast host a message is back before its run has ended.
    pub is_by_alias: bool,
}

/// Waits for the turn of this message. Fails when another run holds it for too long: then the message has to come
/// again. Without a state directory, and where nothing can be locked, everybody has a turn.
pub fn take_turn(run: &Run, delivery: &Delivery<'_>) -> Result<MessageTurn, Error> {
    let Some(places) = open_places(run) else {
        return Ok(MessageTurn::default());
    };
    let submission = submission_place(delivery);
    let is_free = || submission.is_none_or(|place| places.take(place).unwrap_or(true));
    let is_by_alias = !is_free();
    let has_turn = places.wait_for(run, place_of(delivery), TURN_TIME)?;
    // The run before had it until now. Whoever comes next asks this one.
    let _ = is_free();
    // Its report knows no more than that. Whoever has the same Message-ID for another message need not wait.
    let _ = id_place(delivery.name().id.as_deref()).map(|place| places.take(place));
    Ok(MessageTurn {
        _lock: has_turn.then_some(places),
        is_by_alias,
    })
}

/// Waits, for a short while, until no run sends this message on any more: what it knows of a copy that it puts down
/// last, it notes last. Its sendmail may be what runs this one, and waits for it.
pub fn wait_for_sender(run: &Run, delivery: &Delivery<'_>) -> Result<(), Error> {
    take_place(run, place_of(delivery), SENDER_TIME).map(drop)
}

/// The same for a report, which is here before the run has noted what it sent: unknown, it would prove little.
pub fn wait_for_sender_of(run: &Run, message_id: &str) {
    let Some(place) = id_place(of_id(message_id).as_deref()) else {
        return;
    };
    if let Err(e) = take_place(run, place, SENDER_TIME) {
        tracing::debug!(user = run.account.name, cause = %e, "the report may count for less");
    }
}

/// The place of all messages with this Message-ID.
fn id_place(id: Option<&str>) -> Option<u64> {
    id.map(|id| CHAIN_PLACE + (HistoryKey::Id(id.to_owned()).hash_in_index() >> 2))
}

fn place_of(delivery: &Delivery<'_>) -> u64 {
    HistoryKey::text(&delivery.name().text).hash_in_index() >> 2
}

/// What two runs share to which the MTA gave one message of its queue: every `Received` field, the topmost with an id.
/// Where mail has been on its way again, there is another.
fn submission_place(delivery: &Delivery<'_>) -> Option<u64> {
    let received = delivery.message.fields().filter(|field| field.is("Received"));
    let values: Vec<_> = received.map(|field| field.text().into_owned()).collect();
    let has_id = values.first().is_some_and(|value| has_queue_id(value.as_bytes()));
    has_id.then(|| CHAIN_PLACE + (short_hash("submission", &values.join("\n")) >> 2))
}

/// Waits until no other message of this user is sent that seems to be caused by an earlier forward: judged side by
/// side, answers that come at once would not see each other.
pub fn take_chain_turn(run: &Run) -> Result<Option<Places>, Error> {
    take_place(run, CHAIN_PLACE, TURN_TIME)
}

fn take_place(run: &Run, place: u64, most: Duration) -> Result<Option<Places>, Error> {
    let Some(places) = open_places(run) else {
        return Ok(None);
    };
    Ok(places.wait_for(run, place, most)?.then_some(places))
}

/// A file of which each byte is a lock for one thing. Closed, it gives back what was taken.
#[derive(Debug)]
pub struct Places {
    file: std::fs::File,
    path: PathBuf,
}

fn open_places(run: &Run) -> Option<Places> {
    let dir = history::find_dir(run)?;
    let path = dir.join("turns");
    match make_private_dir(&dir).and_then(|()| open_own(&path).map_err(|e| Error::io("open", &path, &e))) {
        Ok(file) => Some(Places { file, path }),
        Err(e) => {
            log_without_turn(run, &e);
            None
        }
    }
}

fn log_without_turn(run: &Run, e: &Error) {
    tracing::debug!(user = run.account.name, cause = %e, "the same message may be sent twice at once");
}

impl Places {
    /// Takes a place; false where another run has it.
    fn take(&self, place: u64) -> Result<bool, Error> {
        kernel::lock_byte(&self.file, &self.path, place)
    }

    /// Waits until it has the place; false where nothing can be locked.
    fn wait_for(&self, run: &Run, place: u64, most: Duration) -> Result<bool, Error> {
        let until = run.deadline.remaining().min(most);
        let begin = std::time::Instant::now();
        loop {
            match self.take(place) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(e) => {
                    log_without_turn(run, &e);
                    return Ok(false);
                }
            }
            run.deadline.check("lock", &self.path.display().to_string())?;
            if begin.elapsed() >= until {
                let cause = "another run forwards the same message, and does not end";
                return Err(Error::new(Category::System, "forward", "the message", cause));
            }
            run.deadline.sleep(PAUSE.mul_f64(0.5 + fastrand::f64()));
        }
    }
}
