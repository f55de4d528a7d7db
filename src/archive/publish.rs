//! Puts an archive into its directory. It is written under a temporary name, synced, read back from the disk and
//! compared, and only then given its name. A run that fails or is interrupted leaves no archive; the next run removes
//! what a killed one left.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fs2::FileExt;
use nix::fcntl::{OFlag, PosixFadviseAdvice, posix_fadvise};
use nix::unistd::{Gid, Uid};

use crate::archive::Member;
use crate::archive::read::unpack_archive;
use crate::archive::write::pack_member;
use crate::config::ArchiveFormat;
use crate::error::{Category, Error};
use crate::mailbox::ranges::{Hash, Hashing, Ranges, STEP_BYTES};
use crate::sys::dirs::{make_private_dir, parent_of, refuse_shared, sync_parent};
use crate::sys::filesystem;
use crate::sys::read_at::ReadAt;

/// How often free space is asked for while an archive grows, in bytes.
const LOOK_BYTES: u64 = 64 << 20;

/// How many places are looked at, and how much of each, to say how large an archive gets.
const SAMPLES: u64 = 16;
const SAMPLE_BYTES: usize = 64 << 10;

/// What to do where the directory cannot be used.
pub const ELSEWHERE: &str = "name another directory with --to, or with dir of [archive] in the configuration";

/// What to do where there is no room.
const MAKE_ROOM: &str = "nothing was taken out of the mailbox; make room, or name a directory elsewhere with --to";

/// What an archive is called until it is whole ends in this.
const PART: &str = ".part";

/// A directory of archives.
#[derive(Clone, Debug)]
pub struct ArchiveDir {
    pub dir: PathBuf,
    pub format: ArchiveFormat,
    /// Whose they are, owner and group; of whoever runs this, if none.
    pub owner: Option<(u32, u32)>,
    /// What has to stay free on the file system, in bytes.
    pub min_free_bytes: Option<u64>,
}

/// An archive that is whole, was read back, and has no name yet. Dropped, it is gone.
#[derive(Debug)]
#[must_use]
pub struct VerifiedArchive {
    part: PartFile,
    place: PathBuf,
    /// What is in it hashes to this.
    pub hash: Hash,
    /// How large it is, in bytes.
    pub bytes: u64,
}

#[derive(Debug)]
struct PartFile {
    path: PathBuf,
    // Its lock tells other runs that somebody writes to it.
    file: File,
    named: bool,
}

