//! `spool restore`: archived mail comes back whole, once, and from whatever tool packed it.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};

use crate::robust::slow::on_a_file_system_of_its_own;
use crate::spool::archive::strace_works;
use crate::support::{Run, Scratch, contains, has_attributes, is_root, messages, same, shown, skip, user_name};

/// The messages from `first` up to `last`.
fn mail(first: usize, last: usize) -> Vec<u8> {
    (first..last)
        .flat_map(|n| {
            format!(
                "From s{n}@s.test Mon Nov  2 10:{:02}:00 2026\nFrom: S{n} <s{n}@s.test>\nMessage-ID: <{n}@s.test>\n\
                 Subject: number {n}\n\nThis is {n}.\n>From here on quoted.\n\n",
                n % 60
            )
            .into_bytes()
        })
        .collect()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(content).unwrap();
    gz.finish().unwrap()
}

/// An archive of the user's mailbox with this content.
fn archive(scratch: &Scratch, content: &[u8]) -> PathBuf {
    let path = scratch.path(&format!("{}.gz", user_name()));
    fs::write(&path, gzip(content)).unwrap();
    path
}

fn restore<'a>(scratch: &'a Scratch, archive: &Path) -> Run<'a> {
    scratch.run(&["spool", "restore", "--yes", archive.to_str().unwrap()])
}

fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// Runs a line of a shell in the directory of the test.
fn shell(scratch: &Scratch, line: &str) {
    let status = Command::new("/bin/sh")
        .args(["-ec", line])
        .current_dir(scratch.path("."))
        .status();
    assert!(status.unwrap().success(), "{line}");
}

#[test]
fn what_other_tools_packed_comes_back_byte_for_byte_and_once() {
    let user = user_name();
    let mut cases = vec![
        (
            format!("{user}_old.tar.gz"),
            format!("tar czf {user}_old.tar.gz -C spool {user}"),
        ),
        ("x.tar".to_owned(), format!("tar cf x.tar spool/{user}")),
        ("y.tgz".to_owned(), "tar czf y.tgz spool".to_owned()),
        (format!("{user}.gz"), format!("gzip -c spool/{user} >{user}.gz")),
        (
            "z.gz".to_owned(),
            format!("gzip -k spool/{user}; mv spool/{user}.gz z.gz"),
        ),
        (user.clone(), format!("cp spool/{user} {user}")),
    ];
    if has("zstd") {
        cases.push((
            format!("{user}.mbox.zst"),
            format!("zstd -q spool/{user} -o {user}.mbox.zst"),
        ));
    } else {
        skip("zstd is not installed");
    }
    for (name, line) in cases {
        let scratch = Scratch::new();
        let content = mail(0, 300);
        fs::write(scratch.mailbox(), &content).unwrap();
        shell(&scratch, &line);
        fs::write(scratch.mailbox(), b"").unwrap();
        let first = restore(&scratch, &scratch.path(&name)).go();
        first.ends_with(0).check(
            contains(&first.stdout, b"restored 300 messages") && first.stderr.is_empty(),
            &name,
        );
        same(&scratch.mail(), &content);
        let again = restore(&scratch, &scratch.path(&name)).go();
        again
            .ends_with(0)
            .check(contains(&again.stdout, b"restored 0 messages"), &name);
        again.check(contains(&again.stdout, b"300 already there"), &name);
        same(&scratch.mail(), &content);
        assert!(!scratch.dotlock().exists());
    }
}

#[test]
fn only_what_is_missing_comes_back_whatever_became_of_the_rest() {
    let scratch = Scratch::new();
    let archive = archive(&scratch, &mail(0, 6));
    let here = String::from_utf8(mail(1, 4)).unwrap();
    let changed = here
        .replace("Message-ID: <1@", "Status: RO\nX-Status: A\nX-UID: 12\nMessage-ID: <1@")
        .replace("From s2@s.test Mon Nov  2", "From MAILER-DAEMON Tue Nov  3")
        .replace(">From here on quoted.\n\nFrom s3", "From here on quoted.\n\nFrom s3");
    assert_ne!(here, changed);
    fs::write(scratch.mailbox(), &changed).unwrap();
    let ended = restore(&scratch, &archive).go();
    ended
        .ends_with(0)
        .check(contains(&ended.stdout, b"restored 3 messages"), "not three");
    let want = [changed.as_bytes(), &mail(0, 1), &mail(4, 6)].concat();
    same(&scratch.mail(), &want);
}

