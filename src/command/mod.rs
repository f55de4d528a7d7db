//! One file for each command that may be typed, and what several of them share. Here `decide` and `act` meet.

pub mod blame;
pub mod caller;
pub mod came_back;
pub mod case;
pub mod config;
pub mod digest;
pub mod divert;
pub mod doctor;
pub mod everyone;
pub mod filter;
pub mod finding;
pub mod forward;
pub mod gate;
pub mod guard;
pub mod inspect;
pub mod log;
pub mod mailbox;
pub mod marks;
pub mod memory;
pub mod notice;
pub mod own_mail;
pub mod record;
pub mod relieve;
pub mod replay;
pub mod rescue;
pub mod route_notice;
pub mod routes;
pub mod settle;
pub mod sources;
pub mod spool;
pub mod standing;
pub mod state;
pub mod status;
pub mod storm;
pub mod tokens;

use crate::act::spool_group::SetAside;
use crate::cli::{Cli, Command, Target};
use crate::command::finding::Form;
use crate::command::guard::Errand;
use crate::command::inspect::Question;
use crate::command::status::Request;
use crate::decide::policy::Copies;
use crate::exit::Status;

/// Runs one command. `group` is what a setgid installation gives.
pub fn run(cli: &Cli, group: Option<SetAside>) -> Status {
    let everywhere = &cli.everywhere;
    // All others give it up for good before they begin.
    let group = group.filter(|_| matches!(cli.command, Command::Deliver { .. } | Command::Forward { .. }));
    let deliver = |errand: &Errand, who| guard::run(errand, who, everywhere, group);
    let copies = |keep| if keep { Copies::Keep } else { Copies::None };
    match &cli.command {
        Command::Deliver {
            target: Target { who, mbox },
        } => deliver(&Errand::new(&[], Copies::None).into_mbox(mbox.clone()), who),
        Command::Forward {
            addresses,
            keep,
            target: Target { who, mbox },
        } => deliver(&Errand::new(addresses, copies(*keep)).into_mbox(mbox.clone()), who),
        Command::Filter { who } => filter::run(who, everywhere),
        Command::Inspect { paths, json, is, who } => {
            let question = Question {
                paths: paths.clone(),
                form: if *json { Form::Json } else { Form::Text },
                is: is.clone(),
                who: who.clone(),
            };
            inspect::run(&question, everywhere)
        }
        Command::Replay {
            mboxes,
            forward,
            keep,
            target: Target { who, mbox },
        } => replay::run(
            mboxes,
            &Errand::new(forward, copies(*keep)).into_mbox(mbox.clone()),
            who,
            everywhere,
        ),
        Command::Status {
            json,
            resume,
            suspend,
            due,
            all,
            user,
        } => {
            let form = if *json { Form::Json } else { Form::Text };
            let request = match (resume, suspend, due) {
                (Some(address), _, _) => Request::Resume(address.clone()),
                (None, Some(address), _) => Request::Suspend(address.clone()),
                (None, None, true) => Request::Due,
                (None, None, false) => Request::Show(form),
            };
            if *all {
                everyone::run(&request, everywhere)
            } else {
                status::run(&request, user.as_deref(), everywhere)
            }
        }
        Command::Spool { command } => spool::run(command, everywhere),
        Command::Doctor { json, user } => {
            let form = if *json { Form::Json } else { Form::Text };
            doctor::run(form, user.as_deref(), everywhere)
        }
        Command::Config { command } => config::run(command, everywhere),
    }
}
