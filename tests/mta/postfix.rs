//! Postfix as Debian ships it, but for what keeps it on loopback.

use std::fs;
use std::path::Path;

use crate::host::{Host, Peer};
use crate::lab::{MailSystem, must};
use crate::stage::GUARD;

/// Postfix 3.7.
pub struct Postfix;

/// Debian's services without TLS and without the mailers of other packages; no
/// service changes its root, so that no copies of system files are needed there.
const SERVICES: &str = "\
smtp      inet  n - n -     -   smtpd
pickup    unix  n - n 60    1   pickup
cleanup   unix  n - n -     0   cleanup
qmgr      unix  n - n 300   1   qmgr
rewrite   unix  - - n -     -   trivial-rewrite
bounce    unix  - - n -     0   bounce
defer     unix  - - n -     0   bounce
trace     unix  - - n -     0   bounce
verify    unix  - - n -     1   verify
flush     unix  n - n 1000? 0   flush
proxymap  unix  - - n -     -   proxymap
smtp      unix  - - n -     -   smtp
relay     unix  - - n -     -   smtp
showq     unix  n - n -     -   showq
error     unix  - - n -     -   error
retry     unix  - - n -     -   error
discard   unix  - - n -     -   discard
local     unix  - n n -     -   local
anvil     unix  - - n -     1   anvil
scache    unix  - - n -     1   scache
postlog   unix-dgram n - n - 1   postlogd
";

/// The service that is asked at RCPT, as `contrib/postfix` has it.
const POLICY: &str = "policy unix - n n - 0 spawn user=nobody argv=/usr/bin/spoolguard policy\n";

/// The same in main.cf; the service ends soon when nobody asks, so that a scene comes to rest.
const RESTRICTIONS: &str = "\
smtpd_recipient_restrictions = reject_unauth_destination,
    check_policy_service { unix:private/policy, timeout=10s, default_action=DUNNO }
policy_time_limit = 3600s
smtpd_policy_service_max_idle = 1s
smtpd_policy_service_retry_delay = 1s
";

/// How Debian lets Postfix call procmail.
const PROCMAIL: &str = "procmail -a \"$EXTENSION\"";

