//! A Maildir as the mbox that its messages would make: whatever reads mboxes reads Maildirs. Each message has a
//! separator line with its date of arrival, and its flags in the fields that mboxes have for them. It is quoted, and
//! ends with an empty line. Nothing of that is on the disk, and of one message at a time a part is in memory.
//!
//! What was seen stays what it was: a message that gets other flags meanwhile is found again, and one that is removed
//! is an error.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;

use time::OffsetDateTime;

use crate::mailbox::format::{MboxEntry, write_letter};
use crate::mailbox::quoting::LineQuoting;
use crate::mailbox::ranges::Ranges;
use crate::maildir::directory::Maildir;
use crate::maildir::flags;
use crate::maildir::name::without_flags;
use crate::maildir::read::{SeenMessage, list_messages};
use crate::message::Message;
use crate::message::address::Address;
use crate::message::envelope::Sender;
use crate::sys::deadline::ReadLimit;
use crate::sys::message_buffer::MessageBuffer;
use crate::sys::read_at::ReadAt;

/// So much of a message is read to find its sender, in bytes.
const HEADER_BYTES: u64 = 64 << 10;

/// A Maildir, seen as an mbox.
#[derive(Debug)]
pub struct MaildirView<'a> {
    maildir: &'a Maildir,
    messages: Vec<ViewedMessage>,
    bytes: u64,
    limit: ReadLimit,
    /// The message that was read last, in mbox form.
    last: RefCell<Option<(usize, MessageBuffer)>>,
    /// Where the messages are by now, by what stays of their names. Looked up when the first is not where it was.
    moved: RefCell<Option<HashMap<Vec<u8>, Vec<SeenMessage>>>>,
    is_changed: Cell<bool>,
}

#[derive(Debug)]
struct ViewedMessage {
    message: SeenMessage,
    /// Its file, whatever flags its name gets.
    inode: u64,
    /// Where it begins in the mbox, in bytes.
    start: u64,
}

impl<'a> MaildirView<'a> {
    /// Looks at all messages of the Maildir, without those of its folders, and, where root looks, without files that
    /// are not its owner's.
    pub fn take(maildir: &'a Maildir, limit: ReadLimit) -> io::Result<Self> {
        let mut view = Self {
            maildir,
            messages: Vec::new(),
            bytes: 0,
            limit,
            last: RefCell::new(None),
            moved: RefCell::new(None),
            is_changed: Cell::new(false),
        };
        for message in list_messages(maildir)? {
            view.limit.check()?;
            let mut counter = ByteCounter(0);
            if let Some(file) = message.open(maildir)?
                && maildir.is_own(&file)?
            {
                let inode = file.metadata()?.ino();
                write_as_mbox(&message, file, &mut counter)?;
                let start = view.bytes;
                view.bytes += counter.0;
                view.messages.push(ViewedMessage { message, inode, start });
            }
        }
        Ok(view)
    }

    /// Tells whether a message that was seen is gone.
    pub fn is_changed(&self) -> bool {
        self.is_changed.get()
    }

    /// The messages that begin in these parts of the mbox: what stays of their names, and their inodes.
    pub fn messages_in(&self, parts: &Ranges) -> impl Iterator<Item = (&[u8], u64)> {
        let viewed = self.messages.iter().filter(|viewed| parts.contain(viewed.start));
        viewed.map(|viewed| (without_flags(viewed.message.name()), viewed.inode))
    }

    fn open(&self, viewed: &ViewedMessage) -> io::Result<File> {
        let open = |message: &SeenMessage| -> io::Result<Option<File>> {
            let Some(file) = message.open(self.maildir)? else {
                return Ok(None);
            };
            let is_same = file.metadata()?.ino() == viewed.inode;
            Ok(is_same.then_some(file))
        };
        if let Some(file) = open(&viewed.message)? {
            return Ok(file);
        }
        let mut moved = self.moved.borrow_mut();
        if moved.is_none() {
            let mut all: HashMap<Vec<u8>, Vec<SeenMessage>> = HashMap::new();
            for message in list_messages(self.maildir)? {
                let name = without_flags(message.name()).to_vec();
                all.entry(name).or_default().push(message);
            }
            *moved = Some(all);
        }
        let name = without_flags(viewed.message.name());
        let found = moved.as_ref().and_then(|moved| moved.get(name));
        for message in found.into_iter().flatten() {
            if let Some(file) = open(message)? {
                return Ok(file);
            }
        }
        self.is_changed.set(true);
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            "a message was removed meanwhile",
        ))
    }

    fn render(&self, number: usize) -> io::Result<MessageBuffer> {
        let Some(viewed) = self.messages.get(number) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let end = self.messages.get(number + 1).map_or(self.bytes, |next| next.start);
        let file = self.open(viewed)?;
        // With the flags that it had.
        let rendered = MessageBuffer::collect(|to| write_as_mbox(&viewed.message, file, to))?;
        if rendered.bytes() != end - viewed.start {
            self.is_changed.set(true);
            return Err(io::Error::other("a message was changed meanwhile"));
        }
        Ok(rendered)
    }
}

impl ReadAt for MaildirView<'_> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }

    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.limit.check()?;
        let behind = self.messages.partition_point(|viewed| viewed.start <= at);
        let Some(number) = behind.checked_sub(1).filter(|_| at < self.bytes) else {
            return Ok(0);
        };
        let mut last = self.last.borrow_mut();
        if last.as_ref().is_none_or(|(last, _)| *last != number) {
            *last = Some((number, self.render(number)?));
        }
        let start = self.messages.get(number).map_or(0, |viewed| viewed.start);
        last.as_ref()
            .map_or(Ok(0), |(_, text)| text.read_at(buffer, at - start))
    }
}

/// Writes a message as it stands in an mbox.
fn write_as_mbox(message: &SeenMessage, mut file: File, to: &mut impl Write) -> io::Result<()> {
    let mut head = Vec::new();
    (&file).take(HEADER_BYTES).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    let date = OffsetDateTime::from_unix_timestamp(file.metadata()?.mtime()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let header = Message::new(&head);
    let fields = flags::write_fields(message, header.line_end());
    let letter = MboxEntry {
        sender: &sender(&header),
        date,
        added: fields.as_bytes(),
        content: file,
        quoting: LineQuoting::Mboxrd,
        submission: None,
    };
    write_letter(to, letter)
}

/// Who sent it, for the separator line; where no MTA has noted that, who wrote it.
fn sender(header: &Message<'_>) -> String {
    match header.first("Return-Path").map(|text| Sender::read(&text)) {
        Some(Sender::Address(address)) => address,
        Some(Sender::Null) => String::new(),
        Some(Sender::Unknown) | None => {
            let writer = header.first("From").and_then(|text| Address::parse(&text));
            writer.map(|writer| writer.to_string()).unwrap_or_default()
        }
    }
}

struct ByteCounter(u64);

impl Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
