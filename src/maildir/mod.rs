//! A Maildir on disk: deliver, take back, count.
//!
//! A message is written to `tmp/`, synced, given its name in `new/` without replacing anything, and `new/` is synced;
//! then it is safe, and it is nowhere else. There is no lock. What fails before leaves nothing in `new/`. The name
//! holds the message's size on disk and with CRLF (`S=`, `W=`), which Dovecot believes, and a fingerprint of its
//! content.
//!
//! `directory` opens the directories without following links below them, `draft` knows size and fingerprint, `name`
//! what a name says, `deliver` writes. `intent` lets the next try know what a killed run left, `submissions` what an
//! MTA brings again behind our answer. `read` lists and opens messages, and `view` shows all of them as one mbox.
//! `flags` says in an mbox what names say here; `departure` takes out what is in an archive. `usage` counts by names,
//! `size_file` keeps the Maildir++ file `maildirsize` where there is one. UID lists of IMAP servers are left alone:
//! they number what they find.

pub(crate) mod deliver;
pub(crate) mod departure;
pub mod directory;
pub(crate) mod draft;
pub(crate) mod flags;
pub(crate) mod intent;
pub mod name;
pub(crate) mod read;
pub mod size_file;
pub(crate) mod submissions;
pub(crate) mod usage;
pub(crate) mod view;
