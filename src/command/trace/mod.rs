//! `spoolguard trace`: shows what became of a message, or of the mail of an address, from our log and from the state. A
//! bounce belongs to the message that it is about, and so does what was recovered from it. Changes nothing.

pub mod line;

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::cli::{Everywhere, TraceArguments, Who};
use crate::command::status::{all_users, named};
use crate::command::trace::line::{TracedLine, bare_id};
use crate::deliver::context::Run;
use crate::deliver::forward::destinations;
use crate::deliver::forward::kept::KeptFile;
use crate::deliver::{self, headers};
use crate::error::{Category, Error, Status};
use crate::escape::make_visible;
use crate::output::json::write_line;
use crate::output::sizes::message_count_text;
use crate::output::{OutputForm, end_command, finish_answer, print_error, print_stderr, write_answer};
use crate::sys::{account, child, self_exec};

/// Where mail logs are, where the journal has nothing: the older one first.
const MAIL_LOGS: [&str; 3] = ["/var/log/mail.log.1", "/var/log/mail.log", "/var/log/maillog"];

/// For how long a run for another user is waited for.
const STATE_TIME: Duration = Duration::from_secs(60);

const JOURNAL_TIME: Duration = Duration::from_secs(60);

/// The keys are a promise; those of a line are those of the log.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum TraceLine<'a> {
    Log {
        time: &'a str,
        #[serde(flatten)]
        fields: &'a Map<String, Value>,
    },
    State {
        user: &'a str,
        destination: &'a str,
        text: &'a str,
    },
}

/// Runs the command: 0, or 1 when nothing is known, 75 when no log can be read.
pub fn run(question: &TraceArguments, everywhere: &Everywhere) -> Status {
    end_command(answer(question, everywhere))
}

fn answer(question: &TraceArguments, everywhere: &Everywhere) -> Result<Status, Error> {
    let form = OutputForm::from_flag(question.json);
    let who = Who {
        user: question.user.clone(),
        alias: question.alias.clone(),
        ..Who::default()
    };
    named::refuse_unknown(&who)?;
    refuse_nothing(&question.what)?;
    let deadline = deliver::begin_run()?;
    let run = Run::prepare(&who, None, everywhere, deadline)?;
    let name = &run.account.name;
    let mut read = if question.state_only {
        ReadLog::default()
    } else {
        read_logs(question)?
    };
    let user = user_of(&question.what, &run.config.recipient_delimiter);
    let lines = related(&read.lines, &question.what, user);
    let known = remembered(&run, &question.what);
    let mut text = Vec::new();
    let written = match form {
        OutputForm::Json => write_json(name, &lines, &known, &mut text),
        OutputForm::Text => write_text(name, &lines, &known, &mut text),
    };
    let of_everybody = account::is_root() && who.user.is_none() && who.alias.is_none();
    if of_everybody {
        remembered_of_others(question, everywhere, name, &mut text);
    }
    let is_unknown = text.is_empty();
    match read.failed.take() {
        Some(e) if is_unknown => return Err(e),
        Some(e) => print_error(&e),
        None => {}
    }
    if is_unknown && form == OutputForm::Text && !question.state_only {
        let whose = if of_everybody { "every user and alias" } else { name };
        let _ = writeln!(text, "{}", make_visible(&unknown_text(&question.what, &read, whose)));
    }
    finish_answer(written)?;
    write_answer(&text)?;
    Ok(if is_unknown { Status::Wrong } else { Status::Done })
}

/// Every message has something empty.
fn refuse_nothing(what: &str) -> Result<(), Error> {
    if bare_id(what).trim().is_empty() {
        let cause = "a Message-ID or an address is expected";
        return Err(Error::new(Category::Arguments, "look for", what, cause));
    }
    Ok(())
}

fn write_json(user: &str, lines: &[TracedLine], known: &[(String, String)], output: &mut Vec<u8>) -> io::Result<()> {
    let logged = lines
        .iter()
        .map(|TracedLine { time, fields }| TraceLine::Log { time, fields });
    let known = known.iter().map(|(destination, text)| TraceLine::State {
        user,
        destination,
        text,
    });
    logged.chain(known).try_for_each(|line| write_line(output, &line))
}

