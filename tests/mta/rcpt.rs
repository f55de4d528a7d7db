//! Full mailboxes are refused at RCPT: Postfix asks through spawn(8), Exim a socket or a program, OpenSMTPD a filter. A
//! forged sender gets no bounce, whoever forwards is served, and nothing that happens to the service stops mail.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::lab::{must, wait_for};
use crate::lmtp;
use crate::stage::{GUARD, Stage};

/// How a mail system asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asks {
    /// Through spawn(8) of Postfix.
    Spawn,
    /// A socket, from Exim.
    Socket,
    /// A program for each recipient, from Exim.
    Run,
    /// As a filter of OpenSMTPD.
    Filter,
}

const FULL: &str = "552 5.2.2";
const TIGHT: &str =
    "admin = \"admin@a.test\"\n[quota]\nwhen_full = \"refuse\"\n[quota.users]\na = \"4K\"\nc = \"4K\"\n";

/// A client that says who it is, and hangs up when it is dropped.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(stage: &Stage) -> Self {
        let address = format!("{}:25", stage.lab.at("a.test").peer.address);
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut client = Self(BufReader::new(stream));
        client.reply();
        client.say("EHLO victim.test");
        client
    }

    /// The last line of a reply.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the server hung up");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.reply()
    }

    /// The answer to one recipient in a transaction of its own.
    fn rcpt(&mut self, sender: &str, recipient: &str) -> String {
        self.say("RSET");
        self.say(&format!("MAIL FROM:<{sender}>"));
        self.say(&format!("RCPT TO:<{recipient}>"))
    }

    fn send(&mut self, sender: &str, recipient: &str, words: &str) -> String {
        let taken = self.rcpt(sender, recipient);
        assert!(taken.starts_with("250"), "{recipient}: {taken}");
        self.say("DATA");
        self.say(&format!(
            "From: {sender}\r\nTo: {recipient}\r\nMessage-ID: <{words}@victim.test>\r\nSubject: x\r\n\r\nThe words of {words}.\r\n."
        ))
    }
}

/// Serves a socket as systemd does with `Accept=yes`: a process for each connection.
fn serve(stage: &Stage) {
    let host = stage.lab.at("a.test");
    let place = host.root.join("run/spoolguard");
    fs::create_dir_all(&place).unwrap();
    let listener = UnixListener::bind(place.join("policy")).unwrap();
    fs::set_permissions(place.join("policy"), fs::Permissions::from_mode(0o666)).unwrap();
    let root = host.root.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let input: OwnedFd = stream.try_clone().unwrap().into();
            let output: OwnedFd = stream.into();
            let child = Command::new("chroot")
                .arg(&root)
                .args([
                    "setpriv",
                    "--reuid",
                    "nobody",
                    "--clear-groups",
                    "--regid",
                    "nogroup",
                    GUARD,
                    "policy",
                ])
                .env_clear()
                .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
                .stdin(Stdio::from(input))
                .stdout(Stdio::from(output))
                .stderr(Stdio::null())
                .spawn();
            child.unwrap().wait().unwrap();
        }
    });
}

/// Plays the scene with the way to ask that is the mail system's first.
pub fn play(stage: &mut Stage) {
    let asks = match stage.system() {
        "postfix" => Asks::Spawn,
        "exim" => Asks::Socket,
        _ => Asks::Filter,
    };
    play_asking(stage, asks);
}

/// Plays it with Exim's other way.
pub fn play_run(stage: &mut Stage) {
    play_asking(stage, Asks::Run);
}

fn play_asking(stage: &mut Stage, asks: Asks) {
    stage.host("a.test", &["a", "c", "admin"]).asks = Some(asks);
    stage.host("s.test", &["s"]);
    stage.host("b.test", &["b"]);
    stage.lab.at("a.test").write("etc/spoolguard.toml", TIGHT);
    // c forwards, and takes mail on with a full mailbox.
    stage.forward("a.test", "c", "b@b.test");
    let old = format!(
        "From x Mon Nov  2 10:00:00 2026\nSubject: old\n\n{}\n\n",
        "x".repeat(5000)
    );
    for user in ["a", "c"] {
        stage.lab.at("a.test").fill_mailbox(user, &old);
    }
    if asks == Asks::Socket {
        serve(stage);
    }
    stage.start();
    let mut client = Client::connect(stage);
    for (sender, recipient, want) in [
        ("forged@victim.test", "a@a.test", FULL),
        ("forged@victim.test", "A@a.test", FULL),
        ("forged@victim.test", "admin@a.test", "250"),
        ("", "a@a.test", "250"),
        ("forged@victim.test", "a@a.test", FULL),
    ] {
        let reply = client.rcpt(sender, recipient);
        stage.check(
            reply.starts_with(want),
            &format!("<{sender}> to {recipient}: {reply}, expected {want}"),
        );
    }
    // Postfix begins a file at the first recipient that it takes, and removes it a moment after RSET.
    wait_for("empty queues", Duration::from_secs(10), || stage.lab.queued() == 0);
    let reply = client.send("forged@victim.test", "c@a.test", "forwarded");
    stage.check(
        reply.starts_with("250"),
        &format!("who forwards takes mail on: {reply}"),
    );
    drop(client);
    stage.settle();
    doctor_sees_it(stage, asks);
    stage.check_equal("messages of b", stage.mailbox("b.test", "b"), 1);
    stage.check_equal("messages in the queues", stage.lab.queued(), 0);
    match asks {
        Asks::Filter => filter_lives(stage),
        Asks::Spawn | Asks::Socket | Asks::Run => without_the_program(stage),
    }
    stage.expect_rest(0);
}

