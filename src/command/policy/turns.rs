//! Answers each question within a bound, even when a look into a file never returns. An NFS server that is away holds
//! whoever asks it (nfs(5), `hard`).
//!
//! One thread leads: it reads a question, looks, answers. A second thread watches it, and sleeps unless a question is
//! under way. When the bound is over, the watcher answers that nothing is known, leads from there on, and has a new
//! watcher. The late thread finds that out and ends. The number of late threads is bounded; beyond it nobody looks
//! until one has ended.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::policy::room::{RoomAnswer, RoomReason};
use crate::command::policy::rules::RoomQuestion;

/// How long a look may take.
const BOUND: Duration = Duration::from_millis(100);

const MOST_LATE: usize = 4;

/// How often reading may panic before the session ends; the MTA would start it anew.
const MOST_PANICS: usize = 1000;

/// One conversation with an MTA.
pub trait PolicySession: Send + 'static {
    /// Waits for a question about a recipient, and answers everything else by itself; none at the end.
    fn next(&mut self) -> Option<RoomQuestion>;
    /// Answers the question that was read last.
    fn answer(&mut self, question: &RoomQuestion, answer: &RoomAnswer) -> io::Result<()>;
}

type LookFor = dyn Fn(&RoomQuestion) -> RoomAnswer + Send + Sync;

struct SharedTurns<S> {
    session: Mutex<S>,
    turn: Mutex<PolicyTurn>,
    /// A question is under way, or all is over.
    changed: Condvar,
    over: Sender<()>,
    look: Box<LookFor>,
}

struct PolicyTurn {
    leader: u64,
    under_way: Option<(Instant, RoomQuestion)>,
    is_watched: bool,
    late: usize,
}

/// Answers the questions of a session until the other side ends, or `stop` says so; a question under way is answered
/// first.
///
/// `stop` gets a function that ends the conversation, and may call it from another thread.
pub fn answer_all<S: PolicySession>(
    session: S,
    look: impl Fn(&RoomQuestion) -> RoomAnswer + Send + Sync + 'static,
    stop: impl FnOnce(Sender<()>),
) {
    let (over, is_over) = mpsc::channel();
    stop(over.clone());
    let shared = Arc::new(SharedTurns {
        session: Mutex::new(session),
        turn: Mutex::new(PolicyTurn {
            leader: 0,
            under_way: None,
            is_watched: false,
            late: 0,
        }),
        changed: Condvar::new(),
        over,
        look: Box::new(look),
    });
    start_watcher(&shared);
    let leading = Arc::clone(&shared);
    if start(move || lead(&leading, 0)).is_err() {
        return lead(&shared, 0);
    }
    let _ = is_over.recv();
    // Whoever looks now has until the bound; nobody begins anything new.
    let end = Instant::now() + BOUND;
    while held(&shared.turn).under_way.is_some() && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
    }
}

fn start(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().spawn(work).map(drop)
}

/// Without a watcher the leader goes on alone.
fn start_watcher<S: PolicySession>(shared: &Arc<SharedTurns<S>>) {
    let watched = Arc::clone(shared);
    let _ = start(move || watch(&watched));
}

/// What a panic left is as good as anything: each question begins anew.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads, looks and answers, until another thread leads or the conversation is over.
fn lead<S: PolicySession>(shared: &Arc<SharedTurns<S>>, number: u64) {
    let mut panics = 0;
    loop {
        let question = panic::catch_unwind(AssertUnwindSafe(|| held(&shared.session).next()));
        let question = match question {
            Ok(Some(question)) => question,
            Err(_) if panics < MOST_PANICS => {
                panics += 1;
                tracing::error!(note = "internal error; please report this", "cannot read a question");
                continue;
            }
            Ok(None) | Err(_) => break,
        };
        let may_look = shared.begin(&question);
        let answer = match may_look {
            false => RoomAnswer::Room(RoomReason::TooLate),
            true => panic::catch_unwind(AssertUnwindSafe(|| (shared.look)(&question)))
                .unwrap_or(RoomAnswer::Room(RoomReason::TooLate)),
        };
        if !shared.finish(number) {
            return;
        }
        if held(&shared.session).answer(&question, &answer).is_err() {
            break;
        }
    }
    let _ = shared.over.send(());
}

