//! `spoolguard status`: shows which of a user's forwards fail or are suspended; suspends or resumes a destination; does
//! what time has made due.
//!
//! Showing changes nothing, and exits with 1 when a forward is suspended or something is wrong. The others exit with 0
//! when they did it.

pub mod all_users;
pub mod json;
pub mod metrics;
pub mod named;
pub mod request;
pub mod send_kept;
pub mod text;
pub mod view;

use std::io::{self, Write};

use time::OffsetDateTime;

use crate::cli::{Everywhere, StatusArguments, Who};
use crate::command::status::request::Request;
use crate::command::status::view::View;
use crate::deliver::context::Run;
use crate::deliver::divert::digest;
use crate::deliver::forward::destinations::{self, DueNotices, to_moment};
use crate::deliver::forward::kept::{self, KeptFile};
use crate::deliver::forward::rules::{DestinationState, Destinations};
use crate::deliver::{self, caller, headers};
use crate::error::{Category, Error, Status};
use crate::escape::make_visible;
use crate::message::Message;
use crate::message::address::OwnAddresses;
use crate::output::{OutputForm, end_command, finish_answer, shell, write_answer};
use crate::sys::deadline::Deadline;
use crate::sys::{account, json_state};

pub fn run(asked: &StatusArguments, everywhere: &Everywhere) -> Status {
    let request = Request::of(asked, everywhere);
    let who = Who {
        user: asked.user.clone(),
        alias: asked.alias.clone(),
        ..Who::default()
    };
    let result = if asked.all {
        all_users::run(&request, everywhere)
    } else {
        deliver::begin_run().and_then(|deadline| one(&request, &who, everywhere, deadline))
    };
    end_command(result)
}

fn one(request: &Request, who: &Who, everywhere: &Everywhere, deadline: Deadline) -> Result<Status, Error> {
    named::refuse_unknown(who)?;
    let run = Run::prepare(who, None, everywhere, deadline)?;
    named::refuse_without_mail(who, &run)?;
    let now = OffsetDateTime::now_utc();
    if let Request::SendKept(address, consent, one) = request {
        return match one {
            Some(one) => send_kept::one::run_one(&run, address, one, now),
            None => send_kept::run(&run, address, *consent, everywhere, now),
        };
    }
    if let Request::Resume(address) | Request::Suspend(address) = request {
        named::refuse_no_destination(address, &run)?;
    }
    if everywhere.dry_run {
        return rehearse(request, &run, now);
    }
    match request {
        Request::Show(OutputForm::Text) if is_roots_own(who) && View::take(&run, now).is_empty() => {
            let all = format!("of all users: {} status --all\n", shell::program_command());
            write_answer((text::nothing_text(&run.account.name) + &all).as_bytes()).map(|()| Status::Done)
        }
        Request::Show(form) => show(Some(*form), &run, now),
        Request::Metrics => show(None, &run, now),
        Request::Resume(address) => resume(address, &run, now),
        Request::Suspend(address) => suspend(address, &run, now),
        Request::SendKept(..) => Ok(Status::Done),
        Request::Due => due(&run, now).map(|()| Status::Done),
        Request::NoteArchived(archive) => send_kept::moved::note_archived(&run, archive, now),
    }
}

/// Tells whether root asks about nobody in particular: what an administrator wants to know is about the others.
fn is_roots_own(who: &Who) -> bool {
    account::is_root() && who.user.is_none() && who.alias.is_none()
}

/// Everything that time has made due. What fails keeps nothing else from being done.
fn due(run: &Run, now: OffsetDateTime) -> Result<(), Error> {
    let routes = destinations::write_due(run, &own(run), now);
    kept::tell_due(run, now);
    let digest = digest::send_due(run, now);
    routes.and(digest)
}

fn rehearse(request: &Request, run: &Run, now: OffsetDateTime) -> Result<Status, Error> {
    let would = match request {
        Request::Show(form) => return show(Some(*form), run, now),
        Request::Metrics => return show(None, run, now),
        Request::Resume(address) => format!("would forward to {address} again"),
        Request::Suspend(address) => format!("would suspend {address}"),
        Request::SendKept(address, ..) => format!("would send on what was kept for {address}"),
        Request::Due => "would do what time has made due".to_owned(),
        Request::NoteArchived(archive) => format!("would note what {archive} has of what was kept"),
    };
    say(&would)
}

