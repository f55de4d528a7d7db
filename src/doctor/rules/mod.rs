//! Pure judgement of what a host's programs and files say about mail, from text that others read.
//!
//! A judgement is a list of findings. Each says what is so, and how to fix it where somebody has to.

pub mod alias_targets;
pub mod aliases;
pub mod dot_forward;
pub mod dovecot;
pub mod filter_file;
pub mod growth;
pub mod guard_line;
pub mod limits;
pub mod lock_conflicts;
pub mod lock_conventions;
pub mod master_cf;
pub mod mta_commands;
pub mod pair;
pub mod policy_check;
pub mod procmailrc;
pub mod queue;
pub mod rcpt_check;
pub mod running_mta;
pub mod settings;
pub mod unread_files;

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    Configuration,
    /// Which locks another program takes.
    Locks,
    LockOrder,
    /// Who holds a lock now.
    Holder,
    Spool,
    /// What users can do there.
    Rights,
    FileSystem,
    Submit,
    /// Who gets what is diverted.
    Admin,
    /// What bounds the size of files and the time of commands.
    Limits,
    /// How the mail system runs spoolguard.
    MailSystem,
    Forward,
    Procmailrc,
    Mailbox,
    /// A user's state directory.
    State,
    /// What the user database says of names and numbers.
    Users,
    Queue,
    /// What an MTA that is running may do, and sees.
    RunningMta,
    /// Aliases and virtual maps that forward.
    Aliases,
    /// How full mailboxes are, and what happens then.
    Quota,
    Log,
    LeftOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Mail is lost, bounced, delayed or goes round: somebody has to fix it.
    Error,
    /// Somebody should know.
    Warning,
    Ok,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub check: Check,
    pub level: Level,
    /// What it is about: a program, a file, a user.
    pub subject: String,
    /// What is so, in one line.
    pub finding: String,
    /// What to do, in one line.
    pub remedy: Option<String>,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Ok => "ok",
        }
    }
}

impl Check {
    /// Names what findings of this check are about: a program, a file, a user.
    pub fn about(self, subject: impl fmt::Display) -> CheckSubject {
        CheckSubject {
            check: self,
            subject: subject.to_string(),
            line: None,
        }
    }
}

/// What is looked at, and by which check: makes the findings about it.
#[derive(Clone, Debug)]
pub struct CheckSubject {
    check: Check,
    subject: String,
    line: Option<usize>,
}

impl CheckSubject {
    pub fn at_line(&self, line: usize) -> Self {
        Self {
            line: Some(line),
            ..self.clone()
        }
    }

    pub fn ok(&self, finding: impl Into<String>) -> Finding {
        Finding {
            check: self.check,
            level: Level::Ok,
            subject: self.subject.clone(),
            finding: match self.line {
                Some(line) => format!("line {line}: {}", finding.into()),
                None => finding.into(),
            },
            remedy: None,
        }
    }

    /// Makes a warning where nothing is to be done.
    pub fn note(&self, finding: impl Into<String>) -> Finding {
        Finding {
            level: Level::Warning,
            ..self.ok(finding)
        }
    }

    pub fn warning(&self, finding: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.note(finding).remedy(remedy)
    }

    pub fn error(&self, finding: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding {
            level: Level::Error,
            ..self.ok(finding).remedy(remedy)
        }
    }
}

impl Finding {
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
