use super::{Candidate, LineKind, Series, begins_anywhere, begins_mbox, classify_line, leading_length};

const HEADER: &str = "From: Ann <ann@s.test>\nTo: a@a.test\nDate: x\n\nbody\n";
const FIELDS: &str = "From: Ann <ann@s.test>\nTo: a@a.test\n\nbody\n";
const FIELD: &str = "Subject: x\n\nbody\n";
const NOTHING: &str = "\nbody\n";
const TEXT: &str = "and so on\n";

fn kind(above: &str, line: &str, follows: &str) -> LineKind {
    let bytes = format!("{line}\n{follows}");
    classify_line(&Candidate {
        above: above.as_bytes(),
        bytes: bytes.as_bytes(),
        series: Series::Mail,
    })
}

#[test]
fn each_form_is_judged_by_what_follows() {
    use LineKind::{Doubtful as D, Separator as S, Text as T};
    for (want, lines) in [
        (
            [S, S, S, S, S],
            &[
                "From s@s.test Mon Nov  2 10:00:00 2026",
                "From MAILER-DAEMON  Mon Nov  2 10:00:00 2026\r",
                "From s@s.test Mon Nov 2 9:05 2026",
                "From s@s.test Mon Nov  2 10:00:00 MET DST 2026",
                "From s@s.test Mon, 2 Nov 2026 10:00:00 +0000 2026",
                "From s@s.test  Mon Nov  2 10:00:00 2026 +0100",
                "From s@s.test Mon Nov  2 10:00:00 AM 2026",
                "From s at s.test Mon Nov  2 10:00:00 2026",
                "From s!t Mon Nov  2 10:00:00 2026 remote from uu",
                "From - Mon Nov  2 10:00:00 2026",
                "From ???@??? Mon Nov 02 10:00:00 2026",
                "From Mon Nov  2 10:00:00 2026",
            ][..],
        ),
        (
            [S, S, D, D, T],
            &[
                "From s@s.test 2026-11-02T10:00:00Z",
                "From s@s.test 2026-11-02 10:00:00",
                "From s@s.test 11/2/2026 10:00:00",
                "From s@s.test Mon Nov  2 10:00:00",
                "From s@s.test Mon Nov  2 10:00:00 26",
                "From s@s.test 2.11.2026 10:00",
                "From s@s.test Mon Nov 2 2026",
                "From s@s.test Mon, 2 Nov 2026 10:00:00 +0000",
                "From s@s.test Mo Nov\u{e4} 2 10:00:00 2026",
                "From s@s.test lun. 2 nov. 2026 10:00:00",
                "From s@s.test 2026\u{5e74} 11\u{6708} 2\u{65e5} 10:00:00",
                "From s@s.test 1793613600",
                "From \"Ann B\"@s.test 2026-11-02",
                "From MAILER-DAEMON 2026-11-02 10:00:00",
            ],
        ),
        (
            [S, D, D, T, T],
            &[
                "From ",
                "From s@s.test",
                "From -",
                "From MAILER-DAEMON",
                "From s@s.test at ten",
                "From root",
            ],
        ),
        (
            [S, D, T, T, T],
            &[
                "From 10:00 on we meet in May 2026",
                "From the desk of Ann, at 10:00 in 2026",
                "From Ann Smith 2026-11-02 10:00:00",
                "From root 2026-11-02 10:00:00",
                "From root Mon Nov  2 10:00:00",
                "From May 2026",
            ],
        ),
        ([D, T, T, T, T], &["From here on", "From the desk of Ann"]),
        (
            [T, T, T, T, T],
            &[
                "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001",
                ">From s@s.test Mon Nov  2 10:00:00 2026",
                "From: s@s.test",
                "from s@s.test Mon Nov  2 10:00:00 2026",
                "",
            ],
        ),
    ] {
        for line in lines {
            for above in ["", "text\n\n", "text\r\n\r\n"] {
                let found = [HEADER, FIELDS, FIELD, NOTHING, TEXT].map(|follows| kind(above, line, follows));
                assert_eq!(found, want, "{line:?} below {above:?}");
                let crlf = [HEADER, FIELDS, FIELD, NOTHING, TEXT]
                    .map(|follows| kind(above, &format!("{line}\r"), &follows.replace('\n', "\r\n")));
                assert_eq!(crlf, want, "{line:?} below {above:?} with CRLF");
            }
        }
    }
}

