use crate::config::value::Age;
use proptest::prelude::*;

use crate::config::SuspensionSettings;
use crate::deliver::forward::rules::attribution::{ForwardFailure, Proof, is_timely};
use crate::deliver::forward::rules::destinations::{
    DestinationState, Destinations, MOST_DESTINATIONS, MOST_LOST, Pass,
};
use crate::deliver::forward::rules::health::{Failure, FailureSource};
use crate::deliver::forward::rules::pending_notices::{DestinationEvent, To};
use crate::deliver::forward::rules::suspension::Fit;
use crate::moment::{DAY, HOUR, Moment};
use crate::report::dsn::ReportKind;
use crate::report::returned_message::LostMessage;
use crate::report::sendmail_reply::{Ending, SendmailReply};
use crate::report::status_code::{Basis, FailureClass};

const B: &str = "b@b.test";

/// Monday, 2026-11-02 10:00 UTC.
const BEGIN: i64 = 1_793_613_600;

fn settings() -> SuspensionSettings {
    SuspensionSettings::default()
}

fn at(seconds: u64) -> Moment {
    Moment::from_seconds(BEGIN).after(seconds)
}

fn blame(kind: ReportKind, class: FailureClass, proof: Proof, id: &str) -> ForwardFailure {
    ForwardFailure {
        destination: B.to_owned(),
        kind,
        class,
        basis: Basis::Said,
        status: Some(if class == FailureClass::Soft { "4.4.1" } else { "5.1.1" }.to_owned()),
        said: "550 no such user".to_owned(),
        host: Some("mx.b.test".to_owned()),
        message_id: (!id.is_empty()).then(|| id.to_owned()),
        sender: None,
        sends: 1,
        proof,
    }
}

fn failed(class: FailureClass, proof: Proof, id: &str) -> ForwardFailure {
    blame(ReportKind::Failure, class, proof, id)
}

/// A run of events at a destination, each at its time.
#[derive(Default)]
struct Run {
    routes: Destinations,
    now: u64,
    count: u64,
}

impl Run {
    fn later(mut self, seconds: u64) -> Self {
        self.now += seconds;
        self
    }

    fn reported(mut self, blame: &ForwardFailure) -> Self {
        self.count += 1;
        let id = format!("<report-{}@x.test>", self.count);
        self.routes
            .take_report(blame, Some(&id), "a@a.test", at(self.now), &settings());
        self
    }

    /// A hard failure of a message of its own, sure.
    fn hard(self) -> Self {
        let id = format!("<{}@s.test>", self.count);
        self.reported(&failed(FailureClass::Hard, Proof::Token, &id))
    }

    /// A refusal of an address that nobody can read.
    fn unread(self) -> Self {
        let id = format!("<{}@s.test>", self.count);
        let blame = failed(FailureClass::Hard, Proof::Token, &id);
        self.reported(&ForwardFailure {
            basis: Basis::Presumed,
            ..blame
        })
    }

    fn storm(self) -> Self {
        self.hard().hard().hard()
    }

    fn refused(mut self, status: i32, printed: &str) -> Self {
        self.count += 1;
        let id = format!("<{}@s.test>", self.count);
        let reply = SendmailReply::read(Ending::Status(status), printed);
        let failure = Failure::from_reply(&reply, Some(&id), at(self.now));
        self.routes.count_refusal(B, "a@a.test", &failure, &settings());
        self
    }

    fn pass(&mut self, id: &str) -> Pass {
        self.routes
            .ask_pass(B, Some(id), Fit::ForProbe, at(self.now), &settings())
    }

    fn is_open(&self) -> bool {
        let mut routes = self.routes.clone();
        routes.ask_pass(B, None, Fit::ForNothing, at(self.now), &settings()) == Pass::Open
    }

    /// The next message is the probe, and the MTA takes it.
    #[track_caller]
    fn probe(mut self, id: &str) -> Self {
        let pass = self.pass(id);
        assert!(matches!(pass, Pass::Probe { .. }), "{pass:?}");
        self.routes.count_taken(B, pass, at(self.now), &settings());
        self
    }

    #[track_caller]
    fn open(self, is_open: bool, what: &str) -> Self {
        assert_eq!(self.is_open(), is_open, "{what}: {:#?}", self.routes);
        self
    }

