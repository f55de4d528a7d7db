//! spoolguard stands between a mail system and a mailbox. It reads one message, sees what it is, and appends it,
//! forwards it in a way that cannot loop, diverts it to the administrator, or leaves it with the mail system.
//!
//! # Floors: who may import whom
//!
//! | floor | may use | must not |
//! |---|---|---|
//! | `exit`, `separator` | std | anything of ours |
//! | `decide` | std, mail-parser, memchr, serde derive, `separator` | files, processes, clock, environment, logging, `act`, `command`, `config` |
//! | `act` | std, nix, fs2, flate2, tempfile, signal-hook, fastrand, memchr, time, `exit`, `separator` | `decide`, `command`, `config`, clap, serde |
//! | `config`, `cli` | serde, toml / clap, `decide`, `exit` | `act` |
//! | `command` | all of the above, tracing, syslog, `serde_json` | clap |
//! | `main` | everything | decisions |
//!
//! `decide` and `act` meet only in `command`. Time, sizes, host name and environment come to `decide` as arguments.

pub mod act;
pub mod cli;
pub mod command;
pub mod config;
pub mod decide;
pub mod exit;
pub mod separator;
