//! Ends a process from beside it, when the thread that works hangs in a call that no signal ends.
//!
//! The watch is a second thread that sleeps, prints a line and ends the process. A thread of the standard library costs a delivery of
//! 4 KiB a twentieth of its time: memory is mapped for its stack and for the stack of its signals, and the C library takes a lock from
//! then on. This one is the bare system call, on a stack that is part of the program, where the processor is one that it knows.
//!
//! It touches nothing but its own stack, a line that never goes, and three system calls: no allocation, no lock, no `errno`, whose place
//! it shares with the thread that made it. The C library does not know it, and so does not change its user: it has to be started by a
//! process that has become the user that it stays.
//!
//! This is a crate of its own because that cannot be written without unsafe code, which spoolguard forbids. There is nothing else in it.

/// What the watch does, and when.
struct Watch {
    pause: libc::timespec,
    line: &'static str,
    status: i64,
}

/// Ends the process with `status` in `seconds`, unless it ends before, and prints `line` to standard error then. The first call counts.
/// Where no thread can be had, nothing watches.
pub fn end_process_after(seconds: u32, line: &'static str, status: u8) {
    static STARTED: std::sync::Once = std::sync::Once::new();
    STARTED.call_once(|| {
        let watch = Watch {
            pause: libc::timespec {
                tv_sec: seconds.into(),
                tv_nsec: 0,
            },
            line,
            status: status.into(),
        };
        // Signals are for the thread that looks whether there were any, so the new one begins with all of them blocked.
        let mut all = std::mem::MaybeUninit::uninit();
        let mut before = std::mem::MaybeUninit::uninit();
        // SAFETY: sigfillset writes the whole set, and sigprocmask(2) the whole old one when it returns 0; else it is not used.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            if libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) != 0 {
                return;
            }
            thread::start(Box::leak(Box::new(watch)));
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        }
    });
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod thread {
    use std::arch::asm;
    use std::cell::UnsafeCell;

    use crate::Watch;

    /// Two calls deep, and none of them has a large frame.
    const STACK_BYTES: usize = 8 << 10;

    #[repr(C, align(64))]
    struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

    // SAFETY: only the one new thread uses it; Rust code has no reference to its bytes.
    unsafe impl Sync for Stack {}

    static STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));

    /// One process, one memory, one table of files: a thread (clone(2)).
    const FLAGS: libc::c_int = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM;

    /// Starts the thread; once only, since there is one stack.
    pub(super) fn start(watch: &'static Watch) {
        let top = STACK.0.get().addr() + STACK_BYTES;
        // SAFETY: the new thread begins behind the call with a stack of its own, of which `top` is the end, aligned as the ABI asks. It
        // calls `run`, which does not return, so nothing of this frame is used twice. The old one goes on as after any system call.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                "xor ebp, ebp",
                "mov rdi, r12",
                "call r13",
                "ud2",
                "2:",
                inlateout("rax") libc::SYS_clone => _,
                in("rdi") i64::from(FLAGS),
                in("rsi") top,
                in("rdx") 0,
                in("r10") 0,
                in("r8") 0,
                in("r12") watch,
                in("r13") run as *const (),
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            asm!(
                "svc 0",
                "cbnz x0, 2f",
                "mov x29, xzr",
                "mov x30, xzr",
                "mov x0, x20",
                "blr x21",
                "brk 1",
                "2:",
                inlateout("x0") i64::from(FLAGS) => _,
                in("x1") top,
                in("x2") 0,
                in("x3") 0,
                in("x4") 0,
                in("x8") libc::SYS_clone,
                in("x20") watch,
                in("x21") run as *const (),
                lateout("x30") _,
            );
        }
    }

    /// The whole life of the thread.
    extern "C" fn run(watch: &'static Watch) -> ! {
        let pause = std::ptr::from_ref(&watch.pause).addr();
        loop {
            // SAFETY: the calls read memory that never goes, and write none.
            unsafe {
                call(libc::SYS_clock_nanosleep, [libc::CLOCK_MONOTONIC as usize, 0, pause, 0]);
                call(libc::SYS_write, [2, watch.line.as_ptr().addr(), watch.line.len(), 0]);
                call(libc::SYS_exit_group, [watch.status as usize, 0, 0, 0]);
            }
        }
    }

    /// A system call of at most four arguments; what it returns is of no interest here.
    ///
    /// # Safety
    /// That of the call.
    unsafe fn call(number: libc::c_long, arguments: [usize; 4]) {
        let [first, second, third, fourth] = arguments;
        // SAFETY: the caller's.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") number => _,
                in("rdi") first,
                in("rsi") second,
                in("rdx") third,
                in("r10") fourth,
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
                inlateout("x0") first => _,
                in("x1") second,
                in("x2") third,
                in("x3") fourth,
            );
        }
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod thread {
    use std::io::Write;
    use std::time::Duration;

    use crate::Watch;

    /// Starts the thread.
    pub(super) fn start(watch: &'static Watch) {
        let seconds = u64::try_from(watch.pause.tv_sec).unwrap_or(u64::MAX);
        let _ = std::thread::Builder::new().stack_size(64 << 10).spawn(move || {
            std::thread::sleep(Duration::from_secs(seconds));
            let _ = std::io::stderr().write_all(watch.line.as_bytes());
            std::process::exit(watch.status as i32);
        });
    }
}
