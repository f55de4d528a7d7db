//! What a host's programs and files say about mail, and whether that fits together: pure judgement, from text that others read.
//!
//! A judgement is a list of findings. Each says what is so, and what to do about it where somebody has to.

pub mod alias_targets;
pub mod aliases;
pub mod dot_forward;
pub mod limits;
pub mod lock_conflicts;
pub mod lock_conventions;
pub mod proc_locks;
pub mod procmailrc;
pub mod settings;

use serde::{Deserialize, Serialize};

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The configuration of spoolguard.
    Configuration,
    /// Which locks another program takes.
    Locks,
    /// In which order.
    LockOrder,
    /// Who holds a lock now.
    Holder,
    /// What lies in the spool directory, and whose it is.
    Spool,
    /// What users can do there.
    Rights,
    /// What the file system can do.
    FileSystem,
    /// How mail leaves.
    Submit,
    /// Who gets what is diverted.
    Admin,
    /// What bounds the size of files and the time of commands.
    Limits,
    /// How the mail system runs spoolguard.
    MailSystem,
    /// A user's `.forward`.
    Forward,
    /// A procmailrc.
    Procmailrc,
    /// A user's mailbox.
    Mailbox,
    /// A user's state directory.
    State,
    /// What the user database says of names and numbers.
    Users,
    /// What was not looked at.
    LeftOut,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Somebody has to mend it.
    Wrong,
    /// It is so, and somebody may want to know.
    Note,
    /// As it should be.
    Ok,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How much it matters.
    pub level: Level,
    /// What it is about: a program, a file, a user.
    pub subject: String,
    /// What is so, in one line.
    pub finding: String,
    /// What to do, in one line.
    pub remedy: Option<String>,
}

impl Finding {
    /// Something that is as it should be.
    #[must_use]
    pub fn ok(check: Check, subject: impl Into<String>, finding: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Ok,
            subject: subject.into(),
            finding: finding.into(),
            remedy: None,
        }
    }

    /// Something to know.
    #[must_use]
    pub fn note(check: Check, subject: impl Into<String>, finding: impl Into<String>) -> Self {
        Self {
            level: Level::Note,
            ..Self::ok(check, subject, finding)
        }
    }

    /// Something to mend, and how.
    #[must_use]
    pub fn wrong(
        check: Check,
        subject: impl Into<String>,
        finding: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Wrong,
            remedy: Some(remedy.into()),
            ..Self::ok(check, subject, finding)
        }
    }

    /// The same, with something that can be done.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
