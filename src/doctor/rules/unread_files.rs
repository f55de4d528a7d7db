//! Whether the MTA reads a user's `.forward` and `.procmailrc` at all. What is in a file that nobody reads does not
//! happen: no forward, and no guard. Where settings do not tell, nothing is said.

use crate::doctor::rules::settings::Settings;

/// Why a file is not read; none where it is, or nobody can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreadFiles {
    pub forward: Option<String>,
    /// The `.procmailrc`, as long as the `.forward` does not start procmail.
    pub procmailrc: Option<String>,
}

const FORWARD: &str = ".forward";

/// Deliver without local(8): Postfix's own agents, and those that others name so.
const OTHER_AGENTS: [&str; 6] = ["lmtp", "virtual", "smtp", "relay", "dovecot", "error"];

/// Postfix (local(8)): aliases, `.forward`, then the first of mailbox_transport_maps, mailbox_transport,
/// mailbox_command_maps and mailbox_command that is set.
pub fn postfix_unread_files(settings: &Settings) -> UnreadFiles {
    let mut unread = UnreadFiles::default();
    let agent = settings.non_empty("local_transport").unwrap_or_default();
    if OTHER_AGENTS.contains(&agent.split(':').next().unwrap_or_default()) {
        let cause = format!("Postfix's local_transport = {agent} delivers without it");
        return UnreadFiles {
            forward: Some(cause.clone()),
            procmailrc: Some(cause),
        };
    }
    if let Some(path) = settings.get("forward_path").filter(|path| !path.contains(FORWARD)) {
        unread.forward = Some(format!("Postfix's forward_path = {path} names other files"));
    }
    let has_maps = ["mailbox_transport_maps", "mailbox_command_maps"]
        .iter()
        .any(|maps| settings.non_empty(maps).is_some());
    unread.procmailrc = match (settings.non_empty("mailbox_transport"), settings.get("mailbox_command")) {
        _ if has_maps => None,
        (Some(transport), _) => Some(format!("Postfix's mailbox_transport = {transport} comes first")),
        (None, Some(command)) if command.trim().is_empty() => {
            Some("Postfix's mailbox_command is empty, so that it delivers itself".to_owned())
        }
        (None, Some(command)) if !starts_procmail(command) => {
            Some(format!("Postfix's mailbox_command = {command} is not procmail"))
        }
        (None, Some(_) | None) => None,
    };
    unread
}

/// Exim (spec.txt, "The redirect router"): a router reads the file, and another one starts procmail.
pub fn exim_unread_files(routers: &[(String, Settings)], transports: &[(String, Settings)]) -> UnreadFiles {
    if routers.is_empty() {
        return UnreadFiles::default();
    }
    let reads = |router: &Settings| router.get("file").is_some_and(|file| file.contains(FORWARD));
    let forward = (!routers.iter().any(|(_, router)| reads(router)))
        .then(|| "Exim has no redirect router whose file is .forward".to_owned());
    let procmail = transports
        .iter()
        .filter(|(_, transport)| transport.get("command").is_some_and(starts_procmail))
        .any(|(name, _)| {
            let mut users = routers.iter().map(|(_, router)| router.get("transport"));
            users.any(|transport| transport == Some(name))
        });
    UnreadFiles {
        forward,
        procmailrc: (!procmail).then(|| "Exim has no router to a transport that starts procmail".to_owned()),
    }
}

/// OpenSMTPD (smtpd.conf(5)): each local action reads the `.forward`; an mda starts procmail.
pub fn opensmtpd_unread_files(configuration: &str) -> UnreadFiles {
    let mut lines = configuration
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let procmail = lines.any(|line| line.contains("mda") && starts_procmail(line));
    UnreadFiles {
        forward: None,
        procmailrc: (!procmail).then(|| "no action of OpenSMTPD has procmail as its mda".to_owned()),
    }
}

/// Sendmail (README of its configuration, FEATURE(local_procmail)): the local mailer, and the option ForwardPath.
pub fn sendmail_unread_files(configuration: &str) -> UnreadFiles {
    let option = configuration
        .lines()
        .find_map(|line| line.strip_prefix("O ForwardPath="));
    let forward = option
        .filter(|path| !path.contains(FORWARD))
        .map(|path| format!("Sendmail's ForwardPath={path} names other files"));
    let mailer = configuration.lines().find(|line| line.starts_with("Mlocal,"));
    let program = mailer.and_then(|line| line.split_once("P=")?.1.split([',', ' ', '\t']).next());
    // Debian's sensible-mda starts procmail where it is installed.
    let is_procmail = |program: &str| starts_procmail(program) || program.ends_with("/sensible-mda");
    UnreadFiles {
        forward,
        procmailrc: program
            .filter(|program| !is_procmail(program))
            .map(|program| format!("Sendmail's local mailer is {program}, without FEATURE(`local_procmail')")),
    }
}

