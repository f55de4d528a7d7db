//! A file system that takes every question and answers none: whoever asks cannot leave, not even by a death, until it
//! is gone.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};

/// What the kernel asks first (fuse(4), FUSE_INIT); nobody is held before that is answered.
const INIT: u32 = 26;

/// Mounted over a directory while it lives.
pub struct Hung {
    dir: PathBuf,
    is_over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Hung {
    /// None where this user may not mount, or the kernel has no FUSE. Seen by this thread and what it starts from here
    /// on: nobody else shall hang there.
    pub fn over(dir: &Path) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        unshare(CloneFlags::CLONE_NEWNS).ok()?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).ok()?;
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").ok()?;
        let options = format!(
            "fd={},rootmode=40755,user_id=0,group_id=0,allow_other",
            device.as_raw_fd()
        );
        mount(
            Some("hung"),
            dir,
            Some("fuse"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .ok()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        Some(Self {
            dir: dir.to_owned(),
            is_over,
            server: Some(std::thread::spawn(move || serve(device, &ends))),
        })
    }
}

impl Drop for Hung {
    /// With its device the file system goes, and whoever asked gets an error.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.server.take().map(JoinHandle::join);
        let _ = umount2(&self.dir, MntFlags::MNT_DETACH);
    }
}

fn serve(mut device: File, is_over: &AtomicBool) {
    let mut question = vec![0; 1 << 20];
    while !is_over.load(Ordering::Relaxed) {
        let mut files = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
        if poll(&mut files, PollTimeout::from(20_u8)) != Ok(1) {
            continue;
        }
        let Ok(length) = device.read(&mut question) else {
            continue;
        };
        if length >= 16 && u32::from_ne_bytes(question[4..8].try_into().unwrap()) == INIT {
            let _ = device.write_all(&welcome(&question[8..16]));
        }
    }
}

/// The answer to `INIT`: version 7.31, and nothing special.
fn welcome(number: &[u8]) -> Vec<u8> {
    let mut answer = [&80_u32.to_ne_bytes() as &[u8], &0_i32.to_ne_bytes(), number].concat();
    for word in [7_u32, 31, 1 << 16, 0, 12 | 9 << 16, 1 << 16, 1] {
        answer.extend(word.to_ne_bytes());
    }
    answer.resize(80, 0);
    answer
}
