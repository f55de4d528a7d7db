//! The fields of a header that judging needs, found in one walk.

use crate::message::Field;
use crate::message::text::contains_ignoring_case;

/// No field that is looked for has a longer name.
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

    /// Fields that only one kind of mail carries. Each has where it is noted, the words of which one must stand there
    /// (or none), and who writes it.
    #[rustfmt::skip]
    fn take_mark(&mut self, name: &[u8], field: Field<'a>) {
        let (slot, words, why) = match name {
            b"x-failed-recipients" => (&mut self.report_mark, "", "Exim and Gmail name the recipients that failed"),
            b"x-ms-exchange-message-is-ndr" => (&mut self.report_mark, "", "Exchange calls it a report"),
            b"x-smtp-mailer-error" => (&mut self.report_mark, "", "XMail says here what failed"),
            b"x-dsncontext" => (&mut self.report_mark, "", "Exchange's SMTP service numbers its reports here"),
            b"x-mx-bounce" => (&mut self.report_mark, "", "MXLogic calls it a bounce"),
            b"final-recipient" => (&mut self.report_mark, "", "names a final recipient, as only reports do"),
            b"x-amz-bounce-type" => (&mut self.report_mark, "", "Amazon calls it a bounce"),
            b"x-report-type" | b"x-mdaemon-dsn" => (&mut self.report_mark, "delivery|dsn", "called a delivery report"),
            b"x-ms-embedded-report" => (&mut self.report_hint, "", "Exchange 5.5 puts this on its reports"),
            b"auto-submitted" => {
                (&mut self.report_hint, "(failure|(warning|(delay|(notify", "sendmail says here that it reports")
            }
            // Its own lines are comments.
            b"received" if field.value.trim_ascii_start().starts_with(b"(") => {
                (&mut self.report_hint, "invoked for bounce", "qmail made this bounce")
            }
            b"x-mlserver" => (&mut self.report_hint, "fml", "fml's own mail, or a list's"),
            b"x-mailer" => (&mut self.report_hint, "<smtp32|surfcontrol e-mail filter", "a server's own mail"),
            b"x-autoreply" | b"x-auto-reply" | b"x-autorespond" | b"x-autoresponse" | b"x-autoresponder"
            | b"x-autoreply-from" | b"x-mail-autoreply" | b"x-vacation" | b"x-amazon-auto-reply"
                if !has_value(field, &[b"no", b"false", b"0"]) =>
            {
                (&mut self.reply_mark, "", "answered by an autoresponder")
            }
            b"x-apple-action" => (&mut self.reply_mark, "vacation", "Apple Mail answers during a vacation"),
            b"x-autogenerated" => (&mut self.reply_mark, "reply", "calls itself an automatic reply"),
            b"x-post-messageclass" => (&mut self.reply_mark, "autoresponder", "Post.Office answers for somebody"),
            b"delivered-to" if has_value(field, &[b"autoresponder"]) => {
                (&mut self.reply_mark, "", "qmail's autoresponder marks its answers so")
            }
            b"x-arf" | b"x-xarf" => (&mut self.complaint_mark, "", "an abuse report in X-ARF"),
            b"x-hmxmroriginalrecipient" => (&mut self.complaint_mark, "", "Outlook.com's junk mail reporting"),
            _ => return,
        };
        let has = |words: &str| contains_ignoring_case(field.value, words);
        if slot.is_none() && (words.is_empty() || words.split('|').any(has)) {
            *slot = Some((field, why));
        }
    }
}

/// Tells whether a field says one of these words and nothing else.
fn has_value(field: Field<'_>, words: &[&[u8]]) -> bool {
    let value = field.value.trim_ascii();
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
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
    use crate::message::{Field, Message};

    fn fields(bytes: &[u8]) -> impl Iterator<Item = Field<'_>> {
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
