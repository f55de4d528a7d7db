//! `spoolguard doctor`: is this host set up right? Asks the installed programs, looks at directories and files, and
//! shows what is wrong and how to fix it. Changes nothing.
//!
//! Root checks the host, and every user whose own files handle mail, each in a run that becomes that user. Anybody else
//! checks what an own run would meet, and is told what was left out.

mod admin;
mod alias;
mod alias_forwards;
mod alias_places;
mod facts;
mod filesystem;
mod hook_programs;
mod lmtp;
mod lock_holders;
mod log;
mod mail_location;
mod pair;
mod policy_service;
mod postfix_access;
mod programs;
mod queue;
mod quota;
mod report;
pub mod rules;
mod running_mta;
mod sendmail_host;
mod sieve;
mod spool;
mod srs;
mod state_directory;
mod submission;
mod tokens;
mod user;
mod users;

use std::collections::BTreeSet;

use crate::cli::Everywhere;
use crate::cli::doctor::DoctorArguments;
use crate::deliver;
use crate::doctor::rules::{Check, Finding, Level};
use crate::error::{Category, Error, Status};
use crate::output::colours::Colours;
use crate::output::shell::{program_command, quote_word};
use crate::output::{self, OutputForm, end_command};
use crate::sys::account::{self, Account};
use crate::sys::deadline;
use crate::sys::presence::{self, Presence};
use facts::{DoctorScope, HostFacts};
use report::Shown;

/// Runs the command: 0, 1 when something is wrong, 75 when it cannot be told.
pub fn run(asked: &DoctorArguments, everywhere: &Everywhere) -> Status {
    let (found, shown) = match &asked.pair {
        // Whoever asks for one thing wants to see it.
        Some(dir) => (pair::examine(dir, everywhere), Shown::Everything),
        None if everywhere.verbose > 0 => (examine(asked, everywhere), Shown::Everything),
        None => (examine(asked, everywhere), Shown::Problems),
    };
    let form = OutputForm::from_flag(asked.json);
    // Root's run asks for each user in JSON.
    let found = found.map(|findings| match (&asked.user, form) {
        (Some(name), OutputForm::Text) if findings.is_empty() => vec![nothing_to_check(name)],
        (Some(_) | None, OutputForm::Text | OutputForm::Json) => findings,
    });
    end_command(found.and_then(|findings| write(&findings, form, shown)))
}

fn examine(asked: &DoctorArguments, everywhere: &Everywhere) -> Result<Vec<Finding>, Error> {
    // What it says of the time that is left is for deliveries; signals are watched from here on.
    let _patience = deliver::begin_run()?;
    match (&asked.user, &asked.alias) {
        (Some(name), _) => one(name, everywhere),
        (None, Some(name)) => alias::examine(name, everywhere),
        (None, None) => all(everywhere),
    }
}

/// How the mail of one user is handled.
fn one(name: &str, everywhere: &Everywhere) -> Result<Vec<Finding>, Error> {
    let account = account::find_named(name)?;
    // Virtual users are looked at by the user of this host who runs their deliveries.
    if account.gid.is_none() && (account::is_root() || !name.contains('@')) {
        return Err(account::unknown_user(name));
    }
    refuse_others(&account)?;
    account.become_user(None)?;
    if let Some(finding) = hanging_home(&account) {
        return Ok(vec![finding]);
    }
    let host = HostFacts::collect_facts(DoctorScope::User, everywhere);
    let mut found = host.findings.clone();
    // The programs are the host's, and told with it.
    found.retain(|finding| finding.check == Check::Configuration && finding.level == Level::Error);
    found.extend(user::examine(&host, &account));
    if account.gid.is_none() {
        found.push(user::examine_mailbox(&host, &account));
    }
    Ok(found)
}

/// That whoever asked about this user learnt nothing.
fn nothing_to_check(name: &str) -> Finding {
    let what = "neither a file of this user nor a setting of the MTA runs spoolguard: nothing was checked";
    let list = format!("{} spool list {}", program_command(), quote_word(name));
    Check::LeftOut
        .about(format!("user {name}"))
        .warning(what, format!("{list} shows whether the mailbox is right"))
}

/// What there is to say of somebody whose home does not answer.
fn hanging_home(account: &Account) -> Option<Finding> {
    let home = account.home.as_deref()?;
    (presence::of(home) == Presence::Unknown).then(|| users::no_answer(home, &account.name))
}

fn refuse_others(account: &Account) -> Result<(), Error> {
    if account::is_root() || account::find_runner().uid == account.uid {
        return Ok(());
    }
    let cause = "only root may become another user";
    Err(Error::new(Category::Configuration, "examine user", &account.name, cause).hint("run it as root"))
}

fn all(everywhere: &Everywhere) -> Result<Vec<Finding>, Error> {
    let runner = account::find_runner();
    if let Some(finding) = hanging_home(&runner) {
        return Ok(vec![finding]);
    }
    let host = HostFacts::collect_facts(DoctorScope::Host, everywhere);
    let mut found = host.findings.clone();
    let spool_dir = host.config.mailbox.location.spool_dir();
    if presence::of(spool_dir) == Presence::Unknown {
        found.push(users::no_answer(spool_dir, "everybody"));
        return Ok(found);
    }
    found.extend(programs::examine(&host));
    found.extend(hook_programs::examine(&host));
    found.extend(spool::examine(&host));
    found.extend(lock_holders::examine(&host));
    found.extend(users::user_database());
    found.extend(submission::examine(&host));
    found.extend(srs::examine(&host));
    found.extend(admin::examine(&host));
    found.extend(alias_forwards::examine(&host));
    found.extend(alias_places::examine(&host));
    found.extend(policy_service::examine(&host));
    found.extend(sieve::examine(&host));
    found.extend(sendmail_host::examine(&host));
    found.extend(postfix_access::of_host(&host));
    found.extend(log::examine(&host.config, &runner.name));
    found.extend(quota::examine(&host));
    stop()?;
    found.extend(queue::examine(&host));
    let names = if account::is_root() {
        let mentioned = users::mentioned_names(&host);
        found.extend(mentioned.left_out);
        mentioned.names
    } else {
        BTreeSet::from([runner.name.clone()])
    };
    found.extend(running_mta::examine(&host, &users::find_homes(&names)));
    stop()?;
    if account::is_root() {
        for name in names {
            stop()?;
            for finding in users::check_name_service(&name, everywhere) {
                // What is wrong with the host, each of them finds.
                if !found.contains(&finding) {
                    found.push(finding);
                }
            }
        }
    } else {
        found.extend(user::examine(&host, &runner));
        found.push(
            Check::LeftOut
                .about("not looked at")
                .note("the files of other users, and which processes of theirs hold locks: root sees them"),
        );
    }
    Ok(found)
}

fn stop() -> Result<(), Error> {
    if deadline::is_stopped() {
        return Err(Error::new(
            Category::System,
            "examine",
            "this host",
            "told to stop by a signal",
        ));
    }
    Ok(())
}

fn write(findings: &[Finding], form: OutputForm, shown: Shown) -> Result<Status, Error> {
    let mut text = Vec::new();
    let written = match form {
        OutputForm::Json => report::write_json(findings, &mut text),
        OutputForm::Text => report::write_text(findings, shown, Colours::of_output(), &mut text),
    };
    let wrong = findings.iter().any(|finding| finding.level == Level::Error);
    output::finish_answer(written)?;
    output::write_answer(&text)?;
    Ok(if wrong { Status::Wrong } else { Status::Done })
}
