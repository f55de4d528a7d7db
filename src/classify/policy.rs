//! What shall be done with a message that has been judged: one pure function for the action, one for the quota.

use crate::config::{Choice, Guard};
use std::fmt;

use crate::classify::verdict::{Judgement, Verdict};
use crate::classify::{MessageOrigin, Ownership};

/// What the command line asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Append to the mailbox.
    Deliver,
    /// Send to other addresses.
    Forward(Copies),
}

/// Whether a forwarded message is appended too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// It only travels on.
    None,
    /// A copy is appended first.
    Keep,
}

/// What shall be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Append to the user's mailbox.
    Append,
    /// Send on.
    Forward(Copies),
    /// Append to the user's mailbox although it was to be sent on.
    Keep(Why),
    /// Turn over to the administrator.
    Divert(Why),
}

impl Action {
    /// The word for it, as logs and JSON use it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Forward(_) => "forward",
            Self::Keep(_) => "keep",
            Self::Divert(_) => "divert",
        }
    }
}

/// Why a message is not treated as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// For what it is.
    Verdict,
    /// For its null sender.
    NullSender,
    /// A filter marked it as spam.
    Spam,
    /// A guard has diverted it before: it goes nowhere any more.
    DivertedBefore,
    /// The user's mailbox is full.
    OverQuota,
    /// More reports about the user's own mail came within an hour than that mail can bring about.
    TooManyOwnBounces,
    /// It was sent on, and came back in a report.
    CameBack,
    /// It came to an SRS address, and may not go on from there.
    NotReturned,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verdict => "verdict",
            Self::NullSender => "null-sender",
            Self::Spam => "spam",
            Self::DivertedBefore => "diverted-before",
            Self::OverQuota => "over-quota",
            Self::TooManyOwnBounces => "too-many-own-bounces",
            Self::CameBack => "came-back",
            Self::NotReturned => "not-returned",
        })
    }
}

