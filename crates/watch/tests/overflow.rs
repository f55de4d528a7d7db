//! A process whose stack overflows ends with 75. By itself, without a harness: its tests run in threads, and it is the
//! first that counts.

use std::hint::black_box;
use std::process::Command;

// Nothing of it is called: it is there before `main`.
use spoolguard_watch as _;

fn fill_the_stack(depth: u64) -> u64 {
    if depth == u64::MAX {
        return depth;
    }
    let frame = [depth; 64];
    black_box(frame.iter().sum::<u64>()) + fill_the_stack(black_box(depth + 1))
}

fn main() {
    const CHILD: &str = "SPOOLGUARD_FILL_THE_STACK";
    if std::env::var_os(CHILD).is_some() {
        println!("{}", fill_the_stack(0));
        return;
    }
    let ended = Command::new(std::env::current_exe().expect("a path"))
        .env(CHILD, "1")
        .output()
        .expect("a child");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(75), "{:?}: {said}", ended.status);
    assert!(
        said.starts_with("4.3.0 spoolguard: ") && said.ends_with('\n'),
        "{said:?}"
    );
    println!("a stack that overflows ends the process with 75 ... ok");
}
