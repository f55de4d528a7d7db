//! The project itself: structure, documents, corpus.

pub mod architecture;
pub mod completions;
pub mod corpus;
pub mod dependencies;
mod document_commands;
pub mod documents;
pub mod elf;
pub mod graph;
pub mod log_page;
pub mod manuals;
pub mod package;
pub mod properties;
pub mod sizes;
