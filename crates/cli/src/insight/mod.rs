//! What decisions rest on: explaining, testing and comparing policies.

mod args;
mod check;
mod diff;
mod discover;
mod explain;
mod in_kernel;
mod promote;
mod replay;
mod test;

pub(crate) use self::args::{
    CheckArgs, DiffArgs, DiscoverArgs, ExplainArgs, PromoteArgs, ReplayArgs, TestArgs,
};
pub(crate) use self::check::run as check;
pub(crate) use self::diff::run as diff;
pub(crate) use self::discover::run as discover;
pub(crate) use self::explain::run as explain;
pub(crate) use self::in_kernel::InKernelFailure;
pub(crate) use self::promote::run as promote;
pub(crate) use self::replay::run as replay;
pub(crate) use self::test::run as test;

/// How many threads: as many as asked for, or one for each processor.
fn threads(asked: Option<u16>) -> usize {
    match asked {
        Some(threads) => usize::from(threads),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    }
}
