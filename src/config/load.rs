//! Reads configuration files, says where in them something is wrong, and remembers which file said what.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::config::mistakes::{self, Mistake};
use crate::config::{Config, SYSTEM_FILE, USER_FILE, excerpt, trust};
use crate::error::{Category, Error};

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
    content: FileContent,
}

/// What a file says, parsed no earlier than somebody asks for single keys.
#[derive(Clone, Debug)]
enum FileContent {
    Text(String),
    Table(Table),
}

impl Layer {
    fn table(&self) -> Cow<'_, Table> {
        match &self.content {
            // It was parsed before, into a configuration.
            FileContent::Text(text) => Cow::Owned(text.parse().unwrap_or_default()),
            FileContent::Table(table) => Cow::Borrowed(table),
        }
    }
}

/// How much of a configuration is wanted.
#[derive(Clone, Copy, Debug)]
pub enum KeySelection<'a> {
    /// What is about this user; the limits of other users may be left out, and mistakes in those are not found.
    User(&'a str),
    /// All of it.
    Whole,
}

/// Which files to read, and whose they may be.
#[derive(Clone, Copy, Debug)]
pub struct ConfigSources<'a> {
    /// This file alone; it has to exist. Otherwise the administrator's, then the user's; neither has to exist.
    only: Option<&'a Path>,
    /// The user's home directory.
    home: Option<&'a Path>,
    /// Who may own a file and what is above it, beside root: the user, and whoever runs this.
    owners: [u32; 2],
}

impl<'a> ConfigSources<'a> {
    /// The file that was asked for, or the usual ones.
    pub fn from_choice(only: Option<&'a Path>, home: Option<&'a Path>, owners: [u32; 2]) -> Self {
        Self { only, home, owners }
    }

    /// The texts of the files, the administrator's first; one that need not be there is left out.
    fn texts(&self) -> Result<Vec<(PathBuf, String)>, Error> {
        if let Some(path) = self.only {
            return Ok(vec![(path.to_owned(), read(path, open(path), &self.owners)?)]);
        }
        let system = Path::new(SYSTEM_FILE);
        let mut texts = Vec::new();
        // A user who owned the administrator's file would choose for all others.
        if let Some(text) = read_if_there(system, &[])? {
            texts.push((system.to_owned(), text));
        }
        if let Some(path) = self.home.map(|home| home.join(USER_FILE))
            && let Some(text) = read_if_there(&path, &self.owners)?
        {
            texts.push((path, text));
        }
        Ok(texts)
    }
}

/// Reads the configuration. Fails when a file cannot be read, others may write to it, it is not TOML, or it says
/// something that is not allowed.
pub fn load_config(sources: ConfigSources<'_>, extent: KeySelection<'_>) -> Result<Loaded, Error> {
    let mut loaded = Loaded {
        config: Config::default(),
        layers: Vec::new(),
        ignored: Vec::new(),
    };
    for (path, text) in sources.texts()? {
        if sources.only.is_some() || path == Path::new(SYSTEM_FILE) {
            loaded = Loaded::of_one(&path, &text, extent)?;
        } else {
            loaded.add_user(&path, &text)?;
        }
    }
    Ok(loaded)
}

/// Returns the mistakes of the first file that has any, with its path and its text. Fails when a file cannot be read,
/// or others may write to it.
pub fn read_mistakes(sources: ConfigSources<'_>) -> Result<Option<(PathBuf, String, Vec<Mistake>)>, Error> {
    let texts = sources.texts()?.into_iter();
    let mut judged = texts.map(|(path, text)| {
        let found = mistakes::find_mistakes(&text);
        (path, text, found)
    });
    Ok(judged.find(|(_, _, found)| !found.is_empty()))
}

/// What the administrator's file says, whatever a user's or the command line's says; none where it cannot be used.
pub fn system_config() -> Option<Config> {
    // The limits of single users do not matter here; nobody is called by no name.
    let sources = ConfigSources::from_choice(None, None, [0; 2]);
    Some(load_config(sources, KeySelection::User("")).ok()?.config)
}

