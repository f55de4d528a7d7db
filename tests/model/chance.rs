//! Networks by chance: chains, rings, self-loops, lists and whatever else comes, with guards at places. The same seed
//! is the same network for ever.

use fastrand::Rng;

use crate::plan::{
    Admin, DAY, GuardSender, Guarded, HOUR, Host, How, MINUTE, Mail, Manner, Outage, Person, Plan, Recipe, Role, Shape,
    Strip, System,
};

/// The network of a seed.
pub fn plan(seed: u64) -> Plan {
    let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed);
    let rng = &mut rng;
    let hosts: Vec<Host> = (0..rng.usize(1..=4)).map(|_| host(rng)).collect();
    let count = rng.usize(2..=8);
    let mut people: Vec<Person> = (0..count).map(|_| person(rng, hosts.len(), count)).collect();
    match rng.u8(..6) {
        0 => ring(rng, &mut people),
        1 => chain(rng, &mut people),
        2 => itself(rng, &mut people),
        3 => facing(rng, &mut people),
        _ => {}
    }
    // Whoever writes can be told.
    people[0].role = Role::Mailbox;
    people[0].outages.clear();
    let mut plan = Plan {
        seed,
        hosts,
        people,
        mails: Vec::new(),
    };
    while let Some(n) = plan.unguarded_circle() {
        plan.people[n].role = Role::Guard(guarded(rng, count));
        plan.people[n].outages.clear();
    }
    plan.mails = (0..rng.usize(1..=12)).map(|_| mail(rng, &plan)).collect();
    // The users of guards that face each other write to each other.
    if let [
        _,
        Person {
            role: Role::Guard(_), ..
        },
        _,
        Person {
            role: Role::Guard(_), ..
        },
        ..,
    ] = plan.people.as_slice()
    {
        plan.mails[0].from = 1;
        plan.mails[0].to = 3;
    }
    plan
}

fn host(rng: &mut Rng) -> Host {
    Host {
        system: [
            System::Postfix,
            System::Postfix,
            System::Exim,
            System::Sendmail,
            System::OpenSmtpd,
        ][rng.usize(..5)],
        shape: [
            Shape::Full,
            Shape::Full,
            Shape::Headers,
            Shape::Exim,
            Shape::Qmail,
            Shape::Foreign,
            Shape::Gateway,
        ][rng.usize(..7)],
        strip: [
            Strip::Nothing,
            Strip::Nothing,
            Strip::Nothing,
            Strip::Loop,
            Strip::Extensions,
            Strip::Trace,
        ][rng.usize(..6)],
        delay: [2, 20, MINUTE, 10 * MINUTE, HOUR][rng.usize(..5)],
        stutters: rng.u8(..8) == 0,
        answers: rng.u8(..12) == 0,
    }
}

fn person(rng: &mut Rng, hosts: usize, count: usize) -> Person {
    let some = |rng: &mut Rng, most: usize| -> Vec<usize> {
        let mut who: Vec<usize> = (0..rng.usize(1..=most)).map(|_| rng.usize(..count)).collect();
        who.sort_unstable();
        who.dedup();
        who
    };
    let role = match rng.u8(..20) {
        0..4 => Role::Mailbox,
        4..7 => Role::Procmail {
            to: some(rng, 2),
            copy: rng.bool(),
            recipe: recipe(rng),
        },
        7..9 => Role::Forward { to: some(rng, 2) },
        9 => Role::Responder {
            manner: MANNERS[rng.usize(..9)],
        },
        10 => Role::List {
            members: some(rng, 4),
            owner: rng.usize(..count),
        },
        _ => Role::Guard(guarded(rng, count)),
    };
    let outages = match &role {
        Role::Guard(_) => Vec::new(),
        _ => outages(rng),
    };
    Person {
        host: rng.usize(..hosts),
        role,
        outages,
    }
}

/// The last only behind guards at both ends: with one guard alone it is told from its owner by its pace, and makes
/// thirty turns.
const MANNERS: [Manner; 10] = [
    Manner::Marked,
    Manner::Plain,
    Manner::Strange,
    Manner::AnswersAll,
    Manner::Remails,
    Manner::Twice,
    Manner::Splits,
    Manner::Digests,
    Manner::Batches,
    Manner::Public,
];

