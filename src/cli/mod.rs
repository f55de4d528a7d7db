//! The command line, as clap reads it: commands, arguments and flags, with their help. No behaviour.

pub mod config;
pub mod doctor;
pub mod fast_path;
pub mod mistake;
pub mod shown;
pub mod spool;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::doctor::DoctorArguments;
use crate::config::location::MailStore;
use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};

/// A delivery guard: judges one message, then appends, forwards or diverts it, so that no forward can loop.
#[derive(Debug, Parser)]
#[command(
    name = "spoolguard",
    version,
    subcommand_required = true,
    after_help = "Start it from .forward, procmailrc or the MTA in place of a plain forward:\n\n    \
                  \"|/usr/bin/spoolguard forward bob@example.net\"\n\n\
                  A delivery exits with 0 (the message is safe), 75 (the MTA has to try again) or, only\n\
                  with when_full = \"refuse\", 77. Other commands exit with 0, 1 (something is wrong), 64\n\
                  (usage) or 75.\n\n\
                  Configuration: /etc/spoolguard.toml, then ~/.config/spoolguard.toml. None is needed."
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub everywhere: Everywhere,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Makes the path of the configuration absolute, before a run changes its directory or starts another one.
    pub fn make_config_absolute(&mut self) {
        if let Some(path) = &mut self.everywhere.config
            && let Ok(absolute) = std::path::absolute(&*path)
        {
            *path = absolute;
        }
    }
}

/// Flags of every command.
#[derive(Args, Clone, Debug, Default)]
pub struct Everywhere {
    /// Read this configuration file, and no other
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Show what would be done, and do nothing; a delivery exits with 75
    #[arg(short = 'n', long, global = true)]
    pub dry_run: bool,
    /// Log to standard error where there is no syslog; twice for more
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
}