    fn told(&mut self) -> Vec<(To, DestinationEvent)> {
        let told = self.routes.take_due(at(self.now));
        for notice in &told {
            self.routes.note_written(notice.number);
        }
        told.into_iter().map(|notice| (notice.to, notice.event)).collect()
    }
}

#[test]
fn failures_count_for_what_they_are_and_for_what_proves_them() {
    let cases: [(&str, FailureClass, Proof, u64, Option<u64>); 8] = [
        // After how many days of one failure each it is suspended.
        ("hard, with a token", FailureClass::Hard, Proof::Token, DAY, Some(5)),
        (
            "hard, by Message-ID",
            FailureClass::Hard,
            Proof::MessageId,
            DAY,
            Some(5),
        ),
        (
            "hard, by our mark alone",
            FailureClass::Hard,
            Proof::LoopMark,
            DAY,
            Some(10),
        ),
        ("soft", FailureClass::Soft, Proof::Token, DAY, Some(10)),
        ("about the message", FailureClass::Message, Proof::Token, DAY, None),
        (
            "about nothing, of one sender",
            FailureClass::Neither,
            Proof::Token,
            DAY,
            None,
        ),
        ("twice a day", FailureClass::Hard, Proof::LoopMark, DAY / 2, Some(10)),
        ("once a week", FailureClass::Hard, Proof::Token, 7 * DAY, None),
    ];
    for (name, class, proof, pause, want) in cases {
        let mut run = Run::default();
        let mut suspended_on = None;
        for number in 0..40 {
            run = run.reported(&failed(class, proof, &format!("<{number}@s.test>")));
            if !run.is_open() {
                suspended_on = Some(run.now / DAY + 1);
                break;
            }
            run = run.later(pause);
        }
        assert_eq!(suspended_on, want, "{name}");
    }
}

#[test]
fn what_nobody_can_read_counts_when_it_repeats() {
    // Senders, messages that are handed over for each that fails, and after how many days it is suspended.
    for (senders, taken, want) in [(1, 1, None), (2, 1, Some(11)), (7, 1, Some(11)), (2, 3, None)] {
        let mut run = Run::default();
        let mut suspended_on = None;
        for number in 0..60_u64 {
            for _ in 0..taken {
                run.routes.count_taken(B, Pass::Open, at(run.now), &settings());
            }
            let mut about = failed(FailureClass::Neither, Proof::Token, &format!("<{number}@s.test>"));
            about.sender = Some(format!("s{}@s.test", number % senders));
            run = run.reported(&about).reported(&about);
            if !run.is_open() {
                suspended_on = Some(run.now / DAY + 1);
                break;
            }
            run = run.later(DAY);
        }
        assert_eq!(suspended_on, want, "{senders} senders, {taken} taken");
    }
    let run = (0..500).fold(Run::default(), |run, number| {
        let mut about = failed(FailureClass::Neither, Proof::Token, &format!("<{number}@s.test>"));
        about.sender = Some(format!("s{number}@s.test"));
        run.reported(&about)
    });
    let _ = run.open(true, "five hundred within an hour");
}

#[test]
fn refusals_that_nobody_can_read_take_longer() {
    let within_an_hour = (0..500).fold(Run::default(), |run, _| run.unread());
    let _ = within_an_hour.open(true, "five hundred within an hour");
    let read = Run::default().unread().unread().storm();
    let _ = read.open(false, "three that can be read, among others");
    // Messages that are handed over for each that fails, and after how many days it is suspended.
    for (basis, taken, want) in [
        (Basis::Presumed, 1, Some(5)),
        (Basis::Presumed, 3, None),
        (Basis::Said, 3, Some(5)),
    ] {
        let mut run = Run::default();
        let mut suspended_on = None;
        for _ in 0..60 {
            for _ in 0..taken {
                run.routes.count_taken(B, Pass::Open, at(run.now), &settings());
            }
            run = match basis {
                Basis::Said => run.hard(),
                Basis::Presumed => run.unread(),
            };
            if !run.is_open() {
                suspended_on = Some(run.now / DAY + 1);
                break;
            }
            run = run.later(DAY);
        }
        assert_eq!(suspended_on, want, "{basis:?}, {taken} taken");
    }
}

