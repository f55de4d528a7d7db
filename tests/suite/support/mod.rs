//! What every test stands on: a spool of its own in a directory that goes with it, and the real program, run with a
//! clean environment and a fixed time zone. A check that fails prints command, status, stderr and the mailbox.
//!
//! Nothing here sleeps in the hope that something has happened: it waits for a condition, with a limit.

pub mod hung;
pub mod lmtp;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use rustix::fs::{XattrFlags, lremovexattr, lsetxattr};

/// How long anything may take before a test gives up on it.
pub const LIMIT: Duration = Duration::from_secs(30);

/// What strace(1) is told so that a delivery has no child that it could step aside for.
pub const ALONE: &str = "inject=clone:error=EAGAIN:when=1";

/// A message that nobody could mistake for anything else.
pub const ORDINARY: &[u8] = b"From: Sam <s@s.test>\nTo: a@a.test\nMessage-ID: <1@s.test>\nSubject: hello\n\nHello.\n";

/// The program; another build of it where the environment names one when this is compiled.
pub const PROGRAM: &str = match option_env!("SPOOLGUARD_PROGRAM") {
    Some(program) => program,
    None => env!("CARGO_BIN_EXE_spoolguard"),
};

/// The name that the program finds for whoever runs this.
pub fn user_name() -> String {
    let uid = Uid::current();
    match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Makes a file last read and written at `time`.
#[track_caller]
pub fn set_time(path: &Path, time: SystemTime) {
    let times = fs::FileTimes::new().set_modified(time).set_accessed(time);
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(times).unwrap();
}

/// Says why a test does nothing here.
pub fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

/// Tells whether files here can have extended attributes. Without them, a run that was killed may bring its message
/// twice.
pub fn has_attributes(path: &Path) -> bool {
    lsetxattr(path, "user.probe", b"", XattrFlags::empty()).is_ok() && lremovexattr(path, "user.probe").is_ok()
}

/// Waits until `condition` holds.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "waited {LIMIT:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A spool, a home and a configuration of one test.
pub struct Scratch {
    root: tempfile::TempDir,
    keys: BTreeMap<String, String>,
}

impl Drop for Scratch {
    /// What cannot be written to could not be removed either.
    fn drop(&mut self) {
        let _ = fs::set_permissions(self.path("spool"), fs::Permissions::from_mode(0o755));
    }
}

impl Scratch {
    /// Everything set so that it stays within the directory: mailboxes, state, what is sent, who gets what is diverted.
    pub fn new() -> Self {
        // What the program makes does not depend on it; what the tests make is nobody else's to write to.
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
        let root = tempfile::Builder::new().prefix("spoolguard-suite-").tempdir().unwrap();
        for dir in ["spool", "home", "state"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        let mut scratch = Self {
            root,
            keys: BTreeMap::new(),
        };
        let path = |name: &str| scratch.path(name).display().to_string();
        let keys = [
            ("admin", path("admin")),
            ("mailbox.location", format!("mbox:{}/%u", path("spool"))),
            ("mailbox.min_free", "0".to_owned()),
            ("state_dir", path("state")),
            ("forward.transport", format!("outbox:{}", path("outbox"))),
            ("log.to", "none".to_owned()),
        ];
        for (key, value) in keys {
            scratch.keys.insert(key.to_owned(), format!("{value:?}"));
        }
        scratch.write_configuration();
        scratch
    }

    /// Sets a configuration key; `value` is TOML.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.change(key, value);
        self
    }

    pub fn change(&mut self, key: &str, value: &str) {
        self.keys.insert(key.to_owned(), value.to_owned());
        self.write_configuration();
    }

    fn write_configuration(&self) {
        let lines: String = self
            .keys
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        fs::write(self.configuration(), lines).unwrap();
    }

    pub fn configuration(&self) -> PathBuf {
        self.path("spoolguard.toml")
    }

    /// How the commands begin that a run with this configuration prints.
    pub fn printed_program(&self) -> String {
        format!("spoolguard --config {}", self.configuration().display())
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn mailbox(&self) -> PathBuf {
        self.path("spool").join(user_name())
    }

    pub fn dotlock(&self) -> PathBuf {
        self.path("spool").join(format!("{}.lock", user_name()))
    }

    /// The user's mailbox; nothing where there is none.
    pub fn mail(&self) -> Vec<u8> {
        fs::read(self.mailbox()).unwrap_or_default()
    }

    /// What was diverted to the administrator's mbox.
    pub fn diverted(&self) -> Vec<u8> {
        fs::read(self.path("admin")).unwrap_or_default()
    }

    /// The files of a directory, by name; none where there is no directory.
    pub fn files(&self, dir: &str) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.path(dir))
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        files.sort();
        files
    }

    /// Everything that was sent.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        self.files("outbox/new")
            .iter()
            .map(|path| fs::read(path).unwrap())
            .collect()
    }

    /// What is held for the user.
    pub fn held(&self) -> Vec<PathBuf> {
        self.files("state/held")
    }

    /// Puts an executable script into the directory.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A copy of the program of its own.
    pub fn copy_program(&self, name: &str) -> PathBuf {
        let copy = self.path(name);
        // Not copied by this process: another test's child would inherit the descriptor that writes, and until it is
        // closed nobody can run the program (execve(2), ETXTBSY).
        assert!(Command::new("cp").arg(PROGRAM).arg(&copy).status().unwrap().success());
        copy
    }

    /// Lets other users in.
    pub fn open_to_all(&self) {
        fs::set_permissions(self.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Gives everything to `uid`, who may write to the mailbox and to no directory beside it: no dotlock can be made.
    /// Whoever is not root has to be that user already.
    pub fn without_dotlocks(&self, uid: u32) {
        let spool = self.path("spool");
        if is_root() {
            for name in ["home", "state"] {
                std::os::unix::fs::chown(self.path(name), Some(uid), Some(uid)).unwrap();
            }
            for path in self.files("spool") {
                std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
            }
        }
        fs::set_permissions(&spool, fs::Permissions::from_mode(0o555)).unwrap();
    }

    /// A sendmail that notes each run in `calls`: the arguments, one a line, then an empty line; keeps the last message
    /// in `message`; then does what `then` says.
    pub fn sendmail(&mut self, then: &str) {
        let dir = self.root.path().display().to_string();
        let text = format!(
            // In one write, since several may run at once.
            "words=$(printf '%s\\n' \"$@\")\nprintf '%s\\n\\n' \"$words\" >>'{dir}/calls'\ncat >'{dir}/message'\n{then}"
        );
        let path = self.script("sendmail", &text);
        self.change("forward.transport", &format!("{:?}", path.display().to_string()));
    }

    /// A sendmail that does not end; the file appears when it runs, and holds its process id.
    pub fn hanging_sendmail(&mut self) -> PathBuf {
        let pid_file = self.path("pid");
        self.sendmail(&format!(
            "echo $$ >'{0}.new'; mv '{0}.new' '{0}'; exec sleep 300",
            pid_file.display()
        ));
        pid_file
    }

    /// The runs of that sendmail, each with its arguments.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let mut calls = vec![Vec::new()];
        for line in text.lines() {
            if line.is_empty() {
                calls.push(Vec::new());
            } else {
                calls.last_mut().unwrap().push(line.to_owned());
            }
        }
        calls.pop();
        calls
    }

    /// The envelope sender and the recipients of the last submission.
    pub fn last_call(&self) -> (String, Vec<String>) {
        let call = self.calls().pop().unwrap();
        let sender = call[call.iter().position(|word| word == "-f").unwrap() + 1].clone();
        let to = call.into_iter().skip_while(|word| word != "--").skip(1).collect();
        (sender, to)
    }

    /// The message that sendmail got last.
    pub fn submitted(&self) -> Vec<u8> {
        fs::read(self.path("message")).unwrap_or_default()
    }

    /// A run of the program with these arguments and the test's configuration, and nothing else.
    pub fn bare(&self, arguments: &[&str]) -> Run<'_> {
        let mut run = Run {
            scratch: self,
            wrapper: Vec::new(),
            arguments: arguments.iter().map(OsString::from).collect(),
            variables: BTreeMap::new(),
            input: Input::Bytes(Vec::new()),
            stdout: Stdio::piped(),
            stderr: Stdio::piped(),
            uid: None,
            program: None,
            is_measured: false,
        };
        run = run.variable("HOME", self.path("home")).variable("TZ", "UTC");
        run
    }

    /// The same, with the configuration named.
    pub fn run(&self, arguments: &[&str]) -> Run<'_> {
        let mut run = self.bare(&[]);
        run.arguments.push("--config".into());
        run.arguments.push(self.configuration().into());
        run.arguments.extend(arguments.iter().map(OsString::from));
        run
    }

    /// `deliver` for a@a.test from s@s.test.
    pub fn deliver(&self, message: &[u8]) -> Run<'_> {
        self.run(&["deliver", "-a", "a@a.test", "-f", "s@s.test"])
            .input(message)
    }

    /// `forward` from s@s.test through a@a.test to `addresses`.
    pub fn forward(&self, message: &[u8], addresses: &[&str]) -> Run<'_> {
        self.run(&["forward", "-a", "a@a.test", "-f", "s@s.test"])
            .with(addresses)
            .input(message)
    }

    /// Delivers something plain, which must work, and come out whole and last.
    #[track_caller]
    pub fn next_delivery_works(&self) {
        self.next_delivery_comes_behind(&self.mail());
    }

    /// The same, whatever the mailbox ends in: a torn message that is nobody's goes, or is closed.
    #[track_caller]
    pub fn next_delivery_works_in_any_case(&self) {
        self.deliver(b"Subject: next\n\nnext\n").go().succeeds();
        let after = self.mail();
        let begin = memchr::memmem::rfind(&after, b"From s@s.test ").unwrap();
        assert!(
            (begin == 0 || after[..begin].ends_with(b"\n\n")) && after.ends_with(b"\nSubject: next\n\nnext\n\n"),
            "not whole:\n{}",
            shown(&after)
        );
    }

    /// The same, and what is behind `before` now is the torn message of a killed run, which goes.
    #[track_caller]
    pub fn next_delivery_comes_behind(&self, before: &[u8]) {
        self.deliver(b"Subject: next\n\nnext\n").go().succeeds();
        let after = self.mail();
        assert!(
            after.starts_with(before),
            "the mailbox lost what it held:\n{}",
            shown(&after)
        );
        let added = &after[before.len()..];
        assert!(
            before.is_empty() || before.ends_with(b"\n\n") || added.starts_with(b"\n"),
            "glued to what stood before:\n{}",
            shown(&after)
        );
        let added = added.trim_ascii_start();
        assert!(
            added.starts_with(b"From s@s.test ") && added.ends_with(b"\nSubject: next\n\nnext\n\n"),
            "not whole:\n{}",
            shown(&after)
        );
        assert!(!self.dotlock().exists(), "a dotlock was left");
    }
}

