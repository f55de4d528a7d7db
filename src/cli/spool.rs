//! The arguments of `spoolguard spool` and its commands. No behaviour.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum, ValueHint};

use crate::config::location::MailStore;
use crate::config::value::{Age, Size, with_unit};

/// Care for mailboxes that have grown.
#[derive(Clone, Debug, Subcommand)]
pub enum SpoolCommand {
    /// Show how large each mailbox is, what it holds, why it grows, and which command helps
    ///
    /// Changes nothing. Exits with 1 when something is wrong: a stray file, a wrong owner, a stale lock.
    #[command(after_help = "Examples:\n    spoolguard spool list\n    spoolguard spool list --sort growth --top 10")]
    List(Listing),
    /// Pack mail into an archive, read it back, and only then take it out of the mailbox
    ///
    /// Which mail has to be given: --all-mail, or one or more of --older-than, --bounces, --seen and --down-to, which
    /// narrow each other. Shows what it would take, and asks on a terminal; --yes takes it. Mail that comes meanwhile
    /// remains. Mailbox, owner, group and mode stay as they are. Exits with 1 when a mailbox could not be done, after
    /// doing the others, or when nothing was done.
    #[command(
        override_usage = "spoolguard spool archive [OPTIONS] <WHAT>...|--all --all-mail\n       \
                          spoolguard spool archive [OPTIONS] <WHAT>...|--all [--older-than <AGE>]\n           \
                          [--bounces] [--seen] [--down-to <SIZE>]",
        after_help = "Examples:\n    spoolguard spool archive alice --older-than 90d --seen --dry-run\n    spoolguard spool archive alice --all-mail\n    spoolguard spool archive --all --larger-than 500M --down-to 400M --yes"
    )]
    Archive {
        /// Which mailboxes.
        #[command(flatten)]
        what: What,
        /// Which mail.
        #[command(flatten)]
        mail: Mail,
        /// Where to.
        #[command(flatten)]
        packing: Packing,
        /// Whether it is done, and what is printed.
        #[command(flatten)]
        changing: Changing,
    },
    /// Take bounces, loops and duplicates out of a mailbox into an archive; leave the rest as it is, in order
    ///
    /// Shows what it would take, and asks on a terminal; --yes takes it. Without --loops and --duplicates these are
    /// bounces. It also counts the messages that never arrived and that the bounces carry inside; --rescue puts them
    /// into the mailbox. -v names them.
    #[command(
        after_help = "Examples:\n    spoolguard spool sweep alice --bounces\n    spoolguard spool sweep alice --rescue --yes"
    )]
    Sweep {
        /// Which mailboxes.
        #[command(flatten)]
        what: What,
        /// Which mail.
        #[command(flatten)]
        dirt: Dirt,
        /// Where to.
        #[command(flatten)]
        packing: Packing,
        /// Whether it is done, and what is printed.
        #[command(flatten)]
        changing: Changing,
    },
    /// List the archives, the newest of each user first
    ///
    /// Root sees those of everybody, a user the own ones.
    #[command(after_help = "Examples:\n    spoolguard spool archives\n    spoolguard spool archives alice")]
    Archives {
        /// Whose archives [default: everybody's]
        #[arg(value_name = "USER", value_hint = ValueHint::Username)]
        user: Option<String>,
        /// Print one JSON object a line
        #[arg(long, help_heading = "Output")]
        json: bool,
    },
    /// Put archived mail back into a mailbox, nothing twice
    ///
    /// Shows what it would put back, and asks on a terminal; --yes does it. Reads archives of spoolguard, of `tar czf`,
    /// and plain or compressed mailboxes.
    #[command(
        after_help = "Examples:\n    spoolguard spool restore alice --list\n    spoolguard spool restore alice --since 2026-10-01\n    spoolguard spool restore alice-20261102T031500Z.tar.gz --yes"
    )]
    Restore(Selection),
}

/// Which mailboxes.
#[derive(Args, Clone, Debug, Default)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["what", "all"]))]
pub struct What {
    /// A user's name, or the path of a mailbox; may be repeated
    #[arg(value_name = "WHAT")]
    pub what: Vec<PathBuf>,
    /// Every mailbox of the spool directory, or every user's Maildir
    #[arg(long, conflicts_with = "what", help_heading = "Selection")]
    pub all: bool,
    /// Only mailboxes that are larger than this
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Selection")]
    pub larger_than: Option<Size>,
    /// Whose mail a path holds [default: who owns the file]
    #[arg(short = 'd', long, value_name = "NAME", value_hint = ValueHint::Username, help_heading = "Selection")]
    pub user: Option<String>,
}

/// Which mail of a mailbox is archived.
#[derive(Args, Clone, Debug, Default)]
#[command(group = ArgGroup::new("which_mail").required(true).multiple(true).args(["all_mail", "older_than", "bounces", "seen", "down_to"]))]
pub struct Mail {
    /// Everything
    #[arg(long, conflicts_with_all = ["older_than", "bounces", "seen", "down_to"], help_heading = "Selection")]
    pub all_mail: bool,
    /// What was delivered longer ago than this
    #[arg(long, value_name = "AGE", value_parser = age, help_heading = "Selection")]
    pub older_than: Option<Age>,
    /// Bounces, and other reports of MTAs
    #[arg(long, help_heading = "Selection")]
    pub bounces: bool,
    /// What the user has seen
    #[arg(long, help_heading = "Selection")]
    pub seen: bool,
    /// No more than is needed, oldest first, so that no more than this remains
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Selection")]
    pub down_to: Option<Size>,
}

