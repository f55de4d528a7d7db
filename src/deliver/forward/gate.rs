//! Asks which destinations of a message are suspended before it is forwarded, and remembers afterwards what became of
//! it.
//!
//! Without trouble this is one look for a file that does not exist. `deliver/forward/destinations.rs` says what happens
//! when that file cannot be used.

use crate::config::SuspensionSettings;
use crate::deliver::context::{Delivery, Run, when_settled};
use crate::deliver::forward::destinations::{self, DueNotices, open_store, to_moment, try_change};
use crate::deliver::forward::held_back::HeldBack;
use crate::deliver::forward::history::{self, Sketches};
use crate::deliver::forward::loops::{self, Parted};
use crate::deliver::forward::rules::kept::KeptReason;
use crate::deliver::forward::rules::{Destinations, Failure, Fit, Pass};
use crate::deliver::forward::surge;
use crate::deliver::headers;
use crate::message::envelope::Sender;
use crate::moment::Moment;
use crate::submit::letter::{Answers, Refusal};

/// What the memory says about the destinations of one message, and what became of it there.
#[derive(Debug)]
#[must_use]
pub struct Gate {
    passes: Vec<(String, Pass)>,
    /// These get nothing, because mail would go round.
    back: Vec<(String, HeldBack)>,
    sketches: Sketches,
    is_remembered: bool,
    is_kept: bool,
    sent: Option<Answers>,
}

/// Asks to which of the destinations that are open the message may go. A probe is taken: nobody else gets it until
/// `end`.
pub fn open_gate(run: &Run, delivery: &Delivery<'_>, parted: Parted) -> Gate {
    let destinations = parted.open.clone();
    let mut gate = Gate::of(parted, |_| Pass::Open);
    let Some(store) = open_store(run) else {
        return gate;
    };
    // One small read without a lock, and for nearly everybody there is nothing to read.
    let seen = match destinations::read_destinations(&store) {
        Ok(routes) => routes,
        Err(e) => {
            run.log_state_failure(&e, "forwarded as if nothing were remembered");
            // A file that spoolguard did not write is set aside, so that this is said once.
            let _ = try_change(run, &store, |_| ());
            return gate;
        }
    };
    if seen == Destinations::default() {
        return gate;
    }
    let (now, settings, id) = (to_moment(delivery.date), &run.config.destinations, message_id(delivery));
    let ask = |routes: &mut Destinations| -> Vec<(String, Pass)> {
        let mut pass = |to: &String| routes.ask_pass(to, id.as_deref(), fit(delivery), now, settings);
        destinations.iter().map(|to| (to.clone(), pass(to))).collect()
    };
    gate.is_remembered = seen.is_notice_due(now) || destinations.iter().any(|to| seen.find(to).is_some());
    let mut changed = seen.clone();
    gate.passes = ask(&mut changed);
    if changed != seen {
        // Again under the lock, so that only one run gets the probe.
        gate.passes = match try_change(run, &store, ask) {
            Some(passes) => passes,
            None => gate.passes.into_iter().map(without_probe).collect(),
        };
    }
    gate
}

/// A message may be a probe if a report about it would come home. With `sender = "original"` none ever does, and all
/// that is known of a destination is sendmail's answer, which each message gets.
fn fit(delivery: &Delivery<'_>) -> Fit {
    match delivery.envelope.sender {
        Sender::Null => Fit::ForNothing,
        Sender::Address(_) | Sender::Unknown => Fit::ForProbe,
    }
}

fn message_id(delivery: &Delivery<'_>) -> Option<String> {
    delivery.message.first("Message-ID").map(|id| id.into_owned())
}

/// What could not be taken is not done.
fn without_probe((destination, pass): (String, Pass)) -> (String, Pass) {
    let pass = match pass {
        Pass::Probe { since } => Pass::Keep { since },
        Pass::Open | Pass::Keep { .. } => pass,
    };
    (destination, pass)
}

impl Gate {
    fn of(parted: Parted, mut pass: impl FnMut(&String) -> Pass) -> Self {
        Self {
            passes: parted.open.into_iter().map(|to| (to.clone(), pass(&to))).collect(),
            back: parted.back,
            sketches: parted.sketches,
            is_remembered: false,
            is_kept: false,
            sent: None,
        }
    }

    /// Where the message may be sent.
    pub fn destinations(&self) -> Vec<String> {
        let goes = |(_, pass): &&(String, Pass)| matches!(pass, Pass::Open | Pass::Probe { .. });
        self.passes.iter().filter(goes).map(|(to, _)| to.clone()).collect()
    }

    /// Tells whether some destination gets nothing: then the copy in the mailbox is the only one.
    pub fn holds_back(&self) -> bool {
        self.ends_a_loop() || self.passes.iter().any(|(_, pass)| matches!(pass, Pass::Keep { .. }))
    }

    /// The destinations that got nothing, and why: a copy lies in the mailbox for them.
    pub fn kept_back(&self) -> Vec<KeptBack> {
        let suspended = self
            .passes
            .iter()
            .filter(|(_, pass)| matches!(pass, Pass::Keep { .. }))
            .map(|(to, _)| KeptBack {
                destination: to.clone(),
                reason: KeptReason::Suspended,
                said: String::new(),
            });
        let refusals = self.sent.iter().flat_map(|sent| &sent.refused);
        let refused = refusals
            .filter(|refusal| self.passes.iter().any(|(to, _)| *to == refusal.recipient))
            .map(|refusal| KeptBack {
                destination: refusal.recipient.clone(),
                reason: KeptReason::Refused,
                said: refusal.reply.to_string(),
            });
        let back = self.back.iter().map(|(to, back)| KeptBack {
            destination: to.clone(),
            reason: back.reason(),
            said: String::new(),
        });
        suspended.chain(refused).chain(back).collect()
    }