enum Input {
    Bytes(Vec<u8>),
    File(Stdio),
}

/// A run of the program that is being prepared.
pub struct Run<'a> {
    scratch: &'a Scratch,
    wrapper: Vec<String>,
    arguments: Vec<OsString>,
    variables: BTreeMap<OsString, OsString>,
    input: Input,
    stdout: Stdio,
    stderr: Stdio,
    uid: Option<u32>,
    program: Option<PathBuf>,
    is_measured: bool,
}

impl<'a> Run<'a> {
    /// Looks how much memory it takes.
    pub fn measured(mut self) -> Self {
        self.is_measured = true;
        self
    }

    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(OsString::from));
        self
    }

    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.insert(name.into(), value.as_ref().to_owned());
        self
    }

    pub fn input(mut self, message: &[u8]) -> Self {
        self.input = Input::Bytes(message.to_vec());
        self
    }

    pub fn input_file(mut self, file: impl Into<Stdio>) -> Self {
        self.input = Input::File(file.into());
        self
    }

    pub fn stdout(mut self, file: impl Into<Stdio>) -> Self {
        self.stdout = file.into();
        self
    }

    pub fn stderr(mut self, file: impl Into<Stdio>) -> Self {
        self.stderr = file.into();
        self
    }

    /// Runs it as another user, who is nobody in particular.
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Runs a copy of the program that is installed in another way.
    pub fn program(mut self, copy: &Path) -> Self {
        self.program = Some(copy.to_owned());
        self
    }

    /// Runs it from a shell, after `preparation`: limits, traps, closed descriptors.
    pub fn shell(self, preparation: &str) -> Self {
        self.shell_line(&format!("{preparation}; exec \"$@\""))
    }

    /// Runs this line of a shell, in which `"$@"` is the command.
    pub fn shell_line(mut self, line: &str) -> Self {
        self.wrapper = ["/bin/sh", "-c", line, "sh"].map(str::to_owned).to_vec();
        self
    }

    /// Runs it through another program, which is given the command as its last arguments.
    pub fn wrapped(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    fn command(&self) -> Command {
        // Somebody else may not be able to enter the directory that the program was built in.
        let program = match (&self.program, self.uid) {
            (Some(copy), _) => copy.clone(),
            (None, Some(_)) => {
                let copy = self.scratch.path("program");
                if !copy.exists() && fs::hard_link(PROGRAM, &copy).is_err() {
                    self.scratch.copy_program("program");
                }
                self.scratch.open_to_all();
                copy
            }
            (None, None) => PathBuf::from(PROGRAM),
        };
        let mut command = match self.traced_wrapper().split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.variables)
            .current_dir("/");
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command
    }

    /// The wrapper. A delivery steps aside for a child; strace(1) that follows no child sees a delivery that can have
    /// none.
    fn traced_wrapper(&self) -> Vec<String> {
        let is_strace = self.wrapper.first().is_some_and(|word| word.ends_with("strace"));
        let delivers = ["deliver", "forward", "filter", "return", "sendmail"];
        let is_delivery = self
            .arguments
            .iter()
            .any(|word| delivers.iter().any(|verb| word == *verb));
        if !is_strace || !is_delivery || self.wrapper.iter().any(|word| word == "-f") {
            return self.wrapper.clone();
        }
        let with_clone = |word: &String| match word.starts_with("trace=") {
            true => format!("{word},clone"),
            false => word.clone(),
        };
        let mut words: Vec<String> = self.wrapper.iter().map(with_clone).collect();
        // What looks at some paths only does not see that call: there the child is followed.
        if words.iter().any(|word| word == "-P") {
            return [&self.wrapper[..1], &["-f".to_owned()], &self.wrapper[1..]].concat();
        }
        words.splice(1..1, ["-e", ALONE].map(str::to_owned));
        words
    }

    /// Starts it.
    #[track_caller]
    pub fn start(mut self) -> Running<'a> {
        let mut command = self.command();
        let shown_command = format!("{command:?}");
        let (bytes, stdin) = match std::mem::replace(&mut self.input, Input::Bytes(Vec::new())) {
            Input::Bytes(bytes) => (Some(bytes), Stdio::piped()),
            Input::File(file) => (None, file),
        };
        let stdout = std::mem::replace(&mut self.stdout, Stdio::null());
        let stderr = std::mem::replace(&mut self.stderr, Stdio::null());
        let mut child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn().unwrap();
        if let Some(bytes) = bytes {
            let mut pipe = child.stdin.take().unwrap();
            // A program that gives up early does not read to the end.
            std::thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut pipe) = pipe {
                    let _ = pipe.read_to_end(&mut bytes);
                }
                bytes
            })
        }
        Running {
            scratch: self.scratch,
            stdout: collect(child.stdout.take()),
            stderr: collect(child.stderr.take()),
            command: shown_command,
            is_measured: self.is_measured,
            peak_bytes: 0,
            child,
        }
    }

    /// Runs it on a terminal, where somebody types `answer` once `question` is there; returns the status and everything
    /// that the terminal shows.
    #[track_caller]
    pub fn on_a_terminal(self, question: &str, answer: &str) -> (Option<i32>, String) {
        let pty = nix::pty::openpty(None, None).unwrap();
        let terminal = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut child = {
            let mut command = self.command();
            command.stdin(terminal()).stdout(terminal()).stderr(terminal());
            command.spawn().unwrap()
        };
        drop(pty.slave);
        let mut master = File::from(pty.master);
        let (mut shown, mut part, mut is_answered) = (Vec::new(), [0; 4096], false);
        // An error says that nobody has it open any more.
        while let Ok(count @ 1..) = master.read(&mut part) {
            shown.extend_from_slice(&part[..count]);
            if !is_answered && contains(&shown, question.as_bytes()) {
                master.write_all(answer.as_bytes()).unwrap();
                is_answered = true;
            }
        }
        let status = child.wait().unwrap();
        (status.code(), String::from_utf8_lossy(&shown).into_owned())
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn go(self) -> Ended<'a> {
        self.start().end()
    }
}

