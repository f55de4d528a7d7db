//! Reading the pieces of a report never panics, and what is found lies within bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spoolguard::message::mime::MimeParts;
use spoolguard::message::text::{decoded_value, normalize_words, part_text};
use spoolguard::message::{Message, fields_in};
use spoolguard::report::dsn::DeliveryReport;
use spoolguard::report::failure::class_of;
use spoolguard::report::prose::find_failed;
use spoolguard::report::returned_header::{ReturnedHeader, nested_values, own_words};
use spoolguard::report::status_code::find_status;

fuzz_target!(|bytes: &[u8]| {
    let report = DeliveryReport::read(bytes);
    assert!(report.recipients.len() <= 201);
    let message = Message::new(bytes);
    let outline = MimeParts::of(&message);
    let text = part_text(&message);
    let own = own_words(&text);
    assert!(text.starts_with(own));
    assert!(find_failed(own, &[], &[]).len() <= 100);
    let _ = ReturnedHeader::find(&outline, &text).message().fields().count();
    let _ = class_of(find_status(&text), &normalize_words(&text));
    let _ = nested_values(bytes, "x-loop").count();
    for field in fields_in(bytes) {
        let _ = decoded_value(&field, Some("koi8-r"));
    }
});
