//! The first process and its child, in system calls.
//!
//! Nothing here may panic, and the first process may not use what belongs to a thread: both would reach for what the
//! child uses.

use std::arch::asm;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::Watch;

/// A few calls deep, and none of them has a large frame.
const STACK_BYTES: usize = 16 << 10;

#[repr(C, align(64))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: only the first process uses it; Rust code has no reference to its bytes.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));

/// The process that waits for this one, where this is a child; else 0.
static PARENT: AtomicI64 = AtomicI64::new(0);

/// What tells the first process that the child has ended: no SIGCHLD, since whoever started this may have it ignored,
/// and then the kernel keeps no status (waitpid(2), NOTES).
const ENDED: i32 = 64;

/// What tells the first process that the child may take any time.
const NO_LIMIT: i32 = 63;

/// One table of files, which the first process has to reach when the child hangs (clone(2)).
const FLAGS: i32 = libc::CLONE_FS | libc::CLONE_FILES | ENDED;

/// No group.
const NO_GROUP: u64 = u64::MAX;

/// How long a child that was killed has for it, in seconds. One that hangs does not end.
const KILL_SECONDS: u32 = 1;

/// How long each wait is for a child that has all the time, in seconds.
const SLICE_SECONDS: u32 = 1;

/// As many of the child's files are looked at for pipes.
const FILES: usize = 256;

/// Steps aside; what returns is the child.
pub(super) fn start(watch: &'static Watch) {
    // SAFETY: it reads what the kernel gave this process at its start (getauxval(3)).
    let of_start = |what| unsafe { libc::getauxval(what) };
    let own = of_start(libc::AT_GID);
    let group = if own == of_start(libc::AT_EGID) { NO_GROUP } else { own };
    let memory = if of_start(libc::AT_EUID) == 0 {
        0
    } else {
        libc::CLONE_VM
    };
    let flags = i64::from(FLAGS | memory);
    let top = STACK.0.get().addr().wrapping_add(STACK_BYTES);
    let child: i64;
    // SAFETY: the child, which gets 0, goes on behind the call as after any system call, on the stack that this is. The
    // first process leaves that stack without having written to it, for one of which `top` is the end, aligned as the
    // ABI asks, and calls `wait`, which does not return. A call that failed has no child, and goes on as well.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jle 2f",
            "mov rsp, r13",
            "xor ebp, ebp",
            "mov rdi, r12",
            "mov rsi, rax",
            "mov rdx, r15",
            "call r14",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone => child,
            in("rdi") flags,
            in("rsi") 0,
            in("rdx") 0,
            in("r10") 0,
            in("r8") 0,
            in("r12") watch,
            in("r13") top,
            in("r14") wait as *const (),
            in("r15") group,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            "cmp x0, #0",
            "b.le 2f",
            "mov sp, x21",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x1, x0",
            "mov x0, x20",
            "mov x2, x23",
            "blr x22",
            "brk 1",
            "2:",
            inlateout("x0") flags => child,
            in("x1") 0,
            in("x2") 0,
            in("x3") 0,
            in("x4") 0,
            in("x8") libc::SYS_clone,
            in("x20") watch,
            in("x21") top,
            in("x22") wait as *const (),
            in("x23") group,
        );
    }
    if child == 0 {
        PARENT.store(parent(), Ordering::Relaxed);
        end_with_parent_again();
    }
}

pub(super) fn end_with_parent_again() {
    let known = PARENT.load(Ordering::Relaxed);
    if known == 0 {
        return;
    }
    // SAFETY: the calls touch no memory.
    unsafe {
        call(
            libc::SYS_prctl,
            [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0],
        );
        // It may have ended while nothing said so.
        if parent() != known {
            let own = call(libc::SYS_getpid, [0; 4]);
            call(libc::SYS_kill, [own as usize, libc::SIGKILL as usize, 0, 0]);
        }
    }
}

pub(super) fn take_all_the_time() {
    let known = PARENT.load(Ordering::Relaxed);
    if known != 0 {
        send(known, NO_LIMIT);
    }
}

/// The process that waits for this one.
fn parent() -> i64 {
    // SAFETY: it touches no memory.
    unsafe { call(libc::SYS_getppid, [0; 4]) }
}

/// What came of a wait.
enum Woken {
    /// This signal.
    Signal(i32),
    TimedOut,
    Interrupted,
}

/// What is left of the first process.
extern "C" fn wait(watch: &'static Watch, child: i64, group: u64) -> ! {
    if group != NO_GROUP {
        let group = group as usize;
        // SAFETY: it touches no memory.
        unsafe { call(libc::SYS_setresgid, [group, group, group, 0]) };
    }
    let mut left = watch.seconds.into();
    let mut until = now().wrapping_add(left);
    let mut has_limit = true;
    loop {
        let woken = wait_for_signal(left);
        end_as(watch, child);
        match woken {
            Woken::Signal(ENDED | libc::SIGCHLD) | Woken::Interrupted => {}
            Woken::Signal(NO_LIMIT) => has_limit = false,
            Woken::Signal(signal) => {
                send(child, signal);
                until = until.min(now().wrapping_add(watch.stop_seconds.into()));
            }
            Woken::TimedOut if has_limit => give_up(watch, child),
            Woken::TimedOut => {}
        }
        left = match has_limit {
            true => until.wrapping_sub(now()).max(0),
            false => SLICE_SECONDS.into(),
        };
    }
}

