//! `policy`: what an MTA is answered at RCPT time, and that it always is answered.

use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::support::{ORDINARY, Running, Scratch, contains, is_root, skip, user_name};

const FULL: &str = "action=552 5.2.2 mailbox is full\n\n";
const DUNNO: &str = "action=DUNNO\n\n";

/// A mailbox of 5000 bytes within a limit of 4K.
fn full() -> Scratch {
    let scratch = Scratch::new().set("quota.limit", "\"4K\"");
    fill(&scratch);
    scratch
}

fn fill(scratch: &Scratch) {
    let mail = format!(
        "From x Mon Nov  2 10:00:00 2026\nSubject: old\n\n{}\n\n",
        "x".repeat(5000)
    );
    fs::write(scratch.mailbox(), mail).unwrap();
}

/// Somebody else's aliases would lead these tests away.
fn has_alias() -> bool {
    let aliases = fs::read_to_string("/etc/aliases").unwrap_or_default();
    let is_alias = aliases
        .lines()
        .filter_map(|line| line.split_once(':'))
        .any(|(name, _)| name.trim() == user_name());
    if is_alias {
        skip("/etc/aliases has an alias for the user who runs this");
    }
    is_alias
}

fn request(attributes: &str) -> String {
    format!("request=smtpd_access_policy\n{attributes}\n\n")
}

fn at_rcpt(recipient: &str) -> String {
    request(&format!(
        "protocol_state=RCPT\nsender=s@s.test\nrecipient={recipient}\nsize=0"
    ))
}

fn me(more: &str) -> String {
    format!("{}{more}@a.test", user_name())
}

/// What is answered to all of it.
#[track_caller]
fn answers(scratch: &Scratch, questions: &[u8]) -> String {
    let ended = scratch.run(&["policy"]).input(questions).go();
    ended
        .ends_with(0)
        .check(ended.stderr.is_empty(), "it says nothing beside the answers");
    String::from_utf8(ended.stdout.clone()).unwrap()
}

/// A conversation in which one thing happens after the other.
struct Talk<'a> {
    running: Running<'a>,
    to: PipeWriter,
    from: PipeReader,
}

impl<'a> Talk<'a> {
    fn begin(scratch: &'a Scratch, arguments: &[&str]) -> Self {
        let (input, to) = std::io::pipe().unwrap();
        let (from, output) = std::io::pipe().unwrap();
        let run = scratch
            .run(arguments)
            .input_file(Stdio::from(input))
            .stdout(Stdio::from(output));
        let running = run.start();
        Self { running, to, from }
    }

    fn say(&mut self, text: &str) {
        self.to.write_all(text.as_bytes()).unwrap();
    }

    #[track_caller]
    fn hears(&mut self, text: &str) {
        let mut heard = vec![0; text.len()];
        self.from.read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), text);
    }

    #[track_caller]
    fn ends_when_the_other_side_does(self) {
        drop(self.to);
        self.running.end().ends_with(0);
    }
}

#[test]
fn a_full_mailbox_is_refused_at_rcpt_and_nowhere_else() {
    if has_alias() {
        return;
    }
    let scratch = full();
    let (to_me, user) = (me(""), user_name());
    for (question, want) in [
        (at_rcpt(&to_me), FULL),
        (at_rcpt(&user), FULL),
        (at_rcpt(&me("+lists")), FULL),
        (at_rcpt(&user.to_uppercase()), FULL),
        (
            request(&format!("protocol_state=RCPT\nrecipient={to_me}\nsize=0")),
            FULL,
        ),
        (
            request("protocol_state=END-OF-MESSAGE\nrecipient=\nrecipient_count=3"),
            DUNNO,
        ),
        (request(&format!("protocol_state=DATA\nrecipient={to_me}")), DUNNO),
        (
            request(&format!("protocol_state=RCPT\nsender=\nrecipient={to_me}")),
            DUNNO,
        ),
        (request("protocol_state=RCPT\nsender=s@s.test\nrecipient="), DUNNO),
        (at_rcpt("surely-nobody-is-called-so@a.test"), DUNNO),
        (at_rcpt(&format!("{to_me}.{user}")), FULL),
    ] {
        assert_eq!(answers(&scratch, question.as_bytes()), want, "{question}");
    }
    let both = at_rcpt(&to_me) + &at_rcpt("x@x.test") + &at_rcpt(&to_me);
    assert_eq!(answers(&scratch, both.as_bytes()), [FULL, DUNNO, FULL].concat());
}

