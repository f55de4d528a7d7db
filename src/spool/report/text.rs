//! What `archive` and `sweep` print for people: what is taken, what remains and why, what the bounces among it carry.

use crate::archive::publish::PublishedArchive;
use crate::escape::make_visible;
use crate::output::print_line;
use crate::output::shell::{program_command, quote_path};
use crate::output::sizes::{count_text, message_count_text, size_text, what_remains};
use crate::spool::choose::{ChosenMessages, Doubtful, Inside, by_messages};
use crate::spool::context::Detail;
use crate::spool::returned::Originals;
use crate::spool::select::SelectedMailbox;
use crate::spool::taken::{MoveEnd, MoveOutcome};

/// So many senders and recipients are named.
const NAMED: usize = 5;

pub(super) fn print_mailbox(spool: &SelectedMailbox, taken: &MoveOutcome, detail: Detail, inside: Inside) {
    let user = make_visible(&spool.account.name);
    let MoveOutcome { choice, back, end } = taken;
    let (stay, taken_bytes) = (message_count_text(choice.stay), choice.taken.bytes());
    let taken = format!("{} ({})", message_count_text(choice.messages), size_text(taken_bytes));
    match end {
        MoveEnd::Nothing => print_line(&format!("{user}: nothing to take; {stay}, {}", size_text(spool.bytes))),
        MoveEnd::Would(dir) => {
            print_line(&format!(
                "{user}: would take {taken} into an archive in {}; {} ({})",
                make_visible(&dir.display().to_string()),
                what_remains(&stay, choice.stay),
                size_text(spool.bytes.saturating_sub(taken_bytes)),
            ));
            let told = match inside {
                Inside::PutBack => OriginalsFate::Would(back.restored),
                Inside::Counted | Inside::Ignored => OriginalsFate::Could,
            };
            contents(choice, told, detail, inside);
        }
        MoveEnd::Done {
            archive,
            stay_bytes,
            held,
        } => {
            let held = held.map(|held| format!("; the mailbox was locked for {} ms", held.as_millis()));
            print_line(&format!(
                "{user}: {taken} taken into {} ({}); {}{}",
                make_visible(&archive.path.display().to_string()),
                size_text(archive.bytes),
                what_remains(&size_text(*stay_bytes), *stay_bytes),
                held.unwrap_or_default()
            ));
            let told = match inside {
                Inside::PutBack => OriginalsFate::Did(back.restored),
                Inside::Counted | Inside::Ignored => OriginalsFate::LeftIn(archive),
            };
            contents(choice, told, detail, inside);
        }
    }
    not_sent_on(choice);
    doubts(choice);
}

/// How many were kept instead of being sent on: `status --send-kept` looks for them in the mailbox alone.
fn not_sent_on(choice: &ChosenMessages) {
    let count = choice.not_sent_on;
    if count > 0 {
        let (was, it) = if count == 1 { ("was", "it") } else { ("were", "them") };
        print_line(&format!(
            "    {} of these {was} kept instead of being sent on; to send {it} on after all, restore {it} first",
            message_count_text(count)
        ));
    }
}

/// What goes, where that is asked for: `archive` takes mail whatever it is.
fn contents(choice: &ChosenMessages, told: OriginalsFate<'_>, detail: Detail, inside: Inside) {
    if inside != Inside::Ignored {
        explain(choice);
        originals(&choice.originals, told, detail);
    }
}

/// Which messages remain although they are meant, and why: up to some of them.
fn doubts(choice: &ChosenMessages) {
    const NAMED: usize = 10;
    for Doubtful { offset, doubt } in choice.doubtful.iter().take(NAMED) {
        print_line(&format!(
            "    the message at byte {offset} remains: another one may begin in it, at byte {} in the line \"{}\"",
            doubt.offset,
            make_visible(&doubt.line)
        ));
    }
    let count = choice.doubtful.len();
    if count > NAMED {
        print_line(&format!("    and {} more remain for such a line", count - NAMED));
    }
}

/// Who sent it, and about whom it is: for an administrator to see whether this is what it should be.
fn explain(choice: &ChosenMessages) {
    for (what, names) in [("from", &choice.senders), ("about", &choice.recipients)] {
        let names = by_messages(names);
        let shown: Vec<_> = names
            .iter()
            .take(NAMED)
            .map(|(name, count)| format!("{} ({count})", make_visible(name)))
            .collect();
        if !shown.is_empty() {
            let more = if names.len() > NAMED { ", ..." } else { "" };
            print_line(&format!("    {what} {}{more}", shown.join(", ")));
        }
    }
}

#[derive(Clone, Copy)]
enum OriginalsFate<'a> {
    /// They could be put back.
    Could,
    Would(u64),
    Did(u64),
    /// They stay inside the bounces, in this archive.
    LeftIn(&'a PublishedArchive),
}

/// What the bounces carry inside: mail that never arrived, for somebody to miss.
fn originals(originals: &Originals, told: OriginalsFate<'_>, detail: Detail) {
    let count = originals.count() as u64;
    if count == 0 && matches!(told, OriginalsFate::Would(_) | OriginalsFate::Did(_)) {
        print_line("    no message to recover is inside them");
    }
    if count > 0 {
        print_line(&format!("    {}", told.text(count)));
        if detail == Detail::Much {
            originals
                .described
                .iter()
                .for_each(|line| print_line(&format!("      {line}")));
            let more = count.saturating_sub(originals.described.len() as u64);
            if more > 0 {
                print_line(&format!("      and {more} more"));
            }
        }
    }
    let bounces = |count, one: &str, several: &str| {
        if count > 0 {
            print_line(&format!("    {}", count_text(count, one, several)));
        }
    };
    bounces(
        originals.present,
        "bounce carries a message that is in the mailbox, or in another bounce",
        "bounces carry messages that are in the mailbox, or in another bounce",
    );
    bounces(
        originals.header_only,
        "headers-only bounce: it has no text to recover",
        "headers-only bounces: they have no text to recover",
    );
    bounces(
        originals.written,
        "bounce is about a message that the user wrote; it goes into the archive",
        "bounces are about messages that the user wrote; they go into the archive",
    );
}

impl OriginalsFate<'_> {
    fn text(self, count: u64) -> String {
        let inside = count_text(
            count,
            "message that never arrived is inside these bounces",
            "messages that never arrived are inside these bounces",
        );
        let back = match self {
            Self::Would(back) | Self::Did(back) => back,
            Self::Could | Self::LeftIn(_) => 0,
        };
        let recovered = format!("{} that never arrived from these bounces", message_count_text(back));
        match self {
            Self::Could => format!("{inside} and not in the mailbox; --rescue recovers them"),
            Self::Would(_) => format!("would recover {recovered}"),
            Self::Did(_) => {
                let came = match count.saturating_sub(back) {
                    0 => String::new(),
                    came => format!("; {came} came in meanwhile"),
                };
                format!("recovered {recovered}{came}")
            }
            Self::LeftIn(archive) => format!(
                "{inside} and not in the mailbox; to get them: {} spool restore {}, then sweep again with --rescue",
                program_command(),
                quote_path(&archive.path)
            ),
        }
    }
}
