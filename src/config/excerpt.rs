//! Leaves out of a configuration what is about other users, before it is parsed. With thousands of lines in
//! `[quota.users]` the parser would cost more than all the rest of a delivery.
//!
//! Only lines that can be told apart without parsing are left out. In doubt all of it is parsed.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memmem, memrchr};

const HEADING: &str = "[quota.users]";

/// The text without the lines of `[quota.users]` in which `user` is not named; all of it where that cannot be told.
pub fn for_user<'t>(text: &'t str, user: &str) -> Cow<'t, str> {
    match split(text, user) {
        Some((before, section, after)) => {
            let mut excerpt = String::with_capacity(before.len() + after.len() + 256);
            excerpt.push_str(before);
            own_lines(section, user).for_each(|line| excerpt.push_str(line));
            excerpt.push_str(after);
            Cow::Owned(excerpt)
        }
        None => Cow::Borrowed(text),
    }
}

/// What stands before the lines of the table, they themselves, and what stands behind them.
fn split<'t>(text: &'t str, user: &str) -> Option<(&'t str, &'t str, &'t str)> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
    if user.is_empty() || !user.chars().all(plain) {
        return None;
    }
    let heading = memmem::find(text.as_bytes(), HEADING.as_bytes())?;
    let (head, rest) = (text.get(..heading)?, text.get(heading + HEADING.len()..)?);
    let line_end = memchr(b'\n', rest.as_bytes())? + 1;
    let tail = rest.get(..line_end)?.trim();
    let opens_a_line = head.is_empty() || head.ends_with('\n');
    // A string of several lines may hold anything, this heading too.
    let many_lines = |quotes: &str| memmem::find(text.as_bytes(), quotes.as_bytes()).is_some();
    if !opens_a_line || !(tail.is_empty() || tail.starts_with('#')) || many_lines("\"\"\"") || many_lines("'''") {
        return None;
    }
    let from = heading + HEADING.len() + line_end;
    let body = text.get(from..)?;
    let end = if body.starts_with('[') {
        0
    } else {
        memmem::find(body.as_bytes(), b"\n[").map_or(body.len(), |at| at + 1)
    };
    let section = body.get(..end)?;
    let is_whole = |open: usize| {
        let rest = section.as_bytes().get(open..).unwrap_or_default();
        let line = rest.get(..memchr(b'\n', rest).unwrap_or(rest.len())).unwrap_or(rest);
        memchr(b'}', line).is_some()
    };
    // An escape can spell a name in another way, and an inline table can go on in the next line (TOML 1.1).
    if memchr(b'\\', section.as_bytes()).is_some() || !memchr_iter(b'{', section.as_bytes()).all(is_whole) {
        return None;
    }
    Some((text.get(..from)?, section, text.get(from + end..)?))
}

/// The lines that begin with the user's name, be it quoted or dotted.
fn own_lines<'t>(section: &'t str, user: &str) -> impl Iterator<Item = &'t str> {
    let bytes = section.as_bytes();
    let length = user.len();
    let hits: Vec<usize> = memmem::find_iter(bytes, user.as_bytes()).collect();
    hits.into_iter().filter_map(move |at| {
        let start = memrchr(b'\n', bytes.get(..at)?).map_or(0, |before| before + 1);
        let end = memchr(b'\n', bytes.get(at..)?).map_or(bytes.len(), |behind| at + behind + 1);
        let alone = bytes
            .get(start..at)?
            .iter()
            .all(|b| matches!(b, b' ' | b'\t' | b'"' | b'\''));
        let ends = matches!(bytes.get(at + length), Some(b' ' | b'\t' | b'=' | b'.' | b'"' | b'\''));
        (alone && ends).then(|| section.get(start..end)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::for_user;

    #[test]
    fn only_the_lines_about_the_user_stay() {
        let text = "admin = \"x\"\n[quota.users] # all\nalice = \"1G\"\n bob = \"2G\"\r\n\"carol\" = \"3G\"\n# bob = no\nbobby = \"4G\"\nbob.messages = 3\nd = { limit = \"1G\" }\n[log]\nto = \"none\"\n";
        let cases = [
            ("alice", "alice = \"1G\"\n"),
            ("bob", " bob = \"2G\"\r\nbob.messages = 3\n"),
            ("carol", "\"carol\" = \"3G\"\n"),
            ("d", "d = { limit = \"1G\" }\n"),
            ("eve", ""),
        ];
        for (user, own) in cases {
            let want = format!("admin = \"x\"\n[quota.users] # all\n{own}[log]\nto = \"none\"\n");
            assert_eq!(for_user(text, user), want, "{user}");
        }
    }

    #[test]
    fn in_doubt_all_of_it_stays() {
        for text in [
            "[quota]\nlimit = \"1G\"\n",
            "admin = \"\"\"\n[quota.users]\nalice = 1\n\"\"\"\n",
            "x = '''\n[quota.users]\nalice = 1\n'''\n",
            "[quota.users]\nalice = {\nlimit = \"1G\" }\n",
            "[quota.users]\n\"\\u0061lice\" = \"1G\"\n",
            "  [quota.users]\nalice = \"1G\"\n",
            "[quota.users] x\nalice = \"1G\"\n",
            "# [quota.users]\nalice = \"1G\"\n",
        ] {
            assert_eq!(for_user(text, "bob"), text);
        }
        assert_eq!(for_user("[quota.users]\na = 1\n", "b\"c"), "[quota.users]\na = 1\n");
    }
}
