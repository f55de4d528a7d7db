//! The header fields that spoolguard adds, and the text that goes into them. What a message says is bounded and made
//! harmless before it is quoted: it neither opens a line nor ends a string.

use time::OffsetDateTime;

use crate::classify::DIVERT_HEADER;
use crate::classify::verdict::{Judgement, Marker, Verdict};
use crate::deliver::forward::rules::attribution::ForwardFailure;
use crate::escape::make_visible;
use crate::message::Message;
use crate::moment::Moment;
use crate::output::shell;
use crate::report::dsn::ReportKind;
use crate::sys::account::{Account, AccountKind};
use crate::sys::local_time;

/// The header in which `filter` writes the verdict.
pub const VERDICT_HEADER: &str = "X-Spoolguard-Verdict";

/// The header of a message that lies in the user's mailbox although it was to be sent on.
pub const KEPT_HEADER: &str = "X-Spoolguard-Kept";

/// The header of a message that came back in a report and was put into the user's mailbox.
pub const RESCUED_HEADER: &str = "X-Spoolguard-Rescued";

/// All fields that may stand on top of a message that was kept or recovered.
pub const KEPT_FIELDS: [&str; 3] = [KEPT_HEADER, RESCUED_HEADER, SEPARATOR_HEADER];

/// The header between our fields and a message that begins with a continued line.
const SEPARATOR_HEADER: &str = "X-Spoolguard-Seam";

/// What that says where only a part of the message came back.
pub const CUT: &str = "cut=yes";

const QUOTED_CHARACTERS: usize = 160;

/// `text` between quotes, on one line, of bounded length.
pub fn quote_text(text: &str) -> String {
    let short: String = text.chars().take(QUOTED_CHARACTERS).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    let safe: String = make_visible(&short)
        .chars()
        // Header fields are ASCII; anything else would need an encoding of its own (RFC 5322 section 2.2).
        .map(|c| if c.is_ascii() { c } else { '?' })
        .map(|c| if c == '"' { '\'' } else { c })
        .collect();
    format!("\"{safe}{dots}\"")
}

/// `text` on one line, of bounded length, without anything that would need quotes.
pub fn escape_word(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | ';'))
        .take(QUOTED_CHARACTERS)
        .collect()
}

/// The command that shows what is known of this user's or alias's forwards.
pub fn status_command(account: &Account) -> String {
    let name = shell::quote_word(&escape_word(&account.name));
    format!("{} status {} {name}", shell::program_command(), account.flag())
}

/// The same as its owner types it: users need not say who they are.
pub fn own_status_command(account: &Account) -> String {
    match account.kind {
        AccountKind::User => format!("{} status", shell::program_command()),
        AccountKind::Alias => status_command(account),
    }
}

/// The command that sends on what was kept of this user's mail for `destination`.
pub fn send_kept_command(account: &Account, destination: &str) -> String {
    let destination = shell::quote_word(&escape_word(destination));
    format!("{} --send-kept {destination}", status_command(account))
}

/// A time as people read it, on the clock of this host: `2026-11-25 03:14 UTC`, `2026-11-25 12:14 +0900`.
pub fn moment_text(moment: Moment) -> String {
    match OffsetDateTime::from_unix_timestamp(moment.seconds()) {
        Ok(date) => clock_text(local_time::to_local(date)),
        Err(_) => format!("@{}", moment.seconds()),
    }
}

fn clock_text(date: OffsetDateTime) -> String {
    let (hours, minutes, _) = date.offset().as_hms();
    let zone = match (hours, minutes) {
        (0, 0) => "UTC".to_owned(),
        (hours, minutes) => {
            let sign = if hours < 0 || minutes < 0 { '-' } else { '+' };
            format!("{sign}{:02}{:02}", hours.unsigned_abs(), minutes.unsigned_abs())
        }
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02} {zone}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        date.hour(),
        date.minute()
    )
}

/// A marker as logs and headers show it: `Return-Path: <>`.
pub fn marker_text(marker: &Marker) -> String {
    format!("{}: {}", marker.header, marker.value)
}

/// The marker that weighs most: the verdict's first, else the null sender.
pub fn strongest_marker(judgement: &Judgement) -> Option<&Marker> {
    let diverted = judgement.diverted_before.as_ref();
    diverted
        .or_else(|| judgement.verdict.markers().first())
        .or(judgement.null_sender.as_ref())
}

/// The verdict with its kind: `bounce (failure)`.
pub fn verdict_text(verdict: &Verdict) -> String {
    kind_text(verdict.name(), report_kind(verdict))
}

