//! Does the MTA ask at RCPT time whether a mailbox has room? Otherwise mail for a full mailbox is accepted, and bounced
//! later to senders who may be forged.

use crate::config::{Config, Over};
use crate::doctor::rules::{Check, Finding, Level};

/// Postfix's lists that can name a check.
pub const RESTRICTIONS: [&str; 4] = [
    "smtpd_recipient_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
];

/// Judges it; `asking` is the MTA that asks.
pub fn judge(config: &Config, asking: Option<&str>) -> Option<Finding> {
    let quota = &config.quota;
    let is_bounded =
        quota.limit.bound().is_some() || quota.messages > 0 || !quota.users.is_empty() || !quota.groups.is_empty();
    let (level, what) = match quota.when_full {
        Over::Refuse => (
            Level::Error,
            "when_full = \"refuse\": mail for a full mailbox is bounced, also to senders who were forged",
        ),
        Over::Defer => (
            Level::Warning,
            "when_full = \"defer\": mail for a full mailbox is deferred, and bounced in the end, also to senders who were forged",
        ),
        Over::Divert | Over::Overflow | Over::Archive => return None,
    };
    if !is_bounded {
        return None;
    }
    let topic = Check::Quota.about("[quota] when_full");
    if let Some(mta) = asking {
        return Some(topic.ok(format!("{mta} asks spoolguard policy at RCPT time")));
    }
    let remedy = "let the MTA ask spoolguard policy (/usr/share/doc/spoolguard/docs/src/rcpt-quota.md), or: when_full = \"overflow\"";
    Some(Finding {
        level,
        ..topic.error(what, remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::config::{Config, Over};
    use crate::doctor::rules::Level;

    #[test]
    fn a_full_mailbox_is_refused_before_its_mail_is_taken() {
        for (when_full, is_bounded, asks, want) in [
            (Over::Refuse, true, false, Some(Level::Error)),
            (Over::Defer, true, false, Some(Level::Warning)),
            (Over::Overflow, true, false, None),
            (Over::Refuse, false, false, None),
            (Over::Refuse, true, true, Some(Level::Ok)),
        ] {
            let mut config = Config::default();
            config.quota.when_full = when_full;
            if is_bounded {
                config.quota.messages = 10;
            }
            let found = judge(&config, asks.then_some("Postfix")).map(|finding| finding.level);
            assert_eq!(found, want, "{when_full:?} {is_bounded} {asks}");
        }
    }
}
