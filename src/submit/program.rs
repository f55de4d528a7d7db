//! Tells whose sendmail a program is, which decides what it understands and what its answers mean. The program is never
//! started to find out.

use std::path::Path;

use crate::config::Transport;
use crate::report::sendmail_reply::Ending;

/// Whose program it is. All are called by the same name, and Debian's alternatives lead to the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendmailKind {
    Sendmail,
    Postfix,
    Exim,
    /// OpenSMTPD's smtpctl(8).
    OpenSmtpd,
    /// msmtp(1): hands each message to a server while we wait, without a queue.
    Msmtp,
    /// ssmtp(8): the same, and takes no other sender than the caller.
    Ssmtp,
    /// esmtp(1): the same as msmtp.
    Esmtp,
    /// nullmailer: a queue, and one server that takes all mail.
    Nullmailer,
    /// dma(8): a queue, for mail that leaves the host.
    Dma,
    /// Any other, or not known for sure.
    Other,
}

impl SendmailKind {
    /// Finds out whose it is, without starting it.
    pub fn of(program: &Path) -> Self {
        let real = program.canonicalize().unwrap_or_default();
        let is = |ends: &[&str]| ends.iter().any(|end| real.ends_with(end));
        // Postfix's runs postdrop, which lies in the same directory and nowhere else (postfix-files(5)); where several
        // mail systems are installed, its sendmail has a longer name.
        let has_postdrop = || real.with_file_name("postdrop").is_file();
        let name = real.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match name {
            "exim" | "exim4" => return Self::Exim,
            "smtpctl" => return Self::OpenSmtpd,
            "msmtp" => return Self::Msmtp,
            "ssmtp" => return Self::Ssmtp,
            "esmtp" => return Self::Esmtp,
            "dma" => return Self::Dma,
            _ => {}
        }
        if is(&["sendmail/sendmail", "sm.bin/sendmail", "sendmail.sendmail"]) {
            Self::Sendmail
        } else if is(&["sendmail.postfix"]) || (is(&["sbin/sendmail"]) && has_postdrop()) {
            Self::Postfix
        } else if real
            .ancestors()
            .nth(2)
            .is_some_and(|usr| usr.join("bin/nullmailer-inject").is_file())
        {
            Self::Nullmailer
        } else {
            Self::Other
        }
    }

    /// Whose program sends what is forwarded: none that is known where no program does.
    pub fn of_transport(transport: &Transport) -> Self {
        transport.sendmail().map_or(Self::Other, Self::of)
    }

    /// The flags beside those that all understand. Reports shall bring back the whole message (RFC 3461 section 4.3):
    /// Exim runs its queue for `-R`, OpenSMTPD's server refuses the message for it (503, measured with 6.8), and others
    /// do not know it. Exim would send a report about a message that it does not take, to the sender and at each try,
    /// instead of saying why.
    pub fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Sendmail | Self::Postfix => &["-R", "full"],
            Self::Exim => &["-oep"],
            Self::OpenSmtpd | Self::Msmtp | Self::Ssmtp | Self::Esmtp | Self::Nullmailer | Self::Dma | Self::Other => {
                &[]
            }
        }
    }

    /// How the null sender is written: esmtp makes `<<>>` of the usual one.
    pub fn null_sender(self) -> &'static str {
        if self == Self::Esmtp { "" } else { "<>" }
    }

    /// esmtp sends to the good addresses, and ends as if it had sent to none.
    pub fn takes_one_address(self) -> bool {
        self == Self::Esmtp
    }

    /// Tells whether it writes to its queue as another user or group, by a set-id bit.
    pub fn needs_set_id(self) -> bool {
        match self {
            Self::Sendmail | Self::Postfix | Self::Exim | Self::OpenSmtpd | Self::Nullmailer | Self::Dma => true,
            Self::Msmtp | Self::Ssmtp | Self::Esmtp | Self::Other => false,
        }
    }

    /// Tells whether its reports bring back the header alone: dma's do, unless `FULLBOUNCE` stands in its
    /// configuration.
    pub fn returns_header_alone(self) -> bool {
        self == Self::Dma
    }

    /// What it cannot do, as far as that matters here.
    pub fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self::Ssmtp => Some(
                "it ignores -f: whatever is forwarded or diverted has the user as its sender, so bounces of diverted mail come back; and it \
                 has no queue: mail waits in the MTA that runs spoolguard",
            ),
            Self::Msmtp | Self::Esmtp => {
                Some("it has no queue: each message waits in the MTA that runs spoolguard until the server takes it")
            }
            Self::Nullmailer => Some(
                "it takes every message at once and learns later that an address is dead: only a bounce tells that",
            ),
            Self::Dma => Some(
                "it takes every message at once and learns later that an address is dead: only a bounce tells that, and brings back the \
                 header alone, so a copy of whatever is forwarded is held",
            ),
            Self::Sendmail | Self::Postfix | Self::Exim | Self::OpenSmtpd | Self::Other => None,
        }
    }

    /// Sendmail itself sends to the good addresses and says with its status that there was a bad one; it does not say
    /// which. Exim and OpenSMTPD then have sent nothing.
    pub fn has_sent_the_rest(self, ending: Ending) -> bool {
        self == Self::Sendmail && matches!(ending, Ending::Status(64 | 65 | 67 | 68))
    }
}
