//! `spoolguard filter`: copies standard input to standard output, with the verdict in a header field on top. A field of
//! this name that came with the message is left out; nothing else changes. Memory does not grow with the message.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::AsFd;

use crate::cli::{Everywhere, Who};
use crate::deliver::context::Run;
use crate::deliver::{self, caller, headers, judge};
use crate::error::{Category, Error, Status};
use crate::mailbox::quoting::{self, LineQuoting};
use crate::message::Message;
use crate::sys::message_buffer::{MessageStart, Rest, is_closed};

/// Runs the filter. A failure is 75: procmail and maildrop then go on with the message as it was.
pub fn run(who: &Who, everywhere: &Everywhere) -> Status {
    deliver::end_run(filter(who, everywhere))
}

fn filter(who: &Who, everywhere: &Everywhere) -> Result<Status, Error> {
    let deadline = deliver::begin_delivery()?;
    let mut input = deliver::input::open_input()?;
    let head = MessageStart::read(&input, &deadline)?;
    let run = Run::prepare(who, None, everywhere, deadline)?;
    let message = Message::new(head.bytes());
    let envelope = caller::read_envelope(who, &caller::read_variable, &message, &run.config, &run.account);
    let judgement = judge::judge_message(&message, &envelope, &run.config);
    let (separator, content) = head.bytes().split_at(head.bytes().len() - message.content().len());
    let field = headers::verdict_field(&judgement) + message.line_end() + &headers::separator_field(&message);
    // Not `Stdout`, which takes a closed or read-only one for a success.
    let output = File::from(
        io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|e| Error::from_cause(Category::System, "write to", "standard output", e))?,
    );
    if is_closed(&output) {
        return Err(Error::new(
            Category::System,
            "write",
            "the message",
            "standard output is closed",
        ));
    }
    let rest = Rest {
        input: &mut input,
        deadline: &run.deadline,
    };
    let mut output = BufWriter::with_capacity(quoting::STEP_BYTES, output);
    let written = output
        .write_all(separator)
        .and_then(|()| output.write_all(field.as_bytes()))
        .and_then(|()| {
            quoting::copy_quoted(
                content.chain(rest),
                &mut output,
                &[headers::VERDICT_HEADER],
                LineQuoting::None,
            )
        })
        .and_then(|_| output.flush());
    written.map_err(|e| Error::from_cause(Category::System, "write", "the message to standard output", e))?;
    Ok(Status::Done)
}
