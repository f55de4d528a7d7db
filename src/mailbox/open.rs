//! Opens or creates a mailbox. Refuses anything that is not a regular file of the right owner with one link. Locks
//! nothing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::Mode;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::{Category, Error};
use crate::mailbox::setgid::{self, SpoolDirAccess};
use crate::sys::dirs::{open_unread, parent_of};

/// Whose mailbox this has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This user, and nobody else.
    Exactly(u32),
    /// The administrator named the path: whoever owns it, but in a directory that everybody may write to only this user
    /// or root.
    Trusted(u32),
}

fn open(path: &Path) -> io::Result<File> {
    open_unread(OpenOptions::new().read(true).append(true), path)
}

/// What to do where there is no mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Make an empty one: mail comes in.
    Create,
    /// Refuse.
    Refuse,
}

/// Opens the mailbox; where there is none, does what `absent` says, in `place` if it is the own one. Fails when the
/// path is no mailbox, or there is none and none is made.
pub fn open_or(path: &Path, owner: Owner, absent: Absent, place: Option<&SpoolDirAccess>) -> Result<File, Error> {
    match open(path) {
        Ok(file) => {
            check_file(&file, path, owner)?;
            Ok(file)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound && absent == Absent::Create => create(path, owner, place),
        Err(e) if e.raw_os_error() == Some(libc::ELOOP) => Err(not_a_mailbox(path, "it is a symbolic link")),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENXIO | libc::ENODEV)) => {
            Err(not_a_mailbox(path, "it is no regular file"))
        }
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => {
            Err(not_a_mailbox(path, "it is a directory, and not an mbox"))
        }
        Err(e) => Err(Error::io("open", path, &e).class(Category::Mailbox)),
    }
}

/// Opens the mailbox, if there is one.
pub fn open_existing(path: &Path, owner: Owner) -> Result<Option<File>, Error> {
    match path.symlink_metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        _ => open_or(path, owner, Absent::Refuse, None).map(Some),
    }
}

/// Makes an empty mailbox for somebody else, as root, where there is none. Where the directory hands its group on, the
/// mailbox keeps that, as MTAs want it.
pub fn create_for(path: &Path, uid: u32, gid: Option<u32>) -> Result<(), Error> {
    let dir = parent_of(path)
        .metadata()
        .map_err(|e| Error::io("examine", parent_of(path), &e))?;
    let hands_group_on = dir.mode() & 0o2000 != 0;
    let fail = |e: io::Error| Error::io("create mailbox", path, &e).class(Category::Mailbox);
    // Under another name until it is the user's: a mailbox that is root's would hold up every delivery.
    let mut draft = std::ffi::OsString::from(".");
    draft.push(path.file_name().unwrap_or_default());
    draft.push(format!(".spoolguard-new-{}", std::process::id()));
    let draft = path.with_file_name(draft);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(&draft)
        .map_err(fail)?;
    let mode = if hands_group_on && dir.mode() & 0o020 != 0 {
        0o660
    } else {
        0o600
    };
    let gid = gid.filter(|_| !hands_group_on);
    let made = std::os::unix::fs::fchown(&file, Some(uid), gid)
        .and_then(|()| file.set_permissions(std::fs::Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all())
        .and_then(|()| rename_to_free(&draft, path));
    if made.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    match made {
        // Mail came in meanwhile, and with it a mailbox.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result.map_err(fail),
    }
}

/// Renames, but over nothing.
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    // Not nix's: that one needs glibc, and the program is built for musl, too.
    let renamed = renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE);
    match renamed {
        // Not on every file system.
        Err(Errno::INVAL | Errno::NOSYS) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        result => result.map_err(io::Error::from),
    }
}

