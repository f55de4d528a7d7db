//! Each command in a block of README.md and of the book is run here, in a world of its own, or its block says in the
//! source of the page why not: `<!-- not run: REASON -->` stands before it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User};

use crate::support::{ORDINARY, PROGRAM, Scratch, is_root, skip, user_name};

/// What is run.
const RUN: [&str; 3] = ["spoolguard", "mkdir", "mv"];

/// What is not, and how people begin commands.
const OTHERS: [&str; 25] = [
    "apt",
    "cargo",
    "chgrp",
    "chmod",
    "chown",
    "dpkg-statoverride",
    "exim",
    "exim4",
    "grep",
    "head",
    "install",
    "journalctl",
    "ln",
    "newaliases",
    "postalias",
    "postconf",
    "postfix",
    "postmap",
    "rm",
    "rustup",
    "sh",
    "systemctl",
    "smtpd",
    "update-exim4.conf",
    "useradd",
];

const MARK: &str = "<!-- not run: ";

/// An indented block, and why it is not run.
#[derive(Debug, Default)]
struct Block {
    lines: Vec<String>,
    reason: Option<String>,
}

impl Block {
    /// Its commands; in a transcript, what stands behind a prompt.
    fn commands(&self) -> Vec<&str> {
        let is_transcript = self.lines.iter().any(|line| line.starts_with("$ "));
        let commands = self.lines.iter().filter_map(|line| match is_transcript {
            true => line.strip_prefix("$ "),
            false => {
                let word = line.split_ascii_whitespace().next()?;
                (RUN.contains(&word) || OTHERS.contains(&word)).then_some(line.as_str())
            }
        });
        commands.collect()
    }
}

/// The indented blocks of a page, also within lists.
fn blocks(text: &str) -> Vec<Block> {
    let (mut found, mut reason, mut before_is_empty) = (Vec::<Block>::new(), None, true);
    let mut is_inside = false;
    for line in text.lines() {
        let content = line.trim_start();
        if content.is_empty() {
            (is_inside, before_is_empty) = (false, true);
            continue;
        }
        if let Some(mark) = content.strip_prefix(MARK) {
            reason = Some(mark.trim_end_matches("-->").trim().to_owned());
            assert!(reason.as_deref() != Some(""), "a mark without a reason");
        } else if line.starts_with("    ") && (is_inside || before_is_empty) {
            if !is_inside {
                found.push(Block {
                    lines: Vec::new(),
                    reason: reason.take(),
                });
            }
            is_inside = true;
            found.last_mut().unwrap().lines.push(content.to_owned());
            continue;
        } else {
            reason = None;
        }
        (is_inside, before_is_empty) = (false, false);
    }
    found
}

fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("README.md")];
    let book = fs::read_dir(root.join("docs/src"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths.extend(book.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    paths.sort();
    let read = |path: &Path| {
        (
            path.file_name().unwrap().to_string_lossy().into_owned(),
            fs::read_to_string(path).unwrap(),
        )
    };
    paths.iter().map(|path| read(path)).collect()
}

const BOUNCE: &str = "From: MAILER-DAEMON@example.org (Mail Delivery System)\nReturn-Path: <>\nTo: alice@example.org\n\
    Subject: Undelivered Mail Returned to Sender\nMessage-ID: <2@example.org>\nMIME-Version: 1.0\n\
    Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nsorry\n\n--b\nContent-Type: message/delivery-status\n\n\
    Reporting-MTA: dns; example.org\n\nFinal-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.1\n\n--b\n\
    Content-Type: message/rfc822\n\nFrom: sam@example.com\nTo: alice@example.org\nMessage-ID: <lost@example.com>\nX-Loop: alice@example.org\n\
    Subject: lost\n\nlost\n\n--b--\n";

/// The directory of an alias. Root's runs become its owner, and no MTA runs one as root.
fn make_alias(scratch: &mut Scratch) {
    let aliases = scratch.path("aliases");
    scratch.change("aliases.dir", &format!("{:?}", aliases.display().to_string()));
    let home = aliases.join("sales");
    fs::create_dir_all(&home).unwrap();
    for dir in [&aliases, &home] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
        if is_root() {
            chown(dir, Some(65534), Some(65534)).unwrap();
            scratch.open_to_all();
        }
    }
}

/// Alice's world, with the name of whoever runs this: a mailbox, an archive, a suspended address, mail in files.
struct World(Scratch);

impl World {
    fn make(page: &str) -> Self {
        let mut scratch = Scratch::new();
        let archives = scratch.path("archives");
        scratch.change("archive.dir", &format!("{:?}", archives.display().to_string()));
        scratch.change("addresses", "[\"alice@example.org\"]");
        let work = scratch.path("work");
        for dir in [&work, &archives, &scratch.path("bin"), &scratch.path("programs")] {
            fs::create_dir(dir).unwrap();
        }
        fs::set_permissions(&archives, fs::Permissions::from_mode(0o700)).unwrap();
        make_alias(&mut scratch);
        let ordinary = String::from_utf8_lossy(ORDINARY);
        let letters = [&*ordinary, BOUNCE, &*ordinary]
            .map(|letter| format!("From s@s.test Mon Nov  2 03:00:00 2015\n{letter}\n"));
        fs::write(scratch.mailbox(), letters.concat()).unwrap();
        fs::set_permissions(scratch.mailbox(), fs::Permissions::from_mode(0o600)).unwrap();
        let user = user_name();
        for archive in [
            archives.join(format!("{user}-20261102T031500Z.tar.gz")),
            work.join(format!("{user}_old.tar.gz")),
        ] {
            let mut tar = Command::new("tar");
            tar.arg("czf")
                .arg(archive)
                .arg("-C")
                .arg(scratch.path("spool"))
                .arg(&user);
            assert!(tar.status().unwrap().success());
        }
        fs::write(work.join("message"), ORDINARY).unwrap();
        fs::write(work.join("bounce"), BOUNCE).unwrap();
        for name in ["try.toml", "new.toml"] {
            fs::write(work.join(name), "").unwrap();
        }
        scratch
            .run(&["status", "--suspend", "bob@example.net"])
            .go()
            .ends_with(0);
        scratch.forward(ORDINARY, &["bob@example.net"]).go().succeeds();
        let wrapper = format!(
            "case \"$1\" in --config) exec '{PROGRAM}' \"$@\" ;; esac\nexec '{PROGRAM}' --config '{}' \"$@\"",
            scratch.configuration().display()
        );
        scratch.script("bin/spoolguard", &wrapper);
        let world = Self(scratch);
        // The configuration that the page itself shows.
        if let Some(shown) = blocks(page)
            .iter()
            .find(|block| block.lines.iter().any(|line| line.contains("/tmp/try/state")))
        {
            fs::write(world.0.path("work/try.toml"), world.at_home(&shown.lines.join("\n"))).unwrap();
        }
        world
    }

    /// The same text with the names and places of this world.
    fn at_home(&self, text: &str) -> String {
        let (user, kept) = (user_name(), "\u{1}");
        text.replace("/var/mail/alice", &self.0.mailbox().display().to_string())
            .replace(
                "/var/lib/prometheus/node-exporter",
                &self.0.path("work").display().to_string(),
            )
            .replace("/tmp/try", &self.0.path("try").display().to_string())
            .replace("alice@", kept)
            .replace("alice", &user)
            .replace(kept, "alice@")
    }

    /// Runs it in a shell; what it did, for whoever reads of a failure.
    fn run(&self, command: &str) -> (Option<i32>, String) {
        let output = Command::new("/bin/sh")
            .args(["-c", &self.at_home(command)])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.0.path("bin").display()))
            .env("HOME", self.0.path("home"))
            .env("TZ", "UTC")
            .env("SPOOLGUARD_PATH", self.0.path("programs"))
            .current_dir(self.0.path("work"))
            .stdin(Stdio::from(fs::File::open(self.0.path("work/message")).unwrap()))
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.code(), said.concat())
    }
}

#[test]
fn each_command_in_a_page_is_run_or_marked_as_not() {
    if User::from_uid(Uid::current()).ok().flatten().is_none() {
        return skip("whoever runs this has no name, and pages speak of alice");
    }
    let (mut run, mut failed) = (0, Vec::new());
    for (page, text) in pages() {
        for block in blocks(&text) {
            let commands = block.commands();
            if commands.is_empty() {
                assert_eq!(
                    block.reason, None,
                    "{page}: a mark before what is no command: {block:?}"
                );
                continue;
            }
            if block.reason.is_some() {
                continue;
            }
            let world = World::make(&text);
            for command in commands {
                if !RUN.iter().any(|word| command.starts_with(&format!("{word} "))) {
                    failed.push(format!("{page}: neither run nor marked: {command}"));
                    continue;
                }
                if command.starts_with("spoolguard status --all") && !is_root() {
                    // Each user is looked at by a run that becomes that user.
                    continue;
                }
                run += 1;
                let (status, said) = world.run(command);
                // 1 says what it found, or that nothing was done.
                let is_well =
                    status == Some(0) || status == Some(1) && (command.contains(" > ") || !said.trim().is_empty());
                if !is_well {
                    failed.push(format!("{page}: {command}: {status:?}: {said}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(run > 30, "{run} commands");
}

#[test]
fn a_command_without_a_mark_is_found() {
    let page = "1. Do:\n\n       spoolguard status\n\n<!-- not run: needs Postfix -->\n\n    postfix reload\n\ntext\n    no block\n\n    a = 1\n";
    let found: Vec<_> = blocks(page)
        .iter()
        .map(|block| (block.commands().join(";"), block.reason.is_some()))
        .collect();
    let want = [("spoolguard status", false), ("postfix reload", true), ("", false)];
    assert_eq!(found, want.map(|(commands, marked)| (commands.to_owned(), marked)));
}
