//! Runs another program and reads what it prints, within a time and up to a size. A program that neither answers nor
//! ends is killed with all that it started; nobody waits for it any longer.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, Uid};

use crate::sys::deadline;

/// As much as is read of an answer, in bytes.
const ANSWER_BYTES: usize = 1 << 20;

/// Where programs are that a user's `PATH` often does not name.
const SYSTEM_DIRS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// What a program is given to find others by.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Debug)]
pub struct ProgramOutput {
    pub status: ExitStatus,
    pub text: String,
}

/// What counts as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    Output,
    /// Standard error, too.
    Both,
}

/// Asks `program` a question; a name without a slash is looked for in the `PATH` of the system. Fails when it cannot be
/// started, does not end within `limit`, or says too much.
pub fn output_of(
    program: impl AsRef<OsStr>,
    arguments: &[&str],
    variables: &[(&str, &OsStr)],
    streams: Streams,
    limit: Duration,
) -> io::Result<ProgramOutput> {
    output_of_command(Command::new(program), arguments, variables, streams, limit)
}

/// The same, of the program that `command` starts.
pub fn output_of_command(
    mut command: Command,
    arguments: &[&str],
    variables: &[(&str, &OsStr)],
    streams: Streams,
    limit: Duration,
) -> io::Result<ProgramOutput> {
    let (output, child_output) = io::pipe()?;
    let child_error = match streams {
        Streams::Output => Stdio::null(),
        Streams::Both => child_output.try_clone()?.into(),
    };
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C")
        .envs(variables.iter().copied())
        .current_dir("/")
        .stdout(child_output)
        .stderr(child_error);
    let ([text], status) = finish(command, [output], ANSWER_BYTES, limit)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(ProgramOutput { status, text })
}

#[derive(Debug)]
pub struct Printed {
    pub status: ExitStatus,
    pub output: Vec<u8>,
    pub error: Vec<u8>,
}

/// As much as is read of each, in bytes.
const PRINTED_BYTES: usize = 64 << 20;

/// Runs the program that `command` starts, in its environment, and takes what it prints. One that somebody stopped is
/// not waited for, since its user may do so; nor is any other beyond `limit`, or when this run is told to stop. Fails
/// when it cannot be started, is not over in time, was stopped, or prints too much: then it is killed.
pub fn run_command(mut command: Command, limit: Duration) -> io::Result<Printed> {
    let ((output, child_output), (error, child_error)) = (io::pipe()?, io::pipe()?);
    command.stdout(child_output).stderr(child_error);
    let ([output, error], status) = finish(command, [output, error], PRINTED_BYTES, limit)?;
    Ok(Printed { status, output, error })
}

/// Starts it, reads each of `pipes` to its end, and waits for its own.
fn finish<const N: usize>(
    mut command: Command,
    pipes: [io::PipeReader; N],
    most_bytes: usize,
    limit: Duration,
) -> io::Result<([Vec<u8>; N], ExitStatus)> {
    // Whatever it starts can be ended with it.
    command.process_group(0).stdin(Stdio::null());
    let mut child = deadline::start_child(&mut command)?;
    // The command holds copies of our ends of the pipes.
    drop(command);
    let until = Instant::now() + limit;
    let mut printed = pipes.map(|pipe| (Some(pipe), Vec::new()));
    let ended = read_all(&child, &mut printed, most_bytes, until).and_then(|()| wait_until(&mut child, until));
    if ended.is_err() {
        end_group(&mut child);
    }
    Ok((printed.map(|(_, text)| text), ended?))
}

/// Reads each to its end, which closes it.
fn read_all(
    child: &Child,
    printed: &mut [(Option<io::PipeReader>, Vec<u8>)],
    most_bytes: usize,
    until: Instant,
) -> io::Result<()> {
    const SLICE_MILLISECONDS: u128 = 200;
    let mut buffer = [0; 4096];
    while printed.iter().any(|(pipe, _)| pipe.is_some()) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late());
        }
        if deadline::is_stopped() {
            return Err(io::Error::other("told to stop by a signal"));
        }
        let open = printed.iter().filter_map(|(pipe, _)| pipe.as_ref());
        let mut wanted: Vec<_> = open.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)).collect();
        let slice = u16::try_from(left.as_millis().clamp(1, SLICE_MILLISECONDS)).unwrap_or(u16::MAX);
        match poll(&mut wanted, slice) {
            Ok(0) if is_paused(child) => return Err(io::Error::other("somebody stopped it")),
            Ok(0) | Err(nix::Error::EINTR) => continue,
            Ok(_) => {}
            Err(e) => return Err(e.into()),
        }
        let ready: Vec<_> = wanted.iter().map(|file| file.any().unwrap_or(false)).collect();
        let open = printed.iter_mut().filter(|(pipe, _)| pipe.is_some());
        for ((pipe, text), _) in open.zip(ready).filter(|(_, is_ready)| *is_ready) {
            match pipe.as_mut().map(|pipe| pipe.read(&mut buffer)) {
                None | Some(Ok(0)) => *pipe = None,
                Some(Ok(read)) => text.extend_from_slice(buffer.get(..read).unwrap_or_default()),
                Some(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                Some(Err(e)) => return Err(e),
            }
            if text.len() > most_bytes {
                return Err(io::Error::other("its answer has no end"));
            }
        }
    }
    Ok(())
}

