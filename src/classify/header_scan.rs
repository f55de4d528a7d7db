//! The fields of a header that judging needs, found in one walk.

use crate::message::Field;

/// Longer names are none that are looked for.
const NAME_BYTES: usize = 40;

/// The first field of each name that matters, and what lists and people add.
#[derive(Clone, Debug, Default)]
pub struct HeaderScan<'a> {
    /// `From`.
    pub from: Option<Field<'a>>,
    /// `Sender`.
    pub sender: Option<Field<'a>>,
    /// `Subject`.
    pub subject: Option<Field<'a>>,
    /// `To`.
    pub to: Option<Field<'a>>,
    /// `Content-Type`.
    pub content_type: Option<Field<'a>>,
    /// The topmost `Return-Path`.
    pub return_path: Option<Field<'a>>,
    /// A `Return-Path` anywhere that is null or a daemon's: the report came through somebody else's forward.
    pub null_path: Option<Field<'a>>,
    /// `Auto-Submitted` (RFC 3834 section 5).
    pub auto_submitted: Option<Field<'a>>,
    /// `Precedence` or `X-Precedence`.
    pub precedence: Option<Field<'a>>,
    /// `X-Mailer` or `User-Agent`.
    pub mailer: Option<Field<'a>>,
    /// A field that only reports carry.
    pub report_mark: Option<(Field<'a>, &'static str)>,
    /// A field that reports carry, and now and then another message of the same system.
    pub report_hint: Option<(Field<'a>, &'static str)>,
    /// A field that only automatic answers carry.
    pub reply_mark: Option<(Field<'a>, &'static str)>,
    /// A field that automatic answers carry, and other mail of Exchange too.
    pub reply_hint: Option<Field<'a>>,
    /// Our own divert mark.
    pub diverted: Option<Field<'a>>,
    /// A field that complaints carry.
    pub complaint_mark: Option<(Field<'a>, &'static str)>,
    /// A field that lists put there (RFC 2369, RFC 2919 and older).
    pub list: Option<Field<'a>>,
    /// `In-Reply-To` or `References`.
    pub reply_to_message: Option<Field<'a>>,
    /// The field that stands on our own notices.
    pub notice: Option<Field<'a>>,
    /// A spam filter's yes: rspamd's or SpamAssassin's.
    pub spam: Option<Field<'a>>,
}

impl<'a> HeaderScan<'a> {
    /// Looks through all fields of a header.
    #[must_use]
    pub fn read(fields: impl IntoIterator<Item = Field<'a>>) -> Self {
        let mut head = Self::default();
        for field in fields {
            head.take(field);
        }
        head
    }

    fn take(&mut self, field: Field<'a>) {
        let mut buffer = [0_u8; NAME_BYTES];
        let Some(name) = buffer.get_mut(..field.name.len()) else {
            return;
        };
        name.copy_from_slice(field.name);
        name.make_ascii_lowercase();
        let slot = match &*name {
            b"from" => &mut self.from,
            b"sender" => &mut self.sender,
            b"subject" => &mut self.subject,
            b"to" => &mut self.to,
            b"content-type" => &mut self.content_type,
            b"return-path" => {
                if self.null_path.is_none() && is_null_path(field.value) {
                    self.null_path = Some(field);
                }
                &mut self.return_path
            }
            // IMail and others keep the envelope sender here.
            b"x-envelope-from" | b"x-envelope-sender" | b"envelope-from" => {
                if self.null_path.is_none() && is_null_path(field.value) {
                    self.null_path = Some(field);
                }
                return;
            }
            b"x-spoolguard-divert" => &mut self.diverted,
            b"x-spoolguard-notice" => &mut self.notice,
            b"x-spam" | b"x-spam-flag" | b"x-spam-status" => {
                if !says_yes(field.value) {
                    return;
                }
                &mut self.spam
            }
            b"auto-submitted" => {
                self.take_mark(b"auto-submitted", field);
                &mut self.auto_submitted
            }
            b"precedence" | b"x-precedence" => &mut self.precedence,
            b"x-mailer" | b"user-agent" => {
                self.take_mark(b"x-mailer", field);
                &mut self.mailer
            }
            b"list-id" | b"list-post" | b"list-unsubscribe" | b"list-help" | b"mailing-list" | b"x-mailing-list"
            | b"x-beenthere" | b"x-mailman-version" | b"x-list" | b"x-ml-name" => &mut self.list,
            b"in-reply-to" | b"references" => &mut self.reply_to_message,
            b"x-ms-exchange-inbox-rules-loop"
            | b"x-auto-response-suppress"
            | b"x-ms-exchange-generated-message-source" => &mut self.reply_hint,
            name => {
                self.take_mark(name, field);
                return;
            }
        };
        if slot.is_none() {
            *slot = Some(field);
        }
    }