impl MailSystem for Postfix {
    fn name(&self) -> &'static str {
        "postfix"
    }

    fn configure(&self, host: &Host, _peers: &[Peer]) {
        let Peer { name, address } = &host.peer;
        let everyone = host.mailbox_command.as_deref().unwrap_or_default();
        let commands: String = host
            .commands
            .iter()
            .map(|(user, command)| (user, command.as_str()))
            .chain(host.procmail.iter().map(|user| (user, PROCMAIL)))
            .map(|(user, command)| format!("{user} {command}\n"))
            .collect();
        host.write("etc/postfix/commands", &commands);
        let aliases = host.aliases.iter();
        let aliases: String = aliases
            .map(|(name, command)| format!("{name} \"|{command}\"\n"))
            .collect();
        host.write("etc/postfix/aliases", &aliases);
        let guarded = host.guarded.iter();
        let guarded: String = guarded
            .map(|(name, to)| format!("{name} \"|{GUARD} forward --as {name} {to}\"\n"))
            .collect();
        host.write("etc/postfix/guarded-aliases", &guarded);
        let (mut owned, mut service, mut transport) = ("", String::new(), String::new());
        if !host.guarded.is_empty() {
            // Commands run as the owner of the file (local(8)); `return` looks into the directory of guarded aliases.
            host.give("etc/postfix/guarded-aliases", "spoolguard");
            host.give("etc/postfix/aliases", "spoolguard");
            owned = ", texthash:/etc/postfix/guarded-aliases";
        }
        if !host.guarded_map.is_empty() {
            (service, transport) = alias_transport(host);
        }
        if let Some(domain) = &host.virtual_domain {
            (service, transport) = virtual_transport(host, domain);
        }
        let delimiter = if host.aliases.is_empty() { "" } else { "+" };
        let restrictions = match host.asks {
            None => "",
            Some(_) => RESTRICTIONS,
        };
        host.write(
            "etc/postfix/main.cf",
            &format!(
                "compatibility_level = 3.6
myhostname = {name}
mydomain = {name}
myorigin = {name}
mydestination = {name}, localhost
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
inet_interfaces = {address}
smtp_bind_address = {address}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = none
alias_maps = texthash:/etc/postfix/aliases{owned}
{transport}alias_database =
recipient_delimiter = {delimiter}
biff = no
mailbox_command = {everyone}
mailbox_command_maps = texthash:/etc/postfix/commands
{restrictions}{settings}",
                settings = host.settings
            ),
        );
        let spawn = match host.asks {
            None => "",
            Some(_) => POLICY,
        };
        host.write("etc/postfix/master.cf", &format!("{SERVICES}{spawn}{service}"));
    }

    fn start(&self, host: &Host) {
        must(&mut host.command(&[host.confinement.as_slice(), &["postfix", "start"]].concat()));
    }

    fn is_attempt(&self, line: &str) -> bool {
        line.starts_with("postfix/")
            && line.contains(" to=<")
            && (line.contains(" status=sent") || line.contains(" status=bounced"))
    }

    fn residents(&self) -> &'static [&'static str] {
        &[
            "master",
            "pickup",
            "qmgr",
            "smtpd",
            "cleanup",
            "trivial-rewrite",
            "bounce",
            "local",
            "smtp",
            "error",
            "flush",
            "verify",
            "proxymap",
            "showq",
            "anvil",
            "scache",
            "spawn",
            "postlogd",
            // Servers of mailboxes beside it.
            "dovecot",
            "log",
            "config",
            "stats",
            "auth",
            "lmtp",
            "cyrmaster",
            "lmtpd",
            "pipe",
        ]
    }

    fn is_busy(&self, host: &Host) -> bool {
        ["maildrop", "incoming", "active"]
            .iter()
            .any(|name| entries(&host.root.join("var/spool/postfix").join(name)) > 0)
    }

    fn queued(&self, host: &Host) -> usize {
        ["maildrop", "incoming", "active", "deferred", "hold"]
            .iter()
            .map(|name| entries(&host.root.join("var/spool/postfix").join(name)))
            .sum()
    }

    fn flush(&self, host: &Host) {
        must(&mut host.command(&["postqueue", "-f"]));
    }

    fn loops(&self, _story: &str) -> bool {
        true
    }
}

/// The service and the settings by which addresses of a virtual domain are forwarded, from `contrib/postfix`.
fn alias_transport(host: &Host) -> (String, String) {
    let mut wanted = include_str!("../../contrib/postfix/aliases")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let mut lines = |first: &str, count: usize| {
        let found: Vec<&str> = wanted
            .by_ref()
            .skip_while(|line| !line.starts_with(first))
            .take(count)
            .collect();
        format!("{}\n", found.join("\n"))
    };
    let service = lines("guard unix", 2);
    let settings = lines("guard_destination", 3).replace("hash:", "texthash:");
    let table = host.guarded_map.iter();
    let table: String = table.map(|(address, to)| format!("{address} guard:{to}\n")).collect();
    host.write("etc/postfix/guarded", &table);
    let domains: Vec<&str> = host
        .guarded_map
        .keys()
        .filter_map(|address| address.rsplit('@').next())
        .collect();
    let settings = format!("{settings}virtual_mailbox_domains = {}\n", domains.join(" "));
    (service, settings)
}

/// The service of virtual users and its settings, as `contrib/postfix/virtual` has them.
fn virtual_transport(host: &Host, domain: &str) -> (String, String) {
    let text = include_str!("../../contrib/postfix/virtual");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    let (service, settings) = lines.split_at(2);
    let mailboxes = format!("ann@{domain} spoolguard:\nbob@{domain} spoolguard:\n");
    host.write("etc/postfix/mailboxes", &mailboxes);
    let settings = settings.join("\n").replace("example.org", domain);
    (
        format!("{}\n", service.join("\n")),
        format!("{}\n", settings.replace("hash:", "texthash:")),
    )
}

/// Counts the queue files of one queue, which may be hashed.
fn entries(queue: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(queue).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => count += entries(&entry.path()),
            Ok(_) => count += 1,
            Err(_) => {}
        }
    }
    count
}
