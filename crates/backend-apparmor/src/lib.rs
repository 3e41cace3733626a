//! Carries compiled policies out as AppArmor profiles.

pub mod audit;
mod carve;
mod error;
mod features;
mod gaps;
mod glob;
mod judge;
mod kernel;
mod layers;
mod lower;
mod name;
mod options;
mod profile;
mod quote;
mod support;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod zones;

pub use error::LowerError;
pub use features::{Features, FeaturesError};
pub use gaps::enforceability;
pub use kernel::{
    Applied, ApplyError, Binary, BindError, Bound, Confirmed, Content, Difference, Enforcer,
    KernelError, KernelLog, Loaded, LogError, Mode, Parser, ParserError, Polled, Prepared,
    Replaced, Start, StateError, label_of,
};
pub use lower::lower;
pub use name::{ProfileName, ProfileNameError};
pub use options::{Mounts, Native, Options};
pub use profile::{Profile, Section};
pub use support::Support;

use gambeson_matcher::CompiledPolicy;
use gambeson_matcher::backend::{Backend, Report};

/// The backend: AppArmor profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppArmor;

impl Backend for AppArmor {
    const NAME: &'static str = "apparmor";
    type Support = Support;
    type Lowered = Profile;
    type LowerError = LowerError;

    fn enforceability(support: &Support, compiled: &CompiledPolicy) -> Report {
        enforceability(support, compiled, &Options::default())
    }

    /// Lowers under the default options; [`lower`] takes others.
    fn lower(support: &Support, compiled: &CompiledPolicy) -> Result<Profile, LowerError> {
        lower(support, compiled, &Options::default())
    }
}
