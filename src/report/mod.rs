//! What MTAs report about a message: DSN fields (RFC 3464), status codes, and the addresses that their prose names.

pub mod absence;
pub mod dsn;
pub mod failure;
pub mod letters;
pub mod living_words;
pub mod meaning;
pub mod prose;
pub mod returned_header;
pub mod returned_message;
pub mod sendmail_reply;
pub mod stage;
pub mod status_code;
pub mod topic_words;
pub mod topics;
pub mod wording;
