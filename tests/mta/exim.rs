//! Exim as Debian ships it, with a route to the other hosts, since there is no DNS.

use std::fmt::Write as _;
use std::fs;

use crate::host::{Host, Peer, files_below};
use crate::lab::{MailSystem, must};
use crate::rcpt::Asks;
use crate::stage::GUARD;

/// Exim 4.
pub struct Exim;

/// How a delivery command hangs in the mail system: as `contrib/exim` has it.
fn pipe(command: &str) -> String {
    format!(
        "  driver = pipe
  command = \"{command}\"
  temp_errors = 73 : 75
  freeze_signal
  log_fail_output
  delivery_date_add
  envelope_to_add
  return_path_add

"
    )
}

/// What may be sent here, before it is asked whether there is room.
const RCPT: &str = "\
acl_check_rcpt:
  deny  domains = ! +local_domains
        hosts   = ! +relay_from_hosts
  require verify = recipient
";

/// The question, as `contrib/exim/policy` has it.
fn asking(asks: Asks) -> String {
    let text = include_str!("../../contrib/exim/policy");
    let lines: Vec<&str> = text.lines().collect();
    let mut parts = lines
        .split(|line| line.starts_with('#') || line.is_empty())
        .filter(|part| !part.is_empty());
    let (socket, run) = (parts.next().unwrap(), parts.next().unwrap());
    let asked = if asks == Asks::Run { run } else { socket };
    format!("{}\n\n  accept\n", asked.join("\n"))
}

/// The router and the transport of guarded aliases, as `contrib/exim/aliases` has them.
fn aliases() -> (&'static str, &'static str) {
    parts(include_str!("../../contrib/exim/aliases"))
}

/// Those of SRS addresses, as `contrib/exim/srs` has them.
fn srs() -> (&'static str, &'static str) {
    parts(include_str!("../../contrib/exim/srs"))
}

fn parts(text: &'static str) -> (&'static str, &'static str) {
    let (_, behind) = text.split_once("# --- router\n").unwrap();
    behind.split_once("# --- transport\n").unwrap()
}

/// Leaves Debian's settings out: Exim's own take no sender of a user. Extensions are delivered, so that a token could
/// come home.
fn distrust_users(host: &Host) {
    host.write("etc/exim4/conf.d/main/001_lab", "MAIN_FORCE_SENDER = yes\n");
    for router in ["600_exim4-config_userforward", "900_exim4-config_local_user"] {
        let path = format!("etc/exim4/conf.d/router/{router}");
        let text = fs::read_to_string(host.root.join(&path)).unwrap();
        let suffix = "  check_local_user\n  local_part_suffix = +*\n  local_part_suffix_optional\n";
        host.write(&path, &text.replacen("  check_local_user\n", suffix, 1));
    }
}

