//! Does a message come from the destination that it is to be sent to? Sent there it would be answered again, by whoever
//! or whatever wrote it, and so on. One that comes from there is never sent there; it is delivered locally instead.

use crate::deliver::forward::rules::past::Past;
use crate::deliver::forward::rules::sketch::{Arrival, registered_domain, whole_address};
use crate::message::address::Address;

/// What shows that a message comes from its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameFrom {
    /// Envelope sender, `From` or `Reply-To` is the destination.
    Author,
    /// It answers a message that was sent there, and comes from its domain.
    Answer,
}

/// Tells whether the message comes from `destination`; `answered` are messages that were sent there and that this one
/// answers.
///
/// At a domain of many people (a university, a large provider) others answer as well. Whoever wrote or got the message
/// that is answered takes part in what people talk about, and so does who writes to a list.
pub fn came_from(arrival: &Arrival, destination: &str, answered: &[Past]) -> Option<CameFrom> {
    let destination = Address::parse(destination)?;
    let is_destination = |author: &Address| whole_address(&without_tag(author)) == whole_address(&destination);
    if arrival.authors.iter().any(is_destination) {
        return Some(CameFrom::Author);
    }
    let domain = registered_domain(destination.domain()?);
    let is_there = |author: &Address| {
        author
            .domain()
            .is_some_and(|author| registered_domain(author) == domain)
    };
    let takes_part = |past: &Past| arrival.from.as_ref().is_some_and(|from| past.sketch.names(from));
    let answers = !arrival.sketch.is_list && answered.iter().any(|past| !takes_part(past));
    (answers && arrival.authors.iter().any(is_there)).then_some(CameFrom::Answer)
}

/// An envelope sender without the tag that says it is genuine: `prvs=0123456789=desk@desk.test` (BATV).
fn without_tag(address: &Address) -> Address {
    let local = address.local();
    let bare = local
        .strip_prefix("prvs=")
        .and_then(|rest| rest.split_once('='))
        .map(|(_, local)| local);
    let tagged = bare
        .zip(address.domain())
        .and_then(|(local, domain)| Address::from_parts(local, domain));
    tagged.unwrap_or_else(|| address.clone())
}

#[cfg(test)]
mod tests {
    use super::{CameFrom, came_from};
    use crate::classify::verdict::{Judgement, Verdict};
    use crate::deliver::forward::rules::past::{Past, Was};
    use crate::deliver::forward::rules::sketch::Arrival;
    use crate::message::Message;
    use crate::message::address::OwnAddresses;
    use crate::message::envelope::Sender;

    fn arrival(sender: &str, text: &str) -> Arrival {
        let judgement = Judgement {
            verdict: Verdict::Ordinary,
            null_sender: None,
            diverted_before: None,
            spam: None,
        };
        let message = Message::new(text.as_bytes());
        Arrival::of(&message, &Sender::read(sender), &OwnAddresses::new("+"), &judgement)
    }

    #[test]
    fn what_the_destination_wrote_or_answers_comes_from_it() {
        let plan = "From: Ann <ann@s.test>\nTo: a@a.test, Bob <bob@desk.test>\nSubject: plan\n\nx\n";
        let before = Past {
            at: 0,
            was: Was::Sent,
            sketch: arrival("ann@s.test", plan).sketch,
        };
        let answered = &[before][..];
        let (author, answer) = (Some(CameFrom::Author), Some(CameFrom::Answer));
        for (name, sender, header, answered, want) in [
            ("somebody else", "ann@s.test", "From: ann@s.test\n", &[][..], None),
            ("the envelope", "DESK@desk.test", "From: ann@s.test\n", &[], author),
            ("From", "x@x.test", "From: Desk <desk@Desk.test>\n", &[], author),
            (
                "the second of From",
                "x@x.test",
                "From: ann@s.test, desk@desk.test\n",
                &[],
                author,
            ),
            (
                "Reply-To",
                "",
                "From: x@x.test\nReply-To: desk+t17@desk.test\n",
                &[],
                author,
            ),
            (
                "BATV",
                "prvs=4711abcdef=desk@desk.test",
                "From: x@x.test\n",
                &[],
                author,
            ),
            ("a colleague", "c@desk.test", "From: c@desk.test\n", &[], None),
            (
                "an answer from there",
                "",
                "From: noreply@mail.desk.test\nIn-Reply-To: <1@s.test>\n",
                answered,
                answer,
            ),
            (
                "an answer from elsewhere",
                "",
                "From: x@x.test\nIn-Reply-To: <1@s.test>\n",
                answered,
                None,
            ),
            (
                "a colleague who got it",
                "",
                "From: Bob <bob@desk.test>\nIn-Reply-To: <1@s.test>\n",
                answered,
                None,
            ),
            (
                "a colleague on a list",
                "",
                "List-Id: <l>\nFrom: c@desk.test\nIn-Reply-To: <1@s.test>\n",
                answered,
                None,
            ),
        ] {
            let arrival = arrival(sender, &format!("{header}Subject: x\n\nx\n"));
            assert_eq!(came_from(&arrival, "desk@desk.test", answered), want, "{name}");
        }
    }
}
