//! Does an MTA run the commands that users and administrators write? Judges the settings of Postfix and Exim.

use crate::doctor::rules::guard_line::{GuardJob, Hook, guard_of};
use crate::doctor::rules::limits::postconf_command;
use crate::doctor::rules::settings::Settings;
use crate::doctor::rules::{Check, Finding};

pub fn judge_postfix(settings: &Settings) -> Vec<Finding> {
    let command = settings.get("mailbox_command").unwrap_or_default();
    let hook = guard_of(command);
    let mut found = match &hook {
        Some(hook) => mailbox_command(hook, settings),
        None => plain_command(command).into_iter().collect(),
    };
    found.extend(allowed_commands(settings));
    if settings.get("forward_path") == Some("") {
        found.push(
            Check::MailSystem
                .about("Postfix's forward_path")
                .note("it is empty: no .forward is read"),
        );
    }
    found
}

pub const MAILBOX_COMMAND: &str = "Postfix's mailbox_command";

fn mailbox_command(hook: &Hook, settings: &Settings) -> Vec<Finding> {
    let topic = Check::MailSystem.about(MAILBOX_COMMAND);
    let deliver = postconf_command("mailbox_command = /usr/bin/spoolguard deliver");
    let mut found: Vec<_> = hook.findings(&topic).collect();
    let job = match &hook.job {
        GuardJob::Nothing => return found,
        GuardJob::Filter | GuardJob::Other(_) => {
            found.push(topic.error(hook.job.keeps_nothing(), deliver));
            return found;
        }
        // With a name in it, each user has another one.
        GuardJob::Forward(to) if !to.iter().any(|to| to.contains('$')) => {
            let to = to.join(" and ");
            let what = format!("it forwards the mail of every user of this host to {to}");
            let remedy = format!("put the forward into one user's .forward, and: {deliver}");
            found.push(topic.error(what, remedy));
            return found;
        }
        GuardJob::Forward(_) => "forward",
        GuardJob::Deliver => "deliver",
    };
    if let Some(transport) = settings.non_empty("mailbox_transport") {
        let what = format!("it runs spoolguard, but mailbox_transport = {transport} comes before it");
        found.push(topic.error(what, postconf_command("mailbox_transport =")));
    }
    if found.is_empty() {
        found.push(topic.ok(format!("it runs spoolguard {job}")));
    }
    found
}

/// One that hands everybody's mail to sendmail.
fn plain_command(command: &str) -> Option<Finding> {
    let mut words = command.split_ascii_whitespace();
    words.find(|word| word.ends_with("/sendmail"))?;
    let to = words.next_back().filter(|word| !word.starts_with('-'))?;
    let what = if to.contains('$') {
        format!("it forwards every user's mail to {to} without spoolguard")
    } else {
        format!("it forwards the mail of every user of this host to {to}, without spoolguard")
    };
    let remedy = postconf_command("mailbox_command = /usr/bin/spoolguard deliver");
    Some(Check::MailSystem.about(MAILBOX_COMMAND).error(what, remedy))
}

/// What has to be set so that Postfix runs commands that stand in a place of this name (local(8)); none where it does.
fn must_allow(settings: &Settings, place: &str) -> Option<String> {
    settings.get("allow_mail_to_commands")?;
    let mut allowed = settings.words("allow_mail_to_commands");
    if allowed.contains(&place) {
        return None;
    }
    allowed.push(place);
    Some(postconf_command(&format!(
        "allow_mail_to_commands = {}",
        allowed.join(", ")
    )))
}

fn allowed_commands(settings: &Settings) -> Option<Finding> {
    let topic = Check::MailSystem.about("Postfix's allow_mail_to_commands");
    settings.get("allow_mail_to_commands")?;
    Some(match must_allow(settings, "forward") {
        None => topic.ok("commands in a .forward are run"),
        // Who has one is told with the file.
        Some(remedy) => topic.warning(FORWARD_COMMANDS, remedy),
    })
}

