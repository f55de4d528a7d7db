//! Judging a message never panics, and every verdict but `ordinary` says why.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spoolguard::classify::classify;
use spoolguard::classify::verdict::{Facts, Verdict};
use spoolguard::message::Message;
use spoolguard::message::address::{Address, OwnAddresses};
use spoolguard::message::envelope::Sender;

fuzz_target!(|bytes: &[u8]| {
    let mut own = OwnAddresses::new("+");
    own.add(Address::parse("a@a.test").expect("an address"));
    let message = Message::new(bytes);
    for sender in [Sender::Null, Sender::Unknown, Sender::Address("b@b.test".to_owned())] {
        let facts = Facts {
            sender: &sender,
            own: &own,
            max_hops: 50,
            hosts: &[],
            relays: &[],
        };
        let judgement = classify(&message, &facts);
        assert_eq!(
            judgement.verdict.markers().is_empty(),
            judgement.verdict == Verdict::Ordinary
        );
        assert_eq!(judgement.null_sender.is_some(), sender == Sender::Null);
    }
});
