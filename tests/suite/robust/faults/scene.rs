//! The runs into which faults are put, and what must be true after each of them.

use std::fs;
use std::path::Path;

use crate::support::{Ended, Run, Scratch, contains, is_root, large, messages, shown};

/// Where the message goes, and how often it may come to be there when a run was cut off: the mail system's own answer,
/// and a copy that is held, cannot be had back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Into the mailbox, once.
    Mailbox,
    /// Into the administrator's mbox, once.
    Admin,
    /// To the mail system, once or twice.
    Sent,
    /// Into the mailbox once, and to the mail system once or twice.
    Both,
}

/// One kind of run.
pub struct Scene {
    pub name: &'static str,
    pub goal: Goal,
    pub message: Vec<u8>,
    prepare: fn(&mut Scratch),
    arguments: &'static [&'static str],
    /// The user may not write to the spool directory, as on Debian.
    has_no_dotlock: bool,
}

const OLD: &[u8] = b"From old@s.test Mon Nov  2 10:00:00 2026\nSubject: old\n\nold\n\n";
/// How the old message is called in a Maildir, and the Maildir itself.
const OLD_NAME: &str = "1.M1P1.other:2,S";
const MAILDIR: &str = "home/Maildir";
const MARK: &[u8] = b"the one message of this test";
const NOBODY: u32 = 65534;

/// What lies in the places that a message can go to.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub mailbox: usize,
    pub admin: usize,
    pub sent: usize,
}

impl Scene {
    pub fn all() -> Vec<Scene> {
        let ordinary = [
            b"Subject: x\nMessage-ID: <x@s.test>\n\n" as &[u8],
            MARK,
            b"\nFrom here\n",
        ]
        .concat();
        let looped = [b"X-Loop: a@a.test\n" as &[u8], &ordinary].concat();
        let big = [&ordinary as &[u8], &large(300_000)].concat();
        let spilled = [&ordinary as &[u8], &large(1_300_000)].concat();
        let scene = |name, goal, message: &[u8], prepare, arguments| Scene {
            name,
            goal,
            message: message.to_vec(),
            prepare,
            arguments,
            has_no_dotlock: false,
        };
        vec![
            scene("deliver", Goal::Mailbox, &ordinary, with_old_mail, &["deliver"]),
            scene("deliver_new_mailbox", Goal::Mailbox, &ordinary, |_| {}, &["deliver"]),
            Scene {
                has_no_dotlock: true,
                ..scene(
                    "deliver_without_dotlock",
                    Goal::Mailbox,
                    &ordinary,
                    with_old_mail,
                    &["deliver"],
                )
            },
            scene("deliver_large", Goal::Mailbox, &big, with_old_mail, &["deliver"]),
            scene("deliver_spilled", Goal::Mailbox, &spilled, with_old_mail, &["deliver"]),
            scene("deliver_counted", Goal::Mailbox, &ordinary, with_quota, &["deliver"]),
            scene(
                "deliver_maildir",
                Goal::Mailbox,
                &ordinary,
                with_counted_maildir,
                &["deliver"],
            ),
            scene(
                "deliver_maildir_spilled",
                Goal::Mailbox,
                &spilled,
                with_old_maildir,
                &["deliver"],
            ),
            scene(
                "deliver_new_maildir",
                Goal::Mailbox,
                &ordinary,
                with_maildir,
                &["deliver"],
            ),
            scene("divert_to_path", Goal::Admin, &looped, with_old_admin, &["deliver"]),
            scene(
                "divert_to_address",
                Goal::Sent,
                &looped,
                with_admin_address,
                &["deliver"],
            ),
            scene(
                "forward_to_outbox",
                Goal::Sent,
                &ordinary,
                with_old_mail,
                &["forward", "b@b.test"],
            ),
            scene(
                "forward",
                Goal::Sent,
                &ordinary,
                with_sendmail,
                &["forward", "b@b.test"],
            ),
            scene(
                "forward_and_keep",
                Goal::Both,
                &ordinary,
                with_sendmail,
                &["forward", "--keep", "b@b.test"],
            ),
        ]
    }

