//! What mail systems write when they report, as readable tables, one row a shape. Each row has the system that it is
//! for and where that is to be seen. To add one, add a row and a message in `tests/corpus/bounce` that has it.

/// A table of rules, one a line: what the words say about the message (`report` is nothing), the words, and who writes
/// them.
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

/// The words of a table's rules, in its order.
#[allow(
    clippy::indexing_slicing,
    reason = "the compiler runs it, and stops at an index that is too large"
)]
const fn texts_of<const N: usize>(rules: &[Rule]) -> [&'static str; N] {
    let mut texts = [""; N];
    let mut at = 0;
    while at < N {
        texts[at] = rules[at].text;
        at += 1;
    }
    texts
}
