//! Finds the users whose own files handle mail, and the administrator. A run that becomes the user checks each of them,
//! so that root reads nothing of theirs.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::Everywhere;
use crate::config::USER_FILE;
use crate::deliver::context::state_place;
use crate::doctor::facts::{HostFacts, ROOT_VARIABLE, SEARCH_VARIABLE};
use crate::doctor::rules::aliases::End;
use crate::doctor::rules::{Check, Finding};
use crate::doctor::sieve::SCRIPT;
use crate::doctor::user::mail_files::{FORWARD, PROCMAILRC};
use crate::output::sizes::first_names;
use crate::sys::child::{self, Streams};
use crate::sys::presence::{self, Presence};
use crate::sys::user_directory::Directory;
use crate::sys::{account, name_service, passwd, self_exec};

const PASSWD: &str = "/etc/passwd";

/// For how long one run is waited for. It asks the programs again, each with a limit of its own.
const RUN_TIME: Duration = Duration::from_secs(90);

pub struct Mentioned {
    /// Whose mail is handled by files of their own, and the administrator.
    pub names: BTreeSet<String>,
    /// Whose home does not answer.
    pub left_out: Vec<Finding>,
}

/// The users to examine. Nothing is opened to find out.
pub fn mentioned_names(host: &HostFacts) -> Mentioned {
    let known: Vec<(String, Vec<PathBuf>)> = Directory::read()
        .names(Some(host.config.mailbox.location.spool_dir()))
        .into_iter()
        .filter_map(|name| Some((files(host, &name)?, name)))
        .map(|(files, name)| (name, files))
        .collect();
    let (all, groups): (Vec<_>, Vec<_>) = known.into_iter().unzip();
    let answers = presence::of_groups(&groups);
    let of = |wanted: Presence| {
        let asked = all.iter().zip(&groups).zip(&answers);
        asked.filter_map(move |(user, answer)| (*answer == wanted).then_some(user))
    };
    let mut names: BTreeSet<String> = of(Presence::There).map(|(name, _)| name.clone()).collect();
    let ends = if host.config.admin.starts_with('/') {
        Vec::new()
    } else {
        host.find_ends(&host.config.admin)
    };
    names.extend(ends.into_iter().filter_map(|end| match end {
        End::User(name) => Some(name),
        End::Elsewhere(_) | End::Command(_) | End::File(_) | End::Nobody(_) | End::Circle(_) | End::Unseen(_) => None,
    }));
    let unknown: Vec<(&str, &Path)> = of(Presence::Unknown)
        .filter_map(|(name, files)| Some((name.as_str(), files.first()?.parent()?)))
        .collect();
    for (name, _) in &unknown {
        names.remove(*name);
    }
    Mentioned {
        names,
        left_out: without_answer(&unknown).into_iter().collect(),
    }
}

const MOST_NAMES: usize = 5;

/// Whose homes are on file systems that do not answer, in one finding.
fn without_answer(users: &[(&str, &Path)]) -> Option<Finding> {
    let (_, home) = users.first()?;
    let names: Vec<&str> = users.iter().map(|(name, _)| *name).collect();
    Some(no_answer(home, &first_names(&names, MOST_NAMES)))
}

/// What hangs, and whose mail waits for that.
pub fn no_answer(path: &Path, whose: &str) -> Finding {
    Check::FileSystem.about(path.display()).error(
        format!("its file system does not answer: mail for {whose} waits, and nothing there was looked at"),
        "bring its server back, or unmount it, then run doctor again",
    )
}

pub fn find_homes(names: &BTreeSet<String>) -> Vec<PathBuf> {
    let of = |name: &String| account::find_known(name).ok().flatten()?.home;
    names.iter().filter_map(of).collect()
}

/// The files of a user that say how mail is handled; the first one is at home, where there is a home.
fn files(host: &HostFacts, name: &str) -> Option<Vec<PathBuf>> {
    let account = account::find_named(name).ok().filter(|account| account.gid.is_some())?;
    let at_home = account
        .home
        .iter()
        .flat_map(|home| [FORWARD, PROCMAILRC, SCRIPT, USER_FILE].map(|file| home.join(file)));
    Some(at_home.chain(state_place(&host.config, &account)).collect())
}

/// What keeps names and numbers from telling whose mail it is: names that share one, and sources that cannot be asked.
pub fn user_database() -> Vec<Finding> {
    let shared = passwd::shared_uids()
        .unwrap_or_default()
        .into_iter()
        .map(|(uid, names)| {
            let finding = format!("{} share uid {uid}", names.join(", "));
            Check::Users.about(PASSWD).warning(finding, "give each a uid, or say --user NAME wherever spoolguard is started: without a name mail for them waits")
        });
    let sources = name_service::database_sources("passwd").unwrap_or_default();
    let away = name_service::remote_sources(&sources).map(|source| {
        Check::Users.about("/etc/nsswitch.conf").error(
            format!("the source {source} of passwd cannot be asked: mail waits for users who are not in {PASSWD}"),
            format!("start what answers for {source}, or take it out of the line passwd"),
        )
    });
    shared.chain(away).collect()
}

/// Examines one user in a run of its own.
pub fn check_name_service(name: &str, everywhere: &Everywhere) -> Vec<Finding> {
    let arguments = ["doctor", "--json", "--user", name];
    let mut command = self_exec::start_self();
    command.args(everywhere.arguments());
    let values =
        [SEARCH_VARIABLE, ROOT_VARIABLE, "MAIL_CONFIG", "PATH", "HOME"].map(|name| (name, std::env::var_os(name)));
    let variables: Vec<(&str, &OsStr)> = values
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
        .collect();
    let failed = |cause: String| vec![Check::LeftOut.about(format!("user {name}")).note(cause)];
    match child::output_of_command(command, &arguments, &variables, Streams::Both, RUN_TIME) {
        Err(e) => failed(e.to_string()),
        Ok(answer) => match answer
            .text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<Vec<_>, _>>()
        {
            Ok(findings) if matches!(answer.status.code(), Some(0 | 1)) => findings,
            // It says in one line why it could not.
            _ => failed(answer.text.lines().next().unwrap_or("it said nothing").to_owned()),
        },
    }
}
