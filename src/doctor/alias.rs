//! How the mail of one alias is handled: what the alias does, and whether what is kept for it has a place. Root's run
//! without a name does the same for all of them. A name that no alias has is the mistake of whoever typed it.

use std::path::Path;

use crate::cli::Everywhere;
use crate::doctor::facts::{DoctorScope, HostFacts};
use crate::doctor::rules::{Check, Finding, Level};
use crate::doctor::{alias_forwards, alias_places};
use crate::error::{Category, Error};
use crate::sys::{account, alias_account};

/// Examines it.
pub fn examine(name: &str, everywhere: &Everywhere) -> Result<Vec<Finding>, Error> {
    account::refuse_no_name(name)?;
    let host = HostFacts::collect_facts(DoctorScope::Host, everywhere);
    let dir = Path::new(&host.config.aliases.dir);
    let mut found = host.findings.clone();
    found.retain(|finding| finding.check == Check::Configuration && finding.level == Level::Error);
    let items = host
        .aliases
        .entries()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let forwards = items.and_then(|(name, items)| alias_forwards::examine_alias(&host, name, items));
    let places = alias_places::of_one(&host, name);
    let has_directory = alias_account::has_directory(name, dir);
    if items.is_none() && places.is_empty() && !has_directory {
        let cause = format!(
            "no alias is called so, and {} has no directory of that name",
            dir.display()
        );
        return Err(Error::new(Category::Arguments, "find alias", name, cause));
    }
    match (&forwards, places.is_empty()) {
        (None, true) if has_directory => found.push(alias_places::of_directory(dir, name, "USER")),
        (None, true) => {
            found.push(
                Check::Aliases
                    .about(format!("alias {name}"))
                    .ok("it forwards to no other host"),
            );
        }
        (Some(_), _) | (None, false) => {}
    }
    found.extend(forwards);
    found.extend(places);
    Ok(found)
}
