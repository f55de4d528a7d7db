//! How long whole deliveries take, from the start of the program to its end, spoolguard's beside those of other
//! programs and beside the least that a delivery has to do (`minimal.c`: read, lock, look again, append, sync;
//! `minimal_maildir.c` for a Maildir).
//!
//! ```text
//! cargo bench --bench delivery                      # about four minutes, and at first a build of spoolguard without
//! shared libraries cargo bench --bench delivery -- --full            # more of everything cargo bench --bench delivery
//! -- --only small,full [--runs N] [--dir DIR] [--mailbox MIB] [--packaged PATH]
//!     [--dynamic PATH]                              # or "none"
//! ```
//!
//! The sections, for `--only`:
//!
//! | word | what |
//! |---|---|
//! | `small`, `1m`, `25m`, `200m` | a message of 4 KiB, 1 MiB ... into a mailbox with mail in it |
//! | `back` | 4 KiB, and the program's file was read back from the disk once: its pages are mapped one by one, as on a machine that runs |
//! | `disk` | 4 KiB, and the program's file is read back from the disk each time, as after a start of the machine; libraries are not |
//! | `empty` | 4 KiB into an empty mailbox |
//! | `full` | 4 KiB into a mailbox of 2 GiB (`--mailbox`); needs twice that in DIR, with `--full` four times |
//! | `users` | 4 KiB, and there are 100,000 users in /etc/passwd; as root |
//! | `writers` | 1, 4, 16 and 64 writers with 50 messages each on one mailbox |
//! | `mixed` | four of spoolguard, procmail, maildrop and dovecot-lda each on the same mailbox |
//! | `configuration` | spoolguard with none, a short one, and all keys with a quota for each of 2000 users |
//! | `maildir` | 4 KiB into a Maildir, and 1 and 16 writers with 25 messages each on one |
//! | `lmtp` | 4 KiB and 200 MiB handed to an LMTP server that keeps nothing, beside `minimal_lmtp.c` |
//! | `verdict` | ordinary mail, a report, a loop |
//! | `forward` | to 1 and to 50 addresses; `swallow.c` stands for sendmail |
//!
//! Programs that are not installed are left out, and the end says how to get them: `tests/peers/install`, and
//! `benches/delivery/fetch` for those that cannot be installed beside each other. Run as root, all of it happens in a
//! mount namespace in which /var/mail is a directory in DIR; not as root, the programs that insist on /var/mail are
//! left out. Each program runs as a user of its own in group `mail`, except where it says so.
//!
//! All programs deliver once in each round, and the times are medians over the rounds; "times the first" is the median
//! of what each took divided by what the first row took in the same round. "memory" and what follows are from one more
//! delivery each: the largest process (`peak.c`), instructions outside the kernel with all processes (valgrind), system
//! calls (strace). Between deliveries the file system is synced, so that nobody pays for another one. A machine that
//! does something else meanwhile shows only the CPU times, the memory and the instructions rightly.

// A report of figures is what it is for, and it ends where something goes wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

mod built;
mod crowd;
mod deliver;
#[path = "../../tests/suite/project/elf.rs"]
mod elf;
mod mail;
#[path = "../measure/mod.rs"]
mod measure;
#[path = "../../tests/peers/namespace.rs"]
mod namespace;
mod observe;
mod programs;
mod rounds;
mod sink;
mod stage;

use deliver::{End, deliver};
use mail::{Mail, report};
use observe::Observer;
use programs::{Kind, Program, spoolguard_configuration};
use rounds::{Columns, Contender, Rounds, compare};
use stage::{Seat, Stage};

const SECTIONS: [&str; 16] = [
    "small",
    "back",
    "disk",
    "empty",
    "1m",
    "25m",
    "200m",
    "full",
    "users",
    "writers",
    "mixed",
    "configuration",
    "maildir",
    "lmtp",
    "verdict",
    "forward",
];

