//! A person with a guard: the real decisions and the real mailbox, state and outbox, in a directory of its own; only
//! the clock and the mail system around it are the model's.

use std::cell::OnceCell;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use spoolguard::classify::policy::Copies;
use spoolguard::cli::Who;
use spoolguard::config::Config;
use spoolguard::deliver::Errand;
use spoolguard::deliver::context::{self, Intents, Outcome, Run, Started};
use spoolguard::deliver::divert::digest;
use spoolguard::deliver::forward::destinations;
use spoolguard::deliver::settle;
use spoolguard::error::Status;
use spoolguard::message::address::{Address, OwnAddresses};
use spoolguard::sys::account::{Account, AccountKind};
use spoolguard::sys::deadline::Deadline;
use spoolguard::sys::message_buffer::MessageBuffer;

use crate::mail::{date, without};
use crate::plan::{Admin, GuardSender, Guarded, Plan, System};

/// A rule that is broken on purpose, to see that the model notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    Nothing,
    /// No `X-Loop` on what is forwarded, nor the memory that ends the same loops.
    LoopMark,
    /// Nothing says that a message was diverted, nor the memory that counts equal ones.
    DivertMark,
    /// The state directory is forgotten after each message.
    Memory,
}

/// A guard at its place.
pub struct Post {
    run: Run,
    errand: Errand,
    home: PathBuf,
    address: String,
    dead: Option<PathBuf>,
}

/// What a run left behind.
pub struct GuardedRun {
    pub end: End,
    pub sent: Vec<Sent>,
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// In a mailbox.
    Kept,
    /// Sent on.
    Forwarded,
    /// The administrator has it, at an address or a path.
    Diverted,
    /// Held for the administrator, who hears of it in a digest.
    Held,
    /// Everybody has it.
    Repeated,
    /// 75
    Later(String),
    /// 77
    Refused(String),
}

/// A message that left through the outbox.
pub struct Sent {
    pub sender: String,
    pub to: Vec<String>,
    pub bytes: Vec<u8>,
}

impl Post {
    /// Sets up person `n` of `plan` below `root`.
    pub fn new(plan: &Plan, n: usize, guarded: &Guarded, root: &Path) -> Self {
        let home = root.join(format!("p{n}"));
        let outbox = home.join("outbox");
        for dir in [&home, &home.join("mail")] {
            fs::create_dir_all(dir).unwrap();
        }
        let host = &plan.hosts[plan.people[n].host];
        let dead = host.answers.then(|| home.join("dead"));
        let transport = match &dead {
            None => format!("outbox:{}", outbox.display()),
            Some(dead) => answering_sendmail(&home, &outbox, dead),
        };
        let admin = match guarded.admin {
            Admin::Person(admin) => plan.address(admin),
            Admin::Path => home.join("admin").display().to_string(),
        };
        let sender = match guarded.sender {
            GuardSender::User => "self",
            GuardSender::Keep => "original",
            GuardSender::Verp => "verp",
        };
        let quota = guarded.quota.map_or_else(String::new, |(bytes, over)| {
            format!("[quota]\nlimit = \"{bytes}B\"\nwhen_full = \"{over}\"\n")
        });
        let text = format!(
            "admin = \"{admin}\"\nstate_dir = \"{home}/state\"\n[mailbox]\nlocation = \"mbox:{home}/mail/%u\"\nmin_free = \"none\"\n\
             [forward]\ntransport = \"{transport}\"\nsender = \"{sender}\"\n{quota}",
            home = home.display()
        );
        let config: Config = toml::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert!(config.check().is_empty());
        let uid = home.metadata().unwrap().uid();
        let to: Vec<String> = guarded.to.iter().map(|to| plan.address(*to)).collect();
        let account = Account {
            name: format!("p{n}"),
            uid,
            gid: None,
            home: Some(home.clone()),
            kind: AccountKind::User,
        };
        let store = context::store_of(&config, &account).unwrap();
        Self {
            run: Run {
                config,
                account,
                deadline: Deadline::begin().unwrap(),
                store,
                is_named_by_hand: false,
                chosen: None,
                intents: Intents::default(),
                state: OnceCell::new(),
                is_state_failure_logged: std::cell::Cell::default(),
                place: None,
                started: Started::ByMail,
            },
            errand: Errand::new(&to, if guarded.keep { Copies::Keep } else { Copies::None }),
            home,
            address: plan.address(n),
            dead,
        }
    }

