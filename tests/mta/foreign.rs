//! Programs that only hand mail to another host, in the place of sendmail: whatever that host answers, a forwarded
//! message arrives once, goes back to whoever started the guard, waits in the program's queue, or is kept and its owner
//! told. `doctor` names what each cannot do.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Output;
use std::time::Duration;

use crate::host::{Host, Peer, files_below, holds, read_text};
use crate::hub::{Answer, Hub};
use crate::lab::{MailSystem, must, wait_for};
use crate::stage::{GUARD, Hook, Stage};
use crate::stories::Story;

/// One of them.
pub struct Foreign {
    name: &'static str,
    /// Its files, with their modes: as its package has them, and with the hub as the host that takes all mail.
    files: &'static [(&'static str, u32, &'static str)],
    queue: Queue,
    /// What `doctor` says that it cannot do.
    lacks: &'static str,
    /// Whether it sends with the sender that it is told.
    sender: Sender,
}

/// Whether it keeps what it could not send.
enum Queue {
    Nowhere,
    /// Below this directory, and how that is tried again.
    At(&'static str, &'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    AsTold,
    AlwaysTheUser,
}

/// All of them.
pub static MSMTP: Foreign = Foreign {
    name: "msmtp",
    files: &[(
        "etc/msmtprc",
        0o644,
        "defaults\naccount default\nhost hub.test\nport 25\n",
    )],
    queue: Queue::Nowhere,
    lacks: "it has no queue",
    sender: Sender::AsTold,
};

/// It ignores `-f`.
pub static SSMTP: Foreign = Foreign {
    name: "ssmtp",
    files: &[(
        "etc/ssmtp/ssmtp.conf",
        0o644,
        "root=postmaster\nmailhub=hub.test\nhostname=a.test\nrewriteDomain=a.test\n",
    )],
    queue: Queue::Nowhere,
    lacks: "it ignores -f",
    sender: Sender::AlwaysTheUser,
};

/// It takes one address at a time.
pub static ESMTP: Foreign = Foreign {
    name: "esmtp",
    files: &[("etc/esmtprc", 0o644, "hostname=hub.test:25\n")],
    queue: Queue::Nowhere,
    lacks: "it has no queue",
    sender: Sender::AsTold,
};

/// It has a queue, and one host that takes all.
pub static NULLMAILER: Foreign = Foreign {
    name: "nullmailer",
    files: &[
        ("etc/nullmailer/remotes", 0o644, "hub.test smtp --port=25\n"),
        ("etc/nullmailer/pausetime", 0o644, "1\n"),
        ("etc/nullmailer/sendtimeout", 0o644, "5\n"),
    ],
    // As its service starts.
    queue: Queue::At(
        "var/spool/nullmailer",
        "cd /var/spool/nullmailer && [ -p trigger ] || { mkfifo -m 622 trigger && chown mail trigger \
         && setpriv --reuid mail --regid mail --clear-groups nullmailer-send >/dev/null 2>&1 & }",
    ),
    lacks: "only a bounce tells that",
    sender: Sender::AsTold,
};

/// It has a queue, and delivers to users of the host itself.
pub static DMA: Foreign = Foreign {
    name: "dma",
    files: &[(
        "etc/dma/dma.conf",
        0o644,
        "SMARTHOST hub.test\nMAILNAME a.test\nPORT 25\nSPOOLDIR /var/spool/dma\n",
    )],
    // A process holds what waits for its next try.
    queue: Queue::At("var/spool/dma", "pkill -KILL -x 'sendmail|dma'; dma -q1"),
    lacks: "only a bounce tells that",
    sender: Sender::AsTold,
};

/// The story.
pub const STORIES: &[Story] = &[Story {
    name: "foreign",
    title: "the hub takes, puts off, is away and refuses",
    hooks: &[Hook::Command],
    delivers: true,
    only: &["msmtp", "ssmtp", "esmtp", "nullmailer", "dma"],
    play,
}];

impl MailSystem for Foreign {
    fn name(&self) -> &'static str {
        self.name
    }