impl Loaded {
    fn of_one(path: &Path, text: &str, extent: KeySelection<'_>) -> Result<Self, Error> {
        let excerpt = match extent {
            KeySelection::User(user) => excerpt::for_user(text, user),
            KeySelection::Whole => Cow::Borrowed(text),
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
                content: FileContent::Text(text.into_owned()),
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
            .map_err(|e: toml::de::Error| Error::new(Category::Configuration, "use", path.display(), e.message()))?;
        check(path, text, &self.config)?;
        self.layers.push(Layer {
            path: path.to_owned(),
            content: FileContent::Table(user),
        });
        Ok(())
    }

    /// Every key with its value and the file that says so.
    pub fn key_origins(&self) -> Vec<KeyOrigin<'_>> {
        let (Ok(Value::Table(all)), Ok(Value::Table(default))) =
            (Value::try_from(&self.config), Value::try_from(Config::default()))
        else {
            return Vec::new();
        };
        let (mut rows, mut defaults) = (Vec::new(), Vec::new());
        flatten(&all, "", &mut rows);
        flatten(&default, "", &mut defaults);
        rows.into_iter()
            .map(|(key, value)| {
                let from = self.layers.iter().rev().find(|layer| has(&layer.table(), &key));
                KeyOrigin {
                    is_default: defaults.iter().any(|(name, default)| (name, default) == (&key, &value)),
                    value: value.to_string(),
                    file: from.map(|layer| layer.path.as_path()),
                    key,
                }
            })
            .collect()
    }
}

/// One key, and where its value comes from.
#[derive(Clone, Debug)]
pub struct KeyOrigin<'a> {
    /// The key with its table.
    pub key: String,
    /// The value, as TOML.
    pub value: String,
    /// The file that says so; none where it is the default of this program.
    pub file: Option<&'a Path>,
    /// Whether the value is the default, whoever says so.
    pub is_default: bool,
}

/// Opens what can be read to an end. A FIFO would hold us until the mail system's deadline is over.
fn open(path: &Path) -> io::Result<File> {
    let kind = path.metadata()?.file_type();
    if kind.is_fifo() || kind.is_socket() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(path)
}

fn read_if_there(path: &Path, owners: &[u32]) -> Result<Option<String>, Error> {
    match open(path) {
        // The file is missing, or the home is.
        // A link to nothing is somebody's configuration that is away: the defaults might put mail elsewhere.
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            Err(unreadable(path, &e).hint("it is a symbolic link: make the file that it names, or remove it"))
        }
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        file => read(path, file, owners).map(Some),
    }
}

fn unreadable(path: &Path, cause: &io::Error) -> Error {
    let error = Error::io("read configuration", path, cause).class(Category::Configuration);
    if cause.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    error.hint(format!("chmod a+r {}, since deliveries run as users", path.display()))
}

fn read(path: &Path, file: io::Result<File>, owners: &[u32]) -> Result<String, Error> {
    let cannot_read = |e| unreadable(path, &e);
    let file = file.map_err(cannot_read)?;
    let stat = file.metadata().map_err(cannot_read)?;
    trust::refuse_others_file(path, &stat, owners)?;
    // Read in one piece, and its end in another: with no room to spare it would come in pieces of 32 bytes.
    let mut bytes = Vec::with_capacity(usize::try_from(stat.len().min(LARGEST_BYTES)).unwrap_or(0) + 64);
    let count = file.take(LARGEST_BYTES).read_to_end(&mut bytes).map_err(cannot_read)?;
    // A device has no end, and a run that takes all memory is killed.
    if count as u64 == LARGEST_BYTES {
        return Err(cannot_read(io::Error::other("it is too large to be one")));
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = e.as_bytes().get(..e.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        cannot_read(io::Error::other(format!("line {line} is not UTF-8")))
    })
}

fn parse(path: &Path, text: &str) -> Result<Config, Error> {
    let config: Config = match toml::from_str(text) {
        Ok(config) => config,
        Err(e) => return Err(refused(path, text, &mistakes::find_mistakes(text), e.message())),
    };
    check(path, text, &config)?;
    Ok(config)
}

fn check(path: &Path, text: &str, config: &Config) -> Result<(), Error> {
    match config.check().as_slice() {
        [] => Ok(()),
        [(_, first), ..] => Err(refused(path, text, &mistakes::of_values(text, config), first)),
    }
}

fn table(path: &Path, text: &str) -> Result<Table, Error> {
    text.parse()
        .map_err(|e: toml::de::Error| refused(path, text, &mistakes::find_mistakes(text), e.message()))
}

/// Names the first mistake, and says how many more there are; `otherwise` is what the parser said.
fn refused(path: &Path, text: &str, mistakes: &[Mistake], otherwise: &str) -> Error {
    let (cause, more) = match mistakes {
        [] => (otherwise.trim().replace('\n', ", "), 0),
        [first, more @ ..] => (first.sentence(text), more.len()),
    };
    let error = Error::new(Category::Configuration, "use configuration", path.display(), cause);
    match more {
        0 => error,
        1 => error.hint("spoolguard config check shows one more mistake"),
        more => error.hint(format!("spoolguard config check shows {more} more mistakes")),
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
