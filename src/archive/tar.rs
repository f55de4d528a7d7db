//! Tar archives, block by block: what stands around a member, and which members there are. Names that are longer than a
//! block, wrong sizes and damaged blocks are errors. A hostile archive cannot fill the memory, or pass for good.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use tar::{EntryType, Header};

use crate::archive::Member;

const BLOCK_BYTES: usize = 512;

/// The longest description of a member (long names, pax records) that is read, in bytes.
const DESCRIPTION_BYTES: u64 = 256 << 10;

/// The blocks that stand before a member.
pub fn write_header(member: &Member) -> io::Result<Vec<u8>> {
    let mut blocks = Vec::new();
    let mut header = Header::new_gnu();
    if header.set_path(&member.name).is_err() {
        // GNU tar's way for names beyond 100 bytes: a member of its own that holds the name.
        let mut long = member.name.as_bytes().to_vec();
        long.push(0);
        let mut above = Header::new_gnu();
        above.set_path("././@LongLink")?;
        above.set_entry_type(EntryType::GNULongName);
        above.set_size(long.len() as u64);
        above.set_cksum();
        blocks.extend_from_slice(above.as_bytes());
        blocks.extend_from_slice(&long);
        blocks.resize(blocks.len().next_multiple_of(BLOCK_BYTES), 0);
        header.set_path("mailbox")?;
    }
    header.set_entry_type(EntryType::Regular);
    header.set_size(member.bytes);
    header.set_mode(member.mode & 0o7777);
    header.set_uid(member.uid.into());
    header.set_gid(member.gid.into());
    // Names too long for their fields are left out: the numbers hold.
    let _ = header.set_username(&member.user);
    let _ = header.set_groupname(&member.group);
    header.set_mtime(member.modified);
    header.set_cksum();
    blocks.extend_from_slice(header.as_bytes());
    Ok(blocks)
}

/// What stands behind the one member of an archive: what its last block lacks, and two empty blocks.
pub fn write_trailer(bytes: u64) -> Vec<u8> {
    vec![0; padding(bytes) + 2 * BLOCK_BYTES]
}

fn padding(bytes: u64) -> usize {
    let over = usize::try_from(bytes % BLOCK_BYTES as u64).unwrap_or_default();
    (BLOCK_BYTES - over) % BLOCK_BYTES
}

/// Tells whether `beginning` is that of a tar archive: a header whose checksum is right.
pub fn is_tar(beginning: &[u8]) -> bool {
    beginning
        .get(..BLOCK_BYTES)
        .is_some_and(|block| block.iter().any(|b| *b != 0) && checksum_holds(Header::from_byte_slice(block)))
}

/// What the header says and what it is, as POSIX and as old tars with signed bytes count it.
fn checksum_holds(header: &Header) -> bool {
    let Ok(said) = header.cksum() else { return false };
    let bytes = header.as_bytes();
    let counted = |value: fn(u8) -> i64| -> i64 {
        let all = bytes.iter().enumerate();
        all.map(|(at, b)| value(if (148..156).contains(&at) { b' ' } else { *b }))
            .sum()
    };
    let said = i64::from(said);
    said == counted(i64::from) || said == counted(|b| i64::from(b.cast_signed()))
}

/// Walks over the members of an archive.
pub struct Tarball<R> {
    from: R,
    /// What is left of the current member.
    left: u64,
    padding: usize,
}

/// One member, whatever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarMember {
    /// What is said about it.
    pub member: Member,
    /// Whether it is a file with bytes of its own, and not a directory, a link or a device.
    pub is_file: bool,
}

impl<R: Read> Tarball<R> {
    /// Begins before the first member.
    pub fn new(from: R) -> Self {
        Self {
            from,
            left: 0,
            padding: 0,
        }
    }