impl MailSystem for Exim {
    fn name(&self) -> &'static str {
        "exim"
    }

    fn configure(&self, host: &Host, peers: &[Peer]) {
        let Peer { name, address } = &host.peer;
        let own = host.virtual_domain.as_ref().map(|domain| format!(":{domain}"));
        let own = own.unwrap_or_default();
        host.write(
            "etc/exim4/update-exim4.conf.conf",
            &format!(
                "dc_eximconfig_configtype='internet'
dc_other_hostnames='{name}{own}'
dc_local_interfaces='{address}'
dc_use_split_config='true'
dc_localdelivery='mail_spool'
CFILEMODE='644'
"
            ),
        );
        // Without TLS: Exim would make a key of its own for every connection. Above 20 of those it turns more away, and
        // the sender then leaves that host alone for minutes: on a slow machine a loop would pause, as if it had ended.
        host.write(
            "etc/exim4/conf.d/main/000_lab",
            "log_file_path = syslog\nsyslog_timestamp = no\nsyslog_duplication = no\ntls_advertise_hosts =\nsmtp_accept_max = 1000\n",
        );
        if host.distrusts_users {
            distrust_users(host);
        }
        let route: Vec<String> = peers
            .iter()
            .map(|peer| format!("{} {}", peer.name, peer.address))
            .collect();
        // Exim takes every address of loopback for itself unless told otherwise.
        let mut routers = format!(
            "lab_peers:
  driver = manualroute
  domains = ! +local_domains
  route_list = {}
  self = send
  transport = lab_smtp
  no_more

",
            route.join(" ; ")
        );
        let mut transports = format!(
            "lab_smtp:
  driver = smtp
  allow_localhost
  interface = {address}

"
        );
        let some = host.commands.iter().map(|(user, command)| (user.as_str(), command));
        let everyone = host.mailbox_command.iter().map(|command| ("everyone", command));
        for (user, command) in some.chain(everyone) {
            let condition = match user {
                "everyone" => String::new(),
                user => format!("  local_parts = {user}\n"),
            };
            let _ = write!(
                routers,
                "lab_{user}:
  driver = accept
  domains = +local_domains
  check_local_user
{condition}  transport = lab_{user}
  no_verify

"
            );
            let _ = write!(transports, "lab_{user}:\n{}", pipe(command));
        }
        if !host.guarded_map.is_empty() {
            let (router, transport) = aliases();
            let lines = host.guarded_map.iter();
            let lines: String = lines.map(|(name, to)| format!("{name}: {to}\n")).collect();
            host.write("etc/exim4/guarded-aliases", &lines);
            routers.push_str(router);
            transports.push_str(transport);
        }
        if host.virtual_domain.is_some() {
            let (router, transport) = parts(include_str!("../../contrib/exim/virtual"));
            // No peer is asked for the domain.
            routers.insert_str(0, router);
            transports.push_str(transport);
        }
        if !host.aliases.is_empty() {
            let (router, transport) = srs();
            routers.push_str(router);
            transports.push_str(transport);
        }
        if !host.guarded.is_empty() {
            host.write(
                "etc/exim4/conf.d/main/000_localmacros",
                "SYSTEM_ALIASES_PIPE_TRANSPORT = address_pipe\nSYSTEM_ALIASES_USER = spoolguard\n",
            );
        }
        // Debian's own lead postmaster's mail to root, and stay.
        let mut all = fs::read_to_string(host.root.join("etc/aliases")).unwrap();
        for (name, to) in &host.guarded {
            let _ = writeln!(all, "{name}: |{GUARD} forward --as {name} {to}");
        }
        host.write("etc/aliases", &all);
        host.write("etc/exim4/conf.d/router/050_lab", &routers);
        host.write("etc/exim4/conf.d/transport/05_lab", &transports);
        if let Some(asks) = host.asks {
            host.write(
                "etc/exim4/conf.d/acl/30_exim4-config_check_rcpt",
                &format!("{}\n\n{}", RCPT, asking(asks)),
            );
        }
        must(&mut host.command(&["update-exim4.conf"]));
    }

    fn start(&self, host: &Host) {
        must(&mut host.command(&["install", "-d", "-o", "Debian-exim", "/run/exim4"]));
        // A child of the first process would stay in the foreground: it takes that for init.
        must(&mut host.command(&["sh", "-c", "exim4 -bd -q30m && true"]));
    }

    fn is_attempt(&self, line: &str) -> bool {
        line.starts_with("exim") && [" => ", " -> ", " ** "].iter().any(|mark| line.contains(mark))
    }

    fn residents(&self) -> &'static [&'static str] {
        // Only the daemons stay, and they are there from the start.
        &[]
    }

    fn is_busy(&self, _host: &Host) -> bool {
        // A message is always in the hands of some process, or waits for a retry.
        false
    }

    fn queued(&self, host: &Host) -> usize {
        files_below(&host.root.join("var/spool/exim4/input"))
            .iter()
            .filter(|path| path.to_string_lossy().ends_with("-H"))
            .count()
    }

    fn flush(&self, host: &Host) {
        must(&mut host.command(&["exim4", "-qff"]));
    }

    fn loops(&self, _story: &str) -> bool {
        true
    }
}
