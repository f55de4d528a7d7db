//! The `[mailbox] location`: where each user's mail is put. Text becomes this checked type once, when the configuration is read.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};

/// What stands for the user's name in a location.
const USER: &str = "/%u";

/// Where each user's mail is put: `mbox:/var/mail/%u`, mboxes in one directory, each named after its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The directory of the mailboxes.
    pub dir: PathBuf,
}

impl Location {
    /// Returns the mailbox of the user of this name.
    #[must_use]
    pub fn of(&self, user: &str) -> PathBuf {
        self.dir.join(user)
    }
}

impl Default for Location {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("/var/mail"),
        }
    }
}

impl FromStr for Location {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let dir = text
            .strip_prefix("mbox:")
            .and_then(|path| path.strip_suffix(USER))
            .ok_or(())?;
        // "/%u" alone is the root directory.
        let dir = Path::new(if dir.is_empty() { "/" } else { dir });
        if !dir.is_absolute() || dir.to_string_lossy().contains('%') {
            return Err(());
        }
        Ok(Self { dir: dir.to_owned() })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = self.dir.display().to_string();
        write!(f, "mbox:{}{USER}", dir.trim_end_matches('/'))
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| {
            de::Error::custom("expected mbox: and an absolute path that ends with /%u, such as mbox:/var/mail/%u")
        })
    }
}

impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads what `--mailbox` names: the path of an mbox, alone or behind `mbox:`.
///
/// # Errors
/// When the text is empty or names another kind of mailbox.
pub fn mailbox_path(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("mbox:").unwrap_or(text);
    if path.is_empty() || path.ends_with('/') || ["maildir:", "lmtp:"].iter().any(|kind| path.starts_with(kind)) {
        return Err("expected the path of an mbox, or mbox: and a path".to_owned());
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::Location;

    #[test]
    fn a_location_names_a_directory_and_the_user() {
        for (text, dir) in [("mbox:/var/mail/%u", "/var/mail"), ("mbox:/%u", "/")] {
            let location: Location = text.parse().unwrap_or_else(|()| unreachable!("{text}"));
            assert_eq!(location.dir.to_str(), Some(dir));
            assert_eq!(location.to_string(), text);
        }
        for text in [
            "",
            "/var/mail",
            "mbox:mail/%u",
            "mbox:/var/mail",
            "mbox:/var/mail/",
            "maildir:/v/%u",
            "mbox:/v/%d/%u",
            "mbox:",
        ] {
            assert_eq!(text.parse::<Location>(), Err(()), "{text}");
        }
    }
}
