//! Trees into checked, typed policies.

mod context;
mod entry;
mod names;
mod object;
mod paths;
mod place;
mod scalars;
mod selector;
mod spec;

pub(crate) use object::read_documents;
pub(crate) use place::objects;

/// How closely what is read must follow the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// As KubeArmor's custom resource definitions: every deviation is an error.
    #[default]
    Strict,
    /// As found in the wild: a deviation with one likely meaning is a warning that says what was
    /// assumed.
    Lenient,
}
