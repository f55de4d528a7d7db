//! Whether what is diverted reaches somebody: where the administrator's address ends, as far as this host knows. No mail is sent to
//! find out.

use std::path::{Path, PathBuf};

use crate::doctor::facts::HostFacts;
use crate::doctor::rules::aliases::End;
use crate::doctor::rules::{Check, Finding};
use crate::mailbox::open::{Owner, open_existing};
use crate::message::address::Address;
use crate::output::shell::quote_path;
use crate::sys::dirs::{parent, with_suffix};

/// What every mail system has to know (RFC 5321 section 4.5.1).
const POSTMASTER: &str = "postmaster";

/// Examines it.
pub fn examine(host: &HostFacts) -> Vec<Finding> {
    let admin = &host.config.admin;
    let mut found = if admin.starts_with('/') {
        vec![mbox(Path::new(admin))]
    } else {
        address(host, admin)
    };
    let is_postmaster = Address::parse(admin).is_some_and(|admin| admin.local().eq_ignore_ascii_case(POSTMASTER));
    if !is_postmaster && !host.alias_files.is_empty() && is_lost(&host.ends(POSTMASTER)) {
        let what = "nobody here is called so: reports and complaints of other hosts are bounced";
        let finding = Finding::warning(Check::Admin, POSTMASTER, what);
        found.push(finding.remedy(new_alias(host, POSTMASTER)));
    }
    found.extend(host.alias_files.iter().filter_map(|path| stale(host, path)));
    found
}

fn is_lost(ends: &[End]) -> bool {
    !ends.is_empty() && ends.iter().all(|end| matches!(end, End::Nobody(_)))
}

fn new_alias(host: &HostFacts, name: &str) -> String {
    let file = host
        .alias_files
        .first()
        .map_or(Path::new("/etc/aliases"), PathBuf::as_path);
    format!("echo '{name}: root' >> {} && newaliases", quote_path(file))
}

fn address(host: &HostFacts, admin: &str) -> Vec<Finding> {
    let subject = format!("admin {admin}");
    let ends = host.ends(admin);
    let lost = "what is diverted vanishes, since it has the null sender";
    let wrong = |what: String, remedy: String| Finding::error(Check::Admin, &subject, what, remedy);
    if ends.is_empty() {
        let what = format!("its alias names nobody: {lost}");
        return vec![wrong(
            what,
            "give it somebody in the aliases, then: newaliases".to_owned(),
        )];
    }
    let mut found = Vec::new();
    let mut good = Vec::new();
    for end in ends {
        match end {
            End::Nobody(name) => {
                let what = format!("nobody here is called {name}");
                found.push(match &host.unseen {
                    None => wrong(format!("{what}: {lost}"), new_alias(host, &name)),
                    Some(why) => Finding::warning(
                        Check::Admin,
                        &subject,
                        format!("{what}, as far as can be seen ({why}): if so, {lost}"),
                    ),
                });
            }
            End::Circle(name) => found.push(wrong(
                format!("the alias {name} leads back to itself: {lost}"),
                "fix the aliases, then: newaliases".to_owned(),
            )),
            End::File(path) if path == "/dev/null" => found.push(wrong(
                "it is thrown away, into /dev/null: nobody learns what is diverted".to_owned(),
                "give it somebody in the aliases, then: newaliases".to_owned(),
            )),
            End::File(path) => good.push(format!("the file {path}")),
            End::Command(_) => good.push("a command".to_owned()),
            End::User(name) => match runs_as_another(host, &name) {
                Some((what, remedy)) => found.push(wrong(what, remedy)),
                None => good.push(format!("{name}, a user here")),
            },
            End::Elsewhere(address) => good.push(format!("{address}, at another host, which was not asked")),
            End::Unseen(path) => good.push(format!("whom {path} names, which was not looked at")),
        }
    }
    if found.is_empty() {
        found.push(Finding::ok(
            Check::Admin,
            subject,
            format!("it reaches {}", good.join(" and ")),
        ));
    }
    found
}

/// Postfix runs a command for root's mail with the rights of `default_privs` (postconf(5), mailbox_command): what a command delivers for
/// root lands in the mailbox of that user.
fn runs_as_another(host: &HostFacts, name: &str) -> Option<(String, String)> {
    let postfix = host.postfix.as_ref()?;
    let command = postfix
        .get("mailbox_command")
        .map(str::trim)
        .filter(|command| !command.is_empty())?;
    if name != "root" {
        return None;
    }
    let privs = postfix
        .get("default_privs")
        .map(str::trim)
        .filter(|privs| !privs.is_empty());
    let privs = privs.unwrap_or("nobody");
    let file = host
        .alias_files
        .first()
        .map_or(Path::new("/etc/aliases"), PathBuf::as_path);
    Some((
        format!(
            "it is root, whose mail Postfix hands to mailbox_command ({command}) as {privs}: it does not reach root"
        ),
        format!("echo 'root: SOMEBODY' >> {} && newaliases", quote_path(file)),
    ))
}

/// Every user's run appends to it, as that user; what each may is examined with the user.
fn mbox(path: &Path) -> Finding {
    let subject = format!("admin {}", path.display());
    let dir = parent(path);
    if !dir.is_dir() {
        let what = format!(
            "there is no directory {}: what is diverted stays in users' mailboxes",
            dir.display()
        );
        return Finding::error(Check::Admin, subject, what, format!("install -d {}", quote_path(dir)));
    }
    match open_existing(path, Owner::Trusted(nix::unistd::Uid::effective().as_raw())) {
        Err(e) => Finding::error(
            Check::Admin,
            subject,
            format!("{e}: what is diverted stays in users' mailboxes"),
            "fix that, or name an address",
        ),
        Ok(Some(_)) => Finding::ok(Check::Admin, subject, "it is an mbox that can be written to"),
        Ok(None) => Finding::ok(Check::Admin, subject, "it is not there yet, and will be made"),
    }
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
    let what = match table {
        Ok(made) if made >= written => return None,
        Ok(_) => "it was changed after its table was made: Postfix does not see that yet",
        Err(_) => "there is no table of it: Postfix delivers nothing by it",
    };
    Some(Finding::warning(Check::Admin, path.display().to_string(), what).remedy("newaliases"))
}
