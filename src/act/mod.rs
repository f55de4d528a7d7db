//! Effects: files, locks, processes. What they do is decided elsewhere.

pub mod account;
pub mod dir;
pub mod dotlock;
pub mod extract;
pub mod hold;
pub mod intake;
pub mod kernel;
pub mod lock;
pub mod mbox;
pub mod open;
pub mod passwd;
pub mod patience;
pub mod recover;
pub mod rewrite;
pub mod secret;
pub mod sent;
pub mod store;
pub mod stored;
pub mod submit;
pub mod tally;
pub mod unfinished;
