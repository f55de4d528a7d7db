//! Links what is used of libgcc into the program, where the C compiler has it as an archive: a shared library that need not be looked up,
//! mapped and bound shortens every delivery.
//!
//! rustc names `gcc_s` by itself and knows no option against that, so a linker script of that name, found first, stands in.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let is_static = env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|all| all.split(',').any(|one| one == "crt-static"));
    let is_native = env::var("HOST").ok() == env::var("TARGET").ok();
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") || is_static || !is_native {
        return;
    }
    let (Some(unwinder), Some(rest)) = (archive("libgcc_eh.a"), archive("libgcc.a")) else {
        return;
    };
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return;
    };
    // Where any of this cannot be done, the shared library does.
    let script = format!("INPUT({} {})\n", unwinder.display(), rest.display());
    if fs::write(out.join("libgcc_s.so"), script).is_ok() {
        println!("cargo::rustc-link-search=native={}", out.display());
    }
}

/// Where the C compiler has an archive; it gives back the bare name where it has none.
fn archive(name: &str) -> Option<PathBuf> {
    let output = Command::new("cc")
        .arg(format!("-print-file-name={name}"))
        .output()
        .ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    let path = Path::new(path.trim_end());
    (path.is_absolute() && path.is_file()).then(|| path.to_owned())
}
