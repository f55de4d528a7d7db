//! Do the locks of the programs on this host keep them and spoolguard apart?
//!
//! Two programs that share no lock write into the same mailbox at once. Two programs that share two locks, and take
//! them in opposite orders, block each other until one of them gives up.

use crate::config::LockMethod;
use crate::doctor::rules::lock_conventions::LockConvention;
use crate::doctor::rules::{Check, Finding};

/// The longest that two may stop each other before it is worth a word, in seconds.
const SHORT_SECONDS: u64 = 10;

/// From here on mail waits so long that somebody has to do something, in seconds.
const LONG_SECONDS: u64 = 60;

/// Judges OpenSMTPD's configuration: on Linux its mboxes have no lock that others see (smtpd.conf(5)).
pub fn check_opensmtpd(configuration: &str) -> Option<Finding> {
    let is_mbox = |line: &str| {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        words.next() == Some("action") && words.any(|word| word == "mbox")
    };
    configuration.lines().any(is_mbox).then(|| {
        let what = "its own delivery to an mbox takes no lock that anybody else sees";
        let remedy = "in /etc/smtpd.conf, put mda \"/usr/bin/spoolguard deliver\" in place of mbox, then: systemctl restart opensmtpd";
        Check::Locks.about("OpenSMTPD").error(what, remedy)
    })
}

/// Judges what the others take beside what spoolguard takes in effect, which is less where users can make no dotlock.
pub fn judge_conventions(ours: &[LockMethod], habits: &[LockConvention]) -> Vec<Finding> {
    let mut findings: Vec<_> = habits.iter().map(|habit| shared(ours, habit)).collect();
    findings.extend(habits.iter().filter_map(|habit| clash(habit, habits)));
    findings
}

fn listed<T: ToString>(items: &[T], last: &str) -> String {
    let texts: Vec<_> = items.iter().map(ToString::to_string).collect();
    match texts.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((end, rest)) => format!("{}{last}{end}", rest.join(", ")),
    }
}

fn shared(ours: &[LockMethod], habit: &LockConvention) -> Finding {
    let topic = Check::Locks.about(habit.program);
    let meets = |theirs: &[LockMethod]| theirs.iter().any(|lock| ours.contains(lock));
    let takes = listed(&habit.writing, ", then ");
    let reading = habit.reading.as_deref().unwrap_or(&habit.writing);
    if !meets(&habit.writing) {
        let what = format!(
            "it takes {takes} on a mailbox and spoolguard takes {}: both can write at once",
            listed(ours, " and ")
        );
        return topic.error(what, habit.set_by);
    }
    if !meets(reading) {
        let what = format!(
            "it takes {} to read a mailbox and spoolguard takes {}: it can read half a message",
            listed(reading, " and "),
            listed(ours, " and ")
        );
        return topic.error(what, habit.set_by);
    }
    topic.ok(format!("it takes {takes}{}", habit.known_from))
}

/// Whom a program that takes a kernel lock first can stop, and be stopped by.
fn clash(habit: &LockConvention, habits: &[LockConvention]) -> Option<Finding> {
    let begins_with_dotlock = |habit: &LockConvention| habit.writing.first() == Some(&LockMethod::Dotlock);
    let at_dotlock = habit.writing.iter().position(|lock| *lock == LockMethod::Dotlock)?;
    let before = habit.writing.get(..at_dotlock)?;
    let others: Vec<&LockConvention> = habits
        .iter()
        .filter(|other| begins_with_dotlock(other) && other.writing.iter().any(|lock| before.contains(lock)))
        .collect();
    // The more impatient of two ends it.
    let of_pair = |other: &LockConvention| match (habit.waits_seconds, other.waits_seconds) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let longest = others.iter().map(|other| of_pair(other).unwrap_or(u64::MAX)).max()?;
    let names: Vec<_> = others.iter().map(|other| other.program).collect();
    let order = format!(
        "it takes {}, and {} the other way round",
        listed(&habit.writing, ", then "),
        listed(&names, " and ")
    );
    let topic = Check::LockOrder.about(habit.program);
    let wrong = |text: String| topic.error(text, habit.set_by);
    Some(if longest <= SHORT_SECONDS {
        let text = format!("{order}, but one gives up within {longest} s");
        topic.ok(text)
    } else if longest < LONG_SECONDS {
        let text = format!("{order}: they can stop each other for {longest} s");
        topic.warning(text, habit.set_by)
    } else if longest == u64::MAX {
        wrong(format!("{order}: they can stop each other for good"))
    } else {
        let minutes = longest.div_ceil(60);
        wrong(format!("{order}: they can stop each other for {minutes} minutes"))
    })
}

