//! Checks what Sendmail runs of a `.forward`: smrsh(8) starts only programs that are linked in its directory. A user
//! whose shell is not in shells(5) may have no commands.

use std::path::Path;

use crate::doctor::facts::{HostFacts, host_path, read_text};
use crate::doctor::rules::{Check, Finding};
use crate::submit::program::SendmailKind;
use crate::sys::account::Account;
use crate::sys::{child, self_exec};

pub const CONFIGURATION: &str = "/etc/mail/sendmail.cf";

/// Where smrsh looks, by distribution: Debian, Red Hat, the source.
const SMRSH_DIRS: [&str; 5] = [
    "/etc/mail/smrsh",
    "/etc/smrsh",
    "/usr/lib/sm.bin",
    "/usr/libexec/sm.bin",
    "/usr/adm/sm.bin",
];

/// What lets everybody have commands (sendmail.cf's guide, shells).
const ANY_SHELL: &str = "/SENDMAIL/ANY/SHELL/";

/// Whether mail leaves through Sendmail itself.
fn is_used(host: &HostFacts) -> bool {
    host.postfix.is_none() && SendmailKind::of_transport(&host.config.forward.transport) == SendmailKind::Sendmail
}

pub fn examine(host: &HostFacts) -> Option<Finding> {
    if !is_used(host) {
        return None;
    }
    let text = read_text(&host_path(CONFIGURATION)).ok()?;
    if !uses_smrsh(&text) {
        return None;
    }
    let dirs = SMRSH_DIRS.map(host_path);
    let topic = Check::MailSystem.about("Sendmail's smrsh");
    if let Some(dir) = dirs.iter().find(|dir| child::is_program(&dir.join("spoolguard"))) {
        let what = format!("it runs {}", dir.join("spoolguard").display());
        return Some(topic.ok(what));
    }
    let dir = dirs.iter().find(|dir| dir.is_dir()).or(dirs.first())?;
    let what = format!(
        "there is no spoolguard in {}: a .forward that names it is bounced",
        dir.display()
    );
    let remedy = format!("ln -s {} {}/spoolguard", self_exec::own_path().display(), dir.display());
    Some(topic.error(what, remedy))
}

/// Whether the program mailer is smrsh: `Mprog, P=/usr/lib/sm.bin/smrsh, ...`.
fn uses_smrsh(configuration: &str) -> bool {
    let mut lines = configuration.lines().skip_while(|line| !line.starts_with("Mprog,"));
    let first = lines.next().unwrap_or_default();
    let more = lines.take_while(|line| line.starts_with([' ', '\t']));
    std::iter::once(first)
        .chain(more)
        .any(|line| line.split([',', ' ', '\t']).any(|word| word.ends_with("/smrsh")))
}

/// Whether Sendmail runs commands of this user's `.forward`.
pub fn examine_shell(host: &HostFacts, account: &Account) -> Option<Finding> {
    if !is_used(host) {
        return None;
    }
    let shell = shell_of(&read_text(&host_path("/etc/passwd")).ok()?, &account.name)?;
    let shells = read_text(&host_path("/etc/shells")).ok()?;
    let allowed = |line: &str| line.trim() == shell || line.trim() == ANY_SHELL;
    if shells.lines().any(allowed) {
        return None;
    }
    let what = format!(
        "the shell of {} is {shell}, which /etc/shells does not name: Sendmail bounces its mail",
        account.name
    );
    let remedy = format!("chsh -s /bin/sh {0}, or put {ANY_SHELL} into /etc/shells", account.name);
    Some(Check::Forward.about(account.name.clone()).error(what, remedy))
}

/// The shell of a user who stands in the file.
fn shell_of(passwd: &str, name: &str) -> Option<String> {
    let of = |line: &str| {
        line.strip_prefix(name)?
            .strip_prefix(':')?
            .split(':')
            .nth(5)
            .map(str::to_owned)
    };
    let shell = passwd.lines().find_map(of)?;
    Some(if shell.is_empty() { "/bin/sh".to_owned() } else { shell })
}

/// Whether procmail can start what needs a shell (procmailrc(5), SHELL): a shell that lets nobody in runs nothing.
pub fn procmail_shell(account: &Account, rc: &Path, text: &str) -> Option<Finding> {
    let shell = shell_of(&read_text(&host_path("/etc/passwd")).ok()?, &account.name)?;
    let lets_nobody_in = ["nologin", "false", "true"]
        .iter()
        .any(|name| shell.ends_with(&format!("/{name}")));
    let names_another = text.lines().any(|line| line.trim_start().starts_with("SHELL"));
    (lets_nobody_in && !names_another).then(|| {
        let what = format!(
            "the shell of {} is {shell}: procmail starts no line that needs a shell",
            account.name
        );
        Check::Procmailrc
            .about(rc.display())
            .warning(what, "write SHELL=/bin/sh at its top")
    })
}

#[cfg(test)]
mod tests {
    use super::{shell_of, uses_smrsh};

    #[test]
    fn the_program_mailer_is_smrsh_or_a_shell() {
        assert!(uses_smrsh(
            "Mlocal, P=/x\nMprog,\t\tP=/usr/lib/sm.bin/smrsh, F=lsDFMoqeu9,\n\t\tA=smrsh -c $u\n"
        ));
        assert!(!uses_smrsh(
            "Mprog,\t\tP=/bin/sh, F=lsDFMoqeu9,\n\t\tA=sh -c $u\nMother, P=/usr/lib/smrsh\n"
        ));
    }

    #[test]
    fn a_users_shell_is_the_last_field() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nal:x:1:1::/h:/usr/sbin/nologin\nalice:x:2:2::/h:\n";
        assert_eq!(shell_of(passwd, "al").as_deref(), Some("/usr/sbin/nologin"));
        assert_eq!(shell_of(passwd, "alice").as_deref(), Some("/bin/sh"));
        assert_eq!(shell_of(passwd, "bob"), None);
    }
}
