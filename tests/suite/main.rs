//! Runs the real program as mail systems and people run it, and looks at what becomes of the mail. One file for each behaviour.

// A test says what went wrong by ending where it went wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm
)]

mod elf;
mod env;

mod again;
mod archive;
mod carried;
mod completions;
mod config;
mod corpus;
mod crash;
mod deliver;
mod divert;
mod doctor;
mod exit_status;
mod faults;
mod filter;
mod floors;
mod forward;
mod full;
mod hostile;
mod inspect;
mod limits;
mod list;
mod load;
mod lock;
mod manuals;
mod mended;
mod neighbours;
mod nfs;
mod odd;
mod properties;
mod quota;
mod relieve;
mod rescue;
mod restore;
mod retention;
mod routes;
mod safety;
mod setgid;
mod shared;
mod size;
mod slow;
mod status;
mod storm;
mod sweep;
mod token;
