//! Where two hosts meet: a directory with one file for each, which it alone writes. All is read and written by opening
//! the file anew: that is when NFS asks its server (close-to-open, nfs(5)). A file is opened as one to be made, which
//! no cache answers.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::libc;
use nix::unistd::Uid;

use crate::doctor::rules::pair::{PairLine, PairRole, StepEnd};
use crate::error::{Category, Error};
use crate::output;
use crate::output::shell::{program_command, quote_path};
use crate::sys::account::host_name;
use crate::sys::deadline::Deadline;

/// The directory below the one that is examined.
const PLACE: &str = "spoolguard-pair";

/// A line with room: it is written over, never shortened.
const LINE_BYTES: usize = 1024;

/// How long the first host waits for the second.
const TO_COME: Duration = Duration::from_secs(600);

/// How long a host waits for a step of the other: what a file server may cache, twice (nfs(5), `acdirmax`).
const TO_STEP: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(20);

/// Two runs that know each other.
#[derive(Debug)]
pub struct Meeting<'a> {
    place: MeetingPlace,
    role: PairRole,
    own: PairLine,
    other: PairLine,
    clocks_apart_ms: i64,
    deadline: &'a Deadline,
}

/// The directory; the first host removes it.
#[derive(Debug)]
struct MeetingPlace {
    path: PathBuf,
    is_ours: bool,
}

impl Drop for MeetingPlace {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl<'a> Meeting<'a> {
    /// Waits for the other host, or goes to where it waits.
    pub fn begin(dir: &Path, locks: &str, deadline: &'a Deadline) -> Result<Self, Error> {
        let path = dir.join(PLACE);
        let role = match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => PairRole::First,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => PairRole::Second,
            Err(e) => return Err(Error::io("make", &path, &e)),
        };
        let is_ours = role == PairRole::First;
        let place = MeetingPlace { path, is_ours };
        refuse_strangers(&place.path)?;
        let own = PairLine {
            run: format!("{:016x}", fastrand::u64(..)),
            host: one_word(&host_name()),
            boot: one_word(&fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()),
            locks: locks.to_owned(),
            with: "-".to_owned(),
            clock_ms: 0,
            steps: Vec::new(),
        };
        let mut meeting = Self {
            place,
            role,
            other: own.clone(),
            own,
            clocks_apart_ms: i64::MAX,
            deadline,
        };
        match role {
            PairRole::First => meeting.wait_for_second(dir)?,
            PairRole::Second => meeting.go_to_first()?,
        }
        Ok(meeting)
    }

    pub fn own_role(&self) -> PairRole {
        self.role
    }

    pub fn own_line(&self) -> &PairLine {
        &self.own
    }

    pub fn other_line(&self) -> &PairLine {
        &self.other
    }

    pub fn mailbox(&self) -> PathBuf {
        self.place.path.join("mailbox")
    }

    /// How far this host's clock is ahead of the other's: the least that was seen, since a line ages.
    pub fn clocks_apart_ms(&self) -> i64 {
        self.clocks_apart_ms
    }

    /// Says how a step ended here, and waits until it has ended there.
    pub fn end_step(&mut self, end: StepEnd) -> Result<(), Error> {
        self.own.steps.push(end);
        let steps = self.own.steps.len();
        self.say()?;
        self.wait(TO_STEP, "the other host does not go on", |other, own| {
            other.with == own.run && other.steps.len() >= steps
        })
    }

    /// Takes leave. The first host waits for the second, and removes everything.
    pub fn end(mut self) -> Result<(), Error> {
        match self.role {
            PairRole::First => self.end_step(StepEnd::Idle),
            PairRole::Second => {
                self.own.steps.push(StepEnd::Idle);
                self.say()
            }
        }
    }

    fn wait_for_second(&mut self, dir: &Path) -> Result<(), Error> {
        let mailbox = self.mailbox();
        open(&mailbox).map_err(|e| Error::io("make", &mailbox, &e))?;
        self.say()?;
        output::print_stderr(&format!(
            "spoolguard: waiting ten minutes for the other host; run there: {} doctor --pair {}\n",
            program_command(),
            quote_path(&std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()))
        ));
        self.wait(TO_COME, "the other host did not come", |_, _| true)?;
        self.own.with.clone_from(&self.other.run);
        self.say()
    }

    fn go_to_first(&mut self) -> Result<(), Error> {
        self.wait(TO_STEP, "nobody is there", |_, _| true)?;
        self.own.with.clone_from(&self.other.run);
        self.say()?;
        self.wait(TO_STEP, "nobody answers there", |other, _| other.with != "-")?;
        if self.other.with == self.own.run {
            return Ok(());
        }
        Err(self.failure("two hosts are at it already"))
    }

    fn file_of(&self, role: PairRole) -> PathBuf {
        self.place.path.join(match role {
            PairRole::First => "first",
            PairRole::Second => "second",
        })
    }

    fn say(&mut self) -> Result<(), Error> {
        self.own.clock_ms = clock_ms();
        let path = self.file_of(self.role);
        let line = format!("{:<LINE_BYTES$}", self.own.written());
        open(&path)
            .and_then(|file| file.write_all_at(line.as_bytes(), 0))
            .map_err(|e| Error::io("write", &path, &e))
    }

    /// Reads what the other host says until it is what is waited for.
    fn wait(
        &mut self,
        time: Duration,
        otherwise: &str,
        is_it: impl Fn(&PairLine, &PairLine) -> bool,
    ) -> Result<(), Error> {
        let path = self.file_of(self.role.other_role());
        let until = Instant::now() + time;
        loop {
            self.deadline.begin_again();
            self.deadline.check("examine", &self.place.path.display().to_string())?;
            let mut text = String::new();
            let read = open(&path).and_then(|file| file.take(2 * LINE_BYTES as u64).read_to_string(&mut text));
            match read {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(self.failure("the other host has ended")),
                Err(e) => return Err(Error::io("read", &path, &e)),
                Ok(_) => {}
            }
            if let Some(line) = PairLine::read(&text) {
                self.clocks_apart_ms = self.clocks_apart_ms.min(clock_ms() - line.clock_ms);
                if is_it(&line, &self.own) {
                    self.other = line;
                    return Ok(());
                }
            }
            if Instant::now() >= until {
                return Err(self.failure(otherwise));
            }
            self.deadline.sleep(PAUSE);
        }
    }

    fn failure(&self, cause: &str) -> Error {
        let path = &self.place.path;
        let error = Error::new(Category::System, "examine", path.display(), cause);
        match self.role {
            PairRole::First => error,
            PairRole::Second => error.hint(format!(
                "if no run is under way on any host: rm -r {}",
                quote_path(path)
            )),
        }
    }
}

/// Another user's run, or another user's directory, says nothing of ours.
fn refuse_strangers(place: &Path) -> Result<(), Error> {
    let stat = place.symlink_metadata().map_err(|e| Error::io("examine", place, &e))?;
    let own = Uid::effective().as_raw();
    let cause = match stat.uid() {
        uid if uid == own && stat.is_dir() => return Ok(()),
        uid if uid == own => "it is no directory".to_owned(),
        uid => format!("it belongs to uid {uid}, and uid {own} runs this"),
    };
    Err(Error::new(Category::System, "use", place.display(), cause)
        .hint("run it as the same user on both hosts; a file server may take root for nobody (root_squash)"))
}

fn open(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

fn clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn one_word(text: &str) -> String {
    let word: String = text.split_whitespace().collect::<Vec<_>>().join("_");
    if word.is_empty() { "unknown".to_owned() } else { word }
}