/// Shows it in this form, else as metrics.
fn show(form: Option<OutputForm>, run: &Run, now: OffsetDateTime) -> Result<Status, Error> {
    let view = View::take(run, now);
    let mut text = Vec::new();
    let shown = match form {
        Some(OutputForm::Text) => text::write_text(&view, &mut text),
        Some(OutputForm::Json) => json::write_json(&view, &mut text),
        None => metrics::write_metrics(&view, &mut text),
    };
    finish_answer(shown)?;
    write_answer(&text)?;
    Ok(if view.is_well() { Status::Done } else { Status::Wrong })
}

fn resume(address: &str, run: &Run, now: OffsetDateTime) -> Result<Status, Error> {
    let store = store(run)?;
    let (at, settings) = (to_moment(now), &run.config.destinations);
    let (before, kept, told) =
        json_state::change_state(&store, &run.account.name, &run.deadline, |routes: &mut Destinations| {
            routes.pass_time(at, settings);
            let kept = routes
                .find(address)
                .and_then(|route| route.suspended.as_ref())
                .map_or(0, |s| s.kept);
            let before = routes.resume(address, at, settings);
            (before, kept, DueNotices(routes.take_due(at)))
        })?;
    destinations::write_notices(run, &own(run), now, told.0);
    match before {
        DestinationState::Open => {
            let _ = writeln!(
                io::stderr(),
                "spoolguard: cannot resume {}: it is not suspended",
                make_visible(address)
            );
            Ok(Status::Wrong)
        }
        DestinationState::Suspended => {
            let mailbox = run.store.to_string();
            let command = headers::send_kept_command(&run.account, address);
            // Those that came back are on the list, too.
            let listed = KeptFile::of(run, address).and_then(|file| file.read().ok());
            let kept = match listed.map_or(kept, |list| kept.max(list.waiting().count() as u64)) {
                0 => String::new(),
                1 => format!("; 1 message was kept in {mailbox}; to send it on: {command}"),
                count => format!("; {count} messages were kept in {mailbox}; to send them on: {command}"),
            };
            say(&format!("mail is forwarded to {address} again{kept}"))
        }
    }
}

fn suspend(address: &str, run: &Run, now: OffsetDateTime) -> Result<Status, Error> {
    let store = store(run)?;
    let (at, settings, own) = (to_moment(now), &run.config.destinations, own(run));
    let (before, told) =
        json_state::change_state(&store, &run.account.name, &run.deadline, |routes: &mut Destinations| {
            routes.pass_time(at, settings);
            let before = routes.suspend(address, &own.loop_mark(), at, settings);
            (before, DueNotices(routes.take_due(at)))
        })?;
    destinations::write_notices(run, &own, now, told.0);
    let mailbox = run.store.to_string();
    match before {
        None => {
            let cause = "too many addresses are suspended already";
            Err(Error::new(Category::System, "suspend", address, cause).hint("end some of them with --resume"))
        }
        Some(DestinationState::Open | DestinationState::Suspended) => say(&format!(
            "what would be forwarded to {address} is kept in {mailbox}, until: {} --resume {}",
            headers::status_command(&run.account),
            shell::quote_word(address)
        )),
    }
}

fn store(run: &Run) -> Result<crate::sys::state_file::Store, Error> {
    destinations::open_store(run).ok_or_else(|| {
        if let Some(trouble) = run.state_trouble() {
            return trouble;
        }
        let (cause, hint) = if run.config.destinations.suspend {
            ("there is no state directory", "set state_dir")
        } else {
            ("configuration says [destinations] suspend = false", "set it to true")
        };
        Error::new(Category::Configuration, "change", "what is suspended", cause).hint(hint)
    })
}

/// The user's own addresses, as far as they are known when no message came.
fn own(run: &Run) -> OwnAddresses {
    let nothing = |_: &str| None;
    caller::read_envelope(&Who::default(), &nothing, &Message::new(b""), &run.config, &run.account).own
}

fn say(text: &str) -> Result<Status, Error> {
    write_answer(format!("{}\n", make_visible(text)).as_bytes()).map(|()| Status::Done)
}