/// A run that is under way.
pub struct Running<'a> {
    scratch: &'a Scratch,
    command: String,
    child: Child,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
    is_measured: bool,
    peak_bytes: u64,
}

impl<'a> Running<'a> {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process that delivers: the one that was started has stepped aside for it.
    #[track_caller]
    pub fn worker(&self) -> u32 {
        let mut found = None;
        until("it has stepped aside", || {
            found = child_of(self.pid());
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits until it, or who delivers for it, has the file open.
    #[track_caller]
    pub fn until_open(&self, path: &Path) {
        let has_it_open = |pid: u32| {
            let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            descriptors
                .map(|descriptor| descriptor.path())
                .any(|link| fs::read_link(link).is_ok_and(|to| to == path))
        };
        until(&format!("{} is open", path.display()), || {
            has_it_open(self.pid()) || child_of(self.pid()).is_some_and(has_it_open)
        });
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).unwrap();
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end; kills it when that does not come.
    #[track_caller]
    pub fn end(mut self) -> Ended<'a> {
        let end = Instant::now() + LIMIT;
        let mut pause = Duration::from_micros(250);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("did not end within {LIMIT:?}: {}", self.command);
            }
            if self.is_measured {
                // It only grows, so the last look counts.
                self.peak_bytes = self.peak_bytes.max(peak_bytes(self.pid()).unwrap_or(0));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(2));
        };
        Ended {
            scratch: self.scratch,
            command: self.command,
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.join().unwrap(),
            stderr: String::from_utf8_lossy(&self.stderr.join().unwrap()).into_owned(),
            peak_bytes: self.peak_bytes,
        }
    }
}

