//! The copying itself. What is read at once is read before anything is written, so it does not matter how the two
//! places lie.

// Without musl the tests alone use it.
#![cfg_attr(not(target_env = "musl"), allow(dead_code))]

use core::arch::asm;
use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128};

/// memcpy(3).
///
/// # Safety
/// That of the function: both places are that long, and are not the same.
#[cfg(target_env = "musl")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe {
        match bytes {
            0..=128 => copy_few(to, from, bytes),
            _ => copy_upwards(to, from, bytes),
        }
    }
    to
}

/// memmove(3).
///
/// # Safety
/// That of the function: both places are that long.
#[cfg(target_env = "musl")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { copy(to, from, bytes) };
    to
}

/// Copies, however the two places lie.
///
/// # Safety
/// Both are that long.
#[inline]
unsafe fn copy(to: *mut u8, from: *const u8, bytes: usize) {
    let is_behind = to.addr().wrapping_sub(from.addr()) < bytes;
    // SAFETY: the caller's promise. Where `to` begins within what is read, the end is read first.
    unsafe {
        match bytes {
            0..=128 => copy_few(to, from, bytes),
            _ if is_behind => copy_downwards(to, from, bytes),
            _ => copy_upwards(to, from, bytes),
        }
    }
}

/// Copies up to 128 bytes: pieces from the beginning and from the end, which meet or overlap.
///
/// # Safety
/// Both places are that long.
#[inline]
unsafe fn copy_few(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: no piece is longer than `bytes`, and those from the end begin so much before it.
    unsafe {
        match bytes {
            0 => {}
            1 => to.write(from.read()),
            2..4 => both_ends::<u16>(to, from, bytes),
            4..8 => both_ends::<u32>(to, from, bytes),
            8..16 => both_ends::<u64>(to, from, bytes),
            16..=32 => {
                let (first, last) = (load(from), load(from.add(bytes - 16)));
                store(to, first);
                store(to.add(bytes - 16), last);
            }
            33..=64 => {
                let end = from.add(bytes - 32);
                let pieces = (load(from), load(from.add(16)), load(end), load(end.add(16)));
                let end = to.add(bytes - 32);
                store(to, pieces.0);
                store(to.add(16), pieces.1);
                store(end, pieces.2);
                store(end.add(16), pieces.3);
            }
            _ => {
                let end = from.add(bytes - 64);
                let first = (load(from), load(from.add(16)), load(from.add(32)), load(from.add(48)));
                let last = (load(end), load(end.add(16)), load(end.add(32)), load(end.add(48)));
                let end = to.add(bytes - 64);
                store(to, first.0);
                store(to.add(16), first.1);
                store(to.add(32), first.2);
                store(to.add(48), first.3);
                store(end, last.0);
                store(end.add(16), last.1);
                store(end.add(32), last.2);
                store(end.add(48), last.3);
            }
        }
    }
}

/// Copies `T` from the beginning and from the end.
///
/// # Safety
/// Both places are that long, and a `T` is no longer.
#[inline]
unsafe fn both_ends<T>(to: *mut u8, from: *const u8, bytes: usize) {
    let behind = bytes - size_of::<T>();
    // SAFETY: the caller's promise.
    unsafe {
        let (first, last) = (
            from.cast::<T>().read_unaligned(),
            from.add(behind).cast::<T>().read_unaligned(),
        );
        to.cast::<T>().write_unaligned(first);
        to.add(behind).cast::<T>().write_unaligned(last);
    }
}

/// Copies more than 16 bytes, the first ones first. What does not fill a word at the end was read before.
///
/// # Safety
/// Both places are that long, and `to` does not begin within what is read.
#[inline]
unsafe fn copy_upwards(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: the caller's promise; the instruction copies `bytes / 8` words.
    unsafe {
        let last = load(from.add(bytes - 16));
        asm!(
            "rep movsq",
            inout("rcx") bytes / 8 => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags),
        );
        store(to.add(bytes - 16), last);
    }
}

/// Copies more than 16 bytes, the last ones first.
///
/// # Safety
/// Both places are that long.
#[inline]
unsafe fn copy_downwards(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: the caller's promise; the instruction begins with the last word and goes down by `bytes / 8` of them. The
    // direction is as the ABI asks again before anything else happens.
    unsafe {
        let first = load(from);
        asm!(
            "std",
            "rep movsq",
            "cld",
            inout("rcx") bytes / 8 => _,
            inout("rdi") to.add(bytes - 8) => _,
            inout("rsi") from.add(bytes - 8) => _,
            options(nostack),
        );
        store(to, first);
    }
}

/// # Safety
/// There are 16 bytes.
#[inline]
unsafe fn load(from: *const u8) -> __m128i {
    // SAFETY: the caller's promise; no alignment is needed.
    unsafe { _mm_loadu_si128(from.cast()) }
}

/// # Safety
/// There are 16 bytes.
#[inline]
unsafe fn store(to: *mut u8, piece: __m128i) {
    // SAFETY: the caller's promise; no alignment is needed.
    unsafe { _mm_storeu_si128(to.cast(), piece) }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{copy, copy_few, copy_upwards};
    use std::vec::Vec;

    const ROOM: usize = 1200;
    const LENGTHS: core::ops::Range<usize> = 0..400;

    fn text() -> Vec<u8> {
        (0..ROOM).map(|at| (at * 7 % 251) as u8).collect()
    }

    #[test]
    fn every_length_is_copied_and_nothing_beside_it() {
        let from = text();
        for bytes in LENGTHS {
            for (offset, target) in [(0, 0), (1, 3), (7, 16)] {
                let mut to = std::vec![255_u8; ROOM];
                // SAFETY: both have room for that behind the offsets.
                unsafe {
                    let (to, from) = (to.as_mut_ptr().add(target), from.as_ptr().add(offset));
                    match bytes {
                        0..=128 => copy_few(to, from, bytes),
                        _ => copy_upwards(to, from, bytes),
                    }
                }
                let mut wanted = std::vec![255_u8; ROOM];
                wanted[target..target + bytes].copy_from_slice(&from[offset..offset + bytes]);
                assert_eq!(to, wanted, "{bytes} bytes from {offset} to {target}");
            }
        }
    }

    #[test]
    fn places_that_overlap_are_copied_as_if_they_did_not() {
        for bytes in LENGTHS {
            for (from, to) in [
                (300, 300),
                (300, 301),
                (301, 300),
                (300, 307),
                (308, 300),
                (300, 433),
                (433, 300),
            ] {
                let (mut moved, mut wanted) = (text(), text());
                // SAFETY: there is room for that behind both.
                unsafe { copy(moved.as_mut_ptr().add(to), moved.as_ptr().add(from), bytes) };
                wanted.copy_within(from..from + bytes, to);
                assert!(moved == wanted, "{bytes} bytes from {from} to {to}");
            }
        }
    }
}