    pub fn named(name: &str) -> Scene {
        Self::all().into_iter().find(|scene| scene.name == name).unwrap()
    }

    /// A scratch in which it can run.
    pub fn stage(&self) -> Scratch {
        let mut scratch = Scratch::new().set("mailbox.lock_timeout", "\"2s\"");
        (self.prepare)(&mut scratch);
        if self.has_no_dotlock {
            scratch.without_dotlocks(NOBODY);
        }
        scratch
    }

    fn start<'a>(&self, scratch: &'a Scratch, arguments: &[&str], message: &[u8]) -> Run<'a> {
        let run = scratch
            .run(arguments)
            .with(&["-a", "a@a.test", "-f", "s@s.test"])
            .input(message);
        if self.has_no_dotlock && is_root() {
            run.with(&["--mailbox", scratch.mailbox().to_str().unwrap()])
                .uid(NOBODY)
        } else {
            run
        }
    }

    /// The run itself.
    pub fn run<'a>(&self, scratch: &'a Scratch) -> Run<'a> {
        self.start(scratch, self.arguments, &self.message)
    }

    /// A plain message to the same mailbox or mbox, in between.
    pub fn other<'a>(&self, scratch: &'a Scratch) -> Run<'a> {
        let message: &[u8] = match self.goal {
            Goal::Admin => b"X-Loop: a@a.test\nSubject: other\n\nother\n",
            Goal::Mailbox | Goal::Sent | Goal::Both => b"Subject: other\n\nother\n",
        };
        self.start(scratch, &["deliver"], message)
    }

    /// Counts the message wherever it may be, and checks that there is nothing else but what was there and what came in
    /// between.
    pub fn find(&self, scratch: &Scratch, ended: &Ended<'_>) -> Found {
        let maildir = scratch.path(MAILDIR);
        Found {
            mailbox: match self.name.contains("maildir") {
                true => self.in_maildir(&maildir, ended),
                false => self.in_mbox(&scratch.mail(), "mailbox", ended),
            },
            admin: self.in_mbox(&scratch.diverted(), "admin", ended),
            sent: scratch.sent().iter().filter(|m| contains(m, MARK)).count()
                + contains_times(&fs::read(scratch.path("all")).unwrap_or_default(), MARK),
        }
    }

    pub fn has_no_lock(&self, scratch: &Scratch, ended: &Ended<'_>) {
        for dotlock in [scratch.dotlock(), scratch.path("admin.lock")] {
            ended.check(!dotlock.exists(), "a dotlock was left");
        }
    }

    fn in_mbox(&self, mbox: &[u8], name: &str, ended: &Ended<'_>) -> usize {
        let mut count = 0;
        for (number, message) in messages(mbox).into_iter().enumerate() {
            if contains(message, MARK) {
                let text = crate::support::unquoted(crate::support::content(message));
                ended.check(text.ends_with(&self.message), &format!("not whole: {}", shown(message)));
                count += 1;
            } else {
                let is_known = (number == 0 && message == OLD)
                    || message.ends_with(b"\nSubject: other\n\nother\n\n")
                    || contains(message, b"\nSubject: Your mailbox ");
                ended.check(is_known, &format!("in the {name} lies {}", shown(message)));
            }
        }
        ended.check(
            self.began_empty(name) || mbox.starts_with(OLD),
            &format!("the {name} lost what it held"),
        );
        count
    }

    /// Counts the message in a Maildir, and checks that every name says how long its file is.
    fn in_maildir(&self, maildir: &Path, ended: &Ended<'_>) -> usize {
        let (mut count, mut old) = (0, 0);
        for part in ["new", "cur"] {
            for entry in fs::read_dir(maildir.join(part)).into_iter().flatten() {
                let path = entry.unwrap().path();
                let (name, text) = (path.display().to_string(), fs::read(&path).unwrap());
                let crlf = text.len() + contains_times(&text, b"\n") - contains_times(&text, b"\r\n");
                ended.check(
                    name.ends_with(&format!(",S={},W={crlf}", text.len())) || name.ends_with(OLD_NAME),
                    &format!("{name} is not what it says"),
                );
                if contains(&text, MARK) {
                    ended.check(text.ends_with(&self.message), &format!("not whole: {}", shown(&text)));
                    count += 1;
                } else if text == OLD {
                    old += 1;
                } else {
                    ended.check(
                        text.ends_with(b"\nSubject: other\n\nother\n") || contains(&text, b"\nSubject: Your mailbox "),
                        &format!("in the Maildir lies {}", shown(&text)),
                    );
                }
            }
        }
        ended.check(
            self.name == "deliver_new_maildir" || old == 1,
            "the Maildir lost what it held",
        );
        count
    }

    /// Checks that `maildirsize`, where there is one, comes to what lies in the Maildir.
    pub fn size_file_is_true(&self, scratch: &Scratch, ended: &Ended<'_>) {
        let maildir = scratch.path(MAILDIR);
        let Ok(text) = fs::read_to_string(maildir.join("maildirsize")) else {
            return;
        };
        let number = |word: &str| word.parse::<i64>().unwrap();
        let sums = text.lines().skip(1).fold((0, 0), |(bytes, count), line| {
            let (more_bytes, more) = line.split_once(' ').unwrap();
            (bytes + number(more_bytes), count + number(more))
        });
        let parts = ["new", "cur"].map(|part| fs::read_dir(maildir.join(part)).unwrap());
        let lying = parts.into_iter().flatten().fold((0, 0), |(bytes, count), entry| {
            let length = entry.unwrap().metadata().unwrap().len();
            (bytes + i64::try_from(length).unwrap(), count + 1)
        });
        ended.check(
            sums == lying,
            &format!("maildirsize comes to {sums:?} for {lying:?}\n{text}"),
        );
    }

    fn began_empty(&self, name: &str) -> bool {
        name == "admin" && self.goal != Goal::Admin
            || self.name == "deliver_new_mailbox"
            || self.goal == Goal::Admin && name == "mailbox"
    }
}

