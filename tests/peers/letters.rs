//! Letters that can be told apart and checked wherever they turn up: each has a serial number, and a checksum of its
//! body.

use std::collections::BTreeMap;

use flate2::Crc;

/// Whether a body has lines that look like separators.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Separators {
    /// It has: whoever writes it has to quote them.
    In,
    /// It has none.
    Out,
}

/// The letter `serial` with a body of about `body_bytes`, each line of which names the serial number, so that a line in
/// the wrong place is seen.
pub fn letter(serial: &str, body_bytes: usize, separators: Separators) -> Vec<u8> {
    let seed = serial
        .bytes()
        .fold(7_u64, |seed, b| seed.wrapping_mul(31) + u64::from(b));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut body = String::new();
    for number in 0.. {
        if body.len() >= body_bytes {
            break;
        }
        body += &match (number % 40, separators) {
            (3, Separators::In) => "From here on it goes downhill\n".to_owned(),
            (4, Separators::In) => ">From there it went up\n".to_owned(),
            (5, Separators::In) => format!("\nFrom {serial}@s.test Sun Nov 22 10:00:00 2026\n"),
            (6, _) => " From the margin\nfrom below\n".to_owned(),
            _ => {
                let length = random.usize(0..60.min(body_bytes));
                let words: String = (0..length).map(|_| random.alphanumeric()).collect();
                format!("{serial} {number} {words}\n")
            }
        };
    }
    let header = format!(
        "Return-Path: <s@s.test>\nDelivered-To: a@a.test\nFrom: s@s.test\nTo: a@a.test\nSubject: letter {serial}\n\
         Message-ID: <{serial}@s.test>\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nX-Serial: {serial}\n\
         X-Checksum: {:08x}\n\n",
        checksum(&body)
    );
    (header + &body).into_bytes()
}

/// The checksum of a body, whichever way its separator lines are quoted and whatever empty lines stand at its end.
pub fn checksum(body: &str) -> u32 {
    let mut crc = Crc::new();
    for line in body.trim_end_matches('\n').split('\n') {
        let bare = line.trim_start_matches('>');
        let line = if bare.starts_with("From ") { bare } else { line };
        crc.update(line.as_bytes());
        crc.update(b"\n");
    }
    crc.sum()
}

/// What a mailbox holds.
#[derive(Debug, Default)]
pub struct Found {
    /// How often each serial number is there, with a body that its checksum fits.
    pub whole: BTreeMap<String, usize>,
    /// What is there, but not as it was sent.
    pub damaged: Vec<String>,
}

/// Reads an mbox the plain way: a letter begins at each `From ` line that follows an empty one.
pub fn find(mbox: &str) -> Found {
    let mut found = Found::default();
    for text in split(mbox) {
        let (header, body) = text.split_once("\n\n").unwrap_or((text, ""));
        match (field(header, "X-Serial"), field(header, "X-Checksum")) {
            (Some(serial), Some(sum)) if sum == format!("{:08x}", checksum(body)) => {
                *found.whole.entry(serial.to_owned()).or_default() += 1;
            }
            (serial, _) => found.damaged.push(format!(
                "{}: {} bytes, begins {:?}",
                serial.unwrap_or("unknown"),
                text.len(),
                text.chars().take(200).collect::<String>()
            )),
        }
    }
    found
}

/// The letters of an mbox, each with its separator line.
pub fn split(mbox: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = mbox.match_indices("\n\nFrom ").map(|(at, _)| at + 2).collect();
    starts.insert(0, 0);
    starts.push(mbox.len());
    starts.dedup();
    starts.windows(2).map(|pair| &mbox[pair[0]..pair[1]]).collect()
}

/// The value of the first field of this name.
pub fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let fields = header.lines().take_while(|line| !line.is_empty());
    let mut values = fields.filter_map(|line| line.split_once(": "));
    values
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.trim_end())
}
