//! Where the log goes: one line for each message, `key=value`, to syslog, standard error, a file or postlog(1). Logging
//! that fails is ignored, and nobody is waited for who does not read: neither a full syslog nor a program that hangs
//! may hold mail.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::fcntl::OFlag;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::config::{Log, LogFormat, LogLevel, LogTo};
use crate::escape::make_visible;
use crate::output;
use crate::output::json::write_line;
use crate::sys::account::{host_name, is_root};
use crate::sys::child::{self, Streams};

/// How much of one value is logged, in characters.
const VALUE_CHARACTERS: usize = 300;
/// The mail system's facility, syslog(3).
const LOG_MAIL: u8 = 2 << 3;

/// How long postlog(1) may take for a line.
const POSTLOG_TIME: Duration = Duration::from_secs(2);

/// Starts logging for the rest of the process, which runs for `user`. The first call counts.
pub fn start_logging(log: &Log, user: &str, verbose: u8) {
    let level = match (verbose, log.level) {
        (2.., _) | (_, LogLevel::Debug) => Level::DEBUG,
        (_, LogLevel::Info) => Level::INFO,
        (_, LogLevel::Warn) => Level::WARN,
        (_, LogLevel::Error) => Level::ERROR,
    };
    let stderr = || {
        if verbose > 0 {
            LogTarget::Stderr
        } else {
            LogTarget::Nowhere
        }
    };
    let target = match &log.to {
        LogTo::Auto => connect().unwrap_or_else(stderr),
        LogTo::Syslog => connect().unwrap_or(LogTarget::Nowhere),
        LogTo::Stderr => LogTarget::Stderr,
        LogTo::Postlog => find_postlog().or_else(connect).unwrap_or_else(stderr),
        LogTo::File(file) => open_file(&file.of(user)).unwrap_or_else(stderr),
        LogTo::None => LogTarget::Nowhere,
    };
    let _ = tracing::subscriber::set_global_default(EventLines {
        level,
        target,
        format: log.format,
    });
}

enum LogTarget {
    Syslog(UnixDatagram),
    Stderr,
    File(File),
    Postlog(Postlog),
    Nowhere,
}

/// Postfix's program for log lines, and whether it failed already: one that hangs is waited for once.
struct Postlog {
    program: PathBuf,
    failed: AtomicBool,
}

impl Postlog {
    fn write(&self, level: Level, line: &str) {
        if self.failed.load(Ordering::Relaxed) {
            return;
        }
        let priority = match level {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO | Level::DEBUG | Level::TRACE => "info",
        };
        let arguments = ["-i", "-t", "spoolguard", "-p", priority, "--", line];
        let answer = child::output_of(&self.program, &arguments, &[], Streams::Output, POSTLOG_TIME);
        if !answer.is_ok_and(|answer| answer.status.success()) {
            self.failed.store(true, Ordering::Relaxed);
        }
    }
}

/// None where users' runs cannot use it: without a set-id bit it reaches no `maillog_file` for them, and tries for a
/// second. What it sends to syslog instead, anybody can.
fn find_postlog() -> Option<LogTarget> {
    let program = child::find_program("postlog", &child::search_path(None))?;
    if !is_root() && !child::is_set_id(&program) {
        return None;
    }
    Some(LogTarget::Postlog(Postlog {
        program,
        failed: AtomicBool::new(false),
    }))
}

/// Opens the file that lines are appended to, and makes it for its user alone. A FIFO without a reader, or a full one,
/// takes nothing.
fn open_file(path: &Path) -> Option<LogTarget> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)
        .ok()?;
    let kind = file.metadata().ok()?.file_type();
    (kind.is_file() || kind.is_fifo()).then_some(LogTarget::File(file))
}

/// A line as syslog daemons write it to a file; `spoolguard trace` and people read both in the same way.
fn file_line(line: &str) -> String {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    format!("{now} {} spoolguard[{}]: {line}\n", host_name(), std::process::id())
}

fn connect() -> Option<LogTarget> {
    let socket = UnixDatagram::unbound().ok()?;
    // A daemon that does not read must not hold mail.
    socket.set_nonblocking(true).ok()?;
    socket.connect("/dev/log").ok()?;
    Some(LogTarget::Syslog(socket))
}

