//! How a run ends: `Status` for the mail system, `Error` for the person who reads the one line that goes with it.
//!
//! An `Error` holds facts. Its `Display` is the only place that makes a sentence of them: `cannot <verb> <object>: <cause>`.

use crate::escape::make_visible;
use std::fmt;
use std::io;
use std::path::Path;

/// The exit status of a run. Mail systems bounce on nearly every other number, so a delivering run ends with one of the
/// first three and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Status {
    /// 0: done, and safely on disk or accepted by sendmail.
    Done,
    /// 75, `EX_TEMPFAIL` (sysexits.h): the mail system keeps the message and tries again.
    TryAgain,
    /// 77, `EX_NOPERM`: the message is refused, because configuration says so.
    Refused,
    /// 1: an administrator's command found something wrong, or a condition is false.
    Wrong,
    /// 64, `EX_USAGE`: an administrator's command cannot be understood.
    Usage,
}

impl Status {
    /// The number for exit(2).
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Wrong => 1,
            Self::Usage => 64,
            Self::TryAgain => 75,
            Self::Refused => 77,
        }
    }
}

/// What went wrong, as RFC 3463 sorts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// 4.2.0: the mailbox is locked, or is not what a mailbox has to be.
    Mailbox,
    /// 4.2.2: the mailbox is full.
    MailboxFull,
    /// 4.3.1: the file system is full.
    SystemFull,
    /// 4.3.0: something in this host.
    System,
    /// 4.3.5: flags or configuration.
    Configuration,
    /// 4.3.5: what was typed names nothing: no such user, or no address.
    Arguments,
    /// 4.4.0: sendmail did not take the message.
    Submission,
    /// 5.2.2: the mailbox is full, and configuration says to refuse.
    Refused,
}

impl Category {
    /// The enhanced status code (RFC 3463), which Postfix believes when it opens the output of a command.
    pub fn enhanced_status(self) -> &'static str {
        match self {
            Self::Mailbox => "4.2.0",
            Self::MailboxFull => "4.2.2",
            Self::SystemFull => "4.3.1",
            Self::System => "4.3.0",
            Self::Configuration | Self::Arguments => "4.3.5",
            Self::Submission => "4.4.0",
            Self::Refused => "5.2.2",
        }
    }
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It may pass by itself: a lock, a full disk.
    MayPass,
    /// Somebody has to mend it first: rights, a symbolic link, a missing directory.
    NeedsMending,
}

/// `ELOOP` (errno(3)), whose kind has no stable name: links that lead to each other stay so until somebody mends them.
const LINK_LOOP: i32 = 40;

/// What lets a file grow that the MTA's limits hold down.
const FILE_SIZE_LIMIT: &str = "raise the file size limit that its MTA sets (Postfix's mailbox_size_limit; ulimit -f)";

