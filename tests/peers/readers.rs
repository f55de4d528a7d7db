//! The programs that read a mailbox. Each counts the letters its own way, in a copy, since some change what they read.

use std::path::PathBuf;

use crate::scratch::Scratch;

/// Python's `mailbox` counts, and checks each body.
const PYTHON: &str = r#"
import mailbox, re, sys, zlib
good, bad = set(), 0
box = mailbox.mbox(sys.argv[1], create=False)
for key in box.keys():
    header, _, body = box.get_bytes(key).partition(b"\n\n")
    fields = dict(re.findall(rb"^(X-Serial|X-Checksum): (\S+)", header, re.M))
    body = re.sub(rb"^>+From ", b"From ", body.rstrip(b"\n"), flags=re.M) + b"\n"
    if fields.get(b"X-Checksum") == b"%08x" % zlib.crc32(body):
        good.add(fields[b"X-Serial"])
    else:
        bad += 1
print(len(box), len(good), bad)
"#;

/// What Python's `mailbox` finds: letters, different whole ones, damaged ones.
pub fn python(scratch: &Scratch) -> [usize; 3] {
    let path = copy(scratch, "python");
    let script = scratch.write_at_home("read.py", PYTHON);
    let output = scratch.feed(scratch.command("python3").arg(script).arg(path), b"");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<usize> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("python3: {output:?}"))
}

/// How many letters mutt finds: it says so on its status line.
pub fn mutt(scratch: &Scratch) -> usize {
    let path = copy(scratch, "mutt");
    // Without a folder that is there it would ask whether to make one.
    let text = format!(
        "set folder='{}'\nset status_format='[%m letters]'\npush '<exit>'\n",
        scratch.home().display()
    );
    let settings = scratch.write_at_home("muttrc", &text);
    // mutt wants a terminal, and script makes one.
    let line = format!("mutt -n -R -F {} -f {}", settings.display(), path.display());
    let mut command = scratch.command("timeout");
    command
        .args(["120", "script", "-qec", &line, "/dev/null"])
        .env("TERM", "vt100");
    let output = scratch.feed(&mut command, b"");
    let screen = String::from_utf8_lossy(&output.stdout);
    let count = screen
        .split_once(" letters]")
        .and_then(|(before, _)| before.rsplit('[').next()?.parse().ok());
    count.unwrap_or_else(|| panic!("mutt: {screen}"))
}

/// The serial numbers that Dovecot finds, one for each letter.
pub fn dovecot(scratch: &Scratch) -> (usize, Vec<String>) {
    let path = copy(scratch, "dovecot");
    let run = |words: &[&str]| {
        let mut command = scratch.command("doveadm");
        command.arg("-c").arg(scratch.at_home("dovecot.conf")).arg("-o");
        command.arg(format!(
            "mail_location=mbox:{0}.d:INBOX={0}:INDEX=MEMORY",
            path.display()
        ));
        let output = scratch.feed(command.args(words), b"");
        assert!(output.status.success(), "doveadm {words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let status = run(&["-f", "flow", "mailbox", "status", "messages", "INBOX"]);
    let count = status.trim().rsplit('=').next().and_then(|number| number.parse().ok());
    let serials = run(&["-f", "flow", "fetch", "hdr.x-serial", "mailbox", "INBOX"]);
    let serials = serials
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.1.to_owned()));
    (count.unwrap_or_else(|| panic!("doveadm: {status}")), serials.collect())
}

fn copy(scratch: &Scratch, reader: &str) -> PathBuf {
    scratch.write_at_home(&format!("copy-for-{reader}"), &scratch.read(&scratch.mailbox()))
}
