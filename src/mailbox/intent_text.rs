//! The text of an intent: which append it is about, where its message comes from, and what is known of it. A damaged
//! text is not believed: it could have good mail cut off.

use std::fmt::Write;

use crate::mailbox::measure::{AppendExtent, checksum_of};

/// Where a message comes from, and so what becomes of it when its run is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageSource {
    /// From an MTA, which brings it again.
    Mail,
    /// From an mbox. Whoever brings it again looks first what is there, so that a whole one needs no note any more.
    Mbox {
        /// Where the messages begin that were written since the last sync, in bytes.
        unsynced_from_bytes: u64,
    },
}

/// What is known of an append that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AppendProgress {
    /// Nothing: it may end anywhere.
    Unknown,
    /// All of it was there, and what is shorter now is something else.
    Whole,
    /// The same, and a run that came later wrote all of it again, and saw the sync succeed.
    Durable,
    /// Something else stands in its place: it was never written, or it stands elsewhere since mail before it was taken
    /// out.
    Moved,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntentText {
    /// The host of the run that wrote it, in short.
    pub host: u32,
    pub source: MessageSource,
    /// Which append it is about.
    pub extent: AppendExtent,
    /// When it was begun, in seconds since 1970.
    pub seconds: i64,
    /// What is known of it.
    pub progress: AppendProgress,
}

impl IntentText {
    pub fn write(&self) -> String {
        let AppendExtent {
            before_bytes,
            after_bytes,
            separator,
            content,
        } = self.extent;
        let (host, seconds) = (self.host, self.seconds);
        let length = after_bytes.saturating_sub(before_bytes);
        // Short enough for the inode itself, on ext4 with its usual 256 bytes for each.
        let mut text = format!("{host:08x} {before_bytes:x} {length:x} {separator:08x} {content:08x} {seconds:x}");
        if let MessageSource::Mbox { unsynced_from_bytes } = self.source {
            let _ = write!(text, " m{unsynced_from_bytes:x}");
        }
        match self.progress {
            AppendProgress::Unknown => {}
            AppendProgress::Whole => text.push_str(" w"),
            AppendProgress::Durable => text.push_str(" d"),
            AppendProgress::Moved => text.push_str(" v"),
        }
        let check = check(&text);
        let _ = write!(text, " {check:04x}");
        text
    }

    /// Reads it; none where it is damaged.
    pub fn parse(value: &str) -> Option<Self> {
        let (text, check_word) = value.rsplit_once(' ')?;
        if u32::from_str_radix(check_word, 16) != Ok(check(text)) {
            return None;
        }
        let mut words = text.split(' ');
        let mut number = || u64::from_str_radix(words.next()?, 16).ok();
        let host = u32::try_from(number()?).ok()?;
        let before_bytes = number()?;
        let after_bytes = before_bytes.checked_add(number()?)?;
        let extent = AppendExtent {
            before_bytes,
            after_bytes,
            separator: u32::try_from(number()?).ok()?,
            content: u32::try_from(number()?).ok()?,
        };
        let seconds = i64::try_from(number()?).ok()?;
        let (mut source, mut progress) = (MessageSource::Mail, AppendProgress::Unknown);
        for word in words {
            match (word, word.strip_prefix('m')) {
                ("w", _) => progress = AppendProgress::Whole,
                ("d", _) => progress = AppendProgress::Durable,
                ("v", _) => progress = AppendProgress::Moved,
                (_, Some(from)) => {
                    let unsynced_from_bytes = u64::from_str_radix(from, 16).ok()?.min(before_bytes);
                    source = MessageSource::Mbox { unsynced_from_bytes };
                }
                _ => return None,
            }
        }
        (before_bytes < after_bytes).then_some(Self {
            host,
            source,
            extent,
            seconds,
            progress,
        })
    }
}

fn check(text: &str) -> u32 {
    checksum_of(text.as_bytes()) & 0xffff
}
