//! A message whose run was killed, or that could not be taken back, and that no longer stands where it was written when
//! it comes again: a user deleted mail before it, or old mail was archived. It must not be there twice. And a note on a
//! message that is done with stops no other.

use std::fs;

use crate::support::{ORDINARY, Scratch, contains, has_attributes, messages, shown, skip, user_name};

const OLD: &[u8] = b"From old@s.test Mon Nov  2 10:00:00 2009\nSubject: old\n\nold mail\n\n";

/// Who takes out the old mail.
#[derive(Clone, Copy, Debug)]
enum Expunge {
    /// `spool archive`.
    Ours,
    /// A mail program, which notes in each message that it was seen.
    MailProgram,
}

impl Expunge {
    fn run(self, scratch: &Scratch) {
        match self {
            Self::Ours => {
                let archive = ["spool", "archive", "--yes", &user_name(), "--older-than", "365d"];
                scratch.run(&archive).go().ends_with(0);
            }
            Self::MailProgram => {
                let mail = scratch.mail();
                let kept = messages(&mail)
                    .into_iter()
                    .filter(|message| !contains(message, b"Subject: old\n"));
                let seen = kept.map(|message| {
                    let end = memchr::memmem::find(message, b"\n\n").unwrap() + 1;
                    [&message[..end], b"Status: RO\n", &message[end..]].concat()
                });
                let seen: Vec<u8> = seen.flatten().collect();
                // In place, as mutt does: the notes are the file's.
                fs::write(scratch.mailbox(), seen).unwrap();
            }
        }
    }
}

fn scratch() -> Option<Scratch> {
    let scratch = Scratch::new();
    let dir = scratch.path("archives").display().to_string();
    fs::write(scratch.mailbox(), OLD).unwrap();
    if !has_attributes(&scratch.mailbox()) {
        skip("no extended attributes here");
        return None;
    }
    Some(scratch.set("archive.dir", &format!("{dir:?}")))
}

/// How often the message is in the mailbox.
fn count(scratch: &Scratch) -> usize {
    let mail = scratch.mail();
    let is_it = |message: &&&[u8]| contains(message, b"Subject: hello");
    messages(&mail).iter().filter(is_it).count()
}

/// Forwards it, keeps a copy, and does in sendmail what `then` says.
fn forward<'a>(scratch: &'a mut Scratch, then: &str) -> crate::support::Ended<'a> {
    scratch.sendmail(then);
    scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go()
}

#[test]
fn a_copy_that_moved_before_the_next_try_is_there_once() {
    for expunge in [Expunge::Ours, Expunge::MailProgram] {
        for others in [0, 1] {
            let Some(mut scratch) = scratch() else { return };
            forward(&mut scratch, "kill -9 $PPID");
            assert_eq!(count(&scratch), 1, "it is not killed behind the copy");
            expunge.run(&scratch);
            for _ in 0..others {
                scratch.next_delivery_works();
            }
            forward(&mut scratch, "exit 0").succeeds();
            let mail = scratch.mail();
            assert_eq!(count(&scratch), 1, "{expunge:?} {others} {}", shown(&mail));
            // Its note is used up: one that is sent on purpose comes.
            scratch.deliver(ORDINARY).go().succeeds();
            assert_eq!(count(&scratch), 2, "{expunge:?} {others}");
        }
    }
}

#[test]
fn a_copy_that_moved_while_sendmail_ran_is_there_once() {
    let Some(mut scratch) = scratch() else { return };
    let mailbox = scratch.mailbox().display().to_string();
    // The first message goes out of it, in place.
    let then = format!(
        "tail -c +{} '{mailbox}' >'{mailbox}.x'; cat '{mailbox}.x' >'{mailbox}'; exit 75",
        OLD.len() + 1
    );
    forward(&mut scratch, &then).defers();
    assert_eq!(count(&scratch), 1, "it was taken back");
    forward(&mut scratch, "exit 0").succeeds();
    assert_eq!(count(&scratch), 1);
}

#[test]
fn a_message_that_was_deleted_or_never_written_comes() {
    let Some(mut scratch) = scratch() else { return };
    forward(&mut scratch, "kill -9 $PPID");
    // Deleted, and other mail stands in its place.
    fs::write(scratch.mailbox(), [OLD, OLD, OLD, OLD, OLD, OLD].concat()).unwrap();
    scratch.next_delivery_works();
    forward(&mut scratch, "exit 0").succeeds();
    assert_eq!(count(&scratch), 1);
}

#[test]
fn a_repeat_of_what_is_there_takes_the_note_along() {
    let Some(mut scratch) = scratch() else { return };
    // Killed behind the submission: the note stays.
    let name = |scratch: &Scratch| {
        let mut names = vec![0; 4096];
        let length = rustix::fs::listxattr(scratch.mailbox(), names.as_mut_slice()).unwrap();
        names.truncate(length);
        contains(&names, b"user.spoolguard.")
    };
    let Some(strace) = crate::robust::faults::strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    scratch.sendmail("exit 0");
    let options = [
        "-e",
        "trace=lremovexattr",
        "-e",
        "inject=lremovexattr:signal=KILL:error=EIO",
    ];
    let run = scratch.forward(ORDINARY, &["--keep", "b@b.test"]);
    let strace = strace.display().to_string();
    let words: Vec<&str> = [strace.as_str(), "-f", "-qq", "-o", "/dev/null"]
        .into_iter()
        .chain(options)
        .collect();
    let killed = run.wrapped(&words).go();
    killed.check(name(&scratch), "no note was left");
    forward(&mut scratch, "exit 0").succeeds();
    assert_eq!(scratch.calls().len(), 1, "it was sent again");
    assert_eq!(count(&scratch), 1);
    assert!(!name(&scratch), "the note stays");
}
