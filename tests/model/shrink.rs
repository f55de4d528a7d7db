//! Makes a network that fails smaller, as long as it fails in the same way: what is left is what it takes.

use crate::plan::{Admin, GuardSender, Plan, Role, Shape, Strip, System};

/// The smallest network found for which `fails` still holds. Each round tries every simpler one.
pub fn shrink(plan: Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    let mut best = plan;
    let mut budget = 400;
    'again: loop {
        for simpler in simpler(&best) {
            if budget == 0 {
                return best;
            }
            if simpler.unguarded_circle().is_some() {
                continue;
            }
            budget -= 1;
            if fails(&simpler) {
                best = simpler;
                continue 'again;
            }
        }
        return best;
    }
}

/// Networks that are a little simpler, the largest steps first.
fn simpler(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Plan) -> bool| {
        let mut next = plan.clone();
        if change(&mut next) {
            all.push(next);
        }
    };
    for n in (0..plan.mails.len()).filter(|_| plan.mails.len() > 1) {
        with(&|plan| {
            plan.mails.remove(n);
            true
        });
    }
    for n in 1..plan.people.len() {
        with(&|plan| {
            let changes = !matches!(plan.people[n].role, Role::Mailbox);
            plan.people[n].role = Role::Mailbox;
            changes
        });
        with(&|plan| !std::mem::take(&mut plan.people[n].outages).is_empty());
        for at in 0..plan.people[n].role.targets().len() {
            with(&|plan| match &mut plan.people[n].role {
                Role::Procmail { to, .. } | Role::Forward { to } if to.len() > 1 => {
                    to.remove(at);
                    true
                }
                Role::List { members: to, .. } if to.len() > 1 => {
                    to.remove(at);
                    true
                }
                Role::Guard(guard) => {
                    guard.to.remove(at);
                    true
                }
                _ => false,
            });
        }
        with(&|plan| match &mut plan.people[n].role {
            Role::Guard(guard) => std::mem::replace(&mut guard.admin, Admin::Path) != Admin::Path,
            _ => false,
        });
        with(&|plan| match &mut plan.people[n].role {
            Role::Guard(guard) => guard.quota.take().is_some(),
            _ => false,
        });
        with(&|plan| match &mut plan.people[n].role {
            Role::Guard(guard) => {
                std::mem::take(&mut guard.by_procmail) | std::mem::take(&mut guard.keep)
                    || std::mem::replace(&mut guard.sender, GuardSender::User) != GuardSender::User
            }
            _ => false,
        });
        with(&|plan| match &mut plan.people[n].role {
            Role::Procmail { copy, .. } => !std::mem::replace(copy, true),
            _ => false,
        });
    }
    for n in 0..plan.hosts.len() {
        with(&|plan| {
            let host = &mut plan.hosts[n];
            std::mem::take(&mut host.stutters) | std::mem::take(&mut host.answers)
        });
        with(&|plan| std::mem::replace(&mut plan.hosts[n].shape, Shape::Full) != Shape::Full);
        with(&|plan| std::mem::replace(&mut plan.hosts[n].strip, Strip::Nothing) != Strip::Nothing);
        with(&|plan| std::mem::replace(&mut plan.hosts[n].delay, 2) != 2);
        with(&|plan| std::mem::replace(&mut plan.hosts[n].system, System::Postfix) != System::Postfix);
    }
    for n in 0..plan.mails.len() {
        with(&|plan| std::mem::replace(&mut plan.mails[n].bytes, 0) != 0);
    }
    all
}