    /// One delivery, as the mail system of the host starts it.
    pub fn run(&self, now: Moment<'_>, sender: &str, recipient: &str, message: Vec<u8>, broken: Broken) -> GuardedRun {
        if matches!(broken, Broken::LoopMark | Broken::DivertMark | Broken::Memory) {
            let _ = fs::remove_dir_all(self.home.join("state"));
        }
        if let Some(dead) = &self.dead {
            fs::write(dead, now.dead.join("\n") + "\n").unwrap();
        }
        let (local, domain) = recipient.split_once('@').unwrap();
        let variables: Vec<(&str, &str)> = match now.caller {
            Caller::Procmail => Vec::new(),
            Caller::Itself => match now.system {
                System::Postfix | System::OpenSmtpd => {
                    vec![
                        ("SENDER", sender),
                        ("RECIPIENT", recipient),
                        ("LOCAL", local),
                        ("DOMAIN", domain),
                    ]
                }
                System::Exim => vec![("SENDER", sender), ("LOCAL_PART", local), ("DOMAIN", domain)],
                System::Sendmail => vec![("AGENT", "sendmail")],
            },
        };
        let who = Who {
            // Sendmail says nothing of it, so its administrator has to.
            recipient: (now.system == System::Sendmail).then(|| recipient.to_owned()),
            ..Who::default()
        };
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let buffer = MessageBuffer::from_bytes(message);
        self.run.deadline.begin_again();
        let delivery = self.run.decide_at(date(now.at), &buffer, &self.errand, &who, &variable);
        let end = match settle::carry_out(&self.run, &delivery) {
            Ok(Outcome::Appended { .. }) => End::Kept,
            Ok(Outcome::Forwarded { .. }) => End::Forwarded,
            Ok(Outcome::Diverted { .. }) => End::Diverted,
            Ok(Outcome::Held { .. }) => End::Held,
            Ok(Outcome::Repeated { .. } | Outcome::Test { .. }) => End::Repeated,
            Err(e) => match e.status() {
                Status::Refused => End::Refused(e.to_string()),
                Status::TryAgain => End::Later(e.to_string()),
                other => panic!("a delivery ended with {other:?}: {e}"),
            },
        };
        let sent = self.take_outbox(broken);
        GuardedRun { end, sent }
    }

    /// What a timer does every hour: `spoolguard status --due`.
    pub fn due(&self, at: i64, broken: Broken) -> Vec<Sent> {
        let mut own = OwnAddresses::new("+");
        own.add(Address::parse(&self.address).unwrap());
        self.run.deadline.begin_again();
        destinations::write_due(&self.run, &own, date(at)).unwrap();
        let _ = digest::send_due(&self.run, date(at));
        self.take_outbox(broken)
    }

    /// Whether time may make something due here.
    pub fn waits(&self) -> bool {
        let state = self.home.join("state");
        state.join("routes.json").exists() || state.join("storm.json").exists()
    }

    /// What was sent since, in order.
    fn take_outbox(&self, broken: Broken) -> Vec<Sent> {
        let Ok(entries) = fs::read_dir(self.home.join("outbox/new")) else {
            return Vec::new();
        };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
            .iter()
            .map(|path| {
                let bytes = fs::read(path).unwrap();
                fs::remove_file(path).unwrap();
                let mut lines = bytes.splitn(3, |b| *b == b'\n');
                let mut line = || String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
                let (sender, to) = (line(), line());
                let message = lines.next().unwrap_or_default().to_vec();
                let sender = sender.trim_start_matches("Return-Path: <").trim_end_matches('>');
                let (sender, message) = match broken {
                    Broken::LoopMark => (sender, without(&message, |name| name == "x-loop")),
                    Broken::DivertMark => (sender, without(&message, |name| name == "x-spoolguard-divert")),
                    Broken::Nothing | Broken::Memory => (sender, message),
                };
                Sent {
                    sender: sender.to_owned(),
                    to: to
                        .trim_start_matches("Envelope-To: ")
                        .split(", ")
                        .map(str::to_owned)
                        .collect(),
                    bytes: message,
                }
            })
            .collect()
    }

    /// All mail that lies here: mailbox, overflow, the administrator's mbox, and what is held.
    pub fn stored(&self) -> Vec<u8> {
        let mut all = Vec::new();
        gather(&self.home.join("mail"), &mut all);
        gather(&self.home.join("state"), &mut all);
        all.extend(fs::read(self.home.join("admin")).unwrap_or_default());
        all
    }

    /// How much the state directory holds, in bytes, without held mail and overflow.
    pub fn state_bytes(&self) -> u64 {
        let entries = fs::read_dir(self.home.join("state")).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.path().is_file() && entry.file_name() != "overflow")
            .map(|entry| entry.metadata().unwrap().len())
            .sum()
    }
}

/// What surrounds one run.
pub struct Moment<'a> {
    pub at: i64,
    pub system: System,
    pub caller: Caller,
    /// The addresses that are refused now.
    pub dead: &'a [String],
}

/// Who starts the guard.
#[derive(Clone, Copy)]
pub enum Caller {
    /// The mail system itself.
    Itself,
    Procmail,
}

/// Every file below `dir`, those that are compressed unpacked.
fn gather(dir: &Path, all: &mut Vec<u8>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "gz") {
            let file = fs::File::open(&path).unwrap();
            flate2::read::MultiGzDecoder::new(file).read_to_end(all).unwrap();
        } else {
            all.extend(fs::read(&path).unwrap());
        }
    }
}

/// A sendmail that says at once who is unknown, and sends to the others.
fn answering_sendmail(home: &Path, outbox: &Path, dead: &Path) -> String {
    let path = home.join("sendmail");
    fs::create_dir_all(outbox.join("new")).unwrap();
    let text = format!(
        "#!/bin/sh\n\
         while [ \"$1\" != -- ]; do if [ \"$1\" = -f ]; then sender=$2; fi; shift; done; shift\n\
         for a in \"$@\"; do if grep -qxF -- \"$a\" {dead}; then echo \"550 5.1.1 <$a>: user unknown\"; exit 67; fi; done\n\
         to=$(IFS=,; echo \"$*\" | sed 's/,/, /g')\n\
         [ \"$sender\" = '<>' ] && sender=\n\
         {{ echo \"Return-Path: <$sender>\"; echo \"Envelope-To: $to\"; cat; }} > {outbox}/new/$(date +%s%N).$$\n",
        dead = dead.display(),
        outbox = outbox.display(),
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}