fn recipe(rng: &mut Rng) -> Recipe {
    if rng.u8(..4) == 0 { Recipe::Loop } else { Recipe::Plain }
}

fn outages(rng: &mut Rng) -> Vec<Outage> {
    if rng.u8(..5) < 3 {
        return Vec::new();
    }
    let from = if rng.bool() { 0 } else { rng.i64(0..2 * DAY) };
    vec![Outage {
        from,
        until: rng.bool().then(|| from + rng.i64(HOUR..4 * DAY)),
        how: [How::Unknown, How::Unknown, How::Late, How::Full, How::Busy][rng.usize(..5)],
    }]
}

fn guarded(rng: &mut Rng, count: usize) -> Guarded {
    let mut to: Vec<usize> = (0..rng.usize(0..=2)).map(|_| rng.usize(..count)).collect();
    if to.is_empty() && rng.bool() {
        to.push(rng.usize(..count));
    }
    Guarded {
        to,
        keep: rng.u8(..3) == 0,
        admin: if rng.u8(..3) == 0 {
            Admin::Path
        } else {
            Admin::Person(rng.usize(..count))
        },
        sender: [
            GuardSender::User,
            GuardSender::User,
            GuardSender::Keep,
            GuardSender::Verp,
        ][rng.usize(..4)],
        by_procmail: rng.u8(..4) == 0,
        quota: (rng.u8(..10) == 0).then(|| {
            let over = ["defer", "refuse", "divert", "overflow"][rng.usize(..4)];
            (rng.u64(2000..30_000), over)
        }),
    }
}

fn ring(rng: &mut Rng, people: &mut [Person]) {
    let count = people.len();
    for (n, person) in people.iter_mut().enumerate().skip(1) {
        let next = if n + 1 == count { 1 } else { n + 1 };
        person.role = if rng.bool() {
            Role::Guard(Guarded {
                to: vec![next],
                ..guarded(rng, count)
            })
        } else if rng.bool() {
            Role::Procmail {
                to: vec![next],
                copy: rng.bool(),
                recipe: recipe(rng),
            }
        } else {
            Role::Forward { to: vec![next] }
        };
        person.outages.clear();
    }
}

fn chain(rng: &mut Rng, people: &mut [Person]) {
    ring(rng, people);
    if let Some(last) = people.last_mut() {
        last.role = Role::Mailbox;
        last.outages = vec![Outage {
            from: 0,
            until: rng.bool().then(|| rng.i64(HOUR..3 * DAY)),
            how: [How::Unknown, How::Late, How::Full, How::Busy][rng.usize(..4)],
        }];
    }
}

/// Two guards, each before somebody who answers everything: what one of them writes comes to the other.
fn facing(rng: &mut Rng, people: &mut [Person]) {
    let count = people.len();
    if count < 5 {
        return;
    }
    for (guard, desk) in [(1, 2), (3, 4)] {
        people[guard].role = Role::Guard(Guarded {
            to: vec![desk],
            ..guarded(rng, count)
        });
        people[desk].role = Role::Responder {
            manner: MANNERS[rng.usize(..10)],
        };
        people[guard].outages.clear();
        people[desk].outages.clear();
    }
}

/// Somebody forwards to an own address.
fn itself(rng: &mut Rng, people: &mut [Person]) {
    let count = people.len();
    let n = count - 1;
    people[n].role = Role::Guard(Guarded {
        to: vec![n],
        ..guarded(rng, count)
    });
    people[n].outages.clear();
}

fn mail(rng: &mut Rng, plan: &Plan) -> Mail {
    let count = plan.people.len();
    // The user of a guard writes too, and hears of failures through it.
    let guards: Vec<usize> = plan.guards().map(|(n, _)| n).collect();
    let from = match guards.as_slice() {
        [] => 0,
        guards if rng.u8(..5) == 0 => guards[rng.usize(..guards.len())],
        _ => 0,
    };
    Mail {
        at: rng.i64(0..3 * DAY),
        from,
        to: rng.usize(..count),
        bytes: [0, 500, 3000, 20_000, 60_000][rng.usize(..5)],
    }
}
