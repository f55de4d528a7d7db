//! Checks whether the user reads mail where spoolguard keeps it. Mail that is kept in a mailbox that no program of the
//! user reads is lost to the user.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::doctor::facts::HostFacts;
use crate::doctor::rules::{Check, Finding, procmailrc};
use crate::sys::account::Account;

/// Says where else this user's mail is; `procmailrc` is the user's own.
pub fn examine(host: &HostFacts, config: &Config, account: &Account, procmailrc: Option<&str>) -> Option<Finding> {
    let home = account.home.as_deref()?;
    let store = config.mailbox.location.of(&account.name, Some(home)).ok()?;
    let kept_in = store.path()?.to_owned();
    let is_elsewhere = |path: &PathBuf| !is_same(path, &kept_in);
    let topic = Check::Mailbox.about(&store);
    let told = [
        (of_procmail(procmailrc, home, account), "procmail's DEFAULT"),
        (of_postfix(host, home), "Postfix's home_mailbox"),
        (of_dovecot(host, home, account), "Dovecot's mail_location"),
    ];
    if let Some((path, who)) = told.into_iter().find_map(|(path, who)| Some((path?, who))) {
        return is_elsewhere(&path).then(|| {
            let what = format!(
                "what is kept goes there, but {} reads mail in {} ({who}): nobody would see it",
                account.name,
                path.display()
            );
            topic.error(what, remedy(&path))
        });
    }
    let maildir = home.join("Maildir");
    (is_maildir(&maildir) && is_elsewhere(&maildir)).then(|| {
        let what = format!(
            "what is kept goes there, and {} is there too: if {} reads mail in that, nobody would see it",
            maildir.display(),
            account.name
        );
        topic.warning(what, remedy(&maildir))
    })
}

fn remedy(path: &Path) -> String {
    let shown = path.display().to_string();
    if is_maildir(path) || shown.ends_with('/') {
        return format!("[mailbox] location = \"maildir:{}\"", shown.trim_end_matches('/'));
    }
    format!("[mailbox] location = \"mbox:{shown}\"")
}

fn is_maildir(path: &Path) -> bool {
    path.join("new").is_dir() && path.join("cur").is_dir()
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.components().collect());
    real(one) == real(other)
}

fn of_procmail(text: Option<&str>, home: &Path, account: &Account) -> Option<PathBuf> {
    let value = procmailrc::default_mailbox(text?)?;
    let value = value
        .replace("${HOME}", "~")
        .replace("$HOME", "~")
        .replace("${LOGNAME}", &account.name)
        .replace("$LOGNAME", &account.name);
    // Other variables would have to be followed.
    (!value.contains('$')).then(|| below_home(&value, home))
}

/// Postfix delivers below the home directory, unless a command or a transport does it (local(8)).
fn of_postfix(host: &HostFacts, home: &Path) -> Option<PathBuf> {
    let postfix = host.postfix.as_ref()?;
    let is_given = |name: &&str| postfix.non_empty(name).is_some();
    if ["mailbox_command", "mailbox_transport"].iter().any(is_given) {
        return None;
    }
    let value = postfix.non_empty("home_mailbox")?;
    Some(home.join(value))
}

/// Where Dovecot keeps mail in files that are no mbox. Where an mbox ends up, its namespaces say, too.
fn of_dovecot(host: &HostFacts, home: &Path, account: &Account) -> Option<PathBuf> {
    let location = host.dovecot.as_ref()?.get("mail_location")?;
    let (kind, rest) = location.split_once(':')?;
    if !["maildir", "sdbox", "mdbox"].contains(&kind) {
        return None;
    }
    let path = rest.split(':').next().unwrap_or_default();
    let name = account.name.as_str();
    let path = path.replace("%u", name).replace("%n", name).replace("%h", "~");
    (!path.is_empty() && !path.contains('%')).then(|| below_home(&path, home))
}

fn below_home(path: &str, home: &Path) -> PathBuf {
    match path.strip_prefix('~') {
        Some(below) => home.join(below.trim_start_matches('/')),
        None => home.join(path),
    }
}