impl PartFile {
    /// Makes it, locked, for its owner alone.
    fn create(path: &Path, owner: Option<(u32, u32)>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(path)?;
        let part = Self {
            path: path.to_owned(),
            file,
            named: false,
        };
        // Where the file system knows no flock, a draft that a killed run leaves stays.
        let _ = part.file.try_lock_exclusive();
        if let Some((uid, gid)) = owner {
            nix::unistd::fchown(&part.file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok(part)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.named {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl ArchiveDir {
    /// Makes the directory, if it is not there, and removes what killed runs left of archives that begin with `prefix`.
    pub fn open(&self, prefix: &str) -> Result<(), Error> {
        make_private_dir(&self.dir).map_err(|e| e.hint(ELSEWHERE))?;
        self.refuse_shared().map_err(|e| e.hint(ELSEWHERE))?;
        let fail = |e: io::Error| Error::io("read archive directory", &self.dir, &e).hint(ELSEWHERE);
        for entry in self.dir.read_dir().map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(&format!(".{prefix}")) && name.ends_with(PART) {
                let dead = OpenOptions::new()
                    .read(true)
                    .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
                    .open(&path)
                    .is_ok_and(|file| file.try_lock_exclusive().is_ok());
                if dead {
                    let _ = std::fs::remove_file(&path);
                }
            }
        }
        Ok(())
    }

    /// Refuses a directory that others may write to: they could make files that look like archives, for which retention
    /// would remove real ones.
    pub fn refuse_shared(&self) -> Result<(), Error> {
        let own = Uid::effective().as_raw();
        let owner = self.owner.map_or(own, |(uid, _)| uid);
        refuse_shared(&self.dir, &[own, owner, 0])
    }

    /// Refuses when there is no room for so many bytes beside what has to stay free.
    pub fn refuse_full(&self, bytes: u64) -> Result<(), Error> {
        let dir = File::open(&self.dir).map_err(|e| Error::io("open", &self.dir, &e))?;
        let free = filesystem::free_bytes(&self.dir, &dir)?;
        let kept_free = self.min_free_bytes.unwrap_or_default();
        if free < bytes.saturating_add(kept_free) {
            let cause = format!(
                "it takes about {} MiB, {} MiB are free, and min_free asks for {} MiB",
                bytes.div_ceil(1 << 20),
                free >> 20,
                kept_free >> 20
            );
            return Err(
                Error::new(Category::SystemFull, "write an archive to", self.dir.display(), cause).hint(MAKE_ROOM),
            );
        }
        Ok(())
    }

    /// Writes an archive for `place` of `member.bytes` bytes that `from` reads, and reads it back. `step` is told how
    /// many bytes were read back, and may stop it.
    pub fn write(
        &self,
        place: &Path,
        member: &Member,
        from: impl Read,
        step: impl FnMut(u64) -> io::Result<()>,
    ) -> Result<VerifiedArchive, Error> {
        // Another host's run may have the same second, and take this draft for a dead one's: it must not use this name.
        let mut name = OsString::from(".");
        name.push(place.file_name().unwrap_or_default());
        name.push(format!(".{:08x}{PART}", fastrand::u32(..)));
        let path = parent_of(place).join(name);
        let fail = |e: io::Error| {
            let full = matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            let error = Error::io("write archive", &path, &e);
            if full { error.hint(MAKE_ROOM) } else { error }
        };
        let part = PartFile::create(&path, self.owner).map_err(fail)?;
        let mut from = Hashing::new(Watched {
            inner: from,
            file: &part.file,
            min_free_bytes: self.min_free_bytes.unwrap_or_default(),
            until_look: LOOK_BYTES,
        });
        let to = part.file.try_clone().map_err(fail)?;
        drop(pack_member(to, self.format, member, &mut from).map_err(fail)?);
        let (hash, bytes) = from.finish();
        part.file.sync_all().map_err(fail)?;
        let back = read_back(&part.file, step).map_err(|e| Error::io("read back archive", &path, &e))?;
        if back != Some((hash, bytes)) || bytes != member.bytes {
            let cause = "it holds something else than was written to it";
            let error = Error::new(Category::System, "trust archive", path.display(), cause);
            return Err(error.hint("look after disk and memory"));
        }
        let bytes = part.file.metadata().map_err(fail)?.size();
        Ok(VerifiedArchive {
            part,
            place: place.to_owned(),
            hash,
            bytes,
        })
    }
}

/// Reads the one file of an archive: its hash and its length. It comes from the disk, and not from memory.
fn read_back(archive: &File, mut step: impl FnMut(u64) -> io::Result<()>) -> io::Result<Option<(Hash, u64)>> {
    let _ = posix_fadvise(archive, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    let mut back = None;
    // Mail that was rewritten while it was packed need not begin as mail does; whether it was is asked later.
    unpack_archive(archive, |_, reader| {
        if back.is_some() {
            return Err(io::Error::other("it holds more than one file"));
        }
        let mut hashing = Hashing::new(reader);
        let mut buffer = vec![0; STEP_BYTES];
        loop {
            match hashing.read(&mut buffer)? {
                0 => break,
                read => step(read as u64)?,
            }
        }
        back = Some(hashing.finish());
        Ok(())
    })?;
    Ok(back)
}

impl VerifiedArchive {
    /// Where it will be.
    pub fn archive_path(&self) -> &Path {
        &self.place
    }

    /// Gives it its name, and makes that last. An archive that has that name already is left alone.
    pub fn publish(mut self) -> Result<PublishedArchive, Error> {
        let place = &self.place;
        let fail = |e: io::Error| Error::io("name archive", place, &e);
        // Unlike rename(2), link(2) never replaces.
        match std::fs::hard_link(&self.part.path, place) {
            // It has its name. One that stays beside it is removed by the next run.
            Ok(()) => drop(std::fs::remove_file(&self.part.path)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists || place.symlink_metadata().is_ok() => {
                return Err(fail(e));
            }
            // Some file systems know no links.
            Err(_) => std::fs::rename(&self.part.path, place).map_err(fail)?,
        }
        self.part.named = true;
        if let Err(e) = sync_parent(place) {
            // Nobody knows whether the name lasts, and the mail stays where it is.
            let _ = std::fs::remove_file(place);
            return Err(Error::io("sync", parent_of(place), &e));
        }
        Ok(PublishedArchive {
            path: self.place,
            bytes: self.bytes,
        })
    }
}

/// An archive that is safe.
#[derive(Clone, Debug)]
pub struct PublishedArchive {
    /// Where it is.
    pub path: PathBuf,
    /// How large it is, in bytes.
    pub bytes: u64,
}

impl PublishedArchive {
    /// Removes it: what is in it is still in the mailbox, and will be archived again.
    pub fn withdraw(self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = sync_parent(&self.path);
    }
}

/// About how large an archive of these parts gets, in bytes: some of them are packed to see.
pub fn estimate_bytes<F: ReadAt + ?Sized>(file: &F, parts: &Ranges) -> io::Result<u64> {
    let bytes = parts.bytes();
    let (Some(start), Some(end)) = (parts.start(), parts.end()) else {
        return Ok(0);
    };
    let mut sample = vec![0; SAMPLE_BYTES];
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut taken = 0;
    for number in 0..SAMPLES {
        let read = file.read_from(&mut sample, start + (end - start) / SAMPLES * number)?;
        packed.write_all(sample.get(..read).unwrap_or_default())?;
        taken += read as u64;
    }
    let packed = packed.finish()?.len() as u64;
    let scaled = u128::from(bytes) * u128::from(packed) * 5 / 4 / u128::from(taken.max(1));
    Ok(u64::try_from(scaled).unwrap_or(u64::MAX).saturating_add(64 << 10))
}

/// Stops when the file system gets fuller than allowed: others have to write to it, too.
struct Watched<'a, R> {
    inner: R,
    file: &'a File,
    min_free_bytes: u64,
    until_look: u64,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.until_look = self.until_look.saturating_sub(read as u64);
        if self.until_look == 0 {
            self.until_look = LOOK_BYTES;
            let stat = nix::sys::statvfs::fstatvfs(self.file)?;
            let free = stat.blocks_available().saturating_mul(stat.fragment_size());
            if free < self.min_free_bytes {
                return Err(io::Error::new(
                    io::ErrorKind::StorageFull,
                    "the disk is full up to what min_free keeps free",
                ));
            }
        }
        Ok(read)
    }
}