    /// The next member, whose bytes are read from this. What is left of the one before is skipped.
    pub fn next_member(&mut self) -> io::Result<Option<TarMember>> {
        let mut long_name = None;
        let mut pax = Pax::default();
        loop {
            self.skip()?;
            let Some(block) = self.block()? else { return Ok(None) };
            let header = Header::from_byte_slice(&block);
            if !checksum_holds(header) {
                return Err(damaged_archive(
                    "a header of the tar archive in it has a wrong checksum",
                ));
            }
            let mut bytes = header.entry_size()?;
            let kind = header.entry_type();
            if kind.is_gnu_longname() {
                let name = self.description(bytes)?;
                long_name = Some(name.split(|b| *b == 0).next().unwrap_or_default().to_vec());
                continue;
            }
            if kind.is_pax_local_extensions() {
                pax = Pax::parse(&self.description(bytes)?);
                continue;
            }
            if kind.is_gnu_longlink() || kind.is_pax_global_extensions() {
                self.description(bytes)?;
                continue;
            }
            if kind.is_gnu_sparse() {
                return Err(damaged_archive(
                    "it holds a sparse file; unpack it with tar, and use what comes out",
                ));
            }
            let is_file = matches!(kind, EntryType::Regular | EntryType::Continuous);
            let path = pax
                .path
                .take()
                .or(long_name.take())
                .unwrap_or_else(|| header.path_bytes().into_owned());
            // Old archives mark a directory by its name alone.
            let is_file = is_file && !path.ends_with(b"/");
            bytes = pax.size.take().unwrap_or(bytes);
            if has_no_bytes(kind) {
                bytes = 0;
            }
            self.left = bytes;
            self.padding = padding(bytes);
            return Ok(Some(TarMember {
                member: member(header, &path, bytes),
                is_file,
            }));
        }
    }

    /// Reads to the end of what lies below, where its own checksum stands.
    pub fn finish(mut self) -> io::Result<()> {
        io::copy(&mut self.from, &mut io::sink()).map(drop)
    }

    /// The next block that is not empty; none at the end. Two empty ones are the end, and so is the end of the file.
    fn block(&mut self) -> io::Result<Option<[u8; BLOCK_BYTES]>> {
        let mut block = [0; BLOCK_BYTES];
        for _ in 0..2 {
            let mut filled = 0;
            while filled < BLOCK_BYTES {
                match self.from.read(block.get_mut(filled..).unwrap_or_default()) {
                    Ok(0) if filled == 0 => return Ok(None),
                    Ok(0) => return Err(early()),
                    Ok(read) => filled += read,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
            if block.iter().any(|b| *b != 0) {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    fn description(&mut self, bytes: u64) -> io::Result<Vec<u8>> {
        if bytes > DESCRIPTION_BYTES {
            return Err(damaged_archive("a name in the tar archive in it is too long"));
        }
        let mut text = Vec::new();
        self.left = bytes;
        self.padding = padding(bytes);
        self.read_to_end(&mut text)?;
        self.skip()?;
        Ok(text)
    }

    fn skip(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink())?;
        let mut rest = [0; BLOCK_BYTES];
        let padding = std::mem::take(&mut self.padding);
        let rest = rest.get_mut(..padding).unwrap_or_default();
        self.from.read_exact(rest)
    }
}

impl<R: Read> Read for Tarball<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        match self.from.read(buffer.get_mut(..room).unwrap_or_default()) {
            Ok(0) => Err(early()),
            Ok(read) => {
                self.left -= read as u64;
                Ok(read)
            }
            Err(e) => Err(e),
        }
    }
}

/// Links, devices and directories say a size that no bytes follow (POSIX, pax Interchange Format).
fn has_no_bytes(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Fifo
            | EntryType::Directory
    )
}

fn member(header: &Header, path: &[u8], bytes: u64) -> Member {
    let narrow = |number: io::Result<u64>| u32::try_from(number.unwrap_or_default()).unwrap_or_default();
    let text = |name: Option<&[u8]>| String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
    Member {
        name: last_part(path),
        bytes,
        uid: narrow(header.uid()),
        gid: narrow(header.gid()),
        user: text(header.username_bytes()),
        group: text(header.groupname_bytes()),
        mode: header.mode().unwrap_or_default(),
        modified: header.mtime().unwrap_or_default(),
    }
}

/// The name without directories: where something is put never depends on what an archive says.
fn last_part(path: &[u8]) -> OsString {
    let path = Path::new(OsStr::from_bytes(path));
    let name = path.file_name().unwrap_or_default();
    OsString::from_vec(name.as_bytes().to_vec())
}

/// What pax records say (POSIX, pax Extended Header): `LENGTH KEY=VALUE\n`.
#[derive(Default)]
struct Pax {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Pax {
    fn parse(mut text: &[u8]) -> Self {
        let mut pax = Self::default();
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
        while let Some(blank) = text.iter().position(|b| *b == b' ') {
            let Some(length) = text.get(..blank).and_then(number) else {
                break;
            };
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let (Some(record), Some(rest)) = (text.get(blank + 1..length), text.get(length..)) else {
                break;
            };
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            if let Some(value) = record.strip_prefix(b"path=") {
                pax.path = Some(value.to_vec());
            } else if let Some(value) = record.strip_prefix(b"size=") {
                pax.size = number(value);
            }
            text = rest;
        }
        pax
    }
}

/// What a damaged archive is called.
pub fn damaged_archive(cause: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

fn early() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early")
}
