//! The accounts of a host, for a run that asks for thousands of them. A name that cannot be looked up counts as
//! unknown. A number that cannot be looked up counts as somebody's, because much is done to files of nobody.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sys::{account, passwd};

/// The accounts of a host, for a run that asks for thousands of them: the files are read once, and the name service,
/// which may be far away, is not asked again and again.
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
    pub fn read() -> Self {
        let mut found = Self::default();
        for user in passwd::local_users().unwrap_or_default() {
            found.uids.insert(user.uid);
            found.by_name.entry(user.name.clone()).or_insert((user.uid, user.gid));
            if user.home.is_absolute() {
                found.homes.entry(user.name).or_insert(user.home);
            }
        }
        found
    }

    /// The users of the file that have a home, in no order.
    pub fn homes(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.homes.iter().map(|(name, home)| (name.as_str(), home.as_path()))
    }

    /// The users of the file, and those of the user database who have a mailbox in `spool`: not every file there is
    /// named after a user.
    pub fn names(&self, spool: Option<&Path>) -> BTreeSet<String> {
        let entries = spool
            .and_then(|spool| std::fs::read_dir(spool).ok())
            .into_iter()
            .flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let users = names.filter(|name| self.find(name).is_some());
        users.chain(self.by_name.keys().cloned()).collect()
    }

    pub fn find_home(&self, name: &str) -> Option<&Path> {
        self.homes.get(name).map(PathBuf::as_path)
    }

    /// User and group of a name; none where nobody is called so, as far as can be told.
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
