//! Tests whether mail to addresses with a token comes home: sends a message of our own to one, and recognises that
//! message, or a report that it failed. Until the message came, the user is the sender. What cannot be read or written
//! proves nothing.
//!
//! The test goes out with the user's plain address as sender, so that a report about it reaches the user.

use std::path::Path;

use crate::classify::NOTICE_HEADER;
use crate::classify::verdict::Verdict;
use crate::config::ForwardSender;
use crate::deliver::context::{Delivery, Outcome, Run};
use crate::deliver::forward::rules::token_test::TokenTests;
use crate::deliver::forward::verp::{self, Maker};
use crate::deliver::quota_notice;
use crate::message::envelope::Sender;
use crate::message::verp::VerpToken;
use crate::moment::Moment;
use crate::report::dsn::{Recipient, ReportKind, kind_of};
use crate::submit;
use crate::submit::letter::Letter;
use crate::sys::json_state;
use crate::sys::state_file::Store;

const FILE: &str = "tokens.json";

/// What stands for the destination in the token of a test.
const TEST: &str = "test";

/// What is known; nothing where there is no file, or it cannot be read.
pub fn read_tests(run: &Run) -> TokenTests {
    let Some(store) = store(run) else {
        return TokenTests::default();
    };
    match store.read() {
        Ok(None) => TokenTests::default(),
        Ok(Some(bytes)) => json_state::parse_state(&store, &bytes).unwrap_or_default(),
        Err(e) => {
            run.log_state_failure(&e, "the sender is the user: nothing says that tokens come home");
            TokenTests::default()
        }
    }
}

/// What is known in this state directory; nothing where it cannot be read.
pub fn tests_in(dir: &Path) -> TokenTests {
    json_state::read_state(&Store::new(dir, FILE)).unwrap_or_default()
}

fn store(run: &Run) -> Option<Store> {
    Some(Store::new(&run.state_dir()?, FILE))
}

fn try_change<R>(run: &Run, action: impl FnOnce(&mut TokenTests) -> R) -> Option<R> {
    match json_state::change_state(&store(run)?, &run.account.name, &run.deadline, action) {
        Ok(result) => Some(result),
        Err(e) => {
            run.log_state_failure(&e, "it is not remembered whether tokens come home");
            None
        }
    }
}

/// Sends a test, where senders with a token are asked for and nothing says yet whether mail to them comes home.
pub fn send_due_test(run: &Run, delivery: &Delivery<'_>) {
    if run.config.forward.sender != ForwardSender::Verp || delivery.envelope.sender == Sender::Null {
        return;
    }
    let (own, now) = (
        delivery.own_address(),
        Moment::from_seconds(delivery.date.unix_timestamp()),
    );
    if !read_tests(run).is_due(&own, now) {
        return;
    }
    let Some(address) = Maker::prepare(run, delivery).map(|maker| maker.sender(TEST)) else {
        return;
    };
    // Only one run sends it.
    let is_due = try_change(run, |tests| {
        let is_due = tests.is_due(&own, now);
        if is_due {
            tests.note_sending(&own, now);
        }
        is_due
    });
    if is_due != Some(true) {
        return;
    }
    let user = &run.account.name;
    tracing::info!(
        user,
        to = address,
        "a test: until it comes home, the sender is the user"
    );
    let text = write_test(delivery, &own, &address);
    let recipients = [address.clone()];
    let letter = Letter {
        sender: &own,
        recipients: &recipients,
        added: b"",
        content: text.as_bytes(),
        content_bytes: text.len() as u64,
    };
    let answers = submit::submit_each(&run.config.forward.transport, letter, &run.deadline);
    if let Some(refusal) = answers.refused.first() {
        note_failure(run, delivery, &own, &refusal.reply.to_string());
    } else if let Some(e) = answers.later {
        tracing::warn!(user, to = address, note = %e, "a test is not sent");
    }
}

fn write_test(delivery: &Delivery<'_>, own: &str, address: &str) -> String {
    let text = format!(
        "Subject: A test of the mail delivery guard\n\nThis message goes to an address that bounces of forwarded mail will be sent to. When it \
         arrives,\nspoolguard takes it away. If you can read it, mail to such addresses ends\nhere instead: let {own} get it.\n"
    );
    quota_notice::write_message(own, address, delivery.date, ".test", &text)
}

/// Takes a test, or a report about one, and remembers what it says; none where the message is something else.
#[must_use]
pub fn take_test(run: &Run, delivery: &Delivery<'_>) -> Option<Outcome> {
    let (own, now) = (
        delivery.own_address(),
        Moment::from_seconds(delivery.date.unix_timestamp()),
    );
    let has_come = delivery.token.as_ref().is_some_and(is_test);
    let verdict = &delivery.judgement.verdict;
    if let Some(bounce) = verdict.bounce().filter(|_| !has_come) {
        let is_about_test =
            |one: &&Recipient| verp::read_token(run, &one.address, now.seconds()).is_some_and(|token| is_test(&token));
        let about = bounce.recipients.iter().find(is_about_test)?;
        let kind = kind_of(about).unwrap_or(ReportKind::Failure);
        if kind == ReportKind::Failure {
            note_failure(run, delivery, &own, about.diagnostic.as_deref().unwrap_or_default());
        }
        let note = format!("a report about a test: {}", kind.name());
        return Some(Outcome::Test { note });
    }
    // It bears our loop mark. What others send to that address is theirs.
    let is_ours =
        matches!(verdict, Verdict::Loop(_) | Verdict::Notice(_)) && delivery.message.first(NOTICE_HEADER).is_some();
    (has_come && is_ours).then(|| {
        try_change(run, |tests| tests.come_home(&own, now));
        let note = "a test came home: forwards leave with a token".to_owned();
        Outcome::Test { note }
    })
}

/// Remembers that something came to an address with a token that a forward of ours had.
pub fn note_use(run: &Run, delivery: &Delivery<'_>) {
    let now = Moment::from_seconds(delivery.date.unix_timestamp());
    if delivery.token.as_ref().is_some_and(|token| !is_test(token)) {
        let mut tests = read_tests(run);
        let before = tests.clone();
        tests.take_use(now);
        if tests != before {
            try_change(run, |tests| tests.take_use(now));
        }
    }
}

fn is_test(token: &VerpToken) -> bool {
    token.is_for(TEST)
}

fn note_failure(run: &Run, delivery: &Delivery<'_>, own: &str, note: &str) {
    try_change(run, |tests| {
        tests.note_failure(own, Moment::from_seconds(delivery.date.unix_timestamp()))
    });
    tracing::warn!(
        user = run.account.name,
        note,
        "mail to addresses with a token does not come home: the sender is the user, although [forward] sender is \"verp\""
    );
}