/// The first child of a process.
pub fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// The most memory that a process has held so far (proc_pid_status(5)); none where it is over, or has not become
/// another program yet: up to then it shows the memory of this one, from which it was started (vfork(2)).
pub fn peak_bytes(pid: u32) -> Option<u64> {
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    if program == std::env::current_exe().unwrap() {
        return None;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes << 10)
}

/// A run that is over.
pub struct Ended<'a> {
    scratch: &'a Scratch,
    command: String,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub peak_bytes: u64,
}

impl Ended<'_> {
    /// Everything that a reader of a failed check wants to see.
    pub fn story(&self) -> String {
        format!(
            "command: {}\nstatus: {:?}, signal: {:?}\nstdout: {}\nstderr: {}\nmailbox: {}",
            self.command,
            self.code,
            self.signal,
            shown(&self.stdout),
            self.stderr,
            shown(&self.scratch.mail())
        )
    }

    #[track_caller]
    pub fn check(&self, holds: bool, what: &str) -> &Self {
        assert!(holds, "{what}\n{}", self.story());
        self
    }

    /// 0, and not a word.
    #[track_caller]
    pub fn succeeds(&self) -> &Self {
        self.ends_with(0).check(
            self.stderr.is_empty() && self.stdout.is_empty(),
            "a delivery that succeeds says nothing",
        )
    }

    #[track_caller]
    pub fn ends_with(&self, code: i32) -> &Self {
        self.check(self.code == Some(code), &format!("the status is not {code}"))
    }

    /// 75, and one line that says why.
    #[track_caller]
    pub fn defers(&self) -> &Self {
        self.ends_with(75).says_one_line('4')
    }

    /// 77, and one line that says why.
    #[track_caller]
    pub fn refuses(&self) -> &Self {
        self.ends_with(77).says_one_line('5')
    }

    #[track_caller]
    fn says_one_line(&self, class: char) -> &Self {
        let line = self.stderr.strip_suffix('\n').unwrap_or_default();
        let (enhanced, rest) = line.split_once(' ').unwrap_or_default();
        let digits: Vec<_> = enhanced.split('.').collect();
        let is_enhanced = digits.len() == 3
            && enhanced.starts_with(class)
            && digits
                .iter()
                .all(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
        self.check(
            is_enhanced && rest.starts_with("spoolguard: cannot ") && !line.chars().any(char::is_control),
            "not one line that begins with an enhanced status code",
        )
    }

    /// The one line mentions this.
    #[track_caller]
    pub fn mentions(&self, text: &str) -> &Self {
        self.check(self.stderr.contains(text), &format!("stderr does not mention {text:?}"))
    }
}