struct Options {
    runs: u32,
    only: Vec<String>,
    below: PathBuf,
    /// Where it is, or "none"; else it is built.
    with_libraries: Option<PathBuf>,
    /// What the package has; else what cargo built for musl, where it did.
    packaged: Option<PathBuf>,
    mailbox_bytes: u64,
    full: bool,
}

fn options() -> Options {
    let mut options = Options {
        runs: 20,
        only: SECTIONS.map(str::to_owned).to_vec(),
        below: std::env::temp_dir(),
        with_libraries: None,
        packaged: built::spoolguard_musl(),
        mailbox_bytes: 2048 << 20,
        full: false,
    };
    let mut runs = None;
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = arguments.next() {
        let mut value = || arguments.next().expect("a value behind each flag");
        match word.as_str() {
            "--full" => (options.runs, options.full) = (100, true),
            "--runs" => runs = Some(value().parse().expect("a number of runs")),
            "--only" => options.only = value().split(',').map(str::to_owned).collect(),
            "--dir" => options.below = PathBuf::from(value()),
            "--packaged" => options.packaged = Some(PathBuf::from(value())),
            "--dynamic" => options.with_libraries = Some(PathBuf::from(value())),
            "--mailbox" => options.mailbox_bytes = value().parse::<u64>().expect("a number of MiB") << 20,
            other => panic!("unknown word {other}"),
        }
    }
    options.runs = runs.unwrap_or(options.runs);
    for word in &options.only {
        assert!(
            SECTIONS.contains(&word.as_str()),
            "no section {word}: there are {SECTIONS:?}"
        );
    }
    options
}

fn main() {
    let options = options();
    let stage = Stage::enter(&options.below);
    let mut missing = Vec::new();
    let own = own_programs(&stage, &options, &mut missing);
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-programs");
    let (others, why) = programs::others(&stage, &fetched);
    missing.extend(why);
    let programs: Vec<(Program, Seat)> = own
        .into_iter()
        .chain(others)
        .enumerate()
        .map(|(number, program)| {
            let seat = stage.seat(&format!("p{number}"));
            program.set_up(&seat);
            (program, seat)
        })
        .collect();
    let bench = Bench {
        observer: Observer::new(&stage),
        stage,
        programs,
        options,
        slow: RefCell::new(Vec::new()),
    };
    println!(
        "delivery: {} processors, {} runs of the small ones\n",
        std::thread::available_parallelism().unwrap(),
        bench.options.runs
    );
    for section in SECTIONS {
        if bench.options.only.iter().any(|word| word == section) {
            bench.section(section);
        }
    }
    for line in missing {
        println!("{line}\n");
    }
}

/// The minimal program and spoolguard, each linked in its ways.
fn own_programs(stage: &Stage, options: &Options, missing: &mut Vec<String>) -> Vec<Program> {
    let mut programs = Vec::new();
    for (name, compiler, flags) in [
        ("minimal", "cc", &[] as &[&str]),
        ("minimal, static", "cc", &["-static"]),
        ("minimal, musl", "musl-gcc", &["-static"]),
    ] {
        match built::compile_with(compiler, stage, "minimal.c", &name.replace(", ", "-"), flags) {
            Some(path) => programs.push(Program::own(Kind::Minimal, name, path)),
            None => missing.push(format!("{name}: needs {compiler} and its library")),
        }
    }
    let as_built = Path::new(env!("CARGO_BIN_EXE_spoolguard"));
    programs.push(Program::own(
        Kind::Spoolguard,
        "spoolguard",
        stage.bring(as_built, "spoolguard"),
    ));
    match &options.packaged {
        Some(path) => {
            let path = stage.bring(path, "spoolguard-packaged");
            programs.push(Program::own(Kind::Spoolguard, "spoolguard, as packaged", path));
        }
        None => missing.push("spoolguard, as packaged: cargo build --release --target TARGET-linux-musl".to_owned()),
    }
    if !elf::is_static(as_built) {
        missing.push("spoolguard, static: there is no libc.a".to_owned());
        return programs;
    }
    if options.with_libraries.as_deref() == Some(Path::new("none")) {
        return programs;
    }
    match options.with_libraries.clone().or_else(built::spoolguard_dynamic) {
        Some(path) => {
            let path = stage.bring(&path, "spoolguard-dynamic");
            programs.push(Program::own(Kind::Spoolguard, "spoolguard, dynamic", path));
        }
        None => missing.push("spoolguard, dynamic: cannot be built here".to_owned()),
    }
    programs
}

