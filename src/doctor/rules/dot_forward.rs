//! Judges what a `.forward` does with mail, and whether that is safe.

use crate::doctor::rules::alias_targets::{self, AliasTarget, PlacedTarget, Quoted};
use crate::doctor::rules::filter_file::{self, Language};
use crate::doctor::rules::guard_line::{GuardJob, guard_of};
use crate::doctor::rules::{Check, CheckSubject, Finding};

/// What the judgement needs to know of the host.
pub struct Site<'a> {
    /// Whether all mail for an address stays on this host.
    pub is_here: &'a dyn Fn(&str) -> bool,
    /// Whether the MTA reads filters; none where that is not known.
    pub reads_filters: Option<bool>,
}

/// Where a `.forward` sends mail, whatever language it is written in.
pub fn parse_targets(text: &str) -> Vec<PlacedTarget> {
    match Language::of(text) {
        Language::Addresses => alias_targets::of_forward(text),
        Language::Exim => filter_file::of_exim(text),
        Language::Sieve => filter_file::of_sieve(text),
    }
}

/// Judges the `.forward` at `path`, or a file that one includes.
pub fn judge_forward_file(path: &str, text: &str, site: &Site<'_>) -> Vec<Finding> {
    let topic = Check::Forward.about(path);
    let placed = parse_targets(text);
    let is_guard = |placed: &&PlacedTarget| placed.item.hook().is_some();
    let around = Around {
        guards: placed.iter().filter(is_guard).count(),
        copies: placed
            .iter()
            .filter(|placed| matches!(placed.item, AliasTarget::Mailbox(_) | AliasTarget::File(_)))
            .count(),
        language: Language::of(text),
    };
    let mut findings: Vec<_> = language(&topic, around.language, site).into_iter().collect();
    for placed in &placed {
        findings.extend(one(&topic.at_line(placed.line), placed, around, site));
    }
    if around.guards > 0 && findings.is_empty() {
        findings.push(topic.ok("it runs spoolguard"));
    }
    findings
}

/// What else stands in the file.
#[derive(Clone, Copy)]
struct Around {
    guards: usize,
    copies: usize,
    language: Language,
}

/// An MTA that knows no filters takes its words for addresses.
fn language(topic: &CheckSubject, language: Language, site: &Site<'_>) -> Option<Finding> {
    let name = match language {
        Language::Addresses => return None,
        Language::Exim => "an Exim filter",
        Language::Sieve => "a Sieve script",
    };
    (site.reads_filters == Some(false)).then(|| {
        let what = format!("it is {name}, which this MTA does not know: it takes the words for addresses");
        topic.error(what, "write addresses and commands, see aliases(5)")
    })
}

fn one(here: &CheckSubject, placed: &PlacedTarget, around: Around, site: &Site<'_>) -> Vec<Finding> {
    match &placed.item {
        AliasTarget::Command { text, quoted } => {
            let Some(hook) = guard_of(text) else {
                return Vec::new();
            };
            let mut found: Vec<_> = hook.findings(here).collect();
            match (&hook.job, quoted) {
                (GuardJob::Forward(_) | GuardJob::Deliver, Quoted::No) if text.contains([' ', '\t']) => {
                    let remedy = format!("write \"|{text}\", with the quotes");
                    found.push(here.error("a command with blanks has to stand between quotes", remedy));
                }
                (GuardJob::Forward(_) | GuardJob::Deliver | GuardJob::Nothing, _) => {}
                (GuardJob::Filter | GuardJob::Other(_), _) => {
                    let remedy = "write \"|/usr/bin/spoolguard forward ADDRESS\"";
                    found.push(here.error(hook.job.keeps_nothing(), remedy));
                }
            }
            found
        }
        AliasTarget::Mailbox(_) if around.guards > 0 => vec![here.error(
            "Postfix also delivers a local copy beside spoolguard, and one more at each try",
            "take it away, and write --keep behind forward",
        )],
        AliasTarget::Address(text) => match find_slip(text) {
            Some(slip) => vec![misread(here, text, slip)],
            None => unguarded(here, text, around, site).into_iter().collect(),
        },
        // What it includes is judged as a file of its own.
        AliasTarget::Mailbox(_) | AliasTarget::File(_) | AliasTarget::Include(_) => Vec::new(),
    }
}

