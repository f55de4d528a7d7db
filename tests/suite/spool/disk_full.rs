//! Full disks under `spool archive` and `spool sweep`: the mailbox stays as it was, or what went is in a whole archive;
//! it says what to do, and the next run does it.

use std::fs;

use crate::robust::slow::on_a_file_system_of_its_own;
use crate::spool::archive::{OLD, scratch, stored, strace_works, traced, unpacked};
use crate::support::{ORDINARY, Scratch, messages, noise, same, shown, skip, user_name};

const YOUNG: &str = "Mon Nov  2 10:00:00 2026";

/// Before: the mailbox is laid down. Behind: what is there, room is made, and the same once more.
fn lines(relief: &str) -> Vec<String> {
    let look = |number: u8| {
        format!(
            "echo $? >\"$root/code{number}\"; cp \"$box\" \"$root/after{number}\"; \
             ls -A \"$spool\" | grep -v lost+found >\"$root/names{number}\"; mkdir \"$root/packed{number}\"; \
             cp \"$root/archives/\"* \"$root/archives/\".[!.]* \"$root/packed{number}\" 2>/dev/null"
        )
    };
    vec![
        "set +e".to_owned(),
        format!("\"$@\" >\"$root/said1\" 2>&1; {}", look(1)),
        relief.to_owned(),
        format!("\"$@\" >\"$root/said2\" 2>&1; {}; exit 0", look(2)),
    ]
}

/// What a disk that is full makes of a run.
struct Full<'a> {
    /// Mounts, and fills.
    prepare: &'a str,
    /// Makes room.
    relief: &'a str,
    words: &'a [&'a str],
    mail: &'a [u8],
    /// What stays in the mailbox in the end.
    stays: &'a [u8],
    /// What is said the first time, and the status.
    says: &'a str,
    code: &'a str,
}

impl Full<'_> {
    #[track_caller]
    fn check(&self) {
        let lines = lines(self.relief);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let prepare = format!(
            "mkdir -p \"$root/archives\"; {}",
            self.prepare.replace("LAY", "cat \"$root/laid\" >\"$box\"")
        );
        let Some((scratch, line)) = on_a_file_system_of_its_own(&prepare, &lines) else {
            return;
        };
        let archives = format!("{:?}", scratch.path("archives").display().to_string());
        let scratch = scratch.set("archive.dir", &archives).set("archive.keep", "0");
        fs::write(scratch.path("laid"), self.mail).unwrap();
        let name = user_name();
        let ended = scratch
            .run(&["spool"])
            .with(
                &self
                    .words
                    .iter()
                    .map(|word| if *word == "USER" { name.as_str() } else { word })
                    .collect::<Vec<_>>(),
            )
            .variable("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .shell_line(&line)
            .go();
        let read = |name: &str| fs::read(scratch.path(name)).unwrap_or_default();
        let text = |name: &str| String::from_utf8(read(name)).unwrap();
        if read("code2").is_empty() {
            return skip(&format!("cannot mount here: {}", ended.stderr.trim()));
        }
        let (first, second) = (text("said1"), text("said2"));
        assert_eq!(text("code1").trim(), self.code, "{first}");
        assert!(first.contains(self.says), "{first}");
        if self.code == "0" {
            same(&read("after1"), self.stays);
            same(&packed(&scratch, 1), &without(self.mail, self.stays));
        } else {
            same(&read("after1"), self.mail);
            assert!(scratch.files("packed1").is_empty(), "{:?}", scratch.files("packed1"));
        }
        assert_eq!(text("code2").trim(), "0", "{second}");
        same(&read("after2"), self.stays);
        same(&packed(&scratch, 2), &without(self.mail, self.stays));
        for names in ["names1", "names2"] {
            let names: Vec<_> = text(names)
                .lines()
                .filter(|name| *name != "filler")
                .map(str::to_owned)
                .collect();
            assert_eq!(names, std::slice::from_ref(&name), "{first}{second}");
        }
    }
}

fn packed(scratch: &Scratch, number: u8) -> Vec<u8> {
    scratch
        .files(&format!("packed{number}"))
        .iter()
        .flat_map(unpacked)
        .collect()
}

/// The messages of `mail` that are not in `stays`.
fn without(mail: &[u8], stays: &[u8]) -> Vec<u8> {
    let stays = messages(stays);
    messages(mail)
        .into_iter()
        .filter(|message| !stays.contains(message))
        .flatten()
        .copied()
        .collect()
}

/// Old and young messages in turn, of noise: `bytes` of them.
fn mail(bytes: usize) -> (Vec<u8>, Vec<u8>) {
    let noise = String::from_utf8(noise(bytes)).unwrap();
    let (mut all, mut young) = (Vec::new(), Vec::new());
    for (number, part) in noise.as_bytes().chunks(40_000).enumerate() {
        let body = String::from_utf8_lossy(part).replace('\n', " ");
        let is_old = number % 2 == 0;
        let number = u32::try_from(number).unwrap();
        let message = stored(number, if is_old { OLD } else { YOUNG }, "").replace(&format!("body {number}"), &body);
        all.extend_from_slice(message.as_bytes());
        if !is_old {
            young.extend_from_slice(message.as_bytes());
        }
    }
    (all, young)
}

