//! What decisions rest on: explaining, testing and comparing policies.

mod args;
mod check;
mod diff;
mod explain;
mod replay;
mod test;

pub(crate) use self::args::{CheckArgs, DiffArgs, ExplainArgs, ReplayArgs, TestArgs};
pub(crate) use self::check::run as check;
pub(crate) use self::diff::run as diff;
pub(crate) use self::explain::run as explain;
pub(crate) use self::replay::run as replay;
pub(crate) use self::test::run as test;

use gambeson::matcher::Config;
use gambeson::policy_model::Postures;

use crate::args::ReadingArgs;

/// How policies are compiled.
fn config(posture: Option<Postures>, reading: &ReadingArgs) -> Config {
    let mut config = Config::default();
    if let Some(posture) = posture {
        config = config.posture(posture);
    }
    if let Some(root) = &reading.root {
        config = config.root(root.clone());
    }
    config
}
