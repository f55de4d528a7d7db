//! The memory of a program that starts for every message and ends after a thousandth of a second.
//!
//! A general allocator asks the kernel for pages one by one, keeps books in pages of its own, and gives back what the
//! end of the process gives back anyway: together an eighth of what a delivery of 4 KiB cost. Here the first 256 KiB
//! are part of the program, and are handed out in a row. What is freed last, or grows last, is used again; nothing else
//! of them is. All the rest comes from `dlmalloc`, and what is large from the C library, where the kernel moves its
//! pages when it grows. Both free, so a run that lasts holds no more than these 256 KiB for nothing.
//!
//! This is a crate of its own because an allocator cannot be written without unsafe code, which spoolguard forbids.
//! There is nothing else in it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use dlmalloc::GlobalDlmalloc;

/// More than what a delivery or a forward of a small message asks for, altogether.
const ROOM: usize = 256 << 10;

/// From this size on a block is the C library's.
const LARGE: usize = 128 << 10;

/// No larger alignment is given by the first part.
const ALIGN: usize = 64;

#[repr(C, align(64))]
struct Room(UnsafeCell<[u8; ROOM]>);

/// An allocator: a fixed room, used once, and two others behind it. For `#[global_allocator]`.
///
/// What is in use of the room lies below `next`, always: a block is made by moving `next` up past it, and `next` comes
/// down only to the start of a block that ends there, by whoever has that block.
#[repr(C)]
pub struct Heap {
    /// Before the room, so that it lies in a page that is touched anyway.
    next: AtomicUsize,
    room: Room,
}

// SAFETY: the room's bytes are reached only through blocks that were handed out, and no two of those overlap (see
// `Heap`).
unsafe impl Sync for Heap {}

