//! What a sendmail's answer means for the message. "Never" needs evidence: a reply or an enhanced status that refuses,
//! or words and exit statuses of a program that is known to mean it. Everything else may pass. Programs that only hand
//! mail on exit with one status for an unknown user and for greylisting. It is the same for a name server that does not
//! answer, and for a mistake in their configuration.
//!
//! What each program prints, and its exit status, was measured: see the table of the tests.

use crate::report::sendmail_reply::{Ending, SendmailReply};
use crate::report::status_code::find_status;
use crate::submit::program::SendmailKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Meaning {
    /// The MTA has it.
    Taken,
    /// The MTA will never take it.
    Refused,
    /// It may take it later.
    Later,
}

impl Meaning {
    /// Sorts an answer of a program of this kind.
    pub fn of(reply: &SendmailReply, kind: SendmailKind) -> Self {
        let status = match reply.ending() {
            Ending::NotStarted => return Self::Refused,
            Ending::Signal(_) => return Self::Later,
            // Sendmail ends with 0 when the disk of its queue is full, and the message is nowhere.
            Ending::Status(0) if has_no_room(reply.text()) => return Self::Later,
            Ending::Status(0) => return Self::Taken,
            Ending::Status(status) => status,
        };
        if is_known(kind, status, reply.text()) {
            return Self::Refused;
        }
        let found = Replies::find(reply.text());
        if found.refuses && !found.puts_off && !is_about_the_system(status) {
            Self::Refused
        } else {
            Self::Later
        }
    }
}

fn has_no_room(text: &str) -> bool {
    text.contains("try again later")
}

/// `EX_OSERR` to `EX_TEMPFAIL` and `EX_CONFIG` (sysexits.h) are never about the message.
fn is_about_the_system(status: i32) -> bool {
    matches!(status, 71..=75 | 78)
}

/// What single programs end with and say when they mean "never", beside replies.
fn is_known(kind: SendmailKind, status: i32, text: &str) -> bool {
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    match kind {
        // EX_DATAERR, EX_NOUSER and EX_NOHOST are about an address; the message has gone to the others.
        SendmailKind::Sendmail => matches!(status, 65 | 67 | 68),
        SendmailKind::Postfix => says(&["message file too big"]),
        SendmailKind::Exim => says(&["exim: message rejected", "exim: bad recipient address"]),
        SendmailKind::Nullmailer => says(&["Invalid recipient:"]),
        SendmailKind::Dma => says(&["invalid recipient `"]),
        // Their servers' replies are printed.
        SendmailKind::OpenSmtpd
        | SendmailKind::Msmtp
        | SendmailKind::Ssmtp
        | SendmailKind::Esmtp
        | SendmailKind::Other => false,
    }
}

/// What the replies in a text say together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Replies {
    /// One is permanent, and about the message or its addresses.
    refuses: bool,
    /// One is transient, or permanent until somebody mends a configuration.
    puts_off: bool,
}

impl Replies {
    fn find(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            for code in reply_codes(line) {
                found.add(code.starts_with('5') && !IS_ABOUT_US.contains(&code));
            }
            let mut rest = line;
            while let Some(status) = find_status(rest) {
                match status.get(..1) {
                    Some("5") => found.add(!STATUS_IS_ABOUT_US.contains(&status)),
                    Some("4") => found.add(false),
                    _ => {}
                }
                let at = rest.find(status).unwrap_or(0) + status.len();
                rest = rest.get(at..).unwrap_or_default();
            }
        }
        found
    }

    fn add(&mut self, refuses: bool) {
        self.refuses |= refuses;
        self.puts_off |= !refuses;
    }
}

/// Replies to whoever sends, whatever the message: unknown command, bad sequence, authentication (RFC 5321 section
/// 4.2.3, RFC 4954 section 6, RFC 3207). A password that has changed is mended.
const IS_ABOUT_US: [&str; 8] = ["500", "502", "503", "530", "534", "535", "538", "454"];

/// The same as enhanced statuses: a system that is not configured, and authentication (RFC 3463 section 3.4, RFC 4954
/// section 6).
const STATUS_IS_ABOUT_US: [&str; 3] = ["5.3.5", "5.7.8", "5.7.9"];

