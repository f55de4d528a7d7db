//! `spoolguard status --all`: a run for every user and alias with a state directory. Each run becomes that user first,
//! so that root neither reads nor writes files of theirs. A run that fails is named, and the others follow.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::Everywhere;
use crate::command::status::metrics::Merged;
use crate::command::status::request::Request;
use crate::command::status::text;
use crate::config::load::{self, ConfigSources, KeySelection};
use crate::config::{Config, USER_FILE};
use crate::deliver::context::state_place;
use crate::error::{Category, Error, Status};
use crate::escape::make_visible;
use crate::output::sizes::first_names;
use crate::output::{OutputForm, finish_answer, print_error, write_answer};
use crate::sys::account::{self, Account};
use crate::sys::presence::{self, Presence};
use crate::sys::user_directory::Directory;
use crate::sys::{alias_account, child, deadline, self_exec};

/// For how long each run is waited for: longer than it waits itself, for locks and for the mail system.
const USER_TIME: Duration = Duration::from_secs(300);

/// Everybody of whom there may be something to tell: users, then aliases.
#[derive(Debug, Default)]
pub struct Everybody {
    /// Whoever has files of state.
    pub accounts: Vec<Account>,
    /// What keeps this run from looking at others: file systems that do not answer.
    pub left_out: Vec<Error>,
}

/// Finds them, and hangs on nobody's home.
pub fn find_everybody(everywhere: &Everywhere) -> Result<Everybody, Error> {
    // A user's own configuration is none of root's business: whatever it says, it is read by the run that has become
    // the user.
    let sources = ConfigSources::from_choice(
        everywhere.config.as_deref(),
        None,
        account::find_runner().trusted_owners(),
    );
    let config = load::load_config(sources, KeySelection::Whole)?.config;
    let mut found = Everybody::default();
    let (spool_dir, aliases_dir) = (config.mailbox.location.spool_dir(), Path::new(&config.aliases.dir));
    let mut answers = |dir: &Path| presence::refuse_hung(dir).map_err(|e| found.left_out.push(e)).is_ok();
    let (has_spool, has_aliases) = (answers(spool_dir), answers(aliases_dir));
    let people = Directory::read();
    let names = people.names(has_spool.then_some(spool_dir));
    let known = names.iter().filter_map(|name| account::find_named(name).ok());
    let users: Vec<_> = known.filter(|account| account.gid.is_some()).collect();
    let files: Vec<_> = users
        .iter()
        .map(|user| state_files(&config, user, everywhere))
        .collect();
    let mut hung = Vec::new();
    for (user, presence) in users.into_iter().zip(presence::of_groups(&files)) {
        match presence {
            Presence::There => found.accounts.push(user),
            Presence::Absent => {}
            Presence::Unknown => hung.push(user),
        }
    }
    found.left_out.extend(no_answer(&hung));
    if has_aliases {
        found.accounts.extend(aliases(aliases_dir));
    }
    Ok(found)
}

/// Names users whose files do not answer, and one of their homes.
fn no_answer(users: &[Account]) -> Option<Error> {
    const MOST_NAMES: usize = 10;
    let home = users.iter().find_map(|user| user.home.as_deref())?;
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    let cause = format!("the file system of {} does not answer", home.display());
    let error = Error::new(Category::System, "look at", first_names(&names, MOST_NAMES), cause);
    Some(error.hint("bring its server back, or unmount it"))
}

/// Runs the command for every user. The worst of their statuses counts. Fails when this is not root, the configuration
/// cannot be used, or the run is told to stop.
pub fn run(request: &Request, everywhere: &Everywhere) -> Result<Status, Error> {
    if !account::is_root() {
        let cause = "only root may look at all users";
        return Err(Error::new(Category::Arguments, "use", "--all", cause)
            .hint("leave --all away for your own, or run it as root"));
    }
    let mut worst = Status::Done;
    let mut told = false;
    let mut metrics = Merged::default();
    let everybody = find_everybody(everywhere)?;
    for e in &everybody.left_out {
        print_error(e);
        (told, worst) = (true, Status::TryAgain);
    }
    for account in everybody.accounts {
        let (status, has_told) = match one(&account, request, everywhere, &mut metrics) {
            Ok(ended) => ended,
            Err(e) if deadline::is_stopped() => return Err(e),
            Err(e) => {
                print_error(&e);
                (Status::TryAgain, true)
            }
        };
        told |= has_told;
        worst = match (worst, status) {
            (Status::TryAgain, _) | (_, Status::TryAgain) => Status::TryAgain,
            (Status::Done, Status::Done) => Status::Done,
            (Status::Done | Status::Wrong | Status::Usage | Status::Refused, _) => Status::Wrong,
        };
    }
    if *request == Request::Metrics {
        finish_answer(metrics.write(&mut io::stdout()))?;
    }
    if !told && *request == Request::Show(OutputForm::Text) {
        write_answer(b"nobody's forward fails or is suspended, nothing is held\n")?;
    }
    Ok(worst)
}

/// The aliases that have a directory. Each is looked into by a run that becomes its owner.
fn aliases(dir: &Path) -> Vec<Account> {
    let names = alias_account::list_aliases(dir);
    let known = names.iter().map(|name| alias_account::find_alias(name, dir));
    known.filter_map(|found| found.inspect_err(print_error).ok()).collect()
}

/// Where one of these is, there may be something to tell: a state directory, or a configuration that says that it is
/// elsewhere.
fn state_files(config: &Config, account: &Account, everywhere: &Everywhere) -> Vec<PathBuf> {
    let own_file = match everywhere.config {
        None => account.home.as_deref().map(|home| home.join(USER_FILE)),
        // No other is read.
        Some(_) => None,
    };
    own_file.into_iter().chain(state_place(config, account)).collect()
}

/// A run for one user or alias: how it ended, and whether there was anything to tell.
fn one(
    account: &Account,
    request: &Request,
    everywhere: &Everywhere,
    metrics: &mut Merged,
) -> Result<(Status, bool), Error> {
    let name = account.name.as_str();
    let fail = |e: io::Error| Error::io("look at", Path::new(name), &e);
    let mut command = self_exec::start_self();
    command.args(everywhere.arguments());
    command.args(["status", account.flag(), name]);
    match request {
        Request::Show(OutputForm::Json) => drop(command.arg("--json")),
        Request::Metrics => drop(command.arg("--prometheus")),
        Request::Due => drop(command.arg("--due")),
        Request::Show(OutputForm::Text)
        | Request::Resume(_)
        | Request::Suspend(_)
        | Request::SendKept(..)
        | Request::NoteArchived(_) => {}
    }
    let output = child::run_command(command, USER_TIME).map_err(fail)?;
    let has_told = !output.output.is_empty() && output.output != text::nothing_text(name).into_bytes();
    if *request == Request::Metrics {
        metrics.take(&String::from_utf8_lossy(&output.output));
    } else if has_told {
        write_answer(&output.output)?;
    }
    for line in String::from_utf8_lossy(&output.error).lines() {
        let _ = writeln!(io::stderr(), "{}: {}", make_visible(name), make_visible(line));
    }
    let status = match output.status.code() {
        Some(0) => Status::Done,
        Some(1) => Status::Wrong,
        _ => Status::TryAgain,
    };
    Ok((status, has_told))
}
