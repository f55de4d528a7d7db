//! The answers of a server (RFC 5321 section 4.2): read byte by byte, however they come; several lines are one answer.
//! What is kept of one is bounded, and one without an end is an error.

/// As much of an answer as is read, in bytes. No server should say so much; but one that has the message and says so at
/// length would get it again with each try.
const MOST_BYTES: usize = 96 << 10;

/// As much of one line as is kept, in bytes (RFC 5321 section 4.5.3.1.5: 512).
const LINE_BYTES: usize = 1000;

/// As much as is said of an answer, in characters.
const SAID_CHARS: usize = 300;

/// What there is no room in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    Mailbox,
    /// Something else, by the enhanced status: the server's disk (4.3.1), what it takes at once (4.5.3).
    Server,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    lines: Vec<String>,
}

/// What an answer means, to whatever it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ReplyMeaning {
    /// 2xx.
    Done,
    /// 3xx: the message is asked for.
    GoOn,
    Full(Lacking),
    /// 4xx.
    Later,
    /// 5xx.
    Never,
}

impl Reply {
    /// What it means. Only the first digit counts: Cyrus says 430, which no RFC has.
    pub fn meaning(&self) -> ReplyMeaning {
        let subjects: Vec<&str> = self.lines.iter().filter_map(|line| enhanced(line)).collect();
        let is_about_mailbox = subjects.contains(&"2.2");
        match (self.code, self.code / 100) {
            (_, 2) => ReplyMeaning::Done,
            (_, 3) => ReplyMeaning::GoOn,
            _ if is_about_mailbox => ReplyMeaning::Full(Lacking::Mailbox),
            (552 | 452, _) if subjects.is_empty() => ReplyMeaning::Full(Lacking::Mailbox),
            (552 | 452, _) => ReplyMeaning::Full(Lacking::Server),
            (_, 4) => ReplyMeaning::Later,
            _ => ReplyMeaning::Never,
        }
    }

    /// Tells whether it leaves no doubt that the mailbox is full. A 452 alone may speak of the server (RFC 5321 section
    /// 4.2.3).
    pub fn says_mailbox_is_full(&self) -> bool {
        let is_named = self.lines.iter().any(|line| enhanced(line) == Some("2.2"));
        self.meaning() == ReplyMeaning::Full(Lacking::Mailbox) && (is_named || self.code == 552)
    }

    /// Tells whether it speaks of the way to another server, by the enhanced status (RFC 3463 section 3.5): a proxy lost
    /// that one (Dovecot: 451 4.4.0).
    pub fn is_about_network(&self) -> bool {
        let is_network = |line: &String| enhanced(line).is_some_and(|status| status.starts_with("4."));
        self.lines.iter().any(is_network)
    }

    /// Tells whether the server ends the session with it (RFC 5321 section 3.8).
    pub fn ends_session(&self) -> bool {
        self.code == 421
    }

