//! Splitting an mbox never panics, and its messages lie one behind the other and make up the whole file, but for empty
//! lines before the first.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spoolguard::mailbox::reader::MboxReader;
use spoolguard::sys::message_buffer::MessageBuffer;

fuzz_target!(|bytes: &[u8]| {
    let file = MessageBuffer::from_bytes(bytes.to_vec());
    let mut mbox = MboxReader::new(&file, 256).expect("the length of bytes in memory is known");
    let _ = mbox.is_mbox().expect("bytes in memory can be read");
    let mut end = None;
    while let Some(stored) = mbox.next().expect("bytes in memory can be read") {
        let begin = *end.get_or_insert(stored.offset);
        assert_eq!(stored.offset, begin);
        assert!(stored.bytes > 0);
        let at = usize::try_from(stored.offset).expect("it is in memory");
        assert!(bytes[at..].starts_with(stored.head));
        end = Some(begin + stored.bytes);
    }
    let is_blank = |bytes: &[u8]| bytes.iter().all(|b| b"\r\n".contains(b));
    match end {
        Some(end) => assert_eq!(end, bytes.len() as u64),
        None => assert!(is_blank(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))),
    }
});