#[test]
fn the_size_that_the_client_says_counts_and_so_does_grace() {
    if has_alias() {
        return;
    }
    let mut scratch = Scratch::new().set("quota.limit", "\"10K\"");
    fill(&scratch);
    let sized = |size: &str| request(&format!("protocol_state=RCPT\nrecipient={}\nsize={size}", me("")));
    for (size, want) in [
        ("0", DUNNO),
        ("5000", DUNNO),
        ("6000", FULL),
        ("-1", DUNNO),
        ("x", DUNNO),
    ] {
        assert_eq!(answers(&scratch, sized(size).as_bytes()), want, "{size}");
    }
    scratch.change("policy.grace", "\"2K\"");
    scratch.change("policy.full", "\"452 4.2.2 come back later\"");
    assert_eq!(answers(&scratch, sized("6000").as_bytes()), DUNNO);
    assert_eq!(
        answers(&scratch, sized("9000").as_bytes()),
        "action=452 4.2.2 come back later\n\n"
    );
}

#[test]
fn mail_that_may_go_elsewhere_is_not_refused() {
    if has_alias() {
        return;
    }
    let mut scratch = full();
    for file in [".forward", ".procmailrc", ".mailfilter"] {
        let path = scratch.path("home").join(file);
        fs::write(&path, "x").unwrap();
        assert_eq!(answers(&scratch, at_rcpt(&me("")).as_bytes()), DUNNO, "{file}");
        fs::remove_file(path).unwrap();
    }
    fs::write(scratch.path("home/.forward+lists"), "x").unwrap();
    assert_eq!(answers(&scratch, at_rcpt(&me("+lists")).as_bytes()), DUNNO);
    assert_eq!(answers(&scratch, at_rcpt(&me("+a/../b")).as_bytes()), DUNNO);
    assert_eq!(answers(&scratch, at_rcpt(&me("")).as_bytes()), FULL);
    for when_full in ["divert", "overflow", "archive"] {
        scratch.change("quota.when_full", &format!("{when_full:?}"));
        assert_eq!(answers(&scratch, at_rcpt(&me("")).as_bytes()), DUNNO, "{when_full}");
    }
    scratch.change("quota.when_full", "\"refuse\"");
    assert_eq!(answers(&scratch, at_rcpt(&me("")).as_bytes()), FULL);
    scratch.change("policy.domains", "[\"b.test\"]");
    assert_eq!(answers(&scratch, at_rcpt(&me("")).as_bytes()), DUNNO);
    assert_eq!(
        answers(&scratch, at_rcpt(&format!("{}@B.test", user_name())).as_bytes()),
        FULL
    );
    fs::remove_file(scratch.mailbox()).unwrap();
    assert_eq!(answers(&scratch, at_rcpt(&user_name()).as_bytes()), DUNNO);
}

#[test]
fn a_home_that_cannot_be_searched_refuses_nobody() {
    if has_alias() || is_root() {
        return skip("root can search every home");
    }
    let scratch = full();
    let home = scratch.path("home");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o600)).unwrap();
    let answer = answers(&scratch, at_rcpt(&me("")).as_bytes());
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(answer, DUNNO);
}

#[test]
fn bad_input_of_every_kind_gets_one_answer_a_request() {
    if has_alias() {
        return;
    }
    let scratch = full();
    let good = at_rcpt(&me(""));
    let many: String = (0..10_000).map(|n| format!("name{n}=x\n")).collect();
    for bad in [
        vec![b'x'; 1 << 20],
        vec![0; 5000],
        b"\xff\xfe=\xff".to_vec(),
        b"no separator".to_vec(),
        request(&many).trim_end().as_bytes().to_vec(),
        [b"recipient=".to_vec(), vec![b'y'; 9000]].concat(),
        format!("request=smtpd_access_policy\nprotocol_state=NEW\nrecipient={}", me("")).into_bytes(),
        format!("request=other\nprotocol_state=RCPT\nrecipient={}", me("")).into_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&bad[..bad.len().min(60)]).into_owned();
        assert_eq!(answers(&scratch, &bad), DUNNO, "without an end: {shown}");
        let all = [&bad, b"\n\n".as_slice(), good.as_bytes(), &bad].concat();
        assert_eq!(answers(&scratch, &all), [DUNNO, FULL, DUNNO].concat(), "{shown}");
    }
    assert_eq!(answers(&scratch, b""), "");
    let crlf = good.replace('\n', "\r\n");
    assert_eq!(answers(&scratch, crlf.as_bytes()), FULL);
}

