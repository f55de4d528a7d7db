//! How a user's forwards, kept mail and held copies stand. Looks, and changes nothing.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::command::status::send_kept::copies::find_copies;
use crate::config::SuspensionSettings;
use crate::config::value::Limit;
use crate::deliver::context::Run;
use crate::deliver::divert::held::{self, FORWARDED_DIR};
use crate::deliver::divert::rules::tally::StormCounts;
use crate::deliver::divert::throttle;
use crate::deliver::forward::destinations::{self, to_moment};
use crate::deliver::forward::kept;
use crate::deliver::forward::rules::kept::KeptList;
use crate::deliver::forward::rules::{Destination, Destinations, PendingNotice, Waits};
use crate::deliver::headers;
use crate::deliver::overflow::{self, Overflow};
use crate::mailbox::expunge::set_aside;
use crate::moment::Moment;
use crate::quota::Usage;

#[derive(Debug)]
pub struct View {
    pub user: String,
    pub(super) command: String,
    pub(super) mailbox: String,
    pub(super) now: Moment,
    pub(super) settings: SuspensionSettings,
    pub(super) routes: Destinations,
    /// Copies of what was sent to the administrator: how many, how many bytes, where.
    pub held: (u64, u64, PathBuf),
    /// Copies of null-sender mail that was sent on: how many, how many bytes, where.
    pub(super) unreturnable: (u64, u64, PathBuf),
    pub(super) diverted: Option<StormCounts>,
    /// What was kept instead of being sent on, and can be sent on.
    pub(super) kept: Vec<KeptForDestination>,
    pub overflow: Option<Overflow>,
    pub usage: Option<Usage>,
    pub limit: Limit,
    /// Journals of the mailbox that were set aside.
    pub(super) journals: Vec<PathBuf>,
    /// What cannot be read, and why.
    pub wrong: Option<String>,
}

#[derive(Debug)]
pub(super) struct KeptForDestination {
    pub(super) list: KeptList,
    pub(super) command: String,
}

impl KeptForDestination {
    /// Of each list what is still in the mailbox, or in an archive that took it from there: what the user has removed
    /// is no longer kept.
    fn take(run: &Run) -> (Vec<Self>, Option<String>) {
        let (mut found, mut wrong) = (Vec::new(), None);
        for list in kept::read_kept_lists(run) {
            match list {
                Ok(mut list) => {
                    if list.entries_to_find().next().is_none() {
                        continue;
                    }
                    match find_copies(run, &list) {
                        Ok(places) => {
                            list.bring_back(|key| places.contains_key(key));
                            list.entries
                                .retain(|entry| entry.archive.is_some() || places.contains_key(&entry.key));
                        }
                        Err(e) => wrong = Some(e.to_string()),
                    }
                    let command = headers::send_kept_command(&run.account, &list.destination);
                    found.push(Self { list, command });
                }
                Err(e) => wrong = Some(e.to_string()),
            }
        }
        found.retain(|kept| kept.list.waiting().next().is_some());
        (found, wrong)
    }

    /// Tells whether some of it is kept for a reason that the user can end.
    fn can_end(&self) -> bool {
        self.list.waiting().any(|entry| entry.reason.can_end())
    }
}

/// Journals of the mailbox that were set aside; only an mbox has some.
fn journals(run: &Run) -> Vec<PathBuf> {
    let mbox = run.store.mbox();
    mbox.map(|path| set_aside::find_journals(path, run.state_dir().as_deref()))
        .unwrap_or_default()
}

