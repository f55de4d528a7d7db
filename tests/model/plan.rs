//! A network of mail as data: hosts, the people on them, what each does with mail, and what comes in when. Everything
//! that happens in the model follows from one of these, so that it can be printed, shrunk and written down as a test.

use std::fmt;

/// Seconds of simulated time.
pub type Seconds = i64;

pub const MINUTE: Seconds = 60;
pub const HOUR: Seconds = 60 * MINUTE;
pub const DAY: Seconds = 24 * HOUR;

/// A whole network.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What chance in the model goes by.
    pub seed: u64,
    pub hosts: Vec<Host>,
    pub people: Vec<Person>,
    pub mails: Vec<Mail>,
}

/// One mail system, which has one domain.
#[derive(Clone, Debug)]
pub struct Host {
    pub system: System,
    pub shape: Shape,
    pub strip: Strip,
    /// How long it takes to pass a message on, at most.
    pub delay: Seconds,
    /// It now and then delivers twice.
    pub stutters: bool,
    /// Its sendmail says at once when a recipient is refused, as Exim's can; else a report says it later.
    pub answers: bool,
}

/// The four that were measured, as far as they differ for loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Postfix,
    Exim,
    Sendmail,
    OpenSmtpd,
}

/// How its reports look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// RFC 3464 with the whole message, up to Postfix's `bounce_size_limit`.
    Full,
    /// RFC 3464 with the header alone.
    Headers,
    /// Exim's plain text, with the whole message below a line.
    Exim,
    /// qmail's.
    Qmail,
    /// In another language, and nothing quoted.
    Foreign,
    /// A gateway that sends its reports with a sender of its own.
    Gateway,
}

/// What it takes out of the header of whatever passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strip {
    Nothing,
    /// `X-Loop`.
    Loop,
    /// All that begins with `X-`.
    Extensions,
    /// That, and `Received` and `Delivered-To`.
    Trace,
}

/// Somebody with an address.
#[derive(Clone, Debug)]
pub struct Person {
    pub host: usize,
    pub role: Role,
    pub outages: Vec<Outage>,
}

/// What becomes of mail that reaches a person.
#[derive(Clone, Debug)]
pub enum Role {
    /// It stays.
    Mailbox,
    /// procmail: sent on with the person as sender.
    Procmail { to: Vec<usize>, copy: bool, recipe: Recipe },
    /// A line in `.forward`: sent on with the sender that it had.
    Forward { to: Vec<usize> },
    /// spoolguard.
    Guard(Guarded),
    /// Answers everything, and remembers nobody.
    Responder { manner: Manner },
    /// A list with an owner, who gets its reports.
    List { members: Vec<usize>, owner: usize },
}

/// How a responder answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As RFC 3834 asks: with a mark, and never the null sender.
    Marked,
    /// Without a mark.
    Plain,
    /// Under another name, with another subject and text each time, and without `In-Reply-To`.
    Strange,
    /// The same, and the null sender as well: then whoever wrote.
    AnswersAll,
    /// A gateway: the text goes back to the envelope sender as a new message.
    Remails,
    /// Each message twice, from its own address, without a mark.
    Twice,
    /// Each message three times, each time under another name.
    Splits,
    /// One answer for every three messages, to the last of them.
    Digests,
    /// Three answers for every three messages: none comes behind a single one of them.
    Batches,
    /// In the name of whoever forwards there, as the desk of an address that everybody knows.
    Public,
}

/// What procmail looks at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// Nothing: `! b`.
    Plain,
    /// procmailex(5): not what has our `X-Loop`, and it is added.
    Loop,
}

/// How a guard is set up.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// Nobody: `spoolguard deliver`.
    pub to: Vec<usize>,
    pub keep: bool,
    pub admin: Admin,
    pub sender: GuardSender,
    /// Called from procmail, which says nothing in the environment.
    pub by_procmail: bool,
    /// The limit of the mailbox in bytes, and what holds when it is full.
    pub quota: Option<(u64, &'static str)>,
}

/// Who gets what is diverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    Person(usize),
    Path,
}

/// `forward.sender`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardSender {
    User,
    Keep,
    Verp,
}

/// A time in which a person cannot be reached.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub from: Seconds,
    /// Not for ever.
    pub until: Option<Seconds>,
    pub how: How,
}

