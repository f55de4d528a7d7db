//! Does diverted mail reach somebody? Follows the administrator's address as far as this host knows it, and sends no
//! mail.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::doctor::facts::HostFacts;
use crate::doctor::rules::aliases::End;
use crate::doctor::rules::guard_line::guard_of;
use crate::doctor::rules::settings::Settings;
use crate::doctor::rules::{Check, CheckSubject, Finding, Level};
use crate::mailbox::open::{Owner, open_existing};
use crate::message::address::Address;
use crate::output::shell::quote_path;
use crate::sys::dirs::{parent_of, with_suffix};

/// What every mail system has to know (RFC 5321 section 4.5.1).
const POSTMASTER: &str = "postmaster";

pub fn examine(host: &HostFacts) -> Vec<Finding> {
    let admin = &host.config.admin;
    let mut found = one(host, admin);
    for of_alias in host
        .config
        .aliases
        .admins
        .values()
        .filter(|of_alias| *of_alias != admin)
    {
        let more = one(host, of_alias);
        found.extend(more.into_iter().filter(|finding| finding.level != Level::Ok));
    }
    let is_postmaster = Address::parse(admin).is_some_and(|admin| admin.local().eq_ignore_ascii_case(POSTMASTER));
    if !is_postmaster && !host.alias_files.is_empty() && is_lost(&host.find_ends(POSTMASTER)) {
        let what = "no such user or alias: reports and complaints of other hosts are bounced";
        let finding = Check::Admin.about(POSTMASTER).note(what);
        found.push(finding.remedy(new_alias(host, "postmaster: root")));
    }
    found.extend(host.alias_files.iter().filter_map(|path| stale(host, path)));
    // Told with the administrator, where that is root.
    if !host.find_ends(admin).contains(&End::User(ROOT.to_owned())) {
        let command = host
            .postfix
            .as_ref()
            .and_then(|postfix| postfix.non_empty("mailbox_command"));
        found.extend(command.and_then(|command| root_commands(host, &format!("mailbox_command ({command})"))));
    }
    found
}

/// Mail that a command of Postfix's delivers for root lands with somebody else.
pub fn root_commands(host: &HostFacts, command: &str) -> Option<Finding> {
    let privs = command_user(host)?;
    let is_roots = host.find_ends(ROOT).contains(&End::User(ROOT.to_owned()));
    let what = format!("Postfix runs {command} as {privs}: it lies in the mailbox of {privs}, where nobody looks");
    let remedy = new_alias(host, "root: SOMEBODY");
    is_roots.then(|| Check::MailSystem.about("mail for root").error(what, remedy))
}

const ROOT: &str = "root";

/// Whom Postfix runs commands as that stand for root's mail (postconf(5), default_privs).
fn command_user(host: &HostFacts) -> Option<&str> {
    let postfix = host.postfix.as_ref()?;
    Some(postfix.non_empty("default_privs").unwrap_or("nobody"))
}

fn one(host: &HostFacts, admin: &str) -> Vec<Finding> {
    match admin.starts_with('/') {
        true => vec![mbox(Path::new(admin))],
        false => address(host, admin),
    }
}

/// What is diverted is never diverted or forwarded again: the guard of an alias keeps it, whichever alias it came from.
fn guarded(host: &HostFacts, topic: &CheckSubject, alias: &str) -> Finding {
    let kept = Path::new(&host.config.aliases.dir).join(alias).join("mailbox");
    let what = format!(
        "it leads back to spoolguard, by the alias {alias}: what is diverted stays in {}, which nobody reads",
        kept.display()
    );
    let remedy = format!("name somebody who reads mail as admin, or in [aliases.admins] for the alias {alias}");
    topic.error(what, remedy)
}

fn is_lost(ends: &[End]) -> bool {
    !ends.is_empty() && ends.iter().all(|end| matches!(end, End::Nobody(_)))
}

/// The command that makes an alias.
fn new_alias(host: &HostFacts, alias: &str) -> String {
    let file = host.alias_files.first();
    let file = file.map_or(Path::new("/etc/aliases"), PathBuf::as_path);
    format!("echo '{alias}' >> {} && newaliases", quote_path(file))
}