impl Everywhere {
    /// The words that say the same to a run that this one starts.
    pub fn arguments(&self) -> Vec<OsString> {
        let config = self
            .config
            .iter()
            .flat_map(|path| [OsString::from("--config"), path.into()]);
        let dry_run = self.dry_run.then(|| OsString::from("--dry-run"));
        let verbose = (0..self.verbose).map(|_| OsString::from("-v"));
        config.chain(dry_run).chain(verbose).collect()
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge the message on standard input, then append it to the mailbox
    ///
    /// Exits with 0 when the message is safe, 75 when the MTA has to try again, 77 only where the configuration says
    /// when_full = "refuse".
    #[command(
        after_help = "Examples:\n    spoolguard deliver < message\n    spoolguard deliver --user alice --dry-run < message"
    )]
    Deliver(AppendTarget),
    /// Judge the message on standard input, then forward it
    ///
    /// Bounces and loops go to the administrator instead.
    #[command(
        after_help = "Examples:\n    In .forward, with the quotes:\n        \"|/usr/bin/spoolguard forward bob@example.net\"\n    In procmailrc, in this form only:\n        :0 w\n        | /usr/bin/spoolguard forward bob@example.net\n        EXITCODE=75\n        HOST=stop\n    In /etc/aliases:\n        sales: \"|/usr/bin/spoolguard forward --as sales bob@example.net\"\n    To try it:\n        spoolguard forward bob@example.net --dry-run < message"
    )]
    Forward {
        /// The addresses to forward to
        #[arg(required = true, value_name = "ADDRESS", value_hint = ValueHint::EmailAddress)]
        addresses: Vec<String>,
        /// Deliver a copy into the mailbox, too
        #[arg(long)]
        keep: bool,
        /// The alias that it is for: its mailbox and its state are in [aliases] dir
        #[arg(
            long = "as",
            value_name = "ALIAS",
            conflicts_with = "user",
            help_heading = "Envelope"
        )]
        alias: Option<String>,
        /// Who it is for, and where it goes.
        #[command(flatten)]
        target: AppendTarget,
    },
    /// Copy standard input to standard output with the verdict in a header, X-Spoolguard-Verdict
    ///
    /// For procmail (`:0 fw`), maildrop (`xfilter`) and Sieve (`filter`).
    #[command(after_help = "Examples:\n    In procmailrc:\n        :0 fw\n        | /usr/bin/spoolguard filter")]
    Filter(Who),
    /// Return a bounce that came to an SRS address to whoever wrote the message
    ///
    /// For the aliases srs0 and srs1, where sender = "srs". A copy goes to the user who forwarded, whose guard learns
    /// from it. What is no bounce and no automatic answer, or came to an address that does not hold, goes to the
    /// administrator.
    #[command(
        after_help = "Examples:\n    In /etc/aliases:\n        srs0: \"|/usr/bin/spoolguard return\"\n        srs1: \"|/usr/bin/spoolguard return\"\n    To try it:\n        spoolguard return -a ADDRESS -f '<>' --dry-run < message"
    )]
    Return(Who),
    /// Stand in for sendmail: a Sieve redirect becomes a guarded forward, everything else goes to the real one
    ///
    /// For Dovecot's sendmail_path. What is no redirect of the user who runs this is handed to the program of [forward]
    /// transport, with the same arguments and the same input; its output and exit status are that program's. Also what
    /// the name spoolguard-sendmail does.
    #[command(after_help = "Examples:\n    In dovecot.conf:\n        sendmail_path = /usr/bin/spoolguard sendmail")]
    Sendmail {
        /// What sendmail is to be called with
        #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Answer whether mailboxes have room, while the client that sends is still there
    ///
    /// Without an address it answers an MTA on standard input and output: Postfix (check_policy_service), Exim
    /// (readsocket), OpenSMTPD. The answer is DUNNO, or the reply of [policy] full.
    ///
    /// With an address it says what would be answered, and why: exits with 0 when nothing is known against a message, 1
    /// when the mailbox is full.
    #[command(
        after_help = "Examples:\n    spoolguard policy alice@example.org --size 2000000\n    In master.cf of Postfix:\n        policy unix - n n - 0 spawn user=nobody argv=/usr/bin/spoolguard policy\n    In smtpd.conf of OpenSMTPD:\n        filter \"quota\" proc-exec \"/usr/bin/spoolguard policy --opensmtpd\""
    )]
    Policy(PolicyArguments),
    /// Show what each message is, by which markers, and what would be done with it
    ///
    /// Reads messages, mboxes, maildirs and directories; changes nothing. Exits with 1 when something cannot be read.
    ///
    /// With --is it is a condition and prints nothing: 0 when every message is one of these, else 1.
    #[command(
        after_help = "Examples:\n    spoolguard inspect /var/mail/alice\n    spoolguard inspect --summary /var/mail/alice\n    spoolguard inspect < message\n    In procmailrc:\n        :0\n        * ? /usr/bin/spoolguard inspect --is bounce,loop\n        bounces/"
    )]
    Inspect(InspectArguments),
    /// Run every message of a stored mailbox through the guard
    ///
    /// Each is judged, then appended or forwarded as if it came in now. The mailbox itself stays as it is. Exits with
    /// 75 when some message could not be delivered, after trying the others.
    #[command(
        after_help = "Examples:\n    spoolguard replay old.mbox --user alice\n    spoolguard replay old.mbox --user alice --forward bob@example.net"
    )]
    Replay {
        /// The mailboxes: Maildirs, or of mboxo, mboxrd or mboxcl2 form
        #[arg(required = true, value_name = "MAILBOX")]
        mailboxes: Vec<PathBuf>,
        /// Forward to this address instead of appending; may be repeated
        #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::EmailAddress)]
        forward: Vec<String>,
        /// Append a copy of what is forwarded
        #[arg(long, requires = "forward")]
        keep: bool,
        /// Who it is for, and where it goes.
        #[command(flatten)]
        target: AppendTarget,
    },
    /// Show which forwards fail or are suspended; suspend one, or resume it
    ///
    /// Exits with 1 when some forward is suspended, mail was kept that can be sent on, or what is remembered cannot be
    /// read; with --resume, --suspend, --send-kept or --due only when that could not be done.
    #[command(
        after_help = "Examples:\n    spoolguard status\n    spoolguard status --resume bob@example.net\n    spoolguard status --send-kept bob@example.net\n    spoolguard status --all          as root"
    )]
    Status(StatusArguments),
    /// Show what became of a message, or of the mail of an address, from the log and from the state
    ///
    /// Reads the journal, else the mail log. A bounce belongs to the message that it is about. Exits with 1 when
    /// nothing is known.
    #[command(
        after_help = "Examples:\n    spoolguard trace '<lunch@example.com>'\n    spoolguard trace bob@example.net --log /var/log/mail.log\n    spoolguard trace bob@example.net --as sales"
    )]
    Trace(TraceArguments),
    /// Maintain mailboxes that have grown: list, archive, sweep, restore
    #[command(
        after_help = "Examples:\n    spoolguard spool list\n    spoolguard spool archive alice --older-than 90d --dry-run\n    spoolguard spool sweep alice --bounces\n    spoolguard spool restore --list /var/backups/mail/alice-20261102T031500Z.tar.gz"
    )]
    #[command(subcommand)]
    Spool(spool::SpoolCommand),
    /// Check this host's mail setup
    ///
    /// Looks at locks, modes, sendmail, the administrator's address and how MTAs run spoolguard. Changes nothing. Exits
    /// with 1 when something is wrong. A user's run checks what that user can see; root's checks everybody who has a
    /// .forward or a procmailrc, and the aliases. -v also shows the checks that passed.
    #[command(
        after_help = "Examples:\n    spoolguard doctor\n    spoolguard doctor --user alice -v\n    spoolguard doctor --as sales\n    spoolguard doctor --pair /srv/mail        (on both hosts)"
    )]
    Doctor(DoctorArguments),
    /// Check or show the configuration
    #[command(
        after_help = "Examples:\n    spoolguard config check\n    spoolguard config check new.toml\n    spoolguard config show --changed"
    )]
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

