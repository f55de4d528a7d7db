//! A user's name as it may stand in the name of a file. What could lead elsewhere, look like a flag or hide the file is
//! written as `_` and two digits. Names that people have stay as they are.

/// So many bytes, so that time and ending find room (`NAME_MAX` is 255).
const MOST_BYTES: usize = 180;

/// The name, fit for a file's.
pub fn safe_name(user: &str) -> String {
    let mut name = String::new();
    for (at, byte) in user.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'@' | b'_' | b'=');
        if plain && !(at == 0 && matches!(byte, b'.' | b'-')) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("_{byte:02x}"));
        }
    }
    name.truncate(MOST_BYTES);
    name
}

#[cfg(test)]
mod tests {
    use super::safe_name;

    #[test]
    fn names_lead_nowhere() {
        for (user, want) in [
            ("a", "a"),
            ("a-b.c@d_e", "a-b.c@d_e"),
            ("-rf", "_2drf"),
            ("../x\n", "_2e._2fx_0a"),
            ("é", "_c3_a9"),
        ] {
            assert_eq!(safe_name(user), want);
        }
        assert_eq!(safe_name(&"x".repeat(300)).len(), 180);
    }
}
