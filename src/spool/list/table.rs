//! Prints `spool list` for people: a table as wide as the terminal. Below each mailbox stands why it grows and what
//! helps, and at the end what is wrong. Whatever a message or a file name says is escaped.

use crate::output::colours::{Colour, Colours};
use crate::output::columns::{count_columns, cut_to_columns};
use crate::output::sizes::{count_text, message_count_text, short_size, size_text};
use std::io::{self, IsTerminal, Write};

use crate::escape::make_visible;
use crate::spool::list::row::{Findings, Numbers, Row, Total, Weight};
use crate::spool::rules::diagnosis::{GrowthReason, day_text};
use crate::spool::rules::statistics::{Count, by_bytes};
use crate::spool::rules::summary::MailKind;

/// How wide a bar is, in characters.
const BAR: u64 = 10;

/// A name is not shown longer than this, in characters.
const NAME: usize = 24;

/// How many senders are named below a mailbox.
const SENDERS: usize = 3;

/// Fewer messages than this have no greatest senders.
const FEW: u64 = 10;

/// How far to one side a cell stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// As wide as it is where nobody says how wide it may be, in columns: in a log, a mail, another program.
const WIDTH: usize = 80;

/// The columns, and in which order they go when the terminal is too narrow; 0 stays. The bars go third.
const COLUMNS: [(&str, Side, u32); 10] = [
    ("MAILBOX", Side::Left, 0),
    ("SIZE", Side::Right, 0),
    ("QUOTA", Side::Left, 0),
    ("MESSAGES", Side::Right, 0),
    ("UNREAD", Side::Right, 4),
    ("BOUNCES", Side::Right, 7),
    ("LOOPS", Side::Right, 1),
    ("LISTS", Side::Right, 2),
    ("OLDEST", Side::Left, 5),
    ("GROWTH", Side::Right, 6),
];

/// What is written on a terminal and not elsewhere.
struct Style {
    colours: Colours,
    width: usize,
}

impl Style {
    fn of_output() -> Self {
        let output = io::stdout();
        let terminal = output.is_terminal();
        // A terminal that was never asked how large it is says 0.
        let size = terminal_size::terminal_size_of(&output).filter(|(width, _)| terminal && width.0 > 0);
        Self {
            colours: Colours::of_output(),
            width: size.map_or(WIDTH, |(width, _)| usize::from(width.0)),
        }
    }
}

pub fn write_table(findings: &Findings, output: &mut impl Write) -> io::Result<()> {
    let style = Style::of_output();
    let (cells, columns) = layout(findings, style.width);
    if !cells.is_empty() {
        let titles = COLUMNS.map(|(title, _, _)| title.to_owned());
        writeln!(
            output,
            "{}",
            style.colours.paint(&line(&titles, &columns), Colour::Bold)
        )?;
    }
    for (row, cells) in findings.mailboxes.iter().zip(&cells) {
        let Some(numbers) = &row.numbers else { continue };
        writeln!(output, "{}", with_bar(&line(cells, &columns), numbers, &style))?;
        below(numbers, &style, output)?;
    }
    writeln!(output, "{}", total(findings.total, findings.mailboxes.len()))?;
    problems(findings, &style, output)
}

/// The cells of all mailboxes, and how wide the columns are. Where columns would go that say more, the bars go instead.
fn layout(findings: &Findings, room: usize) -> (Vec<[String; COLUMNS.len()]>, [usize; COLUMNS.len()]) {
    let with = |quota: fn(&Numbers) -> String| {
        let rows = findings.mailboxes.iter();
        let all: Vec<_> = rows
            .filter_map(|row| Some(cells(row, row.numbers.as_ref()?, quota)))
            .collect();
        let widths = fitting(&all, room);
        (all, widths)
    };
    let (cells, widths) = with(quota);
    let is_lost = |(width, (_, _, order)): (&usize, (&str, Side, u32))| *width == 0 && order > 2;
    match widths.iter().zip(COLUMNS).any(is_lost) {
        true => with(quota_share),
        false => (cells, widths),
    }
}