/// Waits until the leader is late, and then leads.
fn watch<S: PolicySession>(shared: &Arc<SharedTurns<S>>) {
    let mut turn = held(&shared.turn);
    let (question, number) = loop {
        let left = turn
            .under_way
            .as_ref()
            .map(|(since, _)| BOUND.saturating_sub(since.elapsed()));
        turn = match left {
            Some(left) if left.is_zero() => {
                let Some((_, question)) = turn.under_way.take() else {
                    continue;
                };
                turn.leader += 1;
                turn.late += 1;
                turn.is_watched = false;
                break (question, turn.leader);
            }
            Some(left) => {
                turn.is_watched = true;
                shared
                    .changed
                    .wait_timeout(turn, left)
                    .map_or_else(|e| e.into_inner().0, |(turn, _)| turn)
            }
            None => {
                turn.is_watched = false;
                shared.changed.wait(turn).unwrap_or_else(PoisonError::into_inner)
            }
        };
    };
    drop(turn);
    tracing::warn!(
        recipient = question.recipient,
        "cannot tell in time whether there is room"
    );
    start_watcher(shared);
    let answered = held(&shared.session).answer(&question, &RoomAnswer::Room(RoomReason::TooLate));
    match answered {
        Ok(()) => lead(shared, number),
        Err(_) => {
            let _ = shared.over.send(());
        }
    }
}

impl<S> SharedTurns<S> {
    /// Notes that a look begins, and wakes the watcher where it sleeps. Returns false where too many looks are late.
    fn begin(&self, question: &RoomQuestion) -> bool {
        let mut turn = held(&self.turn);
        if turn.late >= MOST_LATE {
            return false;
        }
        turn.under_way = Some((Instant::now(), question.clone()));
        if !turn.is_watched {
            self.changed.notify_one();
        }
        true
    }

    /// Notes that a look is over. Returns false where somebody else has answered in the meantime.
    fn finish(&self, number: u64) -> bool {
        let mut turn = held(&self.turn);
        let is_leader = turn.leader == number;
        if is_leader {
            turn.under_way = None;
        } else {
            turn.late = turn.late.saturating_sub(1);
        }
        is_leader
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Duration;

    use super::{PolicySession, answer_all};
    use crate::command::policy::room::{RoomAnswer, RoomReason};
    use crate::command::policy::rules::RoomQuestion;
    use crate::message::envelope;

    struct Conversation {
        questions: Receiver<&'static str>,
        answers: Sender<(String, RoomAnswer)>,
    }

    impl PolicySession for Conversation {
        fn next(&mut self) -> Option<RoomQuestion> {
            let recipient = self.questions.recv().ok()?.to_owned();
            Some(RoomQuestion {
                recipient,
                sender: envelope::Sender::Unknown,
                size_bytes: 0,
            })
        }

        fn answer(&mut self, question: &RoomQuestion, answer: &RoomAnswer) -> io::Result<()> {
            let _ = self.answers.send((question.recipient.clone(), answer.clone()));
            Ok(())
        }
    }

    #[test]
    fn a_look_that_never_comes_back_holds_no_answer() {
        let (ask, questions) = mpsc::channel();
        let (answers, answered) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let released = std::sync::Mutex::new(released);
        let look = move |question: &RoomQuestion| match question.recipient.as_str() {
            "stuck" => {
                let _ = released.lock().map(|released| released.recv());
                RoomAnswer::Room(RoomReason::NoAddress)
            }
            "panic" => unreachable!("as planned"),
            _ => RoomAnswer::Room(RoomReason::NullSender),
        };
        let talk = std::thread::spawn(move || answer_all(Conversation { questions, answers }, look, drop));
        let one = |recipient: &'static str| {
            let _ = ask.send(recipient);
            let limit = Duration::from_secs(30);
            answered
                .recv_timeout(limit)
                .unwrap_or_else(|e| unreachable!("{recipient}: {e}"))
        };
        let late = RoomAnswer::Room(RoomReason::TooLate);
        let fine = RoomAnswer::Room(RoomReason::NullSender);
        assert_eq!(one("fine"), ("fine".to_owned(), fine.clone()));
        // Each holds a thread; and when there are enough of those, nobody looks any more.
        for _ in 0..10 {
            assert_eq!(one("stuck"), ("stuck".to_owned(), late.clone()));
        }
        drop(release);
        // They come back, and there are looks again.
        while one("fine").1 != fine {
            std::thread::yield_now();
        }
        assert_eq!(one("panic").1, late);
        assert_eq!(one("fine").1, fine);
        drop(ask);
        assert!(talk.join().is_ok());
    }
}
