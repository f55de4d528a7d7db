//! Reads configuration files, says where in them something is wrong, and remembers which file said what.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::config::{Config, SYSTEM_FILE, USER_FILE, excerpt};
use crate::error::{Class, Error};

/// More than a configuration takes, with a limit for each of half a million users.
const LARGEST_BYTES: u64 = 16 << 20;

/// A configuration, and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What holds.
    pub config: Config,
    /// The files that were read, the strongest last.
    pub layers: Vec<Layer>,
    /// Keys of the user's file that the administrator does not leave to users; they are without effect.
    pub ignored: Vec<String>,
}

/// What one file says.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The file.
    pub path: PathBuf,
    content: Content,
}

/// What a file says, parsed no earlier than somebody asks for single keys.
#[derive(Clone, Debug)]
enum Content {
    Text(String),
    Table(Table),
}

impl Layer {
    fn table(&self) -> Cow<'_, Table> {
        match &self.content {
            // It was parsed before, into a configuration.
            Content::Text(text) => Cow::Owned(text.parse().unwrap_or_default()),
            Content::Table(table) => Cow::Borrowed(table),
        }
    }
}

/// How much of a configuration is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Extent<'a> {
    /// What is about this user; the limits of other users may be left out, and what is wrong with them.
    User(&'a str),
    /// All of it.
    Whole,
}

/// Which files to read.
#[derive(Clone, Copy, Debug)]
pub enum Sources<'a> {
    /// This file alone; it has to exist.
    Only(&'a Path),
    /// The administrator's, then the user's; neither has to exist.
    Usual {
        /// The user's home directory.
        home: Option<&'a Path>,
    },
}

impl<'a> Sources<'a> {
    /// The file that was asked for, or the usual ones.
    #[must_use]
    pub fn chosen(only: Option<&'a Path>, home: Option<&'a Path>) -> Self {
        match only {
            Some(path) => Self::Only(path),
            None => Self::Usual { home },
        }
    }
}

/// Reads the configuration.
///
/// # Errors
/// When a file cannot be read, is not TOML, or says something that is not allowed.
pub fn load(sources: Sources<'_>, extent: Extent<'_>) -> Result<Loaded, Error> {
    let home = match sources {
        Sources::Only(path) => {
            let text = read(path, open(path))?;
            return Loaded::of_one(path, &text, extent);
        }
        Sources::Usual { home } => home,
    };
    let system = Path::new(SYSTEM_FILE);
    let mut loaded = match read_if_there(system)? {
        Some(text) => Loaded::of_one(system, &text, extent)?,
        None => Loaded {
            config: Config::default(),
            layers: Vec::new(),
            ignored: Vec::new(),
        },
    };
    if let Some(path) = home.map(|home| home.join(USER_FILE))
        && let Some(text) = read_if_there(&path)?
    {
        refuse_shared(&path)?;
        loaded.add_user(&path, &text)?;
    }
    Ok(loaded)
}

/// The directory of the mailboxes as the administrator's file says, whatever a user's or the command line's says; none where that file
/// cannot be used.
#[must_use]
pub fn system_spool_dir() -> Option<PathBuf> {
    // The limits of single users do not matter here; nobody is called by no name.
    let loaded = load(Sources::Usual { home: None }, Extent::User("")).ok()?;
    Some(loaded.config.mailbox.location.dir)
}

impl Loaded {
    fn of_one(path: &Path, text: &str, extent: Extent<'_>) -> Result<Self, Error> {
        let excerpt = match extent {
            Extent::User(user) => excerpt::for_user(text, user),
            Extent::Whole => Cow::Borrowed(text),
        };
        let (config, text) = match parse(path, &excerpt) {
            Ok(config) => (config, excerpt),
            // Named with the line that it has in the whole file.
            Err(_) => (parse(path, text)?, Cow::Borrowed(text)),
        };
        Ok(Self {
            config,
            layers: vec![Layer {
                path: path.to_owned(),
                content: Content::Text(text.into_owned()),
            }],
            ignored: Vec::new(),
        })
    }

    /// Lays the user's file over the administrator's.
    fn add_user(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        // Judged alone first, so that a mistake is named with its line.
        parse(path, text)?;
        let mut user = table(path, text)?;
        let mut merged = Table::new();
        if let Some(system) = self.layers.first() {
            merged = system.table().into_owned();
            let allowed = &self.config.users_may_set;
            user = keep(&user, "", &mut |key| {
                let left = allowed.iter().any(|a| key == a || key.starts_with(&format!("{a}.")));
                if !left {
                    self.ignored.push(key.to_owned());
                }
                left
            });
        }
        overlay(&mut merged, &user);
        self.config = Value::Table(merged)
            .try_into()
            .map_err(|e: toml::de::Error| Error::new(Class::Configuration, "use", path.display(), e.message()))?;
        check(path, text, &self.config)?;
        self.layers.push(Layer {
            path: path.to_owned(),
            content: Content::Table(user),
        });
        Ok(())
    }

    /// Every key with its value as TOML and the file that says so; `None` is the default.
    #[must_use]
    pub fn origins(&self) -> Vec<(String, String, Option<&Path>)> {
        let Ok(Value::Table(all)) = Value::try_from(&self.config) else {
            return Vec::new();
        };
        let mut rows = Vec::new();
        flatten(&all, "", &mut rows);
        rows.into_iter()
            .map(|(key, value)| {
                let from = self.layers.iter().rev().find(|layer| has(&layer.table(), &key));
                (key, value.to_string(), from.map(|layer| layer.path.as_path()))
            })
            .collect()
    }
}

