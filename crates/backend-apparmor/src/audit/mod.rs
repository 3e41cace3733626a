//! What the kernel reports: records of its audit system, and what they say in the model's words.
//!
//! AppArmor's records name the profile, the operation and the object, but no rule. The rule is found by
//! deciding again: see [`Occurrence`]. Reading is total: any bytes are a record, none, or a
//! [`RecordError`].

mod alert;
mod fields;
mod occurrence;
mod operation;
mod record;

pub use occurrence::{Occurrence, Reason};
pub use record::{Mark, Record, RecordError};
