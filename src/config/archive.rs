//! The `[archive]` table: where archives of spools go, in which format, and how long they stay.

use serde::{Deserialize, Serialize};

use crate::config::value::{Age, Size};

/// The `[archive]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// Where archives go.
    pub dir: String,
    /// How they are packed.
    pub format: ArchiveFormat,
    /// Whose files they are: of whoever archives, if empty; of the mailbox's owner, if `%u`; of this user.
    pub owner: String,
    /// How many are kept of each user; 0, the default, is any number: nothing is removed unless an administrator says
    /// so.
    pub keep: u32,
    /// Up to which age they stay however many they are.
    pub min_age: Age,
    /// How old they get.
    pub max_age: Age,
    /// How large those of one user get together.
    pub max_total: Size,
}

/// How archives are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum ArchiveFormat {
    /// A compressed tar archive with one member, the mailbox: `tar xzf` gives it back with owner, mode and time.
    #[serde(rename = "tar.gz")]
    TarGz,
    /// The mailbox compressed with gzip: `zcat` prints it.
    #[serde(rename = "gz")]
    Gz,
    /// The mailbox compressed with Zstandard: `zstdcat` prints it.
    #[serde(rename = "zst")]
    Zst,
}

impl ArchiveFormat {
    /// What the names of such archives end in.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::TarGz => ".tar.gz",
            Self::Gz => ".gz",
            Self::Zst => ".zst",
        }
    }
}

impl Default for Archive {
    fn default() -> Self {
        Self {
            dir: "/var/backups/mail".to_owned(),
            format: ArchiveFormat::TarGz,
            owner: String::new(),
            keep: 0,
            min_age: Age::seconds(30 * 24 * 60 * 60),
            max_age: Age::NONE,
            max_total: Size::NONE,
        }
    }
}
