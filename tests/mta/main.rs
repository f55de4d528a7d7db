//! The guard behind real mail systems: the stories that loop with a plain forward
//! must end by themselves, with nothing lost.
//!
//! Needs root and the prepared roots; `tests/mta/run` sees to both. Every test is
//! ignored without `--ignored`, and also with it where something is missing. Each
//! scene is played by this same program, started again as the first process of
//! namespaces of its own. At the end a table goes to stdout and to
//! `target/mta/table.txt`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a lab that cannot be put up is a failed test, and a test program prints"
)]

mod alias;
mod beside;
mod confined;
mod desk;
mod exim;
mod foreign;
mod host;
mod hub;
mod hung;
mod lab;
mod lmtp;
mod opensmtpd;
mod owners;
mod package;
mod postfix;
mod queue_cost;
mod rcpt;
mod sendmail;
mod sieve;
mod stage;
mod stories;
mod table;
mod tokens;
mod virtual_users;

use std::env;
use std::fs;
use std::io::Read;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use lab::MailSystem;
use stage::{Hook, Played, SCENE_LIMIT, Stage};
use stories::{STORIES, Story};
use table::Row;

static SYSTEMS: &[&dyn MailSystem] = &[
    &postfix::Postfix,
    &exim::Exim,
    &opensmtpd::OpenSmtpd,
    &sendmail::Sendmail,
    &lmtp::DOVECOT,
    &lmtp::CYRUS,
    &sieve::SIEVE,
    &hung::HUNG,
    &foreign::MSMTP,
    &foreign::SSMTP,
    &foreign::ESMTP,
    &foreign::NULLMAILER,
    &foreign::DMA,
];

fn stories() -> impl Iterator<Item = &'static Story> {
    STORIES
        .iter()
        .chain(confined::STORIES)
        .chain(lmtp::STORIES)
        .chain(sieve::STORIES)
        .chain(hung::STORIES)
        .chain(foreign::STORIES)
}

/// The words that make this program play one scene instead of testing.
const SCENE: &str = "--play-scene";

/// What the scenes of one run have come to.
struct Board {
    rows: Vec<Row>,
    expected: usize,
    finished: usize,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().collect();
    if words.get(1).is_some_and(|word| word == SCENE) {
        return play(&words[2], &words[3]);
    }
    let arguments = Arguments::from_args();
    let is_plain = !arguments.list && !arguments.ignored && !arguments.include_ignored && arguments.filter.is_none();
    let board = Arc::new(Mutex::new(Board {
        rows: Vec::new(),
        expected: 0,
        finished: 0,
    }));
    let mut trials = Vec::new();
    for system in SYSTEMS {
        for story in stories() {
            let is_for_all = story.only.is_empty() && system.tells_every_story();
            if !is_for_all && !story.only.contains(&system.name()) {
                continue;
            }
            if stories::BY_NAME.contains(&story.name) && arguments.filter.is_none() {
                continue;
            }
            for &hook in story.hooks {
                if hook == Hook::Command && !story.delivers && !system.has_user_commands() {
                    continue;
                }
                trials.push(trial(*system, story, hook, &board));
            }
        }
    }
    // A plain `cargo test` plays none of them, and says so once.
    if is_plain {
        let name = format!("{} scenes behind real mail systems", trials.len());
        let why = "need root and Debian: tests/mta/run";
        trials = vec![Trial::test(name, || Ok(())).with_kind(why).with_ignored_flag(true)];
    }
    board.lock().unwrap().expected = trials
        .iter()
        .filter(|trial| !arguments.is_filtered_out(trial) && !arguments.is_ignored(trial))
        .count();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn hook_name(system: &str, hook: Hook) -> &'static str {
    match (hook, system) {
        (Hook::Plain, _) => "plain",
        (Hook::Recipe, _) => "procmailrc",
        (Hook::DotForward, _) => ".forward",
        (Hook::Command, "postfix" | "dovecot" | "cyrus" | "hung") => "mailbox_command",
        (Hook::Command, "sieve") => "redirect",
        (Hook::Command, "exim") => "pipe transport",
        (Hook::Command, "opensmtpd") => "mda",
        (Hook::Command, _) => "local mailer",
    }
}

