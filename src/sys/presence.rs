//! Which files are there, asked by a child: a file system that does not answer holds the child in a call that nobody
//! can end, and whoever asked leaves it behind. Says then that nobody knows.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::{Category, Error};
use crate::escape::mount_path;
use crate::sys::child::{self, Streams};

/// Whether one of several files is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    There,
    /// None is, or none that this user may see.
    Absent,
    /// The file system does not answer.
    Unknown,
}

/// For how long an answer about some files is waited for.
const ASK_TIME: Duration = Duration::from_secs(5);

/// As many groups are asked about at once.
const AT_ONCE: usize = 100;

/// After so many groups that do not answer, the others are not asked.
const MOST_UNKNOWN: usize = 2;

/// Answers `y` or `n` for each of its arguments as soon as that is known. The first test follows no link, since a
/// link's own file system answers.
const SCRIPT: &str = "for f do if [ -L \"$f\" ] || [ -e \"$f\" ]; then echo y; else echo n; fi; done";

/// For each group of files, whether one of them is there.
pub fn of_groups(groups: &[Vec<PathBuf>]) -> Vec<Presence> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut by_mount: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
    for (number, group) in groups.iter().enumerate() {
        let mount = group.first().and_then(|path| mount_point(&mounts, path));
        by_mount.entry(mount.unwrap_or_default()).or_default().push(number);
    }
    let mut answers = vec![Presence::Unknown; groups.len()];
    for (mount, numbers) in by_mount {
        of_mount(&mount, groups, &numbers, &mut answers);
    }
    answers
}

/// Whether this path is there.
pub fn of(path: &Path) -> Presence {
    let answers = of_groups(&[vec![path.to_owned()]]);
    answers.into_iter().next().unwrap_or(Presence::Unknown)
}

/// Fails where the file system of a path does not answer: whoever went on would hang there.
pub fn refuse_hung(path: &Path) -> Result<(), Error> {
    match of(path) {
        Presence::There | Presence::Absent => Ok(()),
        Presence::Unknown => Err(no_answer(path)),
    }
}

/// What there is to say of a path whose file system does not answer.
pub fn no_answer(path: &Path) -> Error {
    let cause = "its file system does not answer";
    Error::new(Category::System, "examine", path.display(), cause).hint("bring its server back, or unmount it")
}

/// Where the mount is that a path lies on, as far as the path and `mountinfo` (proc_pid_mountinfo(5)) say that.
fn mount_point(mountinfo: &str, path: &Path) -> Option<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let points = points.map(|point| PathBuf::from(mount_path(point)));
    let above = points.filter(|point| path.starts_with(point));
    above.max_by_key(|point| point.components().count())
}

/// Asks about the groups `numbers`, which are on one mount, as far as their paths say that.
fn of_mount(mount: &Path, groups: &[Vec<PathBuf>], numbers: &[usize], answers: &mut [Presence]) {
    let mut unknown = 0;
    for some in numbers.chunks(AT_ONCE) {
        if ask(groups, some, answers) {
            continue;
        }
        // On the root's file system, which answers, a link leads one of them elsewhere.
        if mount.components().count() > 1 {
            return;
        }
        for one in some {
            if unknown >= MOST_UNKNOWN {
                return;
            }
            unknown += usize::from(!ask(groups, &[*one], answers));
        }
    }
}

/// Asks a child about some groups, and tells whether it answered.
fn ask(groups: &[Vec<PathBuf>], numbers: &[usize], answers: &mut [Presence]) -> bool {
    let asked: Vec<&[PathBuf]> = numbers
        .iter()
        .filter_map(|number| groups.get(*number))
        .map(Vec::as_slice)
        .collect();
    let Ok(there) = are_there(&asked.concat()) else {
        return false;
    };
    let mut there = there.into_iter();
    for (number, group) in numbers.iter().zip(asked) {
        // All answers of a group are taken, whatever the first of them is.
        let is_there = there.by_ref().take(group.len()).filter(|one| *one).count() > 0;
        if let Some(answer) = answers.get_mut(*number) {
            *answer = if is_there { Presence::There } else { Presence::Absent };
        }
    }
    true
}

fn are_there(paths: &[PathBuf]) -> io::Result<Vec<bool>> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "sh"]).args(paths);
    match child::output_of_command(command, &[], &[], Streams::Output, ASK_TIME) {
        Ok(answer) => {
            let there: Vec<bool> = answer.text.lines().map(|line| line == "y").collect();
            if there.len() == paths.len() {
                return Ok(there);
            }
            Err(io::Error::other("it did not look at all of them"))
        }
        // Where there is no shell, there is no child that could be left behind.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Ok(paths.iter().map(|path| path.symlink_metadata().is_ok()).collect())
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::{Presence, mount_point, of, of_groups};
    use std::path::{Path, PathBuf};

    #[test]
    fn the_mount_is_the_deepest_one_above() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/a rw\n23 22 0:40 / /srv/x\\040y rw - fuse s rw\n24 22 8:2 / /srv rw - ext4 /dev/b rw\n";
        for (path, want) in [("/srv/x y/a", "/srv/x y"), ("/srv/x", "/srv"), ("/home/a", "/")] {
            assert_eq!(
                mount_point(mounts, Path::new(path)).as_deref(),
                Some(Path::new(want)),
                "{path}"
            );
        }
        assert_eq!(mount_point("", Path::new("/")), None);
    }

    #[test]
    fn a_group_is_there_when_one_of_its_files_is() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = |name: &str| dir.path().join(name);
        assert!(std::fs::write(path("it's \"here\""), "").is_ok());
        assert!(std::os::unix::fs::symlink("/no such file", path("link")).is_ok());
        let groups: Vec<Vec<PathBuf>> = [vec!["a", "it's \"here\""], vec!["a", "b"], vec!["link"], vec![]]
            .map(|group| group.into_iter().map(path).collect())
            .into();
        let (there, absent) = (Presence::There, Presence::Absent);
        assert_eq!(of_groups(&groups), [there, absent, there, absent]);
        assert_eq!(of(dir.path()), there);
    }
}
