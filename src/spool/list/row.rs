//! The rows of `spool list`, before they are shown: the numbers of each mailbox, and what is wrong with each name.

use crate::output::shell::{program_command, quote_path};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::value::Limit;
use crate::spool::maildirs::UserMaildir;
use crate::spool::rules::diagnosis::{Diagnosis, Remedy};
use crate::spool::rules::statistics::MailboxStats;
use crate::sys::account::AccountKind;

/// How many names of each sort are shown.
pub const NAMES: usize = 5;

#[derive(Debug)]
pub struct Findings {
    /// The mailboxes that could be looked at, sorted and cut as asked for.
    pub mailboxes: Vec<Row>,
    /// What is no mailbox, or could not be read.
    pub others: Vec<Row>,
    /// What all mailboxes take, whatever is shown of them.
    pub total: Total,
    /// Now, in seconds since 1970.
    pub now: i64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Total {
    pub mailboxes: usize,
    pub bytes: u64,
    pub messages: u64,
    /// How many bytes the user has read of them.
    pub read_bytes: u64,
}

impl Total {
    pub fn of(mailboxes: &[Row]) -> Self {
        let numbers = || mailboxes.iter().filter_map(|row| row.numbers.as_ref());
        Self {
            mailboxes: mailboxes.len(),
            bytes: mailboxes.iter().map(|row| row.bytes).sum(),
            messages: numbers().map(|numbers| numbers.survey.all.messages).sum(),
            read_bytes: numbers().map(|numbers| numbers.read_bytes).sum(),
        }
    }
}

#[derive(Debug)]
pub struct Row {
    pub path: PathBuf,
    /// Whose it is, where the name of the file does not say that.
    pub user: Option<String>,
    /// Whether that is an alias.
    pub kind: AccountKind,
    pub uid: u32,
    pub bytes: u64,
    /// What it holds, where that could be seen.
    pub numbers: Option<Numbers>,
    pub problems: Vec<RowProblem>,
}

impl Row {
    /// The user, as far as known; else the name of the file.
    pub fn name(&self) -> &OsStr {
        if let Some(user) = &self.user {
            return OsStr::new(user);
        }
        self.path.file_name().unwrap_or_default()
    }

    /// The same, told apart from a user whose name an alias has.
    pub fn display_name(&self) -> Cow<'_, OsStr> {
        match self.kind {
            AccountKind::User => Cow::Borrowed(self.name()),
            AccountKind::Alias => {
                let mut title = self.name().to_owned();
                title.push(" (alias)");
                Cow::Owned(title)
            }
        }
    }
}

#[derive(Debug)]
pub struct Numbers {
    pub limit: Limit,
    pub survey: MailboxStats,
    /// How much of it was read for that, in bytes; the rest was known from the last look.
    pub read_bytes: u64,
    /// How much it grew since the last look, in bytes, and when that was, in seconds since 1970.
    pub growth: Option<(i64, i64)>,
    pub cause: Diagnosis,
    /// The command that helps.
    pub command: Option<String>,
}

pub fn row_without_numbers(path: &Path, stat: &std::fs::Metadata) -> Row {
    Row {
        path: path.to_owned(),
        user: None,
        kind: AccountKind::User,
        uid: stat.uid(),
        bytes: stat.len(),
        numbers: None,
        problems: Vec::new(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Somebody has to mend it.
    Wrong,
    /// It is so, and nobody has to do anything.
    Note,
    /// Whoever runs this may not read it.
    NotAllowed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    pub weight: Weight,
    /// What it is: "it is a symbolic link to /etc/shadow".
    pub what: String,
    /// What to do about it: "remove it: rm ...".
    pub advice: Option<String>,
}

impl RowProblem {
    /// Something that somebody has to mend, and how.
    pub fn to_mend(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            weight: Weight::Wrong,
            what: what.into(),
            advice: Some(advice.into()),
        }
    }

    pub fn to_know(what: impl Into<String>) -> Self {
        Self {
            weight: Weight::Note,
            what: what.into(),
            advice: None,
        }
    }
}

impl Numbers {
    /// Its share of the limit, in hundredths; that of the limit which is closer.
    pub fn quota_share(&self) -> Option<u64> {
        let part = |used: u64, limit: u64| {
            let share = u128::from(used) * 100 / u128::from(limit.max(1));
            u64::try_from(share).unwrap_or(u64::MAX)
        };
        let of_bytes = self.limit.bytes.map(|limit| part(self.survey.all.bytes, limit));
        let of_messages = self.limit.messages.map(|limit| part(self.survey.all.messages, limit));
        of_bytes.max(of_messages)
    }
}

/// Tells whether a shell and every command here take this as the name of a user.
fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '@' | '+');
    name.chars().all(plain) && !name.starts_with(['-', '.'])
}

/// What a shell and every command here take for the mailbox at `path`: the user's name where it is one, else the path.
pub fn mailbox_arguments(path: &Path, config: &Config) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match path.parent() == Some(config.mailbox.location.spool_dir()) && is_plain_name(&name) {
        true => name.into_owned(),
        false => quote_path(path),
    }
}

/// The same for a Maildir: the user's name where mail of that user is put there, else the path.
pub fn maildir_arguments(found: &UserMaildir) -> String {
    match found.is_configured && is_plain_name(&found.user) {
        true => found.user.clone(),
        false => quote_path(&found.path.join("")),
    }
}

pub fn remedy_command(remedy: Remedy, what: &str) -> String {
    let rest = match remedy {
        Remedy::SweepBounces => format!("sweep {what} --bounces"),
        Remedy::SweepLoops => format!("sweep {what} --loops"),
        Remedy::SweepDuplicates => format!("sweep {what} --duplicates"),
        Remedy::ArchiveOlder(days) => format!("archive {what} --older-than {days}d"),
        Remedy::ArchiveSeen(days) => format!("archive {what} --seen --older-than {days}d"),
        Remedy::ArchiveAll => format!("archive {what} --all-mail"),
    };
    format!("{} spool {rest}", program_command())
}

#[cfg(test)]
mod tests {
    use super::mailbox_arguments;
    use crate::config::Config;
    use crate::output::shell::quote_path;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    #[test]
    fn a_name_is_what_a_shell_reads_back() {
        let config = Config::default();
        for (path, want) in [
            ("/var/mail/a", "a"),
            ("/var/mail/-a", "/var/mail/-a"),
            ("/var/mail/a b", "'/var/mail/a b'"),
            ("/var/mail/it's", "'/var/mail/it'\\''s'"),
            ("/var/mail/a\nb", "$'/var/mail/a\\012b'"),
            ("/home/a/mbox", "/home/a/mbox"),
            ("/var/mail/$(rm)", "'/var/mail/$(rm)'"),
        ] {
            assert_eq!(mailbox_arguments(Path::new(path), &config), want);
        }
        assert_eq!(quote_path(Path::new(OsStr::from_bytes(b"/x/\xff"))), "$'/x/\\377'");
    }
}
