//! To the administrator: copies, throttle, digest.

pub mod storm;
pub mod to_admin;
