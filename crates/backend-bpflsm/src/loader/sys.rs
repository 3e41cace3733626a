//! What needs `unsafe`: shared memory of maps, and processes for the self-test.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The memory of a BPF array made with `BPF_F_MMAPABLE`, shared with the kernel.
///
/// The system call that updates an element copies it byte by byte as far as anyone promises; a store
/// to this memory changes a whole word at once, which is what the programs rely on.
#[derive(Debug)]
pub(super) struct SharedArray {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is only accessed by atomic
// operations.
unsafe impl Send for SharedArray {}
// SAFETY: as above; there is no access but by atomic operations.
unsafe impl Sync for SharedArray {}

impl SharedArray {
    /// Maps the first `len` bytes of the map.
    pub(super) fn new(map: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let len = len.div_ceil(page) * page;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                map,
                0,
            )
        }?;
        let start = NonNull::new(start.cast())
            .ok_or_else(|| io::Error::other("the kernel mapped a map at address 0"))?;
        Ok(Self { start, len })
    }

    /// The word at an offset; `None` beyond the end or between two words.
    fn word<T>(&self, at: usize) -> Option<&T> {
        let size = size_of::<T>();
        if !at.is_multiple_of(size) || at.checked_add(size)? > self.len {
            return None;
        }
        // SAFETY: the word lies within the mapping, which lives as long as `self` and starts at a
        // page, so that the word is aligned; `T` is an atomic integer, for which any bytes are a value.
        Some(unsafe { &*self.start.as_ptr().add(at).cast::<T>() })
    }

    pub(super) fn u32(&self, at: usize) -> Option<&AtomicU32> {
        self.word(at)
    }

    pub(super) fn u64(&self, at: usize) -> Option<&AtomicU64> {
        self.word(at)
    }

    pub(super) fn load_u32(&self, at: usize) -> u32 {
        self.u32(at).map_or(0, |word| word.load(Ordering::Acquire))
    }

    pub(super) fn load_u64(&self, at: usize) -> u64 {
        self.u64(at).map_or(0, |word| word.load(Ordering::Acquire))
    }

    pub(super) fn store_u32(&self, at: usize, value: u32) {
        if let Some(word) = self.u32(at) {
            word.store(value, Ordering::Release);
        }
    }

    pub(super) fn store_u64(&self, at: usize, value: u64) {
        if let Some(word) = self.u64(at) {
            word.store(value, Ordering::Release);
        }
    }
}

impl Drop for SharedArray {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and no reference to it outlives
        // `self`. That it can't be unmapped would leave it in place, which harms nobody.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// What the processes of a self-test are to do.
#[derive(Debug)]
pub(super) struct Openers<'a> {
    /// The file to be opened.
    pub(super) file: &'a std::path::Path,
    /// How often each process opens it.
    pub(super) rounds: u32,
    /// Where each waits for its beginning: the end of this pipe.
    pub(super) start: &'a OwnedFd,
    /// Where each writes how often it could open the file, as four bytes.
    pub(super) report: &'a OwnedFd,
}

/// Starts a process that does nothing but open the file, on the first CPU that it may use, and ends.
pub(super) fn spawn_opener(openers: &Openers<'_>) -> io::Result<i32> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = CString::new(openers.file.as_os_str().as_bytes())?;
    let start = openers.start.as_raw_fd();
    let report = openers.report.as_raw_fd();
    // SAFETY: between fork and `_exit` the child makes nothing but system calls on memory that was
    // prepared before: no allocation, no lock, no destructor runs.
    unsafe {
        let pid = libc::fork();
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        if pid > 0 {
            return Ok(pid);
        }
        let mut cpus: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut cpus) == 0 {
            let first = (0..libc::CPU_SETSIZE.cast_unsigned() as usize)
                .find(|cpu| libc::CPU_ISSET(*cpu, &cpus));
            if let Some(first) = first {
                libc::CPU_ZERO(&mut cpus);
                libc::CPU_SET(first, &mut cpus);
                libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const cpus);
            }
        }
        let mut byte = 0u8;
        if libc::read(start, (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(1);
        }
        let mut opened = 0u32;
        for _ in 0..openers.rounds {
            let fd = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            if fd >= 0 {
                opened = opened.wrapping_add(1);
                libc::close(fd);
            }
        }
        libc::write(report, (&raw const opened).cast(), 4);
        libc::_exit(0);
    }
}