/// What is wrong then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Refused at RCPT: unknown.
    Unknown,
    /// Accepted, and reported as unknown later.
    Late,
    /// Refused for a full mailbox.
    Full,
    /// 451 each time.
    Busy,
}

/// One message that somebody writes.
#[derive(Clone, Copy, Debug)]
pub struct Mail {
    pub at: Seconds,
    pub from: usize,
    pub to: usize,
    pub bytes: usize,
}

impl Plan {
    pub fn domain(&self, host: usize) -> String {
        format!("h{host}.test")
    }

    pub fn address(&self, person: usize) -> String {
        format!("p{person}@{}", self.domain(self.people[person].host))
    }

    /// Who an address belongs to; an extension makes no difference.
    pub fn person(&self, address: &str) -> Option<usize> {
        let (local, domain) = address.split_once('@')?;
        let person: usize = local.split('+').next()?.strip_prefix('p')?.parse().ok()?;
        let host = self.people.get(person)?.host;
        (domain == self.domain(host)).then_some(person)
    }

    /// The address that everybody knows of somebody: that of a guard which forwards there, or the own one.
    pub fn public_address(&self, person: usize) -> String {
        let known = self.guards().find(|(_, guard)| guard.to.contains(&person));
        self.address(known.map_or(person, |(guard, _)| guard))
    }

    pub fn guards(&self) -> impl Iterator<Item = (usize, &Guarded)> {
        self.people
            .iter()
            .enumerate()
            .filter_map(|(n, person)| match &person.role {
                Role::Guard(guard) => Some((n, guard)),
                _ => None,
            })
    }

    /// Whether a person may refuse mail at some time.
    fn refuses(&self, person: usize) -> bool {
        !self.people[person].outages.is_empty()
    }
}

impl Role {
    /// Where mail goes on to from here.
    pub fn targets(&self) -> Vec<usize> {
        match self {
            Role::Mailbox | Role::Responder { .. } => Vec::new(),
            Role::Procmail { to, .. } | Role::Forward { to } => to.clone(),
            Role::Guard(guard) => guard.to.clone(),
            Role::List { members, .. } => members.clone(),
        }
    }

    /// Whether mail leaves here with another sender than it came with, and whose.
    fn own_sender(&self, person: usize) -> Option<usize> {
        match self {
            Role::Procmail { .. } | Role::Responder { .. } => Some(person),
            Role::List { owner, .. } => Some(*owner),
            Role::Mailbox | Role::Forward { .. } | Role::Guard(_) => None,
        }
    }
}

/// Which networks count, and how much mail they may make.
impl Plan {
    /// Every way from a person without a guard to the next, as the mail goes by itself: a forward, a report to whoever
    /// sent, an answer.
    fn unguarded_steps(&self) -> Vec<Vec<usize>> {
        let guarded = |n: usize| matches!(self.people[n].role, Role::Guard(_));
        let mut steps: Vec<Vec<usize>> = vec![Vec::new(); self.people.len()];
        for (n, person) in self.people.iter().enumerate() {
            if guarded(n) {
                continue;
            }
            steps[n].extend(person.role.targets());
            let Some(sender) = person.role.own_sender(n) else {
                continue;
            };
            // Who gets this mail under this sender? An answer goes to whoever wrote, so it may go anywhere.
            let mut reached: Vec<usize> = match person.role {
                Role::Responder { .. } => (0..self.people.len()).collect(),
                _ => person.role.targets(),
            };
            let mut at = 0;
            while let Some(next) = reached.get(at).copied() {
                at += 1;
                // A refusal is reported to the sender, and an answer goes there.
                if self.refuses(next) || matches!(self.people[next].role, Role::Responder { .. }) {
                    steps[next].push(sender);
                }
                if let Role::Forward { to } = &self.people[next].role {
                    for to in to {
                        if !reached.contains(to) {
                            reached.push(*to);
                        }
                    }
                }
            }
            if matches!(person.role, Role::Responder { .. }) {
                // Only those who send under their own name are answered.
                let writers = (0..self.people.len()).filter(|w| self.people[*w].role.own_sender(*w) == Some(*w));
                steps[n].extend(writers.filter(|w| *w != n || self.refuses(n)));
            }
        }
        for (n, to) in steps.iter_mut().enumerate() {
            to.retain(|to| !guarded(*to) && !guarded(n));
        }
        steps
    }