/// Chooses the action for a judged message.
pub fn choose_action(judgement: &Judgement, job: Job, guard: &Guard) -> Action {
    let pass = match job {
        Job::Deliver => Action::Append,
        Job::Forward(copies) => Action::Forward(copies),
    };
    // Whoever sends it anywhere again closes the circle between the user and the administrator.
    if judgement.diverted_before.is_some() {
        return Action::Keep(Why::DivertedBefore);
    }
    let (choice, why) = match judgement.verdict {
        Verdict::Loop(_) => (guard.r#loop, Why::Verdict),
        Verdict::Bounce(ref bounce) if bounce.origin == MessageOrigin::User => (guard.own_bounce, Why::Verdict),
        Verdict::Bounce(_) => (guard.bounce, Why::Verdict),
        Verdict::Complaint(_) => (guard.complaint, Why::Verdict),
        Verdict::Receipt(_) => (guard.receipt, Why::Verdict),
        Verdict::AutoReply(_) => (guard.auto_reply, Why::Verdict),
        // For its reader alone.
        Verdict::Notice(_) => match job {
            Job::Deliver => (Choice::Pass, Why::Verdict),
            Job::Forward(_) => (Choice::Keep, Why::Verdict),
        },
        Verdict::Ordinary if judgement.null_sender.is_some() => (guard.null_sender, Why::NullSender),
        Verdict::Ordinary => (Choice::Pass, Why::Verdict),
    };
    match choice {
        Choice::Divert => Action::Divert(why),
        Choice::Keep => Action::Keep(why),
        Choice::Pass => pass_unless_spam(judgement, pass, guard),
    }
}

/// Tells whether reports like this one are counted. All that are sent on are. Of those that are delivered, the ones are
/// that nothing but a name shows to be the user's.
pub fn counts_as_own_bounce(judgement: &Judgement, action: Action) -> bool {
    let Verdict::Bounce(bounce) = &judgement.verdict else {
        return false;
    };
    bounce.origin == MessageOrigin::User
        && match (action, bounce.ownership) {
            (Action::Forward(_), _) | (Action::Append, Ownership::NotShown) => true,
            (Action::Append, Ownership::Shown) | (Action::Keep(_) | Action::Divert(_), _) => false,
        }
}

/// What a report about the user's own mail gets beyond their number: what any other report gets.
pub fn beyond_own_bounces(action: Action, guard: &Guard) -> Action {
    match guard.bounce {
        Choice::Divert => Action::Divert(Why::TooManyOwnBounces),
        Choice::Keep => Action::Keep(Why::TooManyOwnBounces),
        Choice::Pass => action,
    }
}

/// Lets a message pass, unless a filter marked it and the site does not send such mail on. Its own mailbox it may
/// enter.
fn pass_unless_spam(judgement: &Judgement, pass: Action, guard: &Guard) -> Action {
    let is_settled = matches!(judgement.verdict, Verdict::Bounce(_) | Verdict::Notice(_));
    match (guard.spam, pass) {
        _ if is_settled || judgement.spam.is_none() => pass,
        (Choice::Pass, pass) | (Choice::Keep, pass @ Action::Append) => pass,
        (Choice::Keep, Action::Forward(_) | Action::Keep(_) | Action::Divert(_)) => Action::Keep(Why::Spam),
        (Choice::Divert, _) => Action::Divert(Why::Spam),
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Copies, Job, Why, choose_action};
    use crate::classify::verdict::{Judgement, Marker, Verdict};
    use crate::config::Guard;
    use crate::config::value::Limit;
    use crate::config::{Choice, Over};
    use crate::message::envelope::Sender;
    use crate::quota::{Admission, Usage, admit, needed_relief};

    fn marker() -> Marker {
        Marker {
            header: "X-Loop".to_owned(),
            value: "a@a.test".to_owned(),
            why: "",
        }
    }

    fn judged(verdict: Verdict) -> Judgement {
        Judgement {
            verdict,
            null_sender: None,
            diverted_before: None,
            spam: None,
        }
    }

    #[test]
    fn each_verdict_gets_what_the_policy_chooses() {
        let forward = Job::Forward(Copies::None);
        let null = Judgement {
            null_sender: Some(marker()),
            ..judged(Verdict::Ordinary)
        };
        let null_reply = Judgement {
            null_sender: Some(marker()),
            ..judged(Verdict::AutoReply(vec![marker()]))
        };
        let marked = Judgement {
            diverted_before: Some(marker()),
            ..judged(Verdict::Loop(vec![marker()]))
        };
        let cases = [
            (judged(Verdict::Ordinary), Job::Deliver, Action::Append),
            (judged(Verdict::Ordinary), forward, Action::Forward(Copies::None)),
            (
                judged(Verdict::Loop(vec![marker()])),
                forward,
                Action::Divert(Why::Verdict),
            ),
            (
                judged(Verdict::Receipt(vec![marker()])),
                forward,
                Action::Forward(Copies::None),
            ),
            (null, Job::Deliver, Action::Append),
            (null_reply, Job::Deliver, Action::Append),
            (marked, forward, Action::Keep(Why::DivertedBefore)),
        ];
        for (judgement, job, want) in cases {
            assert_eq!(choose_action(&judgement, job, &Guard::default()), want, "{judgement:?}");
        }
        let keep = Guard {
            r#loop: Choice::Keep,
            ..Guard::default()
        };
        assert_eq!(
            choose_action(&judged(Verdict::Loop(vec![marker()])), forward, &keep),
            Action::Keep(Why::Verdict)
        );
    }

    #[test]
    fn a_message_fits_up_to_the_limit_and_not_beyond() {
        let usage = Usage { bytes: 90, messages: 5 };
        let limit = |bytes, messages| Limit { bytes, messages };
        let sender = Sender::Address("s@s.test".to_owned());
        for (incoming, limit, fits) in [
            (10, limit(Some(100), None), true),
            (11, limit(Some(100), None), false),
            (u64::MAX, limit(Some(100), None), false),
            (u64::MAX, limit(None, None), true),
            (1, limit(None, Some(6)), true),
            (1, limit(None, Some(5)), false),
        ] {
            let got = admit(
                usage,
                incoming,
                limit,
                Over::Refuse,
                &sender,
                &judged(Verdict::Ordinary),
            );
            assert_eq!(got == Admission::Fits, fits, "{incoming} {limit:?}");
        }
    }

    #[test]
    fn an_archived_mailbox_takes_twice_its_limit_then_shrinks() {
        let limit = |bytes, messages| Limit { bytes, messages };
        let sender = Sender::Address("s@s.test".to_owned());
        for (bytes, messages, limit, want) in [
            (190, 0, limit(Some(100), None), Admission::Fits),
            (191, 0, limit(Some(100), None), Admission::Full(Over::Defer)),
            (0, 9, limit(None, Some(5)), Admission::Fits),
            (0, 10, limit(None, Some(5)), Admission::Full(Over::Defer)),
        ] {
            let usage = Usage { bytes, messages };
            let got = admit(usage, 10, limit, Over::Archive, &sender, &judged(Verdict::Ordinary));
            assert_eq!(got, want, "{usage:?} {limit:?}");
        }
        for (bytes, messages, limit, want) in [
            (100, 0, limit(Some(100), None), None),
            (101, 0, limit(Some(100), None), Some(80)),
            (1000, 5, limit(None, Some(5)), None),
            (1000, 10, limit(None, Some(5)), Some(400)),
            (1000, 10, limit(Some(100), Some(5)), Some(80)),
            (1000, 0, limit(None, None), None),
        ] {
            let usage = Usage { bytes, messages };
            assert_eq!(
                needed_relief(usage, limit, |bound| bound * 8 / 10),
                want,
                "{usage:?} {limit:?}"
            );
        }
    }

    #[test]
    fn a_full_mailbox_drops_no_null_sender_and_loops_no_report() {
        let limit = Limit {
            bytes: Some(1),
            messages: None,
        };
        let someone = Sender::Address("s@s.test".to_owned());
        let ordinary = judged(Verdict::Ordinary);
        let round = judged(Verdict::Loop(vec![marker()]));
        let marked = Judgement {
            diverted_before: Some(marker()),
            ..judged(Verdict::Ordinary)
        };
        for (over, sender, judgement, want) in [
            (Over::Refuse, &someone, &ordinary, Over::Refuse),
            (Over::Refuse, &Sender::Null, &ordinary, Over::Defer),
            (Over::Defer, &someone, &ordinary, Over::Defer),
            (Over::Divert, &someone, &ordinary, Over::Divert),
            (Over::Refuse, &someone, &round, Over::Overflow),
            (Over::Defer, &Sender::Null, &round, Over::Overflow),
            (Over::Divert, &someone, &round, Over::Divert),
            (Over::Refuse, &someone, &marked, Over::Overflow),
            (Over::Divert, &someone, &marked, Over::Overflow),
            (Over::Archive, &someone, &ordinary, Over::Defer),
            (Over::Archive, &someone, &round, Over::Overflow),
        ] {
            let got = admit(Usage::default(), 3, limit, over, sender, judgement);
            assert_eq!(got, Admission::Full(want), "{over:?} {sender:?} {judgement:?}");
        }
    }
}
