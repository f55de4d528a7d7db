//! What is this message, and what shall be done with it? Pure: everything comes in as an argument.

pub mod address;
pub mod attribution;
pub mod bounce;
pub mod details;
pub mod envelope;
pub mod failed;
pub mod fingerprint;
pub mod head;
pub mod loops;
pub mod message;
pub mod mime;
pub mod name;
pub mod notices;
pub mod original;
pub mod policy;
pub mod quoted;
pub mod replies;
pub mod report;
pub mod scale;
pub mod shapes;
pub mod status;
pub mod storm;
pub mod text;
pub mod token;
pub mod verdict;
