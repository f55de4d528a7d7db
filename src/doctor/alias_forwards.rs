//! Finds aliases and virtual maps that send mail to another host without the guard. Mail keeps its sender there, so
//! that most loops end. But nobody notices that an address is dead, and nothing is recovered from bounces.

use std::path::{Path, PathBuf};

use crate::doctor::facts::{HostFacts, TEXT_TABLES, read_text};
use crate::doctor::rules::alias_targets::{AliasTarget, of_forward};
use crate::doctor::rules::aliases::End;
use crate::doctor::rules::{Check, Finding, mta_commands};

const MOST_NAMES: usize = 10;

const HOW: &str = "let it run spoolguard forward --as ITS-NAME ADDRESS: /usr/share/doc/spoolguard/docs/src/aliases.md";

pub fn examine(host: &HostFacts) -> Vec<Finding> {
    let mut found: Vec<_> = host
        .aliases
        .entries()
        .filter_map(|(name, items)| examine_alias(host, name, items))
        .collect();
    for path in virtual_maps(host) {
        if let Ok(text) = read_text(&path) {
            let entries = virtual_entries(&text);
            let told = entries
                .into_iter()
                .filter_map(|(key, to)| forward(host, &format!("{}, {key}", path.display()), &to));
            found.extend(told);
        }
    }
    if found.len() > MOST_NAMES {
        let what = format!("{} more forward without spoolguard", found.len() - MOST_NAMES);
        found.truncate(MOST_NAMES);
        found.push(Check::Aliases.about("aliases").warning(what, HOW));
    }
    found.extend(
        host.aliases
            .entries()
            .flat_map(|(name, items)| included(host, name, items)),
    );
    found
}

/// What an alias does with its mail, where nobody watches it.
pub fn examine_alias(host: &HostFacts, name: &str, items: &[AliasTarget]) -> Option<Finding> {
    let addresses = items.iter().filter_map(|item| match item {
        AliasTarget::Address(address) => Some(address.clone()),
        AliasTarget::Mailbox(_) | AliasTarget::Command { .. } | AliasTarget::File(_) | AliasTarget::Include(_) => None,
    });
    // Of a chain the last alias is told.
    let direct: Vec<_> = addresses
        .filter(|address| matches!(host.find_ends(address).as_slice(), [End::Elsewhere(end)] if end == address))
        .collect();
    let subject = format!("alias {name}");
    let found = forward(host, &subject, &direct)?;
    // Through a guard, diverted mail would go no further.
    Some(match host.serves_admin(name) {
        true => Check::Aliases
            .about(subject)
            .ok("it forwards the administrator's mail, and has to do that without spoolguard"),
        false => found,
    })
}

fn forward(host: &HostFacts, subject: &str, to: &[String]) -> Option<Finding> {
    let away: Vec<_> = to
        .iter()
        .filter(|address| {
            !host.is_here(address)
                && host
                    .find_ends(address)
                    .iter()
                    .any(|end| matches!(end, End::Elsewhere(_)))
        })
        .map(String::as_str)
        .collect();
    (!away.is_empty()).then(|| {
        let what = format!(
            "it forwards to {} without spoolguard: nobody notices when that address is dead",
            away.join(" and ")
        );
        Check::Aliases.about(subject).warning(what, HOW)
    })
}

/// Commands in files that an alias includes.
fn included(host: &HostFacts, name: &str, items: &[AliasTarget]) -> Vec<Finding> {
    let files = items.iter().filter_map(|item| match item {
        AliasTarget::Include(file) => Some(file),
        AliasTarget::Address(_) | AliasTarget::Mailbox(_) | AliasTarget::Command { .. } | AliasTarget::File(_) => None,
    });
    let has_command = |file: &&String| {
        read_text(Path::new(file)).is_ok_and(|text| {
            let targets = of_forward(&text);
            targets.iter().any(|placed| placed.item.command().is_some())
        })
    };
    files
        .filter(has_command)
        .filter_map(|file| mta_commands::judge_included_file(host.postfix.as_ref()?, &format!("alias {name}, {file}")))
        .collect()
}

fn virtual_maps(host: &HostFacts) -> Vec<PathBuf> {
    let maps = host
        .postfix
        .iter()
        .flat_map(|postfix| postfix.words("virtual_alias_maps"));
    let text = |map: &str| {
        let (kind, path) = map.split_once(':')?;
        TEXT_TABLES.contains(&kind).then(|| PathBuf::from(path))
    };
    maps.into_iter().filter_map(text).collect()
}

/// The entries of a virtual(5) table: a key, blanks, addresses; a line that begins with a blank goes on.
fn virtual_entries(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    {
        let mut words = line
            .split([' ', '\t', ','])
            .filter(|word| !word.is_empty())
            .map(str::to_owned);
        match found.last_mut() {
            Some((_, to)) if line.starts_with([' ', '\t']) => to.extend(words),
            _ => found.extend(words.next().map(|key| (key, words.collect()))),
        }
    }
    // A domain alone says that it is one of ours.
    found.retain(|(_, to)| to.iter().any(|address| address.contains('@')));
    found
}

#[cfg(test)]
mod tests {
    use super::virtual_entries;

    #[test]
    fn virtual_tables_have_a_key_and_addresses() {
        let text = "# x\na.test anything\nsales@a.test\tb@b.test, c@c.test\n  d@d.test\n@v.test bob\n";
        let to = ["b@b.test", "c@c.test", "d@d.test"].map(str::to_owned).to_vec();
        assert_eq!(virtual_entries(text), [("sales@a.test".to_owned(), to)]);
    }
}
