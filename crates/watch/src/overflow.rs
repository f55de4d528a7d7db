//! A stack that overflows ends the process with the status of a run that failed: mail systems bounce on death by a
//! signal.
//!
//! Rust's runtime has a handler that prints and aborts, on a stack that it maps, protects and gives back at each start:
//! a fiftieth of what a small delivery cost. It installs none where there is one already. So ours is there before the
//! runtime begins, on a stack that is part of the program and that nobody touches until then. The child that delivers
//! has no such stack any more (clone(2), CLONE_VM): it dies of the signal, and the first process ends with the status.

use std::cell::UnsafeCell;
use std::ptr;

/// Whatever registers the processor saves (sigaltstack(2), `AT_MINSIGSTKSZ`), and a call or two.
const STACK_BYTES: usize = 32 << 10;

#[repr(C, align(64))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: the kernel alone has its address; no Rust code has a reference to its bytes.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));

/// EX_TEMPFAIL (sysexits.h).
const STATUS: libc::c_int = 75;

const LINE: &str = "4.3.0 spoolguard: cannot go on with this run: its stack is full, or its memory is damaged\n";

/// Called by the C library before `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = install;

extern "C" fn install() {
    // SAFETY: the structures are as the calls want them, all zero but for what is set. The stack lives as long as the
    // process, and the handler calls nothing that is not allowed in one (signal-safety(7)). Where a call fails, all is
    // as before.
    unsafe {
        let mut stack: libc::stack_t = std::mem::zeroed();
        stack.ss_sp = STACK.0.get().cast();
        stack.ss_size = STACK_BYTES;
        if libc::sigaltstack(&raw const stack, ptr::null_mut()) != 0 {
            return;
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = end as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
    }
}

extern "C" fn end(_signal: libc::c_int) {
    // SAFETY: both calls may be made in a handler, and the second does not return.
    unsafe {
        libc::write(2, LINE.as_ptr().cast(), LINE.len());
        libc::_exit(STATUS);
    }
}
