//! A disk that forgets, stalls and fails: one file of a FUSE file system, under a loop device. Its bytes are in memory.
//! The thread that serves it touches nothing that lies on it, so that it can never wait for itself.

use std::ffi::OsStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyWrite, Request, WriteFlags,
};

use crate::image::{Event, Image};

/// How large the disk is. XFS wants at least 300 MB.
pub const DISK_BYTES: u64 = 320 << 20;

/// The file's name below the mount point.
pub const NAME: &str = "disk";

const FILE: INodeNo = INodeNo(2);
const FOREVER: Duration = Duration::from_secs(3600);

/// How the disk treats what is written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It takes everything.
    Works,
    /// Writes and flushes wait.
    Stalls,
    /// Writes and flushes fail with EIO. The kernel marks the pages clean all the same.
    Fails,
}

/// A request that waits while the disk stalls.
enum Waiting {
    Write { at: u64, bytes: Vec<u8>, reply: ReplyWrite },
    Flush(ReplyEmpty),
}

struct State {
    image: Image,
    log: Option<Vec<Event>>,
    mode: Mode,
    waiting: Vec<Waiting>,
    failed: usize,
}

/// The disk, as a test holds it in its hand.
#[derive(Clone)]
pub struct Disk(Arc<(Mutex<State>, Condvar)>);

impl Disk {
    /// Shows a disk full of zeros below `mountpoint`.
    pub fn serve(mountpoint: &std::path::Path) -> std::io::Result<(Self, BackgroundSession)> {
        let state = State {
            image: Image::default(),
            log: None,
            mode: Mode::Works,
            waiting: Vec::new(),
            failed: 0,
        };
        let disk = Self(Arc::new((Mutex::new(state), Condvar::new())));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("spoolguard-test-disk".to_owned())];
        let session = fuser::spawn_mount(Served(disk.clone()), mountpoint, &config)?;
        Ok((disk, session))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// Changes how it treats writes; those that wait are answered.
    pub fn set(&self, mode: Mode) {
        let mut state = self.state();
        state.mode = mode;
        if mode != Mode::Stalls {
            for waiting in std::mem::take(&mut state.waiting) {
                match waiting {
                    Waiting::Write { at, bytes, reply } => state.write(at, &bytes, reply),
                    Waiting::Flush(reply) => state.flush(reply),
                }
            }
        }
    }

    /// Waits until something waits for the stalled disk.
    pub fn until_something_waits(&self) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(20);
        let mut state = self.state();
        while state.waiting.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err("nothing was written to the stalled disk".to_owned());
            }
            state = self.0.1.wait_timeout(state, left).unwrap().0;
        }
        Ok(())
    }

    /// How many writes and flushes have failed since this was asked last.
    pub fn take_failed(&self) -> usize {
        std::mem::take(&mut self.state().failed)
    }

    /// What it holds now.
    pub fn image(&self) -> Image {
        self.state().image.clone()
    }

    /// Puts another disk in its place. Nothing may be mounted from it.
    pub fn replace(&self, image: Image) {
        self.state().image = image;
    }

    /// Begins a record, and says what the disk holds at its beginning.
    pub fn begin_log(&self) -> Image {
        let mut state = self.state();
        state.log = Some(Vec::new());
        state.image.clone()
    }

    /// Notes that the run which is looked at has ended with 0.
    pub fn log_acknowledged(&self) {
        if let Some(log) = &mut self.state().log {
            log.push(Event::Acknowledged);
        }
    }

    /// Ends the record.
    pub fn end_log(&self) -> Vec<Event> {
        self.state().log.take().unwrap_or_default()
    }
}

impl State {
    fn write(&mut self, at: u64, bytes: &[u8], reply: ReplyWrite) {
        if self.mode == Mode::Fails {
            self.failed += 1;
            return reply.error(Errno::EIO);
        }
        self.image.write(at, bytes);
        if let Some(log) = &mut self.log {
            log.push(Event::Write {
                at,
                bytes: bytes.into(),
            });
        }
        reply.written(u32::try_from(bytes.len()).unwrap());
    }

    fn flush(&mut self, reply: ReplyEmpty) {
        if self.mode == Mode::Fails {
            self.failed += 1;
            return reply.error(Errno::EIO);
        }
        if let Some(log) = &mut self.log {
            log.push(Event::Flush);
        }
        reply.ok();
    }
}

struct Served(Disk);

impl Served {
    fn attributes(inode: INodeNo) -> FileAttr {
        let is_file = inode == FILE;
        FileAttr {
            ino: inode,
            size: if is_file { DISK_BYTES } else { 0 },
            blocks: if is_file { DISK_BYTES / 512 } else { 0 },
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_file {
                FileType::RegularFile
            } else {
                FileType::Directory
            },
            perm: if is_file { 0o600 } else { 0o700 },
            nlink: if is_file { 1 } else { 2 },
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    fn take(&self, waiting: Waiting) {
        let mut state = self.0.state();
        if state.mode == Mode::Stalls {
            state.waiting.push(waiting);
            self.0.0.1.notify_all();
            return;
        }
        match waiting {
            Waiting::Write { at, bytes, reply } => state.write(at, &bytes, reply),
            Waiting::Flush(reply) => state.flush(reply),
        }
    }
}

impl Filesystem for Served {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // One write of the loop device, one request.
        let _ = config.set_max_write(1 << 20);
        Ok(())
    }

    fn lookup(&self, _request: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == NAME {
            reply.entry(&FOREVER, &Self::attributes(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _request: &Request, inode: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOREVER, &Self::attributes(inode));
    }

    fn open(&self, _request: &Request, _inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        // No cache in between: what the file system writes is here at once, and what it reads is what is here.
        reply.opened(FileHandle(1), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let left = DISK_BYTES.saturating_sub(offset).min(u64::from(size));
        let mut bytes = vec![0; usize::try_from(left).unwrap()];
        self.0.state().image.read(offset, &mut bytes);
        reply.data(&bytes);
    }

    fn write(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.take(Waiting::Write {
            at: offset,
            bytes: data.to_vec(),
            reply,
        });
    }

    fn flush(&self, _request: &Request, _inode: INodeNo, _handle: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        // A close(2), not a flush of the disk.
        reply.ok();
    }

    fn fsync(&self, _request: &Request, _inode: INodeNo, _handle: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.take(Waiting::Flush(reply));
    }
}
