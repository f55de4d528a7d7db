//! Whether the aliases that spoolguard forwards in their own name have a place for what is kept, which their runs may
//! use.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::doctor::facts::HostFacts;
use crate::doctor::rules::{Check, Finding};
use crate::output::shell::quote_path;
use crate::sys::{account, alias_account};

const OPENSMTPD_HOW: &str = "/usr/share/doc/spoolguard/examples/opensmtpd/aliases";

/// Examines it; nothing where there is no such alias.
pub fn examine(host: &HostFacts) -> Vec<Finding> {
    of_those(host, |_| true)
}

/// The same, of the alias of this name.
pub fn of_one(host: &HostFacts, name: &str) -> Vec<Finding> {
    of_those(host, |guarded| guarded == name)
}

fn of_those(host: &HostFacts, is_asked: impl Fn(&str) -> bool) -> Vec<Finding> {
    let of_aliases = host
        .aliases
        .guarded_aliases()
        .filter_map(|(_, hook)| Some((hook.alias?, runner_of_aliases(host))));
    let of_services = host
        .services
        .iter()
        .filter_map(|service| Some((service.hook.alias.clone()?, service.user.clone())));
    let opensmtpd = opensmtpd_user(host);
    let mut found = Vec::new();
    for (name, runner) in of_aliases.chain(of_services).filter(|(name, _)| is_asked(name)) {
        let finding = of_alias(Path::new(&host.config.aliases.dir), &name, &runner, opensmtpd);
        if !found.contains(&finding) {
            found.push(finding);
        }
    }
    found
}

/// Whom the MTA runs the commands of aliases as: of Postfix the owner of the file, where that is not root (local(8)).
fn runner_of_aliases(host: &HostFacts) -> String {
    let owners = host.alias_files.iter().filter_map(|path| path.metadata().ok());
    let owner = owners.map(|stat| stat.uid()).find(|uid| *uid != 0);
    match (&host.postfix, owner.map(account::find_owner)) {
        (Some(_), Some(Ok(owner))) => owner.name,
        (Some(postfix), _) => postfix.get("default_privs").unwrap_or("nobody").to_owned(),
        (None, _) => opensmtpd_user(host).unwrap_or("USER").to_owned(),
    }
}

/// Whom OpenSMTPD runs the commands of aliases as: itself. What it is called depends on who built it.
fn opensmtpd_user(host: &HostFacts) -> Option<&'static str> {
    let names = ["_smtpd", "opensmtpd", "smtpd"];
    let mut names = names
        .into_iter()
        .filter(|name| matches!(account::find_known(name), Ok(Some(_))));
    names.next().filter(|_| host.has_smtpd && host.postfix.is_none())
}

fn is_of(user: &str, stat: &Metadata) -> bool {
    matches!(account::find_known(user), Ok(Some(account)) if account.uid == stat.uid())
}

fn of_alias(dir: &Path, name: &str, runner: &str, opensmtpd: Option<&str>) -> Finding {
    let quoted = quote_path(dir);
    let topic = Check::Aliases.about(dir.display());
    let remedy = format!("install -d -m 700 -o {runner} {quoted} (whom the MTA runs the alias as)");
    let Ok(stat) = dir.metadata() else {
        let what = "it is missing: mail for guarded aliases stays in the MTA's queue";
        return topic.error(what, remedy);
    };
    // What the MTA fills in is not known.
    if !name.contains('$') && dir.join(name).symlink_metadata().is_ok() {
        return of_directory(dir, name, runner);
    }
    if let Some(own) = opensmtpd.filter(|own| *own == runner && !is_of(own, &stat)) {
        let what = format!("the MTA runs the alias {name} as {own}, who cannot use it: its mail stays in the queue");
        let remedy = format!("let an action run it as the owner of {quoted}: {OPENSMTPD_HOW}");
        return topic.error(what, remedy);
    }
    if stat.uid() == 0 && runner != "root" {
        let what = "it belongs to root, and the directories of aliases cannot be made in it";
        return topic.error(what, remedy);
    }
    topic.ok("the directories of guarded aliases can be made in it")
}

/// Whether whoever runs the alias may use the directory that it has.
pub fn of_directory(dir: &Path, name: &str, runner: &str) -> Finding {
    let subject = format!("alias {name}");
    let topic = Check::Aliases.about(&subject);
    match alias_account::find_alias(name, dir) {
        Ok(_) => topic.ok("it has a place for what is kept"),
        Err(_) if !account::is_root() => Check::LeftOut
            .about(subject)
            .note("its directory can be examined by root and its owner alone"),
        Err(e) => topic.error(
            format!("{e}: its mail stays in the MTA's queue"),
            format!("chown -R {runner} {0} && chmod go-w {0}", quote_path(&dir.join(name))),
        ),
    }
}