/// Which mail a sweep takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Dirt {
    /// Bounces, and other reports of MTAs
    #[arg(long, help_heading = "Selection")]
    pub bounces: bool,
    /// What has been here before
    #[arg(long, help_heading = "Selection")]
    pub loops: bool,
    /// What the mailbox holds already, further up
    #[arg(long, help_heading = "Selection")]
    pub duplicates: bool,
    /// Only what was delivered longer ago than this
    #[arg(long, value_name = "AGE", value_parser = age, help_heading = "Selection")]
    pub older_than: Option<Age>,
    /// Put the messages that these reports carry inside into the mailbox first, each once
    #[arg(long)]
    pub rescue: bool,
}

/// What every command that changes mailboxes has.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Changing {
    /// Do it without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Print one JSON object a line
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

/// Where an archive goes, and in which form.
#[derive(Args, Clone, Debug)]
pub struct Packing {
    /// The directory of the archive [default: dir of [archive] in the configuration]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Archive")]
    pub to: Option<PathBuf>,
    /// Take nothing out when what stays behind it would be moved under the lock for longer than this
    #[arg(long, value_name = "TIME", value_parser = age, default_value = "60s", help_heading = "Archive")]
    pub lock_at_most: Age,
}

/// What a list shows.
#[derive(Args, Clone, Debug)]
pub struct Listing {
    /// A user's name, or the path of a mailbox [default: every mailbox of the spool directory, or every user's Maildir]
    #[arg(value_name = "WHAT")]
    pub what: Vec<PathBuf>,
    /// Only mailboxes that are larger than this
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Selection")]
    pub larger_than: Option<Size>,
    /// In which order
    #[arg(long, value_name = "KEY", value_enum, default_value_t = SortKey::Size, help_heading = "Output")]
    pub sort: SortKey,
    /// Only so many
    #[arg(long, value_name = "COUNT", help_heading = "Output")]
    pub top: Option<usize>,
    /// Read everything again, whatever the last look found
    #[arg(long, help_heading = "Output")]
    pub fresh: bool,
    /// Read the messages of Maildirs, too: what they are, and why they grow
    #[arg(long, help_heading = "Output")]
    pub contents: bool,
    /// Print one JSON object a line
    #[arg(long, conflicts_with = "prometheus", help_heading = "Output")]
    pub json: bool,
    /// Print metrics for Prometheus' textfile collector
    #[arg(long, help_heading = "Output")]
    pub prometheus: bool,
}

/// In which order mailboxes are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SortKey {
    /// The largest first.
    Size,
    /// The one with the most messages first.
    Messages,
    /// The one with the most reports from mail systems first.
    Bounces,
    /// The one that grew most since the last look first.
    Growth,
    /// The one with the oldest mail first.
    Oldest,
    /// By name.
    Name,
}

/// Which archived mail is put back, and where to.
#[derive(Args, Clone, Debug)]
pub struct Selection {
    /// The archives: paths, names in the directory of archives, or a user, whose newest archive it is
    #[arg(required_unless_present = "overflow", value_name = "ARCHIVE|USER")]
    pub archives: Vec<PathBuf>,
    /// What lies in the user's overflow, oldest first, as far as it fits
    #[arg(long, conflicts_with_all = ["list", "since", "until", "from", "message_id", "ignore_quota"])]
    pub overflow: bool,
    /// List what is in them, and put nothing back
    #[arg(long)]
    pub list: bool,
    /// Whether it is done, and what is printed.
    #[command(flatten)]
    pub changing: Changing,
    /// Only what was delivered on this day or later
    #[arg(long, value_name = "DATE", help_heading = "Selection")]
    pub since: Option<String>,
    /// Only what was delivered before this day
    #[arg(long, value_name = "DATE", help_heading = "Selection")]
    pub until: Option<String>,
    /// Only what this address or name sent
    #[arg(long, value_name = "TEXT", help_heading = "Selection")]
    pub from: Option<String>,
    /// Only the message with this Message-ID; may be repeated
    #[arg(long, value_name = "ID", help_heading = "Selection")]
    pub message_id: Vec<String>,
    /// Whose mailbox it goes to [default: what the archive's name says]
    #[arg(short = 'd', long, value_name = "NAME", value_hint = ValueHint::Username)]
    pub user: Option<String>,
    /// The mailbox, the path of an mbox, or of a Maildir with a slash at its end [default: [mailbox] location]
    #[arg(short = 'm', long, value_name = "LOCATION", value_parser = MailStore::parse, value_hint = ValueHint::AnyPath)]
    pub mailbox: Option<MailStore>,
    /// Put back even what makes the mailbox larger than it may grow
    #[arg(long)]
    pub ignore_quota: bool,
}

fn size(text: &str) -> Result<Size, String> {
    text.parse().map_err(|()| match text.parse::<u64>() {
        Ok(number) => format!("a size needs a unit, such as {}", with_unit(number)),
        Err(_) => "expected a size such as 50M or 1G".to_owned(),
    })
}

fn age(text: &str) -> Result<Age, String> {
    text.parse()
        .map_err(|()| "expected a length of time such as 90d or 12h".to_owned())
}