fn contains_times(bytes: &[u8], part: &[u8]) -> usize {
    memchr::memmem::find_iter(bytes, part).count()
}

fn with_old_mail(scratch: &mut Scratch) {
    fs::write(scratch.mailbox(), OLD).unwrap();
}

fn with_maildir(scratch: &mut Scratch) {
    let location = format!("\"maildir:{}\"", scratch.path(MAILDIR).display());
    scratch.change("mailbox.location", &location);
}

fn with_old_maildir(scratch: &mut Scratch) {
    with_maildir(scratch);
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(scratch.path(MAILDIR).join(part)).unwrap();
    }
    fs::write(scratch.path(MAILDIR).join("cur").join(OLD_NAME), OLD).unwrap();
    let size_file = format!("100000000S\n{} 1\n", OLD.len());
    fs::write(scratch.path(MAILDIR).join("maildirsize"), size_file).unwrap();
}

/// With a limit of its own, and a notice about it.
fn with_counted_maildir(scratch: &mut Scratch) {
    with_old_maildir(scratch);
    let size_file = format!("20000S\n{} 1\n", OLD.len());
    fs::write(scratch.path(MAILDIR).join("maildirsize"), size_file).unwrap();
    scratch.change("quota.warn", "\"1%\"");
}

fn with_old_admin(scratch: &mut Scratch) {
    fs::write(scratch.path("admin"), OLD).unwrap();
}

fn with_quota(scratch: &mut Scratch) {
    with_old_mail(scratch);
    // Room for the message twice, which a kill in the last moment may bring.
    scratch.change("quota.limit", "\"2000B\"");
    scratch.change("quota.messages", "50");
    scratch.change("quota.warn", "\"5%\"");
}

fn with_admin_address(scratch: &mut Scratch) {
    with_sendmail(scratch);
    scratch.change("admin", "\"admin@a.test\"");
}

/// All that sendmail was given, one after another.
fn with_sendmail(scratch: &mut Scratch) {
    with_old_mail(scratch);
    let all = scratch.path("all").display().to_string();
    let path = scratch.script("sendmail", &format!("exec cat >>'{all}'"));
    scratch.change("forward.transport", &format!("{:?}", path.display().to_string()));
}
