//! The scenes: each takes a file system, does what a machine, a disk or a mail system does on a bad day, and notes what
//! is wrong then.

pub mod damage;
pub mod eio;
pub mod kills;
pub mod lost;
pub mod power;
pub mod quota;
pub mod readers;