/// What keeps an MTA from reading an item as its writer means it; none where it is an address.
fn find_slip(text: &str) -> Option<&'static str> {
    const BYTE_ORDER_MARK: char = '\u{feff}';
    let quotes = text.matches('"').count();
    if text.starts_with(BYTE_ORDER_MARK) {
        Some("the file begins with a byte order mark")
    } else if text.contains(CURLY_QUOTES) || text.starts_with(['\'', '`']) {
        Some("only straight double quotes (\") count")
    } else if text.starts_with("\"|") && quotes % 2 == 1 {
        Some("the closing quote is missing")
    } else if text.starts_with("\"|") {
        Some("something stands behind the closing quote")
    } else if text.split_ascii_whitespace().any(|word| word.starts_with(['#', '|'])) {
        Some("a comment has a line of its own, and a command stands between quotes")
    } else {
        None
    }
}

const CURLY_QUOTES: [char; 8] = ['“', '”', '„', '‘', '’', '‚', '«', '»'];

/// An item of which MTAs make other addresses than its writer means, or none.
fn misread(here: &CheckSubject, text: &str, slip: &str) -> Finding {
    let what = format!("MTAs take this line for other addresses, and mail is bounced or lies elsewhere: {slip}");
    let is_quote = |c: char| c == '"' || c == '\'' || c == '`' || CURLY_QUOTES.contains(&c);
    let begin = text.find(|c: char| c.is_ascii() && !is_quote(c)).unwrap_or_default();
    let bare = text.get(begin..).unwrap_or_default();
    let meant = bare
        .split(|c| is_quote(c) || c == '#')
        .next()
        .unwrap_or_default()
        .trim();
    let remedy = match meant.strip_prefix('|') {
        Some(command) => format!("write \"|{}\", and nothing else on the line", command.trim()),
        None => format!("write {meant}, and nothing else on the line"),
    };
    here.error(what, remedy)
}

/// A plain forward: mail that leaves the host without anything that ends a loop, or learns that the address is dead.
fn unguarded(here: &CheckSubject, address: &str, around: Around, site: &Site<'_>) -> Option<Finding> {
    if (site.is_here)(address) {
        return None;
    }
    if around.guards > 0 {
        let remedy = "take it away, and name the address behind spoolguard forward";
        return Some(here.error(format!("mail also goes to {address} without spoolguard"), remedy));
    }
    let keep = if around.copies > 0 { " --keep" } else { "" };
    let command = format!("/usr/bin/spoolguard forward {address}{keep}");
    let what =
        format!("mail goes to {address} without spoolguard: nothing ends a loop, or notices that the address is dead");
    let remedy = match around.language {
        Language::Addresses => format!("write \"|{command}\""),
        Language::Exim => format!("write pipe \"{command}\" in place of deliver"),
        Language::Sieve => format!(
            "Exim's Sieve cannot run it: make the file an Exim filter with pipe \"{command}\", or write \"|{command}\""
        ),
    };
    Some(here.error(what, remedy))
}

#[cfg(test)]
mod tests {
    use super::{Site, judge_forward_file};
    use crate::doctor::rules::Level;

