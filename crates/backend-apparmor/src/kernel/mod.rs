//! What needs a kernel: finding out what it has, and the life of a profile in it.
//!
//! A policy goes through four states, each a type of its own: lowered ([`Profile`](crate::Profile)), compiled by
//! `apparmor_parser` ([`Binary`]), applied ([`Applied`]: the kernel took it) and confirmed ([`Confirmed`]: the
//! kernel says that this is what is in force).

mod audit_socket;
mod bind;
mod enforcer;
mod error;
mod log;
mod parser;
mod places;
mod probe;
mod state;

pub use bind::{BindError, Bound, Start, label_of};
pub use enforcer::{Applied, Enforcer, Prepared, Replaced};
pub use error::{ApplyError, KernelError, StateError};
pub use log::{KernelLog, LogError, Polled};
pub use parser::{Binary, Parser, ParserError};
pub use state::{Confirmed, Content, Difference, Loaded, Mode};
