//! Judges a running MTA by what the kernel says of it (proc(5)): its rights, and the directories that it sees. The
//! programs that it starts inherit both; an administrator's shell has others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::doctor::rules::limits::{Needs, file_size_limit};
use crate::doctor::rules::{Check, CheckSubject, Finding, Level};
use crate::escape::mount_path;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mta {
    /// Postfix's master(8).
    Postfix,
    Exim,
    Sendmail,
    /// OpenSMTPD's first process.
    Opensmtpd,
}

impl Mta {
    /// Tells it by a command line as the kernel keeps it, with a NUL behind each word.
    pub fn of_command(command: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(command);
        let first = text.split('\0').next().unwrap_or_default();
        // Sendmail writes its state there.
        if first.starts_with("sendmail: MTA") || first.starts_with("sendmail-mta: ") {
            return Some(Self::Sendmail);
        }
        let path = Path::new(first.split(' ').next().unwrap_or_default());
        let name = path.file_name()?.to_str()?;
        let is_daemon = text.contains("\0-bd") || text.contains("\0-bdf");
        match name {
            "master"
                if path
                    .parent()
                    .is_some_and(|dir| dir.to_string_lossy().contains("postfix")) =>
            {
                Some(Self::Postfix)
            }
            "exim" | "exim4" if is_daemon => Some(Self::Exim),
            "sendmail" | "sendmail-mta" if is_daemon => Some(Self::Sendmail),
            "smtpd" if path.is_absolute() && !path.to_string_lossy().contains("postfix") => Some(Self::Opensmtpd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Postfix => "Postfix",
            Self::Exim => "Exim",
            Self::Sendmail => "Sendmail",
            Self::Opensmtpd => "OpenSMTPD",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Postfix => "postfix@-",
            Self::Exim => "exim4",
            Self::Sendmail => "sendmail",
            Self::Opensmtpd => "opensmtpd",
        }
    }
}

/// A process of an MTA, with the files of `/proc/PID` as text.
#[derive(Clone, Debug)]
pub struct RunningMta {
    pub mta: Mta,
    pub pid: u32,
    /// `status`.
    pub status: String,
    /// `limits`; none where it may not be read.
    pub limits: Option<String>,
    /// `mountinfo`; none where it may not be read.
    pub mountinfo: Option<String>,
}

/// How deep a process stands in namespaces of processes: those of another container are seen, too.
pub fn namespace_depth(status: &str) -> usize {
    field(status, "NSpid").map_or(1, |ids| ids.split_ascii_whitespace().count())
}

/// Judges one; `own_mountinfo` is that of whoever looks, and `paths` are the directories that deliveries write to.
pub fn judge(process: &RunningMta, own_mountinfo: &str, paths: &[PathBuf], needs: Needs) -> Vec<Finding> {
    let subject = format!("{}, process {}", process.mta.name(), process.pid);
    let topic = Check::RunningMta.about(&subject);
    let unit = process.mta.unit();
    let override_of =
        |what: &str| format!("systemctl edit {unit}, write {what} below [Service], then: systemctl restart {unit}");
    let mut found = Vec::new();
    if field(&process.status, "NoNewPrivs") == Some("1") {
        let what = "it runs with NoNewPrivileges: its sendmail cannot submit as a user, and what would be forwarded stays in the queue";
        found.push(topic.error(what, override_of("NoNewPrivileges=no")));
    }
    // Exim's daemon gives root away, and its program is setuid.
    let uid = field(&process.status, "Uid").and_then(|ids| ids.split_ascii_whitespace().nth(1));
    if process.mta != Mta::Exim && uid.is_some_and(|uid| uid != "0") {
        let what = "it does not run as root: it cannot become the users whose mail it delivers";
        found.push(topic.error(what, "start it as root"));
    }
    if let Some(soft) = process.limits.as_deref().and_then(file_size) {
        let limit = file_size_limit(&subject, soft, needs, &override_of("LimitFSIZE=infinity"));
        found.extend(Some(limit).filter(|finding| finding.level != Level::Ok));
    }
    if let Some(theirs) = &process.mountinfo {
        found.extend(mounts(&topic, theirs, own_mountinfo, paths, &override_of));
    }
    if found.is_empty() {
        found.push(topic.ok("it has the rights and directories that deliveries need"));
    }
    found
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':').map(str::trim);
    status.lines().find_map(value)
}

