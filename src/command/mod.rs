//! The commands that may be typed, and which code runs each of them.

pub mod config;
pub mod filter;
pub mod inspect;
pub mod policy;
pub mod replay;
pub mod return_report;
pub mod sendmail;
pub mod sources;
pub mod status;
pub mod trace;

use crate::classify::policy::Copies;
use crate::cli::spool::Agreement;
use crate::cli::{AppendTarget, Cli, Command, Who};
use crate::command::inspect::{Extent, Question};
use crate::command::policy::PolicyRequest;
use crate::command::status::Request;
use crate::deliver::{self, Errand};
use crate::doctor;
use crate::error::Status;
use crate::mailbox::setgid::SetAside;
use crate::output::OutputForm;
use crate::spool;
use crate::spool::consent::Consent;

/// Runs one command. `group` is what a setgid installation gives.
pub fn run(cli: &Cli, group: Option<SetAside>) -> Status {
    let everywhere = &cli.everywhere;
    // All others give it up for good before they begin.
    let group = group.filter(|_| {
        matches!(
            cli.command,
            Command::Deliver { .. } | Command::Forward { .. } | Command::Return { .. } | Command::Sendmail { .. }
        )
    });
    let deliver = |errand: &Errand, who, group| deliver::run(errand, who, everywhere, group);
    let copies = |keep| if keep { Copies::Keep } else { Copies::None };
    match &cli.command {
        Command::Deliver {
            target: AppendTarget { who, mailbox },
        } => deliver(
            &Errand::new(&[], Copies::None).into_mailbox(mailbox.clone()),
            who,
            group,
        ),
        Command::Forward {
            addresses,
            keep,
            alias,
            target: AppendTarget { who, mailbox },
        } => deliver(
            &Errand::new(addresses, copies(*keep)).into_mailbox(mailbox.clone()),
            &Who {
                alias: alias.clone(),
                ..who.clone()
            },
            group,
        ),
        Command::Return { who } => return_report::run(who, everywhere, group),
        Command::Sendmail { arguments } => sendmail::run(arguments, everywhere, group),
        Command::Filter { who } => filter::run(who, everywhere),
        Command::Policy {
            address,
            size,
            opensmtpd,
            json,
        } => {
            let form = if *json { OutputForm::Json } else { OutputForm::Text };
            let size_bytes = size.map_or(0, |size| u64::try_from(size).unwrap_or(0));
            let talk = match address {
                Some(address) => PolicyRequest::About(address.clone(), size_bytes, form),
                None if *opensmtpd => PolicyRequest::OpenSmtpd,
                None => PolicyRequest::Postfix,
            };
            policy::run(&talk, everywhere)
        }
        Command::Inspect {
            paths,
            json,
            summary,
            is,
            who,
        } => {
            let question = Question {
                paths: paths.clone(),
                form: if *json { OutputForm::Json } else { OutputForm::Text },
                extent: if *summary { Extent::Summary } else { Extent::Messages },
                is: is.clone(),
                who: who.clone(),
            };
            inspect::run(&question, everywhere)
        }
        Command::Replay {
            mailboxes,
            forward,
            keep,
            target: AppendTarget { who, mailbox },
        } => replay::run(
            mailboxes,
            &Errand::new(forward, copies(*keep)).into_mailbox(mailbox.clone()),
            who,
            everywhere,
        ),
        Command::Status {
            json,
            prometheus,
            resume,
            suspend,
            send_kept,
            yes,
            one,
            due,
            all,
            alias,
            user,
        } => {
            let form = if *json { OutputForm::Json } else { OutputForm::Text };
            let consent = Consent::of(&Agreement { yes: *yes }, everywhere);
            let request = match (resume, suspend, send_kept, due) {
                (Some(address), _, _, _) => Request::Resume(address.clone()),
                (None, Some(address), _, _) => Request::Suspend(address.clone()),
                (None, None, Some(address), _) => Request::SendKept(address.clone(), consent, one.clone()),
                (None, None, None, true) => Request::Due,
                (None, None, None, false) if *prometheus => Request::Metrics,
                (None, None, None, false) => Request::Show(form),
            };
            if *all {
                status::all_users::run(&request, everywhere)
            } else {
                let who = Who {
                    user: user.clone(),
                    alias: alias.clone(),
                    ..Who::default()
                };
                status::run(&request, &who, everywhere)
            }
        }
        Command::Trace { what, log, json, user } => {
            let question = trace::TraceQuestion {
                what: what.clone(),
                logs: log.clone(),
                form: if *json { OutputForm::Json } else { OutputForm::Text },
                user: user.clone(),
            };
            trace::run(&question, everywhere)
        }
        Command::Spool { command } => spool::run(command, everywhere),
        Command::Doctor { json, user } => {
            let form = if *json { OutputForm::Json } else { OutputForm::Text };
            doctor::run(form, user.as_deref(), everywhere)
        }
        Command::Config { command } => config::run(command, everywhere),
    }
}
