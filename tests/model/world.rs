//! The mail systems around the guards, and the passing of time: one queue of events, nothing at random but by the
//! plan's seed.
//!
//! What a host does is what the real ones were measured to do: who checks `Delivered-To`, where the hop limits are, who
//! drops a report that cannot be delivered, who tells at once and who later.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use fastrand::Rng;

use crate::guarded::{Broken, Post};
use crate::mail::{self, Failure, has, on_top, report, stripped, values};
use crate::plan::{DAY, HOUR, How, MINUTE, Outage, Plan, Role, Seconds, Shape, System, clock};
use crate::systems::hop_limit;

/// How long mail waits in a queue (Postfix: `maximal_queue_lifetime`).
const QUEUE_LIFE: Seconds = 5 * DAY;

/// After how long the sender hears that it waits.
const DELAY_WARNING: Seconds = 4 * HOUR;

/// A message on its way to one recipient.
#[derive(Clone)]
pub struct Transit {
    /// Empty is null.
    pub sender: String,
    pub to: String,
    /// The host that sends it.
    from: usize,
    pub bytes: Rc<Vec<u8>>,
    /// The mail that all this began with; none for what a guard writes by itself.
    pub line: Option<usize>,
    since: Seconds,
    tries: u32,
    warned: bool,
    /// The recipient's host has it already.
    at_home: bool,
}

/// What is counted.
#[derive(Default)]
pub struct Tally {
    /// First attempts to hand a message to a recipient, for each mail that was written.
    pub transmissions: Vec<u64>,
    /// The same for what guards wrote by themselves.
    pub notices: u64,
    /// What marks the reports about each mail that do not carry its text.
    pub partial: Vec<Vec<Vec<u8>>>,
    /// What reached an administrator, by guard and hour.
    pub diverted: BTreeMap<(usize, Seconds), u64>,
    /// Deliveries to a guard that the mail system gave up.
    pub given_up: Vec<String>,
    /// Deliveries that a guard put off, and why.
    pub later: u64,
    /// When what came into each mailbox without a guard, and how long it is.
    pub arrived: Vec<Vec<(Seconds, usize)>>,
    /// Reports that nobody could be told.
    pub dropped: u64,
}

/// The network at work.
pub struct World<'p> {
    pub plan: &'p Plan,
    pub posts: Vec<Option<Post>>,
    /// What lies in mailboxes without a guard, and with each host's postmaster.
    pub boxes: Vec<Vec<Rc<Vec<u8>>>>,
    pub postmasters: Vec<Vec<Rc<Vec<u8>>>>,
    pub tally: Tally,
    pub trace: Option<Vec<String>>,
    /// Now.
    pub now: Seconds,
    queue: BTreeMap<(Seconds, u64), Transit>,
    /// How many messages each responder has read that it could answer.
    pub read: Vec<u64>,
    pub serial: u64,
    /// When the timers ran last.
    timer: Seconds,
    rng: Rng,
    pub broken: Broken,
}

impl<'p> World<'p> {
    /// A network at its beginning, with all its mail still to be written.
    pub fn new(plan: &'p Plan, root: &Path, broken: Broken) -> Self {
        let posts = plan.people.iter().enumerate().map(|(n, person)| match &person.role {
            Role::Guard(guarded) => Some(Post::new(plan, n, guarded, root)),
            _ => None,
        });
        let mut world = Self {
            plan,
            posts: posts.collect(),
            boxes: vec![Vec::new(); plan.people.len()],
            postmasters: vec![Vec::new(); plan.hosts.len()],
            tally: Tally {
                transmissions: vec![0; plan.mails.len()],
                partial: vec![Vec::new(); plan.mails.len()],
                arrived: vec![Vec::new(); plan.people.len()],
                ..Tally::default()
            },
            trace: None,
            now: 0,
            queue: BTreeMap::new(),
            read: vec![0; plan.people.len()],
            serial: 0,
            timer: 0,
            rng: Rng::with_seed(plan.seed),
            broken,
        };
        for (line, mail) in plan.mails.iter().enumerate() {
            let (from, to) = (plan.address(mail.from), plan.address(mail.to));
            let bytes = mail::written(line, &from, &to, mail.bytes, mail.at);
            world.now = mail.at;
            world.submit(plan.people[mail.from].host, &from, &to, &bytes, Some(line));
        }
        world.now = 0;
        world
    }

