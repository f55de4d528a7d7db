//! Checks whether the user reads mail where spoolguard keeps it. Mail that is kept in a mailbox that no program of the
//! user reads is lost to the user.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::doctor::facts::HostFacts;
use crate::doctor::rules::{Check, Finding, dovecot, procmailrc};
use crate::sys::account::Account;

/// Where a program of the user reads mail.
struct ReadMailbox {
    path: PathBuf,
    /// What puts mail there: the value of `[mailbox] location`.
    location: String,
}

impl ReadMailbox {
    /// A slash at the end tells a Maildir.
    fn named(path: PathBuf) -> Self {
        let shown = path.display().to_string();
        let location = if is_maildir(&path) || shown.ends_with('/') {
            format!("maildir:{}", shown.trim_end_matches('/'))
        } else {
            format!("mbox:{shown}")
        };
        Self { path, location }
    }
}

/// Says where else this user's mail is; `procmailrc` is the user's own.
pub fn examine(host: &HostFacts, config: &Config, account: &Account, procmailrc: Option<&str>) -> Option<Finding> {
    let home = account.home.as_deref()?;
    let store = config.mailbox.location.of(&account.name, Some(home)).ok()?;
    let kept_in = store.path()?.to_owned();
    let is_elsewhere = |path: &Path| !is_same(path, &kept_in);
    let topic = Check::Mailbox.about(&store);
    let told = of_procmail(procmailrc, home, account)
        .map(|mailbox| (mailbox, "procmail's DEFAULT"))
        .or_else(|| Some((of_postfix(host, home)?, "Postfix's home_mailbox")))
        .or_else(|| Some((of_dovecot(host, home, account)?, "Dovecot")));
    if let Some((mailbox, who)) = told {
        return is_elsewhere(&mailbox.path).then(|| {
            let what = format!(
                "what is kept goes there, but {} reads mail in {} ({who}): nobody would see it",
                account.name,
                mailbox.path.display()
            );
            topic.error(what, remedy(&mailbox))
        });
    }
    let maildir = home.join("Maildir");
    (is_maildir(&maildir) && is_elsewhere(&maildir)).then(|| {
        let what = format!(
            "what is kept goes there, and {} is there too: if {} reads mail in that, nobody would see it",
            maildir.display(),
            account.name
        );
        topic.warning(what, remedy(&ReadMailbox::named(maildir)))
    })
}

fn remedy(mailbox: &ReadMailbox) -> String {
    format!("[mailbox] location = \"{}\"", mailbox.location)
}

fn is_maildir(path: &Path) -> bool {
    path.join("new").is_dir() && path.join("cur").is_dir()
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.components().collect());
    real(one) == real(other)
}

fn of_procmail(text: Option<&str>, home: &Path, account: &Account) -> Option<ReadMailbox> {
    let value = procmailrc::default_mailbox(text?)?;
    let value = value
        .replace("${HOME}", "~")
        .replace("$HOME", "~")
        .replace("${LOGNAME}", &account.name)
        .replace("$LOGNAME", &account.name);
    // Other variables would have to be followed.
    (!value.contains('$')).then(|| ReadMailbox::named(below_home(&value, home)))
}

/// Postfix delivers below the home directory, unless a command or a transport does it (local(8)).
fn of_postfix(host: &HostFacts, home: &Path) -> Option<ReadMailbox> {
    let postfix = host.postfix.as_ref()?;
    let is_given = |name: &&str| postfix.non_empty(name).is_some();
    if ["mailbox_command", "mailbox_transport"].iter().any(is_given) {
        return None;
    }
    let value = postfix.non_empty("home_mailbox")?;
    Some(ReadMailbox::named(home.join(value)))
}

/// Where Dovecot looks for new mail.
fn of_dovecot(host: &HostFacts, home: &Path, account: &Account) -> Option<ReadMailbox> {
    let inbox = dovecot::find_inbox(&host.ask_dovecot()?)?;
    let path = below_home(&dovecot::expand_path(&inbox.path?, &account.name)?, home);
    let location = match inbox.driver.as_str() {
        driver @ ("mbox" | "maildir") => format!("{driver}:{}", path.display()),
        "sdbox" | "mdbox" => "lmtp:/run/dovecot/lmtp".to_owned(),
        // A store of another host.
        _ => return None,
    };
    Some(ReadMailbox { path, location })
}

fn below_home(path: &str, home: &Path) -> PathBuf {
    match path.strip_prefix('~') {
        Some(below) => home.join(below.trim_start_matches('/')),
        None => home.join(path),
    }
}