    /// Somebody on a circle of mail that no guard is part of; what goes round there is not the guard's to end.
    pub fn unguarded_circle(&self) -> Option<usize> {
        let steps = self.unguarded_steps();
        (0..self.people.len()).find(|start| {
            let mut seen = vec![false; steps.len()];
            let mut open = steps[*start].clone();
            while let Some(next) = open.pop() {
                if next == *start {
                    return true;
                }
                if !std::mem::replace(&mut seen[next], true) {
                    open.extend(&steps[next]);
                }
            }
            false
        })
    }

    /// How many transmissions one that reaches `person` leads to before the next guards, itself among them.
    fn weight(&self, person: usize) -> u64 {
        let times = if self.hosts[self.people[person].host].stutters {
            2
        } else {
            1
        };
        let on: u64 = match &self.people[person].role {
            Role::Guard(_) | Role::Mailbox => 0,
            Role::Responder { manner: Manner::Twice } => 2,
            Role::Responder {
                manner: Manner::Splits | Manner::Batches,
            } => 3,
            Role::Responder { .. } => 1,
            role => role.targets().iter().map(|to| self.weight(*to)).sum(),
        };
        times * (1 + on)
    }

    /// The most that a single transmission leads to without a guard: the widest unguarded piece.
    pub fn spread(&self) -> u64 {
        (0..self.people.len()).map(|n| self.weight(n)).max().unwrap_or(1)
    }

    /// The ways out of all guards: each destination, and each administrator.
    pub fn exits(&self) -> u64 {
        self.guards().map(|(_, guard)| guard.to.len() as u64 + 1).sum()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for (n, host) in self.hosts.iter().enumerate() {
            writeln!(
                f,
                "  h{n}.test: {:?}, reports {:?}, strips {:?}, delay {}{}{}",
                host.system,
                host.shape,
                host.strip,
                clock(host.delay),
                if host.stutters { ", delivers twice" } else { "" },
                if host.answers { ", its sendmail answers" } else { "" },
            )?;
        }
        for (n, person) in self.people.iter().enumerate() {
            let names = |who: &[usize]| who.iter().map(|n| format!("p{n}")).collect::<Vec<_>>().join(" ");
            let does = match &person.role {
                Role::Mailbox => "mailbox".to_owned(),
                Role::Procmail { to, copy, recipe } => format!(
                    "procmail ! {}{}{}",
                    names(to),
                    if *copy { ", copy kept" } else { "" },
                    match recipe {
                        Recipe::Plain => "",
                        Recipe::Loop => ", with X-Loop",
                    }
                ),
                Role::Forward { to } => format!(".forward {}", names(to)),
                Role::Responder { manner } => format!("autoresponder, {manner:?}"),
                Role::List { members, owner } => format!("list {}, owner p{owner}", names(members)),
                Role::Guard(guard) => format!(
                    "GUARD {}{}, admin {}, sender {:?}{}{}",
                    if guard.to.is_empty() {
                        "deliver".to_owned()
                    } else {
                        format!("forward {}", names(&guard.to))
                    },
                    if guard.keep { " --keep" } else { "" },
                    match guard.admin {
                        Admin::Person(n) => format!("p{n}"),
                        Admin::Path => "a path".to_owned(),
                    },
                    guard.sender,
                    if guard.by_procmail { ", by procmail" } else { "" },
                    guard
                        .quota
                        .map_or_else(String::new, |(bytes, over)| format!(", quota {bytes} {over}")),
                ),
            };
            write!(f, "  p{n}@h{}: {does}", person.host)?;
            for outage in &person.outages {
                let until = outage.until.map_or_else(|| "ever".to_owned(), clock);
                write!(f, "; {:?} from {} to {until}", outage.how, clock(outage.from))?;
            }
            writeln!(f)?;
        }
        for (n, mail) in self.mails.iter().enumerate() {
            writeln!(
                f,
                "  mail {n}: {} p{} -> p{}, {} bytes",
                clock(mail.at),
                mail.from,
                mail.to,
                mail.bytes
            )?;
        }
        Ok(())
    }
}

/// Simulated time for people: days, hours, minutes, seconds.
pub fn clock(at: Seconds) -> String {
    format!(
        "{}d{:02}:{:02}:{:02}",
        at / DAY,
        at % DAY / HOUR,
        at % HOUR / MINUTE,
        at % MINUTE
    )
}
