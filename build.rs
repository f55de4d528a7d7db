//! Links the program without shared libraries, where the C compiler has the archives for that. It starts for every message, and a quarter
//! of what a delivery costs was the loader looking up, mapping and binding them; a loader that fails ends with 127, and mail systems
//! bounce on that. Nothing is lost by it: users whom `/etc/passwd` does not have are asked of getent(1), and no other name service is used.
//!
//! `-C target-feature=+crt-static` would do the same, but can be had for all crates only, macros included, which it does not suit. So the
//! linker finds scripts that name the archives first, where it looks for `libc.so` and its like. Where there are no archives, or
//! `SPOOLGUARD_LINK=dynamic` is set, everything is left to rustc. `SPOOLGUARD_LINK=pie` leaves the program position-independent.
//!
//! With and without, the functions of a delivery are put beside each other: a program of 7 MB of which 334 of 4,448 functions run is read
//! from the disk, and mapped, by pages. `contrib/link/trace` makes the list. A linker that knows no such lists is not told of it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The shared libraries that rustc names, and the archives that have the same.
const LIBRARIES: [(&str, &[&str]); 3] = [
    ("libc.so", &["libc.a", "libgcc_eh.a", "libgcc.a"]),
    ("libgcc_s.so", &["libgcc_eh.a", "libgcc.a"]),
    ("libm.so", &["libm.a"]),
];

/// What Rust's library uses where it is there. An archive gives only what is asked of it, and without these a child is forked rather than
/// spawned.
const WEAK: [&str; 4] = [
    "posix_spawn_file_actions_addchdir_np",
    "__cxa_thread_atexit_impl",
    "gettid",
    "statx",
];

/// Which functions a delivery calls, as a linker script.
const ORDER: &str = "contrib/link/order.ld";

/// Flags by which someone has decided how to link.
const DECISIONS: [&str; 5] = [
    "crt-static",
    "relocation-model",
    "prefer-dynamic",
    "sanitizer",
    "linker",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SPOOLGUARD_LINK");
    println!("cargo::rerun-if-changed={ORDER}");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let is_native = env::var("HOST").ok() == env::var("TARGET").ok();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    // GNU ld and LLVM's lld; gold and mold are chosen with `-fuse-ld`, or with a linker of one's own.
    if is("CARGO_CFG_TARGET_OS", "linux") && !["fuse-ld", "linker"].iter().any(|word| flags.contains(word)) {
        let order = env::current_dir().map(|dir| dir.join(ORDER)).unwrap_or_default();
        if order.is_file() {
            println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", order.display());
        }
    }
    if is("SPOOLGUARD_LINK", "dynamic")
        || !is("CARGO_CFG_TARGET_OS", "linux")
        || !is("CARGO_CFG_TARGET_ENV", "gnu")
        || !is_native
        || DECISIONS.iter().any(|word| flags.contains(word))
    {
        return;
    }
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return;
    };
    if LIBRARIES
        .iter()
        .all(|(name, archives)| stand_in(&out.join(name), archives))
    {
        // The last word on how to start: with no interpreter, and at a fixed address. A program that may be anywhere has 13,000 addresses to
        // put right at each start, in 67 pages that it then has for itself. Of the linker, not of the compiler: with `-static` that one
        // takes another start, by which newer versions read all tables of unwinding at each.
        let kinds: &[&str] = match is("SPOOLGUARD_LINK", "pie") {
            true => &["-static-pie"],
            false => &["-no-pie", "-Wl,-static", "-Wl,--no-dynamic-linker"],
        };
        for kind in kinds {
            println!("cargo::rustc-link-arg-bins={kind}");
        }
        println!("cargo::rustc-link-arg-bins=-L{}", out.display());
        for name in WEAK {
            println!("cargo::rustc-link-arg-bins=-Wl,-u,{name}");
        }
    }
}

/// Writes a linker script that names archives; false where one is missing.
fn stand_in(script: &Path, archives: &[&str]) -> bool {
    let Some(paths) = archives.iter().map(|name| archive(name)).collect::<Option<Vec<_>>>() else {
        return false;
    };
    fs::write(script, format!("GROUP({})\n", paths.join(" "))).is_ok()
}

/// Where the C compiler has an archive; it gives back the bare name where it has none.
fn archive(name: &str) -> Option<String> {
    let output = Command::new("cc")
        .arg(format!("-print-file-name={name}"))
        .output()
        .ok()?;
    let path = String::from_utf8(output.stdout).ok()?.trim_end().to_owned();
    (Path::new(&path).is_absolute() && Path::new(&path).is_file()).then_some(path)
}
