//! A mail network in which the real guard runs: hosts, forwards, rings, lists, dead addresses and reports by chance,
//! simulated time, and what has to hold for all of them. `check.rs` says what that is.
//!
//! `SPOOLGUARD_MODEL_SEEDS=5000` tries so many networks, `SPOOLGUARD_MODEL_FROM=100000` begins with that seed, and
//! `SPOOLGUARD_MODEL_SEED=17` tells the story of one.

// A test says what went wrong by ending where it went wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    missing_docs
)]

mod chance;
mod check;
mod found;
mod growth;
mod guarded;
mod mail;
mod people;
mod plan;
mod plot;
mod shrink;
mod systems;
mod world;

use std::path::PathBuf;

use check::{Fault, Found, Trace};
use guarded::Broken;
use plan::Plan;

/// In memory where there is such a place: every message that lands in a mailbox is synced.
fn root() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if tempfile::tempfile_in(&memory).is_ok() {
        memory
    } else {
        std::env::temp_dir()
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}

fn run(plan: &Plan, broken: Broken) -> Found {
    check::run(plan, &root(), broken, Trace::Off)
}

/// Ends the test with the smallest network that fails like this one.
fn fail(plan: Plan, fault: &Fault) -> ! {
    let seed = plan.seed;
    let alike = |plan: &Plan| {
        run(plan, Broken::Nothing)
            .fault
            .is_some_and(|found| found.is_like(fault))
    };
    let small = shrink::shrink(plan, alike);
    let found = run(&small, Broken::Nothing);
    let fault = found.fault.as_ref().unwrap_or(fault);
    panic!(
        "seed {seed} fails; the smallest like it:\n{}",
        check::story(&small, fault, &root(), Broken::Nothing)
    );
}

#[test]
fn no_network_loops_or_loses() {
    if let Some(seed) = number("SPOOLGUARD_MODEL_SEED") {
        let plan = chance::plan(seed);
        let found = check::run(&plan, &root(), Broken::Nothing, Trace::On);
        eprintln!("{plan}{}\n{:?}", found.trace.join("\n"), found.fault);
        assert_eq!(found.fault, None);
        return;
    }
    let from = number("SPOOLGUARD_MODEL_FROM").unwrap_or(0);
    let seeds = number("SPOOLGUARD_MODEL_SEEDS").unwrap_or(150);
    let (mut mails, mut transmissions, mut named, mut told) = (0, 0, 0, 0);
    let (mut ratio, mut most_diverted) = ((0.0, 0), (0, 0));
    for seed in from..from + seeds {
        let plan = chance::plan(seed);
        let found = run(&plan, Broken::Nothing);
        if let Some(fault) = &found.fault {
            fail(plan, fault);
        }
        mails += found.mails;
        transmissions += found.transmissions;
        named += found.named;
        told += found.told;
        if found.ratio > ratio.0 {
            ratio = (found.ratio, seed);
        }
        if found.most_diverted > most_diverted.0 {
            most_diverted = (found.most_diverted, seed);
        }
    }
    eprintln!(
        "{seeds} networks, {mails} mails, {transmissions} transmissions; at most {:.2} times exits and spread (seed {}); \
         {} diverted by one guard within an hour (seed {}); {told} writers told, {named} only named in a report",
        ratio.0, ratio.1, most_diverted.0, most_diverted.1
    );
}

/// The model can fail: without a memory, a network by chance loops. `found.rs` has networks for other rules.
#[test]
fn a_rule_that_is_broken_is_noticed() {
    let noticed = (0..1000).find(|seed| run(&chance::plan(*seed), Broken::Memory).fault.is_some());
    let seed = noticed.expect("a thousand networks work without a memory");
    eprintln!("noticed with seed {seed}");
}

/// The plot of README.md. `cargo run --example growth` draws it anew.
#[test]
fn the_plot_in_the_documentation_is_current() {
    let measure = |role| growth::Growth::measure(&growth::story(role), &root(), growth::MEASURED);
    let plain = measure(growth::procmail(plan::Recipe::Plain));
    let guarded = measure(growth::guard());
    assert!(plain.end().is_none() && guarded.end().is_some());
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/growth.svg")).unwrap_or_default();
    let (kept, drawn) = (numbers(&kept), numbers(&plot::svg(&plain, &guarded)));
    // A header names host and process: some bytes differ from run to run, and a point may stand a pixel higher.
    let is_near = |(one, other): (&i64, &i64)| (one - other).abs() <= 2;
    assert!(
        kept.1 == drawn.1 && kept.0.len() == drawn.0.len() && kept.0.iter().zip(&drawn.0).all(is_near),
        "docs/growth.svg is old: cargo run --example growth"
    );
}

/// The whole numbers of a text, and what stands between them.
fn numbers(text: &str) -> (Vec<i64>, String) {
    let is_digit = |c: char| c.is_ascii_digit();
    let found = text.split(|c| !is_digit(c)).filter_map(|digits| digits.parse().ok());
    (found.collect(), text.split(is_digit).collect())
}