/// The kind of a report, where it is one and says so.
pub fn report_kind(verdict: &Verdict) -> Option<&'static str> {
    verdict.bounce()?.kind.map(ReportKind::name)
}

/// A verdict and the kind of its report, in words.
pub fn kind_text(verdict: &str, kind: Option<&str>) -> String {
    match kind {
        Some(kind) => format!("{verdict} ({kind})"),
        None => verdict.to_owned(),
    }
}

/// The field that `filter` adds, without its line end.
pub fn verdict_field(judgement: &Judgement) -> String {
    let (verdict, marker) = (verdict_text(&judgement.verdict), marker_part(judgement));
    format!("{VERDICT_HEADER}: {verdict}{marker}")
}

/// The fields on top of a diverted copy, ended by `line_end` each: our loop mark, and why and for whom it was.
pub fn divert_fields(
    judgement: &Judgement,
    why: &str,
    own: &str,
    recipient: &str,
    host: &str,
    line_end: &str,
) -> String {
    format!(
        "X-Loop: {}{line_end}{DIVERT_HEADER}: {}; recipient={}; host={}{line_end}",
        own,
        reason(judgement, why),
        escape_word(recipient),
        escape_word(host),
    )
}

/// The fields on top of a message that was to go elsewhere.
pub fn kept_fields(judgement: &Judgement, why: &str, message: &Message<'_>) -> String {
    let (reason, line_end) = (reason(judgement, why), message.line_end());
    format!("{KEPT_HEADER}: {reason}{line_end}") + &separator_field(message)
}

/// The field on top of a message that came back, with what is known of why: `blame` says which destination it did not
/// reach, `notes` what else the user has to know, each of the form `key=value`.
pub fn rescued_field(blame: Option<&ForwardFailure>, host: Option<&str>, notes: &[String], line_end: &str) -> String {
    let mut parts = vec!["why=came-back".to_owned()];
    if let Some(blame) = blame {
        parts.push(format!("destination={}", escape_word(&blame.destination)));
        parts.extend(
            blame
                .status
                .as_deref()
                .map(|status| format!("status={}", escape_word(status))),
        );
        parts.extend((!blame.said.is_empty()).then(|| format!("said={}", quote_text(&blame.said))));
    }
    let host = blame.and_then(|blame| blame.host.as_deref()).or(host);
    parts.extend(host.map(|host| format!("host={}", escape_word(host))));
    parts.extend_from_slice(notes);
    format!("{RESCUED_HEADER}: {}{line_end}", parts.join("; "))
}

fn marker_part(judgement: &Judgement) -> String {
    let marker = strongest_marker(judgement).map(marker_text);
    marker.map_or_else(String::new, |text| format!("; marker={}", quote_text(&text)))
}

/// `verdict=loop; why=verdict; marker="X-Loop: a@a.test"`
fn reason(judgement: &Judgement, why: &str) -> String {
    let why = if why.contains(' ') {
        quote_text(why)
    } else {
        escape_word(why)
    };
    format!(
        "verdict={}; why={why}{}",
        judgement.verdict.name(),
        marker_part(judgement)
    )
}

/// What stands between our fields and a message whose first line continues a field: it would become a part of ours, and
/// our `X-Loop` would not be known again.
pub fn separator_field(message: &Message<'_>) -> String {
    match message.content().first() {
        Some(b' ' | b'\t') => format!(
            "{SEPARATOR_HEADER}: what follows came without a name{}",
            message.line_end()
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{divert_fields, quote_text, verdict_field};
    use crate::classify::verdict::{Judgement, Marker, Verdict};

    #[test]
    fn what_a_message_says_cannot_leave_its_quotes() {
        assert_eq!(quote_text("a\"b\r\nX-Loop: c"), "\"a'b\\r\\nX-Loop: c\"");
        assert_eq!(quote_text(&"x".repeat(1000)).len(), 165);
    }

    #[test]
    fn fields_name_verdict_and_marker() {
        let judgement = Judgement {
            verdict: Verdict::Loop(vec![Marker {
                header: "X-Loop".to_owned(),
                value: "a@a.test".to_owned(),
                why: "",
            }]),
            null_sender: None,
            diverted_before: None,
            spam: None,
        };
        assert_eq!(
            verdict_field(&judgement),
            "X-Spoolguard-Verdict: loop; marker=\"X-Loop: a@a.test\""
        );
        assert_eq!(
            divert_fields(&judgement, "verdict", "a@a.test", "a+x@a.test", "h", "\r\n"),
            "X-Loop: a@a.test\r\nX-Spoolguard-Divert: verdict=loop; why=verdict; marker=\"X-Loop: a@a.test\"; \
             recipient=a+x@a.test; host=h\r\n"
        );
    }
}
