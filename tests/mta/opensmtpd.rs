//! OpenSMTPD with mbox delivery and a route to the other hosts.

use std::fmt::Write as _;

use crate::host::{Host, Peer};
use crate::lab::{MailSystem, must};

/// OpenSMTPD 6.8.
pub struct OpenSmtpd;

/// What is asked at RCPT, as `contrib/opensmtpd` has it.
const FILTER: &str = "filter \"quota\" proc-exec \"/usr/bin/spoolguard policy --opensmtpd\"\n";

impl OpenSmtpd {
    /// Lists the envelopes in the queue, one a line, with their state.
    fn envelopes(host: &Host) -> Vec<String> {
        // It answers with an error while the daemon is gone, and then nothing moves.
        let output = host.command(&["smtpctl", "show", "queue"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

/// Adds lines of `smtpd.conf`: what says which mail goes where stands behind all that it names.
fn add_lines(lines: &str, text: &mut String, matches: &mut String) {
    for line in lines.lines() {
        let part = if line.starts_with("match") {
            &mut *matches
        } else {
            &mut *text
        };
        let _ = writeln!(part, "{line}");
    }
}

impl MailSystem for OpenSmtpd {
    fn name(&self) -> &'static str {
        "opensmtpd"
    }

    fn configure(&self, host: &Host, peers: &[Peer]) {
        let Peer { name, address } = &host.peer;
        let (filter, by) = match host.asks {
            None => ("", ""),
            Some(_) => (FILTER, "filter \"quota\""),
        };
        let mut text = format!(
            "{filter}table aliases file:/etc/aliases
listen on {address} hostname {name} {by}
"
        );
        let procmail = host.procmail.iter().map(|user| (user, "/usr/bin/procmail"));
        let commands = host.commands.iter().map(|(user, command)| (user, command.as_str()));
        let mut matches = String::new();
        for (user, command) in procmail.chain(commands) {
            let _ = writeln!(text, "action \"mda_{user}\" mda \"{command}\" alias <aliases>");
            let _ = writeln!(
                matches,
                "match from any for rcpt-to \"{user}@{name}\" action \"mda_{user}\""
            );
        }
        for (name, to) in &host.guarded {
            let lines = include_str!("../../contrib/opensmtpd/aliases");
            let lines = lines.replace("sales@example.org", &format!("{name}@{}", host.peer.name));
            let lines = lines.replace("bob@example.net", to).replace("sales", name);
            add_lines(&lines, &mut text, &mut matches);
        }
        if let Some(domain) = &host.virtual_domain {
            let lines = include_str!("../../contrib/opensmtpd/virtual").replace("example.org", domain);
            let both = format!("\"ann@{domain}\" = \"vmail\", \"bob@{domain}\" = \"vmail\"");
            let lines = lines.replace(&format!("\"ann@{domain}\" = \"vmail\""), &both);
            add_lines(&lines, &mut text, &mut matches);
        }
        let local = match &host.mailbox_command {
            Some(command) => format!("mda \"{command}\""),
            None => "mbox".to_owned(),
        };
        let _ = writeln!(text, "action \"local\" {local} alias <aliases>");
        let _ = writeln!(matches, "match from any for domain \"{name}\" action \"local\"");
        let _ = writeln!(matches, "match from any for local action \"local\"");
        for peer in peers.iter().filter(|peer| peer.name != *name) {
            let _ = writeln!(
                text,
                "action \"to_{0}\" relay host smtp://{1} src {address}",
                peer.name, peer.address
            );
            let _ = writeln!(
                matches,
                "match from any for domain \"{0}\" action \"to_{0}\"",
                peer.name
            );
        }
        host.write("etc/smtpd.conf", &format!("{text}{matches}"));
        host.write("etc/aliases", &host.alias_lines());
    }

    fn start(&self, host: &Host) {
        must(&mut host.command(&["smtpd"]));
    }

    fn is_attempt(&self, line: &str) -> bool {
        line.contains(" delivery evpid=") && !line.contains("TempFail")
    }

    fn residents(&self) -> &'static [&'static str] {
        &[]
    }

    fn is_busy(&self, host: &Host) -> bool {
        Self::envelopes(host)
            .iter()
            .any(|line| line.contains("|inflight|") || line.contains("|runnable|"))
    }

    fn queued(&self, host: &Host) -> usize {
        crate::host::files_below(&host.root.join("var/spool/smtpd/queue"))
            .iter()
            .filter(|path| path.ends_with("message"))
            .count()
    }

    fn flush(&self, host: &Host) {
        must(&mut host.command(&["smtpctl", "schedule", "all"]));
    }

    fn loops(&self, _story: &str) -> bool {
        // Its sendmail takes the sender of a procmail forward from the message, so
        // that the report goes to the writer and not to the one who forwards.
        false
    }
}
