//! What decisions rest on: explaining, testing and comparing policies.

mod args;
mod check;
mod diff;
mod explain;
mod in_kernel;
mod replay;
mod test;

pub(crate) use self::args::{CheckArgs, DiffArgs, ExplainArgs, ReplayArgs, TestArgs};
pub(crate) use self::check::run as check;
pub(crate) use self::diff::run as diff;
pub(crate) use self::explain::run as explain;
pub(crate) use self::in_kernel::InKernelFailure;
pub(crate) use self::replay::run as replay;
pub(crate) use self::test::run as test;
