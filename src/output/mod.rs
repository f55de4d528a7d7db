//! What people and programs read: text, JSON lines, sizes, progress, log.

pub mod log;
pub mod progress;
