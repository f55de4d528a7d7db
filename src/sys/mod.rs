//! The system without mail: users, time, signals, children, small files.

pub mod account;
pub mod alias_account;
pub mod cache_file;
pub mod child;
pub mod deadline;
pub mod dirs;
pub mod file_stamp;
pub mod filesystem;
pub mod json_state;
pub mod key_file;
pub mod local_time;
pub mod message_buffer;
pub mod name_service;
pub mod passwd;
pub mod presence;
pub mod procfs;
pub mod read_at;
pub mod self_exec;
pub mod spill_file;
pub mod state_file;
pub mod user_directory;