const FORWARD_COMMANDS: &str = "no command in a .forward is run, and such mail is bounced";

/// Whether Postfix runs the command of this `.forward`.
pub fn judge_forward_command(settings: &Settings, file: &str) -> Option<Finding> {
    let remedy = must_allow(settings, "forward")?;
    let what = format!("allow_mail_to_commands does not name forward: {FORWARD_COMMANDS}");
    Some(Check::Forward.about(file).error(what, remedy))
}

/// Whether Postfix runs a command that stands in a file which is included by an alias or a `.forward` (local(8)).
pub fn judge_included_file(settings: &Settings, file: &str) -> Option<Finding> {
    let remedy = must_allow(settings, "include")?;
    let what = "Postfix runs no command in an included file, and such mail is bounced";
    let remedy = format!("put the command into the .forward itself, or: {remedy}");
    Some(Check::MailSystem.about(file).error(what, remedy))
}

/// Whether aliases may run commands, where one of them runs spoolguard.
pub fn alias_command(settings: &Settings, alias: &str, hook: &Hook) -> Vec<Finding> {
    let topic = Check::MailSystem.about(format!("alias {alias}"));
    let mut found: Vec<_> = hook.findings(&topic).collect();
    if must_allow(settings, "alias").is_some() {
        let what = "it runs spoolguard, but allow_mail_to_commands does not name alias: such mail is bounced";
        found.push(topic.error(what, postconf_command("allow_mail_to_commands = alias, forward")));
    } else if hook.job != GuardJob::Other("return".to_owned()) && hook.alias.is_none() {
        // Those are meant for aliases, and have nothing of a user's.
        let privs = settings.non_empty("default_privs").unwrap_or("nobody");
        let what =
            format!("Postfix runs it as {privs}: what is kept lies in the mailbox of {privs}, where nobody looks");
        let remedy = match &hook.job {
            GuardJob::Forward(to) => format!("write \"|/usr/bin/spoolguard forward --as {alias} {}\"", to.join(" ")),
            GuardJob::Deliver | GuardJob::Filter | GuardJob::Other(_) | GuardJob::Nothing => {
                "put the command into that user's .forward, and take it out of the aliases".to_owned()
            }
        };
        found.push(topic.error(what, remedy));
    }
    found
}

/// Whether Exim runs a command that stands in a `.forward` (spec.txt of Exim, "The redirect router", "The pipe
/// transport").
pub fn judge_exim(routers: &[(String, Settings)], transports: &[(String, Settings)]) -> Vec<Finding> {
    let of_user = routers.iter().filter(|(_, router)| {
        router.get("driver") == Some("redirect") && router.get("file").is_some_and(|file| file.contains(".forward"))
    });
    let mut found: Vec<_> = of_user.filter_map(|(name, router)| exim_router(name, router)).collect();
    let pipe = transports.iter().find(|(name, _)| name == "address_pipe");
    found.extend(pipe.into_iter().flat_map(|(_, settings)| exim_pipe(settings)));
    found
}

/// Whether Exim runs the command of an alias: Debian's router for them has no transport until a macro names one.
pub fn exim_alias(routers: &[(String, Settings)], alias: &str) -> Option<Finding> {
    let of_aliases = |router: &Settings| {
        router.get("driver") == Some("redirect") && router.get("data").is_some_and(|data| data.contains("/etc/aliases"))
    };
    let (name, _) = routers
        .iter()
        .find(|(_, router)| of_aliases(router) && router.non_empty("pipe_transport").is_none())?;
    let what =
        format!("it runs spoolguard, but Exim's router {name} has no pipe_transport: its mail stays in the queue");
    let remedy = "pipe_transport = address_pipe, as /usr/share/doc/spoolguard/examples/exim/aliases shows";
    Some(Check::MailSystem.about(format!("alias {alias}")).error(what, remedy))
}

