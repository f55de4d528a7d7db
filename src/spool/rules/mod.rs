//! Pure rules of mailbox maintenance: what bloats a mailbox, and why.

pub mod diagnosis;
pub mod statistics;
pub mod summary;
