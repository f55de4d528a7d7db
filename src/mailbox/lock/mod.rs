//! Opens a mailbox and locks it, all locks or none. On failure nothing is left behind, and the error says who is in the
//! way.
//!
//! Programs that share a mailbox take these locks in different orders, so waiting for one while holding another can
//! deadlock. Nothing here blocks: when a lock is taken, everything is released, and after a random time it starts over.
//! Runs of ours stand in a queue, and one of them at a time does that.

pub(crate) mod dotlock;
pub(crate) mod holder;
pub mod kernel;
mod queue;

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::LockMethod;
use crate::error::{Category, Error};
use crate::mailbox::lock::dotlock::{Dotlock, DotlockAttempt, DotlockPlan};
use crate::mailbox::lock::holder::Holder;
use crate::mailbox::lock::kernel::{lock_fcntl, lock_flock};
use crate::mailbox::lock::queue::Queue;
use crate::mailbox::open::{Absent, Owner, check_file, not_a_mailbox, open_or};
use crate::mailbox::setgid::SpoolDirAccess;
use crate::sys::deadline::Deadline;
use crate::sys::file_stamp::named_file;
use crate::sys::filesystem::is_on_nfs;
use crate::sys::procfs;

/// The first pause after a lock was found taken; it doubles up to `LONGEST_PAUSE`, and each is shortened by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

/// After this long, whoever waits is told for whom; at once where that process is gone.
const SILENCE: Duration = Duration::from_secs(2);

/// How to lock, and for how long to try.
#[derive(Clone, Debug)]
pub struct LockPlan {
    /// The methods, at least one; whatever their order here, the dotlock comes first.
    pub methods: Vec<LockMethod>,
    /// For how long to try.
    pub timeout: Duration,
    /// Whose mailbox it has to be.
    pub owner: Owner,
    /// What to do where there is none.
    pub absent: Absent,
    /// Where its user keeps what cannot lie beside it.
    pub state_dir: Option<PathBuf>,
    /// The place of the user's own mailbox, where this run has rights of its own there.
    pub place: Option<Arc<SpoolDirAccess>>,
    /// Tells whoever typed the command whom it waits for; none in a delivery.
    pub tell: Option<fn(&Path, &Holder)>,
}

/// A mailbox, open, that nobody else changes as long as this lives. What others may do with it is `OpenMailbox`'s.
#[derive(Debug)]
#[must_use]
pub struct Locked {
    path: PathBuf,
    file: File,
    /// Journals that were set aside while it was put in order.
    set_aside: Vec<PathBuf>,
    // Dropped last, after `file` and the kernel locks that hang on it.
    dotlock: Option<Dotlock>,
    /// And then the next of our runs has its turn.
    _queue: Option<Queue>,
}

impl Locked {
    /// The mailbox, open for reading and appending.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that a journal was set aside.
    pub(super) fn note_set_aside(&mut self, journal: Option<PathBuf>) {
        self.set_aside.extend(journal);
    }

    /// The journals that were set aside just now, since they are damaged or the disk failed: somebody has to look at
    /// them.
    pub fn set_aside(&self) -> &[PathBuf] {
        &self.set_aside
    }

    /// Its length, in bytes.
    pub fn length(&self) -> Result<u64, Error> {
        let stat = self.file.metadata();
        Ok(stat.map_err(|e| Error::io("examine", &self.path, &e))?.len())
    }

    /// Tells whether there is a dotlock: where there is none, this user can make no file beside the mailbox.
    pub fn has_dotlock(&self) -> bool {
        self.dotlock.is_some()
    }

    /// Shows that we are still at it, each time some seconds have gone by: others remove a dotlock that grows old.
    pub fn refresh(&self) {
        if let Some(dotlock) = &self.dotlock {
            dotlock.refresh();
        }
    }
}

