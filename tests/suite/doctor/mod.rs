//! Checking a host.

mod host;
mod lines;
mod pair;
mod scene;
mod surroundings;
