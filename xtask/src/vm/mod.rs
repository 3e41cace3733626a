//! Virtual machines in which real kernels judge policies.
//!
//! Debian's kernels, found and unpacked without installing anything, are started under software
//! emulation, from the saved memory of a guest that has booted already. One command runs in there
//! as root; its output, its status and the kernel's log come back. Files go in as copies, so the
//! host's can't be changed.
//!
//! ```no_run
//! use xtask::vm::{Kernel, Machine, Payload};
//!
//! # fn main() -> Result<(), xtask::vm::VmError> {
//! let machine = Machine::new(Kernel::find("6.12")?);
//! let outcome = machine.run(&Payload::new(["cat", "/sys/kernel/security/lsm"]))?;
//! assert!(outcome.status.success());
//! println!("{}", String::from_utf8_lossy(&outcome.stdout));
//! # Ok(())
//! # }
//! ```

mod archive;
mod base;
mod bzimage;
mod cache;
pub mod command_line;
mod cpio;
mod error;
mod expected;
mod image;
mod kernel;
mod machine;
mod module;
mod outcome;
mod packages;
mod payload;
mod qemu;
mod qmp;
mod shared;
mod snapshot;
mod tool;

pub use error::VmError;
pub use expected::{KERNELS_VARIABLE, UnderTest, kernels_under_test};
pub use kernel::{Kernel, NAMES};
pub use machine::{Lsm, Machine};
pub use outcome::{Outcome, Status, Timings};
pub use payload::Payload;