fn cells(row: &Row, numbers: &Numbers, quota: fn(&Numbers) -> String) -> [String; COLUMNS.len()] {
    let survey = &numbers.survey;
    let share = |count: Count| match survey.all.messages {
        0 => String::new(),
        _ if !survey.is_judged() => String::new(),
        all => format!("{}%", count.messages * 100 / all),
    };
    [
        shortened(&make_visible(&row.display_name().to_string_lossy())),
        short_size(row.bytes),
        quota(numbers),
        survey.all.messages.to_string(),
        (survey.all.messages - survey.seen.messages).to_string(),
        share(survey.of(MailKind::Bounce)),
        share(survey.of(MailKind::Loop)),
        share(survey.of(MailKind::List)),
        survey.oldest.map(day_text).unwrap_or_default(),
        match numbers.growth {
            Some((grown, _)) if grown < 0 => format!("-{}", short_size(grown.unsigned_abs())),
            Some((grown, _)) => format!("+{}", short_size(grown.unsigned_abs())),
            None => String::new(),
        },
    ]
}

fn shortened(name: &str) -> String {
    cut_to_columns(name, NAME, "...")
}

/// A bar, the share and the limit.
fn quota(numbers: &Numbers) -> String {
    let drawn = numbers.quota_share().map(|share| format!("[{}] ", bar(share)));
    drawn.unwrap_or_default() + &quota_share(numbers)
}

fn quota_share(numbers: &Numbers) -> String {
    let Some(share) = numbers.quota_share() else {
        return "none".to_owned();
    };
    let limit = match (numbers.limit.bytes, numbers.limit.messages) {
        (Some(bytes), _) => short_size(bytes),
        (None, Some(messages)) => format!("{messages} messages"),
        (None, None) => String::new(),
    };
    format!("{share}% of {limit}")
}

fn bar(share: u64) -> String {
    let full = (share.saturating_mul(BAR) / 100).min(BAR);
    (0..BAR).map(|at| if at < full { '#' } else { '.' }).collect()
}

/// Colours the bar: green, yellow from four fifths on, red when it is full.
fn with_bar(line: &str, numbers: &Numbers, style: &Style) -> String {
    let Some(share) = numbers.quota_share() else {
        return line.to_owned();
    };
    let colour = match share {
        0..80 => Colour::Green,
        80..100 => Colour::Yellow,
        _ => Colour::Red,
    };
    let bar = format!("[{}]", bar(share));
    line.replacen(&bar, &style.colours.paint(&bar, colour), 1)
}

/// How wide each column is; the less telling ones go where there is no room, and are nothing wide.
fn fitting(cells: &[[String; COLUMNS.len()]], room: usize) -> [usize; COLUMNS.len()] {
    let mut widths = COLUMNS.map(|(title, _, _)| title.len());
    for row in cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(count_columns(cell));
        }
    }
    let total = |widths: &[usize]| {
        widths
            .iter()
            .filter(|width| **width > 0)
            .map(|width| width + 2)
            .sum::<usize>()
    };
    for turn in 1.. {
        let goes = COLUMNS.iter().position(|(_, _, order)| *order == turn);
        if total(&widths) <= room.saturating_add(2) || turn > 7 {
            break;
        }
        if let Some(width) = goes.and_then(|at| widths.get_mut(at)) {
            *width = 0;
        }
    }
    widths
}

fn line(cells: &[String; COLUMNS.len()], widths: &[usize; COLUMNS.len()]) -> String {
    let mut text = String::new();
    for ((cell, width), (_, side, _)) in cells.iter().zip(widths).zip(COLUMNS) {
        if *width == 0 {
            continue;
        }
        let room = " ".repeat(width.saturating_sub(count_columns(cell)));
        match side {
            Side::Left => text.extend([cell, room.as_str(), "  "]),
            Side::Right => text.extend([room.as_str(), cell, "  "]),
        }
    }
    text.trim_end().to_owned()
}

/// Why it grows, who fills it, and what helps.
fn below(numbers: &Numbers, style: &Style, output: &mut impl Write) -> io::Result<()> {
    let telling = !matches!(numbers.cause.reason, GrowthReason::Nothing | GrowthReason::Empty);
    if telling || numbers.cause.unread {
        let text = style
            .colours
            .paint(&make_visible(&numbers.cause.to_string()), Colour::Yellow);
        writeln!(output, "    {text}")?;
    }
    if numbers.survey.all.messages >= FEW && numbers.survey.is_judged() {
        let senders: Vec<_> = numbers
            .survey
            .senders
            .first(SENDERS, by_bytes)
            .map(|(address, count)| {
                format!(
                    "{} {} ({})",
                    make_visible(address),
                    short_size(count.bytes),
                    count.messages
                )
            })
            .collect();
        writeln!(output, "    most from: {}", senders.join(", "))?;
    }
    match &numbers.command {
        Some(command) => writeln!(output, "    -> {command}"),
        None => Ok(()),
    }
}

