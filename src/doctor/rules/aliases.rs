//! Follows mail for a name of this host to its end, by aliases (aliases(5)), users and their `.forward` files.

use std::collections::{BTreeMap, BTreeSet};

use crate::doctor::rules::alias_targets::{AliasTarget, of_line};
use crate::doctor::rules::guard_line::Hook;
use crate::message::address::Address;

/// Aliases lead to aliases; more than this is a circle that nobody saw.
const DEEPEST: usize = 50;

#[derive(Clone, Debug, Default)]
pub struct Aliases(BTreeMap<String, Vec<AliasTarget>>);

impl Aliases {
    /// Reads one: `name: items`, and a line that begins with a blank goes on.
    pub fn parse(text: &str) -> Self {
        let mut whole: Vec<String> = Vec::new();
        for line in text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        {
            match whole.last_mut() {
                Some(last) if line.starts_with([' ', '\t']) => last.push_str(line),
                _ => whole.push(line.to_owned()),
            }
        }
        let mut found = Self::default();
        for line in &whole {
            if let Some((name, items)) = line.split_once(':') {
                let name = name.trim().trim_matches('"').to_ascii_lowercase();
                found.0.entry(name).or_default().extend(of_line(items));
            }
        }
        found
    }

    /// Adds another file's; what is there already holds.
    pub fn add(&mut self, other: Self) {
        for (name, items) in other.0 {
            self.0.entry(name).or_insert(items);
        }
    }

    /// Aliases whose command is spoolguard, with what it does.
    pub fn guarded_aliases(&self) -> impl Iterator<Item = (&str, Hook)> {
        self.0.iter().flat_map(|(name, items)| {
            let hooks = items.iter().filter_map(AliasTarget::hook);
            hooks.map(move |hook| (name.as_str(), hook))
        })
    }

    pub fn entries(&self) -> impl Iterator<Item = (&str, &[AliasTarget])> {
        self.0.iter().map(|(name, items)| (name.as_str(), items.as_slice()))
    }
}

/// Where mail ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    User(String),
    /// At an address of another host.
    Elsewhere(String),
    Command(String),
    File(String),
    /// Nowhere: nobody is called so.
    Nobody(String),
    /// Nowhere: this name leads back to itself.
    Circle(String),
    Unseen(String),
}

/// What is found on the way to where mail ends.
#[derive(Debug, Default)]
struct AliasWalk {
    ends: Vec<End>,
    passed: BTreeSet<String>,
}

/// What is known of a host's names.
pub struct Names<'a> {
    pub aliases: &'a Aliases,
    pub is_user: &'a dyn Fn(&str) -> bool,
    pub is_own_domain: &'a dyn Fn(&str) -> bool,
    /// The characters that set off an extension.
    pub delimiter: &'a str,
}

impl Names<'_> {
    pub fn find_ends(&self, address: &str) -> Vec<End> {
        self.walk(address).ends
    }

    /// The aliases that mail to `address` goes through, in lower case.
    pub fn aliases_on_the_way(&self, address: &str) -> BTreeSet<String> {
        self.walk(address).passed
    }

    fn walk(&self, address: &str) -> AliasWalk {
        let mut walk = AliasWalk::default();
        self.follow(address, &mut Vec::new(), &mut walk);
        walk
    }

    fn follow(&self, text: &str, path: &mut Vec<String>, walk: &mut AliasWalk) {
        let found = &mut walk.ends;
        let Some(address) = Address::parse(text) else {
            return found.push(End::Nobody(text.to_owned()));
        };
        if address.domain().is_some_and(|domain| !(self.is_own_domain)(domain)) {
            return found.push(End::Elsewhere(address.to_string()));
        }
        // With its extension first, as Postfix does.
        let names = [address.local(), address.without_extension(self.delimiter)].map(str::to_ascii_lowercase);
        let alias = names.iter().find_map(|name| Some((name, self.aliases.0.get(name)?)));
        let Some((name, items)) = alias else {
            let base = address.without_extension(self.delimiter).to_owned();
            let mut spellings = [base.clone(), base.to_ascii_lowercase()].into_iter();
            return found.push(match spellings.find(|name| (self.is_user)(name)) {
                Some(name) => End::User(name),
                None => End::Nobody(base),
            });
        };
        if path.contains(name) || path.len() > DEEPEST {
            // `root: root, b` means the mailbox of root, and no circle.
            let means_mailbox = path.last() == Some(name) && (self.is_user)(name);
            return found.push(if means_mailbox {
                End::User(name.clone())
            } else {
                End::Circle(name.clone())
            });
        }
        path.push(name.clone());
        walk.passed.insert(name.clone());
        for item in items {
            let end = match item {
                AliasTarget::Address(next) => {
                    self.follow(next, path, walk);
                    continue;
                }
                AliasTarget::Mailbox(name) => End::User(name.clone()),
                AliasTarget::Command { text, .. } => End::Command(text.clone()),
                AliasTarget::File(path) => End::File(path.clone()),
                AliasTarget::Include(path) => End::Unseen(path.clone()),
            };
            walk.ends.push(end);
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::{Aliases, End, Names};

    #[test]
    fn mail_is_followed_to_where_it_ends() {
        let aliases = Aliases::parse(
            "# x\npostmaster: root\nroot:\n  alice, ops@away.test\n\"Web\": |/bin/true\nx: y\ny: x\nbob: bob, /var/log/bob\n\
             nul: /dev/null\nlist: :include:/etc/list\nlost: nobody-here\nempty:\nalice-lists: carl\n",
        );
        let names = Names {
            aliases: &aliases,
            is_user: &|name| ["alice", "bob", "carl"].contains(&name),
            is_own_domain: &|domain| domain == "a.test",
            delimiter: "+",
        };
        let user = |name: &str| End::User(name.to_owned());
        for (address, want) in [
            (
                "postmaster",
                vec![user("alice"), End::Elsewhere("ops@away.test".to_owned())],
            ),
            (
                "Postmaster@A.test",
                vec![user("alice"), End::Elsewhere("ops@away.test".to_owned())],
            ),
            ("web", vec![End::Command("/bin/true".to_owned())]),
            ("x", vec![End::Circle("x".to_owned())]),
            ("bob", vec![user("bob"), End::File("/var/log/bob".to_owned())]),
            ("nul", vec![End::File("/dev/null".to_owned())]),
            ("list", vec![End::Unseen("/etc/list".to_owned())]),
            ("lost", vec![End::Nobody("nobody-here".to_owned())]),
            ("empty", vec![]),
            ("carl+x@a.test", vec![user("carl")]),
            ("b@b.test", vec![End::Elsewhere("b@b.test".to_owned())]),
            ("who", vec![End::Nobody("who".to_owned())]),
        ] {
            assert_eq!(names.find_ends(address), want, "{address}");
        }
        let passed: Vec<_> = names.aliases_on_the_way("Postmaster@A.test").into_iter().collect();
        assert_eq!(passed, ["postmaster", "root"]);
        assert!(names.aliases_on_the_way("b@b.test").is_empty());
    }
}
