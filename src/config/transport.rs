//! The `[forward] transport`: how mail leaves this host. Text becomes this checked type once.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};

/// What stands before the path of a maildir.
const OUTBOX: &str = "outbox:";

/// How mail leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The path of a program that understands `-oi -f SENDER -- ADDRESS...`.
    Sendmail(PathBuf),
    /// A maildir; each file is one message with its envelope on top.
    Outbox(PathBuf),
}

impl Transport {
    /// Reads the value of the key. Fails when the path is not absolute; the error says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, transport): (_, fn(PathBuf) -> Self) = match text.strip_prefix(OUTBOX) {
            Some(dir) => (dir, Self::Outbox),
            None => (text, Self::Sendmail),
        };
        if !Path::new(path).is_absolute() {
            return Err(
                "expected the absolute path of sendmail, or outbox: and the absolute path of a maildir".to_owned(),
            );
        }
        Ok(transport(PathBuf::from(path)))
    }

    /// The path of sendmail, where mail leaves through one.
    pub fn sendmail(&self) -> Option<&Path> {
        match self {
            Self::Sendmail(program) => Some(program),
            Self::Outbox(_) => None,
        }
    }
}

impl Default for Transport {
    fn default() -> Self {
        Self::Sendmail(PathBuf::from("/usr/sbin/sendmail"))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sendmail(program) => write!(f, "{}", program.display()),
            Self::Outbox(dir) => write!(f, "{OUTBOX}{}", dir.display()),
        }
    }
}

impl<'de> Deserialize<'de> for Transport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for Transport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Transport;
    use std::path::PathBuf;

    #[test]
    fn a_transport_is_an_absolute_path_of_a_program_or_a_maildir() {
        let sendmail = Transport::Sendmail(PathBuf::from("/usr/lib/sendmail"));
        let outbox = Transport::Outbox(PathBuf::from("/srv/out"));
        for (text, want) in [("/usr/lib/sendmail", sendmail), ("outbox:/srv/out", outbox)] {
            assert_eq!(want.to_string(), text);
            assert_eq!(Transport::parse(text), Ok(want));
        }
        for text in [
            "",
            "sendmail",
            "outbox:",
            "outbox:here",
            "lmtp:/run/lmtp",
            "Outbox:/srv",
        ] {
            assert!(Transport::parse(text).is_err(), "{text}");
        }
    }
}
