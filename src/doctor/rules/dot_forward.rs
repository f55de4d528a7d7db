//! What a `.forward` does with mail, and whether that is safe.

use crate::doctor::rules::alias_targets;
use crate::doctor::rules::alias_targets::{AliasTarget, PlacedTarget, Quoted, guard_of};
use crate::doctor::rules::{Check, Finding};

/// Judges the `.forward` at `path`.
#[must_use]
pub fn judge(path: &str, text: &str) -> Vec<Finding> {
    let placed = alias_targets::of_forward(text);
    let is_guard =
        |placed: &&PlacedTarget| matches!(&placed.item, AliasTarget::Command { text, .. } if guard_of(text).is_some());
    let guards = placed.iter().filter(is_guard).count();
    let mut findings: Vec<_> = placed.iter().filter_map(|placed| one(path, placed, guards)).collect();
    if guards > 0 && findings.is_empty() {
        findings.push(Finding::ok(Check::Forward, path, "it runs spoolguard"));
    }
    findings
}

fn one(path: &str, placed: &PlacedTarget, guards: usize) -> Option<Finding> {
    let line = placed.line;
    let wrong = |what: String, remedy: &str| Some(Finding::error(Check::Forward, path, what, remedy));
    match &placed.item {
        AliasTarget::Command { text, quoted } => {
            let hook = guard_of(text)?;
            match (hook.job.as_str(), quoted) {
                ("forward" | "deliver", Quoted::No) if text.contains([' ', '\t']) => wrong(
                    format!("line {line}: a command with blanks has to stand between quotes"),
                    &format!("write \"|{text}\", with the quotes"),
                ),
                ("forward" | "deliver", _) => None,
                (job, _) => wrong(
                    format!("line {line}: spoolguard {job} keeps no message, and mail is lost"),
                    "write \"|/usr/bin/spoolguard forward ADDRESS\"",
                ),
            }
        }
        AliasTarget::Mailbox(_) if guards > 0 => wrong(
            format!("line {line}: Postfix also delivers a local copy beside spoolguard, and one more at each try"),
            "take it away, and write --keep behind forward",
        ),
        AliasTarget::Address(address) if guards > 0 => wrong(
            format!("line {line}: mail also goes to {address} without spoolguard"),
            "take it away, and name the address behind spoolguard forward",
        ),
        AliasTarget::Address(address) => Some(
            Finding::warning(
                Check::Forward,
                path,
                format!("line {line}: mail goes to {address} without spoolguard"),
            )
            .remedy(format!("write \"|/usr/bin/spoolguard forward {address}\"")),
        ),
        AliasTarget::Include(file) => Some(Finding::warning(
            Check::Forward,
            path,
            format!("line {line}: it reads {file}, which was not looked at"),
        )),
        AliasTarget::Mailbox(_) | AliasTarget::File(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::doctor::rules::Level;

    #[test]
    fn what_loses_doubles_or_goes_round_is_told() {
        let guard = "\"|/usr/bin/spoolguard forward b@b.test\"";
        for (text, want) in [
            (guard.to_owned(), vec![(Level::Ok, "it runs spoolguard")]),
            (String::new(), vec![]),
            ("/home/a/mbox\n\\a\n\"|vacation a\"\n".to_owned(), vec![]),
            (
                format!("{guard}, \\a\n"),
                vec![(
                    Level::Error,
                    "line 1: Postfix also delivers a local copy beside spoolguard, and one more at each try",
                )],
            ),
            (
                format!("{guard}\nc@c.test\n"),
                vec![(Level::Error, "line 2: mail also goes to c@c.test without spoolguard")],
            ),
            (
                "c@c.test\n".to_owned(),
                vec![(Level::Warning, "line 1: mail goes to c@c.test without spoolguard")],
            ),
            (
                "|/usr/bin/spoolguard forward b@b.test\n".to_owned(),
                vec![(
                    Level::Error,
                    "line 1: a command with blanks has to stand between quotes",
                )],
            ),
            (
                "\n\"|/usr/bin/spoolguard filter\"\n".to_owned(),
                vec![(
                    Level::Error,
                    "line 2: spoolguard filter keeps no message, and mail is lost",
                )],
            ),
            (
                "\"|exec /usr/bin/spoolguard deliver || exit 75\"\n:include:/x\n".to_owned(),
                vec![(Level::Warning, "line 2: it reads /x, which was not looked at")],
            ),
        ] {
            let found = judge("f", &text);
            let found: Vec<_> = found
                .iter()
                .map(|found| (found.level, found.finding.as_str()))
                .collect();
            assert_eq!(found, want, "{text}");
        }
    }
}
