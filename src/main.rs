//! Arguments in, exit status out; nothing else.
//!
//! While delivering, every mistake is 75: mail systems bounce on clap's 2, on a panic's 101 and on death by a signal.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::panic;
use std::process::ExitCode;

use clap::error::ErrorKind;
// Its memcpy takes the place of the C library's.
use spoolguard_copy as _;

use spoolguard::cli::{Cli, fast_path, mistake, shown};
use spoolguard::deliver::{caller, watchdog};
use spoolguard::error::{Category, Error, Status};
use spoolguard::mailbox::setgid;
use spoolguard::sys::deadline;
use spoolguard::{command, deliver, output};

#[global_allocator]
static HEAP: spoolguard_heap::Heap = spoolguard_heap::Heap::new();

fn main() -> ExitCode {
    // A panic unwinds, so that locks are released; its own words may be of any number of lines.
    panic::set_hook(Box::new(|_| {}));
    let status = panic::catch_unwind(run).unwrap_or_else(|cause| {
        let cause = cause.downcast_ref::<String>().map(String::as_str);
        let error = Error::new(
            Category::System,
            "go on",
            "with this run",
            cause.unwrap_or("internal error"),
        );
        output::print_stderr(&error.hint("please report this").line());
        Status::TryAgain
    });
    ExitCode::from(status.code())
}

fn run() -> Status {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let words = || arguments.iter().skip(1).map_while(|word| word.to_str());
    let is_typed_command = fast_path::is_typed(words());
    if !is_typed_command {
        // Before anything else: mail systems bounce on death by a signal.
        let _ = deadline::block_signals();
    }
    let group = match setgid::set_aside() {
        Ok(group) => group,
        Err(e) => return deliver::end_run(Err(e)),
    };
    if fast_path::is_delivery(words()) {
        // Root's child gets a copy of the memory: before there is much of it.
        watchdog::start_watchdog();
    }
    if !is_typed_command {
        let _ = deadline::hold_signals();
    }
    let is_typed = || std::io::stdin().is_terminal() && !caller::is_mail_system(&caller::read_variable);
    let quick = fast_path::parse_sendmail(&arguments).or_else(|| fast_path::parse_delivery(&arguments));
    match quick.map_or_else(|| Cli::read(&arguments), Ok) {
        Ok(mut cli) => {
            cli.make_config_absolute();
            cli.everywhere
                .config
                .iter()
                .for_each(|path| output::shell::note_config(path));
            let status = command::run(&cli, group);
            if status != Status::Done && is_typed_command {
                deadline::end_if_interrupted();
            }
            status
        }
        Err(_) if arguments.len() < 2 && is_typed() => print_help(&shown::help_text(), Status::Usage),
        Err(e) if is_help(e.kind()) && !caller::is_mail_system(&caller::read_variable) => {
            print_help(&e.render().to_string(), Status::Done)
        }
        Err(e) if is_typed_command || (e.kind() == ErrorKind::InvalidSubcommand && is_typed()) => {
            output::print_stderr(&mistake::for_people(&e, &arguments));
            Status::Usage
        }
        Err(e) if is_typed() => {
            output::print_stderr(&mistake::for_people(&e, &arguments));
            Status::TryAgain
        }
        Err(e) => {
            let cause = mistake::in_one_line(&e, &arguments);
            deliver::end_run(Err(Error::new(
                Category::Configuration,
                "understand",
                "the command line",
                cause,
            )))
        }
    }
}

fn print_help(text: &str, status: Status) -> Status {
    let text = format!("{}\n", text.trim_end());
    output::end_command(output::write_answer(text.as_bytes()).map(|()| status))
}

/// Help that is printed for a mail system would end with 0, and the message would be gone.
fn is_help(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}
