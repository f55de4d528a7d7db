//! Runs one network to its end, and says what did not hold.
//!
//! The promises, for every network in which each circle of mail passes a guard:
//! - a mail that is written makes at most `CONSTANT` times as many transmissions as the guards have ways out, times what a single
//!   transmission leads to where no guard is (lists, plain forwards, hosts that deliver twice);
//! - its text is in some mailbox or held, or its writer was told; where a mail system returned less than the whole message, the
//!   report that it made in its place is there;
//! - no delivery to a guard is put off until the mail system gives it up, but for a mailbox that is full;
//! - the administrator gets a bounded number of messages an hour from each guard;
//! - what a guard remembers stays small.

use std::path::Path;

use crate::guarded::Broken;
use crate::mail::{body_mark, id_mark};
use crate::plan::{Plan, Seconds};
use crate::world::World;

/// See above.
pub const CONSTANT: u64 = 5;

/// What did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More transmissions than the bound.
    Loops { mail: usize },
    /// A text is nowhere, and nobody was told.
    Lost { mail: usize },
    /// A delivery was tried until the mail system gave up.
    GivenUp(String),
    /// An administrator got more of one guard within an hour than the budget.
    Flood(u64),
    /// The state grew beyond its bound.
    StateGrew(u64),
}

impl Fault {
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// What became of a network.
pub struct Found {
    pub fault: Option<Fault>,
    /// The most transmissions that one mail made, as a share of exits times spread.
    pub ratio: f64,
    pub transmissions: u64,
    /// The most messages that one guard sent its administrator within an hour.
    pub most_diverted: u64,
    pub mails: usize,
    /// How many texts only a report speaks of.
    pub named: usize,
    /// How many writers were told.
    pub told: usize,
    /// When what came into each mailbox without a guard.
    pub arrived: Vec<Vec<(Seconds, usize)>>,
    pub trace: Vec<String>,
}

/// Whether to write down what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    On,
    Off,
}

/// How many bytes of state one guard may have.
const STATE_BYTES: u64 = 1 << 20;

/// The budget, a digest, and a notice or two.
const MOST_AN_HOUR: u64 = 20 + 4;

/// Runs `plan` below `root`.
pub fn run(plan: &Plan, root: &Path, broken: Broken, trace: Trace) -> Found {
    let dir = tempfile::tempdir_in(root).unwrap();
    let mut world = World::new(plan, dir.path(), broken);
    world.trace = (trace == Trace::On).then(Vec::new);
    let unit = (plan.exits() + 1) * plan.spread();
    let bound = CONSTANT * unit;
    let mut fault = None;
    // A full mailbox that puts off may hold a loop at the pace of the mail system's retries for as long as it is full.
    while world.step() {
        if let Some(mail) = world.tally.transmissions.iter().position(|count| *count > bound) {
            fault = Some(Fault::Loops { mail });
            break;
        }
    }
    let stored: Vec<Vec<u8>> = world.posts.iter().flatten().map(|post| post.stored()).collect();
    let (mut named, mut told) = (0, 0);
    if fault.is_none() {
        for mail in 0..plan.mails.len() {
            let writer = plan.mails[mail].from;
            if world.anywhere(&body_mark(mail), &stored) {
                continue;
            }
            let writer_told = world.boxes[writer]
                .iter()
                .any(|bytes| crate::mail::has(bytes, &id_mark(mail)));
            if writer_told {
                told += 1;
            } else if world.tally.partial[mail]
                .iter()
                .any(|mark| world.anywhere(mark, &stored))
            {
                named += 1;
            } else {
                fault = Some(Fault::Lost { mail });
                break;
            }
        }
    }
    let has_quota = plan.guards().any(|(_, guard)| guard.quota.is_some());
    if let (None, Some(given_up), false) = (&fault, world.tally.given_up.first(), has_quota) {
        fault = Some(Fault::GivenUp(given_up.clone()));
    }
    let state = world
        .posts
        .iter()
        .flatten()
        .map(|post| post.state_bytes())
        .max()
        .unwrap_or(0);
    if fault.is_none() && state > STATE_BYTES {
        fault = Some(Fault::StateGrew(state));
    }
    let most_diverted = world.tally.diverted.values().max().copied().unwrap_or(0);
    if fault.is_none() && most_diverted > MOST_AN_HOUR {
        fault = Some(Fault::Flood(most_diverted));
    }
    let most = world.tally.transmissions.iter().max().copied().unwrap_or(0);
    Found {
        fault,
        ratio: most as f64 / unit as f64,
        transmissions: world.tally.transmissions.iter().sum(),
        most_diverted,
        mails: plan.mails.len(),
        named,
        told,
        arrived: std::mem::take(&mut world.tally.arrived),
        trace: world.trace.take().unwrap_or_default(),
    }
}

/// The network, what went wrong, and how it came to that.
pub fn story(plan: &Plan, fault: &Fault, root: &Path, broken: Broken) -> String {
    const LINES: usize = 120;
    let found = run(plan, root, broken, Trace::On);
    let left_out = found.trace.len().saturating_sub(LINES);
    let lines: Vec<&str> = found.trace.iter().take(LINES).map(String::as_str).collect();
    format!(
        "{fault:?}\n{plan}{}\n{}",
        lines.join("\n"),
        if left_out > 0 {
            format!("... and {left_out} lines more\n")
        } else {
            String::new()
        },
    )
}
