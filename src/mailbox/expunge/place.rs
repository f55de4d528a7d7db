//! Where the journal of an expunge lies: beside the mailbox, or in the user's state directory where no file can be made
//! beside it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
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
    let hash = Sha256::digest(mailbox.as_os_str().as_bytes());
    let name = HEXLOWER.encode(hash.get(..16).unwrap_or_default());
    state_dir.join("cut").join(name)
}
