//! What mail systems write when they report: readable tables, one row a shape, each with the system that it is for and where
//! that is to be seen. To add one, add a row and a message in `tests/corpus/bounce` that has it.

/// A table of rules, one a line: what the words say about the message (`report` is nothing), the words, and who writes them.
macro_rules! rules {
    (@failed) => { Some(ReportKind::Failure) };
    (@late) => { Some(ReportKind::Delay) };
    (@reached) => { Some(ReportKind::Success) };
    (@report) => { None };
    ($($kind:ident $text:literal => $system:literal,)*) => {
        &[$(Rule { text: $text, kind: rules!(@$kind), system: $system }),*]
    };
}

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

/// A table made ready for searching; building a searcher takes as long as using it.
fn searchers(texts: impl Iterator<Item = &'static str>) -> Vec<Finder<'static>> {
    texts.map(Finder::new).collect()
}
