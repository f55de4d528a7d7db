//! A file system on such a disk: made, mounted, unmounted, checked, put back to an earlier state. All of it goes with
//! the value; should this process be killed, the loop device goes with its last user, and the mounts go with their
//! namespace.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use fs2::FileExt as _;
use fuser::BackgroundSession;

use crate::disk::{Disk, Mode, NAME};
use crate::image::Image;

/// The file systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ext4,
    Xfs,
    Btrfs,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Ext4, Self::Xfs, Self::Btrfs];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// The programs that it needs.
    pub fn programs(self) -> [&'static str; 2] {
        match self {
            Self::Ext4 => ["mkfs.ext4", "e2fsck"],
            Self::Xfs => ["mkfs.xfs", "xfs_repair"],
            Self::Btrfs => ["mkfs.btrfs", "btrfs"],
        }
    }

    fn make(self) -> &'static [&'static str] {
        match self {
            // Nothing that goes on being written behind the test's back.
            Self::Ext4 => &[
                "mkfs.ext4",
                "-q",
                // As on a disk of any size that is in use.
                "-b",
                "4096",
                "-I",
                "256",
                "-E",
                "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
                "-J",
                "size=8",
            ],
            Self::Xfs => &["mkfs.xfs", "-q", "-K"],
            Self::Btrfs => &["mkfs.btrfs", "-q", "-K", "-m", "single"],
        }
    }

    fn check(self) -> &'static [&'static str] {
        match self {
            Self::Ext4 => &["e2fsck", "-fn"],
            Self::Xfs => &["xfs_repair", "-n"],
            Self::Btrfs => &["btrfs", "check", "--readonly"],
        }
    }
}

/// A disk, its loop device, and a file system of one kind on it.
pub struct Stage {
    pub kind: Kind,
    pub disk: Disk,
    dir: tempfile::TempDir,
    device: PathBuf,
    /// Keeps the device; it frees itself when nobody has it open (losetup -d, on a device in use).
    opened: Option<File>,
    session: Option<BackgroundSession>,
    is_mounted: bool,
}

impl Stage {
    /// A new file system, mounted.
    pub fn new(kind: Kind) -> Self {
        let dir = tempfile::Builder::new()
            .prefix(&format!("spoolguard-storage-{}-", kind.name()))
            .tempdir()
            .unwrap();
        for name in ["fuse", "mnt"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let (disk, session) = Disk::serve(&dir.path().join("fuse")).expect("cannot mount a FUSE file system");
        let mut stage = Self {
            kind,
            disk,
            device: PathBuf::new(),
            opened: None,
            session: Some(session),
            is_mounted: false,
            dir,
        };
        stage.attach();
        let make: Vec<&str> = kind.make().to_vec();
        run(&make, Some(&stage.device)).unwrap();
        stage.flush_buffers();
        stage.mount();
        stage
    }

    fn attach(&mut self) {
        // Two that look for a free device at once may find the same.
        let guard = File::create(std::env::temp_dir().join("spoolguard-storage.loops")).unwrap();
        guard.lock_exclusive().unwrap();
        let file = self.dir.path().join("fuse").join(NAME);
        let shown = run(&["losetup", "-f", "--show"], Some(&file)).expect("no loop device");
        self.device = PathBuf::from(shown.trim());
        self.opened = Some(File::open(&self.device).unwrap());
        // In use, it is only marked to be freed by its last user.
        run(&["losetup", "-d"], Some(&self.device)).unwrap();
    }

    /// What lies on the disk is below this directory.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// A directory that is on no such disk.
    pub fn outside(&self) -> &Path {
        self.dir.path()
    }

    /// Mounts it; after a power loss the file system puts itself in order.
    pub fn mount(&mut self) {
        assert!(!self.is_mounted);
        let (device, path) = (self.device.to_str().unwrap().to_owned(), self.path());
        run(&["mount", "-t", self.kind.name(), &device], Some(&path)).unwrap();
        self.is_mounted = true;
    }

    /// Unmounts it: everything that is dirty is written first, and nothing is left in a cache.
    pub fn unmount(&mut self) {
        if self.is_mounted {
            let path = self.path();
            let mut last = Ok(String::new());
            // A process that was killed may take a moment to let go.
            for _ in 0..500 {
                last = run(&["umount"], Some(&path));
                match &last {
                    Err(e) if e.contains("busy") => std::thread::sleep(Duration::from_millis(10)),
                    _ => break,
                }
            }
            last.unwrap();
            self.is_mounted = false;
        }
        self.flush_buffers();
    }

    fn flush_buffers(&self) {
        run(&["blockdev", "--flushbufs"], Some(&self.device)).unwrap();
    }

    /// Unmounts and mounts it.
    pub fn remount(&mut self) {
        self.unmount();
        self.mount();
    }

    /// Everything is on the disk.
    pub fn sync(&self) -> Image {
        run(&["sync", "-f"], Some(&self.path())).unwrap();
        self.disk.image()
    }

    /// Mounts this disk instead. What was in the cache is gone, as by a power loss.
    pub fn start_from(&mut self, image: &Image) {
        self.unmount();
        self.disk.replace(image.clone());
        self.flush_buffers();
        self.mount();
    }

    /// Mounts this disk as the next boot does: what was left in `spool` lies there from before it.
    pub fn boot_from(&mut self, image: &Image) {
        self.start_from(image);
        self.age_locks();
    }

    /// What lies in `spool` lies there from before the last boot.
    pub fn age_locks(&self) {
        let boot = boot_time() - Duration::from_secs(60);
        for path in crate::mail::files(&self.path().join("spool")) {
            if path.extension().is_some_and(|end| end == "lock") {
                let file = File::options().write(true).open(path).unwrap();
                file.set_times(FileTimes::new().set_accessed(boot).set_modified(boot))
                    .unwrap();
            }
        }
    }

    /// Unmounts it, and asks the file system's own check whether it is sound.
    pub fn check(&mut self) -> Result<(), String> {
        self.unmount();
        run(self.kind.check(), Some(&self.device)).map(drop)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.disk.set(Mode::Works);
        if self.is_mounted {
            let path = self.path();
            if run(&["umount"], Some(&path)).is_err() {
                let _ = run(&["umount", "--lazy"], Some(&path));
            }
        }
        self.opened = None;
        // Should somebody still have it open, it is freed later.
        let _ = run(&["losetup", "-d"], Some(&self.device));
        if let Some(session) = self.session.take() {
            let _ = session.umount_and_join();
        }
    }
}

/// When the machine was booted.
fn boot_time() -> SystemTime {
    let text = fs::read_to_string("/proc/stat").unwrap();
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime "));
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unwrap().trim().parse().unwrap())
}

/// Runs a program; what it printed, or what is wrong.
pub fn run(words: &[&str], last: Option<&Path>) -> Result<String, String> {
    let output = Command::new(words[0])
        .args(&words[1..])
        .args(last)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{}: {e}", words[0]))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("{words:?} {last:?}: {}\n{text}{errors}", output.status))
    }
}
