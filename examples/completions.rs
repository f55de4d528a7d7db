//! Writes the completions for bash, zsh and fish that are in `contrib/completions`, from the definition of the command line:
//! `cargo run --example completions`. A test fails when they are not what it writes.
//!
//! An example and not a command of the program: nobody needs it where mail is delivered.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use spoolguard::cli::Cli;

/// Each file's name, and what is in it.
pub fn scripts() -> Vec<(&'static str, Vec<u8>)> {
    [
        ("spoolguard.bash", Shell::Bash),
        ("_spoolguard", Shell::Zsh),
        ("spoolguard.fish", Shell::Fish),
    ]
    .into_iter()
    .map(|(name, shell)| {
        let mut script = Vec::new();
        generate(shell, &mut Cli::command(), "spoolguard", &mut script);
        (name, script)
    })
    .collect()
}

fn main() -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/completions");
    fs::create_dir_all(&directory)?;
    for (name, script) in scripts() {
        fs::write(directory.join(name), script)?;
    }
    Ok(())
}