struct Bench {
    stage: Stage,
    observer: Observer,
    programs: Vec<(Program, Seat)>,
    options: Options,
    /// Who was too slow for a message, and gets no larger one.
    slow: RefCell<Vec<String>>,
}

/// What a mailbox holds before each delivery.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// What the deliveries before have left.
    Kept,
    /// The same, and of the program nothing is in memory.
    ProgramOnDisk,
    Nothing,
    /// One message, which the program knows.
    One,
}

impl Bench {
    fn section(&self, section: &str) {
        let runs = self.options.runs;
        match section {
            "small" => self.sizes("4 KiB", 4 << 10, Before::Kept, 3, runs, Columns::All),
            "back" => {
                let programs = self.programs.iter().map(|(program, _)| program);
                programs.for_each(Program::forget_pages);
                let what = "4 KiB, by a program that was read back from the disk";
                self.sizes(what, 4 << 10, Before::Kept, 3, runs, Columns::Times);
            }
            "disk" => {
                let what = "4 KiB, by a program that is read from the disk";
                self.sizes(what, 4 << 10, Before::ProgramOnDisk, 3, runs, Columns::Times);
            }
            "empty" => {
                self.sizes(
                    "4 KiB into an empty mailbox",
                    4 << 10,
                    Before::Nothing,
                    1,
                    runs,
                    Columns::Times,
                );
            }
            "1m" => self.sizes("1 MiB", 1 << 20, Before::One, 1, (runs / 2).max(1), Columns::Times),
            "25m" => self.sizes("25 MiB", 25 << 20, Before::One, 1, (runs / 5).max(1), Columns::Times),
            "200m" => self.sizes("200 MiB", 200 << 20, Before::One, 1, (runs / 8).max(1), Columns::Times),
            "full" => self.full((runs / 4).max(1)),
            "users" if self.stage.whole => {
                let kept = self.stage.add_users(100_000);
                self.sizes(
                    "4 KiB, one of 100,000 users",
                    4 << 10,
                    Before::Kept,
                    3,
                    runs,
                    Columns::Times,
                );
                self.stage.put_users(&kept);
            }
            "users" => println!("users: needs a mount namespace, as root\n"),
            "writers" => {
                println!(
                    "### Writers with 50 messages of 4 KiB each on one mailbox\n\nOne program after another; stopped after {} s. procmail and \
                     maildrop look for a lock each second here, by default each 8 and 5.\n",
                    self.limit().as_secs()
                );
                let programs: Vec<_> = self
                    .programs
                    .iter()
                    .map(|(program, seat)| (program, seat.clone()))
                    .collect();
                crowd::alone(&self.stage, &programs, &[1, 4, 16, 64], 50, self.limit());
            }
            "mixed" => self.mixed(),
            "configuration" => self.configuration(runs),
            "maildir" => self.maildir(runs),
            "lmtp" => {
                let socket = self.stage.path("lmtp");
                sink::serve(&socket);
                self.lmtp(&socket, "4 KiB", 4 << 10, runs);
                self.lmtp(&socket, "200 MiB", 200 << 20, (runs / 8).max(1));
            }
            "verdict" => self.verdict(runs),
            "forward" => self.forward(runs),
            other => unreachable!("{other}"),
        }
    }

    /// How long many writers may take.
    fn limit(&self) -> Duration {
        Duration::from_secs(if self.options.full { 120 } else { 4 })
    }

