//! One scene: hosts, users and hooks put up, mail sent, and what became of it measured.
//!
//! A check that does not hold is noted and the scene goes on, so that one run shows
//! everything that is wrong with it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::host::{Host, count_messages, files_below, holds, read_text};
use crate::lab::{BOUND, End, Lab, MailSystem};

/// Where the guard is installed.
pub const GUARD: &str = "/usr/bin/spoolguard";

/// What stands in a user's mail before anything else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// No guard: a procmail recipe forwards.
    Plain,
    /// The guard, from a procmailrc.
    Recipe,
    /// The guard, from a `.forward`.
    DotForward,
    /// The guard, as the mail system's own delivery command.
    Command,
}

/// What became of the mail of one scene.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
pub struct Measured {
    /// Deliveries attempted, to hosts and to users.
    pub attempts: usize,
    /// How long it went on.
    pub seconds: f64,
    /// It came to rest by itself.
    pub ended: bool,
    /// Messages in the administrator's mailbox.
    pub reports: usize,
    /// Messages in the queues.
    pub queue: usize,
    /// Mailboxes that are not empty, with their counts.
    pub mailboxes: Vec<(String, usize)>,
    /// Messages that the guard keeps beside the mailboxes.
    pub held: usize,
    /// Serial numbers that are nowhere, and of which the sender was not told.
    pub lost: Vec<String>,
    /// How many messages were sent.
    pub sent: usize,
    /// What a story counted on its way.
    pub counted: Vec<String>,
}

/// What a scene hands to the program that started it.
#[derive(Serialize, Deserialize, Default, Debug)]
pub struct Played {
    /// The measures, once the scene has come that far.
    pub measured: Measured,
    /// What did not hold.
    pub failures: Vec<String>,
    /// The journal of all hosts.
    pub log: String,
}

/// A scene under way.
pub struct Stage {
    /// The hosts.
    pub lab: Lab,
    story: &'static str,
    hook: Hook,
    program: PathBuf,
    serials: Vec<String>,
    failures: Vec<String>,
    began: Instant,
    end: End,
    measured: Option<Measured>,
    counted: Vec<String>,
    admin: (String, PathBuf),
    mailbox_table: String,
}

impl Stage {
    /// Puts up an empty stage.
    pub fn new(system: &'static dyn MailSystem, story: &'static str, hook: Hook, cache: &Path, program: &Path) -> Self {
        Self {
            lab: Lab::new(system, cache),
            story,
            hook,
            program: program.to_owned(),
            serials: Vec::new(),
            failures: Vec::new(),
            began: Instant::now(),
            end: End::ByItself,
            measured: None,
            counted: Vec::new(),
            admin: ("a.test".to_owned(), PathBuf::from("var/mail/admin")),
            mailbox_table: String::new(),
        }
    }

    /// Says whether this is the scene without a guard.
    pub fn is_plain(&self) -> bool {
        self.hook == Hook::Plain
    }

    /// Adds a host with its users; the guard is installed and configured there.
    pub fn host(&mut self, name: &str, users: &[&str]) -> &mut Host {
        let program = self.program.clone();
        let host = self.lab.host(name, users);
        host.install(&program, GUARD.trim_start_matches('/'));
        self.configure(name, "admin = \"admin@a.test\"\n");
        self.host_mut(name)
    }

    /// Lets the guard put users' mail elsewhere than into mboxes, on the hosts that are added from now on.
    pub fn put_mail_into(&mut self, location: &str) {
        self.mailbox_table = format!("[mailbox]\nlocation = \"{location}\"\n");
    }

    /// Configures the guard of a host.
    pub fn configure(&mut self, host: &str, text: &str) {
        let text = format!("{text}{}", self.mailbox_table);
        self.host_mut(host).write("etc/spoolguard.toml", &text);
    }

    /// Lets reports be counted in this file of this host instead of in the administrator's mailbox.
    pub fn count_reports_in(&mut self, host: &str, path: &str) {
        self.admin = (host.to_owned(), PathBuf::from(path));
    }

    /// Forwards a user's mail in the way of the scene.
    pub fn forward(&mut self, host: &str, user: &str, to: &str) {
        let hook = self.hook;
        hang(self.host_mut(host), hook, user, &format!("forward {to}"), to);
    }

    /// Delivers a user's mail in the way of the scene.
    pub fn deliver(&mut self, host: &str, user: &str) {
        let hook = self.hook;
        let host = self.host_mut(host);
        if hook == Hook::Command {
            // For everyone on this host, as an administrator would set it.
            host.mailbox_command = Some(format!("{GUARD} deliver"));
        } else {
            hang(host, hook, user, "deliver", "");
        }
    }

    /// Forwards a user's mail without a guard, whatever the scene.
    pub fn forward_plainly(&mut self, host: &str, user: &str, to: &str) {
        hang(self.host_mut(host), Hook::Plain, user, "", to);
    }

