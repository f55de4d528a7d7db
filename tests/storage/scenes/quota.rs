//! A quota of the file system itself, which no look at the free space foresees.

use crate::mail::Mail;
use crate::stage::{self, run};
use crate::sums::{Findings, Wrong};
use crate::world::World;

/// Mail comes until the quota group is full: it waits then, nothing is torn, and when there is room again it comes in.
pub fn a_quota_of_the_file_system_is_no_bounce(on: stage::Kind, findings: &mut Findings) {
    let mut world = World::new(on);
    let path = world.stage.path();
    run(&["btrfs", "quota", "enable"], Some(&path)).unwrap();
    run(&["btrfs", "quota", "rescan", "-w"], Some(&path)).unwrap();
    run(&["btrfs", "qgroup", "limit", "1M"], Some(&path)).unwrap();
    let mut taken = 0;
    let story = loop {
        let ended = world.deliver(&Mail::new(&format!("fill-{taken}"), 60_000));
        if !ended.is_acknowledged() {
            break ended;
        }
        taken += 1;
        assert!(taken < 100, "the quota holds nobody back");
    };
    let is_named = ["4.2.2 ", "4.3.1 "]
        .iter()
        .any(|status| story.output.starts_with(status));
    if story.code != Some(75) || !is_named {
        findings.add(Wrong::Other, "not deferred as full", &story.story());
    }
    assert!(taken >= 5, "only {taken} before it was full: {}", story.story());
    world.check(findings, &story.story());
    run(&["btrfs", "qgroup", "limit", "none"], Some(&path)).unwrap();
    world.next_delivery_works(findings, &story.story());
    world.stage.remount();
    world.check(findings, &story.story());
}
