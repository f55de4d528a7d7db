//! Networks that failed once, as small as they could be made, and what was wrong.

use crate::check::Found;
use crate::guarded::Broken;
use crate::plan::{
    Admin, DAY, GuardSender, Guarded, HOUR, Host, How, Mail, Manner, Outage, Person, Plan, Recipe, Role, Seconds,
    Shape, Strip, System,
};
use crate::run;

/// A host like most.
fn host(system: System) -> Host {
    Host {
        system,
        shape: Shape::Full,
        strip: Strip::Nothing,
        delay: 2,
        stutters: false,
        answers: false,
    }
}

/// A guard like most, which forwards to `to`.
fn guard(to: &[usize], admin: Admin) -> Guarded {
    Guarded {
        to: to.to_vec(),
        keep: false,
        admin,
        sender: GuardSender::User,
        by_procmail: false,
        quota: None,
    }
}

fn procmail(to: usize) -> Role {
    Role::Procmail {
        to: vec![to],
        copy: true,
        recipe: Recipe::Plain,
    }
}

/// A network of one mail of `bytes` from the first person to person `to`.
fn network(hosts: Vec<Host>, people: Vec<(usize, Role)>, to: usize, bytes: usize) -> Plan {
    let person = |(host, role)| Person {
        host,
        role,
        outages: Vec::new(),
    };
    Plan {
        seed: 1,
        hosts,
        people: people.into_iter().map(person).collect(),
        mails: vec![Mail {
            at: 0,
            from: 0,
            to,
            bytes,
        }],
    }
}

fn holds(plan: &Plan) -> Found {
    assert_eq!(
        plan.unguarded_circle(),
        None,
        "this network has a circle without a guard"
    );
    let found = run(plan, Broken::Nothing);
    assert_eq!(found.fault, None, "{plan}");
    found
}

/// A plain forward, a guard with a full mailbox and an administrator that is the user: the report was to be kept, found
/// no room, was refused, and the neighbour sent the report about that to the same mailbox, 30 times a minute and for
/// ever.
#[test]
fn a_report_that_finds_a_full_mailbox_is_not_refused() {
    for over in ["refuse", "defer", "divert", "overflow"] {
        let full = Guarded {
            keep: true,
            quota: Some((2000, over)),
            ..guard(&[2], Admin::Person(1))
        };
        let hosts = vec![host(System::Postfix); 3];
        let plan = network(
            hosts,
            vec![(1, Role::Mailbox), (0, Role::Guard(full)), (2, procmail(1))],
            2,
            20_000,
        );
        let found = holds(&plan);
        assert!(found.transmissions < 20, "{over}: {}", found.transmissions);
    }
}

/// The administrator sends everything back through a gateway that takes out all extension fields, and with them the
/// mark that it was diverted: what is left to end it is that equal reports are only counted.
#[test]
fn a_diverted_report_back_without_marks_is_not_sent_forever() {
    let hosts = vec![
        host(System::Postfix),
        host(System::Exim),
        Host {
            strip: Strip::Extensions,
            ..host(System::Postfix)
        },
    ];
    let people = vec![
        (0, Role::Mailbox),
        (2, Role::Guard(guard(&[2], Admin::Person(2)))),
        (1, procmail(1)),
    ];
    holds(&network(hosts, people, 2, 0));
}

/// A ring in which a gateway takes out every trace: only the guards' memory of what they sent ends it.
#[test]
fn a_ring_without_any_trace_ends() {
    let hosts = vec![
        host(System::Postfix),
        Host {
            strip: Strip::Trace,
            ..host(System::Exim)
        },
    ];
    let people = vec![
        (0, Role::Mailbox),
        (1, Role::Guard(guard(&[2], Admin::Path))),
        (1, Role::Forward { to: vec![1] }),
    ];
    let plan = network(hosts, people, 1, 0);
    holds(&plan);
    assert!(run(&plan, Broken::Memory).fault.is_some(), "it ends without a memory");
}

/// The same with a full mailbox, where what came back was put off, and was forgotten when it was tried again half a day
/// later: it went round once more, and so on.
#[test]
fn what_returns_to_a_full_mailbox_does_not_go_round_again() {
    for over in ["defer", "refuse", "divert"] {
        let full = Guarded {
            quota: Some((8000, over)),
            ..guard(&[1], Admin::Path)
        };
        let hosts = vec![Host {
            strip: Strip::Trace,
            ..host(System::Exim)
        }];
        let people = vec![
            (0, Role::Mailbox),
            (0, Role::Guard(guard(&[2], Admin::Path))),
            (0, Role::Guard(full)),
        ];
        holds(&network(hosts, people, 2, 60_000));
    }
}

/// Two rules end this one, each by itself: the loop mark at the first turn, the memory as well. Without both it takes
/// several turns, until one hop stands in the header three times.
#[test]
fn the_loop_mark_ends_a_ring_at_the_first_turn() {
    let people = vec![
        (0, Role::Mailbox),
        (1, Role::Guard(guard(&[2], Admin::Path))),
        (2, Role::Forward { to: vec![1] }),
    ];
    let plan = network(vec![host(System::Exim); 3], people, 1, 0);
    let turns = |broken| run(&plan, broken).transmissions;
    assert_eq!(turns(Broken::Nothing), 3);
    assert_eq!(turns(Broken::Memory), 3);
    assert!(turns(Broken::LoopMark) > 5, "{}", turns(Broken::LoopMark));
}