#[test]
fn of_equal_messages_as_many_come_back_as_there_were() {
    let scratch = Scratch::new();
    let archive = archive(&scratch, &[mail(0, 1), mail(0, 1), mail(0, 1), mail(1, 2)].concat());
    fs::write(scratch.mailbox(), mail(0, 1)).unwrap();
    restore(&scratch, &archive).go().ends_with(0);
    same(
        &scratch.mail(),
        &[mail(0, 1), mail(0, 1), mail(0, 1), mail(1, 2)].concat(),
    );
    restore(&scratch, &archive).go().ends_with(0);
    assert_eq!(messages(&scratch.mail()).len(), 4);
}

#[test]
fn a_selection_comes_back_alone() {
    for (arguments, want) in [
        (
            &["--message-id", "2@s.test", "--message-id", "<0@s.test>"][..],
            vec![0, 2],
        ),
        (&["--from", "S3 <"], vec![3]),
        (&["--from", "s1@S.test"], vec![1]),
        (&["--since", "2026-11-02T10:02"], vec![2, 3]),
        (&["--until", "2026-11-02T10:02", "--from", "s1"], vec![1]),
        (&["--since", "2026-11-02", "--until", "2026-11-03"], vec![0, 1, 2, 3]),
    ] {
        let scratch = Scratch::new();
        let archive = archive(&scratch, &mail(0, 4));
        restore(&scratch, &archive).with(arguments).go().ends_with(0);
        let want: Vec<u8> = want.into_iter().flat_map(|n| mail(n, n + 1)).collect();
        same(&scratch.mail(), &want);
    }
    let scratch = Scratch::new();
    let archive = archive(&scratch, &mail(0, 4));
    let ended = restore(&scratch, &archive).with(&["--from", "nobody"]).go();
    ended.ends_with(1).mentions("no message is what was asked for");
    let ended = restore(&scratch, &archive).with(&["--since", "lately"]).go();
    ended.mentions("cannot understand --since: \"lately\" is no date; write 2026-11-02");
    ended.check(ended.code == Some(64) && scratch.mail().is_empty(), "it goes on");
}

#[test]
fn a_list_says_what_is_there_and_changes_nothing() {
    let scratch = Scratch::new();
    let archive = archive(&scratch, &mail(0, 3));
    let ended = restore(&scratch, &archive).with(&["--list"]).go();
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    ended.ends_with(0).check(text.lines().count() == 3, "not three lines");
    let line = text.lines().nth(1).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    let want = "2026-11-02 10:01:00 137 S1 <s1@s.test> number 1 <1@s.test>";
    ended.check(words == want.split(' ').collect::<Vec<_>>(), want);
    let ended = restore(&scratch, &archive)
        .with(&["--list", "--json", "--from", "s2"])
        .go();
    let line: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    for (key, want) in [
        ("mailbox", user_name().as_str()),
        ("date", "2026-11-02T10:02:00"),
        ("sender", "s2@s.test"),
        ("from", "S2 <s2@s.test>"),
        ("subject", "number 2"),
        ("message_id", "<2@s.test>"),
        ("archive", archive.to_str().unwrap()),
    ] {
        assert_eq!(line[key], want, "{key}");
    }
    assert_eq!((&line["offset"], &line["size"]), (&274.into(), &137.into()));
    assert!(!scratch.mailbox().exists());
}

#[test]
fn a_dry_run_says_what_would_be_done() {
    let scratch = Scratch::new();
    let archive = archive(&scratch, &mail(0, 3));
    fs::write(scratch.mailbox(), mail(1, 2)).unwrap();
    let ended = restore(&scratch, &archive).with(&["--dry-run"]).go();
    ended
        .ends_with(0)
        .check(contains(&ended.stdout, b"would restore 2 messages"), "not two")
        .check(contains(&ended.stdout, b"1 already there"), "not one");
    same(&scratch.mail(), &mail(1, 2));
}

