//! Delivers in a child where the user's home is on a file system that a process serves (FUSE), and ends this run with 75 when the child
//! does not come back. What such a process has taken to answer, nobody can leave before it answers, not even by a death: a run that ended
//! itself would stay, its MTA would wait for it, and bounce the message.
//!
//! Elsewhere this costs a delivery one system call, or a look at the mounts where the home is on one of its own, and `watchdog` ends what hangs. Where no child can be had, the run goes on by itself.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal, Seek, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

use crate::deliver::watchdog;
use crate::error::Status;
use crate::output;
use crate::sys::account;
use crate::sys::child;
use crate::sys::deadline;
use crate::sys::filesystem;
use crate::sys::passwd;
use crate::sys::self_exec;

/// Names the process that waits for this one.
const SUPERVISED: &str = "SPOOLGUARD_SUPERVISED";

/// How long a child that was told to stop has for it.
const STOP_TIME: Duration = Duration::from_secs(10);

/// Runs this program once more for the same message, where the home of `user` may hang. None where this run is to deliver.
pub fn deliver_in_child(user: Option<&str>) -> Option<Status> {
    let own = std::process::id().to_string();
    if env::var(SUPERVISED).is_ok_and(|pid| pid == getppid().to_string()) {
        // A message must not be delivered by a run whose MTA has ended it.
        child::end_with_parent();
        return None;
    }
    if io::stdin().is_terminal() || !filesystem::may_hold_a_process(&home(user)?) {
        return None;
    }
    run_child(own).ok()
}

/// Starts the child and waits for it. What it prints comes by way of files: one that hangs would keep the MTA's pipe open, and the MTA
/// would wait for its end.
fn run_child(own: String) -> io::Result<Status> {
    let (mut output, mut error) = (child::memory_file()?, child::memory_file()?);
    let mut command: Command = self_exec::start_self();
    command.args(env::args_os().skip(1)).env(SUPERVISED, own);
    command.stdout(output.try_clone()?).stderr(error.try_clone()?);
    let child = deadline::start_child(&mut command)?;
    drop(command);
    let status = wait(child);
    // Whatever cannot be handed on changes nothing.
    let _ = hand_on(&mut output, &mut io::stdout());
    let _ = hand_on(&mut error, &mut io::stderr());
    Ok(status)
}

fn hand_on(printed: &mut File, to: &mut impl Write) -> io::Result<()> {
    printed.rewind()?;
    io::copy(printed, to)?;
    to.flush()
}

/// Where the user's own files are, as far as that can be told without asking them.
fn home(user: Option<&str>) -> Option<PathBuf> {
    let named = user.filter(|_| account::is_root());
    let listed = |name: &str| passwd::by_name(name).ok().flatten().map(|user| user.home);
    let told = || env::var_os("HOME").map(PathBuf::from);
    let own = || {
        let users = passwd::local_by_uid(nix::unistd::getuid().as_raw()).ok()?;
        users.into_iter().next().map(|user| user.home)
    };
    let home = named.map_or_else(|| told().or_else(own), listed);
    home.filter(|home| home.is_absolute())
}

/// Waits for the child, hands on what asks this run to stop, and says how the run ends. The time is the watchdog's.
fn wait(mut child: Child) -> Status {
    watchdog::watch_child();
    let end = child::end_of(&child);
    let mut until = None;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status_of(status),
            Ok(None) => {}
            Err(_) => return Status::TryAgain,
        }
        if deadline::is_stopped() && until.is_none() {
            signal(&child, Signal::SIGTERM);
            until = Some(Instant::now() + STOP_TIME);
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            // It cannot do anything any more, whenever it comes back.
            signal(&child, Signal::SIGKILL);
            output::print_stderr(watchdog::LINE);
            return Status::TryAgain;
        }
        child::wait_a_moment(end.as_ref());
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = nix::sys::signal::kill(Pid::from_raw(pid), signal);
    }
}

/// Whatever else the child came to, the message is still with the MTA.
fn status_of(status: ExitStatus) -> Status {
    let known = [Status::Done, Status::Refused, Status::TryAgain];
    let code = status.code();
    let ended = known.into_iter().find(|known| code == Some(i32::from(known.code())));
    ended.unwrap_or(Status::TryAgain)
}

#[cfg(test)]
mod tests {
    use super::status_of;
    use crate::error::Status;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn a_child_that_ends_oddly_leaves_the_message_with_the_mta() {
        let ended = |raw: i32| status_of(ExitStatus::from_raw(raw));
        for (code, wanted) in [
            (0, Status::Done),
            (77, Status::Refused),
            (75, Status::TryAgain),
            (1, Status::TryAgain),
            (64, Status::TryAgain),
            (101, Status::TryAgain),
        ] {
            assert_eq!(ended(code << 8), wanted, "{code}");
        }
        for signal in [6, 9, 11, 15] {
            assert_eq!(ended(signal), Status::TryAgain, "{signal}");
        }
    }
}