    fn compare(&self, contenders: &[Contender<'_>], warm: u32, counted: u32, columns: Columns) {
        let rounds = Rounds {
            warm,
            counted,
            limit: Duration::from_secs(if self.options.full { 120 } else { 15 }),
        };
        let slow = compare(&self.stage, &self.observer, contenders, rounds, columns);
        self.slow.borrow_mut().extend(slow);
    }

    fn sizes(&self, what: &str, bytes: usize, before: Before, warm: u32, runs: u32, columns: Columns) {
        println!("### {what}, {runs} runs\n");
        let mail = Mail::of(bytes);
        let small = Mail::of(4 << 10);
        let (slow, quick): (Vec<_>, Vec<_>) = self
            .programs
            .iter()
            .partition(|(program, _)| self.slow.borrow().contains(&program.name));
        let contenders: Vec<_> = quick
            .iter()
            .map(|(program, seat)| Contender {
                prepare: Box::new(|| prepare(program, seat, before, &small)),
                ..contender(program, seat, &mail)
            })
            .collect();
        for (program, seat) in &quick {
            prepare(program, seat, Before::One, &small);
        }
        self.compare(&contenders, warm, runs, columns);
        for (program, seat) in &quick {
            seat.fill(b"");
            program.forget(seat);
        }
        for (program, _) in slow {
            println!("{}: was too slow for less\n", program.name);
        }
    }

    /// The C program of this kind of mailbox, linked both ways.
    fn minimal(&self, kind: &str) -> Vec<Program> {
        [("minimal", &[] as &[&str]), ("minimal, static", &["-static"])]
            .into_iter()
            .filter_map(|(name, flags)| {
                let file = format!("{}-{kind}", name.replace(", ", "-"));
                let path = built::compile(&self.stage, &format!("minimal_{kind}.c"), &file, flags)?;
                Some(Program::own(Kind::Minimal, name, path))
            })
            .collect()
    }

    /// Each program with a Maildir in a home of its own; the minimal one is another program there.
    fn maildir(&self, runs: u32) {
        println!("### 4 KiB into a Maildir, {runs} runs\n");
        let minimal = self.minimal("maildir");
        let others = self.programs.iter().map(|(program, _)| program);
        let others = others.filter(|program| program.kind() != Kind::Minimal);
        let deliverquota = programs::deliverquota();
        let mail = Mail::of(4 << 10);
        let mut seats = Vec::new();
        for (number, program) in minimal.iter().chain(others).chain(&deliverquota).enumerate() {
            let mut seat = self.stage.seat(&format!("m{number}"));
            seat.mailbox = seat.at_home("Maildir");
            if program.set_up_maildir(&seat) {
                seats.push((program, seat));
            }
        }
        let contenders: Vec<_> = seats
            .iter()
            .map(|(program, seat)| contender_of(program, seat.clone(), &mail))
            .collect();
        self.compare(&contenders, 3, runs, Columns::Calls);
        println!("### Writers with 25 messages of 4 KiB each on one Maildir\n");
        crowd::alone(&self.stage, &seats, &[1, 16], 25, self.limit());
    }

    /// Those that speak LMTP, each with a home of its own.
    fn lmtp(&self, socket: &Path, what: &str, bytes: usize, runs: u32) {
        println!("### {what} to an LMTP server, {runs} runs\n");
        let minimal = self.minimal("lmtp");
        let others = self.programs.iter().map(|(program, _)| program);
        let others = others.filter(|program| program.kind() == Kind::Spoolguard);
        let mail = Mail::of(bytes);
        let mut contenders = Vec::new();
        for (number, program) in minimal.iter().chain(others).enumerate() {
            let mut seat = self.stage.seat(&format!("l{bytes}-{number}"));
            let own = format!("mbox:{}/%u", seat.mailbox.parent().unwrap().display());
            let text = spoolguard_configuration(&seat).replace(&own, &format!("lmtp:{}", socket.display()));
            seat.write("spoolguard.toml", &text);
            seat.mailbox = socket.to_owned();
            contenders.push(contender_of(program, seat, &mail));
        }
        self.compare(&contenders, 3, runs, Columns::Calls);
    }

    /// A large mailbox, handed from program to program; those that remember what is in it have one each.
    fn full(&self, runs: u32) {
        let bytes = self.options.mailbox_bytes;
        println!("### 4 KiB into a mailbox of {} MiB, {runs} runs\n", bytes >> 20);
        let mail = Mail::of(4 << 10);
        let common = self.stage.path("large");
        fill(&common, bytes);
        let place = RefCell::new(common);
        let (mut begins, mut contenders) = (Vec::new(), Vec::new());
        for (program, seat) in &self.programs {
            if program.rewrites() && !self.options.full {
                begins.push(format!(
                    "{}: writes the whole mailbox anew each time; --full tries it",
                    program.name
                ));
                continue;
            }
            let mut contender = contender(program, seat, &mail);
            if program.remembers() || program.rewrites() {
                fill(&seat.file, bytes);
                seat.take(&seat.file);
                self.stage.settle();
                let (said, quick) = begin(program, seat, &mail);
                begins.push(format!("{}: {said}", program.name));
                if !quick {
                    seat.fill(b"");
                    continue;
                }
            } else {
                let place = &place;
                contender.prepare = Box::new(move || {
                    seat.take(&place.replace(seat.file.clone()));
                });
            }
            contenders.push(contender);
        }
        self.compare(&contenders, 1, runs, Columns::Times);
        for line in begins {
            println!("{line}\n");
        }
        for (program, seat) in &self.programs {
            seat.fill(b"");
            program.forget(seat);
        }
    }

    fn mixed(&self) {
        let programs: Vec<&Program> = self
            .programs
            .iter()
            .map(|(program, _)| program)
            .filter(|program| {
                matches!(program.kind(), Kind::Procmail | Kind::Maildrop | Kind::Dovecot)
                    || program.name == "spoolguard"
            })
            .collect();
        println!(
            "### Different programs on one mailbox, 25 messages of 4 KiB from each writer\n\nStopped after {} s.\n",
            2 * self.limit().as_secs()
        );
        let seat = self.stage.seat("mixed");
        crowd::mixed(&self.stage, &programs, &seat, 25, 2 * self.limit());
    }

    /// The programs that are spoolguard.
    fn guards(&self) -> impl Iterator<Item = &Program> {
        let programs = self.programs.iter().map(|(program, _)| program);
        programs.filter(|program| program.kind() == Kind::Spoolguard)
    }

    /// The minimal program, to compare with.
    fn least<'a>(&'a self, mail: &'a Mail) -> Vec<Contender<'a>> {
        let least = self
            .programs
            .iter()
            .find(|(program, _)| program.kind() == Kind::Minimal);
        least
            .map(|(program, seat)| contender(program, seat, mail))
            .into_iter()
            .collect()
    }

    fn configuration(&self, runs: u32) {
        println!("### Configurations, 4 KiB, {runs} runs\n");
        let mail = Mail::of(4 << 10);
        let mut contenders = self.least(&mail);
        for (number, program) in self.guards().enumerate() {
            if self.stage.whole && !Path::new("/etc/spoolguard.toml").exists() {
                let seat = self.stage.seat(&format!("none{number}"));
                contenders.push(guard(program, &seat, "no configuration", None, &["deliver"], &mail));
            }
            for (name, text) in [
                ("short", ""),
                ("all keys, 2000 users", include_str!("../../contrib/spoolguard.toml")),
            ] {
                let seat = self.stage.seat(&format!("{}{number}", &name[..3]));
                let text = if text.is_empty() {
                    spoolguard_configuration(&seat)
                } else {
                    all_keys(text, &seat)
                };
                contenders.push(guard(program, &seat, name, Some(&text), &["deliver"], &mail));
            }
        }
        self.compare(&contenders, 2, runs, Columns::All);
    }

    fn verdict(&self, runs: u32) {
        println!("### Verdicts, {runs} runs; what is diverted goes to an administrator's mbox\n");
        let ordinary = Mail::of(4 << 10);
        let looping = Mail::of(4 << 10).with("X-Loop: a@a.test");
        let mut contenders = self.least(&ordinary);
        let words = ["deliver", "-a", "a@a.test"];
        for (number, program) in self.guards().enumerate() {
            for (name, storm) in [
                ("ordinary", false),
                ("loop", false),
                ("report", false),
                ("report, of a storm, held", true),
            ] {
                let seat = self.stage.seat(&format!("{}{}{number}", &name[..4], u8::from(storm)));
                let admin = seat.write("admin", "");
                let unbounded = if storm {
                    ""
                } else {
                    "[digest]\nsame = 0\nper_hour = 0\n"
                };
                let text = format!("admin = {admin:?}\n{}{unbounded}", spoolguard_configuration(&seat));
                let mail = if name == "loop" { &looping } else { &ordinary };
                let mut contender = guard(program, &seat, name, Some(&text), &words, mail);
                if name != "ordinary" {
                    contender.mailbox = admin;
                }
                if name.starts_with("report") {
                    contender.message = Box::new(report);
                }
                if storm {
                    // The first few go through.
                    for number in 0..4 {
                        let delivery = deliver(
                            (contender.command)(&[]),
                            &report(1 << 40 | number),
                            Duration::from_secs(60),
                        );
                        assert!(matches!(delivery.end, End::Done), "a report was not taken");
                    }
                }
                contenders.push(contender);
            }
        }
        self.compare(&contenders, 2, runs, Columns::All);
    }

    fn forward(&self, runs: u32) {
        println!("### Forwarding 4 KiB, {runs} runs; first what stands for sendmail, by itself\n");
        let Some(sendmail) = built::compile(&self.stage, "swallow.c", "sendmail", &[]) else {
            println!("left out: needs a C compiler, cc\n");
            return;
        };
        let mail = Mail::of(4 << 10);
        let seat = self.stage.seat("sendmail");
        let mut contenders = vec![Contender {
            name: "nothing but sendmail".to_owned(),
            prepare: Box::new(|| {}),
            mailbox: seat.mailbox.clone(),
            command: Box::new(|under| seat.command(under, &sendmail)),
            message: Box::new(|number| mail.numbered(number)),
        }];
        let addresses: Vec<String> = (0..50).map(|number| format!("b{number}@b.test")).collect();
        for (program, _) in self
            .programs
            .iter()
            .filter(|(program, _)| program.kind() == Kind::Procmail)
        {
            for count in [1, 50] {
                let seat = self.stage.seat(&format!("procmail{count}"));
                let to = addresses[..count].join(" ");
                program.set_up(&seat);
                seat.write("procmailrc", &format!("SENDMAIL={}\n:0\n! {to}\n", sendmail.display()));
                contenders.push(Contender {
                    name: format!("procmail's `!`, to {count}"),
                    ..contender_of(program, seat, &mail)
                });
            }
        }
        for (number, program) in self.guards().enumerate() {
            for count in [1, 50] {
                let seat = self.stage.seat(&format!("forward{count}x{number}"));
                let text = format!(
                    "{}[forward]\ntransport = {sendmail:?}\n",
                    spoolguard_configuration(&seat)
                );
                let words = ["forward", "-a", "a@a.test"].into_iter();
                let words: Vec<&str> = words.chain(addresses[..count].iter().map(String::as_str)).collect();
                contenders.push(guard(
                    program,
                    &seat,
                    &format!("to {count}"),
                    Some(&text),
                    &words,
                    &mail,
                ));
            }
        }
        self.compare(&contenders, 2, runs, Columns::All);
    }
}

/// The first deliveries of a program into a large mailbox: what they take, and whether the following ones are quick
/// enough to be repeated.
fn begin(program: &Program, seat: &Seat, mail: &Mail) -> (String, bool) {
    const LIMIT: Duration = Duration::from_secs(120);
    const QUICK: Duration = Duration::from_secs(2);
    let mut took = Vec::new();
    for number in 0..2 {
        let delivery = deliver(program.command(&[], seat), &mail.numbered(number), LIMIT);
        match delivery.end {
            End::Done => took.push(delivery.wall),
            End::Refused(said) => return (format!("left out, it ended with {said}"), false),
            End::Late => {
                return (
                    format!("left out, a delivery takes longer than {} s", LIMIT.as_secs()),
                    false,
                );
            }
        }
    }
    let (first, second) = (took[0].as_secs_f64(), took[1].as_secs_f64());
    let quick = took[1] < QUICK;
    let note = if quick { "" } else { "; left out of the table" };
    (
        format!("its first delivery takes {first:.2} s, its second {second:.2} s{note}"),
        quick,
    )
}

fn prepare(program: &Program, seat: &Seat, before: Before, small: &Mail) {
    match before {
        Before::Kept => {}
        Before::ProgramOnDisk => program.forget_pages(),
        Before::Nothing => {
            program.forget(seat);
            seat.fill(b"");
        }
        Before::One => {
            program.forget(seat);
            seat.fill(b"");
            let delivery = deliver(program.command(&[], seat), &small.numbered(0), Duration::from_secs(60));
            if let End::Refused(said) = delivery.end {
                eprintln!("{}: {said}", program.name);
            }
        }
    }
}

fn contender<'a>(program: &'a Program, seat: &'a Seat, mail: &'a Mail) -> Contender<'a> {
    contender_of(program, seat.clone(), mail)
}