fn write_text(user: &str, lines: &[TracedLine], known: &[(String, String)], output: &mut Vec<u8>) -> io::Result<()> {
    for line in lines {
        writeln!(output, "{}", make_visible(&told(line)))?;
    }
    let user = make_visible(user);
    known
        .iter()
        .try_for_each(|(_, text)| writeln!(output, "{user}: {}", make_visible(text)))
}

/// That nothing is known, and where it was looked for.
fn unknown_text(what: &str, read: &ReadLog, whose: &str) -> String {
    let logs = match read.from.as_slice() {
        [] => "no log was found; looked into".to_owned(),
        from => format!("looked into {}", from.join(", ")),
    };
    let lines = match read.lines.len() {
        0 if !read.from.is_empty() => ", which has no line of spoolguard (see spoolguard doctor)",
        _ => "",
    };
    let form = if what.contains('@') {
        ""
    } else {
        ", which is no user here, no address and no Message-ID"
    };
    let and = if read.from.is_empty() { "" } else { ", and" };
    format!("nothing is known of {what}{form}: {logs}{lines}{and} the state of {whose}")
}

/// What the state of every other user and alias has of it: each is read by a run that becomes its owner. One that fails
/// says so on standard error.
fn remembered_of_others(question: &TraceArguments, everywhere: &Everywhere, own: &str, output: &mut Vec<u8>) {
    let everybody = all_users::find_everybody(everywhere);
    let everybody = everybody.inspect_err(print_error).unwrap_or_default();
    everybody.left_out.iter().for_each(print_error);
    for account in everybody.accounts.iter().filter(|account| account.name != own) {
        let mut command = self_exec::start_self();
        command.args(everywhere.arguments());
        command.args(["trace", "--state-only", account.flag(), account.name.as_str()]);
        command.args(question.json.then_some("--json"));
        command.args(["--", &question.what]);
        match child::run_command(command, STATE_TIME) {
            Ok(ended) => {
                output.extend(ended.output);
                let error = String::from_utf8_lossy(&ended.error);
                let name = make_visible(&account.name);
                error
                    .lines()
                    .for_each(|line| print_stderr(&format!("{name}: {}\n", make_visible(line))));
            }
            Err(e) => print_error(&Error::io("look at", Path::new(&account.name), &e)),
        }
    }
}

#[derive(Default)]
struct ReadLog {
    /// Oldest first.
    lines: Vec<TracedLine>,
    from: Vec<String>,
    /// Why no log could be read.
    failed: Option<Error>,
}

/// The lines of our log, oldest first.
fn read_logs(question: &TraceArguments) -> Result<ReadLog, Error> {
    if !question.log.is_empty() {
        let mut read = ReadLog::default();
        for path in &question.log {
            read.lines
                .extend(read_log(path).map_err(|e| Error::io("read", path, &e))?);
            read.from.push(path.display().to_string());
        }
        return Ok(read);
    }
    let mut command = Command::new("journalctl");
    command.args(["-t", "spoolguard", "-o", "short-iso", "--no-pager", "-q"]);
    let lines: Vec<_> = match child::run_command(command, JOURNAL_TIME) {
        Ok(printed) => String::from_utf8_lossy(&printed.output)
            .lines()
            .filter_map(TracedLine::read)
            .collect(),
        // A host without systemd.
        Err(_) => Vec::new(),
    };
    if !lines.is_empty() {
        let from = vec!["the journal".to_owned()];
        return Ok(ReadLog {
            lines,
            from,
            failed: None,
        });
    }
    let (mut read, mut failed) = (ReadLog::default(), None);
    for path in MAIL_LOGS.map(Path::new) {
        match read_log(path) {
            Ok(lines) => {
                read.lines.extend(lines);
                read.from.push(path.display().to_string());
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => failed = Some(Error::io("read", path, &e)),
        }
    }
    let failed = failed.filter(|_| read.from.is_empty());
    read.failed = failed.map(|e| e.hint("run it as root, or name a log that you may read with --log"));
    Ok(read)
}

/// No line of ours is longer. What is longer is read in pieces: a device may never end a line.
const LINE_BYTES: u64 = 1 << 20;

fn read_log(path: &Path) -> io::Result<Vec<TracedLine>> {
    let mut file = BufReader::new(std::fs::File::open(path)?);
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    while file.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)? > 0 {
        // Most lines are of others.
        if may_be_ours(&line) {
            lines.extend(TracedLine::read(String::from_utf8_lossy(&line).trim_end()));
        }
        line.clear();
    }
    Ok(lines)
}

