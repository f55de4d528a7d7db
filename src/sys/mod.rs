//! The system without mail: users, time, signals, children, small files.

pub mod account;
pub(crate) mod alias_account;
pub(crate) mod cache_file;
pub(crate) mod child;
pub mod deadline;
pub(crate) mod dirs;
pub(crate) mod file_stamp;
pub(crate) mod filesystem;
pub(crate) mod json_state;
pub(crate) mod key_file;
pub(crate) mod local_time;
pub mod message_buffer;
pub(crate) mod name_service;
pub(crate) mod passwd;
pub(crate) mod presence;
pub(crate) mod procfs;
pub(crate) mod read_at;
pub(crate) mod self_exec;
pub(crate) mod spill_file;
pub(crate) mod state_file;
pub(crate) mod user_directory;
