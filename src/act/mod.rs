//! Effects: files, locks, processes. What they do is decided elsewhere.

pub mod account;
pub mod cut;
pub mod dir;
pub mod dotlock;
pub mod hold;
pub mod intake;
pub mod kernel;
pub mod likeness;
pub mod lock;
pub mod mbox;
pub mod open;
pub mod pack;
pub mod passwd;
pub mod patience;
pub mod putback;
pub mod recall;
pub mod recover;
pub mod rewrite;
pub mod shelf;
pub mod spooldir;
pub mod store;
pub mod stored;
pub mod submit;
pub mod tally;
pub mod unfinished;
pub mod vault;