/// The facts of one failure.
#[derive(Debug)]
pub struct Error {
    class: Category,
    outlook: Retry,
    verb: &'static str,
    object: String,
    cause: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Notes that `verb`-ing `object` failed because of `cause`; it may pass.
    pub fn new(class: Category, verb: &'static str, object: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self {
            class,
            outlook: Retry::MayPass,
            verb,
            object: shown_object(&object.to_string()),
            cause: make_visible(&cause.to_string()),
            hint: None,
            source: None,
        }
    }

    /// Notes that `verb`-ing `object` failed since something else did, which stays its source.
    pub fn from_cause(
        class: Category,
        verb: &'static str,
        object: impl fmt::Display,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        let error = Self::new(class, verb, object, &cause);
        Self {
            source: Some(Box::new(cause)),
            ..error
        }
    }

    /// Notes a failed system call on `path`.
    pub fn io(verb: &'static str, path: &Path, source: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        let kind = source.kind();
        let class = if matches!(kind, Kind::StorageFull | Kind::FileTooLarge) {
            Category::SystemFull
        } else if kind == Kind::QuotaExceeded {
            Category::MailboxFull
        } else {
            Category::System
        };
        let needs_mending = matches!(
            kind,
            Kind::NotFound
                | Kind::PermissionDenied
                | Kind::ReadOnlyFilesystem
                | Kind::NotADirectory
                | Kind::IsADirectory
                | Kind::InvalidFilename
                | Kind::InvalidInput
        ) || kind == io::Error::from_raw_os_error(LINK_LOOP).kind();
        let outlook = if needs_mending {
            Retry::NeedsMending
        } else {
            Retry::MayPass
        };
        // The limit of the process (setrlimit(2)): a file system's own is beyond every mailbox.
        let hint = (kind == Kind::FileTooLarge).then(|| FILE_SIZE_LIMIT.to_owned());
        Self {
            outlook,
            hint,
            // What the system said is its number; what Rust said is a kind and words.
            source: Some(Box::new(match source.raw_os_error() {
                Some(number) => io::Error::from_raw_os_error(number),
                None => io::Error::new(kind, source.to_string()),
            })),
            ..Self::new(class, verb, path.display(), cause_text(source))
        }
    }

    /// Says that trying again cannot help.
    pub fn needs_mending(mut self) -> Self {
        self.outlook = Retry::NeedsMending;
        self
    }

    /// Says how a person can mend it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(make_visible(&hint.into()));
        self
    }

    /// Says so where nothing is said yet.
    pub fn or_hint(self, hint: &str) -> Self {
        match self.hint {
            Some(_) => self,
            None => self.hint(hint),
        }
    }

    /// Sorts it elsewhere.
    pub fn class(mut self, class: Category) -> Self {
        self.class = class;
        self
    }

    /// Tells whether a file system, or the user's part of it, is full.
    pub fn is_lack_of_room(&self) -> bool {
        matches!(self.class, Category::SystemFull | Category::MailboxFull)
    }

    /// Whether trying again can help.
    pub fn retry_outlook(&self) -> Retry {
        self.outlook
    }

    /// The status that a delivering run ends with.
    pub fn status(&self) -> Status {
        match self.class {
            Category::Refused => Status::Refused,
            Category::Mailbox
            | Category::MailboxFull
            | Category::SystemFull
            | Category::System
            | Category::Configuration
            | Category::Arguments
            | Category::Submission => Status::TryAgain,
        }
    }

    /// The status that a command ends with which delivers nothing.
    pub fn command_status(&self) -> Status {
        match self.class {
            Category::Arguments => Status::Usage,
            Category::Mailbox
            | Category::MailboxFull
            | Category::SystemFull
            | Category::System
            | Category::Configuration
            | Category::Submission
            | Category::Refused => Status::TryAgain,
        }
    }

    /// The one line that a mail system reads: our enhanced status, our name, the sentence.
    pub fn line(&self) -> String {
        format!("{} spoolguard: {self}\n", self.class.enhanced_status())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.verb, self.object, self.cause)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// As many bytes of an object are shown: more than any path that a system takes (`PATH_MAX`, limits.h).
const MOST_SHOWN: usize = 4096;

/// The object of a sentence: what is empty is seen to be, and what somebody filled a line with is cut.
fn shown_object(object: &str) -> String {
    match object {
        "" => "\"\"".to_owned(),
        long if long.len() > MOST_SHOWN => format!("{}...", make_visible(&long.chars().take(80).collect::<String>())),
        _ => make_visible(object),
    }
}

/// The words of an operating system error, without Rust's "(os error 2)".
pub fn cause_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Category, Error, Status};
    use crate::escape::make_visible;
    use std::error::Error as StdError;
    use std::io;
    use std::path::Path;

    #[test]
    fn an_error_is_one_line_that_starts_with_its_status() {
        let error = Error::io("open", Path::new("/var/mail/a\nb"), &io::Error::from_raw_os_error(28));
        assert_eq!(
            error.line(),
            "4.3.1 spoolguard: cannot open /var/mail/a\\nb: no space left on device\n"
        );
        assert_eq!(error.status(), Status::TryAgain);
        let refused = Error::new(Category::Refused, "deliver to", "a", "the mailbox is full").hint("delete something");
        assert_eq!(
            refused.line(),
            "5.2.2 spoolguard: cannot deliver to a: the mailbox is full; delete something\n"
        );
        assert_eq!(refused.status().code(), 77);
    }

    #[test]
    fn what_failed_first_stays_the_source_and_is_printed_as_ever() {
        let inner = Error::io("open", Path::new("/a"), &io::Error::from_raw_os_error(13));
        let printed = inner.to_string();
        let middle = io::Error::other(inner);
        let outer = Error::from_cause(Category::System, "write", "the answer", middle);
        assert_eq!(outer.to_string(), format!("cannot write the answer: {printed}"));
        let kind = |error: &(dyn StdError + 'static)| error.downcast_ref::<io::Error>().map(io::Error::kind);
        let middle = outer.source();
        assert_eq!(middle.and_then(kind), Some(io::ErrorKind::Other));
        // What an io::Error holds is skipped by its source(), which goes on with the next.
        let last = middle.and_then(StdError::source);
        assert_eq!(last.and_then(kind), Some(io::ErrorKind::PermissionDenied));
        assert!(last.and_then(StdError::source).is_none());
        let plain = Error::new(Category::System, "use", "it", "no");
        assert!(plain.source().is_none());
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(make_visible("a\u{1b}[2J\rb\u{202e}"), "a\\u{1b}[2J\\rb\\u{202e}");
        assert_eq!(make_visible("grüße"), "grüße");
    }
}