/// Opens what can be read to an end. A FIFO would hold us until the mail system's deadline is over.
fn open(path: &Path) -> io::Result<File> {
    let kind = path.metadata()?.file_type();
    if kind.is_fifo() || kind.is_socket() {
        return Err(io::Error::other("this is no file"));
    }
    File::open(path)
}

fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    match open(path) {
        // There is none, nor a home.
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        file => read(path, file).map(Some),
    }
}

fn read(path: &Path, file: io::Result<File>) -> Result<String, Error> {
    let mut text = String::new();
    let read = file.and_then(|file| file.take(LARGEST_BYTES).read_to_string(&mut text));
    let read = read.and_then(|bytes| match bytes as u64 {
        // A device has no end, and a run that takes all memory is killed.
        LARGEST_BYTES => Err(io::Error::other("it is too large to be one")),
        _ => Ok(text),
    });
    read.map_err(|e| Error::io("read configuration", path, &e).class(Class::Configuration))
}

/// Whoever may write to it could send the user's mail anywhere.
fn refuse_shared(path: &Path) -> Result<(), Error> {
    let stat = path
        .metadata()
        .map_err(|e| Error::io("examine configuration", path, &e).class(Class::Configuration))?;
    if stat.mode() & 0o002 != 0 {
        let cause = "everybody may write to it";
        return Err(Error::new(Class::Configuration, "use configuration", path.display(), cause).hint("chmod go-w it"));
    }
    Ok(())
}

fn parse(path: &Path, text: &str) -> Result<Config, Error> {
    let config: Config = toml::from_str(text).map_err(|e| {
        let place = e.span().map(|span| Place::at(text, span.start));
        wrong(path, place, e.message())
    })?;
    check(path, text, &config)?;
    Ok(config)
}

fn check(path: &Path, text: &str, config: &Config) -> Result<(), Error> {
    config.check().map_err(|(key, cause)| {
        let place = Place::of(text, key).unwrap_or(Place {
            line: 0,
            key: key.to_owned(),
        });
        wrong(path, Some(place), &cause)
    })
}

fn table(path: &Path, text: &str) -> Result<Table, Error> {
    text.parse()
        .map_err(|e: toml::de::Error| wrong(path, None, e.message()))
}

fn wrong(path: &Path, place: Option<Place>, cause: &str) -> Error {
    let cause = cause.trim().replace('\n', ", ");
    let at = match place {
        Some(Place { line: 0, key }) => format!("{key}: "),
        Some(Place { line, key }) if key.is_empty() => format!("line {line}: "),
        Some(Place { line, key }) => format!("line {line}: {key}: "),
        None => String::new(),
    };
    Error::new(
        Class::Configuration,
        "use configuration",
        path.display(),
        format_args!("{at}{cause}"),
    )
}

/// A line of a file, counted from 1, and the key that stands there.
struct Place {
    line: usize,
    key: String,
}

impl Place {
    fn at(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let mut table = "";
        let mut key = "";
        for candidate in text.lines().take(line) {
            let trimmed = candidate.trim();
            key = "";
            if let Some(name) = trimmed.strip_prefix('[') {
                table = name
                    .trim_start_matches('[')
                    .split(']')
                    .next()
                    .unwrap_or_default()
                    .trim();
            } else if let Some((name, _)) = trimmed.split_once('=') {
                key = name.trim();
            }
        }
        let key = match (table, key) {
            ("", key) => key.to_owned(),
            (table, "") => table.to_owned(),
            (table, key) => format!("{table}.{key}"),
        };
        Self { line, key }
    }

    fn of(text: &str, key: &str) -> Option<Self> {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        starts.map(|byte| Self::at(text, byte)).find(|place| place.key == key)
    }
}

fn dotted(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}.{key}")
    }
}

/// The part of `table` whose dotted keys are allowed.
fn keep(table: &Table, prefix: &str, allowed: &mut impl FnMut(&str) -> bool) -> Table {
    let mut kept = Table::new();
    for (key, value) in table {
        let name = dotted(prefix, key);
        if let (Value::Table(inner), "") = (value, prefix) {
            kept.insert(key.clone(), Value::Table(keep(inner, &name, allowed)));
        } else if allowed(&name) {
            kept.insert(key.clone(), value.clone());
        }
    }
    kept
}

fn overlay(below: &mut Table, above: &Table) {
    for (key, value) in above {
        match (below.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            _ => {
                below.insert(key.clone(), value.clone());
            }
        }
    }
}

fn flatten(table: &Table, prefix: &str, rows: &mut Vec<(String, Value)>) {
    // In TOML the plain keys of a table have to stand before the tables in it.
    let (tables, plain): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| value.is_table());
    for (key, value) in plain {
        rows.push((dotted(prefix, key), value.clone()));
    }
    for (key, value) in tables {
        if let Value::Table(inner) = value {
            flatten(inner, &dotted(prefix, key), rows);
        }
    }
}

fn has(table: &Table, key: &str) -> bool {
    match key.split_once('.') {
        Some((first, rest)) => matches!(table.get(first), Some(Value::Table(inner)) if has(inner, rest)),
        None => table.contains_key(key),
    }
}