    fn configure(&self, host: &Host, _peers: &[Peer]) {
        for (path, mode, text) in self.files {
            host.write(path, text);
            fs::set_permissions(host.root.join(path), fs::Permissions::from_mode(*mode)).unwrap();
            let above = host.root.join(path).parent().unwrap().to_owned();
            fs::set_permissions(above, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn start(&self, _host: &Host) {}

    fn is_attempt(&self, _line: &str) -> bool {
        false
    }

    fn residents(&self) -> &'static [&'static str] {
        &[]
    }

    fn is_busy(&self, _host: &Host) -> bool {
        false
    }

    fn queued(&self, host: &Host) -> usize {
        match self.queue {
            Queue::Nowhere => 0,
            Queue::At(dir, _) => queued(host, dir).len(),
        }
    }

    fn flush(&self, host: &Host) {
        if let Queue::At(_, line) = self.queue {
            must(&mut host.command(&["sh", "-c", line]));
        }
    }

    fn loops(&self, _story: &str) -> bool {
        false
    }

    fn tells_every_story(&self) -> bool {
        false
    }
}

/// What waits there.
fn queued(host: &Host, dir: &str) -> Vec<Vec<u8>> {
    let files = files_below(&host.root.join(dir));
    let texts = files.iter().map(|path| read_text(path));
    texts.filter(|text| holds(text, "The words of ")).collect()
}

/// The troubles, and the answer that shows each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trouble {
    Greylisted,
    NoNames,
    Refuses,
    NobodyThere,
}

fn play(stage: &mut Stage) {
    let foreign = SYSTEMS.iter().find(|one| one.name == stage.system()).unwrap();
    stage.host("a.test", &["a", "admin"]);
    let host = stage.lab.at("a.test");
    foreign.configure(host, &[]);
    chown(host.root.join("var/mail/a"), None, Some(8)).unwrap();
    foreign.flush(host);
    let mut hub = Hub::at(SocketAddr::from(([127, 0, 0, 99], 25)));
    names(host, Names::Known);
    says_what_it_lacks(stage, foreign);

    let first = forward(stage, foreign, &mut hub, None);
    stage.check_equal("messages that arrive", hub.arrived(&first), 1);
    for trouble in [Trouble::Greylisted, Trouble::NoNames, Trouble::NobodyThere] {
        let serial = forward(stage, foreign, &mut hub, Some(trouble));
        stage.check_equal(
            &format!("{trouble:?}: messages that arrive, once it is over"),
            hub.arrived(&serial),
            1,
        );
        stage.check_equal(&format!("{trouble:?}: messages that are kept"), kept(stage, &serial), 0);
    }
    refused(stage, foreign, &mut hub);
    let from = hub.senders();
    let as_told = from.iter().all(|sender| sender == "a@a.test" || sender.is_empty());
    stage.check(
        as_told || foreign.sender == Sender::AlwaysTheUser,
        &format!("the envelope senders are the user's: {from:?}"),
    );
    stage.count(format!("{}: {} messages arrived", foreign.name, hub.count()));
    // Nothing that arrived is lost.
    stage.lab.at("a.test").write("var/reports/hub", &hub.text());
    let lost = stage.measure().lost.len();
    stage.check_equal("messages lost", lost, 0);
}

const SYSTEMS: [&Foreign; 5] = [&MSMTP, &SSMTP, &ESMTP, &NULLMAILER, &DMA];

enum Names {
    Known,
    Unanswered,
}

/// The hub's name stands in a file, or a name server is asked that is not there.
fn names(host: &Host, names: Names) {
    let hub = match names {
        Names::Known => "127.0.0.99 hub.test\n",
        Names::Unanswered => "",
    };
    host.write("etc/hosts", &format!("127.0.0.1 localhost\n127.0.0.11 a.test\n{hub}"));
    host.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
    host.write(
        "etc/resolv.conf",
        "nameserver 127.0.0.98\noptions timeout:1 attempts:1\n",
    );
}

/// Runs the guard as an MTA does.
fn run(stage: &Stage, serial: &str) -> Output {
    let message = format!(
        "From: s@s.test\nTo: a@a.test\nSubject: a letter\nMessage-ID: <{serial}@s.test>\n\n\
         The words of {serial}, which must not be lost.\n"
    );
    let words = [GUARD, "forward", "-f", "s@s.test", "-a", "a@a.test", "b@b.test"];
    stage.lab.at("a.test").run_as("a", &words, message.as_bytes())
}

/// Forwards a message while this trouble lasts, and once more when it is over, where an MTA would.
fn forward(stage: &mut Stage, foreign: &Foreign, hub: &mut Hub, trouble: Option<Trouble>) -> String {
    let serial = stage.number();
    let host = stage.lab.at("a.test");
    match trouble {
        None => {}
        Some(Trouble::Greylisted) => hub.answer(Answer::Later),
        Some(Trouble::Refuses) => hub.answer(Answer::Never),
        Some(Trouble::NoNames) => names(host, Names::Unanswered),
        Some(Trouble::NobodyThere) => hub.leave(),
    }
    let before = tries(stage);
    let ended = run(stage, &serial);
    let status = ended.status.code();
    stage.lab.remark(&format!("{trouble:?}: {ended:?}"));
    let waits_here = matches!(foreign.queue, Queue::At(..));
    let wanted = match trouble {
        Some(Trouble::Greylisted | Trouble::NoNames | Trouble::NobodyThere) if !waits_here => Some(75),
        Some(_) | None => Some(0),
    };
    stage.check_equal(&format!("{trouble:?}: status"), status, wanted);
    // dma tries at once, behind its answer: what would end that in the midst would be the scene's fault.
    if foreign.name == DMA.name && wanted == Some(0) && trouble.is_some_and(|trouble| trouble != Trouble::Refuses) {
        wait_for("dma to try", Duration::from_secs(10), || tries(stage) > before);
    }
    let host = stage.lab.at("a.test");
    if trouble != Some(Trouble::Refuses) {
        hub.come_back();
        hub.answer(Answer::Taken);
        names(host, Names::Known);
        if status == Some(75) {
            let again = run(stage, &serial);
            stage.check_equal(
                &format!("{trouble:?}: status, once it is over"),
                again.status.code(),
                Some(0),
            );
        }
        if trouble.is_some() {
            foreign.flush(stage.lab.at("a.test"));
        }
        hub.wait_for(&serial);
    }
    serial
}

/// How often dma has tried in vain.
fn tries(stage: &Stage) -> usize {
    let log = stage.lab.log();
    let failed = ["remote delivery deferred", "Connection refused"];
    failed.iter().map(|words| log.matches(words).count()).sum()
}

/// How many of a message are in the user's mailbox.
fn kept(stage: &Stage, serial: &str) -> usize {
    stage
        .mail("a.test", "a")
        .matches(&format!("The words of {serial},"))
        .count()
}

/// An address that is dead: whoever has no queue keeps the message and says so; a queue sends a report, or holds what
/// failed.
fn refused(stage: &mut Stage, foreign: &Foreign, hub: &mut Hub) {
    let serial = forward(stage, foreign, hub, Some(Trouble::Refuses));
    let Queue::At(dir, _) = foreign.queue else {
        stage.check_equal("refused: messages that are kept", kept(stage, &serial), 1);
        let host = stage.lab.at("a.test");
        let status = host.run_as("a", &[GUARD, "status"], b"");
        stage.check(
            status.status.code() == Some(1) && holds(&status.stdout, "b@b.test"),
            &format!("status tells what is kept: {status:?}"),
        );
        return;
    };
    let home = files_below(&stage.lab.at("a.test").root.join("home/a"));
    let words = format!("The words of {serial},");
    let is_there = kept(stage, &serial) > 0
        || home.iter().any(|path| holds(&read_text(path), &words))
        || queued(stage.lab.at("a.test"), dir)
            .iter()
            .any(|text| holds(text, &serial))
        || hub.arrived(&serial) > 0;
    stage.check(is_there, "refused: the message is kept, queued, held or reported");
}

fn says_what_it_lacks(stage: &mut Stage, foreign: &Foreign) {
    let said = stage.lab.at("a.test").command(&[GUARD, "doctor"]).output().unwrap();
    stage.check(
        holds(&said.stdout, foreign.lacks),
        &format!("doctor says what it lacks: {said:?}"),
    );
}
