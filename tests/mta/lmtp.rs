//! Mailboxes that are no mbox: Maildirs, and what Dovecot and Cyrus keep behind LMTP, beside Postfix. The loops end there as they do with
//! mboxes, and a server that is stopped costs nothing but time.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::host::{Host, Peer};
use crate::lab::{MailSystem, must, wait_for};
use crate::postfix::Postfix;
use crate::stage::{Hook, Stage};
use crate::stories::{self, Story};

/// Postfix beside a server that keeps the mailboxes.
pub struct PostfixBeside {
    name: &'static str,
    /// The server's LMTP socket.
    socket: &'static str,
    configure: fn(&Host),
    start: &'static [&'static str],
    stop: &'static [&'static str],
}

/// Postfix and Dovecot 2.3.
pub static DOVECOT: PostfixBeside = PostfixBeside {
    name: "dovecot",
    socket: "/run/dovecot/lmtp",
    configure: configure_dovecot,
    start: &["dovecot"],
    stop: &["doveadm", "stop"],
};

/// Postfix and Cyrus 3.6.
pub static CYRUS: PostfixBeside = PostfixBeside {
    name: "cyrus",
    socket: "/run/cyrus/socket/lmtp",
    configure: configure_cyrus,
    start: &["/usr/sbin/cyrmaster", "-d"],
    stop: &["pkill", "cyrmaster"],
};

const SERVERS: &[&str] = &["dovecot", "cyrus"];

/// The stories.
pub const STORIES: &[Story] = &[
    Story {
        name: "S1-maildir",
        title: "S1, and mail is put into a Maildir",
        hooks: &[Hook::DotForward],
        delivers: false,
        only: &[],
        play: |stage| in_maildir(stage, stories::b_is_refused),
    },
    Story {
        name: "S3-maildir",
        title: "S3, and mail is put into Maildirs",
        hooks: &[Hook::DotForward],
        delivers: false,
        only: &[],
        play: |stage| in_maildir(stage, stories::each_other),
    },
    Story {
        name: "S10-maildir",
        title: "S10, and mail is put into a Maildir",
        hooks: &[Hook::DotForward],
        delivers: false,
        only: &["postfix"],
        play: |stage| in_maildir(stage, stories::dies_and_comes_back),
    },
    Story {
        name: "S1-lmtp",
        title: "S1, and mail is put behind LMTP",
        hooks: &[Hook::Recipe, Hook::DotForward, Hook::Command],
        delivers: false,
        only: SERVERS,
        play: |stage| behind_lmtp(stage, stories::b_is_refused),
    },
    Story {
        name: "S3-lmtp",
        title: "S3, and mail is put behind LMTP",
        hooks: &[Hook::DotForward],
        delivers: false,
        only: SERVERS,
        play: |stage| behind_lmtp(stage, stories::each_other),
    },
    Story {
        name: "S10-lmtp",
        title: "S10, and mail is put behind LMTP",
        hooks: &[Hook::DotForward],
        delivers: false,
        only: SERVERS,
        play: |stage| behind_lmtp(stage, stories::dies_and_comes_back),
    },
    Story {
        name: "stopped",
        title: "the LMTP server is stopped: queued, then delivered once",
        hooks: &[Hook::DotForward, Hook::Command],
        delivers: true,
        only: SERVERS,
        play: |stage| behind_lmtp(stage, server_is_stopped),
    },
];

fn in_maildir(stage: &mut Stage, play: fn(&mut Stage)) {
    stage.put_mail_into("maildir:~/Maildir");
    play(stage);
}

fn behind_lmtp(stage: &mut Stage, play: fn(&mut Stage)) {
    let server = server(stage);
    stage.put_mail_into(&format!("lmtp:{}", server.socket));
    play(stage);
}

fn server(stage: &Stage) -> &'static PostfixBeside {
    if stage.system() == DOVECOT.name {
        &DOVECOT
    } else {
        &CYRUS
    }
}

