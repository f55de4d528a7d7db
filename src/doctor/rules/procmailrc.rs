//! Judges what a procmailrc does with mail, and whether that is safe (procmailrc(5)).
//!
//! procmail forgets a message whose command failed, unless the recipe has the flag `w`. With `w` it puts the message
//! into the mailbox, unless two lines behind the recipe leave it in the MTA's queue.

use crate::doctor::rules::guard_line::{GuardJob, Hook, guard_of};
use crate::doctor::rules::{Check, CheckSubject, Finding};

/// An example that every package has.
const EXAMPLE: &str = "/usr/share/doc/spoolguard/examples/procmailrc";

/// A statement of the file, and the line that it begins on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PlacedStatement {
    line: usize,
    statement: Statement,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Statement {
    Recipe(Recipe),
    /// `NAME=value`.
    Assignment(String, String),
    /// `}`.
    End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Recipe {
    flags: String,
    conditions: Vec<String>,
    action: RecipeAction,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RecipeAction {
    /// `| command`.
    Pipe(String),
    /// `! address`.
    Forward(String),
    /// `{`, with more recipes in it.
    Block,
    /// `{ NAME=value }`.
    Line(String),
    File,
}

/// The runs of spoolguard in it, with their lines.
pub fn find_hooks(text: &str) -> Vec<(usize, Hook)> {
    let mut found = Vec::new();
    for PlacedStatement { line, statement } in statements(text) {
        if let Statement::Recipe(recipe) = statement {
            let commands = recipe
                .conditions
                .iter()
                .filter_map(|condition| condition.strip_prefix('?'));
            found.extend(commands.filter_map(guard_of).map(|hook| (line, hook)));
            if let RecipeAction::Pipe(command) = &recipe.action {
                found.extend(guard_of(command).map(|hook| (line, hook)));
            }
        }
    }
    found
}

/// Whether the procmailrc of all users sends everybody's mail to the same address. A file that asks for the user means
/// some.
pub fn forwards_everybody(path: &str, text: &str) -> Option<Finding> {
    let mut to: Vec<String> = find_forwards(text).into_iter().map(|(_, to)| to).collect();
    to.extend(
        find_hooks(text)
            .into_iter()
            .flat_map(|(_, hook)| hook.destinations().to_vec()),
    );
    to.retain(|to| !to.contains('$'));
    let asks = ["LOGNAME", "USER", "HOME ??"].iter().any(|name| text.contains(name));
    let first = to.first().filter(|_| !asks)?;
    let what = format!("it forwards the mail of every user of this host to {first}");
    let remedy = "put the forward into the .procmailrc of the user whose mail it is";
    Some(Check::Procmailrc.about(path).error(what, remedy))
}

/// Where it sends mail without spoolguard, with the lines.
pub fn find_forwards(text: &str) -> Vec<(usize, String)> {
    let sent = |placed: PlacedStatement| match placed.statement {
        Statement::Recipe(recipe) => Some((placed.line, plain_forward(&recipe.action)?)),
        Statement::Assignment(..) | Statement::End => None,
    };
    statements(text).into_iter().filter_map(sent).collect()
}

fn plain_forward(action: &RecipeAction) -> Option<String> {
    match action {
        RecipeAction::Forward(to) => Some(to.clone()),
        // With -t it answers somebody, and sends nothing on.
        RecipeAction::Pipe(command) if guard_of(command).is_none() => {
            let words = command.split_ascii_whitespace();
            let mut words = words.map(|word| word.trim_matches(['(', ')', ';']));
            words.find(|word| word.ends_with("/sendmail") || *word == "sendmail" || *word == "$SENDMAIL")?;
            let words: Vec<_> = words.collect();
            let to = words.last().filter(|word| !word.starts_with('-'))?;
            (!words.contains(&"-t")).then(|| (*to).to_owned())
        }
        RecipeAction::Pipe(_) | RecipeAction::Block | RecipeAction::Line(_) | RecipeAction::File => None,
    }
}

/// Judges the procmailrc at `path`; `is_here` tells whether all mail for an address stays on this host.
pub fn judge_recipes(path: &str, text: &str, is_here: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let topic = Check::Procmailrc.about(path);
    let all = statements(text);
    let has_guard = !find_hooks(text).is_empty();
    let mut found = Vec::new();
    for (at, PlacedStatement { line, statement }) in all.iter().enumerate() {
        let here = topic.at_line(*line);
        match statement {
            Statement::Recipe(recipe) => {
                let behind = all.get(at + 1..).unwrap_or_default();
                found.extend(of_recipe(&here, recipe, behind));
                let unguarded = plain_forward(&recipe.action).filter(|to| !is_here(to));
                found.extend(unguarded.map(|to| plain(&here, &to, has_guard)));
            }
            Statement::Assignment(name, value) if name == "INCLUDERC" => {
                found.push(here.note(format!("it reads {value}, which was not looked at")));
            }
            Statement::Assignment(..) | Statement::End => {}
        }
    }
    if found.is_empty() {
        found.extend(bounces_pass_by(&topic, &all));
    }
    if has_guard && found.is_empty() {
        found.push(topic.ok("it runs spoolguard, and loses nothing when that fails"));
    }
    found
}

/// Whether bounces about a forward that has conditions get to spoolguard: they do not meet them, and somebody has to
/// take the rest.
fn bounces_pass_by(topic: &CheckSubject, all: &[PlacedStatement]) -> Option<Finding> {
    let (mut conditions, mut forward) = (Vec::new(), None);
    for PlacedStatement { line, statement } in all {
        match statement {
            Statement::Recipe(recipe) => match &recipe.action {
                RecipeAction::Block => conditions.push(!recipe.conditions.is_empty()),
                RecipeAction::Pipe(command) => {
                    let has_conditions = !recipe.conditions.is_empty() || conditions.contains(&true);
                    match guard_of(command).map(|hook| hook.job) {
                        Some(GuardJob::Forward(_) | GuardJob::Deliver) if !has_conditions => return None,
                        Some(GuardJob::Forward(_)) => forward = forward.or(Some(line)),
                        Some(GuardJob::Deliver | GuardJob::Filter | GuardJob::Nothing | GuardJob::Other(_)) | None => {}
                    }
                }
                RecipeAction::Forward(_) | RecipeAction::Line(_) | RecipeAction::File => {}
            },
            Statement::End => drop(conditions.pop()),
            Statement::Assignment(..) => {}
        }
    }
    let what = "bounces about this forward do not meet its conditions: spoolguard does not see them, recovers no message from them and \
                suspends nothing";
    let remedy = format!("let | /usr/bin/spoolguard deliver take the rest, as {EXAMPLE} shows");
    forward.map(|line| topic.at_line(*line).warning(what, remedy))
}

fn plain(here: &CheckSubject, to: &str, has_guard: bool) -> Finding {
    if has_guard {
        let remedy = format!("put | /usr/bin/spoolguard forward in place of it, as {EXAMPLE} shows");
        here.error(format!("mail also goes to {to} without spoolguard"), remedy)
    } else {
        let what = format!("mail goes to {to} without spoolguard: its bounces go round, and nothing ends that");
        let remedy = format!("put | /usr/bin/spoolguard forward {to} in place of it, as {EXAMPLE} shows");
        here.error(what, remedy)
    }
}

fn of_recipe(here: &CheckSubject, recipe: &Recipe, behind: &[PlacedStatement]) -> Vec<Finding> {
    let RecipeAction::Pipe(command) = &recipe.action else {
        return Vec::new();
    };
    let Some(hook) = guard_of(command) else {
        return Vec::new();
    };
    let has = |flag: char| recipe.flags.contains(flag);
    let waits = has('w') || has('W');
    let (keeping, filtering) = ("begin the recipe with :0 w", "begin the recipe with :0 fw");
    let mut found: Vec<_> = hook.findings(here).collect();
    match &hook.job {
        GuardJob::Forward(_) | GuardJob::Deliver => {
            if !waits {
                found.push(here.error("without w, procmail loses the message when spoolguard fails", keeping));
            }
            if has('h') != has('b') {
                found.push(here.error("with h or b alone, spoolguard gets half of the message", keeping));
            }
            if !has('c') {
                found.extend(ending(here, recipe, behind));
            }
        }
        GuardJob::Filter if !has('f') => {
            found.push(here.error("without f, what spoolguard filter prints is lost", filtering));
        }
        GuardJob::Filter if !waits => {
            found.push(here.error("without w, a failure of the filter is not seen", filtering));
        }
        GuardJob::Filter | GuardJob::Nothing => {}
        GuardJob::Other(_) => {
            let remedy = "use it as a condition (* ? command), or use spoolguard forward";
            found.push(here.error(hook.job.keeps_nothing(), remedy));
        }
    }
    found
}

/// Whether what is left for another try gets to the mail system: `EXITCODE` and then `HOST`, before another recipe.
fn ending(here: &CheckSubject, recipe: &Recipe, behind: &[PlacedStatement]) -> Option<Finding> {
    let mut exit_code = None;
    let mut stops = false;
    for placed in behind {
        match &placed.statement {
            Statement::Assignment(name, value) if name == "EXITCODE" => exit_code = Some(value.as_str()),
            Statement::Assignment(name, _) if name == "HOST" => {
                stops = true;
                break;
            }
            Statement::Assignment(..) => {}
            Statement::Recipe(Recipe {
                action: RecipeAction::Line(_),
                ..
            }) => {}
            Statement::Recipe(_) | Statement::End => break,
        }
    }
    match (exit_code, stops) {
        (Some(_), true) if !recipe.conditions.is_empty() => {
            let what = "mail that the conditions do not mean also gets to EXITCODE below, and is never delivered";
            let remedy = "put the recipe without conditions, and the two lines, between { and } of one that has them";
            Some(here.error(what, remedy))
        }
        (Some("$?"), true) => {
            let what = "with EXITCODE=$? mail is bounced when spoolguard is missing or killed";
            Some(here.warning(what, "EXITCODE=75"))
        }
        (Some(_), true) => None,
        _ => {
            let remedy = format!("put EXITCODE=75 and HOST=stop below it, as {EXAMPLE} shows");
            let what = "what spoolguard defers goes into the mailbox instead";
            Some(here.warning(what, remedy))
        }
    }
}

/// The statements of the file. What cannot be understood is left out, as procmail does.
fn statements(text: &str) -> Vec<PlacedStatement> {
    let mut found = Vec::new();
    let mut lines = logical_lines(text).into_iter().peekable();
    while let Some((line, text)) = lines.next() {
        let mut add = |statement| found.push(PlacedStatement { line, statement });
        if let Some(head) = text.strip_prefix(':') {
            let mut conditions = Vec::new();
            while let Some((_, text)) = lines.next_if(|(_, text)| text.starts_with('*')) {
                conditions.push(text.trim_start_matches('*').trim().to_owned());
            }
            let Some((_, action)) = lines.next() else { break };
            // `:0`, flags, and a colon before the name of a lock.
            let flags = head.split(':').next().unwrap_or_default();
            let flags = flags
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .replace([' ', '\t'], "");
            let flags = flags.split('#').next().unwrap_or_default().to_owned();
            add(Statement::Recipe(Recipe {
                flags,
                conditions,
                action: action_of(&action),
            }));
        } else if text.starts_with('}') {
            add(Statement::End);
        } else if let Some((name, value)) = text.split_once('=') {
            let value = value.split(" #").next().unwrap_or_default();
            add(Statement::Assignment(
                name.trim().to_owned(),
                value.trim().trim_matches('"').to_owned(),
            ));
        }
    }
    found
}

fn action_of(text: &str) -> RecipeAction {
    if let Some(command) = text.strip_prefix('|') {
        RecipeAction::Pipe(command.trim().to_owned())
    } else if let Some(to) = text.strip_prefix('!') {
        RecipeAction::Forward(to.trim().to_owned())
    } else if let Some(rest) = text.strip_prefix('{') {
        match rest.trim().strip_suffix('}') {
            Some(inner) => RecipeAction::Line(inner.trim().to_owned()),
            None => RecipeAction::Block,
        }
    } else {
        RecipeAction::File
    }
}

/// Lines without comments, a backslash at the end joins two.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut joined = false;
    for (line, number) in text.lines().zip(1..) {
        let trimmed = line.trim();
        if !joined && (trimmed.is_empty() || trimmed.starts_with('#')) {
            continue;
        }
        let (part, goes_on) = match trimmed.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (trimmed, false),
        };
        match found.last_mut() {
            Some((_, last)) if joined => last.push_str(part),
            _ => found.push((number, part.to_owned())),
        }
        joined = goes_on;
    }
    found
}

/// The mailbox that `DEFAULT` names last, as it stands there (procmailrc(5)); none where it is not set.
pub fn default_mailbox(text: &str) -> Option<String> {
    let mut values = statements(text)
        .into_iter()
        .filter_map(|placed| match placed.statement {
            Statement::Assignment(name, value) if name == "DEFAULT" => Some(value),
            Statement::Assignment(..) | Statement::Recipe(_) | Statement::End => None,
        });
    values.next_back().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