    /// Gives a user these procmail recipes.
    pub fn recipes(&mut self, host: &str, user: &str, recipes: &str) {
        let host = self.host_mut(host);
        host.procmail.insert(user.to_owned());
        host.write_home(user, ".procmailrc", recipes);
    }

    fn host_mut(&mut self, name: &str) -> &mut Host {
        self.lab.at_mut(name)
    }

    /// Starts the mail systems.
    pub fn start(&mut self) {
        self.lab.start();
        self.began = Instant::now();
    }

    /// Sends one message with a serial number in its header and in its text, and
    /// returns the number.
    pub fn send(&mut self, host: &str, from: &str, to: &str) -> String {
        let user = from.split('@').next().unwrap_or_default();
        self.send_from(host, user, from, to)
    }

    /// The same of this user, with another envelope sender; empty is the null sender.
    pub fn send_from(&mut self, host: &str, user: &str, sender: &str, to: &str) -> String {
        let serial = self.number();
        let message = format!(
            "From: {user}@{host}\nTo: {to}\nSubject: a letter\nMessage-ID: <{serial}@{host}>\n\n\
             The words of {serial}, which must not be lost.\n"
        );
        let sender = if sender.is_empty() { "<>" } else { sender };
        let words = ["/usr/sbin/sendmail", "-oi", "-f", sender, "--", to];
        let output = self.lab.at(host).run_as(user, &words, message.as_bytes());
        self.check(output.status.success(), &format!("{user} can send: {output:?}"));
        serial
    }

    /// The number of a message that a story brings by itself.
    pub fn number(&mut self) -> String {
        let serial = format!("serial-{:02}", self.serials.len() + 1);
        self.serials.push(serial.clone());
        serial
    }

    /// Sends one message from the outside to `a`, and waits for rest.
    pub fn letter(&mut self) -> String {
        let serial = self.send("s.test", "s@s.test", "a@a.test");
        self.settle();
        serial
    }

    /// Waits for rest.
    pub fn settle(&mut self) {
        self.end = self.lab.settle();
    }

    /// Waits for rest in a story of many letters, which may make so many deliveries in so long a time.
    pub fn settle_many(&mut self, bound: usize, deadline: Duration) {
        self.end = self.lab.settle_within(bound, deadline);
    }

    /// What a user's mailbox holds.
    pub fn mail(&self, host: &str, user: &str) -> String {
        let host = self.lab.at(host);
        let mut text = read_text(&host.mailbox_path(user));
        for message in host.message_files(user) {
            text.push(b'\n');
            text.extend(read_text(&message));
        }
        // As Cyrus has it.
        String::from_utf8_lossy(&text).replace("\r\n", "\n")
    }

    /// Tries a host's queue again and waits for rest.
    pub fn flush(&mut self, host: &str) {
        self.end = self.lab.flush(host);
    }

    /// Notes figures that stand below the table.
    pub fn count(&mut self, figures: String) {
        self.lab.remark(&figures);
        self.counted.push(figures);
    }

    /// Notes a check that does not hold.
    pub fn check(&mut self, holds: bool, what: &str) {
        if !holds {
            self.lab.remark(&format!("FAILED {what}"));
            self.failures.push(what.to_owned());
        }
    }