#[test]
fn a_mailbox_that_is_full_now_and_then_is_no_dead_one() {
    // A day: how many are handed over, and how many of them fail; at once, or when MTAs give up.
    for (status, taken, failures, want) in [
        ("5.2.2", 1, 1, true),
        ("5.2.2", 5, 5, true),
        ("5.2.2", 4, 1, false),
        ("5.2.2", 10, 2, false),
        ("5.2.2", 50, 40, false),
        ("4.4.1", 5, 5, true),
        ("4.4.1", 20, 1, false),
        ("4.7.28", 50, 10, false),
    ] {
        let mut run = Run::default();
        for day in 0..30 {
            for _ in 0..taken {
                run.routes.count_taken(B, Pass::Open, at(run.now), &settings());
            }
            for number in 0..failures {
                let id = format!("<{day}.{number}@s.test>");
                let mut full = failed(FailureClass::Soft, Proof::Token, &id);
                full.status = Some(status.to_owned());
                run = run.reported(&full);
            }
            run = run.later(DAY);
        }
        let is_suspended = run.routes.find(B).is_some_and(|it| it.suspended.is_some());
        assert_eq!(is_suspended, want, "{failures} of {taken} fail a day, with {status}");
    }
}

#[test]
fn a_storm_counts_at_once_and_needs_different_messages() {
    let run = Run::default().hard().hard().open(true, "two");
    let _ = run.hard().open(false, "three");
    let same = failed(FailureClass::Hard, Proof::Token, "<1@s.test>");
    let run = (0..50).fold(Run::default(), |run, _| run.reported(&same));
    let run = run.open(true, "fifty reports about one message");
    assert_eq!(run.routes.find(B).map(|route| route.health.hard), Some(1));
    let run = (0..50).fold(Run::default(), |run, number| {
        run.reported(&failed(
            FailureClass::Hard,
            Proof::LoopMark,
            &format!("<{number}@s.test>"),
        ))
    });
    let _ = run.open(true, "fifty that anybody could write");
    let run = Run::default().hard().later(HOUR).hard().later(HOUR).hard();
    let _ = run.open(true, "three in three hours");
    let unknown = failed(FailureClass::Hard, Proof::Token, "");
    let run = (0..3).fold(Run::default(), |run, _| run.reported(&unknown));
    let _ = run.open(false, "three reports that do not say about what");
    let run = Run::default()
        .refused(67, "")
        .refused(67, "")
        .open(true, "refused twice");
    let _ = run.refused(67, "").open(false, "refused three times");
    let run = (0..20).fold(Run::default(), |run, _| run.refused(69, "message size exceeds limit"));
    let _ = run.open(true, "refused for its size");
}

/// An MTA brings one report again for days, as long as nobody takes it; or somebody kept it, and replays it.
#[test]
fn one_failure_counts_once_on_however_many_days_it_is_reported() {
    for (proof, class) in [
        (Proof::MessageId, FailureClass::Hard),
        (Proof::Token, FailureClass::Hard),
        (Proof::MessageId, FailureClass::Soft),
    ] {
        let same = failed(class, proof, "<1@s.test>");
        let mut run = Run::default();
        for day in 0..40 {
            run = run
                .reported(&same)
                .open(true, &format!("{proof:?} on day {day}"))
                .later(DAY);
        }
    }
    // Nor behind a suspension that is over.
    let again = failed(FailureClass::Hard, Proof::MessageId, "<1@s.test>");
    let run = Run::default().hard().reported(&again).hard().hard();
    let run = run.later(2 * HOUR).probe("<p@s.test>").later(3 * HOUR);
    let run = run.reported(&again).open(true, "a report of before");
    let _ = run.hard().open(false, "another failure");
}

/// A device has one Message-ID for all that it sends.
#[test]
fn as_many_failures_of_one_id_count_as_were_sent() {
    let mut run = Run::default();
    for _ in 0..3 {
        let mut same = failed(FailureClass::Hard, Proof::MessageId, "<scan@s.test>");
        same.sends = 20;
        run = run.open(true, "before").reported(&same).later(DAY);
    }
    let mut same = failed(FailureClass::Hard, Proof::MessageId, "<scan@s.test>");
    same.sends = 20;
    let run = run.reported(&same).later(DAY).reported(&same);
    let _ = run.open(false, "five of twenty");
}

