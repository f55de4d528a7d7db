//! The accounts of a host, for a run that asks for thousands of them. What cannot be told is said not to be known, or, of a number, to be
//! somebody's: much is done to what is nobody's.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sys::account;

/// The accounts of a host, for a run that asks for thousands of them: the files are read once, and the name service, which may be far
/// away, is not asked again and again.
#[derive(Debug, Default)]
pub struct Directory {
    by_name: HashMap<String, (u32, u32)>,
    homes: HashMap<String, PathBuf>,
    uids: HashSet<u32>,
    /// How many names nobody had.
    misses: AtomicUsize,
    /// What was asked about numbers.
    asked: Mutex<HashMap<u32, bool>>,
}

impl Directory {
    /// So many names that are nobody's, and the mailboxes are virtual: no other name is asked for.
    const MISSES: usize = 64;

    /// Reads the file; what it does not have is asked of the user database.
    #[must_use]
    pub fn read() -> Self {
        let text = std::fs::read("/etc/passwd").unwrap_or_default();
        let mut found = Self::default();
        for line in String::from_utf8_lossy(&text).lines() {
            let mut fields = line.split(':');
            let (name, _, uid, gid) = (fields.next(), fields.next(), fields.next(), fields.next());
            if let (Some(name), Some(uid), Some(gid)) = (
                name,
                uid.and_then(|uid| uid.parse().ok()),
                gid.and_then(|gid| gid.parse().ok()),
            ) {
                found.by_name.entry(name.to_owned()).or_insert((uid, gid));
                found.uids.insert(uid);
                if let Some(home) = fields.nth(1).filter(|home| home.starts_with('/')) {
                    found
                        .homes
                        .entry(name.to_owned())
                        .or_insert_with(|| PathBuf::from(home));
                }
            }
        }
        found
    }

    /// The users of the file that have a home, in no order.
    pub fn homes(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.homes.iter().map(|(name, home)| (name.as_str(), home.as_path()))
    }

    /// The home of a user of the file.
    #[must_use]
    pub fn home(&self, name: &str) -> Option<&Path> {
        self.homes.get(name).map(PathBuf::as_path)
    }

    /// User and group of a name; none where nobody is called so, as far as can be told.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(u32, u32)> {
        if let Some(found) = self.by_name.get(name) {
            return Some(*found);
        }
        if self.misses.load(Ordering::Relaxed) >= Self::MISSES {
            return None;
        }
        let found = account::find_known(name)
            .ok()
            .flatten()
            .and_then(|account| Some((account.uid, account.gid?)));
        if found.is_none() {
            self.misses.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// Tells whether anybody has this number; also where that cannot be told, since much is done to what is nobody's.
    #[must_use]
    pub fn has(&self, uid: u32) -> bool {
        if self.uids.contains(&uid) {
            return true;
        }
        let ask = || account::find_owner(uid).map_or(true, |account| account.gid.is_some());
        match self.asked.lock() {
            Ok(mut asked) => *asked.entry(uid).or_insert_with(ask),
            Err(_) => ask(),
        }
    }
}
