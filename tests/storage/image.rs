//! What a disk holds, and what it holds after a power loss: a state from which copies are cheap, and the record of all
//! writes and flushes since.

use std::collections::HashMap;
use std::sync::Arc;

const BLOCK_BYTES: usize = 4096;

/// The bytes of a disk. A block that was never written, or is all zeros, takes no memory; a copy shares its blocks.
#[derive(Clone, Default)]
pub struct Image(HashMap<u64, Arc<[u8; BLOCK_BYTES]>>);

impl Image {
    /// Reads from byte `at` on.
    pub fn read(&self, at: u64, bytes: &mut [u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let (block, start, length) = part(at + done as u64, bytes.len() - done);
            let to = &mut bytes[done..done + length];
            match self.0.get(&block) {
                Some(block) => to.copy_from_slice(&block[start..start + length]),
                None => to.fill(0),
            }
            done += length;
        }
    }

    /// Writes from byte `at` on.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let (block, start, length) = part(at + done as u64, bytes.len() - done);
            let from = &bytes[done..done + length];
            done += length;
            let is_zero = from.iter().all(|byte| *byte == 0);
            if is_zero && (length == BLOCK_BYTES || !self.0.contains_key(&block)) {
                self.0.remove(&block);
                continue;
            }
            let held = self.0.entry(block).or_insert_with(|| Arc::new([0; BLOCK_BYTES]));
            Arc::make_mut(held)[start..start + length].copy_from_slice(from);
        }
    }
}

/// The block in which byte `at` lies, where in it, and how many of `length` bytes it takes.
fn part(at: u64, length: usize) -> (u64, usize, usize) {
    let start = (at % BLOCK_BYTES as u64) as usize;
    (at / BLOCK_BYTES as u64, start, length.min(BLOCK_BYTES - start))
}

/// What happened to a disk.
#[derive(Clone)]
pub enum Event {
    Write {
        at: u64,
        bytes: Arc<[u8]>,
    },
    Flush,
    /// The run that is looked at has ended with 0: from here on its message may not be lost.
    Acknowledged,
}

/// A disk as a power loss leaves it.
#[derive(Clone)]
pub struct Crash {
    pub image: Image,
    pub is_acknowledged: bool,
    /// For a reader of a failed check.
    pub story: String,
}

/// The disks that a power loss may leave: behind each flush with all later writes lost, and `random` times with some of
/// the writes up to the next flush. A disk may write in any order what it was not told to flush.
pub fn crashes(base: &Image, log: &[Event], random: usize, chance: &mut fastrand::Rng) -> Vec<Crash> {
    let mut flushed = base.clone();
    let mut crashes = Vec::new();
    let mut is_acknowledged = false;
    let ends = log.iter().filter(|event| !matches!(event, Event::Write { .. })).count();
    let mut rest = log;
    for number in 0..=ends {
        let length = rest
            .iter()
            .position(|event| !matches!(event, Event::Write { .. }))
            .unwrap_or(rest.len());
        let (window, behind) = rest.split_at(length);
        let label = format!("power loss behind flush {number} of {ends}");
        crashes.push(Crash {
            image: flushed.clone(),
            is_acknowledged,
            story: format!("{label}, {} writes lost", window.len()),
        });
        let tries = if window.is_empty() { 0 } else { random };
        for _ in 0..tries {
            crashes.push(some_of(&flushed, window, is_acknowledged, &label, chance));
        }
        match behind.split_first() {
            // What was acknowledged was flushed, or it was not safe: these writes may still be lost.
            Some((Event::Acknowledged, after)) => {
                is_acknowledged = true;
                rest = after;
                crashes.push(Crash {
                    image: flushed.clone(),
                    is_acknowledged,
                    story: format!("{label}, acknowledged, {} writes lost", window.len()),
                });
            }
            Some((_, after)) => {
                apply(&mut flushed, window);
                rest = after;
            }
            None => break,
        }
    }
    crashes
}

/// The same disk with a random part of `window`: each write is there or not, by itself.
fn some_of(flushed: &Image, window: &[Event], is_acknowledged: bool, label: &str, chance: &mut fastrand::Rng) -> Crash {
    let mut image = flushed.clone();
    let kept: Vec<Event> = window.iter().filter(|_| chance.bool()).cloned().collect();
    apply(&mut image, &kept);
    Crash {
        image,
        is_acknowledged,
        story: format!("{label}, {} of {} later writes kept", kept.len(), window.len()),
    }
}

fn apply(image: &mut Image, events: &[Event]) {
    for event in events {
        if let Event::Write { at, bytes } = event {
            image.write(*at, bytes);
        }
    }
}