    /// Lets the next thing happen; false when nothing is left.
    pub fn step(&mut self) -> bool {
        let Some(((at, _), transit)) = self.queue.pop_first() else {
            return false;
        };
        self.now = at;
        self.arrive(transit);
        let next = self.queue.first_key_value().map_or(self.now, |((at, _), _)| *at);
        // Where nothing happens, nothing becomes due either, but for once after all mail.
        while self.timer + HOUR <= next {
            self.timer = (self.timer + HOUR).max(next - next % HOUR - 3 * HOUR);
            self.now = self.timer;
            self.timers();
        }
        true
    }

    /// Every guard does what time has made due.
    pub fn timers(&mut self) {
        for person in 0..self.posts.len() {
            let Some(post) = self.posts[person].as_ref().filter(|post| post.waits()) else {
                continue;
            };
            let sent = post.due(self.now, self.broken);
            self.send(person, sent, None);
        }
    }

    pub fn say(&mut self, text: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} {}", clock(now), text()));
        }
    }

    /// Hands a message to the mail system of `host`.
    pub fn submit(&mut self, host: usize, sender: &str, to: &str, bytes: &[u8], line: Option<usize>) {
        let received = format!("Received: by {} (from userid 1000)\n", self.plan.domain(host));
        self.pass_on(host, sender, to, on_top(&received, bytes), line);
    }

    /// `host` sends a message on, some time from now.
    pub fn pass_on(&mut self, host: usize, sender: &str, to: &str, bytes: Vec<u8>, line: Option<usize>) {
        let transit = Transit {
            sender: sender.to_owned(),
            to: to.to_owned(),
            from: host,
            bytes: Rc::new(bytes),
            line,
            since: self.now,
            tries: 0,
            warned: false,
            at_home: false,
        };
        let twice = self.plan.hosts[host].stutters && self.rng.u8(..3) == 0;
        for _ in 0..=usize::from(twice) {
            let delay = 1 + self.rng.i64(0..=self.plan.hosts[host].delay);
            self.put(self.now + delay, transit.clone());
        }
    }

    fn put(&mut self, at: Seconds, transit: Transit) {
        self.serial += 1;
        self.queue.insert((at, self.serial), transit);
    }

    /// A message reaches the host of its recipient, or is tried again.
    fn arrive(&mut self, mut transit: Transit) {
        if transit.tries == 0 && !transit.at_home {
            match transit.line {
                Some(line) => self.tally.transmissions[line] += 1,
                None => self.tally.notices += 1,
            }
        }
        let Some(person) = self.plan.person(&transit.to) else {
            return self.arrive_for_nobody(&transit);
        };
        if !transit.at_home {
            if let Some(outage) = self.outage(person) {
                return self.turned_away(transit, person, outage.how);
            }
            let host = self.plan.people[person].host;
            let (system, strip) = (self.plan.hosts[host].system, self.plan.hosts[host].strip);
            let mut bytes = stripped(&transit.bytes, strip);
            if host != transit.from {
                let (from, by) = (self.plan.domain(transit.from), self.plan.domain(host));
                let field = format!(
                    "Received: from {from} ({from} [192.0.2.{}])\n\tby {by} with ESMTP\n",
                    transit.from
                );
                bytes = on_top(&field, &bytes);
            }
            if values(&bytes, "Received").count() > hop_limit(system) {
                return self.fail(&transit, transit.from, "5.4.6", "554 5.4.6 too many hops");
            }
            transit.bytes = Rc::new(bytes);
            transit.at_home = true;
            transit.since = self.now;
            transit.tries = 0;
            transit.warned = false;
        }
        self.deliver(person, transit);
    }

    fn arrive_for_nobody(&mut self, transit: &Transit) {
        let (local, domain) = transit.to.split_once('@').unwrap_or((&transit.to, ""));
        let host = (0..self.plan.hosts.len()).find(|host| self.plan.domain(*host) == domain);
        match host {
            Some(host) if ["postmaster", "mailer-daemon"].contains(&local.to_ascii_lowercase().as_str()) => {
                self.postmasters[host].push(Rc::clone(&transit.bytes));
            }
            _ => self.fail(transit, transit.from, "5.1.1", "550 5.1.1 no such address"),
        }
    }

    pub fn outage(&self, person: usize) -> Option<Outage> {
        let holds = |outage: &&Outage| outage.from <= self.now && outage.until.is_none_or(|until| self.now < until);
        self.plan.people[person].outages.iter().find(holds).copied()
    }

    fn turned_away(&mut self, transit: Transit, person: usize, how: How) {
        match how {
            How::Unknown => self.fail(&transit, transit.from, "5.1.1", "550 5.1.1 user unknown"),
            How::Full => self.fail(&transit, transit.from, "5.2.2", "552 5.2.2 mailbox full"),
            How::Late => {
                let host = self.plan.people[person].host;
                self.fail(&transit, host, "5.1.1", "user unknown");
            }
            How::Busy => self.try_again(transit, "451 4.3.0 try again later"),
        }
    }

    /// The message waits where it is: with the sending host, or with its own.
    pub fn try_again(&mut self, mut transit: Transit, said: &str) {
        let keeper = match self.plan.person(&transit.to) {
            Some(person) if transit.at_home => self.plan.people[person].host,
            _ => transit.from,
        };
        let waited = self.now - transit.since;
        if waited >= QUEUE_LIFE {
            if transit.at_home {
                self.tally.given_up.push(format!("for {}: {said}", transit.to));
            }
            return self.fail(&transit, keeper, "4.4.7", said);
        }
        if waited >= DELAY_WARNING && !transit.warned && !transit.sender.is_empty() {
            transit.warned = true;
            self.report(&transit, keeper, "4.4.1", said);
        }
        // Postfix stops doubling at 4000 s; here fewer tries say the same.
        let wait = ((5 * MINUTE) << transit.tries.min(6)).min(4 * HOUR);
        transit.tries += 1;
        self.put(self.now + wait, transit);
    }

    /// A message cannot be delivered, says `host`.
    pub fn fail(&mut self, transit: &Transit, host: usize, status: &str, said: &str) {
        if !transit.sender.is_empty() {
            return self.report(transit, host, status, said);
        }
        match self.plan.hosts[host].system {
            System::Sendmail => self.postmasters[host].push(Rc::clone(&transit.bytes)),
            System::Postfix | System::Exim | System::OpenSmtpd => {
                self.tally.dropped += 1;
                self.say(|| format!("dropped <> -> {}: {said}", transit.to));
            }
        }
    }

    fn report(&mut self, transit: &Transit, host: usize, status: &str, said: &str) {
        self.serial += 1;
        let number = self.serial;
        let failure = Failure {
            recipient: &transit.to,
            status,
            said,
            at: self.now,
        };
        let (shape, domain) = (self.plan.hosts[host].shape, self.plan.domain(host));
        let (bytes, whole) = report(shape, &domain, &transit.sender, failure, &transit.bytes, number);
        self.say(|| format!("h{host} reports {said} about {} to {}", transit.to, transit.sender));
        if let (Some(line), false) = (transit.line, whole) {
            self.tally.partial[line].push(format!("<report{number:07}@{domain}>").into_bytes());
        }
        let sender = match shape {
            Shape::Gateway => format!("postmaster@{domain}"),
            Shape::Full | Shape::Headers | Shape::Exim | Shape::Qmail | Shape::Foreign => String::new(),
        };
        self.pass_on(host, &sender, &transit.sender, bytes, transit.line);
    }

    /// Whether `mark` stands in any mailbox, or among what a guard holds.
    pub fn anywhere(&self, mark: &[u8], stored: &[Vec<u8>]) -> bool {
        let boxes = self.boxes.iter().chain(&self.postmasters).flatten();
        boxes.into_iter().any(|bytes| has(bytes, mark)) || stored.iter().any(|bytes| has(bytes, mark))
    }
}
