//! The `[quota]` table: how full mailboxes may be, for everybody and for single users and groups.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{I64Deserializer, MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::config::value::{Limit, SIZE, Share, Size};

/// The `[quota]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// How large a mailbox may grow.
    pub limit: Size,
    /// How many messages it may hold; 0 is any number.
    pub messages: u64,
    /// From which share of the limit on the user is warned.
    pub warn: Share,
    /// What happens to a message for which there is no room.
    pub when_full: Over,
    /// How large the overflow may grow.
    pub overflow_limit: Size,
    /// How many messages it may hold; 0 is any number.
    pub overflow_messages: u64,
    /// Limits of single users; these win.
    pub users: BTreeMap<String, Ceiling>,
    /// Limits of the members of groups; the most generous wins.
    pub groups: BTreeMap<String, Ceiling>,
}

/// What happens to a message for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// It stays with the mail system, which tries again.
    Defer,
    /// It goes back to its sender.
    Refuse,
    /// It goes to the administrator.
    Divert,
    /// It goes into another mbox, in the state directory.
    Overflow,
    /// It comes in, up to twice the limit, and the first part of the mailbox is archived.
    Archive,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            limit: Size::NONE,
            messages: 0,
            warn: Share::percent(80),
            when_full: Over::Defer,
            overflow_limit: Size::from_bytes(100 << 20),
            overflow_messages: 1000,
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }
}

impl Quota {
    /// The limit of one user. `groups` is asked only when some group has a limit.
    pub fn limit_of(&self, user: &str, groups: impl FnOnce() -> Vec<String>) -> Limit {
        let general = Limit {
            bytes: self.limit.bound(),
            messages: (self.messages > 0).then_some(self.messages),
        };
        if let Some(own) = self.users.get(user) {
            return own.limit(general);
        }
        if self.groups.is_empty() {
            return general;
        }
        let of_groups = groups()
            .into_iter()
            .filter_map(|group| Some(self.groups.get(&group)?.limit(general)));
        of_groups.reduce(most_generous).unwrap_or(general)
    }
}

/// For each bound the wider one; none is widest.
fn most_generous(a: Limit, b: Limit) -> Limit {
    let wider = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a.max(b));
    Limit {
        bytes: wider(a.bytes, b.bytes),
        messages: wider(a.messages, b.messages),
    }
}

/// The limits of one user or group: a size, or a table of `limit` and `messages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling(CeilingTable);

impl Ceiling {
    fn of_size(size: Size) -> Self {
        Self(CeilingTable {
            limit: Some(size),
            messages: None,
        })
    }

    /// These limits, and the general ones for what is not said.
    pub fn limit(self, general: Limit) -> Limit {
        let Self(table) = self;
        Limit {
            bytes: table.limit.map_or(general.bytes, Size::bound),
            messages: match table.messages {
                Some(count) => (count > 0).then_some(count),
                None => general.messages,
            },
        }
    }
}

impl<'de> Deserialize<'de> for Ceiling {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Ceiling;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{SIZE}, or a table of limit and messages")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ceiling, E> {
                Size::deserialize(StrDeserializer::new(text)).map(Ceiling::of_size)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Ceiling, E> {
                Size::deserialize(I64Deserializer::new(number)).map(Ceiling::of_size)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Ceiling, A::Error> {
                CeilingTable::deserialize(MapAccessDeserializer::new(map)).map(Ceiling)
            }
        }

        from.deserialize_any(Either)
    }
}

impl Serialize for Ceiling {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            CeilingTable {
                limit: Some(limit),
                messages: None,
            } => limit.serialize(to),
            table => table.serialize(to),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CeilingTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Size>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::Quota;
    use crate::config::value::Limit;

    #[test]
    fn a_users_limit_beats_the_groups_and_that_the_general_one() {
        let quota: Quota = toml::from_str(
            r#"
            limit = "10M"
            messages = 5
            [users]
            alice = "1G"
            bob = { messages = 7 }
            root = "none"
            [groups]
            staff = "20M"
            students = "5M"
            "#,
        )
        .unwrap_or_else(|e| unreachable!("{e}"));
        let groups = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        for (user, member_of, bytes, messages) in [
            ("alice", vec!["staff"], Some(1 << 30), Some(5)),
            ("bob", vec![], Some(10 << 20), Some(7)),
            ("root", vec![], None, Some(5)),
            ("carol", vec!["students", "staff"], Some(20 << 20), Some(5)),
            ("carol", vec!["students"], Some(5 << 20), Some(5)),
            ("carol", vec!["other"], Some(10 << 20), Some(5)),
        ] {
            let limit = quota.limit_of(user, || groups(&member_of));
            assert_eq!(limit, Limit { bytes, messages }, "{user} in {member_of:?}");
        }
    }
}
