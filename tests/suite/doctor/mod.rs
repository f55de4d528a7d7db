//! Checking a host.

mod host;
mod lines;
mod lmtp;
mod pair;
mod scene;
mod surroundings;