/// Tells whether a signal stopped it: its user may send one.
fn is_paused(child: &Child) -> bool {
    let Ok(pid) = i32::try_from(child.id()) else {
        return false;
    };
    let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    matches!(waitid(Id::Pid(Pid::from_raw(pid)), flags), Ok(WaitStatus::Stopped(..)))
}

/// Opens a file that can be read when the child has ended, however early (pidfd_open(2)); none where the kernel has no
/// such thing.
pub fn end_of(child: &Child) -> Option<OwnedFd> {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)?;
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

/// Kills it with all that it started. One that cannot even be killed now, in a call to a file system that hangs, is
/// left behind.
pub fn end_group(child: &mut Child) {
    const KILL_TIME: Duration = Duration::from_secs(2);
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = wait_until(child, Instant::now() + KILL_TIME);
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it does not answer in time")
}

/// Waits for the end of one that has closed its output.
fn wait_until(child: &mut Child, until: Instant) -> io::Result<ExitStatus> {
    const PAUSE: Duration = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= until {
            return Err(late());
        }
        std::thread::sleep(PAUSE);
    }
}

/// The directories in which programs are looked for: those of `PATH`, as far as they are absolute, and those of the
/// system.
pub fn search_path(path: Option<&OsStr>) -> Vec<PathBuf> {
    let named = path.map(std::env::split_paths).into_iter().flatten();
    let mut found = Vec::new();
    for dir in named.chain(SYSTEM_DIRS.map(PathBuf::from)) {
        if dir.is_absolute() && !found.contains(&dir) {
            found.push(dir);
        }
    }
    found
}

/// The first program of this name.
pub fn find_program(name: &str, dirs: &[PathBuf]) -> Option<PathBuf> {
    dirs.iter().map(|dir| dir.join(name)).find(|path| is_program(path))
}

/// Tells whether this can be started.
pub fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|stat| stat.is_file() && stat.permissions().mode() & 0o111 != 0)
}

/// Tells whether it runs with a user or group of its own, whoever starts it.
pub fn is_set_id(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|stat| stat.permissions().mode() & 0o6000 != 0)
}

/// Tells whether somebody else could have put it there: then root does not start it.
pub fn is_trusted(path: &Path) -> bool {
    let own = Uid::effective().as_raw();
    let trusts = |stat: Metadata| (stat.uid() == 0 || stat.uid() == own) && stat.mode() & 0o022 == 0;
    own != 0 || path.canonicalize().and_then(|path| path.metadata()).is_ok_and(trusts)
}

#[cfg(test)]
mod tests {
    use super::{Streams, find_program, is_set_id, output_of, run_command, search_path};
    use std::ffi::OsStr;
    use std::io;
    use std::process::Command;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn an_answer_is_read_with_its_status() {
        let answer = output_of(
            "sh",
            &["-c", "echo $X; echo y >&2; exit 3"],
            &[("X", OsStr::new("x"))],
            Streams::Output,
            LONG,
        );
        assert!(answer.is_ok_and(|answer| answer.text == "x\n" && answer.status.code() == Some(3)));
        let answer = output_of("sh", &["-c", "echo x; echo y >&2"], &[], Streams::Both, LONG);
        assert!(answer.is_ok_and(|answer| answer.text == "x\ny\n"));
        assert!(
            output_of("no such program", &[], &[], Streams::Output, LONG)
                .is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
        );
    }

    #[test]
    fn whoever_does_not_answer_or_does_not_end_is_not_waited_for() {
        let soon = Duration::from_millis(100);
        for line in ["sleep 300", "sleep 300 & wait", "exec >/dev/null; sleep 300"] {
            let error = output_of("sh", &["-c", line], &[], Streams::Output, soon)
                .err()
                .map(|e| e.kind());
            assert_eq!(error, Some(io::ErrorKind::TimedOut), "{line}");
        }
        let endless = output_of(
            "sh",
            &["-c", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"],
            &[],
            Streams::Output,
            LONG,
        );
        assert!(endless.is_err_and(|e| e.kind() == io::ErrorKind::Other));
    }

    #[test]
    fn a_stopped_or_late_child_is_ended_and_its_output_taken() {
        let shell = |line: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", line]);
            command
        };
        let printed = run_command(shell("echo x; echo y >&2; exit 3"), LONG);
        assert!(
            printed.is_ok_and(|p| (p.output.as_slice(), p.error.as_slice(), p.status.code())
                == (b"x\n".as_slice(), b"y\n".as_slice(), Some(3)))
        );
        let stopped = run_command(shell("kill -STOP $$; echo x"), LONG).map_err(|e| e.to_string());
        assert!(stopped.is_err_and(|text| text.contains("stopped")));
        let late = run_command(shell("sleep 300"), Duration::from_millis(100)).map_err(|e| e.kind());
        assert_eq!(late.err(), Some(io::ErrorKind::TimedOut));
    }

    #[test]
    fn programs_are_looked_for_where_the_path_and_the_system_say() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = format!("here::{}", dir.path().display());
        let dirs = search_path(Some(OsStr::new(&path)));
        assert_eq!(dirs.first().map(|first| first.as_path()), Some(dir.path()));
        assert!(find_program("sh", &dirs).is_some());
        assert!(std::fs::write(dir.path().join("sh"), "").is_ok());
        assert!(!is_set_id(&dir.path().join("sh")) && !is_set_id(&dir.path().join("none")));
        assert_ne!(
            find_program("sh", &dirs),
            Some(dir.path().join("sh")),
            "it cannot be started"
        );
        assert_eq!(find_program("no such program", &dirs), None);
    }
}
