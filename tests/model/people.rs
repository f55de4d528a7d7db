//! What people do with their mail: keep it, send it on in one way or another, answer it, or leave it to a guard.

use std::rc::Rc;

use crate::guarded::{Caller, End, Moment, Sent};
use crate::mail::{header_end, on_top, values, written_date};
use crate::plan::{Admin, HOUR, How, Manner, Recipe, Role};
use crate::systems::{checks_delivered_to, handed_over};
use crate::world::{Transit, World};

impl World<'_> {
    /// The host of `person` delivers.
    pub fn deliver(&mut self, person: usize, transit: Transit) {
        let plan = self.plan;
        let (host, address) = (plan.people[person].host, plan.address(person));
        let system = plan.hosts[host].system;
        if checks_delivered_to(system) {
            // Before .forward, procmail and any guard (local(8)).
            if values(&transit.bytes, "Delivered-To").any(|value| value == transit.to) {
                return self.fail(&transit, host, "5.4.6", "mail forwarding loop");
            }
        }
        let role = &plan.people[person].role;
        self.say(|| {
            let size = transit.bytes.len();
            let subject = values(&transit.bytes, "Subject").next().unwrap_or_default().to_owned();
            format!("{address} gets {subject:?} from <{}>, {size} bytes", transit.sender)
        });
        let delivered = match checks_delivered_to(system) {
            true => on_top(&format!("Delivered-To: {}\n", transit.to), &transit.bytes),
            false => (*transit.bytes).clone(),
        };
        match role {
            Role::Mailbox => {
                self.tally.arrived[person].push((self.now, transit.bytes.len()));
                self.boxes[person].push(Rc::clone(&transit.bytes));
            }
            Role::Procmail { to, copy, recipe } => {
                if *copy {
                    self.boxes[person].push(Rc::clone(&transit.bytes));
                }
                let bytes = match recipe {
                    Recipe::Plain => delivered,
                    Recipe::Loop if values(&delivered, "X-Loop").any(|value| value == address) => {
                        if !copy {
                            self.boxes[person].push(Rc::clone(&transit.bytes));
                        }
                        return;
                    }
                    Recipe::Loop => on_top(&format!("X-Loop: {address}\n"), &delivered),
                };
                for to in to {
                    self.submit(host, &address, &plan.address(*to), &bytes, transit.line);
                }
            }
            Role::Forward { to } => {
                for to in to {
                    self.pass_on(
                        host,
                        &transit.sender,
                        &plan.address(*to),
                        delivered.clone(),
                        transit.line,
                    );
                }
            }
            Role::Responder { manner } => {
                self.boxes[person].push(Rc::clone(&transit.bytes));
                let writer = match manner {
                    Manner::Public => values(&transit.bytes, "From").next(),
                    Manner::AnswersAll if transit.sender.is_empty() => values(&transit.bytes, "From").next(),
                    _ => Some(transit.sender.as_str()),
                };
                if let Some(writer) = writer.filter(|writer| !writer.is_empty()).map(str::to_owned) {
                    for _ in 0..self.answers_due(person, *manner) {
                        self.answer(person, &transit, &writer, *manner);
                    }
                }
            }
            Role::List { members, owner } => self.expand(person, members, *owner, &transit),
            Role::Guard(guarded) => {
                let caller = if guarded.by_procmail {
                    Caller::Procmail
                } else {
                    Caller::Itself
                };
                self.guard(person, caller, guarded.admin, transit);
            }
        }
    }

    /// How many answers go out for what `person` has read by now.
    fn answers_due(&mut self, person: usize, manner: Manner) -> usize {
        self.read[person] += 1;
        let is_third = self.read[person].is_multiple_of(3);
        match manner {
            Manner::Splits => 3,
            Manner::Digests => usize::from(is_third),
            Manner::Batches if is_third => 3,
            Manner::Batches => 0,
            _ => 1,
        }
    }

    fn answer(&mut self, person: usize, transit: &Transit, writer: &str, manner: Manner) {
        let (address, host) = (self.plan.address(person), self.plan.people[person].host);
        self.serial += 1;
        let (serial, domain) = (self.serial, self.plan.domain(host));
        let marked = match manner {
            Manner::Marked => true,
            Manner::Plain | Manner::Twice => false,
            Manner::Strange
            | Manner::AnswersAll
            | Manner::Remails
            | Manner::Public
            | Manner::Splits
            | Manner::Digests
            | Manner::Batches => {
                let from = match manner {
                    Manner::Remails => address,
                    Manner::Public => self.plan.public_address(person),
                    _ => format!("x{serial}@{domain}"),
                };
                let text = match manner {
                    Manner::Remails => {
                        String::from_utf8_lossy(&transit.bytes[header_end(&transit.bytes)..]).into_owned()
                    }
                    _ => format!("w{serial} v{} u{}\n", serial * 7, serial * 11),
                };
                let message = format!(
                    "From: {from}\nTo: {writer}\nSubject: z{serial}\nDate: {}\nMessage-ID: <strange{serial}@{domain}>\n\n{text}",
                    written_date(self.now)
                );
                return self.submit(host, &from, writer, message.as_bytes(), transit.line);
            }
        };
        let subject = values(&transit.bytes, "Subject").next().unwrap_or_default();
        let id = values(&transit.bytes, "Message-ID").next().unwrap_or_default();
        let text = format!(
            "From: {address}\nTo: {}\nSubject: Re: {subject}\nDate: {}\nMessage-ID: <answer{}@{}>\n\
             In-Reply-To: {id}\n{}\nI am away.\n",
            writer,
            written_date(self.now),
            self.serial,
            self.plan.domain(host),
            if marked { "Auto-Submitted: auto-replied\n" } else { "" },
        );
        self.submit(host, &address, &transit.sender, text.as_bytes(), transit.line);
        if manner == Manner::Twice {
            let again = text.replace("Message-ID: <answer", "Message-ID: <again");
            self.submit(host, &address, &transit.sender, again.as_bytes(), transit.line);
        }
    }

    /// A list takes neither reports nor its own mail.
    fn expand(&mut self, person: usize, members: &[usize], owner: usize, transit: &Transit) {
        let (address, host) = (self.plan.address(person), self.plan.people[person].host);
        if transit.sender.is_empty() || values(&transit.bytes, "List-Id").any(|id| id == address) {
            return self.boxes[person].push(Rc::clone(&transit.bytes));
        }
        let fields = format!("List-Id: {address}\nPrecedence: list\nX-Loop: {address}\n");
        let bytes = on_top(&fields, &transit.bytes);
        for member in members {
            let (sender, to) = (self.plan.address(owner), self.plan.address(*member));
            self.submit(host, &sender, &to, &bytes, transit.line);
        }
    }

    fn guard(&mut self, person: usize, caller: Caller, admin: Admin, transit: Transit) {
        let plan = self.plan;
        let host = plan.people[person].host;
        let dead: Vec<String> = (0..plan.people.len())
            .filter(|n| matches!(self.outage(*n), Some(outage) if outage.how == How::Unknown))
            .map(|n| plan.address(n))
            .collect();
        let message = handed_over(
            &transit.sender,
            &transit.to,
            &transit.bytes,
            plan.hosts[host].system,
            caller,
        );
        let moment = Moment {
            at: self.now,
            system: plan.hosts[host].system,
            caller,
            dead: &dead,
        };
        let Some(post) = &self.posts[person] else { return };
        let run = post.run(moment, &transit.sender, &transit.to, message, self.broken);
        let end = &run.end;
        self.say(|| format!("  guard p{person}: {end:?}, {} sent", run.sent.len()));
        if matches!(run.end, End::Diverted) && admin == Admin::Path {
            *self.tally.diverted.entry((person, self.now / HOUR)).or_default() += 1;
        }
        self.send(person, run.sent, transit.line);
        match run.end {
            End::Kept | End::Forwarded | End::Diverted | End::Held | End::Repeated => {}
            End::Later(said) => {
                self.tally.later += 1;
                self.try_again(transit, &said);
            }
            End::Refused(said) => self.fail(&transit, host, "5.2.2", &said),
        }
    }

    /// What the guard of `person` sent goes its way.
    pub fn send(&mut self, person: usize, sent: Vec<Sent>, line: Option<usize>) {
        let plan = self.plan;
        let host = plan.people[person].host;
        let admin = match &plan.people[person].role {
            Role::Guard(guarded) => match guarded.admin {
                Admin::Person(admin) => Some(plan.address(admin)),
                Admin::Path => None,
            },
            _ => None,
        };
        for sent in sent {
            let to_admin = sent.sender.is_empty() && sent.to.iter().any(|to| Some(to) == admin.as_ref());
            if to_admin {
                *self.tally.diverted.entry((person, self.now / HOUR)).or_default() += 1;
            }
            let by_itself = values(&sent.bytes, "From")
                .next()
                .is_some_and(|from| from.starts_with("Mail delivery guard"));
            let line = line.filter(|_| !by_itself);
            for to in &sent.to {
                self.submit(host, &sent.sender, to, &sent.bytes, line);
            }
        }
    }
}