    /// Tells whether some destination gets nothing because mail would go round with it.
    pub fn ends_a_loop(&self) -> bool {
        !self.back.is_empty()
    }

    /// What is to be remembered of the message at each destination.
    pub fn sketches(&self) -> &Sketches {
        &self.sketches
    }

    /// Why a copy is kept, in words; none where nothing is held back.
    pub fn why_kept(&self) -> Option<String> {
        let loops = self.back.first().map(|(to, back)| back.reason_text(to));
        match (loops, self.why_suspended()) {
            (Some(loops), Some(suspended)) => Some(format!("{loops}; {suspended}")),
            (loops, suspended) => loops.or(suspended),
        }
    }

    fn why_suspended(&self) -> Option<String> {
        let of = |wanted: fn(&Pass) -> Option<Moment>| {
            let mut found = self.passes.iter().filter_map(|(to, pass)| Some((to, wanted(pass)?)));
            let (to, since) = found.next()?;
            let since = headers::moment_text(since);
            Some(match found.count() {
                0 => format!("{to} is suspended since {since}"),
                more => format!("{to} and {more} more are suspended since {since}"),
            })
        };
        let held = of(|pass| match pass {
            Pass::Keep { since } => Some(*since),
            Pass::Open | Pass::Probe { .. } => None,
        });
        held.or_else(|| {
            let why = of(|pass| match pass {
                Pass::Probe { since } => Some(*since),
                Pass::Open | Pass::Keep { .. } => None,
            })?;
            Some(format!("{why}; this message was sent all the same, as a probe"))
        })
    }

    /// No copy can be kept, whatever one tries: so nothing is held back.
    pub fn hold_nothing(&mut self) {
        for (_, pass) in &mut self.passes {
            if matches!(pass, Pass::Keep { .. }) {
                *pass = Pass::Open;
            }
        }
    }

    /// A copy lies where the user finds it.
    pub fn note_copy(&mut self) {
        self.is_kept = true;
    }

    pub fn note_sent(&mut self, sent: Answers) {
        self.sent = Some(sent);
    }

    /// Remembers what became of the message, and writes the notices that follow from it.
    pub fn remember_outcome(self, run: &Run, delivery: &Delivery<'_>) {
        when_settled(|| self.remember(run, delivery).write(run, delivery));
        when_settled(|| loops::end_loops(run, delivery, &self.back, &self.sketches, self.is_kept));
        let taken = self.sent.map(|sent| sent.taken).unwrap_or_default();
        when_settled(|| surge::tell_of_surge(run, delivery, &taken, &self.sketches));
    }

    fn remember(&self, run: &Run, delivery: &Delivery<'_>) -> DueNotices {
        let has_refused = self.sent.as_ref().is_some_and(|sent| !sent.refused.is_empty());
        if !self.is_remembered && !has_refused {
            return DueNotices::default();
        }
        let Some(store) = open_store(run) else {
            return DueNotices::default();
        };
        let (now, settings) = (to_moment(delivery.date), &run.config.destinations);
        let told = try_change(run, &store, |routes| {
            for (to, pass) in &self.passes {
                self.remember_one(routes, to, *pass, delivery, settings);
            }
            routes.take_due(now)
        });
        DueNotices(told.unwrap_or_default())
    }

    fn remember_one(
        &self,
        routes: &mut Destinations,
        to: &str,
        pass: Pass,
        delivery: &Delivery<'_>,
        settings: &SuspensionSettings,
    ) {
        let now = to_moment(delivery.date);
        if matches!(pass, Pass::Keep { .. }) {
            if self.is_kept {
                routes.count_kept(to);
            }
            return;
        }
        let mut refusals = self.sent.iter().flat_map(|sent| &sent.refused);
        let refused = refusals.find(|refusal| is_about(refusal, to, pass));
        let is_taken = self.sent.iter().flat_map(|sent| &sent.taken).any(|taken| taken == to);
        if let Some(refusal) = refused {
            let id = message_id(delivery);
            let failure = Failure::from_reply(&refusal.reply, id.as_deref(), now);
            routes.count_refusal(to, &delivery.own_address(), &failure, settings);
        } else if is_taken {
            routes.count_taken(to, pass, now, settings);
        } else if matches!(pass, Pass::Probe { .. }) {
            routes.probe_stayed(to, now);
        }
    }
}

/// A destination that a message was not sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBack {
    pub destination: String,
    pub reason: KeptReason,
    /// What was said; may be empty.
    pub said: String,
}

/// Tells whether sendmail refused this destination. Sendmail itself names several of which it refused one: that counts
/// against none of them, but no such probe is a good one.
fn is_about(refusal: &Refusal, destination: &str, pass: Pass) -> bool {
    refusal.recipient == destination
        || (matches!(pass, Pass::Probe { .. }) && refusal.recipient.split(" or ").any(|one| one == destination))
}

/// Why the message would be kept if it came now; none where it would be sent. Changes nothing.
pub fn why_kept(run: &Run, delivery: &Delivery<'_>) -> Option<String> {
    let parted = loops::part_destinations(
        run,
        delivery,
        &history::read_history(run).unwrap_or_default(),
        &delivery.destinations,
    );
    let mut routes = open_store(run)
        .and_then(|store| destinations::read_destinations(&store).ok())
        .unwrap_or_default();
    let (now, settings, id) = (to_moment(delivery.date), &run.config.destinations, message_id(delivery));
    let pass = |to: &String| routes.ask_pass(to, id.as_deref(), fit(delivery), now, settings);
    Gate::of(parted, pass).why_kept()
}
