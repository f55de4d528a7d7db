//! What goes over the wire: commands, parameters, and the message as it is.

use super::{behind, deliver, own};
use crate::support::lmtp::{Plan, say};
use crate::support::{ORDINARY, same, user_name};

#[test]
fn only_parameters_that_the_server_named_are_sent() {
    for (extensions, want) in [
        ("250 a.test", ""),
        ("250-a.test\r\n250 8BITMIME", " BODY=8BITMIME"),
        ("250-a.test\r\n250-size 1000000\r\n250 PIPELINING", " SIZE=80"),
        (
            "250-a.test\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SIZE\r\n250-AUTH EXTERNAL\r\n250 IGNOREQUOTA",
            " SIZE=80 BODY=8BITMIME",
        ),
    ] {
        let (scratch, server) = behind(vec![Plan::at("lhlo", say(extensions))]);
        deliver(&scratch, ORDINARY).go().succeeds();
        let commands = server.commands();
        assert_eq!(commands[1], format!("MAIL FROM:<s@s.test>{want}"), "{extensions}");
        assert_eq!(commands[2..4], [format!("RCPT TO:<{}>", own()), "DATA".to_owned()]);
    }
}

#[test]
fn the_message_goes_as_it_is() {
    for (message, want) in [
        (
            &b"Subject: x\n\n.\n..\n.x\n"[..],
            &b"Subject: x\r\n\r\n.\r\n..\r\n.x\r\n"[..],
        ),
        (b"Subject: x\r\n\r\n.\r\nb\r\n", b"Subject: x\r\n\r\n.\r\nb\r\n"),
        (
            b"Subject: gr\xc3\xbc\xdf\n\n\0\xff\n",
            b"Subject: gr\xc3\xbc\xdf\r\n\r\n\0\xff\r\n",
        ),
        (b"Subject: x\n\nno end", b"Subject: x\r\n\r\nno end\r\n"),
        (b"Subject: x\n\na\r.\r\nQUIT\r\n", b"Subject: x\r\n\r\na\r.\r\nQUIT\r\n"),
        (
            b"From s@s.test Mon Nov  2 10:00:00 2026\nSubject: x\n\nFrom here\n",
            b"Subject: x\r\n\r\nFrom here\r\n",
        ),
    ] {
        let (scratch, server) = behind(vec![Plan::good()]);
        deliver(&scratch, message).go().succeeds();
        same(&server.stored()[0], want);
    }
}

#[test]
fn a_large_message_takes_no_memory() {
    let (scratch, server) = behind(vec![Plan::good()]);
    let message = crate::support::large(60_000_000);
    let ended = deliver(&scratch, &message).measured().go();
    ended.succeeds();
    // Not even built without optimisation.
    ended.check(ended.peak_bytes <= 20 << 20, &format!("{} bytes", ended.peak_bytes));
    assert!(server.stored()[0].len() >= message.len());
}

#[test]
fn a_null_sender_stays_null_and_an_alias_is_not_told() {
    let (scratch, server) = behind(vec![Plan::good()]);
    let send = |sender: &str, recipient: &str| {
        let from = server.commands().len();
        let arguments = ["deliver", "-a", recipient, "-f", sender];
        scratch.run(&arguments).input(ORDINARY).go().succeeds();
        server.commands()[from + 1..from + 3].to_vec()
    };
    let user = user_name();
    for (sender, recipient, mail, rcpt) in [
        ("<>", own(), "<>", own()),
        ("", own(), "<>", own()),
        (
            "s@s.test",
            format!("{user}+x@a.test"),
            "<s@s.test>",
            format!("{user}+x@a.test"),
        ),
        ("s@s.test", "list@a.test".to_owned(), "<s@s.test>", user.clone()),
        ("\"s t\"@s.test", own(), "<\"s t\"@s.test>", own()),
        // What can stand in no command.
        ("s@s.test> DATA", own(), "<>", own()),
    ] {
        let commands = send(sender, &recipient);
        let parameters = " BODY=8BITMIME";
        assert_eq!(
            commands,
            [format!("MAIL FROM:{mail}{parameters}"), format!("RCPT TO:<{rcpt}>")],
            "{sender:?}"
        );
    }
}

#[test]
fn the_command_line_can_name_a_server() {
    let (scratch, server) = behind(vec![Plan::good()]);
    let spool = format!("\"mbox:{}/%u\"", scratch.path("spool").display());
    let scratch = scratch.set("mailbox.location", &spool);
    deliver(&scratch, ORDINARY)
        .with(&["--mailbox", &server.place])
        .go()
        .succeeds();
    assert_eq!(server.stored().len(), 1);
    assert!(scratch.mail().is_empty());
}
