//! Lowers compiled policies to SELinux.

mod lower;

pub use lower::{
    Access, Base, Domain, LowerError, LowerLimits, LowerOptions, Module, ObjectType, lower,
};
