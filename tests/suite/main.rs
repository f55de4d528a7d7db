//! Runs the real program as mail systems and people run it, and looks at what becomes of the mail. One folder for each
//! subject.

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

mod deliver;
mod divert;
mod doctor;
mod forward;
mod lmtp;
mod project;
mod robust;
mod spool;
mod support;
