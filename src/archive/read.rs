//! Reads archives, whatever packed them: an mbox by itself, compressed with gzip or zstd, or as members of a tar
//! archive of either kind. What it is is told by its content. Everything streams; every checksum that the format has is
//! looked at; what is damaged, cut short or no archive is an error that says so.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::archive::Member;
use crate::archive::tar::{Tarball, damaged_archive, is_tar};
use crate::message::from_line::{LOOK_BYTES, begins_mbox};
use crate::sys::message_buffer::MessageBuffer;

/// Enough to tell what something is: a block of tar, or a separator line.
const BEGINNING_BYTES: usize = LOOK_BYTES;

/// How much is read in one step, in bytes.
const STEP_BYTES: usize = 256 << 10;

/// What stands in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveContent {
    /// A mailbox. Its length is known where the format says it; reading it tells otherwise.
    Mailbox(Member),
    /// A file of a tar archive that is no mailbox.
    Other(Member),
    /// All there is, and it is neither a mailbox nor a tar archive.
    Unknown,
}

/// Reads the archive and hands each file in it to `visit`, with its bytes; what that does not read is skipped.
pub fn unpack_archive<E: From<io::Error>>(
    archive: &File,
    mut visit: impl FnMut(&ArchiveContent, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut file = archive.try_clone().map_err(E::from)?;
    io::Seek::rewind(&mut file).map_err(E::from)?;
    let mut below = BufReader::with_capacity(STEP_BYTES, file);
    let start = io::BufRead::fill_buf(&mut below).map_err(E::from)?;
    let name = gzip_name(start);
    match packing(start).map_err(E::from)? {
        Compression::None => inside(Sound(below), OsString::new(), &mut visit),
        Compression::Gzip => inside(Sound(MultiGzDecoder::new(below)), name, &mut visit),
        Compression::Zstd => {
            let decoder = zstd::Decoder::with_buffer(below).map_err(E::from)?;
            inside(Sound(decoder), OsString::new(), &mut visit)
        }
    }
}

enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Tells whether a file that begins with `start` is compressed, in a way that can be undone here or not.
pub fn is_packed(start: &[u8]) -> bool {
    !start.is_empty() && !matches!(packing(start), Ok(Compression::None))
}

fn packing(start: &[u8]) -> io::Result<Compression> {
    Ok(match start {
        [] => return Err(damaged_archive("it is empty")),
        [0x1f, 0x8b, ..] => Compression::Gzip,
        // A frame, or a skippable one, which pzstd begins with (RFC 8878 section 3.1.2).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => {
            return Err(damaged_archive("bzip2 packed it; unpack it first (bunzip2)"));
        }
        [0xfd, b'7', b'z', b'X', b'Z', ..] => return Err(damaged_archive("xz packed it; unpack it first (unxz)")),
        // A frame of lz4(1), and what Dovecot writes in its place.
        [0x04, 0x22, 0x4d, 0x18, ..] | [b'D', b'o', b'v', b'e', b'c', b'o', b't', b'-', b'L', b'Z', b'4', ..] => {
            return Err(damaged_archive("lz4 packed it; unpack it first (lz4 -d)"));
        }
        [0x1f, 0x9d, ..] => return Err(damaged_archive("compress packed it; unpack it first (uncompress)")),
        [b'P', b'K', 3, 4, ..] => return Err(damaged_archive("zip packed it; unpack it first (unzip)")),
        _ => Compression::None,
    })
}

/// The name in a gzip header (RFC 1952 section 2.3), where it lies in what was read first.
fn gzip_name(start: &[u8]) -> OsString {
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    let Some([0x1f, 0x8b, 8, flags, ..]) = start.first_chunk::<10>() else {
        return OsString::new();
    };
    let mut rest = start.get(10..).unwrap_or_default();
    if flags & EXTRA != 0
        && let [low, high, more @ ..] = rest
    {
        rest = more
            .get(usize::from(u16::from_le_bytes([*low, *high]))..)
            .unwrap_or_default();
    }
    if flags & NAME == 0 {
        return OsString::new();
    }
    let name = rest.split(|b| *b == 0).next().unwrap_or_default();
    let name = name.rsplit(|b| *b == b'/').next().unwrap_or_default();
    OsString::from_vec(name.to_vec())
}

fn inside<R: Read, E: From<io::Error>>(
    mut from: R,
    name: OsString,
    visit: &mut impl FnMut(&ArchiveContent, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let beginning = beginning(&mut from).map_err(E::from)?;
    let content = if begins_mbox(&beginning) {
        Some(ArchiveContent::Mailbox(Member {
            name,
            ..Member::default()
        }))
    } else {
        (!is_tar(&beginning)).then_some(ArchiveContent::Unknown)
    };
    if let Some(content) = content {
        let mut whole = Cursor::new(beginning).chain(from);
        visit(&content, &mut whole)?;
        io::copy(&mut whole, &mut io::sink()).map_err(E::from)?;
        return Ok(());
    }
    let mut tarball = Tarball::new(Cursor::new(beginning).chain(from));
    while let Some(found) = tarball.next_member().map_err(E::from)? {
        if !found.is_file {
            continue;
        }
        let beginning = self::beginning(&mut tarball).map_err(E::from)?;
        let content = if begins_mbox(&beginning) {
            ArchiveContent::Mailbox(found.member)
        } else {
            ArchiveContent::Other(found.member)
        };
        visit(&content, &mut Cursor::new(beginning).chain(&mut tarball))?;
    }
    tarball.finish().map_err(E::from)
}

fn beginning<R: Read>(from: &mut R) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(BEGINNING_BYTES);
    from.take(BEGINNING_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads, and says what is wrong with an archive in words that say what is wrong with the file.
struct Sound<R>(R);

impl<R: Read> Read for Sound<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|e| {
            let kind = e.kind();
            // What the system says has a number and is about the disk; what the decoders say has none.
            if e.raw_os_error().is_some() || kind == io::ErrorKind::Interrupted {
                return e;
            }
            if kind == io::ErrorKind::UnexpectedEof {
                return io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early");
            }
            io::Error::new(io::ErrorKind::InvalidData, format!("it is damaged ({e})"))
        })
    }
}

/// Unpacks one file of an archive that has to be shorter than `most` bytes.
pub fn unpack_file(bytes: &mut dyn Read, most: u64) -> io::Result<MessageBuffer> {
    MessageBuffer::collect(|collector| match io::copy(&mut bytes.take(most), collector)? {
        read if read < most => Ok(()),
        _ => Err(io::Error::other("it is too large to be unpacked here")),
    })
}

/// The name that an archive's own name speaks of, where it says none inside: what stands before the first known ending.
pub fn name_without_endings(archive: &Path) -> OsString {
    let name = archive.file_name().unwrap_or_default();
    let mut bytes = name.as_encoded_bytes();
    while let Some(shorter) = [".gz", ".tgz", ".tar", ".zst", ".mbox"]
        .iter()
        .find_map(|ending| bytes.strip_suffix(ending.as_bytes()))
    {
        bytes = shorter;
    }
    OsString::from_vec(bytes.to_vec())
}