/// The SMTP reply codes of a line: numbers from 400 to 599 that stand where a reply begins, and count nothing.
fn reply_codes(line: &str) -> impl Iterator<Item = &str> {
    const UNITS: [&str; 7] = ["bytes", "byte", "blocks", "kb", "mb", "inodes", "seconds"];
    let is_code =
        |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit()) && word.starts_with(['4', '5']);
    let mut at = 0;
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
        .filter_map(move |word| {
            let start = at + line.get(at..)?.find(word)?;
            at = start + word.len();
            Some((start, word))
        })
        .filter(move |(start, word)| {
            let before = line.get(..*start).unwrap_or_default().trim_end();
            let opens = before.is_empty() || before.ends_with([':', '(', ';', '[', '"', '\'', '<', '=', '|']);
            let after = line.get(start + word.len()..).unwrap_or_default();
            let next = after.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
            is_code(word)
                && opens
                && (after.is_empty() || after.starts_with([' ', '-', ')', ',']))
                && !UNITS.contains(&next.as_str())
        })
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::{Meaning, Meaning::*};
    use crate::report::sendmail_reply::{Ending, SendmailReply};
    use crate::submit::program::SendmailKind::{self, *};

    /// Measured with Debian 12's packages, each as a user in a root of its own, against a server that gives one answer.
    const MEASURED: [(SendmailKind, i32, &str, Meaning); 53] = [
        (Msmtp, 0, "", Taken),
        (
            Msmtp,
            75,
            "sendmail: cannot connect to hub.test, port 25: Connection refused",
            Later,
        ),
        (
            Msmtp,
            69,
            "sendmail: cannot connect to hub.test, port 551: Connection refused",
            Later,
        ),
        (
            Msmtp,
            68,
            "sendmail: cannot locate host hub.test: Temporary failure in name resolution",
            Later,
        ),
        (
            Msmtp,
            69,
            "sendmail: recipient address b@b.test not accepted by the server\nsendmail: server message: 451 4.7.1 <b@b.test>: Recipient address rejected: Greylisted",
            Later,
        ),
        (
            Msmtp,
            65,
            "sendmail: recipient address b@b.test not accepted by the server\nsendmail: server message: 550 5.1.1 <b@b.test>: Recipient address rejected: User unknown",
            Refused,
        ),
        (
            Msmtp,
            65,
            "sendmail: envelope from address w@w.test not accepted by the server\nsendmail: server message: 553 5.1.8 bad sender",
            Refused,
        ),
        (
            Msmtp,
            69,
            "sendmail: the server did not accept the mail\nsendmail: server message: 554 5.7.1 spam refused",
            Refused,
        ),
        (
            Msmtp,
            77,
            "sendmail: authentication failed (method PLAIN)\nsendmail: server message: 535 5.7.8 Error: authentication failed",
            Later,
        ),
        (
            Msmtp,
            65,
            "sendmail: server message: 530 5.7.0 Must issue a STARTTLS command first",
            Later,
        ),
        (
            Msmtp,
            76,
            "sendmail: cannot get initial OK message from server\nsendmail: server message: 421 4.3.2 try again later",
            Later,
        ),
        (
            Msmtp,
            78,
            "sendmail: /etc/msmtprc: line 6: unknown command nonsense",
            Later,
        ),
        (
            Msmtp,
            78,
            "sendmail: account default not found: no configuration file available",
            Later,
        ),
        (
            Msmtp,
            74,
            "sendmail: cannot rewind temporary file: No space left on device",
            Later,
        ),
        (Ssmtp, 1, "sendmail: Cannot open hub.test:25", Later),
        (Ssmtp, 1, "sendmail: Cannot open mailhub:25", Later),
        (
            Ssmtp,
            1,
            "sendmail: RCPT TO:<b@b.test> (451 4.7.1 <b@b.test>: Recipient address rejected: Greylisted)",
            Later,
        ),
        (
            Ssmtp,
            1,
            "sendmail: RCPT TO:<b@b.test> (550 5.1.1 <b@b.test>: Recipient address rejected: User unknown)",
            Refused,
        ),
        (Ssmtp, 1, "sendmail: 554 5.7.1 spam refused", Refused),
        (Ssmtp, 1, "sendmail: 550 no", Refused),
        (Ssmtp, 1, "sendmail: Invalid response SMTP server", Later),
        (Esmtp, 69, "SMTP server problem Connection refused", Later),
        (
            Esmtp,
            69,
            "SMTP server problem Temporary failure in name resolution",
            Later,
        ),
        (
            Esmtp,
            70,
            "0 (null)\nb@b.test: 451 4.7.1 <b@b.test>: Recipient address rejected: Greylisted",
            Later,
        ),
        (
            Esmtp,
            70,
            "0 (null)\nb@b.test: 550 5.1.1 <b@b.test>: Recipient address rejected: User unknown",
            Refused,
        ),
        (Esmtp, 70, "554 5.7.1 spam refused\n\nb@b.test: 250 2.1.5 ok", Refused),
        (Esmtp, 70, "0 (null)\nb@b.test: 0 (null)", Later),
        (Esmtp, 78, "/etc/esmtprc:3: syntax error at nonsense", Later),
        (Nullmailer, 1, "nullmailer-inject: nullmailer-queue failed: 1", Later),
        (
            Nullmailer,
            18,
            "nullmailer-inject: Error: Could not read config file \"/etc/nullmailer/me\": Permission denied",
            Later,
        ),
        (Nullmailer, 1, "Invalid recipient: b@@b.test <x", Refused),
        (Dma, 78, "sendmail: syntax error in /etc/dma/dma.conf:3", Later),
        (
            Dma,
            66,
            "sendmail: can not open config `/etc/dma/dma.conf': Permission denied",
            Later,
        ),
        (Dma, 66, "sendmail: can not read mail: No space left on device", Later),
        (Dma, 65, "sendmail: invalid recipient `nosuchuser'", Refused),
        (
            Postfix,
            0,
            "postdrop: warning: unable to look up public/pickup: No such file or directory",
            Taken,
        ),
        (
            Postfix,
            75,
            "sendmail: fatal: open /etc/postfix/main.cf: Permission denied",
            Later,
        ),
        (
            Postfix,
            75,
            "sendmail: fatal: w@w.test(1000): queue file write error",
            Later,
        ),
        (
            Postfix,
            75,
            "postdrop: warning: uid=1000: File too large\nsendmail: fatal: w@w.test(1000): message file too big",
            Refused,
        ),
        (
            Postfix,
            69,
            "postdrop: fatal: User a(1000) is not allowed to submit mail",
            Later,
        ),
        (
            Exim,
            1,
            "2026-11-26 09:41:22 Exim configuration error in line 550 of /etc/exim4/exim4.conf:\n  main option \"nonsense\" unknown",
            Later,
        ),
        (Exim, 1, "exim: insufficient disk space", Later),
        (
            Exim,
            1,
            "Failed to create spool file /var/spool/exim4//input//1xWVyr-00004w-0h-D: Permission denied",
            Later,
        ),
        (Exim, 1, "exim: message rejected: message too big (max=100)", Refused),
        (Exim, 1, "exim: message rejected by non-SMTP ACL: not today", Refused),
        (Sendmail, 0, "Insufficient disk space; try again later", Later),
        (Sendmail, 67, "b@b.test... User unknown", Refused),
        (
            Sendmail,
            71,
            "collect: Cannot write ./df6AQ9fbnE000066 (bfcommit, uid=1000, gid=102): Read-only file system",
            Later,
        ),
        (
            Sendmail,
            72,
            "/etc/mail/submit.cf: line 0: cannot open: Permission denied",
            Later,
        ),
        (
            Sendmail,
            78,
            "can not chdir(/var/spool/mqueue-client/): Permission denied",
            Later,
        ),
        (
            OpenSmtpd,
            69,
            "sendmail: cannot create temporary file /var/spool/smtpd/offline/1795686103.XXXXgezZSz: No such file or directory",
            Later,
        ),
        (
            OpenSmtpd,
            70,
            "sendmail: command failed: 550 Invalid recipient: <b@b.test>",
            Refused,
        ),
        (
            OpenSmtpd,
            70,
            "sendmail: command failed: 421 4.3.0: Temporary Error",
            Later,
        ),
    ];

    #[test]
    fn never_is_believed_with_evidence_alone() {
        for (kind, status, printed, want) in MEASURED {
            let reply = SendmailReply::read(Ending::Status(status), printed);
            assert_eq!(Meaning::of(&reply, kind), want, "{kind:?}: {reply}");
        }
    }

    #[test]
    fn a_bare_status_of_an_unknown_program_may_pass() {
        for status in 1..=255 {
            let reply = SendmailReply::read(Ending::Status(status), "no such luck, 550 bytes of 551");
            assert_eq!(Meaning::of(&reply, Other), Later, "{reply}");
        }
        let killed = SendmailReply::read(Ending::Signal(9), "550 5.1.1 no such user");
        assert_eq!(Meaning::of(&killed, Other), Later);
        // Who says both is not believed.
        let both = SendmailReply::read(
            Ending::Status(69),
            "b@b.test: 550 5.1.1 no\nc@c.test: 450 4.2.0 greylisted",
        );
        assert_eq!(Meaning::of(&both, Other), Later);
    }
}
