//! The messages that are sent, each of which can be told from every other and from a part of itself, and how often each
//! is found.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::stage::run;

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct Mail {
    pub id: String,
    pub bytes: Vec<u8>,
}

impl Mail {
    /// A message with this Message-ID; what else it holds follows from it.
    pub fn new(id: &str, body_bytes: usize) -> Self {
        Self::with_fields(id, "", body_bytes)
    }

    /// The same, with more fields on top, each with its line end.
    pub fn with_fields(id: &str, fields: &str, body_bytes: usize) -> Self {
        let mut text = format!(
            "{fields}From: Sam <s@s.test>\nTo: a@a.test\nDate: Mon, 02 Nov 2026 10:00:00 +0000\nMessage-ID: <{id}@s.test>\nSubject: {id}\n\n"
        );
        text.push_str(&body(id, body_bytes));
        Self {
            id: id.to_owned(),
            bytes: text.into_bytes(),
        }
    }

    /// A bounce, of the kind that `sweep` takes out.
    pub fn bounce(id: &str, body_bytes: usize) -> Self {
        let text = format!(
            "From: Mail Delivery System <MAILER-DAEMON@mx.test>\nTo: a@a.test\nAuto-Submitted: auto-replied\n\
             X-Failed-Recipients: b@b.test\nMessage-ID: <{id}@s.test>\n\
             Subject: Mail delivery failed: returning message to sender\n\n{}",
            body(id, body_bytes)
        );
        Self {
            id: id.to_owned(),
            bytes: text.into_bytes(),
        }
    }

    /// As it stands in an mbox.
    pub fn stored(&self, date: &str) -> Vec<u8> {
        [format!("From s@s.test {date}\n").as_bytes(), &self.bytes, b"\n"].concat()
    }
}

/// The body of the message with this Message-ID: no two lines are alike, and none could be another's.
fn body(id: &str, bytes: usize) -> String {
    let mut text = format!("{bytes} bytes of {id}\n");
    let mut line = 0;
    while text.len() < bytes {
        line += 1;
        text.push_str(&format!("line {line} of {id} {}\n", "abcdefgh".repeat(1 + line % 7)));
    }
    text.push_str(&format!("end of {id}\n"));
    text
}

/// What was found in an mbox.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// How often each message is there, whole.
    pub whole: BTreeMap<String, usize>,
    /// What is there beside whole messages.
    pub torn: Vec<String>,
}

impl Found {
    pub fn count(&self, id: &str) -> usize {
        self.whole.get(id).copied().unwrap_or_default()
    }

    fn add(&mut self, piece: &[u8]) {
        let rest = match whole(piece) {
            Some((id, rest)) => {
                *self.whole.entry(id).or_default() += 1;
                rest
            }
            None => piece,
        };
        if !rest.is_empty() {
            self.torn.push(shown(rest, 160));
        }
    }

    /// Adds what was found elsewhere.
    pub fn join(&mut self, other: Self) {
        for (id, count) in other.whole {
            *self.whole.entry(id).or_default() += count;
        }
        self.torn.extend(other.torn);
    }
}

/// The Message-ID of a piece that is one of our messages, whole, and what stands behind it that is no part of it.
fn whole(piece: &[u8]) -> Option<(String, &[u8])> {
    let at = memchr::memmem::find(piece, b"\n\n")? + 2;
    let header = std::str::from_utf8(&piece[..at]).ok()?;
    let id = header.lines().find_map(|line| line.strip_prefix("Message-ID: <"))?;
    let id = id.strip_suffix("@s.test>")?;
    let found = &piece[at..];
    let end = memchr::memmem::find(found, b" bytes of ")?;
    let bytes = std::str::from_utf8(&found[..end]).ok()?.parse().ok()?;
    let rest = found.strip_prefix(body(id, bytes).as_bytes())?;
    Some((id.to_owned(), rest.trim_ascii_start()))
}

/// The messages of an mbox, each with its separator line; what stands before the first is a piece, too.
fn pieces(mbox: &[u8]) -> Vec<&[u8]> {
    let mut starts: Vec<_> = memchr::memmem::find_iter(mbox, b"From ")
        .filter(|at| *at == 0 || mbox[..*at].ends_with(b"\n\n"))
        .collect();
    if !mbox.is_empty() && starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    starts.push(mbox.len());
    starts.windows(2).map(|pair| &mbox[pair[0]..pair[1]]).collect()
}

/// What an mbox holds.
pub fn in_mbox(mbox: &[u8]) -> Found {
    let mut found = Found::default();
    pieces(mbox).into_iter().for_each(|piece| found.add(piece));
    found
}

/// What the archives of a directory hold.
pub fn in_archives(dir: &Path) -> Found {
    let mut found = Found::default();
    for path in files(dir) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || !name.contains(".tar.gz") {
            continue;
        }
        match run(&["tar", "xzOf"], Some(&path)) {
            Ok(text) => found.join(in_mbox(text.as_bytes())),
            Err(e) => found.torn.push(format!("archive {name}: {e}")),
        }
    }
    found
}

/// What a Maildir holds.
pub fn in_maildir(dir: &Path) -> Found {
    let mut found = Found::default();
    for path in files(&dir.join("new")).into_iter().chain(files(&dir.join("cur"))) {
        let bytes = fs::read(&path).unwrap();
        if bytes.is_empty() {
            found.torn.push(format!("nothing in {}", path.display()));
        }
        found.add(&bytes);
    }
    found
}

/// The files of a directory, by name.
pub fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    files.sort();
    files
}

/// Bytes as a person can read them, the middle of a long text and of many equal bytes left out.
pub fn shown(bytes: &[u8], most: usize) -> String {
    let mut text = format!("({} bytes) ", bytes.len());
    let is_long = bytes.len() > 2 * most;
    let mut at = 0;
    while at < bytes.len() {
        if is_long && at >= most && at < bytes.len() - most {
            text.push_str(" ... ");
            at = bytes.len() - most;
        }
        let equal = bytes[at..].iter().take_while(|byte| **byte == bytes[at]).count();
        text.push_str(&bytes[at..=at].escape_ascii().to_string());
        if equal > 8 {
            text.push_str(&format!("*{equal}"));
            at += equal;
        } else {
            at += 1;
        }
    }
    text
}
