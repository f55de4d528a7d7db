//! One file for each command that may be typed, and what several of them share. Here `decide` and `act` meet.

pub mod caller;
pub mod config;
pub mod divert;
pub mod filter;
pub mod forward;
pub mod guard;
pub mod log;
pub mod mailbox;
pub mod marks;
pub mod notice;

use crate::cli::{Cli, Command};
use crate::exit::Status;

/// Runs one command.
pub fn run(cli: &Cli) -> Status {
    match &cli.command {
        Command::Deliver { who } => guard::deliver(who, &cli.everywhere),
        Command::Forward { addresses, keep, who } => guard::forward(addresses, *keep, who, &cli.everywhere),
        Command::Filter { who } => filter::run(who, &cli.everywhere),
        Command::Config { command } => config::run(command, &cli.everywhere),
    }
}