fn trial(system: &'static dyn MailSystem, story: &'static Story, hook: Hook, board: &Arc<Mutex<Board>>) -> Trial {
    let hook_name = hook_name(system.name(), hook);
    let name = format!("{} {}, {hook_name}: {}", system.name(), story.name, story.title);
    let board = Arc::clone(board);
    Trial::ignorable_test(name, move || {
        let lacks = missing(system.name()).or_else(|| (story.name == package::NAME).then(package::missing).flatten());
        let played = match lacks {
            Some(what) => Ok(Err(what)),
            None => stand_by(system.name(), story.name, hook).map(Ok),
        };
        let mut board = board.lock().unwrap();
        board.finished += 1;
        let result = match played {
            Ok(Err(what)) => Ok(Completion::ignored_with(what)),
            Err(trouble) => Err(Failed::from(trouble)),
            Ok(Ok(played)) => {
                board.rows.push(Row {
                    system: system.name(),
                    story: story.name,
                    title: story.title,
                    hook,
                    hook_name,
                    failed: !played.failures.is_empty(),
                    measured: played.measured,
                });
                if played.failures.is_empty() {
                    Ok(Completion::Completed)
                } else {
                    Err(Failed::from(format!(
                        "{}\n\n{}",
                        played.failures.join("\n"),
                        played.log
                    )))
                }
            }
        };
        // The runner prints its summary after the last test, so this is the last
        // moment to print anything before it.
        if board.finished == board.expected && !board.rows.is_empty() {
            show(&mut board.rows);
        }
        result
    })
    .with_kind(format!("needs root and {}: run tests/mta/run", system.name()))
    .with_ignored_flag(true)
}

fn show(rows: &mut [Row]) {
    rows.sort_by_key(|row| {
        let story = stories().position(|story| story.name == row.story);
        let system = SYSTEMS.iter().position(|system| system.name() == row.system);
        (story, system, row.hook as u8)
    });
    let text = table::render(rows);
    println!("\n\n{text}");
    if let Err(error) = fs::write(ground().join("table.txt"), text) {
        eprintln!("cannot keep the table: {error}");
    }
}

fn ground() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/mta")
}

fn cache() -> PathBuf {
    env::var_os("MTA_CACHE").map_or_else(|| ground().join("image"), PathBuf::from)
}

/// Says what a scene lacks on this machine.
fn missing(system: &str) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    if !cache().join(system).is_dir() {
        return Some(format!("needs {system}: run tests/mta/image {system}"));
    }
    let tried = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--uts", "--fork", "true"])
        .output();
    match tried {
        Err(error) => Some(format!("needs unshare: {error}")),
        Ok(output) if !output.status.success() => Some(format!(
            "needs the right to make namespaces: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Ok(_) => None,
    }
}

/// Plays a scene in namespaces of its own, and ends all of it when it takes too long.
fn stand_by(system: &str, story: &str, hook: Hook) -> Result<Played, String> {
    let mut child = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--uts",
            "--ipc",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
        ])
        .arg(env::current_exe().unwrap())
        .args([SCENE, &format!("{system}/{story}"), &format!("{hook:?}")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run unshare: {error}"))?;
    let mut out = child.stdout.take().unwrap();
    let mut err = child.stderr.take().unwrap();
    let outs = thread::spawn(move || {
        let mut text = String::new();
        let _ = out.read_to_string(&mut text);
        text
    });
    let errs = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = err.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let start = Instant::now();
    let mut late = false;
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if start.elapsed() > SCENE_LIMIT {
            late = true;
            let _ = child.kill();
        }
        thread::sleep(std::time::Duration::from_millis(20));
    }
    let (out, err) = (outs.join().unwrap(), errs.join().unwrap());
    if late {
        return Err(format!("took more than {SCENE_LIMIT:?}\n{err}"));
    }
    let mut played: Played =
        serde_json::from_str(out.trim()).map_err(|_| format!("the scene broke off\n{out}{err}"))?;
    played.log.push_str(&err);
    Ok(played)
}

/// Plays one scene: the first process of its namespaces.
fn play(scene: &str, hook: &str) -> ExitCode {
    let (system, story) = scene.split_once('/').unwrap();
    let system = *SYSTEMS.iter().find(|s| s.name() == system).unwrap();
    let story = stories().find(|s| s.name == story).unwrap();
    let hook = *[Hook::Plain, Hook::Recipe, Hook::DotForward, Hook::Command]
        .iter()
        .find(|h| format!("{h:?}") == hook)
        .unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_spoolguard"));
    let mut stage = Stage::new(system, story.name, hook, &cache(), program);
    let result = panic::catch_unwind(panic::AssertUnwindSafe(|| (story.play)(&mut stage)));
    if result.is_err() {
        stage.check(false, "the scene can be played: see the panic on stderr");
    }
    let played = stage.close();
    println!("{}", serde_json::to_string(&played).unwrap());
    ExitCode::SUCCESS
}