/// Whoever knows the user's address can write a report a day that quotes our mark, for years. An address that is dead
/// lets nothing arrive.
#[test]
fn what_anybody_could_write_suspends_nothing_that_takes_mail() {
    for (taken, failures, want) in [(3, 1, true), (3, 2, true), (3, 3, false), (1, 1, false)] {
        let mut run = Run::default();
        let mut stayed_open = true;
        for day in 0..60 {
            for _ in 0..taken {
                run.routes.count_taken(B, Pass::Open, at(run.now), &settings());
            }
            for number in 0..failures {
                let id = format!("<{day}.{number}@forged.test>");
                run = run.reported(&failed(FailureClass::Hard, Proof::LoopMark, &id));
            }
            stayed_open &= run.is_open();
            run = run.later(DAY);
        }
        assert_eq!(stayed_open, want, "{taken} taken, {failures} reports a day");
    }
}

#[test]
fn both_are_told_once_when_it_begins_and_once_when_it_ends() {
    let mut run = Run::default().storm();
    let both = |event| vec![(To::User, event), (To::Admin, event)];
    assert_eq!(run.told(), both(DestinationEvent::Suspended));
    run = run.hard().later(HOUR).hard();
    assert_eq!(run.told(), []);
    run = run
        .probe("<p@s.test>")
        .later(2 * HOUR)
        .open(true, "nothing was heard of the probe");
    assert_eq!(run.told(), [], "looking changes nothing");
    run.routes.pass_time(at(run.now), &settings());
    assert_eq!(run.told(), both(DestinationEvent::Reopened));
    assert_eq!(run.told(), []);
}

#[test]
fn probes_come_later_and_later_and_never_stop() {
    let mut run = Run::default().storm();
    for hours in [1, 2, 4, 8, 16, 24, 24, 24] {
        run = run.later(hours * HOUR - 1);
        assert!(matches!(run.pass("<early@s.test>"), Pass::Keep { .. }), "{hours}");
        run = run.later(1);
        let null = run.routes.ask_pass(B, None, Fit::ForNothing, at(run.now), &settings());
        assert!(matches!(null, Pass::Keep { .. }), "nothing would be heard of it");
        let id = format!("<probe-{hours}@s.test>");
        run = run.probe(&id);
        assert!(matches!(run.pass("<other@s.test>"), Pass::Keep { .. }), "only one");
        run = run.reported(&failed(FailureClass::Hard, Proof::MessageId, &id));
    }
}

#[test]
fn what_is_said_of_the_probe_decides() {
    let probing = || Run::default().storm().later(HOUR).probe("<p@s.test>");
    let delay = |id| blame(ReportKind::Delay, FailureClass::Soft, Proof::MessageId, id);
    let _ = probing().later(2 * HOUR - 1).open(false, "it is early");
    let _ = probing().later(2 * HOUR).open(true, "silence");
    let dead = probing().reported(&failed(FailureClass::Hard, Proof::LoopMark, "<p@s.test>"));
    let _ = dead.later(2 * HOUR).open(false, "it failed");
    let late = probing().reported(&failed(FailureClass::Hard, Proof::Token, "<older@s.test>"));
    let _ = late.later(2 * HOUR).open(true, "an older message failed");
    let unclear = probing().reported(&failed(FailureClass::Neither, Proof::Token, ""));
    let _ = unclear
        .later(2 * HOUR)
        .open(false, "something failed, nobody knows why");
    let waits = probing().later(HOUR).reported(&delay("<p@s.test>")).later(23 * HOUR);
    let _ = waits
        .open(false, "it is late")
        .later(HOUR)
        .open(true, "and did not fail");
    let other = probing().later(HOUR).reported(&delay("<older@s.test>"));
    let _ = other.later(HOUR).open(true, "another is late");
    let spam = probing().reported(&failed(FailureClass::Message, Proof::Token, "<p@s.test>"));
    let _ = spam.later(HOUR).probe("<q@s.test>");
    let mut run = probing();
    for _ in 0..30 {
        run = run.reported(&delay("<p@s.test>")).later(DAY / 2);
    }
    let _ = run.open(true, "late for ever is not");
}

#[test]
fn a_host_that_was_reported_late_is_given_as_long() {
    let soft = |id: &str| failed(FailureClass::Soft, Proof::MessageId, id);
    let mut run = Run::default();
    for day in 0..10 {
        run = run.reported(&soft(&format!("<{day}@s.test>"))).later(DAY);
    }
    let run = run.open(false, "ten soft failures").probe("<p@s.test>").later(5 * DAY);
    let _ = run
        .open(false, "mail systems try for five days")
        .later(DAY)
        .open(true, "six");
}

