//! Runs a program from system call to system call, by ptrace(2): before and behind each call a test may look at it,
//! change the world, or kill the run. Unlike strace(1) it does so at one place exactly, and knows when the call is
//! over.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A system call of the run.
#[derive(Clone, Debug)]
pub struct Call {
    /// How many came before it.
    pub number: usize,
    pub id: i64,
    /// The file that its first argument is a descriptor of, where the call takes one.
    pub file: Option<PathBuf>,
}

impl Call {
    /// fsync(2) or fdatasync(2).
    pub fn is_sync(&self) -> bool {
        [libc::SYS_fsync, libc::SYS_fdatasync].contains(&self.id)
    }

    pub fn is_truncate(&self) -> bool {
        self.id == libc::SYS_ftruncate
    }

    pub fn is_write(&self) -> bool {
        [libc::SYS_write, libc::SYS_pwrite64].contains(&self.id)
    }

    pub fn is_on(&self, file: &std::path::Path) -> bool {
        self.file.as_deref() == Some(file)
    }
}

/// Where the run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Before,
    Behind,
}

/// What becomes of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    GoOn,
    /// It is killed here: a call that it stands before is not made.
    Kill,
}

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Ended {
    pub command: String,
    pub code: Option<i32>,
    pub is_killed: bool,
    pub output: String,
}

impl Ended {
    pub fn is_acknowledged(&self) -> bool {
        self.code == Some(0)
    }

    /// For a reader of a failed check.
    pub fn story(&self) -> String {
        let end = match self.code {
            Some(code) => code.to_string(),
            None => "killed".to_owned(),
        };
        format!("{} -> {end} {}", self.command, self.output.trim_end())
    }
}

/// Runs a command to its end.
pub fn run(command: &Command, input: &[u8]) -> Ended {
    let child = start(command, input, false);
    finish(child, command)
}

/// A run that was started, and goes on by itself.
pub fn start_free(command: &Command, input: &[u8]) -> Child {
    start(command, input, false)
}

/// Waits for the end of a run that was started.
pub fn finish(child: Child, command: &Command) -> Ended {
    let output = child.wait_with_output().unwrap();
    Ended {
        command: shown(command),
        code: output.status.code(),
        is_killed: output.status.code().is_none(),
        output: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    }
}

/// How far a traced process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Shell,
    Exec,
    Program,
}

/// Runs a command, and asks `each` before and behind each of its calls. A delivery steps aside for a child: then that
/// is followed, and killed with whoever waits for it.
pub fn trace(command: &Command, input: &[u8], mut each: impl FnMut(Moment, &Call) -> Next) -> Ended {
    let mut child = start(command, input, true);
    let collect = collect(&mut child);
    let first = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let mut pid = first;
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL;
    waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    ptrace::seize(pid, options | Options::PTRACE_O_TRACECLONE).unwrap();
    kill(pid, Signal::SIGCONT).unwrap();
    let mut inside: Option<Call> = None;
    let mut begin = Begin::Shell;
    let mut number = 0;
    let code = loop {
        let mut signal = None;
        match waitpid(pid, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Exited(_, code)) => break Some(code),
            Ok(WaitStatus::Signaled(..)) | Err(_) => break None,
            Ok(WaitStatus::PtraceEvent(_, _, event)) if event == libc::PTRACE_EVENT_EXEC => begin = Begin::Exec,
            Ok(WaitStatus::PtraceEvent(_, _, event)) if event == libc::PTRACE_EVENT_CLONE && pid == first => {
                pid = Pid::from_raw(i32::try_from(ptrace::getevent(first).unwrap()).unwrap());
                waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap();
                // What it starts itself is not followed.
                ptrace::setoptions(pid, options).unwrap();
                ptrace::detach(first, None).unwrap();
                inside = None;
            }
            // The end of execve(2) itself.
            Ok(WaitStatus::PtraceSyscall(_)) if begin == Begin::Exec => begin = Begin::Program,
            Ok(WaitStatus::PtraceSyscall(_)) if begin == Begin::Program => {
                let (moment, call) = match inside.take() {
                    Some(call) => (Moment::Behind, Some(call)),
                    None => (Moment::Before, call_of(pid, number)),
                };
                if let Some(call) = call {
                    if each(moment, &call) == Next::Kill {
                        let _ = kill(first, Signal::SIGKILL);
                        let _ = kill(pid, Signal::SIGKILL);
                    }
                    if moment == Moment::Before {
                        number += 1;
                        inside = Some(call);
                    }
                }
            }
            Ok(WaitStatus::Stopped(_, Signal::SIGSTOP | Signal::SIGCONT)) => {}
            Ok(WaitStatus::Stopped(_, other)) => signal = Some(other),
            Ok(_) => {}
        }
        match ptrace::syscall(pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(e) => panic!("cannot trace: {e}"),
        }
    };
    let code = match (pid == first).then_some(code) {
        Some(code) => code,
        None => child.wait().unwrap().code(),
    };
    Ended {
        command: shown(command),
        code,
        is_killed: code.is_none(),
        output: collect(),
    }
}

/// The call that a stopped process is about to make.
fn call_of(pid: Pid, number: usize) -> Option<Call> {
    let text = fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let id = words.next()?.parse().ok()?;
    let first = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    let takes_descriptor = [
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_write,
        libc::SYS_pwrite64,
        libc::SYS_ftruncate,
        libc::SYS_fsetxattr,
        libc::SYS_fremovexattr,
        libc::SYS_flock,
        libc::SYS_close,
    ];
    let file = takes_descriptor
        .contains(&id)
        .then(|| fs::read_link(format!("/proc/{pid}/fd/{first}")).ok())
        .flatten();
    Some(Call { number, id, file })
}

/// Starts a command with `input`; `stopped`, it waits to be traced before it becomes the program.
fn start(command: &Command, input: &[u8], stopped: bool) -> Child {
    let mut shell = Command::new("/bin/sh");
    let line = if stopped {
        "kill -STOP $$; exec \"$@\""
    } else {
        "exec \"$@\""
    };
    shell.args(["-c", line, "sh"]).arg(command.get_program());
    shell.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    shell.current_dir("/");
    let mut child = shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that gives up early does not read to the end.
    std::thread::spawn(move || drop(pipe.write_all(&input)));
    child
}

fn collect(child: &mut Child) -> impl FnOnce() -> String + use<> {
    let mut pipes: Vec<Box<dyn Read + Send>> = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        pipes.push(Box::new(pipe));
    }
    if let Some(pipe) = child.stderr.take() {
        pipes.push(Box::new(pipe));
    }
    let readers: Vec<_> = pipes
        .into_iter()
        .map(|mut pipe| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let _ = pipe.read_to_end(&mut text);
                text
            })
        })
        .collect();
    move || {
        let texts: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        String::from_utf8_lossy(&texts.concat()).into_owned()
    }
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