#[test]
fn what_is_over_quota_stays_archived_unless_it_is_ignored() {
    for (key, value) in [("quota.limit", "\"320B\""), ("quota.messages", "2")] {
        let scratch = Scratch::new().set(key, value);
        let archive = archive(&scratch, &mail(0, 4));
        let ended = restore(&scratch, &archive).go();
        // What helps is told to whoever may do it.
        let hint = if is_root() {
            "raise the quota, or use --ignore-quota"
        } else {
            "ask the administrator for a larger quota"
        };
        ended
            .ends_with(1)
            .mentions("the mailbox has no room for 2 messages; ")
            .mentions(hint);
        same(&scratch.mail(), &mail(0, 2));
        let dry = restore(&scratch, &archive).with(&["--dry-run"]).go();
        dry.ends_with(1).mentions("no room for 2 messages");
        restore(&scratch, &archive).with(&["--ignore-quota"]).go().ends_with(0);
        same(&scratch.mail(), &mail(0, 4));
    }
    let scratch = Scratch::new().set("mailbox.min_free", "\"1000T\"");
    let archive = archive(&scratch, &mail(0, 4));
    let ended = restore(&scratch, &archive).with(&["--ignore-quota"]).go();
    ended.ends_with(1).mentions("min_free asks for");
    assert!(scratch.mail().is_empty());
}

#[test]
fn a_damaged_archive_changes_nothing_and_stops_no_other() {
    let scratch = Scratch::new();
    let good = archive(&scratch, &mail(0, 50));
    let whole = fs::read(&good).unwrap();
    let bad = scratch.path("bad.gz");
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let cases: [(&[u8], &str); 6] = [
        (&whole[..whole.len() - 1], "it ends too early"),
        (&whole[..whole.len() / 2], "it ends too early"),
        (&flipped, "it is damaged ("),
        (b"", "it is empty"),
        (b"no mail\n", "it holds neither a mailbox nor a tar archive"),
        (&gzip(b"no mail\n"), "it holds neither a mailbox nor a tar archive"),
    ];
    for (content, cause) in cases {
        fs::write(&bad, content).unwrap();
        let ended = restore(&scratch, &bad).with(&["--user", &user_name()]).go();
        ended
            .ends_with(1)
            .mentions(&format!("cannot read archive {}: {cause}", bad.display()));
        ended.check(scratch.mail().is_empty(), "something came back");
    }
    let ended = restore(&scratch, &bad).with(&[good.to_str().unwrap()]).go();
    ended.ends_with(1);
    same(&scratch.mail(), &mail(0, 50));
}

