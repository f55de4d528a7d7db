//! Checking a host.

mod host;
mod lines;
mod scene;
mod surroundings;