    /// Fields that one kind of mail alone carries, each with the system that writes it.
    fn take_mark(&mut self, name: &[u8], field: Field<'a>) {
        let has = |words: &[u8]| memchr::memmem::find(&field.value.to_ascii_lowercase(), words).is_some();
        let report = match name {
            b"x-failed-recipients" => Some("Exim and Gmail name the recipients that failed"),
            b"x-ms-exchange-message-is-ndr" => Some("Exchange calls it a report"),
            b"x-smtp-mailer-error" => Some("XMail says here what failed"),
            b"x-dsncontext" => Some("Exchange's SMTP service numbers its reports here"),
            b"x-mx-bounce" => Some("MXLogic calls it a bounce"),
            b"final-recipient" => Some("names a final recipient, as only reports do"),
            b"x-amz-bounce-type" => Some("Amazon calls it a bounce"),
            b"x-report-type" | b"x-mdaemon-dsn" if has(b"delivery") || has(b"dsn") => Some("called a delivery report"),
            _ => None,
        };
        let hint = match name {
            b"x-ms-embedded-report" => Some("Exchange 5.5 puts this on its reports"),
            b"auto-submitted" if has(b"(failure") || has(b"(warning") || has(b"(delay") || has(b"(notify") => {
                Some("sendmail says here that it reports")
            }
            b"received" if has(b"invoked for bounce") => Some("qmail made this bounce"),
            b"x-mlserver" if has(b"fml") => Some("fml's own mail, or a list's"),
            b"x-mailer" if has(b"<smtp32") || has(b"surfcontrol e-mail filter") => Some("a server's own mail"),
            _ => None,
        };
        let reply = match name {
            b"x-autoreply"
            | b"x-auto-reply"
            | b"x-autorespond"
            | b"x-autoresponse"
            | b"x-autoresponder"
            | b"x-autoreply-from"
            | b"x-mail-autoreply"
            | b"x-vacation"
            | b"x-amazon-auto-reply"
                if ![&b"no"[..], b"false", b"0"]
                    .iter()
                    .any(|no| field.value.trim_ascii().eq_ignore_ascii_case(no)) =>
            {
                Some("answered by an autoresponder")
            }
            b"x-apple-action" if has(b"vacation") => Some("Apple Mail answers during a vacation"),
            b"x-autogenerated" if has(b"reply") => Some("calls itself an automatic reply"),
            b"x-post-messageclass" if has(b"autoresponder") => Some("Post.Office answers for somebody"),
            b"delivered-to" if field.value.trim_ascii().eq_ignore_ascii_case(b"autoresponder") => {
                Some("qmail's autoresponder marks its answers so")
            }
            _ => None,
        };
        let complaint = match name {
            b"x-arf" | b"x-xarf" => Some("an abuse report in X-ARF"),
            b"x-hmxmroriginalrecipient" => Some("Outlook.com's junk mail reporting"),
            _ => None,
        };
        for (slot, why) in [
            (&mut self.report_mark, report),
            (&mut self.report_hint, hint),
            (&mut self.reply_mark, reply),
            (&mut self.complaint_mark, complaint),
        ] {
            if slot.is_none()
                && let Some(why) = why
            {
                *slot = Some((field, why));
            }
        }
    }
}

/// `Yes`, `YES`, or `Yes, score=9.1 required=5.0 ...`.
fn says_yes(value: &[u8]) -> bool {
    let word = value.trim_ascii_start().split(|b| !b.is_ascii_alphabetic()).next();
    word.is_some_and(|word| word.eq_ignore_ascii_case(b"yes"))
}

/// `<>`, blanks inside or not, or `<MAILER-DAEMON>` and `<MAILER-DAEMON@...>`, as sendmail writes the null sender.
fn is_null_path(value: &[u8]) -> bool {
    let mut bare = value.trim_ascii();
    bare = bare.strip_prefix(b"<").unwrap_or(bare);
    bare = bare.strip_suffix(b">").unwrap_or(bare).trim_ascii();
    let local = bare.split(|b| *b == b'@').next().unwrap_or_default();
    bare.is_empty() || local.eq_ignore_ascii_case(b"mailer-daemon")
}

#[cfg(test)]
mod tests {
    use super::HeaderScan;
    use crate::message::{Fields, Message};

    fn fields(bytes: &[u8]) -> Fields<'_> {
        Message::new(bytes).fields()
    }

    #[test]
    fn one_walk_finds_the_first_of_each_and_the_marks() {
        let text = b"Return-Path: <b@b.test>\nfrom: one\nFrom: two\nReturn-Path: < >\nX-Failed-Recipients: c@c.test\nX-Autoreply: yes\nList-Id: x\n\n";
        let head = HeaderScan::read(fields(text));
        assert_eq!(head.from.map(|f| f.text().into_owned()).as_deref(), Some("one"));
        assert!(
            head.null_path.is_some() && head.report_mark.is_some() && head.reply_mark.is_some() && head.list.is_some()
        );
        let head = HeaderScan::read(fields(b"X-Autoreply: no\nDelivered-To: a@a.test\n\n"));
        assert!(head.reply_mark.is_none());
    }
}
