//! Sendmail with Debian's settings, without the limits that slow it down when many
//! connections come from one host or the machine is busy, and with a route to the
//! other hosts.

use std::fmt::Write as _;

use crate::host::{Host, Peer, files_below};
use crate::lab::{MailSystem, must};

/// Sendmail 8.17.
pub struct Sendmail;

impl MailSystem for Sendmail {
    fn name(&self) -> &'static str {
        "sendmail"
    }

    fn configure(&self, host: &Host, peers: &[Peer]) {
        let Peer { name, address } = &host.peer;
        // As `contrib/sendmail` has it; the flag `f` would put the sender before the command.
        let local = host.mailbox_command.as_ref().map_or_else(String::new, |command| {
            let (program, words) = command.split_once(' ').unwrap_or((command, ""));
            format!(
                "define(`LOCAL_MAILER_PATH', `{program}')dnl
define(`LOCAL_MAILER_ARGS', `spoolguard {words} -f $g -d $u')dnl
define(`LOCAL_MAILER_FLAGS', `SPn9')dnl
"
            )
        });
        let mut routes = String::new();
        for peer in peers.iter().filter(|peer| peer.name != *name) {
            let _ = writeln!(routes, "{} esmtp:[{}]", peer.name, peer.address);
        }
        host.write("etc/mail/mailertable", &routes);
        host.write("etc/mail/local-host-names", &format!("localhost\n{name}\n"));
        host.write("etc/mail/service.switch", "hosts files\naliases files\n");
        let guarded = host.guarded.iter();
        let guarded: String = guarded
            .map(|(name, to)| {
                let line = include_str!("../../contrib/sendmail/aliases").lines();
                let line = line.filter(|line| line.starts_with("sales:")).collect::<String>();
                format!("{}\n", line.replace("bob@example.net", to).replace("sales", name))
            })
            .collect();
        host.write(
            "etc/aliases",
            &format!("postmaster: root\n{}{guarded}", host.alias_lines()),
        );
        host.write(
            "etc/mail/sendmail.mc",
            &format!(
                "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`debian')dnl
DOMAIN(`debian-mta')dnl
undefine(`confHOST_STATUS_DIRECTORY')dnl
define(`confDOMAIN_NAME', `{name}')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confDELAY_LA', `0')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Family=inet, Name=MTA-v4, Port=smtp, Addr={address}')dnl
CLIENT_OPTIONS(`Family=inet, Address={address}')dnl
FEATURE(`use_cw_file')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`always_add_domain')dnl
FEATURE(`mailertable', `hash /etc/mail/mailertable')dnl
{settings}{local}MAILER(`local')dnl
MAILER(`smtp')dnl
",
                settings = host.settings
            ),
        );
        host.write(
            "etc/mail/submit.mc",
            &format!(
                "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`debian')dnl
DOMAIN(`debian-msp')dnl
define(`confDOMAIN_NAME', `{name}')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confDELAY_LA', `0')dnl
FEATURE(`msp', `[{address}]', `25')dnl
"
            ),
        );
        let build = "cd /etc/mail && makemap hash mailertable < mailertable \
                     && m4 sendmail.mc > sendmail.cf && m4 submit.mc > submit.cf && newaliases";
        must(&mut host.command(&["sh", "-c", build]));
    }

    fn start(&self, host: &Host) {
        let start = "install -d -o smmta -g smmsp -m 2755 /run/sendmail/mta /run/sendmail/msp \
                     /run/sendmail/stampdir && sendmail -L sm-mta -bd -q10m \
                     && sendmail -L sm-msp-queue -Ac -q10m";
        must(&mut host.command(&["sh", "-c", start]));
    }

    fn is_attempt(&self, line: &str) -> bool {
        line.starts_with("sm-mta")
            && line.contains(" to=")
            && line.contains(" stat=")
            && !line.contains("stat=Deferred")
            && !line.contains("stat=queued")
    }

    fn residents(&self) -> &'static [&'static str] {
        &[]
    }

    fn is_busy(&self, _host: &Host) -> bool {
        false
    }

    fn queued(&self, host: &Host) -> usize {
        ["var/spool/mqueue", "var/spool/mqueue-client"]
            .iter()
            .flat_map(|queue| files_below(&host.root.join(queue)))
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with("qf"))
            })
            .count()
    }

    fn flush(&self, host: &Host) {
        must(&mut host.command(&["sendmail", "-L", "sm-mta", "-q"]));
        must(&mut host.command(&["sendmail", "-Ac", "-q"]));
    }

    fn loops(&self, story: &str) -> bool {
        // It counts the hops when a message is submitted, and refuses an unknown user
        // of its own there: what procmail then ignores ends the other stories.
        ["S1", "S10"].contains(&story)
    }

    fn has_user_commands(&self) -> bool {
        false
    }
}