/// Makes an empty mailbox: 0660 where the directory belongs to a group that writes to it, 0600 elsewhere.
fn create(path: &Path, owner: Owner, place: Option<&SpoolDirAccess>) -> Result<File, Error> {
    let dir = parent_of(path);
    let made = setgid::create_file(
        place,
        path,
        OFlag::O_RDWR | OFlag::O_APPEND,
        Mode::S_IRUSR | Mode::S_IWUSR,
    );
    let file = match made {
        Ok(file) => file,
        // Somebody was faster; or a link stood there, and the next look will say so.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let file = open(path).map_err(|e| Error::io("open", path, &e).class(Category::Mailbox))?;
            check_file(&file, path, owner)?;
            return Ok(file);
        }
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Error::io("create mailbox", path, &e)
                .class(Category::Mailbox)
                .hint(how_to_create(path)));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(no_directory(path)),
        Err(e) => return Err(Error::io("create mailbox", path, &e)),
    };
    let shared = dir
        .metadata()
        .is_ok_and(|d| d.mode() & 0o020 != 0 && file.metadata().is_ok_and(|f| f.gid() == d.gid()));
    let mode = if shared { 0o660 } else { 0o600 };
    // The caller's umask says nothing about mailboxes.
    file.set_permissions(std::fs::Permissions::from_mode(mode))
        .map_err(|e| Error::io("set the mode of", path, &e))?;
    Ok(file)
}

/// Says how a mailbox is made in a directory where its user may make none.
fn how_to_create(path: &Path) -> String {
    let dir = parent_of(path);
    let user = path.file_name().unwrap_or_default().to_string_lossy();
    let for_all = match dir.metadata().is_ok_and(|stat| stat.mode() & 0o020 == 0) {
        true => format!(
            "chmod g+w {}, for a spoolguard that is setgid to its group",
            dir.display()
        ),
        false => "install spoolguard setgid mail".to_owned(),
    };
    format!(
        "create it once as root (install -m 660 -o {user} -g mail /dev/null {}), or {for_all} (spoolguard-deliver(1), SETGID)",
        path.display()
    )
}

/// Refuses what is no mailbox: one that is linked elsewhere too, special files, programs, somebody else's.
pub fn check_file(file: &File, path: &Path, owner: Owner) -> Result<(), Error> {
    let stat = file.metadata().map_err(|e| Error::io("examine", path, &e))?;
    if !stat.is_file() {
        return Err(not_a_mailbox(path, "it is no regular file"));
    }
    if stat.nlink() > 1 {
        // In a directory that others write to, a second name may be anybody's trap (CVE-2008-2936, CVE-2010-2023).
        return Err(not_a_mailbox(path, "it has more than one link"));
    }
    if stat.mode() & 0o6000 != 0 {
        // procmail takes it for a mailbox that is forwarded, and a program is none.
        return Err(not_a_mailbox(path, "it has the setuid or setgid bit").hint("chmod ug-s it"));
    }
    let uid = stat.uid();
    match owner {
        Owner::Exactly(user) if user != uid => Err(not_a_mailbox(
            path,
            &format!("it belongs to uid {uid}, not to uid {user}"),
        )
        .hint("give it to the user with chown")),
        Owner::Trusted(user) if user != uid && uid != 0 && everybody_writes(path) => Err(not_a_mailbox(
            path,
            &format!("it belongs to uid {uid}, in a directory that everybody may write to"),
        )),
        Owner::Exactly(_) | Owner::Trusted(_) => Ok(()),
    }
}

fn everybody_writes(path: &Path) -> bool {
    parent_of(path).metadata().is_ok_and(|dir| dir.mode() & 0o002 != 0)
}

/// Says that there is no directory for a mailbox at `path`.
pub fn no_directory(path: &Path) -> Error {
    let cause = format!("the directory {} does not exist", parent_of(path).display());
    Error::new(Category::Mailbox, "create mailbox", path.display(), cause).needs_mending()
}

/// Refuses to use `path` as a mailbox.
pub fn not_a_mailbox(path: &Path, cause: &str) -> Error {
    Error::new(Category::Mailbox, "use as a mailbox", path.display(), cause).needs_mending()
}