fn may_be_ours(line: &[u8]) -> bool {
    line.starts_with(b"{") || line.windows(10).any(|part| part == b"spoolguard")
}

/// The user of this host whose name or address this may be: lines about mail name the user.
fn user_of<'a>(what: &'a str, delimiter: &str) -> Option<&'a str> {
    let (local, domain) = what.split_once('@').unwrap_or((what, ""));
    let own = [String::new(), account::mail_name(), account::host_name()];
    let is_own = own.iter().any(|name| name.eq_ignore_ascii_case(domain));
    let user = local.split(|c| delimiter.contains(c)).next();
    user.filter(|user| is_own && !user.is_empty())
}

/// The lines about the message, the address or the user, and about what reports on it.
fn related(lines: &[TracedLine], what: &str, user: Option<&str>) -> Vec<TracedLine> {
    let mut ids = BTreeSet::from([bare_id(what).to_owned()]);
    let is_of = |line: &TracedLine, ids: &BTreeSet<String>| {
        ids.iter().any(|id| line.has_id(&["id", "original_id"], id))
            || line.has_address(what)
            || user.is_some_and(|user| line.text("user") == user)
    };
    // A bounce is a message too: what became of it belongs here.
    for line in lines {
        if line.has_id(&["original_id"], what) {
            ids.insert(bare_id(line.text("id")).to_owned());
        }
    }
    ids.remove("");
    lines.iter().filter(|line| is_of(line, &ids)).cloned().collect()
}

/// One line for people: when, whose, what, and the keys that say more.
fn told(line: &TracedLine) -> String {
    let mut text = format!("{}  {}: {}", line.time, line.text("user"), line.text("action"))
        .trim_start()
        .to_owned();
    for key in [
        "verdict",
        "origin",
        "sender",
        "to",
        "mailbox",
        "held",
        "failed",
        "status",
        "said",
        "note",
        "notes",
        "id",
        "original_id",
        "queue",
    ] {
        let value = line.text(key);
        if !value.is_empty() {
            text.push_str(&format!("  {key}={value}"));
        }
    }
    text
}

/// What is remembered: a destination of this address or about this message, and a message that came back as a header.
fn remembered(run: &Run, what: &str) -> Vec<(String, String)> {
    let Some(Ok(mut known)) = destinations::open_store(run).map(|store| destinations::read_destinations(&store)) else {
        return Vec::new();
    };
    known.pass_time(
        destinations::to_moment(OffsetDateTime::now_utc()),
        &run.config.destinations,
    );
    let is_it = |id: &Option<String>| id.as_deref().is_some_and(|id| bare_id(id) == bare_id(what));
    let mut found = Vec::new();
    for route in &known.routes {
        let last = route.health.last.as_ref();
        if route.destination.eq_ignore_ascii_case(what) || last.is_some_and(|last| is_it(&last.id)) {
            let state = match &route.suspended {
                Some(suspension) => format!("suspended since {}", headers::moment_text(suspension.since)),
                None => "open".to_owned(),
            };
            let last = last.map_or_else(String::new, |last| {
                format!("; last failure {}: {}", headers::moment_text(last.at), last.said)
            });
            let kept = KeptFile::of(run, &route.destination).and_then(|file| file.read().ok());
            let kept = match kept.map_or(0, |list| list.waiting().count()) {
                0 => String::new(),
                count => {
                    let (count, command) = (message_count_text(count as u64), headers::status_command(&run.account));
                    format!("; {count} kept in {} instead: {command}", run.store)
                }
            };
            found.push((
                route.destination.clone(),
                format!("{} is {state}{last}{kept}", route.destination),
            ));
        }
    }
    for entry in &known.lost {
        let to = entry.lost.destination.clone().unwrap_or_default();
        if is_it(&entry.lost.message_id) || to.eq_ignore_ascii_case(what) {
            let at = headers::moment_text(entry.at);
            found.push((
                to,
                format!("came back on {at} as nothing but a header: its text is lost"),
            ));
        }
    }
    found
}
