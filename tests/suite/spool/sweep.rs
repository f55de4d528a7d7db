//! `spool sweep`: what a mailbox fills with goes into an archive, when it is told to; the rest stays byte for byte, in
//! order.

use std::fs;

use crate::spool::archive::{OLD, archived, scratch, stored};
use crate::support::{Scratch, same, user_name};

const DATE: &str = "Mon Nov  2 10:00:00 2026";

fn report(number: u32, about: &str) -> String {
    format!(
        "From MAILER-DAEMON {DATE}\nFrom: MAILER-DAEMON@h.test (Mail Delivery System)\nTo: a@a.test\nMessage-ID: <b{number}@h.test>\n\
         Subject: Undelivered Mail Returned to Sender\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"x\"\n\n\
         --x\n\nno\n--x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; h.test\n\nFinal-Recipient: rfc822; {about}\n\
         Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no such user\n\n--x--\n\n"
    )
}

/// A mailbox of mail by people, reports, loops, and copies.
fn mailbox(scratch: &Scratch) -> Vec<String> {
    let parts = vec![
        stored(1, DATE, ""),
        report(2, "b@b.test"),
        report(3, "b@b.test"),
        stored(4, DATE, "X-Loop: a@a.test\n"),
        // The same, come another way, and read.
        stored(1, OLD, "Received: from x by y\nStatus: RO\n"),
        report(5, "c@c.test"),
        stored(6, DATE, "Auto-Submitted: auto-generated\n"),
        stored(1, DATE, ""),
    ];
    fs::write(scratch.mailbox(), parts.concat()).unwrap();
    parts
}

fn guarded() -> Scratch {
    scratch().set("addresses", "[\"a@a.test\"]")
}

#[test]
fn a_sweep_says_what_it_would_take_and_takes_it_when_told() {
    let cases: [(&[&str], &[usize]); 5] = [
        (&[], &[1, 2, 5]),
        (&["--bounces"], &[1, 2, 5]),
        (&["--loops"], &[3]),
        (&["--duplicates"], &[4, 7]),
        (&["--bounces", "--loops", "--duplicates"], &[1, 2, 3, 4, 5, 7]),
    ];
    for (flags, goes) in cases {
        let scratch = guarded();
        let parts = mailbox(&scratch);
        for more in [&[][..], &["--yes", "--dry-run"]] {
            let ended = scratch
                .run(&["spool", "sweep", &user_name()])
                .with(flags)
                .with(more)
                .go();
            ended.ends_with(i32::from(more.is_empty()));
            let said = String::from_utf8_lossy(&ended.stdout).into_owned();
            let noun = if goes.len() == 1 { "message" } else { "messages" };
            assert!(
                said.contains(&format!("would take {} {noun}", goes.len())),
                "{flags:?}: {said}"
            );
            if goes.contains(&1) {
                assert!(said.contains("about b@b.test (2), c@c.test (1)"), "{said}");
                assert!(said.contains("from MAILER-DAEMON (3)"), "{said}");
            }
            assert_eq!(said.contains("--yes does it"), more.is_empty(), "{said}");
            same(&scratch.mail(), parts.concat().as_bytes());
            assert!(scratch.files("archives").is_empty());
        }
        scratch
            .run(&["spool", "sweep", &user_name(), "--yes"])
            .with(flags)
            .go()
            .ends_with(0);
        let (went, stays): (Vec<_>, Vec<_>) = (0..parts.len()).partition(|number| goes.contains(number));
        let of = |numbers: &[usize]| numbers.iter().map(|number| parts[*number].as_str()).collect::<String>();
        same(&scratch.mail(), of(&stays).as_bytes());
        same(&archived(&scratch), of(&went).as_bytes());
        // Nothing is left to take.
        let again = scratch.run(&["spool", "sweep", &user_name(), "--yes"]).with(flags).go();
        again.ends_with(0);
        assert!(String::from_utf8_lossy(&again.stdout).contains("nothing to take"));
        assert_eq!(scratch.files("archives").len(), 1);
        scratch.next_delivery_works();
    }
}

