//! The programs that write to a mailbox: how each is set up and started. All take a dotlock and an fcntl lock over the
//! whole file, as Debian builds them; what is changed here is said where it is.

use std::process::Command;

use crate::letters::Separators;
use crate::scratch::{DOVECOT_LDA, Scratch};

/// A program that delivers one message from its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writer {
    Spoolguard,
    Procmail,
    Maildrop,
    Dovecot,
}

/// All of them.
pub const WRITERS: [Writer; 4] = [Writer::Spoolguard, Writer::Procmail, Writer::Maildrop, Writer::Dovecot];

impl Writer {
    /// As it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spoolguard => "spoolguard",
            Self::Procmail => "procmail",
            Self::Maildrop => "maildrop",
            Self::Dovecot => "dovecot-lda",
        }
    }

    /// Whether it quotes separator lines in a body: Dovecot does not, it writes a Content-Length.
    pub fn separators(self) -> Separators {
        match self {
            Self::Spoolguard | Self::Procmail | Self::Maildrop => Separators::In,
            Self::Dovecot => Separators::Out,
        }
    }

    /// Writes its configuration for delivery to the user's mailbox.
    pub fn set_up(self, scratch: &Scratch) {
        let mailbox = scratch.mailbox().display().to_string();
        match self {
            Self::Spoolguard => {}
            Self::Procmail => {
                // It looks again after LOCKSLEEP seconds, 8 unless this says otherwise.
                let text = format!("DEFAULT={mailbox}\nORGMAIL={mailbox}\nLOCKSLEEP=1\n:0:\n{mailbox}\n");
                scratch.write_at_home("procmailrc", &text);
            }
            Self::Maildrop => {
                // The same, 5 unless this says otherwise.
                scratch.write_at_home("maildroprc", &format!("LOCKSLEEP=1\nDEFAULT=\"{mailbox}\"\n"));
            }
            Self::Dovecot => {
                scratch.write_at_home("dovecot.conf", &dovecot_configuration(scratch, ""));
            }
        }
    }

    /// The command that delivers.
    pub fn command(self, scratch: &Scratch) -> Command {
        match self {
            Self::Spoolguard => {
                let mut command = scratch.command(scratch.program());
                command.arg("--config").arg(scratch.configuration());
                command.args(["deliver", "-f", "s@s.test"]);
                command
            }
            Self::Procmail => {
                let mut command = scratch.command("procmail");
                // Without -f it writes no separator line where the message came without one.
                command
                    .args(["-t", "-f", "s@s.test"])
                    .arg(scratch.at_home("procmailrc"));
                command
            }
            Self::Maildrop => {
                let mut command = scratch.command("maildrop");
                command.args(["-f", "s@s.test"]).arg(scratch.at_home("maildroprc"));
                command
            }
            Self::Dovecot => {
                let mut command = scratch.command(DOVECOT_LDA);
                command
                    .arg("-c")
                    .arg(scratch.at_home("dovecot.conf"))
                    .args(["-f", "s@s.test"]);
                command
            }
        }
    }
}

/// A configuration with which dovecot-lda and doveadm work without their daemon, on the user's mailbox as inbox.
///
/// Debian's Dovecot takes the fcntl lock first. procmail and maildrop hold the dotlock while they wait for that one, so
/// that with the default order they and Dovecot stop each other for minutes, whether spoolguard is there or not.
pub fn dovecot_configuration(scratch: &Scratch, more: &str) -> String {
    let home = scratch.home();
    let home = home.display();
    format!(
        "protocols =\nssl = no\nbase_dir = {home}/run\nlog_path = /dev/stderr\nhostname = a.test\n\
         postmaster_address = postmaster@a.test\nfirst_valid_uid = 1\nfirst_valid_gid = 1\nmail_uid = a\nmail_gid = mail\n\
         mail_location = mbox:{home}/folders:INBOX={}\nuserdb {{\n  driver = static\n  args = uid=a gid=mail home={home}\n}}\n\
         mbox_write_locks = dotlock fcntl\n{more}\n",
        scratch.mailbox().display()
    )
}