fn total(total: Total, shown: usize) -> String {
    let mut text = format!(
        "{}, {}, {}; {} of it read, the rest known from the last look",
        count_text(total.mailboxes as u64, "mailbox", "mailboxes"),
        size_text(total.bytes),
        message_count_text(total.messages),
        size_text(total.read_bytes)
    );
    if total.read_bytes == total.bytes {
        text.truncate(text.find(';').unwrap_or(text.len()));
    }
    if shown < total.mailboxes {
        text.push_str(&format!("; the first {shown} are shown"));
    }
    text
}

/// What is wrong, each with what to do; mailboxes that somebody may not read are only counted.
fn problems(findings: &Findings, style: &Style, output: &mut impl Write) -> io::Result<()> {
    let rows = || findings.mailboxes.iter().chain(&findings.others);
    for row in rows() {
        for problem in &row.problems {
            let (path, what) = (make_visible(&row.path.to_string_lossy()), make_visible(&problem.what));
            match problem.weight {
                Weight::NotAllowed => continue,
                Weight::Wrong => write!(output, "{}: {path}: {what}", style.colours.paint("wrong", Colour::Red))?,
                Weight::Note => write!(output, "note: {path}: {what}")?,
            }
            match &problem.advice {
                Some(advice) => writeln!(output, "; {}", make_visible(advice))?,
                None => writeln!(output)?,
            }
        }
    }
    let barred = |row: &&Row| row.problems.iter().any(|problem| problem.weight == Weight::NotAllowed);
    match rows().filter(barred).count() {
        0 => Ok(()),
        1 => writeln!(
            output,
            "note: 1 mailbox of somebody else cannot be read; run it as root to see it"
        ),
        many => writeln!(
            output,
            "note: {many} mailboxes of others cannot be read; run it as root to see them"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, bar, count_columns, fitting, line};
    use crate::output::sizes::short_size;

    #[test]
    fn sizes_and_shares_are_short() {
        for (bytes, want) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1536, "1.5K"),
            (78_544_511, "74.9M"),
            (500 << 20, "500M"),
            (1 << 30, "1.0G"),
            (u64::MAX, "15.9E"),
        ] {
            assert_eq!(short_size(bytes), want);
        }
        assert_eq!(
            (bar(0).as_str(), bar(55).as_str(), bar(1000).as_str()),
            ("..........", "#####.....", "##########")
        );
    }

    #[test]
    fn names_of_wide_characters_keep_the_columns_in_line() {
        let rows = ["alice", "山田太郎"].map(|name| {
            let mut cells = COLUMNS.map(|_| "x".to_owned());
            if let Some(cell) = cells.first_mut() {
                *cell = super::shortened(name);
            }
            cells
        });
        let widths = fitting(&rows, usize::MAX);
        let places = rows.map(|cells| count_columns(line(&cells, &widths).split_once('x').unwrap_or_default().0));
        assert_eq!(places.first(), places.last());
        assert_eq!(super::shortened(&"山".repeat(20)), format!("{}...", "山".repeat(10)));
    }

    #[test]
    fn a_narrow_terminal_loses_the_less_telling_columns() {
        let cells = [COLUMNS.map(|(title, _, _)| title.to_lowercase())];
        let titles = COLUMNS.map(|(title, _, _)| title.to_owned());
        let wide = line(&titles, &fitting(&cells, usize::MAX));
        assert!(wide.contains("LOOPS") && wide.contains("UNREAD"), "{wide}");
        for room in [40, 60, 80] {
            let narrow = line(&titles, &fitting(&cells, room));
            assert!(narrow.len() <= room.max(wide.len()), "{narrow}");
            assert!(narrow.starts_with("MAILBOX  SIZE  QUOTA"), "{narrow}");
        }
        let narrow = line(&titles, &fitting(&cells, 60));
        assert!(
            narrow.len() <= 60 && !narrow.contains("LOOPS") && narrow.contains("GROWTH"),
            "{narrow}"
        );
    }
}