#[test]
fn what_stands_above_counts() {
    use LineKind::{Doubtful as D, Separator as S, Text as T};
    let exact = "From s@s.test Mon Nov  2 10:00:00 2026";
    let dated = "From s@s.test 2026-11-02 10:00:00";
    for (above, want) in [
        ("text\n", [D, T]),
        ("text", [D, T]),
        ("text\n\n", [S, S]),
        ("Content-Type: message/rfc822\n\n", [S, D]),
        ("---------- Forwarded message ----------\n\n", [S, D]),
        ("-----END PGP SIGNATURE-----\n\n", [S, S]),
        ("--b--\n\n", [S, S]),
    ] {
        assert_eq!([exact, dated].map(|line| kind(above, line, HEADER)), want, "{above:?}");
        assert_eq!(kind("text\n", exact, FIELDS), T);
    }
}

#[test]
fn a_header_longer_than_the_look_is_a_header() {
    let long = format!(
        "Received: x\nReturn-Path: <x>\nSubject: {}\n",
        "y".repeat(super::LOOK_BYTES)
    );
    assert_eq!(kind("", "From ", &long), LineKind::Separator);
    let cut = format!(
        "Received: x\nReturn-Path: <x>\nDate: x\n{}",
        "y".repeat(super::LOOK_BYTES)
    );
    assert_eq!(kind("", "From ", &cut), LineKind::Separator);
    assert_eq!(
        kind("", "From ", "From: x\nTo: y\nDate: z\nno field\n\n"),
        LineKind::Doubtful
    );
}

#[test]
fn lines_of_patches_separate_only_in_a_file_of_patches() {
    let line = "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\n";
    let bytes = format!("{line}From: A <a@a.test>\nDate: x\nSubject: [PATCH] x\n\n---\n");
    let series = Series::of(bytes.as_bytes());
    assert_eq!(series, Series::Patches);
    assert!(begins_mbox(bytes.as_bytes()));
    let candidate = Candidate {
        above: b"-- \n2.0\n\n",
        bytes: bytes.as_bytes(),
        series,
    };
    assert_eq!(classify_line(&candidate), LineKind::Separator);
}

#[test]
fn an_mbox_may_begin_with_a_mark_or_empty_lines() {
    for (bytes, want) in [
        (format!("From s@s.test 2026-11-02\n{HEADER}"), true),
        (
            format!("\u{feff}From s@s.test Mon Nov  2 10:00:00 2026\n{HEADER}"),
            true,
        ),
        (format!("\r\n\nFrom \n{HEADER}"), true),
        (format!("From here on\n{HEADER}"), false),
        (HEADER.to_owned(), false),
        (String::new(), true),
        ("\r\n\n".to_owned(), true),
    ] {
        assert_eq!(begins_mbox(bytes.as_bytes()), want, "{bytes:?}");
    }
}

#[test]
fn a_quoted_line_begins_nothing_where_text_follows() {
    let line = "From s@s.test Mon Nov  2 10:00:00 2026\n";
    for (above, follows, want) in [
        ("torn", "text\n", true),
        ("text\n>", "text\n", false),
        ("text\n>", HEADER, true),
        ("text\n>", "\n", true),
        ("text\n>>", "text\n", false),
        ("text>", "text\n", true),
        ("text\n", "text\n", true),
    ] {
        let bytes = format!("{above}{line}{follows}");
        assert_eq!(begins_anywhere(bytes.as_bytes(), above.len()), want, "{bytes:?}");
    }
}

#[test]
fn leading_lines_of_any_form_are_told_from_a_body() {
    for (bytes, want) in [
        ("From s@s.test Mon Nov  2 10:00:00 2026\n\nbody\n", 39),
        ("From MAILER-DAEMON\nSubject: x\n", 19),
        (">From x\nFrom y\nSubject: x\n", 15),
        ("From \nSubject: x\n", 6),
        ("From here on it is prose\nSubject: x\n", 25),
        ("From the desk of x\n\nbody", 0),
        ("From x\n\nbody", 0),
        ("From x\nbody: no\n", 7),
        ("From: x\nSubject: x\n", 0),
        ("", 0),
    ] {
        assert_eq!(leading_length(bytes.as_bytes()), want, "{bytes:?}");
    }
}
