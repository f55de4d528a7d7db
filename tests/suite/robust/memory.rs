//! Sizes and memory: neither grows with the message, and a large one is as whole as a small one.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use crate::robust::faults::strace;
use crate::support::{LIMIT, Scratch, below, content, large, only, same, skip, unquoted};

/// More than this the program never holds, not even built without optimisation, when its own pages are most of it.
const MOST_BYTES: u64 = 20 << 20;

const BODY_BYTES: usize = 40 << 20;

#[test]
fn forty_megabytes_are_delivered_in_bounded_memory() {
    let scratch = Scratch::new();
    let message = large(BODY_BYTES);
    let ended = scratch.deliver(&message).measured().go();
    ended.succeeds();
    let peak = ended.peak_bytes;
    ended.check(peak > 0 && peak <= MOST_BYTES, &format!("it took {} MiB", peak >> 20));
    let mail = scratch.mail();
    let got = unquoted(content(&mail));
    same(&got, &message);
}

#[test]
fn forty_megabytes_are_forwarded_in_bounded_memory() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    let message = large(BODY_BYTES);
    let ended = scratch.forward(&message, &["b@b.test"]).measured().go();
    ended.succeeds();
    ended.check(
        ended.peak_bytes > 0 && ended.peak_bytes <= MOST_BYTES,
        &format!("it took {} MiB", ended.peak_bytes >> 20),
    );
    same(below(&scratch.submitted(), 1), &message);
}

#[test]
fn forty_megabytes_are_filtered_in_bounded_memory() {
    let scratch = Scratch::new();
    let message = large(BODY_BYTES);
    let ended = scratch.run(&["filter"]).input(&message).measured().go();
    ended.ends_with(0);
    ended.check(
        ended.peak_bytes > 0 && ended.peak_bytes <= MOST_BYTES,
        &format!("it took {} MiB", ended.peak_bytes >> 20),
    );
    same(below(&ended.stdout, 1), &message);
}

#[test]
fn a_full_directory_for_large_messages_is_left_for_the_next() {
    let scratch = Scratch::new();
    let message = large(3 << 20);
    let Some(strace) = strace::program() else {
        return skip("needs strace(1) and the right to trace");
    };
    // The first piece behind what memory holds, and one when much was written.
    for error in ["ENOSPC", "EDQUOT", "EROFS", "EACCES"] {
        for number in [1, 20] {
            let injection = format!("inject=pwrite64:error={error}:when={number}");
            let words = [strace.to_str().unwrap(), "-qq", "-o", "/dev/null", "-e", &injection];
            let run = scratch.deliver(&message).variable("TMPDIR", scratch.path("spool"));
            run.wrapped(&words).go().ends_with(0);
            same(&unquoted(content(&scratch.mail())), &message);
            fs::remove_file(scratch.mailbox()).unwrap();
        }
    }
    // Nowhere is any room.
    let words = [
        strace.to_str().unwrap(),
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "inject=pwrite64:error=ENOSPC",
    ];
    let ended = scratch.deliver(&message).wrapped(&words).go();
    ended
        .defers()
        .mentions("/var/tmp: No space left on device")
        .mentions("/tmp: No space left");
}

#[test]
fn a_diverted_message_is_held_in_bounded_memory() {
    let scratch = Scratch::new().set("admin", "\"admin@a.test\"");
    let message = [b"X-Loop: a@a.test\n" as &[u8], &large(8 << 20)].concat();
    let ended = scratch.deliver(&message).measured().go();
    ended.succeeds();
    ended.check(
        ended.peak_bytes > 0 && ended.peak_bytes <= MOST_BYTES,
        &format!("it took {} MiB", ended.peak_bytes >> 20),
    );
    same(below(&scratch.sent()[0], 4), &message);
}

#[test]
fn a_line_without_an_end_is_no_heavier() {
    let scratch = Scratch::new();
    for start in [b"A: 1\n\n" as &[u8], b"A: ", b""] {
        let message = [start, &vec![b'x'; 6 << 20]].concat();
        let ended = scratch
            .run(&["filter"])
            .input(&message)
            .stdout(Stdio::null())
            .measured()
            .go();
        ended.ends_with(0);
        ended.check(
            ended.peak_bytes <= MOST_BYTES,
            &format!("it took {} MiB", ended.peak_bytes >> 20),
        );
    }
}

