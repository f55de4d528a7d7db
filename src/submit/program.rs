//! Whose sendmail a program is, which decides what it understands and what its answers mean. It is never started to find out.

use std::path::Path;

use crate::report::sendmail_reply::Ending;

/// Whose program it is. All are called by the same name, and Debian's alternatives lead to the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendmailKind {
    /// Sendmail's own.
    Sendmail,
    /// Postfix's.
    Postfix,
    /// Any other, or not known for sure.
    Other,
}

impl SendmailKind {
    /// Finds out whose it is, without starting it.
    #[must_use]
    pub fn of(program: &Path) -> Self {
        let real = program.canonicalize().unwrap_or_default();
        let is = |ends: &[&str]| ends.iter().any(|end| real.ends_with(end));
        // Postfix's runs postdrop, which lies in the same directory and nowhere else (postfix-files(5)); where several mail
        // systems are installed, its sendmail has a longer name.
        let has_postdrop = || real.with_file_name("postdrop").is_file();
        if is(&["sendmail/sendmail", "sm.bin/sendmail", "sendmail.sendmail"]) {
            Self::Sendmail
        } else if is(&["sendmail.postfix"]) || (is(&["sbin/sendmail"]) && has_postdrop()) {
            Self::Postfix
        } else {
            Self::Other
        }
    }

    /// The flags that ask for reports with the whole message (RFC 3461 section 4.3). Exim runs its queue for `-R`, OpenSMTPD's
    /// server refuses the message for it (503, measured with 6.8), and others do not know it.
    #[must_use]
    pub fn returns(self) -> &'static [&'static str] {
        match self {
            Self::Sendmail | Self::Postfix => &["-R", "full"],
            Self::Other => &[],
        }
    }

    /// Sendmail itself sends to the good addresses and says with its status that there was a bad one; it does not say which. Exim
    /// and OpenSMTPD then have sent nothing.
    #[must_use]
    pub fn has_sent_the_rest(self, ending: Ending) -> bool {
        self == Self::Sendmail && matches!(ending, Ending::Status(64 | 65 | 67 | 68))
    }
}
