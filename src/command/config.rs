//! `spoolguard config check` shows every mistake with its line; `config show` shows every key with its source.

use std::io::{self, Write};
use std::path::Path;

use crate::cli::Everywhere;
use crate::cli::config::ConfigCommand;
use crate::config::SYSTEM_FILE;
use crate::config::load::{self, ConfigSources, KeySelection, Loaded};
use crate::error::{Error, Status};
use crate::escape::make_visible;
use crate::output::{end_command, shell, write_answer};
use crate::sys::dirs::lets_others;
use crate::sys::{account, user_directory};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    All,
    Changed,
}

/// Runs the command; 1 when the configuration cannot be used.
pub fn run(command: &ConfigCommand, everywhere: &Everywhere) -> Status {
    let (ConfigCommand::Check { path } | ConfigCommand::Show { path, .. }) = command;
    let runner = account::find_runner();
    if let Some(absolute) = path.as_deref().and_then(|path| std::path::absolute(path).ok()) {
        shell::note_config(&absolute);
    }
    let only = path.as_deref().or(everywhere.config.as_deref());
    let sources = ConfigSources::from_choice(only, runner.home.as_deref(), runner.trusted_owners());
    let (text, status) = match (command, load::load_config(sources, KeySelection::Whole)) {
        (_, Err(e)) => {
            let _ = io::stderr().write_all(refused(sources, &e).as_bytes());
            return Status::Wrong;
        }
        (ConfigCommand::Check { .. }, Ok(loaded)) => checked(&loaded),
        (ConfigCommand::Show { changed: true, .. }, Ok(loaded)) => (shown(&loaded, Keys::Changed), Status::Done),
        (ConfigCommand::Show { changed: false, .. }, Ok(loaded)) => (shown(&loaded, Keys::All), Status::Done),
    };
    end_command(write_answer(text.as_bytes()).map(|()| status))
}

/// Every mistake of the file with its line, or why it was refused as a whole.
fn refused(sources: ConfigSources<'_>, error: &Error) -> String {
    let Ok(Some((path, text, mistakes))) = load::read_mistakes(sources) else {
        return format!("spoolguard: {error}\n");
    };
    let count = match mistakes.len() {
        1 => "1 mistake; until it is fixed".to_owned(),
        count => format!("{count} mistakes; until they are fixed"),
    };
    let path = make_visible(&path.display().to_string());
    let mut shown = format!("spoolguard: cannot use configuration {path}: {count}, mail is deferred\n");
    for mistake in mistakes {
        shown.push_str(&format!("{}\n", make_visible(&mistake.sentence(&text))));
        if let Some((line, mark)) = mistake.excerpt(&text) {
            shown.push_str(&format!("    {}\n    {mark}\n", make_visible(&line)));
        }
    }
    shown
}

fn checked(loaded: &Loaded) -> (String, Status) {
    let files: Vec<_> = loaded
        .layers
        .iter()
        .map(|layer| layer.path.display().to_string())
        .collect();
    let mut text = match files.as_slice() {
        [] => "no configuration file; using defaults\n".to_owned(),
        files => format!("{}: OK\n", make_visible(&files.join(", "))),
    };
    let mut status = Status::Done;
    let closed = loaded.layers.iter().filter(|layer| is_closed_to_users(&layer.path));
    for layer in closed {
        status = Status::Wrong;
        let path = make_visible(&layer.path.display().to_string());
        text.push_str(&format!(
            "error: users cannot read {path}, and their mail waits: chmod a+r {path}\n"
        ));
    }
    for name in nobodys_limits(loaded) {
        text.push_str(&format!("warning: {}\n", make_visible(&name)));
    }
    if !loaded.ignored.is_empty() {
        let keys = make_visible(&loaded.ignored.join(", "));
        text.push_str(&format!(
            "without effect, since users_may_set does not name them: {keys}\n"
        ));
        status = Status::Wrong;
    }
    let more = "doctor checks more: locks, modes, and how the MTA runs spoolguard";
    text.push_str(&format!("{} {more}\n", shell::program_command()));
    (text, status)
}

/// Tells whether root reads what deliveries cannot, which run as users. Any other file is not theirs yet.
fn is_closed_to_users(path: &Path) -> bool {
    path == Path::new(SYSTEM_FILE) && account::is_root() && !lets_others(path, 0o004)
}

/// The limits of users and groups that the host does not know: a misspelt name has the general limit. Where the
/// database cannot be asked, nothing is said.
fn nobodys_limits(loaded: &Loaded) -> Vec<String> {
    let quota = &loaded.config.quota;
    let accounts = user_directory::Directory::read();
    let users = quota.users.keys().filter(|name| accounts.find(name).is_none());
    let users = users.map(|name| format!("quota.users.{name}: no such user"));
    let groups = quota
        .groups
        .keys()
        .filter(|name| matches!(account::is_group(name), Ok(false)));
    users
        .chain(groups.map(|name| format!("quota.groups.{name}: no such group")))
        .collect()
}

/// Each key with its value and its source, as TOML that can be read back.
fn shown(loaded: &Loaded, keys: Keys) -> String {
    let mut text = String::new();
    let mut table = String::new();
    for origin in loaded.key_origins() {
        if keys == Keys::Changed && origin.is_default {
            continue;
        }
        let (of, name) = origin.key.rsplit_once('.').unwrap_or(("", &origin.key));
        if of != table {
            text.push_str(&format!("\n[{of}]\n"));
            table = of.to_owned();
        }
        let line = format!("{name} = {}", origin.value);
        let source = match origin.file {
            Some(path) => make_visible(&path.display().to_string()),
            None => "default".to_owned(),
        };
        text.push_str(&format!("{line:<40} # {source}\n"));
    }
    text
}