fn address(host: &HostFacts, admin: &str) -> Vec<Finding> {
    let topic = Check::Admin.about(format!("admin {admin}"));
    let ends = host.find_ends(admin);
    let lost = "what is diverted vanishes, since it has the null sender";
    let name_somebody = "give it somebody in the aliases, then: newaliases";
    if ends.is_empty() {
        return vec![topic.error(format!("its alias names nobody: {lost}"), name_somebody)];
    }
    let mut found = Vec::new();
    let mut good = Vec::new();
    for end in ends {
        match end {
            End::Nobody(name) => {
                let what = format!("no such user or alias: {name}");
                found.push(match &host.unseen {
                    None => topic.error(format!("{what}: {lost}"), new_alias(host, &format!("{name}: root"))),
                    Some(why) => topic.note(format!("{what}, as far as can be seen ({why}): if so, {lost}")),
                });
            }
            End::Circle(name) => {
                let what = format!("the alias {name} leads back to itself: {lost}");
                found.push(topic.error(what, "fix the aliases, then: newaliases"));
            }
            End::File(path) if path == "/dev/null" => {
                let what = "it is thrown away, into /dev/null: nobody learns what is diverted";
                found.push(topic.error(what, name_somebody));
            }
            End::File(path) => good.push(format!("the file {path}")),
            End::Command(text) => match guard_of(&text).and_then(|hook| hook.alias) {
                Some(alias) => found.push(guarded(host, &topic, &alias)),
                None => good.push("a command".to_owned()),
            },
            End::User(name) => match runs_as_another(host, &name) {
                Some((what, remedy)) => found.push(topic.error(what, remedy)),
                None => good.push(format!("{name}, a user here")),
            },
            End::Elsewhere(address) => good.push(format!("{address}, at another host, which was not asked")),
            End::Unseen(path) => good.push(format!("whom {path} names, which was not looked at")),
        }
    }
    if found.is_empty() {
        found.push(topic.ok(format!("it reaches {}", good.join(" and "))));
    }
    found
}

/// Mail for root that lies elsewhere. Postfix runs a command for it with the rights of `default_privs` (postconf(5),
/// mailbox_command), and what that delivers lands in the mailbox of that user. Debian's Exim has a router for it.
fn runs_as_another(host: &HostFacts, name: &str) -> Option<(String, String)> {
    if name != ROOT {
        return None;
    }
    let of_postfix = || {
        let command = host.postfix.as_ref()?.non_empty("mailbox_command")?;
        let privs = command_user(host)?;
        Some(format!("Postfix hands to mailbox_command ({command}) as {privs}"))
    };
    let of_exim = || {
        let (router, file) = exim_file_of_root(&host.exim_routers)?;
        Some(format!("Exim's router {router} puts into {file}"))
    };
    let how = of_postfix().or_else(of_exim)?;
    let what = format!("it is root, whose mail {how}: it does not reach root");
    Some((what, new_alias(host, "root: SOMEBODY")))
}

/// The router that puts root's mail into a file, and the file (Debian's `mail4root`).
fn exim_file_of_root(routers: &[(String, Settings)]) -> Option<(&str, &str)> {
    routers.iter().find_map(|(name, router)| {
        let file = router.get("data").filter(|data| data.starts_with('/'))?;
        (router.get("local_parts") == Some(ROOT)).then_some((name.as_str(), file))
    })
}

/// Every user's run appends to it, as that user; what each may is examined with the user.
fn mbox(path: &Path) -> Finding {
    let topic = Check::Admin.about(format!("admin {}", path.display()));
    let dir = parent_of(path);
    if !dir.is_dir() {
        let what = format!(
            "there is no directory {}: what is diverted stays in users' mailboxes",
            dir.display()
        );
        return topic.error(what, format!("install -d {}", quote_path(dir)));
    }
    match open_existing(path, Owner::Trusted(nix::unistd::Uid::effective().as_raw())) {
        Err(e) => topic.error(
            format!("{e}: what is diverted stays in users' mailboxes"),
            "fix that, or name an address",
        ),
        Ok(Some(_)) => topic.ok("it is an mbox that can be written to"),
        Ok(None) => topic.ok("it is not there yet, and will be made"),
    }
}

/// Postfix makes a table as the owner of the file, who may make none in a directory of root's.
fn with_owner(path: &Path, suffix: &str, remedy: String) -> String {
    let owner = path.metadata().map_or(0, |stat| stat.uid());
    if owner == 0 {
        return remedy;
    }
    let (file, table) = (quote_path(path), quote_path(&with_suffix(path, suffix)));
    format!("chown root {file} && {remedy} && chown {owner} {file} {table}")
}

/// An aliases file that was changed, and whose table is older.
fn stale(host: &HostFacts, path: &Path) -> Option<Finding> {
    let map = host
        .postfix
        .as_ref()?
        .words("alias_maps")
        .into_iter()
        .find(|map| map.split_once(':').is_some_and(|(_, file)| Path::new(file) == path))?;
    let suffix = match map.split_once(':')?.0 {
        "hash" | "btree" => ".db",
        "cdb" => ".cdb",
        "lmdb" => ".lmdb",
        _ => return None,
    };
    let written = path.metadata().ok()?.modified().ok()?;
    let table = with_suffix(path, suffix).metadata().and_then(|stat| stat.modified());
    let topic = Check::Admin.about(path.display());
    // Unlike newaliases(1), it makes this table whatever alias_database names.
    let remedy = format!("postalias {}", quote_path(path));
    match table {
        Ok(made) if made >= written => None,
        Ok(_) => {
            let what = "it was changed after its table was made: Postfix does not see that yet";
            Some(topic.warning(what, remedy))
        }
        Err(_) => {
            let what = "its table is missing: Postfix defers the mail of every local name that no earlier table has";
            Some(topic.error(what, with_owner(path, suffix, remedy)))
        }
    }
}
