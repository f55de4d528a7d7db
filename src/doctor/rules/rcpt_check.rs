//! Does the MTA ask at RCPT time whether a mailbox has room? Otherwise mail for a full mailbox is accepted, and bounced later to senders
//! who may be forged.

use crate::config::{Config, Over};
use crate::doctor::rules::master_cf::PostfixService;
use crate::doctor::rules::settings::Settings;
use crate::doctor::rules::{Check, Finding, Level};

/// Postfix's lists that can name a check.
pub const RESTRICTIONS: [&str; 4] = [
    "smtpd_recipient_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
];

/// Judges it; `postfix` and its services are there where Postfix is the MTA.
pub fn judge(config: &Config, postfix: Option<&Settings>, services: &[PostfixService]) -> Option<Finding> {
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
    let asks = |settings: &Settings| {
        let words = RESTRICTIONS.iter().flat_map(|name| settings.words(name));
        words.into_iter().any(|word| word == "check_policy_service")
    };
    let topic = Check::Quota.about("[quota] when_full");
    if postfix.is_some_and(asks) && services.iter().any(PostfixService::is_policy) {
        return Some(topic.ok("Postfix asks spoolguard policy at RCPT time"));
    }
    let remedy = if postfix.is_some() {
        "let Postfix ask spoolguard policy (/usr/share/doc/spoolguard/docs/src/quota.md), or: when_full = \"overflow\""
    } else {
        "let the MTA ask spoolguard policy at RCPT time (/usr/share/doc/spoolguard/docs/src/quota.md), or: when_full = \"overflow\""
    };
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
    use crate::doctor::rules::master_cf::services;
    use crate::doctor::rules::settings::Settings;

    #[test]
    fn a_full_mailbox_is_refused_before_its_mail_is_taken() {
        let settings = Settings::parse(
            "smtpd_recipient_restrictions = permit_mynetworks, check_policy_service unix:private/guard\n",
        );
        let services = services("guard unix - n n - 0 spawn user=nobody argv=/usr/bin/spoolguard policy");
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
            let asked = if asks { services.as_slice() } else { &[] };
            let found = judge(&config, Some(&settings), asked).map(|finding| finding.level);
            assert_eq!(found, want, "{when_full:?} {is_bounded} {asks}");
        }
    }
}