#[test]
fn what_fails_after_reopening_is_suspended_at_once_for_longer() {
    let open = Run::default().storm().later(HOUR).probe("<p@s.test>").later(2 * HOUR);
    let open = open.open(true, "silence");
    let mut again = open.hard().open(false, "one more");
    assert!(matches!(again.later_pass(2 * HOUR - 1), Pass::Keep { .. }));
    assert!(matches!(again.later_pass(1), Pass::Probe { .. }));
    let fine = Run::default()
        .storm()
        .later(HOUR)
        .probe("<p@s.test>")
        .later(8 * DAY + 2 * HOUR);
    let mut fine = fine;
    fine.routes.pass_time(at(fine.now - 7 * DAY - 1), &settings());
    let _ = fine.hard().open(true, "a week later it is one of many");
}

impl Run {
    fn later_pass(&mut self, seconds: u64) -> Pass {
        self.now += seconds;
        self.pass("<x@s.test>")
    }
}

#[test]
fn a_probe_that_did_not_leave_is_nobodys() {
    let mut run = Run::default().storm().later(HOUR);
    assert!(matches!(run.pass("<1@s.test>"), Pass::Probe { .. }));
    assert!(matches!(run.pass("<2@s.test>"), Pass::Keep { .. }));
    run.routes.probe_stayed(B, at(run.now));
    assert!(matches!(run.pass("<2@s.test>"), Pass::Probe { .. }));
    // The run that had it was killed.
    assert!(matches!(run.later_pass(599), Pass::Keep { .. }));
    assert!(matches!(run.later_pass(1), Pass::Probe { .. }));
}

#[test]
fn what_a_hand_suspends_only_a_hand_opens() {
    let mut run = Run::default();
    assert_eq!(
        run.routes.suspend(B, "a@a.test", at(0), &settings()),
        Some(DestinationState::Open)
    );
    assert_eq!(run.told(), [(To::User, DestinationEvent::SuspendedByHand)]);
    run = run.storm().later(365 * DAY);
    assert!(matches!(run.pass("<1@s.test>"), Pass::Keep { .. }));
    run.routes.count_kept(B);
    assert_eq!(
        run.routes.resume("B@B.test", at(run.now), &settings()),
        DestinationState::Suspended
    );
    assert_eq!(run.told(), [(To::User, DestinationEvent::ReopenedByHand)]);
    assert_eq!(run.routes.resume(B, at(run.now), &settings()), DestinationState::Open);
    // The guard's becomes a hand's.
    let mut run = Run::default().storm();
    let _ = run.told();
    assert_eq!(
        run.routes.suspend(B, "a@a.test", at(0), &settings()),
        Some(DestinationState::Suspended)
    );
    run = run.later(30 * DAY).open(false, "by hand");
    assert!(matches!(run.pass("<1@s.test>"), Pass::Keep { .. }));
}

#[test]
fn a_clock_that_was_wrong_holds_nothing_for_ever() {
    const LATER: u64 = 20 * 365 * DAY;
    let future = || Run::default().later(LATER).storm();
    let claimed = || {
        let mut run = future().later(HOUR);
        let _ = run.pass("<p@s.test>");
        run
    };
    let sent = || future().later(HOUR).probe("<p@s.test>");
    for (name, mut run, days) in [
        ("suspended", future(), 2),
        ("claimed", claimed(), 2),
        ("sent", sent(), 8),
    ] {
        run.now = 0;
        let mut open_on = None;
        for hour in 0..30 * 24 {
            match run.pass("<q@s.test>") {
                Pass::Open => {
                    open_on = open_on.or(Some(hour / 24));
                }
                pass @ Pass::Probe { .. } => run.routes.count_taken(B, pass, at(run.now), &settings()),
                Pass::Keep { .. } => {}
            }
            run = run.later(HOUR);
        }
        assert!(open_on.is_some_and(|day| day <= days), "{name}: {open_on:?}");
    }
    let mut run = future();
    assert!(run.routes.is_notice_due(at(0)), "a notice");
    assert_eq!(run.routes.take_due(at(0)).len(), 2);
}

