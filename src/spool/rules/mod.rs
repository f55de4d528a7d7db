//! Pure rules of mailbox maintenance: what bloats a mailbox, and why.

pub(crate) mod diagnosis;
pub(crate) mod statistics;
pub mod summary;
