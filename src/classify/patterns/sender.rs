//! Who wrote a message, going by `From`: a mail system's daemon, something that sounds like a machine, or anyone.

use crate::message::address::Address;
use crate::message::phrase_set::PhraseSet;

/// How much the writer's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SenderKind {
    /// A person, as far as can be told.
    Anyone,
    /// An address at which machines write about many things.
    Machine,
    /// The postmaster, a gateway, or no address at all. People write from there too.
    Postmaster,
    /// The name that mail systems use for their reports.
    Daemon,
}

/// Local parts of daemons, letters and digits alone: sendmail, qmail, Postfix, Exim and nearly everyone; some spell it
/// their own way.
#[rustfmt::skip]
const DAEMONS: &[&str] = &[
    "mailerdaemon", "mailerdeamon", "maildaemon", "maildeliverysystem", "maildeliverysubsystem",
    "maildeliveryservice", "maildelivery", "mdaemon",
];

/// Names beside the address, by which a daemon is known whatever its address.
const DAEMON_NAMES: &[&str] = &[
    "mailer-daemon",
    "mailer daemon",
    "mail delivery system",
    "mail delivery subsystem",
    "mail delivery sub-system",
    "mail delivery service",
    "mail delivery agent",
    "mail deliver system",
    "message delivery system",
    "email delivery system",
    "mail transport agent",
    "internet mail delivery", // Sun Messaging Server
    "courier mail server at",
    "content-filter at", // amavisd-new
    "interscan mss",
    "interscan notification",
    "interscan messaging",
    "mail delivery notification",
];

#[rustfmt::skip]
const POSTMASTERS: &[&str] = &[
    "postmaster", "postoffice", "mmdf", "gwia", "mta", "smtp", "smtp32", "nobody", "sysadmin",
    "mailadministrator", "mailadmin", "mailmaster", "emaildaemon", "bounce", "bounces", "mailbounce",
    "symantecantivirusforsmtpgateways",
];

const POSTMASTER_NAMES: &[&str] = &[
    "postmaster",
    "system administrator", // Exchange 5.5 to 2003
    "systemadministrator",  // Exchange, German
    "microsoft outlook",
    "microsoft exchange",
    "microsoftexchange",
    "mail system",
    "mail server",
    "mail gateway",
    "internet mail service",
    "mail administrator",
    "messaging server",
    "mail router",
    "администратор системы", // Exchange, Russian
    "administrateur système",
    "administrador del sistema",
    "administrador do sistema",
    "amministratore di sistema",
    "systeembeheerder",
];

#[rustfmt::skip]
const MACHINES: &[&str] = &[
    "admin", "administrator", "daemon", "donotreply", "do-not-reply", "errors", "exchange", "mail", "mailer",
    "no-reply", "no_reply", "noreply", "notification", "notifications", "notify", "returns", "server", "system",
    "undelivered", "delivery", "deliver",
];

static DAEMON_SET: PhraseSet<{ DAEMON_NAMES.len() }> = PhraseSet::new(DAEMON_NAMES);
static POSTMASTER_SET: PhraseSet<{ POSTMASTER_NAMES.len() }> = PhraseSet::new(POSTMASTER_NAMES);

/// Judges a `From` value that is decoded; none is a message without `From`.
pub fn classify_sender(from: Option<&str>) -> SenderKind {
    let Some(from) = from else {
        return SenderKind::Postmaster;
    };
    // RFC 5322 has no such address: nobody but a mail system writes it.
    if from.trim() == "<>" {
        return SenderKind::Daemon;
    }
    let lower = from.to_lowercase();
    let address = Address::parse(&lower);
    let local = address.as_ref().map(Address::local).unwrap_or_default();
    // `post_master`, `Post.Master` and `mailer daemon` are spellings of one name.
    let plain: String = local.chars().filter(|c| c.is_alphanumeric()).collect();
    let local = local.trim_end_matches(['_', '.', '-']);
    if DAEMONS.contains(&plain.as_str()) || DAEMON_SET.is_in(&lower) {
        SenderKind::Daemon
    } else if POSTMASTERS.contains(&plain.as_str())
        || POSTMASTER_SET.is_in(&lower)
        || address
            .as_ref()
            .is_none_or(|address| address.domain().is_none() && is_no_user(&lower))
    {
        SenderKind::Postmaster
    } else if MACHINES.contains(&local)
        || local.ends_with("-admin")
        || local.starts_with("bounce")
        || local.starts_with("no-reply")
    {
        SenderKind::Machine
    } else {
        SenderKind::Anyone
    }
}

/// Tells whether a `From` without a domain is no local user's either: a host, or words in place of an address.
fn is_no_user(from: &str) -> bool {
    let bare = from.split('(').next().unwrap_or(from).trim();
    !from.contains('<') && (bare.contains('.') || bare.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::{SenderKind, classify_sender};

    #[test]
    fn writers_are_known_by_address_or_name() {
        let cases = [
            (Some("MAILER-DAEMON (Mail Delivery System)"), SenderKind::Daemon),
            (Some("Mail Delivery Subsystem <postmaster@a.test>"), SenderKind::Daemon),
            (Some("\"Mail Delivery System\" <x@a.test>"), SenderKind::Daemon),
            (
                Some("Content-filter at mx.a.test <postmaster@mx.a.test>"),
                SenderKind::Daemon,
            ),
            (Some("mail.delivery.system@a.test"), SenderKind::Daemon),
            (Some("post_master@a.test"), SenderKind::Postmaster),
            (Some("<>"), SenderKind::Daemon),
            (Some("Mailer_Daemon@a.test"), SenderKind::Daemon),
            (Some("post.master_@a.test"), SenderKind::Postmaster),
            (Some("mail.a.test"), SenderKind::Postmaster),
            (Some("System A"), SenderKind::Postmaster),
            (Some("ann"), SenderKind::Anyone),
            (Some("Ann B <ann>"), SenderKind::Anyone),
            (Some("Microsoft Outlook"), SenderKind::Postmaster),
            (None, SenderKind::Postmaster),
            (Some("no-reply@a.test"), SenderKind::Machine),
            (Some("list-admin@a.test"), SenderKind::Machine),
            (Some("root (Cron Daemon)"), SenderKind::Anyone),
            (Some("Royal Mail Delivery <parcels@shop.test>"), SenderKind::Anyone),
            (Some("Ann <ann@a.test>"), SenderKind::Anyone),
        ];
        for (from, want) in cases {
            assert_eq!(classify_sender(from), want, "{from:?}");
        }
    }
}