/// Bytes as a person can read them, the middle of a long text left out.
pub fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 2000;
    if bytes.len() <= 2 * MOST {
        return format!("({} bytes) {}", bytes.len(), bytes.escape_ascii());
    }
    format!(
        "({} bytes) {} ... {}",
        bytes.len(),
        bytes[..MOST].escape_ascii(),
        bytes[bytes.len() - MOST..].escape_ascii()
    )
}

/// Compares bytes, and shows where they part.
#[track_caller]
pub fn same(got: &[u8], want: &[u8]) {
    if got == want {
        return;
    }
    let at = got.iter().zip(want).take_while(|(a, b)| a == b).count();
    let near = |bytes: &[u8]| shown(&bytes[at.saturating_sub(40).min(bytes.len())..(at + 80).min(bytes.len())]);
    panic!(
        "{} bytes instead of {}, other from byte {at} on:\ngot  {}\nwant {}",
        got.len(),
        want.len(),
        near(got),
        near(want)
    );
}

/// The messages of an mbox, each with its separator line, cut as every reader does it.
pub fn messages(mbox: &[u8]) -> Vec<&[u8]> {
    let mut starts: Vec<_> = memchr::memmem::find_iter(mbox, b"From ")
        .filter(|at| *at == 0 || mbox[..*at].ends_with(b"\n\n"))
        .collect();
    assert!(
        mbox.is_empty() || starts.first() == Some(&0),
        "no mbox: {}",
        shown(mbox)
    );
    starts.push(mbox.len());
    starts.windows(2).map(|pair| &mbox[pair[0]..pair[1]]).collect()
}

