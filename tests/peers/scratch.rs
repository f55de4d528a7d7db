//! A place to deliver to: a spool directory set up like Debian's /var/mail, and a user with a home, in a mount
//! namespace in which both exist and nothing of the host's mail can be reached.

use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use std::io::Write;

use crate::namespace;

/// The user, and the numbers of that user and of Debian's group `mail`.
pub const USER: &str = "a";
const UID: u32 = 64_123;
const MAIL_GID: u32 = 8;

/// Where programs are that are in no PATH.
pub const DOVECOT_LDA: &str = "/usr/lib/dovecot/dovecot-lda";
const SIEVE_PLUGIN: &str = "/usr/lib/dovecot/modules/sieve/lib90_sieve_extprograms_plugin.so";
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// What all tests of a run share.
#[derive(Debug)]
pub struct Stage {
    dir: tempfile::TempDir,
    program: PathBuf,
}

impl Stage {
    /// Enters the namespace: this program is started again in it. What is missing is the error.
    pub fn enter() -> Result<Self, String> {
        if !nix::unistd::Uid::effective().is_root() {
            return Err("root".to_owned());
        }
        if !namespace::enter() {
            return Err("a mount namespace (unshare --mount)".to_owned());
        }
        let dir = tempfile::Builder::new().prefix("peers.").tempdir().unwrap();
        open_to_all(dir.path());
        // The one from the build may lie where another user cannot go.
        let program = dir.path().join("spoolguard");
        fs::copy(env!("CARGO_BIN_EXE_spoolguard"), &program).unwrap();
        let stage = Self { dir, program };
        // procmail looks at its user's mailbox in /var/mail, and makes it, whatever its rc file says.
        mount(&["-t", "tmpfs", "-o", "mode=2775,gid=8", "tmpfs", "/var/mail"]);
        fs::write(stage.accounts(), fs::read("/etc/passwd").unwrap()).unwrap();
        open_to_all(&stage.accounts());
        mount(&["--bind", stage.accounts().to_str().unwrap(), "/etc/passwd"]);
        Ok(stage)
    }

    fn accounts(&self) -> PathBuf {
        self.dir.path().join("passwd")
    }

    /// Tells whether a test's need is met.
    pub fn has(&self, need: &str) -> bool {
        match need {
            "dovecot-lda" => Path::new(DOVECOT_LDA).exists(),
            "sieve" => Path::new(SIEVE_PLUGIN).exists(),
            "inspect" => {
                let help = Command::new(&self.program).args(["inspect", "--help"]).output();
                help.is_ok_and(|output| output.status.success())
            }
            program => PATH.split(':').any(|dir| Path::new(dir).join(program).exists()),
        }
    }

    /// A place for one test, and the user whose home it is.
    pub fn scratch(&self, test: &str) -> Scratch {
        let dir = self.dir.path().join(test);
        fs::create_dir(&dir).unwrap();
        open_to_all(&dir);
        let scratch = Scratch {
            dir,
            program: self.program.clone(),
        };
        fs::create_dir(scratch.spool()).unwrap();
        chown(scratch.spool(), Some(0), Some(MAIL_GID)).unwrap();
        fs::set_permissions(scratch.spool(), fs::Permissions::from_mode(0o2775)).unwrap();
        fs::create_dir(scratch.home()).unwrap();
        chown(scratch.home(), Some(UID), Some(MAIL_GID)).unwrap();
        // Written in place, since this very file is what the namespace shows as /etc/passwd.
        let host = fs::read_to_string("/etc/passwd").unwrap();
        let others = host.lines().filter(|line| !line.contains(&format!(":{UID}:")));
        let own = format!("{USER}:x:{UID}:{MAIL_GID}::{}:/bin/sh", scratch.home().display());
        let lines: Vec<&str> = std::iter::once(own.as_str()).chain(others).collect();
        fs::write(self.accounts(), lines.join("\n") + "\n").unwrap();
        scratch.configure("");
        scratch
    }
}

/// The place of one test.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    program: PathBuf,
}

impl Scratch {
    /// The spool directory, 2775 root:mail.
    pub fn spool(&self) -> PathBuf {
        self.dir.join("mail")
    }

    /// The user's mailbox in it.
    pub fn mailbox(&self) -> PathBuf {
        self.spool().join(USER)
    }

    /// The user's home.
    pub fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// A file in the home, which may not exist.
    pub fn at_home(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    /// What a file holds; nothing where there is none.
    pub fn read(&self, path: &Path) -> String {
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    /// The program under test.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The path of its configuration.
    pub fn configuration(&self) -> PathBuf {
        self.dir.join("spoolguard.toml")
    }

    /// Where forwarded mail ends up.
    pub fn outbox(&self) -> PathBuf {
        self.at_home("outbox")
    }

    /// Where diverted mail ends up.
    pub fn admin(&self) -> PathBuf {
        self.at_home("admin")
    }

    /// The command `spoolguard`, with this place's configuration, by one path without arguments.
    pub fn wrapper(&self) -> PathBuf {
        self.dir.join("bin/spoolguard")
    }

    /// Writes the configuration, with more lines in front of the tables.
    pub fn configure(&self, more: &str) {
        let text = format!(
            "admin = \"{}\"\nstate_dir = \"{}\"\n{more}\n[mailbox]\nlocation = \"mbox:{}/%u\"\nmin_free = \"1M\"\n\
             [forward]\ntransport = \"outbox:{}\"\n[log]\nto = \"none\"\n",
            self.admin().display(),
            self.at_home("state").display(),
            self.spool().display(),
            self.outbox().display(),
        );
        fs::write(self.configuration(), text).unwrap();
        let wrapper = self.wrapper();
        fs::create_dir_all(wrapper.parent().unwrap()).unwrap();
        let script = format!(
            "#!/bin/sh\nexec {} --config {} \"$@\"\n",
            self.program.display(),
            self.configuration().display()
        );
        fs::write(&wrapper, script).unwrap();
        open_to_all(wrapper.parent().unwrap());
        open_to_all(&wrapper);
    }

    /// Writes a file of the user's.
    pub fn write_at_home(&self, name: &str, text: &str) -> PathBuf {
        let path = self.at_home(name);
        fs::write(&path, text).unwrap();
        chown(&path, Some(UID), Some(MAIL_GID)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A program run by the user, in group `mail` as Debian's mail systems deliver to /var/mail, in a clean
    /// environment.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .uid(UID)
            .gid(MAIL_GID)
            .env_clear()
            .envs([("PATH", PATH), ("LOGNAME", USER), ("USER", USER), ("TZ", "UTC")])
            .env("HOME", self.home())
            .current_dir(self.home())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command on a message.
    pub fn feed(&self, command: &mut Command, message: &[u8]) -> Output {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let mut input = child.stdin.take().unwrap();
        // A program that fails need not read all of it.
        let _ = input.write_all(message);
        drop(input);
        child.wait_with_output().unwrap()
    }
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn mount(arguments: &[&str]) {
    let output = Command::new("mount").args(arguments).output().unwrap();
    assert!(output.status.success(), "mount {arguments:?}: {output:?}");
}