/// The same for a report that the administrator sends back: our mark on it, and the count of equal reports. Without
/// both, the number of hops is all that ends it.
#[test]
fn the_divert_mark_ends_what_an_administrator_sends_back() {
    let people = vec![
        (0, Role::Mailbox),
        (1, Role::Guard(guard(&[3], Admin::Person(2)))),
        (2, procmail(1)),
        (0, Role::Mailbox),
    ];
    let mut plan = network(vec![host(System::Exim); 3], people, 1, 0);
    plan.people[3].outages = vec![Outage {
        from: 0,
        until: None,
        how: How::Unknown,
    }];
    let turns = |broken| run(&plan, broken).transmissions;
    let with = turns(Broken::Nothing);
    assert_eq!(turns(Broken::Memory), with);
    assert!(
        with < 10 && turns(Broken::DivertMark) > 3 * with,
        "{with}, {}",
        turns(Broken::DivertMark)
    );
}

/// A ring in which each host now and then delivers twice: copies of copies, were each not sent once only.
#[test]
fn copies_do_not_multiply_in_a_ring() {
    let hosts = vec![Host {
        stutters: true,
        strip: Strip::Extensions,
        ..host(System::Sendmail)
    }];
    let people = vec![
        (0, Role::Mailbox),
        (0, procmail(2)),
        (0, Role::Guard(guard(&[3], Admin::Person(4)))),
        (0, procmail(4)),
        (0, Role::Guard(guard(&[5], Admin::Person(1)))),
        (0, Role::Guard(guard(&[1], Admin::Path))),
    ];
    holds(&network(hosts, people, 2, 0));
}

/// The destination dies, its mail is kept after the first few, and when it lives again its mail flows within the
/// longest pause between two probes and the trial of the last one.
#[test]
fn mail_flows_again_after_the_destination_recovers() {
    const QUARTER: Seconds = DAY / 96;
    let hosts = vec![host(System::Postfix); 3];
    let people = vec![
        (0, Role::Mailbox),
        (1, Role::Guard(guard(&[2], Admin::Path))),
        (2, Role::Mailbox),
    ];
    for how in [How::Unknown, How::Late] {
        let mut plan = network(hosts.clone(), people.clone(), 1, 0);
        plan.people[2].outages = vec![Outage {
            from: DAY,
            until: Some(4 * DAY),
            how,
        }];
        plan.mails = (0..7 * 96)
            .map(|quarter| Mail {
                at: quarter * QUARTER,
                from: 0,
                to: 1,
                bytes: 0,
            })
            .collect();
        let found = holds(&plan);
        assert_eq!(
            (found.named, found.told),
            (0, 0),
            "{how:?}: a text is not where its reader is"
        );
        let after: Vec<Seconds> = found.arrived[2]
            .iter()
            .map(|(at, _)| *at)
            .filter(|at| *at > 4 * DAY)
            .collect();
        let probe = after.first().copied().unwrap_or(Seconds::MAX);
        assert!(
            probe <= 5 * DAY,
            "{how:?}: the first probe that arrives comes at {probe}"
        );
        let again = probe + 2 * HOUR + QUARTER;
        let flows = after.iter().filter(|at| **at > again).count() as i64;
        assert!(
            flows >= (7 * DAY - again) / QUARTER - 2,
            "{how:?}: {flows} after {again}"
        );
        // Each comes in once; a day of them is sent before and some after; and a handful of failures is enough.
        let sent = found.transmissions - 7 * 96;
        let lived = found.arrived[2].len() as u64;
        assert!(
            sent < lived + 40,
            "{how:?}: {sent} sent on or reported, {lived} arrived"
        );
    }
}

/// Whoever reads at the destination answers everything, under another name and without any mark, or mails it back; so
/// does whoever writes; and so do both, with a guard between. Each such network went on without end.
#[test]
fn responders_at_either_end_of_a_guard_come_to_rest() {
    let manners = [
        Manner::Marked,
        Manner::Plain,
        Manner::Strange,
        Manner::AnswersAll,
        Manner::Remails,
        Manner::Twice,
        Manner::Splits,
        Manner::Digests,
        Manner::Batches,
    ];
    let ends = manners.map(|manner| Role::Responder { manner });
    for sender in [GuardSender::User, GuardSender::Keep, GuardSender::Verp] {
        for end in &ends {
            for begin in [&Role::Mailbox].into_iter().chain(&ends) {
                let guarded = Guarded {
                    sender,
                    ..guard(&[2], Admin::Path)
                };
                let people = vec![(0, begin.clone()), (1, Role::Guard(guarded)), (2, end.clone())];
                let plan = network(vec![host(System::Postfix); 3], people, 1, 0);
                if plan.unguarded_circle().is_some() && sender == GuardSender::Keep {
                    // They answer each other, and the guard only began it.
                    continue;
                }
                let found = run(&plan, Broken::Nothing);
                assert_eq!(found.fault, None, "{plan}");
            }
        }
    }
}