    /// What it said, in one line.
    pub fn one_line(&self) -> String {
        let text = format!("{} {}", self.code, self.lines.join(" / "));
        text.trim_end().chars().take(SAID_CHARS).collect()
    }

    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

/// Subject and detail of the enhanced status that a line begins with (RFC 3463): `2.2` of `5.2.2`.
fn enhanced(line: &str) -> Option<&str> {
    let status = line.split_ascii_whitespace().next()?;
    let (class, rest) = status.split_once('.')?;
    let (subject, detail) = rest.split_once('.')?;
    let is_number = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    (matches!(class, "2" | "4" | "5") && is_number(subject) && is_number(detail)).then_some(rest)
}

/// Takes an answer together.
#[derive(Debug, Default)]
pub struct ReplyParser {
    line: Vec<u8>,
    lines: Vec<String>,
    code: Option<u16>,
    bytes: usize,
}

impl ReplyParser {
    /// Takes the next byte; gives the answer with the last. Fails when this is no answer, or has no end.
    pub fn take(&mut self, byte: u8) -> Result<Option<Reply>, String> {
        self.bytes += 1;
        if self.bytes > MOST_BYTES {
            return Err("the server's answer has no end".to_owned());
        }
        if byte != b'\n' {
            // The rest of a long line is read, and not kept.
            if self.line.len() < LINE_BYTES {
                self.line.push(byte);
            }
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)).into_owned();
        let odd = || {
            let shown: String = text.chars().take(SAID_CHARS).collect();
            format!("this is no answer of an LMTP server: \"{shown}\"")
        };
        let (digits, rest) = text.split_at_checked(3).ok_or_else(odd)?;
        let is_code = digits.bytes().all(|b| b.is_ascii_digit()) && digits.starts_with(['2', '3', '4', '5']);
        let code: u16 = digits.parse().ok().filter(|_| is_code).ok_or_else(odd)?;
        // One answer has one code (RFC 5321 section 4.2.1): of two that contradict each other neither is believed.
        if *self.code.get_or_insert(code) != code {
            return Err(odd());
        }
        let (is_last, text_of_line) = match rest.split_at_checked(1) {
            None => (true, ""),
            Some((" ", text)) => (true, text),
            Some(("-", text)) => (false, text),
            Some(_) => return Err(odd()),
        };
        self.lines.push(text_of_line.to_owned());
        Ok(is_last.then(|| Reply {
            code,
            lines: std::mem::take(&mut self.lines),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Lacking, MOST_BYTES, Reply, ReplyMeaning, ReplyParser};

    fn read(text: &str) -> Result<Option<Reply>, String> {
        let mut parser = ReplyParser::default();
        let (last, before) = text.as_bytes().split_last().ok_or("empty")?;
        for byte in before {
            if let Some(early) = parser.take(*byte)? {
                return Err(format!("too early: {early:?}"));
            }
        }
        parser.take(*last)
    }

    #[test]
    fn an_answer_means_what_its_first_digit_and_its_status_say() {
        let (mailbox, server) = (
            ReplyMeaning::Full(Lacking::Mailbox),
            ReplyMeaning::Full(Lacking::Server),
        );
        for (text, meaning) in [
            ("250 2.0.0 <a@a.test> UNf7 Saved\r\n", ReplyMeaning::Done),
            ("250\r\n", ReplyMeaning::Done),
            ("250 \n", ReplyMeaning::Done),
            ("354 OK\r\n", ReplyMeaning::GoOn),
            (
                "552 5.2.2 <full@a.test> Quota exceeded (mailbox for user is full)\r\n",
                mailbox,
            ),
            ("452 4.2.2 Over quota\r\n", mailbox),
            ("552 too much\r\n", mailbox),
            ("452 later\r\n", mailbox),
            ("554 5.2.2 full\r\n", mailbox),
            ("450 4.2.2 full\r\n", mailbox),
            ("452 4.3.1 Insufficient system storage\r\n", server),
            ("452 4.5.3 Too many recipients\r\n", server),
            ("430 Authentication required\r\n", ReplyMeaning::Later),
            ("451 4.2.0 Internal error\r\n", ReplyMeaning::Later),
            (
                "550-Mailbox unknown.\r\n550-Or not.\r\n550 5.1.1 User unknown\r\n",
                ReplyMeaning::Never,
            ),
            ("550-5.2.2 full\r\n550 5.7.0 so\r\n", mailbox),
            ("555 5.5.4 Unsupported parameters\r\n", ReplyMeaning::Never),
            ("599 x\r\n", ReplyMeaning::Never),
        ] {
            let reply = read(text);
            let found = reply.as_ref().ok().and_then(|reply| Some(reply.as_ref()?.meaning()));
            assert_eq!(found, Some(meaning), "{text:?}: {reply:?}");
        }
    }

    #[test]
    fn what_is_no_answer_is_told_and_bounded() {
        for text in [
            "\n",
            "\r\n",
            "25\r\n",
            "hello\r\n",
            "150 no\r\n",
            "2500 x\r\n",
            "250_x\r\n",
            "\u{e9}50 x\r\n",
            "650 x\r\n",
            "250-x\r\n550 x\r\n",
            "550-x\r\n250 x\r\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
        let mut parser = ReplyParser::default();
        let endless = (0..=MOST_BYTES).find_map(|_| parser.take(b'2').err());
        assert!(endless.is_some());
        let mut parser = ReplyParser::default();
        let lines = b"250-x\r\n".iter().cycle().take(2 * MOST_BYTES);
        assert!(lines.copied().any(|byte| parser.take(byte).is_err()));
        let long = format!("550 {}\r\n", "x".repeat(5000));
        let said = read(&long).ok().flatten().map(|reply| reply.one_line().len());
        assert_eq!(said, Some(300));
    }

    #[test]
    fn several_lines_are_one_answer() {
        let reply = read("250-a.test\r\n250-8BITMIME\r\n250 SIZE 100\r\n").ok().flatten();
        let reply = reply.unwrap_or_else(|| unreachable!("no answer"));
        assert_eq!(reply.lines(), ["a.test", "8BITMIME", "SIZE 100"]);
        assert_eq!(reply.one_line(), "250 a.test / 8BITMIME / SIZE 100");
    }
}