/// A message of an mbox without its separator line and the empty line at its end.
#[track_caller]
pub fn content(message: &[u8]) -> &[u8] {
    let line = message.iter().position(|b| *b == b'\n').unwrap() + 1;
    message[line..].strip_suffix(b"\n").unwrap()
}

/// Takes mboxrd's quotes away again.
pub fn unquoted(message: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|b| *b == b'\n') {
        let quotes = line.iter().take_while(|b| **b == b'>').count();
        let is_quoted = quotes > 0 && line[quotes..].starts_with(b"From ");
        plain.extend_from_slice(&line[usize::from(is_quoted)..]);
    }
    plain
}

/// The only message of an mbox, without separator line and last empty line.
#[track_caller]
pub fn only(mbox: &[u8]) -> &[u8] {
    let all = messages(mbox);
    assert_eq!(all.len(), 1, "not one message: {}", shown(mbox));
    content(all[0])
}

pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

/// The message without its first `count` lines.
pub fn below(message: &[u8], count: usize) -> &[u8] {
    let mut rest = message;
    for _ in 0..count {
        rest = &rest[rest.iter().position(|b| *b == b'\n').unwrap() + 1..];
    }
    rest
}

/// Bytes that are always the same, and never the same twice in a row.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state: u32 = 0x9e37_79b9;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        // A line end now and then, and no other control characters.
        bytes.push(match state >> 26 {
            0 => b'\n',
            letter => b' ' + letter as u8,
        });
    }
    bytes
}

/// A message with a body of this many bytes.
pub fn large(body_bytes: usize) -> Vec<u8> {
    let mut message = b"Subject: large\n\n".to_vec();
    message.extend(noise(body_bytes));
    message.push(b'\n');
    message
}

/// Looks at what is made in a directory.
pub struct Watch(Inotify);

impl Watch {
    pub fn new(dir: &Path) -> Self {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).unwrap();
        inotify
            .add_watch(dir, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO)
            .unwrap();
        Self(inotify)
    }

    /// Waits until `name` is made there.
    #[track_caller]
    pub fn until_made(&self, name: &str) {
        until(&format!("{name} is made"), || {
            self.0
                .read_events()
                .unwrap_or_default()
                .iter()
                .any(|event| event.name.as_deref() == Some(OsStr::new(name)))
        });
    }
}

/// A file that fails whenever it is written to.
pub fn full_device() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}
