//! Collects what is known of the host before anything is judged: its configuration, its mail programs' settings, its
//! aliases.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;

use crate::cli::Everywhere;
use crate::config::Config;
use crate::config::load::{self, ConfigSources, KeySelection};
use crate::doctor::rules::aliases::{Aliases, End, Names};
use crate::doctor::rules::master_cf::{self, PostfixService};
use crate::doctor::rules::rcpt_check::RESTRICTIONS;
use crate::doctor::rules::settings::{Settings, parse_blocks};
use crate::doctor::rules::{Check, Finding, dovecot};
use crate::output::shell::program_command;
use crate::sys::account;
use crate::sys::child::{self, Streams};

const ASK_TIME: Duration = Duration::from_secs(10);

/// Says where mail programs are looked for, in place of `PATH` and the directories of the system.
pub const SEARCH_VARIABLE: &str = "SPOOLGUARD_PATH";

/// Says where `/etc` and `/proc` of the host are, for one that is mounted elsewhere.
pub const ROOT_VARIABLE: &str = "SPOOLGUARD_ROOT";

/// A file of the host that is examined.
pub fn host_path(path: &str) -> PathBuf {
    match std::env::var_os(ROOT_VARIABLE) {
        Some(root) => Path::new(&root).join(path.trim_start_matches('/')),
        None => PathBuf::from(path),
    }
}

/// A file that somebody writes by hand is not larger, in bytes.
const TEXT_BYTES: u64 = 1 << 20;

/// How much of a complaint is shown, in characters.
const SAID: usize = 120;

const ALIASES_FILE: &str = "/etc/aliases";

/// The kinds of tables that are made from a text file of the same name.
pub const TEXT_TABLES: [&str; 7] = ["hash", "texthash", "btree", "cdb", "dbm", "lmdb", "sdbm"];