/// Who a message is for, and who sent it. Each has a default from what the mail system says in the environment.
#[derive(Args, Clone, Debug, Default)]
pub struct Who {
    /// The user whose mailbox it is [default: who runs this]
    #[arg(short = 'd', long, value_name = "NAME", value_hint = ValueHint::Username, help_heading = "Envelope")]
    pub user: Option<String>,
    /// The address it was sent to [default: RECIPIENT, LOCAL@DOMAIN, Delivered-To, or user@host]
    #[arg(short = 'a', long, value_name = "ADDR", value_hint = ValueHint::EmailAddress, allow_hyphen_values = true, help_heading = "Envelope")]
    pub recipient: Option<String>,
    /// The envelope sender; '' or '<>' is the null sender [default: SENDER, Return-Path, or the From_ line]
    #[arg(short = 'f', long, value_name = "ADDR", value_hint = ValueHint::EmailAddress, allow_hyphen_values = true, help_heading = "Envelope")]
    pub sender: Option<String>,
    /// The alias in whose name it is forwarded, where it is no user's: a flag of some commands alone.
    #[arg(skip)]
    pub alias: Option<String>,
}

/// Where a message is appended.
#[derive(Args, Clone, Debug, Default)]
pub struct AppendTarget {
    /// Who it is for.
    #[command(flatten)]
    pub who: Who,
    /// The mailbox: the path of an mbox, or of a Maildir with a slash at its end [default: [mailbox] location]
    #[arg(short = 'm', long, value_name = "LOCATION", value_parser = MailStore::parse, value_hint = ValueHint::AnyPath, help_heading = "Envelope")]
    pub mailbox: Option<MailStore>,
}

/// Whom to answer, or which question.
#[derive(Args, Clone, Debug, Default)]
pub struct PolicyArguments {
    /// Ask about this address; without it, answer an MTA
    #[arg(value_name = "ADDRESS", value_hint = ValueHint::EmailAddress, conflicts_with = "opensmtpd")]
    pub address: Option<String>,
    /// How large the message is, in bytes; -1 is unknown
    #[arg(long, value_name = "N", requires = "address", allow_negative_numbers = true)]
    pub size: Option<i64>,
    /// Speak the filter protocol of OpenSMTPD
    #[arg(long)]
    pub opensmtpd: bool,
    /// Print one JSON object a line
    #[arg(long, requires = "address", help_heading = "Output")]
    pub json: bool,
}