/// A mailbox of which every place that is packed to see how large an archive gets is worth nothing: more is written
/// than was reckoned with.
fn underrated(bytes: usize) -> Vec<u8> {
    let noise = noise(bytes / 16 - 100_000);
    let mut mail = format!("From s@s.test {OLD}\nSubject: x\n\n").into_bytes();
    for part in 0..16_usize {
        mail.resize((bytes / 16 * part).max(mail.len()), b'x');
        mail.resize(mail.len() + 99_900, b'x');
        mail.extend(noise.iter().map(|b| if *b == b'\n' { b' ' } else { *b }));
    }
    mail.extend_from_slice(b"\n\n");
    mail
}

const TMPFS: &str = "mount -t tmpfs -o size=SIZE,mode=700 none \"$root/archives\"; LAY";
const EXT4: &str = "truncate -s 16m \"$root/disk\"; mkfs.ext4 -q -b 1024 -N 64 -O ^has_journal -m 0 \"$root/disk\" SIZE; \
                    mount -o loop \"$root/disk\" \"$root/archives\"; LAY";
const GROW_TMPFS: &str = "mount -o remount,size=64m none \"$root/archives\"";
const LEAVE_EXT4: &str = "umount \"$root/archives\"";

#[test]
fn a_full_archive_directory_changes_nothing() {
    let (all, young) = mail(3 << 20);
    let underrated = underrated(6 << 20);
    for (size, prepare, relief) in [("1m", TMPFS, GROW_TMPFS), ("1100", EXT4, LEAVE_EXT4)] {
        let prepare = prepare.replace("SIZE", size);
        for (words, mail, stays, says) in [
            // Seen beforehand.
            (
                &["archive", "--yes", "USER", "--older-than", "1000d"][..],
                &all,
                young.as_slice(),
                "MiB are free, and min_free asks for 0 MiB; nothing was taken out of the mailbox; make room, or name a directory elsewhere with --to",
            ),
            // In the middle.
            (
                &["archive", "--yes", "USER", "--all-mail"],
                &underrated,
                b"",
                "no space left on device; nothing was taken out of the mailbox; make room, or name a directory elsewhere with --to",
            ),
        ] {
            let full = Full {
                prepare: &prepare,
                relief,
                words,
                mail,
                stays,
                says,
                code: "1",
            };
            full.check();
        }
    }
}

const SPOOL_TMPFS: &str =
    "mount -t tmpfs -o size=8m none \"$spool\"; LAY; cat /dev/zero >\"$spool/filler\" 2>/dev/null || :";
const SPOOL_EXT4: &str = "truncate -s 16m \"$root/disk\"; mkfs.ext4 -q -b 1024 -N 64 -m 0 \"$root/disk\" 8000; \
                          mount -o loop \"$root/disk\" \"$spool\"; LAY; cat /dev/zero >\"$spool/filler\" 2>/dev/null || :";

#[test]
fn a_spool_full_to_the_last_byte_can_be_emptied_and_only_that() {
    let (all, young) = mail(2 << 20);
    for prepare in [SPOOL_TMPFS, SPOOL_EXT4] {
        for (words, stays, says, code) in [
            (
                &["archive", "--yes", "USER", "--all-mail"][..],
                &b""[..],
                "messages (",
                "0",
            ),
            (
                &["archive", "--yes", "USER", "--older-than", "1000d"],
                young.as_slice(),
                "MiB are free, and min_free asks for 0 MiB; --all-mail needs no such room",
                "1",
            ),
        ] {
            let full = Full {
                prepare,
                relief: "rm -f \"$spool/filler\"",
                words,
                mail: &all,
                stays,
                says,
                code,
            };
            full.check();
        }
    }
}