/// One datagram is one line, RFC 3164 as a local syslog daemon takes it: it adds time and host itself.
fn datagram(level: Level, line: &str) -> String {
    let severity = match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    };
    format!("<{}>spoolguard[{}]: {line}", LOG_MAIL | severity, std::process::id())
}

struct EventLines {
    level: Level,
    target: LogTarget,
    format: LogFormat,
}

impl Subscriber for EventLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let level = *event.metadata().level();
        let line = match self.format {
            LogFormat::Text => {
                let mut line = LogLine(String::new());
                event.record(&mut line);
                line.0
            }
            LogFormat::Json => {
                let mut object = LogObject(Map::new());
                object
                    .0
                    .insert("level".to_owned(), level.as_str().to_ascii_lowercase().into());
                event.record(&mut object);
                object.line()
            }
        };
        match (&self.target, self.format) {
            (LogTarget::Syslog(socket), _) => {
                let _ = socket.send(datagram(level, &line).as_bytes());
            }
            (LogTarget::Stderr, LogFormat::Text) => output::print_stderr(&format!("spoolguard: {line}\n")),
            (LogTarget::Stderr, LogFormat::Json) => output::print_stderr(&format!("{line}\n")),
            // One write: lines of several runs do not mix (O_APPEND).
            (LogTarget::File(file), _) => {
                let _ = (&*file).write(file_line(&line).as_bytes());
            }
            (LogTarget::Postlog(postlog), _) => postlog.write(level, &line),
            (LogTarget::Nowhere, _) => {}
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Collects `key=value`; a value with blanks stands between quotes, control characters are escaped.
struct LogLine(String);

impl LogLine {
    fn add(&mut self, field: &Field, text: &str) {
        let short: String = text.chars().take(VALUE_CHARACTERS).collect();
        let safe = make_visible(&short);
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        let _ = match field.name() {
            "message" => write!(self.0, "{safe}"),
            name if safe.is_empty() || safe.contains([' ', '"', '=']) => {
                write!(self.0, "{name}=\"{}\"", safe.replace('"', "'"))
            }
            name => write!(self.0, "{name}={safe}"),
        };
    }
}

impl Visit for LogLine {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

/// Collects the same as one JSON object: numbers stay numbers.
struct LogObject(Map<String, Value>);

impl LogObject {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn line(&self) -> String {
        let mut line = Vec::new();
        // Into memory: nothing fails.
        let _ = write_line(&mut line, &self.0);
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }
}

impl Visit for LogObject {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.chars().take(VALUE_CHARACTERS).collect::<String>());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postlog_that_fails_or_hangs_is_started_once() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let program = dir.path().join("postlog");
        // Written by another process, so that none of ours has it open for writing when it is started.
        let make = |text: &str| {
            let line = "printf '#!/bin/sh\n%s\n' \"$1\" > \"$0\"; chmod +x \"$0\"";
            let mut shell = std::process::Command::new("sh");
            shell.arg("-c").arg(line).arg(&program).arg(text);
            assert!(shell.status().is_ok_and(|status| status.success()));
        };
        let lines = dir.path().join("lines");
        let note = format!("echo \"$*\" >> {}", lines.display());
        for (end, count) in [("exit 0", 2), ("exit 1", 1), ("exec sleep 300", 1)] {
            let _ = std::fs::remove_file(&lines);
            make(&format!("{note}; {end}"));
            let postlog = Postlog {
                program: program.clone(),
                failed: AtomicBool::new(false),
            };
            postlog.write(Level::WARN, "-x action=append");
            postlog.write(Level::WARN, "-x action=append");
            let told = std::fs::read_to_string(&lines).unwrap_or_default();
            assert_eq!(
                told,
                "-i -t spoolguard -p warn -- -x action=append\n".repeat(count),
                "{end}"
            );
        }
    }

    #[test]
    fn syslog_is_told_facility_severity_program_and_process() {
        for (level, priority) in [
            (Level::ERROR, 19),
            (Level::WARN, 20),
            (Level::INFO, 22),
            (Level::DEBUG, 23),
            (Level::TRACE, 23),
        ] {
            let process = std::process::id();
            assert_eq!(
                datagram(level, "action=append"),
                format!("<{priority}>spoolguard[{process}]: action=append")
            );
        }
    }
}
