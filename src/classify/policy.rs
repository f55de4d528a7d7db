//! What shall be done with a message that has been judged: one pure function for the action, one for the quota.

use std::fmt;

use crate::classify::{Judgement, Origin, Ownership, Verdict};
use crate::message::envelope::Sender;

/// What an administrator wants done with one kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// To the administrator.
    Divert,
    /// Into the user's own mailbox, never further.
    Keep,
    /// As if the guard were not there.
    Pass,
}

/// The `[guard]` table: one choice for each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For messages that have been here before.
    pub on_loop: Choice,
    /// For reports from mail systems about forwarded mail, or about nobody knows what.
    pub on_bounce: Choice,
    /// For reports about mail that the user wrote.
    pub on_own_bounce: Choice,
    /// For ordinary mail with a null sender.
    pub on_null_sender: Choice,
    /// For feedback reports.
    pub on_complaint: Choice,
    /// For read receipts.
    pub on_receipt: Choice,
    /// For vacation messages and the like.
    pub on_auto_reply: Choice,
    /// For what a filter marked as spam and would otherwise pass.
    pub on_spam: Choice,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            on_loop: Choice::Divert,
            on_bounce: Choice::Divert,
            on_own_bounce: Choice::Pass,
            on_null_sender: Choice::Pass,
            on_complaint: Choice::Pass,
            on_receipt: Choice::Pass,
            on_auto_reply: Choice::Pass,
            on_spam: Choice::Pass,
        }
    }
}

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
    #[must_use]
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
        })
    }
}

/// Chooses the action for a judged message.
pub fn choose(judgement: &Judgement, job: Job, policy: &Policy) -> Action {
    let pass = match job {
        Job::Deliver => Action::Append,
        Job::Forward(copies) => Action::Forward(copies),
    };
    // Whoever sends it anywhere again closes the circle between the user and the administrator.
    if judgement.diverted_before.is_some() {
        return Action::Keep(Why::DivertedBefore);
    }
    let (choice, why) = match judgement.verdict {
        Verdict::Loop(_) => (policy.on_loop, Why::Verdict),
        Verdict::Bounce(ref bounce) if bounce.origin == Origin::User => (policy.on_own_bounce, Why::Verdict),
        Verdict::Bounce(_) => (policy.on_bounce, Why::Verdict),
        Verdict::Complaint(_) => (policy.on_complaint, Why::Verdict),
        Verdict::Receipt(_) => (policy.on_receipt, Why::Verdict),
        Verdict::AutoReply(_) => (policy.on_auto_reply, Why::Verdict),
        // For its reader alone.
        Verdict::Notice(_) => match job {
            Job::Deliver => (Choice::Pass, Why::Verdict),
            Job::Forward(_) => (Choice::Keep, Why::Verdict),
        },
        Verdict::Ordinary if judgement.null_sender.is_some() => (policy.on_null_sender, Why::NullSender),
        Verdict::Ordinary => (Choice::Pass, Why::Verdict),
    };
    match choice {
        Choice::Divert => Action::Divert(why),
        Choice::Keep => Action::Keep(why),
        Choice::Pass => pass_unless_spam(judgement, pass, policy),
    }
}

/// Tells whether reports like this one are counted: all that are sent on, and of those that are delivered the ones that nothing but a name
/// shows to be the user's.
#[must_use]
pub fn counts_as_own_bounce(judgement: &Judgement, action: Action) -> bool {
    let Verdict::Bounce(bounce) = &judgement.verdict else {
        return false;
    };
    bounce.origin == Origin::User
        && match (action, bounce.ownership) {
            (Action::Forward(_), _) | (Action::Append, Ownership::NotShown) => true,
            (Action::Append, Ownership::Shown) | (Action::Keep(_) | Action::Divert(_), _) => false,
        }
}

/// What a report about the user's own mail gets beyond their number: what any other report gets.
pub fn beyond_own_bounces(action: Action, policy: &Policy) -> Action {
    match policy.on_bounce {
        Choice::Divert => Action::Divert(Why::TooManyOwnBounces),
        Choice::Keep => Action::Keep(Why::TooManyOwnBounces),
        Choice::Pass => action,
    }
}

/// Lets a message pass, unless a filter marked it and the site does not send such mail on. Its own mailbox it may enter.
fn pass_unless_spam(judgement: &Judgement, pass: Action, policy: &Policy) -> Action {
    let is_settled = matches!(judgement.verdict, Verdict::Bounce(_) | Verdict::Notice(_));
    match (policy.on_spam, pass) {
        _ if is_settled || judgement.spam.is_none() => pass,
        (Choice::Pass, pass) | (Choice::Keep, pass @ Action::Append) => pass,
        (Choice::Keep, Action::Forward(_) | Action::Keep(_) | Action::Divert(_)) => Action::Keep(Why::Spam),
        (Choice::Divert, _) => Action::Divert(Why::Spam),
    }
}

