//! What was tried, and what came of it: the sums that are printed at the end, and what a scene found wrong.

use std::collections::BTreeSet;
use std::sync::Mutex;

/// What all scenes together tried and found.
#[derive(Debug, Default)]
struct Sums {
    crash_points: usize,
    eio_points: usize,
    kills: usize,
    damaged: usize,
    lost: usize,
    torn: usize,
    doubled: usize,
    other: usize,
}

static SUMS: Mutex<Option<Sums>> = Mutex::new(None);

fn with(change: impl FnOnce(&mut Sums)) {
    change(SUMS.lock().unwrap().get_or_insert_default());
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    Lost,
    Torn,
    Doubled,
    /// A promise of another kind: an end that no run may have, mail that waits for ever.
    Other,
}

/// What one scene found.
pub struct Findings {
    pub chance: fastrand::Rng,
    pub is_full: bool,
    wrong: Vec<String>,
    /// The same message is not counted at each look at the same disk.
    counted: BTreeSet<String>,
}

impl Findings {
    pub fn new(seed: u64, is_full: bool) -> Self {
        Self {
            chance: fastrand::Rng::with_seed(seed),
            is_full,
            wrong: Vec::new(),
            counted: BTreeSet::new(),
        }
    }

    pub fn crash_point(&mut self) {
        self.counted.clear();
        with(|sums| sums.crash_points += 1);
    }

    pub fn eio_point(&mut self) {
        self.counted.clear();
        with(|sums| sums.eio_points += 1);
    }

    pub fn kill(&self) {
        with(|sums| sums.kills += 1);
    }

    pub fn damage(&mut self) {
        self.counted.clear();
        with(|sums| sums.damaged += 1);
    }

    /// Notes what is wrong; `id` says with which message, `story` how it came to that.
    pub fn add(&mut self, wrong: Wrong, id: &str, story: &str) {
        if !self.counted.insert(format!("{wrong:?} {id}")) {
            return;
        }
        with(|sums| match wrong {
            Wrong::Lost => sums.lost += 1,
            Wrong::Torn => sums.torn += 1,
            Wrong::Doubled => sums.doubled += 1,
            Wrong::Other => sums.other += 1,
        });
        self.wrong.push(format!("{wrong:?}: {id}\n{story}"));
    }

    /// Shows how things went, to whoever wants to see that.
    pub fn tell(&self, story: &str) {
        if std::env::var_os("SPOOLGUARD_STORAGE_TELL").is_some() {
            println!("{story}\n");
        }
    }

    /// Some of the items: all of them where everything is tried.
    pub fn sample<T>(&mut self, mut items: Vec<T>, most: usize) -> Vec<T> {
        if !self.is_full {
            while items.len() > most {
                items.remove(self.chance.usize(..items.len()));
            }
        }
        items
    }

    /// The end of a scene: nothing, or what is wrong.
    pub fn verdict(self) -> Result<(), String> {
        if self.wrong.is_empty() {
            return Ok(());
        }
        let shown: Vec<_> = self.wrong.iter().take(5).map(String::as_str).collect();
        Err(format!(
            "{} wrong, the first ones:\n\n{}",
            self.wrong.len(),
            shown.join("\n\n")
        ))
    }
}

/// The sums in words.
pub fn show() -> String {
    let guard = SUMS.lock().unwrap();
    let Some(sums) = guard.as_ref() else {
        return "nothing was tried".to_owned();
    };
    let more = if sums.other > 0 {
        format!(", other promises broken {}", sums.other)
    } else {
        String::new()
    };
    format!(
        "{} crash points, {} EIO points, {} kills, {} damaged files: lost {}, torn {}, doubled {}{more}",
        sums.crash_points, sums.eio_points, sums.kills, sums.damaged, sums.lost, sums.torn, sums.doubled
    )
}
