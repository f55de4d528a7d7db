//! What people do with their mail: keep it, send it on in one way or another, answer it, or leave it to a guard.

use std::rc::Rc;

use crate::guarded::{Caller, End, Moment};
use crate::mail::{on_top, values};
use crate::plan::{Admin, HOUR, How, Recipe, Role};
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
            if values(&transit.bytes, "Delivered-To").any(|value| value == address) {
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
            true => on_top(&format!("Delivered-To: {address}\n"), &transit.bytes),
            false => (*transit.bytes).clone(),
        };
        match role {
            Role::Mailbox => self.boxes[person].push(Rc::clone(&transit.bytes)),
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
            Role::Responder { marked } => {
                self.boxes[person].push(Rc::clone(&transit.bytes));
                if !transit.sender.is_empty() {
                    self.answer(person, &transit, *marked);
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

    fn answer(&mut self, person: usize, transit: &Transit, marked: bool) {
        let (address, host) = (self.plan.address(person), self.plan.people[person].host);
        self.serial += 1;
        let subject = values(&transit.bytes, "Subject").next().unwrap_or_default();
        let id = values(&transit.bytes, "Message-ID").next().unwrap_or_default();
        let text = format!(
            "From: {address}\nTo: {}\nSubject: Re: {subject}\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nMessage-ID: <answer{}@{}>\n\
             In-Reply-To: {id}\n{}\nI am away.\n",
            transit.sender,
            self.serial,
            self.plan.domain(host),
            if marked { "Auto-Submitted: auto-replied\n" } else { "" },
        );
        self.submit(host, &address, &transit.sender, text.as_bytes(), transit.line);
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
        let to_admin = match admin {
            Admin::Person(admin) => {
                let admin = plan.address(admin);
                run.sent
                    .iter()
                    .filter(|sent| sent.sender.is_empty() && sent.to.contains(&admin))
                    .count()
            }
            Admin::Path => usize::from(matches!(run.end, End::Diverted)),
        };
        if to_admin > 0 {
            *self.tally.diverted.entry((person, self.now / HOUR)).or_default() += to_admin as u64;
        }
        for sent in run.sent {
            let line = match values(&sent.bytes, "From").next() {
                Some(from) if from.starts_with("Mail delivery guard") => None,
                _ => transit.line,
            };
            for to in &sent.to {
                self.submit(host, &sent.sender, to, &sent.bytes, line);
            }
        }
        match run.end {
            End::Kept | End::Forwarded | End::Diverted => {}
            End::Later(said) => {
                self.tally.later += 1;
                if said.contains("the mailbox is full")
                    && let Some(line) = transit.line
                {
                    self.tally.waited_for_room[line] = true;
                }
                self.try_again(transit, &said);
            }
            End::Refused(said) => self.fail(&transit, host, "5.2.2", &said),
        }
    }
}
