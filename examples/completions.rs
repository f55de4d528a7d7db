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
pub fn scripts() -> [(&'static str, String); 3] {
    [
        ("spoolguard.bash", with_users(&script(Shell::Bash))),
        ("_spoolguard", with_flags_anywhere(&script(Shell::Zsh))),
        ("spoolguard.fish", script(Shell::Fish)),
    ]
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "spoolguard", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// For bash, every value that is neither a path nor one of a list is said to be a file; users are known, too.
fn with_users(bash: &str) -> String {
    let value = |flag: &str, what: &str| format!("{flag})\n{:20}COMPREPLY=($(compgen {what} \"${{cur}}\"))", "");
    bash.replace(&value("--user", "-f"), &value("--user", "-u --"))
        .replace(&value("-d", "-f"), &value("-d", "-u --"))
}

/// With two colons, zsh completes no flag behind the first argument; and `forward b@b.test --keep` is the way to write it.
fn with_flags_anywhere(zsh: &str) -> String {
    zsh.replace("'*::", "'*:")
}

fn main() -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/completions");
    fs::create_dir_all(&directory)?;
    for (name, script) in scripts() {
        fs::write(directory.join(name), script)?;
    }
    Ok(())
}