#[test]
fn a_hostile_header_takes_no_longer_than_its_length() {
    // Each of them was made to hurt something that looks back, or looks twice.
    let mut many = Vec::new();
    for number in 0..20_000 {
        many.extend_from_slice(format!("Received: from h{number}.test by g{number}.test; Mon\n").as_bytes());
    }
    let shapes = [
        [&many as &[u8], b"\nx\n"].concat(),
        [b"X-Loop: " as &[u8], &b"(".repeat(500_000), b" a@a.test\n\nx\n"].concat(),
        [b"X-Loop: " as &[u8], &b"<@".repeat(250_000), b"\n\nx\n"].concat(),
        [b"A:" as &[u8], &b"\n ".repeat(400_000), b"\n\nx\n"].concat(),
        [
            b"Content-Type: multipart/report; boundary=x\n\n" as &[u8],
            &b"--x\n".repeat(200_000),
        ]
        .concat(),
        [
            b"Content-Type: multipart/mixed; boundary=x\n\n" as &[u8],
            &b"--x\nContent-Type: multipart/mixed; boundary=x\n\n".repeat(10_000),
        ]
        .concat(),
        [b"A: 1\n\n" as &[u8], &b">".repeat(60_000), b"From x\n"].concat(),
        [b"A: 1\n\n" as &[u8], &b">>>>From ".repeat(100_000), b"\n"].concat(),
        [b"A: 1\n\n" as &[u8], &b"message/rfc822\n".repeat(60_000)].concat(),
    ];
    for (number, shape) in shapes.iter().enumerate() {
        let scratch = Scratch::new()
            .set("guard.loop", "\"pass\"")
            .set("guard.bounce", "\"pass\"");
        let begun = Instant::now();
        scratch.deliver(shape).go().succeeds();
        assert!(begun.elapsed() < LIMIT / 2, "shape {number} took {:?}", begun.elapsed());
        same(&unquoted(only(&scratch.mail())), shape);
    }
}

/// Written through, and with memory that does not grow; what is judged lies in the first megabyte.
#[test]
fn a_header_of_a_hundred_megabytes_is_no_heavier() {
    let field = [b"X-Long: " as &[u8], &vec![b'x'; 100 << 20], b"\n\nx\n"].concat();
    let mut many = b"X-Many: 0123456789 0123456789 0123456789 0123456789 0123456789\n".repeat(1_700_000);
    many.extend_from_slice(b"\nx\n");
    for message in [field, many] {
        let scratch = Scratch::new();
        let ended = scratch.deliver(&message).measured().go();
        ended.succeeds();
        ended.check(
            ended.peak_bytes > 0 && ended.peak_bytes <= MOST_BYTES,
            &format!("it took {} MiB", ended.peak_bytes >> 20),
        );
        same(only(&scratch.mail()), &message);
    }
}

#[test]
fn a_million_fields_and_parts_come_out_as_they_went_in() {
    let shapes = [
        [&b"A: b\n".repeat(1_000_000) as &[u8], b"\nx\n"].concat(),
        [&b"Received: from a by b; Mon\n".repeat(1_000_000) as &[u8], b"\nx\n"].concat(),
        // The shortest fields that there are, and own addresses that are all different.
        [&b"A:\n".repeat(1_000_000) as &[u8], b"\nx\n"].concat(),
        (0..100_000).fold(Vec::new(), |mut text, number| {
            text.extend_from_slice(format!("Delivered-To: a+{number}@a.test\n").as_bytes());
            text
        }),
        [
            b"A: 1\n\n" as &[u8],
            &b"From s@s.test Mon Nov  2 10:00:00 2026\n\n".repeat(200_000),
        ]
        .concat(),
        [b"A: 1\n\n" as &[u8], &b">From x\nFrom x\n\nFrom \n".repeat(200_000)].concat(),
        // Parts within parts, each with a boundary of its own.
        (0..20_000).fold(b"A: 1\n".to_vec(), |mut text, depth| {
            let part = format!("Content-Type: multipart/mixed; boundary={depth}\n\n--{depth}\n");
            text.extend_from_slice(part.as_bytes());
            text
        }),
    ];
    for (number, shape) in shapes.iter().enumerate() {
        let scratch = Scratch::new()
            .set("guard.loop", "\"pass\"")
            .set("guard.bounce", "\"pass\"");
        let ended = scratch.deliver(shape).measured().go();
        ended.succeeds();
        ended.check(
            ended.peak_bytes <= MOST_BYTES,
            &format!("shape {number} took {} MiB", ended.peak_bytes >> 20),
        );
        same(&unquoted(only(&scratch.mail())), shape);
    }
}
