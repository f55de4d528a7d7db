//! Packs a mailbox: exactly as many bytes as were said, or an error. The caller syncs and names the file.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;

use crate::archive::parallel_gzip::{Blocks, Label};
use crate::archive::{Member, tar};
use crate::config::ArchiveFormat;

/// Where speed stops to cost size: faster than most disks read, and smaller than gzip's best.
const ZSTD_LEVEL: i32 = 3;

/// How much is copied in one step, in bytes.
const STEP_BYTES: usize = 256 << 10;

/// Packs `member`, whose bytes come from `from`, into `to`, and gives `to` back. Fails when reading, compressing or
/// writing fails, and when `from` ends before `member.bytes`. Then it is no archive.
pub fn pack_member<W: Write, R: Read>(to: W, format: ArchiveFormat, member: &Member, from: R) -> io::Result<W> {
    match format {
        ArchiveFormat::TarGz => {
            let mut gz = Blocks::new(to, None, member.bytes);
            gz.write_all(&tar::write_header(member)?)?;
            copy(from, &mut gz, member.bytes)?;
            gz.write_all(&tar::write_trailer(member.bytes))?;
            gz.finish()
        }
        ArchiveFormat::Gz => {
            let label = Label {
                name: AsRef::<OsStr>::as_ref(&member.name).as_bytes().to_vec(),
                modified: u32::try_from(member.modified).unwrap_or_default(),
            };
            let mut gz = Blocks::new(to, Some(label), member.bytes);
            copy(from, &mut gz, member.bytes)?;
            gz.finish()
        }
        ArchiveFormat::Zst => {
            let mut zst = zstd::Encoder::new(to, ZSTD_LEVEL)?;
            // Without it a flipped bit would come back as mail.
            zst.include_checksum(true)?;
            zst.set_pledged_src_size(Some(member.bytes))?;
            copy(from, &mut zst, member.bytes)?;
            zst.finish()
        }
    }
}

fn copy<R: Read, W: Write>(mut from: R, to: &mut W, bytes: u64) -> io::Result<()> {
    let mut buffer = vec![0; STEP_BYTES];
    let mut left = bytes;
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(STEP_BYTES).min(STEP_BYTES);
        match from.read(buffer.get_mut(..room).unwrap_or_default()) {
            Ok(0) => {
                let cause = format!("{left} of {bytes} bytes are missing: it became shorter");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, cause));
            }
            Ok(read) => {
                to.write_all(buffer.get(..read).unwrap_or_default())?;
                left -= read as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