#[test]
fn a_notice_is_due_until_it_is_written() {
    let mut run = Run::default().storm();
    let first = run.routes.take_due(at(0));
    assert_eq!(
        (first.len(), run.routes.take_due(at(0)).len()),
        (2, 0),
        "one run has them"
    );
    let user = first.first().map(|notice| notice.number).unwrap_or_default();
    run.routes.note_written(user);
    let admin = first.last().map(|notice| notice.number).unwrap_or_default();
    assert_eq!(run.routes.not_written(admin, at(0)), None);
    assert!(!run.routes.is_notice_due(at(299)) && run.routes.is_notice_due(at(300)));
    assert_eq!(run.routes.take_due(at(300)).len(), 1);
    // The run that had it was killed.
    assert!(!run.routes.is_notice_due(at(899)) && run.routes.is_notice_due(at(900)));
    let mut now = 900;
    let mut tries = 0;
    while run.routes.not_written(admin, at(now)).is_none() {
        tries += 1;
        assert!(
            !run.routes.is_notice_due(at(now)) && run.routes.is_notice_due(at(now + DAY)),
            "{tries}"
        );
        now += DAY;
    }
    assert_eq!(tries, 14, "given up after two weeks");
}

#[test]
fn what_works_is_forgotten_and_the_rest_is_bounded() {
    let mut run = Run::default().hard().later(7 * DAY);
    run.routes.pass_time(at(run.now), &settings());
    assert_eq!(run.routes, Destinations::default());
    for number in 0..3 * MOST_DESTINATIONS {
        let mut about = failed(FailureClass::Hard, Proof::Token, "");
        about.destination = format!("b{number}@b.test");
        run = run.reported(&about);
    }
    assert_eq!(run.routes.routes.len(), MOST_DESTINATIONS);
    for number in 0..MOST_LOST + 7 {
        let lost = LostMessage {
            message_id: Some(format!("<{number}@{}>", "x".repeat(10_000))),
            ..LostMessage::default()
        };
        run.routes.note_lost(&lost, at(0));
        run.routes.note_lost(&lost, at(1));
    }
    assert_eq!((run.routes.lost.len(), run.routes.lost_before), (100, 7));
}

#[test]
fn reports_out_of_an_old_mailbox_say_nothing_about_now() {
    let now = at(0);
    for (date, timely) in [
        ("Mon, 2 Nov 2026 09:00:00 +0000", true),
        ("Sat, 31 Oct 2026 11:00:00 +0000", true),
        ("Sat, 31 Oct 2026 09:00:00 +0000", false),
        ("Mon, 2 Nov 2020 09:00:00 +0000", false),
        ("yesterday", true),
    ] {
        assert_eq!(is_timely(Proof::LoopMark, Some(date), now), timely, "{date}");
        assert!(is_timely(Proof::MessageId, Some(date), now), "{date}");
    }
    assert!(is_timely(Proof::LoopMark, None, now));
}

/// What may happen, as numbers that proptest can shrink.
fn events() -> impl Strategy<Value = Vec<(i64, u8, u8, u8)>> {
    prop::collection::vec(
        (-2 * DAY.cast_signed()..4 * DAY.cast_signed(), 0..14u8, 0..6u8, 0..4u8),
        0..120,
    )
}

