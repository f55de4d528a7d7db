//! A call that does not return: the run ends with 75 all the same, and the next one delivers.

use crate::robust::faults::strace;
use crate::support::{LIMIT, ORDINARY, Scratch, only, same, skip};

/// The clock is not waited for: the watchdog's sleep returns at once, while another call of the run does not.
#[test]
fn a_run_that_hangs_in_a_call_is_ended_with_75() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = Scratch::new();
    let hang = format!("inject=fsync,fdatasync:delay_enter={}s", LIMIT.as_secs() * 10);
    let options = ["-f", "-qq", "-e", &hang, "-e", "inject=clock_nanosleep:retval=0"];
    let shell = format!(
        "exec '{}' -o /dev/null {} \"$@\"",
        strace.display(),
        options.map(|o| format!("'{o}'")).join(" ")
    );
    let ended = scratch.deliver(ORDINARY).shell_line(&shell).go();
    ended.defers().mentions("does not answer");
    scratch.deliver(ORDINARY).go().succeeds();
    same(only(&scratch.mail()), ORDINARY);
}
