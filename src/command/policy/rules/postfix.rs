//! The policy protocol of Postfix (SMTPD_POLICY_README): `name=value` lines, ended by an empty line. Each empty line,
//! and an end of input within a request, gets one answer. A request that cannot be understood gets DUNNO.

use crate::command::policy::rules::RoomQuestion;
use crate::command::policy::rules::line::{LineBuffer, ProtocolLine};
use crate::message::envelope::Sender;

/// Postfix 3.10 sends thirty attributes; a request with more than this is noise.
const MOST_ATTRIBUTES: usize = 512;

/// The answer to a request that is not about a mailbox of ours, or that finds room.
pub const DUNNO: &str = "action=DUNNO\n\n";

/// States in which nobody asks about one recipient.
const OTHER_STATES: [&[u8]; 9] = [
    b"CONNECT",
    b"EHLO",
    b"HELO",
    b"MAIL",
    b"DATA",
    b"BDAT",
    b"END-OF-MESSAGE",
    b"VRFY",
    b"ETRN",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostfixRequest {
    Room(RoomQuestion),
    /// Something at another stage of the session.
    OtherStage,
    /// Nothing that can be understood, for this reason.
    Bad(&'static str),
}

/// Reads requests from pieces of a stream, in bounded memory.
#[derive(Debug, Default)]
pub struct RequestReader {
    line: LineBuffer,
    attributes: Attributes,
}

#[derive(Debug, Default)]
struct Attributes {
    count: usize,
    bad: Option<&'static str>,
    is_policy_request: bool,
    state: Vec<u8>,
    sender: Option<String>,
    recipient: Option<String>,
    size_bytes: Option<u64>,
}

impl RequestReader {
    /// Takes bytes up to the end of a request. Returns how many were taken, and a request that ended.
    pub fn take(&mut self, bytes: &[u8]) -> (usize, Option<PostfixRequest>) {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let (count, line) = self.line.take(rest);
            taken += count;
            match line {
                None => {}
                Some(line) if line.bytes.is_empty() && !line.is_cut => {
                    return (taken, Some(std::mem::take(&mut self.attributes).into_request()));
                }
                Some(line) => self.attributes.add(line),
            }
        }
        (taken, None)
    }

    /// The request that the end of input leaves without an end, if there is one.
    pub fn end(self) -> Option<PostfixRequest> {
        let has_begun = self.attributes.count > 0 || self.line.is_within_line();
        has_begun.then_some(PostfixRequest::Bad("the input ends within the request"))
    }
}

impl Attributes {
    fn add(&mut self, line: ProtocolLine<'_>) {
        self.count += 1;
        if self.bad.is_none() {
            self.bad = self.read(line).err();
        }
    }

    fn read(&mut self, line: ProtocolLine<'_>) -> Result<(), &'static str> {
        if line.is_cut {
            return Err("a line is too long");
        }
        if self.count > MOST_ATTRIBUTES {
            return Err("there are too many attributes");
        }
        if line.bytes.contains(&0) {
            return Err("a line holds a NUL");
        }
        let mut parts = line.bytes.splitn(2, |byte| *byte == b'=');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            return Err("a line is no name=value");
        };
        match name {
            b"request" if value != b"smtpd_access_policy" => return Err("the request is none about access"),
            b"request" => self.is_policy_request = true,
            b"protocol_state" => value.clone_into(&mut self.state),
            b"sender" => set(&mut self.sender, text(value)?)?,
            b"recipient" => set(&mut self.recipient, text(value)?)?,
            b"size" => set(&mut self.size_bytes, size(value)?)?,
            // Later versions send more, and order is not promised.
            _ => {}
        }
        Ok(())
    }

    fn into_request(self) -> PostfixRequest {
        if let Some(cause) = self.bad {
            return PostfixRequest::Bad(cause);
        }
        if !self.is_policy_request {
            return PostfixRequest::Bad("no attribute says what is requested");
        }
        if OTHER_STATES.contains(&self.state.as_slice()) {
            return PostfixRequest::OtherStage;
        }
        if self.state != b"RCPT" {
            return PostfixRequest::Bad("the protocol state is unknown");
        }
        match self.recipient.filter(|recipient| !recipient.is_empty()) {
            None => PostfixRequest::Bad("no recipient is named"),
            Some(recipient) => PostfixRequest::Room(RoomQuestion {
                recipient,
                sender: self.sender.map_or(Sender::Unknown, |sender| Sender::read(&sender)),
                size_bytes: self.size_bytes.unwrap_or(0),
            }),
        }
    }
}

/// Of two recipients nobody can tell which one is meant.
fn set<T>(place: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err("an attribute stands there twice"),
    }
}

fn text(value: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "an address is not UTF-8")?;
    Ok(text.to_owned())
}

