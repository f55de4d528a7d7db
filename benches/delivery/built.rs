//! What is compiled for a run: the C programs beside this file, and spoolguard with shared libraries.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::stage::Stage;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Compiles a C program of this directory, where there is a compiler that can.
pub fn compile(stage: &Stage, source: &str, name: &str, flags: &[&str]) -> Option<PathBuf> {
    let to = stage.path("bin").join(name);
    let status = Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&to)
        .args(flags)
        .arg(Path::new(HERE).join("benches/delivery").join(source))
        .stderr(Stdio::null())
        .status();
    (status.is_ok_and(|status| status.success()) && is_static(&to) == flags.contains(&"-static")).then_some(to)
}

/// Builds spoolguard with shared libraries; cargo keeps it for the next time.
pub fn spoolguard_dynamic() -> Option<PathBuf> {
    let target = Path::new(HERE).join("target/dynamic");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(HERE)
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--bin",
            "spoolguard",
            "--target-dir",
        ])
        .arg(&target)
        .env("SPOOLGUARD_LINK", "dynamic")
        .status();
    status
        .is_ok_and(|status| status.success())
        .then(|| target.join("release/spoolguard"))
}

/// Tells whether a program needs no loader: none is named in its ELF header (elf(5), PT_INTERP; of 64 bits).
pub fn is_static(program: &Path) -> bool {
    const INTERPRETER: [u8; 4] = 3_u32.to_ne_bytes();
    let bytes = fs::read(program).unwrap_or_else(|e| panic!("cannot read {}: {e}", program.display()));
    let word = |at: usize| usize::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
    let short = |at: usize| usize::from(u16::from_ne_bytes([bytes[at], bytes[at + 1]]));
    let (start, size, count) = (word(32), short(54), short(56));
    (0..count).all(|header| bytes[start + header * size..][..4] != INTERPRETER)
}
