//! An mbox on disk: lock, append, recover, read, expunge.

pub mod append;
pub mod content_hash;
pub mod count;
pub mod excerpt;
pub mod expunge;
pub mod format;
pub mod hash_set;
pub mod intent;
pub mod lock;
pub mod open;
pub mod quoting;
pub mod ranges;
pub mod reader;
pub mod recover;
pub mod setgid;
pub mod torn;
