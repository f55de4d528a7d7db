//! Names the holder of a mailbox to people who wait for it: the process and its program, or that the process is gone
//! and what to do then. Nothing is decided by it. Where the holder is unknown, it says how to find out.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::LockMethod;
use crate::mailbox::lock::dotlock::{is_no_dotlock, is_of_another_host, read_dotlock};
use crate::sys::dirs::with_suffix;
use crate::sys::procfs::{self, is_alive, program_of};

/// Who has a lock that is in our way.
#[derive(Debug, PartialEq, Eq)]
pub struct Holder {
    /// What is held, and by whom: `/var/mail/a.lock exists, made by process 4711 (mutt)`.
    pub text: String,
    /// Whether its process is gone.
    pub is_gone: bool,
    pub remedy: String,
}

impl Holder {
    /// Looks who made the dotlock of the mailbox.
    pub fn of_dotlock(mailbox: &Path) -> Self {
        let path = &with_suffix(mailbox, ".lock");
        let named = path.display();
        if path.symlink_metadata().is_ok_and(|stat| is_no_dotlock(&stat)) {
            return Self {
                text: format!("{named} is there, and is no dotlock"),
                is_gone: false,
                remedy: format!("move it away: mv {named} {named}.old"),
            };
        }
        let text = read_dotlock(path);
        let pid = text.lines().next().and_then(|line| line.trim().parse::<i32>().ok());
        match pid.filter(|pid| *pid > 1 && !is_of_another_host(&text)) {
            Some(pid) if !is_alive(pid) => Self {
                text: format!("{named} exists, made by process {pid}, which is gone"),
                is_gone: true,
                remedy: format!("if no other host uses this mailbox: rm {named}"),
            },
            Some(pid) => Self {
                text: format!("{named} exists, made by process {pid}{}", program_of(pid)),
                is_gone: false,
                remedy: format!("end process {pid} if it hangs"),
            },
            None => Self {
                text: format!("{named} exists, and does not say whose it is"),
                is_gone: false,
                remedy: format!("if no program uses this mailbox: rm {named}"),
            },
        }
    }

    /// Looks who has this lock on the mailbox; `kind` is what the kernel calls it.
    pub fn of_kernel_lock(mailbox: &Path, name: LockMethod, kind: &str) -> Self {
        let stat = mailbox.metadata().ok();
        let pid = stat.and_then(|stat| procfs::find_lock_holder(kind, stat.dev(), stat.ino()));
        match pid {
            Some(pid) => Self {
                text: format!("process {pid}{} holds its {name} lock", program_of(pid)),
                is_gone: false,
                remedy: format!("end process {pid} if it hangs"),
            },
            None => Self {
                text: format!("another program holds its {name} lock"),
                is_gone: false,
                remedy: format!("to see which: fuser -v {}", mailbox.display()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Holder;

    #[test]
    fn a_dotlock_is_as_alive_as_the_process_that_it_names() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let mailbox = dir.path().join("a");
        let own = std::process::id();
        for (content, part, is_gone) in [
            (
                "2000000000\n".to_owned(),
                "made by process 2000000000, which is gone",
                true,
            ),
            (format!("{own}\n"), &*format!("made by process {own} ("), false),
            ("0".to_owned(), "does not say whose it is", false),
            ("1".to_owned(), "does not say whose it is", false),
            (String::new(), "does not say whose it is", false),
            (
                "2000000000\nspoolguard host=elsewhere.test boot=x\n".to_owned(),
                "does not say whose it is",
                false,
            ),
        ] {
            assert!(std::fs::write(dir.path().join("a.lock"), &content).is_ok());
            let found = Holder::of_dotlock(&mailbox);
            assert!(found.text.contains(part), "{content:?}: {found:?}");
            assert_eq!(found.is_gone, is_gone, "{content:?}: {found:?}");
        }
    }
}
