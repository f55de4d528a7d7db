//! Where the programs deliver: a scratch directory on the disk that is measured, and for each program a user of its own
//! with a home and a mailbox. As root in a mount namespace, in which /var/mail is the scratch directory, /etc/passwd
//! knows the users and nobody logs; else as whoever runs this, who cannot have that, and without those programs that
//! write to /var/mail.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{User, getgid, getuid, syncfs};

use crate::namespace;

/// The first user; the others follow.
const FIRST_UID: u32 = 64_200;

/// Debian's group `mail`, which owns /var/mail.
const MAIL_GID: u32 = 8;

const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// What all sections share.
pub struct Stage {
    dir: tempfile::TempDir,
    /// Whether there is a namespace.
    pub whole: bool,
}

/// A user with a home and a mailbox.
#[derive(Clone)]
pub struct Seat {
    pub user: String,
    pub home: PathBuf,
    /// The mailbox as programs name it.
    pub mailbox: PathBuf,
    /// The same file, by the name by which it can be moved within the scratch directory.
    pub file: PathBuf,
    /// Numbers of user and group where programs have to become that user.
    ids: Option<(u32, u32)>,
}

impl Stage {
    /// Makes the place, in a namespace where that can be: this program is then started again in it.
    pub fn enter(below: &Path) -> Self {
        let whole = getuid().is_root() && namespace::enter();
        let dir = tempfile::Builder::new()
            .prefix("spoolguard-bench-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(below)
            .unwrap();
        let stage = Self { dir, whole };
        for name in ["bin", "mail", "home"] {
            fs::create_dir(stage.path(name)).unwrap();
        }
        if whole {
            chown(stage.path("mail"), Some(0), Some(MAIL_GID)).unwrap();
            fs::set_permissions(stage.path("mail"), Permissions::from_mode(0o2775)).unwrap();
            mount(&["--bind".as_ref(), &stage.path("mail"), "/var/mail".as_ref()]);
            fs::copy("/etc/passwd", stage.path("passwd")).unwrap();
            mount(&["--bind".as_ref(), &stage.path("passwd"), "/etc/passwd".as_ref()]);
            if Path::new("/dev/log").exists() {
                File::create(stage.path("log")).unwrap();
                mount(&["--bind".as_ref(), &stage.path("log"), "/dev/log".as_ref()]);
            }
        }
        stage
    }

    /// A path in the scratch directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A copy of a program where every user can reach it, without set-id bits.
    pub fn bring(&self, program: &Path, name: &str) -> PathBuf {
        let to = self.path("bin").join(name);
        fs::copy(program, &to).unwrap_or_else(|e| panic!("cannot copy {}: {e}", program.display()));
        fs::set_permissions(&to, Permissions::from_mode(0o755)).unwrap();
        to
    }

    /// A copy of a directory where every user can reach it. No mount: what is in the scratch directory goes with it.
    pub fn bring_all(&self, dir: &Path, name: &str) -> Option<PathBuf> {
        let to = self.path(name);
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(dir).arg(&to);
        (dir.is_dir() && copy.status().is_ok_and(|status| status.success())).then_some(to)
    }

    /// Adds what is in a directory to what is in one of the system's. Whether it can be done.
    pub fn overlay(&self, dir: &Path, over: &str) -> bool {
        let both = format!("lowerdir={}:{over}", dir.display());
        let words = ["-t", "overlay", "-o", &both, "none", over];
        Command::new("mount")
            .args(words)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// A new user.
    pub fn seat(&self, name: &str) -> Seat {
        let home = self.path("home").join(name);
        fs::create_dir(&home).unwrap();
        let seat = if self.whole {
            let others = fs::read_to_string(self.path("passwd")).unwrap();
            let uid = FIRST_UID + u32::try_from(others.matches(":bench:").count()).unwrap();
            let own = format!("{name}:x:{uid}:{MAIL_GID}:bench:{}:/bin/sh\n", home.display());
            // In front, since one of the numbers may be there already.
            self.put_users(&(own + &others));
            Seat {
                user: name.to_owned(),
                home,
                mailbox: Path::new("/var/mail").join(name),
                file: self.path("mail").join(name),
                ids: Some((uid, MAIL_GID)),
            }
        } else {
            let user = User::from_uid(getuid()).unwrap().expect("a user with a name").name;
            let spool = self.path("mail").join(name);
            fs::create_dir(&spool).unwrap();
            let mailbox = spool.join(&user);
            Seat {
                user,
                home,
                file: mailbox.clone(),
                mailbox,
                ids: None,
            }
        };
        seat.own(&seat.home);
        seat.fill(b"");
        seat
    }

    /// Puts so many users in front of those that there are; what there was.
    pub fn add_users(&self, count: u32) -> String {
        let kept = fs::read_to_string(self.path("passwd")).unwrap();
        let line = |number| {
            format!(
                "u{number}:x:{}:{number}:A user of a large host:/home/u{number}:/bin/sh\n",
                100_000 + number
            )
        };
        let many: String = (0..count).map(line).collect();
        self.put_users(&(many + &kept));
        kept
    }

    /// Writes what the namespace shows as /etc/passwd, in place, since it is this very file that it shows.
    pub fn put_users(&self, text: &str) {
        fs::write(self.path("passwd"), text).unwrap();
    }

    /// Waits until everything is on the disk, so that nobody pays for what another one left.
    pub fn settle(&self) {
        syncfs(File::open(self.dir.path()).unwrap()).unwrap();
    }
}

impl Seat {
    /// Gives the user a file.
    fn own(&self, path: &Path) {
        if let Some((uid, gid)) = self.ids {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    /// Makes the mailbox anew, with these bytes in it, and without the lock of a program that was killed.
    pub fn fill(&self, bytes: &[u8]) {
        let mut lock = self.file.clone().into_os_string();
        lock.push(".lock");
        let _ = fs::remove_file(lock);
        fs::write(&self.file, bytes).unwrap();
        self.take_over();
    }

    /// Puts a file into the mailbox's place.
    pub fn take(&self, file: &Path) {
        fs::rename(file, &self.file).unwrap();
        self.take_over();
    }

    fn take_over(&self) {
        self.own(&self.file);
        fs::set_permissions(&self.file, Permissions::from_mode(0o660)).unwrap();
    }

    /// A path in the home.
    pub fn at_home(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Writes a file of the user's.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.at_home(name);
        fs::write(&path, text).unwrap();
        self.own(&path);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Makes a directory of the user's.
    pub fn make_dir(&self, name: &str) {
        let mut path = self.home.clone();
        for part in Path::new(name) {
            path.push(part);
            if fs::create_dir(&path).is_ok() {
                self.own(&path);
                fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
            }
        }
    }

    /// A program run by the user, in group `mail` as mail systems on Debian run it, in a clean environment; or below a
    /// tool that watches it.
    pub fn command(&self, under: &[OsString], program: &Path) -> Command {
        let mut words = under.iter().map(OsString::as_os_str).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        if let Some((uid, gid)) = self.ids {
            command.uid(uid).gid(gid);
        }
        command
            .env_clear()
            .envs([
                ("PATH", PATH),
                ("LOGNAME", &self.user),
                ("USER", &self.user),
                ("TZ", "UTC"),
            ])
            .env("HOME", &self.home)
            .current_dir(&self.home);
        command
    }

    /// The number of the group whose programs these are.
    pub fn gid(&self) -> u32 {
        self.ids.map_or_else(|| getgid().as_raw(), |(_, gid)| gid)
    }
}

fn mount(words: &[&Path]) {
    let output = Command::new("mount").args(words).output().unwrap();
    assert!(output.status.success(), "mount {words:?}: {output:?}");
}