/// How full a mailbox may be; `None` is without bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// In bytes.
    pub bytes: Option<u64>,
    /// In messages.
    pub messages: Option<u64>,
}

/// How full a mailbox is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In bytes.
    pub bytes: u64,
    /// In messages; zero where nothing limits them.
    pub messages: u64,
}

/// What happens to a message for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// It stays with the mail system, which tries again.
    Defer,
    /// It goes back to its sender.
    Refuse,
    /// It goes to the administrator.
    Divert,
    /// It goes into another mbox, in the state directory.
    Overflow,
    /// It comes in, up to twice the limit, and the first part of the mailbox is archived.
    Archive,
}

/// Whether a message may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// There is room.
    Fits,
    /// There is none, and this is to be done.
    Full(Over),
}

/// Decides whether a message of `incoming_bytes` fits into a mailbox. A message that fills it exactly fits.
///
/// A report, or what has been here before, finds a place in any case. Refused, or left to wait for hours, it makes the mail system
/// report that to whoever passed it on, and a plain forward there passes on the report as well, which finds the same full mailbox.
pub fn admit(
    usage: Usage,
    incoming_bytes: u64,
    limit: Limit,
    over: Over,
    sender: &Sender,
    judgement: &Judgement,
) -> Admission {
    // Archiving takes its time, and cannot always be done.
    let times = if over == Over::Archive { 2 } else { 1 };
    let too_big = limit
        .bytes
        .is_some_and(|bytes| usage.bytes.saturating_add(incoming_bytes) > bytes.saturating_mul(times));
    let too_many = limit
        .messages
        .is_some_and(|messages| usage.messages >= messages.saturating_mul(times));
    if !too_big && !too_many {
        return Admission::Fits;
    }
    let comes_round = match judgement.verdict {
        Verdict::Loop(_) | Verdict::Bounce(_) | Verdict::Notice(_) => true,
        Verdict::Complaint(_) | Verdict::Receipt(_) | Verdict::AutoReply(_) | Verdict::Ordinary => {
            judgement.diverted_before.is_some()
        }
    };
    Admission::Full(match over {
        Over::Defer | Over::Refuse | Over::Archive if comes_round => Over::Overflow,
        Over::Divert if judgement.diverted_before.is_some() => Over::Overflow,
        // Nobody would learn that it was refused: mail systems drop what they cannot return.
        Over::Refuse if *sender == Sender::Null => Over::Defer,
        Over::Archive => Over::Defer,
        Over::Defer | Over::Refuse | Over::Divert | Over::Overflow => over,
    })
}

/// To what length a mailbox that is beyond a limit has to shrink, so that it is within its soft limits again; none while it is within its
/// limits. `soft` gives the soft limit to a hard one. Messages are taken to be of the same length, for want of anything better.
#[must_use]
pub fn relief(usage: Usage, limit: Limit, soft: impl Fn(u64) -> u64) -> Option<u64> {
    let by_bytes = limit.bytes.filter(|bytes| usage.bytes > *bytes).map(&soft);
    let by_messages = limit
        .messages
        .filter(|messages| usage.messages > *messages)
        .map(|messages| {
            let share = u128::from(usage.bytes) * u128::from(soft(messages)) / u128::from(usage.messages.max(1));
            u64::try_from(share).unwrap_or(u64::MAX)
        });
    match (by_bytes, by_messages) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Admission, Choice, Copies, Job, Limit, Over, Policy, Usage, Why, admit, choose, relief};
    use crate::classify::{Judgement, Marker, Verdict};
    use crate::message::envelope::Sender;

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
            assert_eq!(choose(&judgement, job, &Policy::default()), want, "{judgement:?}");
        }
        let keep = Policy {
            on_loop: Choice::Keep,
            ..Policy::default()
        };
        assert_eq!(
            choose(&judged(Verdict::Loop(vec![marker()])), forward, &keep),
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
    fn a_mailbox_that_is_archived_takes_twice_its_limit_and_shrinks_to_the_soft_one() {
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
                relief(usage, limit, |bound| bound * 8 / 10),
                want,
                "{usage:?} {limit:?}"
            );
        }
    }

    #[test]
    fn a_full_mailbox_neither_drops_a_null_sender_nor_sends_a_report_round() {
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
