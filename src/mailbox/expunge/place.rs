//! Where the journal of an expunge lies: beside the mailbox, or in the user's state directory where no file can be made beside it.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::sys::dirs::parent_of;

/// Where the journal of a mailbox lies beside it.
pub fn place_beside(mailbox: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(mailbox.file_name().unwrap_or_default());
    name.push(".spoolguard-cut");
    parent_of(mailbox).join(name)
}

/// Where it lies in a user's state directory.
pub fn place_in(state_dir: &Path, mailbox: &Path) -> PathBuf {
    let mut hash = String::new();
    for byte in Sha256::digest(mailbox.as_os_str().as_bytes()).iter().take(16) {
        let _ = write!(hash, "{byte:02x}");
    }
    state_dir.join("cut").join(hash)
}
