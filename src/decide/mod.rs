//! What is this message, and what shall be done with it? Pure: everything comes in as an argument.

pub mod address;
pub mod bounce;
pub mod cause;
pub mod details;
pub mod envelope;
pub mod failed;
pub mod fingerprint;
pub mod head;
pub mod letter;
pub mod loops;
pub mod message;
pub mod mime;
pub mod notices;
pub mod policy;
pub mod quoted;
pub mod replies;
pub mod report;
pub mod scale;
pub mod shapes;
pub mod status;
pub mod storm;
pub mod survey;
pub mod text;
pub mod verdict;