#[test]
fn a_configuration_that_changes_is_read_again() {
    if has_alias() {
        return;
    }
    let mut scratch = Scratch::new().set("quota.limit", "\"1M\"");
    fill(&scratch);
    let configuration = scratch.configuration();
    let good = fs::read(&configuration).unwrap();
    let question = at_rcpt(&me(""));
    scratch.change("quota.limit", "\"4K\"");
    let tight = fs::read(&configuration).unwrap();
    fs::write(&configuration, &good).unwrap();
    let mut talk = Talk::begin(&scratch, &["policy"]);
    for (text, want) in [
        (&good, DUNNO),
        (&tight, FULL),
        (&b"[quota\n".to_vec(), DUNNO),
        (&tight, FULL),
        (&b"[policy]\nfull = \"OK\"\n".to_vec(), DUNNO),
        (&good, DUNNO),
    ] {
        // Another file each time, so that no clock has to have moved on.
        let draft = configuration.with_extension("new");
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, &configuration).unwrap();
        talk.say(&question);
        talk.hears(want);
    }
    fs::remove_file(&configuration).unwrap();
    talk.say(&question);
    talk.hears(DUNNO);
    talk.ends_when_the_other_side_does();
}

#[test]
fn a_signal_ends_it_and_no_filter() {
    let scratch = full();
    let mut talk = Talk::begin(&scratch, &["policy"]);
    talk.say(&at_rcpt("nobody-of-that-name@a.test"));
    talk.hears(DUNNO);
    talk.running.signal(Signal::SIGTERM);
    talk.running.end().ends_with(0);

    let mut talk = Talk::begin(&scratch, &["policy", "--opensmtpd"]);
    talk.say("config|ready\n");
    talk.hears("register|report|smtp-in|link-disconnect\n");
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        talk.running.signal(signal);
    }
    talk.hears("register|filter|smtp-in|mail-from\nregister|filter|smtp-in|rcpt-to\nregister|ready\n");
    talk.say("filter|0.6|1.0|smtp-in|rcpt-to|s1|t1|nobody-of-that-name@a.test\n");
    talk.hears("filter-result|s1|t1|proceed\n");
    talk.ends_when_the_other_side_does();
}

#[test]
fn a_filter_answers_whatever_it_reads() {
    if has_alias() {
        return;
    }
    let scratch = full();
    let mut talk = Talk::begin(&scratch, &["policy", "--opensmtpd"]);
    let asked = |stage: &str, token: &str, rest: &str| format!("filter|0.6|1.0|smtp-in|{stage}|s1|{token}|{rest}\n");
    let (passes, refused) = (
        |token: &str| format!("filter-result|s1|{token}|proceed\n"),
        |token: &str| format!("filter-result|s1|{token}|reject|552 5.2.2 mailbox is full\n"),
    );
    talk.say(&asked("mail-from", "t1", "s@s.test"));
    talk.hears(&passes("t1"));
    talk.say(&asked("rcpt-to", "t2", &me("")));
    talk.hears(&refused("t2"));
    talk.say(&asked("rcpt-to", "t3", "\"a|b\"@a.test"));
    talk.hears(&passes("t3"));
    talk.say(&asked("rcpt-to", "t4", &"x".repeat(100_000)));
    talk.hears(&passes("t4"));
    talk.say(&format!(
        "{}\n\0\u{fffd}||||\nfilter|\n{}",
        "y".repeat(100_000),
        asked("data", "t5", "")
    ));
    talk.hears(&passes("t5"));
    // A report has nobody to be returned to.
    talk.say(&asked("mail-from", "t6", ""));
    talk.hears(&passes("t6"));
    talk.say(&asked("rcpt-to", "t7", &me("")));
    talk.hears(&passes("t7"));
    talk.say("report|0.6|1.0|smtp-in|link-disconnect|s1\n");
    talk.say(&asked("rcpt-to", "t8", &me("")));
    talk.hears(&refused("t8"));
    fs::write(scratch.configuration(), "[quota\n").unwrap();
    talk.say(&asked("rcpt-to", "t9", &me("")));
    talk.hears(&passes("t9"));
    talk.ends_when_the_other_side_does();
}