#[test]
fn a_sweep_by_age_leaves_what_is_younger() {
    let scratch = guarded();
    let parts = mailbox(&scratch);
    scratch
        .run(&[
            "spool",
            "sweep",
            &user_name(),
            "--yes",
            "--duplicates",
            "--older-than",
            "3650d",
        ])
        .go()
        .ends_with(0);
    same(&archived(&scratch), parts[4].as_bytes());
}

/// A letter behind a separator line of some program.
fn letter(separator: &str, number: u32) -> String {
    format!(
        "{separator}\nReceived: from s.test by h.test; Mon, 2 Nov 2026 10:00:00 +0000\nFrom: S <s@s.test>\nTo: a@a.test\n\
         Subject: letter {number}\nMessage-ID: <{number}@s.test>\nDate: Mon, 2 Nov 2026 10:00:00 +0000\n\nimportant\n\n"
    )
}

#[test]
fn no_letter_goes_with_a_report_whatever_separates_them() {
    for separator in [
        "From ",
        "From -",
        "From s@s.test",
        "From s@s.test 2026-11-02 10:00:00",
        "From s@s.test 11/02/2026 10:00:00",
        "From s@s.test Mo Dez 2 10:00:00 2026",
        "From s@s.test Mon, 2 Nov 2026 10:00:00 +0000",
        "From S Smith 2026-11-02",
    ] {
        let scratch = guarded();
        let parts = [
            stored(1, DATE, ""),
            report(2, "b@b.test"),
            letter(separator, 3),
            letter(separator, 4),
            stored(5, DATE, ""),
        ];
        fs::write(scratch.mailbox(), parts.concat()).unwrap();
        let ended = scratch
            .run(&["spool", "sweep", &user_name(), "--bounces", "--yes"])
            .go();
        ended.ends_with(0);
        let stays = [&*parts[0], &*parts[2], &*parts[3], &*parts[4]].concat();
        same(&scratch.mail(), stays.as_bytes());
        same(&archived(&scratch), parts[1].as_bytes());
        scratch.next_delivery_works();
    }
}

#[test]
fn a_report_in_which_a_letter_may_begin_stays_and_is_named() {
    for line in [
        "From s@s.test 2026-11-02\nSubject: x\n\nhello\n\n",
        "From the desk of S\nFrom: S <s@s.test>\nTo: a@a.test\nDate: x\n\nhello\n\n",
    ] {
        let scratch = guarded();
        let doubtful = format!("{}{line}", report(2, "b@b.test"));
        let parts = [report(1, "b@b.test"), doubtful, stored(3, DATE, "")];
        fs::write(scratch.mailbox(), parts.concat()).unwrap();
        let name = user_name();
        let at = (parts[0].len() + parts[1].len() - line.len()).to_string();
        let shown = line.lines().next().unwrap();
        let mut run = vec!["spool", "sweep", &name, "--bounces"];
        for execute in [&[][..], &["--yes"]] {
            run.extend(execute);
            let ended = scratch.run(&run).go();
            ended.ends_with(i32::from(execute.is_empty()));
            let said = String::from_utf8_lossy(&ended.stdout).into_owned();
            let message = format!("the message at byte {} remains", parts[0].len());
            assert!(
                said.contains(&message) && said.contains(&at) && said.contains(shown),
                "{said}"
            );
        }
        same(&scratch.mail(), [&*parts[1], &*parts[2]].concat().as_bytes());
        same(&archived(&scratch), parts[0].as_bytes());
        // The list and inspect say so, too.
        let inspected = scratch.run(&["inspect", scratch.mailbox().to_str().unwrap()]).go();
        let said = String::from_utf8_lossy(&inspected.stdout).into_owned();
        assert!(
            said.contains("warning: another message may begin") && said.contains(shown),
            "{said}"
        );
        let listed = scratch.run(&["spool", "list", &name]).go();
        let said = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(
            said.contains("another message may begin") && said.contains(shown),
            "{said}"
        );
        // All mail is all mail, wherever a message begins.
        let all = scratch
            .run(&["spool", "archive", "--yes", &name, "--all-mail", "--dry-run"])
            .go();
        all.ends_with(0);
        assert!(String::from_utf8_lossy(&all.stdout).contains("would take 2 messages"));
    }
}