const POSTFIX_SETTINGS: [&str; 27] = [
    "alias_maps",
    "allow_mail_to_commands",
    "authorized_submit_users",
    "command_time_limit",
    "default_privs",
    "deliver_lock_attempts",
    "deliver_lock_delay",
    "forward_path",
    "home_mailbox",
    "local_command_shell",
    "local_transport",
    "mailbox_command",
    "mailbox_command_maps",
    "mailbox_delivery_lock",
    "mailbox_size_limit",
    "mailbox_transport",
    "mailbox_transport_maps",
    "message_size_limit",
    "mydestination",
    "myhostname",
    "myorigin",
    "queue_directory",
    "recipient_delimiter",
    "virtual_alias_maps",
    "virtual_mailbox_base",
    "virtual_mailbox_domains",
    "virtual_mailbox_lock",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoctorScope {
    Host,
    /// The mail of one user, for which only the mail system is asked: there may be thousands of users.
    User,
}

pub struct HostFacts {
    /// The administrator's configuration; the defaults where it cannot be used.
    pub config: Config,
    /// Why it cannot be used.
    pub unusable: Option<String>,
    /// The configuration file that the command line names.
    pub chosen: Option<PathBuf>,
    /// What Postfix says, where it is installed.
    pub postfix: Option<Settings>,
    pub dovecot: Option<Settings>,
    pub exim: Option<Vec<(String, Settings)>>,
    pub exim_routers: Vec<(String, Settings)>,
    /// Postfix's services that run spoolguard.
    pub services: Vec<PostfixService>,
    /// What procmail says of itself.
    pub procmail: Option<String>,
    /// What mutt says of itself.
    pub mutt: Option<String>,
    pub maildrop: Option<PathBuf>,
    /// Whether OpenSMTPD is installed.
    pub has_smtpd: bool,
    /// The aliases that could be read.
    pub aliases: Aliases,
    pub alias_files: Vec<PathBuf>,
    /// Why there may be more names than can be seen.
    pub unseen: Option<String>,
    /// Where programs are looked for.
    pub dirs: Vec<PathBuf>,
    pub findings: Vec<Finding>,
}

impl HostFacts {
    /// Reads the configuration, and asks whom the scope needs.
    pub fn collect_facts(scope: DoctorScope, everywhere: &Everywhere) -> Self {
        let mut findings = Vec::new();
        let chosen = everywhere.config.clone();
        let (config, unusable) = configuration(chosen.as_deref(), &mut findings);
        let dirs = match std::env::var_os(SEARCH_VARIABLE) {
            Some(path) => std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect(),
            None => child::search_path(std::env::var_os("PATH").as_deref()),
        };
        let mut asker = Asker {
            scope,
            dirs,
            findings: &mut findings,
        };
        let postfix = asker.ask(
            &["postconf"],
            &[&["-x"], &POSTFIX_SETTINGS[..], &RESTRICTIONS[..]].concat(),
        );
        let master = asker.ask_for_host(&["postconf"], &["-M"]);
        let services = master.as_deref().map(master_cf::parse_services).unwrap_or_default();
        let limits = services
            .iter()
            .map(|service| format!("{}_destination_recipient_limit", service.name));
        let limits: Vec<String> = limits.collect();
        let names = limits.iter().map(String::as_str);
        let words: Vec<_> = std::iter::once("-x").chain(names).collect();
        let limits = (!limits.is_empty()).then(|| asker.ask(&["postconf"], &words)).flatten();
        let dovecot = asker.ask_for_host(&["doveconf"], &dovecot::ASKED);
        let exim = asker.ask_for_host(&["exim4", "exim"], &["-bP", "transports"]);
        let exim_routers = asker.ask_for_host(&["exim4", "exim"], &["-bP", "routers"]);
        let procmail = asker.ask_for_host(&["procmail"], &["-v"]);
        let mutt = asker.ask_for_host(&["mutt", "neomutt"], &["-v"]);
        let maildrop = child::find_program("maildrop", &asker.dirs);
        let has_smtpd = child::find_program("smtpd", &asker.dirs).is_some()
            && child::find_program("smtpctl", &asker.dirs).is_some();
        let mut host = Self {
            config,
            unusable,
            chosen,
            postfix: postfix.map(|said| Settings::parse(&format!("{said}\n{}", limits.unwrap_or_default()))),
            services,
            dovecot: dovecot.as_deref().map(dovecot::parse_settings),
            exim: exim.as_deref().map(|said| parse_blocks(said, " transport:")),
            exim_routers: exim_routers.map_or_else(Vec::new, |said| parse_blocks(&said, " router:")),
            procmail,
            mutt,
            maildrop,
            has_smtpd,
            aliases: Aliases::default(),
            alias_files: Vec::new(),
            unseen: None,
            dirs: asker.dirs,
            findings: Vec::new(),
        };
        host.read_aliases(&mut findings);
        host.findings = findings;
        host
    }

    /// Asks the first of `names` that is installed.
    pub fn ask_programs(&self, findings: &mut Vec<Finding>, names: &[&str], arguments: &[&str]) -> Option<String> {
        let dirs = self.dirs.clone();
        let scope = DoctorScope::Host;
        Asker { scope, dirs, findings }.ask(names, arguments)
    }

    /// What Dovecot says of mailboxes. A run for one user asks only when it needs that: there may be thousands.
    pub fn ask_dovecot(&self) -> Option<Settings> {
        let ask = || self.ask_programs(&mut Vec::new(), &["doveconf"], &dovecot::ASKED);
        self.dovecot.clone().or_else(|| Some(dovecot::parse_settings(&ask()?)))
    }

    /// What a program prints that is expected to fail, with an empty input; none where it is missing, or not trusted.
    pub fn ask_anyway(&self, name: &str) -> Option<(PathBuf, String)> {
        let program = child::find_program(name, &self.dirs).filter(|program| child::is_trusted(program))?;
        let text = match child::output_of(&program, &[], &[], Streams::Both, ASK_TIME) {
            Ok(answer) => answer.text,
            Err(e) => e.to_string(),
        };
        Some((program, text))
    }

    /// The aliases that the mail system uses, as far as they are text.
    fn read_aliases(&mut self, findings: &mut Vec<Finding>) {
        let maps: Vec<String> = match &self.postfix {
            Some(postfix) => postfix.words("alias_maps").into_iter().map(str::to_owned).collect(),
            None => vec![format!("texthash:{ALIASES_FILE}")],
        };
        for map in maps {
            match map.split_once(':') {
                Some((kind, path)) if TEXT_TABLES.contains(&kind) => self.alias_files.push(PathBuf::from(path)),
                _ => self.unseen = Some(format!("alias_maps also names {map}")),
            }
        }
        if let Some(virtual_maps) = self
            .postfix
            .as_ref()
            .and_then(|postfix| postfix.get("virtual_alias_maps"))
            && !virtual_maps.is_empty()
        {
            self.unseen = Some(format!("virtual_alias_maps names {virtual_maps}"));
        }
        for path in &self.alias_files {
            match read_text(path) {
                Ok(text) => self.aliases.add(Aliases::parse(&text)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => {
                    let error = crate::error::Error::io("read", path, &e);
                    findings.push(Check::LeftOut.about("aliases").note(error.to_string()));
                    self.unseen = Some(format!("{} cannot be read", path.display()));
                }
            }
        }
    }

    pub fn find_ends(&self, address: &str) -> Vec<End> {
        self.with_names(|names| names.find_ends(&self.qualified(address)))
    }

    /// Whether diverted mail goes through an alias.
    pub fn serves_admin(&self, alias: &str) -> bool {
        let alias = alias.to_ascii_lowercase();
        let mut admins = std::iter::once(&self.config.admin).chain(self.config.aliases.admins.values());
        self.with_names(|names| {
            admins.any(|admin| {
                let passed = names.aliases_on_the_way(&self.qualified(admin));
                passed.contains(&alias)
            })
        })
    }

    fn with_names<T>(&self, ask: impl FnOnce(&Names<'_>) -> T) -> T {
        ask(&Names {
            aliases: &self.aliases,
            is_user: &|name| matches!(account::find_known(name), Ok(Some(_))),
            is_own_domain: &|domain| self.is_own(domain),
            delimiter: &self.config.recipient_delimiter,
        })
    }

    /// Whether all mail for an address ends on this host.
    pub fn is_here(&self, address: &str) -> bool {
        let is_virtual = |domain: &str| {
            let postfix = self.postfix.iter();
            let names = postfix.flat_map(|postfix| postfix.words("virtual_mailbox_domains"));
            names.into_iter().any(|name| name.eq_ignore_ascii_case(domain))
        };
        self.find_ends(address).iter().all(|end| match end {
            End::Elsewhere(address) => address.rsplit_once('@').is_some_and(|(_, domain)| is_virtual(domain)),
            // A forward to nobody is bounced, and the bounce is forwarded, too. There may be more names than are seen.
            End::Nobody(_) | End::Circle(_) => self.unseen.is_some(),
            End::User(_) | End::Command(_) | End::File(_) | End::Unseen(_) => true,
        })
    }

    /// Postfix gives a bare name its own domain, which on a host without mailboxes is another's.
    fn qualified(&self, address: &str) -> String {
        let origin = self.postfix.as_ref().and_then(|postfix| postfix.get("myorigin"));
        match origin.filter(|origin| !origin.is_empty() && !origin.starts_with('/')) {
            Some(origin) if !address.contains('@') => format!("{address}@{origin}"),
            _ => address.to_owned(),
        }
    }

    fn is_own(&self, domain: &str) -> bool {
        let is = |name: &str| name.eq_ignore_ascii_case(domain);
        match &self.postfix {
            Some(postfix) => is("localhost") || postfix.words("mydestination").into_iter().any(is),
            None => is("localhost") || is(&account::mail_name()) || is(&account::host_name()),
        }
    }
}

/// The administrator's configuration; of a user's own file the run that becomes the user speaks.
fn configuration(chosen: Option<&Path>, findings: &mut Vec<Finding>) -> (Config, Option<String>) {
    match load::load_config(
        ConfigSources::from_choice(chosen, None, account::find_runner().trusted_owners()),
        KeySelection::Whole,
    ) {
        Ok(loaded) => {
            let files: Vec<_> = loaded
                .layers
                .iter()
                .map(|layer| layer.path.display().to_string())
                .collect();
            let (subject, text) = match files.as_slice() {
                [] => ("configuration".to_owned(), "no configuration file; using defaults"),
                files => (files.join(", "), "it can be used"),
            };
            findings.push(Check::Configuration.about(subject).ok(text));
            (loaded.config, None)
        }
        Err(e) => {
            findings.push(Check::Configuration.about("configuration").error(
                format!("{e}: all mail stays in the MTA's queue"),
                format!("fix it, then: {} config check", program_command()),
            ));
            (Config::default(), Some(e.to_string()))
        }
    }
}

/// Asks programs, and notes who does not answer.
struct Asker<'a> {
    scope: DoctorScope,
    dirs: Vec<PathBuf>,
    findings: &'a mut Vec<Finding>,
}

impl Asker<'_> {
    /// Asks where it is the host that is examined.
    fn ask_for_host(&mut self, names: &[&str], arguments: &[&str]) -> Option<String> {
        match self.scope {
            DoctorScope::Host => self.ask(names, arguments),
            DoctorScope::User => None,
        }
    }

    /// Asks the first of `names` that is installed.
    fn ask(&mut self, names: &[&str], arguments: &[&str]) -> Option<String> {
        let program = names.iter().find_map(|name| child::find_program(name, &self.dirs))?;
        let topic = Check::LeftOut.about(program.display());
        if !child::is_trusted(&program) {
            let text = "it was not asked: others than root can change it, and this is root";
            self.findings.push(topic.note(text));
            return None;
        }
        // The instance of Postfix that is meant, where there are several (postfix(1)).
        let instance = std::env::var_os("MAIL_CONFIG");
        let variables: Vec<(&str, &OsStr)> = instance.iter().map(|dir| ("MAIL_CONFIG", dir.as_os_str())).collect();
        let cause = match child::output_of(&program, arguments, &variables, Streams::Both, ASK_TIME) {
            Ok(answer) if answer.status.success() => return Some(answer.text),
            Ok(answer) => {
                let said: String = answer
                    .text
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .take(SAID)
                    .collect();
                format!("it ended with {} when it was asked: {said}", answer.status)
            }
            Err(e) => e.to_string(),
        };
        self.findings.push(topic.note(cause));
        None
    }
}

/// Reads a file that somebody wrote by hand. Neither a FIFO nor an endless one holds us.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut options = File::options();
    let file = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(TEXT_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
