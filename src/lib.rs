//! spoolguard stands between a mail system and a mailbox. It reads one message, sees what it is, and appends it,
//! forwards it in a way that cannot loop, diverts it to the administrator, or leaves it with the mail system.
//!
//! # The pipeline
//!
//! ```text
//! stdin, flags, environment
//!   -> Intake                      act/intake.rs        all of it, in bounded memory
//!   -> Message + Envelope          decide/message.rs    command/caller.rs
//!   -> Verdict, with its markers   decide/verdict.rs    what is it?
//!   -> Action                      decide/policy.rs     what shall we do?
//!   -> Outcome                     command/settle.rs    append, forward, divert; and what comes after when that fails
//!   -> exit status                 exit.rs
//! ```
//!
//! `command/guard.rs` is this list as one function.
//!
//! # Floors: who may import whom
//!
//! | floor | may use | must not |
//! |---|---|---|
//! | `exit`, `separator` | std | anything of ours |
//! | `decide` | std, mail-parser, memchr, serde derive, sha2, hmac, `separator` | files, processes, clock, environment, logging, `act`, `command`, `config` |
//! | `act` | std, nix, rustix, fs2, flate2, sha2, tar, zstd, tempfile, signal-hook, fastrand, memchr, time, `exit`, `separator` | `decide`, `command`, `config`, clap, serde |
//! | `config`, `cli` | serde, toml, memchr / clap, `decide`, `exit`, `config` | `act` |
//! | `command` | all of the above, tracing, indicatif, `serde_json`, `terminal_size` | clap |
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