/// Ends as the child did, if it has ended.
fn end_as(watch: &Watch, child: i64) {
    let mut status = 0;
    match reap(child, &mut status) {
        Reaped::Not => {}
        Reaped::Ended if libc::WIFEXITED(status) => end(libc::WEXITSTATUS(status)),
        Reaped::Ended => {
            print(watch.killed);
            end(watch.status.into());
        }
        // Nobody knows how it ended.
        Reaped::Unknown => end(watch.status.into()),
    }
}

/// The child did not end in time. It cannot do anything any more, whenever it comes back from its call.
fn give_up(watch: &Watch, child: i64) -> ! {
    send(child, libc::SIGKILL);
    print(watch.late);
    let until = now().wrapping_add(KILL_SECONDS.into());
    let mut status = 0;
    while matches!(reap(child, &mut status), Reaped::Not) {
        if now() > until {
            close_pipes();
            break;
        }
        wait_for_signal(KILL_SECONDS.into());
    }
    end(watch.status.into())
}

/// Whether the child has been reaped.
enum Reaped {
    Not,
    Ended,
    Unknown,
}

fn reap(child: i64, status: &mut i32) -> Reaped {
    let flags = (libc::WNOHANG | libc::__WALL) as usize;
    let at = std::ptr::from_mut(status).addr();
    // SAFETY: the call writes a status, for which there is room.
    match unsafe { call(libc::SYS_wait4, [child as usize, at, flags, 0]) } {
        0 => Reaped::Not,
        failed if failed < 0 && failed != -i64::from(libc::EINTR) => Reaped::Unknown,
        failed if failed < 0 => Reaped::Not,
        _ => Reaped::Ended,
    }
}

/// Waits for a signal, for `seconds` at most. Those that stop a process and let it go on do that to this one, too.
fn wait_for_signal(seconds: i64) -> Woken {
    const OF_THE_TERMINAL: [i32; 6] = [
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGCONT,
        libc::SIGWINCH,
        libc::SIGPIPE,
    ];
    const SET: u64 = {
        let mut set = u64::MAX;
        let mut number = 0;
        while number < OF_THE_TERMINAL.len() {
            set &= !(1 << (OF_THE_TERMINAL[number] - 1));
            number += 1;
        }
        set
    };
    let pause = [seconds, 0];
    let (set, pause) = (std::ptr::from_ref(&SET).addr(), pause.as_ptr().addr());
    // SAFETY: the call reads a set of eight bytes and a time of two words.
    match unsafe { call(libc::SYS_rt_sigtimedwait, [set, 0, pause, size_of::<u64>()]) } {
        signal if signal > 0 => Woken::Signal(signal as i32),
        failed if failed == -i64::from(libc::EAGAIN) => Woken::TimedOut,
        _ => Woken::Interrupted,
    }
}

/// Closes what the caller waits for the end of, in the table of files that the child has. Closing any other file could
/// ask the file system that hangs.
fn close_pipes() {
    for file in 0..FILES {
        // SAFETY: the calls touch no memory. Only a pipe has such a size, and only a socket has such a length to send.
        unsafe {
            let is_pipe = call(libc::SYS_fcntl, [file, libc::F_GETPIPE_SZ as usize, 0, 0]) > 0;
            if is_pipe || is_socket(file) {
                call(libc::SYS_close, [file, 0, 0, 0]);
            }
        }
    }
}

fn is_socket(file: usize) -> bool {
    let (mut kind, mut length) = (0_i32, size_of::<i32>() as u32);
    let (kind, length) = (
        std::ptr::from_mut(&mut kind).addr(),
        std::ptr::from_mut(&mut length).addr(),
    );
    let question = [file, libc::SOL_SOCKET as usize, libc::SO_TYPE as usize, kind, length];
    // SAFETY: the call writes a number and its length, for which there is room.
    unsafe { call_with_five(libc::SYS_getsockopt, question) == 0 }
}

/// The monotonic clock, in seconds.
fn now() -> i64 {
    let mut time = [0_i64; 2];
    let at = time.as_mut_ptr().addr();
    // SAFETY: the call writes two words.
    unsafe { call(libc::SYS_clock_gettime, [libc::CLOCK_MONOTONIC as usize, at, 0, 0]) };
    time[0]
}

fn send(process: i64, signal: i32) {
    // SAFETY: it touches no memory. A child of ours that was not waited for has its number still, and so has a parent
    // that waits.
    unsafe { call(libc::SYS_kill, [process as usize, signal as usize, 0, 0]) };
}

fn print(line: &'static str) {
    // SAFETY: it reads a line that never goes.
    unsafe { call(libc::SYS_write, [2, line.as_ptr().addr(), line.len(), 0]) };
}

fn end(status: i32) -> ! {
    loop {
        // SAFETY: it touches no memory.
        unsafe { call(libc::SYS_exit_group, [status as usize, 0, 0, 0]) };
    }
}

/// A system call of at most four arguments, and what it returns: an error is below 0.
///
/// # Safety
/// That of the call.
unsafe fn call(number: libc::c_long, arguments: [usize; 4]) -> i64 {
    let [first, second, third, fourth] = arguments;
    // SAFETY: the caller's.
    unsafe { call_with_five(number, [first, second, third, fourth, 0]) }
}

/// The same of five.
///
/// # Safety
/// That of the call.
unsafe fn call_with_five(number: libc::c_long, arguments: [usize; 5]) -> i64 {
    let [first, second, third, fourth, fifth] = arguments;
    let returned: i64;
    // SAFETY: the caller's.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => returned,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            in("r8") fifth,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    // SAFETY: the caller's.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") first => returned,
            in("x1") second,
            in("x2") third,
            in("x3") fourth,
            in("x4") fifth,
        );
    }
    returned
}
