//! What is compiled for a run: the C programs beside this file, and spoolguard with shared libraries. What the package
//! has is taken as it was built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::elf;
use crate::stage::Stage;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Compiles a C program of this directory, where there is a compiler that can.
pub fn compile(stage: &Stage, source: &str, name: &str, flags: &[&str]) -> Option<PathBuf> {
    compile_with("cc", stage, source, name, flags)
}

/// The same with this compiler.
pub fn compile_with(compiler: &str, stage: &Stage, source: &str, name: &str, flags: &[&str]) -> Option<PathBuf> {
    let to = stage.path("bin").join(name);
    let status = Command::new(compiler)
        .args(["-O2", "-o"])
        .arg(&to)
        .args(flags)
        .arg(Path::new(HERE).join("benches/delivery").join(source))
        .stderr(Stdio::null())
        .status();
    (status.is_ok_and(|status| status.success()) && elf::is_static(&to) == flags.contains(&"-static")).then_some(to)
}

/// What `cargo build --release --target TARGET` made for musl, as for the package.
pub fn spoolguard_musl() -> Option<PathBuf> {
    let target = format!("target/{}-unknown-linux-musl/release/spoolguard", env::consts::ARCH);
    Some(Path::new(HERE).join(target)).filter(|path| path.exists())
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
