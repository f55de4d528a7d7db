//! How a spool grows: the story that spoolguard comes from, counted message by message.
//!
//! A plain forward to a dead address goes round and round with the same sizes: each report holds the one before it,
//! until the mail system returns headers only and it begins small again. So a few rounds are run byte by byte, and what
//! repeats is added up.

use std::path::Path;

use crate::guarded::Broken;
use crate::plan::{
    Admin, GuardSender, Guarded, Host, How, Mail, Outage, Person, Plan, Recipe, Role, Shape, Strip, System,
};
use crate::world::World;

/// The people of the story.
pub const WRITER: usize = 0;
pub const A: usize = 1;
pub const B: usize = 2;
pub const ADMIN: usize = 3;

/// One message to `a`, who does `role` with it; `b` is unknown from the beginning.
pub fn story(role: Role) -> Plan {
    let host = Host {
        system: System::Postfix,
        shape: Shape::Full,
        strip: Strip::Nothing,
        delay: 0,
        stutters: false,
        answers: false,
    };
    let person = |host, role| Person {
        host,
        role,
        outages: Vec::new(),
    };
    let mut plan = Plan {
        seed: 0,
        hosts: vec![host.clone(), host.clone(), host],
        people: vec![
            person(0, Role::Mailbox),
            person(1, role),
            person(2, Role::Mailbox),
            person(1, Role::Mailbox),
        ],
        mails: vec![Mail {
            at: 0,
            from: WRITER,
            to: A,
            bytes: 2000,
        }],
    };
    plan.people[B].outages = vec![Outage {
        from: 0,
        until: None,
        how: How::Unknown,
    }];
    plan
}

/// procmail with a copy kept.
pub fn procmail(recipe: Recipe) -> Role {
    Role::Procmail {
        to: vec![B],
        copy: true,
        recipe,
    }
}

/// spoolguard in its place.
pub fn guard() -> Role {
    Role::Guard(Guarded {
        to: vec![B],
        keep: true,
        admin: Admin::Person(ADMIN),
        sender: GuardSender::User,
        by_procmail: false,
        quota: None,
    })
}

/// How many messages are run byte by byte: the sizes repeat after less than half of them.
pub const MEASURED: usize = 400;

/// What lay in spools after each message: `a`'s, the administrator's, and what is held.
pub struct Growth {
    /// After the first, the second ...
    bytes: Vec<u64>,
    /// How many of the last repeat for ever; none when all came to an end.
    period: Option<usize>,
}

impl Growth {
    /// Runs `plan` for at most `messages`.
    pub fn measure(plan: &Plan, root: &Path, messages: usize) -> Self {
        let dir = tempfile::tempdir_in(root).unwrap();
        let mut world = World::new(plan, dir.path(), Broken::Nothing);
        let mut bytes: Vec<u64> = Vec::new();
        let mut ended = true;
        while world.step() {
            let count = world.tally.transmissions[0] + world.tally.notices;
            if count as usize > messages {
                ended = false;
                break;
            }
            bytes.resize(count as usize, 0);
            if let Some(last) = bytes.last_mut() {
                *last = spooled(&world);
            }
        }
        Self {
            period: (!ended).then(|| period(&bytes)).flatten(),
            bytes,
        }
    }

    /// How many messages it took to end.
    pub fn end(&self) -> Option<usize> {
        self.period.is_none().then_some(self.bytes.len())
    }

    /// How much lies there after `messages`.
    pub fn after(&self, messages: u64) -> u64 {
        let run = self.bytes.len() as u64;
        let at = |n: u64| n.checked_sub(1).map_or(0, |n| self.bytes[n as usize]);
        match self.period {
            _ if messages <= run => at(messages),
            None => at(run),
            Some(period) => {
                let period = period as u64;
                let (rounds, rest) = ((messages - run) / period, (messages - run) % period);
                let begin = run - period;
                at(run) + rounds * (at(run) - at(begin)) + at(begin + rest) - at(begin)
            }
        }
    }
}

fn spooled(world: &World<'_>) -> u64 {
    let boxes = [A, ADMIN].into_iter().flat_map(|person| &world.boxes[person]);
    let guarded: usize = world.posts.iter().flatten().map(|post| post.stored().len()).sum();
    boxes.map(|bytes| bytes.len() as u64).sum::<u64>() + guarded as u64
}

/// After how many messages the growth repeats: seen twice at the end.
fn period(bytes: &[u64]) -> Option<usize> {
    let steps: Vec<u64> = bytes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    (1..=steps.len() / 2).find(|period| {
        let (before, last) = steps[steps.len() - 2 * period..].split_at(*period);
        before == last && last.iter().any(|step| *step > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::{Growth, MEASURED, guard, procmail, story};
    use crate::plan::Recipe;
    use crate::root;

    #[test]
    fn what_is_added_up_is_what_happens() {
        for recipe in [Recipe::Plain, Recipe::Loop] {
            let plan = story(procmail(recipe));
            let short = Growth::measure(&plan, &root(), MEASURED);
            let long = Growth::measure(&plan, &root(), 1500);
            assert_eq!((short.end(), long.end()), (None, None), "{recipe:?} ends");
            for messages in [1, 2, 50, 399, 400, 401, 500, 777, 1500] {
                assert_eq!(short.after(messages), long.after(messages), "{recipe:?}, {messages}");
            }
        }
    }

    #[test]
    fn the_guard_ends_the_story() {
        let growth = Growth::measure(&story(guard()), &root(), 1000);
        assert!(growth.end().is_some_and(|end| end <= 10), "{:?}", growth.end());
    }
}
