//! Checking a host.

pub mod host;