impl Heap {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: AtomicUsize::new(0),
            room: Room(UnsafeCell::new([0; ROOM])),
        }
    }

    fn base(&self) -> *mut u8 {
        self.room.0.get().cast()
    }

    /// Where a block of the room begins, counted from the room's start; none for what the others gave.
    fn offset(&self, block: *mut u8) -> Option<usize> {
        let offset = block.addr().wrapping_sub(self.base().addr());
        (offset < ROOM).then_some(offset)
    }

    /// Who has the blocks of this size that are not of the room.
    fn behind(size: usize) -> &'static dyn GlobalAlloc {
        if size < LARGE { &GlobalDlmalloc } else { &System }
    }

    /// Moves a block to another place. As `GlobalAlloc::realloc`, of which the caller keeps the promises.
    unsafe fn move_block(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller has seen to it that this size, rounded up to the alignment, is no more than `isize::MAX`.
        let to = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !to.is_null() {
            // SAFETY: both are that long, and they are not the same.
            unsafe {
                ptr::copy_nonoverlapping(block, to, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        to
    }

    /// A block of the room, as long as there is room.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        // An empty block would lie at the start of the next one, or behind the room.
        if layout.align() > ALIGN || layout.size() == 0 {
            return None;
        }
        let mut next = self.next.load(Ordering::Relaxed);
        loop {
            let start = next.next_multiple_of(layout.align());
            let end = start.checked_add(layout.size()).filter(|end| *end <= ROOM)?;
            match self.move_next(next, end) {
                // SAFETY: `start` is below `end`, which is within the room.
                Ok(()) => return Some(unsafe { self.base().add(start) }),
                Err(now) => next = now,
            }
        }
    }

    /// Moves `next`, unless it has moved. What was done to a block before it was given back is seen by whoever gets it
    /// then.
    fn move_next(&self, from: usize, to: usize) -> Result<(), usize> {
        self.next
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .map(drop)
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: a block of the room is within it, aligned, and overlaps no other that is in use (see `Heap`); any other is of
// whoever has its size, and goes back there.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the same.
        self.take(layout)
            .unwrap_or_else(|| unsafe { Self::behind(layout.size()).alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            Some(block) => {
                // It may have been in use before. SAFETY: the block has this size, and nobody else has it.
                unsafe { ptr::write_bytes(block, 0, layout.size()) };
                block
            }
            // SAFETY: the caller's promise is the same.
            None => unsafe { Self::behind(layout.size()).alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.offset(block) {
            // Where something lies behind it, it stays as it is.
            Some(start) => drop(self.move_next(start + layout.size(), start)),
            // SAFETY: it is not of the room, so it is of whoever has this size.
            None => unsafe { Self::behind(layout.size()).dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(start) = self.offset(block) else {
            let is_same_owner = (layout.size() < LARGE) == (size < LARGE);
            // SAFETY: it is not of the room, so it is of whoever has this size; and for `move_block`, the caller's
            // promise is the same.
            return unsafe {
                match is_same_owner {
                    true => Self::behind(size).realloc(block, layout, size),
                    false => self.move_block(block, layout, size),
                }
            };
        };
        let (old, new) = (start + layout.size(), start + size);
        // The last one grows and shrinks where it is; another one shrinks by being used less.
        if (new <= ROOM && self.move_next(old, new).is_ok()) || new <= old {
            return block;
        }
        // SAFETY: the caller's promise is the same.
        unsafe { self.move_block(block, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::{ALIGN, Heap, LARGE, ROOM};
    use std::alloc::{GlobalAlloc, Layout};
    use std::thread;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// Fills a block with a byte that is its own.
    fn fill(block: *mut u8, size: usize, byte: u8) {
        assert!(!block.is_null());
        // SAFETY: the tests fill blocks that they have, over their own sizes.
        unsafe { block.write_bytes(byte, size) };
    }

    fn is_filled(block: *mut u8, size: usize, byte: u8) -> bool {
        // SAFETY: as for `fill`.
        (0..size).all(|at| unsafe { block.add(at).read() } == byte)
    }

    #[test]
    fn blocks_are_aligned_and_keep_what_is_in_them() {
        let heap = Heap::new();
        let mut blocks = Vec::new();
        // More than the room holds.
        for number in 0..2000_usize {
            let layout = layout(1 + number * 7 % 900, 1 << (number % 9));
            // SAFETY: no size is zero.
            let block = unsafe { heap.alloc(layout) };
            assert_eq!(block.addr() % layout.align(), 0);
            fill(block, layout.size(), number as u8);
            blocks.push((block, layout, number as u8));
        }
        assert!(blocks.iter().any(|(block, ..)| heap.offset(*block).is_some()));
        assert!(blocks.iter().any(|(block, ..)| heap.offset(*block).is_none()));
        for (block, layout, byte) in blocks {
            assert!(is_filled(block, layout.size(), byte));
            // SAFETY: it was allocated so.
            unsafe { heap.dealloc(block, layout) };
        }
    }

    #[test]
    fn the_last_block_is_used_again_and_zeroed_again() {
        let heap = Heap::new();
        let small = layout(100, 8);
        // SAFETY: no size is zero, and each is given back as it was taken.
        unsafe {
            let first = heap.alloc(small);
            let second = heap.alloc(small);
            fill(second, 100, 0xff);
            heap.dealloc(second, small);
            let again = heap.alloc_zeroed(small);
            assert_eq!(again, second);
            assert!(is_filled(again, 100, 0));
            // With one behind it, it stays what it is.
            heap.dealloc(first, small);
            assert_ne!(heap.alloc(small), first);
        }
    }

    #[test]
    fn a_block_grows_where_it_is_or_moves_whole() {
        let heap = Heap::new();
        let small = layout(100, 8);
        // SAFETY: no size is zero, and each is given back as it was taken.
        unsafe {
            let block = heap.alloc(small);
            fill(block, 100, 1);
            assert_eq!(heap.realloc(block, small, 1000), block);
            let behind = heap.alloc(small);
            fill(behind, 100, 2);
            let moved = heap.realloc(block, layout(1000, 8), 2000);
            assert_ne!(moved, block);
            assert!(is_filled(moved, 100, 1) && is_filled(behind, 100, 2));
            assert_eq!(heap.realloc(behind, small, 10), behind);
            // Out of the room, and back to a size that it would have.
            let large = heap.realloc(moved, layout(2000, 8), 2 * ROOM);
            assert!(heap.offset(large).is_none() && is_filled(large, 100, 1));
            let shrunk = heap.realloc(large, layout(2 * ROOM, 8), 100);
            assert!(is_filled(shrunk, 100, 1));
            heap.dealloc(shrunk, small);
        }
    }

    #[test]
    fn what_it_has_no_room_for_comes_from_elsewhere() {
        let heap = Heap::new();
        for layout in [
            layout(LARGE, 2 * ALIGN),
            layout(ROOM + 1, 1),
            layout(64, 2 * ALIGN),
            layout(isize::MAX as usize - 4096, 1),
        ] {
            // SAFETY: no size is zero.
            let block = unsafe { heap.alloc(layout) };
            assert!(heap.offset(block).is_none());
            if !block.is_null() {
                // SAFETY: it was allocated so.
                unsafe { heap.dealloc(block, layout) };
            }
        }
        // All of it, and not one byte more.
        // SAFETY: no size is zero.
        let (all, one) = unsafe { (heap.alloc(layout(ROOM, 1)), heap.alloc(layout(1, 1))) };
        assert_eq!((heap.offset(all), heap.offset(one)), (Some(0), None));
    }

    #[test]
    fn no_two_threads_get_the_same_bytes() {
        static HEAP: Heap = Heap::new();
        let work = |thread: usize| {
            let mut kept: Vec<(*mut u8, Layout, u8)> = Vec::new();
            for number in 0..3000_usize {
                let byte = (thread * 50 + number % 50) as u8;
                let layout = layout(1 + number % 60, 1 << (number % 4));
                // SAFETY: no size is zero, and each is given back as it was taken.
                let block = unsafe { HEAP.alloc(layout) };
                fill(block, layout.size(), byte);
                kept.push((block, layout, byte));
                if number % 3 > 0 {
                    let (block, layout, byte) = kept.pop().unwrap();
                    assert!(is_filled(block, layout.size(), byte));
                    // SAFETY: as above.
                    unsafe { HEAP.dealloc(block, layout) };
                }
            }
            kept.iter()
                .all(|(block, layout, byte)| is_filled(*block, layout.size(), *byte))
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || work(thread))).collect();
            assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
        });
    }
}
