use super::{default_mailbox, find_forwards, find_hooks, forwards_everybody, judge_recipes};
use crate::doctor::rules::Level;

const SAFE: &str = ":0 w\n| /usr/bin/spoolguard forward b@b.test\nEXITCODE=75\nHOST=stop\n";

fn found(text: &str) -> Vec<(Level, String)> {
    let found = judge_recipes("f", text, &|to| !to.contains('@')).into_iter();
    found.map(|finding| (finding.level, finding.finding)).collect()
}

#[test]
fn bounces_about_a_conditional_forward_have_to_reach_the_guard() {
    let in_block = format!(":0\n* ^Subject: x\n{{\n{SAFE}}}\n");
    let nested = format!(":0\n* ^Subject: x\n{{\n:0\n{{\n{SAFE}}}\n}}\n");
    let rest = SAFE.replace("forward b@b.test", "deliver");
    let other = format!(":0\n* ^Subject: y\n{{\n{rest}}}\n");
    for text in [&in_block, &nested, &format!("{in_block}{other}")] {
        let found = found(text);
        assert!(
            matches!(found.as_slice(), [(Level::Warning, what)] if what.contains("bounces about this forward")),
            "{text}: {found:?}"
        );
    }
    for text in [format!("{in_block}{rest}"), format!("{in_block}{SAFE}"), rest] {
        assert!(matches!(found(&text).as_slice(), [(Level::Ok, _)]), "{text}");
    }
}

#[test]
fn the_form_of_the_manual_is_safe() {
    let contrib = include_str!("../../../../contrib/procmailrc");
    let tempered = SAFE.replace("HOST", ":0\n* ! EXITCODE ?? ^^77^^\n{ EXITCODE=75 }\nHOST");
    let rest = SAFE.replace("forward b@b.test", "deliver");
    let in_block = format!(":0\n* ^Subject: x\n{{\n{SAFE}}}\n:0\n* ^Subject: y\n{{\n{SAFE}}}\n{rest}");
    for text in [SAFE, contrib, &tempered, &in_block] {
        let found = found(text);
        assert!(
            found.iter().all(|(level, _)| *level == Level::Ok) && found.len() == 1,
            "{text}: {found:?}"
        );
    }
    assert_eq!(find_hooks(contrib).len(), 3);
    assert_eq!(find_forwards(contrib), []);
}

#[test]
fn a_forward_of_everybody_is_told() {
    let told = |text: &str| forwards_everybody("f", text).map(|finding| finding.level);
    assert_eq!(told(SAFE), Some(Level::Error));
    assert_eq!(told(":0 c\n! b@b.test\n"), Some(Level::Error));
    assert_eq!(told(&format!(":0\n* LOGNAME ?? ^^alice^^\n{{\n{SAFE}}}\n")), None);
    assert_eq!(told(&SAFE.replace("b@b.test", "$EXTENSION@b.test")), None);
    assert_eq!(told("DEFAULT=$HOME/Maildir/\n"), None);
}

#[test]
fn the_last_default_is_the_mailbox() {
    for (text, want) in [
        ("DEFAULT=$HOME/Maildir/\n", Some("$HOME/Maildir/")),
        ("DEFAULT = \"$HOME/mbox\" # mine\n", Some("$HOME/mbox")),
        ("DEFAULT=a\nDEFAULT=b\n", Some("b")),
        ("# DEFAULT=a\nMAILDIR=b\n", None),
        ("DEFAULT=\n", None),
    ] {
        assert_eq!(default_mailbox(text).as_deref(), want, "{text}");
    }
}

#[test]
fn every_other_form_is_told() {
    for (text, level, what) in [
        (
            SAFE.replace(":0 w", ":0"),
            Level::Error,
            "line 1: without w, procmail loses the message",
        ),
        (SAFE.replace(":0 w", ":0 wh"), Level::Error, "line 1: with h or b alone"),
        (
            SAFE.replace("EXITCODE=75\nHOST=stop\n", ""),
            Level::Warning,
            "line 1: what spoolguard defers goes into the mailbox",
        ),
        (
            SAFE.replace("HOST=stop\n", ":0\nx\nHOST=stop\n"),
            Level::Warning,
            "line 1: what spoolguard defers",
        ),
        (SAFE.replace("=75", "=$?"), Level::Warning, "line 1: with EXITCODE=$?"),
        (
            SAFE.replace("| ", "* ^Subject: x\n| "),
            Level::Error,
            "line 1: mail that the conditions do not mean",
        ),
        (
            "# x\n:0 w\n| /usr/bin/spoolguard filter\n".to_owned(),
            Level::Error,
            "line 2: without f, what spoolguard filter prints is lost",
        ),
        (
            ":0 f\n| /usr/bin/spoolguard \\\nfilter\n".to_owned(),
            Level::Error,
            "line 1: without w, a failure of the filter",
        ),
        (
            ":0 w\n| /usr/bin/spoolguard inspect\n".to_owned(),
            Level::Error,
            "line 1: spoolguard inspect keeps no message",
        ),
        (
            format!(":0 c\n! c@c.test\n{SAFE}"),
            Level::Error,
            "line 1: mail also goes to c@c.test without spoolguard",
        ),
        (
            ":0\n! c@c.test\n".to_owned(),
            Level::Error,
            "line 1: mail goes to c@c.test without spoolguard",
        ),
        (
            ":0\n| formail -A \"X-Loop: a\" | $SENDMAIL -oi c@c.test\n".to_owned(),
            Level::Error,
            "line 1: mail goes to c@c.test without spoolguard",
        ),
        (
            SAFE.replace("b@b.test", "b@b.test, c@c.test"),
            Level::Error,
            "line 1: \"b@b.test,\": not a valid address",
        ),
        (
            SAFE.replace("forward", "foward"),
            Level::Error,
            "line 1: mail stays in the MTA's queue (deferred): unrecognized subcommand 'foward'",
        ),
        (
            "INCLUDERC=$HOME/more\n".to_owned(),
            Level::Warning,
            "line 1: it reads $HOME/more, which was not looked at",
        ),
    ] {
        let found = found(&text);
        assert!(
            found.len() == 1 && found.iter().all(|(l, w)| *l == level && w.starts_with(what)),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn what_has_nothing_to_do_with_it_is_not_told() {
    for text in [
        "",
        ":0:\n* ^Subject: x\nmail/x\n",
        ":0\n! bob\n",
        ":0 c\n| (formail -r; cat answer) | /usr/sbin/sendmail -oi -t\n",
        ":0 c\n| (formail -r | $SENDMAIL -t -f a@a.test)\n",
        "MAILDIR=$HOME\n:0\n| /usr/bin/vacation a\n",
        ":0 cw\n",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
    let copy = ":0 cw\n| /usr/bin/spoolguard forward b@b.test\n";
    assert!(found(copy).iter().all(|(level, _)| *level == Level::Ok));
}
