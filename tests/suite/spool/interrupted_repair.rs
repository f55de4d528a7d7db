//! A run that was killed in a cut, and then the run that was to mend that: killed at each of its system calls as well.
//! Whoever comes third finds every message, once.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use crate::spool::archive::{OLD, archived_whole, calls, counted, leftovers, scratch, stored, strace_works};
use crate::support::{ORDINARY, Run, Scratch, contains, messages, shown, skip, user_name};

const YOUNG: &str = "Mon Nov  2 10:00:00 2026";

/// So large that what stays is appended in several steps.
fn parts() -> Vec<String> {
    let body = "a line of text\n".repeat(7000);
    (0..8)
        .map(|n| stored(n, if n % 2 == 0 { OLD } else { YOUNG }, "").replace(&format!("body {n}"), &body))
        .collect()
}

/// Who comes second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mender {
    Delivery,
    Archive,
}

fn mender<'a>(scratch: &'a Scratch, mender: Mender, name: &str) -> Run<'a> {
    match mender {
        Mender::Delivery => scratch.deliver(ORDINARY),
        Mender::Archive => scratch.run(&["spool", "archive", "--yes", name, "--older-than", "1000d"]),
    }
}

/// Everything that a killed run left in a scratch, to be laid down in another.
struct State(Vec<(&'static str, PathBuf, Vec<u8>)>);

impl State {
    fn of(scratch: &Scratch) -> Self {
        let mut files = Vec::new();
        for dir in ["spool", "archives"] {
            for path in scratch.files(dir) {
                files.push((dir, path.file_name().unwrap().into(), fs::read(&path).unwrap()));
            }
        }
        Self(files)
    }

    fn lay(&self) -> Scratch {
        let scratch = scratch();
        for (dir, name, bytes) in &self.0 {
            fs::create_dir_all(scratch.path(dir)).unwrap();
            fs::write(scratch.path(dir).join(name), bytes).unwrap();
        }
        scratch
    }
}

fn killed(run: Run<'_>, call: &str, count: u32) -> bool {
    let line = format!("exec strace -f -o /dev/null -e trace={call} -e inject={call}:signal=KILL:when={count} \"$@\"");
    let ended = run.shell_line(&line).variable("PATH", "/usr/bin:/bin").go();
    ended.code != Some(0)
}

/// Kills at each `first`th system call behind the commit, and then at each `second`th of whoever mends that.
fn killed_twice(first: usize, second: usize) {
    if !strace_works() {
        return skip("needs strace, and leave to use it");
    }
    let parts = parts();
    let name = user_name();
    let arguments = ["spool", "archive", "--yes", &name, "--older-than", "1000d"];
    let all = calls(&parts.concat(), &arguments);
    // From the moment when the journal gets its name.
    let commit = all.iter().rposition(|(call, _)| call == "rename").unwrap();
    let (mut states, mut kills) = (0, 0);
    for (call, count) in all[commit..].iter().step_by(first) {
        let staged = scratch();
        fs::write(staged.mailbox(), parts.concat()).unwrap();
        assert!(killed(staged.run(&arguments), call, *count), "{call} {count}");
        let state = State::of(&staged);
        states += 1;
        for who in [Mender::Delivery, Mender::Archive] {
            for foreign in [false, true] {
                let lay = || {
                    let scratch = state.lay();
                    if foreign {
                        let mut file = File::options().append(true).open(scratch.mailbox()).unwrap();
                        file.write_all(stored(77, YOUNG, "").as_bytes()).unwrap();
                    }
                    scratch
                };
                let undisturbed = lay();
                let trace = undisturbed.path("trace");
                let line = format!("exec strace -f -o '{}' \"$@\"", trace.display());
                let run = mender(&undisturbed, who, &name).shell_line(&line);
                run.variable("PATH", "/usr/bin:/bin").go().ends_with(0);
                let calls = counted(&fs::read_to_string(trace).unwrap());
                for (again, number) in calls.iter().skip(60).step_by(second) {
                    let at =
                        format!("killed at {call} {count}, then {who:?} at {again} {number}, foreign mail: {foreign}");
                    let scratch = lay();
                    killed(mender(&scratch, who, &name), again, *number);
                    kills += 1;
                    // The mail system tries again.
                    scratch.deliver(ORDINARY).go().succeeds();
                    check(&scratch, &parts, foreign, &at);
                    scratch.run(&arguments).go().ends_with(0);
                    assert_eq!(leftovers(&scratch), Vec::<String>::new(), "{at}");
                    check(&scratch, &parts, foreign, &at);
                }
            }
        }
    }
    println!("{states} states, {kills} kills of whoever mends them: none lost, none twice");
    assert!(states > 3 && kills > 30, "{states} states, {kills} kills");
}

fn check(scratch: &Scratch, parts: &[String], foreign: bool, at: &str) {
    let (mail, archived) = (scratch.mail(), archived_whole(scratch));
    let count = |text: &[u8], part: &[u8]| memchr::memmem::find_iter(text, part).count();
    let mut all = 0;
    for part in parts.iter().cloned().chain(foreign.then(|| stored(77, YOUNG, ""))) {
        let (here, there) = (count(&mail, part.as_bytes()), count(&archived, part.as_bytes()));
        all += here;
        let number = &part[..20];
        assert!(here <= 1, "{at}: {number} is in the mailbox {here} times");
        assert!(here + there >= 1, "{at}: {number} is nowhere\n{}", shown(&mail));
    }
    // A delivery that is killed with its last breath may come twice.
    let ordinary = messages(&mail)
        .iter()
        .filter(|message| contains(message, ORDINARY))
        .count();
    assert!(
        (1..=2).contains(&ordinary),
        "{at}: {ordinary} of the new one\n{}",
        shown(&mail)
    );
    assert_eq!(
        messages(&mail).len(),
        all + ordinary,
        "{at}: there is a part\n{}",
        shown(&mail)
    );
}

#[test]
fn a_kill_at_some_system_calls_of_a_recovery_costs_nothing() {
    killed_twice(12, 83);
}

#[test]
#[ignore = "takes an hour: two runs for each system call of each run that mends"]
fn a_kill_at_every_system_call_of_a_recovery_costs_nothing() {
    killed_twice(9, 1);
}