pub fn starts_procmail(command: &str) -> bool {
    let mut words = command.split(|c: char| c.is_whitespace() || "\"'|;&".contains(c));
    words.any(|word| word == "procmail" || word.ends_with("/procmail"))
}

#[cfg(test)]
mod tests {
    use super::{UnreadFiles, exim_unread_files, opensmtpd_unread_files, postfix_unread_files, sendmail_unread_files};
    use crate::doctor::rules::settings::{Settings, parse_blocks};

    fn causes(unread: &UnreadFiles) -> (&str, &str) {
        (
            unread.forward.as_deref().unwrap_or(""),
            unread.procmailrc.as_deref().unwrap_or(""),
        )
    }

    #[test]
    fn postfix_reads_what_its_settings_leave_to_local() {
        for (settings, forward, procmailrc) in [
            ("mailbox_command = /usr/bin/procmail -a \"$EXTENSION\"", "", ""),
            ("mailbox_command = exec /usr/bin/procmail", "", ""),
            ("", "", ""),
            ("mailbox_command =", "", "mailbox_command is empty"),
            ("mailbox_command = /usr/bin/spoolguard deliver", "", "is not procmail"),
            (
                "mailbox_command = /usr/bin/procmail\nmailbox_transport = lmtp:unix:private/dovecot-lmtp",
                "",
                "mailbox_transport = lmtp:unix:private/dovecot-lmtp comes first",
            ),
            ("mailbox_command =\nmailbox_command_maps = hash:/etc/x", "", ""),
            ("mailbox_command = procmail\nlocal_transport = local:a.test", "", ""),
            (
                "mailbox_command = procmail\nlocal_transport = lmtp:unix:x",
                "local_transport = lmtp:unix:x",
                "local_transport = lmtp:unix:x",
            ),
            ("forward_path = $home/.forward${x}, $home/.forward", "", ""),
            ("forward_path = /var/forward/$user", "names other files", ""),
            ("forward_path =", "names other files", ""),
        ] {
            let unread = postfix_unread_files(&Settings::parse(settings));
            let (is_forward, is_procmailrc) = causes(&unread);
            assert!(
                is_forward.contains(forward) && is_forward.is_empty() == forward.is_empty(),
                "{settings}: {unread:?}"
            );
            assert!(
                is_procmailrc.contains(procmailrc) && is_procmailrc.is_empty() == procmailrc.is_empty(),
                "{settings}: {unread:?}"
            );
        }
    }

    #[test]
    fn exim_needs_a_router_for_each_file() {
        let debian = "userforward router:\ndriver = redirect\nfile = $home/.forward\n\nprocmail router:\ndriver = accept\ntransport = procmail_pipe\n";
        let transports = "procmail_pipe transport:\ndriver = pipe\ncommand = /usr/bin/procmail\n";
        let (routers, pipes) = (
            parse_blocks(debian, " router:"),
            parse_blocks(transports, " transport:"),
        );
        assert_eq!(exim_unread_files(&routers, &pipes), UnreadFiles::default());
        assert_eq!(
            exim_unread_files(&[], &pipes),
            UnreadFiles::default(),
            "nobody could be asked"
        );
        let bare = parse_blocks(
            "local_user router:\ndriver = accept\ntransport = local_delivery\n",
            " router:",
        );
        let unread = exim_unread_files(&bare, &pipes);
        assert!(unread.forward.is_some() && unread.procmailrc.is_some(), "{unread:?}");
    }

    #[test]
    fn opensmtpd_and_sendmail_need_procmail_as_their_agent() {
        let unread = |text| opensmtpd_unread_files(text).procmailrc.is_some();
        assert!(unread(
            "action \"local\" maildir alias <aliases>\n# mda \"/usr/bin/procmail\"\n"
        ));
        assert!(!unread("action \"local\" mda \"/usr/bin/procmail -f -\"\n"));
        let unread = |text| sendmail_unread_files(text).procmailrc.is_some();
        assert!(unread("Mlocal,\t\tP=/usr/lib/sm.bin/mail.local, F=x\n"));
        assert!(
            !unread("Mlocal,\t\tP=/usr/bin/procmail, F=x\n") && !unread("Mlocal,\tP=/usr/sbin/sensible-mda, F=x\n")
        );
        assert!(!unread(""));
        assert!(
            sendmail_unread_files("O ForwardPath=/var/forward/$u\n")
                .forward
                .is_some()
        );
        assert_eq!(
            sendmail_unread_files("O ForwardPath=$z/.forward.$w:$z/.forward\n").forward,
            None
        );
    }
}
