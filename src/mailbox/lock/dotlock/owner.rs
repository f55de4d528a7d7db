//! Writes the owner of a dotlock into it, and reads the owner of another.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::sys::account::host_name;

/// Who made a dotlock: the process id on the first line, as every program writes it, and what makes it unique on the
/// second.
pub struct Identity {
    pub pid: u32,
    /// The start of the kernel under which it was made.
    pub boot: String,
}

impl Identity {
    pub fn of_this_process() -> Self {
        Self {
            pid: std::process::id(),
            boot: Self::boot_id(),
        }
    }

    /// Names this start of this kernel; processes in other containers of the same machine share it.
    pub fn boot_id() -> String {
        read_small(Path::new("/proc/sys/kernel/random/boot_id"))
            .trim()
            .to_owned()
    }

    /// Names this host, in one word.
    pub fn host_word() -> String {
        host_name().replace(['/', '\n', ' '], "_")
    }

    /// The host that what spoolguard wrote names.
    pub fn host_in(text: &str) -> Option<String> {
        let words = text.lines().nth(1)?.split_ascii_whitespace();
        words
            .filter_map(|word| word.strip_prefix("host="))
            .next()
            .map(str::to_owned)
    }

    /// Reads what spoolguard wrote; none where another program did.
    pub fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        let boot = lines
            .next()?
            .strip_prefix("spoolguard ")?
            .split_ascii_whitespace()
            .find_map(|word| word.strip_prefix("boot="))?;
        Some(Self {
            pid,
            boot: boot.to_owned(),
        })
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.pid)?;
        writeln!(f, "spoolguard host={} boot={}", Self::host_word(), self.boot)
    }
}

fn read_small(path: &Path) -> String {
    File::open(path).map(|file| read_some(&file)).unwrap_or_default()
}

/// The beginning of a file, as text.
pub fn read_some(mut file: &File) -> String {
    let mut bytes = [0; 512];
    let read = file.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn an_identity_is_read_back() {
        let own = Identity::of_this_process();
        let read = Identity::read(&own.to_string());
        assert!(read.is_some_and(|read| read.pid == own.pid && read.boot == own.boot));
        assert!(Identity::read("123\n").is_none());
        assert!(Identity::read("0").is_none());
    }
}