/// Plays the scene with the mailboxes behind an LMTP server that has a quota: it is asked, and where it is away nobody
/// is refused.
pub fn play_lmtp(stage: &mut Stage) {
    stage.host("a.test", &["a", "c", "admin"]).asks = Some(Asks::Spawn);
    stage.configure("a.test", "admin = \"admin@a.test\"\n[quota]\nwhen_full = \"refuse\"\n");
    stage.host("victim.test", &["forged"]);
    stage.deliver("a.test", "a");
    let fill = "cd /home/a && mkdir -m 700 -p Maildir/cur Maildir/new Maildir/tmp && head -c 5000 /dev/zero | tr '\\0' x > Maildir/new/1.old";
    let ended = stage.lab.at("a.test").run_as("a", &["sh", "-c", fill], b"");
    assert!(ended.status.success(), "{ended:?}");
    stage.start();
    let mut client = Client::connect(stage);
    // The first answers of a server that has just been started may come too late, and are left to the delivery.
    wait_for("a refusal", Duration::from_secs(60), || {
        client.rcpt("forged@victim.test", "a@a.test").starts_with(FULL)
    });
    for (sender, recipient) in [("forged@victim.test", "admin@a.test"), ("", "a@a.test")] {
        let reply = client.rcpt(sender, recipient);
        stage.check(reply.starts_with("250"), &format!("<{sender}> to {recipient}: {reply}"));
    }
    let reply = client.send("forged@victim.test", "c@a.test", "room");
    stage.check(reply.starts_with("250"), &format!("there is room for c: {reply}"));
    stage.settle();
    let server = lmtp::server(stage);
    server.stop(stage.lab.at("a.test"));
    let reply = client.rcpt("forged@victim.test", "a@a.test");
    stage.check(reply.starts_with("250"), &format!("with the server stopped: {reply}"));
    drop(client);
    stage.settle();
    stage.check_equal("messages in the queues", stage.lab.queued(), 0);
    stage.expect_mail("c@a.test", 1);
    stage.expect_mail("a@a.test", 1);
    stage.expect_mail("forged@victim.test", 0);
    stage.expect_rest(0);
}

/// The doctor finds the question in the mail system's configuration, and of Postfix's service that it answers.
fn doctor_sees_it(stage: &mut Stage, asks: Asks) {
    let host = stage.lab.at("a.test");
    let ended = host.command(&[GUARD, "doctor", "--json"]).output().unwrap();
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    let mut wanted = vec!["asks spoolguard policy at RCPT time"];
    if asks == Asks::Spawn {
        wanted.push("spoolguard policy answers");
    }
    for words in wanted {
        stage.check(text.contains(words), &format!("doctor says: {words}\n{text}"));
    }
}

/// The program is gone: nobody is refused, and the message is delivered.
fn without_the_program(stage: &mut Stage) {
    let place = stage.lab.at("a.test").root.join(GUARD.trim_start_matches('/'));
    fs::remove_file(place).unwrap();
    // Another client, as Postfix keeps the service of the one before.
    wait_for("the service to end", Duration::from_secs(30), || {
        count_running(GUARD) == 0
    });
    let mut client = Client::connect(stage);
    let reply = client.send("forged@victim.test", "a@a.test", "without");
    stage.check(reply.starts_with("250"), &format!("without the program: {reply}"));
    drop(client);
    stage.settle();
    stage.check(
        stage.mail("a.test", "a").contains("The words of without."),
        "it is delivered",
    );
}

/// The filter outlives a configuration that breaks under way and a stop of five seconds; the mail system runs on.
fn filter_lives(stage: &mut Stage) {
    stage.lab.at("a.test").write("etc/spoolguard.toml", "[quota\n");
    let reply = Client::connect(stage).rcpt("forged@victim.test", "a@a.test");
    stage.check(
        reply.starts_with("250"),
        &format!("with a broken configuration: {reply}"),
    );
    stage.lab.at("a.test").write("etc/spoolguard.toml", TIGHT);
    let reply = Client::connect(stage).rcpt("forged@victim.test", "a@a.test");
    stage.check(
        reply.starts_with(FULL),
        &format!("with a mended configuration: {reply}"),
    );
    for signal in ["TERM", "HUP", "INT"] {
        must(Command::new("pkill").args(["-x", &format!("-{signal}"), "spoolguard"]));
    }
    must(Command::new("pkill").args(["-x", "-STOP", "spoolguard"]));
    let waiting = {
        let mut client = Client::connect(stage);
        client.say("RSET");
        client
            .0
            .get_mut()
            .write_all(b"MAIL FROM:<forged@victim.test>\r\n")
            .unwrap();
        client
    };
    thread::sleep(Duration::from_secs(5));
    must(Command::new("pkill").args(["-x", "-CONT", "spoolguard"]));
    let mut client = waiting;
    client.reply();
    let reply = client.say("RCPT TO:<a@a.test>");
    stage.check(
        reply.starts_with(FULL),
        &format!("after a stop of five seconds: {reply}"),
    );
    drop(client);
    let output = stage
        .lab
        .at("a.test")
        .command(&["smtpctl", "show", "status"])
        .output()
        .unwrap();
    stage.check(output.status.success(), &format!("the mail system runs: {output:?}"));
    stage.settle();
}

/// How many processes run this program.
fn count_running(program: &str) -> usize {
    let mut count = 0;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        count += usize::from(words.starts_with(program.as_bytes()));
    }
    count
}