#[cfg(test)]
mod tests {
    use super::{check_opensmtpd, judge_conventions};
    use crate::config::LockMethod;
    use crate::doctor::rules::lock_conventions::samples::{MUTT, PROCMAIL, debians_dovecot};
    use crate::doctor::rules::lock_conventions::{
        LockConvention, maildrop_convention, mutt_convention, postfix_convention, procmail_convention,
    };
    use crate::doctor::rules::settings::Settings;
    use crate::doctor::rules::{Check, Level};

    #[test]
    fn an_mta_without_locks_is_named_where_it_writes_to_mboxes() {
        let level = |text| check_opensmtpd(text).map(|finding| finding.level);
        assert_eq!(
            level("listen on lo\naction \"local\" mbox alias <aliases>\n"),
            Some(Level::Error)
        );
        assert_eq!(
            level("# action \"local\" mbox\naction \"x\" maildir\naction \"m\" mda \"x\"\n"),
            None
        );
    }

    #[test]
    fn who_shares_no_lock_and_who_can_stop_whom_is_said() {
        let all = |dovecot: &str| -> Vec<LockConvention> {
            let postfix = postfix_convention(&Settings::parse("mailbox_delivery_lock = fcntl, dotlock\n"));
            [
                debians_dovecot(dovecot, ""),
                procmail_convention(PROCMAIL),
                mutt_convention(MUTT),
                postfix,
            ]
            .into_iter()
            .flatten()
            .chain([maildrop_convention()])
            .collect()
        };
        let both = [LockMethod::Dotlock, LockMethod::Fcntl];
        let found = |ours: &[LockMethod], habits: &[LockConvention]| -> Vec<(Check, Level, String)> {
            judge_conventions(ours, habits)
                .into_iter()
                .filter(|finding| finding.level != Level::Ok)
                .map(|finding| {
                    (
                        finding.check,
                        finding.level,
                        format!("{}: {}", finding.subject, finding.finding),
                    )
                })
                .collect()
        };
        assert_eq!(
            found(&both, &all("fcntl dotlock")),
            [(
                Check::LockOrder,
                Level::Error,
                "Dovecot: it takes fcntl, then dotlock, and procmail, Postfix and maildrop the other way round: they can stop each other for 5 minutes".to_owned()
            )]
        );
        assert_eq!(found(&both, &all("dotlock fcntl")), []);
        // mutt gives up soon.
        let pair: Vec<_> = [procmail_convention(PROCMAIL), mutt_convention(MUTT)]
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(found(&both, &pair), []);
        let dotlock_alone = LockConvention {
            program: "x",
            writing: vec![LockMethod::Dotlock],
            reading: None,
            waits_seconds: None,
            set_by: "mend it",
            known_from: "",
        };
        assert_eq!(
            found(&[LockMethod::Fcntl], std::slice::from_ref(&dotlock_alone)),
            [(
                Check::Locks,
                Level::Error,
                "x: it takes dotlock on a mailbox and spoolguard takes fcntl: both can write at once".to_owned()
            )]
        );
        let reads_unlocked = LockConvention {
            reading: Some(vec![LockMethod::Flock]),
            ..dotlock_alone.clone()
        };
        assert_eq!(
            found(&both, &[reads_unlocked]),
            [(
                Check::Locks,
                Level::Error,
                "x: it takes flock to read a mailbox and spoolguard takes dotlock and fcntl: it can read half a message".to_owned()
            )]
        );
        // Postfix gives up first, and its mail comes again.
        let pair: Vec<_> = all("fcntl dotlock")
            .into_iter()
            .filter(|habit| ["Dovecot", "Postfix"].contains(&habit.program))
            .collect();
        let [(check, level, text)] = found(&both, &pair)
            .try_into()
            .unwrap_or_else(|found| unreachable!("{found:?}"));
        assert_eq!((check, level), (Check::LockOrder, Level::Warning));
        assert!(text.ends_with("for 20 s"), "{text}");
    }
}
