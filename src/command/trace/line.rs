//! One line of our log, read back: `key=value` as `output/log.rs` writes it, or a JSON object, behind whatever syslog
//! or the journal put in front. Lines of other programs are passed over. Touches nothing.

use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq)]
pub struct TracedLine {
    /// What stands in front: time and host, as the log has them.
    pub time: String,
    pub fields: Map<String, Value>,
}

impl TracedLine {
    /// Reads a line; none where it is no line of ours about an action.
    pub fn read(line: &str) -> Option<Self> {
        let (before, rest) = text_of_ours(line)?;
        let fields = match serde_json::from_str::<Value>(rest) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) | Err(_) => pairs(rest),
        };
        fields.contains_key("action").then(|| Self {
            time: before.trim().to_owned(),
            fields,
        })
    }

    /// A value as text; empty where there is none.
    pub fn text(&self, key: &str) -> &str {
        self.fields.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Tells whether one of these keys holds this Message-ID.
    pub fn has_id(&self, keys: &[&str], id: &str) -> bool {
        keys.iter().any(|key| {
            let value = bare_id(self.text(key));
            !value.is_empty() && value == bare_id(id)
        })
    }

    pub fn has_address(&self, address: &str) -> bool {
        ["sender", "to", "failed", "recipient"].iter().any(|key| {
            let mut addresses = self.text(key).split(',');
            addresses.any(|one| one.trim().eq_ignore_ascii_case(address))
        })
    }
}

pub fn bare_id(id: &str) -> &str {
    id.trim().trim_start_matches('<').trim_end_matches('>')
}

/// What stands in front of our text, and the text.
fn text_of_ours(line: &str) -> Option<(&str, &str)> {
    if line.starts_with('{') {
        return Some(("", line));
    }
    let at = line.find("spoolguard[").or_else(|| line.find("spoolguard: "))?;
    let (before, ours) = line.split_at_checked(at)?;
    let (_, rest) = ours.split_once(": ")?;
    Some((before, rest))
}

/// `key=value key="a value"`; words between are passed over.
fn pairs(mut text: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    while let Some((before, rest)) = text.split_once('=') {
        let key = before.rsplit(' ').next().unwrap_or_default();
        let (value, next) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        if !key.is_empty() {
            fields.insert(key.to_owned(), value.into());
        }
        text = next;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::TracedLine;

    #[test]
    fn lines_of_syslog_journal_and_json_are_read() {
        let cases = [
            (
                "Nov 26 10:00:00 mx spoolguard[4711]: action=forward verdict=ordinary user=alice sender=s@s.test to=b@b.test id=<1@s.test>",
                "Nov 26 10:00:00 mx",
            ),
            (
                "2026-11-26T10:00:00+0000 mx spoolguard[1]: action=forward note=\"a = b, c\" sender=s@s.test to=c@c.test,B@b.test id=<1@s.test>",
                "2026-11-26T10:00:00+0000 mx",
            ),
            ("spoolguard: action=forward to=b@b.test sender=s@s.test id=1@s.test", ""),
            (
                "{\"level\":\"info\",\"action\":\"forward\",\"to\":\"b@b.test\",\"sender\":\"s@s.test\",\"id\":\"<1@s.test>\",\"bytes\":5}",
                "",
            ),
        ];
        for (line, time) in cases {
            let read = TracedLine::read(line).unwrap_or_else(|| unreachable!("{line}"));
            assert_eq!((read.time.as_str(), read.text("action")), (time, "forward"), "{line}");
            assert!(
                read.has_id(&["id"], "<1@s.test>") && read.has_id(&["id"], "1@s.test"),
                "{line}"
            );
            assert!(read.has_address("b@b.test") && read.has_address("S@s.test"), "{line}");
            assert!(
                !read.has_id(&["id"], "2@s.test") && !read.has_address("x@b.test"),
                "{line}"
            );
        }
    }

    #[test]
    fn lines_of_others_are_none_of_ours() {
        for line in [
            "",
            "Nov 26 10:00:00 mx postfix/smtp[1]: 4XyZ: to=<b@b.test>, status=sent",
            "Nov 26 10:00:00 mx spoolguard[1]: goes on without its state user=alice note=x",
            "{\"message\":\"x\"}",
            "{",
        ] {
            assert_eq!(TracedLine::read(line), None, "{line}");
        }
    }
}
