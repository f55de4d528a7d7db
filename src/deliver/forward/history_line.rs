//! One line of the history: what became of one message at one destination, and where the lines before it stand that are
//! about the same. What a message or an address says opens no line and ends none.

use memchr::memchr;

use crate::message::key::{short_hash, split_halves};

/// A line is never longer than this, in bytes.
pub const LINE_BYTES: usize = 2048;

/// As much of one word is written down, in bytes: no address is longer (RFC 5321 section 4.5.3.1).
const WORD_BYTES: usize = 320;

/// What stands where there is nothing.
pub const NOTHING: &str = "-";

/// How many digits of the text's half of a key name it in a token.
const TAG_DIGITS: usize = 8;

/// What is remembered of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The MTA has it for this destination.
    Sent,
    /// It lies in the user's mailbox as well.
    Kept,
    /// It does not lie there any more: it was not sent after all, and comes again.
    Gone,
    /// It came back, and was put into the user's mailbox.
    Rescued,
    /// It came from this destination, and was kept.
    Own,
    /// It was kept because mail goes round with this destination.
    Braked,
    /// That something was held back there was told.
    Told,
    /// That far more was sent there than ever before was told.
    Surged,
    /// It answered a message that was sent on, and went to whoever wrote that: the destination is the writer.
    Answered,
    /// This destination had it a short while ago: it was counted, and nothing else.
    Repeated,
}

impl Fate {
    const ALL: [Self; 10] = [
        Self::Sent,
        Self::Kept,
        Self::Gone,
        Self::Rescued,
        Self::Own,
        Self::Braked,
        Self::Told,
        Self::Surged,
        Self::Answered,
        Self::Repeated,
    ];

    /// The word for it in the file. None of them is the beginning of another: so a line that was cut is no line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Kept => "kept",
            Self::Gone => "gone",
            Self::Rescued => "rescued",
            Self::Own => "own",
            Self::Braked => "braked",
            Self::Told => "told",
            Self::Surged => "surged",
            Self::Answered => "answered",
            Self::Repeated => "repeated",
        }
    }
}

/// What lines are looked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryKey {
    /// A Message-ID: the first half of a message's key.
    Id(String),
    /// A text: the beginning of the second half.
    Text(String),
    /// Both: all that is known of one message.
    Whole(String),
    /// A fate that is counted by destination.
    Count(Fate, String),
}

impl HistoryKey {
    /// The lines about a text, whatever its Message-ID.
    pub fn text(half: &str) -> Self {
        Self::Text(half_tag(half).to_owned())
    }

    /// The lines of `fate` about `destination`.
    pub fn count(fate: Fate, destination: &str) -> Self {
        Self::Count(fate, destination.to_lowercase())
    }

    /// What it is found by in the index.
    pub fn hash_in_index(&self) -> u64 {
        let (kind, what) = match self {
            Self::Id(id) => ("id", id),
            Self::Text(text) => ("text", text),
            Self::Whole(name) => ("whole", name),
            Self::Count(fate, to) => (fate.word(), to),
        };
        short_hash(kind, what)
    }
}

/// The part of a text's half of a key that stands in a token: eight digits.
pub fn half_tag(half: &str) -> &str {
    let digits = half.strip_prefix("text:").unwrap_or(half);
    digits.get(..TAG_DIGITS).unwrap_or(digits)
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLine<'a> {
    /// When, in seconds since 1970.
    pub at: i64,
    /// The key of the message; one word.
    pub name: &'a str,
    /// What became of it.
    pub fate: Fate,
    /// Where it was sent to; `-` where it stayed.
    pub destination: &'a str,
    /// Its envelope sender; `-` where that is null or unknown.
    pub sender: &'a str,
    /// What it looked like, as `rules::sketch` writes it; `-` where nobody asks.
    pub sketch: &'a str,
    /// Where the lines before stand, as `history_keys` has them.
    before: &'a str,
}

impl<'a> HistoryLine<'a> {
    /// A line to be written.
    pub fn new(at: i64, name: &'a str, fate: Fate, destination: &'a str) -> Self {
        Self {
            at,
            name,
            fate,
            destination,
            sender: NOTHING,
            sketch: NOTHING,
            before: NOTHING,
        }
    }

    /// The same line, with who sent the message and what it looked like.
    pub fn with_content(self, sender: &'a str, sketch: &'a str) -> Self {
        Self { sender, sketch, ..self }
    }

    /// Reads a line without its line end.
    pub fn read(line: &'a str) -> Option<Self> {
        let mut rest = line;
        let mut word = || {
            let (word, behind) = rest.split_at_checked(memchr(b' ', rest.as_bytes())?)?;
            rest = behind.get(1..)?;
            Some(word).filter(|word| !word.is_empty())
        };
        let at = word()?.parse().ok()?;
        let (name, destination, sender, sketch, before) = (word()?, word()?, word()?, word()?, word()?);
        // The last: with more behind it, it would be no fate.
        let fate = rest;
        Some(Self {
            at,
            name,
            fate: Fate::ALL.into_iter().find(|known| known.word() == fate)?,
            destination,
            sender,
            sketch,
            before,
        })
    }

    /// Reads each line of a text; what is none is passed over.
    pub fn read_all(text: &'a str) -> impl Iterator<Item = Self> {
        let mut rest = Some(text);
        let lines = std::iter::from_fn(move || {
            let text = rest?;
            let (line, behind) = match memchr(b'\n', text.as_bytes()) {
                Some(at) => (text.get(..at)?, text.get(at + 1..)),
                None => (text, None),
            };
            rest = behind;
            Some(line)
        });
        lines.filter_map(Self::read)
    }

    /// The line as it is written; `before` says where the last line about each of its subjects stands.
    pub fn text(&self, before: &[Option<u64>]) -> String {
        let places: Vec<String> = before
            .iter()
            .map(|at| at.map_or_else(String::new, |at| format!("{at:x}")))
            .collect();
        format!(
            "{} {} {} {} {} {},{} {}\n",
            self.at,
            word(self.name),
            word(self.destination),
            word(self.sender),
            word(self.sketch),
            self.history_keys().len(),
            places.join(","),
            self.fate.word()
        )
    }

    /// What it is found by.
    pub fn history_keys(&self) -> Vec<HistoryKey> {
        let (id, text) = split_halves(self.name);
        let mut subjects = vec![HistoryKey::Whole(self.name.to_owned()), HistoryKey::text(text)];
        subjects.extend(id.map(|id| HistoryKey::Id(id.to_owned())));
        match self.fate {
            Fate::Told | Fate::Surged | Fate::Answered => subjects.push(HistoryKey::count(self.fate, self.destination)),
            Fate::Sent | Fate::Kept | Fate::Gone | Fate::Rescued | Fate::Own | Fate::Braked | Fate::Repeated => {}
        }
        subjects
    }

    /// Tells whether it is about `subject`: the index knows no more than a hash.
    pub fn is_about(&self, subject: &HistoryKey) -> bool {
        self.history_keys().contains(subject)
    }

    /// Where the line about `subject` before this one stands.
    pub fn previous_line(&self, subject: &HistoryKey) -> Option<u64> {
        let place = self.history_keys().iter().position(|own| own == subject)?;
        let word = self.before.split(',').nth(place + 1)?;
        u64::from_str_radix(word, 16).ok()
    }
}

fn word(text: &str) -> String {
    let mut word = String::new();
    for c in text.chars().filter(|c| !c.is_whitespace() && !c.is_control()) {
        if word.len() + c.len_utf8() > WORD_BYTES {
            break;
        }
        word.push(c);
    }
    if word.is_empty() { NOTHING.to_owned() } else { word }
}
