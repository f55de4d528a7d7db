//! spoolguard together with other mail programs on one host: procmail, maildrop and Dovecot write to the same mailbox,
//! and run it as a filter. `tests/peers/install` installs them.
//!
//! The hooks are quick and part of a plain `cargo test`. The long runs, with 16 writers at once, are not:
//!
//!     cargo test --test peers -- --include-ignored
//!
//! Where a program or a right is missing, a test is reported as ignored, with what it needs. Everything runs in a mount
//! namespace of its own, as a user that exists only there; the host's mail and accounts are never touched. Tests run
//! one after another, because there is one such user.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what cannot be set up is a failed test, and a test program prints"
)]

mod care;
mod contrib;
mod doctor;
mod hooks;
mod letters;
mod maildir;
mod mixed;
mod namespace;
mod programs;
mod readers;
mod scratch;
mod srs;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use scratch::{Scratch, Stage};

/// How long a test takes, and therefore when it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// With every `cargo test`.
    Quick,
    /// On request.
    Long,
}

/// A test: its name, what has to be there, and what it does.
type Test = (&'static str, Pace, &'static [&'static str], fn(&Scratch));

const TESTS: &[Test] = &[
    (
        "four_programs_write_to_one_mailbox_and_nothing_is_lost_or_torn",
        Pace::Long,
        &[
            "procmail",
            "maildrop",
            "dovecot-lda",
            "mutt",
            "script",
            "python3",
            "doveadm",
        ],
        mixed::four_programs_write_to_one_mailbox_and_nothing_is_lost_or_torn,
    ),
    (
        "a_killed_delivery_tears_nothing_of_the_others",
        Pace::Long,
        &["procmail", "maildrop", "dovecot-lda", "python3"],
        mixed::a_killed_delivery_tears_nothing_of_the_others,
    ),
    (
        "care_loses_and_doubles_nothing_while_three_programs_deliver",
        Pace::Long,
        &["procmail", "dovecot-lda"],
        care::care_loses_and_doubles_nothing_while_three_programs_deliver,
    ),
    (
        "three_programs_agree_how_full_a_maildir_is",
        Pace::Long,
        &["maildrop", "maildirmake", "dovecot-lda", "doveadm"],
        maildir::three_programs_agree_how_full_a_maildir_is,
    ),
    (
        "dovecot_sees_what_an_archive_left_and_a_restore_brought_back",
        Pace::Quick,
        &["maildrop", "maildirmake", "dovecot-lda", "doveadm"],
        maildir::dovecot_sees_what_an_archive_left_and_a_restore_brought_back,
    ),
    (
        "doctor_knows_the_locks_of_the_real_programs",
        Pace::Quick,
        &["procmail", "maildrop", "mutt", "doveconf"],
        doctor::doctor_knows_the_locks_of_the_real_programs,
    ),
    (
        "doctor_sees_the_lock_of_procmails_lockfile",
        Pace::Quick,
        &["lockfile"],
        doctor::doctor_sees_the_lock_of_procmails_lockfile,
    ),
    (
        "procmail_files_by_the_verdict_of_the_filter",
        Pace::Quick,
        &["procmail"],
        hooks::procmail_files_by_the_verdict_of_the_filter,
    ),
    (
        "procmail_delivers_unfiltered_when_the_filter_fails",
        Pace::Quick,
        &["procmail"],
        hooks::procmail_delivers_unfiltered_when_the_filter_fails,
    ),
    (
        "procmail_files_by_the_condition",
        Pace::Quick,
        &["procmail", "inspect"],
        hooks::procmail_files_by_the_condition,
    ),
    (
        "procmail_takes_a_condition_that_fails_for_untrue",
        Pace::Quick,
        &["procmail", "inspect"],
        hooks::procmail_takes_a_condition_that_fails_for_untrue,
    ),
    (
        "procmail_ends_with_0_when_the_message_is_sent_on",
        Pace::Quick,
        &["procmail"],
        hooks::procmail_ends_with_0_when_the_message_is_sent_on,
    ),
    (
        "procmail_ends_with_75_when_the_guard_defers",
        Pace::Quick,
        &["procmail"],
        hooks::procmail_ends_with_75_when_the_guard_defers,
    ),
    (
        "the_whole_procmailrc_files_and_forwards",
        Pace::Quick,
        &["procmail"],
        hooks::the_whole_procmailrc_files_and_forwards,
    ),
    (
        "maildrop_files_by_the_verdict_of_the_filter",
        Pace::Quick,
        &["maildrop"],
        hooks::maildrop_files_by_the_verdict_of_the_filter,
    ),
    (
        "maildrop_ends_with_75_when_the_filter_fails",
        Pace::Quick,
        &["maildrop"],
        hooks::maildrop_ends_with_75_when_the_filter_fails,
    ),
    (
        "maildrop_files_by_the_condition",
        Pace::Quick,
        &["maildrop", "inspect"],
        hooks::maildrop_files_by_the_condition,
    ),
    (
        "sieve_files_by_the_verdict_of_the_filter",
        Pace::Quick,
        &["dovecot-lda", "sieve"],
        hooks::sieve_files_by_the_verdict_of_the_filter,
    ),
    (
        "sieve_keeps_the_message_when_the_filter_fails",
        Pace::Quick,
        &["dovecot-lda", "sieve"],
        hooks::sieve_keeps_the_message_when_the_filter_fails,
    ),
    (
        "sieve_files_by_the_condition",
        Pace::Quick,
        &["dovecot-lda", "sieve", "inspect"],
        hooks::sieve_files_by_the_condition,
    ),
    (
        "srs_addresses_are_those_of_postsrsd",
        Pace::Quick,
        &["postsrsd"],
        srs::srs_addresses_are_those_of_postsrsd,
    ),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let stage = if arguments.list {
        Err("a test run".to_owned())
    } else {
        Stage::enter()
    };
    let stage = std::sync::Arc::new(stage);
    let trials = TESTS
        .iter()
        .map(|&(name, pace, needs, test)| {
            let stage = stage.clone();
            Trial::ignorable_test(name, move || play(stage.as_ref().as_ref(), name, needs, test))
                .with_ignored_flag(pace == Pace::Long)
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn play(stage: Result<&Stage, &String>, name: &str, needs: &[&str], test: fn(&Scratch)) -> Result<Completion, Failed> {
    let stage = match stage {
        Ok(stage) => stage,
        Err(missing) => return Ok(Completion::ignored_with(format!("needs {missing}"))),
    };
    let missing: Vec<_> = needs.iter().copied().filter(|need| !stage.has(need)).collect();
    if !missing.is_empty() {
        return Ok(Completion::ignored_with(format!("needs {}", missing.join(", "))));
    }
    test(&stage.scratch(name));
    Ok(Completion::Completed)
}
