//! Which archived messages are meant: by day, writer and Message-ID. Days are those of the separator lines, which most
//! programs write in the local time of their host; they are compared as they stand there.

use time::{Date, Month, Time};

use crate::cli::spool::Selection;
use crate::error::{Category, Error};
use crate::message::Message;
use crate::message::text::decoded_value;

/// What a message has to be to be meant. Every condition that is there has to hold.
#[derive(Clone, Debug, Default)]
pub struct Pick {
    since: Option<i64>,
    until: Option<i64>,
    from: Option<String>,
    ids: Vec<String>,
}

impl Pick {
    /// What the command line says.
    pub fn read(selection: &Selection) -> Result<Self, Error> {
        let date = |flag: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => seconds(text).map(Some).ok_or_else(|| {
                Error::new(
                    Category::Configuration,
                    "understand",
                    flag,
                    format_args!("{text:?} is no date"),
                )
                .hint("write 2026-11-02, or 2026-11-02T10:00")
            }),
        };
        Ok(Self {
            since: date("--since", &selection.since)?,
            until: date("--until", &selection.until)?,
            from: selection.from.as_ref().map(|text| text.to_lowercase()),
            ids: selection.message_id.iter().map(|id| bare(id).to_owned()).collect(),
        })
    }

    pub fn is_everything(&self) -> bool {
        self.since.is_none() && self.until.is_none() && self.from.is_none() && self.ids.is_empty()
    }

    pub fn is_wanted(&self, message: &Message<'_>) -> bool {
        let date = message.delivered_at();
        // One without a date is in no span of days.
        let in_time = |bound: Option<i64>, holds: fn(i64, i64) -> bool| match (bound, date) {
            (None, _) => true,
            (Some(bound), Some(date)) => holds(date, bound),
            (Some(_), None) => false,
        };
        in_time(self.since, |date, since| date >= since)
            && in_time(self.until, |date, until| date < until)
            && self.from.as_ref().is_none_or(|text| is_from(message, text))
            && (self.ids.is_empty() || has_id(message, &self.ids))
    }
}

/// The writer, as From says, or who sent it, as the separator line says.
fn is_from(message: &Message<'_>, text: &str) -> bool {
    let sender = message.from_line_sender().unwrap_or_default();
    sender.to_lowercase().contains(text)
        || message
            .fields()
            .filter(|field| field.is("From"))
            .any(|field| decoded_value(&field, None).to_lowercase().contains(text))
}

fn has_id(message: &Message<'_>, ids: &[String]) -> bool {
    message
        .values("Message-ID")
        .any(|value| ids.iter().any(|id| bare(&value) == id))
}

/// With or without angle brackets, it is the same.
fn bare(id: &str) -> &str {
    id.trim().trim_start_matches('<').trim_end_matches('>')
}

/// `2026-11-02`, `2026-11-02T10:00`, `2026-11-02 10:00:00`, in seconds since 1970.
fn seconds(text: &str) -> Option<i64> {
    let (day, time) = text.trim().split_once(['T', ' ']).unwrap_or((text.trim(), "0:0"));
    let mut parts = day.split('-');
    let year = parts.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let month: u8 = parts.next()?.parse().ok()?;
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, parts.next()?.parse().ok()?).ok()?;
    let mut clock = time.trim_end_matches('Z').split(':');
    let (hour, minute) = (clock.next()?.parse().ok()?, clock.next()?.parse().ok()?);
    let second = clock.next().map_or(Some(0), |second| second.parse().ok())?;
    let time = Time::from_hms(hour, minute, second).ok()?;
    if parts.next().is_some() || clock.next().is_some() {
        return None;
    }
    Some(date.with_time(time).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::{Pick, seconds};
    use crate::cli::spool::Selection;
    use crate::message::Message;
    use std::path::PathBuf;

    #[test]
    fn dates_are_read_and_nonsense_is_not() {
        for (text, want) in [
            ("1970-01-02", Some(86400)),
            ("1970-01-01T01:00", Some(3600)),
            (" 1970-01-01 00:00:07Z", Some(7)),
            ("2026-02-30", None),
            ("70-01-01", None),
            ("1970-01-01T", None),
            ("1970-01-01-01", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), want, "{text:?}");
        }
    }

    #[test]
    fn every_condition_has_to_hold() {
        let text = b"From s@S.test Mon Nov  2 10:00:00 2026\n\
            From: =?utf-8?q?J=C3=BCrgen?= <j@j.test>\nMessage-ID: <1@s.test>\n\nb\n";
        let nothing = || Selection {
            overflow: false,
            archives: vec![PathBuf::from("a")],
            list: false,
            changing: crate::cli::spool::Changing::default(),
            since: None,
            until: None,
            from: None,
            message_id: Vec::new(),
            user: None,
            mailbox: None,
            ignore_quota: false,
        };
        let some = |text: &str| Some(text.to_owned());
        type Change = fn(&mut Selection, Option<String>);
        let since: Change = |selection, text| selection.since = text;
        let until: Change = |selection, text| selection.until = text;
        let from: Change = |selection, text| selection.from = text;
        let id: Change = |selection, text| selection.message_id = text.into_iter().collect();
        for (change, value, want) in [
            (since, "2026-11-02", true),
            (since, "2026-11-02T10:00", true),
            (since, "2026-11-03", false),
            (until, "2026-11-03", true),
            (until, "2026-11-02T10:00", false),
            (from, "jürgen", true),
            (from, "J@J", true),
            (from, "s@s.test", true),
            (from, "other", false),
            (id, "1@s.test", true),
            (id, "<1@s.test>", true),
            (id, "1@s.tes", false),
        ] {
            let mut selection = nothing();
            change(&mut selection, some(value));
            let pick = Pick::read(&selection).unwrap_or_else(|e| unreachable!("{e}"));
            assert_eq!(pick.is_wanted(&Message::new(text)), want, "{value}");
            // With one that does not hold, none does.
            until(&mut selection, some("2000-01-01"));
            let pick = Pick::read(&selection).unwrap_or_else(|e| unreachable!("{e}"));
            assert!(!pick.is_wanted(&Message::new(text)), "{value}");
        }
        let pick = Pick::read(&nothing()).unwrap_or_else(|e| unreachable!("{e}"));
        assert!(pick.is_everything() && pick.is_wanted(&Message::new(b"\n")));
    }
}
