//! How far a long run has come: a bar with rate and time left on a terminal, a line now and then in a log. Its trouble
//! changes nothing.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::escape::make_visible;

/// How often a log gets a line.
const EVERY: Duration = Duration::from_secs(30);

/// One step of a run.
#[derive(Debug)]
pub struct Progress {
    what: String,
    all: u64,
    done: u64,
    bar: Option<ProgressBar>,
    begun: Instant,
    said: Instant,
}

impl Progress {
    /// Begins a step of so many bytes.
    pub fn begin(what: &str, bytes: u64) -> Self {
        let what = make_visible(what);
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(bytes);
            let form =
                "{msg} [{bar:30}] {percent}% {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left";
            if let Ok(style) = ProgressStyle::with_template(form) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message(what.clone());
            bar
        });
        Self {
            what,
            all: bytes,
            done: 0,
            bar,
            begun: Instant::now(),
            said: Instant::now(),
        }
    }

    /// Notes that so many bytes more are done.
    pub fn add_bytes(&mut self, bytes: u64) {
        self.reach_bytes(self.done + bytes);
    }

    /// Notes that so many bytes are done by now.
    pub fn reach_bytes(&mut self, done: u64) {
        self.done = done;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        } else if self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            let rate = (self.done >> 20) as f64 / self.begun.elapsed().as_secs_f64();
            let left = (self.all.saturating_sub(self.done) >> 20) as f64 / rate.max(0.001);
            let line = format!(
                "spoolguard: {}: {} of {} MiB, {rate:.0} MiB/s, about {left:.0} s left\n",
                self.what,
                self.done >> 20,
                self.all >> 20
            );
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
