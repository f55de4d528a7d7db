//! Whether anybody keeps what deliveries log: without that, nothing says afterwards what was diverted, and why.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::config::{Config, LogTo};
use crate::doctor::facts::host_path;
use crate::doctor::rules::{Check, Finding};

/// Where syslog listens.
const SYSLOG: &str = "/dev/log";

/// Examines it.
pub fn examine(config: &Config) -> Option<Finding> {
    judge(config, &host_path(SYSLOG))
}

fn judge(config: &Config, syslog: &Path) -> Option<Finding> {
    let subject = "[log] to";
    if matches!(config.log.to, LogTo::Stderr) {
        let what = "it is \"stderr\", and MTAs throw away what a delivery prints: nothing says what was diverted";
        return Some(Finding::warning(Check::Log, subject, what).remedy("to = \"auto\", with a syslog daemon"));
    }
    if !matches!(config.log.to, LogTo::Auto | LogTo::Syslog) {
        return None;
    }
    let listens = syslog.metadata().is_ok_and(|stat| stat.file_type().is_socket());
    if listens {
        return Some(Finding::ok(Check::Log, subject, "syslog takes it"));
    }
    let what = format!(
        "nobody listens at {}: nothing says what was diverted or suspended, and why",
        syslog.display()
    );
    Some(
        Finding::warning(Check::Log, subject, what)
            .remedy("start a syslog daemon; a container needs its own, or a mount of the host's /dev/log"),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::judge;
    use crate::config::{Config, LogTo};
    use crate::doctor::rules::Level;

    #[test]
    fn a_log_that_nobody_keeps_is_told() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("log");
        let mut config = Config::default();
        let mut level = |to| {
            config.log.to = to;
            judge(&config, &path).map(|finding| finding.level)
        };
        assert_eq!(level(LogTo::Auto), Some(Level::Warning));
        assert_eq!(level(LogTo::Stderr), Some(Level::Warning));
        assert_eq!(level(LogTo::None), None);
        let _socket = UnixDatagram::bind(&path);
        assert_eq!(level(LogTo::Auto), Some(Level::Ok));
    }
}
