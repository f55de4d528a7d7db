//! The configuration and the aliases as the files are now: a file that changes is read again. A configuration that
//! cannot be used counts as none, and the log says why, once for each state of the file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::load::{self, ConfigSources, KeySelection};
use crate::config::{Config, SYSTEM_FILE};
use crate::doctor::rules::aliases::Aliases;
use crate::error::Error;
use crate::sys::account;
use crate::sys::file_stamp::FileStamp;

const ALIASES_FILE: &str = "/etc/aliases";

/// After so long a configuration that could not be used is tried again although its file is the same: a directory may
/// have changed.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// What the files say.
#[derive(Clone, Debug)]
pub struct PolicySettings {
    pub config: Arc<Config>,
    pub aliases: Arc<Aliases>,
}

/// Reads the files, and again when they change.
#[derive(Debug)]
pub struct PolicySettingsReader {
    chosen: Option<PathBuf>,
    config: Mutex<Option<SettingsFile<Option<Arc<Config>>>>>,
    aliases: Mutex<Option<SettingsFile<Arc<Aliases>>>>,
}

/// What was read of a file, and which state of the file that was.
#[derive(Debug)]
struct SettingsFile<T> {
    stamp: Option<FileStamp>,
    at: Instant,
    value: T,
}

impl PolicySettingsReader {
    /// For this file, or the system's.
    pub fn new(chosen: Option<PathBuf>) -> Self {
        Self {
            chosen,
            config: Mutex::default(),
            aliases: Mutex::default(),
        }
    }

    /// What the files say now. Fails when the configuration cannot be used; only the first time after a change: each
    /// trouble is told once.
    pub fn read_current(&self) -> Result<Option<PolicySettings>, Error> {
        let Some(config) = self.config()? else { return Ok(None) };
        Ok(Some(PolicySettings {
            config,
            aliases: self.aliases(),
        }))
    }

    fn config(&self) -> Result<Option<Arc<Config>>, Error> {
        let stamp = stamp(self.chosen.as_deref().unwrap_or(Path::new(SYSTEM_FILE)));
        let mut kept = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = |read: &SettingsFile<Option<Arc<Config>>>| {
            read.stamp == stamp && (read.value.is_some() || read.at.elapsed() < TRY_AGAIN)
        };
        if let Some(read) = kept.as_ref().filter(|read| is_current(read)) {
            return Ok(read.value.clone());
        }
        let loaded = self.load();
        let value = loaded.as_ref().ok().map(|config| Arc::new(config.clone()));
        *kept = Some(SettingsFile {
            stamp,
            at: Instant::now(),
            value: value.clone(),
        });
        loaded.map(|_| value)
    }

    /// The limits of all users; what single users set in files of their own is no matter of limits.
    fn load(&self) -> Result<Config, Error> {
        let owners = account::find_runner().trusted_owners();
        let sources = ConfigSources::from_choice(self.chosen.as_deref(), None, owners);
        Ok(load::load_config(sources, KeySelection::Whole)?.config)
    }

    fn aliases(&self) -> Arc<Aliases> {
        let path = Path::new(ALIASES_FILE);
        let stamp = stamp(path);
        let mut kept = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = kept.as_ref().filter(|read| read.stamp == stamp) {
            return Arc::clone(&read.value);
        }
        let text = match path.is_file() {
            true => std::fs::read(path).unwrap_or_default(),
            false => Vec::new(),
        };
        let aliases = Arc::new(Aliases::parse(&String::from_utf8_lossy(&text)));
        *kept = Some(SettingsFile {
            stamp,
            at: Instant::now(),
            value: Arc::clone(&aliases),
        });
        aliases
    }
}

fn stamp(path: &Path) -> Option<FileStamp> {
    path.metadata().ok().map(|stat| FileStamp::of(&stat))
}