    #[test]
    fn what_loses_doubles_or_goes_round_is_told() {
        let guard = "\"|/usr/bin/spoolguard forward b@b.test\"";
        for (text, want) in [
            (guard.to_owned(), vec![(Level::Ok, "it runs spoolguard")]),
            (String::new(), vec![]),
            ("bob\n".to_owned(), vec![]),
            (
                "# Exim filter\nif first_delivery then\n  pipe \"/usr/bin/spoolguard forward b@b.test\"\nendif\n"
                    .to_owned(),
                vec![(Level::Ok, "it runs spoolguard")],
            ),
            ("# Exim filter\nsave mail/x\n".to_owned(), vec![]),
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
                vec![(
                    Level::Error,
                    "line 1: mail goes to c@c.test without spoolguard: nothing ends a loop, or notices that the address is dead",
                )],
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
                vec![(Level::Ok, "it runs spoolguard")],
            ),
        ] {
            let site = Site {
                is_here: &|address| !address.contains('@'),
                reads_filters: None,
            };
            let found = judge_forward_file("f", &text, &site);
            let found: Vec<_> = found
                .iter()
                .map(|found| (found.level, found.finding.as_str()))
                .collect();
            assert_eq!(found, want, "{text}");
        }
    }

    #[test]
    fn a_line_that_mtas_misread_is_told_with_its_slip() {
        let command = "/usr/bin/spoolguard forward b@b.test";
        let remedy = format!("write \"|{command}\", and nothing else on the line");
        for (text, slip) in [
            (format!("\u{feff}\"|{command}\"\n"), "byte order mark"),
            (format!("“|{command}”\n"), "straight double quotes"),
            (format!("'|{command}'\n"), "straight double quotes"),
            (format!("\"|{command}\n"), "closing quote is missing"),
            (format!("\"|{command}\" # to b\n"), "behind the closing quote"),
        ] {
            let site = Site {
                is_here: &|_| false,
                reads_filters: None,
            };
            let found = judge_forward_file("f", &text, &site);
            assert!(
                found
                    .iter()
                    .all(|found| found.level == Level::Error && found.finding.contains(slip)),
                "{text}: {found:?}"
            );
            let remedies: Vec<_> = found.iter().filter_map(|found| found.remedy.as_deref()).collect();
            assert_eq!(remedies, [remedy.as_str()], "{text}");
        }
    }

    #[test]
    fn what_stands_around_an_address_is_no_part_of_it() {
        for (text, want) in [
            ("b@b.test # mine\n", "write b@b.test, and nothing else on the line"),
            ("\u{feff}b@b.test\n", "write b@b.test, and nothing else on the line"),
            ("Bob <b@b.test>\n", "write \"|/usr/bin/spoolguard forward b@b.test\""),
            (
                "b@b.test c@c.test\n",
                "write \"|/usr/bin/spoolguard forward b@b.test c@c.test\"",
            ),
        ] {
            let site = Site {
                is_here: &|_| false,
                reads_filters: None,
            };
            let found = judge_forward_file("f", text, &site);
            let remedies: Vec<_> = found.iter().filter_map(|found| found.remedy.as_deref()).collect();
            assert_eq!(remedies, [want], "{text}");
        }
    }

    #[test]
    fn a_remedy_fits_the_language_of_the_file() {
        for (text, want) in [
            ("b@b.test\n", "write \"|/usr/bin/spoolguard forward b@b.test\""),
            (
                "\\a\nb@b.test\n",
                "write \"|/usr/bin/spoolguard forward b@b.test --keep\"",
            ),
            (
                "# Exim filter\ndeliver b@b.test\n",
                "write pipe \"/usr/bin/spoolguard forward b@b.test\" in place of deliver",
            ),
            ("# Sieve filter\nredirect \"b@b.test\";\n", "Exim's Sieve cannot run it"),
        ] {
            let site = |reads_filters| Site {
                is_here: &|_| false,
                reads_filters,
            };
            let found = judge_forward_file("f", text, &site(Some(true)));
            let remedies: Vec<_> = found.iter().filter_map(|found| found.remedy.as_deref()).collect();
            assert!(
                remedies.len() == 1 && remedies.iter().all(|remedy| remedy.starts_with(want)),
                "{text}: {found:?}"
            );
            let told = judge_forward_file("f", text, &site(Some(false))).len();
            assert_eq!(told, if text.starts_with('#') { 2 } else { 1 }, "{text}");
        }
    }
}
