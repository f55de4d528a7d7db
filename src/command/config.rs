//! `spoolguard config check` and `config show`.

use std::io::{self, Write};
use std::path::Path;

use crate::cli::{ConfigCommand, Everywhere};
use crate::config::load;
use crate::config::load::{Extent, Loaded, Sources};
use crate::error::{Error, Status};
use crate::escape::visible;
use crate::sys::account;

/// Runs the command; 1 when the configuration cannot be used.
pub fn run(command: &ConfigCommand, everywhere: &Everywhere) -> Status {
    let (ConfigCommand::Check { path } | ConfigCommand::Show { path }) = command;
    let loaded = load(path.as_deref().or(everywhere.config.as_deref()));
    let (text, status) = match (command, loaded) {
        (_, Err(e)) => {
            let _ = writeln!(io::stderr(), "spoolguard: {e}");
            return Status::Wrong;
        }
        (ConfigCommand::Check { .. }, Ok(loaded)) => checked(&loaded),
        (ConfigCommand::Show { .. }, Ok(loaded)) => (shown(&loaded), Status::Done),
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => status,
        Err(_) => Status::TryAgain,
    }
}

fn load(path: Option<&Path>) -> Result<Loaded, Error> {
    match path {
        Some(path) => load::load(Sources::Only(path), Extent::Whole),
        None => {
            let account = account::runner();
            let home = account.home.as_deref();
            load::load(Sources::Usual { home }, Extent::Whole)
        }
    }
}

fn checked(loaded: &Loaded) -> (String, Status) {
    let files: Vec<_> = loaded
        .layers
        .iter()
        .map(|layer| layer.path.display().to_string())
        .collect();
    let mut text = match files.as_slice() {
        [] => "no configuration file: the defaults hold\n".to_owned(),
        files => format!("{}: good\n", visible(&files.join(", "))),
    };
    if loaded.ignored.is_empty() {
        return (text, Status::Done);
    }
    let keys = visible(&loaded.ignored.join(", "));
    text.push_str(&format!(
        "without effect, since users_may_set does not name them: {keys}\n"
    ));
    (text, Status::Wrong)
}

/// Each key with its value and its source, as TOML that can be read back.
fn shown(loaded: &Loaded) -> String {
    let mut text = String::new();
    let mut table = String::new();
    for (key, value, from) in loaded.origins() {
        let (of, name) = key.rsplit_once('.').unwrap_or(("", &key));
        if of != table {
            text.push_str(&format!("\n[{of}]\n"));
            table = of.to_owned();
        }
        let line = format!("{name} = {value}");
        let source = from.map_or_else(|| "default".to_owned(), |path| visible(&path.display().to_string()));
        text.push_str(&format!("{line:<40} # {source}\n"));
    }
    text
}
