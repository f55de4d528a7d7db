//! Mailboxes that are no mbox: Maildirs, and what Dovecot and Cyrus keep behind LMTP, beside Postfix. The loops end
//! there as they do with mboxes, and a server that is stopped costs nothing but time.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use crate::beside::{LmtpServer, PostfixBeside};
use crate::host::Host;
use crate::rcpt;
use crate::stage::{Hook, Stage};
use crate::stories::{self, Story};

/// Postfix and Dovecot 2.3.
pub static DOVECOT: PostfixBeside = PostfixBeside {
    name: "dovecot",
    configure: configure_dovecot,
    server: Some(LmtpServer {
        socket: "/run/dovecot/lmtp",
        start: &["dovecot"],
        stop: &["doveadm", "stop"],
        worker: "lmtp",
    }),
};

/// Postfix and Cyrus 3.6.
pub static CYRUS: PostfixBeside = PostfixBeside {
    name: "cyrus",
    configure: configure_cyrus,
    server: Some(LmtpServer {
        socket: "/run/cyrus/socket/lmtp",
        start: &["/usr/sbin/cyrmaster", "-d"],
        // A master that is told to end while somebody connects may go round in its loop and end no more: then it is
        // killed, as init systems do.
        stop: &[
            "sh",
            "-c",
            "pkill cyrmaster; timeout 5 sh -c 'while pgrep -r D,R,S cyrmaster; do sleep 0.1; done' || pkill -KILL cyrmaster",
        ],
        worker: "lmtpd",
    }),
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
    Story {
        name: "restarted",
        title: "the LMTP server is restarted in the middle of 200 deliveries: all are there once",
        hooks: &[Hook::DotForward, Hook::Command],
        delivers: true,
        only: SERVERS,
        play: |stage| behind_lmtp(stage, server_is_restarted),
    },
    Story {
        name: "killed",
        title: "the LMTP server is killed all the time during 200 deliveries: all are there, twice only what was told",
        hooks: &[Hook::Command],
        delivers: true,
        only: SERVERS,
        play: |stage| behind_lmtp(stage, server_is_killed),
    },
    Story {
        name: "rcpt-full-lmtp",
        title: "who is over the quota of Dovecot is refused at RCPT, and nobody gets a bounce",
        hooks: &[Hook::Command],
        delivers: true,
        only: &["dovecot"],
        play: |stage| behind_lmtp(stage, rcpt::play_lmtp),
    },
];

/// Dovecot's quota, looked at when a recipient is named.
const DOVECOT_QUOTA: &str = "mail_plugins = quota
lmtp_rcpt_check_quota = yes
plugin {
  quota = maildir:User quota
  quota_rule = *:bytes=4096
}
";

fn in_maildir(stage: &mut Stage, play: fn(&mut Stage)) {
    stage.put_mail_into("maildir:~/Maildir");
    play(stage);
}

fn behind_lmtp(stage: &mut Stage, play: fn(&mut Stage)) {
    let server = server(stage);
    stage.put_mail_into(&format!("lmtp:{}", server.socket));
    play(stage);
}

/// The server that keeps the mailboxes of the scene.
pub fn server(stage: &Stage) -> &'static LmtpServer {
    let system = if stage.system() == DOVECOT.name {
        &DOVECOT
    } else {
        &CYRUS
    };
    system.server.as_ref().unwrap()
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

/// Restarts it at two points of a long row of letters, the second time with a pause in which letters are deferred.
fn server_is_restarted(stage: &mut Stage) {
    stories::a_and_s(stage);
    stage.deliver("a.test", "a");
    stage.start();
    let server = server(stage);
    for number in 1..=stories::MANY {
        stage.send("s.test", "s@s.test", "a@a.test");
        match number {
            60 => {
                server.stop(stage.lab.at("a.test"));
                server.start(stage.lab.at("a.test"));
            }
            120 => server.stop(stage.lab.at("a.test")),
            150 => server.start(stage.lab.at("a.test")),
            _ => {}
        }
    }
    stage.settle_many(20 * stories::MANY, stories::CALM);
    let deferred = stage.lab.queued();
    stage.flush("a.test");
    stage.settle_many(20 * stories::MANY, stories::CALM);
    let (readable, twice) = stories::readable(stage);
    stage.count(format!(
        "{} letters, {deferred} of them deferred while {} was down: {readable} there, {} twice",
        stories::MANY,
        stage.system(),
        twice.len()
    ));
    stage.check(deferred > 0, "some came while it was down");
    stage.check_equal("letters that a can read", readable, stories::MANY);
    stage.check_equal("letters that a has more than once", twice, Vec::new());
    stage.expect_rest(0);
    stage.expect_mail("s@s.test", 0);
}

/// Kills it without warning, wherever in a conversation that is.
fn server_is_killed(stage: &mut Stage) {
    stories::a_and_s(stage);
    stage.deliver("a.test", "a");
    stage.start();
    let mut killing = server(stage).keep_killing(stage.lab.at("a.test"));
    for _ in 1..=stories::MANY {
        stage.send("s.test", "s@s.test", "a@a.test");
    }
    stage.settle_many(20 * stories::MANY, stories::CALM);
    killing.kill().unwrap();
    killing.wait().unwrap();
    let deferred = stage.lab.queued();
    // Cyrus' master starts no more of them by now.
    server(stage).stop(stage.lab.at("a.test"));
    server(stage).start(stage.lab.at("a.test"));
    for _ in 0..2 {
        stage.flush("a.test");
        stage.settle_many(20 * stories::MANY, stories::CALM);
    }
    let (readable, twice) = stories::readable(stage);
    let told = stage.lab.log().matches("may have it, and then have it twice").count();
    stage.count(format!(
        "{} letters, {deferred} deferred while {} was killed: {readable} there, {} twice, told {told} times",
        stories::MANY,
        stage.system(),
        twice.len()
    ));
    stage.check(deferred > 0, "some were cut off");
    stage.check_equal("letters that a can read", readable, stories::MANY);
    stage.check(twice.len() <= told, "what came twice was told");
    stage.expect_rest(0);
    stage.expect_mail("s@s.test", 0);
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
{}",
            host.peer.name,
            if host.asks.is_some() { DOVECOT_QUOTA } else { "" }
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
