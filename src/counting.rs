//! Counts what the unit tests take from the heap: what a cached session takes there, and that a decision takes nothing.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use mimalloc::MiMalloc;

/// That of the program (`src/main.rs`), counted.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that were asked for and not given back, by all threads.
static LIVE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How often this thread has asked for memory, for more of it too.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

/// How often this thread asks for memory while it does this, and what comes of it.
pub fn asked<T>(act: impl FnOnce() -> T) -> (u64, T) {
    let before = ASKED.get();
    let done = act();
    (ASKED.get() - before, done)
}

/// Bytes that were asked for and not given back.
pub fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

fn note(size: usize) {
    LIVE.fetch_add(size, Ordering::Relaxed);
    // A thread that ends asks for memory after its own variables are gone.
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; each call is handed on as it came")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps to the trait's contract, which is the same there.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { MiMalloc.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { MiMalloc.realloc(place, layout, size) }
    }
}

#[test]
fn what_is_asked_for_is_counted() {
    let (asked, boxed) = asked(|| Box::new([0_u8; 100]));
    assert_eq!(asked, 1);
    assert!(live() >= boxed.len());
}