impl View {
    /// Looks, and changes nothing. What time has made due is shown as if it were done.
    pub fn take(run: &Run, now: OffsetDateTime) -> Self {
        let settings = &run.config.destinations;
        let (mut routes, wrong) =
            match destinations::open_store(run).map(|store| destinations::read_destinations(&store)) {
                None => (Destinations::default(), None),
                Some(Ok(routes)) => (routes, None),
                Some(Err(e)) => (Destinations::default(), Some(e.to_string())),
            };
        routes.pass_time(to_moment(now), settings);
        let (diverted, wrong) = match throttle::read_counts(run, now.unix_timestamp()) {
            Ok(counts) => (counts, wrong),
            Err(e) => (None, wrong.or(Some(e.to_string()))),
        };
        let (kept, unread) = KeptForDestination::take(run);
        let set_aside = wrong.map(|wrong| format!("{wrong}; it is set aside with the next delivery"));
        let trouble = run.state_trouble();
        let trouble = trouble.map(|e| format!("{e}; until that is fixed nothing is remembered"));
        let wrong = trouble.or(set_aside).or(unread);
        let held = run.state_dir().unwrap_or_default().join("held");
        let (held_count, held_bytes) = count(&held);
        let forwarded = run.state_dir().unwrap_or_default().join(FORWARDED_DIR);
        let (forwarded_count, forwarded_bytes) = count(&forwarded);
        let limit = run.store.limit(run);
        Self {
            user: run.account.name.clone(),
            command: headers::status_command(&run.account),
            usage: run.store.usage(run, Limit::default()).ok(),
            limit,
            mailbox: run.store.to_string(),
            now: to_moment(now),
            settings: settings.clone(),
            routes,
            held: (held_count, held_bytes, held),
            unreturnable: (forwarded_count, forwarded_bytes, forwarded),
            diverted,
            kept,
            overflow: run
                .state_dir()
                .and_then(|dir| overflow::inspect_overflow(&dir, run.account.uid)),
            journals: journals(run),
            wrong,
        }
    }

    /// Tells whether all mail goes its way.
    pub fn is_well(&self) -> bool {
        let is_late = |notice: &&PendingNotice| notice.tries > 0;
        let owed = self.routes.routes.iter().flat_map(|route| route.owed.iter());
        self.wrong.is_none()
            && !self.kept.iter().any(KeptForDestination::can_end)
            && self.overflow.is_none()
            && self.journals.is_empty()
            && self.count_suspended() == 0
            && owed.filter(is_late).count() == 0
    }

    /// Tells whether there is nothing to show.
    pub(super) fn is_empty(&self) -> bool {
        self.wrong.is_none()
            && self.routes.routes.is_empty()
            && self.routes.lost.is_empty()
            && self.held.0 == 0
            && self.unreturnable.0 == 0
            && self.kept.is_empty()
            && self.overflow.is_none()
            && self.journals.is_empty()
            && self.diverted.is_none()
    }

    pub fn count_suspended(&self) -> usize {
        let routes = self.routes.routes.iter();
        routes.filter(|route| route.suspended.is_some()).count()
    }

    /// Since when each suspended destination is, in seconds since 1970.
    pub fn suspended_since(&self) -> Vec<(Option<&str>, i64)> {
        let routes = self.routes.routes.iter();
        routes
            .filter_map(|route| Some((Some(&*route.destination), route.suspended.as_ref()?.since.seconds())))
            .collect()
    }

    /// When each probe was sent of which nothing is known yet.
    pub fn last_probes(&self) -> Vec<(Option<&str>, i64)> {
        let routes = self.routes.routes.iter();
        routes
            .filter_map(|route| match &route.suspended.as_ref()?.waits {
                Waits::ForNews(probe) => Some((Some(&*route.destination), probe.at.seconds())),
                Waits::ForHand | Waits::ForProbe(_) => None,
            })
            .collect()
    }

    /// How many messages were kept for each destination, and can be sent on.
    pub fn kept_messages(&self) -> Vec<(Option<&str>, i64)> {
        let count = |list: &KeptList| i64::try_from(list.waiting().count()).unwrap_or(i64::MAX);
        let kept = self.kept.iter();
        kept.map(|kept| (Some(&*kept.list.destination), count(&kept.list)))
            .collect()
    }

    /// The points of a destination, with halves.
    pub(super) fn points_text(&self, route: &Destination) -> String {
        let halves = route.health.half_points(self.now, &self.settings);
        format!("{}{}", halves / 2, if halves.is_multiple_of(2) { "" } else { ".5" })
    }
}

/// How many held copies there are, and how large.
fn count(held: &Path) -> (u64, u64) {
    held::list_copies(held).fold((0, 0), |(count, sum), (_, bytes)| (count + 1, sum + bytes))
}