/// Exim's `$message_size` is -1 where the client says nothing.
fn size(value: &[u8]) -> Result<u64, &'static str> {
    let text = text(value)?;
    let text = text.trim();
    match text.parse::<i128>() {
        _ if text.is_empty() => Ok(0),
        Ok(bytes) if bytes < 0 => Ok(0),
        Ok(bytes) => Ok(u64::try_from(bytes).unwrap_or(u64::MAX)),
        Err(_) => Err("the size is no number"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};
    use proptest::sample::select;
    use proptest::{collection, prop_assert_eq};

    use super::{PostfixRequest, RequestReader, RoomQuestion};
    use crate::message::envelope::Sender;

    /// Every request in `bytes`, read in pieces of `step` bytes, the end of input included.
    fn requests(bytes: &[u8], step: usize) -> Vec<PostfixRequest> {
        let (mut reader, mut found) = (RequestReader::default(), Vec::new());
        for mut piece in bytes.chunks(step) {
            while !piece.is_empty() {
                let (taken, request) = reader.take(piece);
                assert!(taken > 0, "it takes nothing and would not end");
                found.extend(request);
                piece = piece.split_at(taken).1;
            }
        }
        found.extend(reader.end());
        found
    }

    fn room(recipient: &str, sender: Sender, size_bytes: u64) -> PostfixRequest {
        PostfixRequest::Room(RoomQuestion {
            recipient: recipient.to_owned(),
            sender,
            size_bytes,
        })
    }

    #[test]
    fn what_is_asked_at_rcpt_is_read() {
        let head = "request=smtpd_access_policy\nprotocol_state=RCPT\n";
        for (rest, want) in [
            ("recipient=a@a.test\nsize=0\n", room("a@a.test", Sender::Unknown, 0)),
            ("sender=\nrecipient=a@a.test\n", room("a@a.test", Sender::Null, 0)),
            ("sender=<>\nrecipient=a@a.test\n", room("a@a.test", Sender::Null, 0)),
            (
                "new=x=y\nsize=12\nrecipient=a=b@a.test\nsender=s@s.test\n",
                room("a=b@a.test", Sender::Address("s@s.test".to_owned()), 12),
            ),
            ("recipient=a@a.test\nsize=-1\n", room("a@a.test", Sender::Unknown, 0)),
            ("recipient=a@a.test\nsize=\n", room("a@a.test", Sender::Unknown, 0)),
            (
                "recipient=a@a.test\nsize=99999999999999999999999\n",
                room("a@a.test", Sender::Unknown, u64::MAX),
            ),
            ("recipient=\n", PostfixRequest::Bad("no recipient is named")),
            ("", PostfixRequest::Bad("no recipient is named")),
            (
                "recipient=a\nrecipient=b\n",
                PostfixRequest::Bad("an attribute stands there twice"),
            ),
            ("recipient=a\nsize=x\n", PostfixRequest::Bad("the size is no number")),
            (
                "recipient=a\nnonsense\n",
                PostfixRequest::Bad("a line is no name=value"),
            ),
            ("recipient=a\nx=\0\n", PostfixRequest::Bad("a line holds a NUL")),
        ] {
            assert_eq!(requests(format!("{head}{rest}\n").as_bytes(), 7), [want], "{rest}");
        }
    }

    #[test]
    fn other_stages_are_no_trouble_and_unknown_ones_are() {
        let at = |state: &str| {
            let text = format!("request=smtpd_access_policy\nprotocol_state={state}\nrecipient=\n\n");
            requests(text.as_bytes(), 4096).remove(0)
        };
        for state in ["CONNECT", "MAIL", "DATA", "END-OF-MESSAGE"] {
            assert_eq!(at(state), PostfixRequest::OtherStage, "{state}");
        }
        for state in ["", "rcpt", "RCPT ", "QUIT"] {
            assert_eq!(
                at(state),
                PostfixRequest::Bad("the protocol state is unknown"),
                "{state}"
            );
        }
    }

    #[test]
    fn a_bad_request_does_not_spoil_the_next_one() {
        let good = "request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=a@a.test\n\n";
        let many: String = (0..10_000).map(|n| format!("name{n}=x\n")).collect();
        for bad in [
            "x".repeat(1 << 20),
            format!("request=smtpd_access_policy\n{many}"),
            format!("recipient={}\n", "y".repeat(9000)),
        ] {
            let text = format!("{bad}\n\n{good}").replace("\n\n\n", "\n\n");
            let found = requests(text.as_bytes(), 1000);
            assert!(
                matches!(found.as_slice(), [PostfixRequest::Bad(_), PostfixRequest::Room(_)]),
                "{found:?}"
            );
        }
    }

    /// How many requests there are, by the plainest rule: empty lines, and what stands behind the last one.
    fn count(bytes: &[u8]) -> usize {
        let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let rest = lines.pop().unwrap_or_default();
        let is_end = |line: &&[u8]| line.is_empty() || *line == b"\r";
        let within = lines.iter().rev().take_while(|line| !is_end(line)).count() > 0 || !rest.is_empty();
        lines.iter().filter(|line| is_end(line)).count() + usize::from(within)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn any_bytes_give_one_request_for_each_end(bytes in collection::vec(any::<u8>(), 0..400), step in 1_usize..50) {
            prop_assert_eq!(requests(&bytes, step).len(), count(&bytes));
        }

        #[test]
        fn any_lines_give_the_same_requests_in_any_pieces(
            lines in collection::vec(select(&[
                "", "", "\r", "request=smtpd_access_policy", "protocol_state=RCPT", "protocol_state=DATA", "recipient=a@a.test",
                "recipient=", "sender=", "size=1", "size=x", "=", "x", "\0", "recipient=\u{fc}@a.test", "name=value",
            ][..]), 0..30),
            step in 1_usize..60,
        ) {
            let text = lines.join("\n");
            let found = requests(text.as_bytes(), step);
            prop_assert_eq!(found.len(), count(text.as_bytes()));
            prop_assert_eq!(found, requests(text.as_bytes(), 1 << 16));
        }
    }
}