/// The soft limit of a file's size, in bytes; none where there is none.
fn file_size(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file size"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    is_read_only: bool,
    /// Device and directory on it.
    what: (String, PathBuf),
}

impl Mount {
    /// What a path is there: device, and path on it. A mount of a directory on itself changes neither.
    fn place_of(&self, path: &Path) -> (String, PathBuf) {
        let (device, root) = &self.what;
        let below = path.strip_prefix(&self.point).unwrap_or(path);
        (device.clone(), root.join(below))
    }
}

/// The mount that a path lies on: the deepest; of several at one place the last one is seen.
fn mount_of(mountinfo: &str, path: &Path) -> Option<Mount> {
    let mut found: Option<Mount> = None;
    for line in mountinfo.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [_, _, device, root, point, options, ..] = words.as_slice() else {
            continue;
        };
        let point = PathBuf::from(mount_path(point));
        let depth = point.components().count();
        if path.starts_with(&point)
            && found
                .as_ref()
                .is_none_or(|best| depth >= best.point.components().count())
        {
            found = Some(Mount {
                point,
                is_read_only: options.split(',').any(|option| option == "ro"),
                what: ((*device).to_owned(), PathBuf::from(mount_path(root))),
            });
        }
    }
    found
}

fn mounts(
    topic: &CheckSubject,
    theirs: &str,
    ours: &str,
    paths: &[PathBuf],
    override_of: &dyn Fn(&str) -> String,
) -> Vec<Finding> {
    let (mut found, mut told) = (Vec::new(), BTreeSet::new());
    for path in paths {
        let (Some(their), our) = (mount_of(theirs, path), mount_of(ours, path)) else {
            continue;
        };
        // In a root that is no mount of its own, none covers what lies in it.
        let is_another = our
            .as_ref()
            .map_or(!ours.is_empty(), |our| our.place_of(path) != their.place_of(path));
        let (place, shown) = (their.point.display(), path.display());
        let (what, setting) = if is_another && their.point.components().count() > 1 {
            let what = format!(
                "it sees something else at {place}: what {shown} holds is not there for it (ProtectHome, TemporaryFileSystem)"
            );
            (what, "BindPaths")
        } else if their.is_read_only && our.is_some_and(|our| !our.is_read_only) {
            let what = format!(
                "{place} is mounted read-only for it, and nothing can be written to {shown} (ProtectSystem, ProtectHome)"
            );
            (what, "ReadWritePaths")
        } else {
            continue;
        };
        let mut homes = ["/home", "/root", "/run/user"].iter();
        let remedy = if homes.any(|home| path.starts_with(home)) {
            override_of("ProtectHome=no")
        } else {
            override_of(&format!("{setting}={shown}"))
        };
        // One mount hides many homes.
        if told.insert(their.point) {
            found.push(topic.error(what, remedy));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Mta, RunningMta, judge, namespace_depth};
    use crate::doctor::rules::Level;
    use crate::doctor::rules::limits::Needs;

    const STATUS: &str = "Name:\tmaster\nUid:\t0\t0\t0\t0\nNSpid:\t12\nNoNewPrivs:\t0\n";
    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
                          Max cpu time              unlimited            unlimited            seconds   \n\
                          Max file size             unlimited            unlimited            bytes     \n";
    const MOUNTS: &str =
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n23 22 8:2 / /home rw - ext4 /dev/sda2 rw\n";
    const NEEDS: Needs = Needs {
        limit_bytes: None,
        largest_bytes: 5000,
        run_seconds: 240,
    };

    fn running() -> RunningMta {
        RunningMta {
            mta: Mta::Postfix,
            pid: 12,
            status: STATUS.to_owned(),
            limits: Some(LIMITS.to_owned()),
            mountinfo: Some(MOUNTS.to_owned()),
        }
    }

    fn texts(process: &RunningMta) -> Vec<(Level, String)> {
        let paths = ["/var/mail", "/home/a", "/home/b"].map(PathBuf::from);
        let found = judge(process, MOUNTS, &paths, NEEDS);
        found
            .into_iter()
            .map(|finding| (finding.level, finding.finding))
            .collect()
    }

    #[test]
    fn what_an_mta_may_not_do_is_told() {
        let changed = |from: &str, to: &str| {
            let mut process = running();
            process.status = process.status.replace(from, to);
            process.limits = process.limits.map(|text| text.replace(from, to));
            process.mountinfo = process.mountinfo.map(|text| text.replace(from, to));
            texts(&process)
        };
        assert_eq!(
            changed("none", "none").first().map(|(level, _)| *level),
            Some(Level::Ok)
        );
        for (from, to, part) in [
            ("NoNewPrivs:\t0", "NoNewPrivs:\t1", "it runs with NoNewPrivileges"),
            ("Uid:\t0\t0", "Uid:\t101\t101", "it does not run as root"),
            (
                "file size             unlimited",
                "file size             4096",
                "no file may get larger than 4096 bytes",
            ),
            (
                "8:2 / /home rw",
                "0:30 /systemd/inaccessible/dir /home ro",
                "it sees something else at /home",
            ),
            ("/home rw", "/home ro", "/home is mounted read-only for it"),
            // As systemd makes one directory of a file system read-only: it is mounted on itself.
            (
                "23 22 8:2",
                "24 22 8:1 /var/mail /var/mail ro - ext4 /dev/sda1 rw\n23 22 8:2",
                "/var/mail is mounted read-only for it",
            ),
            (
                "23 22 8:2",
                "24 22 8:1 /srv /var/mail rw - ext4 /dev/sda1 rw\n23 22 8:2",
                "it sees something else at /var/mail",
            ),
            (
                "8:1 / / rw",
                "8:1 / / ro",
                "/ is mounted read-only for it, and nothing can be written to /var/mail",
            ),
        ] {
            let found = changed(from, to);
            assert!(
                found.len() == 1
                    && found
                        .iter()
                        .all(|(level, text)| *level == Level::Error && text.starts_with(part)),
                "{part}: {found:?}"
            );
        }
    }

    #[test]
    fn in_a_root_that_is_no_mount_a_hidden_home_is_told() {
        let mut process = running();
        process.mountinfo = Some("30 29 0:40 / /home rw - tmpfs tmpfs rw\n".to_owned());
        let paths = ["/var/mail", "/home/a"].map(PathBuf::from);
        let found = judge(&process, "31 29 0:5 / /proc rw - proc proc rw\n", &paths, NEEDS);
        assert!(
            found.len() == 1
                && found
                    .iter()
                    .all(|found| found.finding.contains("something else at /home")),
            "{found:?}"
        );
        let unknown = judge(&process, "", &paths, NEEDS);
        assert!(unknown.iter().all(|found| found.level == Level::Ok), "{unknown:?}");
    }

    #[test]
    fn what_cannot_be_read_is_not_judged() {
        let process = RunningMta {
            limits: None,
            mountinfo: None,
            ..running()
        };
        assert_eq!(texts(&process).first().map(|(level, _)| *level), Some(Level::Ok));
    }

    #[test]
    fn a_command_line_tells_whose_process_it_is() {
        for (command, want) in [
            ("/usr/lib/postfix/sbin/master\0-w\0", Some(Mta::Postfix)),
            ("/usr/sbin/exim4\0-bd\0-q30m\0", Some(Mta::Exim)),
            ("/usr/sbin/exim4\0-Mc\x001abc\0", None),
            ("sendmail: MTA: accepting connections          \0", Some(Mta::Sendmail)),
            ("/usr/sbin/smtpd\0", Some(Mta::Opensmtpd)),
            ("smtpd\0-n\0smtp\0-t\0inet\0", None),
            ("smtpd: queue\0", None),
            ("/opt/jenkins/master\0", None),
            ("", None),
        ] {
            assert_eq!(Mta::of_command(command.as_bytes()), want, "{command:?}");
        }
        assert_eq!(namespace_depth("NSpid:\t12\t1\n"), 2);
    }
}
