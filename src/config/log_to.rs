//! Where the log goes, as a person writes it: a word, or the path of a file. Anything else is a mistake.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum LogTo {
    /// To syslog where it is there; to standard error with `-v`.
    Auto,
    /// To syslog alone.
    Syslog,
    /// To standard error alone.
    Stderr,
    /// To Postfix's postlog(1).
    Postlog,
    /// To a file.
    File(LogFile),
    /// Nowhere.
    None,
}

/// The file that the log is appended to, as it is configured: an absolute path, in which `%u` stands for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile(String);

impl LogFile {
    /// The file of this user.
    pub fn of(&self, user: &str) -> PathBuf {
        PathBuf::from(self.0.replace("%u", user))
    }
}

impl TryFrom<String> for LogTo {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Ok(match text.as_str() {
            "auto" => Self::Auto,
            "syslog" => Self::Syslog,
            "stderr" => Self::Stderr,
            "postlog" => Self::Postlog,
            "none" => Self::None,
            path if path.starts_with('/') && !path.ends_with('/') && !path.contains('\0') => Self::File(LogFile(text)),
            _ => {
                return Err(
                    "expected \"auto\", \"syslog\", \"stderr\", \"postlog\", \"none\" or the absolute path of a file",
                );
            }
        })
    }
}

impl From<LogTo> for String {
    fn from(to: LogTo) -> Self {
        match to {
            LogTo::Auto => "auto".to_owned(),
            LogTo::Syslog => "syslog".to_owned(),
            LogTo::Stderr => "stderr".to_owned(),
            LogTo::Postlog => "postlog".to_owned(),
            LogTo::None => "none".to_owned(),
            LogTo::File(LogFile(path)) => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LogTo;

    #[test]
    fn a_word_or_an_absolute_path_is_read_and_written_back() {
        for text in ["auto", "syslog", "stderr", "postlog", "none", "/var/log/guard/%u.log"] {
            let read = LogTo::try_from(text.to_owned()).map(String::from);
            assert_eq!(read.as_deref(), Ok(text));
        }
        for text in ["", "Auto", "guard.log", "~/guard.log", "/var/log/", "/a\0b"] {
            assert!(LogTo::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
