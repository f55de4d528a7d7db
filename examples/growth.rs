//! Shows how a spool grows when the address that it is forwarded to is dead: with procmail's plain forward, with the
//! recipe that procmailex(5) prints, and with spoolguard. `cargo run --example growth` prints a table and draws
//! `docs/growth.svg`.
//!
//! The mail systems are simulated, as the tests in `tests/model` do it; the guard is the real one, with a real mailbox
//! in a scratch directory. The two endless ones are run byte by byte until their sizes repeat, and what repeats is
//! added up.

// An example ends where it goes wrong, and uses a part of what it shares with the tests.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm
)]

#[path = "../tests/model/growth.rs"]
mod growth;
#[path = "../tests/model/guarded.rs"]
mod guarded;
#[path = "../tests/model/mail.rs"]
mod mail;
#[path = "../tests/model/people.rs"]
mod people;
#[path = "../tests/model/plan.rs"]
mod plan;
#[path = "../tests/model/plot.rs"]
mod plot;
#[path = "../tests/model/systems.rs"]
mod systems;
#[path = "../tests/model/world.rs"]
mod world;

use std::io::{self, Write};

use growth::{Growth, MEASURED, guard, procmail, story};
use plan::Recipe;

/// How many characters a bar has for each factor of ten, and where it begins, in bytes.
const TENFOLD: f64 = 5.0;
const LEAST_BYTES: f64 = 1000.0;

/// What Postfix was measured to send round, in messages a second.
const PACE: u64 = 30;

fn main() -> io::Result<()> {
    let scratch = tempfile::tempdir()?;
    let measure = |role| Growth::measure(&story(role), scratch.path(), MEASURED);
    let plain = measure(procmail(Recipe::Plain));
    let recipe = measure(procmail(Recipe::Loop));
    let guarded = measure(guard());
    let drawn = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/growth.svg");
    std::fs::write(drawn, plot::svg(&plain, &guarded))?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "One message of 2 kB to alice, who forwards to bob and keeps a copy. bob is dead. What alice's spool holds, and the administrator's:\n\n\
         {:>9}  {:>9}  {:>11} {:>11} {:>11}",
        "messages", "at 30/s", "plain", "X-Loop", "spoolguard"
    )?;
    let mut messages = 1;
    while messages <= 1_000_000 {
        for step in [1, 2, 5] {
            let n = messages * step;
            if n > 1_000_000 {
                break;
            }
            let (plain, recipe, guarded) = (plain.after(n), recipe.after(n), guarded.after(n));
            writeln!(
                out,
                "{n:>9}  {:>9}  {:>11} {:>11} {:>11}  {}",
                time(n / PACE),
                size(plain),
                size(recipe),
                size(guarded),
                bar(plain, guarded),
            )?;
        }
        messages *= 10;
    }
    let end = guarded
        .end()
        .map_or_else(|| "never".to_owned(), |end| format!("after {end} messages"));
    writeln!(
        out,
        "\n= spoolguard, which came to an end {end}: the message and one report.\n\
         # the plain forward, which has none. The X-Loop of procmailex(5) changes nothing: a report carries it inside only.\n\
         The scale is logarithmic. Mail systems simulated, after Postfix; the guard is the real one."
    )
}

/// One line of two: what the plain forward takes, and in it what the guard does.
fn bar(plain: u64, guarded: u64) -> String {
    let width = |bytes: u64| {
        let tenfolds = (bytes as f64 / LEAST_BYTES).max(1.0).log10();
        (tenfolds * TENFOLD).round() as usize
    };
    let (plain, guarded) = (width(plain), width(guarded));
    format!("{}{}", "=".repeat(guarded), "#".repeat(plain.saturating_sub(guarded)))
}

fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}