    /// Notes two figures that should be the same.
    pub fn check_equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, is: T, expected: T) {
        let same = is == expected;
        self.check(same, &format!("{what}: is {is:?}, expected {expected:?}"));
    }

    /// How many messages a user has.
    pub fn mailbox(&self, host: &str, user: &str) -> usize {
        let host = self.lab.at(host);
        count_messages(&host.mailbox_path(user)) + host.message_files(user).len()
    }

    /// How many reports the administrator has.
    pub fn reports(&self) -> usize {
        count_messages(&self.lab.at(&self.admin.0).root.join(&self.admin.1))
    }

    /// Ends every process and measures what is there.
    pub fn measure(&mut self) -> Measured {
        if let Some(measured) = &self.measured {
            return measured.clone();
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let attempts = self.lab.attempts();
        self.lab.freeze();
        let queue = self.lab.queued();
        // A loop that a busy mail system has put aside in its queue goes on with the next run of that.
        let is_put_aside = self.is_plain() && self.loops() && queue > 0;
        let mut measured = Measured {
            attempts,
            seconds,
            ended: self.end == End::ByItself && !is_put_aside,
            reports: self.reports(),
            queue,
            sent: self.serials.len(),
            counted: self.counted.clone(),
            ..Measured::default()
        };
        let mut kept = Vec::new();
        let mut told = Vec::new();
        for host in self.lab.hosts() {
            let name = &host.peer.name;
            for path in files_below(&host.root.join("var/mail")) {
                let user = path.file_name().unwrap_or_default().to_string_lossy();
                let messages = count_messages(&path);
                if messages > 0 && !user.ends_with(".lock") {
                    measured.mailboxes.push((format!("{user}@{name}"), messages));
                }
                if user == "s" {
                    told.extend(read_text(&path));
                }
                kept.extend(read_text(&path));
            }
            for user in host.users() {
                let messages = host.message_files(user).len();
                if messages > 0 {
                    measured.mailboxes.push((format!("{user}@{name}"), messages));
                }
            }
            for place in ["home", "root", "var/spool", "var/reports", "var/lib/spoolguard"] {
                for path in files_below(&host.root.join(place)) {
                    let text = read_text(&path);
                    if path.to_string_lossy().contains("/spoolguard/") && holds(&text, "The words of ") {
                        measured.held += 1;
                    }
                    kept.extend(text);
                }
            }
        }
        for serial in &self.serials {
            let safe = holds(&kept, &format!("The words of {serial},")) || holds(&told, &format!("<{serial}@"));
            if !safe {
                measured.lost.push(serial.clone());
            }
        }
        self.measured = Some(measured.clone());
        measured
    }

    /// The mail system that the story is told on.
    pub fn system(&self) -> &'static str {
        self.lab.system()
    }

    /// Checks what must hold of every guarded scene: it came to rest with nothing lost
    /// and nothing queued, and with so many reports at the administrator.
    pub fn expect_rest(&mut self, reports: usize) {
        self.expect_rest_with_queue(reports, 0);
    }

    /// The same, where the mail system keeps something in its queue for good.
    pub fn expect_rest_with_queue(&mut self, reports: usize, queue: usize) {
        let measured = self.measure();
        self.check(
            measured.ended,
            &format!("it ends by itself (stopped after {} deliveries)", measured.attempts),
        );
        self.check_equal("messages in the queues", measured.queue, queue);
        self.check_equal("messages lost", measured.lost.len(), 0);
        self.check_equal("reports at the administrator", measured.reports, reports);
    }

    /// Says whether this mail system lets this story loop without a guard.
    pub fn loops(&self) -> bool {
        self.lab.loops(self.story)
    }

    /// Checks that the story without a guard does what the guard is there to end,
    /// where this mail system lets it.
    pub fn expect_loop(&mut self) {
        let measured = self.measure();
        let loops = self.loops();
        // A slow machine may not come as far as the bound in time, and yet not have ended.
        let looped = !measured.ended && measured.attempts >= BOUND / 4;
        self.check(
            if loops { looped } else { measured.ended },
            &format!(
                "without a guard it {} (there were {} deliveries)",
                if loops { "loops" } else { "ends" },
                measured.attempts
            ),
        );
    }

    /// Checks how many messages the guard holds beside the mailboxes.
    pub fn expect_held(&mut self, messages: usize) {
        let measured = self.measure();
        self.check_equal("messages held by the guard", measured.held, messages);
    }

    /// Checks how many messages a user has.
    pub fn expect_mail(&mut self, address: &str, messages: usize) {
        let (user, host) = address.split_once('@').unwrap();
        let is = self.mailbox(host, user);
        self.check_equal(&format!("messages of {address}"), is, messages);
    }

    /// Ends the scene.
    pub fn close(mut self) -> Played {
        let measured = self.measure();
        let mut log = self.lab.log();
        if !self.failures.is_empty() {
            for host in self.lab.hosts() {
                for path in files_below(&host.root.join("var/mail")) {
                    let text = read_text(&path);
                    let shown = &text[..text.len().min(6000)];
                    let _ = write!(
                        log,
                        "\n==> {}{} <==\n{}",
                        host.peer.name,
                        path.strip_prefix(&host.root).unwrap_or(&path).display(),
                        String::from_utf8_lossy(shown)
                    );
                }
            }
        }
        Played {
            measured,
            failures: self.failures,
            log,
        }
    }
}

/// Hangs one command of the guard, or the plain forward, before a user's mail.
fn hang(host: &mut Host, hook: Hook, user: &str, guard: &str, to: &str) {
    match hook {
        Hook::Plain => {
            host.procmail.insert(user.to_owned());
            host.write_home(user, ".procmailrc", &format!(":0\n! {to}\n"));
        }
        Hook::Recipe => {
            host.procmail.insert(user.to_owned());
            host.write_home(
                user,
                ".procmailrc",
                &format!(":0 w\n| {GUARD} {guard}\nEXITCODE=$?\nHOST=stop\n"),
            );
        }
        Hook::DotForward => {
            host.write_home(user, ".forward", &format!("\"|{GUARD} {guard}\"\n"));
        }
        Hook::Command => {
            host.commands.insert(user.to_owned(), format!("{GUARD} {guard}"));
        }
    }
}

/// How long a scene may take in all before it is ended from outside.
pub const SCENE_LIMIT: Duration = Duration::from_secs(360);