/// What is inspected, and how it is shown.
#[derive(Args, Clone, Debug, Default)]
pub struct InspectArguments {
    /// What to read; - is standard input [default: standard input]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Print only counts: what the messages are, and what would be done
    #[arg(long, conflicts_with = "is", help_heading = "Output")]
    pub summary: bool,
    /// Ask whether every message is one of these
    #[arg(long, value_name = "VERDICT", value_delimiter = ',', help_heading = "Selection",
          value_parser = ["loop", "bounce", "complaint", "receipt", "auto-reply", "notice", "ordinary"])]
    pub is: Vec<String>,
    /// Who it is for.
    #[command(flatten)]
    pub who: Who,
}

/// What is shown or changed, and of whom.
#[derive(Args, Clone, Debug, Default)]
pub struct StatusArguments {
    /// Print one JSON object a line
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Print metrics for Prometheus' textfile collector
    #[arg(long, conflicts_with_all = ["json", "resume", "suspend", "send_kept", "due"], help_heading = "Output")]
    pub prometheus: bool,
    /// Forward to this address again, whoever suspended it
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::EmailAddress, conflicts_with_all = ["suspend", "due"])]
    pub resume: Option<String>,
    /// Keep what would be forwarded to this address in the mailbox, until --resume
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::EmailAddress, conflicts_with = "due")]
    pub suspend: Option<String>,
    /// Send on what was kept for this address instead of being sent there, each message once, oldest first
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::EmailAddress, conflicts_with_all = ["resume", "suspend", "due"])]
    pub send_kept: Option<String>,
    /// With --send-kept: do not ask
    #[arg(short, long, requires = "send_kept")]
    pub yes: bool,
    /// One message of those: for the runs that --send-kept starts
    #[arg(long, hide = true, requires = "send_kept")]
    pub one: Option<String>,
    /// Note what is no longer in the mailbox: for the runs that `spool archive` starts
    #[arg(long, hide = true, conflicts_with_all = ["all", "resume", "suspend", "send_kept", "due"])]
    pub archived: Option<String>,
    /// Do what time has made due, although no mail came: end suspensions, write notices, send digests
    #[arg(long)]
    pub due: bool,
    /// For every user and alias with a state directory; for root
    #[arg(long, conflicts_with_all = ["user", "alias", "resume", "suspend", "send_kept"], help_heading = "Selection")]
    pub all: bool,
    /// The alias whose forwards they are, as in forward --as
    #[arg(
        long = "as",
        value_name = "ALIAS",
        conflicts_with = "user",
        help_heading = "Selection"
    )]
    pub alias: Option<String>,
    /// The user whose forwards they are [default: who runs this]
    #[arg(short = 'd', long, value_name = "NAME", value_hint = ValueHint::Username, help_heading = "Selection")]
    pub user: Option<String>,
}

/// What is looked for, and where.
#[derive(Args, Clone, Debug, Default)]
pub struct TraceArguments {
    /// A Message-ID, a user of this host, or an address that mail came from, went to or failed at
    #[arg(value_name = "MESSAGE-ID|ADDRESS")]
    pub what: String,
    /// Read this log file; may be repeated, the oldest first [default: the journal, else /var/log/mail.log]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, help_heading = "Selection")]
    pub log: Vec<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// The alias whose state is looked into, as in forward --as
    #[arg(
        long = "as",
        value_name = "ALIAS",
        conflicts_with = "user",
        help_heading = "Selection"
    )]
    pub alias: Option<String>,
    /// The user whose state is looked into [default: who runs this; for root everybody's and every alias's]
    #[arg(short = 'd', long, value_name = "NAME", value_hint = ValueHint::Username, help_heading = "Selection")]
    pub user: Option<String>,
    /// Leave the log out: for the runs that root's starts
    #[arg(long, hide = true)]
    pub state_only: bool,
}