#[test]
fn what_is_no_regular_archive_is_refused() {
    let scratch = Scratch::new();
    nix::unistd::mkfifo(&scratch.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (name, cause) in [
        ("fifo", "cannot read archive"),
        ("spool", "cannot read archive"),
        ("absent.tar.gz", "cannot open archive"),
    ] {
        restore(&scratch, &scratch.path(name)).go().ends_with(1).mentions(cause);
    }
}

#[test]
fn an_odd_mailbox_is_refused_and_left_alone() {
    let scratch = Scratch::new();
    let archive = archive(&scratch, &mail(0, 2));
    let elsewhere = scratch.path("elsewhere");
    fs::write(&elsewhere, b"secret").unwrap();
    let mailbox = scratch.mailbox();
    let odd: [(&str, &dyn Fn()); 3] = [
        ("it is a symbolic link", &|| symlink(&elsewhere, &mailbox).unwrap()),
        ("it has more than one link", &|| {
            fs::hard_link(&elsewhere, &mailbox).unwrap()
        }),
        ("it is no regular file", &|| {
            nix::unistd::mkfifo(&mailbox, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }),
    ];
    for (cause, make) in odd {
        make();
        restore(&scratch, &archive).go().ends_with(1).mentions(cause);
        fs::remove_file(&mailbox).unwrap();
    }
    same(&fs::read(elsewhere).unwrap(), b"secret");
}

#[test]
fn a_tar_of_many_mailboxes_goes_to_each_or_to_the_named_one() {
    let user = user_name();
    let make = |scratch: &Scratch| {
        fs::write(scratch.mailbox(), mail(0, 2)).unwrap();
        fs::write(scratch.path("spool/other"), mail(2, 4)).unwrap();
        fs::write(scratch.path("spool/note"), b"no mail\n").unwrap();
        shell(scratch, "tar czf all.tar.gz spool; rm spool/note");
        for path in scratch.files("spool") {
            fs::write(path, b"").unwrap();
        }
    };
    let scratch = Scratch::new();
    make(&scratch);
    let all = scratch.path("all.tar.gz");
    let ended = restore(&scratch, &all).go();
    ended
        .ends_with(0)
        .check(contains(&ended.stdout, b"left out note: it is no mailbox"), "not said");
    same(&scratch.mail(), &mail(0, 2));
    same(&fs::read(scratch.path("spool/other")).unwrap(), &mail(2, 4));

    let scratch = Scratch::new();
    make(&scratch);
    let all = scratch.path("all.tar.gz");
    restore(&scratch, &all).with(&["--user", &user]).go().ends_with(0);
    same(&scratch.mail(), &mail(0, 2));
    assert!(fs::read(scratch.path("spool/other")).unwrap().is_empty());
    let ended = restore(&scratch, &all).with(&["--user", "somebody"]).go();
    ended.ends_with(1);
    let file = scratch.path("file");
    restore(&scratch, &all)
        .with(&["--mailbox", file.to_str().unwrap()])
        .go()
        .ends_with(0);
    let mut restored: Vec<Vec<u8>> = messages(&fs::read(file).unwrap())
        .into_iter()
        .map(<[u8]>::to_vec)
        .collect();
    restored.sort();
    same(&restored.concat(), &mail(0, 4));
}

#[test]
fn whose_mail_it_is_has_to_be_known() {
    let scratch = Scratch::new();
    let path = scratch.path("nobody-knows-whose.gz");
    fs::write(&path, gzip(&mail(0, 1))).unwrap();
    let ended = restore(&scratch, &path).go();
    ended.ends_with(1).mentions("say --user NAME, or --mailbox PATH");
    assert!(scratch.files("spool").is_empty());
    // A name that leads out of the directory is none.
    shell(&scratch, "cp nobody-knows-whose.gz ...gz");
    restore(&scratch, &scratch.path("...gz"))
        .go()
        .ends_with(1)
        .mentions("this is no user name");
}

#[test]
fn a_part_that_a_killed_run_left_is_replaced_by_the_whole() {
    let scratch = Scratch::new();
    let archive = archive(&scratch, &mail(0, 3));
    let before = mail(0, 1);
    let whole = mail(0, 3);
    for end in before.len()..whole.len() {
        fs::write(scratch.mailbox(), &whole[..end]).unwrap();
        let ended = restore(&scratch, &archive).go();
        ended.ends_with(0);
        let got = scratch.mail();
        // What only lacks its last line ends counts as whole.
        ended.check(
            got.trim_ascii_end() == whole.trim_ascii_end(),
            &format!("cut at {end}: {}", shown(&got)),
        );
    }
}

/// What a run leaves that is killed in the middle of its second message: the note, and so much of the message as there
/// is then.
#[test]
fn a_part_that_a_killed_run_left_is_cut_off_by_the_next_run() {
    let scratch = Scratch::new();
    if !strace_works() {
        return skip("needs strace, and leave to use it");
    }
    if !has_attributes(&scratch.configuration()) {
        return skip("needs a file system with extended attributes below the temporary directory");
    }
    let (first, whole) = (mail(0, 1), mail(0, 3));
    let content = archive(&scratch, &whole);
    fs::write(scratch.mailbox(), b"").unwrap();
    let line = format!(
        "exec strace -f -o /dev/null -P '{}' -e trace=write -e inject=write:signal=KILL:when=2 \"$@\"",
        scratch.mailbox().display()
    );
    let killed = restore(&scratch, &content)
        .shell_line(&line)
        .variable("PATH", "/usr/bin:/bin")
        .go();
    killed.check(killed.code != Some(0), "it was not killed");
    same(&scratch.mail(), &first);
    let notes = notes(&scratch.mailbox());
    killed.check(notes.len() == 1, &format!("{notes:?}"));
    let foreign = mail(9, 10);
    let name = user_name();
    for end in (first.len() + 1..first.len() + 137).step_by(17) {
        for next in ["deliver", "restore", "archive", "foreign"] {
            // A piece of a separator line that others deliver behind is text of the message before, which is another
            // one then.
            if next == "foreign" && end < first.len() + 40 {
                continue;
            }
            let scratch = Scratch::new();
            fs::create_dir(scratch.path("archives")).unwrap();
            let archives = format!("{:?}", scratch.path("archives").display().to_string());
            let scratch = scratch.set("archive.dir", &archives);
            let archive = archive(&scratch, &whole);
            fs::write(scratch.mailbox(), &whole[..end]).unwrap();
            for (name, value) in &notes {
                lsetxattr(scratch.mailbox(), name.as_str(), value, XattrFlags::empty()).unwrap();
            }
            let at = format!("cut at {end}, then {next}");
            match next {
                "deliver" => scratch.next_delivery_comes_behind(&first),
                "restore" => {
                    restore(&scratch, &archive).go().ends_with(0);
                    same(&scratch.mail(), &whole);
                }
                "archive" => {
                    scratch
                        .run(&["spool", "archive", "--yes", &name, "--all-mail"])
                        .go()
                        .ends_with(0);
                    let packed = crate::spool::archive::unpacked(&scratch.files("archives")[0]);
                    same(&packed, &first);
                }
                _ => {
                    // Somebody who knows nothing of notes, and closes the part or does not.
                    let mut file = File::options().append(true).open(scratch.mailbox()).unwrap();
                    file.write_all(&[b"\n\n", foreign.as_slice()].concat()).unwrap();
                    restore(&scratch, &archive).go().ends_with(0);
                    let got = scratch.mail();
                    for number in [0, 1, 2, 9] {
                        let one = mail(number, number + 1);
                        assert_eq!(
                            memchr::memmem::find_iter(&got, &one).count(),
                            1,
                            "{at}: {}",
                            shown(&got)
                        );
                    }
                }
            }
            assert!(self::notes(&scratch.mailbox()).is_empty(), "{at}");
        }
    }
}

/// The notes on a mailbox.
fn notes(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut buffer = [0; 4096];
    let length = llistxattr(path, &mut buffer).unwrap();
    buffer[..length]
        .split(|b| *b == 0)
        .filter(|name| name.starts_with(b"user.spoolguard."))
        .map(|name| {
            let name = String::from_utf8(name.to_vec()).unwrap();
            let mut value = [0; 200];
            let length = lgetxattr(path, name.as_str(), &mut value).unwrap();
            (name, value[..length].to_vec())
        })
        .collect()
}

#[test]
fn stopped_at_any_write_whole_messages_stay_and_are_completed() {
    let scratch = Scratch::new();
    let content = mail(0, 400);
    let archive = archive(&scratch, &content);
    for blocks in [1, 8, 23, 64] {
        fs::write(scratch.mailbox(), b"").unwrap();
        let stopped = restore(&scratch, &archive).shell(&format!("ulimit -f {blocks}")).go();
        stopped.ends_with(1).mentions("cannot append to");
        stopped.check(scratch.mail().is_empty(), "a part of a batch stayed");
        restore(&scratch, &archive).go().ends_with(0);
        same(&scratch.mail(), &content);
    }
}

#[test]
fn a_run_killed_between_batches_is_completed_by_the_next() {
    let scratch = Scratch::new();
    let content: Vec<u8> = (0..40)
        .flat_map(|n| {
            let mut one = format!("From s@s.test Mon Nov  2 10:00:00 2026\nMessage-ID: <{n}@s.test>\n\n").into_bytes();
            one.extend(std::iter::repeat_n(b"0123456789 this is a line of text\n", 6000).flatten());
            one.push(b'\n');
            one
        })
        .collect();
    let archive = archive(&scratch, &content);
    let running = restore(&scratch, &archive).start();
    crate::support::until("something was restored", || !scratch.mail().is_empty());
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.end();
    let left = scratch.mail();
    assert!(left.len() < content.len() && content.starts_with(&left));
    restore(&scratch, &archive).go().ends_with(0);
    same(&scratch.mail(), &content);
    assert!(!scratch.dotlock().exists());
}

#[test]
fn mail_that_comes_meanwhile_stays_and_two_runs_double_nothing() {
    let scratch = Scratch::new();
    let content = mail(0, 8_000);
    let archive = archive(&scratch, &content);
    fs::write(scratch.mailbox(), mail(100, 200)).unwrap();
    let mut runs: Vec<_> = (0..2).map(|_| restore(&scratch, &archive).start()).collect();
    let mut delivered = 0;
    while runs.iter_mut().any(|run| !run.is_over()) || delivered < 20 {
        scratch
            .deliver(format!("Subject: new {delivered}\n\nnew\n").as_bytes())
            .go()
            .succeeds();
        delivered += 1;
    }
    for run in runs {
        run.end().ends_with(0);
    }
    let mailbox = scratch.mail();
    let mut counts: BTreeMap<&[u8], usize> = BTreeMap::new();
    for message in messages(&mailbox) {
        *counts.entry(message).or_default() += 1;
    }
    assert_eq!(counts.len(), 8_000 + delivered);
    assert!(counts.values().all(|count| *count == 1));
}

#[test]
fn mail_that_was_read_does_not_look_new() {
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let read = String::from_utf8(mail(0, 2))
        .unwrap()
        .replace("Subject:", "Status: RO\nSubject:")
        .into_bytes();
    for (archived, before_is_new, after_is_new) in
        [(&read, false, false), (&read, true, true), (&mail(0, 2), false, true)]
    {
        let scratch = Scratch::new();
        let archive = archive(&scratch, archived);
        fs::write(scratch.mailbox(), mail(7, 8)).unwrap();
        let accessed = if before_is_new {
            old - Duration::from_secs(9)
        } else {
            old
        };
        let times = FileTimes::new().set_modified(old).set_accessed(accessed);
        File::options()
            .write(true)
            .open(scratch.mailbox())
            .unwrap()
            .set_times(times)
            .unwrap();
        restore(&scratch, &archive).go().ends_with(0);
        let stat = fs::metadata(scratch.mailbox()).unwrap();
        let is_new = (stat.mtime(), stat.mtime_nsec()) > (stat.atime(), stat.atime_nsec());
        assert_eq!(is_new, after_is_new, "it was new: {before_is_new}");
        assert_eq!(messages(&scratch.mail()).len(), 3);
    }
}

#[test]
fn a_mailbox_that_was_removed_is_made_again_as_its_users() {
    if !is_root() {
        return skip("only root makes mailboxes for others");
    }
    let (Ok(Some(user)), Ok(Some(group))) = (
        nix::unistd::User::from_name("daemon"),
        nix::unistd::Group::from_name("mail"),
    ) else {
        return skip("there is no user daemon, or no group mail");
    };
    for (mode, dir_gid, want_gid, want_mode) in [
        (0o2775, group.gid, group.gid, 0o660),
        (0o1777, group.gid, user.gid, 0o600),
    ] {
        let scratch = Scratch::new();
        let dir = scratch.path("spool");
        nix::unistd::chown(&dir, None, Some(dir_gid)).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        let path = scratch.path("daemon.gz");
        fs::write(&path, gzip(&mail(0, 2))).unwrap();
        restore(&scratch, &path).go().ends_with(0);
        let stat = fs::metadata(dir.join("daemon")).unwrap();
        let got = (stat.uid(), stat.gid(), stat.mode() & 0o7777);
        assert_eq!(got, (user.uid.as_raw(), want_gid.as_raw(), want_mode));
        assert_eq!(scratch.files("spool").len(), 1);
        same(&fs::read(dir.join("daemon")).unwrap(), &mail(0, 2));
    }
}

#[test]
fn what_c_client_keeps_for_itself_is_nobodys_mail() {
    let scratch = Scratch::new();
    let internal = b"From MAILER-DAEMON Mon Nov  2 10:00:00 2026\nFrom: Mail System Internal Data <MAILER-DAEMON@h>\n\
        Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\nStatus: RO\n\nThis text is part of it.\n\n";
    let archive = archive(&scratch, &[&internal[..], &mail(0, 2)].concat());
    let ended = restore(&scratch, &archive).go();
    ended
        .ends_with(0)
        .check(contains(&ended.stdout, b"1 left out"), "not said");
    same(&scratch.mail(), &mail(0, 2));
}

#[test]
fn memory_grows_neither_with_the_archive_nor_with_a_message() {
    let scratch = Scratch::new();
    let mut content = mail(0, 20_000);
    content.extend_from_slice(b"From s@s.test Mon Nov  2 10:00:00 2026\nSubject: large\n\n");
    content.extend(std::iter::repeat_n(b"all work and no play makes jack a dull boy\n", 1 << 20).flatten());
    content.extend_from_slice(b"\n");
    content.extend(mail(30_000, 50_000));
    let archive = archive(&scratch, &content);
    let ended = restore(&scratch, &archive).measured().go();
    ended.ends_with(0);
    same(&scratch.mail(), &content);
    ended.check(
        ended.peak_bytes > 0 && ended.peak_bytes < 40 << 20,
        &format!("{} bytes of memory for {} of mail", ended.peak_bytes, content.len()),
    );
    restore(&scratch, &archive).go().ends_with(0);
    assert_eq!(scratch.mail().len(), content.len());
}

/// Once into a disk that is too small; then that file elsewhere, once more.
const INTO_A_SMALL_DISK: &[&str] = &[
    ": >\"$box\"; set +e; \"$@\" >\"$root/said\" 2>&1; echo $? >\"$root/code\"",
    "cp \"$box\" \"$root/after\"; ls -A \"$spool\" | grep -v lost+found >\"$root/names\"; exit 0",
];

fn a_disk_fills_up(prepare: &str) {
    let Some((scratch, line)) = on_a_file_system_of_its_own(prepare, INTO_A_SMALL_DISK) else {
        return;
    };
    let content = mail(0, 40_000);
    let archive = archive(&scratch, &content);
    let ended = restore(&scratch, &archive)
        .variable("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .shell_line(&line)
        .go();
    let read = |name: &str| fs::read(scratch.path(name)).unwrap_or_default();
    if read("code").is_empty() {
        return skip(&format!("cannot mount here: {}", ended.stderr.trim()));
    }
    let said = String::from_utf8(read("said")).unwrap();
    assert_eq!(read("code"), b"1\n", "{said}");
    assert!(
        said.contains("cannot append to") && said.contains("no space left"),
        "{said}"
    );
    assert_eq!(String::from_utf8(read("names")).unwrap().trim(), user_name());
    // Whole batches, and no part of one.
    let after = read("after");
    assert!(!after.is_empty() && content.starts_with(&after));
    assert!(content[after.len()..].starts_with(b"From "));
    fs::write(scratch.mailbox(), after).unwrap();
    restore(&scratch, &archive).go().ends_with(0);
    same(&scratch.mail(), &content);
}

#[test]
fn a_few_mebibytes_of_memory_fill_up_and_the_rest_comes_later() {
    a_disk_fills_up("mount -t tmpfs -o size=3m none \"$spool\"");
}

#[test]
fn a_small_ext4_fills_up_and_the_rest_comes_later() {
    a_disk_fills_up(
        "truncate -s 8m \"$root/disk\"; mkfs.ext4 -q -b 1024 -N 16 -O ^has_journal -m 0 \"$root/disk\" 4000; mount -o loop \"$root/disk\" \"$spool\"",
    );
}

#[test]
fn root_follows_no_link_on_the_way_to_a_mailbox() {
    if !is_root() {
        return skip("needs root, whom others could lead astray");
    }
    let scratch = Scratch::new();
    let archive = scratch.path("a.gz");
    let packed = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut packed = packed.unwrap();
    let mut stdin = packed.stdin.take().unwrap();
    stdin
        .write_all(b"From s@s.test Mon Nov  2 10:00:00 2026\nSubject: 1\n\none\n\n")
        .unwrap();
    drop(stdin);
    fs::write(&archive, packed.wait_with_output().unwrap().stdout).unwrap();
    for dir in ["victim", "theirs", "theirs/mail"] {
        fs::create_dir(scratch.path(dir)).unwrap();
    }
    for dir in ["theirs", "theirs/mail"] {
        chown(scratch.path(dir), Some(61_234), Some(61_234)).unwrap();
    }
    let into = |path: &str| {
        let path = scratch.path(path).display().to_string();
        restore(&scratch, &archive).with(&["--mailbox", &path]).go()
    };
    into("theirs/mail/box").ends_with(0);
    assert!(scratch.path("theirs/mail/box").exists());
    fs::rename(scratch.path("theirs/mail"), scratch.path("theirs/was")).unwrap();
    symlink(scratch.path("victim"), scratch.path("theirs/mail")).unwrap();
    into("theirs/mail/box").ends_with(1).mentions("no link");
    assert!(scratch.files("victim").is_empty());
}
