//! Checks the programs that mail systems are told to start for users: whether each is there, and may be started. One
//! that is not holds mail, or bounces it.

use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::doctor::facts::{HostFacts, read_text};
use crate::doctor::programs::PROCMAILRC;
use crate::doctor::rules::guard_line::{Hook, guard_of};
use crate::doctor::rules::mta_commands::MAILBOX_COMMAND;
use crate::doctor::rules::{Check, CheckSubject, Finding, procmailrc};
use crate::output::shell::quote_path;
use crate::sys::account;
use crate::sys::dirs::lets_others;
use crate::sys::self_exec::own_path;

/// Where mail systems look for a program that is named without its directory (MTA-made environments have no other).
const MAIL_SYSTEMS_PATH: [&str; 2] = ["/usr/bin", "/bin"];

/// Who shall start the program.
#[derive(Clone, Copy)]
enum Starter {
    /// Whoever runs this.
    Runner,
    /// Any user of the host.
    Anybody,
}

/// Checks what the MTA starts for every user, and for aliases.
pub fn examine(host: &HostFacts) -> Vec<Finding> {
    let starter = match account::is_root() {
        true => Starter::Anybody,
        false => Starter::Runner,
    };
    let hooks = host_hooks(host);
    let mut found: Vec<_> = hooks
        .iter()
        .filter_map(|(topic, program)| judge(topic, program, starter))
        .collect();
    let shell = host
        .postfix
        .as_ref()
        .and_then(|postfix| postfix.non_empty("local_command_shell"));
    if let Some(program) = shell.and_then(|shell| shell.split_ascii_whitespace().next()) {
        let topic = Check::MailSystem.about("Postfix's local_command_shell");
        let judged = judge(&topic, program, starter);
        found.extend(judged.map(|finding| finding.remedy("postconf -X local_command_shell && postfix reload")));
    }
    found
}

/// The runs of spoolguard that the host's own files ask for.
fn host_hooks(host: &HostFacts) -> Vec<(CheckSubject, String)> {
    let mut found = Vec::new();
    let postfix = host.postfix.as_ref().and_then(|postfix| postfix.get("mailbox_command"));
    if let Some(hook) = postfix.and_then(guard_of) {
        found.push((Check::MailSystem.about(MAILBOX_COMMAND), hook.program));
    }
    for (alias, hook) in host.aliases.guarded_aliases() {
        found.push((Check::MailSystem.about(format!("alias {alias}")), hook.program));
    }
    for (name, settings) in host.exim.iter().flatten() {
        if let Some(hook) = settings.get("command").and_then(guard_of) {
            found.push((
                Check::MailSystem.about(format!("Exim's transport {name}")),
                hook.program,
            ));
        }
    }
    if host.procmail.is_some()
        && let Ok(text) = read_text(Path::new(PROCMAILRC))
    {
        let hooks = procmailrc::find_hooks(&text).into_iter();
        found.extend(hooks.map(|(_, hook)| (Check::Procmailrc.about(PROCMAILRC), hook.program)));
    }
    found
}

/// Checks the program of a user's own file, as that user.
pub fn examine_hook(topic: &CheckSubject, hook: &Hook) -> Option<Finding> {
    judge(topic, &hook.program, Starter::Runner)
}

fn judge(topic: &CheckSubject, program: &str, starter: Starter) -> Option<Finding> {
    let fate = "mail is bounced or waits";
    let named = Path::new(program);
    let paths: Vec<PathBuf> = match named.is_absolute() {
        true => vec![named.to_owned()],
        false => MAIL_SYSTEMS_PATH.iter().map(|dir| Path::new(dir).join(named)).collect(),
    };
    let own = own_path();
    let Some(path) = paths.iter().find(|path| path.is_file()) else {
        let what = format!("there is no program {program}: {fate}");
        return Some(topic.error(what, format!("install it there, or name {}", own.display())));
    };
    if can_start(path, starter) {
        return None;
    }
    let what = format!("users may not start {program} (its mode, a directory above it, or noexec): {fate}");
    let remedy = match own == *path {
        true => format!("chmod a+rx {}", quote_path(path)),
        false => format!("name {}", own.display()),
    };
    Some(topic.error(what, remedy))
}

fn can_start(path: &Path, starter: Starter) -> bool {
    // It knows of noexec, too (access(2)).
    let may_start = access(path, AccessFlags::X_OK).is_ok();
    match starter {
        Starter::Runner => may_start,
        Starter::Anybody => may_start && lets_others(path, 0o001),
    }
}

#[cfg(test)]
mod tests {
    use super::{Starter, judge};
    use crate::doctor::rules::Check;
    use std::fs::{self, Permissions};
    use std::io;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_program_has_to_be_there_and_open_to_its_starter() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let program = dir.path().join("spoolguard");
        let told = || {
            let topic = Check::MailSystem.about("x");
            let found = judge(&topic, &program.display().to_string(), Starter::Anybody);
            found.map(|finding| finding.finding).unwrap_or_default()
        };
        assert!(told().starts_with("there is no program"));
        fs::write(&program, "")?;
        fs::set_permissions(&program, Permissions::from_mode(0o700))?;
        assert!(told().starts_with("users may not start"));
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        fs::set_permissions(dir.path(), Permissions::from_mode(0o700))?;
        assert!(told().starts_with("users may not start"));
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        assert_eq!(told(), "");
        Ok(())
    }
}