fn exim_router(name: &str, router: &Settings) -> Option<Finding> {
    let topic = Check::MailSystem.about(format!("Exim's router {name}"));
    let (fault, remedy) = if router.get("forbid_pipe") == Some("yes") {
        ("forbid_pipe", "take forbid_pipe away")
    } else if router.non_empty("pipe_transport").is_none() {
        ("it has no pipe_transport", "pipe_transport = address_pipe")
    } else {
        return None;
    };
    let what = format!("{fault}: a command in a .forward is not run, and its mail is not delivered");
    Some(topic.error(what, format!("in {name}: {remedy}")))
}

fn exim_pipe(settings: &Settings) -> Vec<Finding> {
    let topic = Check::MailSystem.about("Exim's transport address_pipe");
    let on = |option: &str| settings.get(option) == Some("yes");
    let mut found = Vec::new();
    let mut error = |what: &str, remedy: &str| found.push(topic.error(what, format!("in address_pipe: {remedy}")));
    let allowed = settings.get("allow_commands").unwrap_or_default();
    let mut commands = allowed.split(':');
    let names_it = commands.any(|command| command.trim().ends_with("/spoolguard"));
    let remedy = "allow_commands = /usr/bin/spoolguard";
    if on("restrict_to_path") && !names_it {
        let what = "restrict_to_path: a command that is named with its directory is not run, and its mail is bounced";
        error(what, remedy);
    } else if !allowed.is_empty() && !names_it {
        let what = format!("allow_commands = {allowed}: no other command is run, and its mail is bounced");
        error(&what, remedy);
    }
    if on("ignore_status") {
        let what = "ignore_status: what spoolguard defers counts as delivered, and is lost";
        error(what, "take ignore_status away");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{alias_command, exim_alias, judge_exim, judge_forward_command, judge_included_file, judge_postfix};
    use crate::doctor::rules::guard_line::guard_of;
    use crate::doctor::rules::settings::{Settings, parse_blocks};
    use crate::doctor::rules::{Finding, Level};

    fn worst(findings: &[Finding]) -> Option<(Level, &str)> {
        let worst = findings.iter().min_by_key(|finding| finding.level)?;
        Some((worst.level, worst.finding.as_str()))
    }

    #[test]
    fn postfix_runs_what_keeps_mail_and_means_one_user() {
        let good = "mailbox_command =\nallow_mail_to_commands = alias, forward\nforward_path = $home/.forward\n";
        for (change, want) in [
            ("", None),
            ("mailbox_command = /usr/bin/spoolguard deliver", None),
            ("mailbox_command = /usr/bin/spoolguard forward $USER@b.test", None),
            (
                "mailbox_command = /usr/bin/spoolguard filter",
                Some((Level::Error, "spoolguard filter keeps no message")),
            ),
            (
                "mailbox_command = /usr/bin/spoolguard forward b@b.test",
                Some((
                    Level::Error,
                    "it forwards the mail of every user of this host to b@b.test",
                )),
            ),
            (
                "mailbox_command = /usr/sbin/sendmail -oi b@b.test",
                Some((
                    Level::Error,
                    "it forwards the mail of every user of this host to b@b.test, without",
                )),
            ),
            ("mailbox_command = /usr/bin/procmail -a \"$EXTENSION\"", None),
            (
                "mailbox_command = /usr/bin/spoolguard delivre",
                Some((Level::Error, "mail stays in the MTA's queue (deferred): unrecognized")),
            ),
            (
                "mailbox_command = /usr/bin/spoolguard deliver\nmailbox_transport = lmtp:x",
                Some((Level::Error, "it runs spoolguard, but mailbox_transport = lmtp:x")),
            ),
            (
                "allow_mail_to_commands = alias",
                Some((Level::Warning, "no command in a .forward is run")),
            ),
            (
                "forward_path =",
                Some((Level::Warning, "it is empty: no .forward is read")),
            ),
        ] {
            let found = judge_postfix(&Settings::parse(&format!("{good}{change}\n")));
            let found = worst(&found).filter(|(level, _)| *level != Level::Ok);
            let holds = match (found, want) {
                (Some((level, text)), Some((wanted, part))) => level == wanted && text.starts_with(part),
                (found, want) => found.is_none() && want.is_none(),
            };
            assert!(holds, "{change}: {found:?}");
        }
    }

    #[test]
    fn exim_needs_a_transport_for_commands_of_aliases() {
        let said = "system_aliases router:\ndriver = redirect\ndata = ${lookup{$local_part}lsearch{/etc/aliases}}\n";
        let told = |more: &str| exim_alias(&parse_blocks(&format!("{said}{more}"), " router:"), "sales").is_some();
        assert!(told("") && told("pipe_transport =\n"));
        assert!(!told("pipe_transport = address_pipe\n"));
        assert_eq!(exim_alias(&[], "sales"), None);
    }

    #[test]
    fn aliases_and_included_files_need_their_setting() {
        let settings = Settings::parse;
        let alias = |text: &str, command: &str| {
            let hook = guard_of(command);
            let found = hook.as_ref().map(|hook| alias_command(&settings(text), "a", hook));
            worst(&found.unwrap_or_default()).map(|(level, _)| level)
        };
        let (bare, named) = ("spoolguard forward b@b.test", "spoolguard forward --as a b@b.test");
        let (closed, open) = (
            "allow_mail_to_commands = forward",
            "allow_mail_to_commands = alias, forward",
        );
        assert_eq!(alias(closed, bare), Some(Level::Error));
        assert_eq!(alias(open, bare), Some(Level::Error));
        assert_eq!(alias(closed, named), Some(Level::Error));
        assert_eq!(alias(open, named), None);
        assert!(judge_included_file(&settings("allow_mail_to_commands = alias, forward"), "f").is_some());
        assert!(judge_included_file(&settings("allow_mail_to_commands = alias, forward, include"), "f").is_none());
        assert!(judge_included_file(&settings(""), "f").is_none());
        assert!(judge_forward_command(&settings("allow_mail_to_commands = alias"), "f").is_some());
        assert!(judge_forward_command(&settings(open), "f").is_none());
    }

    #[test]
    fn exim_runs_the_command_and_heeds_its_status() {
        let router = "\nuserforward router:\ncheck_local_user\ndriver = redirect\nfile = $home/.forward\n\
                      pipe_transport = address_pipe\n";
        let pipe =
            "\naddress_pipe transport:\ndriver = pipe\nallow_commands = \nno_restrict_to_path\nno_ignore_status\n";
        for (router_has, pipe_has, want) in [
            ("", "", None),
            ("forbid_pipe\n", "", Some("forbid_pipe: a command")),
            ("pipe_transport =\n", "", Some("it has no pipe_transport")),
            ("", "restrict_to_path\n", Some("restrict_to_path: a command")),
            (
                "",
                "restrict_to_path\nallow_commands = /bin/x:/usr/bin/spoolguard\n",
                None,
            ),
            (
                "",
                "allow_commands = /bin/x\n",
                Some("allow_commands = /bin/x: no other"),
            ),
            ("", "ignore_status\n", Some("ignore_status: what spoolguard defers")),
        ] {
            let found = judge_exim(
                &parse_blocks(&format!("{router}{router_has}"), " router:"),
                &parse_blocks(&format!("{pipe}{pipe_has}"), " transport:"),
            );
            let texts: Vec<_> = found.iter().map(|finding| finding.finding.as_str()).collect();
            let holds = match (texts.as_slice(), want) {
                ([], None) => true,
                ([only], Some(want)) => only.starts_with(want),
                _ => false,
            };
            assert!(holds, "{router_has} {pipe_has}: {texts:?}");
        }
    }
}
