//! `filter`: one header field on top, and everything else byte for byte.

use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::support::{LIMIT, ORDINARY, Scratch, below, contains, full_device, large, same, shown};

/// What comes out of the filter for `message`.
#[track_caller]
fn filtered(message: &[u8]) -> Vec<u8> {
    let scratch = Scratch::new();
    let ended = scratch
        .run(&["filter", "-a", "a@a.test", "-f", "s@s.test"])
        .input(message)
        .go();
    ended
        .ends_with(0)
        .check(ended.stderr.is_empty(), "a filter that succeeds says nothing");
    ended.stdout.clone()
}

#[test]
fn the_verdict_stands_on_top_and_the_rest_is_as_it_was() {
    let shapes: [&[u8]; 12] = [
        ORDINARY,
        b"",
        b"\n",
        b"no header\n",
        b"Hello\nX-Spoolguard-Verdict: in a text\n",
        b"A: 1",
        b"A: 1\n\nFrom x\n>From y\nno end",
        b"A: \0\xff\n\n\0\r\r\n\xff",
        b"Status: RO\nContent-Length: 3\n\nx\n",
        b"A: 1\n\nX-Spoolguard-Verdict: in the body\n",
        b"A: 1\n\n\n\n\n",
        b"X-Spoolguard-Verdicts: other\n\n",
    ];
    for shape in shapes {
        let got = filtered(shape);
        assert!(got.starts_with(b"X-Spoolguard-Verdict: ordinary\n"), "{}", shown(&got));
        same(below(&got, 1), shape);
    }
}

#[test]
fn the_separator_line_stays_first() {
    let line = b"From s@s.test  Mon Nov  2 10:00:00 2026\n";
    let got = filtered(&[line, ORDINARY].concat());
    same(
        &got,
        &[line as &[u8], b"X-Spoolguard-Verdict: ordinary\n", ORDINARY].concat(),
    );
}

#[test]
fn line_ends_are_the_messages_own() {
    let got = filtered(b"A: 1\r\n\r\nx\r\n");
    same(&got, b"X-Spoolguard-Verdict: ordinary\r\nA: 1\r\n\r\nx\r\n");
}

#[test]
fn an_incoming_field_of_that_name_is_removed() {
    let message = b"X-Spoolguard-Verdict: bounce\nA: 1\nx-spoolguard-VERDICT: loop;\n\tmarker=\"x\"\n  more\n\
        X-Spoolguard-Verdict : spaced\nB: 2\n\nbody\n";
    same(
        &filtered(message),
        b"X-Spoolguard-Verdict: ordinary\nA: 1\nB: 2\n\nbody\n",
    );
}

#[test]
fn an_incoming_field_far_down_a_long_header_is_removed() {
    let mut message = Vec::new();
    while message.len() < 3 << 20 {
        message.extend_from_slice(b"X-Filler: some text that is long enough to count\n\tand folded\n");
    }
    let header = message.clone();
    message.extend_from_slice(b"X-Spoolguard-Verdict: ordinary\n folded\nB: 2\n\nbody\n");
    let got = filtered(&message);
    same(below(&got, 1), &[&header, b"B: 2\n\nbody\n" as &[u8]].concat());
}

#[test]
fn the_marker_is_shown_and_can_say_nothing_of_its_own() {
    let got = filtered(b"X-Loop: a@a.test\nA: 1\n\nx\n");
    assert!(
        got.starts_with(b"X-Spoolguard-Verdict: loop; marker=\"X-Loop: a@a.test\"\nX-Loop: "),
        "{}",
        shown(&got)
    );
    let got = filtered(b"X-Loop: \"evil\x1b[31m\r\n\tX-Injected: 1\" <a@a.test>\nA: 1\n\nx\n");
    let line = got.split(|b| *b == b'\n').next().unwrap();
    assert!(!line.contains(&b'\x1b') && line.is_ascii(), "{}", shown(line));
    assert!(
        got.starts_with(b"X-Spoolguard-Verdict: loop; marker=\""),
        "{}",
        shown(&got)
    );
    assert!(below(&got, 1).starts_with(b"X-Loop: \"evil"), "{}", shown(&got));
}

#[test]
fn a_null_sender_is_shown_beside_what_is_ordinary() {
    let scratch = Scratch::new();
    let ended = scratch.run(&["filter", "-f", "<>"]).input(ORDINARY).go();
    let top = String::from_utf8_lossy(&ended.stdout)
        .lines()
        .next()
        .unwrap()
        .to_owned();
    assert!(
        top.starts_with("X-Spoolguard-Verdict: ordinary; marker=\"") && top.contains("<>"),
        "{top}"
    );
}

#[test]
fn nothing_is_written_but_to_standard_output() {
    let scratch = Scratch::new();
    let ended = scratch
        .run(&["filter", "-f", "<>"])
        .input(b"X-Loop: a@a.test\n\nx\n")
        .go();
    ended.ends_with(0);
    assert!(scratch.files("spool").is_empty() && scratch.files("state").is_empty() && scratch.diverted().is_empty());
}

#[test]
fn output_that_cannot_be_written_is_75() {
    let scratch = Scratch::new();
    scratch
        .run(&["filter"])
        .input(ORDINARY)
        .stdout(full_device())
        .go()
        .defers();
    scratch
        .run(&["filter"])
        .input(&large(3 << 20))
        .stdout(full_device())
        .go()
        .defers();
    scratch
        .run(&["filter"])
        .input(ORDINARY)
        .shell("exec 1>&-")
        .go()
        .defers();
    // A reader that went away, with the signal ignored and not.
    for shell in ["trap '' PIPE", ":"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = scratch
            .run(&["filter"])
            .input(&large(3 << 20))
            .stdout(writer)
            .shell(shell);
        run.go().defers();
    }
}

#[test]
fn what_goes_wrong_before_leaves_nothing_on_standard_output() {
    let scratch = Scratch::new();
    for arguments in [
        &["filter", "--config", "/nonexistent"] as &[&str],
        &["filter", "--no-such-flag"],
    ] {
        let ended = scratch.bare(arguments).input(ORDINARY).go();
        ended
            .defers()
            .check(ended.stdout.is_empty(), "a part of the message came out");
    }
    let ended = scratch.run(&["filter"]).shell("exec 0<&-").go();
    ended
        .defers()
        .check(ended.stdout.is_empty(), "a message that was never read came out");
}

#[test]
fn a_signal_stops_it_while_a_large_message_stalls() {
    let scratch = Scratch::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let run = scratch
        .run(&["filter"])
        .input_file(reader)
        .stdout(Stdio::null())
        .start();
    std::io::Write::write_all(&mut writer, &large(3 << 20)).unwrap();
    let begun = std::time::Instant::now();
    run.signal(Signal::SIGTERM);
    run.end().defers();
    assert!(begun.elapsed() < LIMIT / 3);
}

#[test]
fn a_dry_run_is_75_under_a_mail_system() {
    let scratch = Scratch::new();
    let ended = scratch
        .run(&["filter", "--dry-run"])
        .variable("SENDER", "s@s.test")
        .input(ORDINARY)
        .go();
    // The message comes out whole, or it is 75: never a success that says something else.
    let whole = ended.code == Some(0) && contains(&ended.stdout, ORDINARY);
    ended.check(whole || ended.code == Some(75), "the message is gone");
}
