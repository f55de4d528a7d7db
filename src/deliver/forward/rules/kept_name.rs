//! The name of the file that lists what was kept for a destination.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::message::address::Address;

/// The longest name that an address is written out in; of a longer one a hash stands at the end.
const NAME_BYTES: usize = 180;

/// A file name for an address, the same for each spelling of it.
pub fn file_name(destination: &str) -> String {
    let spelled = Address::parse(destination).map_or_else(|| destination.to_owned(), |address| address.to_string());
    let spelled = spelled.to_lowercase();
    let mut name = String::new();
    for byte in spelled.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'@' | b'-' | b'_' | b'+' => name.push(char::from(byte)),
            b'.' if !name.is_empty() => name.push('.'),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.len() > NAME_BYTES {
        let mut hash = DefaultHasher::new();
        spelled.hash(&mut hash);
        name.truncate(NAME_BYTES);
        name.push_str(&format!("%{:016x}", hash.finish()));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn a_destination_has_one_list_however_it_is_spelled() {
        assert_eq!(file_name("B@B.test"), file_name("b@b.TEST"));
        assert_eq!(file_name("b+x@b.test"), "b+x@b.test");
        assert_ne!(file_name("b%2f@b.test"), file_name("b/@b.test"));
        for odd in ["../x@b.test", ".", "..", "/", "a\0b@b.test", "\u{e9}@b.test"] {
            let name = file_name(odd);
            assert!(
                !name.contains('/') && !name.starts_with('.') && name.is_ascii(),
                "{name}"
            );
        }
        let long = |last: char| file_name(&format!("{}{last}@b.test", "x".repeat(300)));
        assert!(long('a').len() < 250 && long('a') != long('b'));
    }
}