/// A program that delivers to a user of its own.
fn contender_of<'a>(program: &'a Program, seat: Seat, mail: &'a Mail) -> Contender<'a> {
    Contender {
        name: program.name.clone(),
        prepare: Box::new(|| {}),
        mailbox: seat.mailbox.clone(),
        command: Box::new(move |under| program.command(under, &seat)),
        message: Box::new(|number| mail.numbered(number)),
    }
}

/// spoolguard with another configuration, or with none.
fn guard<'a>(
    program: &'a Program,
    seat: &Seat,
    name: &str,
    configuration: Option<&str>,
    words: &[&str],
    mail: &'a Mail,
) -> Contender<'a> {
    let mut own: Vec<OsString> = Vec::new();
    if let Some(text) = configuration {
        own.extend(["--config".into(), seat.write("spoolguard.toml", text).into()]);
    }
    own.extend(words.iter().map(OsString::from));
    let seat = seat.clone();
    Contender {
        name: format!("{}: {name}", program.name),
        prepare: Box::new(|| {}),
        mailbox: seat.mailbox.clone(),
        command: Box::new(move |under| {
            let mut command = program.plain(under, &seat);
            command.args(&own);
            command
        }),
        message: Box::new(|number| mail.numbered(number)),
    }
}

/// The example of a configuration, for this user's places, with a quota for everybody.
fn all_keys(example: &str, seat: &Seat) -> String {
    let (state, spool) = (seat.at_home("state"), seat.mailbox.parent().unwrap());
    let users: String = (0..2000)
        .map(|number| format!("user{number:04} = \"{}M\"\n", 100 + number))
        .collect();
    let mut text = example.to_owned();
    for (old, new) in [
        ("\nstate_dir = \"\"", format!("\nstate_dir = {state:?}")),
        (
            "\nlocation = \"mbox:/var/mail/%u\"",
            format!("\nlocation = \"mbox:{}/%u\"", spool.display()),
        ),
        ("\nlimit = \"none\"", "\nlimit = \"500M\"".to_owned()),
        ("\nto = \"auto\"", "\nto = \"none\"".to_owned()),
        ("\n[quota.users]\n", format!("\n[quota.users]\n{users}")),
    ] {
        assert_eq!(text.matches(old).count(), 1, "the example has no longer {old:?}");
        text = text.replace(old, &new);
    }
    text
}

/// Writes a mailbox of ordinary messages.
fn fill(path: &Path, bytes: u64) {
    let mail = Mail::of(8 << 10);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let (mut written, mut number) = (0, 0);
    while written < bytes {
        number += 1;
        let text = mail.numbered(number);
        file.write_all(b"From s@s.test Mon Nov  2 10:00:00 2026\n").unwrap();
        file.write_all(&text).unwrap();
        file.write_all(b"\n").unwrap();
        written += text.len() as u64 + 40;
    }
    file.flush().unwrap();
}
