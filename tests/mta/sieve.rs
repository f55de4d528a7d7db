//! Sieve's redirects behind Postfix, Dovecot's LDA and Pigeonhole, with `spoolguard sendmail` as sendmail: a dead
//! redirect ends like a `.forward`, and what Sieve sends otherwise arrives as if the guard were not there.

use crate::beside::PostfixBeside;
use crate::host::Host;
use crate::stage::{Hook, Stage};
use crate::stories::{self, Story};

/// Postfix, whose users have their mail delivered by Dovecot's LDA.
pub static SIEVE: PostfixBeside = PostfixBeside {
    name: "sieve",
    configure,
    server: None,
};

const ONLY: &[&str] = &["sieve"];

/// The stories.
pub const STORIES: &[Story] = &[
    Story {
        name: "S1-sieve",
        title: "S1 with a redirect of Sieve",
        hooks: &[Hook::Command],
        delivers: false,
        only: ONLY,
        play: |stage| in_maildir(stage, stories::b_is_refused),
    },
    Story {
        name: "S3-sieve",
        title: "S3 with redirects of Sieve",
        hooks: &[Hook::Command],
        delivers: false,
        only: ONLY,
        play: |stage| in_maildir(stage, stories::each_other),
    },
    Story {
        name: "S10-sieve",
        title: "S10 with a redirect of Sieve",
        hooks: &[Hook::Command],
        delivers: false,
        only: ONLY,
        play: |stage| in_maildir(stage, stories::dies_and_comes_back),
    },
    Story {
        name: "sieve-others",
        title: "vacation, reject, notify and redirect :copy as without the guard",
        hooks: &[Hook::Command],
        delivers: true,
        only: ONLY,
        play: others,
    },
];

/// Where Dovecot keeps mail.
fn in_maildir(stage: &mut Stage, play: fn(&mut Stage)) {
    stage.put_mail_into("maildir:~/Maildir");
    play(stage);
}

/// A user's script and what comes of one letter: messages of the user, of the writer, and of b.
const SCRIPTS: &[(&str, &str, [usize; 3])] = &[
    ("v", "require \"vacation\"; vacation \"I am away.\";", [1, 1, 0]),
    ("r", "require \"reject\"; reject \"No, thank you.\";", [0, 1, 0]),
    ("c", "require \"copy\"; redirect :copy \"b@b.test\";", [1, 0, 1]),
    (
        "n",
        "require \"enotify\"; notify :message \"There is mail.\" \"mailto:b@b.test\";",
        [1, 0, 1],
    ),
];

fn others(stage: &mut Stage) {
    stage.put_mail_into("maildir:~/Maildir");
    let users: Vec<&str> = SCRIPTS.iter().map(|(user, ..)| *user).chain(["admin"]).collect();
    let host = stage.host("a.test", &users);
    for (user, script, _) in SCRIPTS {
        host.write_home(user, SCRIPT, &format!("{script}\n"));
        host.commands.insert((*user).to_owned(), String::new());
    }
    stage.host("s.test", &["s"]);
    stage.host("b.test", &["b"]);
    stage.start();
    let (mut writer, mut at_b) = (0, 0);
    for (user, _, [own, to_writer, to_b]) in SCRIPTS {
        stage.send("s.test", "s@s.test", &format!("{user}@a.test"));
        stage.settle();
        (writer, at_b) = (writer + to_writer, at_b + to_b);
        stage.check_equal(&format!("messages of {user}"), stage.mailbox("a.test", user), *own);
        stage.check_equal(
            &format!("messages of the writer, after {user}"),
            stage.mailbox("s.test", "s"),
            writer,
        );
        stage.check_equal(
            &format!("messages of b, after {user}"),
            stage.mailbox("b.test", "b"),
            at_b,
        );
    }
    let (told, copied) = (stage.mail("s.test", "s"), stage.mail("b.test", "b"));
    for words in ["I am away.", "No, thank you."] {
        stage.check(told.contains(words), &format!("the writer reads: {words}"));
    }
    stage.check(copied.contains("There is mail."), "the notification arrives");
    // Only the redirect is a guarded forward.
    stage.check_equal(
        "forwards by the guard",
        copied.matches("\nX-Loop: c@a.test\n").count(),
        1,
    );
    stage.check_equal("marks of the guard", (told + &copied).matches("\nX-Loop: ").count(), 1);
    stage.expect_rest(0);
}

/// A user's script, below the home directory.
const SCRIPT: &str = ".dovecot.sieve";

/// Postfix starts it as the user.
const LDA: &str = "/usr/lib/dovecot/dovecot-lda -f \"$SENDER\" -a \"$RECIPIENT\"";

/// Whoever would have a guarded forward as delivery command has a redirect.
fn configure(host: &Host) {
    let mut table = String::new();
    for (user, command) in &host.commands {
        if let Some((_, to)) = command.split_once(" forward ") {
            host.write_home(user, SCRIPT, &format!("redirect \"{to}\";\n"));
        }
        table.push_str(&format!("{user} {LDA}\n"));
    }
    host.write("etc/postfix/commands", &table);
    host.write(
        "etc/dovecot/dovecot.conf",
        &format!(
            "mail_location = maildir:~/Maildir
postmaster_address = postmaster@{}
hostname = {0}
log_path = /dev/null
ssl = no
protocol lda {{
  mail_plugins = sieve
}}
plugin {{
  sieve = ~/{SCRIPT}
}}
{}",
            host.peer.name,
            include_str!("../../contrib/sieve/redirect.conf")
        ),
    );
}