#[test]
fn what_is_logged_never_gets_among_the_answers() {
    if has_alias() {
        return;
    }
    let scratch = full().set("log.to", "\"stderr\"").set("log.level", "\"debug\"");
    let questions = [at_rcpt(&me("")), "nonsense\n\n".to_owned()].concat();
    // As spawn(8) and inetd start it.
    let ended = scratch
        .run(&["policy"])
        .input(questions.as_bytes())
        .shell("exec 2>&1")
        .go();
    ended.ends_with(0);
    assert_eq!(String::from_utf8_lossy(&ended.stdout), [FULL, DUNNO].concat());
    let ended = scratch.run(&["policy"]).input(questions.as_bytes()).go();
    ended
        .mentions("action=refuse")
        .mentions("cannot understand a policy request");
}

#[test]
fn messages_count_where_a_delivery_noted_their_number() {
    if has_alias() {
        return;
    }
    let scratch = Scratch::new().set("quota.messages", "2");
    let question = at_rcpt(&me(""));
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(answers(&scratch, question.as_bytes()), DUNNO);
    scratch.deliver(b"Subject: two\n\nx\n").go().succeeds();
    assert_eq!(answers(&scratch, question.as_bytes()), FULL);
    // What a mail client left may be less: nobody has counted it.
    fs::write(scratch.mailbox(), "From x Mon Nov  2 10:00:00 2026\nA: 1\n\n\n").unwrap();
    assert_eq!(answers(&scratch, question.as_bytes()), DUNNO);
}

#[test]
fn one_question_from_the_command_line_says_why() {
    if has_alias() {
        return;
    }
    let mut scratch = full();
    let to_me = me("");
    let ended = scratch.run(&["policy", &to_me]).go();
    ended.ends_with(1);
    assert_eq!(
        String::from_utf8_lossy(&ended.stdout),
        format!(
            "552 5.2.2 mailbox is full\n{to_me}: user {} is over quota: 5048 of 4096 bytes\n",
            user_name()
        )
    );
    let ended = scratch.run(&["policy", &to_me, "--size", "-1", "--json"]).go();
    ended.ends_with(1);
    let line: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(
        (&line["address"], &line["answer"]),
        (&to_me.as_str().into(), &"552 5.2.2 mailbox is full".into())
    );
    scratch.change("quota.limit", "\"6000B\"");
    let ended = scratch.run(&["policy", &to_me]).go();
    ended
        .ends_with(0)
        .check(contains(&ended.stdout, b"DUNNO\n"), "there is room");
    scratch
        .run(&["policy", "--size", "953", "--", &to_me])
        .go()
        .ends_with(1);
    let ended = scratch.run(&["policy", "--", "--config=x@a.test"]).go();
    ended
        .ends_with(0)
        .check(contains(&ended.stdout, b"no single user"), "an address is no flag");
    scratch.change("quota.limit", "6000");
    let ended = scratch.run(&["policy", &to_me]).go();
    ended.ends_with(0).mentions("quota.limit");
}

#[test]
fn a_full_maildir_is_refused_by_what_lies_in_it() {
    if has_alias() {
        return;
    }
    let scratch = Scratch::new()
        .set("quota.limit", "\"4K\"")
        .set("mailbox.location", "\"maildir:~/Maildir\"");
    let question = at_rcpt(&me(""));
    assert_eq!(answers(&scratch, question.as_bytes()), DUNNO);
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(answers(&scratch, question.as_bytes()), DUNNO);
    let maildir = scratch.path("home/Maildir");
    fs::write(maildir.join("cur/1.x.y,S=5000:2,S"), "x").unwrap();
    fs::write(maildir.join("maildirsize"), "4096S\n5000 1\n").unwrap();
    assert_eq!(answers(&scratch, question.as_bytes()), FULL);
    // And here it says more than there is.
    fs::remove_file(maildir.join("cur/1.x.y,S=5000:2,S")).unwrap();
    assert_eq!(answers(&scratch, question.as_bytes()), DUNNO);
}