/// With a block quota for the owner of the mailbox, which no free space tells of.
#[test]
fn a_quota_of_the_file_system_changes_nothing() {
    let (all, young) = mail(2 << 20);
    let prepare = |on: &str, kibibytes: u32| {
        format!(
            "truncate -s 64m \"$root/disk\"; mkfs.ext4 -q -O quota \"$root/disk\"; mount -o loop,usrquota \"$root/disk\" \"$root/{on}\"; \
             chmod 1777 \"$spool\" \"$root/archives\"; chmod 755 \"$root\"; LAY; chown -R 65534 \"$root/state\" \"$root/home\" \"$box\"; \
             sync; setquota -u 65534 0 {kibibytes} 0 0 \"$root/{on}\"; program=$1; shift; cp \"$program\" \"$root/program\"; \
             set -- setpriv --reuid 65534 --clear-groups \"$root/program\" \"$@\" \"$box\""
        )
    };
    for (on, kibibytes, says) in [
        // What stays has to be written down beside the mailbox.
        (
            "spool",
            2300,
            "quota exceeded; nothing was taken out; make room beside the mailbox for what stays, or use --all-mail, which needs none",
        ),
        (
            "archives",
            300,
            "quota exceeded; nothing was taken out of the mailbox; make room, or name a directory elsewhere with --to",
        ),
    ] {
        let full = Full {
            prepare: &prepare(on, kibibytes),
            relief: &format!("setquota -u 65534 0 0 0 0 \"$root/{on}\""),
            words: &["archive", "--yes", "--older-than", "1000d"],
            mail: &all,
            stays: &young,
            says,
            code: "1",
        };
        full.check();
    }
}

/// Others took the room that the cut made, before what stays was back in the mailbox.
#[test]
fn room_that_is_gone_when_what_stays_comes_back_is_waited_for() {
    if !strace_works() {
        return skip("needs strace, and leave to use it");
    }
    let parts: Vec<String> = (0..6)
        .map(|n| stored(n, if n % 2 == 0 { OLD } else { YOUNG }, ""))
        .collect();
    for (word, flags) in [("archive", "--older-than"), ("sweep", "--duplicates")] {
        let scratch = scratch();
        let (mail, young) = if word == "archive" {
            (parts.concat(), [1, 3, 5].map(|n| parts[n].clone()).concat())
        } else {
            (
                [parts.concat(), parts[0].clone(), parts[1].clone()].concat(),
                parts.concat(),
            )
        };
        let mail = [mail, stored(9, YOUNG, "")].concat();
        fs::write(scratch.mailbox(), &mail).unwrap();
        let (name, mailbox) = (user_name(), scratch.mailbox());
        let mut words = vec!["spool", word, &name, flags];
        words.extend(if word == "archive" {
            &["1000d", "--yes"][..]
        } else {
            &["--yes"]
        });
        let inject = format!(
            "-o /dev/null -P '{}' -e trace=write -e inject=write:error=ENOSPC:when=1+",
            mailbox.display()
        );
        let ended = scratch
            .run(&words)
            .shell_line(&format!("exec strace -f {inject} \"$@\""))
            .variable("PATH", "/usr/bin:/bin")
            .go();
        ended
            .ends_with(1)
            .mentions("cannot finish the cut of")
            .mentions("no space left on device; what is missing is in")
            .mentions("the next run of spoolguard on this mailbox goes on");
        let stays = [young, stored(9, YOUNG, "")].concat();
        let left = scratch.mail();
        ended.check(
            stays.as_bytes().starts_with(&left) && left.len() < stays.len(),
            &shown(&left),
        );
        // Full still: neither a delivery nor another run makes it worse.
        let again = traced(&scratch, &words, &inject);
        assert_eq!(again, Some(1));
        same(&scratch.mail(), &left);
        scratch.deliver(ORDINARY).go().succeeds();
        let mail = scratch.mail();
        ended.check(mail.starts_with(stays.as_bytes()), &shown(&mail));
        let went: String = match word {
            "archive" => [0, 2, 4].map(|n| parts[n].as_str()).concat(),
            _ => parts[..2].concat(),
        };
        same(&crate::spool::archive::archived(&scratch), went.as_bytes());
    }
}

/// Where no file system has quotas, strace(1) says what one would say.
#[test]
fn no_room_for_the_journal_changes_nothing_whoever_says_so() {
    if !strace_works() {
        return skip("needs strace, and leave to use it");
    }
    let (all, young) = mail(2 << 20);
    for (error, words) in [("EDQUOT", "quota exceeded"), ("ENOSPC", "no space left on device")] {
        for when in ["1", "2", "1+"] {
            let scratch = scratch();
            fs::write(scratch.mailbox(), &all).unwrap();
            let name = user_name();
            let arguments = ["spool", "archive", "--yes", &name, "--older-than", "1000d"];
            let journal = scratch.path("spool").join(format!(".{name}.spoolguard-cut.new"));
            let line = format!(
                "exec strace -f -o /dev/null -P '{}' -e trace=write -e inject=write:error={error}:when={when} \"$@\"",
                journal.display()
            );
            let ended = scratch
                .run(&arguments)
                .shell_line(&line)
                .variable("PATH", "/usr/bin:/bin")
                .go();
            ended
                .ends_with(1)
                .mentions(&format!("{words}; nothing was taken out; make room beside the mailbox"));
            same(&scratch.mail(), &all);
            assert!(scratch.files("archives").is_empty());
            assert_eq!(scratch.files("spool"), [scratch.mailbox()]);
            scratch.run(&arguments).go().ends_with(0);
            same(&scratch.mail(), &young);
        }
    }
}