fn kind_of(number: u8) -> (FailureClass, Proof) {
    let class = match number % 4 {
        0 => FailureClass::Hard,
        1 => FailureClass::Soft,
        2 => FailureClass::Message,
        _ => FailureClass::Neither,
    };
    let proof = match number % 3 {
        0 => Proof::LoopMark,
        1 => Proof::MessageId,
        _ => Proof::Token,
    };
    (class, proof)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    /// Whatever happens, in whatever order of times: the state stays bounded, survives being written and read, a hand's
    /// word holds, and a destination that the guard suspended is tried again within a day and open within a week after.
    #[test]
    fn every_suspension_by_the_guard_ends(events in events(), slow in any::<bool>()) {
        let settings = SuspensionSettings { quiet: Age::seconds(if slow { DAY } else { HOUR }), ..settings() };
        let mut routes = Destinations::default();
        let mut by_hand = [false; 4];
        let mut now = Moment::from_seconds(BEGIN);
        for (pause, what, detail, which) in events {
            now = Moment::from_seconds(now.seconds().saturating_add(pause));
            let to = format!("b{which}@b.test");
            let id = format!("<{detail}@s.test>");
            let hand = by_hand.get_mut(usize::from(which));
            match what {
                0..=4 => {
                    let (class, proof) = kind_of(detail.wrapping_add(what));
                    let mut about = failed(class, proof, if what == 0 { "" } else { &id });
                    about.destination = to;
                    routes.take_report(&about, Some(&id), "a@a.test", now, &settings);
                }
                5 => {
                    let mut about = blame(ReportKind::Delay, FailureClass::Soft, Proof::Token, &id);
                    about.destination = to;
                    routes.take_report(&about, None, "a@a.test", now, &settings);
                }
                6 => {
                    let said = [(67, ""), (69, ""), (69, "quota"), (65, "spam")];
                    let (status, printed) = said.get(usize::from(detail % 4)).copied().unwrap_or_default();
                    let reply = SendmailReply::read(Ending::Status(status), printed);
                    routes.count_refusal(&to, "a@a.test", &Failure::from_reply(&reply, Some(&id), now), &settings);
                }
                7..=9 => {
                    let fit = if detail == 0 { Fit::ForNothing } else { Fit::ForProbe };
                    let pass = routes.ask_pass(&to, Some(&id), fit, now, &settings);
                    match (pass, detail) {
                        (Pass::Keep { .. }, _) => routes.count_kept(&to),
                        (Pass::Open | Pass::Probe { .. }, 1) => routes.probe_stayed(&to, now),
                        // The run was killed.
                        (Pass::Open | Pass::Probe { .. }, 2) => {}
                        (Pass::Open | Pass::Probe { .. }, _) => routes.count_taken(&to, pass, now, &settings),
                    }
                }
                10 if detail == 0 => {
                    prop_assert!(routes.suspend(&to, "a@a.test", now, &settings).is_some());
                    hand.into_iter().for_each(|hand| *hand = true);
                }
                11 if detail < 2 => {
                    let _ = routes.resume(&to, now, &settings);
                    hand.into_iter().for_each(|hand| *hand = false);
                }
                _ => {
                    for notice in routes.take_due(now) {
                        match detail % 3 {
                            0 => routes.note_written(notice.number),
                            1 => drop(routes.not_written(notice.number, now)),
                            _ => {}
                        }
                    }
                }
            }
            for route in &routes.routes {
                prop_assert!(route.health.half_points(now, &settings) <= 2 * settings.threshold);
            }
        }
        let text = serde_json::to_string(&routes);
        prop_assert!(text.as_ref().is_ok_and(|text| text.len() < 200_000));
        let again: Option<Destinations> = text.ok().and_then(|text| serde_json::from_str(&text).ok());
        prop_assert_eq!(again.as_ref(), Some(&routes));
        for which in 0..4u8 {
            let to = format!("b{which}@b.test");
            let by_hand = by_hand.get(usize::from(which)).copied().unwrap_or_default();
            let mut then = now;
            let mut opened = false;
            // A message an hour, all of which arrive and none of which is reported as failed.
            for _ in 0..24 * 9 {
                let pass = routes.ask_pass(&to, Some("<new@s.test>"), Fit::ForProbe, then, &settings);
                opened |= pass == Pass::Open;
                if matches!(pass, Pass::Open | Pass::Probe { .. }) {
                    routes.count_taken(&to, pass, then, &settings);
                }
                then = then.after(HOUR);
            }
            prop_assert_eq!(opened, !by_hand, "{}: {:#?}", to, routes);
        }
    }
}

#[test]
fn refusals_are_sorted_by_what_sendmail_says() {
    let ended = |status, printed| SendmailReply::read(Ending::Status(status), printed);
    for (reply, class) in [
        (ended(67, ""), FailureClass::Hard),
        (ended(68, ""), FailureClass::Hard),
        (SendmailReply::no_address(), FailureClass::Hard),
        (ended(69, ""), FailureClass::Soft),
        (ended(70, "550 5.1.1 no such user"), FailureClass::Hard),
        (ended(69, "552 5.3.4 message too big"), FailureClass::Message),
        (ended(65, "mailbox full"), FailureClass::Soft),
    ] {
        let failure = Failure::from_reply(&reply, None, at(0));
        assert_eq!(
            (failure.class, failure.source),
            (class, FailureSource::Sendmail),
            "{reply}"
        );
    }
}
