//! Splitting an mbox never panics, and its messages lie one behind the other and make up the whole file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spoolguard::mailbox::reader::MboxReader;
use spoolguard::sys::message_buffer::MessageBuffer;

fuzz_target!(|bytes: &[u8]| {
    let file = MessageBuffer::from_bytes(bytes.to_vec());
    let mut mbox = MboxReader::new(&file, 256).expect("the length of bytes in memory is known");
    let _ = mbox.is_mbox().expect("bytes in memory can be read");
    let mut end = 0;
    while let Some(stored) = mbox.next().expect("bytes in memory can be read") {
        assert_eq!(stored.offset, end);
        assert!(stored.bytes > 0);
        let at = usize::try_from(stored.offset).expect("it is in memory");
        assert!(bytes[at..].starts_with(stored.head));
        end += stored.bytes;
    }
    assert_eq!(end, bytes.len() as u64);
});