fn server_is_stopped(stage: &mut Stage) {
    stories::a_and_s(stage);
    stage.deliver("a.test", "a");
    stage.start();
    stage.letter();
    stage.expect_mail("a@a.test", 1);
    let server = server(stage);
    server.stop(stage.lab.at("a.test"));
    stage.letter();
    stories::expect_queued(stage);
    stage.expect_mail("a@a.test", 1);
    stage.flush("a.test");
    stories::expect_queued(stage);
    server.start(stage.lab.at("a.test"));
    stage.flush("a.test");
    stage.flush("a.test");
    stage.expect_rest(0);
    stage.expect_mail("a@a.test", 2);
    stage.expect_mail("s@s.test", 0);
}

impl PostfixBeside {
    /// Starts the server alone, and waits until it answers.
    fn start(&self, host: &Host) {
        must(&mut host.command(self.start));
        let socket = host.root.join(self.socket.trim_start_matches('/'));
        let what = format!("{} to listen on {}", self.name, host.peer.name);
        wait_for(&what, Duration::from_secs(20), || UnixStream::connect(&socket).is_ok());
    }

    /// Stops the server alone, and waits until nobody answers.
    fn stop(&self, host: &Host) {
        must(&mut host.command(self.stop));
        let socket = host.root.join(self.socket.trim_start_matches('/'));
        let what = format!("{} to stop on {}", self.name, host.peer.name);
        wait_for(&what, Duration::from_secs(20), || UnixStream::connect(&socket).is_err());
    }

    fn serves(&self, host: &Host) -> bool {
        let configured = fs::read_to_string(host.root.join("etc/spoolguard.toml"));
        configured.is_ok_and(|text| text.contains(self.socket))
    }
}

impl MailSystem for PostfixBeside {
    fn name(&self) -> &'static str {
        self.name
    }

    fn configure(&self, host: &Host, peers: &[Peer]) {
        Postfix.configure(host, peers);
        (self.configure)(host);
    }

    fn start(&self, host: &Host) {
        Postfix.start(host);
        if self.serves(host) {
            Self::start(self, host);
        }
    }

    fn is_attempt(&self, line: &str) -> bool {
        Postfix.is_attempt(line)
    }

    fn residents(&self) -> &'static [&'static str] {
        Postfix.residents()
    }

    fn is_busy(&self, host: &Host) -> bool {
        Postfix.is_busy(host)
    }

    fn queued(&self, host: &Host) -> usize {
        Postfix.queued(host)
    }

    fn flush(&self, host: &Host) {
        Postfix.flush(host);
    }

    fn loops(&self, story: &str) -> bool {
        Postfix.loops(story)
    }

    fn tells_every_story(&self) -> bool {
        false
    }
}

fn configure_dovecot(host: &Host) {
    host.write(
        "etc/dovecot/dovecot.conf",
        &format!(
            "protocols = lmtp
mail_location = maildir:~/Maildir
auth_username_format = %Ln
postmaster_address = postmaster@{}
ssl = no
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = passwd
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
",
            host.peer.name
        ),
    );
}

fn configure_cyrus(host: &Host) {
    // A mailbox is made when its first message comes.
    host.write(
        "etc/imapd.conf",
        "configdirectory: /var/lib/cyrus
defaultpartition: default
partition-default: /var/spool/cyrus/mail
mailbox_legacy_dirs: yes
autocreate_quota: 0
autocreate_post: yes
",
    );
    host.write(
        "etc/cyrus.conf",
        "START {
  recover cmd=\"/usr/sbin/cyrus ctl_cyrusdb -r\"
}
SERVICES {
  lmtpunix cmd=\"lmtpd\" listen=\"/run/cyrus/socket/lmtp\" prefork=0
}
EVENTS {
}
",
    );
    let owner = fs::metadata(host.root.join("var/lib/cyrus")).unwrap();
    for dir in ["run/cyrus", "run/cyrus/socket", "run/cyrus/proc", "run/cyrus/lock"] {
        let dir = host.root.join(dir);
        fs::create_dir_all(&dir).unwrap();
        chown(&dir, Some(owner.uid()), Some(owner.gid())).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
