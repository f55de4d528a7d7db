//! Checks whether the log goes anywhere. Otherwise nobody can tell afterwards what was diverted, and why.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::config::{Config, LogTo};
use crate::doctor::facts::host_path;
use crate::doctor::rules::{Check, CheckSubject, Finding};
use crate::sys::child;
use crate::sys::dirs::parent_of;

const SYSLOG: &str = "/dev/log";

pub fn examine(config: &Config, user: &str) -> Option<Finding> {
    judge(config, user, &host_path(SYSLOG))
}

fn judge(config: &Config, user: &str, syslog: &Path) -> Option<Finding> {
    let topic = Check::Log.about("[log] to");
    if matches!(config.log.to, LogTo::Stderr) {
        let what = "it is \"stderr\", and MTAs throw away what a delivery prints: nothing says what was diverted";
        return Some(topic.warning(what, "to = \"auto\", with a syslog daemon"));
    }
    match &config.log.to {
        LogTo::File(file) => return Some(judge_file(&topic, &file.of(user))),
        LogTo::Postlog => return Some(judge_postlog(&topic, syslog)),
        LogTo::None => return None,
        LogTo::Auto | LogTo::Syslog | LogTo::Stderr => {}
    }
    if listens(syslog) {
        return Some(topic.ok("syslog takes it"));
    }
    let what = format!(
        "nobody listens at {}: nothing says what was diverted or suspended, and why",
        syslog.display()
    );
    Some(
        topic.warning(what, "start a syslog daemon; in a container: [log] to = \"/var/log/spoolguard/%u.log\", \"postlog\" with Postfix, or a mount of the host's /dev/log"),
    )
}

fn listens(syslog: &Path) -> bool {
    syslog.metadata().is_ok_and(|stat| stat.file_type().is_socket())
}

/// Whether deliveries can append to the file: those of its owner alone may, who is the first that it was made for.
fn judge_file(topic: &CheckSubject, path: &Path) -> Finding {
    let shown = path.display();
    let dir = parent_of(path);
    match path.symlink_metadata().or_else(|_| dir.metadata()) {
        Ok(stat) if stat.is_symlink() => {
            let what = format!("{shown} is a symbolic link, which is not followed: nothing is logged");
            topic.warning(what, "name the file itself")
        }
        Ok(stat) if stat.is_file() => {
            let what = format!("{shown} takes it, for deliveries of uid {}", stat.uid());
            topic.ok(what)
        }
        Ok(stat) if stat.is_dir() && path.symlink_metadata().is_err() => {
            topic.ok(format!("{shown} is made by the first line"))
        }
        Ok(stat) if stat.file_type().is_fifo() => topic.ok(format!("{shown} takes it while somebody reads it")),
        Ok(_) | Err(_) => {
            let what = format!(
                "{shown} is not a file, or cannot be written: nothing says what was diverted or suspended, and why"
            );
            let remedy = format!("make {}, where each user can write", dir.display());
            topic.warning(what, remedy)
        }
    }
}

/// Users' runs reach Postfix's own log by a program with a set-id bit alone; to syslog they can send themselves.
fn judge_postlog(topic: &CheckSubject, syslog: &Path) -> Finding {
    match child::find_program("postlog", &child::search_path(None)) {
        Some(program) if child::is_set_id(&program) => topic.ok(format!("{} takes it", program.display())),
        Some(program) if listens(syslog) => topic.ok(format!("syslog takes it: {} is root's alone", program.display())),
        Some(program) => {
            let what = format!(
                "{} takes lines of root alone, as it is not set-group-ID: nothing says what was diverted or suspended, and why",
                program.display()
            );
            topic.warning(what, "to = \"/var/log/spoolguard/%u.log\"")
        }
        None => {
            let what = "postlog(1) is missing: nothing says what was diverted or suspended, and why";
            topic.warning(what, "install Postfix, or to = \"auto\", with a syslog daemon")
        }
    }
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
            judge(&config, "alice", &path).map(|finding| finding.level)
        };
        assert_eq!(level(LogTo::Auto), Some(Level::Warning));
        assert_eq!(level(LogTo::Stderr), Some(Level::Warning));
        assert_eq!(level(LogTo::None), None);
        let file = |name: &str| LogTo::try_from(dir.path().join(name).display().to_string());
        assert_eq!(file("%u.log").ok().and_then(&mut level), Some(Level::Ok));
        assert_eq!(file("missing/%u.log").ok().and_then(&mut level), Some(Level::Warning));
        let _socket = UnixDatagram::bind(&path);
        assert_eq!(level(LogTo::Auto), Some(Level::Ok));
    }
}
