//! Mailboxes behind an LMTP server: what each of its answers means, what goes over the wire, and what a run that is cut
//! off leaves.

mod answers;
mod forwards;
mod kills;
mod odd_servers;
mod room;
mod wire;

use crate::support::lmtp::{FakeLmtp, Plan};
use crate::support::{Run, Scratch, user_name};

/// A scratch whose mailboxes are behind a server with these plans.
fn behind(plans: Vec<Plan>) -> (Scratch, FakeLmtp) {
    let scratch = Scratch::new();
    let server = FakeLmtp::start(&scratch.path("lmtp"), plans);
    let place = format!("{:?}", server.place);
    (
        scratch
            .set("mailbox.location", &place)
            .set("mailbox.lock_timeout", "\"20s\""),
        server,
    )
}

/// The user's address.
fn own() -> String {
    format!("{}@a.test", user_name())
}

/// `deliver` for the user, from s@s.test.
fn deliver<'a>(scratch: &'a Scratch, message: &[u8]) -> Run<'a> {
    scratch.run(&["deliver", "-a", &own(), "-f", "s@s.test"]).input(message)
}