/// Opens and locks the mailbox at `path`, and makes it if there is none and the plan says so. Fails when the path is no
/// mailbox (a link, a device, somebody else's), or cannot be opened or made. Also when somebody else holds a lock for
/// longer than the plan waits.
pub(super) fn acquire(path: &Path, plan: &LockPlan, deadline: &Deadline) -> Result<Locked, Error> {
    if path.as_os_str().as_encoded_bytes().ends_with(b".lock") {
        // It would be removed as a stale dotlock, mail and all.
        return Err(not_a_mailbox(path, "its name is that of a dotlock"));
    }
    let until = Instant::now() + plan.timeout.min(deadline.remaining());
    let mut pause = FIRST_PAUSE;
    let mut teller = Teller {
        path,
        tell: plan.tell,
        begun: Instant::now(),
        has_looked: false,
    };
    let mut queue = Queue::join(path, plan.state_dir.as_deref());
    queue.wait(deadline, until.saturating_duration_since(Instant::now()));
    loop {
        let held = match attempt(path, plan)? {
            Attempt::Locked(locked) => {
                return Ok(Locked {
                    _queue: Some(queue),
                    ..locked
                });
            }
            Attempt::Changed if Instant::now() < until => continue,
            Attempt::Changed => None,
            Attempt::Held(lock) => Some(lock),
        };
        held.iter().for_each(|lock| teller.look(*lock));
        deadline.check("lock", &path.display().to_string())?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(gave_up(path, held, plan.timeout));
        }
        queue.make();
        if queue.wait(deadline, left) {
            continue;
        }
        // By chance, so that two that met do not meet again (Debian policy 11.6).
        let part = 0.5 + fastrand::f64() / 2.0;
        deadline.sleep(pause.mul_f64(part).min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Why the lock was not had in time, and what to do about whoever has it.
fn gave_up(path: &Path, held: Option<LockMethod>, waited: Duration) -> Error {
    let waited = waited.as_secs_f32();
    let fail = |what: String| {
        let cause = format!("{what}, for longer than {waited} s");
        Error::new(Category::Mailbox, "lock", path.display(), cause)
    };
    match held.map(|lock| find_holder(path, lock)) {
        Some(holder) => fail(holder.text).hint(holder.remedy),
        None => fail("it is replaced again and again".to_owned()),
    }
}

fn find_holder(mailbox: &Path, lock: LockMethod) -> Holder {
    match lock {
        LockMethod::Dotlock => Holder::of_dotlock(mailbox),
        LockMethod::Fcntl => Holder::of_kernel_lock(mailbox, lock, procfs::FCNTL_LOCK),
        LockMethod::Flock => Holder::of_kernel_lock(mailbox, lock, procfs::FLOCK_LOCK),
    }
}

/// Tells once who is waited for.
struct Teller<'a> {
    path: &'a Path,
    tell: Option<fn(&Path, &Holder)>,
    begun: Instant,
    has_looked: bool,
}

impl Teller<'_> {
    /// This lock was held, once more.
    fn look(&mut self, lock: LockMethod) {
        let is_long = self.begun.elapsed() >= SILENCE;
        let Some(tell) = self.tell.filter(|_| is_long || !self.has_looked) else {
            return;
        };
        self.has_looked = true;
        let holder = find_holder(self.path, lock);
        if is_long || holder.is_gone {
            tell(self.path, &holder);
            self.tell = None;
        }
    }
}

enum Attempt {
    Locked(Locked),
    /// Something in our way was removed, or the mailbox was replaced: no reason to wait.
    Changed,
    /// Somebody holds this lock of it.
    Held(LockMethod),
}

/// Takes every lock, or none of them.
fn attempt(path: &Path, plan: &LockPlan) -> Result<Attempt, Error> {
    // The dotlock is taken before the file is opened: over NFS an older descriptor may not see the true end of the
    // file.
    let place = plan.place.as_ref().filter(|place| place.is(path));
    let dotlock = if plan.methods.contains(&LockMethod::Dotlock) {
        match Dotlock::take(DotlockPlan {
            mailbox: path,
            owner: plan.owner,
            has_others: plan.methods.iter().any(|method| *method != LockMethod::Dotlock),
            place,
        })? {
            DotlockAttempt::Ours(dotlock) => Some(dotlock),
            DotlockAttempt::NotPossible => None,
            DotlockAttempt::Removed => return Ok(Attempt::Changed),
            DotlockAttempt::Held => return Ok(Attempt::Held(LockMethod::Dotlock)),
        }
    } else {
        None
    };
    let file = open_or(path, plan.owner, plan.absent, place.map(Arc::as_ref))?;
    if plan.methods.contains(&LockMethod::Fcntl) && !lock_fcntl(&file, path)? {
        return Ok(Attempt::Held(LockMethod::Fcntl));
    }
    // Over NFS an flock lock is an fcntl lock of another owner, and the two would refuse each other (flock(2)).
    let is_taken = || plan.methods.contains(&LockMethod::Fcntl) && is_on_nfs(&file);
    if plan.methods.contains(&LockMethod::Flock) && !is_taken() && !lock_flock(&file, path)? {
        return Ok(Attempt::Held(LockMethod::Flock));
    }
    // Between open and lock the mailbox may have been replaced; then the path names another file now.
    let is_its_name = || named_file(&file, path).map(|named| named.is_some_and(|named| named.nlink() <= 1));
    if named_file(&file, path)?.is_none() {
        return Ok(Attempt::Changed);
    }
    check_file(&file, path, plan.owner)?;
    // A link that is just taken away still names the file, and is counted no more. Twice in a row it does neither.
    if !(is_its_name()? && is_its_name()?) {
        return Ok(Attempt::Changed);
    }
    Ok(Attempt::Locked(Locked {
        path: path.to_owned(),
        file,
        set_aside: Vec::new(),
        dotlock,
        _queue: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::{Attempt, LockPlan, attempt};
    use crate::config::LockMethod;
    use crate::mailbox::open::{Absent, Owner};
    use std::time::Duration;

    #[test]
    fn one_attempt_takes_every_lock_and_dropping_it_leaves_none() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        let plan = LockPlan {
            methods: vec![LockMethod::Dotlock, LockMethod::Fcntl, LockMethod::Flock],
            timeout: Duration::ZERO,
            owner: Owner::Exactly(nix::unistd::getuid().as_raw()),
            absent: Absent::Create,
            state_dir: None,
            place: None,
            tell: None,
        };
        let dotlock = dir.path().join("a.lock");
        let locked = attempt(&path, &plan);
        assert!(matches!(&locked, Ok(Attempt::Locked(_))));
        assert!(dotlock.exists());
        assert!(matches!(attempt(&path, &plan), Ok(Attempt::Held(_))));
        drop(locked);
        assert!(!dotlock.exists());
    }
}
