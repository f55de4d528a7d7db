//! What mail systems write when they report: readable tables, one row a shape, each with the system that it is for and where
//! that is to be seen. To add one, add a row and a message in `tests/corpus/bounce` that has it.

pub mod auto_reply;
pub mod body;
pub mod sender;
pub mod subject;

use memchr::memmem::Finder;

use crate::report::dsn::ReportKind;

/// One row of a table. The text is in lower case, with one blank between words.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The words. Nobody but a mail system writes them, except to quote one.
    pub text: &'static str,
    /// What they say about the message.
    pub kind: Option<ReportKind>,
    /// The system that writes them, and where that is documented or to be seen.
    pub system: &'static str,
}

/// A rule for a failure.
const fn failed(text: &'static str, system: &'static str) -> Rule {
    Rule {
        text,
        kind: Some(ReportKind::Failure),
        system,
    }
}

/// A rule for a delay.
const fn late(text: &'static str, system: &'static str) -> Rule {
    Rule {
        text,
        kind: Some(ReportKind::Delay),
        system,
    }
}

/// A rule for a success.
const fn reached(text: &'static str, system: &'static str) -> Rule {
    Rule {
        text,
        kind: Some(ReportKind::Success),
        system,
    }
}

/// A rule that does not say how it went.
const fn report(text: &'static str, system: &'static str) -> Rule {
    Rule {
        text,
        kind: None,
        system,
    }
}

/// A table made ready for searching; building a searcher takes as long as using it.
fn searchers(texts: impl Iterator<Item = &'static str>) -> Vec<Finder<'static>> {
    texts.map(Finder::new).collect()
}
