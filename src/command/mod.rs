//! The commands that may be typed, and which code runs each of them.

mod config;
mod filter;
mod inspect;
mod policy;
mod replay;
mod return_report;
mod sendmail;
mod sources;
mod status;
mod trace;

use crate::classify::policy::Copies;
use crate::cli::{Cli, Command, Who};
use crate::config::location::MailStore;
use crate::deliver::{self, Errand};
use crate::doctor;
use crate::error::Status;
use crate::mailbox::setgid::SetAside;
use crate::spool;

/// Runs one command. `group` is what a setgid installation gives.
pub fn run(cli: &Cli, group: Option<SetAside>) -> Status {
    let everywhere = &cli.everywhere;
    // All others give it up for good before they begin.
    let group = group.filter(|_| {
        matches!(
            cli.command,
            Command::Deliver(_) | Command::Forward { .. } | Command::Return(_) | Command::Sendmail { .. }
        )
    });
    let errand = |addresses: &[String], keep: bool, mailbox: &Option<MailStore>| {
        let copies = if keep { Copies::Keep } else { Copies::None };
        Errand::new(addresses, copies).into_mailbox(mailbox.clone())
    };
    match &cli.command {
        Command::Deliver(target) => deliver::run(&errand(&[], false, &target.mailbox), &target.who, everywhere, group),
        Command::Forward {
            addresses,
            keep,
            alias,
            target,
        } => {
            let errand = errand(addresses, *keep, &target.mailbox);
            let who = Who {
                alias: alias.clone(),
                ..target.who.clone()
            };
            deliver::run(&errand, &who, everywhere, group)
        }
        Command::Return(who) => return_report::run(who, everywhere, group),
        Command::Sendmail { arguments } => sendmail::run(arguments, everywhere, group),
        Command::Filter(who) => filter::run(who, everywhere),
        Command::Policy(asked) => policy::run(asked, everywhere),
        Command::Inspect(asked) => inspect::run(asked, everywhere),
        Command::Replay {
            mailboxes,
            forward,
            keep,
            target,
        } => {
            let errand = errand(forward, *keep, &target.mailbox);
            replay::run(mailboxes, &errand, &target.who, everywhere)
        }
        Command::Status(asked) => status::run(asked, everywhere),
        Command::Trace(asked) => trace::run(asked, everywhere),
        Command::Spool(command) => spool::run(command, everywhere),
        Command::Doctor(asked) => doctor::run(asked, everywhere),
        Command::Config(command) => config::run(command, everywhere),
    }
}
